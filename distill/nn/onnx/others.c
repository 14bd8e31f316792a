/* Types of nodes that become no op of ours: known without an image (fold.c), or passed through. */
#include "reader.h"

#include <inttypes.h>
#include <string.h>

static void read_identity(struct ws_onnx_reader *r)
{
    struct ws_onnx_value *x = ws_onnx_input_data(r, 0);
    if (x && r->status == WS_OK)
        ws_onnx_output_alias(r, 0, x);
}

static void read_cast(struct ws_onnx_reader *r)
{
    struct ws_onnx_value *x = ws_onnx_input_data(r, 0);
    const int64_t to = ws_onnx_attr_int(r, "to", 0);
    (void)ws_onnx_attr_int(r, "saturate", 1);
    if (to != ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT && to != ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16)
        ws_onnx_refuse(r, WS_E_UNSUPPORTED, "casts a value of the image to data type %" PRId64 "; expected float", to);
    if (x && r->status == WS_OK)
        ws_onnx_output_alias(r, 0, x);
}

static void read_shape(struct ws_onnx_reader *r)
{
    const struct ws_onnx_value *x = ws_onnx_input_any(r);
    int64_t axes[WS_ONNX_MAX_RANK + 1];
    if (!x)
        return;
    const int n = ws_onnx_value_axes(x, axes);
    int64_t start = r->opset >= 15 ? ws_onnx_attr_int(r, "start", 0) : 0,
            end = r->opset >= 15 ? ws_onnx_attr_int(r, "end", n) : n;
    start += start < 0 ? n : 0;
    end += end < 0 ? n : 0;
    start = start < 0 ? 0 : start > n ? n : start;
    end = end < start ? start : end > n ? n : end;
    struct ws_onnx_constant out;
    const int64_t count = end - start;
    if (r->status != WS_OK || !ws_onnx_constant_new(&r->file->memory, true, 1, &count, &out))
        return;
    memcpy(out.ints, axes + start, (size_t)count * sizeof *axes);
    ws_onnx_output_constant(r, 0, &out);
}

const struct ws_onnx_type ws_onnx_other_types[] = {
    {"Cast", 7, 20, read_cast, ws_onnx_fold_cast},
    {"CastLike", 15, 20, NULL, ws_onnx_fold_cast},
    {"Constant", 7, 20, NULL, ws_onnx_fold_constant},
    {"ConstantOfShape", 9, 20, NULL, ws_onnx_fold_fill},
    {"Floor", 7, 20, NULL, ws_onnx_fold_unary},
    {"Identity", 7, 20, read_identity, ws_onnx_fold_identity},
    {"Loop", 11, 20, NULL, ws_onnx_read_loop},
    {"Neg", 7, 20, NULL, ws_onnx_fold_unary},
    {"SequenceEmpty", 11, 20, NULL, ws_onnx_fold_sequence},
    {"Shape", 7, 20, read_shape, ws_onnx_fold_shape},
    {"Sqrt", 7, 20, NULL, ws_onnx_fold_unary},
    {.name = NULL},
};
