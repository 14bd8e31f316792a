/* How much belief the label gets: proper scores. */
#include "measure.h"

#include <math.h>

static double lost_likelihood(const struct ws_exam_image *image)
{
    return -image->log_p[image->label];
}

static double brier(const struct ws_exam_image *image)
{
    double sum = 0.0;
    for (int c = 0; c < image->n_classes; c++) {
        const double difference = exp(image->log_p[c]) - (c == image->label);
        sum += difference * difference;
    }
    return sum;
}

const struct ws_measure ws_measure_nll = {
    .name = "nll",
    .summary = "-log p_label",
    .is_told_under_shift = true,
    .of_image = lost_likelihood,
};

const struct ws_measure ws_measure_brier = {
    .name = "brier",
    .summary = "sum_c (p_c - [c = label])^2, in 0..2",
    .of_image = brier,
};
