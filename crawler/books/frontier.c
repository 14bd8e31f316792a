/** The environment, its transaction, and plain access to its tables. */
#include "frontier_int.h"

#include "webstill/base/file.h"
#include "webstill/base/mem.h"
#include "webstill/base/text.h"
#include "webstill/table/lmdb.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Address space, not disk: the file grows as needed. 64 GiB hold some 50 million URLs. */
static const size_t map_bytes = (size_t)64 << 30;
static const char format[] = "1";

static const char *const table_names[WS_N_TABLES] = {
    "meta", "urls", "finds", "queue", "flight", "tasks", "walk", "seen", "robots", "bodies",
};

static enum ws_status fail_lmdb(struct ws_frontier *f, int rc, const char *doing, struct ws_err *err)
{
    enum ws_status status = WS_E_IO;
    if (rc == ENOMEM)
        status = WS_E_MEMORY;
    else if (rc == MDB_CORRUPTED || rc == MDB_PAGE_NOTFOUND || rc == MDB_VERSION_MISMATCH || rc == MDB_INVALID ||
             rc == MDB_PANIC)
        status = WS_E_DAMAGED;
    const bool full = ws_lmdb_is_disk_full(rc, f->dir);
    ws_fail(err, status, "frontier %s: cannot %s: %s", f->dir, doing, full ? "the disk is full" : mdb_strerror(rc));
    if (full)
        ws_err_hint(err, "free some space on the disk of %s and run the same command again; what was committed stays",
                    f->dir);
    else if (rc == MDB_MAP_FULL)
        ws_err_hint(err, "the frontier has reached %zu GiB: crawl fewer classes or sites into this working directory",
                    map_bytes >> 30);
    else if (status == WS_E_DAMAGED)
        ws_err_hint(err, "move %s and the crawl's .warc.gz files away and crawl anew", f->dir);
    return status;
}

enum ws_status ws_frontier_damaged(struct ws_frontier *f, const char *what, struct ws_err *err)
{
    ws_fail(err, WS_E_DAMAGED, "frontier %s: %s cannot be read", f->dir, what);
    ws_err_hint(err, "move %s and the crawl's .warc.gz files away and crawl anew", f->dir);
    return WS_E_DAMAGED;
}

/* --- tables --- */

static MDB_val val_of(struct ws_span span)
{
    /* LMDB takes pointers to non-const but does not write through them. */
    return (MDB_val){.mv_size = span.len, .mv_data = (void *)(uintptr_t)span.ptr};
}

static struct ws_span span_of(MDB_val val)
{
    return (struct ws_span){val.mv_data, val.mv_size};
}

enum ws_status ws_table_get(struct ws_frontier *f, enum ws_table table, struct ws_span key, struct ws_span *value,
                            struct ws_err *err)
{
    MDB_val k = val_of(key), v;
    const int rc = mdb_get(f->txn, f->tables[table], &k, &v);
    if (rc == MDB_NOTFOUND)
        return WS_DONE;
    if (rc != 0)
        return fail_lmdb(f, rc, table_names[table], err);
    *value = span_of(v);
    return WS_OK;
}

enum ws_status ws_table_put(struct ws_frontier *f, enum ws_table table, struct ws_span key, struct ws_span value,
                            struct ws_err *err)
{
    MDB_val k = val_of(key), v = val_of(value);
    const int rc = mdb_put(f->txn, f->tables[table], &k, &v, 0);
    return rc == 0 ? WS_OK : fail_lmdb(f, rc, "write", err);
}

enum ws_status ws_table_add(struct ws_frontier *f, enum ws_table table, struct ws_span key, struct ws_span value,
                            struct ws_err *err)
{
    MDB_val k = val_of(key), v = val_of(value);
    const int rc = mdb_put(f->txn, f->tables[table], &k, &v, MDB_NOOVERWRITE);
    if (rc == MDB_KEYEXIST)
        return WS_DONE;
    return rc == 0 ? WS_OK : fail_lmdb(f, rc, "write", err);
}

enum ws_status ws_table_delete(struct ws_frontier *f, enum ws_table table, struct ws_span key, struct ws_err *err)
{
    MDB_val k = val_of(key);
    const int rc = mdb_del(f->txn, f->tables[table], &k, NULL);
    if (rc == MDB_NOTFOUND)
        return WS_DONE;
    return rc == 0 ? WS_OK : fail_lmdb(f, rc, "delete", err);
}

enum ws_status ws_table_seek(struct ws_frontier *f, enum ws_table table, struct ws_span from, bool is_behind,
                             struct ws_span *key, struct ws_span *value, struct ws_err *err)
{
    MDB_cursor *cursor;
    MDB_val k = val_of(from), v;
    int rc = mdb_cursor_open(f->txn, f->tables[table], &cursor);
    if (rc != 0)
        return fail_lmdb(f, rc, "open a cursor", err);
    rc = from.len ? mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE) : mdb_cursor_get(cursor, &k, &v, MDB_FIRST);
    if (rc == 0 && is_behind && k.mv_size == from.len && memcmp(k.mv_data, from.ptr, from.len) == 0)
        rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
    mdb_cursor_close(cursor);
    if (rc == MDB_NOTFOUND)
        return WS_DONE;
    if (rc != 0)
        return fail_lmdb(f, rc, "read", err);
    *key = span_of(k);
    *value = span_of(v);
    return WS_OK;
}

/* --- values --- */

void ws_put_be64(uint8_t *bytes, uint64_t value)
{
    for (int i = 7; i >= 0; i--, value >>= 8)
        bytes[i] = (uint8_t)value;
}

uint64_t ws_get_be64(const uint8_t *bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++)
        value = value << 8 | bytes[i];
    return value;
}

void ws_pack_u64(struct ws_pack *pack, uint64_t value)
{
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++, value >>= 8)
        bytes[i] = (uint8_t)value;
    pack->is_ok = pack->is_ok && ws_buf_add(pack->buf, bytes, sizeof bytes);
}

void ws_pack_text(struct ws_pack *pack, const char *text)
{
    pack->is_ok = pack->is_ok && ws_buf_add(pack->buf, text, strlen(text) + 1);
}

uint64_t ws_unpack_u64(struct ws_unpack *unpack)
{
    uint64_t value = 0;
    if (unpack->rest.len < 8) {
        unpack->is_ok = false;
        return 0;
    }
    for (int i = 7; i >= 0; i--)
        value = value << 8 | unpack->rest.ptr[i];
    unpack->rest.ptr += 8;
    unpack->rest.len -= 8;
    return value;
}

void ws_unpack_text(struct ws_unpack *unpack, char *text, size_t size_bytes)
{
    const uint8_t *end = unpack->rest.len ? memchr(unpack->rest.ptr, '\0', unpack->rest.len) : NULL;
    text[0] = '\0';
    if (!end || (size_t)(end - unpack->rest.ptr) >= size_bytes) {
        unpack->is_ok = false;
        return;
    }
    const size_t len = (size_t)(end - unpack->rest.ptr) + 1;
    memcpy(text, unpack->rest.ptr, len);
    unpack->rest.ptr += len;
    unpack->rest.len -= len;
}

/* --- the environment --- */

static enum ws_status begin(struct ws_frontier *f, struct ws_err *err)
{
    const int rc = mdb_txn_begin(f->env, NULL, 0, &f->txn);
    if (rc == 0)
        return WS_OK;
    f->txn = NULL;
    return fail_lmdb(f, rc, "begin a transaction", err);
}

static enum ws_status open_tables(struct ws_frontier *f, struct ws_err *err)
{
    for (int i = 0; i < WS_N_TABLES; i++) {
        const int rc = mdb_dbi_open(f->txn, table_names[i], MDB_CREATE, &f->tables[i]);
        if (rc != 0)
            return fail_lmdb(f, rc, "open a table", err);
    }
    return WS_OK;
}

static enum ws_status check_format(struct ws_frontier *f, struct ws_err *err)
{
    struct ws_buf found = {0};
    enum ws_status status = ws_frontier_get_meta(f, "format", &found, err);
    if (status == WS_DONE) {
        status = ws_frontier_put_meta(f, "format", format, err);
    } else if (status == WS_OK && strcmp(found.ptr, format) != 0) {
        status = ws_fail(err, WS_E_UNSUPPORTED, "frontier %s: expected format %s, found %s", f->dir, format, found.ptr);
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
        enum ws_status status = ws_table_seek(f, WS_TABLE_FLIGHT, (struct ws_span){0}, false, &key, &value, err);
        if (status != WS_OK)
            return status == WS_DONE ? WS_OK : status;
        if (key.len > sizeof key_copy || value.len > sizeof value_copy)
            return ws_frontier_damaged(f, "an item in flight", err);
        memcpy(key_copy, key.ptr, key.len);
        memcpy(value_copy, value.ptr, value.len);
        key.ptr = key_copy;
        value.ptr = value_copy;
        status = ws_table_put(f, WS_TABLE_QUEUE, key, value, err);
        if (status == WS_OK)
            status = ws_table_delete(f, WS_TABLE_FLIGHT, key, err);
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
    enum ws_status status = ws_dir_make(dir, err);
    if (status != WS_OK)
        return status;
    struct ws_frontier *f = ws_calloc(1, sizeof *f);
    if (!f)
        return ws_fail(err, WS_E_MEMORY, "out of memory for the frontier");
    snprintf(f->dir, sizeof f->dir, "%s", dir);
    int rc = mdb_env_create(&f->env);
    if (rc == 0)
        rc = mdb_env_set_maxdbs(f->env, WS_N_TABLES);
    if (rc == 0)
        rc = mdb_env_set_mapsize(f->env, map_bytes);
    if (rc == 0)
        rc = mdb_env_open(f->env, dir, MDB_NORDAHEAD, 0666);
    if (rc == 0)
        rc = ws_lmdb_restore_length(f->env, dir);
    status = rc == 0 ? begin(f, err) : fail_lmdb(f, rc, "open it", err);
    if (status == WS_OK)
        status = open_tables(f, err);
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
    const enum ws_status status = ws_frontier_put_meta(f, "next_seq", text, err);
    if (status != WS_OK)
        return status;
    const int rc = mdb_txn_commit(f->txn);
    f->txn = NULL; /* gone, whatever the outcome */
    return rc == 0 ? begin(f, err) : fail_lmdb(f, rc, "commit", err);
}

void ws_frontier_close(struct ws_frontier **frontier)
{
    struct ws_frontier *f = *frontier;
    if (!f)
        return;
    if (f->txn)
        mdb_txn_abort(f->txn);
    if (f->env)
        mdb_env_close(f->env);
    ws_buf_fini(&f->scratch);
    free(f);
    *frontier = NULL;
}

/* --- meta --- */

enum ws_status ws_frontier_get_meta(struct ws_frontier *f, const char *key, struct ws_buf *out, struct ws_err *err)
{
    struct ws_span value = {0};
    const enum ws_status status = ws_table_get(f, WS_TABLE_META, ws_text_span(key), &value, err);
    if (status == WS_OK && !ws_buf_add(out, value.ptr, value.len))
        return ws_fail(err, WS_E_MEMORY, "out of memory for %s of the frontier", key);
    return status;
}

enum ws_status ws_frontier_put_meta(struct ws_frontier *f, const char *key, const char *value, struct ws_err *err)
{
    return ws_table_put(f, WS_TABLE_META, ws_text_span(key), ws_text_span(value), err);
}
