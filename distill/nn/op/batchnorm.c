/*
 * BatchNorm with what is fused behind it: y = relu(x scale + shift + residual).
 *
 *   train    mean, var over batch and pixels;  scale = gamma/sqrt(var+eps);  shift = beta - mean scale
 *            running = (1-m) running + m batch, the variance unbiased (n/(n-1)) as in PyTorch
 *   batch    as train, the running statistics later
 *   eval     the running statistics instead
 *   observe  as eval; the batch's mean and var are kept beside it
 *   backward, train:  dx = scale (dy - Σdy/n - (x-mean) invstd² Σ dy(x-mean)/n) = a dy + b x + d
 *   backward, eval, frozen and observe:  dx = scale dy
 *   and where a loss reads the batch's statistics:  dx += dmean/n + 2 dvar (x-mean)/n
 */
#include "cpu/exec_int.h"
#include "graph/net_int.h"
#include "graph/row.h"

#include <math.h>
#include <string.h>

/* --- the shape --- */

int ws_net_batchnorm(struct ws_net *net, const char *name, int x)
{
    int id;
    struct ws_node *node = ws_net_append(net, WS_OP_BATCHNORM, name, x, &id);
    if (!node)
        return 0;
    node->batchnorm.momentum = 0.1;
    node->batchnorm.eps = 1e-5;
    int channels = node->channels;
    ws_net_add_param(net, id, "weight", 1, &channels, 1, 1, false);
    ws_net_add_param(net, id, "bias", 1, &channels, 1, 1, false);
    ws_net_add_param(net, id, "running_mean", 1, &channels, 1, 1, true);
    ws_net_add_param(net, id, "running_var", 1, &channels, 1, 1, true);
    return id;
}

/* --- values and gradients --- */

struct pass {
    struct ws_exec *e;
    const struct ws_plan_step *s;
    const struct ws_node *node;
    const float *a, *b, *d; /* [channels] scale and shift forward; coefficients of dx backward */
    const float *pivot;     /* [channels] what the moments are taken around */
    bool add_dx, add_residual, want_residual;
};

enum { GAMMA, BETA, MEAN, VAR };

enum { FAR_SQUARED = 64 }; /* squared distance of mean and pivot, in variances, that costs too many digits */

static void moments_slice(void *argument, int slice, int worker)
{
    (void)worker;
    const struct pass *p = argument;
    const struct ws_exec *e = p->e;
    size_t first = ws_exec_slice_begin(e, slice), n = ws_exec_slice_begin(e, slice + 1) - first;
    double *sum = e->sums + (size_t)slice * 2 * e->max_channels;
    memset(sum, 0, 2 * e->max_channels * sizeof *sum);
    size_t rows = (size_t)p->node->height * (size_t)p->node->width;
    e->kernels->channel_moments(e->value[p->s->x] + first * ws_exec_image_floats(e, p->s->x), n * rows,
                                p->node->channels, p->pivot, sum, sum + e->max_channels);
}

/** Total of one of the two slice sums of a channel, in slice order. */
static double total(const struct ws_exec *e, int which, size_t channel)
{
    double t = 0;
    for (size_t i = 0; i < WS_N_SLICES; i++)
        t += e->sums[(i * 2 + (size_t)which) * e->max_channels + channel];
    return t;
}

/** Batch mean and biased variance from the sums around the pivot; true when a mean is far enough from it to blur its
 * variance. */
static bool take_moments(const struct pass *p, struct ws_bn_state *state)
{
    const double n = (double)p->e->batch * p->node->height * p->node->width;
    bool is_far = false;
    for (size_t c = 0; c < (size_t)p->node->channels; c++) {
        double shifted = total(p->e, 0, c) / n;
        double var = total(p->e, 1, c) / n - shifted * shifted;
        is_far = is_far || shifted * shifted > FAR_SQUARED * var;
        state->batch_mean[c] = (float)(p->pivot[c] + shifted);
        state->batch_var[c] = (float)(var > 0 ? var : 0);
    }
    return is_far;
}

/** The batch's statistics: in one pass around the running mean where that is near (`is_summed`: done by the
 * convolution). */
static void observe(struct pass *p, struct ws_bn_state *state, bool is_summed)
{
    struct ws_exec *e = p->e;
    p->pivot = ws_exec_param_values(e, p->node, MEAN);
    if (!is_summed)
        ws_exec_run_slices(e, moments_slice, p);
    if (!take_moments(p, state))
        return;
    float *pivot = e->constants + 3 * e->max_channels;
    memcpy(pivot, state->batch_mean, (size_t)p->node->channels * sizeof *pivot);
    p->pivot = pivot;
    ws_exec_run_slices(e, moments_slice, p);
    take_moments(p, state);
}

/** Normalise with the batch's statistics. */
static void use_batch(const struct ws_node *node, struct ws_bn_state *state)
{
    for (size_t c = 0; c < (size_t)node->channels; c++) {
        state->mean[c] = state->batch_mean[c];
        state->invstd[c] = (float)(1 / sqrt((double)state->batch_var[c] + node->batchnorm.eps));
    }
}

/** Move the running statistics towards the batch's. */
static void move_running(const struct ws_exec *e, const struct ws_node *node, const struct ws_bn_state *state)
{
    const double n = (double)e->batch * node->height * node->width, m = node->batchnorm.momentum;
    float *running_mean = ws_exec_param_values(e, node, MEAN), *running_var = ws_exec_param_values(e, node, VAR);
    for (size_t c = 0; c < (size_t)node->channels; c++) {
        const double mean = state->batch_mean[c], var = state->batch_var[c];
        running_mean[c] = (float)((1 - m) * running_mean[c] + m * mean);
        running_var[c] = (float)((1 - m) * running_var[c] + m * var * (n > 1 ? n / (n - 1) : 1));
    }
}

void ws_exec_move_statistics(struct ws_exec *exec)
{
    ws_assert(exec->mode == WS_BN_BATCH);
    for (int i = 0; i < exec->n_steps; i++)
        if (exec->steps[i].op == WS_OP_BATCHNORM)
            move_running(exec, &exec->net->nodes[exec->steps[i].node], &exec->bn[exec->steps[i].node]);
}

static void use_running(const struct ws_exec *e, const struct ws_node *node, struct ws_bn_state *state)
{
    const float *mean = ws_exec_param_values(e, node, MEAN), *var = ws_exec_param_values(e, node, VAR);
    for (size_t c = 0; c < (size_t)node->channels; c++) {
        state->mean[c] = mean[c];
        state->invstd[c] = (float)(1 / sqrt((double)var[c] + node->batchnorm.eps));
    }
}

static void forward_slice(void *argument, int slice, int worker)
{
    (void)worker;
    const struct pass *p = argument;
    const struct ws_exec *e = p->e;
    size_t first = ws_exec_slice_begin(e, slice), n = ws_exec_slice_begin(e, slice + 1) - first;
    size_t at = first * ws_exec_image_floats(e, p->s->out);
    size_t rows = (size_t)p->node->height * (size_t)p->node->width;
    e->kernels->affine(e->value[p->s->x] + at, n * rows, p->node->channels, p->a, p->b,
                       p->s->other >= 0 ? e->value[p->s->other] + at : NULL, p->s->top, e->value[p->s->out] + at);
}

/** True when the convolution just before has already summed this step's moments. */
static bool has_moments(const struct ws_exec *e, const struct ws_plan_step *s)
{
    return s > e->steps && s[-1].moments_of == (int)(s - e->steps);
}

static void batchnorm_forward(struct ws_exec *e, const struct ws_plan_step *s)
{
    const struct ws_node *node = &e->net->nodes[s->node];
    struct ws_bn_state *state = &e->bn[s->node];
    float *scale = state->scale, *shift = state->shift;
    struct pass p = {.e = e, .s = s, .node = node, .a = scale, .b = shift};
    state->top = s->top;
    state->is_seeded[0] = state->is_seeded[1] = false;
    if (ws_exec_is_training(e) || e->mode == WS_BN_OBSERVE)
        observe(&p, state, ws_exec_is_training(e) && has_moments(e, s));
    if (ws_exec_is_training(e))
        use_batch(node, state);
    else
        use_running(e, node, state);
    if (e->mode == WS_BN_TRAIN)
        move_running(e, node, state);
    const float *gamma = ws_exec_param_values(e, node, GAMMA), *beta = ws_exec_param_values(e, node, BETA);
    for (size_t c = 0; c < (size_t)node->channels; c++) {
        double k = (double)gamma[c] * state->invstd[c];
        scale[c] = (float)k;
        shift[c] = (float)(beta[c] - state->mean[c] * k);
    }
    if (!s->is_deferred)
        ws_exec_run_slices(e, forward_slice, &p);
}

static void reduce_slice(void *argument, int slice, int worker)
{
    (void)worker;
    const struct pass *p = argument;
    struct ws_exec *e = p->e;
    size_t first = ws_exec_slice_begin(e, slice), n = ws_exec_slice_begin(e, slice + 1) - first;
    size_t floats = ws_exec_image_floats(e, p->s->out), at = first * floats;
    size_t rows = (size_t)p->node->height * (size_t)p->node->width;
    double *sum = e->sums + (size_t)slice * 2 * e->max_channels;
    memset(sum, 0, 2 * e->max_channels * sizeof *sum);
    float *dy = e->gradient[p->s->out] + at;
    const struct ws_bn_state *state = &e->bn[p->s->node];
    const struct ws_affine forward = {state->scale, state->shift, state->top};
    const float *y =
        p->s->other >= 0 ? e->value[p->s->out] + at : NULL; /* without a residual, x tells what ReLU passed */
    e->kernels->batchnorm_reduce(dy, y, e->value[p->s->x] + at, n * rows, p->node->channels, state->mean, &forward, sum,
                                 sum + e->max_channels);
    if (p->want_residual)
        e->kernels->relu_dx(dy, NULL, n * floats, p->add_residual, e->gradient[p->s->other] + at);
}

static void dx_slice(void *argument, int slice, int worker)
{
    (void)worker;
    const struct pass *p = argument;
    struct ws_exec *e = p->e;
    size_t first = ws_exec_slice_begin(e, slice), n = ws_exec_slice_begin(e, slice + 1) - first;
    size_t at = first * ws_exec_image_floats(e, p->s->out);
    size_t rows = (size_t)p->node->height * (size_t)p->node->width;
    e->kernels->batchnorm_dx(e->gradient[p->s->out] + at, e->value[p->s->x] + at, n * rows, p->node->channels, p->a,
                             p->b, p->d, p->add_dx, e->gradient[p->s->x] + at);
}

/** Coefficients of dx from the sums over dy, and what gamma and beta learn from them. */
static void take_coefficients(struct ws_exec *e, const struct ws_node *node, const struct ws_bn_state *state, float *a,
                              float *b, float *d)
{
    const double n = (double)e->batch * node->height * node->width;
    const bool is_train = ws_exec_is_training(e), learns = is_train || e->mode == WS_BN_FROZEN;
    const float *gamma = ws_exec_param_values(e, node, GAMMA);
    float *d_gamma = learns ? ws_exec_param_gradient(e, node, GAMMA) : NULL,
          *d_beta = learns ? ws_exec_param_gradient(e, node, BETA) : NULL;
    for (size_t c = 0; c < (size_t)node->channels; c++) {
        double sum = total(e, 0, c), dot = total(e, 1, c);
        double invstd = state->invstd[c], scale = gamma[c] * invstd;
        double slope = is_train ? -scale * invstd * invstd * dot / n : 0;
        double of_mean = state->is_seeded[0] ? state->d_mean[c] / n : 0;
        double of_var = state->is_seeded[1] ? 2 * state->d_var[c] / n : 0;
        a[c] = (float)scale;
        b[c] = (float)(slope + of_var);
        d[c] = (float)((is_train ? -scale * sum / n : 0) - state->mean[c] * slope + of_mean -
                       state->batch_mean[c] * of_var);
        if (d_gamma)
            d_gamma[c] += (float)(dot * invstd);
        if (d_beta)
            d_beta[c] += (float)sum;
    }
}

static void batchnorm_backward(struct ws_exec *e, const struct ws_plan_step *s)
{
    const struct ws_node *node = &e->net->nodes[s->node];
    const struct ws_bn_state *state = &e->bn[s->node];
    float *a = state->a, *b = state->b, *d = state->d;
    struct pass p = {.e = e, .s = s, .node = node, .a = a, .b = b, .d = d};
    if (!e->has_gradient[s->out]) /* only its statistics are read by the loss */
        memset(e->gradient[s->out], 0, (size_t)e->batch * ws_exec_image_floats(e, s->out) * sizeof(float));
    else
        p.want_residual = s->other >= 0 && e->wants_gradient[s->other];
    p.add_residual = p.want_residual && ws_exec_accumulate_into(e, s->other);
    ws_exec_run_slices(e, reduce_slice, &p);
    take_coefficients(e, node, &e->bn[s->node], a, b, d);
    if (!e->wants_gradient[s->x])
        return;
    p.add_dx = ws_exec_accumulate_into(e, s->x);
    if (!s->leaves_dx)
        ws_exec_run_slices(e, dx_slice, &p);
}

const struct ws_op_row ws_op_batchnorm = {
    .forward = batchnorm_forward,
    .backward = batchnorm_backward,
};
