/*
 * SimKD: Chen, Mei, Zhang, Wang, Feng, Chen, "Knowledge Distillation with the Reused Teacher Classifier", CVPR 2022.
 *
 *   F_t, F_s   last feature maps of teacher and student
 *   phi        the projector: 1x1, 3x3, 1x1 convolutions, each with BN and ReLU
 *
 *   L = 1/(B D) sum_i |phi(F_s)_i - F_t_i|^2   (equation 3, as the mean over all values that the released code takes)
 *
 * on the whole pool. The student ends in the teacher's own classifier, which does not learn, and no label, logit or
 * temperature stands in the loss: it is KD3's head and alignment without its selection, weights and contrast.
 */
#include "method.h"
#include "shared_head.h"

#include "webstill/nn/loss.h"

#include <stdlib.h>

struct simkd {
    struct ws_learner base;     /* first: see ws_learner */
    struct ws_shared_head head; /* owned */
    float *ones;                /* owned: [batch], the weight of each image */
};

static void close_simkd(void **state)
{
    struct simkd *simkd = *state;
    if (!simkd)
        return;
    ws_trainee_close(&simkd->base.trainee);
    ws_shared_head_close(&simkd->head);
    free(simkd->ones);
    free(simkd);
    *state = NULL;
}

static enum ws_status open_simkd(void **state, const struct ws_session *session, struct ws_model **model,
                                 struct ws_err *err)
{
    struct simkd *simkd = ws_calloc(1, sizeof *simkd);
    *state = simkd;
    if (!simkd)
        return ws_fail(err, WS_E_MEMORY, "out of memory for method simkd");
    simkd->base.session = session;
    simkd->ones = ws_calloc((size_t)session->batch, sizeof *simkd->ones);
    enum ws_status status = simkd->ones ? WS_OK : ws_fail(err, WS_E_MEMORY, "out of memory for method simkd");
    for (int i = 0; status == WS_OK && i < session->batch; i++)
        simkd->ones[i] = 1.0f;
    if (status == WS_OK)
        status = ws_shared_head_open(&simkd->head, &simkd->base.trainee, session, "simkd",
                                     (int)session->config->distill.simkd.projector_factor, WS_ALIGN_MAP, err);
    if (status != WS_OK)
        close_simkd(state);
    else
        *model = simkd->base.trainee.model;
    return status;
}

static enum ws_status step_simkd(void *state, struct ws_step *step, struct ws_err *err)
{
    struct simkd *simkd = state;
    const struct ws_session *session = simkd->base.session;
    const struct ws_model *model = simkd->base.trainee.model;
    struct ws_exec *exec = simkd->base.trainee.exec;
    ws_step_load(session, step, exec);
    ws_exec_forward(exec, step->n, WS_BN_TRAIN);
    ws_teacher_forward(session, ws_exec_input(exec), step->n);
    step->loss =
        ws_loss_alignment(ws_exec_value(exec, model->projected), ws_shared_head_teacher_map(&simkd->head, step->n),
                          simkd->ones, step->n, simkd->head.map_floats, 1.0, ws_exec_seed(exec, model->projected));
    ws_step_add_loss(step, "align", step->loss);
    const enum ws_status status = ws_step_check(step, err);
    if (status != WS_OK)
        return status;
    ws_net_zero_gradients(model->net);
    ws_exec_backward(exec);
    return ws_trainee_update(&simkd->base.trainee, step, err);
}

const struct ws_method ws_method_simkd = {
    .name = "simkd",
    .summary = "the teacher's classifier reused, its last feature map imitated, on the whole pool",
    .open = open_simkd,
    .epoch_begin = ws_learner_take_all,
    .step = step_simkd,
    .save = ws_learner_save,
    .load = ws_learner_load,
    .networks = ws_learner_networks,
    .close = close_simkd,
};
