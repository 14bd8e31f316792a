/** MixDistribution (KD3 section 3.5): an image with the channel statistics of itself and another one mixed. */
#ifndef WEBSTILL_DISTILL_DATA_MIX_H
#define WEBSTILL_DISTILL_DATA_MIX_H

#include "webstill/base/rng.h"
#include "webstill/base/workers.h"

#include <stddef.h>
#include <stdint.h>

/** Bytes of scratch for a batch. */
size_t ws_mix_scratch_bytes(int batch, int channels);

/**
 * X' = (X - mu)/sd * sd' + mu', per image b and channel c, with mu the mean and sd = sqrt(var + eps) over n_pixels (var
 * with n_pixels - 1), mu' = lam_b mu_b + (1 - lam_b) mu_pi(b), sd' likewise. X and X' are [batch][n_pixels][channels].
 *
 * `scratch` has ws_mix_scratch_bytes(), aligned for double. Determinism: a function of the
 * arguments; the pool's size does not matter.
 */
void ws_mix_apply(struct ws_workers *workers, const float *x, float *out, int batch, int n_pixels, int channels,
                  const double *lam, const uint32_t *partner, double eps, void *scratch);

/** Draw lam ~ Beta(alpha, alpha) per image and a random permutation of the batch. */
void ws_mix_draw(struct ws_rng *rng, int batch, double alpha, double *lam, uint32_t *partner);

#endif
