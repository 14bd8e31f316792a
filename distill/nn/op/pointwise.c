/* Ops of one input that work value by value, and Dropout. */
#include "graph/net_int.h"
#include "graph/row.h"
#include "images.h"

#include "webstill/base/rng.h"

/* --- the shape --- */

int ws_net_unary(struct ws_net *net, enum ws_op op, const char *name, int x, double alpha, double beta)
{
    int id;
    struct ws_node *node = ws_net_append(net, op, name, x, &id);
    if (!node)
        return 0;
    node->point.alpha = alpha;
    node->point.beta = beta;
    if (op == WS_OP_DROPOUT && !(alpha >= 0 && alpha < 1))
        ws_fail(&net->err, WS_E_CONFIG, "node \"%s\": a dropout share of %g; expected 0 or more and less than 1", name,
                alpha);
    if (op == WS_OP_CLIP && !(alpha <= beta))
        ws_fail(&net->err, WS_E_CONFIG, "node \"%s\": clips to %g … %g, which is empty", name, alpha, beta);
    return id;
}

int ws_net_relu(struct ws_net *net, const char *name, int x)
{
    return ws_net_unary(net, WS_OP_RELU, name, x, 0, 0);
}

/* --- values and gradients --- */

struct pass {
    const struct ws_exec_view *view;
    const struct ws_plan_step *s;
    bool add;
};

static void forward_image(const struct ws_exec_view *view, const struct ws_plan_step *s, size_t image)
{
    const struct ws_node *node = &view->net->nodes[s->node];
    view->kernels->unary(s->op, ws_exec_image_value(view, s->x, image), ws_exec_image_floats(view, s->x),
                         (float)node->point.alpha, (float)node->point.beta,
                         view->value[s->out] + image * ws_exec_image_floats(view, s->out));
}

static void unary_forward(const struct ws_exec_view *view, const struct ws_plan_step *s)
{
    ws_exec_each_image(view, s, forward_image);
}

static void backward_slice(void *argument, int slice, int worker)
{
    (void)worker;
    const struct pass *p = argument;
    const struct ws_exec_view *view = p->view;
    const struct ws_node *node = &view->net->nodes[p->s->node];
    const size_t first = ws_exec_slice_begin(view, slice), n = ws_exec_slice_begin(view, slice + 1) - first;
    const size_t floats = ws_exec_image_floats(view, p->s->x), at = first * floats;
    view->kernels->unary_dx(p->s->op, view->gradient[p->s->out] + at, view->value[p->s->x] + at,
                            view->value[p->s->out] + at, n * floats, (float)node->point.alpha, (float)node->point.beta,
                            p->add, view->gradient[p->s->x] + at);
}

static void unary_backward(const struct ws_exec_view *view, const struct ws_plan_step *s)
{
    if (!view->plan->wants_gradient[s->x])
        return;
    struct pass p = {view, s, ws_exec_accumulate_into(view, s->x)};
    ws_exec_run_slices(view, backward_slice, &p);
}

/* --- Dropout --- */

/** y (+)= the kept values of x, divided by the kept share; outside TRAIN all of them. Backward draws the same mask
 * again. */
static void drop(const struct ws_exec_view *view, const struct ws_plan_step *s, size_t image, const float *x,
                 bool accumulate, float *y)
{
    const double alpha = view->net->nodes[s->node].point.alpha;
    const size_t n = ws_exec_image_floats(view, s->out);
    const bool is_identity = !ws_exec_is_training(view) || !(alpha > 0);
    const float scale = is_identity ? 1 : (float)(1 / (1 - alpha));
    const uint32_t threshold = (uint32_t)(alpha * 0x1p32);
    struct ws_rng rng;
    ws_rng_init(&rng, view->dropout_seed, WS_STREAM_DROPOUT, (uint32_t)s->node, (uint32_t)view->dropout_step);
    rng.counter[0] = (uint32_t)(image * ((n + 3) / 4)); /* four values a block: each image has blocks of its own */
    for (size_t i = 0; i < n; i++) {
        const bool is_kept = is_identity || ws_rng_u32(&rng) >= threshold;
        const float v = is_kept ? x[i] * scale : 0;
        y[i] = accumulate ? y[i] + v : v;
    }
}

static void drop_forward(const struct ws_exec_view *view, const struct ws_plan_step *s, size_t image)
{
    drop(view, s, image, ws_exec_image_value(view, s->x, image), false,
         view->value[s->out] + image * ws_exec_image_floats(view, s->out));
}

static void dropout_forward(const struct ws_exec_view *view, const struct ws_plan_step *s)
{
    ws_exec_each_image(view, s, drop_forward);
}

static void drop_backward(const struct ws_exec_view *view, const struct ws_plan_step *s, size_t image)
{
    drop(view, s, image, ws_exec_image_gradient(view, s->out, image), true, ws_exec_image_gradient(view, s->x, image));
}

static void dropout_backward(const struct ws_exec_view *view, const struct ws_plan_step *s)
{
    if (ws_exec_open_gradient(view, s->x))
        ws_exec_each_image(view, s, drop_backward);
}

/* --- the rows --- */

const struct ws_op_row ws_op_relu = {
    .forward = unary_forward,
    .backward = unary_backward,
};

const struct ws_op_row ws_op_leaky_relu = {
    .forward = unary_forward,
    .backward = unary_backward,
};

const struct ws_op_row ws_op_clip = {
    .forward = unary_forward,
    .backward = unary_backward,
};

const struct ws_op_row ws_op_sigmoid = {
    .forward = unary_forward,
    .backward = unary_backward,
};

const struct ws_op_row ws_op_hard_sigmoid = {
    .forward = unary_forward,
    .backward = unary_backward,
};

const struct ws_op_row ws_op_hard_swish = {
    .forward = unary_forward,
    .backward = unary_backward,
};

const struct ws_op_row ws_op_tanh = {
    .forward = unary_forward,
    .backward = unary_backward,
};

const struct ws_op_row ws_op_dropout = {
    .forward = dropout_forward,
    .backward = dropout_backward,
};
