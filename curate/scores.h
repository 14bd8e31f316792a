/** Predictions of one network for the pool, as the stage `score` keeps them. */
#ifndef WEBSTILL_CURATE_SCORES_H
#define WEBSTILL_CURATE_SCORES_H

#include "webstill/base/err.h"
#include "webstill/base/hash.h"
#include "webstill/tensors/scores.h"

/** All-zero is a valid closed one. */
struct ws_curate_scores {
    struct ws_scores_file file;    /**< owned */
    const struct ws_image_id *ids; /**< borrowed: [n], ascending */
    const float *logits;           /**< borrowed: [n][n_classes] */
    size_t n;
    int n_classes;
    void *kept; /**< owned: what ws_curate_scores_restrict() left; NULL: all of the file */
};

/** Open scores/NAME.safetensors. Errors as ws_scores_open() has them. */
WS_MUST_USE enum ws_status ws_curate_scores_open(struct ws_curate_scores *scores, const char *path, struct ws_err *err);
void ws_curate_scores_close(struct ws_curate_scores *scores);

/**
 * Leave the images that the file `pool` (distill.pool) names, one id a line, in both networks' scores, which are of the
 * same images; `student` may be closed. Errors as ws_id_list_read() and ws_id_list_mark() have them.
 */
WS_MUST_USE enum ws_status ws_curate_scores_restrict(struct ws_curate_scores *teacher, struct ws_curate_scores *student,
                                                     const char *pool, struct ws_err *err);

#endif
