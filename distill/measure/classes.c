/* Class by class: accuracy and precision, and who is taken for whom. */
#include "measure.h"

/* [n_classes label][n_classes prediction] */
static size_t counts_bytes(int n_classes)
{
    return (size_t)n_classes * (size_t)n_classes * sizeof(int64_t);
}

static void count(void *state, const struct ws_exam_image *image)
{
    ((int64_t *)state)[image->label * image->n_classes + image->predicted]++;
}

static json_t *share_of(int64_t part, int64_t whole)
{
    return whole > 0 ? json_real((double)part / (double)whole) : json_null();
}

static json_t *tell_per_class(const void *state, const struct ws_exam_answers *answers)
{
    const int64_t *counts = state;
    json_t *list = json_array();
    for (int c = 0; c < answers->n_classes; c++) {
        int64_t n_label = 0, n_predicted = 0;
        for (int i = 0; i < answers->n_classes; i++) {
            n_label += counts[c * answers->n_classes + i];
            n_predicted += counts[i * answers->n_classes + c];
        }
        const int64_t n_right = counts[c * answers->n_classes + c];
        json_t *row = json_pack("{s:s,s:I,s:o,s:o}", "class", answers->classes[c], "n", (json_int_t)n_label, "accuracy",
                                share_of(n_right, n_label), "precision", share_of(n_right, n_predicted));
        if (json_array_append_new(list, row) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *tell_confusion(const void *state, const struct ws_exam_answers *answers)
{
    const int64_t *counts = state;
    json_t *rows = json_array();
    for (int label = 0; label < answers->n_classes; label++) {
        json_t *row = json_array();
        bool is_fine = row != NULL;
        for (int c = 0; is_fine && c < answers->n_classes; c++)
            is_fine = json_array_append_new(row, json_integer(counts[label * answers->n_classes + c])) == 0;
        if (json_array_append_new(rows, row) != 0 || !is_fine) {
            json_decref(rows);
            return NULL;
        }
    }
    return rows;
}

const struct ws_measure ws_measure_per_class = {
    .name = "per_class",
    .summary = "of each class: images, share of them found, share of the predictions of it that are right",
    .state_bytes = counts_bytes,
    .add = count,
    .tell = tell_per_class,
};

const struct ws_measure ws_measure_confusion = {
    .name = "confusion",
    .summary = "images by label (rows) and prediction",
    .state_bytes = counts_bytes,
    .add = count,
    .tell = tell_confusion,
};
