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
#include "cpu/view.h"
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
    const struct ws_exec_view *view;
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
    const struct ws_exec_view *view = p->view;
    size_t first = ws_exec_slice_begin(view, slice), n = ws_exec_slice_begin(view, slice + 1) - first;
    double *sum = view->scratch.sums + (size_t)slice * 2 * view->scratch.max_channels;
    memset(sum, 0, 2 * view->scratch.max_channels * sizeof *sum);
    size_t rows = (size_t)p->node->height * (size_t)p->node->width;
    view->kernels->channel_moments(view->value[p->s->x] + first * ws_exec_image_floats(view, p->s->x), n * rows,
                                   p->node->channels, p->pivot, sum, sum + view->scratch.max_channels);
}

/** Total of one of the two slice sums of a channel, in slice order. */
static double total(const struct ws_exec_view *view, int which, size_t channel)
{
    double t = 0;
    for (size_t i = 0; i < WS_N_SLICES; i++)
        t += view->scratch.sums[(i * 2 + (size_t)which) * view->scratch.max_channels + channel];
    return t;
}

/** Batch mean and biased variance from the sums around the pivot; true when a mean is far enough from it to blur its
 * variance. */
static bool take_moments(const struct pass *p, struct ws_bn_state *state)
{
    const double n = (double)p->view->n_images * p->node->height * p->node->width;
    bool is_far = false;
    for (size_t c = 0; c < (size_t)p->node->channels; c++) {
        double shifted = total(p->view, 0, c) / n;
        double var = total(p->view, 1, c) / n - shifted * shifted;
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
    const struct ws_exec_view *view = p->view;
    p->pivot = ws_exec_param_values(view, p->node, MEAN);
    if (!is_summed)
        ws_exec_run_slices(view, moments_slice, p);
    if (!take_moments(p, state))
        return;
    float *pivot = view->scratch.constants + 3 * view->scratch.max_channels;
    memcpy(pivot, state->batch_mean, (size_t)p->node->channels * sizeof *pivot);
    p->pivot = pivot;
    ws_exec_run_slices(view, moments_slice, p);
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
static void move_running(const struct ws_exec_view *view, const struct ws_node *node, const struct ws_bn_state *state)
{
    const double n = (double)view->n_images * node->height * node->width, m = node->batchnorm.momentum;
    float *running_mean = ws_exec_param_values(view, node, MEAN), *running_var = ws_exec_param_values(view, node, VAR);
    for (size_t c = 0; c < (size_t)node->channels; c++) {
        const double mean = state->batch_mean[c], var = state->batch_var[c];
        running_mean[c] = (float)((1 - m) * running_mean[c] + m * mean);
        running_var[c] = (float)((1 - m) * running_var[c] + m * var * (n > 1 ? n / (n - 1) : 1));
    }
}

void ws_batchnorm_move_running(const struct ws_exec_view *view, const struct ws_plan_step *s)
{
    move_running(view, &view->net->nodes[s->node], &view->bn[s->node]);
}

static void use_running(const struct ws_exec_view *view, const struct ws_node *node, struct ws_bn_state *state)
{
    const float *mean = ws_exec_param_values(view, node, MEAN), *var = ws_exec_param_values(view, node, VAR);
    for (size_t c = 0; c < (size_t)node->channels; c++) {
        state->mean[c] = mean[c];
        state->invstd[c] = (float)(1 / sqrt((double)var[c] + node->batchnorm.eps));
    }
}

static void forward_slice(void *argument, int slice, int worker)
{
    (void)worker;
    const struct pass *p = argument;
    const struct ws_exec_view *view = p->view;
    size_t first = ws_exec_slice_begin(view, slice), n = ws_exec_slice_begin(view, slice + 1) - first;
    size_t at = first * ws_exec_image_floats(view, p->s->out);
    size_t rows = (size_t)p->node->height * (size_t)p->node->width;
    view->kernels->affine(view->value[p->s->x] + at, n * rows, p->node->channels, p->a, p->b,
                          p->s->other >= 0 ? view->value[p->s->other] + at : NULL, p->s->top,
                          view->value[p->s->out] + at);
}

/** True when the convolution just before has already summed this step's moments. */
static bool has_moments(const struct ws_exec_view *view, const struct ws_plan_step *s)
{
    return s > view->plan->steps && s[-1].moments_of == (int)(s - view->plan->steps);
}

static void batchnorm_forward(const struct ws_exec_view *view, const struct ws_plan_step *s)
{
    const struct ws_node *node = &view->net->nodes[s->node];
    struct ws_bn_state *state = &view->bn[s->node];
    float *scale = state->scale, *shift = state->shift;
    struct pass p = {.view = view, .s = s, .node = node, .a = scale, .b = shift};
    state->top = s->top;
    state->is_asked[0] = state->is_asked[1] = false;
    if (ws_exec_is_training(view) || view->mode == WS_BN_OBSERVE)
        observe(&p, state, ws_exec_is_training(view) && has_moments(view, s));
    if (ws_exec_is_training(view))
        use_batch(node, state);
    else
        use_running(view, node, state);
    if (view->mode == WS_BN_TRAIN)
        move_running(view, node, state);
    const float *gamma = ws_exec_param_values(view, node, GAMMA), *beta = ws_exec_param_values(view, node, BETA);
    for (size_t c = 0; c < (size_t)node->channels; c++) {
        double k = (double)gamma[c] * state->invstd[c];
        scale[c] = (float)k;
        shift[c] = (float)(beta[c] - state->mean[c] * k);
    }
    if (!s->is_deferred)
        ws_exec_run_slices(view, forward_slice, &p);
}

static void reduce_slice(void *argument, int slice, int worker)
{
    (void)worker;
    const struct pass *p = argument;
    const struct ws_exec_view *view = p->view;
    size_t first = ws_exec_slice_begin(view, slice), n = ws_exec_slice_begin(view, slice + 1) - first;
    size_t floats = ws_exec_image_floats(view, p->s->out), at = first * floats;
    size_t rows = (size_t)p->node->height * (size_t)p->node->width;
    double *sum = view->scratch.sums + (size_t)slice * 2 * view->scratch.max_channels;
    memset(sum, 0, 2 * view->scratch.max_channels * sizeof *sum);
    float *dy = view->gradient[p->s->out] + at;
    const struct ws_bn_state *state = &view->bn[p->s->node];
    const struct ws_affine forward = {state->scale, state->shift, state->top};
    const float *y =
        p->s->other >= 0 ? view->value[p->s->out] + at : NULL; /* without a residual, x tells what ReLU passed */
    view->kernels->batchnorm_reduce(dy, y, view->value[p->s->x] + at, n * rows, p->node->channels, state->mean,
                                    &forward, sum, sum + view->scratch.max_channels);
    if (p->want_residual)
        view->kernels->relu_dx(dy, NULL, n * floats, p->add_residual, view->gradient[p->s->other] + at);
}

static void dx_slice(void *argument, int slice, int worker)
{
    (void)worker;
    const struct pass *p = argument;
    const struct ws_exec_view *view = p->view;
    size_t first = ws_exec_slice_begin(view, slice), n = ws_exec_slice_begin(view, slice + 1) - first;
    size_t at = first * ws_exec_image_floats(view, p->s->out);
    size_t rows = (size_t)p->node->height * (size_t)p->node->width;
    view->kernels->batchnorm_dx(view->gradient[p->s->out] + at, view->value[p->s->x] + at, n * rows, p->node->channels,
                                p->a, p->b, p->d, p->add_dx, view->gradient[p->s->x] + at);
}

/** Coefficients of dx from the sums over dy, and what gamma and beta learn from them. */
static void take_coefficients(const struct ws_exec_view *view, const struct ws_node *node,
                              const struct ws_bn_state *state, float *a, float *b, float *d)
{
    const double n = (double)view->n_images * node->height * node->width;
    const bool is_train = ws_exec_is_training(view), learns = is_train || view->mode == WS_BN_FROZEN;
    const float *gamma = ws_exec_param_values(view, node, GAMMA);
    float *d_gamma = learns ? ws_exec_param_gradient(view, node, GAMMA) : NULL,
          *d_beta = learns ? ws_exec_param_gradient(view, node, BETA) : NULL;
    for (size_t c = 0; c < (size_t)node->channels; c++) {
        double sum = total(view, 0, c), dot = total(view, 1, c);
        double invstd = state->invstd[c], scale = gamma[c] * invstd;
        double slope = is_train ? -scale * invstd * invstd * dot / n : 0;
        double of_mean = state->is_asked[0] ? state->d_mean[c] / n : 0;
        double of_var = state->is_asked[1] ? 2 * state->d_var[c] / n : 0;
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

static void batchnorm_backward(const struct ws_exec_view *view, const struct ws_plan_step *s)
{
    const struct ws_node *node = &view->net->nodes[s->node];
    const struct ws_bn_state *state = &view->bn[s->node];
    float *a = state->a, *b = state->b, *d = state->d;
    struct pass p = {.view = view, .s = s, .node = node, .a = a, .b = b, .d = d};
    if (!view->has_gradient[s->out]) /* only its statistics are read by the loss */
        memset(view->gradient[s->out], 0, (size_t)view->n_images * ws_exec_image_floats(view, s->out) * sizeof(float));
    else
        p.want_residual = s->other >= 0 && view->plan->wants_gradient[s->other];
    p.add_residual = p.want_residual && ws_exec_accumulate_into(view, s->other);
    ws_exec_run_slices(view, reduce_slice, &p);
    take_coefficients(view, node, &view->bn[s->node], a, b, d);
    if (!view->plan->wants_gradient[s->x])
        return;
    p.add_dx = ws_exec_accumulate_into(view, s->x);
    if (!s->leaves_dx)
        ws_exec_run_slices(view, dx_slice, &p);
}

const struct ws_op_row ws_op_batchnorm = {
    .forward = batchnorm_forward,
    .backward = batchnorm_backward,
};
