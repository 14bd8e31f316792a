/* The shape of what a sliding window makes. */
#include "window.h"

#include "graph/net_int.h"

#include <limits.h>

/** Output side of a window along one axis, or 0 when it does not fit. */
static int window_out(int in, const struct ws_window *w, int axis, bool ceil_mode)
{
    const int64_t kernel = w->kernel[axis], stride = w->stride[axis], dilation = w->dilation[axis];
    const int64_t before = w->pads[axis], after = w->pads[axis + 2];
    if (kernel < 1 || stride < 1 || dilation < 1 || before < 0 || after < 0 || kernel > INT_MAX / 2 / dilation)
        return 0;
    const int64_t reach = dilation * (kernel - 1) + 1, span = (int64_t)in + before + after - reach;
    if (span < 0 || span > INT_MAX)
        return 0;
    int64_t out = span / stride + 1;
    /* A further window counts when it begins in the map or in the padding before it (PyTorch's rule). */
    if (ceil_mode && span % stride != 0 && out * stride < (int64_t)in + before)
        out++;
    return (int)out;
}

bool ws_net_set_window(struct ws_net *net, int id, const struct ws_window *w, bool ceil_mode)
{
    struct ws_node *node = &net->nodes[id];
    int height = window_out(node->height, w, 0, ceil_mode), width = window_out(node->width, w, 1, ceil_mode);
    if (height < 1 || width < 1) {
        ws_fail(
            &net->err, WS_E_CONFIG,
            "node \"%s\": a window of %d x %d, stride %d x %d, dilation %d x %d, padding %d, %d, %d, %d does not fit a "
            "%d x %d map",
            node->name, w->kernel[0], w->kernel[1], w->stride[0], w->stride[1], w->dilation[0], w->dilation[1],
            w->pads[0], w->pads[1], w->pads[2], w->pads[3], node->height, node->width);
        return false;
    }
    node->height = height;
    node->width = width;
    return true;
}
