/*
 * Reading the ops that only move or select elements of axes: shapes, permutations, joins and cuts.
 *
 * An op along one axis of a value with more than four is run on a view [before, along, after] of its elements.
 */
#include "reader.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>

/* --- shapes --- */

/** The value's axes with the batch (WS_ONNX_BATCH) in front. */
static int get_axes(const struct ws_onnx_value *x, int64_t axes[WS_ONNX_MAX_RANK + 1])
{
    int n = 0;
    if (!x->has_no_batch)
        axes[n++] = WS_ONNX_BATCH;
    for (int i = 0; i < x->rank; i++)
        axes[n++] = x->dims[i];
    return n;
}

/** Output 0 holds x's elements under these axes; the batch must lead, or be 1 in the file. */
static void set_axes(struct ws_onnx_reader *r, const struct ws_onnx_value *x, int n, const int64_t *axes)
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

/** Data with or without a batch; NULL after a refusal. */
static struct ws_onnx_value *any_data(struct ws_onnx_reader *r)
{
    struct ws_onnx_value *x = ws_onnx_input(r, 0);
    if (x && x->kind == WS_ONNX_DATA)
        return x;
    return ws_onnx_input_data(r, 0); /* refuses */
}

void ws_onnx_read_flatten(struct ws_onnx_reader *r)
{
    const struct ws_onnx_value *x = any_data(r);
    int64_t axis = ws_onnx_attr_int(r, "axis", 1), axes[WS_ONNX_MAX_RANK + 1], two[2] = {1, 1};
    if (r->status != WS_OK)
        return;
    const int n = get_axes(x, axes);
    axis += axis < 0 ? n : 0;
    if (axis < 0 || axis > n) {
        ws_onnx_refuse(r, WS_E_FORMAT, "axis of a value with %d axes", n);
        return;
    }
    bool has_batch[2] = {false, false};
    for (int i = 0; i < n; i++) {
        const int side = i < axis ? 0 : 1;
        has_batch[side] = has_batch[side] || axes[i] == WS_ONNX_BATCH;
        two[side] *= axes[i] == WS_ONNX_BATCH ? 1 : axes[i];
    }
    if (has_batch[0] && two[0] == 1)
        two[0] = WS_ONNX_BATCH;
    else if ((has_batch[0] || has_batch[1]) && r->batch != 1)
        two[0] = -1; /* mixes images: refused below */
    set_axes(r, x, 2, two);
}

/** Replace 0 (copy) and -1 (the rest) of a Reshape's shape from index `first` on; false when it cannot hold `count`. */
static bool fill_shape(int64_t *shape, int first, int n, int64_t count)
{
    int64_t known = 1;
    int open = -1;
    for (int i = first; i < n; i++) {
        if (shape[i] == -1 && open < 0)
            open = i;
        else if (shape[i] < 1 || shape[i] > count / known)
            return false;
        else
            known *= shape[i];
    }
    if (open >= 0 && count % known == 0) {
        shape[open] = count / known;
        known = count;
    }
    return known == count;
}

void ws_onnx_read_reshape(struct ws_onnx_reader *r)
{
    const struct ws_onnx_value *x = any_data(r);
    const struct ws_onnx_constant *wanted = ws_onnx_input_ints(r, 1, false);
    const bool allow_zero = r->opset >= 14 && ws_onnx_attr_int(r, "allowzero", 0) != 0;
    int64_t axes[WS_ONNX_MAX_RANK + 1], shape[WS_ONNX_MAX_RANK], whole[WS_ONNX_MAX_RANK];
    if (r->status != WS_OK)
        return;
    const int n_axes = get_axes(x, axes), n = (int)wanted->n;
    if (wanted->rank != 1 || wanted->n < 1 || wanted->n > WS_ONNX_MAX_RANK) {
        ws_onnx_refuse(r, WS_E_UNSUPPORTED, "a shape of %" PRId64 " numbers; expected 1 to %d", wanted->n,
                       WS_ONNX_MAX_RANK);
        return;
    }
    for (int i = 0; i < n; i++) {
        shape[i] = wanted->ints[i];
        if (shape[i] == 0 && !allow_zero && i < n_axes)
            shape[i] = axes[i];
    }
    memcpy(whole, shape, sizeof whole);
    const int64_t count = ws_onnx_value_count(x), lead = shape[0];
    const bool may_lead = lead == WS_ONNX_BATCH || lead == 1 || lead == -1 || (r->batch > 0 && lead == r->batch);
    if (may_lead && fill_shape(shape, 1, n, count)) {
        shape[0] = WS_ONNX_BATCH;
        struct ws_onnx_value *out = ws_onnx_output_data(r, 0, x->node, n - 1, shape + 1);
        if (out)
            out->has_no_batch = false;
        return;
    }
    for (int i = 0; i < n; i++)
        whole[i] = whole[i] == WS_ONNX_BATCH && r->batch == 1 ? 1 : whole[i];
    if (r->batch == 1 && fill_shape(whole, 0, n, count)) {
        set_axes(r, x, n, whole);
        return;
    }
    ws_onnx_refuse(r, WS_E_UNSUPPORTED,
                   "the new shape of %d axes does not keep the batch axis in front of an image's %" PRId64 " values", n,
                   count);
}

/** The axes attribute (old opsets) or input, normalised to 0 … rank - 1; false when none are given or after a refusal.
 */
static bool read_axes(struct ws_onnx_reader *r, bool is_input, size_t input, int rank,
                      bool is_set[2 * WS_ONNX_MAX_RANK + 1])
{
    size_t n = 0;
    const int64_t *axes = NULL;
    memset(is_set, 0, (2 * WS_ONNX_MAX_RANK + 1) * sizeof *is_set);
    if (is_input) {
        const struct ws_onnx_constant *c = ws_onnx_input_ints(r, input, true);
        axes = c ? c->ints : NULL;
        n = c ? (size_t)c->n : 0;
    } else {
        axes = ws_onnx_attr_ints(r, "axes", &n);
    }
    for (size_t i = 0; i < n && r->status == WS_OK; i++) {
        const int64_t axis = axes[i] < 0 && axes[i] >= -rank ? axes[i] + rank : axes[i];
        if (axis < 0 || axis >= rank || is_set[axis])
            ws_onnx_refuse(r, WS_E_FORMAT, "axis %" PRId64 " of %d axes, or named twice", axes[i], rank);
        else
            is_set[axis] = true;
    }
    return axes && n > 0 && r->status == WS_OK;
}

void ws_onnx_read_squeeze(struct ws_onnx_reader *r)
{
    const struct ws_onnx_value *x = any_data(r);
    const bool is_input = r->opset >= 13, grows = strcmp(r->type->name, "Unsqueeze") == 0;
    int64_t axes[WS_ONNX_MAX_RANK + 1], out[2 * WS_ONNX_MAX_RANK + 2];
    bool is_set[2 * WS_ONNX_MAX_RANK + 1];
    if (!x)
        return;
    int n = get_axes(x, axes), n_out = 0, n_new = 0;
    if (grows) {
        size_t count = 0;
        const struct ws_onnx_constant *c = is_input ? ws_onnx_input_ints(r, 1, false) : NULL;
        if (!is_input)
            (void)ws_onnx_attr_ints(r, "axes", &count);
        count = c ? (size_t)c->n : count;
        n_new = count <= WS_ONNX_MAX_RANK ? (int)count : 0;
    }
    const bool is_given = read_axes(r, is_input, 1, n + n_new, is_set);
    if (r->status != WS_OK)
        return;
    if (grows && (!is_given || n + n_new > WS_ONNX_MAX_RANK)) {
        ws_onnx_refuse(r, WS_E_UNSUPPORTED, "expected 1 to %d axes in the result", WS_ONNX_MAX_RANK);
        return;
    }
    for (int i = 0, from = 0; i < n + n_new; i++) {
        const bool is_one = !grows && (axes[i] == 1 || (axes[i] == WS_ONNX_BATCH && r->batch == 1));
        if (grows)
            out[n_out++] = is_set[i] ? 1 : axes[from++];
        else if (is_given ? is_set[i] && !is_one : false)
            ws_onnx_refuse(r, axes[i] == WS_ONNX_BATCH ? WS_E_UNSUPPORTED : WS_E_FORMAT, "removes axis %d, %s", i,
                           axes[i] == WS_ONNX_BATCH ? "the batch" : "whose side is not 1");
        else if (is_given ? !is_set[i] : !is_one)
            out[n_out++] = axes[i];
    }
    if (r->status == WS_OK)
        set_axes(r, x, n_out, out);
}

void ws_onnx_read_shape(struct ws_onnx_reader *r)
{
    const struct ws_onnx_value *x = any_data(r);
    int64_t axes[WS_ONNX_MAX_RANK + 1];
    if (!x)
        return;
    const int n = get_axes(x, axes);
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

/* --- permutations --- */

/** Axes of side 1 do not move anything, and axes that stay together move as one: n sides and their permutation. */
struct moves {
    int n;
    int64_t sides[WS_ONNX_MAX_RANK];
    int perm[WS_ONNX_MAX_RANK];
};

static struct moves simplify(int rank, const int64_t *dims, const int *perm)
{
    struct moves m = {.n = 0};
    int order[WS_ONNX_MAX_RANK], n = 0, group[WS_ONNX_MAX_RANK] = {0}, first[WS_ONNX_MAX_RANK], place[WS_ONNX_MAX_RANK];
    for (int i = 0; i < rank; i++)
        if (dims[perm[i]] != 1)
            order[n++] = perm[i];
    int n_groups = 0;
    for (int i = 0; i < n; i++) {
        bool joins = i > 0 && order[i] > order[i - 1];
        for (int k = i > 0 ? order[i - 1] + 1 : 0; joins && k < order[i]; k++)
            joins = dims[k] == 1;
        if (!joins)
            first[n_groups++] = order[i];
        group[order[i]] = n_groups - 1;
    }
    /* Groups in the input's order. */
    for (int i = 0; i < n_groups; i++) {
        place[i] = 0;
        for (int k = 0; k < n_groups; k++)
            place[i] += first[k] < first[i];
        m.perm[i] = place[i];
        m.sides[i] = 1;
    }
    for (int i = 0; i < n; i++)
        m.sides[place[group[order[i]]]] *= dims[order[i]];
    m.n = n_groups;
    return m;
}

static int add_transpose(struct ws_onnx_reader *r, struct ws_onnx_value *x, const struct moves *m)
{
    const struct ws_node *node = &r->net->nodes[x->node];
    const bool swaps = m->n == 3 && m->perm[0] == 1 && m->perm[1] == 0;
    if (swaps && node->channels == m->sides[0] * m->sides[1])
        return ws_net_channel_shuffle(r->net, ws_onnx_name_after(r, NULL), x->node, (int)m->sides[0]);
    const int map =
        ws_onnx_value_as_dims(r, x, m->n > 1 ? m->sides[1] : 1, m->n > 2 ? m->sides[2] : 1, m->n > 0 ? m->sides[0] : 1);
    int perm[WS_N_SIDES];
    for (int i = 0; i < WS_N_SIDES; i++)
        perm[ws_onnx_dim_of(i)] = (int)ws_onnx_dim_of(i < m->n ? m->perm[i] : i);
    return r->status == WS_OK ? ws_net_transpose(r->net, ws_onnx_name_after(r, NULL), map, perm) : 0;
}

void ws_onnx_read_transpose(struct ws_onnx_reader *r)
{
    struct ws_onnx_value *x = ws_onnx_input_data(r, 0);
    size_t n;
    const int64_t *wanted = ws_onnx_attr_ints(r, "perm", &n);
    if (r->status != WS_OK)
        return;
    int perm[WS_ONNX_MAX_RANK], seen = 0;
    int64_t dims[WS_ONNX_MAX_RANK];
    if (wanted && n != (size_t)x->rank + 1) {
        ws_onnx_refuse(r, WS_E_FORMAT, "perm has %zu numbers for %d axes", n, x->rank + 1);
        return;
    }
    for (int i = 0; i <= x->rank; i++) {
        const int64_t from = wanted ? wanted[i] : x->rank - i;
        if (from < 0 || from > x->rank || seen & 1 << from) {
            ws_onnx_refuse(r, WS_E_FORMAT, "perm is no permutation of %d axes", x->rank + 1);
            return;
        }
        seen |= 1 << from;
        if ((i == 0) != (from == 0)) {
            ws_onnx_refuse(r, WS_E_UNSUPPORTED, "moves the batch axis; expected each image on its own");
            return;
        }
        if (i > 0) {
            perm[i - 1] = (int)from - 1;
            dims[i - 1] = x->dims[from - 1];
        }
    }
    const struct moves m = simplify(x->rank, x->dims, perm);
    if (m.n > WS_N_SIDES)
        ws_onnx_refuse(r, WS_E_UNSUPPORTED, "moves %d groups of axes; expected at most 3", m.n);
    if (r->status != WS_OK)
        return;
    const int node = m.n < 2 ? x->node : add_transpose(r, x, &m);
    (void)ws_onnx_output_data(r, 0, node, x->rank, dims);
}

/* --- joins and cuts --- */

/** A node on which the image axis is a side of its own, which goes to *side. */
static int view_axis(struct ws_onnx_reader *r, struct ws_onnx_value *x, int axis, enum ws_side *side)
{
    *side = ws_onnx_dim_of(axis);
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

void ws_onnx_read_concat(struct ws_onnx_reader *r)
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
    side = like->rank <= WS_N_SIDES ? ws_onnx_dim_of(axis) : WS_HEIGHT;
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
        const enum ws_side at = x->rank <= WS_N_SIDES ? ws_onnx_dim_of(k) : side;
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

void ws_onnx_read_split(struct ws_onnx_reader *r)
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

void ws_onnx_read_slice(struct ws_onnx_reader *r)
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
void ws_onnx_read_gather(struct ws_onnx_reader *r)
{
    struct ws_onnx_value *x = any_data(r);
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
            set_axes(r, x, c->rank, c->dims);
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
