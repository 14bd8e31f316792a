/* 1x1 convolutions of stride 1, one slice of images at a time: products of rows, without a copy of the maps. */
#ifndef WEBSTILL_DISTILL_NN_OP_CONV_1X1_H
#define WEBSTILL_DISTILL_NN_OP_CONV_1X1_H

#include "conv_int.h"

bool ws_conv_1x1_fits(const struct ws_conv *p);
/** Floats of a worker's scratch, and of the weight's panels. */
size_t ws_conv_1x1_scratch(const struct ws_conv *p);
size_t ws_conv_1x1_panel_floats(const struct ws_conv *p);

/** The weight, or its transpose for dX, in panels. */
void ws_conv_1x1_pack(const struct ws_conv *p, bool is_transposed, float *panels);

/** y of `n_images` images from x, finished by the epilogue a block of rows at a time. */
void ws_conv_1x1_forward(const struct ws_conv *p, const struct ws_epilogue *f, size_t n_images, const float *x,
                         const float *panels, float *scratch, float *y);
/** dW and dX (with the transposed weight in `panels`), block by block. */
void ws_conv_1x1_backward(const struct ws_conv *p, const struct ws_conv_slice *s, const float *panels);

#endif
