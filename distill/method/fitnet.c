/*
 * FitNets: Romero, Ballas, Kahou, Chassang, Gatta, Bengio, "FitNets: Hints for Thin Deep Nets", ICLR 2015.
 *
 *   H_t, H_s   middle maps of teacher and student: model/hint.h says which
 *   r          regressor: 1x1 convolution from the student's channels to the teacher's, BN, ReLU
 *
 *   L = T^2 KL(softmax(z_t / T) || softmax(z_s / T)) + hint_weight 1/(B D) sum_i |r(H_s)_i - H_t_i|^2
 *
 * The paper trains in two stages, hints first and distillation behind them. Here both run together, as in RepDistiller
 * (Tian, Krishnan, Isola, "Contrastive Representation Distillation", ICLR 2020), whose figures for FitNet later papers
 * compare with: every method then takes as many steps, and there is no second schedule to choose. From there are also
 * the weight of 100, the mean over all values, and the regressor's BN and ReLU; what stands beside the hint there is
 * cross entropy on labels, which the web does not have. Maps of different sizes are averaged to the smaller one's.
 */
#include "method.h"
#include "model/hint.h"
#include "shared_head.h"

#include "webstill/nn/loss.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct fitnet {
    struct ws_learner base; /* first: see ws_learner */
    const struct ws_conf_fitnet *options;
    struct ws_exec *teacher;        /* owned: the session's folded teacher with its middle map at hand */
    struct ws_net *regressor;       /* owned */
    struct ws_optim optim;          /* owned: the regressor's */
    struct ws_exec *regress;        /* owned */
    int hint_t, hint_s;             /* nodes */
    int student_pool, teacher_pool; /* averaged over windows of this side first; 1 = as it is */
    size_t map_floats;              /* of one image's compared map */
    float *teacher_map;             /* owned: [batch][map_floats], used when teacher_pool > 1 */
    float *ones;                    /* owned: [batch], the weight of each image */
};

static void close_fitnet(void **state)
{
    struct fitnet *fitnet = *state;
    if (!fitnet)
        return;
    ws_exec_close(&fitnet->teacher);
    ws_exec_close(&fitnet->regress);
    ws_optim_fini(&fitnet->optim);
    ws_net_free(&fitnet->regressor);
    ws_trainee_close(&fitnet->base.trainee);
    free(fitnet->teacher_map);
    free(fitnet->ones);
    free(fitnet);
    *state = NULL;
}

static enum ws_status fail_no_map(const char *whose, const struct ws_card *card, struct ws_err *err)
{
    ws_fail(err, WS_E_UNSUPPORTED, "fitnet compares maps halfway through the networks; the %s (%s) has none", whose,
            card->arch);
    ws_err_hint(err, "use method kd, which compares logits alone");
    return WS_E_UNSUPPORTED;
}

static enum ws_status match_maps(struct fitnet *fitnet, const struct ws_model *shape, struct ws_err *err)
{
    const struct ws_model *teacher = fitnet->base.session->teacher_predictor->model;
    fitnet->hint_t = ws_hint_find(teacher);
    fitnet->hint_s = ws_hint_find(shape);
    if (fitnet->hint_t < 0)
        return fail_no_map("teacher", &teacher->card, err);
    if (fitnet->hint_s < 0)
        return fail_no_map("student", &shape->card, err);
    const struct ws_node *t = &teacher->net->nodes[fitnet->hint_t], *s = &shape->net->nodes[fitnet->hint_s];
    const bool is_student_larger = s->height > t->height;
    const struct ws_node *large = is_student_larger ? s : t, *small = is_student_larger ? t : s;
    const int ratio = large->height / small->height;
    if (large->height != ratio * small->height || large->width != ratio * small->width)
        return ws_fail(err, WS_E_UNSUPPORTED,
                       "fitnet compares middle maps: the teacher's (%s, \"%s\") is %d x %d, the student's (%s, \"%s\") "
                       "%d x %d; expected equal sizes or an integer ratio, the same in height and width",
                       teacher->card.arch, t->name, t->height, t->width, shape->card.arch, s->name, s->height,
                       s->width);
    fitnet->student_pool = is_student_larger ? ratio : 1;
    fitnet->teacher_pool = is_student_larger ? 1 : ratio;
    fitnet->map_floats = (size_t)small->height * (size_t)small->width * (size_t)t->channels;
    return WS_OK;
}

static enum ws_status open_student(struct fitnet *fitnet, struct ws_err *err)
{
    const struct ws_session *session = fitnet->base.session;
    struct ws_model *shape = NULL;
    enum ws_status status = ws_model_build(&shape, &session->card, err);
    if (status == WS_OK)
        status = match_maps(fitnet, shape, err);
    ws_model_free(&shape);
    return status == WS_OK ? ws_trainee_open_tapped(&fitnet->base.trainee, session, fitnet->hint_s, err) : status;
}

static enum ws_status open_teacher(struct fitnet *fitnet, struct ws_err *err)
{
    const struct ws_session *session = fitnet->base.session;
    const struct ws_model *teacher = session->teacher_predictor->model;
    const int taps[] = {fitnet->hint_t, teacher->logits};
    const struct ws_exec_options options = {.max_batch = session->batch, .taps = taps, .n_taps = 2};
    return ws_exec_open(&fitnet->teacher, teacher->net, session->pool, &options, err);
}

static enum ws_status open_regressor(struct fitnet *fitnet, struct ws_err *err)
{
    static const char name[] = "regressor";
    const struct ws_session *session = fitnet->base.session;
    const struct ws_node *from = &fitnet->base.trainee.model->net->nodes[fitnet->hint_s];
    const int side = fitnet->student_pool;
    struct ws_net *net = fitnet->regressor = ws_net_new(from->height, from->width, from->channels);
    if (!net)
        return ws_fail(err, WS_E_MEMORY, "out of memory for fitnet's regressor");
    int x = side > 1 ? ws_net_average_pool(net, "regressor.pool", 0, (struct ws_window)WS_SQUARE(side, side, 0)) : 0;
    x = ws_net_conv(net, "regressor.0", x, session->teacher_predictor->model->net->nodes[fitnet->hint_t].channels,
                    (struct ws_window)WS_SQUARE(1, 1, 0), false);
    ws_net_relu(net, "regressor.2", ws_net_batchnorm(net, "regressor.1", x));
    enum ws_status status = ws_net_alloc(net, err);
    if (status == WS_OK)
        status = ws_net_alloc_gradients(net, err);
    if (status == WS_OK)
        status = ws_optim_init(&fitnet->optim, net, session->optim, err);
    if (status != WS_OK)
        return status;
    /* Parameter 0 of every network draws from the same stream: the name tells them apart. */
    ws_net_init(net, ws_xxh64(name, sizeof name - 1, session->seed));
    const struct ws_exec_options options = {.max_batch = session->batch, .backward = true, .input_gradient = true};
    return ws_exec_open(&fitnet->regress, net, session->pool, &options, err);
}

static enum ws_status alloc_fitnet(struct fitnet *fitnet, struct ws_err *err)
{
    const size_t batch = (size_t)fitnet->base.session->batch;
    fitnet->ones = ws_calloc(batch, sizeof *fitnet->ones);
    fitnet->teacher_map = ws_calloc_aligned(ws_size_mul(batch, fitnet->map_floats), sizeof(float));
    if (!fitnet->ones || !fitnet->teacher_map)
        return ws_fail(err, WS_E_MEMORY, "out of memory for fitnet's maps");
    for (size_t i = 0; i < batch; i++)
        fitnet->ones[i] = 1.0f;
    return WS_OK;
}

static enum ws_status open_fitnet(void **state, const struct ws_session *session, struct ws_model **model,
                                  struct ws_err *err)
{
    struct fitnet *fitnet = ws_calloc(1, sizeof *fitnet);
    *state = fitnet;
    if (!fitnet)
        return ws_fail(err, WS_E_MEMORY, "out of memory for method fitnet");
    fitnet->base.session = session;
    fitnet->options = &session->config->distill.fitnet;
    enum ws_status status = open_student(fitnet, err);
    if (status == WS_OK)
        status = open_teacher(fitnet, err);
    if (status == WS_OK)
        status = open_regressor(fitnet, err);
    if (status == WS_OK)
        status = alloc_fitnet(fitnet, err);
    if (status != WS_OK)
        close_fitnet(state);
    else
        *model = fitnet->base.trainee.model;
    return status;
}

/* H_t of the teacher's last forward, in the size that is compared. */
static const float *teacher_map(struct fitnet *fitnet, int n)
{
    const float *map = ws_exec_value(fitnet->teacher, fitnet->hint_t);
    if (fitnet->teacher_pool == 1)
        return map;
    const struct ws_net *net = fitnet->base.session->teacher_predictor->model->net;
    ws_map_average(map, &net->nodes[fitnet->hint_t], n, fitnet->teacher_pool, fitnet->teacher_map);
    return fitnet->teacher_map;
}

static void run_networks(struct fitnet *fitnet, const struct ws_step *step)
{
    const struct ws_session *session = fitnet->base.session;
    struct ws_exec *student = fitnet->base.trainee.exec;
    const struct ws_node *hint = &fitnet->base.trainee.model->net->nodes[fitnet->hint_s];
    const size_t n = (size_t)step->n, floats = (size_t)hint->height * (size_t)hint->width * (size_t)hint->channels;
    ws_step_load(session, step, student);
    ws_exec_forward(student, step->n, WS_BN_TRAIN);
    memcpy(ws_exec_input(fitnet->teacher), ws_exec_input(student),
           n * ws_dataset_image_bytes(session->data) * sizeof(float));
    ws_exec_forward(fitnet->teacher, step->n, WS_BN_EVAL);
    memcpy(ws_exec_input(fitnet->regress), ws_exec_value(student, fitnet->hint_s), n * floats * sizeof(float));
    ws_exec_forward(fitnet->regress, step->n, WS_BN_TRAIN);
}

static void add_losses(struct fitnet *fitnet, struct ws_step *step)
{
    const struct ws_model *model = fitnet->base.trainee.model;
    struct ws_exec *student = fitnet->base.trainee.exec;
    const int output = fitnet->regressor->n_nodes - 1;
    const double weight = fitnet->options->hint_weight;
    const double kd =
        ws_loss_kd(ws_exec_value(student, model->logits),
                   ws_exec_value(fitnet->teacher, fitnet->base.session->teacher_predictor->model->logits), step->n,
                   model->card.n_classes, fitnet->options->temperature, 1.0, ws_exec_seed(student, model->logits));
    const double hint =
        ws_loss_alignment(ws_exec_value(fitnet->regress, output), teacher_map(fitnet, step->n), fitnet->ones, step->n,
                          fitnet->map_floats, weight, ws_exec_seed(fitnet->regress, output));
    ws_step_add_loss(step, "kd", kd);
    ws_step_add_loss(step, "hint", hint);
    step->loss = kd + weight * hint;
}

/* The regressor first: what it wants of the student's map is one of the student's own seeds. */
static void propagate(struct fitnet *fitnet, const struct ws_step *step)
{
    struct ws_exec *student = fitnet->base.trainee.exec;
    const struct ws_node *hint = &fitnet->base.trainee.model->net->nodes[fitnet->hint_s];
    const size_t n = (size_t)step->n * (size_t)hint->height * (size_t)hint->width * (size_t)hint->channels;
    ws_net_zero_gradients(fitnet->base.trainee.model->net);
    ws_net_zero_gradients(fitnet->regressor);
    ws_exec_backward(fitnet->regress);
    const float *wanted = ws_exec_input_gradient(fitnet->regress);
    float *seed = ws_exec_seed(student, fitnet->hint_s);
    for (size_t i = 0; i < n; i++)
        seed[i] += wanted[i];
    ws_exec_backward(student);
}

static enum ws_status step_fitnet(void *state, struct ws_step *step, struct ws_err *err)
{
    struct fitnet *fitnet = state;
    struct ws_trainee *trainee = &fitnet->base.trainee;
    run_networks(fitnet, step);
    add_losses(fitnet, step);
    enum ws_status status = ws_step_check(step, err);
    if (status != WS_OK)
        return status;
    propagate(fitnet, step);
    status = ws_step_check_gradient(
        step, hypot(ws_gradient_norm(trainee->model->net), ws_gradient_norm(fitnet->regressor)), err);
    if (status != WS_OK)
        return status;
    ws_optim_step(&trainee->optim, trainee->model->net, step->lr);
    ws_optim_step(&fitnet->optim, fitnet->regressor, step->lr);
    return WS_OK;
}

static void save_fitnet(void *state, struct ws_checkpoint *checkpoint)
{
    const struct fitnet *fitnet = state;
    ws_learner_save(state, checkpoint);
    ws_checkpoint_add_net(checkpoint, "regressor", fitnet->regressor, &fitnet->optim);
}

static enum ws_status load_fitnet(void *state, const struct ws_tensors *checkpoint, struct ws_err *err)
{
    struct fitnet *fitnet = state;
    const enum ws_status status = ws_learner_load(state, checkpoint, err);
    return status == WS_OK ? ws_checkpoint_get_net(checkpoint, "regressor", fitnet->regressor, &fitnet->optim, err)
                           : status;
}

static int list_networks(void *state, struct ws_method_network *list)
{
    const struct fitnet *fitnet = state;
    const struct ws_trainee *trainee = &fitnet->base.trainee;
    list[0] = (struct ws_method_network){"student", trainee->model->net, trainee->exec};
    list[1] =
        (struct ws_method_network){"teacher", fitnet->base.session->teacher_predictor->model->net, fitnet->teacher};
    list[2] = (struct ws_method_network){"regressor", fitnet->regressor, fitnet->regress};
    return 3;
}

const struct ws_method ws_method_fitnet = {
    .name = "fitnet",
    .summary = "Hinton's distillation, and the teacher's middle feature map as a hint",
    .open = open_fitnet,
    .epoch_begin = ws_learner_take_all,
    .step = step_fitnet,
    .save = save_fitnet,
    .load = load_fitnet,
    .networks = list_networks,
    .close = close_fitnet,
};
