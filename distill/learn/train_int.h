/** The loop's state, shared by train.c (the loop), train_state.c (checkpoint, hold-out, metrics lines) and nonfinite.c
 * (what is told and kept when training leaves the numbers). */
#ifndef WEBSTILL_DISTILL_LEARN_TRAIN_INT_H
#define WEBSTILL_DISTILL_LEARN_TRAIN_INT_H

#include "metrics.h"
#include "train.h"
#include "update.h"

#include "webstill/base/path.h"

/** A named part of the epoch's loss, summed over its steps. */
struct ws_loss_sum {
    char name[32];
    double sum;
};

/** What a checkpoint must bring back besides weights. */
struct ws_loop_counters {
    uint32_t epoch;        /**< the one under way, from 1 */
    int64_t step;          /**< done in all */
    int64_t step_in_epoch; /**< done in this epoch */
    bool is_begun;         /**< the method has chosen this epoch's images */
    int64_t images_seen;
    int64_t epoch_images,
        epoch_right;   /**< of this epoch: images, and those whose label was predicted (-1 = no labels) */
    double epoch_loss; /**< sum over the epoch's steps */
    int n_losses;
    struct ws_loss_sum *losses; /**< owned */
    double lr;                  /**< of the last step */
    double held_last, held_best;
    uint32_t best_epoch;
    double seconds;      /**< of training before this call */
    double step_seconds; /**< of it, and of this call, within the method's steps */
};

struct ws_loop {
    const struct ws_method *method;
    struct ws_session *session;
    const struct ws_train_options *options;
    struct ws_training training; /**< owned */
    struct ws_model *model;      /**< borrowed from it */
    struct ws_predictor student; /**< owned */
    struct ws_metrics metrics;   /**< owned */
    struct ws_loop_counters counters;
    float *held_logits;                   /**< owned: [n_held][n_classes] */
    int64_t steps_in_epoch;               /**< of the epoch under way */
    double start_s, checkpoint_s, line_s; /**< monotonic: this call began; last checkpoint; last step line */
    int64_t line_images;                  /**< images since the last step line */
    char checkpoint_path[WS_PATH_BYTES];
};

/** Seconds of training, earlier calls included. */
double ws_loop_seconds(const struct ws_loop *loop);

/** Write a checkpoint of everything. */
WS_MUST_USE enum ws_status ws_loop_save(struct ws_loop *loop, struct ws_err *err);
/** Resume from a checkpoint; WS_DONE when there is none to use (a warning tells why). Opens the metrics either way. */
WS_MUST_USE enum ws_status ws_loop_restore(struct ws_loop *loop, struct ws_err *err);

/** Ask the hold-out; updates held_last, held_best, best_epoch and writes BEST when it is one. */
WS_MUST_USE enum ws_status ws_loop_hold_out(struct ws_loop *loop, struct ws_err *err);

/** Room for `n` sums; false when out of memory. */
WS_MUST_USE bool ws_loop_alloc_losses(struct ws_loop_counters *counters, int n);

/** Say where a step's numbers ceased to be finite, and keep the step; WS_E_NUMERIC. */
WS_MUST_USE enum ws_status ws_loop_tell_nonfinite(struct ws_loop *loop, const struct ws_step *step,
                                                  const struct ws_phase *phase, struct ws_err *err);
/** Run a kept step again and print every node's range; WS_OK whether or not its numbers are finite. */
WS_MUST_USE enum ws_status ws_loop_replay(struct ws_loop *loop, const char *path, FILE *out, struct ws_err *err);

WS_MUST_USE enum ws_status ws_loop_step_line(struct ws_loop *loop, const struct ws_step *step, struct ws_err *err);
WS_MUST_USE enum ws_status ws_loop_epoch_line(struct ws_loop *loop, struct ws_err *err);

#endif
