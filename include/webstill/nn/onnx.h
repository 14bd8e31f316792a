/**
 * ONNX export (opset 13 to 17, IR 8) and import (opset 7 to 20) of a network, by protobuf-c and the system's
 * onnx.proto.
 */
#ifndef WEBSTILL_NN_ONNX_H
#define WEBSTILL_NN_ONNX_H

#include "webstill/base/buf.h"
#include "webstill/base/mem.h"
#include "webstill/nn/graph.h"

struct ws_onnx_option {
    const char *key, *value; /**< metadata_props */
};

struct ws_onnx_options {
    int opset;  /**< 13 … 17 */
    int output; /**< node whose value is "logits" */
    const float *mean,
        *std; /**< per channel, of inputs in 0..1: put inside the graph when not NULL, so that 0..255 goes in */
    const struct ws_onnx_option *metadata;
    int n_metadata;
    bool omits_weights; /**< the graph alone, to be trained on: parameters keep name and shape, but have no data;
                           dropout stays */
};

/**
 * Serialise: input "input" [N, C, H, W] float, output "logits" [N, classes], symbolic N, weights as raw initializers
 * that are not inputs. Only nodes that `output` needs are written; dropout is not, unless weights are omitted. Values
 * behind a linear layer are [N, C], all others [N, C, H, W]. WS_E_UNSUPPORTED names the node when these opsets cannot
 * say it: a dilated AveragePool, a Concat with a constant.
 */
WS_MUST_USE enum ws_status ws_onnx_write(const struct ws_net *net, const struct ws_onnx_options *options,
                                         struct ws_buf *out, struct ws_err *err);

/** What an imported file says beside its graph, and where its taps are. All-zero is valid and empty. */
struct ws_onnx_info {
    int logits;   /**< node: [1, 1, classes] per image */
    int pooled;   /**< node that pools the last map to one pixel, or -1 when there is none */
    int features; /**< the last map: what `pooled` pools, or what the first linear layer flattens; or -1 */
    int opset, ir_version;
    int height, width, channels, n_classes;
    int n_batchnorm;            /**< 0 in a file whose exporter folded BatchNorm into the convolutions */
    bool is_training_form;      /**< exported for training: BatchNorm and Dropout ask for batch statistics and noise */
    int64_t n_params, n_macs;   /**< without buffers; multiply-adds of one image */
    const char *producer;       /**< name and version; never NULL. Strings live until ws_onnx_info_fini() */
    const char *input, *output; /**< the file's names of its input and its output */
    struct ws_onnx_option *metadata;
    int n_metadata;
    struct ws_arena memory; /**< owned */
};

/**
 * Read a classifier, trainable as it is: BatchNorm stays BatchNorm, weights learn, Dropout is kept.
 *
 * The file has one float input [N, C, H, W] (also [N, C] or [N, C, L]; any N: ours is free) and one output [N,
 * classes]. A node is named after its weight ("layer1.0.conv1" when that is "layer1.0.conv1.weight"), else after the
 * file's node, else op_N; a weight that two nodes share becomes two parameters. Tensors outside the file are opened
 * beneath its folder, never through a link.
 *
 * WS_E_IO; WS_E_FORMAT: not ONNX, or broken; WS_E_UNSUPPORTED: well-formed, and every node in our way is listed;
 * WS_E_MEMORY. On failure `*out` is NULL and `info` is empty. `info` may not be NULL; release it with
 * ws_onnx_info_fini().
 */
WS_MUST_USE enum ws_status ws_onnx_read(struct ws_net **out, struct ws_onnx_info *info, const char *path,
                                        struct ws_err *err);

/**
 * The same from bytes; `name` stands for the file in messages. `folder` is where tensors outside the file lie; NULL: a
 * file with such tensors is refused.
 */
WS_MUST_USE enum ws_status ws_onnx_read_bytes(struct ws_net **out, struct ws_onnx_info *info, const void *bytes,
                                              size_t len, const char *folder, const char *name, struct ws_err *err);
/** A graph written with omits_weights: names, shapes and taps as ever, all values zero. WS_E_FORMAT, WS_E_UNSUPPORTED,
 * WS_E_MEMORY. */
WS_MUST_USE enum ws_status ws_onnx_read_graph(struct ws_net **out, struct ws_onnx_info *info, const void *bytes,
                                              size_t len, const char *name, struct ws_err *err);
void ws_onnx_info_fini(struct ws_onnx_info *info);

#endif
