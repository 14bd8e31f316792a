/*
 * Winograd's minimal filtering F(4x4, 3x3) for 3x3 convolutions of stride 1 (Lavin and Gray, CVPR 2016). Part of
 * kernels_impl.h.
 *
 *   forward   Y = A' [ (G w G') . (B' x B) ] A        6x6 patches of x, 4 apart, give 4x4 tiles of y
 *   dX        the same with dY and the flipped kernel
 *   dW        w = A3' [ (G4 dy G4') . (B' x B) ] A3   F(3x3, 4x4): the same points, so the same transform of x
 *
 * "." is a product per position of the 6x6 grid, summed over channels (or, for dW, over tiles): 36 matrix products in
 * the place of 144 multiplications. The points are 0, ±sqrt(1/2), ±sqrt(2) and infinity: the usual 0, ±1, ±2 lose twice
 * as many digits (5.5e-7 of the result's size against 9.4e-7 at 16 channels; a direct sum 2.2e-7). Maps are 36 grids of
 * [tiles][channels], `step` floats apart; weights 36 products' panels (product_impl.h). Vectors run over channels.
 */

#define A 0.70710678118654752440F /* sqrt(1/2) */
#define B 1.41421356237309504880F /* sqrt(2) */

/*
 * The transforms of six run in halves of three outputs (of four: even and odd ones), so that a half of the 6x6 grid
 * stays in registers between columns and rows.
 */

/** Outputs 0, 1, 2 or 3, 4, 5 of B' x, x a row or column of six. */
ALWAYS_INLINE void patch_half(const vector x[6], const int half, vector out[3])
{
    if (half == 0) {
        vector a = x[4] - 2 * x[2], b = A * x[3] - 2 * A * x[1];
        out[0] = x[0] - 2.5F * x[2] + x[4];
        out[1] = a + b;
        out[2] = a - b;
    } else {
        vector c = x[4] - 0.5F * x[2], d = B * x[3] - 0.5F * B * x[1];
        out[0] = c + d;
        out[1] = c - d;
        out[2] = x[1] - 2.5F * x[3] + x[5];
    }
}

/** Outputs 0 and 2 or 1 and 3 of A' m. */
ALWAYS_INLINE void output_half(const vector m[6], const int half, vector out[2])
{
    if (half == 0) {
        vector a = m[1] + m[2], c = m[3] + m[4];
        out[0] = m[0] + a + c;
        out[1] = 0.5F * a + 2 * c;
    } else {
        vector b = A * (m[1] - m[2]), d = B * (m[3] - m[4]);
        out[0] = b + d;
        out[1] = 0.5F * b + 2 * d + m[5];
    }
}

/** Outputs 0, 1, 2 or 3, 4, 5 of G4 dy. */
ALWAYS_INLINE void gradient_half(const vector y[4], const int half, vector out[3])
{
    if (half == 0) {
        vector a = (y[0] + 0.5F * y[2]) * (-2.0F / 3), b = (y[1] + 0.5F * y[3]) * (-2.0F / 3 * A);
        out[0] = y[0];
        out[1] = a + b;
        out[2] = a - b;
    } else {
        vector c = (y[0] + 2 * y[2]) * (1.0F / 6), d = (y[1] + 2 * y[3]) * (1.0F / 6 * B);
        out[0] = c + d;
        out[1] = c - d;
        out[2] = y[3];
    }
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

/*
 * Walk on by n floats. The empty asm hides the sum from the compiler, which would otherwise keep the 36 addresses of a
 * grid in memory and increase each of them for every vector: half of the time of a transform.
 */
#define WALK(p, n)                                                                                                     \
    do {                                                                                                               \
        (p) += (n);                                                                                                    \
        __asm__("" : "+r"(p));                                                                                         \
    } while (0)

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

/** Rows first three or last three of a 6x6 patch of one channel vector, transformed to places `step` apart. */
ALWAYS_INLINE void transform_patch(const float *x, size_t row, size_t c, const int half, float *u, size_t step)
{
    vector t[3][6];
#pragma GCC unroll 6
    for (int j = 0; j < 6; j++) {
        vector in[6], out[3];
        const float *from = x;
#pragma GCC unroll 6
        for (int i = 0; i < 6; i++) {
            in[i] = load(from);
            WALK(from, row);
        }
        WALK(x, c);
        patch_half(in, half, out);
#pragma GCC unroll 3
        for (int i = 0; i < 3; i++)
            t[i][j] = out[i];
    }
#pragma GCC unroll 3
    for (int i = 0; i < 3; i++) {
        vector low[3], high[3];
        patch_half(t[i], 0, low);
        patch_half(t[i], 1, high);
#pragma GCC unroll 6
        for (int j = 0; j < 6; j++) {
            store(u, j < 3 ? low[j] : high[j - 3]);
            WALK(u, step);
        }
    }
}

/** The six rows that a tile row reads, from image row y0 on, after `before` where that is given, with zeros around the
 * map. */
static inline void frame_rows(const struct ws_winograd *g, const float *image, int y0, const struct ws_affine *before,
                              float *frame)
{
    size_t c = (size_t)g->channels, row = (size_t)g->width * c, edge = (size_t)g->pad * c;
    size_t framed = (4 * (size_t)g->tiles_x + 2) * c;
    size_t copied = edge + row < framed ? row : framed - edge;
    for (int i = 0; i < 6; i++, frame += framed) {
        int y = y0 + i;
        if (y < 0 || y >= g->height) {
            zero_floats(framed, frame);
            continue;
        }
        zero_floats(edge, frame);
        if (before)
            affine(image + (size_t)y * row, copied / c, g->channels, before->scale, before->shift, NULL, before->top,
                   frame + edge);
        else
            copy_floats(image + (size_t)y * row, copied, frame + edge);
        zero_floats(framed - edge - copied, frame + edge + copied);
    }
}

static void winograd_input(const struct ws_winograd *g, const float *x, size_t first_row, size_t n_rows, size_t step,
                           const struct ws_affine *before, float *frame, float *u)
{
    size_t c = (size_t)g->channels, map = (size_t)g->height * (size_t)g->width * c;
    size_t row = (4 * (size_t)g->tiles_x + 2) * c;
    for (size_t r = first_row; r < first_row + n_rows; r++) {
        struct tile_row at = tile_row_of(g, r);
        frame_rows(g, x + at.image * map, at.y - g->pad, before, frame);
        const float *patch = frame;
        for (int tx = 0; tx < g->tiles_x; tx++, u += c, patch += 4 * c)
            for (size_t v = 0; v < c; v += VECTOR) {
                transform_patch(patch + v, row, c, 0, u + v, step);
                transform_patch(patch + v, row, c, 1, u + v + 18 * step, step);
            }
    }
}

/** First or last three rows of the transform of a 4x4 tile of dY, one channel vector; zero outside the map. */
ALWAYS_INLINE void transform_gradient(const struct ws_winograd *g, const float *dy, int rows, int columns,
                                      const int half, float *u, size_t step)
{
    size_t o = (size_t)g->out_channels, row = (size_t)g->out_width * o;
    vector t[3][4];
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        vector in[4], out[3];
        const float *from = dy;
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
            in[i] = i < rows && j < columns ? load(from) : (vector){0};
            WALK(from, row);
        }
        WALK(dy, o);
        gradient_half(in, half, out);
#pragma GCC unroll 3
        for (int i = 0; i < 3; i++)
            t[i][j] = out[i];
    }
#pragma GCC unroll 3
    for (int i = 0; i < 3; i++) {
        vector low[3], high[3];
        gradient_half(t[i], 0, low);
        gradient_half(t[i], 1, high);
#pragma GCC unroll 6
        for (int j = 0; j < 6; j++) {
            store(u, j < 3 ? low[j] : high[j - 3]);
            WALK(u, step);
        }
    }
}

static inline int at_most_4(int n)
{
    return n < 4 ? n : 4;
}

static void winograd_gradient(const struct ws_winograd *g, const float *dy, size_t first_row, size_t n_rows,
                              size_t step, float *u)
{
    size_t o = (size_t)g->out_channels, map = (size_t)g->out_height * (size_t)g->out_width * o;
    for (size_t r = first_row; r < first_row + n_rows; r++) {
        struct tile_row at = tile_row_of(g, r);
        const float *row = dy + at.image * map + (size_t)at.y * (size_t)g->out_width * o;
        int rows = at_most_4(g->out_height - at.y);
        for (int tx = 0; tx < g->tiles_x; tx++, u += o, row += 4 * o) {
            int columns = at_most_4(g->out_width - 4 * tx);
            for (size_t v = 0; v < o; v += VECTOR)
                for (int half = 0; half < 2; half++) {
                    float *to = u + v + (size_t)(18 * half) * step;
                    if (rows == 4 && columns == 4 && half == 0)
                        transform_gradient(g, row + v, 4, 4, 0, to, step);
                    else if (rows == 4 && columns == 4)
                        transform_gradient(g, row + v, 4, 4, 1, to, step);
                    else
                        transform_gradient(g, row + v, rows, columns, half, to, step);
                }
        }
    }
}

/** Rows 0 and 2 or 1 and 3 of a tile of y from its 36 products, one channel vector. */
ALWAYS_INLINE void transform_output(const struct ws_winograd *g, const float *m, size_t step, int rows, int columns,
                                    const int half, const bool accumulate, float *y)
{
    size_t o = (size_t)g->out_channels, row = (size_t)g->out_width * o;
    vector t[2][6];
#pragma GCC unroll 6
    for (int j = 0; j < 6; j++) {
        vector in[6], out[2];
        const float *from = m;
#pragma GCC unroll 6
        for (int i = 0; i < 6; i++) {
            in[i] = load(from);
            WALK(from, 6 * step);
        }
        WALK(m, step);
        output_half(in, half, out);
        t[0][j] = out[0];
        t[1][j] = out[1];
    }
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++) {
        if (2 * i + half >= rows)
            continue;
        vector even[2], odd[2];
        output_half(t[i], 0, even);
        output_half(t[i], 1, odd);
        float *to = y + (size_t)(2 * i + half) * row;
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            vector value = j % 2 ? odd[j / 2] : even[j / 2];
            if (j < columns && accumulate)
                store(to, value + load(to));
            else if (j < columns)
                store(to, value);
            WALK(to, o);
        }
    }
}

static void winograd_output(const struct ws_winograd *g, const float *m, size_t first_row, size_t n_rows, size_t step,
                            bool accumulate, float *y)
{
    size_t o = (size_t)g->out_channels, map = (size_t)g->out_height * (size_t)g->out_width * o;
    for (size_t r = first_row; r < first_row + n_rows; r++) {
        struct tile_row at = tile_row_of(g, r);
        float *row = y + at.image * map + (size_t)at.y * (size_t)g->out_width * o;
        int rows = at_most_4(g->out_height - at.y);
        for (int tx = 0; tx < g->tiles_x; tx++, m += o, row += 4 * o) {
            int columns = at_most_4(g->out_width - 4 * tx);
            for (size_t v = 0; v < o; v += VECTOR)
                if (accumulate) {
                    transform_output(g, m + v, step, rows, columns, 0, true, row + v);
                    transform_output(g, m + v, step, rows, columns, 1, true, row + v);
                } else if (rows == 4 && columns == 4) {
                    transform_output(g, m + v, step, 4, 4, 0, false, row + v);
                    transform_output(g, m + v, step, 4, 4, 1, false, row + v);
                } else {
                    transform_output(g, m + v, step, rows, columns, 0, false, row + v);
                    transform_output(g, m + v, step, rows, columns, 1, false, row + v);
                }
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
