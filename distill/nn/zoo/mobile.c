/*
 * The two mobile networks, with torchvision's names.
 *
 * MobileNetV2, width 1 (Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018). Up to 64
 * px the stem and the second stage have stride 1, as is usual for CIFAR, and there is no dropout.
 *
 * ShuffleNetV2, 1.0x (Ma et al., "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design", ECCV
 * 2018). Up to 64 px the stem has stride 1 and no max-pool.
 */
#include "family.h"

/* --- MobileNetV2 --- */

static int add_relu6(struct ws_net *net, const char *name, int x)
{
    return ws_net_unary(net, WS_OP_CLIP, name, x, 0, 6);
}

/* torchvision's Conv2dNormActivation: PREFIX.0 the convolution, .1 its BN, .2 ReLU6. */
static int add_conv_bn_relu6(struct ws_net *net, const char *prefix, int x, int channels, struct ws_window window,
                             int groups)
{
    x = ws_zoo_conv_bn(net, ws_zoo_name("%s.0", prefix).text, ws_zoo_name("%s.1", prefix).text, x, channels, window,
                       groups);
    return add_relu6(net, ws_zoo_name("%s.2", prefix).text, x);
}

/* 1x1 up to `expansion` times the channels (none at 1), 3x3 depthwise, 1x1 down without activation, + shortcut. */
static int add_inverted_residual(struct ws_net *net, int number, int x, int expansion, int channels, int stride)
{
    const int in_channels = net->nodes[x].channels, wide = expansion * in_channels;
    int y = x, part = 0;
    if (expansion > 1)
        y = add_conv_bn_relu6(net, ws_zoo_name("features.%d.conv.%d", number, part++).text, y, wide,
                              (struct ws_window)WS_SQUARE(1, 1, 0), 1);
    y = add_conv_bn_relu6(net, ws_zoo_name("features.%d.conv.%d", number, part++).text, y, wide,
                          (struct ws_window)WS_SQUARE(3, stride, 1), wide);
    y = ws_zoo_conv_bn(net, ws_zoo_name("features.%d.conv.%d", number, part).text,
                       ws_zoo_name("features.%d.conv.%d", number, part + 1).text, y, channels,
                       (struct ws_window)WS_SQUARE(1, 1, 0), 1);
    if (stride == 1 && in_channels == channels)
        y = ws_net_add(net, ws_zoo_name("features.%d.add", number).text, y, x);
    return y;
}

void ws_zoo_mobilenetv2(struct ws_zoo *zoo, int depth, int width)
{
    (void)depth;
    (void)width;
    static const struct {
        int expansion, channels, blocks, stride; /* the paper's t, c, n, s */
    } stages[] = {
        {1, 16, 1, 1}, {6, 24, 2, 2}, {6, 32, 3, 2}, {6, 64, 4, 2}, {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1},
    };
    struct ws_net *net = zoo->net;
    const bool is_small = ws_zoo_is_small(net);
    int x = add_conv_bn_relu6(net, "features.0", 0, 32, (struct ws_window)WS_SQUARE(3, is_small ? 1 : 2, 1), 1);
    int number = 1;
    for (int stage = 0; stage < (int)(sizeof stages / sizeof *stages); stage++) {
        const int first = is_small && stage == 1 ? 1 : stages[stage].stride;
        for (int block = 0; block < stages[stage].blocks; block++)
            x = add_inverted_residual(net, number++, x, stages[stage].expansion, stages[stage].channels,
                                      block == 0 ? first : 1);
    }
    x = add_conv_bn_relu6(net, "features.18", x, 1280, (struct ws_window)WS_SQUARE(1, 1, 0), 1);
    if (is_small) {
        ws_zoo_classify(zoo, x, "classifier.1");
        return;
    }
    zoo->taps.features = x;
    zoo->taps.pooled = ws_net_global_average_pool(net, "avgpool", x);
    x = ws_net_unary(net, WS_OP_DROPOUT, "classifier.0", zoo->taps.pooled, 0.2, 0);
    zoo->taps.logits = ws_net_gemm(net, "classifier.1", x, zoo->n_classes, true);
}

/* --- ShuffleNetV2 --- */

/* Convolution FIRST and BN FIRST+1 of a branch; with ReLU FIRST+2 unless depthwise. */
static int add_branch_layer(struct ws_net *net, const char *branch, int first, int x, int channels, int stride,
                            bool is_depthwise)
{
    const struct ws_window depthwise = WS_SQUARE(3, stride, 1), point = WS_SQUARE(1, 1, 0);
    x = ws_zoo_conv_bn(net, ws_zoo_name("%s.%d", branch, first).text, ws_zoo_name("%s.%d", branch, first + 1).text, x,
                       channels, is_depthwise ? depthwise : point, is_depthwise ? channels : 1);
    return is_depthwise ? x : ws_net_relu(net, ws_zoo_name("%s.%d", branch, first + 2).text, x);
}

static int take_half(struct ws_net *net, const char *name, int x, int half)
{
    const struct ws_node node = net->nodes[x];
    const int channels = node.channels / 2, begin[WS_N_SIDES] = {0, 0, half * channels};
    return ws_net_slice(net, name, x, begin, (const int[]){node.height, node.width, channels}, (const int[]){1, 1, 1});
}

/* Two branches of half the channels, joined and shuffled. Stride 1: the first branch is the first half as it is. */
static int add_unit(struct ws_net *net, const char *prefix, int x, int channels, int stride)
{
    const int half = channels / 2;
    const struct ws_zoo_text one = ws_zoo_name("%s.branch1", prefix), two = ws_zoo_name("%s.branch2", prefix);
    int branches[2] = {x, x};
    if (stride > 1) {
        branches[0] = add_branch_layer(net, one.text, 0, x, net->nodes[x].channels, stride, true);
        branches[0] = add_branch_layer(net, one.text, 2, branches[0], half, 1, false);
    } else {
        branches[0] = take_half(net, ws_zoo_name("%s.first", prefix).text, x, 0);
        branches[1] = take_half(net, ws_zoo_name("%s.second", prefix).text, x, 1);
    }
    branches[1] = add_branch_layer(net, two.text, 0, branches[1], half, 1, false);
    branches[1] = add_branch_layer(net, two.text, 3, branches[1], half, stride, true);
    branches[1] = add_branch_layer(net, two.text, 5, branches[1], half, 1, false);
    x = ws_net_concat(net, ws_zoo_name("%s.concat", prefix).text, branches, 2, WS_CHANNELS);
    return ws_net_channel_shuffle(net, ws_zoo_name("%s.shuffle", prefix).text, x, 2);
}

void ws_zoo_shufflenetv2(struct ws_zoo *zoo, int depth, int width)
{
    (void)depth;
    (void)width;
    static const struct {
        int channels, units;
    } stages[] = {{116, 4}, {232, 8}, {464, 4}};
    struct ws_net *net = zoo->net;
    const bool is_small = ws_zoo_is_small(net);
    int x = ws_zoo_conv_bn(net, "conv1.0", "conv1.1", 0, 24, (struct ws_window)WS_SQUARE(3, is_small ? 1 : 2, 1), 1);
    x = ws_net_relu(net, "conv1.2", x);
    if (!is_small)
        x = ws_net_max_pool(net, "maxpool", x, (struct ws_window)WS_SQUARE(3, 2, 1));
    for (int stage = 0; stage < (int)(sizeof stages / sizeof *stages); stage++)
        for (int unit = 0; unit < stages[stage].units; unit++)
            x = add_unit(net, ws_zoo_name("stage%d.%d", stage + 2, unit).text, x, stages[stage].channels, unit ? 1 : 2);
    x = ws_zoo_conv_bn(net, "conv5.0", "conv5.1", x, 1024, (struct ws_window)WS_SQUARE(1, 1, 0), 1);
    ws_zoo_classify(zoo, ws_net_relu(net, "conv5.2", x), "fc");
}
