/** Reading a run's selections one after the other. */
#include "changes.h"

#include "stage/stages.h"
#include "turnover.h"

#include "webstill/base/file.h"
#include "webstill/base/mem.h"
#include "webstill/base/path.h"

#include <stdlib.h>

static enum ws_status open_named(struct ws_selection_file *file, const char *folder, const char *name,
                                 struct ws_err *err)
{
    char path[WS_PATH_BYTES];
    const enum ws_status status = ws_path_join(path, folder, err, "%s", name);
    return status == WS_OK ? ws_selection_open(file, path, err) : status;
}

/** Count each step; two files are open at a time. */
static enum ws_status count_steps(struct ws_report_changes *changes, const char *folder, const struct ws_dir_list *list,
                                  struct ws_err *err)
{
    struct ws_selection_file before = {0}, after = {0};
    enum ws_status status = open_named(&before, folder, list->names[0], err);
    for (size_t i = 1; status == WS_OK && i < list->n; i++) {
        status = open_named(&after, folder, list->names[i], err);
        if (status != WS_OK)
            break;
        struct ws_report_step step = {.epoch = after.epoch};
        for (int c = 0; c < after.n_classes; c++)
            step.n_kept += after.n_kept[c];
        if (ws_turnover_is_comparable(&before, &after)) {
            step.n_new = ws_turnover_count(&before, &after, true);
            step.n_dropped = ws_turnover_count(&before, &after, false);
            changes->steps[changes->n_steps++] = step;
        }
        ws_selection_close(&before);
        before = after;
        after = (struct ws_selection_file){0};
    }
    ws_selection_close(&before);
    return status;
}

static enum ws_status open_pair(struct ws_report_changes *changes, const char *folder, const struct ws_dir_list *list,
                                size_t from, size_t to, struct ws_err *err)
{
    struct ws_report_pair *pair = &changes->pairs[changes->n_pairs];
    enum ws_status status = open_named(&pair->before, folder, list->names[from], err);
    if (status == WS_OK)
        status = open_named(&pair->after, folder, list->names[to], err);
    if (status == WS_OK && ws_turnover_is_comparable(&pair->before, &pair->after)) {
        changes->n_pairs++;
        return WS_OK;
    }
    ws_selection_close(&pair->before);
    ws_selection_close(&pair->after);
    return status;
}

/** The later file of the largest step. */
static size_t find_largest(const struct ws_report_changes *changes)
{
    size_t largest = 0;
    for (size_t i = 1; i < changes->n_steps; i++) {
        const struct ws_report_step *step = &changes->steps[i], *top = &changes->steps[largest];
        if (step->n_new + step->n_dropped > top->n_new + top->n_dropped)
            largest = i;
    }
    return largest + 1;
}

static enum ws_status open_pairs(struct ws_report_changes *changes, const char *folder, const struct ws_dir_list *list,
                                 struct ws_err *err)
{
    const size_t last = list->n - 1;
    enum ws_status status = open_pair(changes, folder, list, 0, last, err);
    /* With a gap among the steps their places are not those of the files. */
    if (status != WS_OK || last == 1 || changes->n_steps != last)
        return status;
    const size_t largest = find_largest(changes);
    status = open_pair(changes, folder, list, largest - 1, largest, err);
    if (status == WS_OK && largest != last)
        status = open_pair(changes, folder, list, last - 1, last, err);
    return status;
}

enum ws_status ws_report_changes_load(struct ws_report_changes *changes, const char *folder, const char *scores,
                                      struct ws_err *err)
{
    struct ws_dir_list list = {0};
    *changes = (struct ws_report_changes){0};
    enum ws_status status = ws_dir_list_open(&list, folder, ".safetensors", err);
    if (status == WS_OK && list.n > 1) {
        changes->steps = ws_calloc(list.n, sizeof *changes->steps);
        if (!changes->steps)
            status = ws_fail(err, WS_E_MEMORY, "out of memory for %s", folder);
        if (status == WS_OK)
            status = count_steps(changes, folder, &list, err);
        if (status == WS_OK)
            status = open_pairs(changes, folder, &list, err);
    }
    ws_dir_list_close(&list);
    if (status == WS_OK && ws_file_exists(scores))
        status = ws_scores_open(&changes->teacher, scores, err);
    if (status != WS_OK)
        ws_report_changes_fini(changes);
    return status;
}

void ws_report_changes_fini(struct ws_report_changes *changes)
{
    free(changes->steps);
    for (size_t i = 0; i < WS_CHANGE_PAIRS; i++) {
        ws_selection_close(&changes->pairs[i].before);
        ws_selection_close(&changes->pairs[i].after);
    }
    ws_scores_close(&changes->teacher);
    *changes = (struct ws_report_changes){0};
}
