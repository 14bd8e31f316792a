/* The first half of a plan: which nodes run as one step, and what is fused, deferred and grouped. */
#include "plan.h"

#include <math.h>

enum {
    GROUP_FLOATS = 100 * 1024, /* a group's largest map, 400 KiB: it and the next one in a second-level cache */
    GROUP_MAX_IMAGES = 16,
    GROUP_MAX_WEIGHT = 64 * 64 * 9, /* beyond, the weights alone would fill that cache */
};

struct consumers {
    int *n, *last; /* [n_nodes] how many steps read a node, and the newest of them */
};

static int sole_consumer(const struct ws_plan *plan, const struct consumers *c, int id, enum ws_op op)
{
    return c->n[id] == 1 && !plan->is_tap[id] && plan->net->nodes[c->last[id]].op == op ? c->last[id] : -1;
}

static bool has_same_dims(const struct ws_node *a, const struct ws_node *b)
{
    return a->height == b->height && a->width == b->width && a->channels == b->channels;
}

/** BatchNorm → Add → ReLU, BatchNorm → ReLU, Add → ReLU become one pass over memory. */
static void fuse(const struct ws_plan *plan, const struct consumers *c, struct ws_plan_step *s)
{
    const struct ws_net *net = plan->net;
    if (s->op == WS_OP_BATCHNORM) {
        int add = sole_consumer(plan, c, s->out, WS_OP_ADD);
        if (add >= 0) {
            const int *in = net->nodes[add].inputs;
            int other = in[0] == s->out ? in[1] : in[0];
            if (other < s->node && in[0] != in[1] && net->nodes[other].op != WS_OP_CONSTANT &&
                has_same_dims(&net->nodes[other],
                              &net->nodes[s->out])) { /* the other branch is complete before this step */
                s->other = other;
                s->out = add;
            }
        }
    }
    if (s->op == WS_OP_BATCHNORM || s->op == WS_OP_ADD) {
        int relu = sole_consumer(plan, c, s->out, WS_OP_RELU), clip = sole_consumer(plan, c, s->out, WS_OP_CLIP);
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
static void mark_learning(struct ws_plan *plan)
{
    const struct ws_net *net = plan->net;
    plan->wants_gradient[0] = plan->has_input_gradient;
    for (int i = 1; i < net->n_nodes; i++) {
        const struct ws_node *node = &net->nodes[i];
        for (int j = 0; j < node->n_inputs; j++)
            plan->wants_gradient[i] |= plan->wants_gradient[node->inputs[j]];
        for (int j = 0; j < node->n_params; j++) {
            const struct ws_param *param = &net->params[node->params[j]];
            plan->wants_gradient[i] |= !param->is_buffer && !param->is_frozen;
        }
        if (ws_node_fused_add(node) >= 0)
            plan->wants_gradient[i] |= plan->wants_gradient[node->conv.fused_add];
    }
}

/** A BatchNorm whose map one convolution alone reads, row by row, is applied there and never written. */
static void defer_batchnorms(struct ws_plan *plan, const struct consumers *c)
{
    for (int i = 0; i + 1 < plan->n_steps; i++) {
        struct ws_plan_step *bn = &plan->steps[i];
        if (bn->op != WS_OP_BATCHNORM || bn->other >= 0 || plan->is_tap[bn->out] || c->n[bn->out] != 1)
            continue;
        for (int j = i + 1; j < plan->n_steps; j++) {
            struct ws_plan_step *conv = &plan->steps[j];
            if (conv->x != bn->out || conv->op != WS_OP_CONV || !conv->way || !conv->way->reads_by_rows)
                continue;
            bn->is_deferred = true;
            conv->before = bn->node;
        }
    }
}

/** A bias, ReLU or residual of the convolution stands between dY and the BatchNorm. */
static bool undoes_by_rows(const struct ws_plan *plan, const struct ws_plan_step *conv)
{
    return conv->way && conv->way->undoes_by_rows && plan->net->nodes[conv->node].n_params == 1 && conv->top == 0 &&
           conv->other < 0;
}

/** The dx of a BatchNorm behind a convolution that reads dY by rows is made there: one map less to write and to read
 * twice. */
static void leave_gradients(struct ws_plan *plan, const struct consumers *c)
{
    for (int i = 0; i + 1 < plan->n_steps && plan->has_backward; i++) {
        struct ws_plan_step *conv = &plan->steps[i];
        if (conv->op != WS_OP_CONV || c->n[conv->out] != 1 || plan->is_tap[conv->out] || !undoes_by_rows(plan, conv))
            continue;
        for (int j = i + 1; j < plan->n_steps; j++)
            if (plan->steps[j].op == WS_OP_BATCHNORM && plan->steps[j].x == conv->out) {
                plan->steps[j].leaves_dx = true;
                conv->after = plan->steps[j].node;
            }
    }
}

/** The dx of a BatchNorm that alone reads its input goes over its dy, where nobody looks at that afterwards. */
static void reuse_gradients(struct ws_plan *plan, const struct consumers *c)
{
    for (int i = 0; i < plan->n_steps; i++) {
        struct ws_plan_step *s = &plan->steps[i];
        s->is_in_place = s->op == WS_OP_BATCHNORM && !s->leaves_dx && s->x > 0 && c->n[s->x] == 1 &&
                         !plan->is_tap[s->x] && !plan->is_tap[s->out] && plan->wants_gradient[s->x];
    }
}

/**
 * Without backward and with running statistics no image waits for another: the first steps, where maps are large and
 * weights small, are run for a group of images at a time, so that a map is still in the second-level cache when it is
 * read. What lives on behind these steps must have its place before the first group, see regions.c.
 */
static void plan_groups(struct ws_plan *plan)
{
    const struct ws_net *net = plan->net;
    size_t largest = ws_plan_image_floats(plan, 0);
    if (plan->has_backward)
        return;
    for (; plan->group.n_steps < plan->n_steps; plan->group.n_steps++) {
        const struct ws_plan_step *s = &plan->steps[plan->group.n_steps];
        const bool is_heavy =
            (s->way && !s->way->is_for_one_worker) || ((s->op == WS_OP_CONV || s->op == WS_OP_GEMM) &&
                                                       net->params[net->nodes[s->node].params[0]].n > GROUP_MAX_WEIGHT);
        if (is_heavy || s->op == WS_OP_BATCHNORM)
            break; /* BatchNorm's coefficients are the exec's, not a worker's */
        const size_t floats = ws_plan_image_floats(plan, s->out);
        largest = floats > largest ? floats : largest;
    }
    const size_t group = GROUP_FLOATS / largest;
    plan->group.n_images = group < 1 ? 1 : group < GROUP_MAX_IMAGES ? (int)group : GROUP_MAX_IMAGES;
}

enum ws_status ws_plan_make_steps(struct ws_plan *plan, ws_plan_choose_fn *choose, struct ws_err *err)
{
    const struct ws_net *net = plan->net;
    size_t n = (size_t)net->n_nodes;
    struct consumers c = {ws_arena_alloc(&plan->arena, n, sizeof(int)), ws_arena_alloc(&plan->arena, n, sizeof(int))};
    bool *is_inside = ws_arena_alloc(&plan->arena, n, sizeof *is_inside); /* already part of an earlier step */
    plan->steps = ws_arena_alloc(&plan->arena, n, sizeof *plan->steps);
    if (!c.n || !c.last || !is_inside || !plan->steps)
        return ws_fail(err, WS_E_MEMORY, "no memory to plan %zu nodes", n);
    for (int i = 0; i < net->n_nodes; i++)
        for (int j = 0; j < net->nodes[i].n_inputs; j++) {
            c.n[net->nodes[i].inputs[j]]++;
            c.last[net->nodes[i].inputs[j]] = i;
        }
    mark_learning(plan);
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
        if (choose && (s.op == WS_OP_CONV || s.op == WS_OP_GEMM))
            choose(net, &s);
        fuse(plan, &c, &s);
        for (int j = i; j != s.out; j = c.last[j])
            is_inside[c.last[j]] = true;
        plan->steps[plan->n_steps++] = s;
    }
    for (int i = 0; i + 1 < plan->n_steps; i++)
        if (plan->steps[i].op == WS_OP_CONV && plan->steps[i + 1].op == WS_OP_BATCHNORM &&
            plan->steps[i + 1].x == plan->steps[i].out)
            plan->steps[i].moments_of = i + 1;
    defer_batchnorms(plan, &c);
    leave_gradients(plan, &c);
    reuse_gradients(plan, &c);
    plan_groups(plan);
    return WS_OK;
}
