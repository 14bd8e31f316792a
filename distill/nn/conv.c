/*
 * Convolution and gemm as matrix products over stripes of patches.
 *
 *   forward   Y[m, o]  = Σ_k P[m, k] W[o, k]          P: patches (im2col), m: pixels of the slice's images
 *   backward  dW[o, k] = Σ_m dY[m, o] P[m, k]
 *             dX       = the same convolution of dY with the turned kernel (stride 1), or col2im(dY W) (stride > 1)
 *
 * A stripe of P fits the second-level cache and may hold many small maps. A 1x1 convolution of stride 1 and a gemm read their
 * input as P, without a copy. Each worker runs whole slices with single-threaded sgemm calls.
 */
#include "exec_int.h"

#include <cblas.h>
#include <string.h>

/** A convolution or gemm seen as a matrix product. */
struct product {
    struct ws_exec *e;
    const struct step *s;
    const struct ws_node *node;
    struct ws_geometry g;
    bool is_direct;        /* the input is the patch matrix */
    size_t k, n_out;       /* columns of P; output channels */
    size_t rows_per_image; /* output pixels */
    size_t in_floats;      /* of one input image */
    bool want_dw, want_dx, add_dx;
    const float *turned;   /* [in][kh][kw][out], for dX at stride 1 */
};

static struct product product_of(struct ws_exec *e, const struct step *s)
{
    const struct ws_node *node = &e->net->nodes[s->node], *in = &e->net->nodes[s->x];
    struct product p = {.e = e, .s = s, .node = node, .n_out = (size_t)node->channels, .in_floats = image_floats(e, s->x)};
    p.rows_per_image = (size_t)node->height * (size_t)node->width;
    p.k = e->net->params[node->params[0]].n / p.n_out;
    p.g = (struct ws_geometry){in->height,        in->width,           in->channels,     node->height, node->width,
                               node->window.kernel, node->window.stride, node->window.pad};
    p.is_direct = node->op == WS_OP_GEMM ||
                  (node->window.kernel == 1 && node->window.stride == 1 && node->window.pad == 0);
    return p;
}

static size_t stripe_rows(size_t k)
{
    size_t rows = STRIPE_BYTES / sizeof(float) / k;
    return rows < STRIPE_MIN_ROWS ? STRIPE_MIN_ROWS : rows;
}

/** Columns of the patch matrix of dY when dX is computed as a convolution. */
static size_t turned_k(const struct product *p)
{
    return (size_t)p->g.kernel * (size_t)p->g.kernel * p->n_out;
}

size_t conv_stripe_floats(const struct ws_exec *e, const struct step *s)
{
    const struct ws_node *node = &e->net->nodes[s->node];
    size_t k = e->net->params[node->params[0]].n / (size_t)node->channels;
    size_t kernel = node->op == WS_OP_CONV ? (size_t)node->window.kernel : 1;
    size_t back = kernel * kernel * (size_t)node->channels;
    size_t forward_floats = stripe_rows(k) * k, back_floats = stripe_rows(back) * back;
    return forward_floats > back_floats ? forward_floats : back_floats;
}

static void forward_slice(void *argument, int slice, int worker)
{
    const struct product *p = argument;
    const struct ws_exec *e = p->e;
    const struct step *s = p->s;
    size_t first = slice_begin(e, slice), n_images = slice_begin(e, slice + 1) - first;
    size_t rows = n_images * p->rows_per_image, stripe = stripe_rows(p->k);
    const float *x = e->value[s->x] + first * p->in_floats;
    const float *residual = s->other >= 0 ? e->value[s->other] + first * p->rows_per_image * p->n_out : NULL;
    const float *bias = p->node->has_bias ? param_values(e, p->node, 1) : NULL;
    float *y = e->value[s->out] + first * p->rows_per_image * p->n_out;
    float *patches = e->worker_scratch + (size_t)worker * 2 * e->n_stripe;
    double *sum = e->sums + (size_t)slice * 2 * e->max_channels;
    const struct step *bn = s->moments_of >= 0 && e->mode == WS_BN_TRAIN ? &e->steps[s->moments_of] : NULL;
    const float *pivot = bn ? param_values(e, &e->net->nodes[bn->node], 2) : NULL;
    if (bn)
        memset(sum, 0, 2 * e->max_channels * sizeof *sum);
    for (size_t m = 0; m < rows; m += stripe) {
        size_t n = rows - m < stripe ? rows - m : stripe;
        const float *a = x + m * p->k;
        if (!p->is_direct) {
            e->kernels->im2col(&p->g, x, m, n, patches);
            a = patches;
        }
        float *out = y + m * p->n_out;
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)n, (blasint)p->n_out, (blasint)p->k, 1.0F, a,
                    (blasint)p->k, param_values(e, p->node, 0), (blasint)p->k, 0.0F, out, (blasint)p->n_out);
        if (bias || residual || s->relu) {
            const float *zeros = e->constants + e->max_channels;
            e->kernels->scale_shift(out, n, p->node->channels, e->constants, bias ? bias : zeros,
                                    residual ? residual + m * p->n_out : NULL, s->relu, out);
        }
        if (bn)
            e->kernels->channel_moments(out, n, p->node->channels, pivot, sum, sum + e->max_channels);
    }
}

void conv_forward(struct ws_exec *e, const struct step *s)
{
    struct product p = product_of(e, s);
    memset(e->constants + e->max_channels, 0, e->max_channels * sizeof(float)); /* the zeros of bias-free epilogues */
    ws_pool_run(e->pool, N_SLICES, forward_slice, &p);
}

/** dW of this slice into its own partial, with the patches made again. */
static void backward_weight(const struct product *p, size_t rows, const float *x, const float *dy, float *patches,
                            float *partial)
{
    const struct ws_exec *e = p->e;
    size_t stripe = stripe_rows(p->k);
    if (rows == 0)
        memset(partial, 0, p->n_out * p->k * sizeof *partial);
    for (size_t m = 0; m < rows; m += stripe) {
        size_t n = rows - m < stripe ? rows - m : stripe;
        const float *a = x + m * p->k;
        if (!p->is_direct) {
            e->kernels->im2col(&p->g, x, m, n, patches);
            a = patches;
        }
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (blasint)p->n_out, (blasint)p->k, (blasint)n, 1.0F,
                    dy + m * p->n_out, (blasint)p->n_out, a, (blasint)p->k, m == 0 ? 0.0F : 1.0F, partial,
                    (blasint)p->k);
    }
}

/** dX at stride 1: patches of dY times the turned kernel. */
static void backward_input_turned(const struct product *p, size_t n_images, const float *dy, float *patches, float *dx)
{
    const struct ws_exec *e = p->e;
    struct ws_geometry g = {.height = p->g.out_height, .width = p->g.out_width, .channels = (int)p->n_out,
                            .out_height = p->g.height, .out_width = p->g.width, .kernel = p->g.kernel, .stride = 1,
                            .pad = p->g.kernel - 1 - p->g.pad};
    size_t channels = (size_t)p->g.channels, k = turned_k(p), stripe = stripe_rows(k);
    size_t rows = n_images * (size_t)p->g.height * (size_t)p->g.width;
    for (size_t m = 0; m < rows; m += stripe) {
        size_t n = rows - m < stripe ? rows - m : stripe;
        e->kernels->im2col(&g, dy, m, n, patches);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)n, (blasint)channels, (blasint)k, 1.0F, patches,
                    (blasint)k, p->turned, (blasint)k, p->add_dx ? 1.0F : 0.0F, dx + m * channels, (blasint)channels);
    }
}

/** dX in general: dY W gives gradients of patches; direct products store them, others scatter them. */
static void backward_input_scattered(const struct product *p, size_t n_images, const float *dy, float *patches, float *dx)
{
    const struct ws_exec *e = p->e;
    size_t rows = n_images * p->rows_per_image, stripe = stripe_rows(p->k);
    if (!p->is_direct && !p->add_dx)
        memset(dx, 0, n_images * p->in_floats * sizeof *dx);
    for (size_t m = 0; m < rows; m += stripe) {
        size_t n = rows - m < stripe ? rows - m : stripe;
        float *out = p->is_direct ? dx + m * p->k : patches;
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint)n, (blasint)p->k, (blasint)p->n_out, 1.0F,
                    dy + m * p->n_out, (blasint)p->n_out, param_values(e, p->node, 0), (blasint)p->k,
                    p->is_direct && p->add_dx ? 1.0F : 0.0F, out, (blasint)p->k);
        if (!p->is_direct)
            e->kernels->col2im(&p->g, patches, m, n, dx);
    }
}

static void backward_slice(void *argument, int slice, int worker)
{
    const struct product *p = argument;
    struct ws_exec *e = p->e;
    const struct step *s = p->s;
    size_t first = slice_begin(e, slice), n_images = slice_begin(e, slice + 1) - first;
    size_t rows = n_images * p->rows_per_image, out_floats = p->rows_per_image * p->n_out;
    const float *x = e->value[s->x] + first * p->in_floats;
    float *dy = e->gradient[s->out] + first * out_floats;
    float *patches = e->worker_scratch + (size_t)worker * 2 * e->n_stripe;
    if (s->relu) /* a folded convolution: its ReLU is undone here */
        e->kernels->relu_dx(dy, e->value[s->out] + first * out_floats, rows * p->n_out, false, dy);
    if (p->want_dw)
        backward_weight(p, rows, x, dy, patches, e->weight_scratch + (size_t)slice * e->n_weight);
    if (p->node->has_bias) {
        double *sum = e->sums + (size_t)slice * 2 * e->max_channels;
        memset(sum, 0, 2 * e->max_channels * sizeof *sum);
        e->kernels->channel_moments(dy, rows, p->node->channels, e->constants + e->max_channels, sum,
                                    sum + e->max_channels);
    }
    if (!p->want_dx)
        return;
    float *dx = e->gradient[s->x] + first * p->in_floats;
    if (p->turned)
        backward_input_turned(p, n_images, dy, patches, dx);
    else
        backward_input_scattered(p, n_images, dy, patches, dx);
}

/** turned[c][kh][kw][o] = W[o][K-1-kh][K-1-kw][c]. */
static void turn_weight(const struct product *p, const float *weight, float *turned)
{
    size_t window = (size_t)p->g.kernel * (size_t)p->g.kernel, channels = (size_t)p->g.channels;
    for (size_t o = 0; o < p->n_out; o++)
        for (size_t w = 0; w < window; w++)
            for (size_t c = 0; c < channels; c++)
                turned[(c * window + window - 1 - w) * p->n_out + o] = weight[(o * window + w) * channels + c];
}

/** Add the slices' partial weight gradients, in slice order; a slice of this job is a range of elements. */
static void reduce_weight_slice(void *argument, int slice, int worker)
{
    (void)worker;
    const struct product *p = argument;
    const struct ws_exec *e = p->e;
    size_t n = p->n_out * p->k, begin = n * (size_t)slice / N_SLICES, end = n * (size_t)(slice + 1) / N_SLICES;
    float *gradient = param_gradient(e, p->node, 0);
    for (int i = 0; i < N_SLICES; i++)
        e->kernels->add(e->weight_scratch + (size_t)i * e->n_weight + begin, end - begin, gradient + begin);
}

static void reduce_bias(const struct product *p)
{
    const struct ws_exec *e = p->e;
    float *gradient = param_gradient(e, p->node, 1);
    for (size_t c = 0; gradient && c < p->n_out; c++) {
        double total = 0;
        for (size_t i = 0; i < N_SLICES; i++)
            total += e->sums[i * 2 * e->max_channels + c];
        gradient[c] += (float)total;
    }
}

/** The residual that a folded convolution added gets the output's gradient, after the ReLU was undone. */
static void backward_residual(struct ws_exec *e, const struct step *s)
{
    size_t n = (size_t)e->batch * image_floats(e, s->out);
    if (e->wants_gradient[s->other])
        e->kernels->relu_dx(e->gradient[s->out], NULL, n, accumulate_into(e, s->other), e->gradient[s->other]);
}

void conv_backward(struct ws_exec *e, const struct step *s)
{
    struct product p = product_of(e, s);
    p.want_dw = param_gradient(e, p.node, 0) != NULL;
    p.want_dx = e->wants_gradient[s->x];
    p.add_dx = p.want_dx && accumulate_into(e, s->x);
    if (p.want_dx && !p.is_direct && p.g.stride == 1) {
        float *turned = e->weight_scratch + N_SLICES * e->n_weight;
        turn_weight(&p, param_values(e, p.node, 0), turned);
        p.turned = turned;
    }
    memset(e->constants + e->max_channels, 0, e->max_channels * sizeof(float));
    ws_pool_run(e->pool, N_SLICES, backward_slice, &p);
    if (p.want_dw)
        ws_pool_run(e->pool, N_SLICES, reduce_weight_slice, &p);
    if (p.node->has_bias)
        reduce_bias(&p);
    if (s->other >= 0)
        backward_residual(e, s);
}
