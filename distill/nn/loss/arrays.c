/* Losses with their gradients. Everything is summed in double, in image order, by one thread. */
#include "arrays.h"

#include "webstill/base/err.h"

#include <math.h>

double ws_array_log_sum_exp(const float *z, int n, double temperature)
{
    double top = (double)z[0];
    for (int c = 1; c < n; c++)
        top = fmax(top, (double)z[c]);
    double sum = 0.0;
    for (int c = 0; c < n; c++)
        sum += exp(((double)z[c] - top) / temperature);
    return top / temperature + log(sum);
}

double ws_array_cross_entropy(const float *logits, const int32_t *labels, int batch, int n_classes, double smoothing,
                              double scale, float *gradient, float *loss_of)
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
        const double lse = ws_array_log_sum_exp(z, n_classes, 1.0);
        double own = 0.0;
        for (int c = 0; c < n_classes; c++) {
            const double term = (c == labels[i] ? on : off) * ((double)z[c] - lse);
            loss -= term;
            own -= term;
        }
        if (loss_of)
            loss_of[i] += (float)(scale * own);
        if (!gradient)
            continue;
        float *g = gradient + (size_t)i * (size_t)n_classes;
        for (int c = 0; c < n_classes; c++)
            g[c] += (float)(scale / n_labelled * (exp((double)z[c] - lse) - (c == labels[i] ? on : off)));
    }
    return loss / n_labelled;
}

double ws_array_kd(const float *student, const float *teacher, const float *weights, int batch, int n_classes,
                   double temperature, double scale, float *gradient, float *loss_of)
{
    double loss = 0.0;
    for (int i = 0; i < batch; i++) {
        const float *zs = student + (size_t)i * (size_t)n_classes;
        const float *zt = teacher + (size_t)i * (size_t)n_classes;
        const double w = weights ? (double)weights[i] : 1.0;
        const double lse_s = ws_array_log_sum_exp(zs, n_classes, temperature);
        const double lse_t = ws_array_log_sum_exp(zt, n_classes, temperature);
        float *g = gradient ? gradient + (size_t)i * (size_t)n_classes : NULL;
        double own = 0.0;
        for (int c = 0; c < n_classes; c++) {
            const double log_s = (double)zs[c] / temperature - lse_s;
            const double log_t = (double)zt[c] / temperature - lse_t;
            const double term = exp(log_t) * (log_t - log_s);
            loss += w * term;
            own += term;
            /* T^2 of the definition times 1/T of the inner derivative. */
            if (g)
                g[c] += (float)(scale * w * temperature / batch * (exp(log_s) - exp(log_t)));
        }
        if (loss_of)
            loss_of[i] += (float)(scale * (temperature * temperature * own));
    }
    return temperature * temperature * loss / batch;
}

double ws_array_alignment(const float *a, const float *b, const float *weights, int batch, size_t dim, double scale,
                          float *gradient, float *loss_of)
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
        if (loss_of)
            loss_of[i] += (float)(scale * sum / (double)dim);
        if (!gradient)
            continue;
        float *g = gradient + (size_t)i * dim;
        const double factor = scale * 2.0 * w * share;
        for (size_t d = 0; d < dim; d++)
            g[d] += (float)(factor * ((double)ai[d] - (double)bi[d]));
    }
    return loss * share;
}

void ws_array_average(const float *map, int batch, int height, int width, int channels, int side, float *out)
{
    const size_t n = (size_t)channels, row = (size_t)width * n;
    for (int b = 0; b < batch; b++) {
        const float *image = map + (size_t)b * (size_t)height * row;
        for (int y = 0; y < height / side; y++)
            for (int x = 0; x < width / side; x++)
                for (size_t c = 0; c < n; c++) {
                    double sum = 0.0;
                    for (int v = 0; v < side; v++)
                        for (int h = 0; h < side; h++)
                            sum += (double)image[(size_t)(y * side + v) * row + (size_t)(x * side + h) * n + c];
                    *out++ = (float)(sum / (double)(side * side));
                }
    }
}
