/* Whether confidence says how often it is right (Guo et al., "On Calibration of Modern Neural Networks", ICML 2017). */
#include "measure.h"

#include <math.h>

enum { N_BINS = 15 };

/* Bins of equal width over the confidence, max p. */
struct bins {
    double confidence[N_BINS], right[N_BINS];
};

static size_t bins_bytes(int n_classes)
{
    (void)n_classes;
    return sizeof(struct bins);
}

static void add_to_bins(void *state, const struct ws_exam_image *image)
{
    struct bins *bins = state;
    const double confidence = exp(image->log_p[image->predicted]);
    int bin = (int)(confidence * N_BINS);
    bin = bin < N_BINS ? bin : N_BINS - 1;
    bins->confidence[bin] += confidence;
    bins->right[bin] += image->predicted == image->label;
}

/* 1/n sum over bins |right - confidence| */
static json_t *tell_ece(const void *state, const struct ws_exam_answers *answers)
{
    const struct bins *bins = state;
    double sum = 0.0;
    for (int b = 0; b < N_BINS; b++)
        sum += fabs(bins->right[b] - bins->confidence[b]);
    return json_real(sum / (double)answers->n);
}

const struct ws_measure ws_measure_ece = {
    .name = "ece",
    .summary = "expected calibration error, 15 bins of equal width over max p",
    .state_bytes = bins_bytes,
    .add = add_to_bins,
    .tell = tell_ece,
};
