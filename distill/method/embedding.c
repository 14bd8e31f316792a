#include "embedding.h"

#include "webstill/nn/loss.h"

#include <stdlib.h>
#include <string.h>

enum ws_status ws_embedding_open(struct ws_embedding *embedding, const char *name, const struct ws_session *session,
                                 int features, int width, bool input_gradient, struct ws_err *err)
{
    *embedding = (struct ws_embedding){
        .pool = session->pool, .features = features, .width = width, .has_input_gradient = input_gradient};
    enum ws_status status = WS_OK;
    embedding->net = ws_net_new(1, 1, features);
    embedding->scratch = ws_calloc_aligned(ws_loss_ntxent_scratch(session->batch, width), sizeof(float));
    if (!embedding->net || !embedding->scratch)
        status = ws_fail(err, WS_E_MEMORY, "out of memory for the embedding of %d images", session->batch);
    if (status == WS_OK) {
        ws_net_gemm(embedding->net, name, 0, width, true);
        status = ws_net_alloc(embedding->net, err);
    }
    if (status == WS_OK)
        status = ws_net_alloc_gradients(embedding->net, err);
    if (status == WS_OK)
        status = ws_optim_init(&embedding->optim, embedding->net, session->optim, err);
    if (status == WS_OK) {
        /* Parameter 0 of every network draws from the same stream: the name tells them apart. */
        ws_net_init(embedding->net, ws_xxh64(name, strlen(name), session->seed));
        const struct ws_exec_options options = {
            .max_batch = 2 * session->batch, .backward = true, .input_gradient = input_gradient};
        status = ws_exec_open(&embedding->exec, embedding->net, session->pool, &options, err);
    }
    if (status != WS_OK)
        ws_embedding_close(embedding);
    return status;
}

void ws_embedding_close(struct ws_embedding *embedding)
{
    ws_exec_close(&embedding->exec);
    ws_optim_fini(&embedding->optim);
    ws_net_free(&embedding->net);
    free(embedding->scratch);
    *embedding = (struct ws_embedding){0};
}

float *ws_embedding_input(struct ws_embedding *embedding, int first)
{
    return ws_exec_input(embedding->exec) + (size_t)first * (size_t)embedding->features;
}

double ws_embedding_contrast(struct ws_embedding *embedding, int n, double temperature, double scale)
{
    const int output = embedding->net->n_nodes - 1;
    const size_t half = (size_t)n * (size_t)embedding->width;
    ws_exec_forward(embedding->exec, 2 * n, WS_BN_TRAIN);
    const float *u = ws_exec_value(embedding->exec, output);
    float *gradient = ws_exec_seed(embedding->exec, output);
    return ws_loss_ntxent(embedding->pool, u, u + half, n, embedding->width, temperature, scale, gradient,
                          gradient + half, embedding->scratch);
}

double ws_embedding_contrast_with(struct ws_embedding *asking, struct ws_embedding *answering, int n,
                                  double temperature, double scale)
{
    const int u = asking->net->n_nodes - 1, v = answering->net->n_nodes - 1;
    ws_assert(asking->width == answering->width);
    ws_exec_forward(asking->exec, n, WS_BN_TRAIN);
    ws_exec_forward(answering->exec, n, WS_BN_TRAIN);
    return ws_loss_infonce(asking->pool, ws_exec_value(asking->exec, u), ws_exec_value(answering->exec, v), n,
                           asking->width, temperature, scale, ws_exec_seed(asking->exec, u),
                           ws_exec_seed(answering->exec, v), asking->scratch);
}

const float *ws_embedding_backward(struct ws_embedding *embedding)
{
    ws_exec_backward(embedding->exec);
    return embedding->has_input_gradient ? ws_exec_input_gradient(embedding->exec) : NULL;
}
