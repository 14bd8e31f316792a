/*
 * Convolution and gemm: which of the ways a node takes, and two of them.
 *
 *   forward   Y[m, o]  = Σ_k P[m, k] W[k, o]          P: patches (im2col), m: pixels of the slice's images
 *   backward  dW[k, o] = Σ_m P[m, k] dY[m, o]
 *             dX       = the same convolution of dY with the turned kernel (stride 1), or col2im(dY W') (stride > 1)
 *
 * Wide maps: stripes of P that fit the second-level cache. Forward they are products of our own, whose rows do not
 * depend on each other: an image's values do not depend on its batch. Backward they are single-threaded sgemm calls. A
 * gemm, and a grouped 1x1 convolution of stride 1, read their input as P, without a copy. Narrow maps (at most
 * NARROW_CHANNELS channels): direct convolution of a padded copy of each image, because making and packing patches
 * would cost as much as the product.
 *
 * Groups are such products of a range of channels each: P and the padded copy hold one group's channels, and outputs
 * and weights, [window][in of a group][out of all], are walked with the pitch of all.
 *
 * Depthwise convolutions, and ungrouped ones of stride 1 with 1x1 and 3x3 windows, have files of their own
 * (depthwise.c, conv_1x1.c, winograd.c).
 */
#include "conv_1x1.h"
#include "conv_int.h"
#include "depthwise.h"
#include "winograd.h"

#include <cblas.h>
#include <string.h>

enum {
    NARROW_CHANNELS = 128,
    NARROW_FLOATS = 128 * 1024, /* largest padded image of the direct path: half of a 1 MiB second-level cache */
};

/** Floats of an image of height x width x channels inside a frame of `pad` pixels. */
static size_t padded_floats(int height, int width, size_t channels, int pad)
{
    return ((size_t)height + 2 * (size_t)pad) * ((size_t)width + 2 * (size_t)pad) * channels;
}

/** The geometry of dX as a convolution of dY (stride 1). */
static struct ws_geometry turned_geometry(const struct ws_conv *p)
{
    struct ws_geometry t = p->g;
    t.height = p->g.out_height;
    t.width = p->g.out_width;
    t.channels = (int)p->out_group;
    t.pitch = (int)p->n_out;
    t.out_height = p->g.height;
    t.out_width = p->g.width;
    for (int i = 0; i < 2; i++)
        t.pad[i] = (p->g.kernel[i] - 1) * p->g.dilation[i] - p->g.pad[i];
    return t;
}

/** Whether both axes and all four edges are alike and the window has no holes, which the direct path wants. */
static bool is_square(const struct ws_window *w)
{
    for (int i = 1; i < 4; i++)
        if (w->pads[i] != w->pads[0])
            return false;
    return w->kernel[0] == w->kernel[1] && w->stride[0] == w->stride[1] && w->dilation[0] == 1 && w->dilation[1] == 1;
}

static bool fits_direct(const struct ws_geometry *g, size_t n_out)
{
    return n_out % WS_DIRECT_LANES == 0 && n_out <= NARROW_CHANNELS && g->channels <= NARROW_CHANNELS &&
           g->pad[0] >= 0 && padded_floats(g->height, g->width, (size_t)g->channels, g->pad[0]) <= NARROW_FLOATS;
}

static bool has_stride_1(const struct ws_conv *p)
{
    return p->g.stride[0] == 1 && p->g.stride[1] == 1;
}

static struct ws_conv product_of(struct ws_exec *e, const struct ws_plan_step *s)
{
    const struct ws_node *node = &e->net->nodes[s->node], *in = &e->net->nodes[s->x];
    const struct ws_window *w = &node->window;
    struct ws_conv p = {
        .e = e, .s = s, .node = node, .n_out = (size_t)node->channels, .in_floats = ws_exec_image_floats(e, s->x)};
    p.rows_per_image = (size_t)node->height * (size_t)node->width;
    p.k = e->net->params[node->params[0]].n / p.n_out;
    p.n_in = (size_t)in->channels;
    p.n_groups = 1;
    p.is_direct = node->op == WS_OP_GEMM;
    if (node->op == WS_OP_CONV) {
        p.n_groups = (size_t)node->groups;
        p.is_direct = w->kernel[0] == 1 && w->stride[0] == 1 && w->pads[0] == 0 && is_square(w);
    }
    p.in_group = p.n_in / p.n_groups;
    p.out_group = p.n_out / p.n_groups;
    p.g = (struct ws_geometry){.height = in->height,
                               .width = in->width,
                               .channels = (int)p.in_group,
                               .pitch = in->channels,
                               .out_height = node->height,
                               .out_width = node->width,
                               .kernel = {w->kernel[0], w->kernel[1]},
                               .stride = {w->stride[0], w->stride[1]},
                               .dilation = {w->dilation[0], w->dilation[1]},
                               .pad = {w->pads[0], w->pads[1]}};
    p.is_depthwise = ws_depthwise_fits(&p);
    p.is_1x1 = ws_conv_1x1_fits(&p);
    p.panels = e->step_scratch ? e->step_scratch + (e->has_backward ? WS_N_SLICES : 0) * e->n_weight : NULL;
    if (node->op == WS_OP_CONV && is_square(w)) {
        struct ws_geometry turned = turned_geometry(&p);
        p.is_winograd = ws_winograd_fits(&p);
        p.is_narrow = fits_direct(&p.g, p.out_group);
        p.is_narrow_dx = has_stride_1(&p) && fits_direct(&turned, p.in_group);
    }
    p.packed = e->n_slices == 1 ? e->packed[s - e->steps] : NULL; /* a group's */
    p.after = s->after >= 0 ? &e->bn[s->after] : NULL;
    if (s->before >= 0) {
        const struct ws_bn_state *bn = &e->bn[s->before];
        p.has_before = true;
        p.before = (struct ws_affine){bn->scale, bn->shift, bn->top};
    }
    return p;
}

size_t ws_conv_packed_floats(struct ws_exec *e, const struct ws_plan_step *s)
{
    const struct ws_conv p = product_of(e, s);
    return p.is_winograd ? ws_winograd_packed_floats(&p) : p.is_1x1 ? ws_conv_1x1_panel_floats(&p) : 0;
}

void ws_conv_pack(struct ws_exec *e, const struct ws_plan_step *s, float *packed)
{
    const struct ws_conv p = product_of(e, s);
    if (p.is_winograd)
        ws_winograd_pack(&p, packed);
    else
        ws_conv_1x1_pack(&p, false, packed);
}

const float *ws_conv_input_rows(const struct ws_conv *p, const float *x, size_t rows, float *scratch)
{
    if (!p->has_before)
        return x;
    p->e->kernels->affine(x, rows, (int)p->n_in, p->before.scale, p->before.shift, NULL, p->before.top, scratch);
    return scratch;
}

const float *ws_conv_gradient_rows(const struct ws_conv *p, const float *dy, const float *y, size_t rows,
                                   float *scratch)
{
    if (!p->after)
        return dy;
    p->e->kernels->batchnorm_dx(dy, y, rows, (int)p->n_out, p->after->a, p->after->b, p->after->d, false, scratch);
    return scratch;
}

bool ws_conv_undoes_by_rows(struct ws_exec *e, const struct ws_plan_step *s)
{
    const struct ws_conv p = product_of(e, s);
    return (p.is_1x1 || p.is_depthwise) && !p.node->has_bias && s->top == 0 && s->other < 0;
}

bool ws_conv_reads_by_rows(struct ws_exec *e, const struct ws_plan_step *s)
{
    const struct ws_conv p = product_of(e, s);
    return p.is_winograd || p.is_1x1 || p.is_depthwise;
}

static size_t stripe_rows(size_t k)
{
    size_t rows = WS_STRIPE_BYTES / sizeof(float) / k;
    return rows < WS_STRIPE_MIN_ROWS ? WS_STRIPE_MIN_ROWS : rows;
}

size_t ws_conv_weight_floats(struct ws_exec *e, const struct ws_plan_step *s)
{
    const struct ws_conv p = product_of(e, s);
    return p.is_winograd ? 0 : p.is_1x1 ? ws_conv_1x1_panel_floats(&p) : e->net->params[p.node->params[0]].n;
}

/** Columns of the patch matrix of dY when dX is computed as a convolution. */
static size_t turned_k(const struct ws_conv *p)
{
    return (size_t)p->g.kernel[0] * (size_t)p->g.kernel[1] * p->out_group;
}

size_t ws_conv_scratch_floats(struct ws_exec *e, const struct ws_plan_step *s, size_t *shared)
{
    struct ws_conv p = product_of(e, s);
    *shared = 0;
    if (p.is_depthwise)
        return ws_depthwise_scratch(&p);
    if (p.is_1x1)
        return ws_conv_1x1_scratch(&p);
    if (p.is_winograd) {
        size_t worker;
        ws_winograd_scratch(&p, &worker, shared);
        return worker;
    }
    size_t wanted = p.is_narrow ? padded_floats(p.g.height, p.g.width, (size_t)p.g.channels, p.g.pad[0])
                                : WS_MATRIX_PANELS + stripe_rows(p.k) * p.k;
    if (!e->has_backward || p.node->op != WS_OP_CONV)
        return wanted;
    struct ws_geometry t = turned_geometry(&p);
    size_t back = p.is_narrow_dx     ? padded_floats(t.height, t.width, p.out_group, t.pad[0])
                  : has_stride_1(&p) ? stripe_rows(turned_k(&p)) * turned_k(&p)
                                     : stripe_rows(p.k) * p.k;
    return wanted > back ? wanted : back;
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

/** Rows m … m+n-1 of a group's patch matrix and its row pitch: the input itself, or made in `patches`. */
static const float *patches_of(const struct ws_conv *p, const float *x, size_t group, size_t m, size_t n,
                               float *patches, size_t *pitch)
{
    *pitch = p->is_direct ? p->k * p->n_groups : p->k;
    if (p->is_direct)
        return x + m * *pitch + group * p->in_group;
    p->e->kernels->im2col(&p->g, x + group * p->in_group, m, n, patches);
    return patches;
}

void ws_epilogue_finish(const struct ws_epilogue *f, float *y, size_t first_row, size_t rows)
{
    size_t at = first_row * (size_t)f->channels;
    if (f->is_needed)
        f->kernels->affine(y + at, rows, f->channels, f->ones, f->shift, f->residual ? f->residual + at : NULL, f->top,
                           y + at);
    if (f->pivot)
        f->kernels->channel_moments(y + at, rows, f->channels, f->pivot, f->sum, f->sumsq);
}

void ws_epilogue_begin(const struct ws_conv *p)
{
    if (p->s->moments_of >= 0 && ws_exec_is_training(p->e))
        memset(p->e->sums, 0, (size_t)WS_N_SLICES * 2 * p->e->max_channels * sizeof *p->e->sums);
}

struct ws_epilogue ws_epilogue_of(const struct ws_conv *p, int slice, size_t first_image)
{
    const struct ws_exec *e = p->e;
    const struct ws_plan_step *s = p->s;
    double *sum = e->sums + (size_t)slice * 2 * e->max_channels;
    struct ws_epilogue f = {.kernels = e->kernels,
                            .channels = p->node->channels,
                            .ones = e->constants,
                            .top = s->top,
                            .sum = sum,
                            .sumsq = sum + e->max_channels};
    f.shift = p->node->has_bias ? ws_exec_param_values(e, p->node, 1) : e->constants + e->max_channels;
    if (s->other >= 0)
        f.residual = e->value[s->other] + first_image * p->rows_per_image * p->n_out;
    f.is_needed = p->node->has_bias || f.residual || s->top > 0;
    if (s->moments_of >= 0 && ws_exec_is_training(e))
        f.pivot = ws_exec_param_values(e, &e->net->nodes[e->steps[s->moments_of].node], 2);
    return f;
}

static void forward_direct(const struct ws_conv *p, const struct ws_epilogue *f, size_t n_images, const float *x,
                           float *scratch, float *y)
{
    const struct ws_exec *e = p->e;
    struct ws_direct d = direct_of(&p->g, p->out_group, p->n_out);
    for (size_t i = 0; i < n_images; i++) {
        for (size_t group = 0; group < p->n_groups; group++) {
            size_t at = group * p->out_group;
            const float *image = framed(e->kernels, &p->g, x + i * p->in_floats + group * p->in_group, scratch);
            e->kernels->conv_direct(&d, image, ws_exec_param_values(e, p->node, 0) + at, false,
                                    y + i * p->rows_per_image * p->n_out + at);
        }
        ws_epilogue_finish(f, y, i * p->rows_per_image, p->rows_per_image);
    }
}

static void forward_product(const struct ws_conv *p, const struct ws_epilogue *f, size_t rows, const float *x,
                            float *scratch, float *y)
{
    const struct ws_exec *e = p->e;
    float *patches = scratch + WS_MATRIX_PANELS;
    size_t stripe = stripe_rows(p->k), pitch;
    for (size_t m = 0; m < rows; m += stripe) {
        size_t n = rows - m < stripe ? rows - m : stripe;
        for (size_t group = 0; group < p->n_groups; group++) {
            size_t at = group * p->out_group;
            const float *a = patches_of(p, x, group, m, n, patches, &pitch);
            const struct ws_matrices matrices = {.a = a,
                                                 .w = ws_exec_param_values(e, p->node, 0) + at,
                                                 .c = y + m * p->n_out + at,
                                                 .rows = n,
                                                 .k = p->k,
                                                 .out = p->out_group,
                                                 .a_step = pitch,
                                                 .w_step = p->n_out,
                                                 .c_step = p->n_out};
            e->kernels->matrix_product(&matrices, scratch);
        }
        ws_epilogue_finish(f, y, m, n);
    }
}

static void forward_slice(void *argument, int slice, int worker)
{
    const struct ws_conv *p = argument;
    const struct ws_exec *e = p->e;
    size_t first = ws_exec_slice_begin(e, slice), n_images = ws_exec_slice_begin(e, slice + 1) - first;
    struct ws_epilogue f = ws_epilogue_of(p, slice, first);
    const float *x = e->value[p->s->x] + first * p->in_floats;
    float *y = e->value[p->s->out] + first * p->rows_per_image * p->n_out;
    float *scratch = e->worker_scratch + (size_t)worker * e->n_stripe;
    if (p->is_depthwise)
        ws_depthwise_forward(p, &f, n_images, x, scratch, y);
    else if (p->is_1x1)
        ws_conv_1x1_forward(p, &f, n_images, x, p->panels, scratch, y);
    else if (p->is_narrow)
        forward_direct(p, &f, n_images, x, scratch, y);
    else
        forward_product(p, &f, n_images * p->rows_per_image, x, scratch, y);
}

void ws_conv_forward(struct ws_exec *e, const struct ws_plan_step *s)
{
    struct ws_conv p = product_of(e, s);
    if (p.is_winograd) {
        ws_winograd_forward(&p);
        return;
    }
    if (p.is_1x1 && p.packed)
        p.panels = p.packed;
    else if (p.is_1x1)
        ws_conv_1x1_pack(&p, false, p.panels);
    ws_epilogue_begin(&p);
    ws_exec_run_slices(e, forward_slice, &p);
}

/** dW of this slice into its own partial: direct, or with the patches made again. */
static void backward_weight(const struct ws_conv *p, size_t n_images, const float *x, const float *dy, float *scratch,
                            float *partial)
{
    const struct ws_exec *e = p->e;
    size_t rows = n_images * p->rows_per_image, stripe = stripe_rows(p->k), pitch;
    memset(partial, 0, p->n_out * p->k * sizeof *partial);
    struct ws_direct d = direct_of(&p->g, p->out_group, p->n_out);
    for (size_t i = 0; p->is_narrow && i < n_images; i++)
        for (size_t group = 0; group < p->n_groups; group++) {
            size_t at = group * p->out_group;
            const float *image = framed(e->kernels, &p->g, x + i * p->in_floats + group * p->in_group, scratch);
            e->kernels->conv_direct_dw(&d, image, dy + i * p->rows_per_image * p->n_out + at, partial + at);
        }
    for (size_t m = 0; !p->is_narrow && m < rows; m += stripe) {
        size_t n = rows - m < stripe ? rows - m : stripe;
        for (size_t group = 0; group < p->n_groups; group++) {
            size_t at = group * p->out_group;
            const float *a = patches_of(p, x, group, m, n, scratch, &pitch);
            cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (blasint)p->k, (blasint)p->out_group, (blasint)n, 1.0F,
                        a, (blasint)pitch, dy + m * p->n_out + at, (blasint)p->n_out, 1.0F, partial + at,
                        (blasint)p->n_out);
        }
    }
}

/** dX at stride 1: dY convolved with the turned kernel. */
static void backward_input_turned(const struct ws_conv *p, size_t n_images, const float *dy, float *scratch, float *dx)
{
    const struct ws_exec *e = p->e;
    struct ws_geometry g = turned_geometry(p);
    struct ws_direct d = direct_of(&g, p->in_group, p->n_in);
    size_t k = turned_k(p), stripe = stripe_rows(k);
    size_t rows = n_images * (size_t)p->g.height * (size_t)p->g.width;
    for (size_t i = 0; p->is_narrow_dx && i < n_images; i++)
        for (size_t group = 0; group < p->n_groups; group++) {
            size_t at = group * p->in_group;
            const float *from = dy + i * p->rows_per_image * p->n_out + group * p->out_group;
            e->kernels->conv_direct(&d, framed(e->kernels, &g, from, scratch), p->turned + at, p->add_dx,
                                    dx + i * p->in_floats + at);
        }
    for (size_t m = 0; !p->is_narrow_dx && m < rows; m += stripe) {
        size_t n = rows - m < stripe ? rows - m : stripe;
        for (size_t group = 0; group < p->n_groups; group++) {
            size_t at = group * p->in_group;
            e->kernels->im2col(&g, dy + group * p->out_group, m, n, scratch);
            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint)n, (blasint)p->in_group, (blasint)k, 1.0F,
                        scratch, (blasint)k, p->turned + at, (blasint)p->n_in, p->add_dx ? 1.0F : 0.0F,
                        dx + m * p->n_in + at, (blasint)p->n_in);
        }
    }
}

/** dX in general: dY W' gives gradients of patches; direct products store them, others scatter them. */
static void backward_input_scattered(const struct ws_conv *p, size_t n_images, const float *dy, float *patches,
                                     float *dx)
{
    const struct ws_exec *e = p->e;
    size_t rows = n_images * p->rows_per_image, stripe = stripe_rows(p->k);
    size_t pitch = p->is_direct ? p->k * p->n_groups : p->k;
    if (!p->is_direct && !p->add_dx)
        memset(dx, 0, n_images * p->in_floats * sizeof *dx);
    for (size_t m = 0; m < rows; m += stripe) {
        size_t n = rows - m < stripe ? rows - m : stripe;
        for (size_t group = 0; group < p->n_groups; group++) {
            size_t at = group * p->out_group;
            float *out = p->is_direct ? dx + m * pitch + group * p->in_group : patches;
            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)n, (blasint)p->k, (blasint)p->out_group, 1.0F,
                        dy + m * p->n_out + at, (blasint)p->n_out, ws_exec_param_values(e, p->node, 0) + at,
                        (blasint)p->n_out, p->is_direct && p->add_dx ? 1.0F : 0.0F, out, (blasint)pitch);
            if (!p->is_direct)
                e->kernels->col2im(&p->g, patches, m, n, dx + group * p->in_group);
        }
    }
}

static void backward_slice(void *argument, int slice, int worker)
{
    const struct ws_conv *p = argument;
    struct ws_exec *e = p->e;
    const struct ws_plan_step *s = p->s;
    size_t first = ws_exec_slice_begin(e, slice), n_images = ws_exec_slice_begin(e, slice + 1) - first;
    size_t rows = n_images * p->rows_per_image, out_floats = p->rows_per_image * p->n_out;
    const float *x = e->value[s->x] + first * p->in_floats;
    float *dy = e->gradient[s->out] + first * out_floats;
    float *scratch = e->worker_scratch + (size_t)worker * e->n_stripe;
    if (s->top > 0) /* a folded convolution: its ReLU is undone here */
        e->kernels->relu_dx(dy, e->value[s->out] + first * out_floats, rows * p->n_out, false, dy);
    float *partial = e->step_scratch + (size_t)slice * e->n_weight;
    float *dx = p->want_dx ? e->gradient[s->x] + first * p->in_floats : NULL;
    const struct ws_conv_slice part = {
        n_images, x, e->value[s->out] + first * out_floats, dy, scratch, p->want_dw ? partial : NULL, dx};
    const struct ws_geometry turned = turned_geometry(p);
    if (p->is_depthwise)
        ws_depthwise_backward(p, &part, &turned);
    else if (p->is_1x1)
        ws_conv_1x1_backward(p, &part, p->panels);
    else if (p->want_dw && !p->is_winograd)
        backward_weight(p, n_images, x, dy, scratch, partial);
    if (p->node->has_bias) {
        double *sum = e->sums + (size_t)slice * 2 * e->max_channels;
        memset(sum, 0, 2 * e->max_channels * sizeof *sum);
        e->kernels->channel_moments(dy, rows, p->node->channels, e->constants + e->max_channels, sum,
                                    sum + e->max_channels);
    }
    if (!p->want_dx || p->is_winograd || p->is_depthwise || p->is_1x1)
        return;
    if (p->turned)
        backward_input_turned(p, n_images, dy, scratch, dx);
    else
        backward_input_scattered(p, n_images, dy, scratch, dx);
}

struct turning {
    const struct ws_conv *p;
    const float *weight;
    float *turned;
};

/** Some of the rows of all windows; tiles, so that neither side of the transposition leaves the cache. */
static void turn_slice(void *argument, int slice, int worker)
{
    (void)worker;
    enum { TILE = 16 };
    const struct turning *t = argument;
    const struct ws_conv *p = t->p;
    const size_t window = (size_t)p->g.kernel[0] * (size_t)p->g.kernel[1], n_groups = p->n_in / p->in_group;
    const size_t begin = p->out_group * (size_t)slice / WS_N_SLICES,
                 end = p->out_group * ((size_t)slice + 1) / WS_N_SLICES;
    for (size_t w = 0; w < window; w++)
        for (size_t group = 0; group < n_groups; group++)
            for (size_t first = 0; first < p->in_group; first += TILE) {
                const size_t last = first + TILE < p->in_group ? first + TILE : p->in_group;
                const float *from = t->weight + w * p->in_group * p->n_out + group * p->out_group;
                float *to = t->turned + (window - 1 - w) * p->out_group * p->n_in + group * p->in_group;
                for (size_t o = begin; o < end; o++)
                    for (size_t c = first; c < last; c++)
                        to[o * p->n_in + c] = from[c * p->n_out + o];
            }
}

void ws_conv_flip_weight(const struct ws_conv *p, const float *weight, float *turned)
{
    struct turning turning = {p, weight, turned};
    ws_pool_run(p->e->pool, WS_N_SLICES, turn_slice, &turning);
}

/** Add the slices' partial weight gradients, in slice order; a slice of this job is a range of elements. */
static void reduce_weight_slice(void *argument, int slice, int worker)
{
    (void)worker;
    const struct ws_conv *p = argument;
    const struct ws_exec *e = p->e;
    size_t n = p->n_out * p->k, begin = n * (size_t)slice / WS_N_SLICES, end = n * (size_t)(slice + 1) / WS_N_SLICES;
    float *gradient = ws_exec_param_gradient(e, p->node, 0);
    for (int i = 0; i < WS_N_SLICES; i++)
        e->kernels->add(e->step_scratch + (size_t)i * e->n_weight + begin, end - begin, gradient + begin);
}

static void reduce_bias(const struct ws_conv *p)
{
    const struct ws_exec *e = p->e;
    float *gradient = ws_exec_param_gradient(e, p->node, 1);
    for (size_t c = 0; gradient && c < p->n_out; c++) {
        double total = 0;
        for (size_t i = 0; i < WS_N_SLICES; i++)
            total += e->sums[i * 2 * e->max_channels + c];
        gradient[c] += (float)total;
    }
}

/** The residual that a folded convolution added gets the output's gradient, after the ReLU was undone. */
static void backward_residual(struct ws_exec *e, const struct ws_plan_step *s)
{
    size_t n = (size_t)e->batch * ws_exec_image_floats(e, s->out);
    if (e->wants_gradient[s->other])
        e->kernels->relu_dx(e->gradient[s->out], NULL, n, ws_exec_accumulate_into(e, s->other), e->gradient[s->other]);
}

void ws_conv_backward(struct ws_exec *e, const struct ws_plan_step *s)
{
    struct ws_conv p = product_of(e, s);
    p.want_dw = ws_exec_param_gradient(e, p.node, 0) != NULL;
    p.want_dx = e->wants_gradient[s->x];
    p.add_dx = p.want_dx && ws_exec_accumulate_into(e, s->x);
    if (p.want_dx && !p.is_direct && has_stride_1(&p) && !p.is_winograd) {
        float *turned = e->step_scratch + WS_N_SLICES * e->n_weight;
        ws_conv_flip_weight(&p, ws_exec_param_values(e, p.node, 0), turned);
        p.turned = turned;
    }
    if (p.want_dx && p.is_1x1)
        ws_conv_1x1_pack(&p, true, p.panels);
    if (!p.is_winograd || s->top > 0 || p.node->has_bias)
        ws_exec_run_slices(e, backward_slice, &p);
    if (p.is_winograd && p.want_dw)
        ws_winograd_backward_weight(&p);
    if (p.is_winograd && p.want_dx)
        ws_winograd_backward_input(&p);
    if (p.want_dw && !p.is_winograd)
        ws_pool_run(e->pool, WS_N_SLICES, reduce_weight_slice, &p);
    if (p.node->has_bias)
        reduce_bias(&p);
    if (s->other >= 0)
        backward_residual(e, s);
}
