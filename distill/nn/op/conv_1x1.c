/*
 * 1x1 convolutions of stride 1: Y = X W, dX = dY W', dW = X' dY, rows are pixels. Blocks of rows stay in the
 * second-level cache between the BatchNorm that is applied to them, the product, and what follows it.
 */
#include "conv_1x1.h"

#include <string.h>

enum { BLOCK_FLOATS = 24 * 1024, ROW_TILE = 56 /* a multiple of every tile of rows that the kernels have */ };

bool ws_conv_1x1_fits(const struct ws_conv *p)
{
    return p->node->op == WS_OP_CONV && p->is_direct && p->n_groups == 1;
}

static size_t block_rows(const struct ws_conv *p)
{
    size_t widest = p->k > p->n_out ? p->k : p->n_out, rows = BLOCK_FLOATS / widest / ROW_TILE * ROW_TILE;
    return rows > 0 ? rows : ROW_TILE;
}

size_t ws_conv_1x1_scratch(const struct ws_conv *p)
{
    return block_rows(p) * (p->k + p->n_out);
}

static size_t padded(size_t n)
{
    return (n + WS_DIRECT_LANES - 1) / WS_DIRECT_LANES * WS_DIRECT_LANES;
}

size_t ws_conv_1x1_panel_floats(const struct ws_conv *p)
{
    const size_t forward = p->k * padded(p->n_out), back = p->n_out * padded(p->k);
    return forward > back ? forward : back;
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
    const int k = (int)p->k, n = (int)p->n_out, rows = packing->is_transposed ? n : k;
    p->e->kernels->product_panels(ws_exec_param_values(p->e, p->node, 0), rows, packing->is_transposed ? k : n,
                                  packing->is_transposed, rows * slice / WS_N_SLICES, rows * (slice + 1) / WS_N_SLICES,
                                  packing->panels);
}

void ws_conv_1x1_pack(const struct ws_conv *p, bool is_transposed, float *panels)
{
    struct packing packing = {p, is_transposed, panels};
    ws_pool_run(p->e->pool, WS_N_SLICES, pack_slice, &packing);
}

static size_t block_end(size_t m, size_t block, size_t rows)
{
    return rows - m < block ? rows : m + block;
}

void ws_conv_1x1_forward(const struct ws_conv *p, const struct ws_epilogue *f, size_t n_images, const float *x,
                         const float *panels, float *scratch, float *y)
{
    const size_t rows = n_images * p->rows_per_image, block = block_rows(p);
    for (size_t m = 0; m < rows; m += block) {
        const size_t n = block_end(m, block, rows) - m;
        const float *a = ws_conv_input_rows(p, x + m * p->k, n, scratch);
        p->e->kernels->product(a, n, (int)p->k, panels, (int)p->n_out, false, y + m * p->n_out);
        ws_epilogue_finish(f, y, m, n);
    }
}

void ws_conv_1x1_backward(const struct ws_conv *p, const struct ws_conv_slice *s, const float *panels)
{
    const struct ws_kernels *kernels = p->e->kernels;
    const size_t rows = s->n_images * p->rows_per_image, block = block_rows(p), k = p->k, out = p->n_out;
    if (s->partial)
        memset(s->partial, 0, k * out * sizeof *s->partial);
    for (size_t m = 0; m < rows; m += block) {
        const size_t n = block_end(m, block, rows) - m;
        const float *dy = ws_conv_gradient_rows(p, s->dy + m * out, s->y + m * out, n, s->scratch + block * k);
        if (s->partial)
            kernels->outer(ws_conv_input_rows(p, s->x + m * k, n, s->scratch), dy, n, (int)k, (int)out, s->partial);
        if (s->dx)
            kernels->product(dy, n, (int)out, panels, (int)k, p->add_dx, s->dx + m * k);
    }
}
