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
#include "keys/optim.h"
#include "methods.h"

#include "webstill/base/path.h"
#include "webstill/curate/select.h"
#include "webstill/nn/loss.h"
#include "webstill/tensors/selection.h"

#include <math.h>

static const struct ws_conf_key dfnd_keys[] = {
    {WS_CONF_NUMBER(struct ws_dfnd_keys, share), .unit = "share", .min = 0, .max = 1, .excluded = WS_CONF_ABOVE,
     .fallback = "0.468",
     .help = "Share of the pool that is kept: the images that the teacher is surest of (600,000 of 1,281,167)."},
    {WS_CONF_NUMBER(struct ws_dfnd_keys, temperature), .unit = "temperature", .min = 0, .max = 1000,
     .excluded = WS_CONF_ABOVE, .fallback = "4", .help = "Both outputs are softened by it."},
    {WS_CONF_NUMBER(struct ws_dfnd_keys, accuracy), .unit = "share", .min = 0, .max = 1, .fallback = "0",
     .help = "Accuracy of the teacher, the diagonal of the matrix of its mistakes; 0 = what its card tells, of its own "
             "hold-out. An imported teacher's card tells nothing."},
    {WS_CONF_NUMBER(struct ws_dfnd_keys, noise_lr), .unit = "rate", .min = 0, .max = 10, .excluded = WS_CONF_ABOVE,
     .fallback = "0.001", .help = "Rate of the matrix, by Adam and constant."},
    {.name = NULL},
};

const struct ws_conf_section ws_dfnd_section = {
    .name = "distill.dfnd",
    .title = "Method dfnd: Chen et al., \"Learning Student Networks in the Wild\".",
    WS_CONF_KEYS(struct ws_dfnd_keys, dfnd_keys),
};

struct dfnd {
    const struct ws_session *session;
    const struct ws_dfnd_keys *options;
    struct ws_optim_keys adam; /* of the matrix */
    double accuracy;
    struct ws_learner *noise;     /* the rows of Q without the diagonal: [n_classes][n_classes - 1] */
    double *scratch;              /* of the loss */
    int32_t *choices;             /* [batch] y_i */
    float *logits;                /* [batch][n_classes], of the selection pass */
    struct ws_arena arena;        /* owned: the selection */
    struct ws_selection selected; /* its arrays lie in the arena; n = 0 until it is made */
    uint32_t *images;             /* the kept ones */
    struct ws_image_id *ids;      /* of the training images */
};

static void close_dfnd(void *state)
{
    ws_arena_fini(&((struct dfnd *)state)->arena);
}

/* The teacher on every training image, as it is; then the surest of them. */
static enum ws_status select_images(struct dfnd *dfnd, struct ws_err *err)
{
    const struct ws_session *session = dfnd->session;
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
static enum ws_status choose(void *chooser, uint32_t number, struct ws_epoch *epoch, struct ws_err *err)
{
    struct dfnd *dfnd = chooser;
    enum ws_status status = WS_OK;
    (void)number;
    if (dfnd->selected.n == 0) {
        char path[WS_PATH_BYTES];
        const struct ws_selection_facts facts = {"dfnd", 0.0, 1};
        status = ws_path_join(path, dfnd->session->dir, err, "selection/epoch-001.safetensors");
        if (status == WS_OK)
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

static enum ws_status alloc_dfnd(struct dfnd **out, struct ws_training *training, struct ws_err *err)
{
    const struct ws_session *session = training->session;
    const size_t batch = (size_t)session->batch, n_classes = (size_t)session->card.n_classes, n = session->n_train;
    struct ws_arena *arena = &training->arena;
    struct dfnd *dfnd = *out = training->state = ws_arena_alloc(arena, 1, sizeof *dfnd);
    if (dfnd) {
        dfnd->scratch = ws_arena_alloc(arena, ws_size_mul(2 * n_classes, n_classes - 1), sizeof *dfnd->scratch);
        dfnd->choices = ws_arena_alloc(arena, batch, sizeof *dfnd->choices);
        dfnd->logits = ws_arena_alloc(arena, ws_size_mul(batch, n_classes), sizeof *dfnd->logits);
        dfnd->images = ws_arena_alloc(arena, n, sizeof *dfnd->images);
        dfnd->ids = ws_arena_alloc(arena, n, sizeof *dfnd->ids);
    }
    if (!dfnd || !dfnd->scratch || !dfnd->choices || !dfnd->logits || !dfnd->images || !dfnd->ids)
        return ws_fail(err, WS_E_MEMORY, "out of memory for the predictions of %zu images", n);
    for (size_t i = 0; i < n; i++)
        dfnd->ids[i] = session->data->ids[session->train[i]];
    return WS_OK;
}

static enum ws_status open_dfnd(struct ws_training *training, struct ws_err *err)
{
    const struct ws_session *session = training->session;
    const size_t n_classes = (size_t)session->card.n_classes;
    struct dfnd *dfnd;
    struct ws_stored *stored = NULL;
    enum ws_status status = alloc_dfnd(&dfnd, training, err);
    if (status != WS_OK)
        return status;
    dfnd->session = session;
    dfnd->options = ws_config_keys(session->config, &ws_dfnd_section);
    dfnd->accuracy = dfnd->options->accuracy > 0.0 ? dfnd->options->accuracy : session->teacher->card.accuracy;
    dfnd->adam = (struct ws_optim_keys){.options = {.kind = WS_OPTIM_ADAM, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8},
                                        .lr = dfnd->options->noise_lr,
                                        .schedule = WS_SCHEDULE_CONSTANT};
    status = ws_training_add_student(training, &session->card, -1, err);
    if (status == WS_OK)
        status = ws_training_add_teacher(training, err);
    if (status == WS_OK)
        status =
            ws_training_add_numbers(training, "noise", n_classes * (n_classes - 1), &dfnd->adam, &dfnd->noise, err);
    if (status == WS_OK)
        status = ws_supply_open_choice(&stored, session, choose, dfnd, err);
    training->supply = stored ? &stored->base : NULL;
    return status;
}

static void losses(void *state, struct ws_step *step)
{
    struct dfnd *dfnd = state;
    const struct ws_point student = ws_step_student_logits(step);
    const int n_classes = (int)ws_point_floats(student);
    ws_step_distill(step, dfnd->options->temperature);
    const float *z_t = ws_point_value(ws_step_teacher_logits(step));
    for (int i = 0; i < step->n; i++)
        dfnd->choices[i] = ws_argmax(z_t + (size_t)i * (size_t)n_classes, n_classes);
    const double noisy = ws_loss_noisy(ws_point_tap(student), dfnd->choices, dfnd->noise->values, dfnd->accuracy, 1.0,
                                       dfnd->noise->gradients, dfnd->scratch);
    ws_step_add_loss(step, "noisy", noisy, 1.0);
}

static bool is_accuracy_unknown(const struct ws_config *config)
{
    const struct ws_dfnd_keys *keys = ws_config_keys(config, &ws_dfnd_section);
    return keys->accuracy <= 0.0;
}

static const struct ws_phase phases[] = {{.name = "distil", .losses = losses}, {0}};
static const struct ws_need needs[] = {
    {.kind = WS_NEED_TEACHER},
    {WS_NEED_ACCURACY, " without distill.dfnd.accuracy", is_accuracy_unknown, "distill.dfnd.accuracy"},
    {0},
};

static const struct ws_conf_section *const sections[] = {&ws_dfnd_section, NULL};

const struct ws_method ws_method_dfnd = {
    .name = "dfnd",
    .summary = "distillation on the images that the teacher is surest of, its mistakes learnt beside it",
    .sections = sections,
    .needs = needs,
    .phases = phases,
    .open = open_dfnd,
    .close = close_dfnd,
};
