/*
 * Residual networks (He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016).
 *
 *   name          stem   stages: channels x blocks                      block
 *   resnet(6n+2)  16     16 x n, 32 x n, 64 x n                         basic
 *   resnet8x4     32     64 x 1, 128 x 1, 256 x 1                       basic   (RepDistiller's widths, also 32x4)
 *   resnet18      64     64 x 2, 128 x 2, 256 x 2, 512 x 2              basic
 *   resnet34      64     64 x 3, 128 x 4, 256 x 6, 512 x 3              basic
 *   resnet50      64     (64 x 3, 128 x 4, 256 x 6, 512 x 3) x 4        bottleneck, torchvision's: stride in the 3x3
 *
 * Where a block changes the shape, the shortcut is a 1x1 convolution with BN ("option B") with torchvision's names
 * ("layer2.0.downsample.0" and ".1"). The CIFAR paper used the parameter-free option A; B costs resnet20 about 2.8 k
 * parameters (1 %), is a plain pair of ONNX ops, and lets a file made with torchvision's BasicBlock load as it is.
 */
#include "family.h"

enum { MAX_STAGES = 4, EXPANSION = 4 };

static int add_shortcut(struct ws_net *net, const char *prefix, int x, int channels, int stride)
{
    if (stride == 1 && net->nodes[x].channels == channels)
        return x;
    return ws_zoo_conv_bn(net, ws_zoo_name("%sdownsample.0", prefix).text, ws_zoo_name("%sdownsample.1", prefix).text,
                          x, channels, (struct ws_window)WS_SQUARE(1, stride, 0), 1);
}

/* One of a block's convolutions with its BN: "conv2" and "bn2". */
static int add_layer(struct ws_net *net, const char *prefix, int number, int x, int channels, struct ws_window window)
{
    return ws_zoo_conv_bn(net, ws_zoo_name("%sconv%d", prefix, number).text, ws_zoo_name("%sbn%d", prefix, number).text,
                          x, channels, window, 1);
}

static int add_relu(struct ws_net *net, const char *prefix, int number, int x)
{
    return ws_net_relu(net, ws_zoo_name("%srelu%d", prefix, number).text, x);
}

static int add_basic(struct ws_net *net, const char *prefix, int x, int channels, int stride)
{
    int y = add_layer(net, prefix, 1, x, channels, (struct ws_window)WS_SQUARE(3, stride, 1));
    y = add_relu(net, prefix, 1, y);
    y = add_layer(net, prefix, 2, y, channels, (struct ws_window)WS_SQUARE(3, 1, 1));
    const int shortcut = add_shortcut(net, prefix, x, channels, stride);
    y = ws_net_add(net, ws_zoo_name("%sadd", prefix).text, y, shortcut);
    return add_relu(net, prefix, 2, y);
}

static int add_bottleneck(struct ws_net *net, const char *prefix, int x, int channels, int stride)
{
    int y = add_layer(net, prefix, 1, x, channels, (struct ws_window)WS_SQUARE(1, 1, 0));
    y = add_relu(net, prefix, 1, y);
    y = add_layer(net, prefix, 2, y, channels, (struct ws_window)WS_SQUARE(3, stride, 1));
    y = add_relu(net, prefix, 2, y);
    y = add_layer(net, prefix, 3, y, EXPANSION * channels, (struct ws_window)WS_SQUARE(1, 1, 0));
    const int shortcut = add_shortcut(net, prefix, x, EXPANSION * channels, stride);
    y = ws_net_add(net, ws_zoo_name("%sadd", prefix).text, y, shortcut);
    return add_relu(net, prefix, 3, y);
}

/* Stages of twice as many channels each, pooling and classifier behind a stem's output `x`. */
static void add_trunk(struct ws_zoo *zoo, int x, int channels, const int *blocks, int n_stages, bool is_bottleneck)
{
    for (int stage = 0; stage < n_stages; stage++, channels *= 2)
        for (int block = 0; block < blocks[stage]; block++) {
            const struct ws_zoo_text prefix = ws_zoo_name("layer%d.%d.", stage + 1, block);
            const int stride = stage > 0 && block == 0 ? 2 : 1;
            x = is_bottleneck ? add_bottleneck(zoo->net, prefix.text, x, channels, stride)
                              : add_basic(zoo->net, prefix.text, x, channels, stride);
        }
    ws_zoo_classify(zoo, x, "fc");
}

static int add_stem(struct ws_net *net, int channels, struct ws_window window)
{
    return ws_net_relu(net, "relu", ws_zoo_conv_bn(net, "conv1", "bn1", 0, channels, window, 1));
}

void ws_zoo_cifar_resnet(struct ws_zoo *zoo, int depth, int width)
{
    const int n = (depth - 2) / 6, first = 16 * width, stem = width > 1 ? first / 2 : first;
    const int x = add_stem(zoo->net, stem, (struct ws_window)WS_SQUARE(3, 1, 1));
    add_trunk(zoo, x, first, (const int[]){n, n, n}, 3, false);
}

void ws_zoo_resnet(struct ws_zoo *zoo, int depth, int width)
{
    (void)width;
    static const int blocks[2][MAX_STAGES] = {{2, 2, 2, 2}, {3, 4, 6, 3}};
    int x;
    if (ws_zoo_is_small(zoo->net)) {
        x = add_stem(zoo->net, 64, (struct ws_window)WS_SQUARE(3, 1, 1));
    } else {
        x = add_stem(zoo->net, 64, (struct ws_window)WS_SQUARE(7, 2, 3));
        x = ws_net_max_pool(zoo->net, "maxpool", x, (struct ws_window)WS_SQUARE(3, 2, 1));
    }
    add_trunk(zoo, x, 64, blocks[depth > 18], MAX_STAGES, depth == 50);
}
