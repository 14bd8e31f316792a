/* What the ways to convolve share: the product, and what follows it while its rows are in cache. */
#ifndef WEBSTILL_DISTILL_NN_OP_CONV_INT_H
#define WEBSTILL_DISTILL_NN_OP_CONV_INT_H

#include "cpu/exec_int.h"

/** A convolution or gemm seen as a matrix product. */
struct ws_conv {
    struct ws_exec *e;
    const struct ws_plan_step *s;
    const struct ws_node *node;
    struct ws_geometry g;                 /* of one group */
    bool is_direct;                       /* the input is the patch matrix */
    bool is_narrow;                       /* forward and dW by direct convolution */
    bool is_narrow_dx;                    /* dX by direct convolution */
    bool is_depthwise;                    /* all three by depthwise.c */
    bool is_winograd;                     /* all three by winograd.c */
    bool is_1x1;                          /* all three by conv_1x1.c */
    size_t n_groups, in_group, out_group; /* channels of a group */
    size_t k, n_out;                      /* columns of P (of one group); output channels of all groups */
    size_t n_in;                          /* input channels of all groups */
    size_t rows_per_image;                /* output pixels */
    size_t in_floats;                     /* of one input image */
    bool want_dw, want_dx, add_dx;
    bool has_before; /* a deferred BatchNorm is applied to x while it is read */
    struct ws_affine before;
    const struct ws_bn_state *after; /* the BatchNorm whose dx is left to this convolution's backward, or NULL */
    float *packed;                   /* the weight, packed before; or NULL */
    float *panels;                   /* where a 1x1 convolution packs its weight */
    const float *turned;             /* [kh][kw][out of a group][in of all], for dX at stride 1 */
};

/** What follows the product while its rows are in cache: bias, residual, ReLU, and the moments of a BatchNorm behind
 * it. */
struct ws_epilogue {
    const struct ws_kernels *kernels;
    int channels;
    const float *ones, *shift, *residual; /* residual of the slice's first row, or NULL */
    bool is_needed;
    float top;          /* see struct ws_plan_step */
    const float *pivot; /* NULL: no moments */
    double *sum, *sumsq;
};

/** Clear the sums of the moments; before the first ws_epilogue_of(). */
void ws_epilogue_begin(const struct ws_conv *p);
/** The epilogue of one slice, whose first image is `first_image`. */
struct ws_epilogue ws_epilogue_of(const struct ws_conv *p, int slice, size_t first_image);
/** Finish `rows` rows of the slice's output `y`, from `first_row` on. */
void ws_epilogue_finish(const struct ws_epilogue *f, float *y, size_t first_row, size_t rows);

/** Backward of one slice of images. */
struct ws_conv_slice {
    size_t n_images;
    const float *x, *y, *dy;
    float *scratch;
    float *partial; /* of dW, to be cleared first; NULL: not wanted */
    float *dx;      /* NULL: not wanted */
};

/** `rows` pixels of the input, after the BatchNorm that was left to this convolution: x itself, or made in `scratch`.
 */
const float *ws_conv_input_rows(const struct ws_conv *p, const float *x, size_t rows, float *scratch);
/** `rows` pixels of dY, after the dx of the BatchNorm behind where that was left: dy itself, or made in `scratch` from
 * dy and y. */
const float *ws_conv_gradient_rows(const struct ws_conv *p, const float *dy, const float *y, size_t rows,
                                   float *scratch);

/** turned[kh][kw][o][g, c] = W[KH-1-kh][KW-1-kw][c][g, o]: group by group, o and c count inside the group g. */
void ws_conv_flip_weight(const struct ws_conv *p, const float *weight, float *turned);

#endif
