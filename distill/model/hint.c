#include "hint.h"

#include "webstill/base/mem.h"

#include <stdlib.h>

/* For each node the last one on the way to `end` that reads it; -1 for those off the way. */
static void find_last_readers(const struct ws_net *net, int end, int *last_reader)
{
    for (int i = 0; i < net->n_nodes; i++)
        last_reader[i] = -1;
    last_reader[end] = end;
    for (int i = end; i >= 0; i--) {
        if (last_reader[i] < 0)
            continue;
        const struct ws_node *node = &net->nodes[i];
        for (int k = 0; k < node->n_inputs; k++)
            if (last_reader[node->inputs[k]] < i)
                last_reader[node->inputs[k]] = i;
        if (ws_node_fused_add(node) >= 0 && last_reader[node->conv.fused_add] < i)
            last_reader[node->conv.fused_add] = i;
    }
}

/* Walk the bottlenecks; returns the number of stages and the last bottleneck of stage `wanted` (from 1). */
static int walk_stages(const struct ws_net *net, int end, const int *last_reader, int wanted, int *found)
{
    int n_stages = 0, reach = 0, height = 0, width = 0;
    for (int i = 0; i <= end; i++) {
        if (last_reader[i] < 0)
            continue;
        const struct ws_node *node = &net->nodes[i];
        const bool is_bottleneck = reach <= i && node->op != WS_OP_INPUT && node->op != WS_OP_CONSTANT;
        reach = last_reader[i] > reach ? last_reader[i] : reach;
        if (!is_bottleneck || node->height * node->width <= 1)
            continue;
        n_stages += node->height != height || node->width != width;
        height = node->height;
        width = node->width;
        if (n_stages == wanted)
            *found = i;
    }
    return n_stages;
}

int ws_hint_find(const struct ws_model *model)
{
    const struct ws_net *net = model->net;
    const int end = model->features >= 0 ? model->features : model->logits;
    int *last_reader = ws_calloc((size_t)net->n_nodes, sizeof *last_reader), found = -1;
    if (!last_reader)
        return -1;
    find_last_readers(net, end, last_reader);
    const int n_stages = walk_stages(net, end, last_reader, 0, &found);
    if (n_stages > 0)
        walk_stages(net, end, last_reader, (n_stages + 1) / 2, &found);
    free(last_reader);
    return found;
}
