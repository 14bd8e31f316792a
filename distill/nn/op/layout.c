/* Ops that only move values: Concat, Reshape, Transpose, ChannelShuffle, Slice, Pad. */
#include "graph/row.h"
#include "images.h"

#include <string.h>

enum { IN, OUT };

/** Values of the input that begin at `from` go to the output at `to`, as `walk` says (arrays: input, output). */
struct move {
    struct ws_strides walk;
    ptrdiff_t from, to;
};

/** y = x forward; backward x += y, where x and y are gradients. */
static void run_move(const struct ws_exec_view *view, struct move m, bool backward, const float *source, float *target)
{
    ws_strides_join(&m.walk);
    const struct ws_strides *w = &m.walk;
    const int from = backward ? OUT : IN, to = 1 - from;
    const ptrdiff_t step_from = w->stride[from][2], step_to = w->stride[to][2];
    source += backward ? m.to : m.from;
    target += backward ? m.from : m.to;
    for (size_t i = 0; i < w->size[0]; i++)
        for (size_t j = 0; j < w->size[1]; j++) {
            const float *x = source + (ptrdiff_t)i * w->stride[from][0] + (ptrdiff_t)j * w->stride[from][1];
            float *y = target + (ptrdiff_t)i * w->stride[to][0] + (ptrdiff_t)j * w->stride[to][1];
            if (step_from == 1 && step_to == 1 && backward)
                view->kernels->add(x, w->size[2], y);
            else if (step_from == 1 && step_to == 1)
                memcpy(y, x, w->size[2] * sizeof *y);
            else
                for (ptrdiff_t k = 0; k < (ptrdiff_t)w->size[2]; k++)
                    y[k * step_to] = backward ? y[k * step_to] + x[k * step_from] : x[k * step_from];
        }
}

/** A move that fills the output from one input: Transpose, ChannelShuffle, Slice. */
static struct move move_of(const struct ws_exec_view *view, const struct ws_plan_step *s)
{
    const struct ws_node *node = &view->net->nodes[s->node], *in = &view->net->nodes[s->x];
    struct move m = {.walk = {.n_arrays = 2}};
    ptrdiff_t strides[WS_N_SIDES];
    ws_node_strides(in, strides);
    ws_node_dims(node, m.walk.size);
    ws_node_strides(node, m.walk.stride[OUT]);
    for (int side = 0; side < WS_N_SIDES; side++) {
        const int from = node->op == WS_OP_TRANSPOSE ? node->perm[side] : side;
        const int step = node->op == WS_OP_SLICE ? node->step[side] : 1,
                  begin = node->op == WS_OP_SLICE ? node->begin[side] : 0;
        m.walk.stride[IN][side] = step * strides[from];
        m.from += begin * strides[from];
    }
    if (node->op == WS_OP_CHANNEL_SHUFFLE) {
        const size_t groups = (size_t)node->groups, per_group = (size_t)node->channels / groups;
        const size_t size[] = {(size_t)node->height * (size_t)node->width, per_group, groups};
        const ptrdiff_t in_strides[] = {node->channels, 1, (ptrdiff_t)per_group};
        const ptrdiff_t out_strides[] = {node->channels, (ptrdiff_t)groups, 1};
        memcpy(m.walk.size, size, sizeof size);
        memcpy(m.walk.stride[IN], in_strides, sizeof in_strides);
        memcpy(m.walk.stride[OUT], out_strides, sizeof out_strides);
    }
    return m;
}

static void move_image(const struct ws_exec_view *view, const struct ws_plan_step *s, size_t image)
{
    run_move(view, move_of(view, s), false, ws_exec_image_value(view, s->x, image),
             view->value[s->out] + image * ws_exec_image_floats(view, s->out));
}

static void move_backward_image(const struct ws_exec_view *view, const struct ws_plan_step *s, size_t image)
{
    run_move(view, move_of(view, s), true, ws_exec_image_gradient(view, s->out, image),
             ws_exec_image_gradient(view, s->x, image));
}

static void move_forward(const struct ws_exec_view *view, const struct ws_plan_step *s)
{
    ws_exec_each_image(view, s, move_image);
}

static void move_backward(const struct ws_exec_view *view, const struct ws_plan_step *s)
{
    if (ws_exec_open_gradient(view, s->x))
        ws_exec_each_image(view, s, move_backward_image);
}

/* --- Concat --- */

/** Move of one input to its place in the output, which is `at` along the axis. */
static struct move join_of(const struct ws_exec_view *view, const struct ws_plan_step *s, int input, size_t at)
{
    const struct ws_node *node = &view->net->nodes[s->node];
    struct move m = {.walk = {.n_arrays = 2}};
    ws_node_dims(&view->net->nodes[input], m.walk.size);
    ws_node_strides(&view->net->nodes[input], m.walk.stride[IN]);
    ws_node_strides(node, m.walk.stride[OUT]);
    m.to = (ptrdiff_t)at * m.walk.stride[OUT][node->axis];
    return m;
}

static size_t axis_side(const struct ws_exec_view *view, const struct ws_plan_step *s, int input)
{
    size_t sides[WS_N_SIDES];
    ws_node_dims(&view->net->nodes[input], sides);
    return sides[view->net->nodes[s->node].axis];
}

static void concat_image(const struct ws_exec_view *view, const struct ws_plan_step *s, size_t image)
{
    size_t at = 0;
    float *y = view->value[s->out] + image * ws_exec_image_floats(view, s->out);
    for (int i = 0; i < view->net->nodes[s->node].n_inputs; i++) {
        const int input = ws_plan_step_input(view->plan, s, i);
        run_move(view, join_of(view, s, input, at), false, ws_exec_image_value(view, input, image), y);
        at += axis_side(view, s, input);
    }
}

static void concat_backward_image(const struct ws_exec_view *view, const struct ws_plan_step *s, size_t image)
{
    size_t at = 0;
    const float *dy = ws_exec_image_gradient(view, s->out, image);
    for (int i = 0; i < view->net->nodes[s->node].n_inputs; i++) {
        const int input = ws_plan_step_input(view->plan, s, i);
        if (view->plan->wants_gradient[input])
            run_move(view, join_of(view, s, input, at), true, dy, ws_exec_image_gradient(view, input, image));
        at += axis_side(view, s, input);
    }
}

static void concat_forward(const struct ws_exec_view *view, const struct ws_plan_step *s)
{
    ws_exec_each_image(view, s, concat_image);
}

static void concat_backward(const struct ws_exec_view *view, const struct ws_plan_step *s)
{
    if (ws_exec_open_gradients(view, s))
        ws_exec_each_image(view, s, concat_backward_image);
}

/* --- Reshape --- */

/** Both images in C, H, W order, value by value. */
static void reshape_values(const struct ws_exec_view *view, const struct ws_plan_step *s, bool backward,
                           const float *source, float *target)
{
    const struct ws_node *in = &view->net->nodes[s->x], *out = &view->net->nodes[s->node];
    const size_t n = ws_exec_image_floats(view, s->x);
    if (in->channels == out->channels) { /* H, W order alone: the same in memory */
        if (backward)
            view->kernels->add(source, n, target);
        else
            memcpy(target, source, n * sizeof *target);
        return;
    }
    const size_t in_area = n / (size_t)in->channels, out_area = n / (size_t)out->channels;
    size_t in_pixel = 0, in_channel = 0, out_pixel = 0, out_channel = 0;
    for (size_t i = 0; i < n; i++) {
        const size_t at_in = in_pixel * (size_t)in->channels + in_channel;
        const size_t at_out = out_pixel * (size_t)out->channels + out_channel;
        if (backward)
            target[at_in] += source[at_out];
        else
            target[at_out] = source[at_in];
        if (++in_pixel == in_area) {
            in_pixel = 0;
            in_channel++;
        }
        if (++out_pixel == out_area) {
            out_pixel = 0;
            out_channel++;
        }
    }
}

static void reshape_image(const struct ws_exec_view *view, const struct ws_plan_step *s, size_t image)
{
    reshape_values(view, s, false, ws_exec_image_value(view, s->x, image),
                   view->value[s->out] + image * ws_exec_image_floats(view, s->out));
}

static void reshape_backward_image(const struct ws_exec_view *view, const struct ws_plan_step *s, size_t image)
{
    reshape_values(view, s, true, ws_exec_image_gradient(view, s->out, image),
                   ws_exec_image_gradient(view, s->x, image));
}

static void reshape_forward(const struct ws_exec_view *view, const struct ws_plan_step *s)
{
    ws_exec_each_image(view, s, reshape_image);
}

static void reshape_backward(const struct ws_exec_view *view, const struct ws_plan_step *s)
{
    if (ws_exec_open_gradient(view, s->x))
        ws_exec_each_image(view, s, reshape_backward_image);
}

/* --- Pad --- */

/** Where output position i of a side comes from, or -1: the constant. */
static ptrdiff_t pad_source(const struct ws_node *node, int side, size_t i, size_t in)
{
    const ptrdiff_t at = (ptrdiff_t)i - node->pads[2 * side], last = (ptrdiff_t)in - 1;
    if (at >= 0 && at <= last)
        return at;
    if (node->pad_mode == WS_PAD_CONSTANT)
        return -1;
    if (node->pad_mode == WS_PAD_EDGE)
        return at < 0 ? 0 : last;
    return at < 0 ? -at : 2 * last - at;
}

/** Forward: y from x, or the constant. Backward: dx from dy, at the same places. */
static void pad_values(const struct ws_exec_view *view, const struct ws_plan_step *s, bool backward,
                       const float *source, float *target)
{
    const struct ws_node *node = &view->net->nodes[s->node];
    size_t in[WS_N_SIDES], out[WS_N_SIDES];
    ws_node_dims(&view->net->nodes[s->x], in);
    ws_node_dims(node, out);
    size_t at = 0;
    for (size_t y = 0; y < out[WS_HEIGHT]; y++)
        for (size_t x = 0; x < out[WS_WIDTH]; x++) {
            const ptrdiff_t iy = pad_source(node, WS_HEIGHT, y, in[WS_HEIGHT]);
            const ptrdiff_t ix = pad_source(node, WS_WIDTH, x, in[WS_WIDTH]);
            for (size_t c = 0; c < out[WS_CHANNELS]; c++, at++) {
                const ptrdiff_t ic = pad_source(node, WS_CHANNELS, c, in[WS_CHANNELS]);
                const bool is_inside = iy >= 0 && ix >= 0 && ic >= 0;
                const size_t from =
                    is_inside ? ((size_t)iy * in[WS_WIDTH] + (size_t)ix) * in[WS_CHANNELS] + (size_t)ic : 0;
                if (backward && is_inside)
                    target[from] += source[at];
                else if (!backward)
                    target[at] = is_inside ? source[from] : (float)node->alpha;
            }
        }
}

static void pad_image(const struct ws_exec_view *view, const struct ws_plan_step *s, size_t image)
{
    pad_values(view, s, false, ws_exec_image_value(view, s->x, image),
               view->value[s->out] + image * ws_exec_image_floats(view, s->out));
}

static void pad_backward_image(const struct ws_exec_view *view, const struct ws_plan_step *s, size_t image)
{
    pad_values(view, s, true, ws_exec_image_gradient(view, s->out, image), ws_exec_image_gradient(view, s->x, image));
}

static void pad_forward(const struct ws_exec_view *view, const struct ws_plan_step *s)
{
    ws_exec_each_image(view, s, pad_image);
}

static void pad_backward(const struct ws_exec_view *view, const struct ws_plan_step *s)
{
    if (ws_exec_open_gradient(view, s->x))
        ws_exec_each_image(view, s, pad_backward_image);
}

/* --- the rows --- */

const struct ws_op_row ws_op_concat = {
    .forward = concat_forward,
    .backward = concat_backward,
};

const struct ws_op_row ws_op_reshape = {
    .forward = reshape_forward,
    .backward = reshape_backward,
};

const struct ws_op_row ws_op_transpose = {
    .forward = move_forward,
    .backward = move_backward,
};

const struct ws_op_row ws_op_channel_shuffle = {
    .forward = move_forward,
    .backward = move_backward,
};

const struct ws_op_row ws_op_slice = {
    .forward = move_forward,
    .backward = move_backward,
};

const struct ws_op_row ws_op_pad = {
    .forward = pad_forward,
    .backward = pad_backward,
};
