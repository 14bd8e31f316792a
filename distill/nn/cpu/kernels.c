#include "kernels.h"

#include <string.h>

const struct ws_kernels *ws_kernels_find(const char *name)
{
    if (strcmp(name, "plain") == 0)
        return &ws_kernels_plain;
#if defined(__x86_64__)
    if (strcmp(name, "avx2") == 0 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return &ws_kernels_avx2;
    if (strcmp(name, "avx512") == 0 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw"))
        return &ws_kernels_avx512;
#endif
    return NULL;
}

const struct ws_kernels *ws_kernels_get(void)
{
    static const char *const best_first[] = {"avx512", "avx2", "plain"};
    for (size_t i = 0; i < sizeof best_first / sizeof *best_first; i++) {
        const struct ws_kernels *kernels = ws_kernels_find(best_first[i]);
        if (kernels)
            return kernels;
    }
    return &ws_kernels_plain;
}
