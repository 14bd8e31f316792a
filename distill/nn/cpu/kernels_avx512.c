/* kernels_impl.h compiled for this instruction set; the flags stand in the Makefile. */
#if defined(__x86_64__)
#define WS_KERNELS_TABLE ws_kernels_avx512
#define WS_KERNELS_NAME "avx512"
#include "kernels_impl.h"
#else
typedef int ws_kernels_avx512_absent; /* a translation unit may not be empty */
#endif
