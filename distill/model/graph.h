/** The graph of an imported network, as its card keeps it. */
#ifndef WEBSTILL_DISTILL_MODEL_GRAPH_H
#define WEBSTILL_DISTILL_MODEL_GRAPH_H

#include "network.h"

#include "webstill/nn/onnx.h"

enum { WS_GRAPH_OPSET = 17 };

/** The graph of `net` without weights, in base64; free with free(). As ws_onnx_write(). */
WS_MUST_USE enum ws_status ws_graph_write(char **text, const struct ws_net *net, int logits, struct ws_err *err);
/** And back, values zero. Close `info` with ws_onnx_info_fini(). WS_E_FORMAT, else as ws_onnx_read_graph(). */
WS_MUST_USE enum ws_status ws_graph_read(struct ws_net **net, struct ws_onnx_info *info, const char *text,
                                         struct ws_err *err);

/** Point the model's taps at the nodes that `info`, of its network, names. */
void ws_graph_set_taps(struct ws_model *model, const struct ws_onnx_info *info);

/** The network and the taps of a model whose card is of arch "onnx", values zero. WS_E_FORMAT, WS_E_CONFIG. */
WS_MUST_USE enum ws_status ws_graph_build(struct ws_model *model, struct ws_err *err);

#endif
