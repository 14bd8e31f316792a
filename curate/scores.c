#include "scores.h"

#include "webstill/base/mem.h"
#include "webstill/tensors/id_list.h"

#include <stdlib.h>
#include <string.h>

enum ws_status ws_curate_scores_open(struct ws_curate_scores *scores, const char *path, struct ws_err *err)
{
    const enum ws_status status = ws_scores_open(&scores->file, path, err);
    if (status != WS_OK)
        return status;
    scores->ids = scores->file.ids;
    scores->logits = scores->file.logits;
    scores->n = scores->file.n;
    scores->n_classes = scores->file.n_classes;
    return WS_OK;
}

void ws_curate_scores_close(struct ws_curate_scores *scores)
{
    ws_scores_close(&scores->file);
    free(scores->kept);
    *scores = (struct ws_curate_scores){0};
}

/* The logits of what stays stand in front, their ids behind them. */
static enum ws_status keep(struct ws_curate_scores *scores, const uint8_t *is_listed, size_t n, struct ws_err *err)
{
    const size_t width = (size_t)scores->n_classes;
    float *logits = ws_calloc(n, width * sizeof *logits + sizeof *scores->ids);
    if (!logits)
        return ws_fail(err, WS_E_MEMORY, "out of memory for the scores of %zu images", n);
    struct ws_image_id *ids = (struct ws_image_id *)(logits + n * width);
    for (size_t i = 0, at = 0; i < scores->n; i++)
        if (is_listed[i]) {
            memcpy(logits + at * width, scores->logits + i * width, width * sizeof *logits);
            ids[at++] = scores->ids[i];
        }
    scores->kept = logits;
    scores->logits = logits;
    scores->ids = ids;
    scores->n = n;
    return WS_OK;
}

enum ws_status ws_curate_scores_restrict(struct ws_curate_scores *teacher, struct ws_curate_scores *student,
                                         const char *pool, struct ws_err *err)
{
    struct ws_id_list list = {0};
    uint8_t *is_listed = ws_calloc(teacher->n, 1);
    enum ws_status status = is_listed ? ws_id_list_read(&list, pool, err)
                                      : ws_fail(err, WS_E_MEMORY, "out of memory for %zu images", teacher->n);
    if (status == WS_OK)
        status = ws_id_list_mark(&list, pool, teacher->ids, teacher->n, is_listed, err);
    if (status == WS_OK)
        status = keep(teacher, is_listed, list.n, err);
    if (status == WS_OK && student->file.tensors)
        status = keep(student, is_listed, list.n, err);
    if (status != WS_OK)
        ws_err_note(err, "distill.pool");
    ws_id_list_free(&list);
    free(is_listed);
    return status;
}
