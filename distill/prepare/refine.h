/**
 * Web images pulled towards what the teacher was trained on.
 *
 * DeepInversion (Yin et al., CVPR 2020) makes images out of noise by descending, over pixels, on a class loss and on
 * the distance of the batch's statistics to those that the teacher's BatchNorm layers remember. Here the descent starts
 * from web images and is short: shapes stay the web's, texture and fill become the data's. The teacher's own data is
 * never seen; its running statistics are the only trace of it.
 *
 *   x <- x - lr Adam( d/dx [ statistics * R(view(x)) + CE(T(view(x)), y) ] ),  kept within the range of pixels
 *
 * `view` shifts by up to two pixels and mirrors, anew in each step; y is the teacher's choice on the first view, or,
 * for a share of the images, any class: without that the classes which the web shows rarely would stay rare.
 */
#ifndef WEBSTILL_DISTILL_PREPARE_REFINE_H
#define WEBSTILL_DISTILL_PREPARE_REFINE_H

#include "learn/method.h"

/** The keys of it, which stand in the section of the method that asks for it (distill.kd3_plus). */
struct ws_refine_keys {
    uint32_t steps;  /**< 0 = images are not refined */
    uint32_t images; /**< most that are refined, and then trained on; 0 = all */
    double lr, statistics, any_class;
    double share; /**< of the images of a batch */
};
extern const struct ws_conf_section ws_refine_section;

struct ws_refine_options {
    int steps;         /**< of the descent, per image; 1 or more */
    double lr;         /**< Adam's, in units of a normalised input */
    double statistics; /**< weight of R(x) beside the class loss */
    double any_class;  /**< share of images that are pulled to any class instead of the teacher's choice */
    int batch;         /**< images per descent: the statistics are theirs together; 2 or more */
    uint64_t seed;
};

/** Refined pixels, kept on disk in parts. All-zero is a valid closed one. */
struct ws_refined {
    const uint8_t **pixels; /**< owned: [data->n] of the refined images; NULL where an image was not asked for */
    uint8_t *block;         /**< owned */
};

/**
 * Refine `n` images of the set, in batches of an order drawn from the seed; a set smaller than the batch is one batch.
 *
 * `teacher` is not folded and has BatchNorm layers: without them there is nothing to pull towards. Finished parts lie
 * in `dir` as part-NNN.safetensors (ids U8 [n,16], pixels U8 [n,height,width,channels], metadata "webstill.refine":
 * what they depend on) and are not made again; parts beyond the last are removed. WS_E_STOPPED when a stop was asked
 * for, WS_E_IO, WS_E_MEMORY. Determinism: the same bytes for any number of threads, and however often it was stopped.
 */
WS_MUST_USE enum ws_status ws_refine(struct ws_refined *out, struct ws_model *teacher, struct ws_workers *workers,
                                     const struct ws_dataset *data, const uint32_t *images, size_t n,
                                     const struct ws_refine_options *options, const char *dir, struct ws_err *err);
void ws_refined_close(struct ws_refined *refined);

/** Whether the configuration (section distill.kd3_plus) asks for refined images. */
bool ws_refine_is_asked(const struct ws_config *config);

/**
 * The step before a training on refined images; it makes a struct ws_refined. Where the pool is larger than
 * refine_images, the training gets a sample of it: the images whose ids' hashes under the seed are smallest, so that a
 * pool which grew changes it least.
 */
extern const struct ws_prepare ws_prepare_refine;

#endif
