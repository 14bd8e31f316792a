#include "webstill/tensors/scores.h"

enum { CLASSES_MAX = 1000000 };

enum ws_status ws_scores_open(struct ws_scores_file *out, const char *path, struct ws_err *err)
{
    *out = (struct ws_scores_file){0};
    const enum ws_status status = ws_tensors_open(&out->tensors, path, err);
    if (status != WS_OK)
        return status;
    const struct ws_tensor_entry *ids = ws_tensors_find(out->tensors, "ids");
    const struct ws_tensor_entry *logits = ws_tensors_find(out->tensors, "logits");
    if (!ids || ids->dtype != WS_U8 || ids->rank != 2 || ids->shape[1] != 16 || !logits || logits->dtype != WS_F32 ||
        logits->rank != 2 || logits->shape[0] != ids->shape[0] || ids->shape[0] < 1 || logits->shape[1] < 2 ||
        logits->shape[1] > CLASSES_MAX) {
        ws_scores_close(out);
        return ws_fail(err, WS_E_FORMAT, "%s: expected ids U8 [n,16] and logits F32 [n,classes] with n >= 1", path);
    }
    out->n = (size_t)ids->shape[0];
    out->n_classes = (int)logits->shape[1];
    out->ids = ids->data;
    out->logits = logits->data;
    return WS_OK;
}

void ws_scores_close(struct ws_scores_file *file)
{
    ws_tensors_close(&file->tensors);
    *file = (struct ws_scores_file){0};
}

enum ws_status ws_scores_write(const char *path, const struct ws_scores_file *scores,
                               const struct ws_scores_facts *facts, struct ws_digest *digest, struct ws_err *err)
{
    const int64_t n = (int64_t)scores->n, n_classes = scores->n_classes;
    const struct ws_tensor_entry entries[] = {
        {"ids", WS_U8, 2, {n, 16}, scores->ids, scores->n * 16},
        {"logits", WS_F32, 2, {n, n_classes}, scores->logits, scores->n * (size_t)n_classes * sizeof(float)},
    };
    char hex[WS_DIGEST_HEX];
    ws_digest_hex(facts->model, hex);
    const struct ws_metadata metadata[] = {{"webstill.model", hex}, {"webstill.card", facts->card}};
    enum ws_status status = ws_tensors_write(path, entries, 2, metadata, 2, err);
    struct ws_tensors *written = NULL;
    if (status == WS_OK)
        status = ws_tensors_open(&written, path, err);
    if (status == WS_OK)
        *digest = *ws_tensors_digest(written);
    ws_tensors_close(&written);
    return status;
}
