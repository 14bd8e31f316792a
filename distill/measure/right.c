/* How often the label was found: first, or among the five largest. */
#include "measure.h"

static double is_right(const struct ws_exam_image *image)
{
    return image->predicted == image->label;
}

/* How many classes come before the label: larger, or equal with a smaller index. */
static double is_among_five(const struct ws_exam_image *image)
{
    int rank = 0;
    for (int i = 0; i < image->n_classes; i++)
        rank += image->log_p[i] > image->log_p[image->label] ||
                (image->log_p[i] == image->log_p[image->label] && i < image->label);
    return rank < 5;
}

const struct ws_measure ws_measure_accuracy = {
    .name = "accuracy",
    .summary = "share of images whose label is predicted, the first of equals",
    .is_told_under_shift = true,
    .of_image = is_right,
};

const struct ws_measure ws_measure_top5 = {
    .name = "top5",
    .summary = "share of images whose label is among the five largest; 1 with five classes or fewer",
    .of_image = is_among_five,
};
