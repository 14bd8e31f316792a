/*
 * ONNX export: the graph's ops are ONNX ops already, so a node becomes one ONNX node, or up to three where a folded
 * network has fused an Add and a ReLU into a convolution.
 *
 * Names: a node keeps its name; its value is "<name>.out" (parameters are "<name>.weight" and so on), so no two can
 * meet; the graph's input is "input" and its output "logits". All messages live in one arena, written out in one pass.
 */
#include "webstill/nn/onnx.h"

#include "webstill/base/mem.h"

#include "onnx.pb-c.h"

#include <limits.h>
#include <stdbool.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "raw initializers are little-endian, as ONNX wants them");

enum { IR_VERSION = 8, OPSET_MIN = 13, OPSET_MAX = 17, MAX_ATTRIBUTES = 4, MAX_INPUTS = 5, PER_NODE = 3 };

struct writer {
    struct ws_arena arena;
    const struct ws_net *net;
    Onnx__GraphProto graph;
    size_t cap_nodes, cap_initializers;
    char **values;   /* [n_nodes]: name of a node's value */
    bool *is_needed; /* [n_nodes]: the output depends on it */
    bool *is_flat;   /* [n_nodes]: its ONNX value is [N, C], not [N, C, H, W] */
    bool no_memory;
};

static void *take(struct writer *w, size_t n, size_t size_bytes)
{
    void *p = ws_arena_alloc(&w->arena, n, size_bytes);
    if (!p)
        w->no_memory = true;
    return p;
}

/* prefix + suffix, owned by the arena. */
static char *name_of(struct writer *w, const char *prefix, const char *suffix)
{
    char *text = ws_arena_printf(&w->arena, "%s%s", prefix, suffix);
    if (!text)
        w->no_memory = true;
    return text;
}

/* --- pieces of a node ------------------------------------------------------------------------------------------- */

/* Append an op with its inputs and its one output; NULL when out of memory. */
static Onnx__NodeProto *add_node(struct writer *w, const char *op, const char *name, char *output)
{
    Onnx__NodeProto *node = take(w, 1, sizeof *node);
    if (!node)
        return NULL;
    onnx__node_proto__init(node);
    node->op_type = name_of(w, op, "");
    node->name = name_of(w, name, "");
    node->input = take(w, MAX_INPUTS, sizeof *node->input);
    node->output = take(w, 1, sizeof *node->output);
    node->attribute = take(w, MAX_ATTRIBUTES, sizeof *node->attribute);
    if (w->no_memory)
        return NULL;
    node->output[node->n_output++] = output;
    ws_assert(w->graph.n_node < w->cap_nodes);
    w->graph.node[w->graph.n_node++] = node;
    return node;
}

static void add_input(Onnx__NodeProto *node, char *value)
{
    if (!node)
        return;
    ws_assert(node->n_input < MAX_INPUTS);
    node->input[node->n_input++] = value;
}

static Onnx__AttributeProto *add_attribute(struct writer *w, Onnx__NodeProto *node, const char *name,
                                           Onnx__AttributeProto__AttributeType type)
{
    Onnx__AttributeProto *attribute = node ? take(w, 1, sizeof *attribute) : NULL;
    if (!attribute)
        return NULL;
    onnx__attribute_proto__init(attribute);
    attribute->name = name_of(w, name, "");
    attribute->has_type = true;
    attribute->type = type;
    ws_assert(node->n_attribute < MAX_ATTRIBUTES);
    node->attribute[node->n_attribute++] = attribute;
    return attribute;
}

static void add_int(struct writer *w, Onnx__NodeProto *node, const char *name, int64_t value)
{
    Onnx__AttributeProto *a = add_attribute(w, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    if (!a)
        return;
    a->has_i = true;
    a->i = value;
}

static void add_float(struct writer *w, Onnx__NodeProto *node, const char *name, double value)
{
    Onnx__AttributeProto *a = add_attribute(w, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
    if (!a)
        return;
    a->has_f = true;
    a->f = (float)value;
}

static void add_ints(struct writer *w, Onnx__NodeProto *node, const char *name, size_t n, const int *values)
{
    Onnx__AttributeProto *a = add_attribute(w, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    int64_t *ints = a ? take(w, n, sizeof *ints) : NULL;
    if (!ints)
        return;
    for (size_t i = 0; i < n; i++)
        ints[i] = values[i];
    a->ints = ints;
    a->n_ints = n;
}

static void add_window(struct writer *w, Onnx__NodeProto *node, struct ws_window window)
{
    add_ints(w, node, "kernel_shape", 2, window.kernel);
    add_ints(w, node, "strides", 2, window.stride);
    add_ints(w, node, "pads", 4, window.pads);
}

/* --- tensors ------------------------------------------------------------------------------------------------------ */

/* Append an initializer and return the memory of its `n` values, or NULL. */
static float *add_initializer(struct writer *w, char *name, int rank, const int *shape, size_t n)
{
    Onnx__TensorProto *tensor = take(w, 1, sizeof *tensor);
    int64_t *dims = take(w, (size_t)rank, sizeof *dims);
    float *values = take(w, n, sizeof *values);
    if (w->no_memory)
        return NULL;
    onnx__tensor_proto__init(tensor);
    for (int i = 0; i < rank; i++)
        dims[i] = shape[i];
    tensor->name = name;
    tensor->dims = dims;
    tensor->n_dims = (size_t)rank;
    tensor->has_data_type = true;
    tensor->data_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    tensor->has_raw_data = true;
    tensor->raw_data = (ProtobufCBinaryData){.len = n * sizeof *values, .data = (uint8_t *)values};
    ws_assert(w->graph.n_initializer < w->cap_initializers);
    w->graph.initializer[w->graph.n_initializer++] = tensor;
    return values;
}

/* Write a node's parameters as initializers and make them inputs of `onnx_node`. */
static void add_params(struct writer *w, Onnx__NodeProto *onnx_node, const struct ws_node *node)
{
    for (int i = 0; i < node->n_params; i++) {
        const struct ws_param *param = &w->net->params[node->params[i]];
        char *name = name_of(w, param->name, "");
        float *values = name ? add_initializer(w, name, param->rank, param->shape, param->n) : NULL;
        if (values)
            ws_net_get(w->net, node->params[i], values, param->n);
        add_input(onnx_node, name);
    }
}

/* --- one node of ours --------------------------------------------------------------------------------------------- */

static void write_conv(struct writer *w, int id)
{
    const struct ws_node *node = &w->net->nodes[id];
    const bool adds = node->fused_add >= 0, rectifies = node->fused_relu;
    const int in_channels = w->net->nodes[node->inputs[0]].channels;
    const int per_group = w->net->params[node->params[0]].shape[1];

    char *value = adds || rectifies ? name_of(w, node->name, ".conv.out") : w->values[id];
    Onnx__NodeProto *conv = add_node(w, "Conv", node->name, value);
    add_input(conv, w->values[node->inputs[0]]);
    add_params(w, conv, node);
    add_window(w, conv, node->window);
    add_int(w, conv, "group", in_channels / per_group);

    char *name = name_of(w, node->name, ".add");
    if (adds && name) {
        char *sum = rectifies ? name_of(w, node->name, ".add.out") : w->values[id];
        Onnx__NodeProto *add = add_node(w, "Add", name, sum);
        add_input(add, value);
        add_input(add, w->values[node->fused_add]);
        value = sum;
    }
    name = name_of(w, node->name, ".relu");
    if (rectifies && name)
        add_input(add_node(w, "Relu", name, w->values[id]), value);
}

static void write_batchnorm(struct writer *w, int id)
{
    const struct ws_node *node = &w->net->nodes[id];
    Onnx__NodeProto *bn = add_node(w, "BatchNormalization", node->name, w->values[id]);
    add_input(bn, w->values[node->inputs[0]]);
    add_params(w, bn, node);
    add_float(w, bn, "epsilon", node->bn_eps);
    add_float(w, bn, "momentum", 1.0 - node->bn_momentum); /* ONNX counts the old value's share */
}

static void write_gemm(struct writer *w, int id)
{
    const struct ws_node *node = &w->net->nodes[id];
    char *value = w->values[node->inputs[0]];
    if (!w->is_flat[node->inputs[0]]) {
        char *name = name_of(w, node->name, ".flatten"), *flat = name_of(w, node->name, ".flatten.out");
        if (w->no_memory)
            return;
        Onnx__NodeProto *flatten = add_node(w, "Flatten", name, flat);
        add_input(flatten, value);
        add_int(w, flatten, "axis", 1);
        value = flat;
    }
    Onnx__NodeProto *gemm = add_node(w, "Gemm", node->name, w->values[id]);
    add_input(gemm, value);
    add_params(w, gemm, node);
    add_int(w, gemm, "transB", 1);
}

static void write_plain(struct writer *w, int id, const char *op)
{
    const struct ws_node *node = &w->net->nodes[id];
    Onnx__NodeProto *plain = add_node(w, op, node->name, w->values[id]);
    for (int i = 0; i < node->n_inputs; i++)
        add_input(plain, w->values[node->inputs[i]]);
    if (node->op == WS_OP_MAX_POOL || node->op == WS_OP_AVERAGE_POOL)
        add_window(w, plain, node->window); /* count_include_pad is 0 by default: padding is not counted */
}

static void write_node(struct writer *w, int id)
{
    switch (w->net->nodes[id].op) {
    case WS_OP_INPUT:
        break;
    case WS_OP_CONV:
        write_conv(w, id);
        break;
    case WS_OP_BATCHNORM:
        write_batchnorm(w, id);
        break;
    case WS_OP_RELU:
        write_plain(w, id, "Relu");
        break;
    case WS_OP_ADD:
        write_plain(w, id, "Add");
        break;
    case WS_OP_MAX_POOL:
        write_plain(w, id, "MaxPool");
        break;
    case WS_OP_AVERAGE_POOL:
        write_plain(w, id, "AveragePool");
        break;
    case WS_OP_GLOBAL_AVERAGE_POOL:
        write_plain(w, id, "GlobalAveragePool");
        break;
    case WS_OP_GEMM:
        write_gemm(w, id);
        break;
    default:
        ws_assert(!"an op that is not exported yet");
    }
}

/* --- the graph ---------------------------------------------------------------------------------------------------- */

/* Mark what `output` needs, and which values have no height and width any more. */
static enum ws_status mark_nodes(struct writer *w, int output, struct ws_err *err)
{
    const struct ws_net *net = w->net;
    w->is_needed[output] = true;
    for (int id = output; id > 0; id--) {
        if (!w->is_needed[id])
            continue;
        for (int i = 0; i < net->nodes[id].n_inputs; i++)
            w->is_needed[net->nodes[id].inputs[i]] = true;
        if (net->nodes[id].op == WS_OP_CONV && net->nodes[id].fused_add >= 0)
            w->is_needed[net->nodes[id].fused_add] = true;
    }
    for (int id = 1; id <= output; id++) {
        const struct ws_node *node = &net->nodes[id];
        if (!w->is_needed[id])
            continue;
        const bool is_flat = w->is_flat[node->inputs[0]];
        const bool keeps = node->op == WS_OP_RELU || node->op == WS_OP_BATCHNORM || node->op == WS_OP_ADD;
        const bool differ = node->op == WS_OP_ADD && is_flat != w->is_flat[node->inputs[1]];
        if (differ || (is_flat && !keeps && node->op != WS_OP_GEMM))
            return ws_fail(err, WS_E_UNSUPPORTED,
                           "node \"%s\": needs a map, but a linear layer stands before it: "
                           "ONNX export does not turn vectors back into maps",
                           node->name);
        w->is_flat[id] = node->op == WS_OP_GEMM || (keeps && is_flat);
    }
    return WS_OK;
}

/* A float value [N, then `dims`]. */
static Onnx__ValueInfoProto *make_value_info(struct writer *w, const char *name, int n_dims, const int *dims)
{
    Onnx__ValueInfoProto *info = take(w, 1, sizeof *info);
    Onnx__TypeProto *type = take(w, 1, sizeof *type);
    Onnx__TypeProto__Tensor *tensor = take(w, 1, sizeof *tensor);
    Onnx__TensorShapeProto *shape = take(w, 1, sizeof *shape);
    Onnx__TensorShapeProto__Dimension **dim = take(w, (size_t)n_dims + 1, sizeof *dim);
    Onnx__TensorShapeProto__Dimension *dim_memory = take(w, (size_t)n_dims + 1, sizeof *dim_memory);
    if (w->no_memory)
        return NULL;
    onnx__value_info_proto__init(info);
    onnx__type_proto__init(type);
    onnx__type_proto__tensor__init(tensor);
    onnx__tensor_shape_proto__init(shape);
    for (int i = 0; i <= n_dims; i++) {
        dim[i] = &dim_memory[i];
        onnx__tensor_shape_proto__dimension__init(dim[i]);
        dim[i]->value_case = i ? ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE
                               : ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
        if (i)
            dim[i]->dim_value = dims[i - 1];
        else
            dim[i]->dim_param = name_of(w, "N", "");
    }
    shape->dim = dim;
    shape->n_dim = (size_t)n_dims + 1;
    tensor->has_elem_type = true;
    tensor->elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    tensor->shape = shape;
    type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    type->tensor_type = tensor;
    info->name = name_of(w, name, "");
    info->type = type;
    return info;
}

/* (x - 255 mean) / (255 std) in front of everything: x in 0..255 becomes what the network was trained on. */
static void write_normalisation(struct writer *w, const float *mean, const float *std)
{
    const int channels = w->net->nodes[0].channels, shape[4] = {1, channels, 1, 1};
    char *mean_name = name_of(w, "input.mean", ""), *std_name = name_of(w, "input.std", "");
    char *centred = name_of(w, "input.centred.out", ""), *input = name_of(w, "input", "");
    if (w->no_memory)
        return;
    float *mean_values = add_initializer(w, mean_name, 4, shape, (size_t)channels);
    float *std_values = add_initializer(w, std_name, 4, shape, (size_t)channels);
    if (w->no_memory)
        return;
    for (int c = 0; c < channels; c++) {
        mean_values[c] = (float)(255.0 * (double)mean[c]);
        std_values[c] = (float)(255.0 * (double)std[c]);
    }
    Onnx__NodeProto *sub = add_node(w, "Sub", "input.centred", centred);
    add_input(sub, input);
    add_input(sub, mean_name);
    Onnx__NodeProto *div = add_node(w, "Div", "input.normalised", w->values[0]);
    add_input(div, centred);
    add_input(div, std_name);
}

static void fill_graph(struct writer *w, const struct ws_onnx_options *options)
{
    const struct ws_net *net = w->net;
    const struct ws_node *input = &net->nodes[0], *output = &net->nodes[options->output];
    const bool needs_flatten = !w->is_flat[options->output];

    for (int id = 0; id <= options->output; id++)
        w->values[id] = name_of(w, net->nodes[id].name, ".out");
    if (!options->mean)
        w->values[0] = name_of(w, "input", "");
    if (!needs_flatten)
        w->values[options->output] = name_of(w, "logits", "");

    Onnx__GraphProto *graph = &w->graph;
    onnx__graph_proto__init(graph);
    w->cap_nodes = (size_t)net->n_nodes * PER_NODE + 3; /* and Sub, Div, Flatten */
    w->cap_initializers = (size_t)net->n_params + 2;
    graph->name = name_of(w, "webstill", "");
    graph->node = take(w, w->cap_nodes, sizeof *graph->node);
    graph->initializer = take(w, w->cap_initializers, sizeof *graph->initializer);
    graph->input = take(w, 1, sizeof *graph->input);
    graph->output = take(w, 1, sizeof *graph->output);
    if (w->no_memory)
        return;
    graph->input[graph->n_input++] =
        make_value_info(w, "input", 3, (int[]){input->channels, input->height, input->width});
    graph->output[graph->n_output++] = make_value_info(w, "logits", 1, &output->channels);

    if (options->mean)
        write_normalisation(w, options->mean, options->std);
    for (int id = 0; id <= options->output && !w->no_memory; id++)
        if (w->is_needed[id])
            write_node(w, id);
    if (needs_flatten && !w->no_memory) {
        Onnx__NodeProto *flatten = add_node(w, "Flatten", "logits.flatten", name_of(w, "logits", ""));
        add_input(flatten, w->values[options->output]);
        add_int(w, flatten, "axis", 1);
    }
}

static void fill_model(struct writer *w, Onnx__ModelProto *model, const struct ws_onnx_options *options)
{
    onnx__model_proto__init(model);
    model->has_ir_version = true;
    model->ir_version = IR_VERSION;
    model->producer_name = name_of(w, "webstill", "");
    model->doc_string = name_of(w, "image classifier written by webstill: input NCHW, output logits", "");
    model->graph = &w->graph;

    Onnx__OperatorSetIdProto *opset = take(w, 1, sizeof *opset);
    model->opset_import = take(w, 1, sizeof *model->opset_import);
    if (w->no_memory)
        return;
    onnx__operator_set_id_proto__init(opset);
    opset->domain = name_of(w, "", "");
    opset->has_version = true;
    opset->version = options->opset;
    model->opset_import[model->n_opset_import++] = opset;

    const size_t n = (size_t)options->n_metadata;
    if (n > 0)
        model->metadata_props = take(w, n, sizeof *model->metadata_props);
    for (size_t i = 0; i < n && !w->no_memory; i++) {
        Onnx__StringStringEntryProto *entry = take(w, 1, sizeof *entry);
        if (!entry)
            return;
        onnx__string_string_entry_proto__init(entry);
        entry->key = name_of(w, options->metadata[i].key, "");
        entry->value = name_of(w, options->metadata[i].value, "");
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
    struct writer w = {.net = net};
    w.values = take(&w, (size_t)net->n_nodes, sizeof *w.values);
    w.is_needed = take(&w, (size_t)net->n_nodes, sizeof *w.is_needed);
    w.is_flat = take(&w, (size_t)net->n_nodes, sizeof *w.is_flat);
    if (w.no_memory)
        goto no_memory;
    status = mark_nodes(&w, options->output, err);
    if (status != WS_OK)
        goto out;
    fill_graph(&w, options);
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
