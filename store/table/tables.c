#include "webstill/table/tables.h"

#include "damage.h"

#include "webstill/base/file.h"
#include "webstill/base/mem.h"

#include <errno.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ws_tables {
    const struct ws_tables_kind *kind; /**< borrowed */
    char dir[WS_TABLES_DIR_BYTES];
    MDB_env *env; /**< owned */
    MDB_txn *txn; /**< owned: the open transaction, a reader's snapshot, or NULL */
    MDB_dbi dbi[WS_TABLES_MAX];
};

/* --- LMDB's codes as ours --- */

static enum ws_status status_of(int rc)
{
    switch (rc) {
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_VERSION_MISMATCH:
    case MDB_INVALID:
    case MDB_PANIC:
    case MDB_NOTFOUND: /* of a table; of a key it is WS_DONE and does not come here */
        return WS_E_DAMAGED;
    case ENOMEM:
        return WS_E_MEMORY;
    case EINVAL:
    case MDB_BAD_TXN:
    case MDB_BAD_VALSIZE:
    case MDB_INCOMPATIBLE:
        return WS_E_INTERNAL;
    default:
        return WS_E_IO;
    }
}

static enum ws_status fail(const struct ws_tables *tables, int rc, const char *doing, struct ws_err *err)
{
    const enum ws_status status = status_of(rc);
    const bool is_full = ws_tables_is_disk_full(rc, tables->dir);
    ws_fail(err, status, "%s %s: cannot %s: %s", tables->kind->noun, tables->dir, doing,
            is_full ? "the disk is full" : mdb_strerror(rc));
    if (is_full)
        tables->kind->advise(err, WS_TABLES_DISK_FULL, tables->dir);
    else if (rc == MDB_MAP_FULL)
        tables->kind->advise(err, WS_TABLES_MAP_FULL, tables->dir);
    else if (rc == ENOMEM)
        tables->kind->advise(err, WS_TABLES_NO_MEMORY, tables->dir);
    else if (status == WS_E_DAMAGED)
        tables->kind->advise(err, WS_TABLES_DAMAGED, tables->dir);
    return status;
}

/* --- opening --- */

static enum ws_status make(struct ws_tables **out, const struct ws_tables_kind *kind, const char *dir,
                           struct ws_err *err)
{
    ws_assert(kind->n_tables <= WS_TABLES_MAX);
    *out = NULL;
    if (strlen(dir) >= WS_TABLES_DIR_BYTES)
        return ws_fail(err, WS_E_IO, "the %s's path is longer than %d bytes", kind->noun, WS_TABLES_DIR_BYTES - 1);
    struct ws_tables *tables = ws_calloc(1, sizeof *tables);
    if (!tables)
        return ws_fail(err, WS_E_MEMORY, "out of memory for the %s %s", kind->noun, dir);
    tables->kind = kind;
    snprintf(tables->dir, sizeof tables->dir, "%s", dir);
    *out = tables;
    return WS_OK;
}

/* An environment that is open already, made safe to walk. */
static int make_safe(struct ws_tables *tables)
{
    ws_tables_end_on_damage(tables->env);
    return ws_tables_restore_length(tables->env, tables->dir);
}

static enum ws_status open_env(struct ws_tables *tables, size_t map_bytes, struct ws_err *err)
{
    /* A reader's slot belongs to its handle, not to the thread that opened it. */
    const unsigned flags = MDB_NOTLS | (tables->kind->is_scattered ? MDB_NORDAHEAD : 0U);
    int rc = mdb_env_create(&tables->env);
    if (rc == 0)
        rc = mdb_env_set_maxdbs(tables->env, (MDB_dbi)tables->kind->n_tables);
    if (rc == 0)
        rc = mdb_env_set_mapsize(tables->env, map_bytes);
    if (rc == 0)
        rc = mdb_env_open(tables->env, tables->dir, flags, 0666);
    if (rc == 0)
        rc = make_safe(tables);
    if (rc == 0)
        (void)mdb_reader_check(tables->env, NULL); /* slots of readers that were killed keep old pages alive */
    return rc == 0 ? WS_OK : fail(tables, rc, "open it", err);
}

/* With the lock file: a reader that is not in it could see its pages reused by a writer beside it. */
static enum ws_status open_env_to_read(struct ws_tables *tables, struct ws_err *err)
{
    int rc = 0;
    for (unsigned flags = MDB_RDONLY | MDB_NOTLS;; flags |= MDB_NOLOCK) {
        if ((rc = mdb_env_create(&tables->env)) != 0)
            return fail(tables, rc, "make an environment", err);
        (void)mdb_env_set_maxdbs(tables->env, (MDB_dbi)tables->kind->n_tables);
        rc = mdb_env_open(tables->env, tables->dir, flags, 0666);
        if ((rc != EROFS && rc != EACCES) || (flags & MDB_NOLOCK) != 0)
            break;
        mdb_env_close(tables->env);
        tables->env = NULL;
    }
    if (rc == 0)
        rc = make_safe(tables);
    return rc == 0 ? WS_OK : fail(tables, rc, "open it", err);
}

static enum ws_status begin(struct ws_tables *tables, unsigned flags, const char *doing, struct ws_err *err)
{
    ws_assert(!tables->txn);
    const int rc = mdb_txn_begin(tables->env, NULL, flags, &tables->txn);
    if (rc == 0)
        return WS_OK;
    tables->txn = NULL;
    return fail(tables, rc, doing, err);
}

static enum ws_status open_tables(struct ws_tables *tables, unsigned flags, const char *doing, struct ws_err *err)
{
    for (int i = 0; i < tables->kind->n_tables; i++) {
        const int rc = mdb_dbi_open(tables->txn, tables->kind->names[i], flags, &tables->dbi[i]);
        if (rc != 0)
            return fail(tables, rc, doing, err);
    }
    return WS_OK;
}

enum ws_status ws_tables_open(struct ws_tables **out, const struct ws_tables_kind *kind, const char *dir,
                              size_t map_bytes, struct ws_err *err)
{
    struct ws_tables *tables = NULL;
    *out = NULL;
    enum ws_status status = make(&tables, kind, dir, err);
    if (status == WS_OK)
        status = ws_dir_make(dir, err);
    if (status == WS_OK)
        status = open_env(tables, map_bytes, err);
    if (status == WS_OK)
        status = begin(tables, 0, "begin a transaction", err);
    if (status == WS_OK)
        status = open_tables(tables, MDB_CREATE, "open its tables", err);
    if (status == WS_OK)
        *out = tables;
    else
        ws_tables_close(&tables);
    return status;
}

enum ws_status ws_tables_open_snapshot(struct ws_tables **out, const struct ws_tables_kind *kind, const char *dir,
                                       struct ws_err *err)
{
    struct ws_tables *tables = NULL;
    *out = NULL;
    enum ws_status status = make(&tables, kind, dir, err);
    if (status == WS_OK)
        status = open_env_to_read(tables, err);
    if (status == WS_OK)
        status = begin(tables, MDB_RDONLY, "begin reading", err);
    if (status == WS_OK)
        status = open_tables(tables, 0, "find its tables", err);
    if (status == WS_OK)
        *out = tables;
    else
        ws_tables_close(&tables);
    return status;
}

void ws_tables_close(struct ws_tables **tables)
{
    struct ws_tables *t = *tables;
    if (!t)
        return;
    if (t->txn)
        mdb_txn_abort(t->txn);
    if (t->env)
        mdb_env_close(t->env);
    free(t);
    *tables = NULL;
}

const char *ws_tables_dir(const struct ws_tables *tables)
{
    return tables->dir;
}

enum ws_status ws_tables_begin(struct ws_tables *tables, struct ws_err *err)
{
    return begin(tables, 0, "begin a transaction", err);
}

enum ws_status ws_tables_commit(struct ws_tables *tables, struct ws_err *err)
{
    MDB_txn *txn = tables->txn;
    tables->txn = NULL; /* LMDB frees it, committed or not */
    const int rc = mdb_txn_commit(txn);
    return rc == 0 ? WS_OK : fail(tables, rc, "commit", err);
}

/* --- rows --- */

static MDB_val val_of(struct ws_span span)
{
    /* LMDB takes pointers to non-const but does not write through them. */
    return (MDB_val){.mv_size = span.len, .mv_data = (void *)(uintptr_t)span.ptr};
}

static struct ws_span span_of(MDB_val val)
{
    return (struct ws_span){val.mv_data, val.mv_size};
}

enum ws_status ws_tables_get(const struct ws_tables *tables, int table, struct ws_span key, struct ws_span *value,
                             struct ws_err *err)
{
    MDB_val k = val_of(key), v;
    const int rc = mdb_get(tables->txn, tables->dbi[table], &k, &v);
    *value = rc == 0 ? span_of(v) : (struct ws_span){0};
    if (rc == MDB_NOTFOUND)
        return WS_DONE;
    return rc == 0 ? WS_OK : fail(tables, rc, "read", err);
}

enum ws_status ws_tables_put(struct ws_tables *tables, int table, struct ws_span key, struct ws_span value,
                             struct ws_err *err)
{
    MDB_val k = val_of(key), v = val_of(value);
    const int rc = mdb_put(tables->txn, tables->dbi[table], &k, &v, 0);
    return rc == 0 ? WS_OK : fail(tables, rc, "write", err);
}

enum ws_status ws_tables_reserve(struct ws_tables *tables, int table, struct ws_span key, size_t len, uint8_t **value,
                                 struct ws_err *err)
{
    MDB_val k = val_of(key), v = {.mv_size = len};
    const int rc = mdb_put(tables->txn, tables->dbi[table], &k, &v, MDB_RESERVE);
    *value = rc == 0 ? v.mv_data : NULL;
    return rc == 0 ? WS_OK : fail(tables, rc, "write", err);
}

enum ws_status ws_tables_add(struct ws_tables *tables, int table, struct ws_span key, struct ws_span value,
                             struct ws_err *err)
{
    MDB_val k = val_of(key), v = val_of(value);
    const int rc = mdb_put(tables->txn, tables->dbi[table], &k, &v, MDB_NOOVERWRITE);
    if (rc == MDB_KEYEXIST)
        return WS_DONE;
    return rc == 0 ? WS_OK : fail(tables, rc, "write", err);
}

enum ws_status ws_tables_delete(struct ws_tables *tables, int table, struct ws_span key, struct ws_err *err)
{
    MDB_val k = val_of(key);
    const int rc = mdb_del(tables->txn, tables->dbi[table], &k, NULL);
    if (rc == MDB_NOTFOUND)
        return WS_DONE;
    return rc == 0 ? WS_OK : fail(tables, rc, "delete", err);
}

enum ws_status ws_tables_seek(const struct ws_tables *tables, int table, struct ws_span from, bool is_behind,
                              struct ws_span *key, struct ws_span *value, struct ws_err *err)
{
    MDB_cursor *cursor;
    MDB_val k = val_of(from), v;
    int rc = mdb_cursor_open(tables->txn, tables->dbi[table], &cursor);
    if (rc != 0)
        return fail(tables, rc, "open a cursor", err);
    rc = from.len ? mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE) : mdb_cursor_get(cursor, &k, &v, MDB_FIRST);
    if (rc == 0 && is_behind && k.mv_size == from.len && memcmp(k.mv_data, from.ptr, from.len) == 0)
        rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
    mdb_cursor_close(cursor);
    if (rc == MDB_NOTFOUND)
        return WS_DONE;
    if (rc != 0)
        return fail(tables, rc, "read", err);
    *key = span_of(k);
    *value = span_of(v);
    return WS_OK;
}

enum ws_status ws_tables_each(const struct ws_tables *tables, int table, struct ws_span prefix,
                              ws_tables_visit_fn *visit, void *argument, struct ws_err *err)
{
    MDB_cursor *cursor = NULL;
    int rc = mdb_cursor_open(tables->txn, tables->dbi[table], &cursor);
    if (rc != 0)
        return fail(tables, rc, "walk a table", err);
    MDB_val key = val_of(prefix), value;
    enum ws_status status = WS_OK;
    MDB_cursor_op op = prefix.len > 0 ? MDB_SET_RANGE : MDB_FIRST;
    for (; status == WS_OK && (rc = mdb_cursor_get(cursor, &key, &value, op)) == 0; op = MDB_NEXT) {
        if (prefix.len > 0 && (key.mv_size < prefix.len || memcmp(key.mv_data, prefix.ptr, prefix.len) != 0))
            break;
        status = visit(argument, span_of(key), span_of(value), err);
    }
    mdb_cursor_close(cursor);
    if (status == WS_OK && rc != 0 && rc != MDB_NOTFOUND)
        status = fail(tables, rc, "walk a table", err);
    return status == WS_DONE ? WS_OK : status;
}

enum ws_status ws_tables_count(const struct ws_tables *tables, int table, int64_t *n, struct ws_err *err)
{
    MDB_stat stat;
    const int rc = mdb_stat(tables->txn, tables->dbi[table], &stat);
    if (rc != 0)
        return fail(tables, rc, "count rows", err);
    *n = (int64_t)stat.ms_entries;
    return WS_OK;
}
