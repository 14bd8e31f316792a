/*
 * Nodes whose inputs are all known are computed while reading: shape arithmetic, transposed or scaled weights. A shape
 * may hold WS_ONNX_BATCH where the image's batch size stands; arithmetic on it is refused unless it changes nothing.
 */
#include "reader.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <string.h>

/** A result may be larger than all inputs together only within this: few bytes must not ask for much memory. */
#define MAX_GROWN ((int64_t)1 << 24)

static bool make(struct ws_onnx_reader *r, bool is_int, int rank, const int64_t *dims, struct ws_onnx_constant *out)
{
    if (r->status != WS_OK)
        return false;
    int64_t given = 0;
    for (size_t i = 0; i < r->proto->n_input; i++) {
        const struct ws_onnx_value *v = ws_onnx_input(r, i);
        given += v && v->kind == WS_ONNX_CONSTANT ? v->constant.n : 0;
    }
    const int64_t n = rank <= WS_ONNX_MAX_RANK ? ws_onnx_count(rank, dims, given > MAX_GROWN ? given : MAX_GROWN) : -1;
    r->n_elements += n > 0 ? n : 0;
    if (n < 0 || r->n_elements > WS_ONNX_MAX_ELEMENTS) {
        ws_onnx_refuse(r, WS_E_MEMORY, "a constant of %d axes: more than %d, than 2^24 elements, or than 2 GiB in all",
                       rank, WS_ONNX_MAX_RANK);
        return false;
    }
    if (!ws_onnx_constant_new(&r->file->memory, is_int, rank, dims, out))
        ws_onnx_refuse(r, WS_E_MEMORY, "no memory for a constant of %" PRId64 " elements", n);
    return r->status == WS_OK;
}

static void copy_element(struct ws_onnx_constant *out, int64_t to, const struct ws_onnx_constant *in, int64_t from)
{
    if (in->is_int)
        out->ints[to] = in->ints[from];
    else
        out->floats[to] = in->floats[from];
}

/** Elements from one index to the next along each axis. */
static void get_strides(const struct ws_onnx_constant *c, int64_t strides[WS_ONNX_MAX_RANK])
{
    int64_t n = 1;
    for (int i = c->rank - 1; i >= 0; i--) {
        strides[i] = n;
        n *= c->dims[i];
    }
}

/** Element `i` of `out` in row-major order, as an offset by other strides (and a base). */
static int64_t offset_of(const struct ws_onnx_constant *out, int64_t i, const int64_t strides[WS_ONNX_MAX_RANK],
                         int64_t base)
{
    for (int k = out->rank - 1; k >= 0; k--) {
        base += i % out->dims[k] * strides[k];
        i /= out->dims[k];
    }
    return base;
}

void ws_onnx_fold_identity(struct ws_onnx_reader *r)
{
    const struct ws_onnx_value *x = ws_onnx_input(r, 0);
    if (!x)
        ws_onnx_refuse(r, WS_E_FORMAT, "its input is missing");
    else
        ws_onnx_output_alias(r, 0, x);
}

void ws_onnx_fold_sequence(struct ws_onnx_reader *r)
{
    (void)ws_onnx_attr_int(r, "dtype", 1);
    struct ws_onnx_value *v = r->proto->n_output > 0 ? ws_onnx_value_find(r, r->proto->output[0]) : NULL;
    if (v)
        v->kind = WS_ONNX_SEQUENCE;
}

void ws_onnx_fold_cast(struct ws_onnx_reader *r)
{
    const struct ws_onnx_constant *c = ws_onnx_input_constant(r, 0, false);
    bool to_int = false;
    (void)ws_onnx_attr_int(r, "saturate", 1);
    if (strcmp(r->type->name, "CastLike") == 0) {
        const struct ws_onnx_constant *like = ws_onnx_input_constant(r, 1, false);
        to_int = like && like->is_int;
    } else {
        const int64_t to = ws_onnx_attr_int(r, "to", 0);
        to_int = to == ONNX__TENSOR_PROTO__DATA_TYPE__INT64 || to == ONNX__TENSOR_PROTO__DATA_TYPE__INT32;
        if (!to_int && to != ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT && to != ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE &&
            to != ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16)
            ws_onnx_refuse(r, WS_E_UNSUPPORTED, "to data type %" PRId64 "; expected float, int32 or int64", to);
    }
    struct ws_onnx_constant out;
    if (r->status != WS_OK || !make(r, to_int, c->rank, c->dims, &out))
        return;
    for (int64_t i = 0; i < c->n; i++) {
        if (c->is_int == to_int) {
            copy_element(&out, i, c, i);
        } else if (to_int) {
            if (!(fabsf(c->floats[i]) < 9e18F)) {
                ws_onnx_refuse(r, WS_E_FORMAT, "%g as an integer", (double)c->floats[i]);
                return;
            }
            out.ints[i] = (int64_t)c->floats[i];
        } else if (c->ints[i] == WS_ONNX_BATCH) {
            ws_onnx_refuse(r, WS_E_UNSUPPORTED, "computes with the batch size");
            return;
        } else {
            out.floats[i] = (float)c->ints[i];
        }
    }
    ws_onnx_output_constant(r, 0, &out);
}

void ws_onnx_fold_constant(struct ws_onnx_reader *r)
{
    struct ws_onnx_constant out = {0};
    size_t n;
    const Onnx__AttributeProto *tensor = ws_onnx_attr_find(r, "value");
    if (tensor) {
        struct ws_err err = {0};
        if (!tensor->t) {
            ws_onnx_refuse(r, WS_E_FORMAT, "attribute value holds no tensor");
            return;
        }
        enum ws_status status = ws_onnx_tensor_read(r->file, tensor->t, &out, &err);
        r->n_elements += out.n;
        if (status != WS_OK)
            ws_onnx_refuse(r, status, "%s", err.text);
        else if (r->n_elements > WS_ONNX_MAX_ELEMENTS)
            ws_onnx_refuse(r, WS_E_MEMORY, "the file's constants are over 2 GiB");
    } else if (ws_onnx_attr_is_given(r, "value_float")) {
        if (make(r, false, 0, NULL, &out))
            out.floats[0] = (float)ws_onnx_attr_float(r, "value_float", 0);
    } else if (ws_onnx_attr_is_given(r, "value_int")) {
        if (make(r, true, 0, NULL, &out))
            out.ints[0] = ws_onnx_attr_int(r, "value_int", 0);
    } else if (ws_onnx_attr_is_given(r, "value_floats")) {
        const Onnx__AttributeProto *a = ws_onnx_attr_find(r, "value_floats");
        if (make(r, false, 1, (int64_t[]){(int64_t)a->n_floats}, &out) && a->n_floats > 0)
            memcpy(out.floats, a->floats, a->n_floats * sizeof *out.floats);
    } else {
        const int64_t *ints = ws_onnx_attr_ints(r, "value_ints", &n);
        if (!ints)
            ws_onnx_refuse(r, WS_E_UNSUPPORTED, "expected numbers as its value");
        if (ints && make(r, true, 1, (int64_t[]){(int64_t)n}, &out) && n > 0)
            memcpy(out.ints, ints, n * sizeof *ints);
    }
    ws_onnx_output_constant(r, 0, &out);
}

void ws_onnx_fold_fill(struct ws_onnx_reader *r)
{
    const struct ws_onnx_constant *shape = ws_onnx_input_ints(r, 0, false);
    const Onnx__AttributeProto *value = ws_onnx_attr_find(r, "value");
    struct ws_onnx_constant one = {0}, out;
    if (value && value->t && r->status == WS_OK) {
        struct ws_err err = {0};
        enum ws_status status = ws_onnx_tensor_read(r->file, value->t, &one, &err);
        if (status != WS_OK)
            ws_onnx_refuse(r, status, "%s", err.text);
        else if (one.n != 1)
            ws_onnx_refuse(r, WS_E_FORMAT, "its value has %" PRId64 " elements; expected one", one.n);
    }
    if (shape && (shape->n > WS_ONNX_MAX_RANK || ws_onnx_count((int)shape->n, shape->ints, 1 << 24) < 0))
        ws_onnx_refuse(r, WS_E_UNSUPPORTED, "a shape with the batch size, or of more than 2^24 elements");
    if (r->status != WS_OK || !make(r, one.is_int, (int)shape->n, shape->ints, &out))
        return;
    for (int64_t i = 0; i < out.n && one.n == 1; i++)
        copy_element(&out, i, &one, 0);
    ws_onnx_output_constant(r, 0, &out);
}

void ws_onnx_fold_shape(struct ws_onnx_reader *r)
{
    const struct ws_onnx_constant *c = ws_onnx_input_constant(r, 0, false);
    if (!c)
        return;
    const int64_t n = c->rank;
    int64_t start = r->opset >= 15 ? ws_onnx_attr_int(r, "start", 0) : 0,
            end = r->opset >= 15 ? ws_onnx_attr_int(r, "end", n) : n;
    start += start < 0 ? n : 0;
    end += end < 0 ? n : 0;
    start = start < 0 ? 0 : start > n ? n : start;
    end = end < start ? start : end > n ? n : end;
    struct ws_onnx_constant out;
    if (make(r, true, 1, (int64_t[]){end - start}, &out) && end > start)
        memcpy(out.ints, c->dims + start, (size_t)(end - start) * sizeof *out.ints);
    ws_onnx_output_constant(r, 0, &out);
}

/* --- layout --- */

/** The same elements under other axes. */
static void set_shape(struct ws_onnx_reader *r, const struct ws_onnx_constant *c, int rank, const int64_t *dims)
{
    struct ws_onnx_constant out = *c;
    if (r->status != WS_OK)
        return;
    if (rank > WS_ONNX_MAX_RANK || ws_onnx_count(rank, dims, WS_ONNX_MAX_ELEMENTS) != c->n) {
        ws_onnx_refuse(r, WS_E_FORMAT, "the new shape does not hold the %" PRId64 " elements of its constant", c->n);
        return;
    }
    out.rank = rank;
    for (int i = 0; i < rank; i++)
        out.dims[i] = dims[i];
    ws_onnx_output_constant(r, 0, &out);
}

void ws_onnx_fold_reshape(struct ws_onnx_reader *r)
{
    const struct ws_onnx_constant *c = ws_onnx_input_constant(r, 0, false), *shape = ws_onnx_input_ints(r, 1, false);
    const bool allow_zero = r->opset >= 14 && ws_onnx_attr_int(r, "allowzero", 0) != 0;
    int64_t dims[WS_ONNX_MAX_RANK], known = 1;
    int open = -1;
    if (r->status != WS_OK)
        return;
    if (shape->n > WS_ONNX_MAX_RANK) {
        ws_onnx_refuse(r, WS_E_UNSUPPORTED, "%" PRId64 " axes; expected at most %d", shape->n, WS_ONNX_MAX_RANK);
        return;
    }
    for (int i = 0; i < (int)shape->n; i++) {
        dims[i] = shape->ints[i];
        if (dims[i] == 0 && !allow_zero)
            dims[i] = i < c->rank ? c->dims[i] : -2;
        if (dims[i] == -1 && open < 0) {
            open = i;
            dims[i] = 1;
        }
    }
    known = ws_onnx_count((int)shape->n, dims, WS_ONNX_MAX_ELEMENTS);
    if (open >= 0 && known > 0)
        dims[open] = c->n / known;
    set_shape(r, c, (int)shape->n, dims);
}

void ws_onnx_fold_squeeze(struct ws_onnx_reader *r)
{
    const struct ws_onnx_constant *c = ws_onnx_input_constant(r, 0, false);
    const bool grows = strcmp(r->type->name, "Unsqueeze") == 0;
    size_t n = 0;
    const int64_t *axes = NULL;
    if (r->opset >= 13) {
        const struct ws_onnx_constant *list = ws_onnx_input_ints(r, 1, true);
        axes = list ? list->ints : NULL;
        n = list ? (size_t)list->n : 0;
    } else {
        axes = ws_onnx_attr_ints(r, "axes", &n);
    }
    if (r->status != WS_OK)
        return;
    const int rank = c->rank + (grows ? (int)(n <= WS_ONNX_MAX_RANK ? n : 2 * WS_ONNX_MAX_RANK) : 0);
    if (rank > WS_ONNX_MAX_RANK) {
        ws_onnx_refuse(r, WS_E_UNSUPPORTED, "%d axes; expected at most %d", rank, WS_ONNX_MAX_RANK);
        return;
    }
    bool is_set[WS_ONNX_MAX_RANK] = {false};
    int64_t dims[WS_ONNX_MAX_RANK];
    for (size_t i = 0; i < n; i++) {
        const int64_t axis = axes[i] < 0 && axes[i] >= -rank ? axes[i] + rank : axes[i];
        if (axis < 0 || axis >= rank || is_set[axis]) {
            ws_onnx_refuse(r, WS_E_FORMAT, "axis %" PRId64 " of %d axes, or named twice", axes[i], rank);
            return;
        }
        is_set[axis] = true;
    }
    int n_out = 0, from = 0;
    for (int i = 0; i < rank; i++) {
        if (grows)
            dims[n_out++] = is_set[i] ? 1 : c->dims[from++];
        else if (n > 0 ? !is_set[i] : c->dims[i] != 1)
            dims[n_out++] = c->dims[i];
    }
    set_shape(r, c, n_out, dims);
}

/** An axis of a constant, or -1 after a refusal. */
static int constant_axis(struct ws_onnx_reader *r, const struct ws_onnx_constant *c, int64_t axis)
{
    axis += axis < 0 ? c->rank : 0;
    if (axis < 0 || axis >= c->rank) {
        ws_onnx_refuse(r, WS_E_FORMAT, "axis of a constant with %d axes", c->rank);
        return -1;
    }
    return (int)axis;
}

void ws_onnx_fold_gather(struct ws_onnx_reader *r)
{
    const struct ws_onnx_constant *c = ws_onnx_input_constant(r, 0, false), *at = ws_onnx_input_constant(r, 1, false);
    const int axis = c ? constant_axis(r, c, ws_onnx_attr_int(r, "axis", 0)) : -1;
    int64_t dims[2 * WS_ONNX_MAX_RANK], before = 1, after = 1;
    int rank = 0;
    struct ws_onnx_constant out;
    if (r->status != WS_OK)
        return;
    if (!at->is_int) {
        ws_onnx_refuse(r, WS_E_FORMAT, "expected integers as indices");
        return;
    }
    for (int i = 0; i < axis; i++) {
        dims[rank++] = c->dims[i];
        before *= c->dims[i];
    }
    for (int i = 0; i < at->rank; i++)
        dims[rank++] = at->dims[i];
    for (int i = axis + 1; i < c->rank; i++) {
        dims[rank++] = c->dims[i];
        after *= c->dims[i];
    }
    if (!make(r, c->is_int, rank, dims, &out))
        return;
    const int64_t side = c->dims[axis];
    for (int64_t i = 0; i < out.n; i++) {
        int64_t index = at->ints[i / after % at->n];
        index += index < 0 ? side : 0;
        if (index < 0 || index >= side) {
            ws_onnx_refuse(r, WS_E_FORMAT, "an index outside a side of %" PRId64, side);
            return;
        }
        copy_element(&out, i, c, (i / after / at->n * side + index) * after + i % after);
    }
    (void)before;
    ws_onnx_output_constant(r, 0, &out);
}

void ws_onnx_fold_concat(struct ws_onnx_reader *r)
{
    const struct ws_onnx_constant *first = ws_onnx_input_constant(r, 0, false);
    const int axis = first ? constant_axis(r, first, ws_onnx_attr_int(r, "axis", 0)) : -1;
    if (r->status != WS_OK)
        return;
    int64_t dims[WS_ONNX_MAX_RANK], after = 1;
    memcpy(dims, first->dims, sizeof dims);
    dims[axis] = 0;
    for (size_t i = 0; i < r->proto->n_input; i++) {
        const struct ws_onnx_constant *c = ws_onnx_input_constant(r, i, false);
        bool fits = c && c->rank == first->rank && c->is_int == first->is_int;
        for (int k = 0; fits && k < c->rank; k++)
            fits = k == axis || c->dims[k] == dims[k];
        if (!fits) {
            ws_onnx_refuse(r, WS_E_FORMAT, "input %zu does not fit the first", i);
            return;
        }
        dims[axis] += c->dims[axis];
    }
    for (int k = axis + 1; k < first->rank; k++)
        after *= dims[k];
    struct ws_onnx_constant out;
    if (!make(r, first->is_int, first->rank, dims, &out))
        return;
    int64_t begin = 0;
    const int64_t row = dims[axis] * after;
    for (size_t i = 0; i < r->proto->n_input; i++) {
        const struct ws_onnx_constant *c = ws_onnx_input_constant(r, i, false);
        const int64_t part = c->dims[axis] * after;
        for (int64_t k = 0; k < c->n; k++)
            copy_element(&out, k / part * row + begin + k % part, c, k);
        begin += part;
    }
    ws_onnx_output_constant(r, 0, &out);
}

void ws_onnx_fold_transpose(struct ws_onnx_reader *r)
{
    const struct ws_onnx_constant *c = ws_onnx_input_constant(r, 0, false);
    size_t n;
    const int64_t *perm = ws_onnx_attr_ints(r, "perm", &n);
    int64_t dims[WS_ONNX_MAX_RANK], strides[WS_ONNX_MAX_RANK], moved[WS_ONNX_MAX_RANK];
    int seen = 0;
    if (r->status != WS_OK)
        return;
    get_strides(c, strides);
    for (int i = 0; i < c->rank; i++) {
        const int64_t from = perm ? (n == (size_t)c->rank ? perm[i] : -1) : c->rank - 1 - i;
        if (from < 0 || from >= c->rank || seen & 1 << from) {
            ws_onnx_refuse(r, WS_E_FORMAT, "perm is no permutation of %d axes", c->rank);
            return;
        }
        seen |= 1 << from;
        dims[i] = c->dims[from];
        moved[i] = strides[from];
    }
    struct ws_onnx_constant out;
    if (!make(r, c->is_int, c->rank, dims, &out))
        return;
    for (int64_t i = 0; i < out.n; i++)
        copy_element(&out, i, c, offset_of(&out, i, moved, 0));
    ws_onnx_output_constant(r, 0, &out);
}

void ws_onnx_fold_slice(struct ws_onnx_reader *r)
{
    const struct ws_onnx_constant *c = ws_onnx_input_constant(r, 0, false);
    const struct ws_onnx_constant *in[5] = {NULL};
    struct ws_onnx_constant lists[3] = {{0}};
    size_t n = 0;
    if (r->opset < 10) {
        static const char *const names[] = {"starts", "ends", "axes"};
        for (int k = 0; k < 3; k++) {
            lists[k].ints = (int64_t *)(uintptr_t)ws_onnx_attr_ints(r, names[k], &n);
            lists[k].n = (int64_t)n;
            in[k + 1] = lists[k].ints ? &lists[k] : NULL;
        }
    } else {
        for (size_t k = 1; k < 5; k++)
            in[k] = ws_onnx_input_ints(r, k, k > 2);
    }
    if (r->status != WS_OK)
        return;
    if (!in[1] || !in[2] || in[1]->n != in[2]->n || (in[3] && in[3]->n != in[1]->n) ||
        (in[4] && in[4]->n != in[1]->n)) {
        ws_onnx_refuse(r, WS_E_FORMAT, "starts, ends, axes and steps have different lengths");
        return;
    }
    int64_t dims[WS_ONNX_MAX_RANK], strides[WS_ONNX_MAX_RANK], base = 0;
    memcpy(dims, c->dims, sizeof dims);
    get_strides(c, strides);
    for (int64_t i = 0; i < in[1]->n; i++) {
        const int axis = constant_axis(r, c, in[3] ? in[3]->ints[i] : i);
        int64_t start = in[1]->ints[i], end = in[2]->ints[i], step = in[4] ? in[4]->ints[i] : 1;
        if (axis < 0 || step == 0 || step < -INT_MAX || step > INT_MAX || dims[axis] != c->dims[axis]) {
            ws_onnx_refuse(r, WS_E_UNSUPPORTED, "an axis that is cut twice, or a step of %" PRId64, step);
            return;
        }
        const int64_t side = c->dims[axis], low = step > 0 ? 0 : -1, high = step > 0 ? side : side - 1;
        start += start < 0 ? side : 0;
        end += end < 0 ? side : 0;
        start = start < 0 ? 0 : start > high ? high : start;
        end = end < low ? low : end > high ? high : end;
        const int64_t span = step > 0 ? end - start : start - end;
        dims[axis] = span > 0 ? (span - 1) / (step > 0 ? step : -step) + 1 : 0;
        base += start * strides[axis];
        strides[axis] *= step;
    }
    struct ws_onnx_constant out;
    if (!make(r, c->is_int, c->rank, dims, &out))
        return;
    for (int64_t i = 0; i < out.n; i++)
        copy_element(&out, i, c, offset_of(&out, i, strides, base));
    ws_onnx_output_constant(r, 0, &out);
}

/* --- arithmetic --- */

/** a op b on integers; false when it overflows, divides by zero or needs the batch size. */
static bool combine_ints(char op, int64_t a, int64_t b, int64_t *out)
{
    if (a == WS_ONNX_BATCH || b == WS_ONNX_BATCH) {
        const int64_t other = a == WS_ONNX_BATCH ? b : a;
        *out = WS_ONNX_BATCH;
        return (op == '*' && other == 1) || (op == '+' && other == 0) ||
               (op == '/' && a == WS_ONNX_BATCH && other == 1) || (op == '-' && a == WS_ONNX_BATCH && other == 0);
    }
    switch (op) {
    case '+':
        return !__builtin_add_overflow(a, b, out);
    case '-':
        return !__builtin_sub_overflow(a, b, out);
    case '*':
        return !__builtin_mul_overflow(a, b, out);
    default:
        if (b == 0 || (a == INT64_MIN && b == -1))
            return false;
        *out = a / b;
        return true;
    }
}

static float combine_floats(char op, float a, float b)
{
    return op == '+' ? a + b : op == '-' ? a - b : op == '*' ? a * b : a / b;
}

/** The shape of two constants together; false when they do not fit. */
static bool broadcast(const struct ws_onnx_constant *a, const struct ws_onnx_constant *b, int *rank,
                      int64_t dims[WS_ONNX_MAX_RANK])
{
    *rank = a->rank > b->rank ? a->rank : b->rank;
    for (int i = 0; i < *rank; i++) {
        const int ia = i - (*rank - a->rank), ib = i - (*rank - b->rank);
        const int64_t da = ia < 0 ? 1 : a->dims[ia], db = ib < 0 ? 1 : b->dims[ib];
        if (da != db && da != 1 && db != 1)
            return false;
        dims[i] = da == 1 ? db : da;
    }
    return true;
}

void ws_onnx_fold_arithmetic(struct ws_onnx_reader *r)
{
    const struct ws_onnx_constant *in[2] = {ws_onnx_input_constant(r, 0, false), ws_onnx_input_constant(r, 1, false)};
    const char op = strcmp(r->type->name, "Add") == 0   ? '+'
                    : strcmp(r->type->name, "Sub") == 0 ? '-'
                    : strcmp(r->type->name, "Mul") == 0 ? '*'
                                                        : '/';
    int64_t dims[WS_ONNX_MAX_RANK], strides[2][WS_ONNX_MAX_RANK] = {{0}};
    int rank = 0;
    struct ws_onnx_constant out;
    if (r->status != WS_OK)
        return;
    if (in[0]->is_int != in[1]->is_int || !broadcast(in[0], in[1], &rank, dims)) {
        ws_onnx_refuse(r, WS_E_FORMAT, "its constants have different types or shapes");
        return;
    }
    if (!make(r, in[0]->is_int, rank, dims, &out))
        return;
    for (int side = 0; side < 2; side++) {
        int64_t own[WS_ONNX_MAX_RANK];
        get_strides(in[side], own);
        for (int i = 0; i < in[side]->rank; i++)
            strides[side][rank - in[side]->rank + i] = in[side]->dims[i] == 1 ? 0 : own[i];
    }
    for (int64_t i = 0; i < out.n; i++) {
        const int64_t a = offset_of(&out, i, strides[0], 0), b = offset_of(&out, i, strides[1], 0);
        if (!out.is_int) {
            out.floats[i] = combine_floats(op, in[0]->floats[a], in[1]->floats[b]);
        } else if (!combine_ints(op, in[0]->ints[a], in[1]->ints[b], &out.ints[i])) {
            ws_onnx_refuse(r, WS_E_UNSUPPORTED, "computes with the batch size, overflows, or divides by zero");
            return;
        }
    }
    ws_onnx_output_constant(r, 0, &out);
}

void ws_onnx_fold_unary(struct ws_onnx_reader *r)
{
    const struct ws_onnx_constant *c = ws_onnx_input_constant(r, 0, false);
    struct ws_onnx_constant out;
    if (!c || !make(r, c->is_int, c->rank, c->dims, &out))
        return;
    const char *type = r->type->name;
    for (int64_t i = 0; i < c->n; i++) {
        if (c->is_int) {
            if (strcmp(type, "Neg") != 0 || c->ints[i] <= WS_ONNX_BATCH) {
                ws_onnx_refuse(r, WS_E_UNSUPPORTED, "on integers, or on the batch size");
                return;
            }
            out.ints[i] = -c->ints[i];
        } else {
            const float x = c->floats[i];
            out.floats[i] = strcmp(type, "Neg") == 0 ? -x : strcmp(type, "Sqrt") == 0 ? sqrtf(x) : floorf(x);
        }
    }
    ws_onnx_output_constant(r, 0, &out);
}
