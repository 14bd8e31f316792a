/*
 * LeNet-5 (LeCun et al., 1998) as the data-free distillation papers use it, with ReLU and max-pooling; lenet-half is
 * their student.
 *
 *   conv1 5x5, 6, pool 2x2; conv2 5x5, 16, pool 2x2; conv3 5x5, 120; fc1, 84; fc2, classes      (half: 3, 8, 60, 42)
 *
 * It is made for 32 x 32: a smaller picture (28 x 28) gets a border of 2 in conv1. Its last map for the taps is the
 * output of fc1, 1 x 1 x 84, so that one linear layer reads the pooled features as in every other net.
 */
#include "family.h"

static int add_conv_relu(struct ws_net *net, int number, int x, int channels, int pad)
{
    x = ws_net_conv(net, ws_zoo_name("conv%d", number).text, x, channels, (struct ws_window)WS_SQUARE(5, 1, pad), true);
    return ws_net_relu(net, ws_zoo_name("relu%d", number).text, x);
}

static int add_pool(struct ws_net *net, int number, int x)
{
    return ws_net_max_pool(net, ws_zoo_name("maxpool%d", number).text, x, (struct ws_window)WS_SQUARE(2, 2, 0));
}

void ws_zoo_lenet(struct ws_zoo *zoo, int depth, int width)
{
    (void)depth;
    struct ws_net *net = zoo->net;
    const int border = net->nodes[0].height < 32 || net->nodes[0].width < 32 ? 2 : 0;
    int x = add_pool(net, 1, add_conv_relu(net, 1, 0, 3 * width, border));
    x = add_pool(net, 2, add_conv_relu(net, 2, x, 8 * width, 0));
    x = add_conv_relu(net, 3, x, 60 * width, 0);
    x = ws_net_gemm(net, "fc1", x, 42 * width, true);
    ws_zoo_classify(zoo, ws_net_relu(net, "relu4", x), "fc2");
}
