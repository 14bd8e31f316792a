/** The middle map of a network, which FitNets compares: the end of its middle stage, found by rule in any graph. */
#ifndef WEBSTILL_DISTILL_MODEL_HINT_H
#define WEBSTILL_DISTILL_MODEL_HINT_H

#include "network.h"

/**
 * Node of the middle map, or -1 where no map has more than one pixel.
 *
 * A bottleneck is a node that everything behind it, up to the last feature map (or the logits, where there is none),
 * reads through it alone: no branch leads around it. Bottlenecks of one size in a row are a stage; of n stages the one
 * numbered (n + 1) / 2, rounded down, is the middle, and its last bottleneck is the answer. That is layer2's end of
 * three in the small ResNets, of four in ResNet-18, the second group's end in WRNs. A folded copy of a network has the
 * same map.
 */
int ws_hint_find(const struct ws_model *model);

#endif
