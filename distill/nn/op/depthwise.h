/* Depthwise convolution, one slice of images at a time. */
#ifndef WEBSTILL_DISTILL_NN_OP_DEPTHWISE_H
#define WEBSTILL_DISTILL_NN_OP_DEPTHWISE_H

#include "conv_int.h"

/** Whether this convolution, forward and both gradients, goes this way. */
bool ws_depthwise_fits(const struct ws_conv *p);

/** Floats of a worker's scratch: images to which a BatchNorm's part was done. */
size_t ws_depthwise_scratch(const struct ws_conv *p);

/** y of `n_images` images from x, finished by the epilogue a few rows at a time. */
void ws_depthwise_forward(const struct ws_conv *p, const struct ws_epilogue *f, size_t n_images, const float *x,
                          float *scratch, float *y);

/** dW and dX, image by image; `turned` is the geometry of dX as a convolution of dY, used when p->turned is there. */
void ws_depthwise_backward(const struct ws_conv *p, const struct ws_conv_slice *s, const struct ws_geometry *turned);

#endif
