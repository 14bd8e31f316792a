#include "cursor.h"

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct ws_cursor_key keys[] = {
    {"tries", offsetof(struct ws_cursor, n_tries)},
    {"hops", offsetof(struct ws_cursor, n_hops)},
    {"requests", offsetof(struct ws_cursor, n_requests)},
    {"found", offsetof(struct ws_cursor, n_found)},
    {"unsupported", offsetof(struct ws_cursor, n_unsupported)},
    {"skipped", offsetof(struct ws_cursor, n_skipped)},
    {"opted_out", offsetof(struct ws_cursor, n_opted_out)},
    {NULL, 0},
};

/* --- members --- */

static void get_numbers(const json_t *object, const struct ws_cursor_key *key, void *base)
{
    for (; key && key->name; key++) {
        const uint32_t value = (uint32_t)json_integer_value(json_object_get(object, key->name));
        memcpy((char *)base + key->offset, &value, sizeof value);
    }
}

static bool set_numbers(json_t *object, const struct ws_cursor_key *key, const void *base)
{
    uint32_t value;
    for (; key && key->name; key++) {
        memcpy(&value, (const char *)base + key->offset, sizeof value);
        if (json_object_set_new(object, key->name, json_integer(value)) != 0)
            return false;
    }
    return true;
}

static void get_text(const json_t *object, const char *name, char *text, size_t size_bytes)
{
    const char *value = json_string_value(json_object_get(object, name));
    snprintf(text, size_bytes, "%s", value ? value : "");
}

/* --- the frontier --- */

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
                              const struct ws_cursor_key *own_keys, struct ws_cursor *cursor, struct ws_err *err)
{
    json_t *object;
    *cursor = (struct ws_cursor){0};
    const enum ws_status status = load_json(frontier, search, &object, err);
    if (status != WS_OK)
        return status;
    get_text(object, "url", cursor->url, sizeof cursor->url);
    get_text(object, "failure", cursor->failure, sizeof cursor->failure);
    cursor->is_queued = json_is_true(json_object_get(object, "queued"));
    cursor->is_done = json_is_true(json_object_get(object, "done"));
    get_numbers(object, keys, cursor);
    get_numbers(object, own_keys, cursor->own.bytes);
    json_decref(object);
    return WS_OK;
}

enum ws_status ws_cursor_save(struct ws_frontier *frontier, const struct ws_image_id *search,
                              const struct ws_cursor_key *own_keys, const struct ws_cursor *cursor, struct ws_err *err)
{
    json_t *object = json_pack("{s:s,s:s,s:b,s:b}", "url", cursor->url, "failure", cursor->failure, "queued",
                               cursor->is_queued, "done", cursor->is_done);
    const bool is_whole =
        object && set_numbers(object, keys, cursor) && set_numbers(object, own_keys, cursor->own.bytes);
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
