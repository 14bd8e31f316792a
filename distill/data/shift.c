#include "shift.h"

#include "webstill/base/mem.h"
#include "webstill/base/rng.h"

#include <math.h>
#include <string.h>

void ws_shift_draw(uint64_t seed, const struct ws_image_id *id, int channel, double strength, double *gain,
                   double *offset)
{
    struct ws_rng rng;
    ws_rng_init(&rng, seed, WS_STREAM_SHIFT, ws_id_key(id), (uint32_t)channel);
    const double u = 2.0 * ws_rng_uniform(&rng) - 1.0, v = 2.0 * ws_rng_uniform(&rng) - 1.0;
    *gain = exp(strength * u);
    *offset = 0.5 * strength * v;
}

/* One channel of one image; `step` values lie between two of its pixels. */
static void shift_channel(const uint8_t *from, uint8_t *to, size_t n_pixels, size_t step, double gain, double offset)
{
    double mean = 0.0;
    for (size_t p = 0; p < n_pixels; p++)
        mean += (double)from[p * step];
    mean /= (double)n_pixels;
    for (size_t p = 0; p < n_pixels; p++) {
        const double value = mean + gain * ((double)from[p * step] - mean) + 255.0 * offset;
        to[p * step] = (uint8_t)floor(fmin(fmax(value, 0.0), 255.0) + 0.5);
    }
}

bool ws_shift_apply(const struct ws_dataset *set, double strength, uint64_t seed, struct ws_dataset *out)
{
    if (!ws_dataset_alloc(out, set->n, set->height, set->width, set->channels, true))
        return false;
    if (set->groups && !(out->groups = ws_calloc(set->n, sizeof *out->groups))) {
        ws_dataset_close(out);
        return false;
    }
    const size_t n_pixels = (size_t)set->height * (size_t)set->width, channels = (size_t)set->channels;
    memcpy(out->labels, set->labels, set->n * sizeof *set->labels);
    if (set->groups)
        memcpy(out->groups, set->groups, set->n * sizeof *set->groups);
    memcpy(out->ids, set->ids, set->n * sizeof *set->ids);
    for (size_t i = 0; i < set->n; i++) {
        uint8_t *to = out->block + i * ws_dataset_image_bytes(set);
        for (int c = 0; c < set->channels; c++) {
            double gain, offset;
            ws_shift_draw(seed, &set->ids[i], c, strength, &gain, &offset);
            shift_channel(set->pixels[i] + c, to + c, n_pixels, channels, gain, offset);
        }
    }
    ws_dataset_update_digest(out);
    return true;
}
