/*
 * Winograd's minimal filtering F(4x4, 3x3) for 3x3 convolutions of stride 1 (Lavin and Gray, CVPR 2016). Part of
 * kernels_impl.h.
 *
 *   forward   Y = A' [ (G w G') . (B' x B) ] A        6x6 patches of x, 4 apart, give 4x4 tiles of y
 *   dX        the same with dY and the turned kernel
 *   dW        w = A3' [ (G4 dy G4') . (B' x B) ] A3   F(3x3, 4x4): the same points, so the same transform of x
 *
 * "." is a product per position of the 6x6 grid, summed over channels (or, for dW, over tiles): 36 matrix products in the
 * place of 144 multiplications. The points are 0, ±sqrt(1/2), ±sqrt(2) and infinity: the usual 0, ±1, ±2 lose twice as many
 * digits (5.5e-7 of the result's size against 9.4e-7 at 16 channels; a direct sum 2.2e-7). Maps are [36][tiles][channels]; weights
 * [36][channels][out] in panels of PANEL outputs, each panel [channels][width]. Vectors run over channels.
 */

enum { PANEL = 2 * VECTOR < 16 ? 16 : 2 * VECTOR }; /* outputs of a panel; channels are multiples of 16 */

#define A 0.70710678118654752440F /* sqrt(1/2) */
#define B 1.41421356237309504880F /* sqrt(2) */

/** B' x of one row or column of six. */
ALWAYS_INLINE void patch_transform(const vector x[6], vector out[6])
{
    vector a = x[4] - 2 * x[2], b = A * x[3] - 2 * A * x[1], c = x[4] - 0.5F * x[2], d = B * x[3] - 0.5F * B * x[1];
    out[0] = x[0] - 2.5F * x[2] + x[4];
    out[1] = a + b;
    out[2] = a - b;
    out[3] = c + d;
    out[4] = c - d;
    out[5] = x[1] - 2.5F * x[3] + x[5];
}

/** A' m: four outputs of six products. */
ALWAYS_INLINE void output_transform(const vector m[6], vector out[4])
{
    vector a = m[1] + m[2], b = A * (m[1] - m[2]), c = m[3] + m[4], d = B * (m[3] - m[4]);
    out[0] = m[0] + a + c;
    out[1] = b + d;
    out[2] = 0.5F * a + 2 * c;
    out[3] = 0.5F * b + 2 * d + m[5];
}

/** G w: six of three weights. */
ALWAYS_INLINE void weight_transform(const vector w[3], vector out[6])
{
    vector a = (w[0] + 0.5F * w[2]) * (-2.0F / 3), b = w[1] * (-2.0F / 3 * A);
    vector c = (w[0] + 2 * w[2]) * (1.0F / 6), d = w[1] * (1.0F / 6 * B);
    out[0] = w[0];
    out[1] = a + b;
    out[2] = a - b;
    out[3] = c + d;
    out[4] = c - d;
    out[5] = w[2];
}

/** G4 dy: six of four gradients. */
ALWAYS_INLINE void gradient_transform(const vector y[4], vector out[6])
{
    vector a = (y[0] + 0.5F * y[2]) * (-2.0F / 3), b = (y[1] + 0.5F * y[3]) * (-2.0F / 3 * A);
    vector c = (y[0] + 2 * y[2]) * (1.0F / 6), d = (y[1] + 2 * y[3]) * (1.0F / 6 * B);
    out[0] = y[0];
    out[1] = a + b;
    out[2] = a - b;
    out[3] = c + d;
    out[4] = c - d;
    out[5] = y[3];
}

/** A3' m: three weight gradients of six sums. */
ALWAYS_INLINE void weight_gradient_transform(const vector m[6], vector out[3])
{
    vector a = m[1] + m[2], c = m[3] + m[4];
    out[0] = m[0] + a + c;
    out[1] = A * (m[1] - m[2]) + B * (m[3] - m[4]);
    out[2] = 0.5F * a + 2 * c + m[5];
}

#undef A
#undef B

ALWAYS_INLINE vector load(const float *p)
{
    return *(const vector *)p;
}

ALWAYS_INLINE void store(float *p, vector v)
{
    *(vector *)p = v;
}

/** A tile row of the slice: which image, and its first row of outputs. */
struct tile_row {
    size_t image;
    int y;
};

static inline struct tile_row tile_row_of(const struct ws_winograd *g, size_t row)
{
    size_t per_image = (size_t)g->tiles_y;
    return (struct tile_row){row / per_image, 4 * (int)(row % per_image)};
}

/** One channel vector of a 6x6 patch at (y0, x0), zero outside the map, transformed to 36 places `step` apart. */
ALWAYS_INLINE void transform_patch(const struct ws_winograd *g, const float *x, int y0, int x0, const bool is_inside,
                                   float *u, size_t step)
{
    size_t c = (size_t)g->channels, row = (size_t)g->width * c;
    vector t[6][6];
    for (int j = 0; j < 6; j++) {
        vector in[6], out[6];
#pragma GCC unroll 6
        for (int i = 0; i < 6; i++) {
            int y = y0 + i, at = x0 + j;
            bool is_there = is_inside || (y >= 0 && y < g->height && at >= 0 && at < g->width);
            in[i] = is_there ? load(x + (ptrdiff_t)y * (ptrdiff_t)row + (ptrdiff_t)at * (ptrdiff_t)c) : (vector){0};
        }
        patch_transform(in, out);
#pragma GCC unroll 6
        for (int i = 0; i < 6; i++)
            t[i][j] = out[i];
    }
    for (int i = 0; i < 6; i++) {
        vector out[6];
        patch_transform(t[i], out);
#pragma GCC unroll 6
        for (int j = 0; j < 6; j++, u += step)
            store(u, out[j]);
    }
}

static void winograd_input(const struct ws_winograd *g, const float *x, size_t first_row, size_t n_rows, size_t tiles,
                           float *u)
{
    size_t c = (size_t)g->channels, map = (size_t)g->height * (size_t)g->width * c;
    size_t step = tiles * c;
    for (size_t r = first_row; r < first_row + n_rows; r++) {
        struct tile_row at = tile_row_of(g, r);
        const float *image = x + at.image * map;
        int y0 = at.y - g->pad;
        bool is_inside_y = y0 >= 0 && y0 + 6 <= g->height;
        for (int tx = 0; tx < g->tiles_x; tx++, u += c) {
            int x0 = 4 * tx - g->pad;
            if (is_inside_y && x0 >= 0 && x0 + 6 <= g->width)
                for (size_t v = 0; v < c; v += VECTOR)
                    transform_patch(g, image + v, y0, x0, true, u + v, step);
            else
                for (size_t v = 0; v < c; v += VECTOR)
                    transform_patch(g, image + v, y0, x0, false, u + v, step);
        }
    }
}

/** One channel vector of a 4x4 tile of dY, zero outside the map. */
ALWAYS_INLINE void transform_gradient(const struct ws_winograd *g, const float *dy, int rows, int columns, float *u,
                                      size_t step)
{
    size_t o = (size_t)g->out_channels, row = (size_t)g->out_width * o;
    vector t[6][4];
    for (int j = 0; j < 4; j++) {
        vector in[4], out[6];
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++)
            in[i] = i < rows && j < columns ? load(dy + (size_t)i * row + (size_t)j * o) : (vector){0};
        gradient_transform(in, out);
#pragma GCC unroll 6
        for (int i = 0; i < 6; i++)
            t[i][j] = out[i];
    }
    for (int i = 0; i < 6; i++) {
        vector out[6];
        gradient_transform(t[i], out);
#pragma GCC unroll 6
        for (int j = 0; j < 6; j++, u += step)
            store(u, out[j]);
    }
}

static inline int at_most_4(int n)
{
    return n < 4 ? n : 4;
}

static void winograd_gradient(const struct ws_winograd *g, const float *dy, size_t first_row, size_t n_rows, size_t tiles,
                           float *u)
{
    size_t o = (size_t)g->out_channels, map = (size_t)g->out_height * (size_t)g->out_width * o;
    size_t step = tiles * o;
    for (size_t r = first_row; r < first_row + n_rows; r++) {
        struct tile_row at = tile_row_of(g, r);
        const float *row = dy + at.image * map + (size_t)at.y * (size_t)g->out_width * o;
        int rows = at_most_4(g->out_height - at.y);
        for (int tx = 0; tx < g->tiles_x; tx++, u += o, row += 4 * o) {
            int columns = at_most_4(g->out_width - 4 * tx);
            for (size_t v = 0; v < o; v += VECTOR)
                if (rows == 4 && columns == 4)
                    transform_gradient(g, row + v, 4, 4, u + v, step);
                else
                    transform_gradient(g, row + v, rows, columns, u + v, step);
        }
    }
}

/** One channel vector of a tile of y from its 36 products. */
ALWAYS_INLINE void transform_output(const struct ws_winograd *g, const float *m, size_t step, int rows, int columns,
                                    const bool accumulate, float *y)
{
    size_t o = (size_t)g->out_channels, row = (size_t)g->out_width * o;
    vector t[4][6];
    for (int j = 0; j < 6; j++) {
        vector in[6], out[4];
#pragma GCC unroll 6
        for (int i = 0; i < 6; i++)
            in[i] = load(m + (size_t)(i * 6 + j) * step);
        output_transform(in, out);
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++)
            t[i][j] = out[i];
    }
    for (int i = 0; i < rows; i++) {
        vector out[4];
        output_transform(t[i], out);
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            float *to = y + (size_t)i * row + (size_t)j * o;
            if (j < columns && accumulate)
                store(to, out[j] + load(to));
            else if (j < columns)
                store(to, out[j]);
        }
    }
}

static void winograd_output(const struct ws_winograd *g, const float *m, size_t first_row, size_t n_rows, size_t tiles,
                            bool accumulate, float *y)
{
    size_t o = (size_t)g->out_channels, map = (size_t)g->out_height * (size_t)g->out_width * o;
    size_t step = tiles * o;
    for (size_t r = first_row; r < first_row + n_rows; r++) {
        struct tile_row at = tile_row_of(g, r);
        float *row = y + at.image * map + (size_t)at.y * (size_t)g->out_width * o;
        int rows = at_most_4(g->out_height - at.y);
        for (int tx = 0; tx < g->tiles_x; tx++, m += o, row += 4 * o) {
            int columns = at_most_4(g->out_width - 4 * tx);
            for (size_t v = 0; v < o; v += VECTOR)
                if (accumulate)
                    transform_output(g, m + v, step, rows, columns, true, row + v);
                else if (rows == 4 && columns == 4)
                    transform_output(g, m + v, step, 4, 4, false, row + v);
                else
                    transform_output(g, m + v, step, rows, columns, false, row + v);
        }
    }
}

/** Channels first … end-1 of the 36 weight matrices; w is [3][3][channels][out]. */
static void winograd_weight(const float *w, int channels, int out_channels, int first, int end, float *v)
{
    size_t c = (size_t)channels, o = (size_t)out_channels, matrix = c * o;
    for (size_t i = (size_t)first; i < (size_t)end; i++)
        for (size_t at = 0; at < o; at += VECTOR) {
            size_t panel = at / PANEL * PANEL, width = o - panel < PANEL ? o - panel : PANEL;
            float *to = v + panel * c + i * width + (at - panel);
            vector t[6][3];
            for (int j = 0; j < 3; j++) {
                vector in[3], out[6];
                for (int k = 0; k < 3; k++)
                    in[k] = load(w + (size_t)(k * 3 + j) * matrix + i * o + at);
                weight_transform(in, out);
                for (int k = 0; k < 6; k++)
                    t[k][j] = out[k];
            }
            for (int k = 0; k < 6; k++) {
                vector out[6];
                weight_transform(t[k], out);
                for (int j = 0; j < 6; j++, to += matrix)
                    store(to, out[j]);
            }
        }
}

/** dw [3][3][channels][out] += the inverse of sums [36][channels][out], for channels first … end-1. */
static void winograd_weight_gradient(const float *sums, int channels, int out_channels, int first, int end, float *dw)
{
    size_t o = (size_t)out_channels, matrix = (size_t)channels * o;
    for (size_t at = (size_t)first * o; at < (size_t)end * o; at += VECTOR) {
        vector t[3][6];
        for (int j = 0; j < 6; j++) {
            vector in[6], out[3];
            for (int k = 0; k < 6; k++)
                in[k] = load(sums + (size_t)(k * 6 + j) * matrix + at);
            weight_gradient_transform(in, out);
            for (int k = 0; k < 3; k++)
                t[k][j] = out[k];
        }
        for (int k = 0; k < 3; k++) {
            vector out[3];
            weight_gradient_transform(t[k], out);
            for (int j = 0; j < 3; j++) {
                float *to = dw + (size_t)(k * 3 + j) * matrix + at;
                store(to, load(to) + out[j]);
            }
        }
    }
}

/* --- the products ---------------------------------------------------------------------------------------------------- */

#if defined(__AVX512F__)
enum { ROWS_1 = 14, ROWS_2 = 14 };
#elif defined(__AVX2__)
enum { ROWS_1 = 8, ROWS_2 = 6 };
#else
enum { ROWS_1 = 8, ROWS_2 = 2 };
#endif

/** rows x vectors of a product, k terms each; `rows` and `vectors` are constants at each call. */
ALWAYS_INLINE void product_tile(const float *a, size_t k, const float *b, size_t b_step, float *c, size_t c_step,
                                const int rows, const int vectors)
{
    vector sum[14 * 4];
#pragma GCC unroll 64
    for (int i = 0; i < rows * vectors; i++)
        sum[i] = (vector){0};
    for (size_t i = 0; i < k; i++, b += b_step) {
        vector w[4];
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            w[v] = load(b + v * VECTOR);
#pragma GCC unroll 16
        for (int r = 0; r < rows; r++) {
            float value = a[(size_t)r * k + i];
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++)
                sum[r * vectors + v] += value * w[v];
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            store(c + (size_t)r * c_step + v * VECTOR, sum[r * vectors + v]);
}

/** All rows of one panel of `vectors` vectors. */
ALWAYS_INLINE void product_panel(const float *a, size_t rows, size_t k, const float *b, size_t b_step, float *c,
                                 size_t c_step, const int tile, const int vectors)
{
    size_t r = 0;
#define TILES(n)                                                                                                       \
    for (; (n) <= tile && rows - r >= (n); r += (n))                                                                   \
        product_tile(a + r * k, k, b, b_step, c + r * c_step, c_step, (n) <= tile ? (n) : 1, vectors);
    TILES(14)
    TILES(8)
    TILES(7)
    TILES(6)
    TILES(4)
    TILES(3)
    TILES(2)
    TILES(1)
#undef TILES
}

/** c [rows][out] = a [rows][k] times the panels of b. */
static void winograd_product(const float *a, size_t rows, int k, const float *b, int out_channels, float *c)
{
    size_t o = (size_t)out_channels;
    for (size_t panel = 0; panel < o; panel += PANEL) {
        size_t width = o - panel < PANEL ? o - panel : PANEL;
        const float *from = b + panel * (size_t)k;
        size_t at = 0;
        for (; at + 2 * VECTOR <= width; at += 2 * VECTOR)
            product_panel(a, rows, (size_t)k, from + at, width, c + panel + at, o, ROWS_2, 2);
        for (; at < width; at += VECTOR)
            product_panel(a, rows, (size_t)k, from + at, width, c + panel + at, o, ROWS_1, 1);
    }
}

/** sum[c][o] of `channels` rows and `vectors` vectors += the outer products of `tiles` rows of x and dy. */
ALWAYS_INLINE void outer_tile(const float *x, size_t x_step, const float *dy, size_t o, size_t tiles, float *sums,
                              const int channels, const int vectors)
{
    vector sum[16 * 4];
#pragma GCC unroll 16
    for (int c = 0; c < channels; c++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            sum[c * vectors + v] = load(sums + (size_t)c * o + v * VECTOR);
    for (size_t t = 0; t < tiles; t++, x += x_step, dy += o) {
        vector g[4];
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            g[v] = load(dy + v * VECTOR);
#pragma GCC unroll 16
        for (int c = 0; c < channels; c++)
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++)
                sum[c * vectors + v] += x[c] * g[v];
    }
#pragma GCC unroll 16
    for (int c = 0; c < channels; c++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            store(sums + (size_t)c * o + v * VECTOR, sum[c * vectors + v]);
}

/** sums [channels][out] += x [tiles][channels]' dy [tiles][out]. */
static void winograd_outer(const float *x, const float *dy, size_t tiles, int channels, int out_channels, float *sums)
{
    size_t o = (size_t)out_channels, n = (size_t)channels;
    for (size_t at = 0; at < o;) {
        int vectors = o - at >= 2 * VECTOR ? 2 : 1;
        size_t c = 0;
        if (vectors == 2) {
            enum { TILE = CHANNELS_2 < 8 ? CHANNELS_2 : 8 };
            for (; c < n; c += TILE)
                outer_tile(x + c, n, dy + at, o, tiles, sums + c * o + at, TILE, 2);
        } else {
            enum { TILE = CHANNELS_1 };
            for (; c < n; c += TILE)
                outer_tile(x + c, n, dy + at, o, tiles, sums + c * o + at, TILE, 1);
        }
        at += (size_t)vectors * VECTOR;
    }
}
