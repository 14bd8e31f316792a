/*
 * Knowledge distillation on the whole pool, without selection and without labels (Hinton, Vinyals, Dean, "Distilling
 * the Knowledge in a Neural Network", 2015): T^2 KL(teacher || student) at temperature T, the student's own classifier.
 */
#include "method.h"

#include <stdlib.h>

struct kd {
    struct ws_learner base; /* first: see ws_learner */
};

static void close_kd(void **state)
{
    struct kd *kd = *state;
    if (!kd)
        return;
    ws_trainee_close(&kd->base.trainee);
    free(kd);
    *state = NULL;
}

static enum ws_status open_kd(void **state, const struct ws_session *session, struct ws_model **model,
                              struct ws_err *err)
{
    struct kd *kd = ws_calloc(1, sizeof *kd);
    *state = kd;
    if (!kd)
        return ws_fail(err, WS_E_MEMORY, "out of memory for method kd");
    kd->base.session = session;
    const enum ws_status status = ws_trainee_open(&kd->base.trainee, session, err);
    if (status != WS_OK)
        close_kd(state);
    else
        *model = kd->base.trainee.model;
    return status;
}

static enum ws_status step_kd(void *state, struct ws_step *step, struct ws_err *err)
{
    struct kd *kd = state;
    const struct ws_session *session = kd->base.session;
    ws_step_load(session, step, kd->base.trainee.exec);
    return ws_learner_distill(&kd->base, step, session->config->distill.kd.temperature, err);
}

const struct ws_method ws_method_kd = {
    .name = "kd",
    .summary = "Hinton's distillation on the whole pool",
    .open = open_kd,
    .epoch_begin = ws_learner_take_all,
    .step = step_kd,
    .save = ws_learner_save,
    .load = ws_learner_load,
    .networks = ws_learner_networks,
    .close = close_kd,
};
