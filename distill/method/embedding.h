/** A trained linear embedding, and the contrasts between what is embedded (KD3's E_s and E_t). */
#ifndef WEBSTILL_DISTILL_METHOD_EMBEDDING_H
#define WEBSTILL_DISTILL_METHOD_EMBEDDING_H

#include "method.h"

/** E: features -> width, with bias; L2 normalisation happens inside the loss. All-zero is a valid closed one. */
struct ws_embedding {
    struct ws_net *net;    /**< owned: one gemm, named after the embedding */
    struct ws_exec *exec;  /**< owned: rows 0..B-1 for X, B..2B-1 for X' (if any) */
    struct ws_optim optim; /**< owned */
    float *scratch;        /**< owned */
    struct ws_pool *pool;  /**< borrowed */
    int features, width;
    bool has_input_gradient;
};

/** `name` ("embed_s") is the parameter prefix and makes the initial values differ between embeddings. */
WS_MUST_USE enum ws_status ws_embedding_open(struct ws_embedding *embedding, const char *name,
                                             const struct ws_session *session, int features, int width,
                                             bool input_gradient, struct ws_err *err);
void ws_embedding_close(struct ws_embedding *embedding);

/** Where rows go: row `first` of the input, [features] each. */
float *ws_embedding_input(struct ws_embedding *embedding, int first);

/**
 * NT-Xent between rows 0..n-1 and n..2n-1 of the input. Returns the loss; its gradient times `scale` is ready for
 * ws_embedding_backward().
 */
double ws_embedding_contrast(struct ws_embedding *embedding, int n, double temperature, double scale);

/**
 * InfoNCE between rows 0..n-1 of one embedding's input and of the other's: each of `asking` has to find its own among
 * all of `answering`. As above; both then have their gradient ready.
 */
double ws_embedding_contrast_with(struct ws_embedding *asking, struct ws_embedding *answering, int n,
                                  double temperature, double scale);

/** Gradients of the embedding (added), and of the input when it was asked for: one row per row contrasted; else NULL.
 */
const float *ws_embedding_backward(struct ws_embedding *embedding);

#endif
