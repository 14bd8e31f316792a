/* Building, saving, loading and folding models. */
#include "card_int.h"
#include "graph.h"

#include "webstill/base/buf.h"
#include "webstill/base/file.h"
#include "webstill/base/mem.h"
#include "webstill/tensors/file.h"

#include <stdlib.h>
#include <string.h>

static enum ws_status build_from_zoo(struct ws_model *model, struct ws_err *err)
{
    const struct ws_card *card = &model->card;
    struct ws_zoo_taps taps;
    const enum ws_status status =
        ws_zoo_build(&model->net, &taps, card->arch, card->height, card->width, card->channels, card->n_classes, err);
    if (status != WS_OK)
        return status;
    struct ws_head_taps head = {taps.features, taps.pooled, taps.features, taps.pooled, taps.logits};
    ws_head_build(&card->head, model->net, &head, card->n_classes);
    model->features = head.features;
    model->pooled = head.pooled;
    model->projected = head.projected;
    model->head_pooled = head.head_pooled;
    model->logits = head.logits;
    return ws_net_alloc(model->net, err);
}

int ws_model_classifier(const struct ws_model *model)
{
    const struct ws_node *nodes = model->net->nodes, *last = &nodes[model->logits];
    if (last->op != WS_OP_GEMM || model->head_pooled < 0)
        return -1;
    int from = last->inputs[0];
    while (from != model->head_pooled && (nodes[from].op == WS_OP_DROPOUT || nodes[from].op == WS_OP_RESHAPE))
        from = nodes[from].inputs[0];
    return from == model->head_pooled ? model->logits : -1;
}

enum ws_status ws_model_build(struct ws_model **out, const struct ws_card *card, struct ws_err *err)
{
    *out = NULL;
    struct ws_model *model = ws_calloc(1, sizeof *model);
    if (!model || !ws_card_copy(&model->card, card)) {
        ws_model_free(&model);
        return ws_fail(err, WS_E_MEMORY, "out of memory for a model");
    }
    const bool is_graph = strcmp(card->arch, WS_ARCH_ONNX) == 0;
    enum ws_status status = is_graph ? ws_graph_build(model, err) : build_from_zoo(model, err);
    if (status == WS_OK)
        ws_head_freeze(&card->head, model->net, model->logits);
    if (status != WS_OK) {
        ws_model_free(&model);
        return status;
    }
    *out = model;
    return WS_OK;
}

void ws_model_free(struct ws_model **model)
{
    if (!model || !*model)
        return;
    ws_net_free(&(*model)->net);
    ws_card_fini(&(*model)->card);
    free(*model);
    *model = NULL;
}

/* One entry per parameter, in file order; values are copied into the arena. */
static bool list_params(const struct ws_net *net, struct ws_arena *arena, struct ws_tensor_entry *entries)
{
    for (int i = 0; i < net->n_params; i++) {
        const struct ws_param *param = &net->params[i];
        float *values = ws_arena_alloc(arena, param->n, sizeof *values);
        if (!values)
            return false;
        ws_net_get(net, i, values, param->n);
        entries[i] = (struct ws_tensor_entry){
            .name = param->name,
            .dtype = WS_F32,
            .rank = param->rank,
            .data = values,
            .size_bytes = param->n * sizeof *values,
        };
        for (int d = 0; d < param->rank; d++)
            entries[i].shape[d] = param->shape[d];
    }
    return true;
}

enum ws_status ws_model_save(struct ws_model *model, const char *path, struct ws_err *err)
{
    struct ws_arena arena = {0};
    struct ws_tensors *written = NULL;
    char *card = ws_card_text(&model->card);
    struct ws_tensor_entry *entries = ws_arena_alloc(&arena, (size_t)model->net->n_params, sizeof *entries);
    const struct ws_metadata metadata[] = {{"webstill.card", card}, {"webstill.graph", model->card.graph}};
    enum ws_status status = WS_OK;
    if (!card || !entries || !list_params(model->net, &arena, entries))
        status = ws_fail(err, WS_E_MEMORY, "%s: out of memory for the weights", path);
    if (status == WS_OK)
        status =
            ws_tensors_write(path, entries, (size_t)model->net->n_params, metadata, model->card.graph ? 2 : 1, err);
    if (status == WS_OK)
        status = ws_tensors_open(&written, path, err);
    if (status == WS_OK)
        model->digest = *ws_tensors_digest(written);
    ws_tensors_close(&written);
    free(card);
    ws_arena_fini(&arena);
    return status;
}

static bool is_ignored(const char *name)
{
    static const char suffix[] = ".num_batches_tracked";
    const size_t len = strlen(name), suffix_len = sizeof suffix - 1;
    return len > suffix_len && strcmp(name + len - suffix_len, suffix) == 0;
}

static bool is_fitting(const struct ws_param *param, const struct ws_tensor_entry *entry)
{
    if (entry->dtype != WS_F32 || entry->rank != param->rank)
        return false;
    for (int d = 0; d < param->rank; d++)
        if (entry->shape[d] != param->shape[d])
            return false;
    return true;
}

static bool add_shape(struct ws_buf *text, const int64_t *shape, int rank)
{
    bool is_whole = ws_buf_add_str(text, "[");
    for (int d = 0; d < rank; d++)
        is_whole = is_whole && ws_buf_addf(text, "%s%lld", d ? "," : "", (long long)shape[d]);
    return is_whole && ws_buf_add_str(text, "]");
}

/* The three kinds of misfit, each a list. */
struct misfits {
    struct ws_buf missing, extra, misshapen;
    int n_missing, n_extra, n_misshapen;
};

static bool note_misshapen(struct misfits *misfits, const struct ws_param *param, const struct ws_tensor_entry *entry)
{
    int64_t shape[4];
    for (int d = 0; d < param->rank; d++)
        shape[d] = param->shape[d];
    struct ws_buf *text = &misfits->misshapen;
    return ws_buf_addf(text, "%s%s (expected ", misfits->n_misshapen++ ? ", " : "", param->name) &&
           add_shape(text, shape, param->rank) && ws_buf_add_str(text, ", found ") &&
           add_shape(text, entry->shape, entry->rank) &&
           ws_buf_add_str(text, entry->dtype == WS_F32 ? ")" : ", not float32)");
}

static bool find_misfits(struct misfits *misfits, const struct ws_net *net, const struct ws_tensors *file)
{
    bool is_whole = true;
    for (int i = 0; is_whole && i < net->n_params; i++) {
        const struct ws_tensor_entry *entry = ws_tensors_find(file, net->params[i].name);
        if (!entry)
            is_whole = ws_buf_addf(&misfits->missing, "%s%s", misfits->n_missing++ ? ", " : "", net->params[i].name);
        else if (!is_fitting(&net->params[i], entry))
            is_whole = note_misshapen(misfits, &net->params[i], entry);
    }
    for (size_t i = 0; is_whole && i < ws_tensors_count(file); i++) {
        const char *name = ws_tensors_at(file, i)->name;
        if (ws_net_find_param(net, name) < 0 && !is_ignored(name))
            is_whole = ws_buf_addf(&misfits->extra, "%s%s", misfits->n_extra++ ? ", " : "", name);
    }
    return is_whole;
}

static const char *text_of(const struct ws_buf *buf)
{
    return buf->len > 0 ? buf->ptr : "none";
}

/* Every difference in one message: whoever prepares a file should not have to run us once per tensor. */
static enum ws_status check_tensors(const struct ws_model *model, const struct ws_tensors *file, const char *path,
                                    struct ws_err *err)
{
    struct misfits misfits = {0};
    enum ws_status status = WS_OK;
    if (!find_misfits(&misfits, model->net, file))
        status = ws_fail(err, WS_E_MEMORY, "%s: out of memory", path);
    else if (misfits.n_missing + misfits.n_extra + misfits.n_misshapen > 0)
        status = ws_fail(err, WS_E_FORMAT,
                         "%s does not fit %s with %d classes: %d missing: %s; %d misshapen: %s; %d extra: %s", path,
                         model->card.arch, model->card.n_classes, misfits.n_missing, text_of(&misfits.missing),
                         misfits.n_misshapen, text_of(&misfits.misshapen), misfits.n_extra, text_of(&misfits.extra));
    ws_buf_fini(&misfits.missing);
    ws_buf_fini(&misfits.extra);
    ws_buf_fini(&misfits.misshapen);
    return status;
}

static enum ws_status read_graph(struct ws_card *card, const char *text, struct ws_err *err)
{
    if (strcmp(card->arch, WS_ARCH_ONNX) != 0)
        return WS_OK;
    if (!text)
        return ws_fail(err, WS_E_FORMAT, "model card: arch is \"onnx\", but the file has no \"webstill.graph\"");
    free(card->graph);
    card->graph = strdup(text);
    return card->graph ? WS_OK : ws_fail(err, WS_E_MEMORY, "out of memory for the graph");
}

enum ws_status ws_model_load(struct ws_model **out, const char *path, const struct ws_card *fallback,
                             struct ws_err *err)
{
    *out = NULL;
    struct ws_tensors *file = NULL;
    struct ws_card card = {0};
    struct ws_model *model = NULL;
    enum ws_status status = ws_tensors_open(&file, path, err);
    if (status != WS_OK)
        return status;
    status = ws_card_read(&card, ws_tensors_metadata(file, "webstill.card"), fallback, err);
    if (status == WS_OK)
        status = read_graph(&card, ws_tensors_metadata(file, "webstill.graph"), err);
    if (status == WS_OK)
        status = ws_model_build(&model, &card, err);
    if (status != WS_OK)
        ws_err_note(err, "%s", path);
    else
        status = check_tensors(model, file, path, err);
    if (status == WS_OK) {
        for (int i = 0; i < model->net->n_params; i++) {
            const struct ws_param *param = &model->net->params[i];
            ws_net_set(model->net, i, ws_tensors_find(file, param->name)->data, param->n);
        }
        model->digest = *ws_tensors_digest(file);
        *out = model;
        model = NULL;
    }
    ws_model_free(&model);
    ws_card_fini(&card);
    ws_tensors_close(&file);
    return status;
}

/** A tap in the folded network; -1 where there is none. */
static int follow(const int *map, int node)
{
    ws_assert(node < 0 || map[node] >= 0);
    return node < 0 ? -1 : map[node];
}

enum ws_status ws_model_fold(struct ws_model **out, const struct ws_model *model, struct ws_err *err)
{
    *out = NULL;
    struct ws_model *folded = ws_calloc(1, sizeof *folded);
    int *map = ws_calloc((size_t)model->net->n_nodes, sizeof *map);
    enum ws_status status = WS_OK;
    if (!folded || !map || !ws_card_copy(&folded->card, &model->card))
        status = ws_fail(err, WS_E_MEMORY, "out of memory for a folded network");
    if (status == WS_OK)
        status = ws_net_fold(&folded->net, model->net, map, err);
    if (status == WS_OK) {
        folded->features = follow(map, model->features);
        folded->pooled = follow(map, model->pooled);
        folded->projected = follow(map, model->projected);
        folded->head_pooled = follow(map, model->head_pooled);
        folded->logits = follow(map, model->logits);
        folded->digest = model->digest;
        ws_assert(folded->logits >= 0);
        *out = folded;
        folded = NULL;
    }
    free(map);
    ws_model_free(&folded);
    return status;
}
