/*
 * Elementwise and gathering kernels, in one table per instruction set.
 *
 * kernels_impl.h holds the plain C; it is compiled once as it is, once for AVX2 and once for AVX-512, and the table
 * that fits this processor is chosen at run time. Maps are rows of `channels` contiguous floats (NHWC: a row is a
 * pixel). The backward products of wide maps are not here: they are single-threaded cblas_sgemm calls of the executor.
 */
#ifndef WEBSTILL_DISTILL_NN_CPU_KERNELS_H
#define WEBSTILL_DISTILL_NN_CPU_KERNELS_H

#include "webstill/nn/graph.h"

#include <stdbool.h>
#include <stddef.h>

/** A convolution over one image, or over a group of its channels: sizes in pixels, [0] rows, [1] columns. */
struct ws_geometry {
    int height, width, channels; /**< input; the channels of one group */
    int pitch;                   /**< floats from pixel to pixel: the channels of all groups */
    int out_height, out_width;
    int kernel[2], stride[2], dilation[2];
    int pad[2]; /**< top, left; a negative one begins inside the map */
};

/** A direct convolution over one padded image, or over a group of its channels. */
struct ws_direct {
    int padded_width, channels, kernel, stride, out_height, out_width, out_channels;
    int out_pitch; /**< floats from output pixel to output pixel, and from weight row to weight row */
};

/** A 3x3 convolution of stride 1 over consecutive images, in tiles of 4x4 outputs. */
struct ws_winograd {
    int height, width, channels, pad;
    int out_height, out_width, out_channels; /* channels and out_channels are multiples of WS_DIRECT_LANES */
    int tiles_y, tiles_x;                    /* tiles of one image */
};

enum { WS_WINOGRAD_POINTS = 36 };

/** c [rows][out] = a [rows][k] times w [k][out]; steps are floats from row to row. */
struct ws_matrices {
    const float *a, *w;
    float *c;
    size_t rows, k, out, a_step, w_step, c_step;
};

enum {
    WS_MATRIX_DEPTH = 192,                    /**< terms that are summed before they are added to the result */
    WS_MATRIX_PANELS = WS_MATRIX_DEPTH * 128, /**< floats of the scratch of a product */
};

/** What affine() does to a map, where it is done while the map is read. */
struct ws_affine {
    const float *scale, *shift; /* [channels] */
    float top;
};

/** One step of Adam; the corrections 1 - beta^step are in `rate` and `root`. */
struct ws_adam {
    float beta1, beta2, eps;
    float rate;   /**< lr / (1 - beta1^step) */
    float root;   /**< sqrt(1 - beta2^step) */
    float decay;  /**< added to the gradient, times the weight */
    float shrink; /**< the weight is multiplied by it first */
};

enum { WS_DIRECT_LANES = 16 }; /**< direct convolutions want a multiple of so many output channels */

/** The pixels of one pooling window: [rows][columns] of `channels` floats, strides in floats. */
struct ws_pool_window {
    size_t rows, columns, channels;
    size_t row_stride, column_stride;
    bool is_max;
    float share; /**< of each pixel in a mean */
};

struct ws_kernels {
    const char *name;

    /** Rows m0 … m0+rows-1 of the patch matrix: row m is output pixel m of consecutive images,
     * kernel[0]*kernel[1]*channels floats in (window row, window column, channel) order, zero where the window hangs
     * over the edge. */
    void (*im2col)(const struct ws_geometry *g, const float *x, size_t m0, size_t rows, float *patches);

    /** x += the transpose of im2col of the same rows. */
    void (*col2im)(const struct ws_geometry *g, const float *patches, size_t m0, size_t rows, float *x);

    /** Direct convolution of one padded image: y (+)= x * w. `x` has padded_width columns and room for every window; w
     * is [kernel][kernel][channels][out_pitch]; out_channels is a multiple of 16. */
    void (*conv_direct)(const struct ws_direct *d, const float *x, const float *w, bool accumulate, float *y);

    /** Its weight gradient: dw += the correlation of x and dy. */
    void (*conv_direct_dw)(const struct ws_direct *d, const float *x, const float *dy, float *dw);

    /** Output rows first_row … end_row-1 of a depthwise convolution of one image: y (+)= x * w, w
     * [kernel[0]][kernel[1]][pitch]; g.pitch is the number of channels, and y begins with first_row. */
    void (*depthwise)(const struct ws_geometry *g, const float *x, const float *w, int first_row, int end_row,
                      bool accumulate, float *y);
    /** Its gradients for one image: dx (+)= …, and dw += …. */
    void (*depthwise_dx)(const struct ws_geometry *g, const float *dy, const float *w, bool accumulate, float *dx);
    void (*depthwise_dw)(const struct ws_geometry *g, const float *x, const float *dy, float *dw);

    /* Winograd's transforms and products; what they compute stands in winograd_impl.h. A tile row is a row of tiles_x
       tiles of one image; tile rows are counted through consecutive images. A transformed map is 36 grids
       [tiles][channels], `step` floats apart; `u` and `m` point to the first tile of the range. */

    /** Patches of x, or of min(max(0, x scale + shift), top) with zeros around it, → u [36][tiles][channels]; frame is
     * scratch of 6 (4 tiles_x + 2) channels floats. */
    void (*winograd_input)(const struct ws_winograd *g, const float *x, size_t first_row, size_t n_rows, size_t step,
                           const struct ws_affine *before, float *frame, float *u);
    /** Tiles of dY → u [36][tiles][out_channels]. */
    void (*winograd_gradient)(const struct ws_winograd *g, const float *dy, size_t first_row, size_t n_rows,
                              size_t step, float *u);
    /** y (+)= tiles of m [36][tiles][out_channels]. */
    void (*winograd_output)(const struct ws_winograd *g, const float *m, size_t first_row, size_t n_rows, size_t step,
                            bool accumulate, float *y);
    /** w [3][3][channels][out] → v [36][channels][out] in panels, for input channels first … end-1. */
    void (*winograd_weight)(const float *w, int channels, int out_channels, int first, int end, float *v);
    /** dw [3][3][channels][out] += sums [36][channels][out], for input channels first … end-1. */
    void (*winograd_weight_gradient)(const float *sums, int channels, int out_channels, int first, int end, float *dw);
    /** Rows first … end-1 of a matrix w [k][out] (of the transpose of [out][k]) into the panels that product() reads: k
     * times `out` filled up to a multiple of WS_DIRECT_LANES floats at the most. */
    void (*product_panels)(const float *w, int k, int out, bool is_transposed, int first, int end, float *panels);
    /** c [rows][out] (+)= a [rows][k] times the matrix in `panels`. */
    void (*product)(const float *a, size_t rows, int k, const float *panels, int out, bool accumulate, float *c);
    /** The product of two matrices as they lie; `panels` is scratch of WS_MATRIX_PANELS floats. A row of the result is
     * the same whatever other rows there are. BLAS does not promise that: its kernels for the last few rows may sum in
     * another order, or without FMA. */
    void (*matrix_product)(const struct ws_matrices *m, float *panels);
    /** sums [channels][out] += x' dy; x [rows][channels], dy [rows][out]. */
    void (*outer)(const float *x, const float *dy, size_t rows, int channels, int out, float *sums);

    /** Copy `channels` of an image's `pitch` channels into the middle of a zeroed frame of `pad` pixels. */
    void (*pad_image)(const float *x, int height, int width, int channels, int pitch, int pad, float *y);

    /** sum[c] += Σ (x - pivot[c]), sumsq[c] += Σ (x - pivot[c])². */
    void (*channel_moments)(const float *x, size_t rows, int channels, const float *pivot, double *sum, double *sumsq);

    /** y = x*scale[c] + shift[c] (+ residual), then, if top > 0, min(max(0, .), top). residual may be NULL; y may be x.
     */
    void (*affine)(const float *x, size_t rows, int channels, const float *scale, const float *shift,
                   const float *residual, float top, float *y);

    /** sum[c] += Σ dy, dot[c] += Σ dy*(x - mean[c]), after dy = 0 where ReLU does not pass it: outside 0 < y < top when
     * y is given, else outside 0 < x scale + shift < top; nowhere when top is 0. */
    void (*batchnorm_reduce)(float *dy, const float *y, const float *x, size_t rows, int channels, const float *mean,
                             const struct ws_affine *forward, double *sum, double *dot);

    /** dx (+)= a[c]*dy + b[c]*x + d[c]. */
    void (*batchnorm_dx)(const float *dy, const float *x, size_t rows, int channels, const float *a, const float *b,
                         const float *d, bool accumulate, float *dx);

    /** dx (+)= dy where y > 0, else 0; y NULL: everywhere. dx may be dy when not accumulating. */
    void (*relu_dx)(const float *dy, const float *y, size_t n, bool accumulate, float *dx);

    /** y += x. */
    void (*add)(const float *x, size_t n, float *y);

    /** y += a x. */
    void (*axpy)(float a, const float *x, size_t n, float *y);

    /** One of the ops of one input that work value by value (graph.h has their formulas); y may be x. */
    void (*unary)(enum ws_op op, const float *x, size_t n, float alpha, float beta, float *y);

    /** Its gradient: dx (+)= dy f'(x), given y = f(x). */
    void (*unary_dx)(enum ws_op op, const float *dy, const float *x, const float *y, size_t n, float alpha, float beta,
                     bool accumulate, float *dx);

    /** y = e^x to 2 units in the last place, 0 below the smallest normal number; y may be x. */
    void (*exponential)(const float *x, size_t n, float *y);

    /** y = a + b or a b, one of which may be a single value (a_one, b_one), then max(0, .) if relu. */
    void (*combine)(bool is_mul, const float *a, bool a_one, const float *b, bool b_one, size_t n, bool relu, float *y);

    /** dx[i] += dy[i] other[i]; `other` NULL: 1; other_one: a single value; to_one: all of it to dx[0]. */
    void (*combine_dx)(const float *dy, const float *other, bool other_one, size_t n, bool to_one, float *dx);

    /** y[c] = the largest (a NaN wins), or the sum times share, of a window's pixels; -infinity when there are none. */
    void (*pool)(const struct ws_pool_window *w, const float *x, float *y);

    /** dx += its gradient: the first largest pixel takes all of a maximum's. */
    void (*pool_dx)(const struct ws_pool_window *w, const float *x, const float *y, const float *dy, float *dx);

    /** Momentum step over n values (optim.h); v NULL: plain SGD. */
    void (*sgd)(float *w, const float *g, float *v, size_t n, float lr, float momentum, float decay, bool nesterov);

    /** Adam's step over n values (optim.h): m and v are the moments. */
    void (*adam)(const struct ws_adam *a, float *w, const float *g, float *m, float *v, size_t n);
};

/** The table for this processor. */
const struct ws_kernels *ws_kernels_get(void);

/** A table by name ("plain", "avx2", "avx512"), or NULL when unknown or not runnable here: for tests. */
const struct ws_kernels *ws_kernels_find(const char *name);

extern const struct ws_kernels ws_kernels_plain;
#if defined(__x86_64__)
extern const struct ws_kernels ws_kernels_avx2;
extern const struct ws_kernels ws_kernels_avx512;
#endif

#endif
