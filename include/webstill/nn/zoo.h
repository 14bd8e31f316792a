/** Architectures by name, with torchvision's tensor names where it has the net. */
#ifndef WEBSTILL_NN_ZOO_H
#define WEBSTILL_NN_ZOO_H

#include "webstill/nn/graph.h"

/** Node ids of a classifier. */
struct ws_zoo_taps {
    int features; /**< last map, after the last ReLU, before global pooling */
    int pooled;   /**< global average of it; all nodes of the head come after it */
    int logits;   /**< the last node, a linear layer; it reads `pooled` (behind dropout) but in vgg from 224 px on */
};

/**
 * Build an architecture into a new network (not yet allocated: the caller may add nodes, then ws_net_alloc()).
 *
 *   resnet8, 14, 20, 32, 44, 56, 110   CIFAR ResNets, widths 16/32/64; shortcuts are 1x1 convolutions with BN
 *   resnet8x4, resnet32x4              the same with widths 64/128/256 behind a stem of 32
 *   resnet18, 34, 50                   torchvision's
 *   wrn-D-K                            wide ResNets of depth D = 6n + 4 and width K: "wrn-16-2", "wrn-40-2"
 *   vgg8, 11, 13, 16, 19               with BN
 *   mobilenetv2, shufflenetv2          width 1
 *   lenet, lenet-half                  LeNet-5 of the data-free papers
 *
 * resnet18 to 50, mobilenetv2 and shufflenetv2 are torchvision's above 64 pixels; up to there the stem has stride 1 and
 * no max-pool (mobilenetv2: nor a stride in its second stage). vgg: see distill/nn/zoo/vgg.c. The dropout of
 * torchvision's heads is there in its forms only, not in those for small pictures.
 *
 * ws_net_init() starts them all alike, as torchvision's ResNets: He-normal over the fan-out for convolutions (also
 * depthwise, where the fan-out counts all channels), uniform for linear layers. torchvision draws the linear layers of
 * vgg and mobilenetv2 from a normal of 0.01 instead.
 *
 * WS_E_CONFIG names the nearest known architecture, or the layer that the picture is too small for; WS_E_UNSUPPORTED;
 * WS_E_MEMORY.
 */
WS_MUST_USE enum ws_status ws_zoo_build(struct ws_net **out, struct ws_zoo_taps *taps, const char *arch, int height,
                                        int width, int channels, int n_classes, struct ws_err *err);

/** Known names, NULL-terminated; of wrn-D-K the usual four. */
const char *const *ws_zoo_names(void);

/** The noise-to-picture network of DFQ and Fast-Datafree. */
struct ws_zoo_generator {
    int nz;                      /**< values of the noise vector: the input is 1 x 1 x nz */
    int ngf;                     /**< width: 2 ngf, 2 ngf and ngf channels (papers: 64) */
    int height, width, channels; /**< of the picture; sides are multiples of 4 */
    bool is_tanh;                /**< pixels in -1..1; else the papers' sigmoid, 0..1 */
};

/** Build it into a new network whose last node is the picture. WS_E_CONFIG for sizes that do not fit, WS_E_MEMORY. */
WS_MUST_USE enum ws_status ws_zoo_build_generator(struct ws_net **out, const struct ws_zoo_generator *shape,
                                                  struct ws_err *err);

#endif
