/** What a classifier is worth on labelled images, and how far it agrees with its teacher. Arithmetic on logits alone.
 */
#ifndef WEBSTILL_DISTILL_LEARN_EVALUATE_H
#define WEBSTILL_DISTILL_LEARN_EVALUATE_H

#include "webstill/base/err.h"
#include "webstill/base/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WS_ECE_BINS = 15 };

/** Means over the images; p = softmax(logits). */
struct ws_evaluation {
    size_t n;
    int n_classes;
    double accuracy;
    double top5;                              /**< label among the five largest; 1 with five classes or fewer */
    double nll;                               /**< -log p_label */
    double brier;                             /**< sum_c (p_c - [c = label])^2, in 0..2 */
    double ece;                               /**< expected calibration error, 15 bins of equal width over max p */
    double agreement;                         /**< share with the teacher's choice; negative without a teacher */
    double kl;                                /**< KL(teacher || model), temperature 1; negative without a teacher */
    int64_t *confusion;                       /**< [n_classes label][n_classes prediction] */
    int64_t *n_label, *n_predicted, *n_right; /**< [n_classes] */
};

/**
 * Evaluate. `labels` are in 0 … n_classes-1; `teacher` may be NULL. Arrays live in `arena`; false when out of memory.
 * Sums run in image order in double.
 */
WS_MUST_USE bool ws_evaluate(struct ws_evaluation *out, struct ws_arena *arena, const float *logits,
                             const int32_t *labels, const float *teacher, size_t n, int n_classes);

#endif
