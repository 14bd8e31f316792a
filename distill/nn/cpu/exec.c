#include "exec_int.h"
#include "graph/row.h"

#include "webstill/nn/blas.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static enum ws_status alloc_tables(struct ws_exec *e, const struct ws_exec_options *options, struct ws_err *err)
{
    size_t n = (size_t)e->net->n_nodes;
    e->is_tap = ws_arena_alloc(&e->arena, n, sizeof *e->is_tap);
    e->wants_gradient = ws_arena_alloc(&e->arena, n, sizeof *e->wants_gradient);
    e->is_seeded = ws_arena_alloc(&e->arena, n, sizeof *e->is_seeded);
    e->has_gradient = ws_arena_alloc(&e->arena, n, sizeof *e->has_gradient);
    e->value = ws_arena_alloc(&e->arena, n, sizeof *e->value);
    e->gradient = ws_arena_alloc(&e->arena, n, sizeof *e->gradient);
    e->bn = ws_arena_alloc(&e->arena, n, sizeof *e->bn);
    if (!e->is_tap || !e->wants_gradient || !e->is_seeded || !e->has_gradient || !e->value || !e->gradient || !e->bn)
        return ws_fail(err, WS_E_MEMORY, "no memory for the tables of %zu nodes", n);
    e->is_tap[n - 1] = true;
    for (int i = 0; i < options->n_taps; i++) {
        ws_assert(options->taps[i] >= 0 && options->taps[i] < e->net->n_nodes);
        e->is_tap[options->taps[i]] = true;
    }
    return WS_OK;
}

static enum ws_status alloc_statistics(struct ws_exec *e, int node, struct ws_err *err)
{
    struct ws_bn_state *state = &e->bn[node];
    float **const parts[] = {&state->mean,      &state->invstd, &state->scale, &state->a,
                             &state->b,         &state->d,      &state->shift, &state->batch_mean,
                             &state->batch_var, &state->d_mean, &state->d_var};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        *parts[i] = ws_arena_alloc(&e->arena, (size_t)e->net->nodes[node].channels, sizeof **parts[i]);
        if (!*parts[i])
            return ws_fail(err, WS_E_MEMORY, "no memory for the statistics of %s", e->net->nodes[node].name);
    }
    return WS_OK;
}

/** Scratch: a stripe or padded image a worker, partial weight gradients, channel sums, constants, BatchNorm's saved
 * statistics. */
static enum ws_status alloc_scratch(struct ws_exec *e, struct ws_err *err)
{
    for (int i = 0; i < e->net->n_nodes; i++) {
        const struct ws_node *node = &e->net->nodes[i];
        size_t channels = (size_t)node->channels;
        e->max_channels = channels > e->max_channels ? channels : e->max_channels;
        enum ws_status status = node->op == WS_OP_BATCHNORM ? alloc_statistics(e, i, err) : WS_OK;
        if (status != WS_OK)
            return status;
    }
    for (int i = 0; i < e->n_steps; i++) {
        const struct ws_plan_step *s = &e->steps[i];
        if (s->op != WS_OP_CONV && s->op != WS_OP_GEMM)
            continue;
        const struct ws_conv_scratch wanted = ws_conv_scratch_of(e, s);
        e->n_shared = wanted.shared > e->n_shared ? wanted.shared : e->n_shared;
        e->n_stripe = wanted.worker > e->n_stripe ? wanted.worker : e->n_stripe;
        e->n_weight = wanted.weight > e->n_weight ? wanted.weight : e->n_weight;
    }
    e->n_weight = (e->n_weight + 15) / 16 * 16;
    e->n_stripe = (e->n_stripe + 15) / 16 * 16;
    e->max_channels = (e->max_channels + 15) / 16 * 16;
    size_t n_scratch = ws_size_mul((size_t)ws_pool_n_threads(e->pool), e->n_stripe);
    size_t n_weights = ws_size_mul(e->has_backward ? WS_N_SLICES + 1 : 1, e->n_weight);
    e->n_scratch = ws_size_add(n_scratch, n_weights > e->n_shared ? n_weights : e->n_shared);
    enum ws_status status = ws_pool_reserve(e->pool, ws_size_mul(e->n_scratch, sizeof(float)), err);
    if (status != WS_OK)
        return status;
    e->sums = ws_calloc_aligned(WS_N_SLICES * 2 * e->max_channels, sizeof(double));
    e->constants = ws_calloc_aligned(4 * e->max_channels, sizeof(float));
    if (!e->sums || !e->constants)
        return ws_fail(err, WS_E_MEMORY, "no memory for the executor's scratch");
    for (size_t i = 0; i < e->max_channels; i++)
        e->constants[i] = 1;
    e->size_bytes = (e->n_memory + e->n_scratch) * sizeof(float);
    return WS_OK;
}

/** Room for the packed weights of the steps that groups run. */
static enum ws_status alloc_packed(struct ws_exec *e, struct ws_err *err)
{
    size_t n = 0;
    e->packed = ws_arena_alloc(&e->arena, (size_t)e->n_steps + 1, sizeof *e->packed);
    if (!e->packed)
        return ws_fail(err, WS_E_MEMORY, "no memory for the executor's tables");
    for (int pass = 0; pass < 2; pass++) {
        if (pass == 1 && !(e->packed_memory = ws_alloc_aligned(n, sizeof(float))))
            return ws_fail(err, WS_E_MEMORY, "no memory for packed weights");
        n = 0;
        for (int i = 0; i < e->n_deep; i++) {
            const size_t floats = e->steps[i].op == WS_OP_CONV ? ws_conv_packed_floats(e, &e->steps[i]) : 0;
            e->packed[i] = pass == 1 && floats > 0 ? e->packed_memory + n : NULL;
            n += (floats + 15) / 16 * 16;
        }
    }
    e->size_bytes += (n + e->n_deep_memory * (size_t)ws_pool_n_threads(e->pool)) * sizeof(float);
    return WS_OK;
}

/** Fails on the first step whose op has no line in the table. */
static enum ws_status check_steps(const struct ws_exec *e, struct ws_err *err)
{
    for (int i = 0; i < e->n_steps; i++)
        if (!ws_op_rows[e->steps[i].op]->forward)
            return ws_fail(err, WS_E_UNSUPPORTED, "node \"%s\": no executor for %s",
                           e->net->nodes[e->steps[i].node].name, ws_op_name(e->steps[i].op));
    return WS_OK;
}

enum ws_status ws_exec_open(struct ws_exec **out, struct ws_net *net, struct ws_pool *pool,
                            const struct ws_exec_options *options, struct ws_err *err)
{
    return ws_exec_open_choosing(out, net, pool, options, ws_conv_choose, err);
}

enum ws_status ws_exec_open_choosing(struct ws_exec **out, struct ws_net *net, struct ws_pool *pool,
                                     const struct ws_exec_options *options, ws_plan_choose_fn *choose,
                                     struct ws_err *err)
{
    *out = NULL;
    ws_assert(net->values && options->max_batch >= 1);
    enum ws_status status = options->backward ? ws_net_alloc_gradients(net, err) : WS_OK;
    if (status != WS_OK)
        return status;
    struct ws_exec *e = ws_calloc(1, sizeof *e);
    if (!e)
        return ws_fail(err, WS_E_MEMORY, "no memory for an executor");
    e->net = net;
    e->pool = pool;
    e->kernels = ws_kernels_get();
    e->choose = choose;
    e->max_batch = options->max_batch;
    e->n_slices = WS_N_SLICES;
    e->has_backward = options->backward;
    e->has_input_gradient = options->backward && options->input_gradient;
    e->lender = options->lender;
    ws_blas_be_serial(); /* each worker calls BLAS for its own slice */
    status = alloc_tables(e, options, err);
    if (status == WS_OK)
        status = ws_plan_steps(e, err);
    if (status == WS_OK)
        status = check_steps(e, err);
    if (status == WS_OK)
        status = ws_plan_memory(e, err);
    if (status == WS_OK)
        status = alloc_scratch(e, err);
    if (status == WS_OK)
        status = alloc_packed(e, err);
    if (status != WS_OK) {
        ws_exec_close(&e);
        return status;
    }
    *out = e;
    return WS_OK;
}

void ws_exec_close(struct ws_exec **exec)
{
    if (!exec || !*exec)
        return;
    struct ws_exec *e = *exec;
    free(e->memory);
    free(e->sums);
    free(e->packed_memory);
    free(e->deep_memory);
    free(e->constants);
    ws_arena_fini(&e->arena);
    free(e);
    *exec = NULL;
}

bool ws_exec_is_lodger(const struct ws_exec *exec)
{
    return exec->lender != NULL;
}

float *ws_exec_input(struct ws_exec *exec)
{
    return exec->value[0];
}

/** Point to the pool's scratch: another executor's opening may have moved it. */
static void bind_scratch(struct ws_exec *e)
{
    e->worker_scratch = ws_pool_scratch(e->pool);
    e->step_scratch = e->worker_scratch + (size_t)ws_pool_n_threads(e->pool) * e->n_stripe;
}

static void show(const struct ws_exec *e, int node, bool is_gradient)
{
    const size_t stride = ws_exec_image_stride(e, node);
    const float *values = is_gradient ? e->gradient[node] : e->value[node];
    if (values)
        e->trace(e->trace_argument, node, is_gradient, values,
                 stride > 0 ? (size_t)e->batch * stride : ws_exec_image_floats(e, node));
}

/** Steps [begin, end) for images [first, first + n). */
static void run_steps(struct ws_exec *e, int begin, int end, int first, int n)
{
    e->first = first;
    e->batch = n;
    for (int i = begin; i < end; i++) {
        ws_op_rows[e->steps[i].op]->forward(e, &e->steps[i]);
        if (e->trace)
            show(e, e->steps[i].out, false);
    }
}

struct deep {
    const struct ws_exec *e;
    int batch;
};

/** One group through the first steps: a copy of the exec that has a worker's scratch and no pool. */
static void run_group(void *argument, int slice, int worker)
{
    const struct deep *deep = argument;
    struct ws_exec e = *deep->e;
    const int first = slice * e.group;
    float **value = e.deep_value + (size_t)worker * (size_t)e.net->n_nodes;
    memcpy(value, e.value, (size_t)e.net->n_nodes * sizeof *value);
    for (int i = 0; i < e.n_deep_regions; i++) {
        /* Images are counted through the batch: the group's first one lies where image 0 would. */
        const struct ws_plan_region *r = &e.deep_regions[i];
        const float *base = e.deep_memory + (size_t)worker * e.n_deep_memory + r->offset;
        value[r->node] = (float *)((uintptr_t)base - (size_t)first * ws_exec_image_floats(&e, r->node) * sizeof(float));
    }
    e.value = value;
    e.n_slices = 1;
    e.worker_scratch += (size_t)worker * e.n_stripe;
    run_steps(&e, 0, e.n_deep, first, deep->batch - first < e.group ? deep->batch - first : e.group);
}

/** The first steps, group by group, their weights packed once for all groups. */
static void run_deep(struct ws_exec *e, int batch)
{
    struct deep deep = {e, batch};
    for (int i = 0; i < e->n_deep; i++)
        if (e->packed[i])
            ws_conv_pack(e, &e->steps[i], e->packed[i]);
    ws_pool_run(e->pool, (batch + e->group - 1) / e->group, run_group, &deep);
}

void ws_exec_forward(struct ws_exec *exec, int batch, enum ws_bn_mode mode)
{
    ws_assert(batch >= 1 && batch <= exec->max_batch);
    bind_scratch(exec);
    exec->mode = mode;
    memset(exec->is_seeded, 0, (size_t)exec->net->n_nodes * sizeof *exec->is_seeded);
    const bool is_grouped = (mode == WS_BN_EVAL || mode == WS_BN_FROZEN) && !exec->trace;
    const int n_deep = is_grouped ? exec->n_deep : 0;
    exec->n_slices = WS_N_SLICES;
    if (n_deep > 0)
        run_deep(exec, batch);
    run_steps(exec, n_deep, exec->n_steps, 0, batch);
}

void ws_exec_set_dropout(struct ws_exec *exec, uint64_t seed, uint64_t step)
{
    exec->dropout_seed = seed;
    exec->dropout_step = step;
}

const float *ws_exec_value(const struct ws_exec *exec, int node)
{
    ws_assert(node >= 0 && node < exec->net->n_nodes && exec->value[node]);
    return exec->value[node];
}

float *ws_exec_seed(struct ws_exec *exec, int node)
{
    ws_assert(exec->has_backward && exec->is_tap[node]);
    if (!exec->gradient[node])
        return NULL; /* nothing below this node learns */
    if (!exec->is_seeded[node])
        memset(exec->gradient[node], 0, (size_t)exec->batch * ws_exec_image_floats(exec, node) * sizeof(float));
    exec->is_seeded[node] = true;
    return exec->gradient[node];
}

static struct ws_bn_state *observed(const struct ws_exec *exec, int node)
{
    ws_assert(node >= 0 && node < exec->net->n_nodes && exec->net->nodes[node].op == WS_OP_BATCHNORM);
    ws_assert(exec->mode == WS_BN_OBSERVE || ws_exec_is_training(exec));
    return &exec->bn[node];
}

const float *ws_exec_batch_mean(const struct ws_exec *exec, int node)
{
    return observed(exec, node)->batch_mean;
}

const float *ws_exec_batch_var(const struct ws_exec *exec, int node)
{
    return observed(exec, node)->batch_var;
}

static float *seed_statistic(struct ws_exec *exec, int node, int which)
{
    struct ws_bn_state *state = observed(exec, node);
    float *to = which ? state->d_var : state->d_mean;
    ws_assert(exec->has_backward);
    if (!exec->wants_gradient[exec->net->nodes[node].inputs[0]])
        return NULL;
    if (!state->is_seeded[which])
        memset(to, 0, (size_t)exec->net->nodes[node].channels * sizeof *to);
    state->is_seeded[which] = true;
    return to;
}

float *ws_exec_seed_mean(struct ws_exec *exec, int node)
{
    return seed_statistic(exec, node, 0);
}

float *ws_exec_seed_var(struct ws_exec *exec, int node)
{
    return seed_statistic(exec, node, 1);
}

/** Whether a step has something to propagate: a gradient of its output, or of a BatchNorm's statistics. */
static bool is_reached(const struct ws_exec *exec, const struct ws_plan_step *s)
{
    const bool *seeded = exec->bn[s->node].is_seeded;
    return exec->has_gradient[s->out] || seeded[0] || seeded[1];
}

void ws_exec_backward(struct ws_exec *exec)
{
    ws_assert(exec->has_backward);
    bind_scratch(exec);
    size_t n = (size_t)exec->net->n_nodes;
    memcpy(exec->has_gradient, exec->is_seeded, n * sizeof *exec->has_gradient);
    for (int i = exec->n_steps - 1; i >= 0; i--) {
        const struct ws_plan_step *s = &exec->steps[i];
        if (!is_reached(exec, s))
            continue;
        if (exec->trace)
            show(exec, s->out, true);
        ws_op_rows[s->op]->backward(exec, s);
    }
}

const float *ws_exec_input_gradient(const struct ws_exec *exec)
{
    ws_assert(exec->has_input_gradient);
    return exec->gradient[0];
}

size_t ws_exec_size_bytes(const struct ws_exec *exec)
{
    return exec->size_bytes;
}

size_t ws_exec_memory_bytes(const struct ws_exec *exec)
{
    return exec->n_memory * sizeof *exec->memory;
}

const char *ws_exec_library(void)
{
    return openblas_get_config();
}

void ws_exec_trace(struct ws_exec *exec, ws_trace_fn *see, void *argument)
{
    exec->trace = see;
    exec->trace_argument = argument;
}

int ws_exec_batch(const struct ws_exec *exec)
{
    return exec->batch;
}

void ws_exec_forward_again(struct ws_exec *exec)
{
    ws_exec_forward(exec, exec->batch, exec->mode);
}
