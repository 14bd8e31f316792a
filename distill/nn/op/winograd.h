/* Winograd's way to convolve: 3x3, stride 1, channels in sixteens. conv.c decides and calls. */
#ifndef WEBSTILL_DISTILL_NN_OP_WINOGRAD_H
#define WEBSTILL_DISTILL_NN_OP_WINOGRAD_H

#include "conv_int.h"

/** Whether this convolution, forward and both gradients, goes this way; its axes and edges must be alike. */
bool ws_winograd_fits(const struct ws_conv *p);
/** Floats it needs of a worker's scratch and of the shared scratch. */
void ws_winograd_scratch(const struct ws_conv *p, size_t *worker, size_t *shared);

/** The 36 weight matrices of the forward pass; ws_winograd_forward() makes them itself where p->packed is NULL. */
size_t ws_winograd_packed_floats(const struct ws_conv *p);
void ws_winograd_pack(const struct ws_conv *p, float *packed);

void ws_winograd_forward(const struct ws_conv *p);
/** dX (+)= …, as p->add_dx says. */
void ws_winograd_backward_input(const struct ws_conv *p);
/** dW += …. */
void ws_winograd_backward_weight(const struct ws_conv *p);

#endif
