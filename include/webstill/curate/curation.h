/**
 * The rules beyond KD3's, on one pool: precision of sources, near duplicates, quotas (section `curate` of the
 * configuration; each off by default). What depends on the pool alone is computed once; applying the rules to an
 * epoch's selection is arithmetic without allocation. The training loop and the stage `curate` call the same functions.
 */
#ifndef WEBSTILL_CURATE_CURATION_H
#define WEBSTILL_CURATE_CURATION_H

#include "webstill/curate/density.h"
#include "webstill/curate/keys.h"
#include "webstill/curate/quota.h"
#include "webstill/curate/select.h"
#include "webstill/curate/source.h"
#include "webstill/images/read.h"

/** The pool: images in id order. Everything is borrowed; needed only while ws_curation_open() runs. */
struct ws_curation_pool {
    size_t n;
    int n_classes;
    const struct ws_image_id *ids; /**< [n] */
    const uint8_t *const *pixels;  /**< [n] height x width x channels bytes each */
    int height, width, channels;
    const struct ws_images
        *store; /**< whose origins are read; may be NULL when neither sources nor quotas are asked for */
};

/** All-zero is a valid closed one, whose rules are all off. */
struct ws_curation {
    const struct ws_curate_keys *rule; /**< borrowed */
    size_t n;
    int n_classes;
    struct ws_arena arena;             /**< owned: all arrays */
    struct ws_density density;         /**< density: of the perceptual hashes */
    uint32_t *n_near;                  /**< density: [n] near duplicates in the pool, the image itself included */
    struct ws_sources sources;         /**< source_precision */
    struct ws_source_row *source_rows; /**< [n_sources], once judged */
    double source_mean;                /**< the pool's own precision, once judged */
    float *source_weight;              /**< [n] 1 until judged */
    struct ws_sources owners;          /**< quota */
    int32_t *owner;                    /**< [n] */
    struct ws_quota quota;
};

/** True when at least one of the rules beyond KD3's is on. */
bool ws_curation_is_on(const struct ws_curate_keys *rule);
/** True when the teacher has to judge sources, by ws_curation_judge(). */
bool ws_curation_asks_teacher(const struct ws_curate_keys *rule);

/** Read and index what the rules need. `rule` is borrowed until close. WS_E_CONFIG, WS_E_DAMAGED, WS_E_MEMORY. */
WS_MUST_USE enum ws_status ws_curation_open(struct ws_curation *curation, const struct ws_curate_keys *rule,
                                            const struct ws_curation_pool *pool, struct ws_err *err);
void ws_curation_close(struct ws_curation *curation);

/** The teacher's word on the sources: its prediction [n] and confidence [n] of each image's plain view. */
void ws_curation_judge(struct ws_curation *curation, const int32_t *predicted, const float *confidence);

/**
 * Apply the rules to a selection over the same images, in the order source, density, quota: clears keep, sets reason,
 * counts n_kept and n_kept_total anew, and fills weight: of a kept image the product of its source's weight and of
 * 1/n_near, scaled so that the mean over the kept images is 1. Thresholds and n_predicted stay.
 */
void ws_curation_apply(struct ws_curation *curation, struct ws_selection *selection);

/** How many images of a selection have this reason. */
int64_t ws_selection_count_reason(const struct ws_selection *selection, enum ws_reason reason);

#endif
