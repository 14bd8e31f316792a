/* What the families of the zoo share: table.c knows the names, one file per family knows its graph, family.c has what
 * they share. */
#ifndef WEBSTILL_DISTILL_NN_ZOO_FAMILY_H
#define WEBSTILL_DISTILL_NN_ZOO_FAMILY_H

#include "webstill/nn/zoo.h"

/** A classifier under construction: a builder adds nodes to `net`, whose input exists, and sets the taps. */
struct ws_zoo {
    struct ws_net *net;
    int n_classes;
    struct ws_zoo_taps taps;
};

/** `depth` and `width` are the numbers in the architecture's name; 0 where it has none. Mistakes stay in net->err. */
typedef void ws_zoo_builder(struct ws_zoo *zoo, int depth, int width);

ws_zoo_builder ws_zoo_cifar_resnet, ws_zoo_resnet, ws_zoo_wrn, ws_zoo_vgg, ws_zoo_mobilenetv2, ws_zoo_shufflenetv2,
    ws_zoo_lenet;

/** Up to 64 x 64 pixels: the nets made for 224 x 224 leave out their first reductions. */
bool ws_zoo_is_small(const struct ws_net *net);

/** A name to be used at once: ws_zoo_name("layer%d.%d.conv1", 2, 0).text. */
struct ws_zoo_text {
    char text[WS_NAME_MAX];
};
struct ws_zoo_text ws_zoo_name(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** Convolution without bias and its BN, each by its own name. */
int ws_zoo_conv_bn(struct ws_net *net, const char *conv, const char *bn, int x, int channels, struct ws_window window,
                   int groups);

/** The usual end: the global average of `x` ("avgpool"), then one linear layer. Sets all taps. */
void ws_zoo_classify(struct ws_zoo *zoo, int x, const char *linear);

#endif
