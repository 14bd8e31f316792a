/*
 * The graph of a model of arch "onnx": an ONNX model without weights, in base64, in its card. So no later stage needs
 * the file that was imported.
 */
#include "graph.h"

#include "webstill/base/base64.h"
#include "webstill/base/buf.h"

#include <stdlib.h>

enum ws_status ws_graph_write(char **text, const struct ws_net *net, int logits, struct ws_err *err)
{
    struct ws_buf bytes = {0};
    const struct ws_onnx_options options = {.opset = WS_GRAPH_OPSET, .output = logits, .omits_weights = true};
    *text = NULL;
    enum ws_status status = ws_onnx_write(net, &options, &bytes, err);
    if (status == WS_OK && !(*text = ws_base64_encode(bytes.ptr, bytes.len)))
        status = ws_fail(err, WS_E_MEMORY, "out of memory for the graph");
    ws_buf_fini(&bytes);
    return status;
}

enum ws_status ws_graph_read(struct ws_net **net, struct ws_onnx_info *info, const char *text, struct ws_err *err)
{
    unsigned char *bytes = NULL;
    size_t len = 0;
    *net = NULL;
    if (!ws_base64_decode(text, &bytes, &len))
        return ws_fail(err, WS_E_FORMAT, "webstill.graph: not base64");
    const enum ws_status status = ws_onnx_read_graph(net, info, bytes, len, "webstill.graph", err);
    free(bytes);
    return status;
}

/*
 * What the last linear layer reads, where that is a map of one pixel that further layers made of the pooled one, as the
 * heads of MobileNetV3 and V4 do; else -1.
 */
static int find_vector(const struct ws_net *net, const struct ws_onnx_info *info)
{
    const struct ws_node *nodes = net->nodes;
    if (nodes[info->logits].op != WS_OP_GEMM || info->pooled < 0)
        return -1;
    int from = nodes[info->logits].inputs[0];
    while (nodes[from].op == WS_OP_DROPOUT || nodes[from].op == WS_OP_RESHAPE)
        from = nodes[from].inputs[0];
    return from > info->pooled && nodes[from].height == 1 && nodes[from].width == 1 ? from : -1;
}

/*
 * A vector that the last linear layer reads is the last map: of one pixel, so its own average. Who shares that layer
 * compares these; the map before the pooling would need the layers between as well.
 */
void ws_graph_set_taps(struct ws_model *model, const struct ws_onnx_info *info)
{
    const int vector = find_vector(model->net, info);
    model->features = model->projected = vector >= 0 ? vector : info->features;
    model->pooled = model->head_pooled = vector >= 0 ? vector : info->pooled;
    model->logits = info->logits;
}

enum ws_status ws_graph_build(struct ws_model *model, struct ws_err *err)
{
    const struct ws_card *card = &model->card;
    struct ws_onnx_info info;
    if (!card->graph)
        return ws_fail(err, WS_E_CONFIG,
                       "\"onnx\" is no architecture to build: it is what an imported teacher's card says");
    const enum ws_status status = ws_graph_read(&model->net, &info, card->graph, err);
    if (status != WS_OK)
        return status;
    ws_graph_set_taps(model, &info);
    const bool fits = info.height == card->height && info.width == card->width && info.channels == card->channels &&
                      info.n_classes == card->n_classes;
    ws_onnx_info_fini(&info);
    return fits ? WS_OK
                : ws_fail(err, WS_E_FORMAT, "webstill.graph: its input or its classes are not what the card says");
}
