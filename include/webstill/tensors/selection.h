/**
 * A selection on disk: which images one epoch keeps, and why.
 *
 * safetensors, images in id order: ids U8 [n,16], keep U8 [n], confidence F32 [n], predicted I32 [n],
 * threshold F64 [C], n_predicted I64 [C], n_kept I64 [C], reason U8 [n] (enum ws_reason: 0 kept, 1 threshold, 2 source,
 * 3 density, 4 quota), weight F32 [n] (0 = dropped; mean 1 over the kept ones); metadata: rule, alpha, epoch, p_cutoff,
 * as decimal text. Files from before there were reasons and weights lack the last two.
 */
#ifndef WEBSTILL_TENSORS_SELECTION_H
#define WEBSTILL_TENSORS_SELECTION_H

#include "webstill/base/err.h"
#include "webstill/base/hash.h"
#include "webstill/tensors/file.h"

#include <stdint.h>

/** Which rule dropped an image; the numbers stand in files. */
enum ws_reason {
    WS_REASON_KEPT,
    WS_REASON_THRESHOLD, /**< not above its class's threshold */
    WS_REASON_SOURCE,    /**< its sources are believed too little */
    WS_REASON_DENSITY,   /**< a near duplicate of a kept image that is more confident */
    WS_REASON_QUOTA,     /**< beyond its host's share of the class */
    WS_N_REASONS,
};

/** A selection as curate makes it. */
struct ws_selection {
    size_t n; /**< images */
    int n_classes;
    double alpha;
    uint8_t *keep;        /**< [n] 1 = kept */
    uint8_t *reason;      /**< [n] enum ws_reason */
    float *weight;        /**< [n] factor of the image's loss; 0 = dropped; mean 1 over the kept ones */
    float *confidence;    /**< [n] conf(x) */
    int32_t *predicted;   /**< [n] yhat(x) */
    double *threshold;    /**< [n_classes] tau_c */
    int64_t *n_predicted; /**< [n_classes] n_c */
    int64_t *n_kept;      /**< [n_classes] */
    int64_t n_kept_total;
};

/** "kept", "threshold", "source", "density", "quota" as the file's numbers mean; "unknown" for others. */
const char *ws_selection_reason_name(int reason);

/** What the selection was made with; goes into the metadata. */
struct ws_selection_facts {
    const char *rule; /**< "kd3", "all" or "dfnd" */
    double p_cutoff;
    uint32_t epoch;
};

/** Write atomically. `ids` has selection->n entries. WS_E_IO, WS_E_MEMORY. */
WS_MUST_USE enum ws_status ws_selection_write(const char *path, const struct ws_image_id *ids,
                                              const struct ws_selection *selection,
                                              const struct ws_selection_facts *facts, struct ws_err *err);

/** A selection as it was read: selection/epoch.safetensors or runs/METHOD/selection/epoch-NNN.safetensors. */
struct ws_selection_file {
    struct ws_tensors *tensors; /**< owned; the arrays below are borrowed from it */
    size_t n;
    int n_classes;
    const struct ws_image_id *ids; /**< [n], ascending or not */
    const uint8_t *keep;           /**< [n] */
    const float *confidence;       /**< [n] */
    const int32_t *predicted;      /**< [n], each within 0 … n_classes-1 */
    const double *threshold;       /**< [n_classes] */
    const int64_t *n_predicted;    /**< [n_classes] */
    const int64_t *n_kept;         /**< [n_classes] */
    const uint8_t *reason; /**< [n] 0 kept, else what dropped it; NULL in files from before there were reasons */
    const float *weight;   /**< [n] factor of the loss; NULL likewise */
    double alpha;          /**< NaN when the file does not tell */
    int epoch;             /**< from the file's metadata, or 0 */
};

/** WS_E_IO, or WS_E_DAMAGED naming the array that does not fit. */
WS_MUST_USE enum ws_status ws_selection_open(struct ws_selection_file *out, const char *path, struct ws_err *err);
void ws_selection_close(struct ws_selection_file *file);

/**
 * Rank of a row within the class it is predicted as: 1 = the most confident, of equals the earlier row first.
 * `n_of_class` gets the number of rows of that class. Cost: n.
 */
size_t ws_selection_file_rank(const struct ws_selection_file *file, size_t row, size_t *n_of_class);

/** Row of an id, or -1. */
int64_t ws_id_find(const struct ws_image_id *ids, size_t n, const struct ws_image_id *id);

#endif
