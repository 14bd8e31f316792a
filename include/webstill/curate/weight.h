/** KD3's per-image weight of the feature alignment, from the disagreement of two logit vectors. */
#ifndef WEBSTILL_CURATE_WEIGHT_H
#define WEBSTILL_CURATE_WEIGHT_H

#include <stddef.h>

/**
 * w_i = 1 / (1 + exp(-d_i)),  d_i = || z_s(x_i) - z_t(x_i) + 1e-6 ||_2, in [0.5, 1). A constant for differentiation.
 * Logits are n x n_classes; `weights` gets n values.
 */
void ws_weight_disagreement(const float *student_logits, const float *teacher_logits, size_t n, int n_classes,
                            float *weights);

#endif
