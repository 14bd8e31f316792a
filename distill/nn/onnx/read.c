/*
 * ONNX import: the file's nodes, in their order, become nodes of ours; what is known without an image is computed on
 * the way (fold.c). A value's shape is kept as the file sees it, without the batch (struct ws_onnx_value), so that the
 * many ways to flatten cost nothing. A node that we cannot take poisons what depends on it and the reading goes
 * on, so that one message names them all.
 */
#include "reader.h"

#include "webstill/base/file.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* --- names of values --- */

static int compare_names(const void *a, const void *b)
{
    return strcmp((*(struct ws_onnx_value *const *)a)->name, (*(struct ws_onnx_value *const *)b)->name);
}

static void sort_values(struct ws_onnx_reader *r)
{
    r->n_sorted = r->n_values;
    for (size_t i = 0; i < r->n_values; i++)
        r->by_name[i] = &r->values[i];
    qsort(r->by_name, r->n_sorted, sizeof *r->by_name, compare_names);
}

static struct ws_onnx_value *add_value(struct ws_onnx_reader *r, const char *name, enum ws_onnx_kind kind)
{
    struct ws_onnx_value *v = &r->values[r->n_values++];
    *v = (struct ws_onnx_value){.name = name, .kind = kind, .made_by = -1, .used_by = -1};
    return v;
}

/** All names of the graph, sorted; the one input that is not an initializer is *input. */
static enum ws_status collect_values(struct ws_onnx_reader *r, const Onnx__ValueInfoProto **input, struct ws_err *err)
{
    const Onnx__GraphProto *g = r->graph;
    const char *file = r->file->name;
    size_t n = g->n_initializer + g->n_input;
    for (size_t i = 0; i < g->n_node; i++)
        n += g->node[i]->n_output;
    r->values = ws_arena_alloc(&r->file->memory, n + 1, sizeof *r->values);
    r->by_name = ws_arena_alloc(&r->file->memory, n + 1, sizeof *r->by_name);
    r->is_needed = ws_arena_alloc(&r->file->memory, g->n_node + 1, sizeof *r->is_needed);
    r->is_merged = ws_arena_alloc(&r->file->memory, g->n_node + 1, sizeof *r->is_merged);
    if (!r->values || !r->by_name || !r->is_needed || !r->is_merged)
        return ws_fail(err, WS_E_MEMORY, "%s: no memory for %zu values", file, n);
    for (size_t i = 0; i < g->n_initializer; i++)
        if (g->initializer[i]->name && *g->initializer[i]->name)
            add_value(r, g->initializer[i]->name, WS_ONNX_TENSOR)->tensor = g->initializer[i];
    sort_values(r);
    *input = NULL;
    for (size_t i = 0; i < g->n_input; i++) {
        const char *name = g->input[i]->name;
        if (!name || !*name)
            return ws_fail(err, WS_E_FORMAT, "%s: input %zu of the graph has no name", file, i);
        if (ws_onnx_value_find(r, name))
            continue;
        if (*input)
            return ws_fail(err, WS_E_UNSUPPORTED, "%s: two inputs, \"%s\" and \"%s\"; expected one, the image", file,
                           ws_onnx_printable(&r->file->memory, (*input)->name),
                           ws_onnx_printable(&r->file->memory, name));
        *input = g->input[i];
    }
    if (!*input)
        return ws_fail(err, WS_E_UNSUPPORTED, "%s: no input; expected one, the image", file);
    add_value(r, (*input)->name, WS_ONNX_DATA);
    for (size_t i = 0; i < g->n_node; i++)
        for (size_t k = 0; k < g->node[i]->n_output; k++)
            if (*g->node[i]->output[k])
                add_value(r, g->node[i]->output[k], WS_ONNX_UNSET)->made_by = (int)i;
    sort_values(r);
    for (size_t i = 1; i < r->n_sorted; i++)
        if (compare_names(&r->by_name[i - 1], &r->by_name[i]) == 0)
            return ws_fail(err, WS_E_FORMAT, "%s: value \"%s\" is written twice", file,
                           ws_onnx_printable(&r->file->memory, r->by_name[i]->name));
    return WS_OK;
}

/* --- what the output needs --- */

enum { MAX_SUBGRAPHS = 8 };

/** Count the uses of outer values inside a node's subgraphs. Their own names hide nothing that we accept. */
static void use_captured(struct ws_onnx_reader *r, const Onnx__NodeProto *node, int index, int depth)
{
    for (size_t a = 0; a < node->n_attribute && depth < MAX_SUBGRAPHS; a++) {
        const Onnx__GraphProto *g = node->attribute[a]->g;
        for (size_t i = 0; g && i < g->n_node; i++) {
            for (size_t k = 0; k < g->node[i]->n_input; k++) {
                struct ws_onnx_value *v = ws_onnx_value_find(r, g->node[i]->input[k]);
                if (v && v->made_by < index) {
                    v->n_uses++;
                    v->used_by = index;
                }
            }
            use_captured(r, g->node[i], index, depth + 1);
        }
    }
}

static enum ws_status use_inputs(struct ws_onnx_reader *r, int index, struct ws_err *err)
{
    const Onnx__NodeProto *node = r->graph->node[index];
    const char *shown = ws_onnx_printable(&r->file->memory, node->name);
    for (size_t k = 0; k < node->n_input; k++) {
        if (!*node->input[k])
            continue;
        struct ws_onnx_value *v = ws_onnx_value_find(r, node->input[k]);
        if (!v)
            return ws_fail(err, WS_E_FORMAT, "%s: node \"%s\" (number %d): input \"%s\" is defined nowhere",
                           r->file->name, shown, index, ws_onnx_printable(&r->file->memory, node->input[k]));
        if (v->made_by >= index)
            return ws_fail(err, WS_E_FORMAT,
                           "%s: node \"%s\" (number %d): input \"%s\" is computed by a later node or by itself (number "
                           "%d): the nodes are not in topological order, or form a cycle",
                           r->file->name, shown, index, ws_onnx_printable(&r->file->memory, node->input[k]),
                           v->made_by);
        v->n_uses++;
        v->used_by = index;
    }
    use_captured(r, node, index, 0);
    return WS_OK;
}

static enum ws_status mark_needed(struct ws_onnx_reader *r, struct ws_onnx_value *output, struct ws_err *err)
{
    output->n_uses++;
    for (int i = (int)r->graph->n_node - 1; i >= 0; i--) {
        const Onnx__NodeProto *node = r->graph->node[i];
        for (size_t k = 0; k < node->n_output; k++)
            if (*node->output[k] && ws_onnx_value_find(r, node->output[k])->n_uses > 0)
                r->is_needed[i] = true;
        enum ws_status status = r->is_needed[i] ? use_inputs(r, i, err) : WS_OK;
        if (status != WS_OK)
            return status;
    }
    return WS_OK;
}

/* --- what is in our way --- */

enum { MAX_TROUBLES = 64, MAX_LISTED = 1500 };

/** Nodes refused for one reason. */
struct troubles {
    struct {
        const char *reason;
        const char *nodes; /**< "\"a\", \"b\"", or NULL when the reason names its node */
    } list[MAX_TROUBLES];
    int n, n_nodes;
};

static bool is_standard(const char *domain)
{
    return !domain || !*domain || strcmp(domain, "ai.onnx") == 0;
}

static void add_trouble(struct troubles *t, struct ws_onnx_reader *r, const char *reason, const char *node)
{
    struct ws_arena *memory = &r->file->memory;
    int i = 0;
    t->n_nodes++;
    while (i < t->n && strcmp(t->list[i].reason, reason) != 0)
        i++;
    if (i == MAX_TROUBLES)
        return;
    if (i == t->n) {
        t->list[t->n++].reason = reason;
        t->list[i].nodes = node ? ws_arena_printf(memory, "\"%s\"", node) : NULL;
    } else if (node && t->list[i].nodes && strlen(t->list[i].nodes) < MAX_LISTED) {
        t->list[i].nodes = ws_arena_printf(memory, "%s, \"%s\"", t->list[i].nodes, node);
    }
}

static void add_unknown(struct troubles *t, struct ws_onnx_reader *r, const Onnx__NodeProto *node)
{
    struct ws_arena *memory = &r->file->memory;
    int64_t opset = r->opset;
    for (size_t i = 0; i < r->file->model->n_opset_import && !is_standard(node->domain); i++) {
        const Onnx__OperatorSetIdProto *import = r->file->model->opset_import[i];
        if (import->domain && strcmp(import->domain, node->domain) == 0)
            opset = import->version;
    }
    const char *reason =
        ws_arena_printf(memory, "%s (domain \"%s\", opset %" PRId64 ")", ws_onnx_printable(memory, node->op_type),
                        is_standard(node->domain) ? "ai.onnx" : ws_onnx_printable(memory, node->domain), opset);
    const char *name = node->name && *node->name ? ws_onnx_printable(memory, node->name)
                                                 : ws_arena_printf(memory, "number %d", r->index);
    if (reason && name)
        add_trouble(t, r, reason, name);
}

static enum ws_status report(const struct troubles *t, struct ws_onnx_reader *r, struct ws_err *err)
{
    char text[MAX_LISTED + 64] = "";
    size_t used = 0;
    for (int i = 0; i < t->n && used < MAX_LISTED; i++) {
        const char *separator = i ? "; " : "", *nodes = t->list[i].nodes;
        const int n = snprintf(text + used, MAX_LISTED - used, nodes ? "%s%s: %s" : "%s%s", separator,
                               t->list[i].reason, nodes ? nodes : "");
        used += n > 0 ? (size_t)n : 0;
    }
    if (used >= MAX_LISTED)
        snprintf(text + MAX_LISTED - 1, 8, " …");
    const enum ws_status status = ws_fail(err, WS_E_UNSUPPORTED, "%s: %d node%s we cannot take: %s", r->file->name,
                                          t->n_nodes, t->n_nodes == 1 ? "" : "s", text);
    ws_err_hint(err, "ops that are read: %s", ws_onnx_type_list(&r->file->memory));
    return status;
}

/* --- nodes --- */

/** Whether all inputs are known, and whether one is poisoned. */
static void judge_inputs(struct ws_onnx_reader *r, bool *is_known, bool *is_poisoned)
{
    *is_known = true;
    *is_poisoned = false;
    for (size_t i = 0; i < r->proto->n_input; i++) {
        const struct ws_onnx_value *v = ws_onnx_input(r, i);
        if (!v)
            continue;
        *is_known = *is_known && (v->kind == WS_ONNX_CONSTANT || v->kind == WS_ONNX_SEQUENCE);
        *is_poisoned = *is_poisoned || v->kind == WS_ONNX_POISONED;
    }
}

/** An attribute that nobody asked for may change what the node means. */
static void check_attributes(struct ws_onnx_reader *r)
{
    for (size_t i = 0; i < r->proto->n_attribute; i++)
        if (i >= 64 || !(r->seen >> i & 1))
            ws_onnx_refuse(r, WS_E_UNSUPPORTED, "attribute \"%s\" is unknown",
                           ws_onnx_printable(&r->file->memory, r->proto->attribute[i]->name));
}

/** Outputs that the op's reader did not set: wrong only when somebody wants them. */
static void poison_outputs(struct ws_onnx_reader *r, bool all)
{
    for (size_t i = 0; i < r->proto->n_output; i++) {
        struct ws_onnx_value *v = *r->proto->output[i] ? ws_onnx_value_find(r, r->proto->output[i]) : NULL;
        if (!v || (!all && v->kind != WS_ONNX_UNSET))
            continue;
        if (!all && v->n_uses > 0)
            ws_onnx_refuse(r, WS_E_UNSUPPORTED, "output %zu, \"%s\", is used; only the first is computed", i,
                           ws_onnx_printable(&r->file->memory, v->name));
        v->kind = WS_ONNX_POISONED;
    }
}

static enum ws_status read_node(struct ws_onnx_reader *r, int index, struct troubles *troubles, struct ws_err *err)
{
    r->proto = r->graph->node[index];
    r->index = index;
    r->seen = 0;
    r->status = WS_OK;
    r->err = (struct ws_err){0};
    const char *type = r->proto->op_type ? r->proto->op_type : "";
    r->type = is_standard(r->proto->domain) ? ws_onnx_type_find(type, r->opset, &r->op) : NULL;
    bool is_known = false, is_poisoned = false;
    if (!r->type) {
        add_unknown(troubles, r, r->proto);
        poison_outputs(r, true);
        return WS_OK;
    }
    judge_inputs(r, &is_known, &is_poisoned);
    if (r->status == WS_OK && is_poisoned) {
        poison_outputs(r, true);
        return WS_OK;
    }
    if (r->status == WS_OK && is_known && r->type->fold)
        r->type->fold(r);
    else if (r->status == WS_OK && r->type->read)
        r->type->read(r);
    else
        ws_onnx_refuse(r, WS_E_UNSUPPORTED, "depends on the image; it is read on constants alone");
    if (r->status == WS_OK && r->net->err.status != WS_OK)
        ws_onnx_refuse(r, r->net->err.status == WS_E_CONFIG ? WS_E_FORMAT : r->net->err.status, "%s", r->net->err.text);
    if (r->status == WS_OK)
        check_attributes(r);
    if (r->status == WS_OK)
        poison_outputs(r, false);
    if (r->status == WS_E_UNSUPPORTED && r->net->err.status == WS_OK) {
        const char *reason = ws_arena_strdup(&r->file->memory, r->err.text);
        add_trouble(troubles, r, reason ? reason : "", NULL);
        poison_outputs(r, true);
        return WS_OK;
    }
    return r->status == WS_OK ? WS_OK : ws_fail(err, r->status, "%s: %s", r->file->name, r->err.text);
}

static enum ws_status read_nodes(struct ws_onnx_reader *r, struct ws_err *err)
{
    struct troubles troubles = {.n = 0};
    int n = 0;
    for (size_t i = 0; i < r->graph->n_node; i++)
        n += r->is_needed[i];
    if (n > WS_ONNX_MAX_NODES)
        return ws_fail(err, WS_E_UNSUPPORTED, "%s: %d nodes; expected at most %d", r->file->name, n, WS_ONNX_MAX_NODES);
    for (size_t i = 0; i < r->graph->n_node; i++) {
        enum ws_status status = r->is_needed[i] && !r->is_merged[i] ? read_node(r, (int)i, &troubles, err) : WS_OK;
        if (status != WS_OK)
            return status;
    }
    return troubles.n_nodes > 0 ? report(&troubles, r, err) : WS_OK;
}

/* --- input and output --- */

static enum ws_status read_input(struct ws_onnx_reader *r, const Onnx__ValueInfoProto *info, struct ws_err *err)
{
    const char *file = r->file->name, *name = ws_onnx_printable(&r->file->memory, info->name);
    const Onnx__TypeProto *type = info->type;
    if (!type || type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE || !type->tensor_type->shape)
        return ws_fail(err, WS_E_UNSUPPORTED, "%s: input \"%s\": expected a tensor whose shape is given", file, name);
    const int elements = type->tensor_type->elem_type;
    if (elements != ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT && elements != ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16)
        return ws_fail(err, WS_E_UNSUPPORTED, "%s: input \"%s\": element type %d; expected float", file, name,
                       elements);
    const Onnx__TensorShapeProto *shape = type->tensor_type->shape;
    const int rank = (int)shape->n_dim - 1;
    if (shape->n_dim < 1 || shape->n_dim > WS_N_SIDES + 1)
        return ws_fail(err, WS_E_UNSUPPORTED, "%s: input \"%s\": %zu axes; expected [N, C, H, W]", file, name,
                       shape->n_dim);
    struct ws_onnx_value *v = ws_onnx_value_find(r, info->name);
    for (int i = 0; i <= rank; i++) {
        const bool is_fixed = shape->dim[i]->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        const int64_t side = is_fixed ? shape->dim[i]->dim_value : 0;
        if (i == 0) {
            r->batch = side > 0 ? side : 0;
            continue;
        }
        if (side < 1 || side > INT_MAX)
            return ws_fail(err, WS_E_UNSUPPORTED,
                           "%s: input \"%s\": axis %d has no fixed side; export with a fixed channel count, height and "
                           "width (only the batch may vary)",
                           file, name, i);
        v->dims[i - 1] = side;
    }
    v->rank = rank;
    if (ws_onnx_value_count(v) < 1)
        return ws_fail(err, WS_E_UNSUPPORTED, "%s: input \"%s\": more than 2^28 values an image", file, name);
    r->net = ws_net_new(rank > 1 ? (int)v->dims[1] : 1, rank > 2 ? (int)v->dims[2] : 1, rank > 0 ? (int)v->dims[0] : 1);
    if (!r->net)
        return ws_fail(err, WS_E_MEMORY, "%s: no memory for a network", file);
    if (r->net->err.status != WS_OK)
        return ws_fail(err, WS_E_UNSUPPORTED, "%s: input \"%s\": %s", file, name, r->net->err.text);
    return WS_OK;
}

/** The output as logits, [N, classes] or [N, classes, 1, 1]. */
static enum ws_status read_logits(struct ws_onnx_reader *r, struct ws_onnx_value *v, bool is_classifier,
                                  struct ws_err *err)
{
    const char *file = r->file->name, *name = ws_onnx_printable(&r->file->memory, v->name);
    if (v->kind != WS_ONNX_DATA || v->has_no_batch)
        return ws_fail(err, WS_E_UNSUPPORTED, "%s: output \"%s\" %s; expected logits [N, classes]", file, name,
                       v->kind == WS_ONNX_DATA ? "has no batch axis" : "does not depend on the image");
    if (!is_classifier)
        return WS_OK;
    if (v->rank < 1 || ws_onnx_value_count(v) != v->dims[0])
        return ws_fail(err, WS_E_UNSUPPORTED,
                       "%s: output \"%s\" has %d axes and %" PRId64 " values an image; expected logits [N, classes]",
                       file, name, v->rank + 1, ws_onnx_value_count(v));
    r->status = WS_OK;
    (void)ws_onnx_value_as_dims(r, v, 1, 1, v->dims[0]);
    if (r->status != WS_OK || r->net->err.status != WS_OK)
        return ws_fail(err, WS_E_FORMAT, "%s: output \"%s\": %s", file, name,
                       r->status != WS_OK ? r->err.text : r->net->err.text);
    if (v->node == 0)
        return ws_fail(err, WS_E_UNSUPPORTED, "%s: output \"%s\" is the input: there is no layer", file, name);
    return WS_OK;
}

/* --- the file --- */

static enum ws_status check_opset(struct ws_onnx_reader *r, struct ws_err *err)
{
    const Onnx__ModelProto *model = r->file->model;
    int64_t opset = 0;
    for (size_t i = 0; i < model->n_opset_import; i++)
        if (is_standard(model->opset_import[i]->domain))
            opset = model->opset_import[i]->version;
    if (opset < WS_ONNX_OPSET_MIN || opset > WS_ONNX_OPSET_MAX)
        return ws_fail(err, WS_E_UNSUPPORTED,
                       "%s: opset %" PRId64 "; expected %d to %d (export with another opset_version)", r->file->name,
                       opset, WS_ONNX_OPSET_MIN, WS_ONNX_OPSET_MAX);
    r->opset = (int)opset;
    if (r->graph->n_sparse_initializer > 0)
        return ws_fail(err, WS_E_UNSUPPORTED, "%s: has sparse initializers; expected dense ones", r->file->name);
    if (r->graph->n_output != 1 || !r->graph->output[0]->name)
        return ws_fail(err, WS_E_UNSUPPORTED, "%s: %zu outputs; expected one, the logits", r->file->name,
                       r->graph->n_output);
    return WS_OK;
}

static enum ws_status read_graph(struct ws_onnx_reader *r, struct ws_onnx_info *info, bool is_classifier,
                                 struct ws_err *err)
{
    const Onnx__ValueInfoProto *input = NULL;
    r->graph = r->file->model->graph;
    enum ws_status status = check_opset(r, err);
    if (status == WS_OK)
        status = collect_values(r, &input, err);
    if (status != WS_OK)
        return status;
    const char *output_name = r->graph->output[0]->name;
    struct ws_onnx_value *output = ws_onnx_value_find(r, output_name);
    if (!output)
        return ws_fail(err, WS_E_FORMAT, "%s: output \"%s\" is computed nowhere", r->file->name,
                       ws_onnx_printable(&r->file->memory, output_name));
    status = mark_needed(r, output, err);
    if (status == WS_OK)
        status = read_input(r, input, err);
    if (status == WS_OK)
        status = read_nodes(r, err);
    if (status == WS_OK)
        status = read_logits(r, output, is_classifier, err);
    if (status == WS_OK)
        status = ws_net_alloc(r->net, err);
    if (status != WS_OK)
        return status;
    for (const struct ws_onnx_pending *p = r->pending; p; p = p->next)
        ws_net_set(r->net, p->param, p->values, p->n);
    info->logits = output->node;
    return ws_onnx_info_fill(info, r, input->name, output_name, err);
}

enum ws_status ws_onnx_network_read(struct ws_net **out, struct ws_onnx_info *info, const void *bytes, size_t len,
                                    const char *folder, const char *name, bool is_classifier, struct ws_err *err)
{
    struct ws_onnx_file file = {.name = name, .folder = folder};
    struct ws_onnx_reader r = {.file = &file};
    *out = NULL;
    *info = (struct ws_onnx_info){0};
    enum ws_status status = ws_onnx_file_parse(&file, bytes, len, err);
    if (status == WS_OK)
        status = read_graph(&r, info, is_classifier, err);
    if (status == WS_OK) {
        *out = r.net;
        r.net = NULL;
    } else {
        ws_onnx_info_fini(info);
    }
    ws_net_free(&r.net);
    ws_arena_fini(&file.memory);
    return status;
}

enum ws_status ws_onnx_read_bytes(struct ws_net **out, struct ws_onnx_info *info, const void *bytes, size_t len,
                                  const char *folder, const char *name, struct ws_err *err)
{
    return ws_onnx_network_read(out, info, bytes, len, folder, name, true, err);
}

enum ws_status ws_onnx_read(struct ws_net **out, struct ws_onnx_info *info, const char *path, struct ws_err *err)
{
    struct ws_file_map map = {0};
    *out = NULL;
    *info = (struct ws_onnx_info){0};
    enum ws_status status = ws_file_map_open(&map, path, err);
    if (status != WS_OK)
        return status;
    char folder[PATH_MAX] = ".";
    const char *slash = strrchr(path, '/');
    const size_t n = slash ? (size_t)(slash - path) : 0;
    if (slash && n < sizeof folder) {
        memcpy(folder, path, n);
        folder[n] = 0;
        if (n == 0)
            memcpy(folder, "/", 2);
    }
    status = ws_onnx_read_bytes(out, info, map.bytes.ptr, map.bytes.len, folder, path, err);
    ws_file_map_close(&map);
    return status;
}
