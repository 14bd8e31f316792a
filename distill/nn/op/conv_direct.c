/*
 * Direct convolution of a padded copy of each image: for narrow maps, because making and packing patches would cost as
 * much as the product. Groups are convolutions of a range of channels each: the padded copy holds one group's, outputs
 * and weights are walked with the pitch of all.
 */
#include "conv_int.h"

#include <string.h>

enum {
    MAX_CHANNELS = 128,
    MAX_FLOATS = 128 * 1024, /* of a padded image: half of a 1 MiB second-level cache */
};

/** Floats of a group's image inside its frame. */
static size_t padded_floats(const struct ws_geometry *g)
{
    return ((size_t)g->height + 2 * (size_t)g->pad[0]) * ((size_t)g->width + 2 * (size_t)g->pad[0]) *
           (size_t)g->channels;
}

static bool is_narrow(const struct ws_geometry *g, size_t n_out)
{
    return n_out % WS_DIRECT_LANES == 0 && n_out <= MAX_CHANNELS && g->channels <= MAX_CHANNELS && g->pad[0] >= 0 &&
           padded_floats(g) <= MAX_FLOATS;
}

/** The direct convolution of one group into maps of `out_pitch` channels. */
static struct ws_direct direct_of(const struct ws_geometry *g, size_t n_out, size_t out_pitch)
{
    return (struct ws_direct){g->width + 2 * g->pad[0],
                              g->channels,
                              g->kernel[0],
                              g->stride[0],
                              g->out_height,
                              g->out_width,
                              (int)n_out,
                              (int)out_pitch};
}

/** A group's image inside its frame: itself when there is no frame and no other group, else a copy in `scratch`. */
static const float *framed(const struct ws_kernels *kernels, const struct ws_geometry *g, const float *x,
                           float *scratch)
{
    if (g->pad[0] == 0 && g->pitch == g->channels)
        return x;
    kernels->pad_image(x, g->height, g->width, g->channels, g->pitch, g->pad[0], scratch);
    return scratch;
}

static bool fits(const struct ws_conv_shape *c)
{
    return c->is_square && is_narrow(&c->g, c->out_group);
}

static void scratch_of(const struct ws_plan *plan, const struct ws_plan_step *s, const struct ws_conv_shape *c,
                       struct ws_conv_scratch *wanted)
{
    (void)plan;
    (void)s;
    wanted->worker = padded_floats(&c->g);
    wanted->weight = c->n_weight;
}

static void forward_images(const struct ws_conv *p, const struct ws_epilogue *f, size_t n_images, const float *x,
                           float *scratch, float *y)
{
    const struct ws_kernels *kernels = p->view->kernels;
    const struct ws_conv_shape *c = &p->shape;
    const struct ws_direct d = direct_of(&c->g, c->out_group, c->n_out);
    for (size_t i = 0; i < n_images; i++) {
        for (size_t group = 0; group < c->n_groups; group++) {
            size_t at = group * c->out_group;
            const float *image = framed(kernels, &c->g, x + i * c->in_floats + group * c->in_group, scratch);
            kernels->conv_direct(&d, image, ws_exec_param_values(p->view, c->node, 0) + at, false,
                                 y + i * c->rows_per_image * c->n_out + at);
        }
        ws_epilogue_finish(f, y, i * c->rows_per_image, c->rows_per_image);
    }
}

static void forward(struct ws_conv *p)
{
    ws_conv_run_forward(p, forward_images);
}

static void weight_gradient(const struct ws_conv *p, const struct ws_conv_slice *s)
{
    const struct ws_kernels *kernels = p->view->kernels;
    const struct ws_conv_shape *c = &p->shape;
    const struct ws_direct d = direct_of(&c->g, c->out_group, c->n_out);
    memset(s->partial, 0, c->n_weight * sizeof *s->partial);
    for (size_t i = 0; i < s->n_images; i++)
        for (size_t group = 0; group < c->n_groups; group++) {
            size_t at = group * c->out_group;
            const float *image = framed(kernels, &c->g, s->x + i * c->in_floats + group * c->in_group, s->scratch);
            kernels->conv_direct_dw(&d, image, s->dy + i * c->rows_per_image * c->n_out + at, s->partial + at);
        }
}

const struct ws_conv_way ws_conv_direct = {
    .plan = {.name = "direct", .is_for_one_worker = true},
    .fits = fits,
    .scratch = scratch_of,
    .forward = forward,
    .weight_gradient = weight_gradient,
};

/* --- dX, dY convolved with the flipped kernel --- */

static bool dx_fits(const struct ws_conv_shape *c)
{
    const struct ws_geometry flipped = ws_conv_flipped_geometry(c);
    return c->is_square && ws_conv_has_stride_1(c) && is_narrow(&flipped, c->in_group);
}

static size_t dx_worker_floats(const struct ws_conv_shape *c)
{
    const struct ws_geometry flipped = ws_conv_flipped_geometry(c);
    return padded_floats(&flipped);
}

static void dx_run(const struct ws_conv *p, const struct ws_conv_slice *s)
{
    const struct ws_kernels *kernels = p->view->kernels;
    const struct ws_conv_shape *c = &p->shape;
    const struct ws_geometry g = ws_conv_flipped_geometry(c);
    const struct ws_direct d = direct_of(&g, c->in_group, c->n_in);
    for (size_t i = 0; i < s->n_images; i++)
        for (size_t group = 0; group < c->n_groups; group++) {
            size_t at = group * c->in_group;
            const float *from = s->dy + i * c->rows_per_image * c->n_out + group * c->out_group;
            kernels->conv_direct(&d, framed(kernels, &g, from, s->scratch), p->flipped + at, p->add_dx,
                                 s->dx + i * c->in_floats + at);
        }
}

const struct ws_conv_dx_way ws_conv_dx_direct = {
    .plan = {.name = "direct"},
    .fits = dx_fits,
    .worker_floats = dx_worker_floats,
    .wants_flipped = true,
    .run = dx_run,
};
