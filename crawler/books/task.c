/** The frontier's tasks, the pages of their walks, and the robots.txt cache. */
#include "frontier_int.h"

#include "webstill/base/text.h"

#include <string.h>

static struct ws_span span_of_key(const struct ws_image_id *key)
{
    return (struct ws_span){key->bytes, sizeof key->bytes};
}

enum ws_status ws_frontier_get_task(struct ws_frontier *f, const struct ws_image_id *id, struct ws_buf *out,
                                    struct ws_err *err)
{
    struct ws_span value = {0};
    const enum ws_status status = ws_tables_get(f->tables, WS_FRONTIER_TASKS, span_of_key(id), &value, err);
    if (status == WS_OK && !ws_buf_add(out, value.ptr, value.len))
        return ws_fail(err, WS_E_MEMORY, "out of memory for a task");
    return status;
}

enum ws_status ws_frontier_put_task(struct ws_frontier *f, const struct ws_image_id *id, const char *json,
                                    struct ws_err *err)
{
    return ws_tables_put(f->tables, WS_FRONTIER_TASKS, span_of_key(id), ws_text_span(json), err);
}

/* --- walks --- */

enum { PAGE_KEY = 16 + 8, SEEN_KEY = 32 };

static struct ws_span page_key(const struct ws_image_id *task, uint32_t number, uint8_t key[PAGE_KEY])
{
    memcpy(key, task->bytes, 16);
    ws_put_be64(key + 16, number);
    return (struct ws_span){key, PAGE_KEY};
}

enum ws_status ws_frontier_put_page(struct ws_frontier *f, const struct ws_image_id *task, uint32_t number,
                                    uint32_t depth, const char *url, struct ws_err *err)
{
    uint8_t key[PAGE_KEY];
    struct ws_pack p = {&f->scratch, true};
    ws_buf_clear(&f->scratch);
    ws_pack_u64(&p, depth);
    ws_pack_text(&p, url);
    if (!p.is_ok)
        return ws_fail(err, WS_E_MEMORY, "out of memory for a page of a walk");
    const struct ws_span value = {(const uint8_t *)f->scratch.ptr, f->scratch.len};
    return ws_tables_put(f->tables, WS_FRONTIER_WALK, page_key(task, number, key), value, err);
}

enum ws_status ws_frontier_get_page(struct ws_frontier *f, const struct ws_image_id *task, uint32_t number,
                                    uint32_t *depth, char url[WS_URL_MAX], struct ws_err *err)
{
    uint8_t key[PAGE_KEY];
    struct ws_span value = {0};
    const enum ws_status status = ws_tables_get(f->tables, WS_FRONTIER_WALK, page_key(task, number, key), &value, err);
    if (status != WS_OK)
        return status;
    struct ws_unpack u = {value, true};
    *depth = (uint32_t)ws_unpack_u64(&u);
    ws_unpack_text(&u, url, WS_URL_MAX);
    return u.is_ok ? WS_OK : ws_frontier_damaged(f, "a page of a walk", err);
}

enum ws_status ws_frontier_see(struct ws_frontier *f, const struct ws_image_id *group, const struct ws_image_id *url,
                               struct ws_err *err)
{
    uint8_t key[SEEN_KEY];
    memcpy(key, group->bytes, 16);
    memcpy(key + 16, url->bytes, 16);
    return ws_tables_add(f->tables, WS_FRONTIER_SEEN, (struct ws_span){key, SEEN_KEY}, (struct ws_span){0}, err);
}

enum ws_status ws_frontier_forget_seen(struct ws_frontier *f, const struct ws_image_id *group, struct ws_err *err)
{
    for (;;) {
        uint8_t copy[SEEN_KEY];
        struct ws_span key = {0}, value = {0};
        enum ws_status status =
            ws_tables_seek(f->tables, WS_FRONTIER_SEEN, span_of_key(group), false, &key, &value, err);
        if (status != WS_OK)
            return status == WS_DONE ? WS_OK : status;
        if (key.len != SEEN_KEY)
            return ws_frontier_damaged(f, "the pages of a walk", err);
        if (memcmp(key.ptr, group->bytes, 16) != 0)
            return WS_OK;
        memcpy(copy, key.ptr, SEEN_KEY);
        status = ws_tables_delete(f->tables, WS_FRONTIER_SEEN, (struct ws_span){copy, SEEN_KEY}, err);
        if (status != WS_OK)
            return status;
    }
}

/* --- robots.txt --- */

enum ws_status ws_frontier_get_robots(struct ws_frontier *f, const char *origin, struct ws_robots_entry *entry,
                                      struct ws_err *err)
{
    struct ws_span value = {0};
    const enum ws_status status = ws_tables_get(f->tables, WS_FRONTIER_ROBOTS, ws_text_span(origin), &value, err);
    if (status != WS_OK)
        return status;
    struct ws_unpack u = {value, true};
    entry->fetched_s = (int64_t)ws_unpack_u64(&u);
    entry->http_status = (int)ws_unpack_u64(&u);
    if (!u.is_ok || u.rest.len < sizeof entry->sha256.bytes)
        return ws_frontier_damaged(f, "a robots.txt", err);
    memcpy(entry->sha256.bytes, u.rest.ptr, sizeof entry->sha256.bytes);
    entry->text.ptr = u.rest.ptr + sizeof entry->sha256.bytes;
    entry->text.len = u.rest.len - sizeof entry->sha256.bytes;
    return WS_OK;
}

enum ws_status ws_frontier_put_robots(struct ws_frontier *f, const char *origin, const struct ws_robots_entry *entry,
                                      struct ws_err *err)
{
    struct ws_pack p = {&f->scratch, true};
    ws_buf_clear(&f->scratch);
    ws_pack_u64(&p, (uint64_t)entry->fetched_s);
    ws_pack_u64(&p, (uint64_t)entry->http_status);
    if (!p.is_ok || !ws_buf_add(&f->scratch, entry->sha256.bytes, sizeof entry->sha256.bytes) ||
        !ws_buf_add(&f->scratch, entry->text.ptr, entry->text.len))
        return ws_fail(err, WS_E_MEMORY, "out of memory for a robots.txt");
    const struct ws_span value = {(const uint8_t *)f->scratch.ptr, f->scratch.len};
    return ws_tables_put(f->tables, WS_FRONTIER_ROBOTS, ws_text_span(origin), value, err);
}
