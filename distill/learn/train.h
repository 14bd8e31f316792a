/**
 * The training loop: order of images, learning rate, hold-out, metrics, checkpoints, files. It knows methods by their
 * table only.
 *
 * DIR/ gets metrics.jsonl, checkpoint.safetensors, and at the end LAST (the last epoch's weights) and, when asked for,
 * BEST (the epoch that did best on the hold-out). A step whose loss or gradient is NaN or Inf ends the training with
 * WS_E_NUMERIC: the message says where it began, DIR/nan-step-N.safetensors keeps the step (as a checkpoint: weights
 * and optimisers before its update; besides batch.images, batch.ids, batch.labels, batch.weights where images have
 * weights, and input.NETWORK and output.NETWORK, NHWC; "webstill.loop" has its numbers and the finding). Determinism:
 * the same session gives the same bytes of LAST, BEST and (but for its times) metrics.jsonl, for any number of threads,
 * and however often it was killed and run again.
 */
#ifndef WEBSTILL_DISTILL_LEARN_TRAIN_H
#define WEBSTILL_DISTILL_LEARN_TRAIN_H

#include "method.h"

struct ws_train_options {
    const char *name;        /**< "kd3", "teacher": in metrics, logs and messages */
    int64_t steps_per_epoch; /**< 0 = the epoch's images once */
    int64_t steps;           /**< 0 = session->epochs whole epochs; else the training ends after so many steps */
    int64_t limit;           /**< at most so many steps in this call, then WS_E_BUDGET with a checkpoint; 0 = none */
    double checkpoint_s;     /**< seconds between checkpoints */
    const char *key;      /**< hex digest of all that the result depends on: a checkpoint of another key is not used */
    const uint32_t *held; /**< [n_held] images for the hold-out figure, never trained on */
    size_t n_held;
    const int32_t *targets; /**< [n_held] class that counts as right: the label, or the teacher's choice */
    const char *held_name;  /**< "accuracy" or "agreement": its key in metrics */
    const char *last_path;
    const char *best_path; /**< NULL: the best epoch is not kept */
    const char *replay;    /**< NULL, or DIR/nan-step-N.safetensors: run that step again instead of training */
    FILE *replay_out;      /**< where its table of every node's values and gradients goes */
};

struct ws_train_result {
    int64_t steps, images_seen; /**< over the whole training, earlier calls included */
    double seconds;             /**< of training, earlier calls included */
    double step_seconds;        /**< of them, what the steps themselves took: no selection, hold-out, checkpoint, log */
    double held_last, held_best; /**< share of the hold-out that is right; negative without a hold-out */
    uint32_t best_epoch;
    struct ws_digest last, best; /**< content digests of the files */
};

/**
 * Train to the end, from the checkpoint if there is one. WS_E_STOPPED (a signal) and WS_E_BUDGET (the limit) leave a
 * checkpoint and can be continued by the same call; WS_E_NUMERIC, WS_E_CONFIG, WS_E_IO, WS_E_MEMORY; WS_E_INTERNAL when
 * the teacher's or a frozen weight has changed.
 */
WS_MUST_USE enum ws_status ws_train(const struct ws_method *method, struct ws_session *session,
                                    const struct ws_train_options *options, struct ws_train_result *result,
                                    struct ws_err *err);

#endif
