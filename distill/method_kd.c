/*
 * Knowledge distillation on the whole pool, without selection and without labels (Hinton, Vinyals, Dean, "Distilling
 * the Knowledge in a Neural Network", 2015): T^2 KL(teacher || student) at temperature T, the student's own classifier.
 */
#include "method.h"

#include "webstill/nn/loss.h"

#include <stdlib.h>
#include <string.h>

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

static enum ws_status begin_epoch(void *state, uint32_t number, struct ws_epoch *epoch, struct ws_err *err)
{
    (void)number;
    (void)err;
    const struct ws_session *session = ((const struct kd *)state)->base.session;
    *epoch = (struct ws_epoch){.images = session->train, .n = session->n_train, .alpha = -1.0};
    return WS_OK;
}

static enum ws_status step_kd(void *state, struct ws_step *step, struct ws_err *err)
{
    struct kd *kd = state;
    const struct ws_session *session = kd->base.session;
    struct ws_predictor *teacher = session->teacher_predictor;
    struct ws_model *model = kd->base.trainee.model;
    struct ws_exec *exec = kd->base.trainee.exec;
    const size_t input_bytes = (size_t)step->n * ws_dataset_image_bytes(session->data) * sizeof(float);

    ws_step_load(session, step, exec);
    ws_exec_forward(exec, step->n, WS_BN_TRAIN);
    memcpy(ws_exec_input(teacher->exec), ws_exec_input(exec), input_bytes);
    ws_predictor_forward(teacher, step->n);
    step->loss = ws_loss_kd(ws_exec_value(exec, model->logits), ws_exec_value(teacher->exec, teacher->model->logits),
                            step->n, model->card.n_classes, session->config->distill.kd.temperature, 1.0,
                            ws_exec_seed(exec, model->logits));
    ws_step_add_loss(step, "kd", step->loss);
    const enum ws_status status = ws_step_check(step, err);
    if (status != WS_OK)
        return status;
    ws_net_zero_gradients(model->net);
    ws_exec_backward(exec);
    return ws_trainee_update(&kd->base.trainee, step, err);
}

const struct ws_method ws_method_kd = {
    .name = "kd",
    .summary = "Hinton's distillation on the whole pool",
    .needs = WS_NEEDS_TEACHER,
    .open = open_kd,
    .epoch_begin = begin_epoch,
    .step = step_kd,
    .save = ws_learner_save,
    .load = ws_learner_load,
    .networks = ws_learner_networks,
    .close = close_kd,
};
