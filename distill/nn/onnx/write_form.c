/*
 * The two forms of a value: ours is [height, width, channels] of one image; in the file it is a map [N, C, H, W] or,
 * behind a linear layer, a vector [N, C]. Each op asks for its operands in the form that it needs; where a value has
 * the other form a Flatten or a Reshape goes between, once.
 */
#include "message.h"

const int ws_onnx_axes[WS_N_SIDES] = {[WS_HEIGHT] = 2, [WS_WIDTH] = 3, [WS_CHANNELS] = 1};

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
    const struct ws_node *node = &w->net->nodes[id];
    const int64_t dims[] = {1, node->channels, node->height, node->width};
    if (node->op != WS_OP_CONSTANT || w->values[id])
        return;
    w->is_flat[id] = wants_flat && is_pixel(node);
    w->values[id] = ws_onnx_writer_param(w, node->params[0], w->is_flat[id] ? 2 : 4, dims);
}

/* A value in whatever form it has. */
char *ws_onnx_writer_value(struct ws_onnx_writer *w, int id)
{
    write_constant(w, id, false);
    return w->values[id];
}

char *ws_onnx_writer_flat_value(struct ws_onnx_writer *w, int id)
{
    write_constant(w, id, true);
    if (w->is_flat[id])
        return w->values[id];
    if (w->flats[id])
        return w->flats[id];
    const char *name = w->net->nodes[id].name;
    char *node_name = ws_onnx_writer_name(w, name, ".flatten"), *value = ws_onnx_writer_name(w, name, ".out.flat");
    if (w->no_memory)
        return NULL;
    if (w->net->nodes[id].op == WS_OP_CONSTANT) {
        ws_onnx_writer_reshape(w, node_name, w->values[id], value, 1, (int64_t[]){w->net->nodes[id].channels});
        return w->flats[id] = value;
    }
    Onnx__NodeProto *flatten = ws_onnx_writer_node(w, "Flatten", node_name, 1, value);
    ws_onnx_writer_input(flatten, w->values[id]);
    ws_onnx_writer_int(w, flatten, "axis", 1);
    return w->flats[id] = value;
}

/* A Reshape of `from` to [N, dims...]. */
void ws_onnx_writer_reshape(struct ws_onnx_writer *w, const char *name, char *from, char *to, size_t n_dims,
                            const int64_t *dims)
{
    int64_t shape[6] = {0}; /* 0: the batch as it is */
    for (size_t i = 0; i < n_dims; i++)
        shape[i + 1] = dims[i];
    Onnx__NodeProto *reshape = ws_onnx_writer_node(w, "Reshape", name, 2, to);
    ws_onnx_writer_input(reshape, from);
    ws_onnx_writer_ints_input(w, reshape, to ? to : "", ".shape", n_dims + 1, shape);
}

char *ws_onnx_writer_map_value(struct ws_onnx_writer *w, int id)
{
    write_constant(w, id, false);
    if (!w->is_flat[id])
        return w->values[id];
    if (w->maps[id])
        return w->maps[id];
    const struct ws_node *node = &w->net->nodes[id];
    char *node_name = ws_onnx_writer_name(w, node->name, ".map"),
         *value = ws_onnx_writer_name(w, node->name, ".out.map");
    if (w->no_memory)
        return NULL;
    ws_onnx_writer_reshape(w, node_name, w->values[id], value, 3, (int64_t[]){node->channels, 1, 1});
    return w->maps[id] = value;
}

/* --- nodes of one input --- */

/* One input in the form it has, no attributes yet. */
Onnx__NodeProto *ws_onnx_writer_unary(struct ws_onnx_writer *w, int id, const char *op, size_t n_inputs)
{
    const struct ws_node *node = &w->net->nodes[id];
    char *x = ws_onnx_writer_value(w, node->inputs[0]);
    Onnx__NodeProto *to = ws_onnx_writer_node(w, op, node->name, n_inputs, w->values[id]);
    ws_onnx_writer_input(to, x);
    w->is_flat[id] = w->is_flat[node->inputs[0]];
    return to;
}

/* One map in, one map out, no attributes yet. */
Onnx__NodeProto *ws_onnx_writer_map(struct ws_onnx_writer *w, int id, const char *op, size_t n_inputs)
{
    const struct ws_node *node = &w->net->nodes[id];
    char *x = ws_onnx_writer_map_value(w, node->inputs[0]);
    Onnx__NodeProto *to = ws_onnx_writer_node(w, op, node->name, n_inputs, w->values[id]);
    ws_onnx_writer_input(to, x);
    return to;
}

void ws_onnx_writer_params(struct ws_onnx_writer *w, Onnx__NodeProto *to, const struct ws_node *node)
{
    for (int i = 0; i < node->n_params; i++) {
        const struct ws_param *param = &w->net->params[node->params[i]];
        int64_t dims[4];
        for (int d = 0; d < param->rank; d++)
            dims[d] = param->shape[d];
        ws_onnx_writer_input(to, ws_onnx_writer_param(w, node->params[i], param->rank, dims));
    }
}
