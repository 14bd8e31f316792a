/* Resize of height and width by the formulas of ONNX's operator of that name: nearest and linear. */
#include "graph/net_int.h"
#include "graph/row.h"
#include "images.h"

#include <math.h>
#include <string.h>

/* --- the shape --- */

int ws_net_resize(struct ws_net *net, const char *name, int x, int height, int width, struct ws_resize resize)
{
    int id;
    struct ws_node *node = ws_net_append(net, WS_OP_RESIZE, name, x, &id);
    if (!node)
        return 0;
    if (height < 1 || width < 1) {
        ws_fail(&net->err, WS_E_CONFIG, "node \"%s\": resized to %d x %d", name, height, width);
        return 0;
    }
    node->resize = resize;
    node->height = height;
    node->width = width;
    return id;
}

/* --- values and gradients --- */

/** The input pixels that an output pixel reads along one axis, and the weight of the second. */
struct taps {
    size_t first, second;
    float share;
};

static double coordinate(const struct ws_resize *r, int axis, int i, int in, int out)
{
    const double scale = r->scale[axis] > 0 ? r->scale[axis] : (double)out / in;
    switch (r->grid) {
    case WS_GRID_HALF_PIXEL:
        return (i + 0.5) / scale - 0.5;
    case WS_GRID_PYTORCH_HALF_PIXEL:
        return out > 1 ? (i + 0.5) / scale - 0.5 : 0;
    case WS_GRID_ALIGN_CORNERS:
        return out > 1 ? (double)i * (in - 1) / (out - 1) : 0;
    case WS_GRID_ASYMMETRIC:
        break;
    }
    return i / scale;
}

static double round_to(enum ws_resize_round rounding, double at)
{
    switch (rounding) {
    case WS_ROUND_PREFER_FLOOR:
        return ceil(at - 0.5);
    case WS_ROUND_PREFER_CEIL:
        return floor(at + 0.5);
    case WS_ROUND_CEIL:
        return ceil(at);
    case WS_ROUND_FLOOR:
        break;
    }
    return floor(at);
}

static struct taps taps_of(const struct ws_resize *r, int axis, int i, int in, int out)
{
    const double last = in - 1, at = coordinate(r, axis, i, in, out);
    if (!r->is_linear) {
        const size_t nearest = (size_t)fmin(fmax(round_to(r->rounding, at), 0), last);
        return (struct taps){nearest, nearest, 0};
    }
    const double inside = fmin(fmax(at, 0), last);
    const size_t first = (size_t)inside;
    return (struct taps){first, first + 1 < (size_t)in ? first + 1 : first, (float)(inside - (double)first)};
}

static void nearest_image(const struct ws_exec_view *view, const struct ws_plan_step *s, size_t image)
{
    const struct ws_node *node = &view->net->nodes[s->node], *in = &view->net->nodes[s->x];
    const size_t c = (size_t)in->channels, row = (size_t)in->width * c, out_row = (size_t)node->width * c;
    const float *x = ws_exec_image_value(view, s->x, image);
    float *y = view->value[s->out] + image * ws_exec_image_floats(view, s->out);
    size_t above = (size_t)in->height; /* input row of the output row above */
    for (int oy = 0; oy < node->height; oy++, y += out_row) {
        const size_t iy = taps_of(&node->resize, 0, oy, in->height, node->height).first;
        if (iy == above) {
            memcpy(y, y - out_row, out_row * sizeof *y);
            continue;
        }
        above = iy;
        for (int ox = 0; ox < node->width; ox++) {
            const size_t ix = taps_of(&node->resize, 1, ox, in->width, node->width).first;
            memcpy(y + (size_t)ox * c, x + iy * row + ix * c, c * sizeof *y);
        }
    }
}

/** Forward: y += share x; backward: dx += share dy, for each pixel that an output pixel reads. */
static void linear_values(const struct ws_exec_view *view, const struct ws_plan_step *s, bool backward,
                          const float *source, float *target)
{
    const struct ws_node *node = &view->net->nodes[s->node], *in = &view->net->nodes[s->x];
    const size_t c = (size_t)in->channels, row = (size_t)in->width * c;
    size_t out = 0;
    for (int oy = 0; oy < node->height; oy++) {
        const struct taps y = taps_of(&node->resize, 0, oy, in->height, node->height);
        for (int ox = 0; ox < node->width; ox++, out += c) {
            const struct taps x = taps_of(&node->resize, 1, ox, in->width, node->width);
            const size_t at[] = {y.first * row + x.first * c, y.first * row + x.second * c,
                                 y.second * row + x.first * c, y.second * row + x.second * c};
            const float share[] = {(1 - y.share) * (1 - x.share), (1 - y.share) * x.share, y.share * (1 - x.share),
                                   y.share * x.share};
            for (int k = 0; k < 4; k++)
                if (share[k] > 0)
                    view->kernels->axpy(share[k], source + (backward ? out : at[k]), c,
                                        target + (backward ? at[k] : out));
        }
    }
}

static void linear_image(const struct ws_exec_view *view, const struct ws_plan_step *s, size_t image)
{
    const size_t n = ws_exec_image_floats(view, s->out);
    float *y = view->value[s->out] + image * n;
    memset(y, 0, n * sizeof *y);
    linear_values(view, s, false, ws_exec_image_value(view, s->x, image), y);
}

static void resize_forward(const struct ws_exec_view *view, const struct ws_plan_step *s)
{
    ws_exec_each_image(view, s, view->net->nodes[s->node].resize.is_linear ? linear_image : nearest_image);
}

/** Nearest is a linear one whose second pixel has no share. */
static void backward_image(const struct ws_exec_view *view, const struct ws_plan_step *s, size_t image)
{
    linear_values(view, s, true, ws_exec_image_gradient(view, s->out, image),
                  ws_exec_image_gradient(view, s->x, image));
}

static void resize_backward(const struct ws_exec_view *view, const struct ws_plan_step *s)
{
    if (ws_exec_open_gradient(view, s->x))
        ws_exec_each_image(view, s, backward_image);
}

const struct ws_op_row ws_op_resize = {
    .forward = resize_forward,
    .backward = resize_backward,
};
