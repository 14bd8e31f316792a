/**
 * A static network graph whose ops are ONNX ops, and the parameters that belong to it.
 *
 * Nodes are added in topological order and named; a node's parameters take its name ("conv1" → "conv1.weight"), with
 * torchvision's tensor names. Activations are NHWC float32 in memory (one image: height x width x channels). Parameters
 * are given and taken in file order (convolution OIHW, linear [out, in]); in memory both are HWIO, so that a patch of
 * an NHWC image times the weight matrix is the output row.
 */
#ifndef WEBSTILL_NN_GRAPH_H
#define WEBSTILL_NN_GRAPH_H

#include "webstill/base/err.h"
#include "webstill/nn/ops.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WS_OP_ID(ID, row, name) WS_OP_##ID,
enum ws_op { WS_OPS(WS_OP_ID) WS_N_OPS };
#undef WS_OP_ID

enum {
    WS_NODE_MAX_INPUTS = 72, /**< DenseNet's longest Concat has 65 */
    WS_NODE_MAX_PARAMS = 4,
    WS_NAME_MAX = 160,
    WS_MAX_CHANNELS = 1 << 20,
};

/** Sides of one image, in memory order; ONNX's axis of [N, C, H, W] is in the comment. */
enum ws_side { WS_HEIGHT /* 2 */, WS_WIDTH /* 3 */, WS_CHANNELS /* 1 */, WS_N_SIDES };

/** A sliding window; [0] height, [1] width. */
struct ws_window {
    int kernel[2], stride[2], dilation[2];
    int pads[4]; /**< top, left, bottom, right */
};
/** Initialiser of a square window: (struct ws_window)WS_SQUARE(3, 1, 1). */
#define WS_SQUARE(side, stride, pad)                                                                                   \
    {                                                                                                                  \
        {side, side}, {stride, stride}, {1, 1},                                                                        \
        {                                                                                                              \
            pad, pad, pad, pad                                                                                         \
        }                                                                                                              \
    }

enum ws_pad_mode { WS_PAD_CONSTANT, WS_PAD_EDGE, WS_PAD_REFLECT };

/** How Resize maps output pixel i to an input coordinate (ONNX's names); scale = output side / input side unless given.
 */
enum ws_resize_grid { WS_GRID_HALF_PIXEL, WS_GRID_PYTORCH_HALF_PIXEL, WS_GRID_ASYMMETRIC, WS_GRID_ALIGN_CORNERS };
enum ws_resize_round { WS_ROUND_PREFER_FLOOR, WS_ROUND_PREFER_CEIL, WS_ROUND_FLOOR, WS_ROUND_CEIL };

struct ws_resize {
    bool is_linear; /**< else nearest */
    enum ws_resize_grid grid;
    enum ws_resize_round rounding; /**< nearest alone */
    double scale[2];               /**< height, width: output / input as the file gives it; 0 = from the sides */
};

struct ws_node {
    enum ws_op op;
    char name[WS_NAME_MAX];
    int n_inputs, inputs[WS_NODE_MAX_INPUTS]; /**< node ids, smaller than this node's */
    int height, width, channels;              /**< output of one image */
    int n_params, params[WS_NODE_MAX_PARAMS]; /**< parameter indices, in the order of the op's comment */
    union {                                   /* the op's attributes */
        struct {
            struct ws_window window;
            int groups;      /**< 1 = plain, in = out = groups: depthwise */
            bool fused_relu; /**< of a folded network: ReLU in the epilogue */
            int fused_add;   /**< of a folded network: node added before that ReLU, or -1 */
        } conv;
        struct {
            struct ws_window window;
            bool count_padding; /**< average: in the divisor */
        } pool;                 /**< maximum and average */
        struct {
            double momentum, eps; /**< 0.1 (PyTorch's sense) and 1e-5 */
        } batchnorm;
        struct {
            double alpha, beta; /**< see the op */
        } point;                /**< ops of one input that work value by value, and dropout */
        struct {
            enum ws_side axis;
        } along; /**< softmax and concat */
        struct {
            bool axes[WS_N_SIDES];
        } mean;
        struct {
            int perm[WS_N_SIDES];
        } transpose;
        struct {
            int groups;
        } shuffle;
        struct {
            int begin[WS_N_SIDES], step[WS_N_SIDES]; /**< a step may be negative */
        } slice;
        struct {
            int sides[2 * WS_N_SIDES]; /**< before and after; a negative one crops */
            enum ws_pad_mode mode;
            double value; /**< of WS_PAD_CONSTANT */
        } pad;
        struct ws_resize resize;
    };
};

/** The node that a convolution of a folded network adds, or -1. */
static inline int ws_node_fused_add(const struct ws_node *node)
{
    return node->op == WS_OP_CONV ? node->conv.fused_add : -1;
}

struct ws_param {
    char name[WS_NAME_MAX + 16];
    int rank, shape[4]; /**< file order */
    size_t n;           /**< elements */
    int inner_channels; /**< file order is [outer][inner_channels][inner_window], memory order [window][channels][outer]
                         */
    int inner_window;   /**< kernel height x width, or the map's height x width in front of a gemm */
    size_t offset;      /**< of its first element in the network's value array */
    bool is_buffer;     /**< running statistics: no gradient */
    bool is_frozen;     /**< keeps its value: no gradient, no decay (the teacher's shared classifier) */
};

/** "Conv", "BatchNormalization", …: ONNX's name of an op ("ChannelShuffle" where ONNX has none). */
const char *ws_op_name(enum ws_op op);

/** A graph with its values and gradients. */
struct ws_net {
    struct ws_node *nodes; /**< owned */
    int n_nodes, cap_nodes;
    struct ws_param *params; /**< owned */
    int n_params, cap_params;
    size_t n_values;   /**< elements of all parameters; each begins on a 64-byte boundary, gaps are zero */
    float *values;     /**< owned, from ws_net_alloc() on; memory order (weights HWIO) */
    float *gradients;  /**< owned, from ws_net_alloc_gradients() on; same layout as values */
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
/** Grouped convolution: in and out channels divisible by `groups`. */
int ws_net_conv_grouped(struct ws_net *net, const char *name, int x, int out_channels, struct ws_window window,
                        int groups, bool has_bias);
int ws_net_batchnorm(struct ws_net *net, const char *name, int x);
/** RELU, SIGMOID, HARD_SWISH, TANH, and with their attributes LEAKY_RELU, CLIP, HARD_SIGMOID, DROPOUT. */
int ws_net_unary(struct ws_net *net, enum ws_op op, const char *name, int x, double alpha, double beta);
int ws_net_relu(struct ws_net *net, const char *name, int x);
int ws_net_softmax(struct ws_net *net, const char *name, int x, enum ws_side axis);
int ws_net_add(struct ws_net *net, const char *name, int a, int b);
int ws_net_mul(struct ws_net *net, const char *name, int a, int b);
/** A value that does not learn; its parameter is "<name>.value", [channels, height, width]. */
int ws_net_constant(struct ws_net *net, const char *name, int height, int width, int channels);
int ws_net_concat(struct ws_net *net, const char *name, const int *inputs, int n_inputs, enum ws_side axis);
/** MAX_POOL or AVERAGE_POOL. ceil_mode: windows may begin in the map and end beyond its padding. */
int ws_net_pool(struct ws_net *net, enum ws_op op, const char *name, int x, struct ws_window window, bool ceil_mode,
                bool count_padding);
int ws_net_max_pool(struct ws_net *net, const char *name, int x, struct ws_window window);
int ws_net_average_pool(struct ws_net *net, const char *name, int x, struct ws_window window);
int ws_net_global_average_pool(struct ws_net *net, const char *name, int x);
int ws_net_reduce_mean(struct ws_net *net, const char *name, int x, const bool axes[WS_N_SIDES]);
int ws_net_gemm(struct ws_net *net, const char *name, int x, int out_features, bool has_bias);
int ws_net_reshape(struct ws_net *net, const char *name, int x, int height, int width, int channels);
int ws_net_transpose(struct ws_net *net, const char *name, int x, const int perm[WS_N_SIDES]);
int ws_net_channel_shuffle(struct ws_net *net, const char *name, int x, int groups);
/** `size` elements of each side, from `begin` by `step` (not 0; a negative one walks backwards). */
int ws_net_slice(struct ws_net *net, const char *name, int x, const int begin[WS_N_SIDES], const int size[WS_N_SIDES],
                 const int step[WS_N_SIDES]);
int ws_net_pad(struct ws_net *net, const char *name, int x, const int pads[2 * WS_N_SIDES], enum ws_pad_mode mode,
               double value);
int ws_net_resize(struct ws_net *net, const char *name, int x, int height, int width, struct ws_resize resize);

/** Node id by name, or -1. */
int ws_net_find(const struct ws_net *net, const char *name);
/** Parameter index by name, or -1. */
int ws_net_find_param(const struct ws_net *net, const char *name);

/** Give the parameters memory (zero). Returns the first building mistake, or WS_E_MEMORY. The graph is then complete.
 */
WS_MUST_USE enum ws_status ws_net_alloc(struct ws_net *net, struct ws_err *err);
/** Give the gradients memory (zero), for training. */
WS_MUST_USE enum ws_status ws_net_alloc_gradients(struct ws_net *net, struct ws_err *err);
void ws_net_zero_gradients(struct ws_net *net);

/**
 * PyTorch-style initialisation: convolutions He-normal (fan-out), linear uniform(±1/sqrt(in)), BN weight 1, bias 0,
 * running mean 0, variance 1. Frozen parameters are left alone. Same seed, same bytes; parameter i draws from
 * (WS_STREAM_INIT, i).
 */
void ws_net_init(struct ws_net *net, uint64_t seed);

/** Copy a parameter out of / into the network, in file order; `n` must be its element count. */
void ws_net_get(const struct ws_net *net, int param, float *out, size_t n);
void ws_net_set(struct ws_net *net, int param, const float *in, size_t n);
/** The same for its gradient. */
void ws_net_get_gradient(const struct ws_net *net, int param, float *out, size_t n);

/**
 * A frozen copy for inference: BN folded into the convolution before it, ReLU and residual Add fused into its epilogue.
 * Node names that survive keep their names; `map[old node]` gives the new id of each node's value, or -1 when fused
 * away (a convolution whose BN/ReLU were fused yields the value of the last fused node). `map` has net->n_nodes entries
 * and may be NULL.
 */
WS_MUST_USE enum ws_status ws_net_fold(struct ws_net **out, const struct ws_net *net, int *map, struct ws_err *err);

/** Parameters without buffers; multiply-adds of one image. */
int64_t ws_net_count_params(const struct ws_net *net);
int64_t ws_net_count_macs(const struct ws_net *net);

#endif
