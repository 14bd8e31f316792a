/*
 * The generator of DFQ (Choi et al., "Data-Free Network Quantization with Adversarial Knowledge Distillation", CVPRW
 * 2020) and of Fast-Datafree (Fang et al., "Up to 100x Faster Data-Free Knowledge Distillation", AAAI 2022), in the
 * latter's form and with its tensor names:
 *
 *   l1.0           linear, nz to 2 ngf (height/4) (width/4)
 *   conv_blocks.0  BN;  .1 twice as large (nearest)
 *   .2 to .4       conv 3x3 2 ngf, BN, LeakyReLU 0.2;  .5 twice as large
 *   .6 to .8       conv 3x3 ngf, BN, LeakyReLU 0.2
 *   .9 and .10     conv 3x3 to the picture's channels with bias, sigmoid or tanh
 */
#include "family.h"

static int add_upsampling(struct ws_net *net, const char *name, int x)
{
    /* Output pixel i is input pixel floor(i / 2), as torch.nn.Upsample's default. */
    const struct ws_resize nearest = {.grid = WS_GRID_ASYMMETRIC, .rounding = WS_ROUND_FLOOR, .scale = {2, 2}};
    return ws_net_resize(net, name, x, 2 * net->nodes[x].height, 2 * net->nodes[x].width, nearest);
}

static int add_block(struct ws_net *net, int number, int x, int channels)
{
    x = ws_zoo_conv_bn(net, ws_zoo_name("conv_blocks.%d", number).text, ws_zoo_name("conv_blocks.%d", number + 1).text,
                       x, channels, (struct ws_window)WS_SQUARE(3, 1, 1), 1);
    return ws_net_unary(net, WS_OP_LEAKY_RELU, ws_zoo_name("conv_blocks.%d", number + 2).text, x, 0.2, 0);
}

static void add_generator(struct ws_net *net, const struct ws_zoo_generator *shape)
{
    const int height = shape->height / 4, width = shape->width / 4, wide = 2 * shape->ngf;
    int x = ws_net_gemm(net, "l1.0", 0, height * width * wide, true);
    x = ws_net_reshape(net, "l1.reshape", x, height, width, wide);
    x = ws_net_batchnorm(net, "conv_blocks.0", x);
    x = add_upsampling(net, "conv_blocks.1", x);
    x = add_block(net, 2, x, wide);
    x = add_upsampling(net, "conv_blocks.5", x);
    x = add_block(net, 6, x, shape->ngf);
    x = ws_net_conv(net, "conv_blocks.9", x, shape->channels, (struct ws_window)WS_SQUARE(3, 1, 1), true);
    ws_net_unary(net, shape->is_tanh ? WS_OP_TANH : WS_OP_SIGMOID, "conv_blocks.10", x, 0, 0);
}

enum ws_status ws_zoo_build_generator(struct ws_net **out, const struct ws_zoo_generator *shape, struct ws_err *err)
{
    enum { LARGEST_SIDE = 4096, LARGEST_WIDTH = 4096 };
    *out = NULL;
    if (shape->height < 4 || shape->width < 4 || shape->height > LARGEST_SIDE || shape->width > LARGEST_SIDE ||
        shape->height % 4 != 0 || shape->width % 4 != 0)
        return ws_fail(
            err, WS_E_CONFIG,
            "the generator doubles its map twice: expected sides that are multiples of 4 and at most %d, found "
            "%d x %d",
            LARGEST_SIDE, shape->height, shape->width);
    if (shape->nz < 1 || shape->ngf < 1 || shape->ngf > LARGEST_WIDTH || shape->channels < 1)
        return ws_fail(
            err, WS_E_CONFIG,
            "the generator: expected 1 or more noise values and channels and a width of 1 to %d, found %d, %d "
            "and %d",
            LARGEST_WIDTH, shape->nz, shape->channels, shape->ngf);
    struct ws_net *net = ws_net_new(1, 1, shape->nz);
    if (!net)
        return ws_fail(err, WS_E_MEMORY, "the generator: out of memory for the graph");
    add_generator(net, shape);
    if (net->err.status != WS_OK) {
        const enum ws_status status = ws_fail(err, net->err.status, "the generator: %s", net->err.text);
        ws_net_free(&net);
        return status;
    }
    *out = net;
    return WS_OK;
}
