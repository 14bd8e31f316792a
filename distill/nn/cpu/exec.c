/* Running a network on the CPU: forward, backward, and what the caller reads and writes between them. */
#include "exec_int.h"
#include "graph/row.h"

#include "webstill/nn/blas.h"

#include <cblas.h>
#include <stdlib.h>
#include <string.h>

/** Fails on the first step whose op has no line in the table. */
static enum ws_status check_steps(const struct ws_plan *plan, struct ws_err *err)
{
    for (int i = 0; i < plan->n_steps; i++)
        if (!ws_op_rows[plan->steps[i].op]->forward)
            return ws_fail(err, WS_E_UNSUPPORTED, "node \"%s\": no executor for %s",
                           plan->net->nodes[plan->steps[i].node].name, ws_op_name(plan->steps[i].op));
    return WS_OK;
}

enum ws_status ws_exec_open(struct ws_exec **out, struct ws_net *net, struct ws_workers *workers,
                            const struct ws_exec_options *options, struct ws_err *err)
{
    return ws_exec_open_choosing(out, net, workers, options, ws_conv_choose, err);
}

/** Whose memory the options name. */
static const struct ws_memory *owner_of(const struct ws_exec_options *options)
{
    return options->owner ? &options->owner->memory : NULL;
}

static enum ws_status open_parts(struct ws_exec *e, struct ws_net *net, struct ws_workers *workers,
                                 const struct ws_exec_options *options, ws_plan_choose_fn *choose, struct ws_err *err)
{
    const size_t n = (size_t)net->n_nodes;
    e->is_asked = ws_arena_alloc(&e->arena, n, sizeof *e->is_asked);
    e->has_gradient = ws_arena_alloc(&e->arena, n, sizeof *e->has_gradient);
    if (!e->is_asked || !e->has_gradient)
        return ws_fail(err, WS_E_MEMORY, "no memory for the tables of %zu nodes", n);
    enum ws_status status = ws_plan_open(&e->plan, net, options, choose, err);
    if (status == WS_OK)
        status = check_steps(&e->plan, err);
    if (status == WS_OK)
        status = ws_memory_open(&e->memory, &e->plan, workers, owner_of(options), err);
    e->view = (struct ws_exec_view){.plan = &e->plan,
                                    .net = net,
                                    .workers = workers,
                                    .kernels = ws_kernels_get(),
                                    .n_slices = WS_N_SLICES,
                                    .value = e->memory.value,
                                    .gradient = e->memory.gradient,
                                    .has_gradient = e->has_gradient,
                                    .bn = e->memory.bn};
    return status;
}

enum ws_status ws_exec_open_choosing(struct ws_exec **out, struct ws_net *net, struct ws_workers *workers,
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
    ws_blas_be_serial(); /* each worker calls BLAS for its own slice */
    status = open_parts(e, net, workers, options, choose, err);
    if (status != WS_OK)
        ws_exec_close(&e);
    *out = e;
    return status;
}

void ws_exec_close(struct ws_exec **exec)
{
    if (!exec || !*exec)
        return;
    struct ws_exec *e = *exec;
    ws_memory_close(&e->memory);
    ws_plan_close(&e->plan);
    ws_arena_fini(&e->arena);
    free(e);
    *exec = NULL;
}

bool ws_exec_is_borrower(const struct ws_exec *exec)
{
    return exec->memory.is_borrower;
}

float *ws_exec_input(struct ws_exec *exec)
{
    return exec->memory.value[0];
}

/* --- forward --- */

static void show(const struct ws_exec *e, int node, bool is_gradient)
{
    const size_t stride = ws_plan_image_stride(&e->plan, node);
    const float *values = is_gradient ? e->view.gradient[node] : e->view.value[node];
    if (values)
        e->trace(e->trace_argument, node, is_gradient, values,
                 stride > 0 ? (size_t)e->view.n_images * stride : ws_plan_image_floats(&e->plan, node));
}

/** One group through the first steps: a view of its images, with a worker's scratch and values. */
static void run_group(void *argument, int slice, int worker)
{
    const struct ws_exec *e = argument;
    const struct ws_plan_group *group = &e->plan.group;
    const int first = slice * group->n_images, left = e->view.n_images - first;
    struct ws_exec_view view = e->view;
    view.n_images = left < group->n_images ? left : group->n_images;
    view.n_slices = 1;
    view.scratch.worker = ws_exec_worker_scratch(&e->view, worker);
    view.value = ws_memory_group_values(&e->memory, &e->plan, (size_t)first, worker);
    view.packed = e->memory.packed;
    for (int i = 0; i < group->n_steps; i++)
        ws_op_rows[e->plan.steps[i].op]->forward(&view, &e->plan.steps[i]);
}

/** The first steps, group by group, their weights packed once for all groups. */
static void run_groups(struct ws_exec *e)
{
    const struct ws_plan_group *group = &e->plan.group;
    for (int i = 0; i < group->n_steps; i++)
        if (e->memory.packed[i])
            ws_conv_pack(&e->view, &e->plan.steps[i], e->memory.packed[i]);
    ws_workers_run(e->view.workers, (e->view.n_images + group->n_images - 1) / group->n_images, run_group, e);
}

void ws_exec_forward(struct ws_exec *exec, int batch, enum ws_bn_mode mode)
{
    const struct ws_plan *plan = &exec->plan;
    ws_assert(batch >= 1 && batch <= plan->max_batch);
    exec->view.scratch = ws_memory_scratch(&exec->memory, exec->view.workers);
    exec->view.n_images = batch;
    exec->view.mode = mode;
    memset(exec->is_asked, 0, (size_t)plan->net->n_nodes * sizeof *exec->is_asked);
    const bool is_grouped = (mode == WS_BN_EVAL || mode == WS_BN_FROZEN) && !exec->trace && plan->group.n_steps > 0;
    if (is_grouped)
        run_groups(exec);
    for (int i = is_grouped ? plan->group.n_steps : 0; i < plan->n_steps; i++) {
        ws_op_rows[plan->steps[i].op]->forward(&exec->view, &plan->steps[i]);
        if (exec->trace)
            show(exec, plan->steps[i].out, false);
    }
}

void ws_exec_forward_again(struct ws_exec *exec)
{
    ws_exec_forward(exec, exec->view.n_images, exec->view.mode);
}

void ws_exec_move_statistics(struct ws_exec *exec)
{
    ws_assert(exec->view.mode == WS_BN_BATCH);
    for (int i = 0; i < exec->plan.n_steps; i++)
        if (exec->plan.steps[i].op == WS_OP_BATCHNORM)
            ws_batchnorm_move_running(&exec->view, &exec->plan.steps[i]);
}

void ws_exec_set_dropout(struct ws_exec *exec, uint64_t seed, uint64_t step)
{
    exec->view.dropout_seed = seed;
    exec->view.dropout_step = step;
}

/* --- what the caller reads, and adds gradients to --- */

const float *ws_exec_value(const struct ws_exec *exec, int node)
{
    ws_assert(node >= 0 && node < exec->plan.net->n_nodes && exec->memory.value[node]);
    return exec->memory.value[node];
}

float *ws_exec_output_gradient(struct ws_exec *exec, int node)
{
    ws_assert(exec->plan.has_backward && exec->plan.is_tap[node]);
    if (!exec->memory.gradient[node])
        return NULL; /* nothing below this node learns */
    if (!exec->is_asked[node])
        memset(exec->memory.gradient[node], 0,
               (size_t)exec->view.n_images * ws_plan_image_floats(&exec->plan, node) * sizeof(float));
    exec->is_asked[node] = true;
    return exec->memory.gradient[node];
}

static struct ws_bn_state *observed(const struct ws_exec *exec, int node)
{
    ws_assert(node >= 0 && node < exec->plan.net->n_nodes && exec->plan.net->nodes[node].op == WS_OP_BATCHNORM);
    ws_assert(exec->view.mode == WS_BN_OBSERVE || ws_exec_is_training(&exec->view));
    return &exec->memory.bn[node];
}

const float *ws_exec_batch_mean(const struct ws_exec *exec, int node)
{
    return observed(exec, node)->batch_mean;
}

const float *ws_exec_batch_var(const struct ws_exec *exec, int node)
{
    return observed(exec, node)->batch_var;
}

static float *statistic_gradient(struct ws_exec *exec, int node, int which)
{
    struct ws_bn_state *state = observed(exec, node);
    float *to = which ? state->d_var : state->d_mean;
    ws_assert(exec->plan.has_backward);
    if (!exec->plan.wants_gradient[exec->plan.net->nodes[node].inputs[0]])
        return NULL;
    if (!state->is_asked[which])
        memset(to, 0, (size_t)exec->plan.net->nodes[node].channels * sizeof *to);
    state->is_asked[which] = true;
    return to;
}

float *ws_exec_mean_gradient(struct ws_exec *exec, int node)
{
    return statistic_gradient(exec, node, 0);
}

float *ws_exec_var_gradient(struct ws_exec *exec, int node)
{
    return statistic_gradient(exec, node, 1);
}

/* --- backward --- */

/** Whether a step has something to propagate: a gradient of its output, or of a BatchNorm's statistics. */
static bool is_reached(const struct ws_exec *exec, const struct ws_plan_step *s)
{
    const bool *is_asked = exec->memory.bn[s->node].is_asked;
    return exec->has_gradient[s->out] || is_asked[0] || is_asked[1];
}

void ws_exec_backward(struct ws_exec *exec)
{
    ws_assert(exec->plan.has_backward);
    exec->view.scratch = ws_memory_scratch(&exec->memory, exec->view.workers);
    size_t n = (size_t)exec->plan.net->n_nodes;
    memcpy(exec->has_gradient, exec->is_asked, n * sizeof *exec->has_gradient);
    for (int i = exec->plan.n_steps - 1; i >= 0; i--) {
        const struct ws_plan_step *s = &exec->plan.steps[i];
        if (!is_reached(exec, s))
            continue;
        if (exec->trace)
            show(exec, s->out, true);
        ws_op_rows[s->op]->backward(&exec->view, s);
    }
}

const float *ws_exec_input_gradient(const struct ws_exec *exec)
{
    ws_assert(exec->plan.has_input_gradient);
    return exec->memory.gradient[0];
}

size_t ws_exec_size_bytes(const struct ws_exec *exec)
{
    return exec->memory.size_bytes;
}

size_t ws_exec_memory_bytes(const struct ws_exec *exec)
{
    return exec->memory.n_floats * sizeof *exec->memory.floats;
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
    return exec->view.n_images;
}

struct ws_workers *ws_exec_workers(const struct ws_exec *exec)
{
    return exec->view.workers;
}
