/** ONNX export (opset 13 to 17, IR 8) of a network, by protobuf-c and the system's onnx.proto. */
#ifndef WEBSTILL_NN_ONNX_H
#define WEBSTILL_NN_ONNX_H

#include "webstill/base/buf.h"
#include "webstill/nn/graph.h"

struct ws_onnx_option {
    const char *key, *value; /**< metadata_props */
};

struct ws_onnx_options {
    int opset;               /**< 13 … 17 */
    int output;              /**< node whose value is "logits" */
    const float *mean, *std; /**< per channel, of inputs in 0..1: put inside the graph when not NULL, so that 0..255 goes in */
    const struct ws_onnx_option *metadata;
    int n_metadata;
};

/**
 * Serialise: input "input" [N, C, H, W] float, output "logits" [N, classes], symbolic N, weights as raw initializers that are not inputs.
 * Only nodes that `output` needs are written.
 */
WS_MUST_USE enum ws_status ws_onnx_write(const struct ws_net *net, const struct ws_onnx_options *options,
                                         struct ws_buf *out, struct ws_err *err);

#endif
