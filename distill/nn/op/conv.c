/*
 * Convolution and gemm: the ways to run one, and which of them a step takes.
 *
 * A way is a row of its file. The first row that fits is taken when the step is planned and stands in it; what a way
 * does not do itself (bias, residual, dX in the general cases) is done here, or by the rows of the second table.
 */
#include "conv_int.h"
#include "graph/net_int.h"
#include "graph/row.h"
#include "window.h"

#include <limits.h>

/* --- the shape --- */

int ws_net_conv_grouped(struct ws_net *net, const char *name, int x, int out_channels, struct ws_window window,
                        int groups, bool has_bias)
{
    int id;
    struct ws_node *node = ws_net_append(net, WS_OP_CONV, name, x, &id);
    if (!node || !ws_net_set_window(net, id, &window, false))
        return 0;
    node->conv.window = window;
    int in_channels = node->channels;
    if (out_channels < 1 || out_channels > WS_MAX_CHANNELS) {
        ws_fail(&net->err, WS_E_CONFIG, "node \"%s\": %d output channels; expected 1 to %d", name, out_channels,
                WS_MAX_CHANNELS);
        return 0;
    }
    if (groups < 1 || in_channels % groups != 0 || out_channels % groups != 0) {
        ws_fail(&net->err, WS_E_CONFIG, "node \"%s\": %d groups do not divide %d input and %d output channels", name,
                groups, in_channels, out_channels);
        return 0;
    }
    node->channels = out_channels;
    node->conv.groups = groups;
    node->conv.fused_add = -1;
    const int per_group = in_channels / groups, area = window.kernel[0] * window.kernel[1];
    ws_net_add_param(net, id, "weight", 4, (int[]){out_channels, per_group, window.kernel[0], window.kernel[1]},
                     per_group, area, false);
    if (has_bias)
        ws_net_add_param(net, id, "bias", 1, &out_channels, 1, 1, false);
    return id;
}

int ws_net_conv(struct ws_net *net, const char *name, int x, int out_channels, struct ws_window window, bool has_bias)
{
    return ws_net_conv_grouped(net, name, x, out_channels, window, 1, has_bias);
}

int ws_net_gemm(struct ws_net *net, const char *name, int x, int out_features, bool has_bias)
{
    int id;
    struct ws_node *node = ws_net_append(net, WS_OP_GEMM, name, x, &id);
    if (!node)
        return 0;
    const int64_t inner = (int64_t)node->height * node->width * node->channels;
    if (out_features < 1 || inner > INT_MAX) {
        ws_fail(&net->err, WS_E_CONFIG, "node \"%s\": %d output features of %lld inputs", name, out_features,
                (long long)inner);
        return 0;
    }
    int window = node->height * node->width, channels = node->channels;
    node->height = node->width = 1;
    node->channels = out_features;
    ws_net_add_param(net, id, "weight", 2, (int[]){out_features, window * channels}, channels, window, false);
    if (has_bias)
        ws_net_add_param(net, id, "bias", 1, &out_features, 1, 1, false);
    return id;
}

/* --- values and gradients --- */

const struct ws_conv_way *const ws_conv_ways[] = {
    &ws_conv_depthwise,       /* one input and one output channel a group */
    &ws_conv_1x1,             /* ungrouped, stride 1: products of rows */
    &ws_conv_winograd_narrow, /* 3x3, stride 1, channels in sixteens; weights that fit a cache */
    &ws_conv_winograd_wide,   /* the same, all workers together */
    &ws_conv_direct,          /* narrow maps */
    &ws_conv_patches,         /* any */
    NULL,
};

const struct ws_conv_dx_way *const ws_conv_dx_ways[] = {
    &ws_conv_dx_product,   /* the input is the patch matrix */
    &ws_conv_dx_direct,    /* stride 1, narrow maps */
    &ws_conv_dx_flipped,   /* stride 1 */
    &ws_conv_dx_scattered, /* any */
    NULL,
};

void ws_conv_choose(const struct ws_net *net, struct ws_plan_step *s)
{
    const struct ws_conv_shape c = ws_conv_shape_of(net, s);
    int way = 0, dx = 0;
    while (!ws_conv_ways[way]->fits(&c))
        way++;
    while (!ws_conv_dx_ways[dx]->fits(&c))
        dx++;
    s->way = &ws_conv_ways[way]->plan;
    s->dx_way = &ws_conv_dx_ways[dx]->plan;
}

static const struct ws_conv_way *way_of(const struct ws_plan_step *s)
{
    return (const struct ws_conv_way *)s->way;
}

static const struct ws_conv_dx_way *dx_way_of(const struct ws_plan_step *s)
{
    return (const struct ws_conv_dx_way *)s->dx_way;
}

static struct ws_conv conv_of(const struct ws_exec_view *view, const struct ws_plan_step *s)
{
    struct ws_conv p = {.shape = ws_conv_shape_of(view->net, s), .view = view, .s = s};
    p.spare = view->scratch.step + (view->plan->has_backward ? WS_N_SLICES : 0) * view->scratch.n_weight;
    p.packed = view->packed ? view->packed[s - view->plan->steps] : NULL;
    p.after = s->after >= 0 ? &view->bn[s->after] : NULL;
    if (s->before >= 0) {
        const struct ws_bn_state *bn = &view->bn[s->before];
        p.before = (struct ws_affine){bn->scale, bn->shift, bn->top};
    }
    return p;
}

/* --- what the exec keeps for a step --- */

struct ws_conv_scratch ws_conv_scratch_of(const struct ws_plan *plan, const struct ws_plan_step *s)
{
    const struct ws_conv_shape c = ws_conv_shape_of(plan->net, s);
    struct ws_conv_scratch wanted = {0};
    way_of(s)->scratch(plan, s, &c, &wanted);
    const struct ws_conv_dx_way *dx = dx_way_of(s);
    const bool makes_dx = plan->has_backward && !way_of(s)->backward && dx->worker_floats;
    const size_t for_dx = makes_dx ? dx->worker_floats(&c) : 0;
    wanted.worker = for_dx > wanted.worker ? for_dx : wanted.worker;
    return wanted;
}

size_t ws_conv_packed_floats(const struct ws_net *net, const struct ws_plan_step *s)
{
    const struct ws_conv_shape c = ws_conv_shape_of(net, s);
    return way_of(s)->packed_floats ? way_of(s)->packed_floats(&c) : 0;
}

void ws_conv_pack(const struct ws_exec_view *view, const struct ws_plan_step *s, float *packed)
{
    const struct ws_conv p = conv_of(view, s);
    way_of(s)->pack(&p, packed);
}

/* --- run --- */

static void conv_forward(const struct ws_exec_view *view, const struct ws_plan_step *s)
{
    struct ws_conv p = conv_of(view, s);
    way_of(s)->forward(&p);
}

static void reduce_bias(const struct ws_conv *p)
{
    const struct ws_exec_view *view = p->view;
    float *gradient = ws_exec_param_gradient(view, p->shape.node, 1);
    for (size_t c = 0; gradient && c < p->shape.n_out; c++) {
        double total = 0;
        for (size_t i = 0; i < WS_N_SLICES; i++)
            total += view->scratch.sums[i * 2 * view->scratch.max_channels + c];
        gradient[c] += (float)total;
    }
}

/** The residual that a folded convolution added gets the output's gradient, after the ReLU was undone. */
static void backward_residual(const struct ws_exec_view *view, const struct ws_plan_step *s)
{
    size_t n = (size_t)view->n_images * ws_exec_image_floats(view, s->out);
    if (view->plan->wants_gradient[s->other])
        view->kernels->relu_dx(view->gradient[s->out], NULL, n, ws_exec_accumulate_into(view, s->other),
                               view->gradient[s->other]);
}

static void backward_slice(const struct ws_conv *p, const struct ws_conv_slice *slice)
{
    if (slice->partial)
        way_of(p->s)->weight_gradient(p, slice);
    if (slice->dx)
        dx_way_of(p->s)->run(p, slice);
}

/** dW by the step's way, dX by that of the second table. */
static void backward_apart(struct ws_conv *p)
{
    if (p->want_dx && dx_way_of(p->s)->wants_flipped)
        ws_conv_flip(p);
    ws_conv_run_backward(p, backward_slice);
    if (p->want_dw)
        ws_conv_reduce_weight(p);
}

static void conv_backward(const struct ws_exec_view *view, const struct ws_plan_step *s)
{
    struct ws_conv p = conv_of(view, s);
    p.want_dw = ws_exec_param_gradient(view, p.shape.node, 0) != NULL;
    p.want_dx = view->plan->wants_gradient[s->x];
    p.add_dx = p.want_dx && ws_exec_accumulate_into(view, s->x);
    if (way_of(s)->backward)
        way_of(s)->backward(&p);
    else
        backward_apart(&p);
    if (p.shape.node->n_params > 1)
        reduce_bias(&p);
    if (s->other >= 0)
        backward_residual(view, s);
}

/* --- the rows --- */

/* Each element of the weight meets each place of the output once. */
static int64_t count_macs(const struct ws_net *net, const struct ws_node *node)
{
    return (int64_t)node->height * node->width * (int64_t)net->params[node->params[0]].n;
}

const struct ws_op_row ws_op_conv = {
    .forward = conv_forward,
    .backward = conv_backward,
    .macs = count_macs,
};

const struct ws_op_row ws_op_gemm = {
    .forward = conv_forward,
    .backward = conv_backward,
    .macs = count_macs,
};
