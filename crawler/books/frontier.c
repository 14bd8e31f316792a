/** The frontier's tables as a whole: opening, committing, what was in flight. */
#include "frontier_int.h"

#include "webstill/base/mem.h"
#include "webstill/base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Address space, not disk: the file grows as needed. 64 GiB hold some 50 million URLs. */
static const size_t map_bytes = (size_t)64 << 30;
static const char format[] = "1";

static void advise(struct ws_err *err, enum ws_tables_trouble trouble, const char *dir)
{
    switch (trouble) {
    case WS_TABLES_DISK_FULL:
        ws_err_hint(err, "free some space on the disk of %s and run the same command again; what was committed stays",
                    dir);
        break;
    case WS_TABLES_MAP_FULL:
        ws_err_hint(err, "the frontier has reached %zu GiB: crawl fewer classes or sites into this working directory",
                    map_bytes >> 30);
        break;
    case WS_TABLES_DAMAGED:
        ws_err_hint(err, "move %s and the crawl's .warc.gz files away and crawl anew", dir);
        break;
    case WS_TABLES_NO_MEMORY:
        break;
    }
}

static const char *const table_names[WS_FRONTIER_N_TABLES] = {
    "meta", "urls", "finds", "queue", "flight", "tasks", "walk", "seen", "robots", "bodies",
};
static const struct ws_tables_kind kind = {
    .noun = "frontier",
    .names = table_names,
    .n_tables = WS_FRONTIER_N_TABLES,
    .is_scattered = true,
    .advise = advise,
};

enum ws_status ws_frontier_damaged(struct ws_frontier *f, const char *what, struct ws_err *err)
{
    const char *dir = ws_tables_dir(f->tables);
    ws_fail(err, WS_E_DAMAGED, "frontier %s: %s cannot be read", dir, what);
    advise(err, WS_TABLES_DAMAGED, dir);
    return WS_E_DAMAGED;
}

static enum ws_status check_format(struct ws_frontier *f, struct ws_err *err)
{
    struct ws_buf found = {0};
    enum ws_status status = ws_frontier_get_meta(f, "format", &found, err);
    if (status == WS_DONE) {
        status = ws_frontier_put_meta(f, "format", format, err);
    } else if (status == WS_OK && strcmp(found.ptr, format) != 0) {
        status = ws_fail(err, WS_E_UNSUPPORTED, "frontier %s: expected format %s, found %s", ws_tables_dir(f->tables),
                         format, found.ptr);
        ws_err_hint(err, "it was written by another version of webstill: crawl into a new working directory");
    }
    ws_buf_fini(&found);
    return status;
}

/** What was in flight when the last run ended goes back to its queue, under the same key. */
static enum ws_status restore_flight(struct ws_frontier *f, struct ws_err *err)
{
    for (;;) {
        struct ws_span key = {0}, value = {0};
        uint8_t key_copy[512], value_copy[64];
        enum ws_status status =
            ws_tables_seek(f->tables, WS_FRONTIER_FLIGHT, (struct ws_span){0}, false, &key, &value, err);
        if (status != WS_OK)
            return status == WS_DONE ? WS_OK : status;
        if (key.len > sizeof key_copy || value.len > sizeof value_copy)
            return ws_frontier_damaged(f, "an item in flight", err);
        memcpy(key_copy, key.ptr, key.len);
        memcpy(value_copy, value.ptr, value.len);
        key.ptr = key_copy;
        value.ptr = value_copy;
        status = ws_tables_put(f->tables, WS_FRONTIER_QUEUE, key, value, err);
        if (status == WS_OK)
            status = ws_tables_delete(f->tables, WS_FRONTIER_FLIGHT, key, err);
        if (status != WS_OK)
            return status;
    }
}

static enum ws_status read_next_seq(struct ws_frontier *f, struct ws_err *err)
{
    struct ws_buf text = {0};
    const enum ws_status status = ws_frontier_get_meta(f, "next_seq", &text, err);
    if (status == WS_OK)
        f->next_seq = strtoull(text.ptr, NULL, 10);
    ws_buf_fini(&text);
    return status == WS_DONE ? WS_OK : status;
}

enum ws_status ws_frontier_open(struct ws_frontier **out, const char *dir, struct ws_err *err)
{
    *out = NULL;
    struct ws_frontier *f = ws_calloc(1, sizeof *f);
    if (!f)
        return ws_fail(err, WS_E_MEMORY, "out of memory for the frontier");
    enum ws_status status = ws_tables_open(&f->tables, &kind, dir, map_bytes, err);
    if (status == WS_OK)
        status = check_format(f, err);
    if (status == WS_OK)
        status = read_next_seq(f, err);
    if (status == WS_OK)
        status = restore_flight(f, err);
    if (status == WS_OK)
        status = ws_frontier_commit(f, err);
    if (status == WS_OK)
        *out = f;
    else
        ws_frontier_close(&f);
    return status;
}

enum ws_status ws_frontier_commit(struct ws_frontier *f, struct ws_err *err)
{
    char text[32];
    snprintf(text, sizeof text, "%llu", (unsigned long long)f->next_seq);
    enum ws_status status = ws_frontier_put_meta(f, "next_seq", text, err);
    if (status == WS_OK)
        status = ws_tables_commit(f->tables, err);
    return status == WS_OK ? ws_tables_begin(f->tables, err) : status;
}

void ws_frontier_close(struct ws_frontier **frontier)
{
    struct ws_frontier *f = *frontier;
    if (!f)
        return;
    ws_tables_close(&f->tables);
    ws_buf_fini(&f->scratch);
    free(f);
    *frontier = NULL;
}

/* --- meta --- */

enum ws_status ws_frontier_get_meta(struct ws_frontier *f, const char *key, struct ws_buf *out, struct ws_err *err)
{
    struct ws_span value = {0};
    const enum ws_status status = ws_tables_get(f->tables, WS_FRONTIER_META, ws_text_span(key), &value, err);
    if (status == WS_OK && !ws_buf_add(out, value.ptr, value.len))
        return ws_fail(err, WS_E_MEMORY, "out of memory for %s of the frontier", key);
    return status;
}

enum ws_status ws_frontier_put_meta(struct ws_frontier *f, const char *key, const char *value, struct ws_err *err)
{
    return ws_tables_put(f->tables, WS_FRONTIER_META, ws_text_span(key), ws_text_span(value), err);
}
