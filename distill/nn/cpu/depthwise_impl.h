/*
 * Depthwise convolution: every channel with a window of its own, weights [window][channels]. Part of kernels_impl.h.
 *
 * It reads and writes more than it computes, so each map is walked once: vectors of channels, a few neighbouring pixels
 * at a time, so that a weight vector is loaded once for them. Rows over the upper or lower edge shorten the window;
 * only the pixels whose window hangs over the left or right edge are done one by one.
 *
 * A last block of channels that fills no vector is the vector that ends with the last channel; `keep` is 0 in the lanes
 * that another block has done already. Maps of fewer channels than a vector take the scalar loops.
 */

enum { TILE_PIXELS = 4, MAX_TAPS = 64 };

/** A run of the window along one axis: first … end-1 lie inside the map. */
struct span {
    int first, end;
};

static inline struct span span_of(const struct ws_geometry *g, int axis, int out, int side)
{
    int at = out * g->stride[axis] - g->pad[axis], step = g->dilation[axis];
    struct span s = {0, g->kernel[axis]};
    while (s.first < s.end && at + s.first * step < 0)
        s.first++;
    while (s.end > s.first && at + (s.end - 1) * step >= side)
        s.end--;
    return s;
}

/** Output columns first … end-1 whose window lies inside the row. */
static inline struct span interior_of(const struct ws_geometry *g)
{
    struct span s = {0, g->out_width};
    while (s.first < s.end && s.first * g->stride[1] < g->pad[1])
        s.first++;
    while (s.end > s.first && (s.end - 1) * g->stride[1] - g->pad[1] + (g->kernel[1] - 1) * g->dilation[1] >= g->width)
        s.end--;
    return s;
}

/** What the lanes of the last, overlapping vector keep: `n` new lanes at its end. */
static inline vector keep_last(size_t n)
{
    vector keep = {0};
    for (size_t i = VECTOR - n; i < VECTOR; i++)
        keep[i] = 1;
    return keep;
}

ALWAYS_INLINE void put(float *y, vector sum, bool accumulate, vector keep)
{
    vector *to = (vector *)y;
    if (accumulate)
        *to += sum * keep;
    else
        *to = sum; /* lanes done already get the same value again */
}

/* --- forward --- */

/** One row of the window over `pixels` outputs of `vectors` vectors; x is the input under the row's column span.first.
 */
ALWAYS_INLINE void depthwise_taps(const float *x, const float *w, size_t pitch, size_t dilation, size_t step,
                                  int columns, vector *sum, const int pixels, const int vectors)
{
#pragma GCC unroll 5
    for (int k = 0; k < columns; k++, x += dilation, w += pitch) {
        vector weight[2];
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++)
            weight[v] = *(const vector *)(w + v * VECTOR);
#pragma GCC unroll 4
        for (int p = 0; p < pixels; p++)
#pragma GCC unroll 2
            for (int v = 0; v < vectors; v++)
                sum[p * vectors + v] += weight[v] * *(const vector *)(x + (size_t)p * step + v * VECTOR);
    }
}

/** `pixels` neighbouring outputs of `vectors` vectors. x: input under window position (rows.first, 0) of the first
 * output. */
ALWAYS_INLINE void depthwise_tile(const struct ws_geometry *g, struct span rows, struct span columns, const float *x,
                                  const float *w, bool accumulate, vector keep, float *y, const int pixels,
                                  const int vectors, const int kernel)
{
    size_t pitch = (size_t)g->pitch, dilation = (size_t)g->dilation[1] * pitch, step = (size_t)g->stride[1] * pitch;
    size_t next_row = (size_t)g->dilation[0] * (size_t)g->width * pitch;
    vector sum[TILE_PIXELS * 2];
#pragma GCC unroll 8
    for (int i = 0; i < pixels * vectors; i++)
        sum[i] = (vector){0};
    w += ((size_t)rows.first * (size_t)g->kernel[1] + (size_t)columns.first) * pitch;
    x += (size_t)columns.first * dilation;
    for (int k = rows.first; k < rows.end; k++, x += next_row, w += (size_t)g->kernel[1] * pitch) {
        if (kernel > 0)
            depthwise_taps(x, w, pitch, dilation, step, kernel, sum, pixels, vectors);
        else
            depthwise_taps(x, w, pitch, dilation, step, columns.end - columns.first, sum, pixels, vectors);
    }
#pragma GCC unroll 4
    for (int p = 0; p < pixels; p++)
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++)
            put(y + (size_t)p * pitch + v * VECTOR, sum[p * vectors + v], accumulate, keep);
}

/** All channels of `pixels` neighbouring outputs. */
ALWAYS_INLINE void depthwise_pixels(const struct ws_geometry *g, struct span rows, struct span columns, const float *x,
                                    const float *w, bool accumulate, float *y, const int pixels, const int kernel)
{
    size_t n = (size_t)g->pitch, c = 0;
    const vector all = (vector){0} + 1;
    for (; c + 2 * VECTOR <= n; c += 2 * VECTOR)
        depthwise_tile(g, rows, columns, x + c, w + c, accumulate, all, y + c, pixels, 2, kernel);
    for (; c + VECTOR <= n; c += VECTOR)
        depthwise_tile(g, rows, columns, x + c, w + c, accumulate, all, y + c, pixels, 1, kernel);
    if (c < n) {
        size_t last = n - VECTOR;
        depthwise_tile(g, rows, columns, x + last, w + last, accumulate, keep_last(n - c), y + last, pixels, 1, kernel);
    }
}

/** One output of fewer channels than a vector. */
static void depthwise_scalar(const struct ws_geometry *g, struct span rows, struct span columns, const float *x,
                             const float *w, bool accumulate, float *y)
{
    size_t pitch = (size_t)g->pitch;
    for (size_t c = 0; c < pitch; c++) {
        float sum = 0;
        for (int ky = rows.first; ky < rows.end; ky++)
            for (int kx = columns.first; kx < columns.end; kx++) {
                size_t down = (size_t)(ky - rows.first) * (size_t)g->dilation[0],
                       across = (size_t)kx * (size_t)g->dilation[1];
                sum +=
                    x[(down * (size_t)g->width + across) * pitch + c] * w[(size_t)(ky * g->kernel[1] + kx) * pitch + c];
            }
        y[c] = accumulate ? y[c] + sum : sum;
    }
}

/** One output row; x is the input row under the window's row rows.first. `kernel`: the window's width when that is hot.
 */
ALWAYS_INLINE void depthwise_row(const struct ws_geometry *g, struct span rows, const float *x, const float *w,
                                 bool accumulate, float *y, const int kernel)
{
    struct span inside = interior_of(g), all = {0, g->kernel[1]};
    ptrdiff_t pitch = g->pitch;
    bool is_wide = g->pitch >= VECTOR;
    for (int ox = 0; ox < g->out_width;) {
        /* May point before the row; only columns inside it are read. */
        const float *from = x + (ox * g->stride[1] - g->pad[1]) * pitch;
        if (is_wide && ox >= inside.first && ox + TILE_PIXELS <= inside.end) {
            depthwise_pixels(g, rows, all, from, w, accumulate, y + ox * pitch, TILE_PIXELS, kernel);
            ox += TILE_PIXELS;
            continue;
        }
        struct span columns = span_of(g, 1, ox, g->width);
        if (is_wide)
            depthwise_pixels(g, rows, columns, from, w, accumulate, y + ox * pitch, 1, 0);
        else
            depthwise_scalar(g, rows, columns, from, w, accumulate, y + ox * pitch);
        ox++;
    }
}

static void depthwise(const struct ws_geometry *g, const float *x, const float *w, int first_row, int end_row,
                      bool accumulate, float *y)
{
    ptrdiff_t row = (ptrdiff_t)g->width * g->pitch;
    size_t out_row = (size_t)g->out_width * (size_t)g->pitch;
    for (int oy = first_row; oy < end_row; oy++, y += out_row) {
        struct span rows = span_of(g, 0, oy, g->height);
        const float *from = x;
        if (rows.first < rows.end)
            from += (oy * g->stride[0] - g->pad[0] + rows.first * g->dilation[0]) * row;
        if (g->kernel[1] == 3)
            depthwise_row(g, rows, from, w, accumulate, y, 3);
        else if (g->kernel[1] == 5)
            depthwise_row(g, rows, from, w, accumulate, y, 5);
        else
            depthwise_row(g, rows, from, w, accumulate, y, 0);
    }
}

/* --- gradient of the input, any stride --- */

/** The outputs that a pixel of the input reaches along one axis: window position and output, at most MAX_TAPS. */
struct reach {
    int n, position[MAX_TAPS], out[MAX_TAPS];
};

/** Window positions begin … begin+MAX_TAPS-1 alone. */
static void reach_of(const struct ws_geometry *g, int axis, int in, int n_out, int begin, struct reach *r)
{
    r->n = 0;
    for (int k = begin; k < g->kernel[axis] && k < begin + MAX_TAPS; k++) {
        int at = in + g->pad[axis] - k * g->dilation[axis];
        if (at < 0)
            break;
        if (at % g->stride[axis] == 0 && at / g->stride[axis] < n_out) {
            r->position[r->n] = k;
            r->out[r->n++] = at / g->stride[axis];
        }
    }
}

/** dx of one pixel for `vectors` vectors. */
ALWAYS_INLINE void gather_tile(const struct ws_geometry *g, const struct reach *rows, const struct reach *columns,
                               const float *dy, const float *w, bool accumulate, vector keep, float *dx,
                               const int vectors)
{
    size_t pitch = (size_t)g->pitch;
    vector sum[4];
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++)
        sum[v] = (vector){0};
    for (int i = 0; i < rows->n; i++)
        for (int j = 0; j < columns->n; j++) {
            const float *from = dy + ((size_t)rows->out[i] * (size_t)g->out_width + (size_t)columns->out[j]) * pitch;
            const float *weight =
                w + ((size_t)rows->position[i] * (size_t)g->kernel[1] + (size_t)columns->position[j]) * pitch;
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++)
                sum[v] += *(const vector *)(from + v * VECTOR) * *(const vector *)(weight + v * VECTOR);
        }
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++)
        put(dx + v * VECTOR, sum[v], accumulate, keep);
}

static void gather_pixel(const struct ws_geometry *g, const struct reach *rows, const struct reach *columns,
                         const float *dy, const float *w, bool accumulate, float *dx)
{
    size_t n = (size_t)g->pitch, c = 0;
    const vector all = (vector){0} + 1;
    if (n < VECTOR) {
        for (; c < n; c++) {
            float sum = 0;
            for (int i = 0; i < rows->n; i++)
                for (int j = 0; j < columns->n; j++)
                    sum += dy[((size_t)rows->out[i] * (size_t)g->out_width + (size_t)columns->out[j]) * n + c] *
                           w[((size_t)rows->position[i] * (size_t)g->kernel[1] + (size_t)columns->position[j]) * n + c];
            dx[c] = accumulate ? dx[c] + sum : sum;
        }
        return;
    }
    for (; c + 4 * VECTOR <= n; c += 4 * VECTOR)
        gather_tile(g, rows, columns, dy + c, w + c, accumulate, all, dx + c, 4);
    for (; c + VECTOR <= n; c += VECTOR)
        gather_tile(g, rows, columns, dy + c, w + c, accumulate, all, dx + c, 1);
    if (c < n)
        gather_tile(g, rows, columns, dy + n - VECTOR, w + n - VECTOR, accumulate, keep_last(n - c), dx + n - VECTOR,
                    1);
}

static void depthwise_dx(const struct ws_geometry *g, const float *dy, const float *w, bool accumulate, float *dx)
{
    struct reach rows, columns;
    for (int iy = 0; iy < g->height; iy++, dx += (size_t)g->width * (size_t)g->pitch)
        for (int ky = 0; ky < g->kernel[0]; ky += MAX_TAPS) {
            reach_of(g, 0, iy, g->out_height, ky, &rows);
            for (int kx = 0; kx < g->kernel[1]; kx += MAX_TAPS)
                for (int ix = 0; ix < g->width; ix++) {
                    reach_of(g, 1, ix, g->out_width, kx, &columns);
                    gather_pixel(g, &rows, &columns, dy, w, accumulate || ky + kx > 0,
                                 dx + (size_t)ix * (size_t)g->pitch);
                }
        }
}

/* --- gradient of the weight --- */

/** One vector of channels, `rows` x `kernel` window positions, over `n` neighbouring outputs; x is under position (0,
 * 0). */
ALWAYS_INLINE void weight_sums(const struct ws_geometry *g, const float *x, const float *dy, int n, vector keep,
                               float *dw, const int rows, const int kernel)
{
    size_t pitch = (size_t)g->pitch, step = (size_t)g->stride[1] * pitch, across = (size_t)g->dilation[1] * pitch;
    size_t down = (size_t)g->dilation[0] * (size_t)g->width * pitch;
    vector sum[25];
#pragma GCC unroll 25
    for (int i = 0; i < rows * kernel; i++)
        sum[i] = (vector){0};
    for (int p = 0; p < n; p++, x += step, dy += pitch) {
        vector gradient = *(const vector *)dy;
#pragma GCC unroll 5
        for (int i = 0; i < rows; i++)
#pragma GCC unroll 5
            for (int j = 0; j < kernel; j++)
                sum[i * kernel + j] += gradient * *(const vector *)(x + (size_t)i * down + (size_t)j * across);
    }
#pragma GCC unroll 25
    for (int i = 0; i < rows * kernel; i++)
        put(dw + (size_t)i * pitch, sum[i], true, keep);
}

/** The same for one window row of any width. */
static void weight_sums_of_row(const struct ws_geometry *g, const float *x, const float *dy, int n, struct span columns,
                               vector keep, float *dw)
{
    size_t pitch = (size_t)g->pitch, across = (size_t)g->dilation[1] * pitch;
    for (int k = columns.first; k < columns.end; k++)
        weight_sums(g, x + (size_t)k * across, dy, n, keep, dw + (size_t)k * pitch, 1, 1);
}

/** One vector of channels over `n` outputs of a row whose window has the given rows and columns inside the map. */
ALWAYS_INLINE void weight_vector(const struct ws_geometry *g, struct span rows, struct span columns, const float *x,
                                 const float *dy, int n, vector keep, float *dw)
{
    size_t pitch = (size_t)g->pitch, down = (size_t)g->dilation[0] * (size_t)g->width * pitch;
    size_t dw_row = (size_t)g->kernel[1] * pitch;
    bool is_wide = columns.end - columns.first == g->kernel[1];
    dw += (size_t)rows.first * dw_row;
    if (is_wide && g->kernel[1] == 3 && rows.end - rows.first == 3) {
        weight_sums(g, x, dy, n, keep, dw, 3, 3);
        return;
    }
    for (int k = rows.first; k < rows.end; k++, x += down, dw += dw_row) {
        if (is_wide && g->kernel[1] == 3)
            weight_sums(g, x, dy, n, keep, dw, 1, 3);
        else if (is_wide && g->kernel[1] == 5)
            weight_sums(g, x, dy, n, keep, dw, 1, 5);
        else
            weight_sums_of_row(g, x, dy, n, columns, keep, dw);
    }
}

/** All channels of such a run of outputs. */
static void weight_run(const struct ws_geometry *g, struct span rows, struct span columns, const float *x,
                       const float *dy, int n, float *dw)
{
    size_t pitch = (size_t)g->pitch, c = 0;
    const vector all = (vector){0} + 1;
    if (pitch >= VECTOR) {
        for (; c + VECTOR <= pitch; c += VECTOR)
            weight_vector(g, rows, columns, x + c, dy + c, n, all, dw + c);
        if (c < pitch)
            weight_vector(g, rows, columns, x + pitch - VECTOR, dy + pitch - VECTOR, n, keep_last(pitch - c),
                          dw + pitch - VECTOR);
        return;
    }
    for (int p = 0; p < n; p++, x += (size_t)g->stride[1] * pitch, dy += pitch)
        for (int ky = rows.first; ky < rows.end; ky++)
            for (int kx = columns.first; kx < columns.end; kx++) {
                size_t down = (size_t)(ky - rows.first) * (size_t)g->dilation[0],
                       across = (size_t)kx * (size_t)g->dilation[1];
                for (c = 0; c < pitch; c++)
                    dw[(size_t)(ky * g->kernel[1] + kx) * pitch + c] +=
                        dy[c] * x[(down * (size_t)g->width + across) * pitch + c];
            }
}

static void depthwise_dw(const struct ws_geometry *g, const float *x, const float *dy, float *dw)
{
    ptrdiff_t pitch = g->pitch, row = (ptrdiff_t)g->width * pitch;
    struct span inside = interior_of(g), all = {0, g->kernel[1]};
    for (int oy = 0; oy < g->out_height; oy++, dy += g->out_width * pitch) {
        struct span rows = span_of(g, 0, oy, g->height);
        if (rows.first == rows.end)
            continue;
        const float *from = x + (oy * g->stride[0] - g->pad[0] + rows.first * g->dilation[0]) * row;
        for (int ox = 0; ox < g->out_width;) {
            bool is_inside = ox >= inside.first && ox < inside.end;
            int n = is_inside ? inside.end - ox : 1;
            weight_run(g, rows, is_inside ? all : span_of(g, 1, ox, g->width),
                       from + (ox * g->stride[1] - g->pad[1]) * pitch, dy + ox * pitch, n, dw);
            ox += n;
        }
    }
}
