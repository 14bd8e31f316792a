/**
 * Losses: each returns the mean over the batch and, when `gradient` is not NULL, ADDS its gradient (scaled by `scale`)
 * to it. Reductions are fixed, formulas stand here. Sums run in image order in double: same bytes for any thread count.
 */
#ifndef WEBSTILL_NN_LOSS_H
#define WEBSTILL_NN_LOSS_H

#include "webstill/base/pool.h"

#include <stddef.h>
#include <stdint.h>

/** Cross entropy with label smoothing s: 1/B sum_i -sum_c t_ic log softmax(z_i)_c, t = (1-s) onehot + s/C. Labels < 0
 * are skipped (B counts the rest). */
double ws_loss_cross_entropy(const float *logits, const int32_t *labels, int batch, int n_classes, double smoothing,
                             double scale, float *gradient);

/** Hinton's KD: T^2 / B sum_i KL(softmax(z_t/T) || softmax(z_s/T)). Gradient to the student's logits. */
double ws_loss_kd(const float *student, const float *teacher, int batch, int n_classes, double temperature,
                  double scale, float *gradient);

/**
 * Cross entropy of labels that are wrong at times (DFND: Chen et al., "Learning Student Networks in the Wild", CVPR
 * 2021, the noisy half of its loss): 1/B sum_i -log sum_k softmax(z_i)_k Q(k, y_i), where Q(k, y) is the chance that an
 * image of class k is labelled y. Q(k, k) = accuracy is known, the other entries of row k are (1 - accuracy)
 * softmax(noise_k), noise_k [n_classes - 1] being the row without its diagonal. Gradients go to `logits` and `noise`
 * [n_classes][n_classes - 1]. `scratch` holds 2 n_classes (n_classes - 1) doubles. 0 <= accuracy <= 1, n_classes >= 2.
 */
double ws_loss_noisy(const float *logits, const int32_t *labels, const float *noise, int batch, int n_classes,
                     double accuracy, double scale, float *gradient, float *noise_gradient, double *scratch);

/** Weighted feature alignment: 1/(B D) sum_i w_i sum_d (a_id - b_id)^2; gradient to `a`. `weights` [batch], NULL: all
 * 1; D values per image. */
double ws_loss_alignment(const float *a, const float *b, const float *weights, int batch, size_t dim, double scale,
                         float *gradient);

/**
 * NT-Xent over 2B vectors r = [normalise(u_1..u_B), normalise(v_1..v_B)], temperature t:
 * 1/(2B) sum_i -log( exp(r_i.r_pos(i)/t) / sum_{j!=i} exp(r_i.r_j/t) ). u and v are given BEFORE normalisation;
 * gradients go to them. `scratch` holds ws_loss_ntxent_scratch() floats, aligned for double. `pool` shares the work,
 * the same bytes for any number of threads; NULL: here.
 */
double ws_loss_ntxent(struct ws_pool *pool, const float *u, const float *v, int batch, int dim, double temperature,
                      double scale, float *gradient_u, float *gradient_v, void *scratch);
size_t ws_loss_ntxent_scratch(int batch, int dim);

/**
 * InfoNCE between two networks' vectors r_i = normalise(u_i) and c_j = normalise(v_j), temperature t:
 * 1/B sum_i -log( exp(r_i.c_i/t) / sum_j exp(r_i.c_j/t) ): u_i has to find v_i among all of v. Everything else as
 * above, scratch included (van den Oord, Li, Vinyals, "Representation Learning with Contrastive Predictive Coding",
 * 2018).
 */
double ws_loss_infonce(struct ws_pool *pool, const float *u, const float *v, int batch, int dim, double temperature,
                       double scale, float *gradient_u, float *gradient_v, void *scratch);

#endif
