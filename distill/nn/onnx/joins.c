/*
 * The ops that join or cut along axes: Concat, Slice, Split, Gather. Along one axis of a value with more than four they
 * are run on a view [before, along, after] of its elements.
 */
#include "message.h"
#include "reader.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>

/** A node on which the image axis is a side of its own, which goes to *side. */
static int view_axis(struct ws_onnx_reader *r, struct ws_onnx_value *x, int axis, enum ws_side *side)
{
    *side = ws_onnx_side_of(axis);
    if (x->rank <= WS_N_SIDES)
        return ws_onnx_value_as_map(r, x);
    *side = WS_HEIGHT;
    return ws_onnx_value_as_dims(r, x, x->dims[axis],
                                 ws_onnx_count(x->rank - axis - 1, x->dims + axis + 1, WS_ONNX_MAX_VALUE),
                                 ws_onnx_count(axis, x->dims, WS_ONNX_MAX_VALUE));
}

/** A Concat's constant, the same for the one image of a file with N = 1. */
static int constant_part(struct ws_onnx_reader *r, size_t i, const struct ws_onnx_value *like, int axis, int64_t *along)
{
    const struct ws_onnx_constant *c = ws_onnx_input_floats(r, i, false);
    if (!c)
        return 0;
    bool fits = r->batch == 1 && c->rank == like->rank + 1 && c->dims[0] == 1 && c->n > 0 && like->rank <= WS_N_SIDES;
    for (int k = 0; fits && k < like->rank; k++)
        fits = k == axis || c->dims[k + 1] == like->dims[k];
    if (!fits) {
        ws_onnx_refuse(r, WS_E_UNSUPPORTED, "input %zu is a constant along the batch axis, or does not fit", i);
        return 0;
    }
    *along = c->dims[axis + 1];
    const int64_t *d = c->dims;
    return ws_onnx_constant_add(r, r->proto->input[i], c->rank > 2 ? (int)d[2] : 1, c->rank > 3 ? (int)d[3] : 1,
                                c->rank > 1 ? (int)d[1] : 1, c->floats);
}

static void read_concat(struct ws_onnx_reader *r)
{
    const size_t n = r->proto->n_input;
    const int64_t wanted = ws_onnx_attr_int(r, "axis", 0);
    const struct ws_onnx_value *like = NULL;
    int64_t dims[WS_ONNX_MAX_RANK];
    int nodes[WS_NODE_MAX_INPUTS];
    enum ws_side side = WS_CHANNELS;
    if (n < 1 || n > WS_NODE_MAX_INPUTS)
        ws_onnx_refuse(r, WS_E_UNSUPPORTED, "joins %zu values; expected 1 to %d", n, WS_NODE_MAX_INPUTS);
    for (size_t i = 0; i < n && r->status == WS_OK && !like; i++)
        if (ws_onnx_input(r, i) && ws_onnx_input(r, i)->kind == WS_ONNX_DATA)
            like = ws_onnx_input_data(r, i);
    const int axis = like ? ws_onnx_image_axis(r, like, wanted) : -1;
    if (r->status != WS_OK || !like)
        return;
    memcpy(dims, like->dims, sizeof dims);
    dims[axis] = 0;
    for (size_t i = 0; i < n && r->status == WS_OK; i++) {
        struct ws_onnx_value *x = ws_onnx_input(r, i);
        int64_t along = 0;
        if (x && x->kind == WS_ONNX_CONSTANT) {
            nodes[i] = constant_part(r, i, like, axis, &along);
        } else if ((x = ws_onnx_input_data(r, i))) {
            along = x->rank > axis ? x->dims[axis] : 0;
            for (int k = 0; k < like->rank; k++)
                if (x->rank != like->rank || (k != axis && x->dims[k] != like->dims[k])) {
                    ws_onnx_refuse(r, WS_E_FORMAT, "input %zu has other sides than the first, beyond the joined one",
                                   i);
                    return;
                }
            nodes[i] = view_axis(r, x, axis, &side);
        }
        dims[axis] += along;
    }
    side = like->rank <= WS_N_SIDES ? ws_onnx_side_of(axis) : WS_HEIGHT;
    if (r->status != WS_OK || r->net->err.status != WS_OK)
        return;
    const int node = n == 1 ? nodes[0] : ws_net_concat(r->net, ws_onnx_name_after(r, NULL), nodes, (int)n, side);
    (void)ws_onnx_output_data(r, 0, node, like->rank, dims);
}

struct range {
    int64_t begin, size, step;
};

static bool is_whole(const struct range *range, int64_t side)
{
    return range->begin == 0 && range->size == side && range->step == 1;
}

/** Output i: these elements of each image axis of x. */
static void add_slice(struct ws_onnx_reader *r, size_t i, const char *name, struct ws_onnx_value *x,
                      const struct range *ranges)
{
    int begin[WS_N_SIDES] = {0}, step[WS_N_SIDES] = {1, 1, 1}, size[WS_N_SIDES], n_cut = 0, last = 0;
    int64_t dims[WS_ONNX_MAX_RANK];
    for (int k = 0; k < x->rank; k++) {
        dims[k] = ranges[k].size;
        if (!is_whole(&ranges[k], x->dims[k])) {
            n_cut++;
            last = k;
        }
    }
    if (n_cut > 1 && x->rank > WS_N_SIDES)
        ws_onnx_refuse(r, WS_E_UNSUPPORTED, "cuts %d axes of a value with %d; expected one, or at most 4 axes", n_cut,
                       x->rank + 1);
    if (r->status != WS_OK)
        return;
    if (n_cut == 0) {
        (void)ws_onnx_output_data(r, i, x->node, x->rank, dims);
        return;
    }
    enum ws_side side;
    const int map = view_axis(r, x, last, &side);
    if (r->status != WS_OK || r->net->err.status != WS_OK)
        return;
    const struct ws_node *node = &r->net->nodes[map];
    size[WS_HEIGHT] = node->height;
    size[WS_WIDTH] = node->width;
    size[WS_CHANNELS] = node->channels;
    for (int k = 0; k < x->rank; k++) {
        const enum ws_side at = x->rank <= WS_N_SIDES ? ws_onnx_side_of(k) : side;
        if (is_whole(&ranges[k], x->dims[k]))
            continue;
        begin[at] = (int)ranges[k].begin;
        step[at] = (int)ranges[k].step;
        size[at] = (int)ranges[k].size;
    }
    (void)ws_onnx_output_data(r, i, ws_net_slice(r->net, name, map, begin, size, step), x->rank, dims);
}

static void whole_ranges(const struct ws_onnx_value *x, struct range ranges[WS_ONNX_MAX_RANK])
{
    for (int k = 0; k < x->rank; k++)
        ranges[k] = (struct range){0, x->dims[k], 1};
}

static void read_split(struct ws_onnx_reader *r)
{
    struct ws_onnx_value *x = ws_onnx_input_data(r, 0);
    const int64_t wanted = ws_onnx_attr_int(r, "axis", 0), n_outputs = (int64_t)ws_onnx_n_outputs(r);
    size_t n = 0;
    const int64_t *sizes = NULL;
    const struct ws_onnx_constant *c = r->opset >= 13 ? ws_onnx_input_ints(r, 1, true) : NULL;
    if (c) {
        sizes = c->ints;
        n = (size_t)c->n;
    } else if (r->opset < 13) {
        sizes = ws_onnx_attr_ints(r, "split", &n);
    }
    if (r->opset >= 18 && ws_onnx_attr_int(r, "num_outputs", n_outputs) != n_outputs)
        ws_onnx_refuse(r, WS_E_FORMAT, "num_outputs is not the %" PRId64 " outputs that the node has", n_outputs);
    const int axis = x ? ws_onnx_image_axis(r, x, wanted) : -1;
    if (r->status != WS_OK)
        return;
    const int64_t side = x->dims[axis], even = (side + n_outputs - 1) / n_outputs;
    if ((sizes && (int64_t)n != n_outputs) || (!sizes && r->opset < 18 && side % n_outputs != 0)) {
        ws_onnx_refuse(r, WS_E_FORMAT, "a side of %" PRId64 " in %" PRId64 " parts", side, n_outputs);
        return;
    }
    struct range ranges[WS_ONNX_MAX_RANK];
    int64_t at = 0;
    for (int64_t i = 0; i < n_outputs && r->status == WS_OK; i++) {
        const int64_t left = side - at, size = sizes ? sizes[i] : even < left ? even : left;
        if (size < 1 || size > left || (i == n_outputs - 1 && size != left)) {
            ws_onnx_refuse(r, WS_E_UNSUPPORTED,
                           "part %" PRId64 " of %" PRId64 " from %" PRId64 " of a side of %" PRId64, i, size, at, side);
            return;
        }
        whole_ranges(x, ranges);
        ranges[axis] = (struct range){at, size, 1};
        at += size;
        char part[32];
        (void)snprintf(part, sizeof part, "part%d", (int)i);
        add_slice(r, (size_t)i, ws_onnx_name_helper(r, part), x, ranges);
    }
}

/** ONNX's clamping of start and end. */
static struct range clamp_range(int64_t start, int64_t end, int64_t step, int64_t side)
{
    const int64_t low = step > 0 ? 0 : -1, high = step > 0 ? side : side - 1;
    start += start < 0 ? side : 0;
    end += end < 0 ? side : 0;
    start = start < 0 ? 0 : start > high ? high : start;
    end = end < low ? low : end > high ? high : end;
    const int64_t span = step > 0 ? end - start : start - end, stride = step > 0 ? step : -step;
    return (struct range){start, span > 0 ? (span - 1) / stride + 1 : 0, step};
}

static void read_slice(struct ws_onnx_reader *r)
{
    struct ws_onnx_value *x = ws_onnx_input_data(r, 0);
    size_t n = 0, n_ends = 0, n_axes = 0;
    const int64_t *starts, *ends, *axes, *steps = NULL;
    if (r->opset < 10) {
        starts = ws_onnx_attr_ints(r, "starts", &n);
        ends = ws_onnx_attr_ints(r, "ends", &n_ends);
        axes = ws_onnx_attr_ints(r, "axes", &n_axes);
    } else {
        const struct ws_onnx_constant *c[4] = {ws_onnx_input_ints(r, 1, false), ws_onnx_input_ints(r, 2, false),
                                               ws_onnx_input_ints(r, 3, true), ws_onnx_input_ints(r, 4, true)};
        starts = c[0] ? c[0]->ints : NULL;
        ends = c[1] ? c[1]->ints : NULL;
        axes = c[2] ? c[2]->ints : NULL;
        steps = c[3] ? c[3]->ints : NULL;
        n = c[0] ? (size_t)c[0]->n : 0;
        n_ends = c[1] ? (size_t)c[1]->n : 0;
        n_axes = c[2] ? (size_t)c[2]->n : 0;
        if (c[3] && (size_t)c[3]->n != n)
            ws_onnx_refuse(r, WS_E_FORMAT, "%zu starts and %" PRId64 " steps", n, c[3]->n);
    }
    if (r->status != WS_OK)
        return;
    if (!starts || !ends || n != n_ends || (axes && n_axes != n) || n > (size_t)x->rank + 1) {
        ws_onnx_refuse(r, WS_E_FORMAT, "%zu starts, %zu ends, %zu axes", n, n_ends, n_axes);
        return;
    }
    struct range ranges[WS_ONNX_MAX_RANK];
    whole_ranges(x, ranges);
    for (size_t i = 0; i < n && r->status == WS_OK; i++) {
        const int64_t wanted = axes ? axes[i] : (int64_t)i, step = steps ? steps[i] : 1;
        if ((wanted == 0 || wanted == -(x->rank + 1)) && starts[i] == 0 && step == 1 &&
            (ends[i] >= INT_MAX || (r->batch > 0 && ends[i] >= r->batch) || ends[i] == WS_ONNX_BATCH))
            continue; /* all images */
        const int axis = ws_onnx_image_axis(r, x, wanted);
        if (r->status != WS_OK)
            return;
        if (step == 0 || step > INT_MAX || step < -INT_MAX || starts[i] == WS_ONNX_BATCH || ends[i] == WS_ONNX_BATCH) {
            ws_onnx_refuse(r, WS_E_FORMAT, "a step of %" PRId64 ", or a bound by the batch size", step);
            return;
        }
        ranges[axis] = clamp_range(starts[i], ends[i], step, x->dims[axis]);
        if (ranges[axis].size < 1)
            ws_onnx_refuse(r, WS_E_UNSUPPORTED, "nothing is left of axis %" PRId64, wanted);
    }
    if (r->status == WS_OK)
        add_slice(r, 0, ws_onnx_name_after(r, NULL), x, ranges);
}

/** Gather: one element of an axis; or all elements in their order, under a new shape (Loop's use of it). */
static void read_gather(struct ws_onnx_reader *r)
{
    struct ws_onnx_value *x = ws_onnx_input_any(r);
    const struct ws_onnx_constant *c = ws_onnx_input_constant(r, 1, false);
    const int64_t wanted = ws_onnx_attr_int(r, "axis", 0);
    if (r->status != WS_OK)
        return;
    if (!c->is_int || c->n < 1) {
        ws_onnx_refuse(r, WS_E_FORMAT, "expected integers as indices");
        return;
    }
    if (x->has_no_batch) {
        bool is_all = wanted == 0 && x->rank == 1 && c->n == x->dims[0];
        for (int64_t i = 0; is_all && i < c->n; i++)
            is_all = c->ints[i] == i;
        if (is_all)
            ws_onnx_output_axes(r, x, c->rank, c->dims);
        else
            ws_onnx_refuse(r, WS_E_UNSUPPORTED, "gathers from a value without a batch axis");
        return;
    }
    const int axis = ws_onnx_image_axis(r, x, wanted);
    if (r->status != WS_OK)
        return;
    const int64_t side = x->dims[axis], at = c->ints[0] < 0 ? c->ints[0] + side : c->ints[0];
    if (c->n != 1 || c->rank > 1 || at < 0 || at >= side) {
        ws_onnx_refuse(r, WS_E_UNSUPPORTED,
                       "gathers %" PRId64 " elements of a side of %" PRId64 "; expected one that is there", c->n, side);
        return;
    }
    struct range ranges[WS_ONNX_MAX_RANK];
    whole_ranges(x, ranges);
    ranges[axis] = (struct range){at, 1, 1};
    add_slice(r, 0, ws_onnx_name_after(r, NULL), x, ranges);
    struct ws_onnx_value *out = r->status == WS_OK ? ws_onnx_value_find(r, r->proto->output[0]) : NULL;
    if (!out || c->rank == 1 || out->kind != WS_ONNX_DATA)
        return;
    for (int k = axis; k + 1 < out->rank; k++)
        out->dims[k] = out->dims[k + 1];
    out->rank--;
}

/* --- writing --- */

static void write_concat(struct ws_onnx_writer *w, int id)
{
    const struct ws_node *node = &w->net->nodes[id];
    bool is_flat = node->along.axis == WS_CHANNELS;
    for (int i = 0; i < node->n_inputs; i++) {
        is_flat = is_flat && w->is_flat[node->inputs[i]];
        if (w->net->nodes[node->inputs[i]].op == WS_OP_CONSTANT) {
            w->status =
                ws_fail(w->err, WS_E_UNSUPPORTED,
                        "node \"%s\": joins the constant \"%s\" to images: ONNX's Concat wants it once per image, and "
                        "the batch is open",
                        node->name, w->net->nodes[node->inputs[i]].name);
            return;
        }
    }
    char *operands[WS_NODE_MAX_INPUTS];
    for (int i = 0; i < node->n_inputs; i++)
        operands[i] = is_flat ? w->values[node->inputs[i]] : ws_onnx_writer_map_value(w, node->inputs[i]);
    Onnx__NodeProto *to = ws_onnx_writer_node(w, "Concat", node->name, (size_t)node->n_inputs, w->values[id]);
    for (int i = 0; i < node->n_inputs; i++)
        ws_onnx_writer_input(to, operands[i]);
    ws_onnx_writer_int(w, to, "axis", ws_onnx_axes[node->along.axis]);
    w->is_flat[id] = is_flat;
}

static void write_slice(struct ws_onnx_writer *w, int id)
{
    const struct ws_node *node = &w->net->nodes[id];
    const int sides[WS_N_SIDES] = {node->height, node->width, node->channels};
    int64_t starts[WS_N_SIDES], ends[WS_N_SIDES], axes[WS_N_SIDES], steps[WS_N_SIDES];
    for (int i = 0; i < WS_N_SIDES; i++) {
        starts[i] = node->slice.begin[i];
        steps[i] = node->slice.step[i];
        ends[i] = starts[i] + (sides[i] - 1) * steps[i] + (steps[i] > 0 ? 1 : -1);
        if (ends[i] < 0)
            ends[i] = INT_MIN; /* -1 would mean the last */
        axes[i] = ws_onnx_axes[i];
    }
    Onnx__NodeProto *to = ws_onnx_writer_map(w, id, "Slice", 5);
    ws_onnx_writer_ints_input(w, to, node->name, ".out.starts", WS_N_SIDES, starts);
    ws_onnx_writer_ints_input(w, to, node->name, ".out.ends", WS_N_SIDES, ends);
    ws_onnx_writer_ints_input(w, to, node->name, ".out.axes", WS_N_SIDES, axes);
    ws_onnx_writer_ints_input(w, to, node->name, ".out.steps", WS_N_SIDES, steps);
}

/* --- the rows --- */

const struct ws_onnx_row ws_onnx_row_concat = {
    .reads = (const struct ws_onnx_type[]){{"Concat", 7, 20, read_concat, ws_onnx_fold_concat}, {.name = NULL}},
    .write = write_concat};

const struct ws_onnx_row ws_onnx_row_slice = {
    .reads = (const struct ws_onnx_type[]){{"Slice", 7, 20, read_slice, ws_onnx_fold_slice},
                                           {"Split", 7, 20, read_split, NULL},
                                           {"Gather", 7, 20, read_gather, ws_onnx_fold_gather},
                                           {.name = NULL}},
    .write = write_slice};
