/*
 * Depthwise convolution (one input and one output channel a group): no product, but a walk over vectors of channels;
 * see depthwise_impl.h. dX at stride 1 is the same walk over dY with the turned kernel, at other strides each pixel
 * gathers what it reached.
 */
#include "depthwise.h"

#include <string.h>

enum { CHUNK_FLOATS = 16 * 1024 }; /* output rows finished together: they stay in the second-level cache */

bool depthwise_fits(const struct product *p)
{
    return p->node->op == WS_OP_CONV && p->in_group == 1 && p->out_group == 1;
}

void depthwise_forward(const struct product *p, const struct epilogue *f, size_t n_images, const float *x, float *y)
{
    size_t row = (size_t)p->g.out_width * p->n_out;
    int chunk = row < CHUNK_FLOATS ? (int)(CHUNK_FLOATS / row) : 1;
    for (size_t i = 0; i < n_images; i++)
        for (int first = 0; first < p->g.out_height; first += chunk) {
            int end = p->g.out_height - first < chunk ? p->g.out_height : first + chunk;
            size_t at = i * p->rows_per_image + (size_t)first * (size_t)p->g.out_width;
            p->e->kernels->depthwise(&p->g, x + i * p->in_floats, param_values(p->e, p->node, 0), first, end, false,
                                     y + at * p->n_out);
            finish_rows(f, y, at, (size_t)(end - first) * (size_t)p->g.out_width);
        }
}

void depthwise_backward_weight(const struct product *p, size_t n_images, const float *x, const float *dy,
                               float *partial)
{
    memset(partial, 0, p->n_out * p->k * sizeof *partial);
    for (size_t i = 0; i < n_images; i++)
        p->e->kernels->depthwise_dw(&p->g, x + i * p->in_floats, dy + i * p->rows_per_image * p->n_out, partial);
}

void depthwise_backward_input(const struct product *p, const struct ws_geometry *turned, size_t n_images,
                              const float *dy, float *dx)
{
    const struct ws_kernels *kernels = p->e->kernels;
    for (size_t i = 0; i < n_images; i++) {
        const float *from = dy + i * p->rows_per_image * p->n_out;
        float *to = dx + i * p->in_floats;
        if (p->turned)
            kernels->depthwise(turned, from, p->turned, 0, turned->out_height, p->add_dx, to);
        else
            kernels->depthwise_dx(&p->g, from, param_values(p->e, p->node, 0), p->add_dx, to);
    }
}
