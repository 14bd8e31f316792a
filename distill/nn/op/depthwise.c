/*
 * Depthwise convolution (one input and one output channel a group): no product, but a walk over vectors of channels;
 * see cpu/depthwise_impl.h. dX at stride 1 is the same walk over dY with the flipped kernel, at other strides each
 * pixel gathers what it reached.
 */
#include "conv_int.h"

#include <string.h>

enum { CHUNK_FLOATS = 16 * 1024 }; /* output rows finished together: they stay in the second-level cache */

static bool fits(const struct ws_conv_shape *c)
{
    return c->node->op == WS_OP_CONV && c->in_group == 1 && c->out_group == 1;
}

/** Images to which a BatchNorm's part was done. */
static void scratch_of(const struct ws_plan *plan, const struct ws_plan_step *s, const struct ws_conv_shape *c,
                       struct ws_conv_scratch *wanted)
{
    (void)plan;
    wanted->worker = (s->before >= 0 ? c->in_floats : 0) + (s->after >= 0 ? c->rows_per_image * c->n_out : 0);
    wanted->weight = c->n_weight;
}

static void forward_images(const struct ws_conv *p, const struct ws_epilogue *f, size_t n_images, const float *x,
                           float *scratch, float *y)
{
    const struct ws_conv_shape *c = &p->shape;
    size_t pixels = c->in_floats / c->n_in;
    size_t row = (size_t)c->g.out_width * c->n_out;
    int chunk = row < CHUNK_FLOATS ? (int)(CHUNK_FLOATS / row) : 1;
    for (size_t i = 0; i < n_images; i++) {
        const float *image = ws_conv_input_rows(p, x + i * c->in_floats, pixels, scratch);
        for (int first = 0; first < c->g.out_height; first += chunk) {
            int end = c->g.out_height - first < chunk ? c->g.out_height : first + chunk;
            size_t at = i * c->rows_per_image + (size_t)first * (size_t)c->g.out_width;
            p->view->kernels->depthwise(&c->g, image, ws_exec_param_values(p->view, c->node, 0), first, end, false,
                                        y + at * c->n_out);
            ws_epilogue_finish(f, y, at, (size_t)(end - first) * (size_t)c->g.out_width);
        }
    }
}

static void forward(struct ws_conv *p)
{
    ws_conv_run_forward(p, forward_images);
}

/** dW and dX, image by image. */
static void backward_images(const struct ws_conv *p, const struct ws_conv_slice *s)
{
    const struct ws_kernels *kernels = p->view->kernels;
    const struct ws_conv_shape *c = &p->shape;
    const struct ws_geometry flipped = ws_conv_flipped_geometry(c);
    const float *weight = ws_exec_param_values(p->view, c->node, 0);
    size_t out = c->rows_per_image * c->n_out, pixels = c->in_floats / c->n_in;
    float *for_dy = s->scratch + (p->s->before >= 0 ? c->in_floats : 0);
    if (s->partial)
        memset(s->partial, 0, c->n_weight * sizeof *s->partial);
    for (size_t i = 0; i < s->n_images; i++) {
        const float *dy = ws_conv_gradient_rows(p, s->dy + i * out, s->y + i * out, c->rows_per_image, for_dy);
        if (s->partial)
            kernels->depthwise_dw(&c->g, ws_conv_input_rows(p, s->x + i * c->in_floats, pixels, s->scratch), dy,
                                  s->partial);
        if (s->dx && p->flipped)
            kernels->depthwise(&flipped, dy, p->flipped, 0, flipped.out_height, p->add_dx, s->dx + i * c->in_floats);
        else if (s->dx)
            kernels->depthwise_dx(&c->g, dy, weight, p->add_dx, s->dx + i * c->in_floats);
    }
}

static void backward(struct ws_conv *p)
{
    if (p->want_dx && ws_conv_has_stride_1(&p->shape) && !p->shape.is_product)
        ws_conv_flip(p);
    ws_conv_run_backward(p, backward_images);
    if (p->want_dw)
        ws_conv_reduce_weight(p);
}

const struct ws_conv_way ws_conv_depthwise = {
    .plan = {.name = "depthwise", .reads_by_rows = true, .undoes_by_rows = true, .is_for_one_worker = true},
    .fits = fits,
    .scratch = scratch_of,
    .forward = forward,
    .backward = backward,
};
