/** Reading what other stages wrote about each image: selections and scores, with every shape checked. */
#ifndef WEBSTILL_TENSORS_SELECTION_H
#define WEBSTILL_TENSORS_SELECTION_H

#include "webstill/base/err.h"
#include "webstill/base/hash.h"
#include "webstill/tensors/file.h"

#include <stdbool.h>
#include <stdint.h>

/** One epoch's selection: selection/epoch.safetensors or runs/METHOD/selection/epoch-NNN.safetensors. */
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

/** "kept", "threshold", "source", "density", "quota" as the file's numbers mean; "unknown" for others. */
const char *ws_selection_reason_name(int reason);

/**
 * Rank of a row within the class it is predicted as: 1 = the most confident, of equals the earlier row first.
 * `n_of_class` gets the number of rows of that class. Cost: n.
 */
size_t ws_selection_file_rank(const struct ws_selection_file *file, size_t row, size_t *n_of_class);

/** Row of an id, or -1. */
int64_t ws_id_find(const struct ws_image_id *ids, size_t n, const struct ws_image_id *id);

/** The teacher's logits: scores/teacher.safetensors. */
struct ws_scores_file {
    struct ws_tensors *tensors; /**< owned */
    size_t n;
    int n_classes;
    const struct ws_image_id *ids; /**< [n] */
    const float *logits;           /**< [n][n_classes] */
};

WS_MUST_USE enum ws_status ws_scores_open(struct ws_scores_file *out, const char *path, struct ws_err *err);
void ws_scores_close(struct ws_scores_file *file);

#endif
