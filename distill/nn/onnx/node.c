/* What the readers of ops use: a node's inputs, attributes and outputs, names, and sides. */
#include "reader.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void ws_onnx_refuse(struct ws_onnx_reader *r, enum ws_status status, const char *format, ...)
{
    if (r->status != WS_OK)
        return;
    char text[600];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    r->status = ws_fail(&r->err, status, "node \"%s\" (%s, opset %d): %s",
                        r->proto->name && *r->proto->name ? ws_onnx_printable(&r->file->memory, r->proto->name)
                                                          : ws_arena_printf(&r->file->memory, "number %d", r->index),
                        ws_onnx_printable(&r->file->memory, r->proto->op_type), r->opset, text);
}

void *ws_onnx_take(struct ws_onnx_reader *r, size_t n, size_t size_bytes)
{
    void *p = ws_arena_alloc(&r->file->memory, n ? n : 1, size_bytes);
    if (!p)
        ws_onnx_refuse(r, WS_E_MEMORY, "no memory for %zu elements", n);
    return p;
}

/* --- inputs --- */

static int compare_to_name(const void *name, const void *entry)
{
    return strcmp(name, (*(struct ws_onnx_value *const *)entry)->name);
}

struct ws_onnx_value *ws_onnx_value_find(struct ws_onnx_reader *r, const char *name)
{
    struct ws_onnx_value **found = bsearch(name, r->by_name, r->n_sorted, sizeof *r->by_name, compare_to_name);
    return found ? *found : NULL;
}

struct ws_onnx_value *ws_onnx_input(struct ws_onnx_reader *r, size_t i)
{
    const char *name = i < r->proto->n_input ? r->proto->input[i] : "";
    struct ws_onnx_value *v = *name ? ws_onnx_value_find(r, name) : NULL;
    if (!v || v->kind != WS_ONNX_TENSOR)
        return v;
    struct ws_err err = {0};
    enum ws_status status = ws_onnx_tensor_read(r->file, v->tensor, &v->constant, &err);
    v->kind = WS_ONNX_CONSTANT;
    if (status != WS_OK) {
        v->kind = WS_ONNX_POISONED;
        ws_onnx_refuse(r, status, "%s", err.text);
        return v;
    }
    r->n_elements += v->constant.n;
    if (r->n_elements > WS_ONNX_MAX_ELEMENTS)
        ws_onnx_refuse(r, WS_E_MEMORY, "with tensor \"%s\" the file's parameters are over 2 GiB",
                       ws_onnx_printable(&r->file->memory, name));
    return v;
}

struct ws_onnx_value *ws_onnx_input_data(struct ws_onnx_reader *r, size_t i)
{
    struct ws_onnx_value *v = ws_onnx_input(r, i);
    if (!v)
        ws_onnx_refuse(r, WS_E_FORMAT, "input %zu is missing", i);
    else if (v->kind == WS_ONNX_CONSTANT)
        ws_onnx_refuse(r, WS_E_UNSUPPORTED, "input %zu is a constant; expected a value of the image", i);
    else if (v->kind != WS_ONNX_DATA)
        ws_onnx_refuse(r, WS_E_UNSUPPORTED, "input %zu, \"%s\", is not a tensor that we compute", i,
                       ws_onnx_printable(&r->file->memory, v->name));
    else if (v->has_no_batch)
        ws_onnx_refuse(r, WS_E_UNSUPPORTED, "input %zu has lost its batch axis", i);
    return r->status == WS_OK ? v : NULL;
}

struct ws_onnx_constant *ws_onnx_input_constant(struct ws_onnx_reader *r, size_t i, bool optional)
{
    struct ws_onnx_value *v = ws_onnx_input(r, i);
    if (!v && !optional)
        ws_onnx_refuse(r, WS_E_FORMAT, "input %zu is missing", i);
    if (v && v->kind != WS_ONNX_CONSTANT)
        ws_onnx_refuse(r, WS_E_UNSUPPORTED, "input %zu, \"%s\", depends on the image; expected a constant", i,
                       ws_onnx_printable(&r->file->memory, v->name));
    return v && r->status == WS_OK ? &v->constant : NULL;
}

struct ws_onnx_constant *ws_onnx_input_floats(struct ws_onnx_reader *r, size_t i, bool optional)
{
    struct ws_onnx_constant *c = ws_onnx_input_constant(r, i, optional);
    if (c && c->is_int)
        ws_onnx_refuse(r, WS_E_UNSUPPORTED, "input %zu holds integers; expected floats", i);
    return r->status == WS_OK ? c : NULL;
}

struct ws_onnx_constant *ws_onnx_input_ints(struct ws_onnx_reader *r, size_t i, bool optional)
{
    struct ws_onnx_constant *c = ws_onnx_input_constant(r, i, optional);
    if (c && (!c->is_int || c->rank > 1))
        ws_onnx_refuse(r, WS_E_FORMAT, "input %zu: expected a list of integers", i);
    return r->status == WS_OK ? c : NULL;
}

/* --- attributes --- */

const Onnx__AttributeProto *ws_onnx_attr_find(struct ws_onnx_reader *r, const char *name)
{
    for (size_t i = 0; i < r->proto->n_attribute && i < 64; i++)
        if (r->proto->attribute[i]->name && strcmp(r->proto->attribute[i]->name, name) == 0) {
            r->seen |= UINT64_C(1) << i;
            return r->proto->attribute[i];
        }
    return NULL;
}

bool ws_onnx_attr_is_given(struct ws_onnx_reader *r, const char *name)
{
    return ws_onnx_attr_find(r, name) != NULL;
}

/** The attribute when it has that type (or, in old files, none); refuses another. */
static const Onnx__AttributeProto *attr_of_type(struct ws_onnx_reader *r, const char *name,
                                                Onnx__AttributeProto__AttributeType type)
{
    const Onnx__AttributeProto *a = ws_onnx_attr_find(r, name);
    if (a && a->ref_attr_name && *a->ref_attr_name)
        ws_onnx_refuse(r, WS_E_UNSUPPORTED, "attribute %s refers to a function's attribute", name);
    else if (a && a->has_type && a->type != type)
        ws_onnx_refuse(r, WS_E_FORMAT, "attribute %s has type %d; expected %d", name, (int)a->type, (int)type);
    return r->status == WS_OK ? a : NULL;
}

int64_t ws_onnx_attr_int(struct ws_onnx_reader *r, const char *name, int64_t fallback)
{
    const Onnx__AttributeProto *a = attr_of_type(r, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    return a ? a->i : fallback;
}

double ws_onnx_attr_float(struct ws_onnx_reader *r, const char *name, double fallback)
{
    const Onnx__AttributeProto *a = attr_of_type(r, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
    if (a && isnan(a->f))
        ws_onnx_refuse(r, WS_E_FORMAT, "attribute %s is not a number", name);
    return a ? (double)a->f : fallback;
}

const char *ws_onnx_attr_string(struct ws_onnx_reader *r, const char *name, const char *fallback)
{
    const Onnx__AttributeProto *a = attr_of_type(r, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING);
    if (!a)
        return fallback;
    const char *text = ws_arena_strndup(&r->file->memory, (const char *)a->s.data, a->s.len);
    return text ? ws_onnx_printable(&r->file->memory, text) : fallback;
}

const int64_t *ws_onnx_attr_ints(struct ws_onnx_reader *r, const char *name, size_t *n)
{
    static const int64_t none;
    const Onnx__AttributeProto *a = attr_of_type(r, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    *n = a ? a->n_ints : 0;
    return a ? (a->n_ints ? a->ints : &none) : NULL;
}

/* --- outputs --- */

size_t ws_onnx_n_outputs(const struct ws_onnx_reader *r)
{
    return r->proto->n_output;
}

static struct ws_onnx_value *output_value(struct ws_onnx_reader *r, size_t i)
{
    if (i >= r->proto->n_output || !*r->proto->output[i])
        return NULL;
    return ws_onnx_value_find(r, r->proto->output[i]);
}

struct ws_onnx_value *ws_onnx_output_data(struct ws_onnx_reader *r, size_t i, int node, int rank, const int64_t *dims)
{
    struct ws_onnx_value *v = output_value(r, i);
    if (r->status != WS_OK || !v)
        return NULL;
    if (rank > WS_ONNX_MAX_RANK - 1) {
        ws_onnx_refuse(r, WS_E_UNSUPPORTED, "a value of %d sides; expected at most %d", rank + 1, WS_ONNX_MAX_RANK);
        return NULL;
    }
    const int64_t n = ws_onnx_count(rank, dims, WS_ONNX_MAX_VALUE);
    if (n < 1) {
        ws_onnx_refuse(r, WS_E_UNSUPPORTED, "the output is empty, or has more than 2^28 elements an image");
        return NULL;
    }
    v->kind = WS_ONNX_DATA;
    v->node = node;
    v->rank = rank;
    for (int k = 0; k < rank; k++)
        v->dims[k] = dims[k];
    return v;
}

void ws_onnx_output_constant(struct ws_onnx_reader *r, size_t i, const struct ws_onnx_constant *constant)
{
    struct ws_onnx_value *v = output_value(r, i);
    if (r->status != WS_OK || !v)
        return;
    v->kind = WS_ONNX_CONSTANT;
    v->constant = *constant;
}

void ws_onnx_output_alias(struct ws_onnx_reader *r, size_t i, const struct ws_onnx_value *of)
{
    struct ws_onnx_value *v = output_value(r, i);
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
static bool is_usable(const struct ws_onnx_reader *r, const char *name)
{
    const size_t n = strlen(name);
    if (n == 0 || n > WS_NAME_MAX - 24)
        return false;
    for (size_t i = 0; i < n; i++)
        if (name[i] <= ' ' || name[i] >= 0x7f || name[i] == '"' || name[i] == '\\')
            return false;
    return ws_net_find(r->net, name) < 0;
}

static const char *numbered(struct ws_onnx_reader *r, const char *prefix, int number)
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
static const char *without(struct ws_onnx_reader *r, const char *text, const char *suffix)
{
    const size_t n = text ? strlen(text) : 0, cut = strlen(suffix);
    if (n <= cut || strcmp(text + n - cut, suffix) != 0)
        return NULL;
    const char *name = ws_arena_strndup(&r->file->memory, text, n - cut);
    return name && is_usable(r, name) ? name : NULL;
}

const char *ws_onnx_name_after(struct ws_onnx_reader *r, const char *weight)
{
    const char *name = without(r, weight, ".weight");
    if (name)
        return name;
    if (r->proto->name && is_usable(r, r->proto->name))
        return r->proto->name;
    return numbered(r, "op_", r->index);
}

const char *ws_onnx_name_helper(struct ws_onnx_reader *r, const char *suffix)
{
    const char *own = r->proto->name && is_usable(r, r->proto->name) ? r->proto->name : "op";
    const char *name = ws_arena_printf(&r->file->memory, "%s.%s", own, suffix);
    if (name && is_usable(r, name))
        return name;
    name = ws_arena_printf(&r->file->memory, "op_%d.%s", r->index, suffix);
    return name && is_usable(r, name) ? name : numbered(r, "op_helper_", r->net->n_nodes);
}

/* --- sides --- */

int64_t ws_onnx_value_count(const struct ws_onnx_value *v)
{
    return ws_onnx_count(v->rank, v->dims, WS_ONNX_MAX_VALUE);
}

int ws_onnx_value_as_dims(struct ws_onnx_reader *r, struct ws_onnx_value *v, int64_t height, int64_t width,
                          int64_t channels)
{
    if (r->status != WS_OK)
        return 0;
    const struct ws_node *node = &r->net->nodes[v->node];
    if (node->height == height && node->width == width && node->channels == channels)
        return v->node;
    if (channels > WS_MAX_CHANNELS) {
        ws_onnx_refuse(r, WS_E_UNSUPPORTED, "%" PRId64 " channels; expected at most %d", channels, WS_MAX_CHANNELS);
        return 0;
    }
    v->node =
        ws_net_reshape(r->net, ws_onnx_name_helper(r, "reshape"), v->node, (int)height, (int)width, (int)channels);
    return v->node;
}

int ws_onnx_value_as_map(struct ws_onnx_reader *r, struct ws_onnx_value *v)
{
    if (v->rank > WS_N_SIDES) {
        ws_onnx_refuse(r, WS_E_UNSUPPORTED, "its input has %d axes; expected at most 4", v->rank + 1);
        return 0;
    }
    return ws_onnx_value_as_dims(r, v, v->rank > 1 ? v->dims[1] : 1, v->rank > 2 ? v->dims[2] : 1,
                                 v->rank > 0 ? v->dims[0] : 1);
}

int ws_onnx_image_axis(struct ws_onnx_reader *r, const struct ws_onnx_value *v, int64_t axis)
{
    const int rank = v->rank + 1;
    if (axis < -rank || axis >= rank) {
        ws_onnx_refuse(r, WS_E_FORMAT, "axis %" PRId64 " of a value with %d axes", axis, rank);
        return -1;
    }
    axis += axis < 0 ? rank : 0;
    if (axis == 0) {
        ws_onnx_refuse(r, WS_E_UNSUPPORTED, "works along the batch axis; expected each image on its own");
        return -1;
    }
    return (int)axis - 1;
}

enum ws_side ws_onnx_side_of(int axis)
{
    return axis == 0 ? WS_CHANNELS : axis == 1 ? WS_HEIGHT : WS_WIDTH;
}

/* --- parameters --- */

void ws_onnx_param_set(struct ws_onnx_reader *r, int node, int param, float *values, size_t n)
{
    if (r->status != WS_OK || r->net->err.status != WS_OK)
        return;
    const int index = r->net->nodes[node].params[param];
    if (r->net->params[index].n != n) {
        ws_onnx_refuse(r, WS_E_FORMAT, "parameter \"%s\" has %zu elements; the graph wants %zu",
                       r->net->params[index].name, n, r->net->params[index].n);
        return;
    }
    struct ws_onnx_pending *p = ws_onnx_take(r, 1, sizeof *p);
    if (!p)
        return;
    *p = (struct ws_onnx_pending){r->pending, index, values, n};
    r->pending = p;
}

int ws_onnx_constant_add(struct ws_onnx_reader *r, const char *wanted_name, int height, int width, int channels,
                         float *values)
{
    if (r->status != WS_OK)
        return 0;
    const char *name = without(r, wanted_name, ".value");
    if (!name)
        name = wanted_name && is_usable(r, wanted_name) ? wanted_name : ws_onnx_name_helper(r, "constant");
    const int node = ws_net_constant(r->net, name, height, width, channels);
    ws_onnx_param_set(r, node, 0, values, (size_t)height * (size_t)width * (size_t)channels);
    return node;
}

/* --- a value with any axes --- */

int ws_onnx_value_axes(const struct ws_onnx_value *x, int64_t axes[WS_ONNX_MAX_RANK + 1])
{
    int n = 0;
    if (!x->has_no_batch)
        axes[n++] = WS_ONNX_BATCH;
    for (int i = 0; i < x->rank; i++)
        axes[n++] = x->dims[i];
    return n;
}

void ws_onnx_output_axes(struct ws_onnx_reader *r, const struct ws_onnx_value *x, int n, const int64_t *axes)
{
    int64_t dims[2 * WS_ONNX_MAX_RANK + 1] = {0};
    int rank = 0;
    const bool has_batch = n > 0 && (axes[0] == WS_ONNX_BATCH || (r->batch == 1 && axes[0] == 1));
    if (n > WS_ONNX_MAX_RANK) {
        ws_onnx_refuse(r, WS_E_UNSUPPORTED, "a value with %d axes; expected at most %d", n, WS_ONNX_MAX_RANK);
        return;
    }
    for (int i = has_batch ? 1 : 0; i < n; i++)
        dims[rank++] = axes[i] == WS_ONNX_BATCH && r->batch == 1 ? 1 : axes[i];
    const bool is_whole = ws_onnx_count(rank, dims, WS_ONNX_MAX_VALUE) == ws_onnx_value_count(x);
    if (!is_whole || (!has_batch && r->batch != 1)) {
        ws_onnx_refuse(r, WS_E_UNSUPPORTED, "moves or drops the batch axis; expected each image on its own");
        return;
    }
    struct ws_onnx_value *out = ws_onnx_output_data(r, 0, x->node, rank, dims);
    if (out)
        out->has_no_batch = !has_batch;
}

struct ws_onnx_value *ws_onnx_input_any(struct ws_onnx_reader *r)
{
    struct ws_onnx_value *x = ws_onnx_input(r, 0);
    if (x && x->kind == WS_ONNX_DATA)
        return x;
    return ws_onnx_input_data(r, 0); /* refuses */
}
