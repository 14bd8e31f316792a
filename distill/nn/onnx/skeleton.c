/* Graphs without weights: what ws_onnx_write() leaves out is filled in before the reader sees the file. */
#include "webstill/nn/onnx.h"

#include "onnx.pb-c.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Elements of a tensor without data, or 0 when it has data, is no float tensor or is too large for any file. */
static size_t count_missing(const Onnx__TensorProto *tensor)
{
    const bool is_float = tensor->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    if (!is_float || tensor->has_raw_data || tensor->n_float_data > 0 || tensor->n_external_data > 0)
        return 0;
    size_t n = 1;
    for (size_t i = 0; i < tensor->n_dims; i++) {
        if (tensor->dims[i] < 1 || tensor->dims[i] > INT_MAX)
            return 0;
        n = ws_size_mul(n, (size_t)tensor->dims[i]);
    }
    return n <= INT_MAX / sizeof(float) ? n : 0;
}

/* Ones: a value by which a reader may divide. The memory is the message's from then on. */
static bool fill_tensor(Onnx__TensorProto *tensor, size_t n)
{
    float *values = malloc(n * sizeof *values);
    if (!values)
        return false;
    for (size_t i = 0; i < n; i++)
        values[i] = 1;
    tensor->has_raw_data = true;
    tensor->raw_data = (ProtobufCBinaryData){.len = n * sizeof *values, .data = (uint8_t *)values};
    return true;
}

static enum ws_status fill_model(Onnx__ModelProto *model, const char *name, struct ws_err *err)
{
    size_t total = 0;
    for (size_t i = 0; model->graph && i < model->graph->n_initializer; i++) {
        Onnx__TensorProto *tensor = model->graph->initializer[i];
        const size_t n = count_missing(tensor);
        total += n;
        if (total > INT_MAX / sizeof(float))
            return ws_fail(err, WS_E_FORMAT, "%s: its weights would have more than 2 GiB", name);
        if (n > 0 && !fill_tensor(tensor, n))
            return ws_fail(err, WS_E_MEMORY, "%s: no memory for its weights", name);
    }
    return WS_OK;
}

enum ws_status ws_onnx_read_graph(struct ws_net **out, struct ws_onnx_info *info, const void *bytes, size_t len,
                                  const char *name, struct ws_err *err)
{
    *out = NULL;
    *info = (struct ws_onnx_info){0};
    uint8_t *packed = NULL;
    Onnx__ModelProto *model = onnx__model_proto__unpack(NULL, len, bytes);
    if (!model)
        return ws_fail(err, WS_E_FORMAT, "%s: not an ONNX model", name);
    enum ws_status status = fill_model(model, name, err);
    const size_t size = status == WS_OK ? onnx__model_proto__get_packed_size(model) : 0;
    if (status == WS_OK && !(packed = malloc(size ? size : 1)))
        status = ws_fail(err, WS_E_MEMORY, "%s: no memory for %zu bytes", name, size);
    if (status == WS_OK) {
        onnx__model_proto__pack(model, packed);
        status = ws_onnx_read_bytes(out, info, packed, size, NULL, name, err);
    }
    if (status == WS_OK)
        memset((*out)->values, 0, (*out)->n_values * sizeof *(*out)->values);
    free(packed);
    onnx__model_proto__free_unpacked(model, NULL);
    return status;
}
