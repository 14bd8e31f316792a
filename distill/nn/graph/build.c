/* Builders: one per kind of node; each checks its operands and works out the output's shape. */
#include "net_int.h"

#include <limits.h>

static struct ws_node *node_of(struct ws_net *net, int id)
{
    return &net->nodes[id];
}

/** Append a node of one input; NULL after a mistake. */
static struct ws_node *append(struct ws_net *net, enum ws_op op, const char *name, int x, int *id)
{
    *id = ws_net_add_node(net, op, name, x, -1);
    return net->err.status == WS_OK ? node_of(net, *id) : NULL;
}

static void set_sides(struct ws_node *node, const int sides[WS_N_SIDES])
{
    node->height = sides[WS_HEIGHT];
    node->width = sides[WS_WIDTH];
    node->channels = sides[WS_CHANNELS];
}

static void get_sides(const struct ws_node *node, int sides[WS_N_SIDES])
{
    sides[WS_HEIGHT] = node->height;
    sides[WS_WIDTH] = node->width;
    sides[WS_CHANNELS] = node->channels;
}

/* --- windows --- */

/** Output side of a window along one axis, or 0 when it does not fit. */
static int window_out(int in, const struct ws_window *w, int axis, bool ceil_mode)
{
    const int64_t kernel = w->kernel[axis], stride = w->stride[axis], dilation = w->dilation[axis];
    const int64_t before = w->pads[axis], after = w->pads[axis + 2];
    if (kernel < 1 || stride < 1 || dilation < 1 || before < 0 || after < 0 || kernel > INT_MAX / 2 / dilation)
        return 0;
    const int64_t reach = dilation * (kernel - 1) + 1, span = (int64_t)in + before + after - reach;
    if (span < 0 || span > INT_MAX)
        return 0;
    int64_t out = span / stride + 1;
    /* A further window counts when it begins in the map or in the padding before it (PyTorch's rule). */
    if (ceil_mode && span % stride != 0 && out * stride < (int64_t)in + before)
        out++;
    return (int)out;
}

static bool set_window(struct ws_net *net, int id, struct ws_window w, bool ceil_mode)
{
    struct ws_node *node = node_of(net, id);
    node->window = w;
    int height = window_out(node->height, &w, 0, ceil_mode), width = window_out(node->width, &w, 1, ceil_mode);
    if (height < 1 || width < 1) {
        ws_fail(
            &net->err, WS_E_CONFIG,
            "node \"%s\": a window of %d x %d, stride %d x %d, dilation %d x %d, padding %d, %d, %d, %d does not fit a "
            "%d x %d map",
            node->name, w.kernel[0], w.kernel[1], w.stride[0], w.stride[1], w.dilation[0], w.dilation[1], w.pads[0],
            w.pads[1], w.pads[2], w.pads[3], node->height, node->width);
        return false;
    }
    node->height = height;
    node->width = width;
    return true;
}

int ws_net_conv_grouped(struct ws_net *net, const char *name, int x, int out_channels, struct ws_window window,
                        int groups, bool has_bias)
{
    int id;
    struct ws_node *node = append(net, WS_OP_CONV, name, x, &id);
    if (!node || !set_window(net, id, window, false))
        return 0;
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
    node->has_bias = has_bias;
    node->groups = groups;
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

int ws_net_pool(struct ws_net *net, enum ws_op op, const char *name, int x, struct ws_window window, bool ceil_mode,
                bool count_padding)
{
    int id;
    struct ws_node *node = append(net, op, name, x, &id);
    if (!node)
        return 0;
    for (int axis = 0; axis < 2; axis++)
        if (window.pads[axis] >= window.kernel[axis] || window.pads[axis + 2] >= window.kernel[axis]) {
            ws_fail(&net->err, WS_E_CONFIG, "node \"%s\": padding of %d and %d would give a window of %d no pixel",
                    name, window.pads[axis], window.pads[axis + 2], window.kernel[axis]);
            return 0;
        }
    node->ceil_mode = ceil_mode;
    node->count_padding = count_padding;
    return set_window(net, id, window, ceil_mode) ? id : 0;
}

int ws_net_max_pool(struct ws_net *net, const char *name, int x, struct ws_window window)
{
    return ws_net_pool(net, WS_OP_MAX_POOL, name, x, window, false, false);
}

int ws_net_average_pool(struct ws_net *net, const char *name, int x, struct ws_window window)
{
    return ws_net_pool(net, WS_OP_AVERAGE_POOL, name, x, window, false, false);
}

int ws_net_global_average_pool(struct ws_net *net, const char *name, int x)
{
    int id;
    struct ws_node *node = append(net, WS_OP_GLOBAL_AVERAGE_POOL, name, x, &id);
    if (!node)
        return 0;
    node->height = node->width = 1;
    return id;
}

int ws_net_reduce_mean(struct ws_net *net, const char *name, int x, const bool axes[WS_N_SIDES])
{
    int id, sides[WS_N_SIDES];
    struct ws_node *node = append(net, WS_OP_REDUCE_MEAN, name, x, &id);
    if (!node)
        return 0;
    get_sides(node, sides);
    for (int i = 0; i < WS_N_SIDES; i++) {
        node->axes[i] = axes[i];
        sides[i] = axes[i] ? 1 : sides[i];
    }
    set_sides(node, sides);
    return id;
}

/* --- pixel by pixel --- */

int ws_net_batchnorm(struct ws_net *net, const char *name, int x)
{
    int id;
    struct ws_node *node = append(net, WS_OP_BATCHNORM, name, x, &id);
    if (!node)
        return 0;
    int channels = node->channels;
    ws_net_add_param(net, id, "weight", 1, &channels, 1, 1, false);
    ws_net_add_param(net, id, "bias", 1, &channels, 1, 1, false);
    ws_net_add_param(net, id, "running_mean", 1, &channels, 1, 1, true);
    ws_net_add_param(net, id, "running_var", 1, &channels, 1, 1, true);
    return id;
}

int ws_net_unary(struct ws_net *net, enum ws_op op, const char *name, int x, double alpha, double beta)
{
    int id;
    struct ws_node *node = append(net, op, name, x, &id);
    if (!node)
        return 0;
    node->alpha = alpha;
    node->beta = beta;
    if (op == WS_OP_DROPOUT && !(alpha >= 0 && alpha < 1))
        ws_fail(&net->err, WS_E_CONFIG, "node \"%s\": a dropout share of %g; expected 0 or more and less than 1", name,
                alpha);
    if (op == WS_OP_CLIP && !(alpha <= beta))
        ws_fail(&net->err, WS_E_CONFIG, "node \"%s\": clips to %g … %g, which is empty", name, alpha, beta);
    return id;
}

int ws_net_relu(struct ws_net *net, const char *name, int x)
{
    return ws_net_unary(net, WS_OP_RELU, name, x, 0, 0);
}

int ws_net_softmax(struct ws_net *net, const char *name, int x, enum ws_side axis)
{
    int id;
    struct ws_node *node = append(net, WS_OP_SOFTMAX, name, x, &id);
    if (!node)
        return 0;
    node->axis = axis;
    return id;
}

int ws_net_constant(struct ws_net *net, const char *name, int height, int width, int channels)
{
    int id;
    struct ws_node *node = append(net, WS_OP_CONSTANT, name, -1, &id);
    if (!node)
        return 0;
    if (height < 1 || width < 1 || channels < 1) {
        ws_fail(&net->err, WS_E_CONFIG, "node \"%s\": a constant of %d x %d x %d", name, height, width, channels);
        return 0;
    }
    set_sides(node, (int[]){height, width, channels});
    ws_net_add_param(net, id, "value", 3, (int[]){channels, height, width}, channels, height * width, true);
    return id;
}

/** Add and Mul: equal sides, or 1 against anything. */
static int combine(struct ws_net *net, enum ws_op op, const char *name, int a, int b)
{
    int id = ws_net_add_node(net, op, name, a, b);
    if (net->err.status != WS_OK)
        return 0;
    int sa[WS_N_SIDES], sb[WS_N_SIDES];
    get_sides(node_of(net, a), sa);
    get_sides(node_of(net, b), sb);
    for (int i = 0; i < WS_N_SIDES; i++) {
        if (sa[i] != sb[i] && sa[i] != 1 && sb[i] != 1) {
            ws_fail(&net->err, WS_E_CONFIG,
                    "node \"%s\": %s of %d x %d x %d and %d x %d x %d: sides must be equal or 1", name, ws_op_name(op),
                    sa[0], sa[1], sa[2], sb[0], sb[1], sb[2]);
            return 0;
        }
        sa[i] = sa[i] > sb[i] ? sa[i] : sb[i];
    }
    set_sides(node_of(net, id), sa);
    return id;
}

int ws_net_add(struct ws_net *net, const char *name, int a, int b)
{
    return combine(net, WS_OP_ADD, name, a, b);
}

int ws_net_mul(struct ws_net *net, const char *name, int a, int b)
{
    return combine(net, WS_OP_MUL, name, a, b);
}

int ws_net_gemm(struct ws_net *net, const char *name, int x, int out_features, bool has_bias)
{
    int id;
    struct ws_node *node = append(net, WS_OP_GEMM, name, x, &id);
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
    node->has_bias = has_bias;
    ws_net_add_param(net, id, "weight", 2, (int[]){out_features, window * channels}, channels, window, false);
    if (has_bias)
        ws_net_add_param(net, id, "bias", 1, &out_features, 1, 1, false);
    return id;
}

/* --- layout --- */

int ws_net_concat(struct ws_net *net, const char *name, const int *inputs, int n_inputs, enum ws_side axis)
{
    int id, sides[WS_N_SIDES], more[WS_N_SIDES];
    if (net->err.status == WS_OK && (n_inputs < 1 || n_inputs > WS_NODE_MAX_INPUTS)) {
        ws_fail(&net->err, WS_E_UNSUPPORTED, "node \"%s\": a Concat of %d inputs; expected 1 to %d", name, n_inputs,
                WS_NODE_MAX_INPUTS);
        return 0;
    }
    struct ws_node *node = append(net, WS_OP_CONCAT, name, n_inputs > 0 ? inputs[0] : 0, &id);
    if (!node)
        return 0;
    node->axis = axis;
    get_sides(node, sides);
    for (int i = 1; i < n_inputs; i++) {
        if (inputs[i] < 0 || inputs[i] >= id) {
            ws_fail(&net->err, WS_E_INTERNAL, "node \"%s\": its input does not exist yet", name);
            return 0;
        }
        get_sides(node_of(net, inputs[i]), more);
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
    set_sides(node, sides);
    return id;
}

int ws_net_reshape(struct ws_net *net, const char *name, int x, int height, int width, int channels)
{
    int id;
    struct ws_node *node = append(net, WS_OP_RESHAPE, name, x, &id);
    if (!node)
        return 0;
    const int64_t from = (int64_t)node->height * node->width * node->channels;
    if (height < 1 || width < 1 || channels < 1 || ((int64_t)height * width > INT_MAX) ||
        (int64_t)height * width * channels != from) {
        ws_fail(&net->err, WS_E_CONFIG, "node \"%s\": %lld values cannot become %d x %d x %d", name, (long long)from,
                height, width, channels);
        return 0;
    }
    set_sides(node, (int[]){height, width, channels});
    return id;
}

int ws_net_transpose(struct ws_net *net, const char *name, int x, const int perm[WS_N_SIDES])
{
    int id, from[WS_N_SIDES], to[WS_N_SIDES], seen = 0;
    struct ws_node *node = append(net, WS_OP_TRANSPOSE, name, x, &id);
    if (!node)
        return 0;
    get_sides(node, from);
    for (int i = 0; i < WS_N_SIDES; i++) {
        if (perm[i] < 0 || perm[i] >= WS_N_SIDES || seen & 1 << perm[i]) {
            ws_fail(&net->err, WS_E_CONFIG, "node \"%s\": %d, %d, %d is no permutation of three sides", name, perm[0],
                    perm[1], perm[2]);
            return 0;
        }
        seen |= 1 << perm[i];
        node->perm[i] = perm[i];
        to[i] = from[perm[i]];
    }
    set_sides(node, to);
    return id;
}

int ws_net_channel_shuffle(struct ws_net *net, const char *name, int x, int groups)
{
    int id;
    struct ws_node *node = append(net, WS_OP_CHANNEL_SHUFFLE, name, x, &id);
    if (!node)
        return 0;
    node->groups = groups;
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
    struct ws_node *node = append(net, WS_OP_SLICE, name, x, &id);
    if (!node)
        return 0;
    get_sides(node, from);
    for (int i = 0; i < WS_N_SIDES; i++) {
        const int64_t last = begin[i] + (int64_t)(size[i] - 1) * step[i];
        if (size[i] < 1 || step[i] == 0 || begin[i] < 0 || begin[i] >= from[i] || last < 0 || last >= from[i]) {
            ws_fail(&net->err, WS_E_CONFIG, "node \"%s\": %d elements from %d by %d leave a side of %d", name, size[i],
                    begin[i], step[i], from[i]);
            return 0;
        }
        node->begin[i] = begin[i];
        node->step[i] = step[i];
    }
    set_sides(node, size);
    return id;
}

int ws_net_pad(struct ws_net *net, const char *name, int x, const int pads[2 * WS_N_SIDES], enum ws_pad_mode mode,
               double value)
{
    int id, sides[WS_N_SIDES];
    struct ws_node *node = append(net, WS_OP_PAD, name, x, &id);
    if (!node)
        return 0;
    node->pad_mode = mode;
    node->alpha = value;
    get_sides(node, sides);
    for (int i = 0; i < WS_N_SIDES; i++) {
        const int64_t before = pads[2 * i], after = pads[2 * i + 1], out = sides[i] + before + after;
        const bool reaches_too_far = mode == WS_PAD_REFLECT && (before >= sides[i] || after >= sides[i]);
        if (out < 1 || out > INT_MAX || reaches_too_far) {
            ws_fail(&net->err, WS_E_CONFIG, "node \"%s\": padding of %lld and %lld does not fit a side of %d", name,
                    (long long)before, (long long)after, sides[i]);
            return 0;
        }
        node->pads[2 * i] = pads[2 * i];
        node->pads[2 * i + 1] = pads[2 * i + 1];
        sides[i] = (int)out;
    }
    set_sides(node, sides);
    return id;
}

int ws_net_resize(struct ws_net *net, const char *name, int x, int height, int width, struct ws_resize resize)
{
    int id;
    struct ws_node *node = append(net, WS_OP_RESIZE, name, x, &id);
    if (!node)
        return 0;
    if (height < 1 || width < 1) {
        ws_fail(&net->err, WS_E_CONFIG, "node \"%s\": resized to %d x %d", name, height, width);
        return 0;
    }
    node->resize = resize;
    node->height = height;
    node->width = width;
    return id;
}
