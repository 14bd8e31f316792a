/*
 * KD3: Tang, Chen, Niu, Sugiyama, Gong, "Distribution Shift Matters for Knowledge Distillation with Webly Collected
 * Images", ICCV 2023, as the authors' released code computes it.
 *
 *   X, X'      a batch and its MixDistribution copy
 *   F_t, F_s   last feature maps of teacher and student
 *   phi        the projector
 *   g          the teacher's classifier, frozen, shared by both
 *   f_t, f_s   F_t and F_s pooled (the student's BEFORE phi)
 *   E_t, E_s   linear embeddings
 *   z_t, z_s   logits g(GAP(F_t)) and g(GAP(phi(F_s)))
 *   w_i        logistic of |z_s - z_t|, a constant; times the weight of the rules beyond KD3's, if one is on
 *
 *   L = 1/(B D) sum_i w_i |phi(F_s)_i - F_t_i|^2
 *       + 0.001 ( NTXent(E_s f_s(X), E_s f_s(X')) + NTXent(E_t f_t(X), E_t f_t(X')) )
 *
 * over {student, phi, E_s, E_t}, D the values of one image's map. The last term trains E_t alone; it does not touch the
 * student, as in the released code. Both of the student's runs move its running statistics, X first, then X'; phi sees
 * X only.
 *
 * Two runs whose maps wait for their gradients are most of a step's memory. Where X' has no memory of its own it runs
 * in that of X, before X (for the loss) and once more behind X's backward (for its gradient): the same numbers, as the
 * running statistics move at the end of the step.
 *
 * Beside the released code (kd3.share, kd3.align, kd3.contrast):
 *
 *   share false     T^2 KL(teacher || student) of a classifier of the student's own, in place of g, phi and alignment
 *   align pooled    GAP(phi(F_s)) and GAP(F_t) in place of the maps, D = their channels
 *   contrast cross  0.001 * 1/B sum_i -log( exp(u_i.v_i / t) / sum_j exp(u_i.v_j / t) ) in place of both NT-Xent, with
 *                   u_i = E_s f_s(x_i), v_j = E_t f_t(x_j), both of unit length: each image's student features have to
 *                   find the teacher's of the same image among all of the batch. It teaches the student, E_s and E_t;
 *                   there is no X'. (The released code holds such a loss, unused; its abstract speaks of aligning
 *                   instances.)
 */
#include "data/mix.h"
#include "state.h"
#include "webstill/curate/keys.h"

#include "webstill/curate/weight.h"
#include "webstill/nn/loss.h"

#include <stdlib.h>
#include <string.h>

/* --- opening --- */

/*
 * The run on X' ends at the pooled features: phi and g must not see X'. Nodes are in topological order, so a network
 * that ends behind `pooled` is the backbone; it shares values and gradients with the whole.
 */
static enum ws_status add_mixed_run(struct ws_kd3 *kd3, struct ws_training *training, struct ws_err *err)
{
    const struct ws_model *model = training->model;
    kd3->backbone = *model->net;
    kd3->backbone.n_nodes = model->pooled + 1;
    struct ws_exec_options options = {
        .max_batch = training->session->batch, .backward = true, .taps = &model->pooled, .n_taps = 1};
    const double own_mib = (double)ws_exec_memory_bytes(training->student->exec) / (1 << 20);
    if (own_mib > (double)kd3->options->mixed_memory_mib)
        options.owner = training->student->exec;
    return ws_training_add_run(training, "mixed", &kd3->backbone, training->student->learner, &options, &kd3->mixed,
                               err);
}

static enum ws_status open_mix(struct ws_kd3 *kd3, struct ws_training *training, struct ws_err *err)
{
    const struct ws_session *session = training->session;
    const size_t batch = (size_t)session->batch;
    kd3->lam = ws_arena_alloc(&training->arena, batch, sizeof *kd3->lam);
    kd3->partner = ws_arena_alloc(&training->arena, batch, sizeof *kd3->partner);
    kd3->mix_scratch =
        ws_arena_alloc(&training->arena, ws_mix_scratch_bytes(session->batch, session->data->channels), 1);
    if (!kd3->lam || !kd3->partner || !kd3->mix_scratch)
        return ws_fail(err, WS_E_MEMORY, "out of memory for MixDistribution");
    return add_mixed_run(kd3, training, err);
}

/* A linear embedding, E_s or E_t: rows 0..B-1 of its input for X, B..2B-1 for X' (if any). */
static enum ws_status add_embedding(struct ws_kd3 *kd3, struct ws_training *training, const char *name, const char *run,
                                    int features, bool input_gradient, struct ws_network **out, struct ws_err *err)
{
    const struct ws_session *session = training->session;
    struct ws_net *net = ws_net_new(1, 1, features);
    if (net)
        ws_net_gemm(net, run, 0, (int)kd3->options->embedding, true);
    const struct ws_exec_options options = {
        .max_batch = 2 * session->batch, .backward = true, .input_gradient = input_gradient};
    return ws_training_add_net(training, name, run, &net, session->optim, &options, out, err);
}

static enum ws_status add_contrast(struct ws_kd3 *kd3, struct ws_training *training, struct ws_err *err)
{
    const struct ws_model *teacher = training->session->teacher_predictor->model, *student = training->model;
    enum ws_status status = add_embedding(kd3, training, "contrast", "embed_s",
                                          student->net->nodes[student->pooled].channels, true, &kd3->embed_s, err);
    if (status == WS_OK)
        status = add_embedding(kd3, training, "contrast_teacher", "embed_t",
                               teacher->net->nodes[teacher->head_pooled].channels, false, &kd3->embed_t, err);
    return status == WS_OK
               ? ws_training_alloc(training, &kd3->contrast_scratch,
                                   ws_loss_ntxent_scratch(training->session->batch, (int)kd3->options->embedding),
                                   sizeof(float), err)
               : status;
}

/* The student ends in the teacher's g, or (kd3.share false) in a classifier of its own, as in method kd. */
static enum ws_status add_student(struct ws_kd3 *kd3, struct ws_training *training, struct ws_err *err)
{
    if (!kd3->options->share)
        return ws_training_add_student(training, &training->session->card, -1, err);
    return ws_shared_head_open(&kd3->head, training, (int)kd3->options->projector_factor, kd3->options->align, err);
}

enum ws_status ws_kd3_open(struct ws_kd3 *kd3, struct ws_training *training, const struct ws_kd3_keys *options,
                           struct ws_err *err)
{
    const struct ws_session *session = training->session;
    struct ws_stored *stored = NULL;
    void *weights = NULL;
    training->state = kd3;
    kd3->options = options;
    kd3->is_cross = options->contrast == WS_CONTRAST_CROSS;
    kd3->has_contrast = options->contrast != WS_CONTRAST_OFF;
    enum ws_status status = add_student(kd3, training, err);
    if (status == WS_OK && kd3->has_contrast && !kd3->is_cross)
        status = open_mix(kd3, training, err);
    if (status == WS_OK)
        status = ws_training_add_teacher(training, err);
    if (status == WS_OK && kd3->has_contrast)
        status = add_contrast(kd3, training, err);
    if (status == WS_OK)
        status = ws_kd3_selection_open(&kd3->selection, session, options, err);
    if (status == WS_OK)
        status = ws_training_alloc(training, &weights, (size_t)session->batch, sizeof *kd3->weights, err);
    kd3->weights = weights;
    if (status == WS_OK)
        status = ws_supply_open_choice(&stored, session, ws_kd3_select, &kd3->selection, err);
    training->supply = stored ? &stored->base : NULL;
    return status;
}

static enum ws_status open_kd3(struct ws_training *training, struct ws_err *err)
{
    void *kd3 = NULL;
    const enum ws_status status = ws_training_alloc(training, &kd3, 1, sizeof(struct ws_kd3), err);
    return status == WS_OK ? ws_kd3_open(kd3, training, ws_config_keys(training->session->config, &ws_kd3_section), err)
                           : status;
}

void ws_kd3_close(void *state)
{
    ws_kd3_selection_close(&((struct ws_kd3 *)state)->selection);
}

/* --- what it cannot serve --- */

bool ws_kd3_does_share(const struct ws_config *config)
{
    const struct ws_kd3_keys *keys = ws_config_keys(config, &ws_kd3_section);
    return keys->share;
}

enum ws_status ws_kd3_check(const struct ws_session *session, const struct ws_kd3_keys *options, struct ws_err *err)
{
    if (options->share)
        return ws_shared_head_check(session, "kd3", (int)options->projector_factor, options->align, err);
    if (options->contrast == WS_CONTRAST_OFF || session->teacher_predictor->model->head_pooled >= 0)
        return WS_OK;
    ws_fail(err, WS_E_UNSUPPORTED, "kd3's contrast compares pooled features; this teacher (%s) has no global pooling",
            session->teacher->card.arch);
    ws_err_hint(err, "set distill.kd3.contrast (of kd3+: distill.kd3_plus.contrast) to off");
    return WS_E_UNSUPPORTED;
}

static enum ws_status check_kd3(const struct ws_method *method, const struct ws_session *session, struct ws_err *err)
{
    (void)method;
    return ws_kd3_check(session, ws_config_keys(session->config, &ws_kd3_section), err);
}

/* --- a step --- */

/* The teacher on what `of` was shown; its pooled features go to rows first … of E_t's input. */
static void run_teacher(struct ws_kd3 *kd3, struct ws_step *step, struct ws_network *of, int first)
{
    const struct ws_training *training = step->training;
    const int pooled = training->session->teacher_predictor->model->head_pooled;
    ws_step_run_teacher(step, of);
    if (kd3->has_contrast)
        ws_step_flow(step, (struct ws_point){training->teacher, pooled}, kd3->embed_t, first);
}

/* X' and the student's and the teacher's features of it. */
static void run_mixed(struct ws_kd3 *kd3, struct ws_step *step)
{
    const struct ws_session *session = step->training->session;
    const struct ws_dataset *data = session->data;
    const int64_t index = step->place.step;
    struct ws_rng rng;
    ws_rng_init(&rng, session->seed, WS_STREAM_MIX, (uint32_t)index, (uint32_t)(index >> 32));
    ws_mix_draw(&rng, step->n, kd3->options->mix_alpha, kd3->lam, kd3->partner);
    ws_mix_apply(session->workers, ws_exec_input(step->training->student->exec), ws_exec_input(kd3->mixed->exec),
                 step->n, data->height * data->width, data->channels, kd3->lam, kd3->partner, kd3->options->mix_eps,
                 kd3->mix_scratch);
    ws_exec_set_dropout(kd3->mixed->exec, ~session->seed, (uint64_t)index); /* other masks than the images' own */
    ws_step_forward(step, kd3->mixed, step->n, WS_BN_BATCH);
    run_teacher(kd3, step, kd3->mixed, step->n);
}

void ws_kd3_run(struct ws_kd3 *kd3, struct ws_step *step)
{
    struct ws_network *student = step->training->student;
    ws_step_show(step, student);
    if (kd3->mixed)
        run_mixed(kd3, step);
    ws_step_forward(step, student, step->n, WS_BN_BATCH);
    run_teacher(kd3, step, student, 0); /* last, as its maps are read in place */
}

void ws_kd3_align(struct ws_kd3 *kd3, struct ws_step *step)
{
    const struct ws_point student = ws_step_student_logits(step), teacher = ws_step_teacher_logits(step);
    const float *of_images = step->batch.weights;
    if (!kd3->options->share) {
        ws_step_imitate(step, "kl", student, teacher, kd3->options->kl_temperature, NULL, 1.0);
        return;
    }
    if (kd3->options->weights)
        ws_weight_disagreement(ws_point_value(student), ws_point_value(teacher), (size_t)step->n,
                               (int)ws_point_floats(student), kd3->weights);
    for (int i = 0; !kd3->options->weights && i < step->n; i++)
        kd3->weights[i] = 0.5f;
    for (int i = 0; of_images && i < step->n; i++)
        kd3->weights[i] *= of_images[i];
    ws_shared_head_align(kd3->head, step, kd3->weights);
}

static struct ws_point output_of(struct ws_network *embedding)
{
    return (struct ws_point){embedding, embedding->net->n_nodes - 1};
}

/* Student against teacher, on X alone. */
static void contrast_networks(struct ws_kd3 *kd3, struct ws_step *step)
{
    const struct ws_point u = output_of(kd3->embed_s), v = output_of(kd3->embed_t);
    const double weight = kd3->options->contrast_weight;
    ws_step_forward(step, kd3->embed_s, step->n, WS_BN_TRAIN);
    ws_step_forward(step, kd3->embed_t, step->n, WS_BN_TRAIN);
    const double loss = ws_loss_infonce(ws_point_tap(u), ws_point_tap(v), kd3->options->contrast_temperature, weight,
                                        kd3->contrast_scratch);
    ws_step_add_loss(step, "contrast_cross", loss, weight);
}

/* NT-Xent of X against X' in one network. */
static void contrast_copies(struct ws_kd3 *kd3, struct ws_step *step, struct ws_network *embedding, const char *name)
{
    const double weight = kd3->options->contrast_weight;
    ws_step_forward(step, embedding, 2 * step->n, WS_BN_TRAIN);
    const double loss = ws_loss_ntxent(ws_point_tap(output_of(embedding)), kd3->options->contrast_temperature, weight,
                                       kd3->contrast_scratch);
    ws_step_add_loss(step, name, loss, weight);
}

void ws_kd3_contrast(struct ws_kd3 *kd3, struct ws_step *step)
{
    if (!kd3->has_contrast)
        return;
    const int pooled = step->training->model->pooled;
    ws_step_flow(step, (struct ws_point){step->training->student, pooled}, kd3->embed_s, 0);
    if (kd3->is_cross) {
        contrast_networks(kd3, step);
        return;
    }
    ws_step_flow(step, (struct ws_point){kd3->mixed, pooled}, kd3->embed_s, step->n);
    contrast_copies(kd3, step, kd3->embed_s, "contrast_student");
    contrast_copies(kd3, step, kd3->embed_t, "contrast_teacher");
}

static void losses(void *state, struct ws_step *step)
{
    ws_kd3_run(state, step);
    ws_kd3_align(state, step);
    ws_kd3_contrast(state, step);
}

static const struct ws_phase phases[] = {{.name = "distil", .losses = losses}, {0}};
static const struct ws_need needs[] = {
    {.kind = WS_NEED_TEACHER}, {.kind = WS_NEED_LINEAR_LAYER, .applies = ws_kd3_does_share}, {0}};

static const struct ws_conf_section *const sections[] = {&ws_curate_section, &ws_kd3_section, NULL};

const struct ws_method ws_method_kd3 = {
    .name = "kd3",
    .summary = "selection by teacher and student, shared classifier, feature alignment, contrast",
    .sections = sections,
    .needs = needs,
    .phases = phases,
    .check = check_kd3,
    .open = open_kd3,
    .close = ws_kd3_close,
};
