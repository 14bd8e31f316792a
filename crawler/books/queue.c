/** The frontier's queues: what each host still has to be asked for, and what is under way. */
#include "frontier_int.h"

#include <string.h>

enum {
    KEY_TAIL = 1 + 8 + 8, /* NUL, due, seq */
    KEY_MAX = WS_ORIGIN_MAX + KEY_TAIL,
    VALUE = 1 + 16, /* kind, id */
};

static struct ws_span make_key(const char *origin, int64_t due_ms, uint64_t seq, uint8_t key[KEY_MAX])
{
    const size_t len = strlen(origin);
    ws_assert(len < WS_ORIGIN_MAX);
    memcpy(key, origin, len + 1);
    ws_put_be64(key + len + 1, (uint64_t)due_ms);
    ws_put_be64(key + len + 9, seq);
    return (struct ws_span){key, len + KEY_TAIL};
}

static bool parse_item(struct ws_span key, struct ws_span value, char origin[WS_ORIGIN_MAX], struct ws_item *item)
{
    const uint8_t *end = key.len ? memchr(key.ptr, '\0', key.len) : NULL;
    const size_t len = end ? (size_t)(end - key.ptr) : 0;
    if (!end || len >= WS_ORIGIN_MAX || key.len != len + KEY_TAIL || value.len != VALUE)
        return false;
    memcpy(origin, key.ptr, len + 1);
    item->due_ms = (int64_t)ws_get_be64(key.ptr + len + 1);
    item->seq = ws_get_be64(key.ptr + len + 9);
    item->kind = (enum ws_item_kind)value.ptr[0];
    memcpy(item->id.bytes, value.ptr + 1, 16);
    return item->kind == WS_ITEM_IMAGE || item->kind == WS_ITEM_TASK;
}

static void make_value(enum ws_item_kind kind, const struct ws_image_id *id, uint8_t value[VALUE])
{
    value[0] = (uint8_t)kind;
    memcpy(value + 1, id->bytes, 16);
}

enum ws_status ws_frontier_queue(struct ws_frontier *f, const char *origin, enum ws_item_kind kind,
                                 const struct ws_image_id *id, int64_t due_ms, struct ws_err *err)
{
    uint8_t key[KEY_MAX], value[VALUE];
    make_value(kind, id, value);
    return ws_tables_put(f->tables, WS_FRONTIER_QUEUE, make_key(origin, due_ms, f->next_seq++, key),
                         (struct ws_span){value, VALUE}, err);
}

enum ws_status ws_frontier_peek(struct ws_frontier *f, const char *origin, struct ws_item *item, struct ws_err *err)
{
    uint8_t from[KEY_MAX];
    char found[WS_ORIGIN_MAX];
    struct ws_span key = {0}, value = {0};
    const enum ws_status status =
        ws_tables_seek(f->tables, WS_FRONTIER_QUEUE, make_key(origin, 0, 0, from), false, &key, &value, err);
    if (status != WS_OK)
        return status;
    if (!parse_item(key, value, found, item))
        return ws_frontier_damaged(f, "a queue", err);
    return strcmp(found, origin) == 0 ? WS_OK : WS_DONE;
}

enum ws_status ws_frontier_take(struct ws_frontier *f, const char *origin, const struct ws_item *item,
                                struct ws_err *err)
{
    uint8_t bytes[KEY_MAX], value[VALUE];
    const struct ws_span key = make_key(origin, item->due_ms, item->seq, bytes);
    make_value(item->kind, &item->id, value);
    enum ws_status status = ws_tables_delete(f->tables, WS_FRONTIER_QUEUE, key, err);
    if (status == WS_OK)
        status = ws_tables_put(f->tables, WS_FRONTIER_FLIGHT, key, (struct ws_span){value, VALUE}, err);
    return status == WS_DONE ? ws_frontier_damaged(f, "an item of a queue", err) : status;
}

enum ws_status ws_frontier_land(struct ws_frontier *f, const char *origin, const struct ws_item *item,
                                struct ws_err *err)
{
    uint8_t bytes[KEY_MAX];
    const enum ws_status status =
        ws_tables_delete(f->tables, WS_FRONTIER_FLIGHT, make_key(origin, item->due_ms, item->seq, bytes), err);
    return status == WS_DONE ? ws_frontier_damaged(f, "an item in flight", err) : status;
}

enum ws_status ws_frontier_next_item(struct ws_frontier *f, char origin[WS_ORIGIN_MAX], struct ws_item *item,
                                     struct ws_err *err)
{
    uint8_t bytes[KEY_MAX];
    struct ws_span from = {0}, key = {0}, value = {0};
    if (*origin)
        from = make_key(origin, item->due_ms, item->seq, bytes);
    const enum ws_status status = ws_tables_seek(f->tables, WS_FRONTIER_QUEUE, from, true, &key, &value, err);
    if (status == WS_OK && !parse_item(key, value, origin, item))
        return ws_frontier_damaged(f, "a queue", err);
    return status;
}

enum ws_status ws_frontier_next_origin(struct ws_frontier *f, char origin[WS_ORIGIN_MAX], struct ws_err *err)
{
    uint8_t bytes[KEY_MAX];
    struct ws_item item;
    struct ws_span from = {0}, key = {0}, value = {0};
    if (*origin)
        from = make_key(origin, INT64_MAX, UINT64_MAX, bytes);
    const enum ws_status status = ws_tables_seek(f->tables, WS_FRONTIER_QUEUE, from, true, &key, &value, err);
    if (status == WS_OK && !parse_item(key, value, origin, &item))
        return ws_frontier_damaged(f, "a queue", err);
    return status;
}
