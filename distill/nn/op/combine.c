/* Add and Mul of two values, a side of 1 repeated to the other's; Add with the ReLU fused behind it. */
#include "graph/net_int.h"
#include "graph/row.h"
#include "images.h"

/* --- the shape --- */

/** Add and Mul: equal sides, or 1 against anything. */
static int combine(struct ws_net *net, enum ws_op op, const char *name, int a, int b)
{
    int id = ws_net_add_node(net, op, name, a, b);
    if (net->err.status != WS_OK)
        return 0;
    int sa[WS_N_SIDES], sb[WS_N_SIDES];
    ws_node_get_sides(&net->nodes[a], sa);
    ws_node_get_sides(&net->nodes[b], sb);
    for (int i = 0; i < WS_N_SIDES; i++) {
        if (sa[i] != sb[i] && sa[i] != 1 && sb[i] != 1) {
            ws_fail(&net->err, WS_E_CONFIG,
                    "node \"%s\": %s of %d x %d x %d and %d x %d x %d: sides must be equal or 1", name, ws_op_name(op),
                    sa[0], sa[1], sa[2], sb[0], sb[1], sb[2]);
            return 0;
        }
        sa[i] = sa[i] > sb[i] ? sa[i] : sb[i];
    }
    ws_node_set_sides(&net->nodes[id], sa);
    return id;
}

int ws_net_add(struct ws_net *net, const char *name, int a, int b)
{
    return combine(net, WS_OP_ADD, name, a, b);
}

int ws_net_mul(struct ws_net *net, const char *name, int a, int b)
{
    return combine(net, WS_OP_MUL, name, a, b);
}

/* --- values and gradients --- */

/** Walk over the output with arrays y, a, b. */
static struct ws_strides walk_of(const struct ws_exec_view *view, const struct ws_plan_step *s)
{
    struct ws_strides w = {.n_arrays = 3};
    const int nodes[] = {s->node, s->x, s->other};
    ws_node_dims(&view->net->nodes[s->node], w.size);
    for (int i = 0; i < 3; i++) {
        size_t sides[WS_N_SIDES];
        ws_node_dims(&view->net->nodes[nodes[i]], sides);
        ws_node_strides(&view->net->nodes[nodes[i]], w.stride[i]);
        for (int side = 0; side < WS_N_SIDES; side++)
            w.stride[i][side] = sides[side] == w.size[side] ? w.stride[i][side] : 0;
    }
    ws_strides_join(&w);
    return w;
}

static ptrdiff_t offset(const struct ws_strides *w, int array, size_t i, size_t j)
{
    return (ptrdiff_t)i * w->stride[array][0] + (ptrdiff_t)j * w->stride[array][1];
}

static void forward_image(const struct ws_exec_view *view, const struct ws_plan_step *s, size_t image)
{
    const struct ws_strides w = walk_of(view, s);
    const float *a = ws_exec_image_value(view, s->x, image), *b = ws_exec_image_value(view, s->other, image);
    float *y = view->value[s->out] + image * ws_exec_image_floats(view, s->out);
    for (size_t i = 0; i < w.size[0]; i++)
        for (size_t j = 0; j < w.size[1]; j++)
            view->kernels->combine(s->op == WS_OP_MUL, a + offset(&w, 1, i, j), w.stride[1][2] == 0,
                                   b + offset(&w, 2, i, j), w.stride[2][2] == 0, w.size[2], s->top > 0,
                                   y + offset(&w, 0, i, j));
}

static void combine_forward(const struct ws_exec_view *view, const struct ws_plan_step *s)
{
    ws_exec_each_image(view, s, forward_image);
}

/** Gradient of operand `to` (1: a, 2: b). */
static void backward_operand(const struct ws_exec_view *view, const struct ws_plan_step *s, size_t image,
                             const struct ws_strides *w, int to)
{
    const int node = to == 1 ? s->x : s->other, from = 3 - to;
    const float *dy = ws_exec_image_gradient(view, s->out, image);
    const float *other = s->op == WS_OP_MUL ? ws_exec_image_value(view, to == 1 ? s->other : s->x, image) : NULL;
    float *dx = ws_exec_image_gradient(view, node, image);
    for (size_t i = 0; i < w->size[0]; i++)
        for (size_t j = 0; j < w->size[1]; j++)
            view->kernels->combine_dx(dy + offset(w, 0, i, j), other ? other + offset(w, from, i, j) : NULL,
                                      w->stride[from][2] == 0, w->size[2], w->stride[to][2] == 0,
                                      dx + offset(w, to, i, j));
}

static void backward_image(const struct ws_exec_view *view, const struct ws_plan_step *s, size_t image)
{
    const struct ws_strides w = walk_of(view, s);
    float *dy = ws_exec_image_gradient(view, s->out, image);
    if (s->top > 0)
        view->kernels->relu_dx(dy, ws_exec_image_value(view, s->out, image), ws_exec_image_floats(view, s->out), false,
                               dy);
    if (view->plan->wants_gradient[s->x])
        backward_operand(view, s, image, &w, 1);
    if (view->plan->wants_gradient[s->other])
        backward_operand(view, s, image, &w, 2);
}

static void combine_backward(const struct ws_exec_view *view, const struct ws_plan_step *s)
{
    if (ws_exec_open_gradients(view, s))
        ws_exec_each_image(view, s, backward_image);
}

/* --- the rows --- */

const struct ws_op_row ws_op_add = {
    .forward = combine_forward,
    .backward = combine_backward,
};

const struct ws_op_row ws_op_mul = {
    .forward = combine_forward,
    .backward = combine_backward,
};
