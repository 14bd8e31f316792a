#include "webstill/nn/blas.h"

#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define CORE_VARIABLE "OPENBLAS_CORETYPE"
#define GUARD_VARIABLE "WEBSTILL_BLAS_CORE"

/* The names of OpenBLAS's DYNAMIC_ARCH kernels on x86-64 that are below AVX-512. */
static const struct {
    const char *name;
    enum ws_blas_level level;
} older_cores[] = {
    {"Prescott", WS_BLAS_SSE},    {"Core2", WS_BLAS_SSE},        {"Penryn", WS_BLAS_SSE},
    {"Dunnington", WS_BLAS_SSE},  {"Nehalem", WS_BLAS_SSE},      {"Sandybridge", WS_BLAS_SSE},
    {"Atom", WS_BLAS_SSE},        {"Nano", WS_BLAS_SSE},         {"Athlon", WS_BLAS_SSE},
    {"Opteron", WS_BLAS_SSE},     {"Opteron_SSE3", WS_BLAS_SSE}, {"Barcelona", WS_BLAS_SSE},
    {"Bobcat", WS_BLAS_SSE},      {"Bulldozer", WS_BLAS_SSE},    {"Piledriver", WS_BLAS_SSE},
    {"Steamroller", WS_BLAS_SSE}, {"Excavator", WS_BLAS_AVX2},   {"Haswell", WS_BLAS_AVX2},
    {"Zen", WS_BLAS_AVX2},
};

static enum ws_blas_level processor_level(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw"))
        return WS_BLAS_AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return WS_BLAS_AVX2;
#endif
    return WS_BLAS_SSE;
}

const char *ws_blas_better_core(const char *core, enum ws_blas_level level)
{
    static const char *const best[] = {[WS_BLAS_SSE] = NULL, [WS_BLAS_AVX2] = "Haswell", [WS_BLAS_AVX512] = "SkylakeX"};
    for (size_t i = 0; i < sizeof older_cores / sizeof *older_cores; i++)
        if (strcasecmp(core, older_cores[i].name) == 0)
            return older_cores[i].level < level ? best[level] : NULL;
    return NULL;
}

/* A library built for one processor has nothing to choose from. */
static const char *better_core(void)
{
    if (!strstr(openblas_get_config(), "DYNAMIC_ARCH"))
        return NULL;
    return ws_blas_better_core(openblas_get_corename(), processor_level());
}

void ws_blas_prepare(char **argv)
{
    const char *core = better_core();
    if (!core || getenv(CORE_VARIABLE) || getenv(GUARD_VARIABLE))
        return;
    if (setenv(CORE_VARIABLE, core, 1) != 0 || setenv(GUARD_VARIABLE, core, 1) != 0)
        return;
    execv("/proc/self/exe", argv);
    /* No /proc: go on slowly, and say so when asked. */
    unsetenv(CORE_VARIABLE);
}

void ws_blas_be_serial(void)
{
    openblas_set_num_threads(1);
}

const char *ws_blas_core(void)
{
    return openblas_get_corename();
}

const char *ws_blas_remark(char text[512])
{
    const char *core = better_core(), *chosen = getenv(CORE_VARIABLE);
    if (openblas_get_parallel() == OPENBLAS_OPENMP)
        snprintf(text, 512,
                 "this OpenBLAS was built for OpenMP, whose threads get in the way of ours: install the pthread build "
                 "(Debian: libopenblas0-pthread), or set OMP_NUM_THREADS=1");
    else if (core && chosen)
        snprintf(text, 512,
                 "OpenBLAS uses its %s kernels, as " CORE_VARIABLE "=%s asks: this processor can run %s, several times "
                 "as fast",
                 openblas_get_corename(), chosen, core);
    else if (core)
        snprintf(text, 512,
                 "OpenBLAS takes this processor for a %s, the slow way: set " CORE_VARIABLE
                 "=%s to run several times as "
                 "fast",
                 openblas_get_corename(), core);
    else
        return NULL;
    return text;
}
