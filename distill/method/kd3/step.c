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

#include "webstill/curate/weight.h"
#include "webstill/nn/loss.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void kd3_close(void **state)
{
    struct kd3 *kd3 = *state;
    if (!kd3)
        return;
    ws_exec_close(&kd3->mixed);
    ws_embedding_close(&kd3->embed_s);
    ws_embedding_close(&kd3->embed_t);
    ws_trainee_close(&kd3->trainee);
    free(kd3->lam);
    free(kd3->partner);
    free(kd3->mix_scratch);
    free(kd3->weights);
    ws_shared_head_close(&kd3->head);
    kd3_selection_close(&kd3->selection);
    kd3_plus_close(&kd3->plus);
    free(kd3);
    *state = NULL;
}

/*
 * The run on X' ends at the pooled features: phi and g must not see X'. Nodes are in topological order, so a network
 * that ends behind `pooled` is the backbone; it shares values and gradients with the whole.
 */
static enum ws_status open_mixed_run(struct kd3 *kd3, struct ws_err *err)
{
    const struct ws_model *model = kd3->trainee.model;
    kd3->backbone = *model->net;
    kd3->backbone.n_nodes = model->pooled + 1;
    struct ws_exec_options options = {
        .max_batch = kd3->session->batch, .backward = true, .taps = &model->pooled, .n_taps = 1};
    const double own_mib = (double)ws_exec_memory_bytes(kd3->trainee.exec) / (1 << 20);
    if (own_mib > (double)kd3->options->mixed_memory_mib)
        options.lender = kd3->trainee.exec;
    return ws_exec_open(&kd3->mixed, &kd3->backbone, kd3->session->pool, &options, err);
}

static enum ws_status open_mix(struct kd3 *kd3, struct ws_err *err)
{
    const struct ws_session *session = kd3->session;
    const size_t batch = (size_t)session->batch;
    kd3->lam = ws_calloc(batch, sizeof *kd3->lam);
    kd3->partner = ws_calloc(batch, sizeof *kd3->partner);
    kd3->mix_scratch = ws_calloc_aligned(ws_mix_scratch_bytes(session->batch, session->data->channels), 1);
    if (!kd3->lam || !kd3->partner || !kd3->mix_scratch)
        return ws_fail(err, WS_E_MEMORY, "out of memory for MixDistribution");
    return open_mixed_run(kd3, err);
}

static enum ws_status open_contrast(struct kd3 *kd3, struct ws_err *err)
{
    const struct ws_session *session = kd3->session;
    const struct ws_model *teacher = session->teacher_predictor->model, *student = kd3->trainee.model;
    const int width = (int)kd3->options->embedding;
    enum ws_status status = kd3->is_cross ? WS_OK : open_mix(kd3, err);
    if (status == WS_OK)
        status = ws_embedding_open(&kd3->embed_s, "embed_s", session, student->net->nodes[student->pooled].channels,
                                   width, true, err);
    if (status == WS_OK)
        status = ws_embedding_open(&kd3->embed_t, "embed_t", session,
                                   teacher->net->nodes[teacher->head_pooled].channels, width, false, err);
    return status;
}

/* The student ends in the teacher's g, or (kd3.share false) in a classifier of its own, as in method kd. */
static enum ws_status open_student(struct kd3 *kd3, struct ws_err *err)
{
    const struct ws_session *session = kd3->session;
    if (kd3->options->share)
        return ws_shared_head_open(&kd3->head, &kd3->trainee, session, "kd3", (int)kd3->options->projector_factor,
                                   kd3->options->align, err);
    if (kd3->has_contrast && session->teacher_predictor->model->head_pooled < 0) {
        ws_fail(err, WS_E_UNSUPPORTED,
                "kd3's contrast compares pooled features; this teacher (%s) has no global pooling",
                session->teacher->card.arch);
        ws_err_hint(err, "set distill.kd3.contrast (of kd3+: distill.kd3_plus.contrast) to off");
        return WS_E_UNSUPPORTED;
    }
    return ws_trainee_open(&kd3->trainee, session, err);
}

enum ws_status kd3_open(void **state, const struct ws_session *session, const struct ws_conf_kd3_plus *plus,
                        struct ws_model **model, struct ws_err *err)
{
    struct kd3 *kd3 = ws_calloc(1, sizeof *kd3);
    *state = kd3;
    if (!kd3)
        return ws_fail(err, WS_E_MEMORY, "out of memory for method kd3");
    kd3->options = plus ? kd3_plus_settle(&kd3->plus, session, plus) : &session->config->distill.kd3;
    enum ws_status status = plus ? kd3_plus_narrow(&kd3->plus, &session, err) : WS_OK;
    kd3->session = session;
    kd3->is_cross = strcmp(kd3->options->contrast, "cross") == 0;
    kd3->has_contrast = strcmp(kd3->options->contrast, "off") != 0;
    if (status == WS_OK)
        status = open_student(kd3, err);
    if (status == WS_OK && kd3->has_contrast)
        status = open_contrast(kd3, err);
    if (status == WS_OK)
        status = kd3_selection_open(&kd3->selection, session, kd3->options, err);
    if (status == WS_OK) {
        kd3->weights = ws_calloc((size_t)session->batch, sizeof *kd3->weights);
        if (!kd3->weights)
            status = ws_fail(err, WS_E_MEMORY, "out of memory for kd3's weights");
    }
    if (status == WS_OK && plus) /* last: it takes minutes, and what can be refused is refused by now */
        status = kd3_plus_refine(&kd3->plus, session, err);
    if (status != WS_OK)
        kd3_close(state);
    else
        *model = kd3->trainee.model;
    return status;
}

static enum ws_status open_kd3(void **state, const struct ws_session *session, struct ws_model **model,
                               struct ws_err *err)
{
    return kd3_open(state, session, NULL, model, err);
}

enum ws_status kd3_epoch_begin(void *state, uint32_t number, struct ws_epoch *epoch, struct ws_err *err)
{
    struct kd3 *kd3 = state;
    return kd3_select(&kd3->selection, kd3->session, number, epoch, err);
}

static void load_images(struct kd3 *kd3, const struct ws_step *step)
{
    const struct ws_session *session = kd3->session;
    struct ws_exec *exec = kd3->trainee.exec;
    struct ws_view view = ws_step_view(session, step);
    view.refined = kd3->plus.refined.pixels;
    view.refined_share = kd3->plus.options ? kd3->plus.options->refined_share : 0.0;
    ws_batch_load(session->pool, session->data, &view, step->images, step->n, ws_exec_input(exec));
    ws_exec_set_dropout(exec, session->seed, (uint64_t)step->index);
}

/* Teacher on `input`; its pooled features go to rows first … of E_t's input. */
static void run_teacher(struct kd3 *kd3, const float *input, int n, int first)
{
    const struct ws_predictor *teacher = kd3->session->teacher_predictor;
    ws_teacher_forward(kd3->session, input, n);
    if (kd3->has_contrast)
        memcpy(ws_embedding_input(&kd3->embed_t, first), ws_exec_value(teacher->exec, teacher->model->head_pooled),
               (size_t)n * (size_t)kd3->embed_t.features * sizeof *input);
}

/* X' and the student's and the teacher's features of it. */
static void run_mixed(struct kd3 *kd3, const struct ws_step *step)
{
    const struct ws_session *session = kd3->session;
    const struct ws_dataset *data = session->data;
    float *mixed = ws_exec_input(kd3->mixed);
    struct ws_rng rng;
    ws_rng_init(&rng, session->seed, WS_STREAM_MIX, (uint32_t)step->index, (uint32_t)(step->index >> 32));
    ws_mix_draw(&rng, step->n, kd3->options->mix_alpha, kd3->lam, kd3->partner);
    ws_mix_apply(session->pool, ws_exec_input(kd3->trainee.exec), mixed, step->n, data->height * data->width,
                 data->channels, kd3->lam, kd3->partner, kd3->options->mix_eps, kd3->mix_scratch);
    ws_exec_set_dropout(kd3->mixed, ~session->seed, (uint64_t)step->index); /* other masks than the images' own */
    ws_exec_forward(kd3->mixed, step->n, WS_BN_BATCH);
    run_teacher(kd3, mixed, step->n, step->n);
}

static double align(struct kd3 *kd3, struct ws_step *step)
{
    const struct ws_predictor *teacher = kd3->session->teacher_predictor;
    const struct ws_model *student = kd3->trainee.model;
    struct ws_exec *exec = kd3->trainee.exec;
    if (kd3->options->weights)
        ws_weight_disagreement(ws_exec_value(exec, student->logits),
                               ws_exec_value(teacher->exec, teacher->model->logits), (size_t)step->n,
                               student->card.n_classes, kd3->weights);
    for (int i = 0; !kd3->options->weights && i < step->n; i++)
        kd3->weights[i] = 0.5f;
    for (int i = 0; step->weights && i < step->n; i++)
        kd3->weights[i] *= step->weights[i];
    const double loss =
        ws_loss_alignment(ws_exec_value(exec, kd3->head.compared), ws_shared_head_teacher_map(&kd3->head, step->n),
                          kd3->weights, step->n, kd3->head.map_floats, 1.0, ws_exec_seed(exec, kd3->head.compared));
    ws_step_add_loss(step, "align", loss);
    return loss;
}

/* T^2 KL(teacher || student), each image alike: in place of the alignment where nothing is shared, beside it in kd3+.
 */
static double imitate(struct kd3 *kd3, struct ws_step *step, double temperature, double weight)
{
    const struct ws_predictor *teacher = kd3->session->teacher_predictor;
    const struct ws_model *student = kd3->trainee.model;
    struct ws_exec *exec = kd3->trainee.exec;
    const double loss =
        ws_loss_kd(ws_exec_value(exec, student->logits), ws_exec_value(teacher->exec, teacher->model->logits), step->n,
                   student->card.n_classes, temperature, weight, ws_exec_seed(exec, student->logits));
    ws_step_add_loss(step, "kl", loss);
    return weight * loss;
}

/* Student against teacher, on X alone. */
static void contrast_networks(struct kd3 *kd3, struct ws_step *step)
{
    const double weight = kd3->options->contrast_weight;
    memcpy(ws_embedding_input(&kd3->embed_s, 0), ws_exec_value(kd3->trainee.exec, kd3->trainee.model->pooled),
           (size_t)step->n * (size_t)kd3->embed_s.features * sizeof(float));
    const double loss =
        ws_embedding_contrast_with(&kd3->embed_s, &kd3->embed_t, step->n, kd3->options->contrast_temperature, weight);
    ws_step_add_loss(step, "contrast_cross", loss);
    step->loss += weight * loss;
}

/* X against X', in either network. */
static void contrast_copies(struct kd3 *kd3, struct ws_step *step)
{
    const int pooled = kd3->trainee.model->pooled;
    const double weight = kd3->options->contrast_weight, temperature = kd3->options->contrast_temperature;
    const size_t bytes = (size_t)step->n * (size_t)kd3->embed_s.features * sizeof(float);
    memcpy(ws_embedding_input(&kd3->embed_s, 0), ws_exec_value(kd3->trainee.exec, pooled), bytes);
    memcpy(ws_embedding_input(&kd3->embed_s, step->n), ws_exec_value(kd3->mixed, pooled), bytes);
    const double student = ws_embedding_contrast(&kd3->embed_s, step->n, temperature, weight);
    const double teacher = ws_embedding_contrast(&kd3->embed_t, step->n, temperature, weight);
    ws_step_add_loss(step, "contrast_student", student);
    ws_step_add_loss(step, "contrast_teacher", teacher);
    step->loss += weight * (student + teacher);
}

static void add_rows(float *to, const float *from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] += from[i];
}

/* Gradients of both embeddings, and of the student's pooled features: of X, then of X'. */
static const float *propagate_contrast(struct kd3 *kd3)
{
    ws_net_zero_gradients(kd3->embed_s.net);
    ws_net_zero_gradients(kd3->embed_t.net);
    ws_embedding_backward(&kd3->embed_t);
    return ws_embedding_backward(&kd3->embed_s);
}

static void propagate(struct kd3 *kd3, const struct ws_step *step)
{
    const int pooled = kd3->trainee.model->pooled;
    const float *gradient = kd3->has_contrast ? propagate_contrast(kd3) : NULL;
    const size_t n = (size_t)step->n * (size_t)kd3->embed_s.features;
    ws_net_zero_gradients(kd3->trainee.model->net);
    if (gradient)
        add_rows(ws_exec_seed(kd3->trainee.exec, pooled), gradient, n);
    ws_exec_backward(kd3->trainee.exec);
    if (!kd3->mixed)
        return;
    if (ws_exec_is_lodger(kd3->mixed))
        ws_exec_forward_again(kd3->mixed);
    add_rows(ws_exec_seed(kd3->mixed, pooled), gradient + n, n);
    ws_exec_backward(kd3->mixed);
}

static enum ws_status update(struct kd3 *kd3, struct ws_step *step, struct ws_err *err)
{
    const double student = ws_gradient_norm(kd3->trainee.model->net);
    const double embed_s = kd3->has_contrast ? ws_gradient_norm(kd3->embed_s.net) : 0.0;
    const double embed_t = kd3->has_contrast ? ws_gradient_norm(kd3->embed_t.net) : 0.0;
    const double norm = sqrt(student * student + embed_s * embed_s + embed_t * embed_t);
    const enum ws_status status = ws_step_check_gradient(step, norm, err);
    if (status != WS_OK)
        return status;
    ws_exec_move_statistics(kd3->trainee.exec);
    ws_optim_step(&kd3->trainee.optim, kd3->trainee.model->net, step->lr);
    if (kd3->mixed)
        ws_exec_move_statistics(kd3->mixed);
    if (!kd3->has_contrast)
        return WS_OK;
    ws_optim_step(&kd3->embed_s.optim, kd3->embed_s.net, step->lr);
    ws_optim_step(&kd3->embed_t.optim, kd3->embed_t.net, step->lr);
    return WS_OK;
}

enum ws_status kd3_step(void *state, struct ws_step *step, struct ws_err *err)
{
    struct kd3 *kd3 = state;
    struct ws_exec *exec = kd3->trainee.exec;
    load_images(kd3, step);
    if (kd3->mixed)
        run_mixed(kd3, step);
    ws_exec_forward(exec, step->n, WS_BN_BATCH);
    run_teacher(kd3, ws_exec_input(exec), step->n, 0); /* last, as its maps are read in place */
    step->loss = kd3->options->share ? align(kd3, step) : imitate(kd3, step, kd3->options->kl_temperature, 1.0);
    const struct ws_conf_kd3_plus *plus = kd3->plus.options;
    if (plus && plus->kl_weight > 0.0 && kd3->options->share)
        step->loss += imitate(kd3, step, plus->kl_temperature, plus->kl_weight);
    if (kd3->is_cross)
        contrast_networks(kd3, step);
    else if (kd3->has_contrast)
        contrast_copies(kd3, step);
    const enum ws_status status = ws_step_check(step, err);
    if (status != WS_OK)
        return status;
    propagate(kd3, step);
    return update(kd3, step, err);
}

void kd3_save(void *state, struct ws_checkpoint *checkpoint)
{
    const struct kd3 *kd3 = state;
    ws_checkpoint_add_net(checkpoint, "student", kd3->trainee.model->net, &kd3->trainee.optim);
    if (!kd3->has_contrast)
        return;
    ws_checkpoint_add_net(checkpoint, "contrast", kd3->embed_s.net, &kd3->embed_s.optim);
    ws_checkpoint_add_net(checkpoint, "contrast_teacher", kd3->embed_t.net, &kd3->embed_t.optim);
}

enum ws_status kd3_load(void *state, const struct ws_tensors *checkpoint, struct ws_err *err)
{
    struct kd3 *kd3 = state;
    enum ws_status status =
        ws_checkpoint_get_net(checkpoint, "student", kd3->trainee.model->net, &kd3->trainee.optim, err);
    if (status == WS_OK && kd3->has_contrast)
        status = ws_checkpoint_get_net(checkpoint, "contrast", kd3->embed_s.net, &kd3->embed_s.optim, err);
    if (status == WS_OK && kd3->has_contrast)
        status = ws_checkpoint_get_net(checkpoint, "contrast_teacher", kd3->embed_t.net, &kd3->embed_t.optim, err);
    return status;
}

int kd3_networks(void *state, struct ws_method_network *list)
{
    const struct kd3 *kd3 = state;
    const struct ws_predictor *teacher = kd3->session->teacher_predictor;
    int n = 0;
    list[n++] = (struct ws_method_network){"student", kd3->trainee.model->net, kd3->trainee.exec};
    if (kd3->mixed)
        list[n++] = (struct ws_method_network){"mixed", &kd3->backbone, kd3->mixed};
    list[n++] = (struct ws_method_network){"teacher", teacher->model->net, teacher->exec};
    if (kd3->has_contrast) {
        list[n++] = (struct ws_method_network){"embed_s", kd3->embed_s.net, kd3->embed_s.exec};
        list[n++] = (struct ws_method_network){"embed_t", kd3->embed_t.net, kd3->embed_t.exec};
    }
    return n;
}

const struct ws_method ws_method_kd3 = {
    .name = "kd3",
    .summary = "selection by teacher and student, shared classifier, feature alignment, contrast",
    .open = open_kd3,
    .epoch_begin = kd3_epoch_begin,
    .step = kd3_step,
    .save = kd3_save,
    .load = kd3_load,
    .networks = kd3_networks,
    .close = kd3_close,
};
