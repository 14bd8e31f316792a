/* Small ONNX models made by hand, message by message, and one image run through what we read. */
#ifndef TESTS_ONNX_MODEL_H
#define TESTS_ONNX_MODEL_H

#include "../../distill/nn/onnx/reader.h"

#include "webstill/nn/exec.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { MODEL_MAX = 64 };

/** All strings are borrowed, all memory is in the arena. */
struct model {
    struct ws_arena memory;
    Onnx__ModelProto proto;
    Onnx__GraphProto graph;
    Onnx__OperatorSetIdProto opset, *opsets[2], extra;
};

static inline void *model_take(struct model *m, size_t n, size_t size_bytes)
{
    void *p = ws_arena_alloc(&m->memory, n ? n : 1, size_bytes);
    assert_non_null(p);
    return p;
}

static inline char *model_text(struct model *m, const char *text)
{
    return strcpy(model_take(m, strlen(text) + 1, 1), text);
}

static inline Onnx__ValueInfoProto *model_value(struct model *m, const char *name, int rank, const int64_t *dims)
{
    Onnx__ValueInfoProto *info = model_take(m, 1, sizeof *info);
    Onnx__TypeProto *type = model_take(m, 1, sizeof *type);
    Onnx__TypeProto__Tensor *tensor = model_take(m, 1, sizeof *tensor);
    Onnx__TensorShapeProto *shape = model_take(m, 1, sizeof *shape);
    onnx__value_info_proto__init(info);
    onnx__type_proto__init(type);
    onnx__type_proto__tensor__init(tensor);
    onnx__tensor_shape_proto__init(shape);
    shape->dim = model_take(m, (size_t)rank, sizeof *shape->dim);
    for (int i = 0; i < rank; i++) {
        Onnx__TensorShapeProto__Dimension *dim = model_take(m, 1, sizeof *dim);
        onnx__tensor_shape_proto__dimension__init(dim);
        dim->value_case = dims[i] > 0 ? ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE
                                      : ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
        if (dims[i] > 0)
            dim->dim_value = dims[i];
        else
            dim->dim_param = model_text(m, "N");
        shape->dim[shape->n_dim++] = dim;
    }
    tensor->has_elem_type = true;
    tensor->elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    tensor->shape = shape;
    type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    type->tensor_type = tensor;
    info->name = model_text(m, name);
    info->type = type;
    return info;
}

/** A model "x" [dims] → "y"; a dimension of 0 is symbolic. */
static inline void model_begin(struct model *m, int opset, int rank, const int64_t *dims)
{
    *m = (struct model){0};
    onnx__model_proto__init(&m->proto);
    onnx__graph_proto__init(&m->graph);
    onnx__operator_set_id_proto__init(&m->opset);
    m->proto.has_ir_version = true;
    m->proto.ir_version = 8;
    m->proto.producer_name = model_text(m, "hand");
    m->proto.graph = &m->graph;
    m->opset.has_version = true;
    m->opset.version = opset;
    m->opsets[0] = &m->opset;
    m->proto.opset_import = m->opsets;
    m->proto.n_opset_import = 1;
    m->graph.name = model_text(m, "g");
    m->graph.node = model_take(m, MODEL_MAX, sizeof *m->graph.node);
    m->graph.initializer = model_take(m, MODEL_MAX, sizeof *m->graph.initializer);
    m->graph.input = model_take(m, MODEL_MAX, sizeof *m->graph.input);
    m->graph.output = model_take(m, MODEL_MAX, sizeof *m->graph.output);
    m->graph.input[m->graph.n_input++] = model_value(m, "x", rank, dims);
    m->graph.output[m->graph.n_output++] = model_value(m, "y", 0, NULL);
}

/** A node; `inputs` and `outputs` are separated by spaces, "-" is an input that is not given. */
static inline Onnx__NodeProto *model_node(struct model *m, const char *type, const char *inputs, const char *outputs)
{
    Onnx__NodeProto *node = model_take(m, 1, sizeof *node);
    onnx__node_proto__init(node);
    node->op_type = model_text(m, type);
    node->name = ws_arena_printf(&m->memory, "n%zu", m->graph.n_node);
    node->input = model_take(m, MODEL_MAX, sizeof *node->input);
    node->output = model_take(m, MODEL_MAX, sizeof *node->output);
    node->attribute = model_take(m, MODEL_MAX, sizeof *node->attribute);
    char *rest = NULL;
    for (char *word = strtok_r(model_text(m, inputs), " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        node->input[node->n_input++] = strcmp(word, "-") == 0 ? model_text(m, "") : word;
    for (char *word = strtok_r(model_text(m, outputs), " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        node->output[node->n_output++] = strcmp(word, "-") == 0 ? model_text(m, "") : word;
    assert_true(m->graph.n_node < MODEL_MAX);
    return m->graph.node[m->graph.n_node++] = node;
}

static inline Onnx__AttributeProto *model_attribute(struct model *m, Onnx__NodeProto *node, const char *name, int type)
{
    Onnx__AttributeProto *a = model_take(m, 1, sizeof *a);
    onnx__attribute_proto__init(a);
    a->name = model_text(m, name);
    a->has_type = true;
    a->type = (Onnx__AttributeProto__AttributeType)type;
    return node->attribute[node->n_attribute++] = a;
}

static inline void model_int(struct model *m, Onnx__NodeProto *node, const char *name, int64_t value)
{
    Onnx__AttributeProto *a = model_attribute(m, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    a->has_i = true;
    a->i = value;
}

static inline void model_float(struct model *m, Onnx__NodeProto *node, const char *name, float value)
{
    Onnx__AttributeProto *a = model_attribute(m, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
    a->has_f = true;
    a->f = value;
}

static inline void model_string(struct model *m, Onnx__NodeProto *node, const char *name, const char *value)
{
    Onnx__AttributeProto *a = model_attribute(m, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING);
    a->has_s = true;
    a->s = (ProtobufCBinaryData){.len = strlen(value), .data = (uint8_t *)model_text(m, value)};
}

static inline void model_ints(struct model *m, Onnx__NodeProto *node, const char *name, size_t n, const int64_t *values)
{
    Onnx__AttributeProto *a = model_attribute(m, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    a->ints = model_take(m, n, sizeof *a->ints);
    memcpy(a->ints, values, n * sizeof *values);
    a->n_ints = n;
}

static inline Onnx__TensorProto *model_tensor(struct model *m, const char *name, int type, int rank,
                                              const int64_t *dims, size_t size_bytes, const void *values)
{
    Onnx__TensorProto *t = model_take(m, 1, sizeof *t);
    onnx__tensor_proto__init(t);
    size_t n = 1;
    t->name = model_text(m, name);
    t->dims = model_take(m, (size_t)rank, sizeof *t->dims);
    t->n_dims = (size_t)rank;
    for (int i = 0; i < rank; i++) {
        t->dims[i] = dims[i];
        n *= (size_t)dims[i];
    }
    t->has_data_type = true;
    t->data_type = type;
    t->has_raw_data = true;
    t->raw_data.len = n * size_bytes;
    t->raw_data.data = model_take(m, n, size_bytes);
    if (n > 0)
        memcpy(t->raw_data.data, values, n * size_bytes);
    return t;
}

static inline Onnx__TensorProto *model_add(struct model *m, Onnx__TensorProto *t)
{
    assert_true(m->graph.n_initializer < MODEL_MAX);
    return m->graph.initializer[m->graph.n_initializer++] = t;
}

static inline Onnx__TensorProto *model_floats(struct model *m, const char *name, int rank, const int64_t *dims,
                                              const float *values)
{
    return model_add(m, model_tensor(m, name, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, rank, dims, 4, values));
}

/** A list of integers. */
static inline Onnx__TensorProto *model_list(struct model *m, const char *name, int64_t n, const int64_t *values)
{
    return model_add(m, model_tensor(m, name, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, 1, &n, 8, values));
}

/** Serialised; free() it. */
static inline uint8_t *model_pack(struct model *m, size_t *len)
{
    *len = onnx__model_proto__get_packed_size(&m->proto);
    uint8_t *bytes = malloc(*len + 1);
    assert_non_null(bytes);
    assert_int_equal(onnx__model_proto__pack(&m->proto, bytes), *len);
    return bytes;
}

/** Run images in ONNX's order through a network; the output in its C, H, W order. */
static inline void model_run(struct ws_net *net, int node, const float *images, int batch, float *out)
{
    struct ws_err err = {0};
    struct ws_workers *workers = NULL;
    struct ws_exec *exec = NULL;
    const struct ws_node *in = &net->nodes[0], *last = &net->nodes[node];
    assert_int_equal(ws_workers_open(&workers, 1, &err), WS_OK);
    const struct ws_exec_options options = {.max_batch = batch, .taps = &node, .n_taps = 1};
    if (ws_exec_open(&exec, net, workers, &options, &err) != WS_OK)
        fail_msg("%s", err.text);
    const size_t pixels = (size_t)in->height * (size_t)in->width, channels = (size_t)in->channels;
    for (size_t i = 0; i < (size_t)batch; i++)
        for (size_t c = 0; c < channels; c++)
            for (size_t p = 0; p < pixels; p++)
                ws_exec_input(exec)[(i * pixels + p) * channels + c] = images[(i * channels + c) * pixels + p];
    ws_exec_forward(exec, batch, WS_BN_EVAL);
    const float *value = ws_exec_value(exec, node);
    const size_t out_pixels = (size_t)last->height * (size_t)last->width, out_channels = (size_t)last->channels;
    for (size_t i = 0; i < (size_t)batch; i++)
        for (size_t c = 0; c < out_channels; c++)
            for (size_t p = 0; p < out_pixels; p++)
                out[(i * out_channels + c) * out_pixels + p] = value[(i * out_pixels + p) * out_channels + c];
    ws_exec_close(&exec);
    ws_workers_close(&workers);
}

#endif
