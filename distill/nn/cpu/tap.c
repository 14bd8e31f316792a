/* Values that go from one network into another, and their gradients back. */
#include "exec_int.h"

#include <string.h>

const struct ws_node *ws_tap_node(struct ws_tap tap)
{
    ws_assert(tap.node >= 0 && tap.node < tap.exec->plan.net->n_nodes);
    return &tap.exec->plan.net->nodes[tap.node];
}

size_t ws_tap_floats(struct ws_tap tap)
{
    return ws_plan_image_floats(&tap.exec->plan, tap.node);
}

/* Rows `row` to row + n of an input must be there. */
static size_t offset_of(const struct ws_exec *to, int row, int n, size_t floats)
{
    ws_assert(floats == ws_plan_image_floats(&to->plan, 0) && row >= 0 && row + n <= to->plan.max_batch);
    return (size_t)row * floats;
}

void ws_tap_copy(struct ws_tap from, int n, struct ws_exec *to, int row)
{
    const size_t floats = ws_tap_floats(from);
    memcpy(ws_exec_input(to) + offset_of(to, row, n, floats), ws_exec_value(from.exec, from.node),
           (size_t)n * floats * sizeof(float));
}

void ws_tap_return(struct ws_tap from, int n, const struct ws_exec *to, int row)
{
    const size_t floats = ws_tap_floats(from), n_values = (size_t)n * floats;
    const float *wanted = ws_exec_input_gradient(to) + offset_of(to, row, n, floats);
    float *gradient = ws_exec_output_gradient(from.exec, from.node);
    for (size_t i = 0; gradient && i < n_values; i++)
        gradient[i] += wanted[i];
}
