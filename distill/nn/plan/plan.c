/* A plan from its two halves, and as text. */
#include "plan.h"

static enum ws_status take_options(struct ws_plan *plan, const struct ws_exec_options *options, struct ws_err *err)
{
    const size_t n = (size_t)plan->net->n_nodes;
    plan->max_batch = options->max_batch;
    plan->has_backward = options->backward;
    plan->has_input_gradient = options->backward && options->input_gradient;
    plan->is_tap = ws_arena_alloc(&plan->arena, n, sizeof *plan->is_tap);
    plan->wants_gradient = ws_arena_alloc(&plan->arena, n, sizeof *plan->wants_gradient);
    if (!plan->is_tap || !plan->wants_gradient)
        return ws_fail(err, WS_E_MEMORY, "no memory to plan %zu nodes", n);
    plan->is_tap[n - 1] = true;
    for (int i = 0; i < options->n_taps; i++) {
        ws_assert(options->taps[i] >= 0 && options->taps[i] < plan->net->n_nodes);
        plan->is_tap[options->taps[i]] = true;
    }
    return WS_OK;
}

enum ws_status ws_plan_open(struct ws_plan *plan, const struct ws_net *net, const struct ws_exec_options *options,
                            ws_plan_choose_fn *choose, struct ws_err *err)
{
    *plan = (struct ws_plan){.net = net};
    enum ws_status status = take_options(plan, options, err);
    if (status == WS_OK)
        status = ws_plan_make_steps(plan, choose, err);
    if (status == WS_OK)
        status = ws_plan_make_regions(plan, err);
    if (status != WS_OK)
        ws_plan_close(plan);
    return status;
}

void ws_plan_close(struct ws_plan *plan)
{
    ws_arena_fini(&plan->arena);
    *plan = (struct ws_plan){0};
}

/* --- as text --- */

static bool print_step(const struct ws_plan *plan, int i, struct ws_buf *out)
{
    const struct ws_plan_step *s = &plan->steps[i];
    const struct ws_node *nodes = plan->net->nodes, *to = &nodes[s->out];
    bool is_fine = ws_buf_addf(out, "%4d  %-20s %-28s %dx%dx%d", i, ws_op_name(s->op), nodes[s->node].name, to->height,
                               to->width, to->channels);
    if (s->way)
        is_fine = is_fine && ws_buf_addf(out, "  %s", s->way->name);
    if (s->out != s->node)
        is_fine = is_fine && ws_buf_addf(out, "  to %s", to->name);
    if (s->other >= 0)
        is_fine = is_fine && ws_buf_addf(out, "  and %s", nodes[s->other].name);
    if (s->before >= 0)
        is_fine = is_fine && ws_buf_addf(out, "  applies %s", nodes[s->before].name);
    if (s->after >= 0)
        is_fine = is_fine && ws_buf_addf(out, "  undoes %s", nodes[s->after].name);
    if (i < plan->group.n_steps)
        is_fine = is_fine && ws_buf_addf(out, "  in groups of %d", plan->group.n_images);
    return is_fine && ws_buf_addf(out, "\n");
}

static bool print_region(const struct ws_plan *plan, const struct ws_plan_region *r, struct ws_buf *out)
{
    return ws_buf_addf(out, "%12zu %12zu  %4d %4d  %s%s %s\n", r->offset, r->n_floats, r->begin, r->end,
                       r->is_lasting ? "lasting " : "", r->is_gradient ? "gradient" : "value",
                       plan->net->nodes[r->node].name);
}

bool ws_plan_print(const struct ws_plan *plan, struct ws_buf *out)
{
    bool is_fine = ws_buf_addf(out, "step  op                   node                         output\n");
    for (int i = 0; is_fine && i < plan->n_steps; i++)
        is_fine = print_step(plan, i, out);
    is_fine = is_fine && ws_buf_addf(out, "\nlasting %zu, passing %zu floats\n      offset       floats  from   to\n",
                                     plan->n_lasting, plan->n_passing);
    for (int i = 0; is_fine && i < plan->n_regions; i++)
        is_fine = print_region(plan, &plan->regions[i], out);
    return is_fine;
}
