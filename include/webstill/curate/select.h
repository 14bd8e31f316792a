/**
 * KD3's teacher-student dynamic instance selection: arithmetic on predictions, no network, no disk.
 *
 * Source: Tang et al., "Distribution Shift Matters for Knowledge Distillation with Webly Collected Images", ICCV 2023,
 * and the released code. Symbols: z_t, z_s logits of teacher and student (n x C); a the teacher's weight.
 *
 *   z = a z_t + (1-a) z_s;  p = softmax(z);  conf = max p;  yhat = argmax p      (combine: logits)
 *   p = a softmax(z_t) + (1-a) softmax(z_s)                                      (combine: probabilities)
 *   n_c = #{yhat = c};  b_c = n_c / max n;  tau_c = p_cutoff b_c / (2 - b_c)
 *   keep  iff  conf > tau_yhat
 */
#ifndef WEBSTILL_CURATE_SELECT_H
#define WEBSTILL_CURATE_SELECT_H

#include "webstill/base/err.h"
#include "webstill/base/mem.h"
#include "webstill/curate/keys.h"
#include "webstill/tensors/selection.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Paper: 240 epochs, E0 = 120, K = 160, steepness 5. Epochs count from 1. */
struct ws_alpha_schedule {
    double zero_epoch; /**< E0 */
    double horizon;    /**< K */
    double steepness;  /**< 5 */
};

/** alpha(e) = 1 - exp(-steepness ((e+1)/K - 1)^2) for e < E0, else 0. */
double ws_alpha_at(const struct ws_alpha_schedule *schedule, double epoch);

/** tau(b) = p_cutoff b / (2 - b), the convex map of the released code. */
double ws_select_threshold(double p_cutoff, double b);

/** What the rule is applied with. */
struct ws_select_options {
    double alpha; /**< 0 to 1: the teacher's weight */
    enum ws_combine combine;
    double p_cutoff;
};

/**
 * Apply the rule. Arrays of `out` live in `arena`. False when out of memory. n >= 1, n_classes >= 2.
 * At alpha = 1 the student's logits are not read and may be NULL; at alpha = 0 the teacher's.
 */
WS_MUST_USE bool ws_select_kd3(struct ws_selection *out, struct ws_arena *arena, const float *teacher_logits,
                               const float *student_logits, size_t n, int n_classes,
                               const struct ws_select_options *options);

/** Keep everything, with the same facts filled in; no threshold is. */
WS_MUST_USE bool ws_select_all(struct ws_selection *out, struct ws_arena *arena, const float *teacher_logits,
                               const float *student_logits, size_t n, int n_classes,
                               const struct ws_select_options *options);

/**
 * The same in parts, for a pool whose logits come in pieces: begin for n images, predict each piece (`n` images from
 * `first` on, in any order, each image once), then apply the rule. ws_select_kd3() is the three in a row.
 */
WS_MUST_USE bool ws_select_begin(struct ws_selection *out, struct ws_arena *arena, size_t n, int n_classes,
                                 const struct ws_select_options *options);
void ws_select_predict(struct ws_selection *out, const float *teacher_logits, const float *student_logits, size_t first,
                       size_t n, const struct ws_select_options *options);
void ws_select_keep(struct ws_selection *out, const struct ws_select_options *options);
/** Likewise, the rule being to keep everything. */
void ws_select_keep_all(struct ws_selection *out);
/**
 * Likewise, the rule being to keep the `n_keep` images of the highest confidence over all classes, of equals the
 * earlier (DFND's: Chen et al., "Learning Student Networks in the Wild", CVPR 2021, as its released code selects).
 * Every class's threshold is the confidence of the last one kept. 1 <= n_keep <= n. False when out of memory.
 */
WS_MUST_USE bool ws_select_keep_top(struct ws_selection *out, struct ws_arena *arena, size_t n_keep);

#endif
