/*
 * Cross entropy through a noise adaptation matrix. With p = softmax(z), s_k = softmax(noise_k), y the image's label:
 *
 *   q = sum_k p_k Q(k, y);   r_k = p_k Q(k, y) / q        (which class the label came from, given the image)
 *   dL/dz_k = (p_k - r_k) / B;   dL/dnoise_km = -(R_km - s_km sum_j R_kj) / B
 *
 * R_km being the sum of r_k over the images whose label is entry m of row k. Products are sums of logarithms here, so
 * that a probability that underflows makes no infinite loss.
 */
#include "arrays.h"

#include "webstill/base/err.h"

#include <math.h>

struct matrix {
    int n_classes;
    double log_right, log_wrong; /* of accuracy and 1 - accuracy */
    double *log_s, *r_sum;       /* [n_classes][n_classes - 1] */
};

/* Entry y of row k in a matrix that leaves its diagonal out. */
static size_t entry(const struct matrix *matrix, int k, int y)
{
    return (size_t)k * (size_t)(matrix->n_classes - 1) + (size_t)(y < k ? y : y - 1);
}

static void fill_matrix(struct matrix *matrix, const float *noise, double accuracy, double *scratch)
{
    const size_t n_others = (size_t)matrix->n_classes - 1;
    matrix->log_right = log(accuracy);
    matrix->log_wrong = log(1.0 - accuracy);
    matrix->log_s = scratch;
    matrix->r_sum = scratch + (size_t)matrix->n_classes * n_others;
    for (size_t k = 0; k < (size_t)matrix->n_classes; k++) {
        const float *row = noise + k * n_others;
        const double lse = ws_array_log_sum_exp(row, (int)n_others, 1.0);
        for (size_t m = 0; m < n_others; m++) {
            matrix->log_s[k * n_others + m] = (double)row[m] - lse;
            matrix->r_sum[k * n_others + m] = 0.0;
        }
    }
}

/* log(p_k Q(k, y)) */
static double log_joint(const struct matrix *matrix, const float *z, double lse, int k, int y)
{
    const double log_p = (double)z[k] - lse;
    return log_p + (k == y ? matrix->log_right : matrix->log_wrong + matrix->log_s[entry(matrix, k, y)]);
}

/* Returns log q; adds r_k to r_sum, and the gradient times `factor`. */
static double add_image(struct matrix *matrix, const float *z, int y, double factor, float *gradient)
{
    const double lse = ws_array_log_sum_exp(z, matrix->n_classes, 1.0);
    double largest = -INFINITY, sum = 0.0;
    for (int k = 0; k < matrix->n_classes; k++)
        largest = fmax(largest, log_joint(matrix, z, lse, k, y));
    for (int k = 0; k < matrix->n_classes; k++)
        sum += exp(log_joint(matrix, z, lse, k, y) - largest);
    const double log_q = largest + log(sum);
    for (int k = 0; k < matrix->n_classes; k++) {
        const double r = exp(log_joint(matrix, z, lse, k, y) - log_q);
        if (k != y)
            matrix->r_sum[entry(matrix, k, y)] += r;
        if (gradient)
            gradient[k] += (float)(factor * (exp((double)z[k] - lse) - r));
    }
    return log_q;
}

static void add_noise_gradient(const struct matrix *matrix, double factor, float *gradient)
{
    const size_t n_others = (size_t)matrix->n_classes - 1;
    for (size_t k = 0; k < (size_t)matrix->n_classes; k++) {
        const double *log_s = matrix->log_s + k * n_others, *r = matrix->r_sum + k * n_others;
        double whole = 0.0;
        for (size_t m = 0; m < n_others; m++)
            whole += r[m];
        for (size_t m = 0; m < n_others; m++)
            gradient[k * n_others + m] -= (float)(factor * (r[m] - exp(log_s[m]) * whole));
    }
}

double ws_array_noisy(const float *logits, const int32_t *labels, const float *noise, int batch, int n_classes,
                      double accuracy, double scale, float *gradient, float *noise_gradient, double *scratch)
{
    ws_assert(n_classes >= 2 && accuracy >= 0.0 && accuracy <= 1.0);
    struct matrix matrix = {.n_classes = n_classes};
    fill_matrix(&matrix, noise, accuracy, scratch);
    double loss = 0.0;
    for (int i = 0; i < batch; i++) {
        const size_t first = (size_t)i * (size_t)n_classes;
        ws_assert(labels[i] >= 0 && labels[i] < n_classes);
        loss -= add_image(&matrix, logits + first, labels[i], scale / batch, gradient ? gradient + first : NULL);
    }
    if (noise_gradient)
        add_noise_gradient(&matrix, scale / batch, noise_gradient);
    return loss / batch;
}
