/* Architectures by name: the table, names with numbers in them, and refusals that help. */
#include "family.h"

#include "webstill/base/text.h"

#include <stdio.h>
#include <string.h>

enum { SMALLEST_INPUT = 8, MAX_WRN_DEPTH = 1000, MAX_WRN_WIDTH = 64 };

/* One line each: X(name, builder, depth, width). */
#define ARCHITECTURES(X)                                                                                               \
    X("resnet8", ws_zoo_cifar_resnet, 8, 1)                                                                            \
    X("resnet14", ws_zoo_cifar_resnet, 14, 1)                                                                          \
    X("resnet20", ws_zoo_cifar_resnet, 20, 1)                                                                          \
    X("resnet32", ws_zoo_cifar_resnet, 32, 1)                                                                          \
    X("resnet44", ws_zoo_cifar_resnet, 44, 1)                                                                          \
    X("resnet56", ws_zoo_cifar_resnet, 56, 1)                                                                          \
    X("resnet110", ws_zoo_cifar_resnet, 110, 1)                                                                        \
    X("resnet8x4", ws_zoo_cifar_resnet, 8, 4)                                                                          \
    X("resnet32x4", ws_zoo_cifar_resnet, 32, 4)                                                                        \
    X("resnet18", ws_zoo_resnet, 18, 0)                                                                                \
    X("resnet34", ws_zoo_resnet, 34, 0)                                                                                \
    X("resnet50", ws_zoo_resnet, 50, 0)                                                                                \
    X("wrn-16-1", ws_zoo_wrn, 16, 1)                                                                                   \
    X("wrn-16-2", ws_zoo_wrn, 16, 2)                                                                                   \
    X("wrn-40-1", ws_zoo_wrn, 40, 1)                                                                                   \
    X("wrn-40-2", ws_zoo_wrn, 40, 2)                                                                                   \
    X("vgg8", ws_zoo_vgg, 8, 0)                                                                                        \
    X("vgg11", ws_zoo_vgg, 11, 0)                                                                                      \
    X("vgg13", ws_zoo_vgg, 13, 0)                                                                                      \
    X("vgg16", ws_zoo_vgg, 16, 0)                                                                                      \
    X("vgg19", ws_zoo_vgg, 19, 0)                                                                                      \
    X("mobilenetv2", ws_zoo_mobilenetv2, 0, 0)                                                                         \
    X("shufflenetv2", ws_zoo_shufflenetv2, 0, 0)                                                                       \
    X("lenet", ws_zoo_lenet, 0, 2)                                                                                     \
    X("lenet-half", ws_zoo_lenet, 0, 1)

struct architecture {
    const char *name;
    ws_zoo_builder *build;
    int depth, width;
};

#define ROW(name, build, depth, width) {name, build, depth, width},
static const struct architecture architectures[] = {ARCHITECTURES(ROW)};
#undef ROW

enum { N_ARCHITECTURES = sizeof architectures / sizeof *architectures };

const char *const *ws_zoo_names(void)
{
#define NAME(name, build, depth, width) name,
    static const char *const names[] = {ARCHITECTURES(NAME) NULL};
#undef NAME
    return names;
}

/* "wrn-D-K" outside the table: true when the name has this form and the numbers make a network. */
static bool parse_wrn(const char *name, struct architecture *out)
{
    int depth = 0, width = 0;
    char rest = 0;
    if (sscanf(name, "wrn-%4d-%4d%c", &depth, &width, &rest) != 2 || depth < 10 || depth > MAX_WRN_DEPTH || width < 1 ||
        width > MAX_WRN_WIDTH || depth % 6 != 4)
        return false;
    *out = (struct architecture){name, ws_zoo_wrn, depth, width};
    /* One network, one name: "wrn-016-+2" is none. */
    return strcmp(name, ws_zoo_name("wrn-%d-%d", depth, width).text) == 0;
}

static bool find_architecture(const char *name, struct architecture *out)
{
    for (int i = 0; i < N_ARCHITECTURES; i++)
        if (strcmp(architectures[i].name, name) == 0) {
            *out = architectures[i];
            return true;
        }
    return parse_wrn(name, out);
}

static enum ws_status fail_unknown(const char *name, struct ws_err *err)
{
    const char *nearest = ws_nearest_name(name, ws_zoo_names());
    if (nearest)
        ws_fail(err, WS_E_CONFIG, "unknown architecture \"%s\": did you mean \"%s\"?", name, nearest);
    else
        ws_fail(err, WS_E_CONFIG, "unknown architecture \"%s\"", name);
    char list[384] = "";
    for (const char *const *known = ws_zoo_names(); *known; known++)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", list[0] ? ", " : "", *known);
    ws_err_hint(err, "known architectures: %s; any wrn-D-K of depth D = 6n + 4", list);
    return WS_E_CONFIG;
}

enum ws_status ws_zoo_build(struct ws_net **out, struct ws_zoo_taps *taps, const char *arch, int height, int width,
                            int channels, int n_classes, struct ws_err *err)
{
    *out = NULL;
    *taps = (struct ws_zoo_taps){0};

    struct architecture found;
    if (!find_architecture(arch, &found))
        return fail_unknown(arch, err);
    if (height < SMALLEST_INPUT || width < SMALLEST_INPUT || channels < 1 || n_classes < 1)
        return ws_fail(err, WS_E_CONFIG,
                       "%s: expected images of at least 8 x 8 pixels with 1 or more channels and 1 or more classes, "
                       "found %d x %d x %d and %d classes",
                       arch, height, width, channels, n_classes);

    struct ws_zoo zoo = {.net = ws_net_new(height, width, channels), .n_classes = n_classes};
    if (!zoo.net)
        return ws_fail(err, WS_E_MEMORY, "%s: out of memory for the graph", arch);
    found.build(&zoo, found.depth, found.width);
    if (zoo.net->err.status != WS_OK) {
        const enum ws_status status =
            ws_fail(err, zoo.net->err.status, "%s of %d x %d pixels: %s", arch, height, width, zoo.net->err.text);
        ws_net_free(&zoo.net);
        return status;
    }
    *out = zoo.net;
    *taps = zoo.taps;
    return WS_OK;
}
