/* What the ways to convolve stand on: shapes, the epilogue, slices of images, and the flipped weight. */
#include "conv_int.h"

#include <string.h>

static bool is_square(const struct ws_window *w)
{
    for (int i = 1; i < 4; i++)
        if (w->pads[i] != w->pads[0])
            return false;
    return w->kernel[0] == w->kernel[1] && w->stride[0] == w->stride[1] && w->dilation[0] == 1 && w->dilation[1] == 1;
}

struct ws_conv_shape ws_conv_shape_of(const struct ws_net *net, const struct ws_plan_step *s)
{
    const struct ws_node *node = &net->nodes[s->node], *in = &net->nodes[s->x];
    const struct ws_window *w = &node->conv.window;
    const bool is_conv = node->op == WS_OP_CONV;
    struct ws_conv_shape c = {.node = node, .n_in = (size_t)in->channels, .n_out = (size_t)node->channels};
    c.is_square = is_conv && is_square(w);
    c.is_product = !is_conv || (c.is_square && w->kernel[0] == 1 && w->stride[0] == 1 && w->pads[0] == 0);
    c.n_weight = net->params[node->params[0]].n;
    c.k = c.n_weight / c.n_out;
    c.rows_per_image = (size_t)node->height * (size_t)node->width;
    c.in_floats = (size_t)in->height * (size_t)in->width * c.n_in;
    c.n_groups = is_conv ? (size_t)node->conv.groups : 1;
    c.in_group = c.n_in / c.n_groups;
    c.out_group = c.n_out / c.n_groups;
    c.g = (struct ws_geometry){.height = in->height,
                               .width = in->width,
                               .channels = (int)c.in_group,
                               .pitch = in->channels,
                               .out_height = node->height,
                               .out_width = node->width,
                               .kernel = {w->kernel[0], w->kernel[1]},
                               .stride = {w->stride[0], w->stride[1]},
                               .dilation = {w->dilation[0], w->dilation[1]},
                               .pad = {w->pads[0], w->pads[1]}};
    return c;
}

struct ws_geometry ws_conv_flipped_geometry(const struct ws_conv_shape *c)
{
    struct ws_geometry g = c->g;
    g.height = c->g.out_height;
    g.width = c->g.out_width;
    g.channels = (int)c->out_group;
    g.pitch = (int)c->n_out;
    g.out_height = c->g.height;
    g.out_width = c->g.width;
    for (int i = 0; i < 2; i++)
        g.pad[i] = (c->g.kernel[i] - 1) * c->g.dilation[i] - c->g.pad[i];
    return g;
}

size_t ws_conv_stripe_rows(size_t k)
{
    size_t rows = WS_STRIPE_BYTES / sizeof(float) / k;
    return rows < WS_STRIPE_MIN_ROWS ? WS_STRIPE_MIN_ROWS : rows;
}

/* --- BatchNorms that are applied while rows are read --- */

const float *ws_conv_input_rows(const struct ws_conv *p, const float *x, size_t rows, float *scratch)
{
    if (p->s->before < 0)
        return x;
    p->view->kernels->affine(x, rows, (int)p->shape.n_in, p->before.scale, p->before.shift, NULL, p->before.top,
                             scratch);
    return scratch;
}

const float *ws_conv_gradient_rows(const struct ws_conv *p, const float *dy, const float *y, size_t rows,
                                   float *scratch)
{
    if (!p->after)
        return dy;
    p->view->kernels->batchnorm_dx(dy, y, rows, (int)p->shape.n_out, p->after->a, p->after->b, p->after->d, false,
                                   scratch);
    return scratch;
}

/* --- the epilogue --- */

void ws_epilogue_begin(const struct ws_conv *p)
{
    if (p->s->moments_of >= 0 && ws_exec_is_training(p->view))
        memset(p->view->scratch.sums, 0,
               (size_t)WS_N_SLICES * 2 * p->view->scratch.max_channels * sizeof *p->view->scratch.sums);
}

struct ws_epilogue ws_epilogue_of(const struct ws_conv *p, int slice, size_t first_image)
{
    const struct ws_exec_view *view = p->view;
    const struct ws_plan_step *s = p->s;
    const struct ws_node *node = p->shape.node;
    double *sum = view->scratch.sums + (size_t)slice * 2 * view->scratch.max_channels;
    struct ws_epilogue f = {.kernels = view->kernels,
                            .channels = node->channels,
                            .ones = view->scratch.constants,
                            .top = s->top,
                            .sum = sum,
                            .sumsq = sum + view->scratch.max_channels};
    f.shift =
        node->n_params > 1 ? ws_exec_param_values(view, node, 1) : view->scratch.constants + view->scratch.max_channels;
    if (s->other >= 0)
        f.residual = view->value[s->other] + first_image * p->shape.rows_per_image * p->shape.n_out;
    f.is_needed = node->n_params > 1 || f.residual || s->top > 0;
    if (s->moments_of >= 0 && ws_exec_is_training(view))
        f.pivot = ws_exec_param_values(view, &view->net->nodes[view->plan->steps[s->moments_of].node], 2);
    return f;
}

void ws_epilogue_finish(const struct ws_epilogue *f, float *y, size_t first_row, size_t rows)
{
    size_t at = first_row * (size_t)f->channels;
    if (f->is_needed)
        f->kernels->affine(y + at, rows, f->channels, f->ones, f->shift, f->residual ? f->residual + at : NULL, f->top,
                           y + at);
    if (f->pivot)
        f->kernels->channel_moments(y + at, rows, f->channels, f->pivot, f->sum, f->sumsq);
}

/* --- slices of images --- */

struct forward_pass {
    const struct ws_conv *p;
    ws_conv_forward_fn *work;
};

static void forward_slice(void *argument, int slice, int worker)
{
    const struct forward_pass *pass = argument;
    const struct ws_conv *p = pass->p;
    const struct ws_exec_view *view = p->view;
    size_t first = ws_exec_slice_begin(view, slice), n_images = ws_exec_slice_begin(view, slice + 1) - first;
    const struct ws_epilogue f = ws_epilogue_of(p, slice, first);
    pass->work(p, &f, n_images, view->value[p->s->x] + first * p->shape.in_floats, ws_exec_worker_scratch(view, worker),
               view->value[p->s->out] + first * p->shape.rows_per_image * p->shape.n_out);
}

void ws_conv_run_forward(struct ws_conv *p, ws_conv_forward_fn *work)
{
    struct forward_pass pass = {p, work};
    ws_epilogue_begin(p);
    ws_exec_run_slices(p->view, forward_slice, &pass);
}

struct backward_pass {
    const struct ws_conv *p;
    ws_conv_backward_fn *work;
};

static void backward_slice(void *argument, int slice, int worker)
{
    const struct backward_pass *pass = argument;
    const struct ws_conv *p = pass->p;
    const struct ws_exec_view *view = p->view;
    const struct ws_plan_step *s = p->s;
    size_t first = ws_exec_slice_begin(view, slice), n_images = ws_exec_slice_begin(view, slice + 1) - first;
    size_t rows = n_images * p->shape.rows_per_image, at = first * p->shape.rows_per_image * p->shape.n_out;
    float *dy = view->gradient[s->out] + at;
    if (s->top > 0) /* a folded convolution: its ReLU is undone here */
        view->kernels->relu_dx(dy, view->value[s->out] + at, rows * p->shape.n_out, false, dy);
    const struct ws_conv_slice part = {
        .n_images = n_images,
        .x = view->value[s->x] + first * p->shape.in_floats,
        .y = view->value[s->out] + at,
        .dy = dy,
        .scratch = ws_exec_worker_scratch(view, worker),
        .partial = p->want_dw ? view->scratch.step + (size_t)slice * view->scratch.n_weight : NULL,
        .dx = p->want_dx ? view->gradient[s->x] + first * p->shape.in_floats : NULL,
    };
    if (pass->work)
        pass->work(p, &part);
    if (p->shape.node->n_params > 1) {
        double *sum = view->scratch.sums + (size_t)slice * 2 * view->scratch.max_channels;
        memset(sum, 0, 2 * view->scratch.max_channels * sizeof *sum);
        view->kernels->channel_moments(dy, rows, p->shape.node->channels,
                                       view->scratch.constants + view->scratch.max_channels, sum,
                                       sum + view->scratch.max_channels);
    }
}

void ws_conv_run_backward(struct ws_conv *p, ws_conv_backward_fn *work)
{
    struct backward_pass pass = {p, work};
    ws_exec_run_slices(p->view, backward_slice, &pass);
}

/** A slice of this job is a range of elements. */
static void reduce_weight_slice(void *argument, int slice, int worker)
{
    (void)worker;
    const struct ws_conv *p = argument;
    const struct ws_exec_view *view = p->view;
    size_t n = p->shape.n_weight, begin = n * (size_t)slice / WS_N_SLICES, end = n * (size_t)(slice + 1) / WS_N_SLICES;
    float *gradient = ws_exec_param_gradient(view, p->shape.node, 0);
    for (int i = 0; i < WS_N_SLICES; i++)
        view->kernels->add(view->scratch.step + (size_t)i * view->scratch.n_weight + begin, end - begin,
                           gradient + begin);
}

void ws_conv_reduce_weight(struct ws_conv *p)
{
    ws_workers_run(p->view->workers, WS_N_SLICES, reduce_weight_slice, p);
}

/* --- the flipped weight --- */

struct flipping {
    const struct ws_conv *p;
    const float *weight;
    float *flipped;
};

/** Some of the rows of all windows; tiles, so that neither side of the transposition leaves the cache. */
static void flip_slice(void *argument, int slice, int worker)
{
    (void)worker;
    enum { TILE = 16 };
    const struct flipping *job = argument;
    const struct ws_conv_shape *c = &job->p->shape;
    const size_t window = (size_t)c->g.kernel[0] * (size_t)c->g.kernel[1];
    const size_t begin = c->out_group * (size_t)slice / WS_N_SLICES,
                 end = c->out_group * ((size_t)slice + 1) / WS_N_SLICES;
    for (size_t w = 0; w < window; w++)
        for (size_t group = 0; group < c->n_groups; group++)
            for (size_t first = 0; first < c->in_group; first += TILE) {
                const size_t last = first + TILE < c->in_group ? first + TILE : c->in_group;
                const float *from = job->weight + w * c->in_group * c->n_out + group * c->out_group;
                float *to = job->flipped + (window - 1 - w) * c->out_group * c->n_in + group * c->in_group;
                for (size_t o = begin; o < end; o++)
                    for (size_t i = first; i < last; i++)
                        to[o * c->n_in + i] = from[i * c->n_out + o];
            }
}

void ws_conv_flip_weight(const struct ws_conv *p, float *flipped)
{
    struct flipping job = {p, ws_exec_param_values(p->view, p->shape.node, 0), flipped};
    ws_workers_run(p->view->workers, WS_N_SLICES, flip_slice, &job);
}

void ws_conv_flip(struct ws_conv *p)
{
    ws_conv_flip_weight(p, p->spare);
    p->flipped = p->spare;
}
