/** The frontier's pictures: entries and finds, and bodies seen before. */
#include "frontier_int.h"

#include <string.h>

static struct ws_span span_of_key(const struct ws_image_id *key)
{
    return (struct ws_span){key->bytes, sizeof key->bytes};
}

static struct ws_span packed(const struct ws_frontier *f)
{
    return (struct ws_span){(const uint8_t *)f->scratch.ptr, f->scratch.len};
}

static enum ws_status unpack_entry(struct ws_frontier *f, struct ws_span value, struct ws_url_entry *entry,
                                   struct ws_err *err)
{
    struct ws_unpack u = {value, true};
    entry->state = (enum ws_entry_state)ws_unpack_u64(&u);
    entry->failure = (enum ws_failure)ws_unpack_u64(&u);
    entry->tries = (uint32_t)ws_unpack_u64(&u);
    entry->http_status = (int32_t)ws_unpack_u64(&u);
    entry->body_bytes = ws_unpack_u64(&u);
    entry->robots_line = (uint32_t)ws_unpack_u64(&u);
    ws_unpack_text(&u, entry->url, sizeof entry->url);
    ws_unpack_text(&u, entry->record, sizeof entry->record);
    ws_unpack_text(&u, entry->detail, sizeof entry->detail);
    ws_unpack_text(&u, entry->rule, sizeof entry->rule);
    ws_unpack_text(&u, entry->robots_sha256, sizeof entry->robots_sha256);
    ws_unpack_text(&u, entry->robots_fetched, sizeof entry->robots_fetched);
    const bool is_known =
        entry->state >= WS_ENTRY_QUEUED && entry->state < WS_N_ENTRY_STATES && (unsigned)entry->failure < WS_N_FAILURES;
    return u.is_ok && is_known ? WS_OK : ws_frontier_damaged(f, "the entry of a URL", err);
}

enum ws_status ws_frontier_get_url(struct ws_frontier *f, const struct ws_image_id *key, struct ws_url_entry *entry,
                                   struct ws_err *err)
{
    struct ws_span value = {0};
    const enum ws_status status = ws_tables_get(f->tables, WS_FRONTIER_URLS, span_of_key(key), &value, err);
    return status == WS_OK ? unpack_entry(f, value, entry, err) : status;
}

enum ws_status ws_frontier_put_url(struct ws_frontier *f, const struct ws_image_id *key,
                                   const struct ws_url_entry *entry, struct ws_err *err)
{
    struct ws_pack p = {&f->scratch, true};
    ws_buf_clear(&f->scratch);
    ws_pack_u64(&p, (uint64_t)entry->state);
    ws_pack_u64(&p, (uint64_t)entry->failure);
    ws_pack_u64(&p, entry->tries);
    ws_pack_u64(&p, (uint64_t)entry->http_status);
    ws_pack_u64(&p, entry->body_bytes);
    ws_pack_u64(&p, entry->robots_line);
    ws_pack_text(&p, entry->url);
    ws_pack_text(&p, entry->record);
    ws_pack_text(&p, entry->detail);
    ws_pack_text(&p, entry->rule);
    ws_pack_text(&p, entry->robots_sha256);
    ws_pack_text(&p, entry->robots_fetched);
    if (!p.is_ok)
        return ws_fail(err, WS_E_MEMORY, "out of memory for the frontier entry of %s", entry->url);
    return ws_tables_put(f->tables, WS_FRONTIER_URLS, span_of_key(key), packed(f), err);
}

enum ws_status ws_frontier_next_url(struct ws_frontier *f, struct ws_image_id *key, bool is_first,
                                    struct ws_url_entry *entry, struct ws_err *err)
{
    struct ws_span found = {0}, value = {0}, from = {0};
    if (!is_first)
        from = span_of_key(key);
    const enum ws_status status = ws_tables_seek(f->tables, WS_FRONTIER_URLS, from, true, &found, &value, err);
    if (status != WS_OK)
        return status;
    if (found.len != sizeof key->bytes)
        return ws_frontier_damaged(f, "the key of a URL", err);
    memcpy(key->bytes, found.ptr, sizeof key->bytes);
    return unpack_entry(f, value, entry, err);
}

/* --- finds --- */

enum { FIND_KEY = 32 };

static struct ws_span find_key(const struct ws_image_id *url, const struct ws_image_id *hash, uint8_t key[FIND_KEY])
{
    memcpy(key, url->bytes, 16);
    memcpy(key + 16, hash->bytes, 16);
    return (struct ws_span){key, FIND_KEY};
}

static bool pack_find(struct ws_frontier *f, const char *json, size_t len, bool is_written)
{
    const char flag = is_written ? 1 : 0;
    ws_buf_clear(&f->scratch);
    return ws_buf_add(&f->scratch, &flag, 1) && ws_buf_add(&f->scratch, json, len);
}

enum ws_status ws_frontier_add_find(struct ws_frontier *f, const struct ws_image_id *url, const char *json,
                                    bool is_written, struct ws_err *err)
{
    uint8_t key[FIND_KEY];
    const struct ws_image_id hash = ws_url_key(json);
    if (!pack_find(f, json, strlen(json), is_written))
        return ws_fail(err, WS_E_MEMORY, "out of memory for a find");
    return ws_tables_add(f->tables, WS_FRONTIER_FINDS, find_key(url, &hash, key), packed(f), err);
}

enum ws_status ws_frontier_mark_find(struct ws_frontier *f, const struct ws_image_id *url, const struct ws_find *find,
                                     struct ws_err *err)
{
    uint8_t key[FIND_KEY];
    if (!pack_find(f, find->json.ptr, find->json.len, find->is_written))
        return ws_fail(err, WS_E_MEMORY, "out of memory for a find");
    return ws_tables_put(f->tables, WS_FRONTIER_FINDS, find_key(url, &find->hash, key), packed(f), err);
}

enum ws_status ws_frontier_next_find(struct ws_frontier *f, const struct ws_image_id *url, bool is_first,
                                     struct ws_find *find, struct ws_err *err)
{
    uint8_t key[FIND_KEY];
    struct ws_span from, found = {0}, value = {0};
    if (is_first)
        find->hash = (struct ws_image_id){0};
    from = find_key(url, &find->hash, key);
    const enum ws_status status = ws_tables_seek(f->tables, WS_FRONTIER_FINDS, from, !is_first, &found, &value, err);
    if (status != WS_OK)
        return status;
    if (found.len != FIND_KEY || value.len < 1)
        return ws_frontier_damaged(f, "a find", err);
    if (memcmp(found.ptr, url->bytes, 16) != 0)
        return WS_DONE;
    memcpy(find->hash.bytes, found.ptr + 16, 16);
    find->is_written = value.ptr[0] != 0;
    ws_buf_clear(&find->json);
    if (!ws_buf_add(&find->json, value.ptr + 1, value.len - 1))
        return ws_fail(err, WS_E_MEMORY, "out of memory for a find");
    return WS_OK;
}

/* --- bodies --- */

enum ws_status ws_frontier_get_body(struct ws_frontier *f, const struct ws_digest *digest, struct ws_body_entry *entry,
                                    struct ws_err *err)
{
    struct ws_span value = {0};
    const struct ws_span key = {digest->bytes, sizeof digest->bytes};
    const enum ws_status status = ws_tables_get(f->tables, WS_FRONTIER_BODIES, key, &value, err);
    if (status != WS_OK)
        return status;
    struct ws_unpack u = {value, true};
    ws_unpack_text(&u, entry->record, sizeof entry->record);
    ws_unpack_text(&u, entry->date, sizeof entry->date);
    ws_unpack_text(&u, entry->url, sizeof entry->url);
    return u.is_ok ? WS_OK : ws_frontier_damaged(f, "a body's entry", err);
}

enum ws_status ws_frontier_put_body(struct ws_frontier *f, const struct ws_digest *digest,
                                    const struct ws_body_entry *entry, struct ws_err *err)
{
    struct ws_pack p = {&f->scratch, true};
    ws_buf_clear(&f->scratch);
    ws_pack_text(&p, entry->record);
    ws_pack_text(&p, entry->date);
    ws_pack_text(&p, entry->url);
    if (!p.is_ok)
        return ws_fail(err, WS_E_MEMORY, "out of memory for a body's entry");
    const struct ws_span key = {digest->bytes, sizeof digest->bytes};
    return ws_tables_put(f->tables, WS_FRONTIER_BODIES, key, packed(f), err);
}
