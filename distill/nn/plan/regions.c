/* The second half of a plan: where each value and gradient lies in the memory, and from when to when. */
#include "plan.h"

#include <stdlib.h>

static void add_region(struct ws_plan *plan, int node, bool is_gradient, int begin, int end)
{
    size_t n_floats = ws_size_mul(ws_plan_image_floats(plan, node), (size_t)plan->max_batch);
    n_floats = ws_size_add(n_floats, 15) / 16 * 16;
    const bool is_lasting = end == 2 * plan->n_steps;
    plan->regions[plan->n_regions++] = (struct ws_plan_region){n_floats, 0, begin, end, node, is_gradient, is_lasting};
}

/** The step that writes a node's value. */
static int writer_of(const struct ws_plan *plan, int node)
{
    int i = 0;
    while (plan->steps[i].out != node)
        i++;
    return i;
}

/**
 * Lifetimes, in steps: forward runs at times 0 … S-1, backward of step i at time 2S-1-i. A value lives until the step
 * that wrote it is undone, the last to read it; without backward it dies with its last reader.
 */
static void list_regions(struct ws_plan *plan)
{
    int n_nodes = plan->net->n_nodes, n_steps = plan->n_steps, end_of_time = 2 * n_steps;
    for (int node = 0; node < n_nodes; node++) {
        bool is_written = true, has_own_gradient = true;
        int undone =
            -1; /* the step whose backward reads this gradient last, where that is not the step that wrote the value */
        int written = node == 0 ? -1 : n_steps, last_read = -1, first_back = end_of_time;
        int deferred_to = -1;
        for (int i = 0; i < n_steps; i++) {
            const struct ws_plan_step *s = &plan->steps[i];
            if (s->out == node)
                written = i;
            if (s->is_deferred && s->x == node)
                deferred_to = s->out;
            if (s->is_deferred && s->out == node)
                is_written = false;
            if ((s->leaves_dx || s->is_in_place) && s->x == node)
                has_own_gradient = false;
            if ((s->leaves_dx || s->is_in_place) && s->out == node)
                undone = writer_of(plan, s->x);
            if (deferred_to >= 0 && ws_plan_step_reads(plan, s, deferred_to))
                last_read = i;
            if (ws_plan_step_reads(plan, s, node)) {
                last_read = i;
                first_back = 2 * n_steps - 1 - i < first_back ? 2 * n_steps - 1 - i : first_back;
            }
        }
        if (written == n_steps)
            continue; /* fused away */
        bool stays = plan->is_tap[node] || node == 0;
        if (written < plan->group.n_steps && (stays || last_read >= plan->group.n_steps))
            written = -1;
        last_read = last_read < written ? written : last_read; /* a value nobody reads still needs its place once */
        if (is_written)
            add_region(plan, node, false, written,
                       stays                ? end_of_time
                       : plan->has_backward ? 2 * n_steps - 1 - written
                                            : last_read);
        if (plan->has_backward && plan->wants_gradient[node] && has_own_gradient) {
            if (plan->is_tap[node])
                first_back = -1;
            int done = written < 0 || (node == 0 && plan->has_input_gradient) ? end_of_time : 2 * n_steps - 1 - written;
            if (undone >= 0)
                done = 2 * n_steps - 1 - undone;
            if (plan->is_tap[node] && plan->net->nodes[node].op != WS_OP_INPUT)
                done = end_of_time;
            /* Where nobody reads the value, a loss may yet read a BatchNorm's statistics. */
            add_region(plan, node, true, first_back < done ? first_back : done, done);
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
static enum ws_status list_group_regions(struct ws_plan *plan, struct ws_err *err)
{
    struct ws_plan_group *group = &plan->group;
    group->regions = ws_arena_alloc(&plan->arena, (size_t)group->n_steps + 1, sizeof *group->regions);
    if (!group->regions)
        return ws_fail(err, WS_E_MEMORY, "no memory to plan %d steps", group->n_steps);
    for (int i = 0; i < group->n_steps; i++) {
        const int node = plan->steps[i].out;
        int last_read = i;
        for (int j = i + 1; j < plan->n_steps; j++)
            if (ws_plan_step_reads(plan, &plan->steps[j], node))
                last_read = j;
        if (plan->is_tap[node] || last_read >= group->n_steps)
            continue;
        const size_t n = (ws_size_mul(ws_plan_image_floats(plan, node), (size_t)group->n_images) + 15) / 16 * 16;
        group->regions[group->n_regions++] = (struct ws_plan_region){n, 0, i, last_read, node, false, false};
    }
    for (int i = 0; i < group->n_regions; i++)
        place(group->regions, i, &group->n_floats);
    return WS_OK;
}

enum ws_status ws_plan_make_regions(struct ws_plan *plan, struct ws_err *err)
{
    size_t n = (size_t)plan->net->n_nodes;
    plan->regions = ws_arena_alloc(&plan->arena, 2 * n, sizeof *plan->regions);
    if (!plan->regions)
        return ws_fail(err, WS_E_MEMORY, "no memory to plan %zu nodes", n);
    list_regions(plan);
    qsort(plan->regions, (size_t)plan->n_regions, sizeof *plan->regions, lasting_first_then_by_size);
    for (int i = 0; i < plan->n_regions && plan->regions[i].is_lasting; i++)
        place(plan->regions, plan->n_lasting_regions++, &plan->n_lasting);
    struct ws_plan_region *passing = plan->regions + plan->n_lasting_regions;
    for (int i = 0; i < plan->n_regions - plan->n_lasting_regions; i++)
        place(passing, i, &plan->n_passing);
    return list_group_regions(plan, err);
}
