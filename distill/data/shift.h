/** Images under random channel statistics: what a test set looks like through another camera, or another screen. */
#ifndef WEBSTILL_DISTILL_DATA_SHIFT_H
#define WEBSTILL_DISTILL_DATA_SHIFT_H

#include "set.h"

/**
 * Draw the contrast and the brightness of one channel of one image: gain = exp(strength u), offset = strength v / 2 in
 * units of white, u and v uniform in [-1, 1) and the same for every strength.
 *
 * Determinism: a function of (seed, id, channel, strength) alone.
 */
void ws_shift_draw(uint64_t seed, const struct ws_image_id *id, int channel, double strength, double *gain,
                   double *offset);

/**
 * Write `set` under shift into `out`: p' = m + gain (p - m) + 255 offset, rounded and cut to 0..255, m the channel's
 * mean over the image. Ids, labels and order stay; `out` gets memory of its own and a digest. False: out of memory.
 *
 * Strength 0 gives the same bytes. Source: the test set with randomised channel mean and deviation by which Tang et al.
 * (ICCV 2023) argue for MixDistribution; the distribution of the draws is our choice.
 */
WS_MUST_USE bool ws_shift_apply(const struct ws_dataset *set, double strength, uint64_t seed, struct ws_dataset *out);

#endif
