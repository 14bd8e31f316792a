/* Planning an exec: which nodes run as one step, and where each value and gradient lives. */
#include "cpu/exec_int.h"

#include <math.h>
#include <stdlib.h>

enum {
    GROUP_FLOATS = 100 * 1024, /* a group's largest map, 400 KiB: it and the next one in a second-level cache */
    GROUP_MAX_IMAGES = 16,
    GROUP_MAX_WEIGHT = 64 * 64 * 9, /* beyond, the weights alone would fill that cache */
};

struct consumers {
    int *n, *last; /* [n_nodes] how many steps read a node, and the newest of them */
};

static int sole_consumer(const struct ws_exec *e, const struct consumers *c, int id, enum ws_op op)
{
    return c->n[id] == 1 && !e->is_tap[id] && e->net->nodes[c->last[id]].op == op ? c->last[id] : -1;
}

/** BatchNorm → Add → ReLU, BatchNorm → ReLU, Add → ReLU become one pass over memory. */
static void fuse(const struct ws_exec *e, const struct consumers *c, struct ws_plan_step *s)
{
    const struct ws_net *net = e->net;
    if (s->op == WS_OP_BATCHNORM) {
        int add = sole_consumer(e, c, s->out, WS_OP_ADD);
        if (add >= 0) {
            const int *in = net->nodes[add].inputs;
            int other = in[0] == s->out ? in[1] : in[0];
            if (other < s->node && in[0] != in[1] && net->nodes[other].op != WS_OP_CONSTANT &&
                ws_exec_same_dims(e, other, s->out)) { /* the other branch is complete before this step */
                s->other = other;
                s->out = add;
            }
        }
    }
    if (s->op == WS_OP_BATCHNORM || s->op == WS_OP_ADD) {
        int relu = sole_consumer(e, c, s->out, WS_OP_RELU), clip = sole_consumer(e, c, s->out, WS_OP_CLIP);
        if (clip >= 0 && s->op == WS_OP_BATCHNORM && net->nodes[clip].point.alpha == 0 &&
            net->nodes[clip].point.beta > 0) {
            s->top = (float)net->nodes[clip].point.beta;
            s->out = clip;
        } else if (relu >= 0) {
            s->top = INFINITY;
            s->out = relu;
        }
    }
}

/** A node learns when it, or anything below it, has a parameter that does. */
static void mark_learning(struct ws_exec *e)
{
    const struct ws_net *net = e->net;
    e->wants_gradient[0] = e->has_input_gradient;
    for (int i = 1; i < net->n_nodes; i++) {
        const struct ws_node *node = &net->nodes[i];
        for (int j = 0; j < node->n_inputs; j++)
            e->wants_gradient[i] |= e->wants_gradient[node->inputs[j]];
        for (int j = 0; j < node->n_params; j++) {
            const struct ws_param *param = &net->params[node->params[j]];
            e->wants_gradient[i] |= !param->is_buffer && !param->is_frozen;
        }
        if (ws_node_fused_add(node) >= 0)
            e->wants_gradient[i] |= e->wants_gradient[node->conv.fused_add];
    }
}

/** A BatchNorm whose map one convolution alone reads, row by row, is applied there and never written. */
static void defer_batchnorms(struct ws_exec *e, const struct consumers *c)
{
    for (int i = 0; i + 1 < e->n_steps; i++) {
        struct ws_plan_step *bn = &e->steps[i];
        if (bn->op != WS_OP_BATCHNORM || bn->other >= 0 || e->is_tap[bn->out] || c->n[bn->out] != 1)
            continue;
        for (int j = i + 1; j < e->n_steps; j++) {
            struct ws_plan_step *conv = &e->steps[j];
            if (conv->x != bn->out || conv->op != WS_OP_CONV || !conv->way->reads_by_rows)
                continue;
            bn->is_deferred = true;
            conv->before = bn->node;
        }
    }
}

/** A bias, ReLU or residual of the convolution stands between dY and the BatchNorm. */
static bool undoes_by_rows(const struct ws_exec *e, const struct ws_plan_step *conv)
{
    return conv->way->undoes_by_rows && e->net->nodes[conv->node].n_params == 1 && conv->top == 0 && conv->other < 0;
}

/** The dx of a BatchNorm behind a convolution that reads dY by rows is made there: one map less to write and to read
 * twice. */
static void leave_gradients(struct ws_exec *e, const struct consumers *c)
{
    for (int i = 0; i + 1 < e->n_steps && e->has_backward; i++) {
        struct ws_plan_step *conv = &e->steps[i];
        if (conv->op != WS_OP_CONV || c->n[conv->out] != 1 || e->is_tap[conv->out] || !undoes_by_rows(e, conv))
            continue;
        for (int j = i + 1; j < e->n_steps; j++)
            if (e->steps[j].op == WS_OP_BATCHNORM && e->steps[j].x == conv->out) {
                e->steps[j].leaves_dx = true;
                conv->after = e->steps[j].node;
            }
    }
}

/** The dx of a BatchNorm that alone reads its input goes over its dy, where nobody looks at that afterwards. */
static void reuse_gradients(struct ws_exec *e, const struct consumers *c)
{
    for (int i = 0; i < e->n_steps; i++) {
        struct ws_plan_step *s = &e->steps[i];
        s->is_in_place = s->op == WS_OP_BATCHNORM && !s->leaves_dx && s->x > 0 && c->n[s->x] == 1 && !e->is_tap[s->x] &&
                         !e->is_tap[s->out] && e->wants_gradient[s->x];
    }
}

/**
 * Without backward and with running statistics no image waits for another: the first steps, where maps are large and
 * weights small, are run for a group of images at a time, so that a map is still in the second-level cache when it is
 * read. What lives on behind these steps must have its place before the first group, see list_regions().
 */
static void plan_groups(struct ws_exec *e)
{
    const struct ws_net *net = e->net;
    size_t largest = ws_exec_image_floats(e, 0);
    if (e->has_backward)
        return;
    for (; e->n_deep < e->n_steps; e->n_deep++) {
        const struct ws_plan_step *s = &e->steps[e->n_deep];
        const bool is_heavy =
            s->way && (!s->way->is_for_one_worker || net->params[net->nodes[s->node].params[0]].n > GROUP_MAX_WEIGHT);
        if (is_heavy || s->op == WS_OP_BATCHNORM)
            break; /* BatchNorm's coefficients are the exec's, not a worker's */
        const size_t floats = ws_exec_image_floats(e, s->out);
        largest = floats > largest ? floats : largest;
    }
    const size_t group = GROUP_FLOATS / largest;
    e->group = group < 1 ? 1 : group < GROUP_MAX_IMAGES ? (int)group : GROUP_MAX_IMAGES;
}

enum ws_status ws_plan_steps(struct ws_exec *e, struct ws_err *err)
{
    const struct ws_net *net = e->net;
    size_t n = (size_t)net->n_nodes;
    struct consumers c = {ws_arena_alloc(&e->arena, n, sizeof(int)), ws_arena_alloc(&e->arena, n, sizeof(int))};
    bool *is_inside = ws_arena_alloc(&e->arena, n, sizeof *is_inside); /* already part of an earlier step */
    e->steps = ws_arena_alloc(&e->arena, n, sizeof *e->steps);
    if (!c.n || !c.last || !is_inside || !e->steps)
        return ws_fail(err, WS_E_MEMORY, "no memory to plan %zu nodes", n);
    for (int i = 0; i < net->n_nodes; i++)
        for (int j = 0; j < net->nodes[i].n_inputs; j++) {
            c.n[net->nodes[i].inputs[j]]++;
            c.last[net->nodes[i].inputs[j]] = i;
        }
    mark_learning(e);
    for (int i = 1; i < net->n_nodes; i++) {
        const struct ws_node *node = &net->nodes[i];
        if (is_inside[i] || node->op == WS_OP_CONSTANT)
            continue;
        struct ws_plan_step s = {
            .op = node->op,
            .node = i,
            .x = node->inputs[0],
            .other = node->n_inputs > 1 ? node->inputs[1] : ws_node_fused_add(node),
            .out = i,
            .top = node->op == WS_OP_RELU || (node->op == WS_OP_CONV && node->conv.fused_relu) ? INFINITY : 0,
            .before = -1,
            .after = -1,
            .moments_of = -1};
        if (s.op == WS_OP_CONV || s.op == WS_OP_GEMM)
            e->choose(net, &s);
        fuse(e, &c, &s);
        for (int j = i; j != s.out; j = c.last[j])
            is_inside[c.last[j]] = true;
        e->steps[e->n_steps++] = s;
    }
    for (int i = 0; i + 1 < e->n_steps; i++)
        if (e->steps[i].op == WS_OP_CONV && e->steps[i + 1].op == WS_OP_BATCHNORM &&
            e->steps[i + 1].x == e->steps[i].out)
            e->steps[i].moments_of = i + 1;
    defer_batchnorms(e, &c);
    leave_gradients(e, &c);
    reuse_gradients(e, &c);
    plan_groups(e);
    return WS_OK;
}

static void add_region(struct ws_exec *e, int node, bool is_gradient, int begin, int end)
{
    size_t n_floats = ws_size_mul(ws_exec_image_floats(e, node), (size_t)e->max_batch);
    n_floats = ws_size_add(n_floats, 15) / 16 * 16;
    const bool is_lasting = end == 2 * e->n_steps;
    e->regions[e->n_regions++] = (struct ws_plan_region){n_floats, 0, begin, end, node, is_gradient, is_lasting};
}

static bool reads(const struct ws_exec *e, const struct ws_plan_step *s, int node)
{
    for (int i = 0; i < ws_exec_step_n_inputs(e, s); i++)
        if (ws_exec_step_input(e, s, i) == node)
            return true;
    return false;
}

/** The step that writes a node's value. */
static int writer_of(const struct ws_exec *e, int node)
{
    int i = 0;
    while (e->steps[i].out != node)
        i++;
    return i;
}

/**
 * Lifetimes, in steps: forward runs at times 0 … S-1, backward of step i at time 2S-1-i. A value lives until the step
 * that wrote it is undone, the last to read it; without backward it dies with its last reader.
 */
static void list_regions(struct ws_exec *e)
{
    int n_nodes = e->net->n_nodes, n_steps = e->n_steps, end_of_time = 2 * n_steps;
    for (int node = 0; node < n_nodes; node++) {
        bool is_written = true, has_own_gradient = true;
        int undone =
            -1; /* the step whose backward reads this gradient last, where that is not the step that wrote the value */
        int written = node == 0 ? -1 : n_steps, last_read = -1, first_back = end_of_time;
        int deferred_to = -1;
        for (int i = 0; i < n_steps; i++) {
            const struct ws_plan_step *s = &e->steps[i];
            if (s->out == node)
                written = i;
            if (s->is_deferred && s->x == node)
                deferred_to = s->out;
            if (s->is_deferred && s->out == node)
                is_written = false;
            if ((s->leaves_dx || s->is_in_place) && s->x == node)
                has_own_gradient = false;
            if ((s->leaves_dx || s->is_in_place) && s->out == node)
                undone = writer_of(e, s->x);
            if (deferred_to >= 0 && reads(e, s, deferred_to))
                last_read = i;
            if (reads(e, s, node)) {
                last_read = i;
                first_back = 2 * n_steps - 1 - i < first_back ? 2 * n_steps - 1 - i : first_back;
            }
        }
        if (written == n_steps)
            continue; /* fused away */
        bool stays = e->is_tap[node] || node == 0;
        if (written < e->n_deep && (stays || last_read >= e->n_deep))
            written = -1;
        last_read = last_read < written ? written : last_read; /* a value nobody reads still needs its place once */
        if (is_written)
            add_region(e, node, false, written,
                       stays             ? end_of_time
                       : e->has_backward ? 2 * n_steps - 1 - written
                                         : last_read);
        if (e->has_backward && e->wants_gradient[node] && has_own_gradient) {
            if (e->is_tap[node])
                first_back = -1;
            int done = written < 0 || (node == 0 && e->has_input_gradient) ? end_of_time : 2 * n_steps - 1 - written;
            if (undone >= 0)
                done = 2 * n_steps - 1 - undone;
            if (e->is_tap[node] && e->net->nodes[node].op != WS_OP_INPUT)
                done = end_of_time;
            /* Where nobody reads the value, a loss may yet read a BatchNorm's statistics. */
            add_region(e, node, true, first_back < done ? first_back : done, done);
        }
    }
}

static bool overlaps(const struct ws_plan_region *a, const struct ws_plan_region *b)
{
    return a->begin <= b->end && b->begin <= a->end;
}

/** First fit: the lowest offset that no region alive at the same time covers. Regions are few, so the plain way is fast
 * enough. */
static void place(struct ws_plan_region *regions, int i, size_t *n_memory)
{
    struct ws_plan_region *r = &regions[i];
    size_t offset = 0;
    for (bool is_moved = true; is_moved;) {
        is_moved = false;
        for (int j = 0; j < i; j++) {
            const struct ws_plan_region *other = &regions[j];
            if (overlaps(r, other) && offset < other->offset + other->n_floats &&
                other->offset < ws_size_add(offset, r->n_floats)) {
                offset = other->offset + other->n_floats;
                is_moved = true;
            }
        }
    }
    r->offset = offset;
    size_t end = ws_size_add(offset, r->n_floats);
    *n_memory = end > *n_memory ? end : *n_memory;
}

static int lasting_first_then_by_size(const void *a, const void *b)
{
    const struct ws_plan_region *ra = a, *rb = b;
    if (ra->is_lasting != rb->is_lasting)
        return ra->is_lasting ? -1 : 1;
    if (ra->n_floats != rb->n_floats)
        return ra->n_floats < rb->n_floats ? 1 : -1;
    if (ra->node != rb->node)
        return ra->node < rb->node ? -1 : 1;
    return (int)ra->is_gradient - (int)rb->is_gradient;
}

/** The values that are written and read inside the first steps alone: small ones, once a worker. */
static enum ws_status plan_deep(struct ws_exec *e, struct ws_err *err)
{
    e->deep_regions = ws_arena_alloc(&e->arena, (size_t)e->n_deep + 1, sizeof *e->deep_regions);
    e->deep_value =
        ws_arena_alloc(&e->arena, (size_t)ws_pool_n_threads(e->pool) * (size_t)e->net->n_nodes, sizeof *e->deep_value);
    if (!e->deep_regions || !e->deep_value)
        return ws_fail(err, WS_E_MEMORY, "no memory to plan %d steps", e->n_deep);
    for (int i = 0; i < e->n_deep; i++) {
        const int node = e->steps[i].out;
        int last_read = i;
        for (int j = i + 1; j < e->n_steps; j++)
            if (reads(e, &e->steps[j], node))
                last_read = j;
        if (e->is_tap[node] || last_read >= e->n_deep)
            continue;
        const size_t n_floats = (ws_size_mul(ws_exec_image_floats(e, node), (size_t)e->group) + 15) / 16 * 16;
        e->deep_regions[e->n_deep_regions++] = (struct ws_plan_region){n_floats, 0, i, last_read, node, false, false};
    }
    for (int i = 0; i < e->n_deep_regions; i++)
        place(e->deep_regions, i, &e->n_deep_memory);
    const size_t n = ws_size_mul(e->n_deep_memory, (size_t)ws_pool_n_threads(e->pool));
    e->deep_memory = ws_alloc_aligned(n, sizeof *e->deep_memory);
    return e->deep_memory ? WS_OK : ws_fail(err, WS_E_MEMORY, "no memory for groups of %d images", e->group);
}

/** Offsets of all regions, the lasting ones first; a lodger's others count from where its lender's passing ones begin.
 */
static int place_regions(struct ws_exec *e)
{
    int n_lasting = 0;
    size_t n_passing = 0;
    for (; n_lasting < e->n_regions && e->regions[n_lasting].is_lasting; n_lasting++)
        place(e->regions, n_lasting, &e->n_lasting);
    for (int i = n_lasting; i < e->n_regions; i++)
        place(e->regions + n_lasting, i - n_lasting, &n_passing);
    if (e->lender && n_passing > e->lender->n_memory - e->lender->n_lasting)
        e->lender = NULL;
    e->n_memory = e->n_lasting + (e->lender ? 0 : n_passing);
    return n_lasting;
}

enum ws_status ws_plan_memory(struct ws_exec *e, struct ws_err *err)
{
    size_t n = (size_t)e->net->n_nodes;
    e->regions = ws_arena_alloc(&e->arena, 2 * n, sizeof *e->regions);
    if (!e->regions)
        return ws_fail(err, WS_E_MEMORY, "no memory to plan %zu nodes", n);
    list_regions(e);
    qsort(e->regions, (size_t)e->n_regions, sizeof *e->regions, lasting_first_then_by_size);
    const int n_lasting = place_regions(e);
    e->memory = ws_alloc_aligned(e->n_memory, sizeof *e->memory);
    if (!e->memory)
        return ws_fail(err, WS_E_MEMORY, "activations and gradients of a batch of %d need %.1f MiB, which is not there",
                       e->max_batch, (double)e->n_memory * sizeof *e->memory / (1 << 20));
    float *passing = e->lender ? e->lender->memory + e->lender->n_lasting : e->memory + e->n_lasting;
    for (int i = 0; i < e->n_regions; i++) {
        const struct ws_plan_region *r = &e->regions[i];
        float *memory = i < n_lasting ? e->memory : passing;
        (r->is_gradient ? e->gradient : e->value)[r->node] = memory + r->offset;
    }
    for (int i = 0; i < e->n_steps; i++)
        if (e->steps[i].is_deferred)
            e->value[e->steps[i].out] = e->value[e->steps[i].x];
    for (int i = 0; i < e->n_steps; i++)
        if (e->steps[i].leaves_dx || e->steps[i].is_in_place)
            e->gradient[e->steps[i].x] = e->gradient[e->steps[i].out];
    for (size_t i = 0; i < n; i++)
        if (e->net->nodes[i].op == WS_OP_CONSTANT)
            e->value[i] = ws_exec_param_values(e, &e->net->nodes[i], 0);
    return plan_deep(e, err);
}
