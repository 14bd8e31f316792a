/** Cursors as JSON in the frontier. */
#include "search.h"

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    size_t offset;
} numbers[] = {
    {"tries", offsetof(struct ws_cursor, n_tries)},
    {"hops", offsetof(struct ws_cursor, n_hops)},
    {"requests", offsetof(struct ws_cursor, n_requests)},
    {"found", offsetof(struct ws_cursor, n_found)},
    {"before", offsetof(struct ws_cursor, n_before)},
    {"limit", offsetof(struct ws_cursor, limit)},
    {"page", offsetof(struct ws_cursor, page)},
    {"depth", offsetof(struct ws_cursor, depth)},
    {"pages", offsetof(struct ws_cursor, n_pages)},
    {"max_pages", offsetof(struct ws_cursor, max_pages)},
    {"max_depth", offsetof(struct ws_cursor, max_depth)},
    {"unsupported", offsetof(struct ws_cursor, n_unsupported)},
    {"classes", offsetof(struct ws_cursor, classes)},
    {"skipped", offsetof(struct ws_cursor, n_skipped)},
    {"opted_out", offsetof(struct ws_cursor, n_opted_out)},
};
enum { N_NUMBERS = sizeof numbers / sizeof *numbers };

enum ws_status ws_cursor_load(struct ws_frontier *frontier, const struct ws_image_id *id, struct ws_cursor *cursor,
                              struct ws_err *err)
{
    struct ws_buf text = {0};
    *cursor = (struct ws_cursor){0};
    const enum ws_status status = ws_frontier_get_task(frontier, id, &text, err);
    json_t *object = status == WS_OK ? json_loadb(text.ptr, text.len, 0, NULL) : NULL;
    ws_buf_fini(&text);
    if (status != WS_OK)
        return status;
    if (!object)
        return ws_fail(err, WS_E_DAMAGED, "frontier: a task is no JSON");
    const char *url = json_string_value(json_object_get(object, "url"));
    const char *failure = json_string_value(json_object_get(object, "failure"));
    snprintf(cursor->url, sizeof cursor->url, "%s", url ? url : "");
    snprintf(cursor->failure, sizeof cursor->failure, "%s", failure ? failure : "");
    cursor->is_queued = json_is_true(json_object_get(object, "queued"));
    cursor->is_done = json_is_true(json_object_get(object, "done"));
    for (size_t i = 0; i < N_NUMBERS; i++) {
        const uint32_t value = (uint32_t)json_integer_value(json_object_get(object, numbers[i].name));
        memcpy((char *)cursor + numbers[i].offset, &value, sizeof value);
    }
    json_decref(object);
    return WS_OK;
}

enum ws_status ws_cursor_save(struct ws_frontier *frontier, const struct ws_image_id *id,
                              const struct ws_cursor *cursor, struct ws_err *err)
{
    json_t *object = json_pack("{s:s,s:s,s:b,s:b}", "url", cursor->url, "failure", cursor->failure, "queued",
                               cursor->is_queued, "done", cursor->is_done);
    bool is_ok = object != NULL;
    for (size_t i = 0; is_ok && i < N_NUMBERS; i++) {
        uint32_t value;
        memcpy(&value, (const char *)cursor + numbers[i].offset, sizeof value);
        is_ok = json_object_set_new(object, numbers[i].name, json_integer(value)) == 0;
    }
    char *text = is_ok ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    const enum ws_status status =
        text ? ws_frontier_put_task(frontier, id, text, err) : ws_fail(err, WS_E_MEMORY, "out of memory for a task");
    free(text);
    return status;
}
