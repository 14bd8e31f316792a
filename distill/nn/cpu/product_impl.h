/*
 * Products of rows, for 1x1 convolutions and for Winograd's 36: rows of maps times a small matrix, and the sums of
 * their outer products. No operand is copied but the matrix, once, into panels. Then products of any two matrices, for
 * wide maps and linear layers, in blocks of which the weight's part goes into panels in cache. Part of kernels_impl.h.
 *
 * However many rows a tile has, each output sums its terms in the same order, one FMA (or product and sum) each.
 *
 * The matrix [k][out] is cut into panels of PANEL outputs, each [k][width]; the last one is filled with zeros to whole
 * vectors.
 */

enum { PANEL = 2 * VECTOR < 16 ? 16 : 2 * VECTOR };

ALWAYS_INLINE vector load(const float *p)
{
    return *(const vector *)p;
}

ALWAYS_INLINE void store(float *p, vector v)
{
    *(vector *)p = v;
}

/** The first n < VECTOR floats of a vector. */
static inline void store_part(float *p, vector v, int n)
{
    for (int i = 0; i < n; i++)
        p[i] = v[i];
}

ALWAYS_INLINE vector load_part(const float *p, int n)
{
    vector v = {0};
    for (int i = 0; i < n; i++)
        v[i] = p[i];
    return v;
}

/** Outputs, filled to whole vectors. */
static inline size_t padded_outputs(size_t n)
{
    return (n + VECTOR - 1) / VECTOR * VECTOR;
}

/** Rows first … end-1 of w [k][out], or of its transpose when w is [out][k], into panels. */
static void product_panels(const float *w, int k, int out, bool is_transposed, int first, int end, float *panels)
{
    size_t n = (size_t)out, padded = padded_outputs(n), kk = (size_t)k;
    for (size_t panel = 0; panel < padded; panel += PANEL) {
        size_t width = padded - panel < PANEL ? padded - panel : PANEL, filled = n - panel < width ? n - panel : width;
        for (size_t i = (size_t)first; i < (size_t)end; i++) {
            float *to = panels + panel * kk + i * width;
            for (size_t j = 0; j < filled; j++)
                to[j] = is_transposed ? w[(panel + j) * kk + i] : w[i * n + panel + j];
            zero_floats(width - filled, to + filled);
        }
    }
}

#if defined(__AVX512F__)
enum { ROWS_1 = 14, ROWS_2 = 14 };
#elif defined(__AVX2__)
enum { ROWS_1 = 8, ROWS_2 = 6 };
#else
enum { ROWS_1 = 8, ROWS_2 = 2 };
#endif

/** rows x vectors of a product, k terms each, the last vector `part` floats of it; `rows` and `vectors` are constants
 * at each call. */
ALWAYS_INLINE void product_tile(const float *a, size_t a_step, size_t k, const float *b, size_t b_step, float *c,
                                size_t c_step, const bool accumulate, const int part, const int rows, const int vectors)
{
    vector sum[14 * 2];
#pragma GCC unroll 28
    for (int i = 0; i < rows * vectors; i++)
        sum[i] = (vector){0};
    for (size_t i = 0; i < k; i++, b += b_step) {
        vector w[2];
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++)
            w[v] = load(b + v * VECTOR);
#pragma GCC unroll 16
        for (int r = 0; r < rows; r++) {
            float value = a[(size_t)r * a_step + i];
#pragma GCC unroll 2
            for (int v = 0; v < vectors; v++)
                sum[r * vectors + v] += value * w[v];
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++) {
            float *to = c + (size_t)r * c_step + v * VECTOR;
            vector value = sum[r * vectors + v];
            if (part < VECTOR && v == vectors - 1)
                store_part(to, accumulate ? value + load_part(to, part) : value + 0, part);
            else if (accumulate)
                store(to, value + load(to));
            else
                store(to, value);
        }
}

/** All rows of one panel of `vectors` vectors. */
ALWAYS_INLINE void product_panel(const float *a, size_t a_step, size_t rows, size_t k, const float *b, size_t b_step,
                                 float *c, size_t c_step, const bool accumulate, const int part, const int tile,
                                 const int vectors)
{
    size_t r = 0;
#define TILES(n)                                                                                                       \
    for (; (n) <= tile && rows - r >= (n); r += (n))                                                                   \
        product_tile(a + r * a_step, a_step, k, b, b_step, c + r * c_step, c_step, accumulate, part,                   \
                     (n) <= tile ? (n) : 1, vectors);
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

ALWAYS_INLINE void product_rows(const float *a, size_t rows, size_t k, const float *panels, size_t out,
                                const bool accumulate, float *c)
{
    for (size_t panel = 0; panel < out; panel += PANEL) {
        size_t left = out - panel, padded = padded_outputs(left), width = padded < PANEL ? padded : PANEL, at = 0;
        const float *from = panels + panel * k;
        for (; at + 2 * VECTOR <= width && at + 2 * VECTOR <= left; at += 2 * VECTOR)
            product_panel(a, k, rows, k, from + at, width, c + panel + at, out, accumulate, VECTOR, ROWS_2, 2);
        for (; at + VECTOR <= width && at + VECTOR <= left; at += VECTOR)
            product_panel(a, k, rows, k, from + at, width, c + panel + at, out, accumulate, VECTOR, ROWS_1, 1);
        if (at < width)
            product_panel(a, k, rows, k, from + at, width, c + panel + at, out, accumulate, (int)(left - at), ROWS_1,
                          1);
    }
}

/** c [rows][out] (+)= a [rows][k] times the matrix of the panels. */
static void product(const float *a, size_t rows, int k, const float *panels, int out, bool accumulate, float *c)
{
    if (accumulate)
        product_rows(a, rows, (size_t)k, panels, (size_t)out, true, c);
    else
        product_rows(a, rows, (size_t)k, panels, (size_t)out, false, c);
}

/** A part of w, [depth][width] of rows `step` floats apart, into panels of 2 vectors of columns; the last one is filled
 * to whole vectors with what lies behind the row, whose sums nobody stores. */
static void matrix_panels(const float *w, size_t step, size_t depth, size_t width, float *panels)
{
    const size_t all = (depth - 1) * step + width;
    for (size_t i = 0; i < depth; i++, w += step) {
        float *to = panels + i * 2 * VECTOR;
        size_t o = 0;
        for (; o + 2 * VECTOR <= width; o += 2 * VECTOR, to += depth * 2 * VECTOR) {
            store(to, load(w + o));
            store(to + VECTOR, load(w + o + VECTOR));
        }
        if (o == width)
            continue;
        const size_t padded = padded_outputs(width - o);
        to = panels + o * depth + i * padded;
        if (i * step + o + padded > all) /* the end of w */
            copy_floats(w + o, width - o, to);
        else
            for (size_t j = 0; j < padded; j += VECTOR)
                store(to + j, load(w + o + j));
    }
}

enum { MATRIX_COLUMNS = WS_MATRIX_PANELS / WS_MATRIX_DEPTH };

/** `depth` terms of `width` outputs, from term `first` and output `at` on. */
static void matrix_part(const struct ws_matrices *m, size_t first, size_t depth, size_t at, size_t width, float *panels)
{
    const float *a = m->a + first, *w = m->w + first * m->w_step + at;
    float *c = m->c + at;
    /* Weights that one tile of rows reads once are read where they lie. */
    const bool is_packed = m->rows > ROWS_2 || width % VECTOR != 0;
    if (is_packed)
        matrix_panels(w, m->w_step, depth, width, panels);
    for (size_t o = 0; o < width; o += 2 * VECTOR) {
        const size_t left = width - o, padded = left < 2 * VECTOR ? padded_outputs(left) : 2 * VECTOR;
        const int part = left < padded ? (int)(left + VECTOR - padded) : VECTOR;
        const float *b = is_packed ? panels + o * depth : w + o;
        const size_t b_step = is_packed ? padded : m->w_step;
        if (padded > VECTOR)
            product_panel(a, m->a_step, m->rows, depth, b, b_step, c + o, m->c_step, first > 0, part, ROWS_2, 2);
        else
            product_panel(a, m->a_step, m->rows, depth, b, b_step, c + o, m->c_step, first > 0, part, ROWS_1, 1);
    }
}

/** Blocks of terms are summed for themselves, and added in order. */
static void matrix_product(const struct ws_matrices *m, float *panels)
{
    for (size_t first = 0; first < m->k; first += WS_MATRIX_DEPTH)
        for (size_t at = 0; at < m->out; at += MATRIX_COLUMNS)
            matrix_part(m, first, m->k - first < WS_MATRIX_DEPTH ? m->k - first : WS_MATRIX_DEPTH, at,
                        m->out - at < MATRIX_COLUMNS ? m->out - at : MATRIX_COLUMNS, panels);
}

/** sums[channels][out] of `channels` rows and `vectors` vectors, the last one `part` floats, += the outer products of
 * rows of x and dy. */
ALWAYS_INLINE void outer_tile(const float *x, size_t x_step, const float *dy, size_t o, size_t rows, float *sums,
                              const int part, const int channels, const int vectors)
{
    vector sum[16 * 2];
#pragma GCC unroll 16
    for (int c = 0; c < channels; c++)
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++) {
            const float *from = sums + (size_t)c * o + v * VECTOR;
            if (part < VECTOR && v == vectors - 1)
                sum[c * vectors + v] = load_part(from, part);
            else
                sum[c * vectors + v] = load(from);
        }
    for (size_t t = 0; t < rows; t++, x += x_step, dy += o) {
        vector g[2];
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++)
            if (part < VECTOR && v == vectors - 1)
                g[v] = load_part(dy + v * VECTOR, part);
            else
                g[v] = load(dy + v * VECTOR);
#pragma GCC unroll 16
        for (int c = 0; c < channels; c++)
#pragma GCC unroll 2
            for (int v = 0; v < vectors; v++)
                sum[c * vectors + v] += x[c] * g[v];
    }
#pragma GCC unroll 16
    for (int c = 0; c < channels; c++)
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++) {
            float *to = sums + (size_t)c * o + v * VECTOR;
            if (part < VECTOR && v == vectors - 1)
                store_part(to, sum[c * vectors + v], part);
            else
                store(to, sum[c * vectors + v]);
        }
}

/** All channels for one block of outputs. */
ALWAYS_INLINE void outer_block(const float *x, const float *dy, size_t rows, size_t n, size_t o, float *sums,
                               const int part, const int tile, const int vectors)
{
    size_t c = 0;
#define TILES(n_channels)                                                                                              \
    for (; (n_channels) <= tile && n - c >= (n_channels); c += (n_channels))                                           \
        outer_tile(x + c, n, dy, o, rows, sums + c * o, part, (n_channels) <= tile ? (n_channels) : 1, vectors);
    TILES(16)
    TILES(8)
    TILES(4)
    TILES(2)
    TILES(1)
#undef TILES
}

/** sums [channels][out] += x [rows][channels]' dy [rows][out]. */
static void outer(const float *x, const float *dy, size_t rows, int channels, int out, float *sums)
{
    size_t o = (size_t)out, n = (size_t)channels, at = 0;
    for (; at + 2 * VECTOR <= o; at += 2 * VECTOR)
        outer_block(x, dy + at, rows, n, o, sums + at, VECTOR, CHANNELS_2, 2);
    for (; at + VECTOR <= o; at += VECTOR)
        outer_block(x, dy + at, rows, n, o, sums + at, VECTOR, CHANNELS_1, 1);
    if (at < o)
        outer_block(x, dy + at, rows, n, o, sums + at, (int)(o - at), CHANNELS_1, 1);
}
