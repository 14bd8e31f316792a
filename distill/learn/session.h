/** What a training works with: data, teacher, settings; and where a step of it stands. */
#ifndef WEBSTILL_DISTILL_LEARN_SESSION_H
#define WEBSTILL_DISTILL_LEARN_SESSION_H

#include "comm.h"
#include "data/batch.h"
#include "keys/optim.h"
#include "model/network.h"
#include "predict.h"

#include "webstill/base/workers.h"
#include "webstill/stage/config.h"

/** Everything is borrowed and outlives the training. */
struct ws_session {
    const struct ws_config *config; /**< for a method's own keys */
    const char *dir;                /**< of the run, "…/runs/kd3" */
    struct ws_workers *workers;
    const struct ws_comm *comm; /**< NULL: this process alone */
    const struct ws_dataset *data;
    const uint32_t *train; /**< images that may be trained on, ascending: all but the held-out ones */
    size_t n_train;
    size_t n_pool;                          /**< what these were taken of, where preparing took a sample; 0: n_train */
    struct ws_card card;                    /**< of the network to train: arch, classes, sizes, normalisation, origin */
    const struct ws_model *teacher;         /**< NULL when a teacher is being trained */
    struct ws_predictor *teacher_predictor; /**< folded, max_batch = batch; NULL likewise */
    const char *teacher_path;               /**< its file, for a method that needs it as it was; NULL likewise */
    struct ws_predictor *student;           /**< the loop's, opened behind the method: reads the current weights */
    void *const *made; /**< what each of the method's prepare steps made; NULL: nothing was asked for */
    const struct ws_optim_keys *optim;
    struct ws_augment augment;
    double label_smoothing;
    uint64_t seed;
    int batch;
    uint32_t epochs;
};

/** Where a step stands in its training. */
struct ws_place {
    uint32_t epoch, epochs; /**< the one under way, from 1 */
    int64_t step;           /**< over the whole run, from 0 */
    int64_t step_in_epoch;
    int64_t rate_step, rate_steps; /**< on the schedule of learning rates: this one, of so many */
    int turn;                      /**< of a phase that runs several times in a step, from 0 */
};

#endif
