/**
 * Losses of the last forward, told by taps: each returns the mean over the batch and ADDS its gradient, times `scale`,
 * to that of the taps it is to teach (where nothing below a tap learns, to none). Reductions are fixed, formulas stand
 * here. Sums run in image order in double: same bytes for any thread count.
 *
 * `loss_of`: NULL, or [batch]: each image's own loss times `scale` is added, its weight left out.
 */
#ifndef WEBSTILL_NN_LOSS_H
#define WEBSTILL_NN_LOSS_H

#include "webstill/nn/exec.h"

#include <stddef.h>
#include <stdint.h>

/** Cross entropy with label smoothing s: 1/B sum_i -sum_c t_ic log softmax(z_i)_c, t = (1-s) onehot + s/C. Labels < 0
 * are skipped (B counts the rest). */
double ws_loss_cross_entropy(struct ws_tap logits, const int32_t *labels, double smoothing, double scale,
                             float *loss_of);

/** Hinton's KD: T^2 / B sum_i w_i KL(softmax(z_t/T) || softmax(z_s/T)). Teaches the student. `weights` [batch]; NULL:
 * all 1. */
double ws_loss_kd(struct ws_tap student, struct ws_tap teacher, const float *weights, double temperature, double scale,
                  float *loss_of);

/**
 * Cross entropy of labels that are wrong at times (DFND: Chen et al., "Learning Student Networks in the Wild", CVPR
 * 2021, the noisy half of its loss): 1/B sum_i -log sum_k softmax(z_i)_k Q(k, y_i), where Q(k, y) is the chance that an
 * image of class k is labelled y. Q(k, k) = accuracy is known, the other entries of row k are (1 - accuracy)
 * softmax(noise_k), noise_k [n_classes - 1] being the row without its diagonal. Teaches the logits, and adds to
 * `noise_gradient`, like `noise` [n_classes][n_classes - 1]. `scratch` holds 2 n_classes (n_classes - 1) doubles.
 * 0 <= accuracy <= 1, n_classes >= 2.
 */
double ws_loss_noisy(struct ws_tap logits, const int32_t *labels, const float *noise, double accuracy, double scale,
                     float *noise_gradient, double *scratch);

/**
 * Weighted feature alignment: 1/(B D) sum_i w_i sum_d (a_id - b_id)^2, D values per image; teaches `a`. `weights`
 * [batch]; NULL: all 1. With side > 1, b is the other map's mean over windows of side x side, and `scratch` holds
 * [batch][D].
 */
double ws_loss_alignment(struct ws_tap a, struct ws_tap b, int side, const float *weights, double scale, float *scratch,
                         float *loss_of);

/**
 * NT-Xent over 2B vectors r = [normalise(u_1..u_B), normalise(v_1..v_B)], temperature t:
 * 1/(2B) sum_i -log( exp(r_i.r_pos(i)/t) / sum_{j!=i} exp(r_i.r_j/t) ). The tap's network has run on 2B images: u is
 * its value for the first half, v for the second; both are taught. `scratch` holds ws_loss_ntxent_scratch() floats,
 * aligned for double.
 */
double ws_loss_ntxent(struct ws_tap both, double temperature, double scale, void *scratch);
size_t ws_loss_ntxent_scratch(int batch, int dim);

/**
 * InfoNCE between two networks' vectors r_i = normalise(u_i) and c_j = normalise(v_j), temperature t:
 * 1/B sum_i -log( exp(r_i.c_i/t) / sum_j exp(r_i.c_j/t) ): u_i has to find v_i among all of v. Teaches both. Scratch
 * as above (van den Oord, Li, Vinyals, "Representation Learning with Contrastive Predictive Coding", 2018).
 */
double ws_loss_infonce(struct ws_tap u, struct ws_tap v, double temperature, double scale, void *scratch);

#endif
