/* Folding a frozen network: what BatchNorm, Add and ReLU do to a convolution's output becomes part of the convolution.
 */
#include "net_int.h"

#include "webstill/base/mem.h"

#include <math.h>
#include <stdlib.h>

/** What the fold of one convolution swallows; -1 where nothing. */
struct chain {
    int batchnorm, add, add_other, relu; /**< old node ids */
    int last;                            /**< the node whose value the folded convolution yields */
};

/** The only consumer of a node when it has the wanted op, or -1. */
static int sole_consumer(const struct ws_net *net, const int *n_consumers, const int *consumer, int id, enum ws_op op)
{
    return n_consumers[id] == 1 && net->nodes[consumer[id]].op == op ? consumer[id] : -1;
}

/** Whether Add's operand can be read in a convolution's epilogue: a value per image, with the sum's own sides. */
static bool is_residual(const struct ws_net *net, int add, int operand)
{
    const struct ws_node *a = &net->nodes[add], *b = &net->nodes[operand];
    return b->op != WS_OP_CONSTANT && a->height == b->height && a->width == b->width && a->channels == b->channels;
}

static struct chain find_chain(const struct ws_net *net, const int *n_consumers, const int *consumer, int conv)
{
    struct chain chain = {-1, -1, -1, -1, conv};
    if (net->nodes[conv].conv.fused_relu || net->nodes[conv].conv.fused_add >= 0)
        return chain; /* folded before */
    int next = sole_consumer(net, n_consumers, consumer, conv, WS_OP_BATCHNORM);
    if (next >= 0)
        chain.batchnorm = chain.last = next;
    next = sole_consumer(net, n_consumers, consumer, chain.last, WS_OP_ADD);
    if (next >= 0) {
        const int *in = net->nodes[next].inputs;
        int other = in[0] == chain.last ? in[1] : in[0];
        /* The other branch must be complete before this convolution runs; of two convolutions the later takes the Add.
         */
        int relu = sole_consumer(net, n_consumers, consumer, next, WS_OP_RELU);
        const bool fits = is_residual(net, next, other) && is_residual(net, next, chain.last);
        if (relu >= 0 && other < conv && in[0] != in[1] && fits) {
            chain.add = next;
            chain.add_other = other;
            chain.relu = chain.last = relu;
        }
        return chain;
    }
    next = sole_consumer(net, n_consumers, consumer, chain.last, WS_OP_RELU);
    if (next >= 0)
        chain.relu = chain.last = next;
    return chain;
}

/** Weights times gamma/sqrt(var+eps), bias = beta - mean gamma/sqrt(var+eps) (+ scaled own bias). */
static void fold_values(struct ws_net *to, int new_id, const struct ws_net *from, int old_conv, int batchnorm)
{
    const struct ws_node *conv = &from->nodes[old_conv], *folded = &to->nodes[new_id];
    const struct ws_param *weight = &from->params[conv->params[0]];
    const float *w = from->values + weight->offset;
    const float *b = conv->n_params > 1 ? from->values + from->params[conv->params[1]].offset : NULL;
    float *w_out = to->values + to->params[folded->params[0]].offset;
    float *b_out = to->values + to->params[folded->params[1]].offset;
    size_t outer = (size_t)weight->shape[0], inner = weight->n / outer;
    for (size_t o = 0; o < outer; o++) {
        double scale = 1, shift = 0;
        if (batchnorm >= 0) {
            const struct ws_node *bn = &from->nodes[batchnorm];
            const float *p[WS_NODE_MAX_PARAMS];
            for (int i = 0; i < WS_NODE_MAX_PARAMS; i++)
                p[i] = from->values + from->params[bn->params[i]].offset;
            scale = p[0][o] / sqrt((double)p[3][o] + bn->batchnorm.eps);
            shift = p[1][o] - p[2][o] * scale;
        }
        for (size_t i = 0; i < inner; i++)
            w_out[i * outer + o] = (float)(w[i * outer + o] * scale);
        b_out[o] = (float)((b ? b[o] : 0) * scale + shift);
    }
}

/** A convolution gets a bias, which takes what is folded into it; dropout is for training and leaves. */
static int copy_node(struct ws_net *to, const struct ws_net *from, int id, const int *map)
{
    const struct ws_node *node = &from->nodes[id];
    if (node->op == WS_OP_INPUT)
        return 0;
    if (node->op == WS_OP_DROPOUT)
        return map[node->inputs[0]];
    const int copy = ws_net_copy_node(to, from, id, map);
    if (node->op == WS_OP_CONV && node->n_params == 1 && to->err.status == WS_OK)
        ws_net_add_param(to, copy, "bias", 1, &node->channels, 1, 1, false);
    return copy;
}

static void copy_values(struct ws_net *to, int new_id, const struct ws_net *from, int old_id)
{
    const struct ws_node *a = &from->nodes[old_id], *b = &to->nodes[new_id];
    for (int i = 0; i < a->n_params; i++) {
        const struct ws_param *p = &from->params[a->params[i]];
        const float *source = from->values + p->offset;
        float *target = to->values + to->params[b->params[i]].offset;
        for (size_t j = 0; j < p->n; j++)
            target[j] = source[j];
    }
}

/** Add the nodes of `net` to `out`; new_of[old] is where the node's value is found, or -1. chain_of[old] for
 * convolutions. */
static void build(struct ws_net *out, const struct ws_net *net, int *new_of, struct chain *chain_of,
                  const int *n_consumers, const int *consumer)
{
    for (int i = 0; i < net->n_nodes; i++)
        new_of[i] = -2; /* not visited */
    for (int i = 0; i < net->n_nodes; i++) {
        if (new_of[i] != -2)
            continue;
        const struct ws_node *node = &net->nodes[i];
        int id = new_of[i] = copy_node(out, net, i, new_of);
        if (node->op != WS_OP_CONV)
            continue;
        struct chain chain = chain_of[i] = find_chain(net, n_consumers, consumer, i);
        const int inner[] = {chain.batchnorm, chain.add};
        for (int j = 0; j < 2; j++)
            if (inner[j] >= 0)
                new_of[inner[j]] = -1;
        if (chain.last != i)
            new_of[i] = -1;
        new_of[chain.last] = id;
        if (out->err.status != WS_OK)
            return;
        if (chain.relu >= 0)
            out->nodes[id].conv.fused_relu = true;
        if (chain.add >= 0)
            out->nodes[id].conv.fused_add = new_of[chain.add_other];
    }
}

enum ws_status ws_net_fold(struct ws_net **out, const struct ws_net *net, int *map, struct ws_err *err)
{
    size_t n = (size_t)net->n_nodes;
    const struct ws_node *input = &net->nodes[0];
    enum ws_status status = WS_E_MEMORY;
    struct ws_net *folded = ws_net_new(input->height, input->width, input->channels);
    int *n_consumers = ws_calloc(n, sizeof *n_consumers);
    int *consumer = ws_calloc(n, sizeof *consumer);
    int *new_of = ws_calloc(n, sizeof *new_of);
    struct chain *chain_of = ws_calloc(n, sizeof *chain_of);
    *out = NULL;
    if (!folded || !n_consumers || !consumer || !new_of || !chain_of) {
        ws_fail(err, WS_E_MEMORY, "no memory to fold a network of %zu nodes", n);
        goto out;
    }
    for (int i = 0; i < net->n_nodes; i++)
        for (int j = 0; j < net->nodes[i].n_inputs; j++) {
            n_consumers[net->nodes[i].inputs[j]]++;
            consumer[net->nodes[i].inputs[j]] = i;
        }
    for (int i = 0; i < net->n_nodes; i++)
        if (ws_node_fused_add(&net->nodes[i]) >= 0)
            n_consumers[net->nodes[i].conv.fused_add]++;
    build(folded, net, new_of, chain_of, n_consumers, consumer);
    status = ws_net_alloc(folded, err);
    if (status != WS_OK)
        goto out;
    for (int i = 0; i < net->n_nodes; i++) {
        const enum ws_op op = net->nodes[i].op;
        /* A BatchNorm at the end of its chain has the convolution's id, but nothing of its own there. */
        if (op == WS_OP_CONV)
            fold_values(folded, new_of[chain_of[i].last], net, i, chain_of[i].batchnorm);
        else if (net->nodes[i].n_params > 0 && new_of[i] >= 0 && folded->nodes[new_of[i]].op == op)
            copy_values(folded, new_of[i], net, i);
    }
    for (int i = 0; map && i < net->n_nodes; i++)
        map[i] = new_of[i];
    *out = folded;
    folded = NULL;
out:
    ws_net_free(&folded);
    free(n_consumers);
    free(consumer);
    free(new_of);
    free(chain_of);
    return status;
}
