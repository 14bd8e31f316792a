/*
 * Depthwise convolution (one input and one output channel a group): no product, but a walk over vectors of channels;
 * see cpu/depthwise_impl.h. dX at stride 1 is the same walk over dY with the turned kernel, at other strides each pixel
 * gathers what it reached.
 */
#include "depthwise.h"

#include <string.h>

enum { CHUNK_FLOATS = 16 * 1024 }; /* output rows finished together: they stay in the second-level cache */

bool ws_depthwise_fits(const struct ws_conv *p)
{
    return p->node->op == WS_OP_CONV && p->in_group == 1 && p->out_group == 1;
}

size_t ws_depthwise_scratch(const struct ws_conv *p)
{
    return (p->has_before ? p->in_floats : 0) + (p->after ? p->rows_per_image * p->n_out : 0);
}

void ws_depthwise_forward(const struct ws_conv *p, const struct ws_epilogue *f, size_t n_images, const float *x,
                          float *scratch, float *y)
{
    size_t pixels = p->in_floats / p->n_in;
    size_t row = (size_t)p->g.out_width * p->n_out;
    int chunk = row < CHUNK_FLOATS ? (int)(CHUNK_FLOATS / row) : 1;
    for (size_t i = 0; i < n_images; i++) {
        const float *image = ws_conv_input_rows(p, x + i * p->in_floats, pixels, scratch);
        for (int first = 0; first < p->g.out_height; first += chunk) {
            int end = p->g.out_height - first < chunk ? p->g.out_height : first + chunk;
            size_t at = i * p->rows_per_image + (size_t)first * (size_t)p->g.out_width;
            p->e->kernels->depthwise(&p->g, image, ws_exec_param_values(p->e, p->node, 0), first, end, false,
                                     y + at * p->n_out);
            ws_epilogue_finish(f, y, at, (size_t)(end - first) * (size_t)p->g.out_width);
        }
    }
}

void ws_depthwise_backward(const struct ws_conv *p, const struct ws_conv_slice *s, const struct ws_geometry *turned)
{
    const struct ws_kernels *kernels = p->e->kernels;
    const float *weight = ws_exec_param_values(p->e, p->node, 0);
    size_t out = p->rows_per_image * p->n_out, pixels = p->in_floats / p->n_in;
    float *for_dy = s->scratch + (p->has_before ? p->in_floats : 0);
    if (s->partial)
        memset(s->partial, 0, p->n_out * p->k * sizeof *s->partial);
    for (size_t i = 0; i < s->n_images; i++) {
        const float *dy = ws_conv_gradient_rows(p, s->dy + i * out, s->y + i * out, p->rows_per_image, for_dy);
        if (s->partial)
            kernels->depthwise_dw(&p->g, ws_conv_input_rows(p, s->x + i * p->in_floats, pixels, s->scratch), dy,
                                  s->partial);
        if (s->dx && p->turned)
            kernels->depthwise(turned, dy, p->turned, 0, turned->out_height, p->add_dx, s->dx + i * p->in_floats);
        else if (s->dx)
            kernels->depthwise_dx(&p->g, dy, weight, p->add_dx, s->dx + i * p->in_floats);
    }
}
