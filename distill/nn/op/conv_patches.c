/*
 * Convolution as a product of patches (im2col), for whatever shape; gemm too, whose input is its patch matrix.
 *
 *   forward   Y[m, o]  = Σ_k P[m, k] W[k, o]          P: patches, m: pixels of the slice's images
 *   backward  dW[k, o] = Σ_m P[m, k] dY[m, o]
 *             dX       = the same convolution of dY with the flipped kernel (stride 1), or col2im(dY W') (stride > 1)
 *
 * Stripes of P fit the second-level cache. Forward they are products of our own, whose rows do not depend on each
 * other: an image's values do not depend on its batch. Backward they are single-threaded sgemm calls. Where the input
 * is P (gemm, and a grouped 1x1 convolution of stride 1) it is read without a copy.
 *
 * Groups are such products of a range of channels each: P holds one group's, outputs and weights, [window][in of a
 * group][out of all], are walked with the pitch of all.
 */
#include "conv_int.h"

#include <cblas.h>
#include <string.h>

static bool fits_all(const struct ws_conv_shape *c)
{
    (void)c;
    return true;
}

static size_t stripe_floats(size_t k)
{
    return ws_conv_stripe_rows(k) * k;
}

static void scratch_of(const struct ws_plan *plan, const struct ws_plan_step *s, const struct ws_conv_shape *c,
                       struct ws_conv_scratch *wanted)
{
    (void)plan;
    (void)s;
    wanted->worker = WS_MATRIX_PANELS + stripe_floats(c->k);
    wanted->weight = c->n_weight;
}

/** Rows m … m+n-1 of a group's patch matrix and its row pitch: the input itself, or made in `patches`. */
static const float *patches_of(const struct ws_conv *p, const float *x, size_t group, size_t m, size_t n,
                               float *patches, size_t *pitch)
{
    const struct ws_conv_shape *c = &p->shape;
    *pitch = c->is_product ? c->k * c->n_groups : c->k;
    if (c->is_product)
        return x + m * *pitch + group * c->in_group;
    p->view->kernels->im2col(&c->g, x + group * c->in_group, m, n, patches);
    return patches;
}

static void forward_images(const struct ws_conv *p, const struct ws_epilogue *f, size_t n_images, const float *x,
                           float *scratch, float *y)
{
    const struct ws_conv_shape *c = &p->shape;
    float *patches = scratch + WS_MATRIX_PANELS;
    size_t rows = n_images * c->rows_per_image, stripe = ws_conv_stripe_rows(c->k), pitch;
    for (size_t m = 0; m < rows; m += stripe) {
        size_t n = rows - m < stripe ? rows - m : stripe;
        for (size_t group = 0; group < c->n_groups; group++) {
            size_t at = group * c->out_group;
            const float *a = patches_of(p, x, group, m, n, patches, &pitch);
            const struct ws_matrices matrices = {.a = a,
                                                 .w = ws_exec_param_values(p->view, c->node, 0) + at,
                                                 .c = y + m * c->n_out + at,
                                                 .rows = n,
                                                 .k = c->k,
                                                 .out = c->out_group,
                                                 .a_step = pitch,
                                                 .w_step = c->n_out,
                                                 .c_step = c->n_out};
            p->view->kernels->matrix_product(&matrices, scratch);
        }
        ws_epilogue_finish(f, y, m, n);
    }
}

static void forward(struct ws_conv *p)
{
    ws_conv_run_forward(p, forward_images);
}

/** dW of a slice, with the patches made again. */
static void weight_gradient(const struct ws_conv *p, const struct ws_conv_slice *s)
{
    const struct ws_conv_shape *c = &p->shape;
    size_t rows = s->n_images * c->rows_per_image, stripe = ws_conv_stripe_rows(c->k), pitch;
    memset(s->partial, 0, c->n_weight * sizeof *s->partial);
    for (size_t m = 0; m < rows; m += stripe) {
        size_t n = rows - m < stripe ? rows - m : stripe;
        for (size_t group = 0; group < c->n_groups; group++) {
            size_t at = group * c->out_group;
            const float *a = patches_of(p, s->x, group, m, n, s->scratch, &pitch);
            cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (blasint)c->k, (blasint)c->out_group, (blasint)n, 1.0F,
                        a, (blasint)pitch, s->dy + m * c->n_out + at, (blasint)c->n_out, 1.0F, s->partial + at,
                        (blasint)c->n_out);
        }
    }
}

const struct ws_conv_way ws_conv_patches = {
    .plan = {.name = "patches", .is_for_one_worker = true},
    .fits = fits_all,
    .scratch = scratch_of,
    .forward = forward,
    .weight_gradient = weight_gradient,
};

/* --- dX at stride 1: dY convolved with the flipped kernel --- */

/** Columns of the patch matrix of dY. */
static size_t flipped_k(const struct ws_conv_shape *c)
{
    return (size_t)c->g.kernel[0] * (size_t)c->g.kernel[1] * c->out_group;
}

static bool flipped_fits(const struct ws_conv_shape *c)
{
    return c->node->op == WS_OP_CONV && ws_conv_has_stride_1(c);
}

static size_t flipped_worker_floats(const struct ws_conv_shape *c)
{
    return stripe_floats(flipped_k(c));
}

static void flipped_run(const struct ws_conv *p, const struct ws_conv_slice *s)
{
    const struct ws_conv_shape *c = &p->shape;
    const struct ws_geometry g = ws_conv_flipped_geometry(c);
    size_t k = flipped_k(c), stripe = ws_conv_stripe_rows(k);
    size_t rows = s->n_images * (size_t)c->g.height * (size_t)c->g.width;
    for (size_t m = 0; m < rows; m += stripe) {
        size_t n = rows - m < stripe ? rows - m : stripe;
        for (size_t group = 0; group < c->n_groups; group++) {
            size_t at = group * c->in_group;
            p->view->kernels->im2col(&g, s->dy + group * c->out_group, m, n, s->scratch);
            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint)n, (blasint)c->in_group, (blasint)k, 1.0F,
                        s->scratch, (blasint)k, p->flipped + at, (blasint)c->n_in, p->add_dx ? 1.0F : 0.0F,
                        s->dx + m * c->n_in + at, (blasint)c->n_in);
        }
    }
}

const struct ws_conv_dx_way ws_conv_dx_flipped = {
    .plan = {.name = "flipped"},
    .fits = flipped_fits,
    .worker_floats = flipped_worker_floats,
    .wants_flipped = true,
    .run = flipped_run,
};

/* --- dX in general: dY W' gives gradients of patches --- */

/** Rows m … m+n-1 of dY W' of a group, to rows of `pitch` floats at `out`. */
static void patch_gradients(const struct ws_conv *p, const struct ws_conv_slice *s, size_t group, size_t m, size_t n,
                            float beta, float *out, size_t pitch)
{
    const struct ws_conv_shape *c = &p->shape;
    size_t at = group * c->out_group;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)n, (blasint)c->k, (blasint)c->out_group, 1.0F,
                s->dy + m * c->n_out + at, (blasint)c->n_out, ws_exec_param_values(p->view, c->node, 0) + at,
                (blasint)c->n_out, beta, out, (blasint)pitch);
}

static bool product_fits(const struct ws_conv_shape *c)
{
    return c->is_product;
}

/** The input is the patch matrix: so is its gradient. */
static void product_run(const struct ws_conv *p, const struct ws_conv_slice *s)
{
    const struct ws_conv_shape *c = &p->shape;
    size_t rows = s->n_images * c->rows_per_image, stripe = ws_conv_stripe_rows(c->k), pitch = c->k * c->n_groups;
    for (size_t m = 0; m < rows; m += stripe)
        for (size_t group = 0; group < c->n_groups; group++)
            patch_gradients(p, s, group, m, rows - m < stripe ? rows - m : stripe, p->add_dx ? 1.0F : 0.0F,
                            s->dx + m * pitch + group * c->in_group, pitch);
}

const struct ws_conv_dx_way ws_conv_dx_product = {
    .plan = {.name = "product"},
    .fits = product_fits,
    .run = product_run,
};

static bool scattered_fits(const struct ws_conv_shape *c)
{
    return c->node->op == WS_OP_CONV;
}

static size_t scattered_worker_floats(const struct ws_conv_shape *c)
{
    return stripe_floats(c->k);
}

static void scattered_run(const struct ws_conv *p, const struct ws_conv_slice *s)
{
    const struct ws_conv_shape *c = &p->shape;
    size_t rows = s->n_images * c->rows_per_image, stripe = ws_conv_stripe_rows(c->k);
    if (!p->add_dx)
        memset(s->dx, 0, s->n_images * c->in_floats * sizeof *s->dx);
    for (size_t m = 0; m < rows; m += stripe) {
        size_t n = rows - m < stripe ? rows - m : stripe;
        for (size_t group = 0; group < c->n_groups; group++) {
            patch_gradients(p, s, group, m, n, 0.0F, s->scratch, c->k);
            p->view->kernels->col2im(&c->g, s->scratch, m, n, s->dx + group * c->in_group);
        }
    }
}

const struct ws_conv_dx_way ws_conv_dx_scattered = {
    .plan = {.name = "scattered"},
    .fits = scattered_fits,
    .worker_floats = scattered_worker_floats,
    .run = scattered_run,
};
