/*
 * Pooling: the largest, or the mean, of each window.
 *
 * A mean divides by the pixels inside the map, or with count_padding by those inside the padded map: a last window of
 * ceil_mode that reaches beyond the padding counts only what is in it (PyTorch and ONNX Runtime).
 */
#include "graph/net_int.h"
#include "graph/row.h"
#include "images.h"
#include "window.h"

/* --- the shape --- */

int ws_net_pool(struct ws_net *net, enum ws_op op, const char *name, int x, struct ws_window window, bool ceil_mode,
                bool count_padding)
{
    int id;
    struct ws_node *node = ws_net_append(net, op, name, x, &id);
    if (!node)
        return 0;
    for (int axis = 0; axis < 2; axis++)
        if (window.pads[axis] >= window.kernel[axis] || window.pads[axis + 2] >= window.kernel[axis]) {
            ws_fail(&net->err, WS_E_CONFIG, "node \"%s\": padding of %d and %d would give a window of %d no pixel",
                    name, window.pads[axis], window.pads[axis + 2], window.kernel[axis]);
            return 0;
        }
    node->pool.window = window;
    node->pool.count_padding = count_padding;
    return ws_net_set_window(net, id, &window, ceil_mode) ? id : 0;
}

int ws_net_max_pool(struct ws_net *net, const char *name, int x, struct ws_window window)
{
    return ws_net_pool(net, WS_OP_MAX_POOL, name, x, window, false, false);
}

int ws_net_average_pool(struct ws_net *net, const char *name, int x, struct ws_window window)
{
    return ws_net_pool(net, WS_OP_AVERAGE_POOL, name, x, window, false, false);
}

int ws_net_global_average_pool(struct ws_net *net, const char *name, int x)
{
    int id;
    struct ws_node *node = ws_net_append(net, WS_OP_GLOBAL_AVERAGE_POOL, name, x, &id);
    if (!node)
        return 0;
    node->height = node->width = 1;
    return id;
}

/* --- values and gradients --- */

/** Taps of a window along one axis: the first inside the map, how many, and how many inside the padded map. */
struct taps {
    int first, n, n_padded;
};

static struct taps taps_of(const struct ws_window *w, int axis, int out, int in)
{
    const int dilation = w->dilation[axis], start = out * w->stride[axis] - w->pads[axis];
    struct taps t = {.first = -1};
    for (int k = 0; k < w->kernel[axis]; k++) {
        const int at = start + k * dilation;
        if (at < in + w->pads[axis + 2])
            t.n_padded++;
        if (at >= 0 && at < in) {
            t.first = t.n == 0 ? at : t.first;
            t.n++;
        }
    }
    return t;
}

/** The window of output (oy, ox); *at is where it begins in the image. */
static struct ws_pool_window window_of(const struct ws_node *in, const struct ws_node *node, int oy, int ox, size_t *at)
{
    const size_t channels = (size_t)in->channels, row = (size_t)in->width * channels;
    struct ws_pool_window p = {.channels = channels, .row_stride = row, .column_stride = channels};
    if (node->op == WS_OP_GLOBAL_AVERAGE_POOL) {
        p.rows = (size_t)in->height;
        p.columns = (size_t)in->width;
        p.share = 1.0F / (float)(p.rows * p.columns);
        *at = 0;
        return p;
    }
    const struct ws_window *w = &node->pool.window;
    const struct taps y = taps_of(w, 0, oy, in->height), x = taps_of(w, 1, ox, in->width);
    p.rows = (size_t)y.n;
    p.columns = (size_t)x.n;
    p.row_stride *= (size_t)w->dilation[0];
    p.column_stride *= (size_t)w->dilation[1];
    p.is_max = node->op == WS_OP_MAX_POOL;
    const int divisor = node->pool.count_padding ? y.n_padded * x.n_padded : y.n * x.n;
    p.share = divisor > 0 ? 1.0F / (float)divisor : 0;
    *at = y.n > 0 && x.n > 0 ? (size_t)y.first * row + (size_t)x.first * channels : 0;
    return p;
}

static void forward_image(const struct ws_exec_view *view, const struct ws_plan_step *s, size_t image)
{
    const struct ws_node *node = &view->net->nodes[s->node], *in = &view->net->nodes[s->x];
    const float *x = ws_exec_image_value(view, s->x, image);
    float *y = view->value[s->out] + image * ws_exec_image_floats(view, s->out);
    for (int oy = 0; oy < node->height; oy++)
        for (int ox = 0; ox < node->width; ox++, y += node->channels) {
            size_t at;
            const struct ws_pool_window w = window_of(in, node, oy, ox, &at);
            view->kernels->pool(&w, x + at, y);
        }
}

static void pool_forward(const struct ws_exec_view *view, const struct ws_plan_step *s)
{
    ws_exec_each_image(view, s, forward_image);
}

static void backward_image(const struct ws_exec_view *view, const struct ws_plan_step *s, size_t image)
{
    const struct ws_node *node = &view->net->nodes[s->node], *in = &view->net->nodes[s->x];
    const float *x = ws_exec_image_value(view, s->x, image), *y = ws_exec_image_value(view, s->out, image);
    const float *dy = ws_exec_image_gradient(view, s->out, image);
    float *dx = ws_exec_image_gradient(view, s->x, image);
    for (int oy = 0; oy < node->height; oy++)
        for (int ox = 0; ox < node->width; ox++, y += node->channels, dy += node->channels) {
            size_t at;
            const struct ws_pool_window w = window_of(in, node, oy, ox, &at);
            view->kernels->pool_dx(&w, x + at, y, dy, dx + at);
        }
}

static void pool_backward(const struct ws_exec_view *view, const struct ws_plan_step *s)
{
    if (ws_exec_open_gradient(view, s->x))
        ws_exec_each_image(view, s, backward_image);
}

/* --- the rows --- */

const struct ws_op_row ws_op_max_pool = {
    .forward = pool_forward,
    .backward = pool_backward,
};

const struct ws_op_row ws_op_average_pool = {
    .forward = pool_forward,
    .backward = pool_backward,
};

const struct ws_op_row ws_op_global_average_pool = {
    .forward = pool_forward,
    .backward = pool_backward,
};
