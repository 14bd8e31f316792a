#include "message.h"

#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "raw initializers are little-endian, as ONNX wants them");

enum { MAX_ATTRIBUTES = 8 };

void *ws_onnx_writer_take(struct ws_onnx_writer *w, size_t n, size_t size_bytes)
{
    void *p = ws_arena_alloc(&w->arena, n ? n : 1, size_bytes);
    if (!p)
        w->no_memory = true;
    return p;
}

char *ws_onnx_writer_name(struct ws_onnx_writer *w, const char *prefix, const char *suffix)
{
    char *text = ws_arena_printf(&w->arena, "%s%s", prefix, suffix);
    if (!text)
        w->no_memory = true;
    return text;
}

/* --- nodes --- */

Onnx__NodeProto *ws_onnx_writer_node(struct ws_onnx_writer *w, const char *op, const char *name, size_t n_inputs,
                                     char *output)
{
    Onnx__NodeProto *node = ws_onnx_writer_take(w, 1, sizeof *node);
    if (!node)
        return NULL;
    onnx__node_proto__init(node);
    node->op_type = ws_onnx_writer_name(w, op, "");
    node->name = ws_onnx_writer_name(w, name, "");
    node->input = ws_onnx_writer_take(w, n_inputs, sizeof *node->input);
    node->output = ws_onnx_writer_take(w, 1, sizeof *node->output);
    node->attribute = ws_onnx_writer_take(w, MAX_ATTRIBUTES, sizeof *node->attribute);
    if (w->no_memory)
        return NULL;
    node->output[node->n_output++] = output;
    ws_assert(w->graph.n_node < w->cap_nodes);
    w->graph.node[w->graph.n_node++] = node;
    return node;
}

void ws_onnx_writer_input(Onnx__NodeProto *node, char *value)
{
    if (node && value)
        node->input[node->n_input++] = value;
}

static Onnx__AttributeProto *add_attribute(struct ws_onnx_writer *w, Onnx__NodeProto *node, const char *name,
                                           Onnx__AttributeProto__AttributeType type)
{
    Onnx__AttributeProto *attribute = node ? ws_onnx_writer_take(w, 1, sizeof *attribute) : NULL;
    if (!attribute)
        return NULL;
    onnx__attribute_proto__init(attribute);
    attribute->name = ws_onnx_writer_name(w, name, "");
    attribute->has_type = true;
    attribute->type = type;
    ws_assert(node->n_attribute < MAX_ATTRIBUTES);
    node->attribute[node->n_attribute++] = attribute;
    return attribute;
}

void ws_onnx_writer_int(struct ws_onnx_writer *w, Onnx__NodeProto *node, const char *name, int64_t value)
{
    Onnx__AttributeProto *a = add_attribute(w, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    if (!a)
        return;
    a->has_i = true;
    a->i = value;
}

void ws_onnx_writer_float(struct ws_onnx_writer *w, Onnx__NodeProto *node, const char *name, double value)
{
    Onnx__AttributeProto *a = add_attribute(w, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
    if (!a)
        return;
    a->has_f = true;
    a->f = (float)value;
}

void ws_onnx_writer_text(struct ws_onnx_writer *w, Onnx__NodeProto *node, const char *name, const char *value)
{
    Onnx__AttributeProto *a = add_attribute(w, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING);
    char *text = a ? ws_onnx_writer_name(w, value, "") : NULL;
    if (!text)
        return;
    a->has_s = true;
    a->s = (ProtobufCBinaryData){.len = strlen(text), .data = (uint8_t *)text};
}

void ws_onnx_writer_ints(struct ws_onnx_writer *w, Onnx__NodeProto *node, const char *name, size_t n, const int *values)
{
    Onnx__AttributeProto *a = add_attribute(w, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    int64_t *ints = a ? ws_onnx_writer_take(w, n, sizeof *ints) : NULL;
    if (!ints)
        return;
    for (size_t i = 0; i < n; i++)
        ints[i] = values[i];
    a->ints = ints;
    a->n_ints = n;
}

/* --- tensors --- */

/* Append an initializer; its data, `size_bytes` of it, are returned, or NULL (none wanted, or out of memory). */
static void *add_tensor(struct ws_onnx_writer *w, char *name, Onnx__TensorProto__DataType type, int rank,
                        const int64_t *dims, size_t size_bytes)
{
    Onnx__TensorProto *tensor = ws_onnx_writer_take(w, 1, sizeof *tensor);
    int64_t *own_dims = ws_onnx_writer_take(w, (size_t)rank, sizeof *own_dims);
    void *data = ws_onnx_writer_take(w, size_bytes / sizeof(float), sizeof(float));
    if (w->no_memory)
        return NULL;
    onnx__tensor_proto__init(tensor);
    for (int i = 0; i < rank; i++)
        own_dims[i] = dims[i];
    tensor->name = name;
    tensor->dims = own_dims;
    tensor->n_dims = (size_t)rank;
    tensor->has_data_type = true;
    tensor->data_type = (int32_t)type;
    ws_assert(w->graph.n_initializer < w->cap_initializers);
    w->graph.initializer[w->graph.n_initializer++] = tensor;
    if (size_bytes == 0)
        return NULL;
    tensor->has_raw_data = true;
    tensor->raw_data = (ProtobufCBinaryData){.len = size_bytes, .data = data};
    return data;
}

float *ws_onnx_writer_floats(struct ws_onnx_writer *w, char *name, int rank, const int64_t *dims, size_t n)
{
    return add_tensor(w, name, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, rank, dims, n * sizeof(float));
}

void ws_onnx_writer_scalar_input(struct ws_onnx_writer *w, Onnx__NodeProto *node, const char *prefix,
                                 const char *suffix, double value)
{
    char *name = ws_onnx_writer_name(w, prefix, suffix);
    float *data = name ? ws_onnx_writer_floats(w, name, 0, NULL, 1) : NULL;
    if (data)
        *data = (float)value;
    ws_onnx_writer_input(node, name);
}

void ws_onnx_writer_ints_input(struct ws_onnx_writer *w, Onnx__NodeProto *node, const char *prefix, const char *suffix,
                               size_t n, const int64_t *values)
{
    char *name = ws_onnx_writer_name(w, prefix, suffix);
    const int64_t dims[1] = {(int64_t)n};
    int64_t *data = name ? add_tensor(w, name, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, 1, dims, n * sizeof *data) : NULL;
    if (data)
        memcpy(data, values, n * sizeof *data);
    ws_onnx_writer_input(node, name);
}

char *ws_onnx_writer_param(struct ws_onnx_writer *w, int param, int rank, const int64_t *dims)
{
    const struct ws_param *p = &w->net->params[param];
    char *name = ws_onnx_writer_name(w, p->name, "");
    float *values = name ? ws_onnx_writer_floats(w, name, rank, dims, w->omits_weights ? 0 : p->n) : NULL;
    if (values)
        ws_net_get(w->net, param, values, p->n);
    return name;
}

Onnx__ValueInfoProto *ws_onnx_writer_value_info(struct ws_onnx_writer *w, const char *name, int n_dims, const int *dims)
{
    Onnx__ValueInfoProto *info = ws_onnx_writer_take(w, 1, sizeof *info);
    Onnx__TypeProto *type = ws_onnx_writer_take(w, 1, sizeof *type);
    Onnx__TypeProto__Tensor *tensor = ws_onnx_writer_take(w, 1, sizeof *tensor);
    Onnx__TensorShapeProto *shape = ws_onnx_writer_take(w, 1, sizeof *shape);
    Onnx__TensorShapeProto__Dimension **dim = ws_onnx_writer_take(w, (size_t)n_dims + 1, sizeof *dim);
    Onnx__TensorShapeProto__Dimension *dim_memory = ws_onnx_writer_take(w, (size_t)n_dims + 1, sizeof *dim_memory);
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
            dim[i]->dim_param = ws_onnx_writer_name(w, "N", "");
    }
    shape->dim = dim;
    shape->n_dim = (size_t)n_dims + 1;
    tensor->has_elem_type = true;
    tensor->elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    tensor->shape = shape;
    type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    type->tensor_type = tensor;
    info->name = ws_onnx_writer_name(w, name, "");
    info->type = type;
    return info;
}
