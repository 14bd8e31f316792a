/**
 * Measures: what evaluation says of a classifier on labelled images.
 *
 * A measure is one file (or a row more in the file of its kind) and its line in list.h. It sees one image
 * after another, with the model's and the teacher's distributions ready, and tells its figure under its name. What it
 * adds up it adds in image order, in double.
 */
#ifndef WEBSTILL_DISTILL_MEASURE_MEASURE_H
#define WEBSTILL_DISTILL_MEASURE_MEASURE_H

#include "list.h"

#include "webstill/base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** What was asked and answered. Borrowed; logits are [n][n_classes]. */
struct ws_exam_answers {
    size_t n;
    int n_classes;
    const char *const *classes; /**< [n_classes] names */
    const float *logits;
    const int32_t *labels; /**< [n] in 0 … n_classes-1 */
    const int32_t *groups; /**< [n], or NULL: nothing tells groups apart */
    const float *teacher;  /**< its logits; NULL for the teacher itself */
};

/** One image, as every measure sees it. */
struct ws_exam_image {
    int n_classes, label;
    int group;                 /**< -1: none is told */
    const double *log_p;       /**< [n_classes] log softmax of the model's logits */
    const double *log_teacher; /**< likewise; NULL without a teacher */
    int predicted, predicted_by_teacher;
};

struct ws_measure {
    const char *name;    /**< its key in eval.json */
    const char *summary; /**< formula or sentence */
    bool needs_teacher;  /**< without one it tells null */
    bool is_told_under_shift;

    /** A figure that is the mean of one figure an image; NULL for others, which have all of the following. */
    double (*of_image)(const struct ws_exam_image *image);

    size_t (*state_bytes)(int n_classes); /**< of its state, which begins as zeros */
    void (*add)(void *state, const struct ws_exam_image *image);
    json_t *(*tell)(const void *state, const struct ws_exam_answers *answers); /**< NULL when out of memory */
};

/** NULL behind the last, in the order of eval.json. */
extern const struct ws_measure *const ws_measures[];

#define WS_MEASURE_ROW(name) extern const struct ws_measure ws_measure_##name;
WS_MEASURES(WS_MEASURE_ROW)
#undef WS_MEASURE_ROW

/**
 * Take the measures of a table (ws_measures, or a test's) and set each under its name in `result`; `is_shifted`: only
 * those that are told under shift. n >= 1, n_classes >= 2. WS_E_MEMORY alone.
 */
WS_MUST_USE enum ws_status ws_measures_take(const struct ws_measure *const *table,
                                            const struct ws_exam_answers *answers, bool is_shifted, json_t *result,
                                            struct ws_err *err);

#endif
