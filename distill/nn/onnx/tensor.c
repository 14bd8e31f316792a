/* TensorProto → floats or integers. What a tensor claims is checked against the bytes that are there. */
#include "reader.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

int64_t ws_onnx_count(int rank, const int64_t *dims, int64_t limit)
{
    int64_t n = 1;
    for (int i = 0; i < rank; i++)
        if (dims[i] == 0)
            n = 0;
    for (int i = 0; i < rank; i++) {
        if (dims[i] < 0 || (n > 0 && dims[i] > limit / n))
            return -1;
        n *= dims[i];
    }
    return n;
}

bool ws_onnx_constant_new(struct ws_arena *memory, bool is_int, int rank, const int64_t *dims,
                          struct ws_onnx_constant *out)
{
    *out = (struct ws_onnx_constant){.is_int = is_int, .rank = rank};
    out->n = rank <= WS_ONNX_MAX_RANK ? ws_onnx_count(rank, dims, WS_ONNX_MAX_ELEMENTS) : -1;
    if (out->n < 0)
        return false;
    for (int i = 0; i < rank; i++)
        out->dims[i] = dims[i];
    const size_t n = out->n > 0 ? (size_t)out->n : 1;
    if (is_int)
        out->ints = ws_arena_alloc(memory, n, sizeof *out->ints);
    else
        out->floats = ws_arena_alloc(memory, n, sizeof *out->floats);
    return out->ints || out->floats;
}

static float half_to_float(uint16_t half)
{
    const int exponent = half >> 10 & 31, fraction = half & 1023;
    double x = exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25);
    if (exponent == 31)
        x = fraction ? (double)NAN : (double)INFINITY;
    return (float)(half & 0x8000 ? -x : x);
}

static float bfloat_to_float(uint16_t bits)
{
    const uint32_t wide = (uint32_t)bits << 16;
    float x;
    memcpy(&x, &wide, sizeof x);
    return x;
}

/** A data type: its name, its bytes in raw_data, and which typed array holds it otherwise. */
static const struct type {
    const char *name;
    int size_bytes;
    bool is_int, is_known;
    enum { IN_FLOATS, IN_INT32, IN_INT64, IN_DOUBLES, IN_UINT64 } array;
} types[] = {
    [ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT] = {"FLOAT", 4, false, true, IN_FLOATS},
    [ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE] = {"DOUBLE", 8, false, true, IN_DOUBLES},
    [ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16] = {"FLOAT16", 2, false, true, IN_INT32},
    [ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16] = {"BFLOAT16", 2, false, true, IN_INT32},
    [ONNX__TENSOR_PROTO__DATA_TYPE__INT8] = {"INT8", 1, true, true, IN_INT32},
    [ONNX__TENSOR_PROTO__DATA_TYPE__INT16] = {"INT16", 2, true, true, IN_INT32},
    [ONNX__TENSOR_PROTO__DATA_TYPE__INT32] = {"INT32", 4, true, true, IN_INT32},
    [ONNX__TENSOR_PROTO__DATA_TYPE__INT64] = {"INT64", 8, true, true, IN_INT64},
    [ONNX__TENSOR_PROTO__DATA_TYPE__UINT8] = {"UINT8", 1, true, true, IN_INT32},
    [ONNX__TENSOR_PROTO__DATA_TYPE__UINT16] = {"UINT16", 2, true, true, IN_INT32},
    [ONNX__TENSOR_PROTO__DATA_TYPE__UINT32] = {"UINT32", 4, true, true, IN_UINT64},
    [ONNX__TENSOR_PROTO__DATA_TYPE__BOOL] = {"BOOL", 1, true, true, IN_INT32},
};

/** One element from little-endian bytes. */
static void decode_raw(int data_type, const uint8_t *at, size_t i, struct ws_onnx_constant *out)
{
    uint64_t bits = 0;
    const size_t size = (size_t)types[data_type].size_bytes;
    memcpy(&bits, at + i * size, size);
    float f;
    double d;
    const uint32_t low = (uint32_t)bits;
    switch (data_type) {
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT:
        memcpy(&f, &low, sizeof f);
        out->floats[i] = f;
        break;
    case ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE:
        memcpy(&d, &bits, sizeof d);
        out->floats[i] = (float)d;
        break;
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16:
        out->floats[i] = half_to_float((uint16_t)bits);
        break;
    case ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16:
        out->floats[i] = bfloat_to_float((uint16_t)bits);
        break;
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT8:
        out->ints[i] = (int8_t)bits;
        break;
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT16:
        out->ints[i] = (int16_t)bits;
        break;
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT32:
        out->ints[i] = (int32_t)bits;
        break;
    default:
        out->ints[i] = (int64_t)bits; /* INT64 and the unsigned ones */
    }
}

/** One element from the typed array. */
static void decode_typed(const Onnx__TensorProto *tensor, size_t i, struct ws_onnx_constant *out)
{
    switch (tensor->data_type) {
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT:
        out->floats[i] = tensor->float_data[i];
        break;
    case ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE:
        out->floats[i] = (float)tensor->double_data[i];
        break;
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16:
        out->floats[i] = half_to_float((uint16_t)tensor->int32_data[i]);
        break;
    case ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16:
        out->floats[i] = bfloat_to_float((uint16_t)tensor->int32_data[i]);
        break;
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT64:
        out->ints[i] = tensor->int64_data[i];
        break;
    case ONNX__TENSOR_PROTO__DATA_TYPE__UINT32:
        out->ints[i] = (int64_t)tensor->uint64_data[i];
        break;
    default:
        out->ints[i] = tensor->int32_data[i];
    }
}

static size_t count_typed(const Onnx__TensorProto *tensor)
{
    switch (types[tensor->data_type].array) {
    case IN_FLOATS:
        return tensor->n_float_data;
    case IN_INT32:
        return tensor->n_int32_data;
    case IN_INT64:
        return tensor->n_int64_data;
    case IN_DOUBLES:
        return tensor->n_double_data;
    default:
        return tensor->n_uint64_data;
    }
}

static const char *show_dims(struct ws_onnx_file *file, const Onnx__TensorProto *tensor)
{
    char text[160] = "[";
    size_t used = 1;
    for (size_t i = 0; i < tensor->n_dims && used < 120; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%" PRId64, i ? ", " : "", tensor->dims[i]);
    snprintf(text + used, sizeof text - used, "]");
    const char *copy = ws_arena_strdup(&file->memory, text);
    return copy ? copy : "";
}

enum ws_status ws_onnx_tensor_read(struct ws_onnx_file *file, Onnx__TensorProto *tensor, struct ws_onnx_constant *out,
                                   struct ws_err *err)
{
    const char *name = ws_onnx_printable(&file->memory, tensor->name);
    const size_t n_types = sizeof types / sizeof types[0];
    const int data_type = tensor->has_data_type ? tensor->data_type : 0;
    if (data_type < 0 || (size_t)data_type >= n_types || !types[data_type].is_known)
        return ws_fail(err, WS_E_UNSUPPORTED, "%s: tensor \"%s\": data type %d; expected floats or integers",
                       file->name, name, data_type);
    if (tensor->segment)
        return ws_fail(err, WS_E_UNSUPPORTED, "%s: tensor \"%s\": comes in segments", file->name, name);
    const struct type *type = &types[data_type];
    const int64_t n = tensor->n_dims <= WS_ONNX_MAX_RANK
                          ? ws_onnx_count((int)tensor->n_dims, tensor->dims, WS_ONNX_MAX_ELEMENTS)
                          : -1;
    if (n < 0)
        return ws_fail(err, WS_E_FORMAT, "%s: tensor \"%s\": shape %s: expected at most %d sides and 2^29 elements",
                       file->name, name, show_dims(file, tensor), WS_ONNX_MAX_RANK);
    enum ws_status status = ws_onnx_file_load(file, tensor, err);
    if (status != WS_OK)
        return status;

    const bool is_raw = tensor->has_raw_data;
    const size_t unit = is_raw ? (size_t)type->size_bytes : 1;
    const size_t there = is_raw ? tensor->raw_data.len : count_typed(tensor);
    if (there != (size_t)n * unit)
        return ws_fail(err, WS_E_FORMAT, "%s: tensor \"%s\": %s %s wants %zu %s; %zu are there", file->name, name,
                       type->name, show_dims(file, tensor), (size_t)n * unit, is_raw ? "bytes" : "elements", there);
    if (!ws_onnx_constant_new(&file->memory, type->is_int, (int)tensor->n_dims, tensor->dims, out))
        return ws_fail(err, WS_E_MEMORY, "%s: tensor \"%s\": no memory for %" PRId64 " elements", file->name, name, n);
    if (is_raw && data_type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT && n > 0)
        memcpy(out->floats, tensor->raw_data.data, (size_t)n * sizeof *out->floats);
    else
        for (size_t i = 0; i < (size_t)n; i++)
            is_raw ? decode_raw(data_type, tensor->raw_data.data, i, out) : decode_typed(tensor, i, out);
    return WS_OK;
}
