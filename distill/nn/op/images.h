/* Running an op image by image, and the walks over three sides that such ops share. */
#ifndef WEBSTILL_DISTILL_NN_OP_IMAGES_H
#define WEBSTILL_DISTILL_NN_OP_IMAGES_H

#include "cpu/view.h"

typedef void ws_image_fn(const struct ws_exec_view *view, const struct ws_plan_step *s, size_t image);
/** Run `work` for every image of the view, in slices. */
void ws_exec_each_image(const struct ws_exec_view *view, const struct ws_plan_step *s, ws_image_fn *work);
/** Make an input's gradient ready to be added to: zero when nobody has written it. False when it is not wanted. */
bool ws_exec_open_gradient(const struct ws_exec_view *view, int node);
/** The same for all inputs of a step; false when none is wanted. */
bool ws_exec_open_gradients(const struct ws_exec_view *view, const struct ws_plan_step *s);

/** Sides of a node, and the floats between neighbours along each. */
void ws_node_dims(const struct ws_node *node, size_t sides[WS_N_SIDES]);
void ws_node_strides(const struct ws_node *node, ptrdiff_t strides[WS_N_SIDES]);

/** A walk over three sides of up to three arrays; a stride of 0 stays on one value. */
struct ws_strides {
    int n_arrays;
    size_t size[WS_N_SIDES];
    ptrdiff_t stride[3][WS_N_SIDES];
};
/** Join sides as far as all arrays allow, so that the innermost is long. */
void ws_strides_join(struct ws_strides *w);

#endif
