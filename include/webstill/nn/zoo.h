/** Architectures by name, with torchvision's tensor names. */
#ifndef WEBSTILL_NN_ZOO_H
#define WEBSTILL_NN_ZOO_H

#include "webstill/nn/graph.h"

/** Node ids of a classifier. */
struct ws_zoo_taps {
    int features; /**< last map, after the last ReLU, before pooling */
    int pooled;   /**< global average of it */
    int logits;
};

/**
 * Build an architecture into a new network (not yet allocated: the caller may add nodes, then ws_net_alloc()).
 *
 * "resnet8|14|20|32|44|56|110": CIFAR ResNets, widths 16/32/64, parameter-free option... see zoo.c for shortcuts;
 * "resnet18|34": 64..512 channels, 3x3 stem of stride 1 without max-pool for inputs up to 64 pixels, torchvision's 7x7
 * stem above. WS_E_CONFIG names the nearest known architecture.
 */
WS_MUST_USE enum ws_status ws_zoo_build(struct ws_net **out, struct ws_zoo_taps *taps, const char *arch, int height,
                                        int width, int channels, int n_classes, struct ws_err *err);

/** Known names, NULL-terminated. */
const char *const *ws_zoo_names(void);

#endif
