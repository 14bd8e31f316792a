/*
 * BatchNorm with what is fused behind it: y = relu(x scale + shift + residual).
 *
 *   train    mean, var over batch and pixels;  scale = gamma/sqrt(var+eps);  shift = beta - mean scale
 *            running = (1-m) running + m batch, the variance unbiased (n/(n-1)) as in PyTorch
 *   eval     the running statistics instead
 *   backward, train:  dx = scale (dy - Σdy/n - (x-mean) invstd² Σ dy(x-mean)/n) = a dy + b x + d
 *   backward, eval and frozen:  dx = scale dy
 */
#include "exec_int.h"

#include <math.h>
#include <string.h>

struct pass {
    struct ws_exec *e;
    const struct step *s;
    const struct ws_node *node;
    const float *a, *b, *d; /* [channels] scale and shift forward; coefficients of dx backward */
    bool add_dx, add_residual, want_residual;
};

enum { GAMMA, BETA, MEAN, VAR };

static void moments_slice(void *argument, int slice, int worker)
{
    (void)worker;
    const struct pass *p = argument;
    const struct ws_exec *e = p->e;
    size_t first = slice_begin(e, slice), n = slice_begin(e, slice + 1) - first;
    double *sum = e->sums + (size_t)slice * 2 * e->max_channels;
    memset(sum, 0, 2 * e->max_channels * sizeof *sum);
    size_t rows = (size_t)p->node->height * (size_t)p->node->width;
    e->kernels->channel_moments(e->value[p->s->x] + first * image_floats(e, p->s->x), n * rows, p->node->channels,
                                param_values(e, p->node, MEAN), sum, sum + e->max_channels);
}

/** Total of one of the two slice sums of a channel, in slice order. */
static double total(const struct ws_exec *e, int which, size_t channel)
{
    double t = 0;
    for (size_t i = 0; i < N_SLICES; i++)
        t += e->sums[(i * 2 + (size_t)which) * e->max_channels + channel];
    return t;
}

/** Batch statistics from the sums around the running mean; updates the running statistics. */
static void take_statistics(struct ws_exec *e, const struct ws_node *node, struct bn_state *state)
{
    double n = (double)e->batch * node->height * node->width;
    float *running_mean = param_values(e, node, MEAN), *running_var = param_values(e, node, VAR);
    for (size_t c = 0; c < (size_t)node->channels; c++) {
        double shifted = total(e, 0, c) / n;
        double mean = running_mean[c] + shifted;
        double var = total(e, 1, c) / n - shifted * shifted;
        var = var > 0 ? var : 0;
        state->mean[c] = (float)mean;
        state->invstd[c] = (float)(1 / sqrt(var + node->bn_eps));
        double m = node->bn_momentum;
        running_mean[c] = (float)((1 - m) * running_mean[c] + m * mean);
        running_var[c] = (float)((1 - m) * running_var[c] + m * var * (n > 1 ? n / (n - 1) : 1));
    }
}

static void use_running(const struct ws_exec *e, const struct ws_node *node, struct bn_state *state)
{
    const float *mean = param_values(e, node, MEAN), *var = param_values(e, node, VAR);
    for (size_t c = 0; c < (size_t)node->channels; c++) {
        state->mean[c] = mean[c];
        state->invstd[c] = (float)(1 / sqrt((double)var[c] + node->bn_eps));
    }
}

static void forward_slice(void *argument, int slice, int worker)
{
    (void)worker;
    const struct pass *p = argument;
    const struct ws_exec *e = p->e;
    size_t first = slice_begin(e, slice), n = slice_begin(e, slice + 1) - first;
    size_t at = first * image_floats(e, p->s->out);
    size_t rows = (size_t)p->node->height * (size_t)p->node->width;
    e->kernels->scale_shift(e->value[p->s->x] + at, n * rows, p->node->channels, p->a, p->b,
                            p->s->other >= 0 ? e->value[p->s->other] + at : NULL, p->s->relu,
                            e->value[p->s->out] + at);
}

/** True when the convolution just before has already summed this step's moments. */
static bool has_moments(const struct ws_exec *e, const struct step *s)
{
    return s > e->steps && s[-1].moments_of == (int)(s - e->steps);
}

void batchnorm_forward(struct ws_exec *e, const struct step *s)
{
    const struct ws_node *node = &e->net->nodes[s->node];
    struct bn_state *state = &e->bn[s->node];
    float *scale = e->constants + e->max_channels, *shift = scale + e->max_channels;
    struct pass p = {.e = e, .s = s, .node = node, .a = scale, .b = shift};
    if (e->mode == WS_BN_TRAIN) {
        if (!has_moments(e, s))
            ws_pool_run(e->pool, N_SLICES, moments_slice, &p);
        take_statistics(e, node, state);
    } else {
        use_running(e, node, state);
    }
    const float *gamma = param_values(e, node, GAMMA), *beta = param_values(e, node, BETA);
    for (size_t c = 0; c < (size_t)node->channels; c++) {
        double k = (double)gamma[c] * state->invstd[c];
        scale[c] = (float)k;
        shift[c] = (float)(beta[c] - state->mean[c] * k);
    }
    ws_pool_run(e->pool, N_SLICES, forward_slice, &p);
}

static void reduce_slice(void *argument, int slice, int worker)
{
    (void)worker;
    const struct pass *p = argument;
    struct ws_exec *e = p->e;
    size_t first = slice_begin(e, slice), n = slice_begin(e, slice + 1) - first;
    size_t floats = image_floats(e, p->s->out), at = first * floats;
    size_t rows = (size_t)p->node->height * (size_t)p->node->width;
    double *sum = e->sums + (size_t)slice * 2 * e->max_channels;
    memset(sum, 0, 2 * e->max_channels * sizeof *sum);
    float *dy = e->gradient[p->s->out] + at;
    e->kernels->batchnorm_reduce(dy, p->s->relu ? e->value[p->s->out] + at : NULL, e->value[p->s->x] + at, n * rows,
                                 p->node->channels, e->bn[p->s->node].mean, sum, sum + e->max_channels);
    if (p->want_residual)
        e->kernels->relu_dx(dy, NULL, n * floats, p->add_residual, e->gradient[p->s->other] + at);
}

static void dx_slice(void *argument, int slice, int worker)
{
    (void)worker;
    const struct pass *p = argument;
    struct ws_exec *e = p->e;
    size_t first = slice_begin(e, slice), n = slice_begin(e, slice + 1) - first;
    size_t at = first * image_floats(e, p->s->out);
    size_t rows = (size_t)p->node->height * (size_t)p->node->width;
    e->kernels->batchnorm_dx(e->gradient[p->s->out] + at, e->value[p->s->x] + at, n * rows, p->node->channels, p->a, p->b,
                             p->d, p->add_dx, e->gradient[p->s->x] + at);
}

void batchnorm_backward(struct ws_exec *e, const struct step *s)
{
    const struct ws_node *node = &e->net->nodes[s->node];
    const struct bn_state *state = &e->bn[s->node];
    float *a = e->constants + e->max_channels, *b = a + e->max_channels, *d = b + e->max_channels;
    struct pass p = {.e = e, .s = s, .node = node, .a = a, .b = b, .d = d};
    p.want_residual = s->other >= 0 && e->wants_gradient[s->other];
    p.add_residual = p.want_residual && accumulate_into(e, s->other);
    ws_pool_run(e->pool, N_SLICES, reduce_slice, &p);

    double n = (double)e->batch * node->height * node->width;
    const float *gamma = param_values(e, node, GAMMA);
    float *d_gamma = e->mode == WS_BN_EVAL ? NULL : param_gradient(e, node, GAMMA);
    float *d_beta = e->mode == WS_BN_EVAL ? NULL : param_gradient(e, node, BETA);
    for (size_t c = 0; c < (size_t)node->channels; c++) {
        double sum = total(e, 0, c), dot = total(e, 1, c);
        double invstd = state->invstd[c], scale = gamma[c] * invstd;
        bool is_train = e->mode == WS_BN_TRAIN;
        double slope = is_train ? -scale * invstd * invstd * dot / n : 0;
        a[c] = (float)scale;
        b[c] = (float)slope;
        d[c] = (float)((is_train ? -scale * sum / n : 0) - state->mean[c] * slope);
        if (d_gamma)
            d_gamma[c] += (float)(dot * invstd);
        if (d_beta)
            d_beta[c] += (float)sum;
    }
    if (!e->wants_gradient[s->x])
        return;
    p.add_dx = accumulate_into(e, s->x);
    ws_pool_run(e->pool, N_SLICES, dx_slice, &p);
}
