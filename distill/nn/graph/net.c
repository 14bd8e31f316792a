#include "net_int.h"

#include "webstill/base/mem.h"
#include "webstill/base/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN_FLOATS = 16 }; /* 64 bytes */

const char *ws_op_name(enum ws_op op)
{
#define WS_OP_NAME(ID, row, name) name,
    static const char *const names[WS_N_OPS] = {WS_OPS(WS_OP_NAME)};
#undef WS_OP_NAME
    return names[op];
}

static void *grow(void *array, int n, int *cap, size_t size_bytes)
{
    if (n < *cap)
        return array;
    int wanted = *cap ? 2 * *cap : 32;
    void *bigger = ws_realloc(array, (size_t)wanted, size_bytes);
    if (bigger)
        *cap = wanted;
    return bigger;
}

int ws_net_add_node(struct ws_net *net, enum ws_op op, const char *name, int a, int b)
{
    if (net->err.status != WS_OK)
        return 0;
    if (strlen(name) >= WS_NAME_MAX || ws_net_find(net, name) >= 0) {
        ws_fail(&net->err, WS_E_INTERNAL, "node \"%s\": the name is taken or too long", name);
        return 0;
    }
    if (a >= net->n_nodes || b >= net->n_nodes) {
        ws_fail(&net->err, WS_E_INTERNAL, "node \"%s\": its input does not exist yet", name);
        return 0;
    }
    struct ws_node *nodes = grow(net->nodes, net->n_nodes, &net->cap_nodes, sizeof *nodes);
    if (!nodes) {
        ws_fail(&net->err, WS_E_MEMORY, "node \"%s\": out of memory", name);
        return 0;
    }
    net->nodes = nodes;
    struct ws_node *node = &nodes[net->n_nodes];
    *node = (struct ws_node){.op = op};
    memcpy(node->name, name, strlen(name) + 1);
    if (a >= 0) {
        node->inputs[node->n_inputs++] = a;
        node->height = nodes[a].height;
        node->width = nodes[a].width;
        node->channels = nodes[a].channels;
    }
    if (b >= 0)
        node->inputs[node->n_inputs++] = b;
    return net->n_nodes++;
}

struct ws_node *ws_net_append(struct ws_net *net, enum ws_op op, const char *name, int x, int *id)
{
    *id = ws_net_add_node(net, op, name, x, -1);
    return net->err.status == WS_OK ? &net->nodes[*id] : NULL;
}

/** Append `param`, whose name, shape and kind are set, to a node. */
static void append_param(struct ws_net *net, int node_id, struct ws_param param)
{
    if (net->err.status != WS_OK)
        return;
    struct ws_param *params = grow(net->params, net->n_params, &net->cap_params, sizeof *params);
    if (!params) {
        ws_fail(&net->err, WS_E_MEMORY, "parameter of \"%s\": out of memory", net->nodes[node_id].name);
        return;
    }
    net->params = params;
    param.n = 1;
    for (int i = 0; i < param.rank; i++)
        param.n = ws_size_mul(param.n, (size_t)param.shape[i]);
    if (param.n > SIZE_MAX / 64) {
        ws_fail(&net->err, WS_E_MEMORY, "parameter \"%s\": too large", param.name);
        return;
    }
    param.offset = net->n_values;
    params[net->n_params] = param;
    net->n_values += (param.n + ALIGN_FLOATS - 1) / ALIGN_FLOATS * ALIGN_FLOATS;
    struct ws_node *node = &net->nodes[node_id];
    node->params[node->n_params++] = net->n_params++;
}

void ws_net_add_param(struct ws_net *net, int node_id, const char *suffix, int rank, const int *shape,
                      int inner_channels, int inner_window, bool is_buffer)
{
    struct ws_param param = {
        .rank = rank, .inner_channels = inner_channels, .inner_window = inner_window, .is_buffer = is_buffer};
    snprintf(param.name, sizeof param.name, "%s.%s", net->nodes[node_id].name, suffix);
    for (int i = 0; i < rank; i++)
        param.shape[i] = shape[i];
    append_param(net, node_id, param);
}

int ws_net_copy_node(struct ws_net *net, const struct ws_net *from, int id, const int *map)
{
    const struct ws_node *node = &from->nodes[id];
    const int copy = ws_net_add_node(net, node->op, node->name, -1, -1);
    if (net->err.status != WS_OK)
        return 0;
    struct ws_node *to = &net->nodes[copy];
    *to = *node;
    to->n_params = 0;
    for (int i = 0; i < node->n_inputs; i++) {
        to->inputs[i] = map[node->inputs[i]];
        ws_assert(to->inputs[i] >= 0 && to->inputs[i] < copy);
    }
    if (ws_node_fused_add(node) >= 0)
        to->conv.fused_add = map[node->conv.fused_add];
    for (int i = 0; i < node->n_params; i++)
        append_param(net, copy, from->params[node->params[i]]);
    return copy;
}

int ws_net_constant(struct ws_net *net, const char *name, int height, int width, int channels)
{
    int id;
    struct ws_node *node = ws_net_append(net, WS_OP_CONSTANT, name, -1, &id);
    if (!node)
        return 0;
    if (height < 1 || width < 1 || channels < 1) {
        ws_fail(&net->err, WS_E_CONFIG, "node \"%s\": a constant of %d x %d x %d", name, height, width, channels);
        return 0;
    }
    ws_node_set_sides(node, (int[]){height, width, channels});
    ws_net_add_param(net, id, "value", 3, (int[]){channels, height, width}, channels, height * width, true);
    return id;
}

struct ws_net *ws_net_new(int height, int width, int channels)
{
    struct ws_net *net = ws_calloc(1, sizeof *net);
    if (!net)
        return NULL;
    int input = ws_net_add_node(net, WS_OP_INPUT, "input", -1, -1);
    if (net->err.status != WS_OK) {
        ws_net_free(&net);
        return NULL;
    }
    net->nodes[input].height = height;
    net->nodes[input].width = width;
    net->nodes[input].channels = channels;
    if (height < 1 || width < 1 || channels < 1 || channels > WS_MAX_CHANNELS)
        ws_fail(&net->err, WS_E_CONFIG, "input of %d x %d x %d: expected positive sizes and at most %d channels",
                height, width, channels, WS_MAX_CHANNELS);
    return net;
}

void ws_net_free(struct ws_net **net)
{
    if (!net || !*net)
        return;
    free((*net)->nodes);
    free((*net)->params);
    free((*net)->values);
    free((*net)->gradients);
    free(*net);
    *net = NULL;
}

int ws_net_find(const struct ws_net *net, const char *name)
{
    for (int i = 0; i < net->n_nodes; i++)
        if (strcmp(net->nodes[i].name, name) == 0)
            return i;
    return -1;
}

int ws_net_find_param(const struct ws_net *net, const char *name)
{
    for (int i = 0; i < net->n_params; i++)
        if (strcmp(net->params[i].name, name) == 0)
            return i;
    return -1;
}

enum ws_status ws_net_alloc(struct ws_net *net, struct ws_err *err)
{
    if (net->err.status != WS_OK)
        return ws_fail(err, net->err.status, "building the network: %s", net->err.text);
    free(net->values);
    net->values = ws_calloc_aligned(net->n_values ? net->n_values : 1, sizeof *net->values);
    if (!net->values)
        return ws_fail(err, WS_E_MEMORY, "no memory for %zu parameters", net->n_values);
    return WS_OK;
}

enum ws_status ws_net_alloc_gradients(struct ws_net *net, struct ws_err *err)
{
    if (net->gradients)
        return WS_OK;
    net->gradients = ws_calloc_aligned(net->n_values ? net->n_values : 1, sizeof *net->gradients);
    if (!net->gradients)
        return ws_fail(err, WS_E_MEMORY, "no memory for %zu gradients", net->n_values);
    return WS_OK;
}

void ws_net_zero_gradients(struct ws_net *net)
{
    memset(net->gradients, 0, net->n_values * sizeof *net->gradients);
}

static void fill(float *values, size_t n, float value)
{
    for (size_t i = 0; i < n; i++)
        values[i] = value;
}

/** He-normal over the fan-out for convolutions, uniform(±1/sqrt(in)) for linear weights and biases, as PyTorch's
 * ResNets. */
static void init_weights(struct ws_net *net, const struct ws_node *node, uint64_t seed)
{
    const struct ws_param *weight = &net->params[node->params[0]];
    double fan_out = (double)weight->shape[0] * weight->inner_window;
    double bound = 1.0 / sqrt((double)weight->n / weight->shape[0]);
    for (int i = 0; i < node->n_params; i++) {
        const struct ws_param *param = &net->params[node->params[i]];
        if (param->is_frozen)
            continue;
        struct ws_rng rng;
        ws_rng_init(&rng, seed, WS_STREAM_INIT, (uint32_t)node->params[i], 0);
        float *values = net->values + param->offset;
        for (size_t j = 0; j < param->n; j++) {
            if (node->op == WS_OP_CONV)
                values[j] = i == 0 ? (float)(ws_rng_normal(&rng) * sqrt(2.0 / fan_out)) : 0.0F;
            else
                values[j] = (float)((2 * ws_rng_uniform(&rng) - 1) * bound);
        }
    }
}

void ws_net_init(struct ws_net *net, uint64_t seed)
{
    for (int i = 0; i < net->n_nodes; i++) {
        const struct ws_node *node = &net->nodes[i];
        if (node->op == WS_OP_CONV || node->op == WS_OP_GEMM)
            init_weights(net, node, seed);
        if (node->op != WS_OP_BATCHNORM)
            continue;
        static const float start[WS_NODE_MAX_PARAMS] = {1, 0, 0, 1}; /* weight, bias, mean, variance */
        for (int j = 0; j < node->n_params; j++) {
            const struct ws_param *param = &net->params[node->params[j]];
            if (!param->is_frozen)
                fill(net->values + param->offset, param->n, start[j]);
        }
    }
}

/** Index in memory order, [window][channel][outer], of the element that file order calls (o, c, w). */
static size_t memory_index(const struct ws_param *param, size_t o, size_t c, size_t w)
{
    size_t outer = param->n / ((size_t)param->inner_channels * (size_t)param->inner_window);
    return (w * (size_t)param->inner_channels + c) * outer + o;
}

/** Visit a parameter in file order. */
static void copy_out(const struct ws_param *param, const float *memory, float *file)
{
    for (size_t i = 0; i < param->n; i++) {
        size_t window = (size_t)param->inner_window, channels = (size_t)param->inner_channels;
        file[i] = memory[memory_index(param, i / (window * channels), i / window % channels, i % window)];
    }
}

void ws_net_get(const struct ws_net *net, int param, float *out, size_t n)
{
    ws_assert(param >= 0 && param < net->n_params && n == net->params[param].n);
    copy_out(&net->params[param], net->values + net->params[param].offset, out);
}

void ws_net_get_gradient(const struct ws_net *net, int param, float *out, size_t n)
{
    ws_assert(param >= 0 && param < net->n_params && n == net->params[param].n && net->gradients);
    copy_out(&net->params[param], net->gradients + net->params[param].offset, out);
}

void ws_net_set(struct ws_net *net, int param, const float *in, size_t n)
{
    ws_assert(param >= 0 && param < net->n_params && n == net->params[param].n);
    const struct ws_param *p = &net->params[param];
    float *memory = net->values + p->offset;
    for (size_t i = 0; i < n; i++) {
        size_t window = (size_t)p->inner_window, channels = (size_t)p->inner_channels;
        memory[memory_index(p, i / (window * channels), i / window % channels, i % window)] = in[i];
    }
}

int64_t ws_net_count_params(const struct ws_net *net)
{
    int64_t n = 0;
    for (int i = 0; i < net->n_params; i++)
        if (!net->params[i].is_buffer)
            n += (int64_t)net->params[i].n;
    return n;
}
