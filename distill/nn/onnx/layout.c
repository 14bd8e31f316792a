/* The ops that give the elements other axes: Reshape and its kin, Transpose, ChannelShuffle. */
#include "message.h"
#include "reader.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>

/* --- shapes --- */

static void read_flatten(struct ws_onnx_reader *r)
{
    const struct ws_onnx_value *x = ws_onnx_input_any(r);
    int64_t axis = ws_onnx_attr_int(r, "axis", 1), axes[WS_ONNX_MAX_RANK + 1], two[2] = {1, 1};
    if (r->status != WS_OK)
        return;
    const int n = ws_onnx_value_axes(x, axes);
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
    ws_onnx_output_axes(r, x, 2, two);
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

static void read_reshape(struct ws_onnx_reader *r)
{
    const struct ws_onnx_value *x = ws_onnx_input_any(r);
    const struct ws_onnx_constant *wanted = ws_onnx_input_ints(r, 1, false);
    const bool allow_zero = r->opset >= 14 && ws_onnx_attr_int(r, "allowzero", 0) != 0;
    int64_t axes[WS_ONNX_MAX_RANK + 1], shape[WS_ONNX_MAX_RANK], whole[WS_ONNX_MAX_RANK];
    if (r->status != WS_OK)
        return;
    const int n_axes = ws_onnx_value_axes(x, axes), n = (int)wanted->n;
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
        ws_onnx_output_axes(r, x, n, whole);
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

static void read_squeeze(struct ws_onnx_reader *r)
{
    const struct ws_onnx_value *x = ws_onnx_input_any(r);
    const bool is_input = r->opset >= 13, grows = strcmp(r->type->name, "Unsqueeze") == 0;
    int64_t axes[WS_ONNX_MAX_RANK + 1], out[2 * WS_ONNX_MAX_RANK + 2];
    bool is_set[2 * WS_ONNX_MAX_RANK + 1];
    if (!x)
        return;
    int n = ws_onnx_value_axes(x, axes), n_out = 0, n_new = 0;
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
        ws_onnx_output_axes(r, x, n_out, out);
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
        perm[ws_onnx_side_of(i)] = (int)ws_onnx_side_of(i < m->n ? m->perm[i] : i);
    return r->status == WS_OK ? ws_net_transpose(r->net, ws_onnx_name_after(r, NULL), map, perm) : 0;
}

static void read_transpose(struct ws_onnx_reader *r)
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

/* --- writing --- */

/* To 1 x 1: a vector, as PyTorch's flatten gives. */
static void write_reshape(struct ws_onnx_writer *w, int id)
{
    const struct ws_node *node = &w->net->nodes[id];
    if (node->height == 1 && node->width == 1) {
        w->values[id] = ws_onnx_writer_flat_value(w, node->inputs[0]);
        w->is_flat[id] = true;
        return;
    }
    char *x = ws_onnx_writer_value(w, node->inputs[0]);
    ws_onnx_writer_reshape(w, node->name, x, w->values[id], 3, (int64_t[]){node->channels, node->height, node->width});
}

static void write_transpose(struct ws_onnx_writer *w, int id)
{
    const struct ws_node *node = &w->net->nodes[id];
    int perm[4] = {0};
    for (int side = 0; side < WS_N_SIDES; side++)
        perm[ws_onnx_axes[side]] = ws_onnx_axes[node->transpose.perm[side]];
    ws_onnx_writer_ints(w, ws_onnx_writer_map(w, id, "Transpose", 1), "perm", 4, perm);
}

static void write_channel_shuffle(struct ws_onnx_writer *w, int id)
{
    const struct ws_node *node = &w->net->nodes[id];
    const int64_t groups = node->shuffle.groups, per_group = node->channels / groups;
    char *split = ws_onnx_writer_name(w, node->name, ".out.split"),
         *transposed = ws_onnx_writer_name(w, node->name, ".out.turned");
    char *split_name = ws_onnx_writer_name(w, node->name, ".split"),
         *turn_name = ws_onnx_writer_name(w, node->name, ".turn");
    char *x = ws_onnx_writer_map_value(w, node->inputs[0]);
    if (w->no_memory)
        return;
    ws_onnx_writer_reshape(w, split_name, x, split, 4, (int64_t[]){groups, per_group, node->height, node->width});
    Onnx__NodeProto *turn = ws_onnx_writer_node(w, "Transpose", turn_name, 1, transposed);
    ws_onnx_writer_input(turn, split);
    ws_onnx_writer_ints(w, turn, "perm", 5, (int[]){0, 2, 1, 3, 4});
    ws_onnx_writer_reshape(w, node->name, transposed, w->values[id], 3,
                           (int64_t[]){node->channels, node->height, node->width});
}

/* --- the rows --- */

const struct ws_onnx_row ws_onnx_row_reshape = {
    .reads = (const struct ws_onnx_type[]){{"Flatten", 7, 20, read_flatten, NULL},
                                           {"Reshape", 7, 20, read_reshape, ws_onnx_fold_reshape},
                                           {"Squeeze", 7, 20, read_squeeze, ws_onnx_fold_squeeze},
                                           {"Unsqueeze", 7, 20, read_squeeze, ws_onnx_fold_squeeze},
                                           {.name = NULL}},
    .write = write_reshape};

const struct ws_onnx_row ws_onnx_row_transpose = {
    .reads =
        (const struct ws_onnx_type[]){{"Transpose", 7, 20, read_transpose, ws_onnx_fold_transpose}, {.name = NULL}},
    .write = write_transpose};

const struct ws_onnx_row ws_onnx_row_channel_shuffle = {.write = write_channel_shuffle};
