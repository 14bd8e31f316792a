/**
 * How far a batch is from the data a network was trained on, as its BatchNorm layers remember it.
 *
 * Source: Yin et al., "Dreaming to Distill: Data-free Knowledge Transfer via DeepInversion", CVPR 2020, equation 4.
 */
#ifndef WEBSTILL_NN_STATISTICS_H
#define WEBSTILL_NN_STATISTICS_H

#include "webstill/nn/exec.h"

/** BatchNorm layers of a network; a folded one has none, and remembers nothing. */
int ws_statistics_count(const struct ws_net *net);

/**
 * Sum over all BatchNorm layers of |mu(x) - running mean|_2 + |sigma^2(x) - running variance|_2, with the batch's mean
 * and biased variance of the exec's last forward, which was run in OBSERVE mode. Its gradient times `scale` is added to
 * the gradients of these statistics: ws_exec_backward() takes it down to the input. The exec plans for backward.
 */
double ws_loss_statistics(struct ws_exec *exec, const struct ws_net *net, double scale);

#endif
