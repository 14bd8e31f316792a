/*
 * DFND: Chen, Guo, Xu, Li, Xu, Xu, Wang, "Learning Student Networks in the Wild", CVPR 2021.
 *
 *   z_s, z_t   logits of student and teacher
 *   y_i        the teacher's choice, argmax z_t
 *   Q          noise adaptation matrix: Q(k, k) = the teacher's accuracy; the rest of row k is learnt, a softmax times
 *              (1 - accuracy)
 *
 *   L = T^2 KL(softmax(z_t / T) || softmax(z_s / T)) + 1/B sum_i -log sum_k softmax(z_s)_ik Q(k, y_i)
 *
 * on the images that the teacher is surest of: those of the smallest cross entropy between z_t and y, which are those
 * of the largest max softmax(z_t).
 *
 * From the paper: selection by the teacher, the matrix learnt along with the student. From the released code
 * (huawei-noah, DFND-train.py): the loss as it stands here with T = 4, both halves weighing 1; one selection before the
 * first step, on images without augmentation, over all classes together; 600,000 images of ImageNet's 1,281,167 (share
 * 0.468); the matrix from uniform rows (zeros), trained by Adam at a constant 0.001 without decay. Chosen here: a share
 * of the pool instead of a number, since pools differ; the accuracy on the hold-out of the teacher's card, where the
 * code has the one on the clean test set, which no training may see; optimiser and augmentation of all methods.
 */
#include "method.h"

#include "webstill/curate/selection.h"
#include "webstill/nn/loss.h"

#include <math.h>
#include <stdlib.h>

struct dfnd {
    struct ws_learner base;             /* first: see ws_learner */
    const struct ws_conf_dfnd *options; /* borrowed */
    double accuracy;
    struct ws_net *noise;         /* owned: holds the rows of Q without the diagonal, and their gradient; never run */
    struct ws_optim noise_optim;  /* owned */
    double *scratch;              /* owned: of the loss */
    int32_t *choices;             /* owned: [batch] y_i */
    float *logits;                /* owned: [batch][n_classes], of the selection pass */
    struct ws_arena arena;        /* owned: the selection */
    struct ws_selection selected; /* its arrays lie in the arena; n = 0 until it is made */
    uint32_t *images;             /* owned: the kept ones */
    struct ws_image_id *ids;      /* owned: of the training images */
};

static void close_dfnd(void **state)
{
    struct dfnd *dfnd = *state;
    if (!dfnd)
        return;
    ws_trainee_close(&dfnd->base.trainee);
    ws_optim_fini(&dfnd->noise_optim);
    ws_net_free(&dfnd->noise);
    free(dfnd->scratch);
    free(dfnd->choices);
    free(dfnd->logits);
    free(dfnd->images);
    free(dfnd->ids);
    ws_arena_fini(&dfnd->arena);
    free(dfnd);
    *state = NULL;
}

static enum ws_status find_accuracy(struct dfnd *dfnd, struct ws_err *err)
{
    dfnd->accuracy =
        dfnd->options->accuracy > 0.0 ? dfnd->options->accuracy : dfnd->base.session->teacher->card.accuracy;
    if (dfnd->accuracy >= 0.0 && dfnd->accuracy <= 1.0)
        return WS_OK;
    ws_fail(err, WS_E_CONFIG,
            "dfnd corrects the teacher's mistakes by its accuracy, which this teacher's card does not "
            "tell");
    ws_err_hint(err, "set distill.dfnd.accuracy to its accuracy on data of its own task that no student is tested on");
    return WS_E_CONFIG;
}

/* The matrix as a network of one linear layer from C classes to C - 1: so it has an optimiser and a checkpoint. Memory
 * order is [in][out], which is the rows that the loss reads. */
static enum ws_status open_noise(struct dfnd *dfnd, struct ws_err *err)
{
    const struct ws_conf_optim adam = {.kind = WS_OPTIM_ADAM, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
    const int n_classes = dfnd->base.session->card.n_classes;
    dfnd->noise = ws_net_new(1, 1, n_classes);
    if (!dfnd->noise)
        return ws_fail(err, WS_E_MEMORY, "out of memory for dfnd's matrix");
    ws_net_gemm(dfnd->noise, "noise", 0, n_classes - 1, false);
    enum ws_status status = ws_net_alloc(dfnd->noise, err);
    if (status == WS_OK)
        status = ws_net_alloc_gradients(dfnd->noise, err);
    return status == WS_OK ? ws_optim_init(&dfnd->noise_optim, dfnd->noise, &adam, err) : status;
}

static enum ws_status alloc_dfnd(struct dfnd *dfnd, struct ws_err *err)
{
    const struct ws_session *session = dfnd->base.session;
    const size_t batch = (size_t)session->batch, n_classes = (size_t)session->card.n_classes, n = session->n_train;
    dfnd->scratch = ws_calloc(ws_size_mul(2 * n_classes, n_classes - 1), sizeof *dfnd->scratch);
    dfnd->choices = ws_calloc(batch, sizeof *dfnd->choices);
    dfnd->logits = ws_calloc(ws_size_mul(batch, n_classes), sizeof *dfnd->logits);
    dfnd->images = ws_calloc(n, sizeof *dfnd->images);
    dfnd->ids = ws_calloc(n, sizeof *dfnd->ids);
    if (!dfnd->scratch || !dfnd->choices || !dfnd->logits || !dfnd->images || !dfnd->ids)
        return ws_fail(err, WS_E_MEMORY, "out of memory for the predictions of %zu images", n);
    for (size_t i = 0; i < n; i++)
        dfnd->ids[i] = session->data->ids[session->train[i]];
    return WS_OK;
}

static enum ws_status open_dfnd(void **state, const struct ws_session *session, struct ws_model **model,
                                struct ws_err *err)
{
    struct dfnd *dfnd = ws_calloc(1, sizeof *dfnd);
    *state = dfnd;
    if (!dfnd)
        return ws_fail(err, WS_E_MEMORY, "out of memory for method dfnd");
    dfnd->base.session = session;
    dfnd->options = &session->config->distill.dfnd;
    enum ws_status status = find_accuracy(dfnd, err);
    if (status == WS_OK)
        status = ws_trainee_open(&dfnd->base.trainee, session, err);
    if (status == WS_OK)
        status = open_noise(dfnd, err);
    if (status == WS_OK)
        status = alloc_dfnd(dfnd, err);
    if (status != WS_OK)
        close_dfnd(state);
    else
        *model = dfnd->base.trainee.model;
    return status;
}

/* The teacher on every training image, as it is; then the surest of them. */
static enum ws_status select_images(struct dfnd *dfnd, struct ws_err *err)
{
    const struct ws_session *session = dfnd->base.session;
    const struct ws_select_options teacher_alone = {.alpha = 1.0};
    const size_t n = session->n_train, share = (size_t)round(dfnd->options->share * (double)n);
    struct ws_augment augment;
    const struct ws_view view = ws_view_clean(&session->teacher->card, &augment);
    struct ws_selection found;
    ws_arena_reset(&dfnd->arena);
    if (!ws_select_begin(&found, &dfnd->arena, n, session->card.n_classes, &teacher_alone))
        return ws_fail(err, WS_E_MEMORY, "out of memory for a selection among %zu images", n);
    for (size_t first = 0; first < n; first += (size_t)session->batch) {
        const size_t left = n - first, piece = left < (size_t)session->batch ? left : (size_t)session->batch;
        const enum ws_status status = ws_predict(session->teacher_predictor, session->data, &view,
                                                 session->train + first, piece, dfnd->logits, NULL, err);
        if (status != WS_OK)
            return status;
        ws_select_predict(&found, dfnd->logits, NULL, first, piece, &teacher_alone);
    }
    if (!ws_select_keep_top(&found, &dfnd->arena, share < 2 ? 2 : share))
        return ws_fail(err, WS_E_MEMORY, "out of memory for the order of %zu images", n);
    size_t n_kept = 0;
    for (size_t i = 0; i < n; i++)
        if (found.keep[i])
            dfnd->images[n_kept++] = session->train[i];
    dfnd->selected = found;
    return WS_OK;
}

/* One selection serves all epochs; a resumed run makes it again and gets the same one. */
static enum ws_status begin_epoch(void *state, uint32_t number, struct ws_epoch *epoch, struct ws_err *err)
{
    struct dfnd *dfnd = state;
    enum ws_status status = WS_OK;
    (void)number;
    if (dfnd->selected.n == 0) {
        char path[4096];
        const struct ws_selection_facts facts = {"dfnd", 0.0, 1};
        snprintf(path, sizeof path, "%s/selection/epoch-001.safetensors", dfnd->base.session->dir);
        status = select_images(dfnd, err);
        if (status == WS_OK)
            status = ws_selection_write(path, dfnd->ids, &dfnd->selected, &facts, err);
    }
    *epoch = (struct ws_epoch){.images = dfnd->images,
                               .n = (size_t)dfnd->selected.n_kept_total,
                               .alpha = 1.0,
                               .threshold = dfnd->selected.threshold,
                               .n_kept = dfnd->selected.n_kept};
    return status;
}

static void add_losses(struct dfnd *dfnd, struct ws_step *step)
{
    const struct ws_predictor *teacher = dfnd->base.session->teacher_predictor;
    const struct ws_model *model = dfnd->base.trainee.model;
    struct ws_exec *exec = dfnd->base.trainee.exec;
    const int n_classes = model->card.n_classes;
    const float *z_s = ws_exec_value(exec, model->logits), *z_t = ws_exec_value(teacher->exec, teacher->model->logits);
    float *seed = ws_exec_seed(exec, model->logits);
    for (int i = 0; i < step->n; i++)
        dfnd->choices[i] = ws_argmax(z_t + (size_t)i * (size_t)n_classes, n_classes);
    const double kd = ws_loss_kd(z_s, z_t, step->n, n_classes, dfnd->options->temperature, 1.0, seed);
    const double noisy = ws_loss_noisy(z_s, dfnd->choices, dfnd->noise->values, step->n, n_classes, dfnd->accuracy, 1.0,
                                       seed, dfnd->noise->gradients, dfnd->scratch);
    ws_step_add_loss(step, "kd", kd);
    ws_step_add_loss(step, "noisy", noisy);
    step->loss = kd + noisy;
}

static enum ws_status step_dfnd(void *state, struct ws_step *step, struct ws_err *err)
{
    struct dfnd *dfnd = state;
    struct ws_trainee *trainee = &dfnd->base.trainee;
    ws_step_load(dfnd->base.session, step, trainee->exec);
    ws_exec_forward(trainee->exec, step->n, WS_BN_TRAIN);
    ws_teacher_forward(dfnd->base.session, ws_exec_input(trainee->exec), step->n);
    ws_net_zero_gradients(trainee->model->net);
    ws_net_zero_gradients(dfnd->noise);
    add_losses(dfnd, step);
    enum ws_status status = ws_step_check(step, err);
    if (status != WS_OK)
        return status;
    ws_exec_backward(trainee->exec);
    status =
        ws_step_check_gradient(step, hypot(ws_gradient_norm(trainee->model->net), ws_gradient_norm(dfnd->noise)), err);
    if (status != WS_OK)
        return status;
    ws_optim_step(&trainee->optim, trainee->model->net, step->lr);
    ws_optim_step(&dfnd->noise_optim, dfnd->noise, dfnd->options->noise_lr);
    return WS_OK;
}

static void save_dfnd(void *state, struct ws_checkpoint *checkpoint)
{
    const struct dfnd *dfnd = state;
    ws_learner_save(state, checkpoint);
    ws_checkpoint_add_net(checkpoint, "noise", dfnd->noise, &dfnd->noise_optim);
}

static enum ws_status load_dfnd(void *state, const struct ws_tensors *checkpoint, struct ws_err *err)
{
    struct dfnd *dfnd = state;
    const enum ws_status status = ws_learner_load(state, checkpoint, err);
    return status == WS_OK ? ws_checkpoint_get_net(checkpoint, "noise", dfnd->noise, &dfnd->noise_optim, err) : status;
}

const struct ws_method ws_method_dfnd = {
    .name = "dfnd",
    .summary = "distillation on the images that the teacher is surest of, its mistakes learnt beside it",
    .open = open_dfnd,
    .epoch_begin = begin_epoch,
    .step = step_dfnd,
    .save = save_dfnd,
    .load = load_dfnd,
    .networks = ws_learner_networks,
    .close = close_dfnd,
};
