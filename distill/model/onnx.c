/* Importing a trained network from an ONNX file: a model of arch "onnx", whose card keeps its graph (graph.h). */
#include "card_int.h"
#include "graph.h"

#include "webstill/base/buf.h"
#include "webstill/base/mem.h"
#include "webstill/nn/onnx.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_ROUNDS = 4 };

static bool has_same_params(const struct ws_net *a, const struct ws_net *b)
{
    bool same = a->n_params == b->n_params;
    for (int i = 0; same && i < a->n_params; i++)
        same = strcmp(a->params[i].name, b->params[i].name) == 0 && a->params[i].n == b->params[i].n &&
               a->params[i].rank == b->params[i].rank &&
               memcmp(a->params[i].shape, b->params[i].shape, sizeof a->params[i].shape) == 0;
    return same;
}

/* Replace the model's network by what its own export reads as. */
static enum ws_status reread(struct ws_model *model, const char *path, struct ws_err *err)
{
    struct ws_buf bytes = {0};
    struct ws_net *net = NULL;
    struct ws_onnx_info info = {0};
    const struct ws_onnx_options options = {.opset = WS_GRAPH_OPSET, .output = model->logits};
    enum ws_status status = ws_onnx_write(model->net, &options, &bytes, err);
    if (status == WS_OK)
        status = ws_onnx_read_bytes(&net, &info, bytes.ptr, bytes.len, NULL, path, err);
    if (status == WS_OK) {
        ws_net_free(&model->net);
        model->net = net;
        ws_graph_set_taps(model, &info);
    }
    ws_onnx_info_fini(&info);
    ws_buf_fini(&bytes);
    return status;
}

/*
 * The graph that goes to disk must read as the network whose tensors lie beside it. A reader may merge what a writer
 * has kept apart (a sum behind a linear layer is its bias), so write and read until nothing changes.
 */
static enum ws_status settle_graph(struct ws_model *model, const char *path, struct ws_err *err)
{
    for (int round = 0; round < MAX_ROUNDS; round++) {
        struct ws_net *again = NULL;
        struct ws_onnx_info info = {0};
        free(model->card.graph);
        enum ws_status status = ws_graph_write(&model->card.graph, model->net, model->logits, err);
        if (status == WS_OK)
            status = ws_graph_read(&again, &info, model->card.graph, err);
        const bool is_settled = status == WS_OK && has_same_params(model->net, again);
        if (is_settled)
            for (int i = 0; i < again->n_params; i++)
                memcpy(again->values + again->params[i].offset, model->net->values + model->net->params[i].offset,
                       again->params[i].n * sizeof(float));
        if (is_settled) {
            ws_net_free(&model->net);
            model->net = again;
            again = NULL;
            ws_graph_set_taps(model, &info);
        }
        ws_net_free(&again);
        ws_onnx_info_fini(&info);
        if (status == WS_OK && !is_settled)
            status = reread(model, path, err);
        if (status != WS_OK || is_settled)
            return status;
    }
    return ws_fail(err, WS_E_INTERNAL, "its graph reads differently each time that it is written");
}

static const char *find_metadata(const struct ws_onnx_info *info, const char *key)
{
    for (int i = 0; i < info->n_metadata; i++)
        if (strcmp(info->metadata[i].key, key) == 0)
            return info->metadata[i].value;
    return NULL;
}

/* The card that our export wrote; else the lists that a file may carry, where they are JSON. NULL: neither. */
static char *card_text(const struct ws_onnx_info *info)
{
    const char *whole = find_metadata(info, "webstill.card");
    if (whole)
        return strdup(whole);
    static const char *const keys[] = {"classes", "mean", "std"};
    json_t *root = json_object();
    for (int i = 0; i < 3; i++) {
        const char *text = find_metadata(info, keys[i]);
        json_t *list = text ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
        if (json_is_array(list))
            json_object_set(root, keys[i], list);
        json_decref(list);
    }
    char *text = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    return text;
}

/* What the graph itself says goes before any card. */
static enum ws_status fill_card(struct ws_card *card, const struct ws_onnx_info *info, const struct ws_card *fallback,
                                struct ws_err *err)
{
    struct ws_card base = {0};
    char *text = card_text(info);
    if (!text || !ws_card_copy(&base, fallback)) {
        free(text);
        return ws_fail(err, WS_E_MEMORY, "out of memory for a model card");
    }
    snprintf(base.arch, sizeof base.arch, WS_ARCH_ONNX);
    base.height = info->height;
    base.width = info->width;
    base.channels = info->channels;
    /* Our export with the normalisation inside: pixels as they are. */
    const char *input = find_metadata(info, "input");
    const bool takes_pixels = input && strncmp(input, "pixels 0..255", 13) == 0;
    for (int c = 0; takes_pixels && c < 3; c++) {
        base.mean[c] = 0;
        base.std[c] = 1.0F / 255.0F;
    }
    enum ws_status status = ws_card_read(card, text, &base, err);
    if (status == WS_OK) {
        snprintf(card->arch, sizeof card->arch, WS_ARCH_ONNX);
        card->height = info->height;
        card->width = info->width;
        card->channels = info->channels;
        card->head = (struct ws_head){.kind = WS_HEAD_OWN};
        if (takes_pixels) {
            memcpy(card->mean, base.mean, sizeof card->mean);
            memcpy(card->std, base.std, sizeof card->std);
        }
    }
    ws_card_fini(&base);
    free(text);
    if (status == WS_OK && card->n_classes != info->n_classes) {
        ws_fail(err, WS_E_CONFIG, "its output \"%s\" has %d values, and %d classes are listed", info->output,
                info->n_classes, card->n_classes);
        ws_err_hint(err, "list under `classes` one name for each output, in their order");
        status = WS_E_CONFIG;
    }
    return status;
}

enum ws_status ws_model_import_onnx(struct ws_model **out, const char *path, const struct ws_card *fallback,
                                    struct ws_err *err)
{
    *out = NULL;
    struct ws_onnx_info info = {0};
    struct ws_model *model = ws_calloc(1, sizeof *model);
    if (!model)
        return ws_fail(err, WS_E_MEMORY, "out of memory for a model");
    enum ws_status status = ws_onnx_read(&model->net, &info, path, err);
    if (status == WS_OK) {
        ws_graph_set_taps(model, &info);
        status = fill_card(&model->card, &info, fallback, err);
        if (status == WS_OK)
            status = settle_graph(model, path, err);
        if (status != WS_OK)
            ws_err_note(err, "%s", path);
    }
    ws_onnx_info_fini(&info);
    if (status == WS_OK) {
        *out = model;
        model = NULL;
    }
    ws_model_free(&model);
    return status;
}
