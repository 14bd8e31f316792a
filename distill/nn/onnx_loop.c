#include "onnx_int.h"
void read_loop(struct reader *r)
{
    refuse(r, WS_E_UNSUPPORTED, "a loop");
}
