/* Linked into every test and benchmark: they run on the matrix kernels that the programs run on. */
#include "webstill/nn/blas.h"

/* Weak: a test without a network does not load the library for this alone. */
#pragma weak ws_blas_prepare

/* glibc hands main()'s arguments to constructors. */
__attribute__((constructor)) static void start(int argc, char **argv)
{
    (void)argc;
    if (ws_blas_prepare)
        ws_blas_prepare(argv);
}
