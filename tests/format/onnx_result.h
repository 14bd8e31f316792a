/* Hand-made models read and judged: what comes out, or why not. */
#ifndef TESTS_ONNX_RESULT_H
#define TESTS_ONNX_RESULT_H

#include "onnx_model.h"

#include <math.h>
#include <stdio.h>

/** What was read, until release(). */
struct result {
    struct ws_net *net;
    struct ws_onnx_info info;
    struct ws_err err;
    enum ws_status status;
};

static inline struct result read_in(struct model *m, const char *folder)
{
    struct result r = {0};
    size_t len;
    uint8_t *bytes = model_pack(m, &len);
    r.status = ws_onnx_read_bytes(&r.net, &r.info, bytes, len, folder, "hand.onnx", &r.err);
    free(bytes);
    ws_arena_fini(&m->memory);
    return r;
}

static inline struct result read_good(struct model *m)
{
    struct result r = read_in(m, NULL);
    if (r.status != WS_OK)
        fail_msg("%s", r.err.text);
    return r;
}

static inline void release(struct result *r)
{
    ws_onnx_info_fini(&r->info);
    ws_net_free(&r->net);
}

/** The model is refused with this status, and the message holds each of the words (separated by |). */
static inline void expect_refusal(struct model *m, enum ws_status status, const char *words)
{
    struct result r = read_in(m, NULL);
    char copy[512], *rest = NULL;
    snprintf(copy, sizeof copy, "%s", words);
    if (r.status != status)
        fail_msg("status %s for \"%s\": %s", ws_status_name(r.status), words, r.err.text);
    assert_null(r.net);
    assert_non_null(strstr(r.err.text, "hand.onnx"));
    for (char *word = strtok_r(copy, "|", &rest); word; word = strtok_r(NULL, "|", &rest))
        if (!strstr(r.err.text, word))
            fail_msg("expected \"%s\" in: %s", word, r.err.text);
    release(&r);
}

static inline void expect_outputs(struct result *r, const float *images, int batch, const float *wanted)
{
    float out[64];
    const int n = batch * r->info.n_classes;
    assert_true(n <= 64);
    model_run(r->net, r->info.logits, images, batch, out);
    for (int i = 0; i < n; i++)
        if (!(fabsf(out[i] - wanted[i]) <= 1e-5F))
            fail_msg("value %d is %g; expected %g", i, (double)out[i], (double)wanted[i]);
}

/** The logits of an input [1, n] through a model that ends here, and release. */
static inline void expect_vector(struct model *m, const float *image, const float *wanted)
{
    struct result r = read_good(m);
    expect_outputs(&r, image, 1, wanted);
    release(&r);
}

static const float counting[32] = {1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16,
                                   17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32};

#endif
