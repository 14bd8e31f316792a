/*
 * NT-Xent, the contrast of SimCLR (Chen et al., ICML 2020): rows r_i of unit length, s_ij = r_i.r_j / t,
 * q_ij = softmax of s_ij over j != i.
 *
 *   L      = 1/(2B) sum_i -log q_i,pos(i)
 *   dr_i   = 1/(2B t) ( sum_{j != i} (q_ij + q_ji) r_j - 2 r_pos(i) )
 *   dx_i   = (I - r_i r_i^T) dr_i / |x_i|
 *
 * The contrast of two networks, InfoNCE (van den Oord et al., 2018), is the same with fewer terms: only rows i < B ask
 * for their pair, and only among the rows j >= B. So q_ij = 0 elsewhere, the sums run over B rows, and the pair's
 * vector counts once in dr_i instead of twice.
 *
 * Each phase goes over the rows in slices; a row is one worker's, so the bytes do not depend on their number.
 */
#include "arrays.h"

#include "webstill/nn/loss.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { ROWS_PER_SLICE = 8 };

struct ntxent {
    bool is_cross;      /* of two networks: u asks, v answers */
    const float *u, *v; /* [batch][dim] */
    int batch, dim;
    double temperature;
    double factor;                  /* scale / (rows that ask t) */
    float *gradient_u, *gradient_v; /* or NULL */
    double *terms;                  /* [2B] -log q_i,pos(i) */
    float *r, *dr;                  /* [2B][dim] */
    float *q;                       /* [2B][2B] s, then q */
};

static int n_rows(const struct ntxent *l)
{
    return 2 * l->batch;
}

static const float *row_of(const struct ntxent *l, const float *rows, int i)
{
    return rows + (size_t)i * (size_t)l->dim;
}

/* x_i, before normalisation. */
static const float *input_of(const struct ntxent *l, int i)
{
    return i < l->batch ? row_of(l, l->u, i) : row_of(l, l->v, i - l->batch);
}

static int pair_of(const struct ntxent *l, int i)
{
    return i < l->batch ? i + l->batch : i - l->batch;
}

/* Rows that ask for their pair; the others' q is zero. */
static int n_asking(const struct ntxent *l)
{
    return l->is_cross ? l->batch : 2 * l->batch;
}

/* As PyTorch's normalize: a vector shorter than this is divided by it, so that a zero vector stays zero. */
static const double min_norm = 1e-12;

static double norm_of(const float *x, int dim)
{
    double sum = 0.0;
    for (int d = 0; d < dim; d++)
        sum += (double)x[d] * (double)x[d];
    return fmax(sqrt(sum), min_norm);
}

/* Four sums in a fixed pattern: fast without depending on the compiler's liberties. */
static double dot(const float *a, const float *b, int dim)
{
    double sum[4] = {0.0, 0.0, 0.0, 0.0};
    int d = 0;
    for (; d + 4 <= dim; d += 4)
        for (int lane = 0; lane < 4; lane++)
            sum[lane] += (double)a[d + lane] * (double)b[d + lane];
    for (; d < dim; d++)
        sum[0] += (double)a[d] * (double)b[d];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/* Turns row i of s into q_ij = softmax over j >= first, j != i (q is 0 elsewhere) and returns -log q_i,pos. */
static double softmax_others(float *row, int first, int n, int i, int positive)
{
    double top = -INFINITY;
    for (int j = first; j < n; j++)
        if (j != i)
            top = fmax(top, (double)row[j]);
    const double gap = top - (double)row[positive];
    double sum = 0.0;
    for (int j = 0; j < first; j++)
        row[j] = 0.0f;
    for (int j = first; j < n; j++) {
        const double e = j == i ? 0.0 : exp((double)row[j] - top);
        row[j] = (float)e;
        sum += e;
    }
    for (int j = first; j < n; j++)
        row[j] = (float)((double)row[j] / sum);
    return gap + log(sum);
}

/* sum += coefficient * x; the whole chunk has a constant length, which compilers turn into vectors. */
static inline void add_scaled(double *sum, double coefficient, const float *x, int length)
{
    for (int d = 0; d < length; d++)
        sum[d] += coefficient * (double)x[d];
}

/* dr_i = sum_{j!=i} (q_ij + q_ji) r_j - of_pair r_pos(i), without the factor. */
static void fill_unit_gradient(const float *r, const float *q, int n, int dim, int i, int positive, double of_pair,
                               float *dr)
{
    enum { CHUNK = 64 };
    for (int begin = 0; begin < dim; begin += CHUNK) {
        const int width = dim - begin < CHUNK ? dim - begin : CHUNK;
        double sum[CHUNK] = {0.0};
        for (int j = 0; j < n; j++) {
            const double coefficient = (double)q[(size_t)i * (size_t)n + (size_t)j] +
                                       (double)q[(size_t)j * (size_t)n + (size_t)i] - (j == positive ? of_pair : 0.0);
            const float *rj = r + (size_t)j * (size_t)dim + begin;
            if (width == CHUNK)
                add_scaled(sum, coefficient, rj, CHUNK);
            else
                add_scaled(sum, coefficient, rj, width);
        }
        for (int d = 0; d < width; d++)
            dr[begin + d] = (float)sum[d];
    }
}

/* g += factor (I - r r^T) dr / |x|: back through r = x / |x|. */
static void add_through_norm(const float *x, const float *r, const float *dr, int dim, double factor, float *g)
{
    const double norm = norm_of(x, dim), along = norm > min_norm ? dot(r, dr, dim) : 0.0;
    for (int d = 0; d < dim; d++)
        g[d] += (float)(factor * ((double)dr[d] - along * (double)r[d]) / norm);
}

/* --- the phases: rows of one slice --- */

static int end_of(const struct ntxent *l, int slice)
{
    const int end = (slice + 1) * ROWS_PER_SLICE;
    return end < n_rows(l) ? end : n_rows(l);
}

static void normalise_rows(void *argument, int slice, int worker)
{
    (void)worker;
    const struct ntxent *l = argument;
    for (int i = slice * ROWS_PER_SLICE; i < end_of(l, slice); i++) {
        const float *x = input_of(l, i);
        const double norm = norm_of(x, l->dim);
        float *r = l->r + (size_t)i * (size_t)l->dim;
        for (int d = 0; d < l->dim; d++)
            r[d] = (float)((double)x[d] / norm);
    }
}

/* Both triangles, the diagonal is never read; of two networks, only what is between them. A slice takes every so
 * many-th row: the first ones are the longest. */
static void fill_similarities(void *argument, int slice, int worker)
{
    (void)worker;
    const struct ntxent *l = argument;
    const int n = n_rows(l), n_slices = (n + ROWS_PER_SLICE - 1) / ROWS_PER_SLICE;
    for (int i = slice; i < n; i += n_slices)
        for (int j = l->is_cross ? (i < l->batch ? l->batch : n) : i + 1; j < n; j++) {
            const float value = (float)(dot(row_of(l, l->r, i), row_of(l, l->r, j), l->dim) / l->temperature);
            l->q[(size_t)i * (size_t)n + (size_t)j] = value;
            l->q[(size_t)j * (size_t)n + (size_t)i] = value;
        }
}

static void take_softmax(void *argument, int slice, int worker)
{
    (void)worker;
    const struct ntxent *l = argument;
    const int n = n_rows(l), first = l->is_cross ? l->batch : 0;
    for (int i = slice * ROWS_PER_SLICE; i < end_of(l, slice); i++) {
        float *row = l->q + (size_t)i * (size_t)n;
        if (i < n_asking(l))
            l->terms[i] = softmax_others(row, first, n, i, pair_of(l, i));
        else
            memset(row, 0, (size_t)n * sizeof *row);
    }
}

static void add_gradients(void *argument, int slice, int worker)
{
    (void)worker;
    const struct ntxent *l = argument;
    for (int i = slice * ROWS_PER_SLICE; i < end_of(l, slice); i++) {
        float *gradient = i < l->batch ? l->gradient_u : l->gradient_v;
        if (!gradient)
            continue;
        float *dr = l->dr + (size_t)i * (size_t)l->dim;
        fill_unit_gradient(l->r, l->q, n_rows(l), l->dim, i, pair_of(l, i), l->is_cross ? 1.0 : 2.0, dr);
        add_through_norm(input_of(l, i), row_of(l, l->r, i), dr, l->dim, l->factor,
                         gradient + (size_t)(i % l->batch) * (size_t)l->dim);
    }
}

static void run(struct ws_workers *workers, ws_slice_fn *phase, struct ntxent *l)
{
    const int n_slices = (n_rows(l) + ROWS_PER_SLICE - 1) / ROWS_PER_SLICE;
    if (workers) {
        ws_workers_run(workers, n_slices, phase, l);
        return;
    }
    for (int slice = 0; slice < n_slices; slice++)
        phase(l, slice, 0);
}

size_t ws_loss_ntxent_scratch(int batch, int dim)
{
    const size_t n = 2 * (size_t)batch;
    return n * (sizeof(double) / sizeof(float)) + n * (size_t)dim * 2 + n * n;
}

static double contrast(struct ws_workers *workers, struct ntxent *l, double scale, void *scratch)
{
    const size_t n = (size_t)n_rows(l);
    l->factor = scale / ((double)n_asking(l) * l->temperature);
    l->terms = scratch;
    l->r = (float *)(l->terms + n);
    l->dr = l->r + n * (size_t)l->dim;
    l->q = l->dr + n * (size_t)l->dim;
    run(workers, normalise_rows, l);
    run(workers, fill_similarities, l);
    run(workers, take_softmax, l);
    run(workers, add_gradients, l);
    double loss = 0.0;
    for (int i = 0; i < n_asking(l); i++)
        loss += l->terms[i];
    return loss / (double)n_asking(l);
}

double ws_array_ntxent(struct ws_workers *workers, const float *u, const float *v, int batch, int dim,
                       double temperature, double scale, float *gradient_u, float *gradient_v, void *scratch)
{
    struct ntxent l = {.u = u,
                       .v = v,
                       .batch = batch,
                       .dim = dim,
                       .temperature = temperature,
                       .gradient_u = gradient_u,
                       .gradient_v = gradient_v};
    return contrast(workers, &l, scale, scratch);
}

double ws_array_infonce(struct ws_workers *workers, const float *u, const float *v, int batch, int dim,
                        double temperature, double scale, float *gradient_u, float *gradient_v, void *scratch)
{
    struct ntxent l = {.is_cross = true,
                       .u = u,
                       .v = v,
                       .batch = batch,
                       .dim = dim,
                       .temperature = temperature,
                       .gradient_u = gradient_u,
                       .gradient_v = gradient_v};
    return contrast(workers, &l, scale, scratch);
}
