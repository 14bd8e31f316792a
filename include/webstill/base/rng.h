/**
 * Counter-based random numbers: Philox4x32-10 (Salmon et al., SC 2011).
 *
 * A number is a pure function of (seed, stream, a, b, position): the same for any thread count, any order of
 * work, and after a resume. Streams never share numbers; `a` and `b` are free (image, epoch, step …). One
 * (seed, stream, a, b) gives 2^34 numbers before they repeat.
 */
#ifndef WEBSTILL_BASE_RNG_H
#define WEBSTILL_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

/** What the numbers are for; a new use gets a new value, at the end. Values are part of reproducibility. */
enum ws_stream {
    WS_STREAM_INIT = 1, /**< weights; a = parameter index */
    WS_STREAM_SHUFFLE,  /**< order of an epoch; a = epoch */
    WS_STREAM_AUGMENT,  /**< augmentation; a = image, b = epoch */
    WS_STREAM_SELECT,   /**< augmentation of the selection pass; a = image, b = epoch */
    WS_STREAM_MIX,      /**< MixDistribution; a = step */
    WS_STREAM_CRAWL,    /**< retry jitter */
    WS_STREAM_TEST,     /**< tests */
    WS_STREAM_DROPOUT,  /**< a = node, b = step */
    WS_STREAM_NOISE,    /**< pictures of noise; a = step, b = place in the batch */
    WS_STREAM_SHIFT,    /**< brightness and contrast of the shifted test set; a = image, b = channel */
    WS_STREAM_REFINE,   /**< refined images; b = 0: their order, 1: descent of batch a */
    WS_STREAM_REPLAY,   /**< images drawn from those made in the run; a = step, b = turn within it */
};

struct ws_rng {
    uint32_t key[2];
    uint32_t counter[4]; /**< position, then a, b and the stream */
    uint32_t block[4];
    unsigned used; /**< words of the block already given */
};

void ws_rng_init(struct ws_rng *rng, uint64_t seed, enum ws_stream stream, uint32_t a, uint32_t b);

uint32_t ws_rng_u32(struct ws_rng *rng);
/** Uniform in [0, n), unbiased; n > 0. */
uint32_t ws_rng_below(struct ws_rng *rng, uint32_t n);
/** Uniform in [0, 1), 53 bits. */
double ws_rng_uniform(struct ws_rng *rng);
/** Standard normal (Box-Muller, one of the pair). */
double ws_rng_normal(struct ws_rng *rng);
/** Beta(alpha, beta) for any positive parameters, computed in log space so that 0.1 does not underflow. */
double ws_rng_beta(struct ws_rng *rng, double alpha, double beta);
/** Fisher-Yates permutation of 0..n-1 into `order`. */
void ws_rng_permutation(struct ws_rng *rng, uint32_t *order, size_t n);

#endif
