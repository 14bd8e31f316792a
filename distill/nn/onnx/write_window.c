/* ONNX export of the ops with weights or windows: convolution, linear layers, BatchNorm, pooling. */
#include "message.h"
#include "ops.h"

#include <string.h>

void ws_onnx_write_conv(struct ws_onnx_writer *w, int id)
{
    const struct ws_node *node = &w->net->nodes[id];
    const struct ws_window *window = &node->window;
    const bool adds = node->fused_add >= 0, rectifies = node->fused_relu;

    char *value = adds || rectifies ? ws_onnx_writer_name(w, node->name, ".out.conv") : w->values[id];
    char *x = ws_onnx_writer_map_value(w, node->inputs[0]);
    Onnx__NodeProto *conv = ws_onnx_writer_node(w, "Conv", node->name, 3, value);
    ws_onnx_writer_input(conv, x);
    ws_onnx_writer_params(w, conv, node);
    ws_onnx_writer_ints(w, conv, "kernel_shape", 2, window->kernel);
    ws_onnx_writer_ints(w, conv, "strides", 2, window->stride);
    ws_onnx_writer_ints(w, conv, "pads", 4, window->pads);
    ws_onnx_writer_ints(w, conv, "dilations", 2, window->dilation);
    ws_onnx_writer_int(w, conv, "group", node->groups);

    char *name = ws_onnx_writer_name(w, node->name, ".add");
    if (adds && name) {
        char *sum = rectifies ? ws_onnx_writer_name(w, node->name, ".out.add") : w->values[id];
        char *other = ws_onnx_writer_map_value(w, node->fused_add);
        Onnx__NodeProto *add = ws_onnx_writer_node(w, "Add", name, 2, sum);
        ws_onnx_writer_input(add, value);
        ws_onnx_writer_input(add, other);
        value = sum;
    }
    name = ws_onnx_writer_name(w, node->name, ".relu");
    if (rectifies && name)
        ws_onnx_writer_input(ws_onnx_writer_node(w, "Relu", name, 1, w->values[id]), value);
}

void ws_onnx_write_gemm(struct ws_onnx_writer *w, int id)
{
    const struct ws_node *node = &w->net->nodes[id];
    char *x = ws_onnx_writer_flat_value(w, node->inputs[0]);
    Onnx__NodeProto *gemm = ws_onnx_writer_node(w, "Gemm", node->name, 3, w->values[id]);
    ws_onnx_writer_input(gemm, x);
    ws_onnx_writer_params(w, gemm, node);
    ws_onnx_writer_int(w, gemm, "transB", 1);
    w->is_flat[id] = true;
}

void ws_onnx_write_batchnorm(struct ws_onnx_writer *w, int id)
{
    const struct ws_node *node = &w->net->nodes[id];
    Onnx__NodeProto *bn = ws_onnx_writer_unary(w, id, "BatchNormalization", 5);
    ws_onnx_writer_params(w, bn, node);
    ws_onnx_writer_float(w, bn, "epsilon", node->bn_eps);
    ws_onnx_writer_float(w, bn, "momentum", 1.0 - node->bn_momentum); /* ONNX counts the old value's share */
}

/* --- pooling --- */

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

void ws_onnx_write_pool(struct ws_onnx_writer *w, int id)
{
    const struct ws_node *node = &w->net->nodes[id];
    const struct ws_window *window = &node->window;
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
        ws_onnx_writer_int(w, to, "count_include_pad", node->count_padding);
}

void ws_onnx_write_global_pool(struct ws_onnx_writer *w, int id)
{
    ws_onnx_writer_map(w, id, "GlobalAveragePool", 1);
}

void ws_onnx_write_reduce_mean(struct ws_onnx_writer *w, int id)
{
    const struct ws_node *node = &w->net->nodes[id];
    int axes[WS_N_SIDES];
    size_t n = 0;
    for (int side = 0; side < WS_N_SIDES; side++)
        if (node->axes[side])
            axes[n++] = ws_onnx_axis_of(side);
    Onnx__NodeProto *to = ws_onnx_writer_map(w, id, n > 0 ? "ReduceMean" : "Identity", 1);
    if (n == 0)
        return;
    ws_onnx_writer_ints(w, to, "axes", n, axes);
    ws_onnx_writer_int(w, to, "keepdims", 1);
}
