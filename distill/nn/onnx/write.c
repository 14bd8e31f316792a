/*
 * ONNX export: the graph's ops are ONNX ops already, so most nodes become one ONNX node.
 *
 * Names: a node keeps its name; its value is "<name>.out", what else is written for it "<name>.out.<something>", and
 * its parameters are "<name>.weight" and so on, so no two can meet; the graph's input is "input" and its output
 * "logits". All messages live in one arena, written out in one pass.
 */
#include "webstill/nn/onnx.h"

#include "message.h"
#include "row.h"

#include <limits.h>
#include <stdbool.h>

enum { IR_VERSION = 8, OPSET_MIN = 13, OPSET_MAX = 17 };

static void mark_nodes(struct ws_onnx_writer *w, int output)
{
    const struct ws_net *net = w->net;
    w->is_needed[output] = true;
    for (int id = output; id > 0; id--) {
        if (!w->is_needed[id])
            continue;
        for (int i = 0; i < net->nodes[id].n_inputs; i++)
            w->is_needed[net->nodes[id].inputs[i]] = true;
        if (ws_node_fused_add(&net->nodes[id]) >= 0)
            w->is_needed[net->nodes[id].conv.fused_add] = true;
    }
}

/* (x - 255 mean) / (255 std) in front of everything: x in 0..255 becomes what the network was trained on. */
static void write_normalisation(struct ws_onnx_writer *w, const float *mean, const float *std)
{
    const int channels = w->net->nodes[0].channels;
    const int64_t shape[4] = {1, channels, 1, 1};
    char *mean_name = ws_onnx_writer_name(w, "input.mean", ""), *std_name = ws_onnx_writer_name(w, "input.std", "");
    char *centred = ws_onnx_writer_name(w, "input.centred.out", ""), *input = ws_onnx_writer_name(w, "input", "");
    if (w->no_memory)
        return;
    float *mean_values = ws_onnx_writer_floats(w, mean_name, 4, shape, (size_t)channels);
    float *std_values = ws_onnx_writer_floats(w, std_name, 4, shape, (size_t)channels);
    if (w->no_memory)
        return;
    for (int c = 0; c < channels; c++) {
        mean_values[c] = (float)(255.0 * (double)mean[c]);
        std_values[c] = (float)(255.0 * (double)std[c]);
    }
    Onnx__NodeProto *sub = ws_onnx_writer_node(w, "Sub", "input.centred", 2, centred);
    ws_onnx_writer_input(sub, input);
    ws_onnx_writer_input(sub, mean_name);
    Onnx__NodeProto *div = ws_onnx_writer_node(w, "Div", "input.normalised", 2, w->values[0]);
    ws_onnx_writer_input(div, centred);
    ws_onnx_writer_input(div, std_name);
}

/* The output's value gets its name; a node between, where the value is a map or something else's too. */
static void write_output(struct ws_onnx_writer *w, int output)
{
    const bool is_flat = w->is_flat[output];
    char *value = w->values[output], *logits = ws_onnx_writer_name(w, "logits", "");
    Onnx__NodeProto *last = w->graph.n_node > 0 ? w->graph.node[w->graph.n_node - 1] : NULL;
    if (is_flat && last && last->output[0] == value) {
        last->output[0] = logits;
        return;
    }
    Onnx__NodeProto *node = ws_onnx_writer_node(w, is_flat ? "Identity" : "Flatten",
                                                is_flat ? "logits.identity" : "logits.flatten", 1, logits);
    ws_onnx_writer_input(node, value);
    if (!is_flat)
        ws_onnx_writer_int(w, node, "axis", 1);
}

/* As its row says, which sets values[id] and is_flat[id]; a constant is written by its first reader. */
static void write_op(struct ws_onnx_writer *w, int id)
{
    const struct ws_node *node = &w->net->nodes[id];
    if (node->op == WS_OP_CONSTANT)
        w->values[id] = NULL;
    else if (id > 0 && w->is_needed[id] && ws_onnx_rows[node->op]->write)
        ws_onnx_rows[node->op]->write(w, id);
    else if (id > 0 && w->is_needed[id])
        w->status =
            ws_fail(w->err, WS_E_UNSUPPORTED, "node \"%s\": ONNX cannot say %s", node->name, ws_op_name(node->op));
}

static enum ws_status fill_graph(struct ws_onnx_writer *w, const struct ws_onnx_options *options)
{
    const struct ws_net *net = w->net;
    const struct ws_node *input = &net->nodes[0], *output = &net->nodes[options->output];
    for (int id = 0; id <= options->output; id++)
        w->values[id] = ws_onnx_writer_name(w, net->nodes[id].name, ".out");
    if (!options->mean)
        w->values[0] = ws_onnx_writer_name(w, "input", "");

    Onnx__GraphProto *graph = &w->graph;
    onnx__graph_proto__init(graph);
    w->cap_nodes = (size_t)net->n_nodes * WS_ONNX_NODES_PER_NODE + 3; /* and Sub, Div, Flatten */
    w->cap_initializers = (size_t)net->n_params + (size_t)net->n_nodes * WS_ONNX_INITIALIZERS_PER_NODE + 2;
    graph->name = ws_onnx_writer_name(w, "webstill", "");
    graph->node = ws_onnx_writer_take(w, w->cap_nodes, sizeof *graph->node);
    graph->initializer = ws_onnx_writer_take(w, w->cap_initializers, sizeof *graph->initializer);
    graph->input = ws_onnx_writer_take(w, 1, sizeof *graph->input);
    graph->output = ws_onnx_writer_take(w, 1, sizeof *graph->output);
    if (w->no_memory)
        return WS_OK;
    graph->input[graph->n_input++] =
        ws_onnx_writer_value_info(w, "input", 3, (int[]){input->channels, input->height, input->width});
    graph->output[graph->n_output++] = ws_onnx_writer_value_info(w, "logits", 1, &output->channels);

    if (options->mean)
        write_normalisation(w, options->mean, options->std);
    for (int id = 0; id <= options->output && !w->no_memory; id++) {
        write_op(w, id);
        if (w->status != WS_OK)
            return w->status;
    }
    if (!w->no_memory)
        write_output(w, options->output);
    return WS_OK;
}

static void fill_model(struct ws_onnx_writer *w, Onnx__ModelProto *model, const struct ws_onnx_options *options)
{
    onnx__model_proto__init(model);
    model->has_ir_version = true;
    model->ir_version = IR_VERSION;
    model->producer_name = ws_onnx_writer_name(w, "webstill", "");
    model->doc_string = ws_onnx_writer_name(w, "image classifier written by webstill: input NCHW, output logits", "");
    model->graph = &w->graph;

    Onnx__OperatorSetIdProto *opset = ws_onnx_writer_take(w, 1, sizeof *opset);
    model->opset_import = ws_onnx_writer_take(w, 1, sizeof *model->opset_import);
    if (w->no_memory)
        return;
    onnx__operator_set_id_proto__init(opset);
    opset->domain = ws_onnx_writer_name(w, "", "");
    opset->has_version = true;
    opset->version = options->opset;
    model->opset_import[model->n_opset_import++] = opset;

    const size_t n = (size_t)options->n_metadata;
    if (n > 0)
        model->metadata_props = ws_onnx_writer_take(w, n, sizeof *model->metadata_props);
    for (size_t i = 0; i < n && !w->no_memory; i++) {
        Onnx__StringStringEntryProto *entry = ws_onnx_writer_take(w, 1, sizeof *entry);
        if (!entry)
            return;
        onnx__string_string_entry_proto__init(entry);
        entry->key = ws_onnx_writer_name(w, options->metadata[i].key, "");
        entry->value = ws_onnx_writer_name(w, options->metadata[i].value, "");
        model->metadata_props[model->n_metadata_props++] = entry;
    }
}

static enum ws_status check_options(const struct ws_net *net, const struct ws_onnx_options *options, struct ws_err *err)
{
    if (options->opset < OPSET_MIN || options->opset > OPSET_MAX)
        return ws_fail(err, WS_E_CONFIG, "ONNX opset %d: expected %d to %d", options->opset, OPSET_MIN, OPSET_MAX);
    ws_assert(options->output > 0 && options->output < net->n_nodes && net->values);
    ws_assert(!options->mean == !options->std);
    const struct ws_node *output = &net->nodes[options->output];
    if (output->height != 1 || output->width != 1)
        return ws_fail(err, WS_E_CONFIG, "ONNX output \"%s\" is a %d x %d map: expected one value per class",
                       output->name, output->height, output->width);
    return WS_OK;
}

enum ws_status ws_onnx_write(const struct ws_net *net, const struct ws_onnx_options *options, struct ws_buf *out,
                             struct ws_err *err)
{
    enum ws_status status = check_options(net, options, err);
    if (status != WS_OK)
        return status;

    Onnx__ModelProto model;
    struct ws_onnx_writer w = {
        .net = net, .opset = options->opset, .omits_weights = options->omits_weights, .err = err};
    w.values = ws_onnx_writer_take(&w, (size_t)net->n_nodes, sizeof *w.values);
    w.flats = ws_onnx_writer_take(&w, (size_t)net->n_nodes, sizeof *w.flats);
    w.maps = ws_onnx_writer_take(&w, (size_t)net->n_nodes, sizeof *w.maps);
    w.is_needed = ws_onnx_writer_take(&w, (size_t)net->n_nodes, sizeof *w.is_needed);
    w.is_flat = ws_onnx_writer_take(&w, (size_t)net->n_nodes, sizeof *w.is_flat);
    if (w.no_memory)
        goto no_memory;
    mark_nodes(&w, options->output);
    status = fill_graph(&w, options);
    if (status != WS_OK)
        goto out;
    fill_model(&w, &model, options);
    if (w.no_memory)
        goto no_memory;

    const size_t size = onnx__model_proto__get_packed_size(&model);
    if (size > INT_MAX) {
        status = ws_fail(err, WS_E_UNSUPPORTED, "the ONNX file would have %zu bytes: protobuf allows 2 GiB", size);
        goto out;
    }
    ws_buf_clear(out);
    char *bytes = ws_buf_reserve(out, size);
    if (!bytes)
        goto no_memory;
    ws_assert(onnx__model_proto__pack(&model, (uint8_t *)bytes) == size);
    out->len = size;
    goto out;

no_memory:
    status = ws_fail(err, WS_E_MEMORY, "out of memory while writing ONNX");
out:
    ws_arena_fini(&w.arena);
    return status;
}
