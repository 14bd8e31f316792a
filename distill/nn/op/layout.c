/* Ops that only move values: Concat, Reshape, Transpose, ChannelShuffle, Slice, Pad. */
#include "graph/net_int.h"
#include "graph/row.h"
#include "images.h"

#include <limits.h>
#include <string.h>

/* --- the shape --- */

int ws_net_concat(struct ws_net *net, const char *name, const int *inputs, int n_inputs, enum ws_side axis)
{
    int id, sides[WS_N_SIDES], more[WS_N_SIDES];
    if (net->err.status == WS_OK && (n_inputs < 1 || n_inputs > WS_NODE_MAX_INPUTS)) {
        ws_fail(&net->err, WS_E_UNSUPPORTED, "node \"%s\": a Concat of %d inputs; expected 1 to %d", name, n_inputs,
                WS_NODE_MAX_INPUTS);
        return 0;
    }
    struct ws_node *node = ws_net_append(net, WS_OP_CONCAT, name, n_inputs > 0 ? inputs[0] : 0, &id);
    if (!node)
        return 0;
    node->along.axis = axis;
    ws_node_get_sides(node, sides);
    for (int i = 1; i < n_inputs; i++) {
        if (inputs[i] < 0 || inputs[i] >= id) {
            ws_fail(&net->err, WS_E_INTERNAL, "node \"%s\": its input does not exist yet", name);
            return 0;
        }
        ws_node_get_sides(&net->nodes[inputs[i]], more);
        for (int side = 0; side < WS_N_SIDES; side++)
            if (side != (int)axis && more[side] != sides[side]) {
                ws_fail(&net->err, WS_E_CONFIG,
                        "node \"%s\": cannot join %d x %d x %d to %d x %d x %d: only the joined side may differ", name,
                        more[0], more[1], more[2], sides[0], sides[1], sides[2]);
                return 0;
            }
        if (more[axis] > INT_MAX - sides[axis]) {
            ws_fail(&net->err, WS_E_CONFIG, "node \"%s\": the joined side is too large", name);
            return 0;
        }
        sides[axis] += more[axis];
        node->inputs[node->n_inputs++] = inputs[i];
    }
    ws_node_set_sides(node, sides);
    return id;
}

int ws_net_reshape(struct ws_net *net, const char *name, int x, int height, int width, int channels)
{
    int id;
    struct ws_node *node = ws_net_append(net, WS_OP_RESHAPE, name, x, &id);
    if (!node)
        return 0;
    const int64_t from = (int64_t)node->height * node->width * node->channels;
    if (height < 1 || width < 1 || channels < 1 || ((int64_t)height * width > INT_MAX) ||
        (int64_t)height * width * channels != from) {
        ws_fail(&net->err, WS_E_CONFIG, "node \"%s\": %lld values cannot become %d x %d x %d", name, (long long)from,
                height, width, channels);
        return 0;
    }
    ws_node_set_sides(node, (int[]){height, width, channels});
    return id;
}

int ws_net_transpose(struct ws_net *net, const char *name, int x, const int perm[WS_N_SIDES])
{
    int id, from[WS_N_SIDES], to[WS_N_SIDES], seen = 0;
    struct ws_node *node = ws_net_append(net, WS_OP_TRANSPOSE, name, x, &id);
    if (!node)
        return 0;
    ws_node_get_sides(node, from);
    for (int i = 0; i < WS_N_SIDES; i++) {
        if (perm[i] < 0 || perm[i] >= WS_N_SIDES || seen & 1 << perm[i]) {
            ws_fail(&net->err, WS_E_CONFIG, "node \"%s\": %d, %d, %d is no permutation of three sides", name, perm[0],
                    perm[1], perm[2]);
            return 0;
        }
        seen |= 1 << perm[i];
        node->transpose.perm[i] = perm[i];
        to[i] = from[perm[i]];
    }
    ws_node_set_sides(node, to);
    return id;
}

int ws_net_channel_shuffle(struct ws_net *net, const char *name, int x, int groups)
{
    int id;
    struct ws_node *node = ws_net_append(net, WS_OP_CHANNEL_SHUFFLE, name, x, &id);
    if (!node)
        return 0;
    node->shuffle.groups = groups;
    if (groups < 1 || node->channels % groups != 0) {
        ws_fail(&net->err, WS_E_CONFIG, "node \"%s\": %d groups do not divide %d channels", name, groups,
                node->channels);
        return 0;
    }
    return id;
}

int ws_net_slice(struct ws_net *net, const char *name, int x, const int begin[WS_N_SIDES], const int size[WS_N_SIDES],
                 const int step[WS_N_SIDES])
{
    int id, from[WS_N_SIDES];
    struct ws_node *node = ws_net_append(net, WS_OP_SLICE, name, x, &id);
    if (!node)
        return 0;
    ws_node_get_sides(node, from);
    for (int i = 0; i < WS_N_SIDES; i++) {
        const int64_t last = begin[i] + (int64_t)(size[i] - 1) * step[i];
        if (size[i] < 1 || step[i] == 0 || begin[i] < 0 || begin[i] >= from[i] || last < 0 || last >= from[i]) {
            ws_fail(&net->err, WS_E_CONFIG, "node \"%s\": %d elements from %d by %d leave a side of %d", name, size[i],
                    begin[i], step[i], from[i]);
            return 0;
        }
        node->slice.begin[i] = begin[i];
        node->slice.step[i] = step[i];
    }
    ws_node_set_sides(node, size);
    return id;
}

int ws_net_pad(struct ws_net *net, const char *name, int x, const int pads[2 * WS_N_SIDES], enum ws_pad_mode mode,
               double value)
{
    int id, sides[WS_N_SIDES];
    struct ws_node *node = ws_net_append(net, WS_OP_PAD, name, x, &id);
    if (!node)
        return 0;
    node->pad.mode = mode;
    node->pad.value = value;
    ws_node_get_sides(node, sides);
    for (int i = 0; i < WS_N_SIDES; i++) {
        const int64_t before = pads[2 * i], after = pads[2 * i + 1], out = sides[i] + before + after;
        const bool reaches_too_far = mode == WS_PAD_REFLECT && (before >= sides[i] || after >= sides[i]);
        if (out < 1 || out > INT_MAX || reaches_too_far) {
            ws_fail(&net->err, WS_E_CONFIG, "node \"%s\": padding of %lld and %lld does not fit a side of %d", name,
                    (long long)before, (long long)after, sides[i]);
            return 0;
        }
        node->pad.sides[2 * i] = pads[2 * i];
        node->pad.sides[2 * i + 1] = pads[2 * i + 1];
        sides[i] = (int)out;
    }
    ws_node_set_sides(node, sides);
    return id;
}

/* --- values and gradients --- */

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
        const int from = node->op == WS_OP_TRANSPOSE ? node->transpose.perm[side] : side;
        const int step = node->op == WS_OP_SLICE ? node->slice.step[side] : 1,
                  begin = node->op == WS_OP_SLICE ? node->slice.begin[side] : 0;
        m.walk.stride[IN][side] = step * strides[from];
        m.from += begin * strides[from];
    }
    if (node->op == WS_OP_CHANNEL_SHUFFLE) {
        const size_t groups = (size_t)node->shuffle.groups, per_group = (size_t)node->channels / groups;
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
    m.to = (ptrdiff_t)at * m.walk.stride[OUT][node->along.axis];
    return m;
}

static size_t axis_side(const struct ws_exec_view *view, const struct ws_plan_step *s, int input)
{
    size_t sides[WS_N_SIDES];
    ws_node_dims(&view->net->nodes[input], sides);
    return sides[view->net->nodes[s->node].along.axis];
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
    const ptrdiff_t at = (ptrdiff_t)i - node->pad.sides[2 * side], last = (ptrdiff_t)in - 1;
    if (at >= 0 && at <= last)
        return at;
    if (node->pad.mode == WS_PAD_CONSTANT)
        return -1;
    if (node->pad.mode == WS_PAD_EDGE)
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
                    target[at] = is_inside ? source[from] : (float)node->pad.value;
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
