/*
 * The losses' arithmetic, on arrays in the host's memory: each returns the mean over the batch and, where `gradient` is
 * not NULL, ADDS its gradient (scaled by `scale`) to it. Formulas stand in nn/loss.h. Sums run in image order in
 * double: same bytes for any thread count.
 */
#ifndef WEBSTILL_DISTILL_NN_LOSS_ARRAYS_H
#define WEBSTILL_DISTILL_NN_LOSS_ARRAYS_H

#include "webstill/base/workers.h"

#include <stddef.h>
#include <stdint.h>

/** log(sum_c exp(z_c / T)), safe for any finite z. */
double ws_array_log_sum_exp(const float *z, int n, double temperature);

/** `loss_of`, here and below: NULL, or [batch]: each image's own loss times `scale` is added, its weight left out. */
double ws_array_cross_entropy(const float *logits, const int32_t *labels, int batch, int n_classes, double smoothing,
                              double scale, float *gradient, float *loss_of);
/** Gradient to the student's logits. `weights` [batch]; NULL: all 1. */
double ws_array_kd(const float *student, const float *teacher, const float *weights, int batch, int n_classes,
                   double temperature, double scale, float *gradient, float *loss_of);
/** Gradients to the logits and to `noise`. */
double ws_array_noisy(const float *logits, const int32_t *labels, const float *noise, int batch, int n_classes,
                      double accuracy, double scale, float *gradient, float *noise_gradient, double *scratch);
/** Gradient to `a`. D = `dim` values per image. */
double ws_array_alignment(const float *a, const float *b, const float *weights, int batch, size_t dim, double scale,
                          float *gradient, float *loss_of);
/** `workers` share the work; NULL: here. Gradients go to u and v as they are before normalisation. */
double ws_array_ntxent(struct ws_workers *workers, const float *u, const float *v, int batch, int dim,
                       double temperature, double scale, float *gradient_u, float *gradient_v, void *scratch);
double ws_array_infonce(struct ws_workers *workers, const float *u, const float *v, int batch, int dim,
                        double temperature, double scale, float *gradient_u, float *gradient_v, void *scratch);

/** Mean over windows of `side` x `side`, which divides height and width: [batch][height][width][channels] in. */
void ws_array_average(const float *map, int batch, int height, int width, int channels, int side, float *out);

#endif
