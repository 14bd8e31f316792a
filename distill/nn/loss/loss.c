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
        const double w = weights ? (double)weights[i] : 1.0;
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
