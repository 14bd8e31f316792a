/*
 * The kernels of kernels.h in plain C, written so that the compiler vectorises them: inner loops have a constant length
 * of BLOCK floats. A row of fewer than BLOCK channels is repeated to fill a block (16 channels: 4 pixels a block), so
 * narrow maps run as fast as wide ones. Included by kernels_plain.c, kernels_avx2.c and kernels_avx512.c.
 */
#include "kernels.h"

#include <math.h>
#include <string.h>

enum {
    BLOCK = 64,  /* floats handled by an inner loop: four 512-bit registers */
    FLUSH = 512, /* blocks summed in single precision before they go to the double accumulators */
};

/** How a map of n floats divides: `blocks` blocks of `length` floats, then `rest` floats. */
struct blocking {
    size_t length, blocks, rest;
};

/** Blocks for maps of fewer than BLOCK channels: as many whole rows as fit. */
static struct blocking block_rows(size_t rows, size_t channels)
{
    size_t length = BLOCK / channels * channels;
    size_t n = rows * channels;
    return (struct blocking){length, n / length, n % length};
}

/** Repeat per-channel constants over a block. */
static void repeat(const float *constants, size_t channels, size_t length, float *out)
{
    for (size_t i = 0; i < length; i++)
        out[i] = constants[i % channels];
}

/** Add block sums to their channels, in index order. */
static void fold_sums(const float *sums, size_t channels, size_t length, double *out)
{
    for (size_t i = 0; i < length; i++)
        out[i % channels] += (double)sums[i];
}

/* --- patches --- */

/** memcpy for the few dozen floats of a patch row, where the call would cost more than the copy. */
static inline void copy_floats(const float *from, size_t n, float *to)
{
    for (; n >= 16; n -= 16, from += 16, to += 16)
        for (size_t i = 0; i < 16; i++)
            to[i] = from[i];
    for (size_t i = 0; i < n; i++)
        to[i] = from[i];
}

static inline void zero_floats(size_t n, float *to)
{
    for (size_t i = 0; i < n; i++)
        to[i] = 0;
}

/** Whether neighbouring columns of the window are neighbours in memory. */
static inline bool is_contiguous(const struct ws_geometry *g)
{
    return g->dilation[1] == 1 && g->pitch == g->channels;
}

/** One image row of the window, whose first column is x0, with zeros outside. */
static inline void copy_window_row(const struct ws_geometry *g, const float *row, int x0, float *out)
{
    size_t c = (size_t)g->channels;
    if (x0 >= 0 && x0 + g->kernel[1] <= g->width && is_contiguous(g)) {
        copy_floats(row + (size_t)x0 * c, (size_t)g->kernel[1] * c, out);
        return;
    }
    for (int k = 0, x = x0; k < g->kernel[1]; k++, out += c, x += g->dilation[1]) {
        if (x >= 0 && x < g->width)
            copy_floats(row + (size_t)x * (size_t)g->pitch, c, out);
        else
            zero_floats(c, out);
    }
}

static void im2col(const struct ws_geometry *g, const float *x, size_t m0, size_t rows, float *patches)
{
    size_t row_pitch = (size_t)g->width * (size_t)g->pitch, map = (size_t)g->height * row_pitch;
    size_t per_image = (size_t)g->out_height * (size_t)g->out_width;
    size_t row_floats = (size_t)g->kernel[1] * (size_t)g->channels;
    size_t image = m0 / per_image, pixel = m0 % per_image;
    int oy = (int)(pixel / (size_t)g->out_width), ox = (int)(pixel % (size_t)g->out_width);
    for (size_t m = 0; m < rows; m++) {
        const float *base = x + image * map;
        int x0 = ox * g->stride[1] - g->pad[1], y = oy * g->stride[0] - g->pad[0];
        for (int k = 0; k < g->kernel[0]; k++, patches += row_floats, y += g->dilation[0]) {
            if (y < 0 || y >= g->height)
                zero_floats(row_floats, patches);
            else
                copy_window_row(g, base + (size_t)y * row_pitch, x0, patches);
        }
        if (++ox == g->out_width) {
            ox = 0;
            if (++oy == g->out_height) {
                oy = 0;
                image++;
            }
        }
    }
}

static void pad_image(const float *x, int height, int width, int channels, int pitch, int pad, float *y)
{
    size_t c = (size_t)channels, row = (size_t)width * c, edge = (size_t)pad * c;
    size_t frame = (row + 2 * edge) * (size_t)pad;
    zero_floats(frame, y);
    y += frame;
    for (int i = 0; i < height; i++, x += (size_t)width * (size_t)pitch, y += row + 2 * edge) {
        zero_floats(edge, y);
        if (pitch == channels)
            copy_floats(x, row, y + edge);
        else
            for (size_t j = 0; j < (size_t)width; j++)
                copy_floats(x + j * (size_t)pitch, c, y + edge + j * c);
        zero_floats(edge, y + edge + row);
    }
    zero_floats(frame, y);
}

static void add_floats(const float *x, size_t n, float *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] += x[i];
}

/** Add the gradients of one window row, whose first column is x0, to the image's row. */
static inline void add_window_row(const struct ws_geometry *g, const float *patch, int x0, float *row)
{
    size_t c = (size_t)g->channels;
    if (is_contiguous(g)) {
        int first = x0 < 0 ? -x0 : 0;
        int last = x0 + g->kernel[1] > g->width ? g->width - x0 : g->kernel[1];
        if (last > first)
            add_floats(patch + (size_t)first * c, (size_t)(last - first) * c, row + (size_t)(x0 + first) * c);
        return;
    }
    for (int k = 0, x = x0; k < g->kernel[1]; k++, patch += c, x += g->dilation[1])
        if (x >= 0 && x < g->width)
            add_floats(patch, c, row + (size_t)x * (size_t)g->pitch);
}

static void col2im(const struct ws_geometry *g, const float *patches, size_t m0, size_t rows, float *x)
{
    size_t row_pitch = (size_t)g->width * (size_t)g->pitch, map = (size_t)g->height * row_pitch;
    size_t per_image = (size_t)g->out_height * (size_t)g->out_width;
    size_t row_floats = (size_t)g->kernel[1] * (size_t)g->channels;
    for (size_t m = m0; m < m0 + rows; m++) {
        float *base = x + m / per_image * map;
        size_t pixel = m % per_image;
        int y = (int)(pixel / (size_t)g->out_width) * g->stride[0] - g->pad[0];
        int x0 = (int)(pixel % (size_t)g->out_width) * g->stride[1] - g->pad[1];
        for (int k = 0; k < g->kernel[0]; k++, patches += row_floats, y += g->dilation[0])
            if (y >= 0 && y < g->height)
                add_window_row(g, patches, x0, base + (size_t)y * row_pitch);
    }
}

#include "direct_impl.h"

#include "depthwise_impl.h"
#include "pointwise_impl.h"
#include "pool_impl.h"

/* --- sums over a map --- */

/** Moments of up to FLUSH blocks of `length` floats, `stride` apart. `length` is BLOCK in the hot case. */
static inline void moments_of(const float *x, size_t blocks, size_t stride, size_t length, const float *pivot,
                              float *sum, float *sumsq)
{
    for (size_t b = 0; b < blocks; b++, x += stride)
        for (size_t i = 0; i < length; i++) {
            float d = x[i] - pivot[i];
            sum[i] += d;
            sumsq[i] += d * d;
        }
}

/** Sum `n` blocks into doubles by way of single-precision runs of FLUSH blocks. */
static void moments_blocks(const float *x, size_t n, size_t stride, size_t length, size_t channels, const float *pivot,
                           double *sum, double *sumsq)
{
    for (size_t b = 0; b < n; b += FLUSH) {
        float s[BLOCK] = {0}, q[BLOCK] = {0};
        size_t count = n - b < FLUSH ? n - b : FLUSH;
        if (length == BLOCK)
            moments_of(x + b * stride, count, stride, BLOCK, pivot, s, q);
        else
            moments_of(x + b * stride, count, stride, length, pivot, s, q);
        fold_sums(s, channels, length, sum);
        fold_sums(q, channels, length, sumsq);
    }
}

static void channel_moments(const float *x, size_t rows, int channels, const float *pivot, double *sum, double *sumsq)
{
    size_t c = (size_t)channels;
    if (c >= BLOCK) {
        for (size_t c0 = 0; c0 < c; c0 += BLOCK) {
            size_t length = c - c0 < BLOCK ? c - c0 : BLOCK;
            moments_blocks(x + c0, rows, c, length, length, pivot + c0, sum + c0, sumsq + c0);
        }
        return;
    }
    struct blocking b = block_rows(rows, c);
    float pivots[BLOCK];
    repeat(pivot, c, b.length, pivots);
    moments_blocks(x, b.blocks, b.length, b.length, c, pivots, sum, sumsq);
    if (b.rest > 0)
        moments_blocks(x + b.blocks * b.length, 1, 0, b.rest, c, pivots, sum, sumsq);
}

/** What the reduction of one block of channels needs of the forward pass; repeated like the block. */
struct reduction {
    const float *mean, *scale, *shift;
    float top;
};

/** dy where ReLU passed v, else 0. */
static inline float pass(float dy, float v, float top)
{
    return ((v > 0) & (v < top)) ? dy : 0; /* &: a branch would keep the loop from being vectorised */
}

static inline void reduce_of(float *dy, const float *y, const float *x, size_t blocks, size_t stride, size_t length,
                             const struct reduction *r, float *sum, float *dot)
{
    const float *mean = r->mean, *scale = r->scale, *shift = r->shift;
    const float top = r->top;
    for (size_t b = 0; b < blocks; b++, x += stride, dy += stride) {
        if (y) {
            for (size_t i = 0; i < length; i++)
                dy[i] = pass(dy[i], y[i], top);
            y += stride;
        } else if (top > 0) {
            for (size_t i = 0; i < length; i++)
                dy[i] = pass(dy[i], x[i] * scale[i] + shift[i], top);
        }
        for (size_t i = 0; i < length; i++) {
            sum[i] += dy[i];
            dot[i] += dy[i] * (x[i] - mean[i]);
        }
    }
}

static void reduce_blocks(float *dy, const float *y, const float *x, size_t n, size_t stride, size_t length,
                          size_t channels, const struct reduction *r, double *sum, double *dot)
{
    for (size_t b = 0; b < n; b += FLUSH) {
        float s[BLOCK] = {0}, d[BLOCK] = {0};
        size_t count = n - b < FLUSH ? n - b : FLUSH, at = b * stride;
        if (length == BLOCK)
            reduce_of(dy + at, y ? y + at : NULL, x + at, count, stride, BLOCK, r, s, d);
        else
            reduce_of(dy + at, y ? y + at : NULL, x + at, count, stride, length, r, s, d);
        fold_sums(s, channels, length, sum);
        fold_sums(d, channels, length, dot);
    }
}

static void batchnorm_reduce(float *dy, const float *y, const float *x, size_t rows, int channels, const float *mean,
                             const struct ws_affine *forward, double *sum, double *dot)
{
    size_t c = (size_t)channels;
    y = forward->top > 0 ? y : NULL;
    if (c >= BLOCK) {
        for (size_t c0 = 0; c0 < c; c0 += BLOCK) {
            size_t length = c - c0 < BLOCK ? c - c0 : BLOCK;
            const struct reduction r = {mean + c0, forward->scale + c0, forward->shift + c0, forward->top};
            reduce_blocks(dy + c0, y ? y + c0 : NULL, x + c0, rows, c, length, length, &r, sum + c0, dot + c0);
        }
        return;
    }
    struct blocking b = block_rows(rows, c);
    float means[BLOCK], scales[BLOCK], shifts[BLOCK];
    repeat(mean, c, b.length, means);
    repeat(forward->scale, c, b.length, scales);
    repeat(forward->shift, c, b.length, shifts);
    const struct reduction r = {means, scales, shifts, forward->top};
    size_t at = b.blocks * b.length;
    reduce_blocks(dy, y, x, b.blocks, b.length, b.length, c, &r, sum, dot);
    if (b.rest > 0)
        reduce_blocks(dy + at, y ? y + at : NULL, x + at, 1, 0, b.rest, c, &r, sum, dot);
}

/* --- maps to maps --- */

/** min(max(0, v), top); NaN stays. */
static inline float clamp(float v, float top)
{
    v = v < 0 ? 0 : v;
    return v > top ? top : v;
}

/* A map may be written over itself: ivdep tells the compiler that no element waits for another. */

/** The body of affine for one block; each combination of residual and ReLU is its own loop. */
static inline void affine_block(const float *x, const float *r, size_t length, const float *scale, const float *shift,
                                float top, float *y)
{
    if (r && top > 0)
#pragma GCC ivdep
        for (size_t i = 0; i < length; i++)
            y[i] = clamp(x[i] * scale[i] + shift[i] + r[i], top);
    else if (top > 0)
#pragma GCC ivdep
        for (size_t i = 0; i < length; i++)
            y[i] = clamp(x[i] * scale[i] + shift[i], top);
    else if (r)
#pragma GCC ivdep
        for (size_t i = 0; i < length; i++)
            y[i] = x[i] * scale[i] + shift[i] + r[i];
    else
#pragma GCC ivdep
        for (size_t i = 0; i < length; i++)
            y[i] = x[i] * scale[i] + shift[i];
}

static void affine(const float *x, size_t rows, int channels, const float *scale, const float *shift,
                   const float *residual, float top, float *y)
{
    size_t c = (size_t)channels;
    if (c >= BLOCK) {
        for (size_t row = 0; row < rows; row++, x += c, y += c) {
            affine_block(x, residual, c, scale, shift, top, y);
            residual = residual ? residual + c : NULL;
        }
        return;
    }
    struct blocking b = block_rows(rows, c);
    float scales[BLOCK], shifts[BLOCK];
    repeat(scale, c, b.length, scales);
    repeat(shift, c, b.length, shifts);
    for (size_t i = 0; i < b.blocks; i++) {
        size_t at = i * b.length;
        if (b.length == BLOCK)
            affine_block(x + at, residual ? residual + at : NULL, BLOCK, scales, shifts, top, y + at);
        else
            affine_block(x + at, residual ? residual + at : NULL, b.length, scales, shifts, top, y + at);
    }
    size_t at = b.blocks * b.length;
    affine_block(x + at, residual ? residual + at : NULL, b.rest, scales, shifts, top, y + at);
}

static inline void dx_block(const float *dy, const float *x, size_t length, const float *a, const float *b,
                            const float *d, bool accumulate, float *dx)
{
    if (accumulate)
#pragma GCC ivdep
        for (size_t i = 0; i < length; i++)
            dx[i] += a[i] * dy[i] + b[i] * x[i] + d[i];
    else
#pragma GCC ivdep
        for (size_t i = 0; i < length; i++)
            dx[i] = a[i] * dy[i] + b[i] * x[i] + d[i];
}

static void batchnorm_dx(const float *dy, const float *x, size_t rows, int channels, const float *a, const float *b,
                         const float *d, bool accumulate, float *dx)
{
    size_t c = (size_t)channels;
    if (c >= BLOCK) {
        for (size_t row = 0; row < rows; row++)
            dx_block(dy + row * c, x + row * c, c, a, b, d, accumulate, dx + row * c);
        return;
    }
    struct blocking k = block_rows(rows, c);
    float as[BLOCK], bs[BLOCK], ds[BLOCK];
    repeat(a, c, k.length, as);
    repeat(b, c, k.length, bs);
    repeat(d, c, k.length, ds);
    for (size_t i = 0; i < k.blocks; i++) {
        size_t at = i * k.length;
        if (k.length == BLOCK)
            dx_block(dy + at, x + at, BLOCK, as, bs, ds, accumulate, dx + at);
        else
            dx_block(dy + at, x + at, k.length, as, bs, ds, accumulate, dx + at);
    }
    size_t at = k.blocks * k.length;
    dx_block(dy + at, x + at, k.rest, as, bs, ds, accumulate, dx + at);
}

static void relu_dx(const float *dy, const float *y, size_t n, bool accumulate, float *dx)
{
    if (accumulate)
#pragma GCC ivdep
        for (size_t i = 0; i < n; i++)
            dx[i] += !y || y[i] > 0 ? dy[i] : 0;
    else
#pragma GCC ivdep
        for (size_t i = 0; i < n; i++)
            dx[i] = !y || y[i] > 0 ? dy[i] : 0;
}

static void sgd(float *w, const float *g, float *v, size_t n, float lr, float momentum, float decay, bool nesterov)
{
    if (!v) {
        for (size_t i = 0; i < n; i++)
            w[i] -= lr * (g[i] + decay * w[i]);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        float d = g[i] + decay * w[i];
        v[i] = momentum * v[i] + d;
        w[i] -= lr * (nesterov ? d + momentum * v[i] : v[i]);
    }
}

static void adam(const struct ws_adam *a, float *w, const float *g, float *m, float *v, size_t n)
{
    const float beta1 = a->beta1, beta2 = a->beta2, eps = a->eps, rate = a->rate, decay = a->decay, shrink = a->shrink;
    const float rest1 = 1 - beta1, rest2 = 1 - beta2, inverse_root = 1 / a->root;
    for (size_t i = 0; i < n; i++) {
        const float weight = w[i] * shrink, d = g[i] + decay * w[i];
        m[i] = beta1 * m[i] + rest1 * d;
        v[i] = beta2 * v[i] + rest2 * d * d;
        w[i] = weight - rate * m[i] / (sqrtf(v[i]) * inverse_root + eps);
    }
}

#include "product_impl.h"
#include "winograd_impl.h"

const struct ws_kernels WS_KERNELS_TABLE = {
    .name = WS_KERNELS_NAME,
    .im2col = im2col,
    .col2im = col2im,
    .conv_direct = conv_direct,
    .conv_direct_dw = conv_direct_dw,
    .depthwise = depthwise,
    .depthwise_dx = depthwise_dx,
    .depthwise_dw = depthwise_dw,
    .winograd_input = winograd_input,
    .winograd_gradient = winograd_gradient,
    .winograd_output = winograd_output,
    .winograd_weight = winograd_weight,
    .winograd_weight_gradient = winograd_weight_gradient,
    .product_panels = product_panels,
    .product = product,
    .matrix_product = matrix_product,
    .outer = outer,
    .pad_image = pad_image,
    .channel_moments = channel_moments,
    .affine = affine,
    .batchnorm_reduce = batchnorm_reduce,
    .batchnorm_dx = batchnorm_dx,
    .relu_dx = relu_dx,
    .add = add_floats,
    .axpy = axpy,
    .unary = unary,
    .unary_dx = unary_dx,
    .exponential = exponential,
    .combine = combine,
    .combine_dx = combine_dx,
    .pool = pool,
    .pool_dx = pool_dx,
    .sgd = sgd,
    .adam = adam,
};
