/*
 * What the ways to convolve share: the convolution as a product, its row in the table of ways, and what follows the
 * product while its rows are in cache.
 */
#ifndef WEBSTILL_DISTILL_NN_OP_CONV_INT_H
#define WEBSTILL_DISTILL_NN_OP_CONV_INT_H

#include "cpu/view.h"

struct ws_epilogue;

/** A convolution or gemm seen as a matrix product: what is known of it before an exec is there. */
struct ws_conv_shape {
    const struct ws_node *node;
    struct ws_geometry g;                 /**< of one group */
    bool is_square;                       /**< both axes and all four edges alike, and no holes in the window */
    bool is_product;                      /**< the input is the patch matrix: gemm, and 1x1 windows of stride 1 */
    size_t n_groups, in_group, out_group; /**< channels of a group */
    size_t n_in, n_out;                   /**< channels of all groups */
    size_t k;                             /**< columns of the patch matrix, of one group */
    size_t rows_per_image;                /**< output pixels */
    size_t in_floats;                     /**< of one input image */
    size_t n_weight;                      /**< floats of the weight */
};

struct ws_conv_shape ws_conv_shape_of(const struct ws_net *net, const struct ws_plan_step *s);

/** A convolution that is run. */
struct ws_conv {
    struct ws_conv_shape shape;
    const struct ws_exec_view *view;
    const struct ws_plan_step *s;
    bool want_dw, want_dx, add_dx;
    struct ws_affine before;         /**< the deferred BatchNorm that is applied to x, where s->before names one */
    const struct ws_bn_state *after; /**< the BatchNorm whose dx is left to this convolution's backward, or NULL */
    const float *packed;             /**< the weight, packed before; or NULL */
    float *spare;                    /**< room for one packed or flipped weight */
    const float *flipped;            /**< [kh][kw][out of a group][in of all], once ws_conv_flip() was called */
};

/** Backward of one slice of images. */
struct ws_conv_slice {
    size_t n_images;
    const float *x, *y, *dy;
    float *scratch;
    float *partial; /**< of dW, to be cleared first; NULL: not wanted */
    float *dx;      /**< NULL: not wanted */
};

typedef void ws_conv_forward_fn(const struct ws_conv *p, const struct ws_epilogue *f, size_t n_images, const float *x,
                                float *scratch, float *y);
typedef void ws_conv_backward_fn(const struct ws_conv *p, const struct ws_conv_slice *slice);

/** One of the ways to convolve: a row of ws_conv_ways, the first that fits is taken. */
struct ws_conv_way {
    struct ws_plan_way plan; /**< first: the plan's steps point to it */
    bool (*fits)(const struct ws_conv_shape *c);
    void (*scratch)(const struct ws_plan *plan, const struct ws_plan_step *s, const struct ws_conv_shape *c,
                    struct ws_conv_scratch *wanted);
    /** The weight as forward reads it, packed once for all groups of images; NULL: as it lies. */
    size_t (*packed_floats)(const struct ws_conv_shape *c);
    void (*pack)(const struct ws_conv *p, float *packed);
    void (*forward)(struct ws_conv *p);
    /** dW and dX, as p->want_dw and p->want_dx ask; NULL: a slice's dW alone, dX by the other table. */
    void (*backward)(struct ws_conv *p);
    ws_conv_backward_fn *weight_gradient;
};

/** One of the ways to make dX where a way has none of its own: a row of ws_conv_dx_ways. */
struct ws_conv_dx_way {
    struct ws_plan_way plan;
    bool (*fits)(const struct ws_conv_shape *c);
    size_t (*worker_floats)(const struct ws_conv_shape *c); /**< NULL: none */
    bool wants_flipped;
    ws_conv_backward_fn *run;
};

/* The rows, each of its file. */
extern const struct ws_conv_way ws_conv_depthwise, ws_conv_1x1, ws_conv_winograd_narrow, ws_conv_winograd_wide,
    ws_conv_direct, ws_conv_patches;
extern const struct ws_conv_dx_way ws_conv_dx_product, ws_conv_dx_direct, ws_conv_dx_flipped, ws_conv_dx_scattered;

/** All of them, in the order in which they are asked, NULL behind the last. */
extern const struct ws_conv_way *const ws_conv_ways[];
extern const struct ws_conv_dx_way *const ws_conv_dx_ways[];

/* --- shapes --- */

static inline bool ws_conv_has_stride_1(const struct ws_conv_shape *c)
{
    return c->g.stride[0] == 1 && c->g.stride[1] == 1;
}

/** The geometry of dX as a convolution of dY (stride 1). */
struct ws_geometry ws_conv_flipped_geometry(const struct ws_conv_shape *c);
/** Rows of patches of `k` floats that are made and multiplied at a time. */
size_t ws_conv_stripe_rows(size_t k);

/* --- what follows the product: bias, residual, ReLU, and the moments of a BatchNorm behind it --- */

struct ws_epilogue {
    const struct ws_kernels *kernels;
    int channels;
    const float *ones, *shift, *residual; /**< residual of the slice's first row, or NULL */
    bool is_needed;
    float top;          /**< see struct ws_plan_step */
    const float *pivot; /**< NULL: no moments */
    double *sum, *sumsq;
};

/** Clear the sums of the moments; before the first ws_epilogue_of(). */
void ws_epilogue_begin(const struct ws_conv *p);
/** The epilogue of one slice, whose first image is `first_image`. */
struct ws_epilogue ws_epilogue_of(const struct ws_conv *p, int slice, size_t first_image);
/** Finish `rows` rows of the slice's output `y`, from `first_row` on. */
void ws_epilogue_finish(const struct ws_epilogue *f, float *y, size_t first_row, size_t rows);

/* --- forward and backward by slices of images --- */

/** y of each slice's images from x, finished by the epilogue. */
void ws_conv_run_forward(struct ws_conv *p, ws_conv_forward_fn *work);

/** Undo the ReLU, let `work` (NULL: nothing) make its part of dW and dX, and sum the bias's gradient. */
void ws_conv_run_backward(struct ws_conv *p, ws_conv_backward_fn *work);
/** Add the slices' parts of dW to the gradient, in slice order. */
void ws_conv_reduce_weight(struct ws_conv *p);

/** `rows` pixels of the input, after the BatchNorm that was left to this convolution: x itself, or made in `scratch`.
 */
const float *ws_conv_input_rows(const struct ws_conv *p, const float *x, size_t rows, float *scratch);
/** `rows` pixels of dY, after the dx of the BatchNorm behind where that was left: dy itself, or made in `scratch` from
 * dy and y. */
const float *ws_conv_gradient_rows(const struct ws_conv *p, const float *dy, const float *y, size_t rows,
                                   float *scratch);

/** flipped[kh][kw][o][g, c] = W[KH-1-kh][KW-1-kw][c][g, o]: group by group, o and c count inside the group g. */
void ws_conv_flip_weight(const struct ws_conv *p, float *flipped);
/** The same into p->spare; p->flipped is then there. */
void ws_conv_flip(struct ws_conv *p);

#endif
