/* kernels_impl.h compiled for this instruction set; the flags stand in the Makefile. */
#define WS_KERNELS_TABLE ws_kernels_plain
#define WS_KERNELS_NAME "plain"
#include "kernels_impl.h"
