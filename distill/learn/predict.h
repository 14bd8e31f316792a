/** Logits of one model on many images, in evaluation mode. */
#ifndef WEBSTILL_DISTILL_LEARN_PREDICT_H
#define WEBSTILL_DISTILL_LEARN_PREDICT_H

#include "data/batch.h"
#include "model/network.h"

#include "webstill/base/log.h"
#include "webstill/nn/exec.h"

/** A model ready to run forward. All-zero is a valid closed one. Taps: projected, head_pooled, logits. */
struct ws_predictor {
    const struct ws_model *model; /**< borrowed, or `folded` */
    struct ws_model *folded;      /**< owned, or NULL */
    struct ws_exec *exec;         /**< owned */
    struct ws_workers *workers;   /**< borrowed */
    int max_batch;
};

/**
 * Plan `model` for inference. With `fold`, BN is folded into a frozen copy; without, the predictor reads the model's
 * current weights and running statistics, so that a student under training can be asked. The model outlives it.
 */
WS_MUST_USE enum ws_status ws_predictor_open(struct ws_predictor *predictor, struct ws_model *model,
                                             struct ws_workers *workers, int max_batch, bool fold, struct ws_err *err);
/** The same, folded, for a model that nobody needs as it was: *model is freed and NULL in any case; predictor->model is
 * what is left of it, with its card, digest and taps. */
WS_MUST_USE enum ws_status ws_predictor_take(struct ws_predictor *predictor, struct ws_model **model,
                                             struct ws_workers *workers, int max_batch, struct ws_err *err);
void ws_predictor_close(struct ws_predictor *predictor);

/** Run the first `n` images of the exec's input; values are read with ws_exec_value(predictor->exec, …). */
void ws_predictor_forward(struct ws_predictor *predictor, int n);

/**
 * Logits of `n` images of a set, [n][classes], in the order given. `progress` may be NULL; it is stepped, not begun.
 * WS_E_STOPPED when a stop was asked for.
 */
WS_MUST_USE enum ws_status ws_predict(struct ws_predictor *predictor, const struct ws_dataset *set,
                                      const struct ws_view *view, const uint32_t *images, size_t n, float *logits,
                                      struct ws_progress *progress, struct ws_err *err);

/** WS_E_CONFIG when images of the set are not the model's input size; `what` names the set. */
WS_MUST_USE enum ws_status ws_predictor_check(const struct ws_model *model, const struct ws_dataset *set,
                                              const char *what, struct ws_err *err);

/** The clean view in a model's own normalisation. `augment` is filled in and borrowed by the view. */
struct ws_view ws_view_clean(const struct ws_card *card, struct ws_augment *augment);

/** Index of the largest of `n` values; the first of equals. */
int ws_argmax(const float *values, int n);

#endif
