/** What all runs of the stage `distill` share: the teacher, the images, the hold-out and the teacher's choices on it.
 */
#ifndef WEBSTILL_DISTILL_STAGE_WORKSHOP_H
#define WEBSTILL_DISTILL_STAGE_WORKSHOP_H

#include "data/set.h"
#include "learn/predict.h"

#include "webstill/base/path.h"
#include "webstill/stage/cli.h"

/** All-zero but for `run` is a valid closed one. */
struct ws_workshop {
    const struct ws_run *run; /**< borrowed */
    bool is_open;
    struct ws_workers *workers;     /**< owned */
    struct ws_predictor predictor;  /**< owned: of the teacher */
    const struct ws_model *teacher; /**< the predictor's: folded */
    char teacher_path[WS_PATH_BYTES];
    struct ws_dataset data; /**< owned */
    uint32_t *train, *held; /**< owned: places in the data, apart by distill.holdout */
    size_t n_train, n_held;
    uint32_t *asked; /**< owned: the hold-out first, and some more where it is small */
    size_t n_asked;
    int32_t *choices; /**< owned: the teacher's, on these */
};

/** Open it, when the first run has something to do; nothing when it is open. Close it behind a failure, too. */
WS_MUST_USE enum ws_status ws_workshop_open(struct ws_workshop *shop, struct ws_err *err);
void ws_workshop_close(struct ws_workshop *shop);

#endif
