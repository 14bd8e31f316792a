/*
 * The engine's plain twin: every op as nested loops over `real` (double unless told otherwise), and an interpreter that
 * runs a whole graph forward and backward with them. It shares nothing with the engine but the graph's description:
 * layout [image][y][x][channel], parameters in file order (convolution OIHW, linear [out, in] over C, H, W).
 */
#ifndef WEBSTILL_TESTS_REFERENCE_H
#define WEBSTILL_TESTS_REFERENCE_H

#include "webstill/base/rng.h"
#include "webstill/nn/exec.h"
#include "webstill/nn/graph.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef real
#define real double
#endif

struct reference {
    const struct ws_net *net;
    int batch;
    enum ws_bn_mode mode;
    real **value, **gradient;       /* per node */
    real **param, **param_gradient; /* per parameter, file order; running statistics are updated in `param` */
    real **mean, **inverse;         /* per BN node: what the last forward normalised with */
};

static inline void *reference_take(size_t n, size_t size_bytes)
{
    void *p = calloc(n ? n : 1, size_bytes);
    if (!p)
        abort();
    return p;
}

static inline size_t reference_size(const struct ws_net *net, int node)
{
    const struct ws_node *n = &net->nodes[node];
    return (size_t)n->height * (size_t)n->width * (size_t)n->channels;
}

static inline struct reference *reference_open(const struct ws_net *net, int batch)
{
    struct reference *r = reference_take(1, sizeof *r);
    r->net = net;
    r->batch = batch;
    const size_t n_nodes = (size_t)net->n_nodes, n_params = (size_t)net->n_params;
    r->value = reference_take(n_nodes, sizeof *r->value);
    r->gradient = reference_take(n_nodes, sizeof *r->gradient);
    r->mean = reference_take(n_nodes, sizeof *r->mean);
    r->inverse = reference_take(n_nodes, sizeof *r->inverse);
    r->param = reference_take(n_params, sizeof *r->param);
    r->param_gradient = reference_take(n_params, sizeof *r->param_gradient);
    for (int i = 0; i < net->n_nodes; i++) {
        const size_t n = (size_t)batch * reference_size(net, i);
        r->value[i] = reference_take(n, sizeof(real));
        r->gradient[i] = reference_take(n, sizeof(real));
        r->mean[i] = reference_take((size_t)net->nodes[i].channels, sizeof(real));
        r->inverse[i] = reference_take((size_t)net->nodes[i].channels, sizeof(real));
    }
    for (int i = 0; i < net->n_params; i++) {
        const size_t n = net->params[i].n;
        float *values = reference_take(n, sizeof *values);
        r->param[i] = reference_take(n, sizeof(real));
        r->param_gradient[i] = reference_take(n, sizeof(real));
        ws_net_get(net, i, values, n);
        for (size_t k = 0; k < n; k++)
            r->param[i][k] = (real)values[k];
        free(values);
    }
    return r;
}

static inline void reference_close(struct reference *r)
{
    for (int i = 0; i < r->net->n_nodes; i++) {
        free(r->value[i]);
        free(r->gradient[i]);
        free(r->mean[i]);
        free(r->inverse[i]);
    }
    for (int i = 0; i < r->net->n_params; i++) {
        free(r->param[i]);
        free(r->param_gradient[i]);
    }
    free(r->value);
    free(r->gradient);
    free(r->mean);
    free(r->inverse);
    free(r->param);
    free(r->param_gradient);
    free(r);
}

/* The twin runs on one thread, on arrays of its own: there is no race to find in its loops, and watched for one they
   take twenty minutes. */
#define REFERENCE_LOOP __attribute__((no_sanitize("thread")))

REFERENCE_LOOP static inline size_t reference_at(const struct ws_node *n, int image, int y, int x, int c)
{
    return (((size_t)image * (size_t)n->height + (size_t)y) * (size_t)n->width + (size_t)x) * (size_t)n->channels +
           (size_t)c;
}

/* --- convolution --- */

/* Calls for each product of the convolution: out[o] += in[i] * weight[w]; forward and both gradients are this walk. */
struct reference_walk {
    const real *in, *weight, *out_gradient;
    real *out, *in_gradient, *weight_gradient;
};

REFERENCE_LOOP static inline void reference_walk_conv(const struct reference *r, int id,
                                                      const struct reference_walk *walk)
{
    const struct ws_node *n = &r->net->nodes[id], *from = &r->net->nodes[n->inputs[0]];
    const struct ws_window *w = &n->conv.window;
    const int kh = w->kernel[0], kw = w->kernel[1], per_group = from->channels / n->conv.groups;
    for (int image = 0; image < r->batch; image++)
        for (int y = 0; y < n->height; y++)
            for (int x = 0; x < n->width; x++)
                for (int o = 0; o < n->channels; o++)
                    for (int c = 0; c < per_group; c++)
                        for (int ky = 0; ky < kh; ky++)
                            for (int kx = 0; kx < kw; kx++) {
                                const int iy = y * w->stride[0] + ky * w->dilation[0] - w->pads[0];
                                const int ix = x * w->stride[1] + kx * w->dilation[1] - w->pads[1];
                                const int group = o / (n->channels / n->conv.groups);
                                if (iy < 0 || iy >= from->height || ix < 0 || ix >= from->width)
                                    continue;
                                const size_t at_out = reference_at(n, image, y, x, o);
                                const size_t at_in = reference_at(from, image, iy, ix, group * per_group + c);
                                const size_t at_w =
                                    (((size_t)o * (size_t)per_group + (size_t)c) * (size_t)kh + (size_t)ky) *
                                        (size_t)kw +
                                    (size_t)kx;
                                if (walk->out)
                                    walk->out[at_out] += walk->in[at_in] * walk->weight[at_w];
                                if (walk->in_gradient)
                                    walk->in_gradient[at_in] += walk->out_gradient[at_out] * walk->weight[at_w];
                                if (walk->weight_gradient)
                                    walk->weight_gradient[at_w] += walk->out_gradient[at_out] * walk->in[at_in];
                            }
}

static inline void reference_bias(const struct reference *r, int id, real *out)
{
    const struct ws_node *n = &r->net->nodes[id];
    const real *bias = n->n_params > 1 ? r->param[n->params[1]] : NULL;
    const size_t total = (size_t)r->batch * reference_size(r->net, id), channels = (size_t)n->channels;
    for (size_t i = 0; bias && i < total; i++)
        out[i] += bias[i % channels];
}

static inline void reference_bias_gradient(const struct reference *r, int id)
{
    const struct ws_node *n = &r->net->nodes[id];
    const size_t total = (size_t)r->batch * reference_size(r->net, id), channels = (size_t)n->channels;
    for (size_t i = 0; n->n_params > 1 && i < total; i++)
        r->param_gradient[n->params[1]][i % channels] += r->gradient[id][i];
}

static inline void reference_conv_forward(struct reference *r, int id)
{
    const struct ws_node *n = &r->net->nodes[id];
    const struct reference_walk walk = {
        .in = r->value[n->inputs[0]], .weight = r->param[n->params[0]], .out = r->value[id]};
    reference_walk_conv(r, id, &walk);
    reference_bias(r, id, r->value[id]);
    const size_t total = (size_t)r->batch * reference_size(r->net, id);
    for (size_t i = 0; i < total; i++) {
        if (ws_node_fused_add(n) >= 0)
            r->value[id][i] += r->value[n->conv.fused_add][i];
        if (n->conv.fused_relu && r->value[id][i] < 0)
            r->value[id][i] = 0;
    }
}

static inline void reference_conv_backward(struct reference *r, int id)
{
    const struct ws_node *n = &r->net->nodes[id];
    const struct reference_walk walk = {.in = r->value[n->inputs[0]],
                                        .weight = r->param[n->params[0]],
                                        .out_gradient = r->gradient[id],
                                        .in_gradient = r->gradient[n->inputs[0]],
                                        .weight_gradient = r->param_gradient[n->params[0]]};
    reference_walk_conv(r, id, &walk);
    reference_bias_gradient(r, id);
}

/* --- BatchNorm --- */

static inline void reference_batchnorm_forward(struct reference *r, int id)
{
    const struct ws_node *n = &r->net->nodes[id];
    const real *in = r->value[n->inputs[0]];
    const size_t channels = (size_t)n->channels, total = (size_t)r->batch * reference_size(r->net, id);
    const size_t count = total / channels;
    for (size_t c = 0; c < channels; c++) {
        real mean = r->param[n->params[2]][c], var = r->param[n->params[3]][c];
        if (r->mode == WS_BN_TRAIN) {
            mean = var = 0;
            for (size_t i = c; i < total; i += channels)
                mean += in[i];
            mean /= (real)count;
            for (size_t i = c; i < total; i += channels)
                var += (in[i] - mean) * (in[i] - mean);
            const real unbiased = var / (real)(count - 1);
            var /= (real)count;
            const real m = (real)n->batchnorm.momentum;
            r->param[n->params[2]][c] = (1 - m) * r->param[n->params[2]][c] + m * mean;
            r->param[n->params[3]][c] = (1 - m) * r->param[n->params[3]][c] + m * unbiased;
        }
        r->mean[id][c] = mean;
        r->inverse[id][c] = 1 / (real)sqrt((double)(var + (real)n->batchnorm.eps));
        for (size_t i = c; i < total; i += channels)
            r->value[id][i] =
                (in[i] - mean) * r->inverse[id][c] * r->param[n->params[0]][c] + r->param[n->params[1]][c];
    }
}

static inline void reference_batchnorm_backward(struct reference *r, int id)
{
    const struct ws_node *n = &r->net->nodes[id];
    const real *in = r->value[n->inputs[0]], *g = r->gradient[id];
    const size_t channels = (size_t)n->channels, total = (size_t)r->batch * reference_size(r->net, id);
    const real count = (real)(total / channels);
    for (size_t c = 0; c < channels; c++) {
        const real gamma = r->param[n->params[0]][c], inverse = r->inverse[id][c], mean = r->mean[id][c];
        real sum = 0, sum_x = 0;
        for (size_t i = c; i < total; i += channels) {
            sum += g[i];
            sum_x += g[i] * (in[i] - mean) * inverse;
        }
        r->param_gradient[n->params[0]][c] += sum_x;
        r->param_gradient[n->params[1]][c] += sum;
        for (size_t i = c; i < total; i += channels) {
            real d = g[i];
            if (r->mode == WS_BN_TRAIN)
                d -= sum / count + (in[i] - mean) * inverse * sum_x / count;
            r->gradient[n->inputs[0]][i] += d * gamma * inverse;
        }
    }
}

/* --- pooling, linear --- */

/* Pixel of tap k of a window along one axis. */
static inline int reference_tap(const struct ws_window *w, int axis, int out, int k)
{
    return out * w->stride[axis] - w->pads[axis] + k * w->dilation[axis];
}

static inline void reference_pool_one(struct reference *r, int id, int image, int y, int x, int c, bool backward)
{
    const struct ws_node *n = &r->net->nodes[id], *from = &r->net->nodes[n->inputs[0]];
    const struct ws_window w = n->op == WS_OP_GLOBAL_AVERAGE_POOL
                                   ? (struct ws_window){{from->height, from->width}, {1, 1}, {1, 1}, {0}}
                                   : n->pool.window;
    const real *in = r->value[n->inputs[0]];
    const size_t at_out = reference_at(n, image, y, x, c);
    real sum = 0, top = -INFINITY;
    size_t top_at = SIZE_MAX;
    int count = 0, padded = 0;
    for (int pass = 0; pass <= (int)backward; pass++)
        for (int ky = 0; ky < w.kernel[0]; ky++)
            for (int kx = 0; kx < w.kernel[1]; kx++) {
                const int iy = reference_tap(&w, 0, y, ky), ix = reference_tap(&w, 1, x, kx);
                const bool is_inside = iy >= 0 && iy < from->height && ix >= 0 && ix < from->width;
                if (pass == 0)
                    padded += iy < from->height + w.pads[2] && ix < from->width + w.pads[3];
                if (!is_inside)
                    continue;
                const size_t at = reference_at(from, image, iy, ix, c);
                if (pass == 1 && n->op != WS_OP_MAX_POOL)
                    r->gradient[n->inputs[0]][at] +=
                        r->gradient[id][at_out] / (real)(n->pool.count_padding ? padded : count);
                if (pass == 1)
                    continue;
                if (count++ == 0 || in[at] > top) {
                    top = in[at];
                    top_at = at;
                }
                sum += in[at];
            }
    if (!backward)
        r->value[id][at_out] = n->op == WS_OP_MAX_POOL ? top : sum / (real)(n->pool.count_padding ? padded : count);
    else if (n->op == WS_OP_MAX_POOL && top_at != SIZE_MAX)
        r->gradient[n->inputs[0]][top_at] += r->gradient[id][at_out];
}

static inline void reference_pool(struct reference *r, int id, bool backward)
{
    const struct ws_node *n = &r->net->nodes[id];
    for (int image = 0; image < r->batch; image++)
        for (int y = 0; y < n->height; y++)
            for (int x = 0; x < n->width; x++)
                for (int c = 0; c < n->channels; c++)
                    reference_pool_one(r, id, image, y, x, c, backward);
}

static inline void reference_gemm(struct reference *r, int id, bool backward)
{
    const struct ws_node *n = &r->net->nodes[id], *from = &r->net->nodes[n->inputs[0]];
    const real *weight = r->param[n->params[0]];
    const size_t width = reference_size(r->net, n->inputs[0]);
    for (int image = 0; image < r->batch; image++)
        for (int o = 0; o < n->channels; o++)
            for (int c = 0; c < from->channels; c++)
                for (int y = 0; y < from->height; y++)
                    for (int x = 0; x < from->width; x++) {
                        const size_t at = reference_at(from, image, y, x, c), out = reference_at(n, image, 0, 0, o);
                        const size_t at_w = (size_t)o * width +
                                            ((size_t)c * (size_t)from->height + (size_t)y) * (size_t)from->width +
                                            (size_t)x;
                        if (!backward) {
                            r->value[id][out] += r->value[n->inputs[0]][at] * weight[at_w];
                            continue;
                        }
                        r->gradient[n->inputs[0]][at] += r->gradient[id][out] * weight[at_w];
                        r->param_gradient[n->params[0]][at_w] += r->gradient[id][out] * r->value[n->inputs[0]][at];
                    }
    if (backward)
        reference_bias_gradient(r, id);
    else
        reference_bias(r, id, r->value[id]);
}

#include "reference_ops.h"

/* --- whole graphs --- */

/* Fill r->value[0] first. */
static inline void reference_forward(struct reference *r, enum ws_bn_mode mode)
{
    r->mode = mode;
    for (int id = 0; id < r->net->n_nodes; id++) {
        const size_t n = (size_t)r->batch * reference_size(r->net, id);
        memset(r->gradient[id], 0, n * sizeof(real));
        if (id > 0)
            memset(r->value[id], 0, n * sizeof(real));
        switch (r->net->nodes[id].op) {
        case WS_OP_INPUT:
            break;
        case WS_OP_CONV:
            reference_conv_forward(r, id);
            break;
        case WS_OP_BATCHNORM:
            reference_batchnorm_forward(r, id);
            break;
        case WS_OP_MAX_POOL:
        case WS_OP_AVERAGE_POOL:
        case WS_OP_GLOBAL_AVERAGE_POOL:
            reference_pool(r, id, false);
            break;
        case WS_OP_GEMM:
            reference_gemm(r, id, false);
            break;
        default:
            if (!reference_op(r, id, false))
                abort();
        }
    }
}

/* Add the weights to r->gradient[...] first; parameter gradients are added to. */
static inline void reference_backward(struct reference *r)
{
    for (int id = r->net->n_nodes - 1; id > 0; id--) {
        switch (r->net->nodes[id].op) {
        case WS_OP_INPUT:
            break;
        case WS_OP_CONV:
            reference_conv_backward(r, id);
            break;
        case WS_OP_BATCHNORM:
            reference_batchnorm_backward(r, id);
            break;
        case WS_OP_MAX_POOL:
        case WS_OP_AVERAGE_POOL:
        case WS_OP_GLOBAL_AVERAGE_POOL:
            reference_pool(r, id, true);
            break;
        case WS_OP_GEMM:
            reference_gemm(r, id, true);
            break;
        default:
            if (!reference_op(r, id, true))
                abort();
        }
    }
}

/* How far the inputs of the last forward were from the nearest kink of any op. */
static inline double reference_kink_distance(const struct reference *r)
{
    double least = INFINITY;
    for (int id = 0; id < r->net->n_nodes; id++) {
        const struct ws_node *node = &r->net->nodes[id];
        const size_t n = node->n_inputs == 1 ? (size_t)r->batch * reference_size(r->net, node->inputs[0]) : 0;
        for (size_t i = 0; i < n; i++)
            least = fmin(least, reference_kink(node, (double)r->value[node->inputs[0]][i]));
    }
    return least;
}

/* --- random values for tests --- */

static inline void reference_fill(float *values, size_t n, uint64_t seed, uint32_t what)
{
    struct ws_rng rng;
    ws_rng_init(&rng, seed, WS_STREAM_TEST, what, 0);
    for (size_t i = 0; i < n; i++)
        values[i] = (float)(2.0 * ws_rng_uniform(&rng) - 1.0);
}

/* Random weights; BN scales around 1 and running variances in 0.5 .. 1.5. */
static inline void reference_randomise(struct ws_net *net, uint64_t seed)
{
    for (int i = 0; i < net->n_params; i++) {
        const struct ws_param *param = &net->params[i];
        float *values = reference_take(param->n, sizeof *values);
        reference_fill(values, param->n, seed, 1000U + (uint32_t)i);
        const char *dot = strrchr(param->name, '.');
        const bool around_one = strcmp(dot, ".running_var") == 0 || (param->rank == 1 && strcmp(dot, ".weight") == 0);
        for (size_t k = 0; around_one && k < param->n; k++)
            values[k] = 1.0F + 0.5F * values[k];
        ws_net_set(net, i, values, param->n);
        free(values);
    }
}

#endif
