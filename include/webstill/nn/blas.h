/**
 * The matrix library's choice of kernels.
 *
 * OpenBLAS picks its kernels while it is loaded, from a list of processors that is as old as the library. On a
 * processor that is not in the list it takes its oldest ones, a third as fast. OPENBLAS_CORETYPE in the environment
 * overrides the choice, but only before loading: so a program that finds a poor choice runs itself again with the
 * variable set.
 */
#ifndef WEBSTILL_NN_BLAS_H
#define WEBSTILL_NN_BLAS_H

/** What a processor can do, or a set of kernels asks for. */
enum ws_blas_level { WS_BLAS_SSE, WS_BLAS_AVX2, WS_BLAS_AVX512 };

/**
 * Call first in main(), before threads, files and options. When OPENBLAS_CORETYPE is unset and the library's kernels
 * are of an older kind than this processor's instructions, run this program again (same arguments, same environment
 * but for OPENBLAS_CORETYPE and the guard WEBSTILL_BLAS_CORE) and do not return; else, or when that fails, return.
 * Never runs it a third time. A choice in OPENBLAS_CORETYPE is respected.
 */
void ws_blas_prepare(char **argv);

/** Let each product be computed on its caller's thread alone, whatever OPENBLAS_NUM_THREADS and OMP_NUM_THREADS say. */
void ws_blas_be_serial(void);

/** The name of OpenBLAS's kernels ("SkylakeX"); static. Other kernels may give other bytes. */
const char *ws_blas_core(void);

/** Something a user should know of the library as it runs here, in one sentence, or NULL. */
const char *ws_blas_remark(char text[512]);

/**
 * The core type to ask for where OpenBLAS chose `core` on a processor of `level`; NULL when its choice is good, or
 * a name that we do not know and so do not judge.
 */
const char *ws_blas_better_core(const char *core, enum ws_blas_level level);

#endif
