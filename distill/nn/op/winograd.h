/* Winograd's way to convolve: 3x3, stride 1, channels in sixteens. conv.c decides and calls. */
#ifndef WEBSTILL_DISTILL_NN_OP_WINOGRAD_H
#define WEBSTILL_DISTILL_NN_OP_WINOGRAD_H

#include "conv_int.h"

/** Whether this convolution, forward and both gradients, goes this way; its axes and edges must be alike. */
bool winograd_fits(const struct product *p);
/** Floats it needs of a worker's scratch and of the shared scratch. */
void winograd_scratch(const struct product *p, size_t *worker, size_t *shared);

/** The 36 weight matrices of the forward pass; winograd_forward() makes them itself where p->packed is NULL. */
size_t winograd_packed_floats(const struct product *p);
void winograd_pack(const struct product *p, float *packed);

void winograd_forward(const struct product *p);
/** dX (+)= …, as p->add_dx says. */
void winograd_backward_input(const struct product *p);
/** dW += …. */
void winograd_backward_weight(const struct product *p);

#endif
