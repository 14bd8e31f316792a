/*
 * Architectures by name: a table of residual networks, one builder per family.
 *
 * Both families are made of BasicBlocks (He et al., CVPR 2016): conv 3x3, BN, ReLU, conv 3x3, BN, + shortcut, ReLU.
 * Where a block changes the shape, the shortcut is a 1x1 convolution with BN ("option B") with torchvision's names
 * ("layer2.0.downsample.0" and ".1"). The CIFAR paper used the parameter-free option A; B costs resnet20 about 2.8 k
 * parameters (1 %), is a plain pair of ONNX ops, and lets a file made with torchvision's BasicBlock load as it is.
 */
#include "webstill/nn/zoo.h"

#include "webstill/base/conf.h"

#include <stdio.h>
#include <string.h>

enum { MAX_STAGES = 4, SMALL_INPUT = 64 };

struct architecture {
    const char *name;
    bool (*build)(struct ws_net *net, const struct architecture *arch, int n_classes, struct ws_zoo_taps *taps);
    int n_stages;
    int width;              /* channels of the first stage; each further stage has twice as many */
    int blocks[MAX_STAGES]; /* BasicBlocks per stage */
};

static bool build_cifar_resnet(struct ws_net *net, const struct architecture *arch, int n_classes,
                               struct ws_zoo_taps *taps);
static bool build_resnet(struct ws_net *net, const struct architecture *arch, int n_classes, struct ws_zoo_taps *taps);

/* resnet(6n+2) has three stages of n blocks. */
static const struct architecture architectures[] = {
    /* clang-format off */
    {"resnet8", build_cifar_resnet, 3, 16, {1, 1, 1}},
    {"resnet14", build_cifar_resnet, 3, 16, {2, 2, 2}},
    {"resnet20", build_cifar_resnet, 3, 16, {3, 3, 3}},
    {"resnet32", build_cifar_resnet, 3, 16, {5, 5, 5}},
    {"resnet44", build_cifar_resnet, 3, 16, {7, 7, 7}},
    {"resnet56", build_cifar_resnet, 3, 16, {9, 9, 9}},
    {"resnet110", build_cifar_resnet, 3, 16, {18, 18, 18}},
    {"resnet18", build_resnet, 4, 64, {2, 2, 2, 2}},
    {"resnet34", build_resnet, 4, 64, {3, 4, 6, 3}},
    /* clang-format on */
};

enum { N_ARCHITECTURES = sizeof architectures / sizeof *architectures };

const char *const *ws_zoo_names(void)
{
    static const char *const names[] = {"resnet8",  "resnet14",  "resnet20", "resnet32", "resnet44",
                                        "resnet56", "resnet110", "resnet18", "resnet34", NULL};
    _Static_assert(sizeof names / sizeof *names == N_ARCHITECTURES + 1, "names and table must agree");
    return names;
}

struct name {
    char text[WS_NAME_MAX];
};

static struct name join(const char *prefix, const char *name)
{
    struct name joined;
    snprintf(joined.text, sizeof joined.text, "%s%s", prefix, name);
    return joined;
}

static int add_block(struct ws_net *net, const char *prefix, int x, int channels, int stride)
{
    const struct ws_window first = WS_SQUARE(3, stride, 1), second = WS_SQUARE(3, 1, 1),
                           point = WS_SQUARE(1, stride, 0);

    int y = ws_net_conv(net, join(prefix, "conv1").text, x, channels, first, false);
    y = ws_net_batchnorm(net, join(prefix, "bn1").text, y);
    y = ws_net_relu(net, join(prefix, "relu1").text, y);
    y = ws_net_conv(net, join(prefix, "conv2").text, y, channels, second, false);
    y = ws_net_batchnorm(net, join(prefix, "bn2").text, y);

    int shortcut = x;
    if (stride != 1 || net->nodes[x].channels != channels) {
        shortcut = ws_net_conv(net, join(prefix, "downsample.0").text, x, channels, point, false);
        shortcut = ws_net_batchnorm(net, join(prefix, "downsample.1").text, shortcut);
    }
    y = ws_net_add(net, join(prefix, "add").text, y, shortcut);
    return ws_net_relu(net, join(prefix, "relu2").text, y);
}

/* Stages, pooling and classifier behind a stem's output `x`. */
static bool build_trunk(struct ws_net *net, const struct architecture *arch, int x, int n_classes,
                        struct ws_zoo_taps *taps)
{
    int channels = arch->width;
    for (int stage = 0; stage < arch->n_stages; stage++, channels *= 2) {
        for (int block = 0; block < arch->blocks[stage]; block++) {
            char prefix[32];
            snprintf(prefix, sizeof prefix, "layer%d.%d.", stage + 1, block);
            x = add_block(net, prefix, x, channels, stage > 0 && block == 0 ? 2 : 1);
        }
    }
    taps->features = x;
    taps->pooled = ws_net_global_average_pool(net, "avgpool", x);
    taps->logits = ws_net_gemm(net, "fc", taps->pooled, n_classes, true);
    return net->err.status == WS_OK;
}

/* Stem of stride 1 for small images: conv 3x3, BN, ReLU. */
static int add_small_stem(struct ws_net *net, int channels)
{
    int x = ws_net_conv(net, "conv1", 0, channels, (struct ws_window)WS_SQUARE(3, 1, 1), false);
    x = ws_net_batchnorm(net, "bn1", x);
    return ws_net_relu(net, "relu", x);
}

static bool build_cifar_resnet(struct ws_net *net, const struct architecture *arch, int n_classes,
                               struct ws_zoo_taps *taps)
{
    return build_trunk(net, arch, add_small_stem(net, arch->width), n_classes, taps);
}

static bool build_resnet(struct ws_net *net, const struct architecture *arch, int n_classes, struct ws_zoo_taps *taps)
{
    if (net->nodes[0].height <= SMALL_INPUT && net->nodes[0].width <= SMALL_INPUT)
        return build_trunk(net, arch, add_small_stem(net, arch->width), n_classes, taps);

    int x = ws_net_conv(net, "conv1", 0, arch->width, (struct ws_window)WS_SQUARE(7, 2, 3), false);
    x = ws_net_batchnorm(net, "bn1", x);
    x = ws_net_relu(net, "relu", x);
    x = ws_net_max_pool(net, "maxpool", x, (struct ws_window)WS_SQUARE(3, 2, 1));
    return build_trunk(net, arch, x, n_classes, taps);
}

static enum ws_status fail_unknown(const char *name, struct ws_err *err)
{
    const char *nearest = ws_nearest_name(name, ws_zoo_names());
    if (nearest)
        ws_fail(err, WS_E_CONFIG, "unknown architecture \"%s\": did you mean \"%s\"?", name, nearest);
    else
        ws_fail(err, WS_E_CONFIG, "unknown architecture \"%s\"", name);
    char list[256] = "";
    for (int i = 0; i < N_ARCHITECTURES; i++) {
        const size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", architectures[i].name);
    }
    ws_err_hint(err, "known architectures: %s", list);
    return WS_E_CONFIG;
}

enum ws_status ws_zoo_build(struct ws_net **out, struct ws_zoo_taps *taps, const char *arch, int height, int width,
                            int channels, int n_classes, struct ws_err *err)
{
    *out = NULL;
    *taps = (struct ws_zoo_taps){0};

    const struct architecture *found = NULL;
    for (int i = 0; i < N_ARCHITECTURES && !found; i++)
        if (strcmp(architectures[i].name, arch) == 0)
            found = &architectures[i];
    if (!found)
        return fail_unknown(arch, err);
    if (height < 8 || width < 8 || channels < 1 || n_classes < 1)
        return ws_fail(err, WS_E_CONFIG,
                       "%s: expected images of at least 8 x 8 pixels with 1 or more channels and 1 or more classes, "
                       "found %d x %d x %d and %d classes",
                       arch, height, width, channels, n_classes);

    struct ws_net *net = ws_net_new(height, width, channels);
    if (!net)
        return ws_fail(err, WS_E_MEMORY, "%s: out of memory for the graph", arch);
    if (!found->build(net, found, n_classes, taps)) {
        const enum ws_status status = ws_fail(err, net->err.status, "%s: %s", arch, net->err.text);
        ws_net_free(&net);
        return status;
    }
    *out = net;
    return WS_OK;
}
