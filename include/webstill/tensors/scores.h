/**
 * Scores on disk: the logits of one network on every image of the store.
 *
 * safetensors, images in id order: ids U8 [n,16], logits F32 [n,C]; metadata: webstill.model, the digest of the model's
 * file, and webstill.card, its card.
 */
#ifndef WEBSTILL_TENSORS_SCORES_H
#define WEBSTILL_TENSORS_SCORES_H

#include "webstill/base/err.h"
#include "webstill/base/hash.h"
#include "webstill/tensors/file.h"

#include <stdint.h>

/** scores/NAME.safetensors. All-zero is a valid closed one. */
struct ws_scores_file {
    struct ws_tensors *tensors; /**< owned */
    size_t n;
    int n_classes;
    const struct ws_image_id *ids; /**< [n] */
    const float *logits;           /**< [n][n_classes] */
};

/** WS_E_IO, or WS_E_FORMAT for other arrays, no image, or fewer than two classes. */
WS_MUST_USE enum ws_status ws_scores_open(struct ws_scores_file *out, const char *path, struct ws_err *err);
void ws_scores_close(struct ws_scores_file *file);

/** Whose the scores are; goes into the metadata. */
struct ws_scores_facts {
    const struct ws_digest *model;
    const char *card;
};

/** Write `scores` (its `tensors` is not read) atomically; `digest` gets that of the file. WS_E_IO, WS_E_MEMORY. */
WS_MUST_USE enum ws_status ws_scores_write(const char *path, const struct ws_scores_file *scores,
                                           const struct ws_scores_facts *facts, struct ws_digest *digest,
                                           struct ws_err *err);

#endif
