/* Taking the floats of one exec, and pointing into them. */
#include "memory.h"

#include <stdlib.h>
#include <string.h>

static size_t to_line(size_t n_floats)
{
    return (n_floats + 15) / 16 * 16;
}

/* --- values and gradients --- */

static enum ws_status alloc_tables(struct ws_memory *m, const struct ws_plan *plan, struct ws_workers *workers,
                                   struct ws_err *err)
{
    const size_t n = (size_t)plan->net->n_nodes, n_workers = (size_t)ws_workers_count(workers);
    m->value = ws_arena_alloc(&m->arena, n, sizeof *m->value);
    m->gradient = ws_arena_alloc(&m->arena, n, sizeof *m->gradient);
    m->bn = ws_arena_alloc(&m->arena, n, sizeof *m->bn);
    m->packed = ws_arena_alloc(&m->arena, (size_t)plan->n_steps + 1, sizeof *m->packed);
    m->group_value = ws_arena_alloc(&m->arena, ws_size_mul(n_workers, n), sizeof *m->group_value);
    if (!m->value || !m->gradient || !m->bn || !m->packed || !m->group_value)
        return ws_fail(err, WS_E_MEMORY, "no memory for the tables of %zu nodes", n);
    return WS_OK;
}

/** What shares another's place: a map that is never written, a gradient that is made later or in place; constants. */
static void point_to_others(struct ws_memory *m, const struct ws_plan *plan)
{
    const struct ws_net *net = plan->net;
    for (int i = 0; i < plan->n_steps; i++)
        if (plan->steps[i].is_deferred)
            m->value[plan->steps[i].out] = m->value[plan->steps[i].x];
    for (int i = 0; i < plan->n_steps; i++)
        if (plan->steps[i].leaves_dx || plan->steps[i].is_in_place)
            m->gradient[plan->steps[i].x] = m->gradient[plan->steps[i].out];
    for (int i = 0; i < net->n_nodes; i++)
        if (net->nodes[i].op == WS_OP_CONSTANT)
            m->value[i] = net->values + net->params[net->nodes[i].params[0]].offset;
}

static enum ws_status alloc_values(struct ws_memory *m, const struct ws_plan *plan, const struct ws_memory *owner,
                                   struct ws_err *err)
{
    m->is_borrower = owner && plan->n_passing <= owner->n_passing;
    m->n_passing = m->is_borrower ? 0 : plan->n_passing;
    m->n_floats = plan->n_lasting + m->n_passing;
    m->floats = ws_alloc_aligned(m->n_floats, sizeof *m->floats);
    if (!m->floats)
        return ws_fail(err, WS_E_MEMORY, "activations and gradients of a batch of %d need %.1f MiB, which is not there",
                       plan->max_batch, (double)m->n_floats * sizeof *m->floats / (1 << 20));
    m->passing = m->is_borrower ? owner->passing : m->floats + plan->n_lasting;
    for (int i = 0; i < plan->n_regions; i++) {
        const struct ws_plan_region *r = &plan->regions[i];
        (r->is_gradient ? m->gradient : m->value)[r->node] = (r->is_lasting ? m->floats : m->passing) + r->offset;
    }
    point_to_others(m, plan);
    return WS_OK;
}

/* --- what groups see --- */

static enum ws_status alloc_group(struct ws_memory *m, const struct ws_plan *plan, size_t n_workers, struct ws_err *err)
{
    m->group_floats = ws_alloc_aligned(ws_size_mul(plan->group.n_floats, n_workers), sizeof *m->group_floats);
    return m->group_floats ? WS_OK
                           : ws_fail(err, WS_E_MEMORY, "no memory for groups of %d images", plan->group.n_images);
}

/** Room for the packed weights of the steps that groups run. */
static enum ws_status alloc_packed(struct ws_memory *m, const struct ws_plan *plan, size_t *n_floats,
                                   struct ws_err *err)
{
    size_t n = 0;
    for (int pass = 0; pass < 2; pass++) {
        if (pass == 1 && !(m->packed_floats = ws_alloc_aligned(n, sizeof *m->packed_floats)))
            return ws_fail(err, WS_E_MEMORY, "no memory for packed weights");
        n = 0;
        for (int i = 0; i < plan->group.n_steps; i++) {
            const struct ws_plan_step *s = &plan->steps[i];
            const size_t floats = s->op == WS_OP_CONV ? ws_conv_packed_floats(plan->net, s) : 0;
            m->packed[i] = pass == 1 && floats > 0 ? m->packed_floats + n : NULL;
            n += to_line(floats);
        }
    }
    *n_floats = n;
    return WS_OK;
}

float *const *ws_memory_group_values(const struct ws_memory *memory, const struct ws_plan *plan, size_t first,
                                     int worker)
{
    const struct ws_plan_group *group = &plan->group;
    float **value = memory->group_value + (size_t)worker * (size_t)plan->net->n_nodes;
    for (int i = 0; i < plan->net->n_nodes; i++)
        value[i] = memory->value[i] ? memory->value[i] + first * ws_plan_image_stride(plan, i) : NULL;
    for (int i = 0; i < group->n_regions; i++)
        value[group->regions[i].node] =
            memory->group_floats + (size_t)worker * group->n_floats + group->regions[i].offset;
    return value;
}

/* --- scratch --- */

static enum ws_status alloc_statistics(struct ws_memory *m, const struct ws_node *node, struct ws_bn_state *state,
                                       struct ws_err *err)
{
    float **const parts[] = {&state->mean,      &state->invstd, &state->scale, &state->a,
                             &state->b,         &state->d,      &state->shift, &state->batch_mean,
                             &state->batch_var, &state->d_mean, &state->d_var};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        *parts[i] = ws_arena_alloc(&m->arena, (size_t)node->channels, sizeof **parts[i]);
        if (!*parts[i])
            return ws_fail(err, WS_E_MEMORY, "no memory for the statistics of %s", node->name);
    }
    return WS_OK;
}

/** Channel sums, constants, and BatchNorm's saved statistics. */
static enum ws_status alloc_channels(struct ws_memory *m, const struct ws_plan *plan, struct ws_err *err)
{
    struct ws_scratch *scratch = &m->scratch;
    size_t most = 0;
    for (int i = 0; i < plan->net->n_nodes; i++) {
        const struct ws_node *node = &plan->net->nodes[i];
        most = (size_t)node->channels > most ? (size_t)node->channels : most;
        enum ws_status status = node->op == WS_OP_BATCHNORM ? alloc_statistics(m, node, &m->bn[i], err) : WS_OK;
        if (status != WS_OK)
            return status;
    }
    scratch->max_channels = to_line(most);
    scratch->sums = ws_calloc_aligned(WS_N_SLICES * 2 * scratch->max_channels, sizeof(double));
    scratch->constants = ws_calloc_aligned(4 * scratch->max_channels, sizeof(float));
    if (!scratch->sums || !scratch->constants)
        return ws_fail(err, WS_E_MEMORY, "no memory for the executor's scratch");
    for (size_t i = 0; i < scratch->max_channels; i++)
        scratch->constants[i] = 1;
    return WS_OK;
}

/** Of the workers: a stripe or padded image a worker, and partial weight gradients. */
static enum ws_status reserve_scratch(struct ws_memory *m, const struct ws_plan *plan, struct ws_workers *workers,
                                      struct ws_err *err)
{
    struct ws_conv_scratch most = {0};
    for (int i = 0; i < plan->n_steps; i++) {
        const struct ws_plan_step *s = &plan->steps[i];
        if (s->op != WS_OP_CONV && s->op != WS_OP_GEMM)
            continue;
        const struct ws_conv_scratch wanted = ws_conv_scratch_of(plan, s);
        most.shared = wanted.shared > most.shared ? wanted.shared : most.shared;
        most.worker = wanted.worker > most.worker ? wanted.worker : most.worker;
        most.weight = wanted.weight > most.weight ? wanted.weight : most.weight;
    }
    m->scratch.n_weight = to_line(most.weight);
    m->scratch.n_worker = to_line(most.worker);
    const size_t n_workers = ws_size_mul((size_t)ws_workers_count(workers), m->scratch.n_worker);
    const size_t n_weights = ws_size_mul(plan->has_backward ? WS_N_SLICES + 1 : 1, m->scratch.n_weight);
    m->n_scratch = ws_size_add(n_workers, n_weights > most.shared ? n_weights : most.shared);
    return ws_workers_reserve(workers, ws_size_mul(m->n_scratch, sizeof(float)), err);
}

struct ws_scratch ws_memory_scratch(const struct ws_memory *memory, const struct ws_workers *workers)
{
    struct ws_scratch scratch = memory->scratch;
    scratch.worker = ws_workers_scratch(workers);
    scratch.step = scratch.worker + (size_t)ws_workers_count(workers) * scratch.n_worker;
    return scratch;
}

/* --- all of it --- */

enum ws_status ws_memory_open(struct ws_memory *memory, const struct ws_plan *plan, struct ws_workers *workers,
                              const struct ws_memory *owner, struct ws_err *err)
{
    const size_t n_workers = (size_t)ws_workers_count(workers);
    size_t n_packed = 0;
    *memory = (struct ws_memory){0};
    enum ws_status status = alloc_tables(memory, plan, workers, err);
    if (status == WS_OK)
        status = alloc_values(memory, plan, owner, err);
    if (status == WS_OK)
        status = alloc_group(memory, plan, n_workers, err);
    if (status == WS_OK)
        status = alloc_channels(memory, plan, err);
    if (status == WS_OK)
        status = reserve_scratch(memory, plan, workers, err);
    if (status == WS_OK)
        status = alloc_packed(memory, plan, &n_packed, err);
    if (status == WS_OK)
        memory->size_bytes =
            (memory->n_floats + memory->n_scratch + n_packed + plan->group.n_floats * n_workers) * sizeof(float);
    else
        ws_memory_close(memory);
    return status;
}

void ws_memory_close(struct ws_memory *memory)
{
    free(memory->floats);
    free(memory->packed_floats);
    free(memory->group_floats);
    free(memory->scratch.sums);
    free(memory->scratch.constants);
    ws_arena_fini(&memory->arena);
    *memory = (struct ws_memory){0};
}
