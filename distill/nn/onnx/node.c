/* What the readers of ops use: a node's inputs, attributes and outputs, names, and sides. */
#include "reader.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void refuse(struct reader *r, enum ws_status status, const char *format, ...)
{
    if (r->status != WS_OK)
        return;
    char text[600];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    r->status = ws_fail(&r->err, status, "node \"%s\" (%s, opset %d): %s",
                        r->proto->name && *r->proto->name ? onnx_printable(&r->file->memory, r->proto->name)
                                                          : ws_arena_printf(&r->file->memory, "number %d", r->index),
                        onnx_printable(&r->file->memory, r->proto->op_type), r->opset, text);
}

void *take(struct reader *r, size_t n, size_t size_bytes)
{
    void *p = ws_arena_alloc(&r->file->memory, n ? n : 1, size_bytes);
    if (!p)
        refuse(r, WS_E_MEMORY, "no memory for %zu elements", n);
    return p;
}

/* --- inputs --- */

static int compare_to_name(const void *name, const void *entry)
{
    return strcmp(name, (*(struct value *const *)entry)->name);
}

struct value *find_value(struct reader *r, const char *name)
{
    struct value **found = bsearch(name, r->by_name, r->n_sorted, sizeof *r->by_name, compare_to_name);
    return found ? *found : NULL;
}

struct value *node_input(struct reader *r, size_t i)
{
    const char *name = i < r->proto->n_input ? r->proto->input[i] : "";
    struct value *v = *name ? find_value(r, name) : NULL;
    if (!v || v->kind != VALUE_TENSOR)
        return v;
    struct ws_err err = {0};
    enum ws_status status = onnx_tensor_read(r->file, v->tensor, &v->constant, &err);
    v->kind = VALUE_CONSTANT;
    if (status != WS_OK) {
        v->kind = VALUE_POISONED;
        refuse(r, status, "%s", err.text);
        return v;
    }
    r->n_elements += v->constant.n;
    if (r->n_elements > ONNX_MAX_ELEMENTS)
        refuse(r, WS_E_MEMORY, "with tensor \"%s\" the file's parameters are over 2 GiB",
               onnx_printable(&r->file->memory, name));
    return v;
}

struct value *data_input(struct reader *r, size_t i)
{
    struct value *v = node_input(r, i);
    if (!v)
        refuse(r, WS_E_FORMAT, "input %zu is missing", i);
    else if (v->kind == VALUE_CONSTANT)
        refuse(r, WS_E_UNSUPPORTED, "input %zu is a constant; expected a value of the image", i);
    else if (v->kind != VALUE_DATA)
        refuse(r, WS_E_UNSUPPORTED, "input %zu, \"%s\", is not a tensor that we compute", i,
               onnx_printable(&r->file->memory, v->name));
    else if (v->has_no_batch)
        refuse(r, WS_E_UNSUPPORTED, "input %zu has lost its batch axis", i);
    return r->status == WS_OK ? v : NULL;
}

struct constant *constant_input(struct reader *r, size_t i, bool optional)
{
    struct value *v = node_input(r, i);
    if (!v && !optional)
        refuse(r, WS_E_FORMAT, "input %zu is missing", i);
    if (v && v->kind != VALUE_CONSTANT)
        refuse(r, WS_E_UNSUPPORTED, "input %zu, \"%s\", depends on the image; expected a constant", i,
               onnx_printable(&r->file->memory, v->name));
    return v && r->status == WS_OK ? &v->constant : NULL;
}

struct constant *float_input(struct reader *r, size_t i, bool optional)
{
    struct constant *c = constant_input(r, i, optional);
    if (c && c->is_int)
        refuse(r, WS_E_UNSUPPORTED, "input %zu holds integers; expected floats", i);
    return r->status == WS_OK ? c : NULL;
}

struct constant *int_input(struct reader *r, size_t i, bool optional)
{
    struct constant *c = constant_input(r, i, optional);
    if (c && (!c->is_int || c->rank > 1))
        refuse(r, WS_E_FORMAT, "input %zu: expected a list of integers", i);
    return r->status == WS_OK ? c : NULL;
}

/* --- attributes --- */

const Onnx__AttributeProto *attr_find(struct reader *r, const char *name)
{
    for (size_t i = 0; i < r->proto->n_attribute && i < 64; i++)
        if (r->proto->attribute[i]->name && strcmp(r->proto->attribute[i]->name, name) == 0) {
            r->seen |= UINT64_C(1) << i;
            return r->proto->attribute[i];
        }
    return NULL;
}

bool attr_is_given(struct reader *r, const char *name)
{
    return attr_find(r, name) != NULL;
}

/** The attribute when it has that type (or, in old files, none); refuses another. */
static const Onnx__AttributeProto *attr_of_type(struct reader *r, const char *name,
                                                Onnx__AttributeProto__AttributeType type)
{
    const Onnx__AttributeProto *a = attr_find(r, name);
    if (a && a->ref_attr_name && *a->ref_attr_name)
        refuse(r, WS_E_UNSUPPORTED, "attribute %s refers to a function's attribute", name);
    else if (a && a->has_type && a->type != type)
        refuse(r, WS_E_FORMAT, "attribute %s has type %d; expected %d", name, (int)a->type, (int)type);
    return r->status == WS_OK ? a : NULL;
}

int64_t attr_int(struct reader *r, const char *name, int64_t fallback)
{
    const Onnx__AttributeProto *a = attr_of_type(r, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    return a ? a->i : fallback;
}

double attr_float(struct reader *r, const char *name, double fallback)
{
    const Onnx__AttributeProto *a = attr_of_type(r, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
    if (a && isnan(a->f))
        refuse(r, WS_E_FORMAT, "attribute %s is not a number", name);
    return a ? (double)a->f : fallback;
}

const char *attr_string(struct reader *r, const char *name, const char *fallback)
{
    const Onnx__AttributeProto *a = attr_of_type(r, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING);
    if (!a)
        return fallback;
    const char *text = ws_arena_strndup(&r->file->memory, (const char *)a->s.data, a->s.len);
    return text ? onnx_printable(&r->file->memory, text) : fallback;
}

const int64_t *attr_ints(struct reader *r, const char *name, size_t *n)
{
    static const int64_t none;
    const Onnx__AttributeProto *a = attr_of_type(r, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    *n = a ? a->n_ints : 0;
    return a ? (a->n_ints ? a->ints : &none) : NULL;
}

/* --- outputs --- */

size_t node_n_outputs(const struct reader *r)
{
    return r->proto->n_output;
}

static struct value *output_value(struct reader *r, size_t i)
{
    if (i >= r->proto->n_output || !*r->proto->output[i])
        return NULL;
    return find_value(r, r->proto->output[i]);
}

struct value *set_data(struct reader *r, size_t i, int node, int rank, const int64_t *dims)
{
    struct value *v = output_value(r, i);
    if (r->status != WS_OK || !v)
        return NULL;
    if (rank > ONNX_MAX_RANK - 1) {
        refuse(r, WS_E_UNSUPPORTED, "a value of %d sides; expected at most %d", rank + 1, ONNX_MAX_RANK);
        return NULL;
    }
    const int64_t n = onnx_count(rank, dims, ONNX_MAX_VALUE);
    if (n < 1) {
        refuse(r, WS_E_UNSUPPORTED, "the output is empty, or has more than 2^28 elements an image");
        return NULL;
    }
    v->kind = VALUE_DATA;
    v->node = node;
    v->rank = rank;
    for (int k = 0; k < rank; k++)
        v->dims[k] = dims[k];
    return v;
}

void set_constant(struct reader *r, size_t i, const struct constant *constant)
{
    struct value *v = output_value(r, i);
    if (r->status != WS_OK || !v)
        return;
    v->kind = VALUE_CONSTANT;
    v->constant = *constant;
}

void set_alias(struct reader *r, size_t i, const struct value *of)
{
    struct value *v = output_value(r, i);
    if (r->status != WS_OK || !v)
        return;
    v->kind = of->kind;
    v->constant = of->constant;
    v->node = of->node;
    v->rank = of->rank;
    v->has_no_batch = of->has_no_batch;
    memcpy(v->dims, of->dims, sizeof v->dims);
}

/* --- names --- */

/** Fit for a parameter's name: visible ASCII, short, and free. */
static bool is_usable(const struct reader *r, const char *name)
{
    const size_t n = strlen(name);
    if (n == 0 || n > WS_NAME_MAX - 24)
        return false;
    for (size_t i = 0; i < n; i++)
        if (name[i] <= ' ' || name[i] >= 0x7f || name[i] == '"' || name[i] == '\\')
            return false;
    return ws_net_find(r->net, name) < 0;
}

static const char *numbered(struct reader *r, const char *prefix, int number)
{
    char text[WS_NAME_MAX];
    const char *name = NULL;
    do {
        (void)snprintf(text, sizeof text, "%.100s%d", prefix, number++);
        name = text;
    } while (!is_usable(r, name));
    name = ws_arena_strdup(&r->file->memory, text);
    return name ? name : "";
}

/** A name without what our own parameter names end in, or NULL when it does not end so or is taken. */
static const char *without(struct reader *r, const char *text, const char *suffix)
{
    const size_t n = text ? strlen(text) : 0, cut = strlen(suffix);
    if (n <= cut || strcmp(text + n - cut, suffix) != 0)
        return NULL;
    const char *name = ws_arena_strndup(&r->file->memory, text, n - cut);
    return name && is_usable(r, name) ? name : NULL;
}

const char *name_after(struct reader *r, const char *weight)
{
    const char *name = without(r, weight, ".weight");
    if (name)
        return name;
    if (r->proto->name && is_usable(r, r->proto->name))
        return r->proto->name;
    return numbered(r, "op_", r->index);
}

const char *helper_name(struct reader *r, const char *suffix)
{
    const char *own = r->proto->name && is_usable(r, r->proto->name) ? r->proto->name : "op";
    const char *name = ws_arena_printf(&r->file->memory, "%s.%s", own, suffix);
    if (name && is_usable(r, name))
        return name;
    name = ws_arena_printf(&r->file->memory, "op_%d.%s", r->index, suffix);
    return name && is_usable(r, name) ? name : numbered(r, "op_helper_", r->net->n_nodes);
}

/* --- sides --- */

int64_t value_count(const struct value *v)
{
    return onnx_count(v->rank, v->dims, ONNX_MAX_VALUE);
}

int as_sides(struct reader *r, struct value *v, int64_t height, int64_t width, int64_t channels)
{
    if (r->status != WS_OK)
        return 0;
    const struct ws_node *node = &r->net->nodes[v->node];
    if (node->height == height && node->width == width && node->channels == channels)
        return v->node;
    if (channels > WS_MAX_CHANNELS) {
        refuse(r, WS_E_UNSUPPORTED, "%" PRId64 " channels; expected at most %d", channels, WS_MAX_CHANNELS);
        return 0;
    }
    v->node = ws_net_reshape(r->net, helper_name(r, "reshape"), v->node, (int)height, (int)width, (int)channels);
    return v->node;
}

int as_map(struct reader *r, struct value *v)
{
    if (v->rank > WS_N_SIDES) {
        refuse(r, WS_E_UNSUPPORTED, "its input has %d axes; expected at most 4", v->rank + 1);
        return 0;
    }
    return as_sides(r, v, v->rank > 1 ? v->dims[1] : 1, v->rank > 2 ? v->dims[2] : 1, v->rank > 0 ? v->dims[0] : 1);
}

int image_axis(struct reader *r, const struct value *v, int64_t axis)
{
    const int rank = v->rank + 1;
    if (axis < -rank || axis >= rank) {
        refuse(r, WS_E_FORMAT, "axis %" PRId64 " of a value with %d axes", axis, rank);
        return -1;
    }
    axis += axis < 0 ? rank : 0;
    if (axis == 0) {
        refuse(r, WS_E_UNSUPPORTED, "works along the batch axis; expected each image on its own");
        return -1;
    }
    return (int)axis - 1;
}

enum ws_side side_of(int axis)
{
    return axis == 0 ? WS_CHANNELS : axis == 1 ? WS_HEIGHT : WS_WIDTH;
}

/* --- parameters --- */

int add_constant(struct reader *r, const char *wanted_name, int height, int width, int channels, float *values)
{
    if (r->status != WS_OK)
        return 0;
    const char *name = without(r, wanted_name, ".value");
    if (!name)
        name = wanted_name && is_usable(r, wanted_name) ? wanted_name : helper_name(r, "constant");
    const int node = ws_net_constant(r->net, name, height, width, channels);
    set_param(r, node, 0, values, (size_t)height * (size_t)width * (size_t)channels);
    return node;
}
