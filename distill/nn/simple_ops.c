/* ReLU, Add and pooling: a pass over the slice's images, forward and backward. */
#include "exec_int.h"

#include <math.h>
#include <string.h>

struct pass {
    struct ws_exec *e;
    const struct step *s;
    bool add[2]; /* whether the gradients of x and other are added to */
};

/** The window of output (oy, ox), cut to the map. */
struct patch {
    int y0, y1, x0, x1;
};

static struct patch patch_of(const struct ws_node *in, const struct ws_node *node, int oy, int ox)
{
    if (node->op == WS_OP_GLOBAL_AVERAGE_POOL)
        return (struct patch){0, in->height, 0, in->width};
    const struct ws_window *w = &node->window;
    int y = oy * w->stride[0] - w->pads[0], x = ox * w->stride[1] - w->pads[1];
    struct patch p = {y, y + w->kernel[0], x, x + w->kernel[1]};
    p.y0 = p.y0 < 0 ? 0 : p.y0;
    p.x0 = p.x0 < 0 ? 0 : p.x0;
    p.y1 = p.y1 > in->height ? in->height : p.y1;
    p.x1 = p.x1 > in->width ? in->width : p.x1;
    return p;
}

/** Pool one image; `is_max` picks the largest, else the mean of the pixels inside the map. */
static void pool_image(const struct ws_node *in, const struct ws_node *node, const float *x, float *y)
{
    size_t channels = (size_t)in->channels;
    bool is_max = node->op == WS_OP_MAX_POOL;
    for (int oy = 0; oy < node->height; oy++)
        for (int ox = 0; ox < node->width; ox++, y += channels) {
            struct patch p = patch_of(in, node, oy, ox);
            float share = 1.0F / (float)((p.y1 - p.y0) * (p.x1 - p.x0));
            for (size_t c = 0; c < channels; c++)
                y[c] = is_max ? -INFINITY : 0;
            for (int iy = p.y0; iy < p.y1; iy++)
                for (int ix = p.x0; ix < p.x1; ix++) {
                    const float *pixel = x + ((size_t)iy * (size_t)in->width + (size_t)ix) * channels;
                    for (size_t c = 0; c < channels; c++) {
                        if (!is_max)
                            y[c] += pixel[c];
                        else if (pixel[c] > y[c] || isnan(pixel[c]))
                            y[c] = pixel[c];
                    }
                }
            for (size_t c = 0; c < channels && !is_max; c++)
                y[c] *= share;
        }
}

/** Give each output's gradient to its pixels: an equal share, or all to the first largest. */
static void unpool_image(const struct ws_node *in, const struct ws_node *node, const float *x, const float *y,
                         const float *dy, float *dx)
{
    size_t channels = (size_t)in->channels;
    bool is_max = node->op == WS_OP_MAX_POOL;
    for (int oy = 0; oy < node->height; oy++)
        for (int ox = 0; ox < node->width; ox++, y += channels, dy += channels) {
            struct patch p = patch_of(in, node, oy, ox);
            float share = 1.0F / (float)((p.y1 - p.y0) * (p.x1 - p.x0));
            for (size_t c = 0; c < channels; c++) {
                bool is_given = false;
                for (int iy = p.y0; iy < p.y1 && !is_given; iy++)
                    for (int ix = p.x0; ix < p.x1 && !is_given; ix++) {
                        size_t at = ((size_t)iy * (size_t)in->width + (size_t)ix) * channels + c;
                        if (!is_max) {
                            dx[at] += dy[c] * share;
                        } else if (x[at] == y[c]) {
                            dx[at] += dy[c];
                            is_given = true;
                        }
                    }
            }
        }
}

static void forward_slice(void *argument, int slice, int worker)
{
    (void)worker;
    const struct pass *p = argument;
    const struct ws_exec *e = p->e;
    const struct step *s = p->s;
    const struct ws_node *node = &e->net->nodes[s->node], *in = &e->net->nodes[s->x];
    size_t first = slice_begin(e, slice), end = slice_begin(e, slice + 1);
    size_t in_floats = image_floats(e, s->x), out_floats = image_floats(e, s->out);
    const float *x = e->value[s->x] + first * in_floats;
    float *y = e->value[s->out] + first * out_floats;
    if (node->op == WS_OP_RELU || node->op == WS_OP_ADD) {
        const float *zeros = e->constants + e->max_channels;
        e->kernels->scale_shift(x, (end - first) * (size_t)in->height * (size_t)in->width, in->channels, e->constants,
                                zeros, s->other >= 0 ? e->value[s->other] + first * in_floats : NULL, s->relu, y);
        return;
    }
    for (size_t i = first; i < end; i++, x += in_floats, y += out_floats)
        pool_image(in, node, x, y);
}

void simple_forward(struct ws_exec *e, const struct step *s)
{
    struct pass p = {.e = e, .s = s};
    memset(e->constants + e->max_channels, 0, e->max_channels * sizeof(float));
    ws_pool_run(e->pool, N_SLICES, forward_slice, &p);
}

static void backward_slice(void *argument, int slice, int worker)
{
    (void)worker;
    const struct pass *p = argument;
    struct ws_exec *e = p->e;
    const struct step *s = p->s;
    const struct ws_node *node = &e->net->nodes[s->node], *in = &e->net->nodes[s->x];
    size_t first = slice_begin(e, slice), end = slice_begin(e, slice + 1);
    size_t in_floats = image_floats(e, s->x), out_floats = image_floats(e, s->out);
    const float *dy = e->gradient[s->out] + first * out_floats, *y = e->value[s->out] + first * out_floats;
    if (node->op == WS_OP_RELU || node->op == WS_OP_ADD) {
        const int to[] = {s->x, s->other};
        for (int i = 0; i < 2; i++)
            if (to[i] >= 0 && e->wants_gradient[to[i]])
                e->kernels->relu_dx(dy, s->relu ? y : NULL, (end - first) * out_floats, p->add[i],
                                    e->gradient[to[i]] + first * in_floats);
        return;
    }
    float *dx = e->gradient[s->x] + first * in_floats;
    const float *x = e->value[s->x] + first * in_floats;
    if (!p->add[0])
        memset(dx, 0, (end - first) * in_floats * sizeof *dx);
    for (size_t i = first; i < end; i++, x += in_floats, dx += in_floats, y += out_floats, dy += out_floats)
        unpool_image(in, node, x, y, dy, dx);
}

void simple_backward(struct ws_exec *e, const struct step *s)
{
    struct pass p = {.e = e, .s = s};
    if (e->wants_gradient[s->x])
        p.add[0] = accumulate_into(e, s->x);
    if (s->other >= 0 && e->wants_gradient[s->other])
        p.add[1] = accumulate_into(e, s->other);
    if (e->wants_gradient[s->x] || (s->other >= 0 && e->wants_gradient[s->other]))
        ws_pool_run(e->pool, N_SLICES, backward_slice, &p);
}
