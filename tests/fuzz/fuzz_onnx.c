/** Fuzz target: any bytes as an ONNX file. A network that is read must be whole, and run when it is small. */
#include "webstill/nn/exec.h"
#include "webstill/nn/onnx.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_VALUES = 1 << 18, MAX_MACS = 1 << 22 };

static void run_small(struct ws_net *net, struct ws_workers *workers)
{
    struct ws_err err = {0};
    struct ws_exec *exec = NULL;
    int64_t n_values = 0;
    for (int i = 0; i < net->n_nodes; i++)
        n_values += (int64_t)net->nodes[i].height * net->nodes[i].width * net->nodes[i].channels;
    if (n_values > MAX_VALUES || ws_net_count_macs(net) > MAX_MACS)
        return;
    const struct ws_exec_options options = {.max_batch = 2};
    enum ws_status status = ws_exec_open(&exec, net, workers, &options, &err);
    if (status == WS_OK)
        ws_exec_forward(exec, 2, WS_BN_EVAL);
    else if (status != WS_E_MEMORY && status != WS_E_UNSUPPORTED)
        abort();
    ws_exec_close(&exec);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ws_workers *workers;
    struct ws_net *net = NULL;
    struct ws_onnx_info info = {0};
    struct ws_err err = {0};
    if (!workers && ws_workers_open(&workers, 1, &err) != WS_OK)
        return 0;
    enum ws_status status = ws_onnx_read_bytes(&net, &info, data, size, NULL, "fuzz.onnx", &err);
    if ((status == WS_OK) != (net != NULL) || (status != WS_OK && err.text[0] == 0) || status == WS_E_INTERNAL)
        abort();
    if (net && (info.logits <= 0 || info.logits >= net->n_nodes || info.pooled >= net->n_nodes || !net->values))
        abort();
    if (net)
        run_small(net, workers);
    ws_onnx_info_fini(&info);
    ws_net_free(&net);
    return 0;
}
