/* Depthwise convolution, one slice of images at a time. */
#ifndef WEBSTILL_NN_DEPTHWISE_H
#define WEBSTILL_NN_DEPTHWISE_H

#include "conv_int.h"

/** Whether this convolution, forward and both gradients, goes this way. */
bool depthwise_fits(const struct product *p);

/** y of `n_images` images from x, finished by the epilogue a few rows at a time. */
void depthwise_forward(const struct product *p, const struct epilogue *f, size_t n_images, const float *x, float *y);

/** dW of `n_images` images into `partial`. */
void depthwise_backward_weight(const struct product *p, size_t n_images, const float *x, const float *dy,
                               float *partial);

/** dX of `n_images` images; `turned` is the geometry of dX as a convolution of dY, used when p->turned is there. */
void depthwise_backward_input(const struct product *p, const struct ws_geometry *turned, size_t n_images,
                              const float *dy, float *dx);

#endif
