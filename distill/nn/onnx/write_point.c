/* ONNX export of what works pixel by pixel or adds two values: the form stays. */
#include "message.h"
#include "ops.h"

#include <math.h>

void ws_onnx_write_plain(struct ws_onnx_writer *w, int id)
{
    ws_onnx_writer_unary(w, id, ws_op_name(w->net->nodes[id].op), 1);
}

void ws_onnx_write_leaky_relu(struct ws_onnx_writer *w, int id)
{
    Onnx__NodeProto *to = ws_onnx_writer_unary(w, id, "LeakyRelu", 1);
    ws_onnx_writer_float(w, to, "alpha", w->net->nodes[id].alpha);
}

/* A limit at infinity is left out: an input without a name. */
void ws_onnx_write_clip(struct ws_onnx_writer *w, int id)
{
    const struct ws_node *node = &w->net->nodes[id];
    Onnx__NodeProto *clip = ws_onnx_writer_unary(w, id, "Clip", 3);
    if (isinf(node->alpha))
        ws_onnx_writer_input(clip, ws_onnx_writer_name(w, "", ""));
    else
        ws_onnx_writer_scalar_input(w, clip, node->name, ".out.min", node->alpha);
    if (!isinf(node->beta))
        ws_onnx_writer_scalar_input(w, clip, node->name, ".out.max", node->beta);
}

void ws_onnx_write_hard_sigmoid(struct ws_onnx_writer *w, int id)
{
    const struct ws_node *node = &w->net->nodes[id];
    Onnx__NodeProto *to = ws_onnx_writer_unary(w, id, "HardSigmoid", 1);
    ws_onnx_writer_float(w, to, "alpha", node->alpha);
    ws_onnx_writer_float(w, to, "beta", node->beta);
}

void ws_onnx_write_hard_swish(struct ws_onnx_writer *w, int id)
{
    const struct ws_node *node = &w->net->nodes[id];
    if (w->opset >= 14) {
        ws_onnx_writer_unary(w, id, "HardSwish", 1);
        return;
    }
    char *x = ws_onnx_writer_value(w, node->inputs[0]), *gate = ws_onnx_writer_name(w, node->name, ".out.gate");
    char *gate_name = ws_onnx_writer_name(w, node->name, ".gate");
    if (w->no_memory)
        return;
    Onnx__NodeProto *hard = ws_onnx_writer_node(w, "HardSigmoid", gate_name, 1, gate);
    ws_onnx_writer_input(hard, x);
    ws_onnx_writer_float(w, hard, "alpha", 1.0 / 6.0);
    ws_onnx_writer_float(w, hard, "beta", 0.5);
    Onnx__NodeProto *mul = ws_onnx_writer_unary(w, id, "Mul", 2);
    ws_onnx_writer_input(mul, gate);
}

/* A file with weights is for inference. */
void ws_onnx_write_dropout(struct ws_onnx_writer *w, int id)
{
    const struct ws_node *node = &w->net->nodes[id];
    if (w->omits_weights) {
        ws_onnx_writer_scalar_input(w, ws_onnx_writer_unary(w, id, "Dropout", 2), node->name, ".out.ratio",
                                    node->alpha);
        return;
    }
    w->values[id] = ws_onnx_writer_value(w, node->inputs[0]);
    w->is_flat[id] = w->is_flat[node->inputs[0]];
}

void ws_onnx_write_softmax(struct ws_onnx_writer *w, int id)
{
    const struct ws_node *node = &w->net->nodes[id];
    const bool is_flat = w->is_flat[node->inputs[0]] && node->axis == WS_CHANNELS;
    char *x = is_flat ? w->values[node->inputs[0]] : ws_onnx_writer_map_value(w, node->inputs[0]);
    Onnx__NodeProto *to = ws_onnx_writer_node(w, "Softmax", node->name, 1, w->values[id]);
    ws_onnx_writer_input(to, x);
    ws_onnx_writer_int(w, to, "axis", ws_onnx_axis_of(node->axis));
    w->is_flat[id] = is_flat;
}

/* --- two values --- */

/* Whether a value is a vector in the file, or a constant that can stand beside one. */
static bool suits_vectors(const struct ws_onnx_writer *w, int id)
{
    const struct ws_node *node = &w->net->nodes[id];
    return w->is_flat[id] || (node->op == WS_OP_CONSTANT && node->height == 1 && node->width == 1);
}

/* Two vectors, or maps: a lone vector becomes one. */
void ws_onnx_write_binary(struct ws_onnx_writer *w, int id)
{
    const struct ws_node *node = &w->net->nodes[id];
    char *operands[2];
    const bool is_flat = suits_vectors(w, node->inputs[0]) && suits_vectors(w, node->inputs[1]);
    for (int i = 0; i < 2; i++)
        operands[i] =
            is_flat ? ws_onnx_writer_flat_value(w, node->inputs[i]) : ws_onnx_writer_map_value(w, node->inputs[i]);
    Onnx__NodeProto *to = ws_onnx_writer_node(w, ws_op_name(node->op), node->name, 2, w->values[id]);
    ws_onnx_writer_input(to, operands[0]);
    ws_onnx_writer_input(to, operands[1]);
    w->is_flat[id] = is_flat;
}
