/*
 * Wide residual networks wrn-D-K (Zagoruyko, Komodakis, "Wide Residual Networks", BMVC 2016): a stem of 16 channels,
 * then three stages of n = (D - 4) / 6 blocks with 16K, 32K and 64K channels. BN and ReLU stand before the
 * convolutions; where the number of channels changes, the shortcut is a bare 1x1 convolution behind the block's first
 * BN and ReLU.
 *
 * torchvision has none; the tensors are named as in the checkpoints of the distillation papers
 * ("block2.layer.0.bn1.weight", "block2.layer.0.convShortcut.weight").
 */
#include "family.h"

static int add_bn_relu(struct ws_net *net, const char *prefix, int number, int x)
{
    x = ws_net_batchnorm(net, ws_zoo_name("%sbn%d", prefix, number).text, x);
    return ws_net_relu(net, ws_zoo_name("%srelu%d", prefix, number).text, x);
}

static int add_block(struct ws_net *net, const char *prefix, int x, int channels, int stride)
{
    const bool changes = net->nodes[x].channels != channels;
    const int active = add_bn_relu(net, prefix, 1, x);
    int y = ws_net_conv(net, ws_zoo_name("%sconv1", prefix).text, active, channels,
                        (struct ws_window)WS_SQUARE(3, stride, 1), false);
    y = add_bn_relu(net, prefix, 2, y);
    y = ws_net_conv(net, ws_zoo_name("%sconv2", prefix).text, y, channels, (struct ws_window)WS_SQUARE(3, 1, 1), false);
    const int shortcut = changes ? ws_net_conv(net, ws_zoo_name("%sconvShortcut", prefix).text, active, channels,
                                               (struct ws_window)WS_SQUARE(1, stride, 0), false)
                                 : x;
    return ws_net_add(net, ws_zoo_name("%sadd", prefix).text, y, shortcut);
}

void ws_zoo_wrn(struct ws_zoo *zoo, int depth, int width)
{
    int x = ws_net_conv(zoo->net, "conv1", 0, 16, (struct ws_window)WS_SQUARE(3, 1, 1), false);
    for (int stage = 0; stage < 3; stage++)
        for (int block = 0; block < (depth - 4) / 6; block++)
            x = add_block(zoo->net, ws_zoo_name("block%d.layer.%d.", stage + 1, block).text, x, (16 << stage) * width,
                          stage > 0 && block == 0 ? 2 : 1);
    x = ws_net_batchnorm(zoo->net, "bn1", x);
    ws_zoo_classify(zoo, ws_net_relu(zoo->net, "relu", x), "fc");
}
