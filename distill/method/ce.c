/* Cross entropy on labels: trains teachers, and is the baseline that believes the web's search terms. */
#include "method.h"

#include "webstill/nn/loss.h"

#include <stdlib.h>

struct ce {
    struct ws_learner base; /* first: see ws_learner */
    uint32_t *labelled;     /* owned: training images that carry a label */
    size_t n_labelled;
    int32_t *labels; /* owned: [batch] */
};

static void close_ce(void **state)
{
    struct ce *ce = *state;
    if (!ce)
        return;
    ws_trainee_close(&ce->base.trainee);
    free(ce->labelled);
    free(ce->labels);
    free(ce);
    *state = NULL;
}

static enum ws_status list_labelled(struct ce *ce, struct ws_err *err)
{
    const struct ws_session *session = ce->base.session;
    ce->labelled = ws_calloc(session->n_train, sizeof *ce->labelled);
    ce->labels = ws_calloc((size_t)session->batch, sizeof *ce->labels);
    if (!ce->labelled || !ce->labels)
        return ws_fail(err, WS_E_MEMORY, "out of memory for %zu labels", session->n_train);
    for (size_t i = 0; i < session->n_train; i++)
        if (session->data->labels[session->train[i]] >= 0)
            ce->labelled[ce->n_labelled++] = session->train[i];
    if (ce->n_labelled >= 2)
        return WS_OK;
    ws_fail(err, WS_E_CONFIG, "method ce: %zu of %zu training images carry a label; expected at least 2",
            ce->n_labelled, session->n_train);
    ws_err_hint(err, "images of foreign WARC files have no query and so no label: leave \"ce\" out of distill.methods");
    return WS_E_CONFIG;
}

static enum ws_status open_ce(void **state, const struct ws_session *session, struct ws_model **model,
                              struct ws_err *err)
{
    struct ce *ce = ws_calloc(1, sizeof *ce);
    *state = ce;
    if (!ce)
        return ws_fail(err, WS_E_MEMORY, "out of memory for method ce");
    ce->base.session = session;
    enum ws_status status = list_labelled(ce, err);
    if (status == WS_OK)
        status = ws_trainee_open(&ce->base.trainee, session, err);
    if (status != WS_OK)
        close_ce(state);
    else
        *model = ce->base.trainee.model;
    return status;
}

static enum ws_status begin_epoch(void *state, uint32_t number, struct ws_epoch *epoch, struct ws_err *err)
{
    (void)number;
    (void)err;
    const struct ce *ce = state;
    *epoch = (struct ws_epoch){.images = ce->labelled, .n = ce->n_labelled, .alpha = -1.0};
    return WS_OK;
}

static int count_right(const float *logits, const int32_t *labels, int n, int n_classes)
{
    int n_right = 0;
    for (int i = 0; i < n; i++)
        n_right += ws_argmax(logits + (size_t)i * (size_t)n_classes, n_classes) == labels[i];
    return n_right;
}

static enum ws_status step_ce(void *state, struct ws_step *step, struct ws_err *err)
{
    struct ce *ce = state;
    struct ws_model *model = ce->base.trainee.model;
    struct ws_exec *exec = ce->base.trainee.exec;
    const int n_classes = model->card.n_classes;
    for (int i = 0; i < step->n; i++)
        ce->labels[i] = ce->base.session->data->labels[step->images[i]];
    ws_step_load(ce->base.session, step, exec);
    ws_exec_forward(exec, step->n, WS_BN_TRAIN);
    const float *logits = ws_exec_value(exec, model->logits);
    step->loss = ws_loss_cross_entropy(logits, ce->labels, step->n, n_classes, ce->base.session->label_smoothing, 1.0,
                                       ws_exec_seed(exec, model->logits));
    ws_step_add_loss(step, "cross_entropy", step->loss);
    step->n_right = count_right(logits, ce->labels, step->n, n_classes);
    const enum ws_status status = ws_step_check(step, err);
    if (status != WS_OK)
        return status;
    ws_net_zero_gradients(model->net);
    ws_exec_backward(exec);
    return ws_trainee_update(&ce->base.trainee, step, err);
}

const struct ws_method ws_method_ce = {
    .name = "ce",
    .summary = "cross entropy on the labels that the web's queries suggest",
    .open = open_ce,
    .epoch_begin = begin_epoch,
    .step = step_ce,
    .save = ws_learner_save,
    .load = ws_learner_load,
    .networks = ws_learner_networks,
    .close = close_ce,
};
