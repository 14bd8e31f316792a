#include "cursor.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct ws_field fields[] = {
    WS_FIELD_OPTIONAL(struct ws_cursor, url, "url", WS_FIELD_TEXT),
    WS_FIELD_OPTIONAL(struct ws_cursor, failure, "failure", WS_FIELD_TEXT),
    WS_FIELD_OPTIONAL(struct ws_cursor, is_queued, "queued", WS_FIELD_BOOL),
    WS_FIELD_OPTIONAL(struct ws_cursor, is_done, "done", WS_FIELD_BOOL),
    WS_FIELD_OPTIONAL(struct ws_cursor, n_tries, "tries", WS_FIELD_U32),
    WS_FIELD_OPTIONAL(struct ws_cursor, n_hops, "hops", WS_FIELD_U32),
    WS_FIELD_OPTIONAL(struct ws_cursor, n_requests, "requests", WS_FIELD_U32),
    WS_FIELD_OPTIONAL(struct ws_cursor, n_found, "found", WS_FIELD_U32),
    WS_FIELD_OPTIONAL(struct ws_cursor, n_unsupported, "unsupported", WS_FIELD_U32),
    WS_FIELD_OPTIONAL(struct ws_cursor, n_skipped, "skipped", WS_FIELD_U32),
    WS_FIELD_OPTIONAL(struct ws_cursor, n_opted_out, "opted_out", WS_FIELD_U32),
    WS_FIELD_END,
};

static enum ws_status load_json(struct ws_frontier *frontier, const struct ws_image_id *search, json_t **object,
                                struct ws_err *err)
{
    struct ws_buf text = {0};
    const enum ws_status status = ws_frontier_get_task(frontier, search, &text, err);
    *object = status == WS_OK ? json_loadb(text.ptr, text.len, 0, NULL) : NULL;
    ws_buf_fini(&text);
    if (status == WS_OK && !*object)
        return ws_fail(err, WS_E_DAMAGED, "frontier: a task is no JSON");
    return status;
}

static enum ws_status save_json(struct ws_frontier *frontier, const struct ws_image_id *search, const json_t *object,
                                struct ws_err *err)
{
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    const enum ws_status status = text ? ws_frontier_put_task(frontier, search, text, err)
                                       : ws_fail(err, WS_E_MEMORY, "out of memory for a task");
    free(text);
    return status;
}

enum ws_status ws_cursor_load(struct ws_frontier *frontier, const struct ws_image_id *search,
                              const struct ws_field *own_fields, struct ws_cursor *cursor, struct ws_err *err)
{
    json_t *object;
    *cursor = (struct ws_cursor){0};
    const enum ws_status status = load_json(frontier, search, &object, err);
    if (status != WS_OK)
        return status;
    const bool is_whole = ws_fields_load(fields, cursor, object) &&
                          (!own_fields || ws_fields_load(own_fields, cursor->own.bytes, object));
    json_decref(object);
    return is_whole ? WS_OK : ws_fail(err, WS_E_DAMAGED, "frontier: a task's cursor cannot be read");
}

enum ws_status ws_cursor_save(struct ws_frontier *frontier, const struct ws_image_id *search,
                              const struct ws_field *own_fields, const struct ws_cursor *cursor, struct ws_err *err)
{
    json_t *object = json_object();
    const bool is_whole = ws_fields_save(fields, cursor, object) &&
                          (!own_fields || ws_fields_save(own_fields, cursor->own.bytes, object));
    const enum ws_status status = save_json(frontier, search, is_whole ? object : NULL, err);
    json_decref(object);
    return status;
}

enum ws_status ws_cursor_rest(struct ws_frontier *frontier, const struct ws_image_id *search, struct ws_err *err)
{
    json_t *object;
    enum ws_status status = load_json(frontier, search, &object, err);
    if (status != WS_OK)
        return status;
    const bool is_set = json_object_set_new(object, "queued", json_false()) == 0;
    status = save_json(frontier, search, is_set ? object : NULL, err);
    json_decref(object);
    return status;
}

void ws_cursor_break_off(struct ws_cursor *cursor, const char *reason)
{
    cursor->is_done = true;
    snprintf(cursor->failure, sizeof cursor->failure, "%s", reason);
}
