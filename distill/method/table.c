/* The table of methods, and what most of them share. */
#include "method.h"

#include "webstill/base/buf.h"
#include "webstill/base/text.h"
#include "webstill/nn/loss.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

const struct ws_method *const ws_methods[] = {
    &ws_method_kd3,  &ws_method_kd3_plus, &ws_method_simkd, &ws_method_kd, &ws_method_fitnet,
    &ws_method_dfnd, &ws_method_noise,    &ws_method_ce,    NULL,
};

enum { N_METHODS = sizeof ws_methods / sizeof *ws_methods - 1 };

enum ws_status ws_method_find(const char *name, const struct ws_method **out, struct ws_err *err)
{
    const char *names[N_METHODS + 1] = {NULL};
    for (int i = 0; i < N_METHODS; i++) {
        names[i] = ws_methods[i]->name;
        if (strcmp(name, names[i]) == 0) {
            *out = ws_methods[i];
            return WS_OK;
        }
    }
    const char *nearest = ws_nearest_name(name, names);
    struct ws_buf list = {0};
    bool is_whole = true;
    for (int i = 0; is_whole && i < N_METHODS; i++)
        is_whole = ws_buf_addf(&list, "%s%s", i ? ", " : "", names[i]);
    ws_fail(err, WS_E_CONFIG, "unknown method \"%s\"%s%s%s", name, nearest ? ": did you mean \"" : "",
            nearest ? nearest : "", nearest ? "\"?" : "");
    ws_err_hint(err, "methods: %s; configs/reference.yaml says what each one does", is_whole ? list.ptr : names[0]);
    ws_buf_fini(&list);
    return WS_E_CONFIG;
}

enum ws_status ws_trainee_open(struct ws_trainee *trainee, const struct ws_session *session, struct ws_err *err)
{
    return ws_trainee_open_tapped(trainee, session, -1, err);
}

enum ws_status ws_trainee_open_tapped(struct ws_trainee *trainee, const struct ws_session *session, int tap,
                                      struct ws_err *err)
{
    *trainee = (struct ws_trainee){0};
    enum ws_status status = ws_model_build(&trainee->model, &session->card, err);
    if (status == WS_OK)
        status = ws_net_alloc_gradients(trainee->model->net, err);
    if (status == WS_OK)
        status = ws_optim_init(&trainee->optim, trainee->model->net, session->optim, err);
    if (status == WS_OK) {
        ws_net_init(trainee->model->net, session->seed);
        const struct ws_model *model = trainee->model;
        const int taps[] = {model->pooled, model->projected, model->head_pooled, model->logits, tap};
        const struct ws_exec_options options = {
            .max_batch = session->batch, .backward = true, .taps = taps, .n_taps = tap < 0 ? 4 : 5};
        status = ws_exec_open(&trainee->exec, model->net, session->pool, &options, err);
    }
    if (status != WS_OK)
        ws_trainee_close(trainee);
    return status;
}

void ws_trainee_close(struct ws_trainee *trainee)
{
    ws_exec_close(&trainee->exec);
    ws_optim_fini(&trainee->optim);
    ws_model_free(&trainee->model);
}

struct ws_view ws_step_view(const struct ws_session *session, const struct ws_step *step)
{
    return (struct ws_view){
        .augment = &session->augment,
        .seed = session->seed,
        .stream = WS_STREAM_AUGMENT,
        .pass = step->view_pass,
    };
}

void ws_step_load(const struct ws_session *session, const struct ws_step *step, struct ws_exec *exec)
{
    const struct ws_view view = ws_step_view(session, step);
    ws_batch_load(session->pool, session->data, &view, step->images, step->n, ws_exec_input(exec));
    ws_exec_set_dropout(exec, session->seed, (uint64_t)step->index);
}

void ws_teacher_forward(const struct ws_session *session, const float *input, int n)
{
    struct ws_predictor *teacher = session->teacher_predictor;
    memcpy(ws_exec_input(teacher->exec), input, (size_t)n * ws_dataset_image_bytes(session->data) * sizeof *input);
    ws_predictor_forward(teacher, n);
}

void ws_step_add_loss(struct ws_step *step, const char *name, double value)
{
    ws_assert(step->n_losses < WS_MAX_LOSSES);
    step->losses[step->n_losses].name = name;
    step->losses[step->n_losses].value = value;
    step->n_losses++;
}

enum ws_status ws_step_check(const struct ws_step *step, struct ws_err *err)
{
    if (isfinite(step->loss))
        return WS_OK;
    return ws_fail(err, WS_E_NUMERIC, "step %" PRId64 ": the loss is %f", step->index + 1, step->loss);
}

enum ws_status ws_step_check_gradient(struct ws_step *step, double norm, struct ws_err *err)
{
    step->gradient_norm = norm;
    if (isfinite(norm))
        return WS_OK;
    return ws_fail(err, WS_E_NUMERIC, "step %" PRId64 ": the gradient's norm is %f", step->index + 1, norm);
}

enum ws_status ws_trainee_update(struct ws_trainee *trainee, struct ws_step *step, struct ws_err *err)
{
    const enum ws_status status = ws_step_check_gradient(step, ws_gradient_norm(trainee->model->net), err);
    if (status == WS_OK)
        ws_optim_step(&trainee->optim, trainee->model->net, step->lr);
    return status;
}

enum ws_status ws_learner_distill(struct ws_learner *learner, struct ws_step *step, double temperature,
                                  struct ws_err *err)
{
    const struct ws_predictor *teacher = learner->session->teacher_predictor;
    const struct ws_model *model = learner->trainee.model;
    struct ws_exec *exec = learner->trainee.exec;
    ws_exec_forward(exec, step->n, WS_BN_TRAIN);
    ws_teacher_forward(learner->session, ws_exec_input(exec), step->n);
    step->loss = ws_loss_kd(ws_exec_value(exec, model->logits), ws_exec_value(teacher->exec, teacher->model->logits),
                            step->n, model->card.n_classes, temperature, 1.0, ws_exec_seed(exec, model->logits));
    ws_step_add_loss(step, "kd", step->loss);
    const enum ws_status status = ws_step_check(step, err);
    if (status != WS_OK)
        return status;
    ws_net_zero_gradients(model->net);
    ws_exec_backward(exec);
    return ws_trainee_update(&learner->trainee, step, err);
}

enum ws_status ws_learner_take_all(void *state, uint32_t number, struct ws_epoch *epoch, struct ws_err *err)
{
    const struct ws_session *session = ((const struct ws_learner *)state)->session;
    (void)number;
    (void)err;
    *epoch = (struct ws_epoch){.images = session->train, .n = session->n_train, .alpha = -1.0};
    return WS_OK;
}

void ws_learner_save(void *state, struct ws_checkpoint *checkpoint)
{
    const struct ws_learner *learner = state;
    ws_checkpoint_add_net(checkpoint, "student", learner->trainee.model->net, &learner->trainee.optim);
}

enum ws_status ws_learner_load(void *state, const struct ws_tensors *checkpoint, struct ws_err *err)
{
    struct ws_learner *learner = state;
    return ws_checkpoint_get_net(checkpoint, "student", learner->trainee.model->net, &learner->trainee.optim, err);
}

int ws_learner_networks(void *state, struct ws_method_network *list)
{
    const struct ws_learner *learner = state;
    const struct ws_predictor *teacher = learner->session->teacher_predictor;
    list[0] = (struct ws_method_network){"student", learner->trainee.model->net, learner->trainee.exec};
    if (!teacher)
        return 1;
    list[1] = (struct ws_method_network){"teacher", teacher->model->net, teacher->exec};
    return 2;
}
