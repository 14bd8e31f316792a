/**
 * A static network graph whose ops are ONNX ops, and the parameters that belong to it.
 *
 * Nodes are added in topological order and named; a node's parameters take its name ("conv1" → "conv1.weight"), with
 * torchvision's tensor names. Activations are NHWC float32 in memory (one image: height x width x channels). Parameters
 * are given and taken in file order (convolution OIHW, linear [out, in]); in memory both are HWIO, so that a patch of an
 * NHWC image times the weight matrix is the output row.
 */
#ifndef WEBSTILL_NN_GRAPH_H
#define WEBSTILL_NN_GRAPH_H

#include "webstill/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ws_op {
    WS_OP_INPUT,
    WS_OP_CONV,                /**< weight [out, in/groups, kh, kw], bias? [out] */
    WS_OP_BATCHNORM,           /**< weight, bias, running_mean, running_var: each [channels] */
    WS_OP_RELU,
    WS_OP_ADD,
    WS_OP_MAX_POOL,
    WS_OP_AVERAGE_POOL,        /**< padding not counted */
    WS_OP_GLOBAL_AVERAGE_POOL, /**< output 1 x 1 x channels */
    WS_OP_GEMM,                /**< weight [out, in], bias? [out]; the input is flattened in C, H, W order when it has a map */
};

enum { WS_NODE_MAX_INPUTS = 2, WS_NODE_MAX_PARAMS = 4, WS_NAME_MAX = 96, WS_MAX_CHANNELS = 4096 };

struct ws_window {
    int kernel, stride, pad; /**< square windows */
};

struct ws_node {
    enum ws_op op;
    char name[WS_NAME_MAX];
    int n_inputs, inputs[WS_NODE_MAX_INPUTS]; /**< node ids, smaller than this node's */
    int height, width, channels;              /**< output of one image */
    struct ws_window window;                  /**< convolution and pooling */
    bool has_bias;                            /**< convolution and gemm */
    bool fused_relu;                          /**< convolution of a folded network: ReLU in the epilogue */
    int fused_add;                            /**< convolution of a folded network: node added before that ReLU, or -1 */
    double bn_momentum, bn_eps;               /**< 0.1 (PyTorch's sense) and 1e-5 */
    int n_params, params[WS_NODE_MAX_PARAMS]; /**< parameter indices, in the order of the op's comment */
};

struct ws_param {
    char name[WS_NAME_MAX + 16];
    int rank, shape[4]; /**< file order */
    size_t n;           /**< elements */
    int inner_channels; /**< file order is [outer][inner_channels][inner_window], memory order [window][channels][outer] */
    int inner_window;   /**< kernel height x width, or the map's height x width in front of a gemm */
    size_t offset;      /**< of its first element in the network's value array */
    bool is_buffer;     /**< running statistics: no gradient */
    bool is_frozen;     /**< keeps its value: no gradient, no decay (the teacher's shared classifier) */
};

/** A graph with its values and gradients. */
struct ws_net {
    struct ws_node *nodes; /**< owned */
    int n_nodes, cap_nodes;
    struct ws_param *params; /**< owned */
    int n_params, cap_params;
    size_t n_values;  /**< elements of all parameters; each begins on a 64-byte boundary, gaps are zero */
    float *values;    /**< owned, from ws_net_alloc() on; memory order (weights HWIO) */
    float *gradients; /**< owned, from ws_net_alloc_gradients() on; same layout as values */
    struct ws_err err; /**< the first building mistake; ws_net_alloc() returns it */
};

/** An empty graph with an input of height x width x channels as node 0 ("input"). NULL when out of memory. */
struct ws_net *ws_net_new(int height, int width, int channels);
void ws_net_free(struct ws_net **net);

/*
 * Builders add a node behind `x` and return its id. A mistake (shape, name used twice, memory) is kept in net->err
 * and reported by ws_net_alloc(); builders then return 0 and do nothing.
 */
int ws_net_conv(struct ws_net *net, const char *name, int x, int out_channels, struct ws_window window, bool has_bias);
int ws_net_batchnorm(struct ws_net *net, const char *name, int x);
int ws_net_relu(struct ws_net *net, const char *name, int x);
int ws_net_add(struct ws_net *net, const char *name, int a, int b);
int ws_net_max_pool(struct ws_net *net, const char *name, int x, struct ws_window window);
int ws_net_average_pool(struct ws_net *net, const char *name, int x, struct ws_window window);
int ws_net_global_average_pool(struct ws_net *net, const char *name, int x);
int ws_net_gemm(struct ws_net *net, const char *name, int x, int out_features, bool has_bias);

/** Node id by name, or -1. */
int ws_net_find(const struct ws_net *net, const char *name);
/** Parameter index by name, or -1. */
int ws_net_find_param(const struct ws_net *net, const char *name);

/** Give the parameters memory (zero). Returns the first building mistake, or WS_E_MEMORY. The graph is then complete. */
WS_MUST_USE enum ws_status ws_net_alloc(struct ws_net *net, struct ws_err *err);
/** Give the gradients memory (zero), for training. */
WS_MUST_USE enum ws_status ws_net_alloc_gradients(struct ws_net *net, struct ws_err *err);
void ws_net_zero_gradients(struct ws_net *net);

/**
 * PyTorch-style initialisation: convolutions He-normal (fan-out), linear uniform(±1/sqrt(in)), BN weight 1, bias 0, running mean 0, variance 1.
 * Frozen parameters are left alone. Same seed, same bytes; parameter i draws from (WS_STREAM_INIT, i).
 */
void ws_net_init(struct ws_net *net, uint64_t seed);

/** Copy a parameter out of / into the network, in file order; `n` must be its element count. */
void ws_net_get(const struct ws_net *net, int param, float *out, size_t n);
void ws_net_set(struct ws_net *net, int param, const float *in, size_t n);
/** The same for its gradient. */
void ws_net_get_gradient(const struct ws_net *net, int param, float *out, size_t n);

/**
 * A frozen copy for inference: BN folded into the convolution before it, ReLU and residual Add fused into its epilogue.
 * Node names that survive keep their names; `map[old node]` gives the new id of each node's value, or -1 when fused away
 * (a convolution whose BN/ReLU were fused yields the value of the last fused node). `map` has net->n_nodes entries and may be NULL.
 */
WS_MUST_USE enum ws_status ws_net_fold(struct ws_net **out, const struct ws_net *net, int *map, struct ws_err *err);

/** Parameters without buffers; multiply-adds of one image. */
int64_t ws_net_count_params(const struct ws_net *net);
int64_t ws_net_count_macs(const struct ws_net *net);

#endif
