/* ONNX export of the ops that move values: Concat, Reshape, Transpose, ChannelShuffle, Slice, Pad, Resize. */
#include "message.h"
#include "ops.h"

#include <limits.h>

void ws_onnx_write_concat(struct ws_onnx_writer *w, int id)
{
    const struct ws_node *node = &w->net->nodes[id];
    bool is_flat = node->axis == WS_CHANNELS;
    for (int i = 0; i < node->n_inputs; i++) {
        is_flat = is_flat && w->is_flat[node->inputs[i]];
        if (w->net->nodes[node->inputs[i]].op == WS_OP_CONSTANT) {
            w->status =
                ws_fail(w->err, WS_E_UNSUPPORTED,
                        "node \"%s\": joins the constant \"%s\" to images: ONNX's Concat wants it once per image, and "
                        "the batch is open",
                        node->name, w->net->nodes[node->inputs[i]].name);
            return;
        }
    }
    char *operands[WS_NODE_MAX_INPUTS];
    for (int i = 0; i < node->n_inputs; i++)
        operands[i] = is_flat ? w->values[node->inputs[i]] : ws_onnx_writer_map_value(w, node->inputs[i]);
    Onnx__NodeProto *to = ws_onnx_writer_node(w, "Concat", node->name, (size_t)node->n_inputs, w->values[id]);
    for (int i = 0; i < node->n_inputs; i++)
        ws_onnx_writer_input(to, operands[i]);
    ws_onnx_writer_int(w, to, "axis", ws_onnx_axis_of(node->axis));
    w->is_flat[id] = is_flat;
}

/* To 1 x 1: a vector, as PyTorch's flatten gives. */
void ws_onnx_write_reshape(struct ws_onnx_writer *w, int id)
{
    const struct ws_node *node = &w->net->nodes[id];
    if (node->height == 1 && node->width == 1) {
        w->values[id] = ws_onnx_writer_flat_value(w, node->inputs[0]);
        w->is_flat[id] = true;
        return;
    }
    char *x = ws_onnx_writer_value(w, node->inputs[0]);
    ws_onnx_writer_reshape(w, node->name, x, w->values[id], 3, (int64_t[]){node->channels, node->height, node->width});
}

void ws_onnx_write_transpose(struct ws_onnx_writer *w, int id)
{
    const struct ws_node *node = &w->net->nodes[id];
    int perm[4] = {0};
    for (int side = 0; side < WS_N_SIDES; side++)
        perm[ws_onnx_axis_of(side)] = ws_onnx_axis_of(node->perm[side]);
    ws_onnx_writer_ints(w, ws_onnx_writer_map(w, id, "Transpose", 1), "perm", 4, perm);
}

void ws_onnx_write_channel_shuffle(struct ws_onnx_writer *w, int id)
{
    const struct ws_node *node = &w->net->nodes[id];
    const int64_t groups = node->groups, per_group = node->channels / groups;
    char *split = ws_onnx_writer_name(w, node->name, ".out.split"),
         *turned = ws_onnx_writer_name(w, node->name, ".out.turned");
    char *split_name = ws_onnx_writer_name(w, node->name, ".split"),
         *turn_name = ws_onnx_writer_name(w, node->name, ".turn");
    char *x = ws_onnx_writer_map_value(w, node->inputs[0]);
    if (w->no_memory)
        return;
    ws_onnx_writer_reshape(w, split_name, x, split, 4, (int64_t[]){groups, per_group, node->height, node->width});
    Onnx__NodeProto *turn = ws_onnx_writer_node(w, "Transpose", turn_name, 1, turned);
    ws_onnx_writer_input(turn, split);
    ws_onnx_writer_ints(w, turn, "perm", 5, (int[]){0, 2, 1, 3, 4});
    ws_onnx_writer_reshape(w, node->name, turned, w->values[id], 3,
                           (int64_t[]){node->channels, node->height, node->width});
}

void ws_onnx_write_slice(struct ws_onnx_writer *w, int id)
{
    const struct ws_node *node = &w->net->nodes[id];
    const int sides[WS_N_SIDES] = {node->height, node->width, node->channels};
    int64_t starts[WS_N_SIDES], ends[WS_N_SIDES], axes[WS_N_SIDES], steps[WS_N_SIDES];
    for (int i = 0; i < WS_N_SIDES; i++) {
        starts[i] = node->begin[i];
        steps[i] = node->step[i];
        ends[i] = starts[i] + (sides[i] - 1) * steps[i] + (steps[i] > 0 ? 1 : -1);
        if (ends[i] < 0)
            ends[i] = INT_MIN; /* -1 would mean the last */
        axes[i] = ws_onnx_axis_of(i);
    }
    Onnx__NodeProto *to = ws_onnx_writer_map(w, id, "Slice", 5);
    ws_onnx_writer_ints_input(w, to, node->name, ".out.starts", WS_N_SIDES, starts);
    ws_onnx_writer_ints_input(w, to, node->name, ".out.ends", WS_N_SIDES, ends);
    ws_onnx_writer_ints_input(w, to, node->name, ".out.axes", WS_N_SIDES, axes);
    ws_onnx_writer_ints_input(w, to, node->name, ".out.steps", WS_N_SIDES, steps);
}

void ws_onnx_write_pad(struct ws_onnx_writer *w, int id)
{
    static const char *const modes[] = {
        [WS_PAD_CONSTANT] = "constant", [WS_PAD_EDGE] = "edge", [WS_PAD_REFLECT] = "reflect"};
    const struct ws_node *node = &w->net->nodes[id];
    int64_t pads[8] = {0};
    for (int side = 0; side < WS_N_SIDES; side++) {
        pads[ws_onnx_axis_of(side)] = node->pads[2 * side];
        pads[4 + ws_onnx_axis_of(side)] = node->pads[2 * side + 1];
    }
    Onnx__NodeProto *to = ws_onnx_writer_map(w, id, "Pad", 3);
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
void ws_onnx_write_resize(struct ws_onnx_writer *w, int id)
{
    static const char *const grids[] = {[WS_GRID_HALF_PIXEL] = "half_pixel",
                                        [WS_GRID_PYTORCH_HALF_PIXEL] = "pytorch_half_pixel",
                                        [WS_GRID_ASYMMETRIC] = "asymmetric",
                                        [WS_GRID_ALIGN_CORNERS] = "align_corners"};
    static const char *const roundings[] = {[WS_ROUND_PREFER_FLOOR] = "round_prefer_floor",
                                            [WS_ROUND_PREFER_CEIL] = "round_prefer_ceil",
                                            [WS_ROUND_FLOOR] = "floor",
                                            [WS_ROUND_CEIL] = "ceil"};
    const struct ws_node *node = &w->net->nodes[id], *in = &w->net->nodes[node->inputs[0]];
    const struct ws_resize *resize = &node->resize;
    const bool is_given = resize->scale[0] > 0 && resize->scale[1] > 0;
    const bool is_whole = node->height % in->height == 0 && node->width % in->width == 0;
    char *x = ws_onnx_writer_map_value(w, node->inputs[0]), *none = ws_onnx_writer_name(w, "", "");
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
