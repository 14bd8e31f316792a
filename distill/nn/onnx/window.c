/* The ops with parameters or windows: convolution, BatchNorm, pooling, linear layers. */
#include "message.h"
#include "reader.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>

/* --- windows --- */

/** Two positive integers of an attribute, or `fallback`. */
static void read_pair(struct ws_onnx_reader *r, const char *name, const int fallback[2], int out[2])
{
    size_t n;
    const int64_t *values = ws_onnx_attr_ints(r, name, &n);
    out[0] = fallback[0];
    out[1] = fallback[1];
    if (!values)
        return;
    if (n != 2) {
        ws_onnx_refuse(r, WS_E_UNSUPPORTED, "%s has %zu values; expected 2, for height and width", name, n);
        return;
    }
    for (int i = 0; i < 2; i++) {
        if (values[i] < 1 || values[i] > INT_MAX / 4) {
            ws_onnx_refuse(r, WS_E_FORMAT, "%s holds %" PRId64 "; expected a positive number", name, values[i]);
            return;
        }
        out[i] = (int)values[i];
    }
}

/** auto_pad: as much as gives ceil(in / stride) windows, the odd pixel at the end (SAME_UPPER) or at the beginning. */
static void pad_same(struct ws_window *w, const struct ws_node *in, bool is_upper)
{
    const int sides[2] = {in->height, in->width};
    for (int i = 0; i < 2; i++) {
        const int64_t reach = (int64_t)w->dilation[i] * (w->kernel[i] - 1) + 1;
        const int64_t out = ((int64_t)sides[i] + w->stride[i] - 1) / w->stride[i];
        int64_t all = (out - 1) * w->stride[i] + reach - sides[i];
        all = all < 0 ? 0 : all > INT_MAX / 4 ? INT_MAX / 4 : all;
        const int smaller = (int)(all / 2), larger = (int)all - smaller;
        w->pads[i] = is_upper ? smaller : larger;
        w->pads[i + 2] = is_upper ? larger : smaller;
    }
}

/** The window's attributes; `kernel` is known from a weight, or {0, 0}: the attribute must be there. */
static struct ws_window read_window(struct ws_onnx_reader *r, const int kernel[2], const struct ws_node *in)
{
    struct ws_window w = {{0}, {0}, {0}, {0}};
    static const int ones[2] = {1, 1};
    read_pair(r, "kernel_shape", kernel, w.kernel);
    if (r->status == WS_OK && w.kernel[0] == 0)
        ws_onnx_refuse(r, WS_E_FORMAT, "kernel_shape is missing");
    if (r->status == WS_OK && kernel[0] && (kernel[0] != w.kernel[0] || kernel[1] != w.kernel[1]))
        ws_onnx_refuse(r, WS_E_FORMAT, "kernel_shape is %d x %d; the weight has %d x %d", w.kernel[0], w.kernel[1],
                       kernel[0], kernel[1]);
    read_pair(r, "strides", ones, w.stride);
    read_pair(r, "dilations", ones, w.dilation);
    size_t n;
    const int64_t *pads = ws_onnx_attr_ints(r, "pads", &n);
    const char *automatic = ws_onnx_attr_string(r, "auto_pad", "NOTSET");
    if (r->status != WS_OK)
        return w;
    if (strcmp(automatic, "SAME_UPPER") == 0 || strcmp(automatic, "SAME_LOWER") == 0) {
        pad_same(&w, in, strcmp(automatic, "SAME_UPPER") == 0);
    } else if (strcmp(automatic, "NOTSET") != 0 && strcmp(automatic, "VALID") != 0) {
        ws_onnx_refuse(r, WS_E_UNSUPPORTED, "auto_pad \"%s\"; expected NOTSET, VALID, SAME_UPPER or SAME_LOWER",
                       automatic);
    } else if (pads && strcmp(automatic, "NOTSET") == 0) {
        if (n != 4)
            ws_onnx_refuse(r, WS_E_UNSUPPORTED, "pads has %zu values; expected 4, for height and width", n);
        for (size_t i = 0; i < 4 && r->status == WS_OK; i++) {
            if (pads[i] < 0 || pads[i] > INT_MAX / 4)
                ws_onnx_refuse(r, WS_E_UNSUPPORTED, "pads holds %" PRId64 "; expected 0 or more", pads[i]);
            else
                w.pads[i] = (int)pads[i];
        }
    }
    return w;
}

/** A map [N, C, H, W]; windows over one side or three are refused. */
static struct ws_onnx_value *map_input(struct ws_onnx_reader *r)
{
    struct ws_onnx_value *x = ws_onnx_input_data(r, 0);
    if (x && x->rank != WS_N_SIDES) {
        ws_onnx_refuse(r, WS_E_UNSUPPORTED, "its input has %d axes; expected [N, C, H, W]", x->rank + 1);
        return NULL;
    }
    return x;
}

/** Output 0 with the sides of our node, under the input's number of axes. */
static void set_map(struct ws_onnx_reader *r, int node)
{
    if (r->status != WS_OK || r->net->err.status != WS_OK)
        return;
    const struct ws_node *n = &r->net->nodes[node];
    (void)ws_onnx_output_data(r, 0, node, WS_N_SIDES, (int64_t[]){n->channels, n->height, n->width});
}

/* --- convolution and pooling --- */

static void read_conv(struct ws_onnx_reader *r)
{
    struct ws_onnx_value *x = map_input(r);
    struct ws_onnx_constant *weight = ws_onnx_input_floats(r, 1, false), *bias = ws_onnx_input_floats(r, 2, true);
    const int64_t groups = ws_onnx_attr_int(r, "group", 1);
    if (r->status != WS_OK)
        return;
    if (weight->rank != 4 || weight->n < 1 || weight->dims[2] > INT_MAX / 4 || weight->dims[3] > INT_MAX / 4) {
        ws_onnx_refuse(r, WS_E_FORMAT,
                       "its weight has %d axes and %" PRId64 " elements; expected [out, in/groups, height, width]",
                       weight->rank, weight->n);
        return;
    }
    if (groups < 1 || groups > WS_MAX_CHANNELS || weight->dims[1] * groups != x->dims[0]) {
        ws_onnx_refuse(r, WS_E_FORMAT, "%" PRId64 " groups of %" PRId64 " input channels; the input has %" PRId64,
                       groups, weight->dims[1], x->dims[0]);
        return;
    }
    if (weight->dims[0] > WS_MAX_CHANNELS || (bias && (bias->rank != 1 || bias->n != weight->dims[0]))) {
        ws_onnx_refuse(r, WS_E_FORMAT, "its weight gives %" PRId64 " channels, its bias has %" PRId64 " values",
                       weight->dims[0], bias ? bias->n : 0);
        return;
    }
    const int map = ws_onnx_value_as_map(r, x);
    const int kernel[2] = {(int)weight->dims[2], (int)weight->dims[3]};
    const struct ws_window w = read_window(r, kernel, &r->net->nodes[map]);
    if (r->status != WS_OK)
        return;
    const int node = ws_net_conv_grouped(r->net, ws_onnx_name_after(r, r->proto->input[1]), map, (int)weight->dims[0],
                                         w, (int)groups, bias != NULL);
    ws_onnx_param_set(r, node, 0, weight->floats, (size_t)weight->n);
    if (bias)
        ws_onnx_param_set(r, node, 1, bias->floats, (size_t)bias->n);
    set_map(r, node);
}

static void read_pool(struct ws_onnx_reader *r)
{
    struct ws_onnx_value *x = map_input(r);
    const bool is_max = strcmp(r->type->name, "MaxPool") == 0;
    const bool ceil_mode = ws_onnx_attr_int(r, "ceil_mode", 0) != 0;
    const bool count_padding = !is_max && ws_onnx_attr_int(r, "count_include_pad", 0) != 0;
    if (is_max)
        (void)ws_onnx_attr_int(r, "storage_order", 0); /* of the indices, which nobody may use */
    if (r->status != WS_OK)
        return;
    const int map = ws_onnx_value_as_map(r, x);
    const struct ws_window w = read_window(r, (const int[2]){0, 0}, &r->net->nodes[map]);
    if (r->status != WS_OK)
        return;
    if (!is_max && (w.dilation[0] != 1 || w.dilation[1] != 1)) {
        ws_onnx_refuse(r, WS_E_UNSUPPORTED, "dilations of %d x %d in an average; expected 1", w.dilation[0],
                       w.dilation[1]);
        return;
    }
    set_map(r, ws_net_pool(r->net, is_max ? WS_OP_MAX_POOL : WS_OP_AVERAGE_POOL, ws_onnx_name_after(r, NULL), map, w,
                           ceil_mode, count_padding));
}

static void read_global_pool(struct ws_onnx_reader *r)
{
    struct ws_onnx_value *x = ws_onnx_input_data(r, 0);
    if (x && x->rank < 1)
        ws_onnx_refuse(r, WS_E_FORMAT, "its input has no channels");
    if (r->status != WS_OK)
        return;
    const int64_t channels = x->dims[0], count = ws_onnx_value_count(x);
    const int map =
        x->rank <= WS_N_SIDES ? ws_onnx_value_as_map(r, x) : ws_onnx_value_as_dims(r, x, 1, count / channels, channels);
    const int64_t rank = x->rank;
    if (r->status != WS_OK)
        return;
    const struct ws_window all = {{r->net->nodes[map].height, r->net->nodes[map].width}, {1, 1}, {1, 1}, {0, 0, 0, 0}};
    const char *name = ws_onnx_name_after(r, NULL);
    const int node = strcmp(r->type->name, "GlobalMaxPool") == 0
                         ? ws_net_pool(r->net, WS_OP_MAX_POOL, name, map, all, false, false)
                         : ws_net_global_average_pool(r->net, name, map);
    int64_t dims[WS_ONNX_MAX_RANK] = {channels, 1, 1, 1, 1, 1, 1, 1};
    (void)ws_onnx_output_data(r, 0, node, (int)rank, dims);
}

/* --- BatchNorm --- */

static void read_batchnorm(struct ws_onnx_reader *r)
{
    struct ws_onnx_value *x = ws_onnx_input_data(r, 0);
    struct ws_onnx_constant *params[4];
    for (size_t i = 0; i < 4; i++)
        params[i] = ws_onnx_input_floats(r, i + 1, false);
    const double epsilon = ws_onnx_attr_float(r, "epsilon", 1e-5), momentum = ws_onnx_attr_float(r, "momentum", 0.9);
    if (r->opset < 9 && ws_onnx_attr_int(r, "spatial", 1) != 1)
        ws_onnx_refuse(r, WS_E_UNSUPPORTED, "spatial = 0: expected statistics of a channel");
    /* Which statistics are used is the executor's mode here; the file's wish is passed on to the caller. */
    const bool trains = r->opset < 14 ? r->proto->n_output > 1 : ws_onnx_attr_int(r, "training_mode", 0) != 0;
    if (x && x->rank < 1)
        ws_onnx_refuse(r, WS_E_UNSUPPORTED, "its input has no channels");
    if (!(epsilon > 0) || !(momentum >= 0 && momentum <= 1))
        ws_onnx_refuse(r, WS_E_FORMAT, "epsilon %g, momentum %g; expected more than 0, and 0 to 1", epsilon, momentum);
    for (size_t i = 0; i < 4 && r->status == WS_OK; i++)
        if (params[i]->rank != 1 || params[i]->n != x->dims[0])
            ws_onnx_refuse(r, WS_E_FORMAT, "input %zu has %" PRId64 " values; the input has %" PRId64 " channels",
                           i + 1, params[i]->n, x->dims[0]);
    if (r->status != WS_OK)
        return;
    int64_t dims[WS_ONNX_MAX_RANK];
    memcpy(dims, x->dims, sizeof dims);
    const int map = x->rank <= WS_N_SIDES
                        ? ws_onnx_value_as_map(r, x)
                        : ws_onnx_value_as_dims(r, x, 1, ws_onnx_value_count(x) / x->dims[0], x->dims[0]);
    const int node = ws_net_batchnorm(r->net, ws_onnx_name_after(r, r->proto->input[1]), map);
    if (r->status != WS_OK || r->net->err.status != WS_OK)
        return;
    r->net->nodes[node].batchnorm.eps = epsilon;
    r->net->nodes[node].batchnorm.momentum = 1 - momentum; /* ONNX counts the old value's share */
    for (int i = 0; i < 4; i++)
        ws_onnx_param_set(r, node, i, params[i]->floats, (size_t)params[i]->n);
    r->n_batchnorm++;
    r->is_training_form = r->is_training_form || trains;
    (void)ws_onnx_output_data(r, 0, node, x->rank, dims);
}

/* --- linear layers --- */

/** [out, in] in the arena from the file's [rows, columns], transposed unless it is [out, in] already, times `scale`. */
static float *linear_weight(struct ws_onnx_reader *r, const struct ws_onnx_constant *weight, bool is_transposed,
                            double scale)
{
    const size_t rows = (size_t)weight->dims[0], columns = (size_t)weight->dims[1];
    if (is_transposed && scale == 1)
        return weight->floats;
    float *out = ws_onnx_take(r, rows * columns, sizeof *out);
    for (size_t i = 0; out && i < rows; i++)
        for (size_t k = 0; k < columns; k++)
            out[is_transposed ? i * columns + k : k * rows + i] =
                (float)(scale * (double)weight->floats[i * columns + k]);
    return out;
}

/** A bias of `n` values from [n], [1, n] or a single number, times `scale`; NULL after a refusal. */
static float *linear_bias(struct ws_onnx_reader *r, const struct ws_onnx_constant *bias, int64_t n, double scale)
{
    const int64_t last = bias->rank > 0 ? bias->dims[bias->rank - 1] : 1;
    if (bias->n != last || (last != n && last != 1)) {
        ws_onnx_refuse(r, WS_E_UNSUPPORTED,
                       "its bias has %" PRId64 " values for %" PRId64
                       " outputs; one for each image would need the batch axis",
                       bias->n, n);
        return NULL;
    }
    float *out = ws_onnx_take(r, (size_t)n, sizeof *out);
    for (int64_t i = 0; out && i < n; i++)
        out[i] = (float)(scale * (double)bias->floats[last == 1 ? 0 : i]);
    return out;
}

/** The layer itself: `x` is flattened, so its node is taken as it is. */
static int add_linear(struct ws_onnx_reader *r, const struct ws_onnx_value *x, const char *name, int64_t n_out,
                      float *weight, float *bias)
{
    const int64_t n_in = x->dims[0];
    if (r->status != WS_OK)
        return 0;
    if (n_out < 1 || n_out > WS_MAX_CHANNELS) {
        ws_onnx_refuse(r, WS_E_UNSUPPORTED, "%" PRId64 " outputs; expected 1 to %d", n_out, WS_MAX_CHANNELS);
        return 0;
    }
    const int node = ws_net_gemm(r->net, name, x->node, (int)n_out, bias != NULL);
    ws_onnx_param_set(r, node, 0, weight, (size_t)(n_in * n_out));
    if (bias)
        ws_onnx_param_set(r, node, 1, bias, (size_t)n_out);
    return node;
}

/** Checks what Gemm and MatMul share: [N, in] times a constant matrix whose `in_axis` has that side. */
static bool check_linear(struct ws_onnx_reader *r, const struct ws_onnx_value *x, const struct ws_onnx_constant *weight,
                         int in_axis)
{
    if (r->status != WS_OK)
        return false;
    if (x->rank != 1)
        ws_onnx_refuse(r, WS_E_UNSUPPORTED, "its left side has %d axes; expected [N, in]", x->rank + 1);
    else if (weight->rank != 2 || weight->n < 1)
        ws_onnx_refuse(r, WS_E_UNSUPPORTED, "its right side has %d axes; expected a matrix", weight->rank);
    else if (weight->dims[in_axis] != x->dims[0])
        ws_onnx_refuse(r, WS_E_FORMAT, "a matrix for %" PRId64 " inputs; its left side has %" PRId64,
                       weight->dims[in_axis], x->dims[0]);
    return r->status == WS_OK;
}

static void read_gemm(struct ws_onnx_reader *r)
{
    struct ws_onnx_value *x = ws_onnx_input_data(r, 0);
    struct ws_onnx_constant *weight = ws_onnx_input_floats(r, 1, false), *bias = ws_onnx_input_floats(r, 2, true);
    const double alpha = ws_onnx_attr_float(r, "alpha", 1), beta = ws_onnx_attr_float(r, "beta", 1);
    const bool is_transposed = ws_onnx_attr_int(r, "transB", 0) != 0;
    if (ws_onnx_attr_int(r, "transA", 0) != 0)
        ws_onnx_refuse(r, WS_E_UNSUPPORTED, "transA turns the batch axis; expected each image on its own");
    if (!check_linear(r, x, weight, is_transposed ? 1 : 0))
        return;
    const int64_t n_out = weight->dims[is_transposed ? 0 : 1];
    float *bias_values = bias ? linear_bias(r, bias, n_out, beta) : NULL;
    const int node = add_linear(r, x, ws_onnx_name_after(r, r->proto->input[1]), n_out,
                                linear_weight(r, weight, is_transposed, alpha), bias_values);
    (void)ws_onnx_output_data(r, 0, node, 1, &n_out);
}

/** The Add that is the only user of the MatMul at hand and adds a constant to it, or -1; its constant input in *bias.
 */
static int find_bias(struct ws_onnx_reader *r, int64_t n_out, size_t *bias)
{
    const struct ws_onnx_value *out = ws_onnx_value_find(r, r->proto->output[0]);
    if (!out || out->n_uses != 1 || out->used_by < 0)
        return -1;
    const Onnx__NodeProto *add = r->graph->node[out->used_by];
    if (!add->op_type || strcmp(add->op_type, "Add") != 0 || (add->domain && *add->domain) || add->n_input != 2 ||
        add->n_output != 1 || add->n_attribute != 0)
        return -1;
    const Onnx__NodeProto *self = r->proto;
    *bias = strcmp(add->input[0], out->name) == 0 ? 1 : 0;
    r->proto = add;
    const struct ws_onnx_value *v = ws_onnx_input(r, *bias);
    r->proto = self;
    const struct ws_onnx_constant *c = v && v->kind == WS_ONNX_CONSTANT ? &v->constant : NULL;
    return c && !c->is_int && c->n == n_out && c->rank >= 1 && c->rank <= 2 && c->dims[c->rank - 1] == n_out
               ? out->used_by
               : -1;
}

static void read_matmul(struct ws_onnx_reader *r)
{
    struct ws_onnx_value *x = ws_onnx_input_data(r, 0);
    struct ws_onnx_constant *weight = ws_onnx_input_floats(r, 1, false);
    if (!check_linear(r, x, weight, 0))
        return;
    const int64_t n_out = weight->dims[1];
    size_t bias_input = 0;
    const int add = find_bias(r, n_out, &bias_input);
    float *values = linear_weight(r, weight, false, 1);
    const char *name = ws_onnx_name_after(r, r->proto->input[1]);
    if (add < 0) {
        (void)ws_onnx_output_data(r, 0, add_linear(r, x, name, n_out, values, NULL), 1, &n_out);
        return;
    }
    const Onnx__NodeProto *self = r->proto;
    (void)ws_onnx_output_data(r, 0, 0, 1, &n_out); /* nobody else reads it */
    r->proto = r->graph->node[add];
    const struct ws_onnx_constant *bias = ws_onnx_input_constant(r, bias_input, false);
    const int node = bias ? add_linear(r, x, name, n_out, values, bias->floats) : 0;
    (void)ws_onnx_output_data(r, 0, node, 1, &n_out);
    r->is_merged[add] = true;
    r->proto = self;
}

/* --- writing --- */

static void write_conv(struct ws_onnx_writer *w, int id)
{
    const struct ws_node *node = &w->net->nodes[id];
    const struct ws_window *window = &node->conv.window;
    const bool adds = node->conv.fused_add >= 0, rectifies = node->conv.fused_relu;

    char *value = adds || rectifies ? ws_onnx_writer_name(w, node->name, ".out.conv") : w->values[id];
    char *x = ws_onnx_writer_map_value(w, node->inputs[0]);
    Onnx__NodeProto *conv = ws_onnx_writer_node(w, "Conv", node->name, 3, value);
    ws_onnx_writer_input(conv, x);
    ws_onnx_writer_params(w, conv, node);
    ws_onnx_writer_ints(w, conv, "kernel_shape", 2, window->kernel);
    ws_onnx_writer_ints(w, conv, "strides", 2, window->stride);
    ws_onnx_writer_ints(w, conv, "pads", 4, window->pads);
    ws_onnx_writer_ints(w, conv, "dilations", 2, window->dilation);
    ws_onnx_writer_int(w, conv, "group", node->conv.groups);

    char *name = ws_onnx_writer_name(w, node->name, ".add");
    if (adds && name) {
        char *sum = rectifies ? ws_onnx_writer_name(w, node->name, ".out.add") : w->values[id];
        char *other = ws_onnx_writer_map_value(w, node->conv.fused_add);
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
    const struct ws_node *node = &w->net->nodes[id];
    char *x = ws_onnx_writer_flat_value(w, node->inputs[0]);
    Onnx__NodeProto *gemm = ws_onnx_writer_node(w, "Gemm", node->name, 3, w->values[id]);
    ws_onnx_writer_input(gemm, x);
    ws_onnx_writer_params(w, gemm, node);
    ws_onnx_writer_int(w, gemm, "transB", 1);
    w->is_flat[id] = true;
}

static void write_batchnorm(struct ws_onnx_writer *w, int id)
{
    const struct ws_node *node = &w->net->nodes[id];
    Onnx__NodeProto *bn = ws_onnx_writer_unary(w, id, "BatchNormalization", 5);
    ws_onnx_writer_params(w, bn, node);
    ws_onnx_writer_float(w, bn, "epsilon", node->batchnorm.eps);
    ws_onnx_writer_float(w, bn, "momentum", 1.0 - node->batchnorm.momentum); /* ONNX counts the old value's share */
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
        const struct ws_window *window = &node->pool.window;
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

static void write_pool(struct ws_onnx_writer *w, int id)
{
    const struct ws_node *node = &w->net->nodes[id];
    const struct ws_window *window = &node->pool.window;
    const bool is_max = node->op == WS_OP_MAX_POOL, is_dilated = window->dilation[0] > 1 || window->dilation[1] > 1;
    if (is_dilated && !is_max) {
        w->status = ws_fail(w->err, WS_E_UNSUPPORTED,
                            "node \"%s\": a dilated AveragePool, which ONNX has from opset 19 on", node->name);
        return;
    }
    int pads[4];
    bool fits;
    memcpy(pads, window->pads, sizeof pads);
    const bool is_ceil = settle_ceil(&w->net->nodes[node->inputs[0]], node, pads, &fits);
    if (!fits) {
        w->status =
            ws_fail(w->err, WS_E_UNSUPPORTED, "node \"%s\": its ceil_mode means other windows in ONNX", node->name);
        return;
    }
    Onnx__NodeProto *to = ws_onnx_writer_map(w, id, is_max ? "MaxPool" : "AveragePool", 1);
    ws_onnx_writer_ints(w, to, "kernel_shape", 2, window->kernel);
    ws_onnx_writer_ints(w, to, "strides", 2, window->stride);
    ws_onnx_writer_ints(w, to, "pads", 4, pads);
    ws_onnx_writer_int(w, to, "ceil_mode", is_ceil);
    if (is_max)
        ws_onnx_writer_ints(w, to, "dilations", 2, window->dilation);
    else
        ws_onnx_writer_int(w, to, "count_include_pad", node->pool.count_padding);
}

static void write_global_pool(struct ws_onnx_writer *w, int id)
{
    ws_onnx_writer_map(w, id, "GlobalAveragePool", 1);
}

/* --- the rows --- */

const struct ws_onnx_row ws_onnx_row_conv = {
    .reads = (const struct ws_onnx_type[]){{"Conv", 7, 20, read_conv, NULL}, {.name = NULL}}, .write = write_conv};

const struct ws_onnx_row ws_onnx_row_gemm = {.reads =
                                                 (const struct ws_onnx_type[]){{"Gemm", 7, 20, read_gemm, NULL},
                                                                               {"MatMul", 7, 20, read_matmul, NULL},
                                                                               {.name = NULL}},
                                             .write = write_gemm};

const struct ws_onnx_row ws_onnx_row_batchnorm = {
    .reads = (const struct ws_onnx_type[]){{"BatchNormalization", 7, 20, read_batchnorm, NULL}, {.name = NULL}},
    .write = write_batchnorm};

const struct ws_onnx_row ws_onnx_row_max_pool = {
    .reads = (const struct ws_onnx_type[]){{"MaxPool", 7, 20, read_pool, NULL},
                                           {"GlobalMaxPool", 7, 20, read_global_pool, NULL},
                                           {.name = NULL}},
    .write = write_pool};

const struct ws_onnx_row ws_onnx_row_average_pool = {
    .reads = (const struct ws_onnx_type[]){{"AveragePool", 7, 20, read_pool, NULL}, {.name = NULL}},
    .write = write_pool};

const struct ws_onnx_row ws_onnx_row_global_average_pool = {
    .reads = (const struct ws_onnx_type[]){{"GlobalAveragePool", 7, 20, read_global_pool, NULL}, {.name = NULL}},
    .write = write_global_pool};
