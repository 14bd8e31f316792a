/*
 * 3x3 convolutions of stride 1 by Winograd's F(4x4, 3x3): a quarter of the multiplications (cpu/winograd_impl.h has the
 * algebra and its kernels).
 *
 *   narrow   the 36 weight matrices fit the second-level cache: each slice of images goes through transform, products
 *            and inverse in blocks of tile rows that stay there too
 *   wide     the batch goes through the three phases together, products split by position, so that each of the 36
 *            weight matrices is read once a chunk of images
 *
 * Every output sums its channels in order whatever the block, and blocks, chunks and slices depend on shapes alone.
 */
#include "conv_int.h"

#include <string.h>

enum {
    NARROW_WEIGHTS = 64 * 64,  /* channels x outputs: 36 matrices of 590 KiB in all */
    BLOCK_FLOATS = 112 * 1024, /* transformed maps of a narrow block */
    MAX_BLOCK_TILES = 112,
    CHUNK_FLOATS = 3 << 20, /* transformed maps of a wide chunk: 12 MiB */
    POINTS = WS_WINOGRAD_POINTS,
};

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* --- shapes --- */

static struct ws_winograd geometry(int height, int width, int channels, int out_height, int out_width, int out_channels,
                                   int pad)
{
    return (struct ws_winograd){.height = height,
                                .width = width,
                                .channels = channels,
                                .pad = pad,
                                .out_height = out_height,
                                .out_width = out_width,
                                .out_channels = out_channels,
                                .tiles_y = (out_height + 3) / 4,
                                .tiles_x = (out_width + 3) / 4};
}

static struct ws_winograd forward_geometry(const struct ws_conv_shape *c)
{
    const struct ws_geometry *g = &c->g;
    return geometry(g->height, g->width, g->channels, g->out_height, g->out_width, (int)c->n_out, g->pad[0]);
}

/** dX as a convolution of dY. */
static struct ws_winograd flipped_geometry(const struct ws_conv_shape *c)
{
    const struct ws_geometry *g = &c->g;
    return geometry(g->out_height, g->out_width, (int)c->n_out, g->height, g->width, g->channels, 2 - g->pad[0]);
}

/** Worth it when tiles that hang over the edge leave most of the gain. */
static bool saves_enough(int height, int width)
{
    const double tiles = (double)((height + 3) / 4) * (double)((width + 3) / 4);
    return POINTS * tiles <= 0.7 * 9 * (double)height * (double)width;
}

static bool fits(const struct ws_conv_shape *c)
{
    const struct ws_geometry *g = &c->g;
    return c->is_square && c->n_groups == 1 && g->kernel[0] == 3 && g->stride[0] == 1 && g->pad[0] <= 2 &&
           g->channels % WS_DIRECT_LANES == 0 && c->n_out % WS_DIRECT_LANES == 0 &&
           saves_enough(g->out_height, g->out_width) && saves_enough(g->height, g->width);
}

static bool is_narrow(const struct ws_conv_shape *c)
{
    return c->n_in * c->n_out <= NARROW_WEIGHTS;
}

static bool fits_narrow(const struct ws_conv_shape *c)
{
    return fits(c) && is_narrow(c);
}

/** Floats from one of a map's 36 grids to the next. A cache line apart, or maps of 2^n tiles would meet in the same
 * sets. */
static size_t grid_step(size_t tiles, int channels)
{
    return tiles * (size_t)channels + WS_DIRECT_LANES;
}

static size_t map_of(size_t tiles, int channels)
{
    return POINTS * grid_step(tiles, channels);
}

/** Floats of a transformed tile, in and out. */
static size_t tile_floats(const struct ws_conv_shape *c)
{
    return POINTS * (c->n_in + c->n_out);
}

/** Tile rows of a narrow block. */
static size_t block_rows_of(const struct ws_conv_shape *c, const struct ws_winograd *g)
{
    size_t tiles = least(BLOCK_FLOATS / tile_floats(c), MAX_BLOCK_TILES), rows = tiles / (size_t)g->tiles_x;
    return rows > 0 ? rows : 1;
}

/** Images of a wide chunk; `g` is either geometry. */
static size_t chunk_images_of(const struct ws_conv_shape *c, const struct ws_winograd *g, int max_batch)
{
    size_t per_image = (size_t)g->tiles_y * (size_t)g->tiles_x * tile_floats(c), images = CHUNK_FLOATS / per_image;
    return images > 0 ? least(images, (size_t)max_batch) : 1;
}

static size_t matrices(const struct ws_conv_shape *c)
{
    return POINTS * c->n_in * c->n_out;
}

/** Floats of the six framed rows that a tile row reads; at the front of a worker's scratch. */
static size_t frame_floats(const struct ws_winograd *g)
{
    return 6 * (4 * (size_t)g->tiles_x + 2) * (size_t)g->channels;
}

/** The largest frame, and the largest transformed maps (of a block, or of a chunk), of forward and, when there is one,
 * backward; and the transformed weights. */
static void scratch_of(const struct ws_plan *plan, const struct ws_plan_step *s, const struct ws_conv_shape *c,
                       struct ws_conv_scratch *wanted)
{
    (void)s;
    const struct ws_winograd g[2] = {forward_geometry(c), flipped_geometry(c)};
    size_t frame = 0, maps = 0;
    for (int i = 0; i < (plan->has_backward ? 2 : 1); i++) {
        const size_t images = chunk_images_of(c, &g[i], plan->max_batch);
        const size_t rows = is_narrow(c) ? block_rows_of(c, &g[i]) : images * (size_t)g[i].tiles_y;
        const size_t tiles = rows * (size_t)g[i].tiles_x;
        const size_t floats = map_of(tiles, c->g.channels) + map_of(tiles, (int)c->n_out);
        maps = floats > maps ? floats : maps;
        frame = frame_floats(&g[i]) > frame ? frame_floats(&g[i]) : frame;
    }
    const size_t n = matrices(c);
    if (is_narrow(c)) {
        wanted->worker = frame + maps;
        wanted->shared = plan->has_backward ? WS_N_SLICES * n : n; /* a slice's sums of dW */
    } else {
        wanted->worker = frame;
        wanted->shared = maps + (plan->has_backward ? n + n / 4 : n); /* dX's flipped kernel before */
    }
}

/* --- one convolution --- */

/** A convolution, or dX as one: from `x` to `y`. */
struct job {
    const struct ws_conv *p;
    struct ws_winograd g;
    const float *weight; /* [3][3][channels][out] */
    const float *x;
    float *y;
    bool accumulate;
    bool has_epilogue;
    const float *packed; /* v, where it is there already; or NULL */
    const struct ws_affine *before;
    float *v;               /* [36][channels][out] */
    float *u, *m;           /* a wide chunk's maps */
    size_t first, n_images; /* of the chunk */
};

static void weight_slice(void *argument, int slice, int worker)
{
    (void)worker;
    const struct job *j = argument;
    const int c = j->g.channels, first = c * slice / WS_N_SLICES, end = c * (slice + 1) / WS_N_SLICES;
    j->p->view->kernels->winograd_weight(j->weight, c, j->g.out_channels, first, end, j->v);
}

static void products(const struct job *j, const float *u, size_t tiles, int first, int end, float *m)
{
    const int c = j->g.channels, o = j->g.out_channels;
    const size_t matrix = (size_t)c * (size_t)o, u_step = grid_step(tiles, c), m_step = grid_step(tiles, o);
    for (size_t i = (size_t)first; i < (size_t)end; i++)
        j->p->view->kernels->product(u + i * u_step, tiles, c, j->packed + i * matrix, o, false, m + i * m_step);
}

/** First output pixel of a tile row. */
static size_t first_pixel(const struct ws_winograd *g, size_t row)
{
    size_t image = row / (size_t)g->tiles_y, y = 4 * (row % (size_t)g->tiles_y);
    return (image * (size_t)g->out_height + y) * (size_t)g->out_width;
}

static void narrow_slice(void *argument, int slice, int worker)
{
    const struct job *j = argument;
    const struct ws_exec_view *view = j->p->view;
    const struct ws_winograd *g = &j->g;
    size_t first = ws_exec_slice_begin(view, slice), n_images = ws_exec_slice_begin(view, slice + 1) - first;
    const float *x = j->x + first * (size_t)g->height * (size_t)g->width * (size_t)g->channels;
    float *y = j->y + first * (size_t)g->out_height * (size_t)g->out_width * (size_t)g->out_channels;
    float *frame = ws_exec_worker_scratch(view, worker), *u = frame + frame_floats(g);
    struct ws_epilogue f = {0};
    if (j->has_epilogue)
        f = ws_epilogue_of(j->p, slice, first);
    size_t total = n_images * (size_t)g->tiles_y, block = block_rows_of(&j->p->shape, g);
    for (size_t row = 0; row < total; row += block) {
        size_t rows = least(block, total - row), tiles = rows * (size_t)g->tiles_x;
        float *m = u + map_of(tiles, g->channels);
        view->kernels->winograd_input(g, x, row, rows, grid_step(tiles, g->channels), j->before, frame, u);
        products(j, u, tiles, 0, POINTS, m);
        view->kernels->winograd_output(g, m, row, rows, grid_step(tiles, g->out_channels), j->accumulate, y);
        if (j->has_epilogue)
            ws_epilogue_finish(&f, y, first_pixel(g, row), first_pixel(g, row + rows) - first_pixel(g, row));
    }
}

/** Part of a chunk: tile rows [begin, end) of all its images, counted from the chunk's first. */
struct part {
    size_t begin, end, tiles_before, tiles;
};

static struct part part_of(const struct job *j, int slice)
{
    size_t begin = j->n_images * (size_t)slice / WS_N_SLICES, end = j->n_images * (size_t)(slice + 1) / WS_N_SLICES;
    size_t per_image = (size_t)j->g.tiles_y * (size_t)j->g.tiles_x;
    return (struct part){begin * (size_t)j->g.tiles_y, end * (size_t)j->g.tiles_y, begin * per_image,
                         j->n_images * per_image};
}

static void wide_input_slice(void *argument, int slice, int worker)
{
    const struct job *j = argument;
    const struct ws_exec_view *view = j->p->view;
    const struct ws_winograd *g = &j->g;
    const struct part part = part_of(j, slice);
    const float *x = j->x + j->first * (size_t)g->height * (size_t)g->width * (size_t)g->channels;
    view->kernels->winograd_input(g, x, part.begin, part.end - part.begin, grid_step(part.tiles, g->channels),
                                  j->before, ws_exec_worker_scratch(view, worker),
                                  j->u + part.tiles_before * (size_t)g->channels);
}

static void wide_product_slice(void *argument, int slice, int worker)
{
    (void)worker;
    const struct job *j = argument;
    products(j, j->u, j->n_images * (size_t)j->g.tiles_y * (size_t)j->g.tiles_x, slice, slice + 1, j->m);
}

static void wide_output_slice(void *argument, int slice, int worker)
{
    (void)worker;
    const struct job *j = argument;
    const struct ws_winograd *g = &j->g;
    const struct part part = part_of(j, slice);
    float *y = j->y + j->first * (size_t)g->out_height * (size_t)g->out_width * (size_t)g->out_channels;
    j->p->view->kernels->winograd_output(g, j->m + part.tiles_before * (size_t)g->out_channels, part.begin,
                                         part.end - part.begin, grid_step(part.tiles, g->out_channels), j->accumulate,
                                         y);
    if (!j->has_epilogue)
        return;
    struct ws_epilogue f = ws_epilogue_of(j->p, slice, j->first);
    ws_epilogue_finish(&f, y, first_pixel(g, part.begin), first_pixel(g, part.end) - first_pixel(g, part.begin));
}

static void run(struct job *j)
{
    const struct ws_conv *p = j->p;
    const struct ws_exec_view *view = p->view;
    if (!j->packed) {
        ws_workers_run(view->workers, WS_N_SLICES, weight_slice, j);
        j->packed = j->v;
    }
    if (is_narrow(&p->shape)) {
        ws_exec_run_slices(view, narrow_slice, j);
        return;
    }
    size_t chunk = chunk_images_of(&p->shape, &j->g, view->plan->max_batch),
           per_image = (size_t)j->g.tiles_y * (size_t)j->g.tiles_x;
    const size_t end = ws_exec_slice_begin(view, view->n_slices);
    for (j->first = ws_exec_slice_begin(view, 0); j->first < end; j->first += chunk) {
        j->n_images = least(chunk, end - j->first);
        j->m = j->u + map_of(j->n_images * per_image, j->g.channels);
        ws_exec_run_slices(view, wide_input_slice, j);
        ws_workers_run(view->workers, POINTS, wide_product_slice, j);
        ws_exec_run_slices(view, wide_output_slice, j);
    }
}

static void pack(const struct ws_conv *p, float *packed)
{
    struct job j = {.p = p,
                    .g = forward_geometry(&p->shape),
                    .weight = ws_exec_param_values(p->view, p->shape.node, 0),
                    .v = packed};
    ws_workers_run(p->view->workers, WS_N_SLICES, weight_slice, &j);
}

static void forward(struct ws_conv *p)
{
    const struct ws_exec_view *view = p->view;
    struct job j = {.p = p,
                    .g = forward_geometry(&p->shape),
                    .weight = ws_exec_param_values(view, p->shape.node, 0),
                    .x = view->value[p->s->x],
                    .y = view->value[p->s->out],
                    .has_epilogue = true,
                    .packed = p->packed,
                    .before = p->s->before >= 0 ? &p->before : NULL,
                    .v = view->scratch.step};
    j.u = j.v + matrices(&p->shape);
    ws_epilogue_begin(p);
    run(&j);
}

static void backward_input(const struct ws_conv *p)
{
    const struct ws_exec_view *view = p->view;
    float *flipped = view->scratch.step;
    struct job j = {.p = p,
                    .g = flipped_geometry(&p->shape),
                    .weight = flipped,
                    .x = view->gradient[p->s->out],
                    .y = view->gradient[p->s->x],
                    .accumulate = p->add_dx,
                    .v = flipped + matrices(&p->shape) / 4};
    j.u = j.v + matrices(&p->shape);
    ws_conv_flip_weight(p, flipped);
    run(&j);
}

/* --- dW --- */

struct weight_job {
    const struct ws_conv *p;
    struct ws_winograd g;
    const struct ws_affine *before;
    const float *x, *dy;
    float *sums;  /* [36][channels][out], narrow: one a slice */
    float *u, *d; /* a wide chunk's maps of x and dY */
    size_t first, n_images;
};

static void outer_products(const struct weight_job *j, const float *u, const float *d, size_t tiles, int first, int end,
                           float *sums)
{
    const int c = j->g.channels, o = j->g.out_channels;
    const size_t matrix = (size_t)c * (size_t)o, u_step = grid_step(tiles, c), d_step = grid_step(tiles, o);
    for (size_t i = (size_t)first; i < (size_t)end; i++)
        j->p->view->kernels->outer(u + i * u_step, d + i * d_step, tiles, c, o, sums + i * matrix);
}

static void narrow_weight_slice(void *argument, int slice, int worker)
{
    const struct weight_job *j = argument;
    const struct ws_exec_view *view = j->p->view;
    const struct ws_winograd *g = &j->g;
    size_t first = ws_exec_slice_begin(view, slice), n_images = ws_exec_slice_begin(view, slice + 1) - first;
    const float *x = j->x + first * (size_t)g->height * (size_t)g->width * (size_t)g->channels;
    const float *dy = j->dy + first * (size_t)g->out_height * (size_t)g->out_width * (size_t)g->out_channels;
    float *frame = ws_exec_worker_scratch(view, worker), *u = frame + frame_floats(g),
          *sums = j->sums + (size_t)slice * matrices(&j->p->shape);
    memset(sums, 0, matrices(&j->p->shape) * sizeof *sums);
    size_t total = n_images * (size_t)g->tiles_y, block = block_rows_of(&j->p->shape, g);
    for (size_t row = 0; row < total; row += block) {
        size_t rows = least(block, total - row), tiles = rows * (size_t)g->tiles_x;
        float *d = u + map_of(tiles, g->channels);
        view->kernels->winograd_input(g, x, row, rows, grid_step(tiles, g->channels), j->before, frame, u);
        view->kernels->winograd_gradient(g, dy, row, rows, grid_step(tiles, g->out_channels), d);
        outer_products(j, u, d, tiles, 0, POINTS, sums);
    }
}

static void wide_maps_slice(void *argument, int slice, int worker)
{
    const struct weight_job *j = argument;
    const struct ws_exec_view *view = j->p->view;
    const struct ws_winograd *g = &j->g;
    const struct part part = part_of(&(struct job){.g = *g, .n_images = j->n_images}, slice);
    const float *x = j->x + j->first * (size_t)g->height * (size_t)g->width * (size_t)g->channels;
    const float *dy = j->dy + j->first * (size_t)g->out_height * (size_t)g->out_width * (size_t)g->out_channels;
    size_t n = part.end - part.begin;
    view->kernels->winograd_input(g, x, part.begin, n, grid_step(part.tiles, g->channels), j->before,
                                  ws_exec_worker_scratch(view, worker), j->u + part.tiles_before * (size_t)g->channels);
    view->kernels->winograd_gradient(g, dy, part.begin, n, grid_step(part.tiles, g->out_channels),
                                     j->d + part.tiles_before * (size_t)g->out_channels);
}

static void wide_outer_slice(void *argument, int slice, int worker)
{
    (void)worker;
    const struct weight_job *j = argument;
    outer_products(j, j->u, j->d, j->n_images * (size_t)j->g.tiles_y * (size_t)j->g.tiles_x, slice, slice + 1, j->sums);
}

/** Inverse of the sums, into the gradient; a narrow convolution's slices are added first, in their order. */
static void inverse_slice(void *argument, int slice, int worker)
{
    (void)worker;
    const struct weight_job *j = argument;
    const struct ws_exec_view *view = j->p->view;
    const size_t c = (size_t)j->g.channels, o = (size_t)j->g.out_channels;
    const size_t first = c * (size_t)slice / WS_N_SLICES, end = c * (size_t)(slice + 1) / WS_N_SLICES;
    for (size_t i = 1; is_narrow(&j->p->shape) && i < WS_N_SLICES; i++)
        for (size_t point = 0; point < POINTS; point++) {
            size_t at = (point * c + first) * o;
            view->kernels->add(j->sums + i * matrices(&j->p->shape) + at, (end - first) * o, j->sums + at);
        }
    view->kernels->winograd_weight_gradient(j->sums, (int)c, (int)o, (int)first, (int)end,
                                            ws_exec_param_gradient(view, j->p->shape.node, 0));
}

static void backward_weight(const struct ws_conv *p)
{
    const struct ws_exec_view *view = p->view;
    struct weight_job j = {.p = p,
                           .g = forward_geometry(&p->shape),
                           .before = p->s->before >= 0 ? &p->before : NULL,
                           .x = view->value[p->s->x],
                           .dy = view->gradient[p->s->out],
                           .sums = view->scratch.step};
    if (is_narrow(&p->shape)) {
        ws_workers_run(view->workers, WS_N_SLICES, narrow_weight_slice, &j);
    } else {
        memset(j.sums, 0, matrices(&p->shape) * sizeof *j.sums);
        j.u = j.sums + matrices(&p->shape);
        size_t chunk = chunk_images_of(&p->shape, &j.g, view->plan->max_batch),
               per_image = (size_t)j.g.tiles_y * (size_t)j.g.tiles_x;
        for (j.first = 0; j.first < (size_t)view->n_images; j.first += chunk) {
            j.n_images = least(chunk, (size_t)view->n_images - j.first);
            j.d = j.u + map_of(j.n_images * per_image, j.g.channels);
            ws_workers_run(view->workers, WS_N_SLICES, wide_maps_slice, &j);
            ws_workers_run(view->workers, POINTS, wide_outer_slice, &j);
        }
    }
    ws_workers_run(view->workers, WS_N_SLICES, inverse_slice, &j);
}

static void backward(struct ws_conv *p)
{
    if (p->s->top > 0 || p->shape.node->n_params > 1)
        ws_conv_run_backward(p, NULL);
    if (p->want_dw)
        backward_weight(p);
    if (p->want_dx)
        backward_input(p);
}

const struct ws_conv_way ws_conv_winograd_narrow = {
    .plan = {.name = "winograd narrow", .reads_by_rows = true, .is_for_one_worker = true},
    .fits = fits_narrow,
    .scratch = scratch_of,
    .packed_floats = matrices,
    .pack = pack,
    .forward = forward,
    .backward = backward,
};

const struct ws_conv_way ws_conv_winograd_wide = {
    .plan = {.name = "winograd wide", .reads_by_rows = true},
    .fits = fits,
    .scratch = scratch_of,
    .packed_floats = matrices,
    .pack = pack,
    .forward = forward,
    .backward = backward,
};
