#include "images.h"

#include <string.h>

struct pass {
    const struct ws_exec_view *view;
    const struct ws_plan_step *s;
    ws_image_fn *work;
};

static void run_slice(void *argument, int slice, int worker)
{
    (void)worker;
    const struct pass *p = argument;
    const size_t end = ws_exec_slice_begin(p->view, slice + 1);
    for (size_t image = ws_exec_slice_begin(p->view, slice); image < end; image++)
        p->work(p->view, p->s, image);
}

void ws_exec_each_image(const struct ws_exec_view *view, const struct ws_plan_step *s, ws_image_fn *work)
{
    struct pass p = {view, s, work};
    ws_exec_run_slices(view, run_slice, &p);
}

bool ws_exec_open_gradient(const struct ws_exec_view *view, int node)
{
    if (node < 0 || !view->plan->wants_gradient[node])
        return false;
    if (!ws_exec_accumulate_into(view, node))
        memset(view->gradient[node], 0, (size_t)view->n_images * ws_exec_image_floats(view, node) * sizeof(float));
    return true;
}

bool ws_exec_open_gradients(const struct ws_exec_view *view, const struct ws_plan_step *s)
{
    bool is_wanted = false;
    for (int i = 0; i < ws_plan_step_n_inputs(view->plan, s); i++)
        is_wanted |= ws_exec_open_gradient(view, ws_plan_step_input(view->plan, s, i));
    return is_wanted;
}

void ws_node_dims(const struct ws_node *node, size_t sides[WS_N_SIDES])
{
    sides[WS_HEIGHT] = (size_t)node->height;
    sides[WS_WIDTH] = (size_t)node->width;
    sides[WS_CHANNELS] = (size_t)node->channels;
}

void ws_node_strides(const struct ws_node *node, ptrdiff_t strides[WS_N_SIDES])
{
    strides[WS_CHANNELS] = 1;
    strides[WS_WIDTH] = node->channels;
    strides[WS_HEIGHT] = (ptrdiff_t)node->channels * node->width;
}

/** Two sides are one when no array jumps between them. */
static bool can_join(const struct ws_strides *w, int outer, int inner)
{
    for (int i = 0; i < w->n_arrays; i++)
        if (w->stride[i][outer] != w->stride[i][inner] * (ptrdiff_t)w->size[inner])
            return false;
    return true;
}

static void set_side(struct ws_strides *w, int side, size_t size, int from)
{
    for (int i = 0; i < w->n_arrays; i++)
        w->stride[i][side] = from >= 0 ? w->stride[i][from] : 0;
    w->size[side] = size;
}

void ws_strides_join(struct ws_strides *w)
{
    int to = WS_N_SIDES - 1;
    for (int side = to - 1; side >= 0; side--) {
        if (w->size[side] == 1)
            continue;
        if (w->size[to] == 1)
            set_side(w, to, w->size[side], side);
        else if (can_join(w, side, to))
            w->size[to] *= w->size[side];
        else
            set_side(w, --to, w->size[side], side);
    }
    while (to > 0)
        set_side(w, --to, 1, -1);
}
