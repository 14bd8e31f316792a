/* How far a student follows its teacher. */
#include "measure.h"

#include <math.h>

static double agrees(const struct ws_exam_image *image)
{
    return image->predicted == image->predicted_by_teacher;
}

static double kl(const struct ws_exam_image *image)
{
    double sum = 0.0;
    for (int c = 0; c < image->n_classes; c++)
        sum += exp(image->log_teacher[c]) * (image->log_teacher[c] - image->log_p[c]);
    return sum;
}

const struct ws_measure ws_measure_agreement = {
    .name = "agreement",
    .summary = "share of images where both choose the same class",
    .needs_teacher = true,
    .is_told_under_shift = true,
    .of_image = agrees,
};

const struct ws_measure ws_measure_kl = {
    .name = "kl",
    .summary = "KL(teacher || model), temperature 1",
    .needs_teacher = true,
    .of_image = kl,
};
