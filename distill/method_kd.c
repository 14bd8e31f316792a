/*
 * Knowledge distillation on the whole pool, without selection and without labels (Hinton, Vinyals, Dean, "Distilling
 * the Knowledge in a Neural Network", 2015): T^2 KL(teacher || student) at temperature T, the student's own classifier.
 */
#include "method.h"

#include "webstill/nn/loss.h"

#include <stdlib.h>
#include <string.h>

struct kd {
    const struct ws_session *session;
    struct ws_trainee trainee;
};

static void close_kd(void **state)
{
    struct kd *kd = *state;
    if (!kd)
        return;
    ws_trainee_close(&kd->trainee);
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
    kd->session = session;
    const enum ws_status status = ws_trainee_open(&kd->trainee, session, err);
    if (status != WS_OK)
        close_kd(state);
    else
        *model = kd->trainee.model;
    return status;
}

static enum ws_status begin_epoch(void *state, uint32_t number, struct ws_epoch *epoch, struct ws_err *err)
{
    (void)number;
    (void)err;
    const struct ws_session *session = ((const struct kd *)state)->session;
    *epoch = (struct ws_epoch){.images = session->train, .n = session->n_train, .alpha = -1.0};
    return WS_OK;
}

static enum ws_status step_kd(void *state, struct ws_step *step, struct ws_err *err)
{
    struct kd *kd = state;
    const struct ws_session *session = kd->session;
    struct ws_predictor *teacher = session->teacher_predictor;
    struct ws_model *model = kd->trainee.model;
    struct ws_exec *exec = kd->trainee.exec;
    const size_t input_bytes = (size_t)step->n * ws_dataset_image_bytes(session->data) * sizeof(float);

    ws_step_load(session, step, ws_exec_input(exec));
    ws_exec_forward(exec, step->n, WS_BN_TRAIN);
    memcpy(ws_exec_input(teacher->exec), ws_exec_input(exec), input_bytes);
    ws_predictor_forward(teacher, step->n);
    step->loss = ws_loss_kd(ws_exec_value(exec, model->logits), ws_exec_value(teacher->exec, teacher->model->logits),
                            step->n, model->card.n_classes, session->config->distill.kd.temperature, 1.0,
                            ws_exec_seed(exec, model->logits));
    ws_step_add_loss(step, "kd", step->loss);
    const enum ws_status status = ws_step_check(session, step, model->net, exec, err);
    if (status != WS_OK)
        return status;
    ws_net_zero_gradients(model->net);
    ws_exec_backward(exec);
    if (step->wants_norm)
        step->gradient_norm = ws_gradient_norm(model->net);
    ws_optim_step(&kd->trainee.optim, model->net, step->lr);
    return WS_OK;
}

static void save_kd(void *state, struct ws_checkpoint *checkpoint)
{
    const struct kd *kd = state;
    ws_checkpoint_add_net(checkpoint, "student", kd->trainee.model->net, &kd->trainee.optim);
}

static enum ws_status load_kd(void *state, const struct ws_tensors *checkpoint, struct ws_err *err)
{
    struct kd *kd = state;
    return ws_checkpoint_get_net(checkpoint, "student", kd->trainee.model->net, &kd->trainee.optim, err);
}

const struct ws_method ws_method_kd = {
    .name = "kd",
    .summary = "Hinton's distillation on the whole pool",
    .needs = WS_NEEDS_TEACHER,
    .open = open_kd,
    .epoch_begin = begin_epoch,
    .step = step_kd,
    .save = save_kd,
    .load = load_kd,
    .close = close_kd,
};
