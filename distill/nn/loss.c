/* Losses with their gradients. Everything is summed in double, in image order, by one thread. */
#include "webstill/nn/loss.h"

#include "webstill/base/err.h"

#include <math.h>
#include <stdbool.h>

/* log(sum_c exp(z_c / T)), safe for any finite z. */
static double log_sum_exp(const float *z, int n, double temperature)
{
    double top = (double)z[0];
    for (int c = 1; c < n; c++)
        top = fmax(top, (double)z[c]);
    double sum = 0.0;
    for (int c = 0; c < n; c++)
        sum += exp(((double)z[c] - top) / temperature);
    return top / temperature + log(sum);
}

double ws_loss_cross_entropy(const float *logits, const int32_t *labels, int batch, int n_classes, double smoothing,
                             double scale, float *gradient)
{
    int n_labelled = 0;
    for (int i = 0; i < batch; i++)
        n_labelled += labels[i] >= 0;
    if (n_labelled == 0)
        return 0.0;

    const double off = smoothing / n_classes, on = 1.0 - smoothing + off;
    double loss = 0.0;
    for (int i = 0; i < batch; i++) {
        if (labels[i] < 0)
            continue;
        ws_assert(labels[i] < n_classes);
        const float *z = logits + (size_t)i * (size_t)n_classes;
        const double lse = log_sum_exp(z, n_classes, 1.0);
        for (int c = 0; c < n_classes; c++)
            loss -= (c == labels[i] ? on : off) * ((double)z[c] - lse);
        if (!gradient)
            continue;
        float *g = gradient + (size_t)i * (size_t)n_classes;
        for (int c = 0; c < n_classes; c++)
            g[c] += (float)(scale / n_labelled * (exp((double)z[c] - lse) - (c == labels[i] ? on : off)));
    }
    return loss / n_labelled;
}

double ws_loss_kd(const float *student, const float *teacher, int batch, int n_classes, double temperature,
                  double scale, float *gradient)
{
    double loss = 0.0;
    for (int i = 0; i < batch; i++) {
        const float *zs = student + (size_t)i * (size_t)n_classes;
        const float *zt = teacher + (size_t)i * (size_t)n_classes;
        const double lse_s = log_sum_exp(zs, n_classes, temperature);
        const double lse_t = log_sum_exp(zt, n_classes, temperature);
        float *g = gradient ? gradient + (size_t)i * (size_t)n_classes : NULL;
        for (int c = 0; c < n_classes; c++) {
            const double log_s = (double)zs[c] / temperature - lse_s;
            const double log_t = (double)zt[c] / temperature - lse_t;
            loss += exp(log_t) * (log_t - log_s);
            /* T^2 of the definition times 1/T of the inner derivative. */
            if (g)
                g[c] += (float)(scale * temperature / batch * (exp(log_s) - exp(log_t)));
        }
    }
    return temperature * temperature * loss / batch;
}

double ws_loss_alignment(const float *a, const float *b, const float *weights, int batch, size_t dim, double scale,
                         float *gradient)
{
    const double share = 1.0 / ((double)batch * (double)dim);
    double loss = 0.0;
    for (int i = 0; i < batch; i++) {
        const float *ai = a + (size_t)i * dim, *bi = b + (size_t)i * dim;
        const double w = (double)weights[i];
        double sum = 0.0;
        for (size_t d = 0; d < dim; d++) {
            const double difference = (double)ai[d] - (double)bi[d];
            sum += difference * difference;
        }
        loss += w * sum;
        if (!gradient)
            continue;
        float *g = gradient + (size_t)i * dim;
        const double factor = scale * 2.0 * w * share;
        for (size_t d = 0; d < dim; d++)
            g[d] += (float)(factor * ((double)ai[d] - (double)bi[d]));
    }
    return loss * share;
}

/* --- NT-Xent ------------------------------------------------------------------------------------------------------ */

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

/* s[i][j] = r_i.r_j / t, both triangles; the diagonal is never read. */
static void fill_similarities(const float *r, int n, int dim, double temperature, float *s)
{
    for (int i = 0; i < n; i++)
        for (int j = i + 1; j < n; j++) {
            const float *ri = r + (size_t)i * (size_t)dim, *rj = r + (size_t)j * (size_t)dim;
            const float value = (float)(dot(ri, rj, dim) / temperature);
            s[(size_t)i * (size_t)n + (size_t)j] = value;
            s[(size_t)j * (size_t)n + (size_t)i] = value;
        }
}

/* Turns row i of s into q_ij = softmax over j != i (q_ii = 0) and returns -log q_i,pos. */
static double softmax_others(float *row, int n, int i, int positive)
{
    double top = -INFINITY;
    for (int j = 0; j < n; j++)
        if (j != i)
            top = fmax(top, (double)row[j]);
    const double gap = top - (double)row[positive];
    double sum = 0.0;
    for (int j = 0; j < n; j++) {
        const double e = j == i ? 0.0 : exp((double)row[j] - top);
        row[j] = (float)e;
        sum += e;
    }
    for (int j = 0; j < n; j++)
        row[j] = (float)((double)row[j] / sum);
    return gap + log(sum);
}

/* sum += coefficient * x; the whole chunk has a constant length, which compilers turn into vectors. */
static inline void add_scaled(double *sum, double coefficient, const float *x, int length)
{
    for (int d = 0; d < length; d++)
        sum[d] += coefficient * (double)x[d];
}

/* dr_i = sum_{j!=i} (q_ij + q_ji) r_j - 2 r_pos(i), without the factor 1/(2Bt). */
static void fill_unit_gradient(const float *r, const float *q, int n, int dim, int i, int positive, float *dr)
{
    enum { CHUNK = 64 };
    for (int begin = 0; begin < dim; begin += CHUNK) {
        const int width = dim - begin < CHUNK ? dim - begin : CHUNK;
        double sum[CHUNK] = {0.0};
        for (int j = 0; j < n; j++) {
            const double coefficient = (double)q[(size_t)i * (size_t)n + (size_t)j] +
                                       (double)q[(size_t)j * (size_t)n + (size_t)i] - (j == positive ? 2.0 : 0.0);
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

size_t ws_loss_ntxent_scratch(int batch, int dim)
{
    const size_t n = 2 * (size_t)batch;
    return n * (size_t)dim * 2 + n * n;
}

double ws_loss_ntxent(const float *u, const float *v, int batch, int dim, double temperature, double scale,
                      float *gradient_u, float *gradient_v, float *scratch)
{
    const int n = 2 * batch;
    const size_t half = (size_t)batch * (size_t)dim;
    float *r = scratch, *dr = r + 2 * half, *q = dr + 2 * half;

    for (int i = 0; i < n; i++) {
        const float *x = i < batch ? u + (size_t)i * (size_t)dim : v + (size_t)(i - batch) * (size_t)dim;
        const double norm = norm_of(x, dim);
        for (int d = 0; d < dim; d++)
            r[(size_t)i * (size_t)dim + (size_t)d] = (float)((double)x[d] / norm);
    }
    fill_similarities(r, n, dim, temperature, q);

    double loss = 0.0;
    for (int i = 0; i < n; i++)
        loss += softmax_others(q + (size_t)i * (size_t)n, n, i, i < batch ? i + batch : i - batch);

    const double factor = scale / ((double)n * temperature);
    for (int i = 0; i < n; i++) {
        const bool first = i < batch;
        float *g = first ? gradient_u : gradient_v;
        if (!g)
            continue;
        const int row = first ? i : i - batch;
        const size_t at = (size_t)row * (size_t)dim;
        float *dr_i = dr + (size_t)i * (size_t)dim;
        fill_unit_gradient(r, q, n, dim, i, first ? i + batch : i - batch, dr_i);
        add_through_norm((first ? u : v) + at, r + (size_t)i * (size_t)dim, dr_i, dim, factor, g + at);
    }
    return loss / n;
}

void ws_softmax(const float *logits, int batch, int n_classes, double temperature, float *out)
{
    for (int i = 0; i < batch; i++) {
        const float *z = logits + (size_t)i * (size_t)n_classes;
        float *p = out + (size_t)i * (size_t)n_classes;
        const double lse = log_sum_exp(z, n_classes, temperature);
        for (int c = 0; c < n_classes; c++)
            p[c] = (float)exp((double)z[c] / temperature - lse);
    }
}
