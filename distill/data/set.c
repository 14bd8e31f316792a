/* What all kinds of image sets share: memory, splitting, statistics. */
#include "set.h"

#include "webstill/base/mem.h"
#include "webstill/images/read.h"

#include <math.h>
#include <stdlib.h>

bool ws_dataset_alloc(struct ws_dataset *set, size_t n, int height, int width, int channels, bool with_block)
{
    *set = (struct ws_dataset){.n = n, .height = height, .width = width, .channels = channels};
    const size_t size_bytes = ws_dataset_image_bytes(set);
    set->pixels = ws_calloc(n, sizeof *set->pixels);
    set->labels = ws_calloc(n, sizeof *set->labels);
    set->ids = ws_calloc(n, sizeof *set->ids);
    set->block = with_block ? ws_calloc_aligned(n, size_bytes) : NULL;
    if (!set->pixels || !set->labels || !set->ids || (with_block && !set->block)) {
        ws_dataset_close(set);
        return false;
    }
    for (size_t i = 0; with_block && i < n; i++)
        set->pixels[i] = set->block + i * size_bytes;
    return true;
}

void ws_dataset_close(struct ws_dataset *set)
{
    free(set->pixels);
    free(set->labels);
    free(set->groups);
    free(set->ids);
    free(set->block);
    ws_images_close(&set->store);
    *set = (struct ws_dataset){0};
}

void ws_dataset_keep(struct ws_dataset *set, const uint8_t *keep)
{
    size_t n = 0;
    for (size_t i = 0; i < set->n; i++) {
        if (!keep[i])
            continue;
        set->pixels[n] = set->pixels[i];
        set->labels[n] = set->labels[i];
        if (set->groups)
            set->groups[n] = set->groups[i];
        set->ids[n++] = set->ids[i];
    }
    set->n = n;
}

void ws_dataset_update_digest(struct ws_dataset *set)
{
    struct ws_sha256_stream stream;
    if (!ws_sha256_init(&stream)) {
        set->digest = (struct ws_digest){{0}};
        return;
    }
    const int32_t head[] = {set->height, set->width, set->channels};
    ws_sha256_add(&stream, head, sizeof head);
    for (size_t i = 0; i < set->n; i++) {
        ws_sha256_add(&stream, set->ids[i].bytes, sizeof set->ids[i].bytes);
        ws_sha256_add(&stream, &set->labels[i], sizeof set->labels[i]);
        if (set->groups)
            ws_sha256_add(&stream, &set->groups[i], sizeof set->groups[i]);
        ws_sha256_add(&stream, set->pixels[i], ws_dataset_image_bytes(set));
    }
    set->digest = ws_sha256_finish(&stream);
}

/* The hold-out is drawn from the id alone, so that a pool that grew keeps its old members on their side. */
static bool is_held_out(const struct ws_image_id *id, double share, uint64_t seed)
{
    const uint64_t hash = ws_xxh64(id->bytes, sizeof id->bytes, seed);
    return (double)(hash >> 11) * 0x1p-53 < share;
}

void ws_dataset_split(const struct ws_dataset *set, double share, uint64_t seed, uint32_t *train, size_t *n_train,
                      uint32_t *held, size_t *n_held)
{
    *n_train = *n_held = 0;
    for (size_t i = 0; i < set->n; i++) {
        if (is_held_out(&set->ids[i], share, seed))
            held[(*n_held)++] = (uint32_t)i;
        else
            train[(*n_train)++] = (uint32_t)i;
    }
}

uint32_t ws_id_key(const struct ws_image_id *id)
{
    return (uint32_t)ws_xxh64(id->bytes, sizeof id->bytes, 0);
}

void ws_dataset_statistics(const struct ws_dataset *set, const uint32_t *images, size_t n, float *mean, float *std)
{
    const size_t n_pixels = (size_t)set->height * (size_t)set->width;
    for (int c = 0; c < set->channels; c++) {
        /* Integer sums are exact, so the order of the images does not matter. */
        uint64_t sum = 0, squares = 0;
        for (size_t i = 0; i < n; i++) {
            const uint8_t *pixels = set->pixels[images[i]] + c;
            for (size_t p = 0; p < n_pixels; p++) {
                const uint32_t value = pixels[p * (size_t)set->channels];
                sum += value;
                squares += value * value;
            }
        }
        const double count = (double)n * (double)n_pixels;
        const double average = (double)sum / count;
        const double variance = (double)squares / count - average * average;
        mean[c] = (float)(average / 255.0);
        std[c] = (float)(sqrt(variance > 0.0 ? variance : 0.0) / 255.0);
    }
}
