#include "head.h"

#include <stdio.h>
#include <string.h>

/* --- a projector, and another network's classifier --- */

/*
 * The zoo ends a network with its own head: it must not be trained, counted or saved, so all nodes behind `pooled` go
 * before the network gets its memory.
 */
static void drop_own(struct ws_net *net, int pooled)
{
    for (int i = net->n_nodes - 1; i > pooled; i--)
        if (net->nodes[i].n_params > 0) {
            net->n_params = net->nodes[i].params[0];
            net->n_values = net->params[net->n_params].offset;
        }
    net->n_nodes = pooled + 1;
}

/*
 * SimKD's projector, which KD3 took over: 1x1 down to Ct/f, 3x3, 1x1 up to Ct, each with BN and ReLU; then the
 * classifier, under the name of the network's own. Names are those of torch.nn.Sequential(conv, bn, relu, conv, bn,
 * relu, conv, bn, relu).
 */
static void build_projected(const struct ws_head *head, struct ws_net *net, struct ws_head_taps *taps, int n_classes)
{
    const struct ws_node own = net->nodes[taps->logits];
    const int narrow = head->channels / head->factor, side = head->pool;
    const int widths[] = {narrow, narrow, head->channels};
    const struct ws_window windows[] = {WS_SQUARE(1, 1, 0), WS_SQUARE(3, 1, 1), WS_SQUARE(1, 1, 0)};
    ws_assert(own.op == WS_OP_GEMM && taps->logits > taps->pooled);
    drop_own(net, taps->pooled);
    int x = taps->features;
    if (side > 1)
        x = ws_net_average_pool(net, "projector.pool", x, (struct ws_window)WS_SQUARE(side, side, 0));
    for (int i = 0; i < 3; i++) {
        char name[WS_NAME_MAX];
        snprintf(name, sizeof name, "projector.%d", 3 * i);
        x = ws_net_conv(net, name, x, widths[i], windows[i], false);
        snprintf(name, sizeof name, "projector.%d", 3 * i + 1);
        x = ws_net_batchnorm(net, name, x);
        snprintf(name, sizeof name, "projector.%d", 3 * i + 2);
        x = ws_net_relu(net, name, x);
    }
    taps->projected = x;
    taps->head_pooled = ws_net_global_average_pool(net, "projector.avgpool", x);
    taps->logits = ws_net_gemm(net, own.name, taps->head_pooled, n_classes, true);
}

static void freeze_classifier(struct ws_net *net, int logits)
{
    const struct ws_node *node = &net->nodes[logits];
    for (int i = 0; i < node->n_params; i++)
        net->params[node->params[i]].is_frozen = true;
}

static bool write_projected(const struct ws_head *head, json_t *card)
{
    return json_object_set_new(card, "projector_factor", json_integer(head->factor)) == 0 &&
           json_object_set_new(card, "projector_channels", json_integer(head->channels)) == 0 &&
           json_object_set_new(card, "projector_pool", json_integer(head->pool)) == 0;
}

static enum ws_status read_projected(struct ws_head *head, const json_t *card, struct ws_err *err)
{
    struct {
        const char *key;
        int max, *to;
    } numbers[] = {{"projector_factor", 64, &head->factor},
                   {"projector_channels", 1 << 20, &head->channels},
                   {"projector_pool", 4096, &head->pool}};
    bool is_whole = true;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        const json_t *value = json_object_get(card, numbers[i].key);
        is_whole = is_whole && value;
        if (value &&
            (!json_is_integer(value) || json_integer_value(value) < 1 || json_integer_value(value) > numbers[i].max))
            return ws_fail(err, WS_E_FORMAT, "model card: %s: expected an integer in %d to %d", numbers[i].key, 1,
                           numbers[i].max);
        *numbers[i].to = (int)json_integer_value(value);
    }
    return is_whole ? WS_OK
                    : ws_fail(err, WS_E_FORMAT,
                              "model card: head \"kd3\" needs projector_factor, projector_channels and "
                              "projector_pool");
}

/* --- the table --- */

static const struct row {
    const char *name; /* in cards; that of the projected head is older than the other methods that share it */
    void (*build)(const struct ws_head *head, struct ws_net *net, struct ws_head_taps *taps, int n_classes);
    void (*freeze)(struct ws_net *net, int logits);
    bool (*write)(const struct ws_head *head, json_t *card);
    enum ws_status (*read)(struct ws_head *head, const json_t *card, struct ws_err *err);
} rows[WS_N_HEADS] = {
    [WS_HEAD_PROJECTED] = {"kd3", build_projected, freeze_classifier, write_projected, read_projected},
};

void ws_head_build(const struct ws_head *head, struct ws_net *net, struct ws_head_taps *taps, int n_classes)
{
    if (rows[head->kind].build)
        rows[head->kind].build(head, net, taps, n_classes);
}

void ws_head_freeze(const struct ws_head *head, struct ws_net *net, int logits)
{
    if (rows[head->kind].freeze)
        rows[head->kind].freeze(net, logits);
}

bool ws_head_write(const struct ws_head *head, json_t *card)
{
    const struct row *row = &rows[head->kind];
    return !row->name || (json_object_set_new(card, "head", json_string(row->name)) == 0 && row->write(head, card));
}

enum ws_status ws_head_read(struct ws_head *head, const json_t *card, struct ws_err *err)
{
    const json_t *value = json_object_get(card, "head");
    if (!value)
        return WS_OK;
    const char *name = json_string_value(value);
    for (int kind = 0; name && kind < WS_N_HEADS; kind++)
        if (rows[kind].name && strcmp(rows[kind].name, name) == 0) {
            *head = (struct ws_head){.kind = (enum ws_head_kind)kind};
            return rows[kind].read(head, card, err);
        }
    return ws_fail(err, WS_E_UNSUPPORTED, "model card: head: expected \"kd3\" or no such key");
}
