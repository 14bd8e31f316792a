/* ReduceMean over any of the sides, and Softmax along one. */
#include "graph/net_int.h"
#include "graph/row.h"
#include "images.h"

#include <math.h>
#include <string.h>

/* --- the shape --- */

int ws_net_reduce_mean(struct ws_net *net, const char *name, int x, const bool axes[WS_N_SIDES])
{
    int id, sides[WS_N_SIDES];
    struct ws_node *node = ws_net_append(net, WS_OP_REDUCE_MEAN, name, x, &id);
    if (!node)
        return 0;
    ws_node_get_sides(node, sides);
    for (int i = 0; i < WS_N_SIDES; i++) {
        node->mean.axes[i] = axes[i];
        sides[i] = axes[i] ? 1 : sides[i];
    }
    ws_node_set_sides(node, sides);
    return id;
}

int ws_net_softmax(struct ws_net *net, const char *name, int x, enum ws_side axis)
{
    int id;
    struct ws_node *node = ws_net_append(net, WS_OP_SOFTMAX, name, x, &id);
    if (!node)
        return 0;
    node->along.axis = axis;
    return id;
}

/* --- values and gradients --- */

/** Walk over the input with arrays x and y, where y stays on one value along the sides that are averaged. */
static struct ws_strides mean_walk(const struct ws_exec_view *view, const struct ws_plan_step *s, float *share)
{
    const struct ws_node *node = &view->net->nodes[s->node], *in = &view->net->nodes[s->x];
    struct ws_strides w = {.n_arrays = 2};
    double n = 1;
    ws_node_dims(in, w.size);
    ws_node_strides(in, w.stride[0]);
    ws_node_strides(node, w.stride[1]);
    for (int side = 0; side < WS_N_SIDES; side++)
        if (node->mean.axes[side]) {
            n *= (double)w.size[side];
            w.stride[1][side] = 0;
        }
    *share = (float)(1 / n);
    ws_strides_join(&w);
    return w;
}

static void mean_image(const struct ws_exec_view *view, const struct ws_plan_step *s, size_t image)
{
    float share;
    const struct ws_strides w = mean_walk(view, s, &share);
    const size_t n = ws_exec_image_floats(view, s->out);
    const float *x = ws_exec_image_value(view, s->x, image);
    float *y = view->value[s->out] + image * n;
    memset(y, 0, n * sizeof *y);
    for (size_t i = 0; i < w.size[0]; i++)
        for (size_t j = 0; j < w.size[1]; j++)
            view->kernels->combine_dx(x + (ptrdiff_t)i * w.stride[0][0] + (ptrdiff_t)j * w.stride[0][1], NULL, false,
                                      w.size[2], w.stride[1][2] == 0,
                                      y + (ptrdiff_t)i * w.stride[1][0] + (ptrdiff_t)j * w.stride[1][1]);
    for (size_t i = 0; i < n; i++)
        y[i] *= share;
}

static void reduce_mean_forward(const struct ws_exec_view *view, const struct ws_plan_step *s)
{
    ws_exec_each_image(view, s, mean_image);
}

static void mean_backward_image(const struct ws_exec_view *view, const struct ws_plan_step *s, size_t image)
{
    float share;
    const struct ws_strides w = mean_walk(view, s, &share);
    const float *gradient = ws_exec_image_gradient(view, s->out, image);
    float *to = ws_exec_image_gradient(view, s->x, image);
    for (size_t i = 0; i < w.size[0]; i++)
        for (size_t j = 0; j < w.size[1]; j++) {
            float *dx = to + (ptrdiff_t)i * w.stride[0][0] + (ptrdiff_t)j * w.stride[0][1];
            const float *dy = gradient + (ptrdiff_t)i * w.stride[1][0] + (ptrdiff_t)j * w.stride[1][1];
            if (w.stride[1][2] != 0)
                view->kernels->axpy(share, dy, w.size[2], dx);
            else
                for (size_t k = 0; k < w.size[2]; k++)
                    dx[k] += share * dy[0];
        }
}

static void reduce_mean_backward(const struct ws_exec_view *view, const struct ws_plan_step *s)
{
    if (ws_exec_open_gradient(view, s->x))
        ws_exec_each_image(view, s, mean_backward_image);
}

/* --- Softmax --- */

/** An image as [outer][length][inner] around the axis. */
struct columns {
    size_t outer, length, inner;
};

static struct columns columns_of(const struct ws_node *node)
{
    struct columns c = {1, 1, 1};
    size_t sides[WS_N_SIDES];
    ws_node_dims(node, sides);
    for (int side = 0; side < WS_N_SIDES; side++) {
        size_t *part = side < (int)node->along.axis ? &c.outer : side > (int)node->along.axis ? &c.inner : &c.length;
        *part *= sides[side];
    }
    return c;
}

static void less_largest(const struct columns *c, const float *x, float *y)
{
    float largest = -INFINITY;
    for (size_t k = 0; k < c->length; k++)
        largest = x[k * c->inner] > largest ? x[k * c->inner] : largest;
    for (size_t k = 0; k < c->length; k++)
        y[k * c->inner] = x[k * c->inner] - largest;
}

static void divide_by_sum(const struct columns *c, float *y)
{
    double sum = 0;
    for (size_t k = 0; k < c->length; k++)
        sum += (double)y[k * c->inner];
    for (size_t k = 0; k < c->length; k++)
        y[k * c->inner] = (float)((double)y[k * c->inner] / sum);
}

static void softmax_image(const struct ws_exec_view *view, const struct ws_plan_step *s, size_t image)
{
    const struct columns c = columns_of(&view->net->nodes[s->node]);
    const size_t n = ws_exec_image_floats(view, s->out), block = c.length * c.inner;
    const float *x = ws_exec_image_value(view, s->x, image);
    float *y = view->value[s->out] + image * n;
    for (size_t i = 0; i < c.outer * c.inner; i++)
        less_largest(&c, x + i / c.inner * block + i % c.inner, y + i / c.inner * block + i % c.inner);
    view->kernels->exponential(y, n, y);
    for (size_t i = 0; i < c.outer * c.inner; i++)
        divide_by_sum(&c, y + i / c.inner * block + i % c.inner);
}

static void softmax_forward(const struct ws_exec_view *view, const struct ws_plan_step *s)
{
    ws_exec_each_image(view, s, softmax_image);
}

static void softmax_backward_image(const struct ws_exec_view *view, const struct ws_plan_step *s, size_t image)
{
    const struct columns c = columns_of(&view->net->nodes[s->node]);
    const float *y = ws_exec_image_value(view, s->out, image), *dy = ws_exec_image_gradient(view, s->out, image);
    float *dx = ws_exec_image_gradient(view, s->x, image);
    for (size_t i = 0; i < c.outer * c.inner; i++) {
        const size_t first = i / c.inner * c.length * c.inner + i % c.inner, end = first + c.length * c.inner;
        double dot = 0;
        for (size_t at = first; at < end; at += c.inner)
            dot += (double)dy[at] * (double)y[at];
        for (size_t at = first; at < end; at += c.inner)
            dx[at] += y[at] * (float)((double)dy[at] - dot);
    }
}

static void softmax_backward(const struct ws_exec_view *view, const struct ws_plan_step *s)
{
    if (ws_exec_open_gradient(view, s->x))
        ws_exec_each_image(view, s, softmax_backward_image);
}

/* --- the rows --- */

const struct ws_op_row ws_op_reduce_mean = {
    .forward = reduce_mean_forward,
    .backward = reduce_mean_backward,
};

const struct ws_op_row ws_op_softmax = {
    .forward = softmax_forward,
    .backward = softmax_backward,
};
