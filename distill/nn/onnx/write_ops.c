/*
 * ONNX export, op by op. A value of ours is [height, width, channels] of one image; in the file it is a map [N, C, H,
 * W] or, behind a linear layer, a vector [N, C]. Each op asks for its operands in the form that it needs; where a value
 * has the other form a Flatten or a Reshape goes between, once.
 */
#include "message.h"

#include <limits.h>
#include <math.h>
#include <string.h>

/* ONNX's axis of [N, C, H, W] for a side of ours. */
static const int onnx_axis[WS_N_SIDES] = {[WS_HEIGHT] = 2, [WS_WIDTH] = 3, [WS_CHANNELS] = 1};

static const struct ws_node *node_at(const struct ws_onnx_writer *w, int id)
{
    return &w->net->nodes[id];
}

static void get_sides(const struct ws_node *node, int sides[WS_N_SIDES])
{
    sides[WS_HEIGHT] = node->height;
    sides[WS_WIDTH] = node->width;
    sides[WS_CHANNELS] = node->channels;
}

/* --- the two forms of a value --- */

static bool is_pixel(const struct ws_node *node)
{
    return node->height == 1 && node->width == 1;
}

/*
 * An initializer is a value already, in the form that its first reader wants. Its batch of 1 is repeated where it is
 * added or multiplied.
 */
static void write_constant(struct ws_onnx_writer *w, int id, bool wants_flat)
{
    const struct ws_node *node = node_at(w, id);
    const int64_t dims[] = {1, node->channels, node->height, node->width};
    if (node->op != WS_OP_CONSTANT || w->values[id])
        return;
    w->is_flat[id] = wants_flat && is_pixel(node);
    w->values[id] = ws_onnx_writer_param(w, node->params[0], w->is_flat[id] ? 2 : 4, dims);
}

/* A value in whatever form it has. */
static char *any_value(struct ws_onnx_writer *w, int id)
{
    write_constant(w, id, false);
    return w->values[id];
}

static void write_reshape(struct ws_onnx_writer *w, const char *name, char *from, char *to, size_t n_dims,
                          const int64_t *dims);

char *ws_onnx_writer_flat_value(struct ws_onnx_writer *w, int id)
{
    write_constant(w, id, true);
    if (w->is_flat[id])
        return w->values[id];
    if (w->flats[id])
        return w->flats[id];
    const char *name = node_at(w, id)->name;
    char *node_name = ws_onnx_writer_name(w, name, ".flatten"), *value = ws_onnx_writer_name(w, name, ".out.flat");
    if (w->no_memory)
        return NULL;
    if (node_at(w, id)->op == WS_OP_CONSTANT) {
        write_reshape(w, node_name, w->values[id], value, 1, (int64_t[]){node_at(w, id)->channels});
        return w->flats[id] = value;
    }
    Onnx__NodeProto *flatten = ws_onnx_writer_node(w, "Flatten", node_name, 1, value);
    ws_onnx_writer_input(flatten, w->values[id]);
    ws_onnx_writer_int(w, flatten, "axis", 1);
    return w->flats[id] = value;
}

/* A Reshape of `from` to [N, dims...]. */
static void write_reshape(struct ws_onnx_writer *w, const char *name, char *from, char *to, size_t n_dims,
                          const int64_t *dims)
{
    int64_t shape[6] = {0}; /* 0: the batch as it is */
    for (size_t i = 0; i < n_dims; i++)
        shape[i + 1] = dims[i];
    Onnx__NodeProto *reshape = ws_onnx_writer_node(w, "Reshape", name, 2, to);
    ws_onnx_writer_input(reshape, from);
    ws_onnx_writer_ints_input(w, reshape, to ? to : "", ".shape", n_dims + 1, shape);
}

static char *map_value(struct ws_onnx_writer *w, int id)
{
    write_constant(w, id, false);
    if (!w->is_flat[id])
        return w->values[id];
    if (w->maps[id])
        return w->maps[id];
    const struct ws_node *node = node_at(w, id);
    char *node_name = ws_onnx_writer_name(w, node->name, ".map"),
         *value = ws_onnx_writer_name(w, node->name, ".out.map");
    if (w->no_memory)
        return NULL;
    write_reshape(w, node_name, w->values[id], value, 3, (int64_t[]){node->channels, 1, 1});
    return w->maps[id] = value;
}

/* Whether a value is a vector in the file, or a constant that can stand beside one. */
static bool suits_vectors(const struct ws_onnx_writer *w, int id)
{
    const struct ws_node *node = node_at(w, id);
    return w->is_flat[id] || (node->op == WS_OP_CONSTANT && is_pixel(node));
}

/* --- parameters --- */

static void write_params(struct ws_onnx_writer *w, Onnx__NodeProto *to, const struct ws_node *node)
{
    for (int i = 0; i < node->n_params; i++) {
        const struct ws_param *param = &w->net->params[node->params[i]];
        int64_t dims[4];
        for (int d = 0; d < param->rank; d++)
            dims[d] = param->shape[d];
        ws_onnx_writer_input(to, ws_onnx_writer_param(w, node->params[i], param->rank, dims));
    }
}

/* --- convolution and linear layers --- */

static void write_conv(struct ws_onnx_writer *w, int id)
{
    const struct ws_node *node = node_at(w, id);
    const struct ws_window *window = &node->window;
    const bool adds = node->fused_add >= 0, rectifies = node->fused_relu;

    char *value = adds || rectifies ? ws_onnx_writer_name(w, node->name, ".out.conv") : w->values[id];
    char *x = map_value(w, node->inputs[0]);
    Onnx__NodeProto *conv = ws_onnx_writer_node(w, "Conv", node->name, 3, value);
    ws_onnx_writer_input(conv, x);
    write_params(w, conv, node);
    ws_onnx_writer_ints(w, conv, "kernel_shape", 2, window->kernel);
    ws_onnx_writer_ints(w, conv, "strides", 2, window->stride);
    ws_onnx_writer_ints(w, conv, "pads", 4, window->pads);
    ws_onnx_writer_ints(w, conv, "dilations", 2, window->dilation);
    ws_onnx_writer_int(w, conv, "group", node->groups);

    char *name = ws_onnx_writer_name(w, node->name, ".add");
    if (adds && name) {
        char *sum = rectifies ? ws_onnx_writer_name(w, node->name, ".out.add") : w->values[id];
        char *other = map_value(w, node->fused_add);
        Onnx__NodeProto *add = ws_onnx_writer_node(w, "Add", name, 2, sum);
        ws_onnx_writer_input(add, value);
        ws_onnx_writer_input(add, other);
        value = sum;
    }
    name = ws_onnx_writer_name(w, node->name, ".relu");
    if (rectifies && name)
        ws_onnx_writer_input(ws_onnx_writer_node(w, "Relu", name, 1, w->values[id]), value);
}

static void write_gemm(struct ws_onnx_writer *w, int id)
{
    const struct ws_node *node = node_at(w, id);
    char *x = ws_onnx_writer_flat_value(w, node->inputs[0]);
    Onnx__NodeProto *gemm = ws_onnx_writer_node(w, "Gemm", node->name, 3, w->values[id]);
    ws_onnx_writer_input(gemm, x);
    write_params(w, gemm, node);
    ws_onnx_writer_int(w, gemm, "transB", 1);
    w->is_flat[id] = true;
}

/* --- pixel by pixel: the form stays --- */

/* One input in the form it has, no attributes yet. */
static Onnx__NodeProto *write_unary(struct ws_onnx_writer *w, int id, const char *op, size_t n_inputs)
{
    const struct ws_node *node = node_at(w, id);
    char *x = any_value(w, node->inputs[0]);
    Onnx__NodeProto *to = ws_onnx_writer_node(w, op, node->name, n_inputs, w->values[id]);
    ws_onnx_writer_input(to, x);
    w->is_flat[id] = w->is_flat[node->inputs[0]];
    return to;
}

static void write_batchnorm(struct ws_onnx_writer *w, int id)
{
    const struct ws_node *node = node_at(w, id);
    Onnx__NodeProto *bn = write_unary(w, id, "BatchNormalization", 5);
    write_params(w, bn, node);
    ws_onnx_writer_float(w, bn, "epsilon", node->bn_eps);
    ws_onnx_writer_float(w, bn, "momentum", 1.0 - node->bn_momentum); /* ONNX counts the old value's share */
}

/* A limit at infinity is left out: an input without a name. */
static void write_clip(struct ws_onnx_writer *w, int id)
{
    const struct ws_node *node = node_at(w, id);
    Onnx__NodeProto *clip = write_unary(w, id, "Clip", 3);
    if (isinf(node->alpha))
        ws_onnx_writer_input(clip, ws_onnx_writer_name(w, "", ""));
    else
        ws_onnx_writer_scalar_input(w, clip, node->name, ".out.min", node->alpha);
    if (!isinf(node->beta))
        ws_onnx_writer_scalar_input(w, clip, node->name, ".out.max", node->beta);
}

static void write_hard_sigmoid(struct ws_onnx_writer *w, int id)
{
    const struct ws_node *node = node_at(w, id);
    Onnx__NodeProto *to = write_unary(w, id, "HardSigmoid", 1);
    ws_onnx_writer_float(w, to, "alpha", node->alpha);
    ws_onnx_writer_float(w, to, "beta", node->beta);
}

static void write_hard_swish(struct ws_onnx_writer *w, int id)
{
    const struct ws_node *node = node_at(w, id);
    if (w->opset >= 14) {
        write_unary(w, id, "HardSwish", 1);
        return;
    }
    char *x = any_value(w, node->inputs[0]), *gate = ws_onnx_writer_name(w, node->name, ".out.gate");
    char *gate_name = ws_onnx_writer_name(w, node->name, ".gate");
    if (w->no_memory)
        return;
    Onnx__NodeProto *hard = ws_onnx_writer_node(w, "HardSigmoid", gate_name, 1, gate);
    ws_onnx_writer_input(hard, x);
    ws_onnx_writer_float(w, hard, "alpha", 1.0 / 6.0);
    ws_onnx_writer_float(w, hard, "beta", 0.5);
    Onnx__NodeProto *mul = write_unary(w, id, "Mul", 2);
    ws_onnx_writer_input(mul, gate);
}

/* A file with weights is for inference. */
static void write_dropout(struct ws_onnx_writer *w, int id)
{
    const struct ws_node *node = node_at(w, id);
    if (w->omits_weights) {
        ws_onnx_writer_scalar_input(w, write_unary(w, id, "Dropout", 2), node->name, ".out.ratio", node->alpha);
        return;
    }
    w->values[id] = any_value(w, node->inputs[0]);
    w->is_flat[id] = w->is_flat[node->inputs[0]];
}

/* Two vectors, or maps: a lone vector becomes one. */
static void write_binary(struct ws_onnx_writer *w, int id, const char *op)
{
    const struct ws_node *node = node_at(w, id);
    char *operands[2];
    const bool is_flat = suits_vectors(w, node->inputs[0]) && suits_vectors(w, node->inputs[1]);
    for (int i = 0; i < 2; i++)
        operands[i] = is_flat ? ws_onnx_writer_flat_value(w, node->inputs[i]) : map_value(w, node->inputs[i]);
    Onnx__NodeProto *to = ws_onnx_writer_node(w, op, node->name, 2, w->values[id]);
    ws_onnx_writer_input(to, operands[0]);
    ws_onnx_writer_input(to, operands[1]);
    w->is_flat[id] = is_flat;
}

/* --- along axes --- */

static void write_softmax(struct ws_onnx_writer *w, int id)
{
    const struct ws_node *node = node_at(w, id);
    const bool is_flat = w->is_flat[node->inputs[0]] && node->axis == WS_CHANNELS;
    char *x = is_flat ? w->values[node->inputs[0]] : map_value(w, node->inputs[0]);
    Onnx__NodeProto *to = ws_onnx_writer_node(w, "Softmax", node->name, 1, w->values[id]);
    ws_onnx_writer_input(to, x);
    ws_onnx_writer_int(w, to, "axis", onnx_axis[node->axis]);
    w->is_flat[id] = is_flat;
}

static enum ws_status write_concat(struct ws_onnx_writer *w, int id, struct ws_err *err)
{
    const struct ws_node *node = node_at(w, id);
    bool is_flat = node->axis == WS_CHANNELS;
    for (int i = 0; i < node->n_inputs; i++) {
        is_flat = is_flat && w->is_flat[node->inputs[i]];
        if (node_at(w, node->inputs[i])->op == WS_OP_CONSTANT)
            return ws_fail(
                err, WS_E_UNSUPPORTED,
                "node \"%s\": joins the constant \"%s\" to images: ONNX's Concat wants it once per image, and "
                "the batch is open",
                node->name, node_at(w, node->inputs[i])->name);
    }
    char *operands[WS_NODE_MAX_INPUTS];
    for (int i = 0; i < node->n_inputs; i++)
        operands[i] = is_flat ? w->values[node->inputs[i]] : map_value(w, node->inputs[i]);
    Onnx__NodeProto *to = ws_onnx_writer_node(w, "Concat", node->name, (size_t)node->n_inputs, w->values[id]);
    for (int i = 0; i < node->n_inputs; i++)
        ws_onnx_writer_input(to, operands[i]);
    ws_onnx_writer_int(w, to, "axis", onnx_axis[node->axis]);
    w->is_flat[id] = is_flat;
    return WS_OK;
}

/* --- maps --- */

/* One map in, one map out, no attributes yet. */
static Onnx__NodeProto *write_map(struct ws_onnx_writer *w, int id, const char *op, size_t n_inputs)
{
    const struct ws_node *node = node_at(w, id);
    char *x = map_value(w, node->inputs[0]);
    Onnx__NodeProto *to = ws_onnx_writer_node(w, op, node->name, n_inputs, w->values[id]);
    ws_onnx_writer_input(to, x);
    return to;
}

/*
 * ONNX's ceil_mode (before opset 22) counts a last window that lies wholly in the padding behind the map; ours,
 * PyTorch's, does not. Such padding is not written then: no window reads it. Returns whether a window goes beyond the
 * padding at all, in other words whether the file has to say ceil_mode; false for `*fits` when neither can say it.
 */
static bool settle_ceil(const struct ws_node *in, const struct ws_node *node, int pads[4], bool *fits)
{
    const int sides_in[2] = {in->height, in->width}, sides_out[2] = {node->height, node->width};
    int rest[2];
    bool is_ceil = false, goes_beyond[2];
    for (int axis = 0; axis < 2; axis++) {
        const struct ws_window *window = &node->window;
        const int reach = window->dilation[axis] * (window->kernel[axis] - 1) + 1;
        const int span = sides_in[axis] + pads[axis] + pads[axis + 2] - reach;
        goes_beyond[axis] = sides_out[axis] > span / window->stride[axis] + 1;
        rest[axis] = span % window->stride[axis];
        is_ceil |= goes_beyond[axis];
    }
    for (int axis = 0; is_ceil && axis < 2; axis++)
        if (!goes_beyond[axis])
            pads[axis + 2] -= rest[axis];
    *fits = pads[2] >= 0 && pads[3] >= 0;
    return is_ceil;
}

static enum ws_status write_pool(struct ws_onnx_writer *w, int id, struct ws_err *err)
{
    const struct ws_node *node = node_at(w, id);
    const struct ws_window *window = &node->window;
    const bool is_max = node->op == WS_OP_MAX_POOL, is_dilated = window->dilation[0] > 1 || window->dilation[1] > 1;
    if (is_dilated && !is_max)
        return ws_fail(err, WS_E_UNSUPPORTED, "node \"%s\": a dilated AveragePool, which ONNX has from opset 19 on",
                       node->name);
    int pads[4];
    bool fits;
    memcpy(pads, window->pads, sizeof pads);
    const bool is_ceil = settle_ceil(node_at(w, node->inputs[0]), node, pads, &fits);
    if (!fits)
        return ws_fail(err, WS_E_UNSUPPORTED, "node \"%s\": its ceil_mode means other windows in ONNX", node->name);
    Onnx__NodeProto *to = write_map(w, id, is_max ? "MaxPool" : "AveragePool", 1);
    ws_onnx_writer_ints(w, to, "kernel_shape", 2, window->kernel);
    ws_onnx_writer_ints(w, to, "strides", 2, window->stride);
    ws_onnx_writer_ints(w, to, "pads", 4, pads);
    ws_onnx_writer_int(w, to, "ceil_mode", is_ceil);
    if (is_max)
        ws_onnx_writer_ints(w, to, "dilations", 2, window->dilation);
    else
        ws_onnx_writer_int(w, to, "count_include_pad", node->count_padding);
    return WS_OK;
}

static void write_reduce_mean(struct ws_onnx_writer *w, int id)
{
    const struct ws_node *node = node_at(w, id);
    int axes[WS_N_SIDES];
    size_t n = 0;
    for (int side = 0; side < WS_N_SIDES; side++)
        if (node->axes[side])
            axes[n++] = onnx_axis[side];
    Onnx__NodeProto *to = write_map(w, id, n > 0 ? "ReduceMean" : "Identity", 1);
    if (n == 0)
        return;
    ws_onnx_writer_ints(w, to, "axes", n, axes);
    ws_onnx_writer_int(w, to, "keepdims", 1);
}

/* To 1 x 1: a vector, as PyTorch's flatten gives. */
static void write_our_reshape(struct ws_onnx_writer *w, int id)
{
    const struct ws_node *node = node_at(w, id);
    if (node->height == 1 && node->width == 1) {
        w->values[id] = ws_onnx_writer_flat_value(w, node->inputs[0]);
        w->is_flat[id] = true;
        return;
    }
    char *x = any_value(w, node->inputs[0]);
    write_reshape(w, node->name, x, w->values[id], 3, (int64_t[]){node->channels, node->height, node->width});
}

static void write_transpose(struct ws_onnx_writer *w, int id)
{
    const struct ws_node *node = node_at(w, id);
    int perm[4] = {0};
    for (int side = 0; side < WS_N_SIDES; side++)
        perm[onnx_axis[side]] = onnx_axis[node->perm[side]];
    ws_onnx_writer_ints(w, write_map(w, id, "Transpose", 1), "perm", 4, perm);
}

static void write_channel_shuffle(struct ws_onnx_writer *w, int id)
{
    const struct ws_node *node = node_at(w, id);
    const int64_t groups = node->groups, per_group = node->channels / groups;
    char *split = ws_onnx_writer_name(w, node->name, ".out.split"),
         *turned = ws_onnx_writer_name(w, node->name, ".out.turned");
    char *split_name = ws_onnx_writer_name(w, node->name, ".split"),
         *turn_name = ws_onnx_writer_name(w, node->name, ".turn");
    char *x = map_value(w, node->inputs[0]);
    if (w->no_memory)
        return;
    write_reshape(w, split_name, x, split, 4, (int64_t[]){groups, per_group, node->height, node->width});
    Onnx__NodeProto *turn = ws_onnx_writer_node(w, "Transpose", turn_name, 1, turned);
    ws_onnx_writer_input(turn, split);
    ws_onnx_writer_ints(w, turn, "perm", 5, (int[]){0, 2, 1, 3, 4});
    write_reshape(w, node->name, turned, w->values[id], 3, (int64_t[]){node->channels, node->height, node->width});
}

static void write_slice(struct ws_onnx_writer *w, int id)
{
    const struct ws_node *node = node_at(w, id);
    int sides[WS_N_SIDES];
    int64_t starts[WS_N_SIDES], ends[WS_N_SIDES], axes[WS_N_SIDES], steps[WS_N_SIDES];
    get_sides(node, sides);
    for (int i = 0; i < WS_N_SIDES; i++) {
        starts[i] = node->begin[i];
        steps[i] = node->step[i];
        ends[i] = starts[i] + (sides[i] - 1) * steps[i] + (steps[i] > 0 ? 1 : -1);
        if (ends[i] < 0)
            ends[i] = INT_MIN; /* -1 would mean the last */
        axes[i] = onnx_axis[i];
    }
    Onnx__NodeProto *to = write_map(w, id, "Slice", 5);
    ws_onnx_writer_ints_input(w, to, node->name, ".out.starts", WS_N_SIDES, starts);
    ws_onnx_writer_ints_input(w, to, node->name, ".out.ends", WS_N_SIDES, ends);
    ws_onnx_writer_ints_input(w, to, node->name, ".out.axes", WS_N_SIDES, axes);
    ws_onnx_writer_ints_input(w, to, node->name, ".out.steps", WS_N_SIDES, steps);
}

static void write_pad(struct ws_onnx_writer *w, int id)
{
    static const char *const modes[] = {
        [WS_PAD_CONSTANT] = "constant", [WS_PAD_EDGE] = "edge", [WS_PAD_REFLECT] = "reflect"};
    const struct ws_node *node = node_at(w, id);
    int64_t pads[8] = {0};
    for (int side = 0; side < WS_N_SIDES; side++) {
        pads[onnx_axis[side]] = node->pads[2 * side];
        pads[4 + onnx_axis[side]] = node->pads[2 * side + 1];
    }
    Onnx__NodeProto *to = write_map(w, id, "Pad", 3);
    ws_onnx_writer_ints_input(w, to, node->name, ".out.pads", 8, pads);
    if (node->pad_mode == WS_PAD_CONSTANT)
        ws_onnx_writer_scalar_input(w, to, node->name, ".out.fill", node->alpha);
    ws_onnx_writer_text(w, to, "mode", modes[node->pad_mode]);
}

/* --- Resize --- */

/* [N, C, height, width] of the result, N taken from `x` when the graph runs; its name. */
static char *write_sizes(struct ws_onnx_writer *w, const struct ws_node *node, char *x)
{
    static const char *const parts[] = {"shape", "batch", "sizes"};
    char *names[3], *values[3];
    for (int i = 0; i < 3; i++) {
        names[i] = ws_onnx_writer_name(w, node->name, ".");
        names[i] = names[i] ? ws_onnx_writer_name(w, names[i], parts[i]) : NULL;
        values[i] = ws_onnx_writer_name(w, node->name, ".out.");
        values[i] = values[i] ? ws_onnx_writer_name(w, values[i], parts[i]) : NULL;
    }
    if (w->no_memory)
        return NULL;
    ws_onnx_writer_input(ws_onnx_writer_node(w, "Shape", names[0], 1, values[0]), x);
    Onnx__NodeProto *slice = ws_onnx_writer_node(w, "Slice", names[1], 3, values[1]);
    ws_onnx_writer_input(slice, values[0]);
    ws_onnx_writer_ints_input(w, slice, node->name, ".out.zero", 1, (int64_t[]){0});
    ws_onnx_writer_ints_input(w, slice, node->name, ".out.one", 1, (int64_t[]){1});
    Onnx__NodeProto *concat = ws_onnx_writer_node(w, "Concat", names[2], 2, values[2]);
    ws_onnx_writer_input(concat, values[1]);
    ws_onnx_writer_ints_input(w, concat, node->name, ".out.rest", 3,
                              (int64_t[]){node->channels, node->height, node->width});
    ws_onnx_writer_int(w, concat, "axis", 0);
    return values[2];
}

/* Scales where the file gave them or they are whole numbers, so that no rounding can move a pixel; else sizes. */
static void write_resize(struct ws_onnx_writer *w, int id)
{
    static const char *const grids[] = {[WS_GRID_HALF_PIXEL] = "half_pixel",
                                        [WS_GRID_PYTORCH_HALF_PIXEL] = "pytorch_half_pixel",
                                        [WS_GRID_ASYMMETRIC] = "asymmetric",
                                        [WS_GRID_ALIGN_CORNERS] = "align_corners"};
    static const char *const roundings[] = {[WS_ROUND_PREFER_FLOOR] = "round_prefer_floor",
                                            [WS_ROUND_PREFER_CEIL] = "round_prefer_ceil",
                                            [WS_ROUND_FLOOR] = "floor",
                                            [WS_ROUND_CEIL] = "ceil"};
    const struct ws_node *node = node_at(w, id), *in = node_at(w, node->inputs[0]);
    const struct ws_resize *resize = &node->resize;
    const bool is_given = resize->scale[0] > 0 && resize->scale[1] > 0;
    const bool is_whole = node->height % in->height == 0 && node->width % in->width == 0;
    char *x = map_value(w, node->inputs[0]), *none = ws_onnx_writer_name(w, "", "");
    char *sizes = is_given || is_whole ? NULL : write_sizes(w, node, x);
    Onnx__NodeProto *to = ws_onnx_writer_node(w, "Resize", node->name, 4, w->values[id]);
    ws_onnx_writer_input(to, x);
    ws_onnx_writer_input(to, none); /* the region, of another mode */
    if (is_given || is_whole) {
        char *name = ws_onnx_writer_name(w, node->name, ".out.scales");
        float *scales = name ? ws_onnx_writer_floats(w, name, 1, (int64_t[]){4}, 4) : NULL;
        if (!scales)
            return;
        scales[0] = scales[1] = 1;
        scales[2] = (float)(is_given ? resize->scale[0] : node->height / in->height);
        scales[3] = (float)(is_given ? resize->scale[1] : node->width / in->width);
        ws_onnx_writer_input(to, name);
    } else {
        ws_onnx_writer_input(to, none);
        ws_onnx_writer_input(to, sizes);
    }
    ws_onnx_writer_text(w, to, "mode", resize->is_linear ? "linear" : "nearest");
    ws_onnx_writer_text(w, to, "coordinate_transformation_mode", grids[resize->grid]);
    if (!resize->is_linear)
        ws_onnx_writer_text(w, to, "nearest_mode", roundings[resize->rounding]);
}

/* --- the table --- */

enum ws_status ws_onnx_writer_op(struct ws_onnx_writer *w, int id, struct ws_err *err)
{
    const struct ws_node *node = node_at(w, id);
    switch (node->op) {
    case WS_OP_INPUT:
        return WS_OK;
    case WS_OP_CONSTANT:
        w->values[id] = NULL; /* written by its first reader */
        return WS_OK;
    case WS_OP_CONV:
        write_conv(w, id);
        return WS_OK;
    case WS_OP_BATCHNORM:
        write_batchnorm(w, id);
        return WS_OK;
    case WS_OP_RELU:
    case WS_OP_SIGMOID:
    case WS_OP_TANH:
        write_unary(w, id, ws_op_name(node->op), 1);
        return WS_OK;
    case WS_OP_LEAKY_RELU:
        ws_onnx_writer_float(w, write_unary(w, id, "LeakyRelu", 1), "alpha", node->alpha);
        return WS_OK;
    case WS_OP_CLIP:
        write_clip(w, id);
        return WS_OK;
    case WS_OP_HARD_SIGMOID:
        write_hard_sigmoid(w, id);
        return WS_OK;
    case WS_OP_HARD_SWISH:
        write_hard_swish(w, id);
        return WS_OK;
    case WS_OP_SOFTMAX:
        write_softmax(w, id);
        return WS_OK;
    case WS_OP_DROPOUT:
        write_dropout(w, id);
        return WS_OK;
    case WS_OP_ADD:
    case WS_OP_MUL:
        write_binary(w, id, ws_op_name(node->op));
        return WS_OK;
    case WS_OP_CONCAT:
        return write_concat(w, id, err);
    case WS_OP_MAX_POOL:
    case WS_OP_AVERAGE_POOL:
        return write_pool(w, id, err);
    case WS_OP_GLOBAL_AVERAGE_POOL:
        write_map(w, id, "GlobalAveragePool", 1);
        return WS_OK;
    case WS_OP_REDUCE_MEAN:
        write_reduce_mean(w, id);
        return WS_OK;
    case WS_OP_GEMM:
        write_gemm(w, id);
        return WS_OK;
    case WS_OP_RESHAPE:
        write_our_reshape(w, id);
        return WS_OK;
    case WS_OP_TRANSPOSE:
        write_transpose(w, id);
        return WS_OK;
    case WS_OP_CHANNEL_SHUFFLE:
        write_channel_shuffle(w, id);
        return WS_OK;
    case WS_OP_SLICE:
        write_slice(w, id);
        return WS_OK;
    case WS_OP_PAD:
        write_pad(w, id);
        return WS_OK;
    case WS_OP_RESIZE:
        write_resize(w, id);
        return WS_OK;
    case WS_N_OPS:
        break;
    }
    return ws_fail(err, WS_E_INTERNAL, "node \"%s\": an op that ONNX export does not know", node->name);
}
