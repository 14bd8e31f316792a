/* What the builders of all families use: names with numbers in them, a convolution with its BatchNorm, the usual end.
 */
#include "family.h"

#include <stdarg.h>
#include <stdio.h>

enum { SMALL_INPUT = 64 };

bool ws_zoo_is_small(const struct ws_net *net)
{
    return net->nodes[0].height <= SMALL_INPUT && net->nodes[0].width <= SMALL_INPUT;
}

struct ws_zoo_text ws_zoo_name(const char *format, ...)
{
    struct ws_zoo_text name;
    va_list args;
    va_start(args, format);
    vsnprintf(name.text, sizeof name.text, format, args);
    va_end(args);
    return name;
}

int ws_zoo_conv_bn(struct ws_net *net, const char *conv, const char *bn, int x, int channels, struct ws_window window,
                   int groups)
{
    x = ws_net_conv_grouped(net, conv, x, channels, window, groups, false);
    return ws_net_batchnorm(net, bn, x);
}

void ws_zoo_classify(struct ws_zoo *zoo, int x, const char *linear)
{
    zoo->taps.features = x;
    zoo->taps.pooled = ws_net_global_average_pool(zoo->net, "avgpool", x);
    zoo->taps.logits = ws_net_gemm(zoo->net, linear, zoo->taps.pooled, zoo->n_classes, true);
}
