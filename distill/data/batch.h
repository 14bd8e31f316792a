/** Fill a network's input with images: one slice of the pool per image, the same bytes for any number of threads. */
#ifndef WEBSTILL_DISTILL_DATA_BATCH_H
#define WEBSTILL_DISTILL_DATA_BATCH_H

#include "augment.h"
#include "set.h"

#include "webstill/base/rng.h"
#include "webstill/base/workers.h"

/** Which view of the images; numbers are keyed by (seed, stream, the image's id, pass). */
struct ws_view {
    const struct ws_augment *augment;
    bool is_clean; /**< no random numbers at all */
    uint64_t seed;
    enum ws_stream stream;
    uint32_t pass;                 /**< so that an image seen again is drawn again */
    const uint8_t *const *refined; /**< NULL, or [n images of the set]: other pixels of these images … */
    double refined_share;          /**< … and how often they are shown */
};

/** Write `n` images of the set into `input`, [n][height][width][channels]. */
void ws_batch_load(struct ws_workers *workers, const struct ws_dataset *set, const struct ws_view *view,
                   const uint32_t *images, int n, float *input);

/**
 * The order of one epoch over `n` images in batches: pass after pass, each pass a fresh permutation of all, so that no
 * batch holds an image twice. A pass's last batch is the rest if that is at least 2 images (BatchNorm and a contrast
 * need two), else it is left out.
 */
struct ws_sampler {
    uint64_t seed;
    uint32_t epoch;
    uint32_t *order;        /**< borrowed: room for n */
    const uint32_t *images; /**< borrowed: [n] */
    size_t n;
    int batch;
    int64_t pass; /**< whose permutation `order` holds; -1 = none */
};

/** Batches of one pass. */
int64_t ws_sampler_pass_batches(size_t n, int batch);

/** Images of batch `index` of the epoch (0, 1, …) into `out` (room for `batch`); returns how many, and the pass number.
 */
int ws_sampler_batch(struct ws_sampler *sampler, int64_t index, uint32_t *out, uint32_t *pass);

#endif
