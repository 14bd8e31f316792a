/*
 * 1x1 convolutions of stride 1: Y = X W, dX = dY W', dW = X' dY, rows are pixels. Blocks of rows stay in the
 * second-level cache between the BatchNorm that is applied to them, the product, and what follows it.
 */
#include "conv_int.h"

#include <string.h>

enum { BLOCK_FLOATS = 24 * 1024, ROW_TILE = 56 /* a multiple of every tile of rows that the kernels have */ };

static bool fits(const struct ws_conv_shape *c)
{
    return c->node->op == WS_OP_CONV && c->is_product && c->n_groups == 1;
}

static size_t block_rows(const struct ws_conv_shape *c)
{
    size_t widest = c->k > c->n_out ? c->k : c->n_out, rows = BLOCK_FLOATS / widest / ROW_TILE * ROW_TILE;
    return rows > 0 ? rows : ROW_TILE;
}

static size_t padded(size_t n)
{
    return (n + WS_DIRECT_LANES - 1) / WS_DIRECT_LANES * WS_DIRECT_LANES;
}

/** Floats of the weight's panels, or its transpose's. */
static size_t panel_floats(const struct ws_conv_shape *c)
{
    const size_t forward = c->k * padded(c->n_out), back = c->n_out * padded(c->k);
    return forward > back ? forward : back;
}

static void scratch_of(const struct ws_plan *plan, const struct ws_plan_step *s, const struct ws_conv_shape *c,
                       struct ws_conv_scratch *wanted)
{
    (void)plan;
    (void)s;
    wanted->worker = block_rows(c) * (c->k + c->n_out);
    wanted->weight = panel_floats(c);
}

struct packing {
    const struct ws_conv *p;
    bool is_transposed;
    float *panels;
};

static void pack_slice(void *argument, int slice, int worker)
{
    (void)worker;
    const struct packing *packing = argument;
    const struct ws_conv *p = packing->p;
    const int k = (int)p->shape.k, n = (int)p->shape.n_out, rows = packing->is_transposed ? n : k;
    p->view->kernels->product_panels(ws_exec_param_values(p->view, p->shape.node, 0), rows,
                                     packing->is_transposed ? k : n, packing->is_transposed, rows * slice / WS_N_SLICES,
                                     rows * (slice + 1) / WS_N_SLICES, packing->panels);
}

/** The weight, or its transpose for dX, in panels. */
static void pack_either(const struct ws_conv *p, bool is_transposed, float *panels)
{
    struct packing packing = {p, is_transposed, panels};
    ws_workers_run(p->view->workers, WS_N_SLICES, pack_slice, &packing);
}

static void pack(const struct ws_conv *p, float *packed)
{
    pack_either(p, false, packed);
}

static size_t block_end(size_t m, size_t block, size_t rows)
{
    return rows - m < block ? rows : m + block;
}

static void forward_images(const struct ws_conv *p, const struct ws_epilogue *f, size_t n_images, const float *x,
                           float *scratch, float *y)
{
    const struct ws_conv_shape *c = &p->shape;
    const size_t rows = n_images * c->rows_per_image, block = block_rows(c);
    for (size_t m = 0; m < rows; m += block) {
        const size_t n = block_end(m, block, rows) - m;
        const float *a = ws_conv_input_rows(p, x + m * c->k, n, scratch);
        p->view->kernels->product(a, n, (int)c->k, p->packed, (int)c->n_out, false, y + m * c->n_out);
        ws_epilogue_finish(f, y, m, n);
    }
}

static void forward(struct ws_conv *p)
{
    if (!p->packed) {
        pack(p, p->spare);
        p->packed = p->spare;
    }
    ws_conv_run_forward(p, forward_images);
}

/** dW and dX (with the transposed weight in p->packed), block by block. */
static void backward_images(const struct ws_conv *p, const struct ws_conv_slice *s)
{
    const struct ws_kernels *kernels = p->view->kernels;
    const size_t rows = s->n_images * p->shape.rows_per_image, block = block_rows(&p->shape);
    const size_t k = p->shape.k, out = p->shape.n_out;
    if (s->partial)
        memset(s->partial, 0, k * out * sizeof *s->partial);
    for (size_t m = 0; m < rows; m += block) {
        const size_t n = block_end(m, block, rows) - m;
        const float *dy = ws_conv_gradient_rows(p, s->dy + m * out, s->y + m * out, n, s->scratch + block * k);
        if (s->partial)
            kernels->outer(ws_conv_input_rows(p, s->x + m * k, n, s->scratch), dy, n, (int)k, (int)out, s->partial);
        if (s->dx)
            kernels->product(dy, n, (int)out, p->packed, (int)k, p->add_dx, s->dx + m * k);
    }
}

static void backward(struct ws_conv *p)
{
    if (p->want_dx)
        pack_either(p, true, p->spare);
    p->packed = p->spare;
    ws_conv_run_backward(p, backward_images);
    if (p->want_dw)
        ws_conv_reduce_weight(p);
}

const struct ws_conv_way ws_conv_1x1 = {
    .plan = {.name = "1x1", .reads_by_rows = true, .undoes_by_rows = true, .is_for_one_worker = true},
    .fits = fits,
    .scratch = scratch_of,
    .packed_floats = panel_floats,
    .pack = pack,
    .forward = forward,
    .backward = backward,
};
