/* What the families of the zoo share: table.c knows the names, one file per family knows its graph. */
#ifndef WEBSTILL_DISTILL_NN_ZOO_FAMILY_H
#define WEBSTILL_DISTILL_NN_ZOO_FAMILY_H

#include "webstill/nn/zoo.h"

/** A classifier under construction: a builder adds nodes to `net`, whose input exists, and sets the taps. */
struct zoo {
    struct ws_net *net;
    int n_classes;
    struct ws_zoo_taps taps;
};

/** `depth` and `width` are the numbers in the architecture's name; 0 where it has none. Mistakes stay in net->err. */
typedef void zoo_builder(struct zoo *zoo, int depth, int width);

zoo_builder zoo_cifar_resnet, zoo_resnet, zoo_wrn, zoo_vgg, zoo_mobilenetv2, zoo_shufflenetv2, zoo_lenet;

/** Up to 64 x 64 pixels: the nets made for 224 x 224 leave out their first reductions. */
bool zoo_is_small(const struct ws_net *net);

/** A name to be used at once: zoo_name("layer%d.%d.conv1", 2, 0).text. */
struct zoo_name {
    char text[WS_NAME_MAX];
};
struct zoo_name zoo_name(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** Convolution without bias and its BN, each by its own name. */
int zoo_conv_bn(struct ws_net *net, const char *conv, const char *bn, int x, int channels, struct ws_window window,
                int groups);

/** The usual end: the global average of `x` ("avgpool"), then one linear layer. Sets all taps. */
void zoo_classify(struct zoo *zoo, int x, const char *linear);

#endif
