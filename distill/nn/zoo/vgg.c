/*
 * VGG with BN (Simonyan, Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015).
 *
 *             3x3 convolutions of     64   128   256   512   512 channels
 *   vgg8                              1    1     1     1     1             (RepDistiller's)
 *   vgg11                             1    1     2     2     2
 *   vgg13                             2    2     2     2     2
 *   vgg16                             2    2     3     3     3
 *   vgg19                             2    2     4     4     4
 *
 * Tensors have torchvision's names, "features.N" with N counting convolutions, BNs, ReLUs and the five max-pools,
 * whether or not a pool is there. Three forms: 224 px and more   five max-pools and torchvision's head of three linear
 * layers on 7 x 7 ("classifier.0", ".3", ".6") 33 to 223 px      the fifth pool is the global average, and the head one
 * linear layer ("classifier") up to 32 px       the same, and the fourth pool is left out (RepDistiller's form)
 */
#include "family.h"

enum { N_STAGES = 5, HEAD_INPUT = 224, HEAD_MAP = 7, HEAD_WIDTH = 4096, WITHOUT_FOURTH_POOL = 32 };

static const int *convolutions_of(int depth)
{
    static const struct {
        int depth, n[N_STAGES];
    } table[] = {
        {8, {1, 1, 1, 1, 1}},  {11, {1, 1, 2, 2, 2}}, {13, {2, 2, 2, 2, 2}},
        {16, {2, 2, 3, 3, 3}}, {19, {2, 2, 4, 4, 4}},
    };
    int i = 0;
    while (table[i].depth != depth)
        i++;
    return table[i].n;
}

/* torchvision's: linear, ReLU, dropout, twice, then the classifier; `pooled` is there for the taps alone. */
static void add_large_head(struct ws_zoo *zoo, int x)
{
    struct ws_net *net = zoo->net;
    const struct ws_node map = net->nodes[x];
    zoo->taps.features = x;
    zoo->taps.pooled = ws_net_global_average_pool(net, "pooled", x);
    if (map.height % HEAD_MAP != 0 || map.width % HEAD_MAP != 0) {
        ws_fail(
            &net->err, WS_E_UNSUPPORTED,
            "from 224 pixels on the head reads the last map as 7 x 7 windows, and %d x %d does not divide; use sides "
            "that are multiples of 224, or below 224",
            map.height, map.width);
        return;
    }
    const int window[2] = {map.height / HEAD_MAP, map.width / HEAD_MAP};
    if (window[0] > 1 || window[1] > 1)
        x = ws_net_average_pool(net, "avgpool", x,
                                (struct ws_window){{window[0], window[1]}, {window[0], window[1]}, {1, 1}, {0}});
    for (int i = 0; i < 6; i += 3) {
        x = ws_net_gemm(net, ws_zoo_name("classifier.%d", i).text, x, HEAD_WIDTH, true);
        x = ws_net_relu(net, ws_zoo_name("classifier.%d", i + 1).text, x);
        x = ws_net_unary(net, WS_OP_DROPOUT, ws_zoo_name("classifier.%d", i + 2).text, x, 0.5, 0);
    }
    zoo->taps.logits = ws_net_gemm(net, "classifier.6", x, zoo->n_classes, true);
}

void ws_zoo_vgg(struct ws_zoo *zoo, int depth, int width)
{
    (void)width;
    static const int widths[N_STAGES] = {64, 128, 256, 512, 512};
    struct ws_net *net = zoo->net;
    const int *convolutions = convolutions_of(depth), height = net->nodes[0].height, input_width = net->nodes[0].width;
    const bool is_large = height >= HEAD_INPUT && input_width >= HEAD_INPUT;
    const bool is_tiny = height <= WITHOUT_FOURTH_POOL && input_width <= WITHOUT_FOURTH_POOL;
    const int n_pools = is_large ? N_STAGES : is_tiny ? N_STAGES - 2 : N_STAGES - 1;
    int x = 0, number = 0;
    for (int stage = 0; stage < N_STAGES; stage++) {
        for (int i = 0; i < convolutions[stage]; i++, number += 3) {
            x = ws_net_conv(net, ws_zoo_name("features.%d", number).text, x, widths[stage],
                            (struct ws_window)WS_SQUARE(3, 1, 1), true);
            x = ws_net_batchnorm(net, ws_zoo_name("features.%d", number + 1).text, x);
            x = ws_net_relu(net, ws_zoo_name("features.%d", number + 2).text, x);
        }
        if (stage < n_pools)
            x = ws_net_max_pool(net, ws_zoo_name("features.%d", number).text, x, (struct ws_window)WS_SQUARE(2, 2, 0));
        number++;
    }
    if (is_large)
        add_large_head(zoo, x);
    else
        ws_zoo_classify(zoo, x, "classifier");
}
