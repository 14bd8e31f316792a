#include "webstill/curate/drift.h"

#include <math.h>

static double total(const double *p, int n)
{
    double sum = 0.0;
    for (int i = 0; i < n; i++)
        sum += p[i];
    return sum;
}

double ws_drift_divergence(const double *p, const double *q, int n)
{
    const double p_sum = total(p, n), q_sum = total(q, n);
    if (p_sum <= 0.0 || q_sum <= 0.0)
        return (double)NAN;
    double divergence = 0.0;
    for (int i = 0; i < n; i++) {
        const double a = p[i] / p_sum, b = q[i] / q_sum, middle = 0.5 * (a + b);
        divergence += a > 0.0 ? 0.5 * a * log2(a / middle) : 0.0;
        divergence += b > 0.0 ? 0.5 * b * log2(b / middle) : 0.0;
    }
    return divergence > 0.0 ? divergence : 0.0; /* rounding */
}

/* What one selection says about one class (-1: about all): how many, how sure, how many kept. */
struct portrait {
    double histogram[WS_DRIFT_BINS];
    double sum;
    int64_t n, n_kept;
};

static struct portrait portray(const struct ws_selection *selection, int c)
{
    struct portrait portrait = {.n = 0};
    for (size_t i = 0; i < selection->n; i++) {
        if (c >= 0 && selection->predicted[i] != c)
            continue;
        const double confidence = (double)selection->confidence[i];
        const int bin = confidence >= 1.0  ? WS_DRIFT_BINS - 1
                        : confidence > 0.0 ? (int)(confidence * WS_DRIFT_BINS)
                                           : 0; /* NaN as well */
        portrait.histogram[bin] += 1.0;
        portrait.sum += confidence;
        portrait.n++;
        portrait.n_kept += selection->keep[i];
    }
    return portrait;
}

static double ratio(double part, int64_t whole)
{
    return whole > 0 ? part / (double)whole : (double)NAN;
}

struct ws_drift ws_drift_compare(const struct ws_selection *before, const struct ws_selection *now,
                                 struct ws_drift_class *classes)
{
    ws_assert(before->n_classes == now->n_classes);
    for (int c = 0; c < now->n_classes; c++) {
        const struct portrait a = portray(before, c), b = portray(now, c);
        classes[c] = (struct ws_drift_class){
            .n_before = a.n,
            .n_now = b.n,
            .share_before = ratio((double)a.n, (int64_t)before->n),
            .share_now = ratio((double)b.n, (int64_t)now->n),
            .confidence_before = ratio(a.sum, a.n),
            .confidence_now = ratio(b.sum, b.n),
            .kept_before = ratio((double)a.n_kept, a.n),
            .kept_now = ratio((double)b.n_kept, b.n),
            .confidence_drift = ws_drift_divergence(a.histogram, b.histogram, WS_DRIFT_BINS),
        };
    }
    const struct portrait a = portray(before, -1), b = portray(now, -1);
    double class_drift = 0.0; /* the same formula, class by class, so that no list of them is needed */
    for (int c = 0; c < now->n_classes; c++) {
        const double p = classes[c].share_before, q = classes[c].share_now, middle = 0.5 * (p + q);
        class_drift += p > 0.0 ? 0.5 * p * log2(p / middle) : 0.0;
        class_drift += q > 0.0 ? 0.5 * q * log2(q / middle) : 0.0;
    }
    return (struct ws_drift){
        .n_before = before->n,
        .n_now = now->n,
        .class_drift = class_drift > 0.0 ? class_drift : 0.0,
        .confidence_drift = ws_drift_divergence(a.histogram, b.histogram, WS_DRIFT_BINS),
    };
}
