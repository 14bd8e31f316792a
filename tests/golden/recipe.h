/* The numbers that generate.py draws, drawn here again to the bit: weights and inputs of the golden files. */
#ifndef WEBSTILL_TESTS_RECIPE_H
#define WEBSTILL_TESTS_RECIPE_H

#include "webstill/nn/graph.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* n floats shift + scale * [-1, 1): a 64-bit linear congruential generator seeded with the name's FNV-1a hash. */
static inline void recipe_draw(const char *name, float *out, size_t n, double scale, double shift)
{
    uint64_t state = 0xCBF29CE484222325U;
    for (const char *p = name; *p; p++)
        state = (state ^ (uint8_t)*p) * 0x100000001B3U;
    for (size_t i = 0; i < n; i++) {
        state = state * 6364136223846793005U + 1442695040888963407U;
        const double u = (double)(state >> 40) / (double)(1 << 23) - 1.0;
        out[i] = (float)(shift + scale * u);
    }
}

/* Every parameter of a network whose name begins with `prefix` (left out of the drawn name), from SEED/NAME. */
static inline void recipe_fill(struct ws_net *net, const char *seed, const char *prefix)
{
    for (int i = 0; i < net->n_params; i++) {
        const struct ws_param *param = &net->params[i];
        if (strncmp(param->name, prefix, strlen(prefix)) != 0)
            continue;
        const char *suffix = strrchr(param->name, '.');
        double scale = 0.25, shift = 0.0;
        if (strcmp(suffix, ".running_var") == 0 || (param->rank == 1 && strcmp(suffix, ".weight") == 0))
            shift = 1.0;
        else if (param->rank > 1)
            scale = sqrt(6.0 / ((double)param->n / (double)param->shape[0]));
        char name[256];
        snprintf(name, sizeof name, "%s/%s", seed, param->name + strlen(prefix));
        float *values = malloc(param->n * sizeof *values);
        if (!values)
            abort();
        recipe_draw(name, values, param->n, scale, shift);
        ws_net_set(net, i, values, param->n);
        free(values);
    }
}

/* A batch drawn as [image][channel][y][x] (the order of files), stored as [image][y][x][channel] (the engine's). */
static inline void recipe_images(const char *name, float *out, int batch, int height, int width, int channels)
{
    const size_t pixels = (size_t)height * (size_t)width, n = (size_t)batch * (size_t)channels * pixels;
    float *drawn = malloc(n * sizeof *drawn);
    if (!drawn)
        abort();
    recipe_draw(name, drawn, n, 1.5, 0.0);
    for (size_t i = 0; i < (size_t)batch; i++)
        for (size_t c = 0; c < (size_t)channels; c++)
            for (size_t p = 0; p < pixels; p++)
                out[(i * pixels + p) * (size_t)channels + c] = drawn[(i * (size_t)channels + c) * pixels + p];
    free(drawn);
}

static inline int32_t recipe_label(int image)
{
    return (7 * image + 3) % 10;
}

#endif
