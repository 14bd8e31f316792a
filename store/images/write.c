/** Writing the image store: LMDB transactions under the stage's lock. */
#include "format.h"

#include "webstill/base/file.h"
#include "webstill/table/lmdb.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static MDB_val val_of(struct ws_span span)
{
    return (MDB_val){span.len, (void *)(uintptr_t)span.ptr}; /* LMDB's values are not const, but put() only reads */
}

static enum ws_status open_tables(struct ws_images_db *db, struct ws_err *err)
{
    enum ws_status status = ws_images_db_begin(db, err);
    for (int i = 0; status == WS_OK && i < WS_N_TABLES; i++) {
        const int rc = mdb_dbi_open(db->txn, ws_images_table_names[i], MDB_CREATE, &db->tables[i]);
        if (rc != 0)
            status = ws_images_fail(err, rc, db->dir, "open its tables");
    }
    return status == WS_OK ? ws_images_db_commit(db, err) : status;
}

enum ws_status ws_images_db_open(struct ws_images_db *db, const char *dir, double map_gib, struct ws_err *err)
{
    *db = (struct ws_images_db){0};
    if (strlen(dir) >= sizeof db->dir)
        return ws_fail(err, WS_E_IO, "the store's path is longer than %zu bytes", sizeof db->dir - 1);
    (void)snprintf(db->dir, sizeof db->dir, "%s", dir);
    enum ws_status status = ws_dir_make(dir, err);
    if (status != WS_OK)
        return status;
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t map_bytes = (size_t)(map_gib * 1073741824.0) / page * page;
    int rc = mdb_env_create(&db->env);
    if (rc == 0)
        rc = mdb_env_set_maxdbs(db->env, WS_N_TABLES);
    if (rc == 0)
        rc = mdb_env_set_mapsize(db->env, map_bytes > 16 * page ? map_bytes : 16 * page);
    if (rc == 0)
        rc = mdb_env_open(db->env, dir, MDB_NOTLS, 0666);
    if (rc == 0)
        rc = ws_lmdb_restore_length(db->env, dir);
    if (rc == 0)
        (void)mdb_reader_check(db->env, NULL); /* slots of readers that were killed keep old pages alive */
    status = rc == 0 ? open_tables(db, err) : ws_images_fail(err, rc, dir, "open it");
    if (status != WS_OK)
        ws_images_db_close(db);
    return status;
}

void ws_images_db_close(struct ws_images_db *db)
{
    if (db->txn)
        mdb_txn_abort(db->txn);
    if (db->env)
        mdb_env_close(db->env);
    db->txn = NULL;
    db->env = NULL;
}

enum ws_status ws_images_db_remove(const char *dir, struct ws_err *err)
{
    static const char *const names[] = {"manifest.json", "data.mdb", "lock.mdb"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[4096];
        (void)snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        if (unlink(path) != 0 && errno != ENOENT)
            return ws_fail_errno(err, "cannot remove %s", path);
    }
    return ws_dir_sync(dir, err);
}

enum ws_status ws_images_db_begin(struct ws_images_db *db, struct ws_err *err)
{
    ws_assert(!db->txn);
    const int rc = mdb_txn_begin(db->env, NULL, 0, &db->txn);
    return rc == 0 ? WS_OK : ws_images_fail(err, rc, db->dir, "begin a transaction");
}

enum ws_status ws_images_db_commit(struct ws_images_db *db, struct ws_err *err)
{
    MDB_txn *txn = db->txn;
    db->txn = NULL; /* LMDB frees it, committed or not */
    const int rc = mdb_txn_commit(txn);
    return rc == 0 ? WS_OK : ws_images_fail(err, rc, db->dir, "commit");
}

enum ws_status ws_images_db_get(struct ws_images_db *db, enum ws_images_table table, struct ws_span key,
                                struct ws_span *value, struct ws_err *err)
{
    MDB_val k = val_of(key), v;
    const int rc = mdb_get(db->txn, db->tables[table], &k, &v);
    if (rc == MDB_NOTFOUND) {
        *value = (struct ws_span){0};
        return WS_DONE;
    }
    if (rc != 0)
        return ws_images_fail(err, rc, db->dir, "read");
    *value = ws_span_of(v.mv_data, v.mv_size);
    return WS_OK;
}

enum ws_status ws_images_db_put(struct ws_images_db *db, enum ws_images_table table, struct ws_span key,
                                struct ws_span value, struct ws_err *err)
{
    MDB_val k = val_of(key), v = val_of(value);
    const int rc = mdb_put(db->txn, db->tables[table], &k, &v, 0);
    return rc == 0 ? WS_OK : ws_images_fail(err, rc, db->dir, "write");
}

enum ws_status ws_images_db_delete(struct ws_images_db *db, enum ws_images_table table, struct ws_span key,
                                   struct ws_err *err)
{
    MDB_val k = val_of(key);
    const int rc = mdb_del(db->txn, db->tables[table], &k, NULL);
    return rc == 0 || rc == MDB_NOTFOUND ? WS_OK : ws_images_fail(err, rc, db->dir, "delete");
}

enum ws_status ws_images_db_each(struct ws_images_db *db, enum ws_images_table table, struct ws_span prefix,
                                 ws_images_visit_fn *visit, void *argument, struct ws_err *err)
{
    MDB_cursor *cursor = NULL;
    int rc = mdb_cursor_open(db->txn, db->tables[table], &cursor);
    if (rc != 0)
        return ws_images_fail(err, rc, db->dir, "walk a table");
    MDB_val key = val_of(prefix), value;
    enum ws_status status = WS_OK;
    MDB_cursor_op op = prefix.len > 0 ? MDB_SET_RANGE : MDB_FIRST;
    for (; status == WS_OK && (rc = mdb_cursor_get(cursor, &key, &value, op)) == 0; op = MDB_NEXT) {
        if (prefix.len > 0 && (key.mv_size < prefix.len || memcmp(key.mv_data, prefix.ptr, prefix.len) != 0))
            break;
        status = visit(argument, ws_span_of(key.mv_data, key.mv_size), ws_span_of(value.mv_data, value.mv_size), err);
    }
    mdb_cursor_close(cursor);
    if (status == WS_OK && rc != 0 && rc != MDB_NOTFOUND)
        status = ws_images_fail(err, rc, db->dir, "walk a table");
    return status == WS_DONE ? WS_OK : status;
}

enum ws_status ws_images_db_count(struct ws_images_db *db, enum ws_images_table table, int64_t *n, struct ws_err *err)
{
    MDB_stat stat;
    const int rc = mdb_stat(db->txn, db->tables[table], &stat);
    if (rc != 0)
        return ws_images_fail(err, rc, db->dir, "count rows");
    *n = (int64_t)stat.ms_entries;
    return WS_OK;
}

enum ws_status ws_images_db_put_image(struct ws_images_db *db, const struct ws_image_id *id,
                                      struct ws_image_record record, const uint8_t *pixels, struct ws_err *err)
{
    const size_t len = (size_t)record.width * record.height * record.channels;
    record.version = 1;
    record.checksum = ws_xxh64(pixels, len, 0);
    MDB_val key = {sizeof id->bytes, (void *)(uintptr_t)id->bytes}, value = {WS_RECORD_BYTES + len, NULL};
    const int rc = mdb_put(db->txn, db->tables[WS_TABLE_IMAGES], &key, &value, MDB_RESERVE);
    if (rc != 0)
        return ws_images_fail(err, rc, db->dir, "write an image");
    ws_images_record_encode(&record, value.mv_data);
    memcpy((uint8_t *)value.mv_data + WS_RECORD_BYTES, pixels, len);
    return WS_OK;
}

enum ws_status ws_images_db_label(struct ws_images_db *db, const struct ws_image_id *id, int label, struct ws_err *err)
{
    struct ws_span value;
    const struct ws_span key = ws_span_of(id->bytes, sizeof id->bytes);
    enum ws_status status = ws_images_db_get(db, WS_TABLE_IMAGES, key, &value, err);
    if (status != WS_OK)
        return status == WS_DONE ? ws_fail(err, WS_E_INTERNAL, "an image to be labelled is not in the store") : status;
    struct ws_image_record record = ws_images_record_decode(value.ptr);
    if (label == WS_LABEL_NONE || (record.label != WS_LABEL_NONE && record.label <= label))
        return WS_OK;
    record.label = (int16_t)label;
    uint8_t *copy = malloc(value.len); /* a value must not be written from the page it lies in */
    if (!copy)
        return ws_fail(err, WS_E_MEMORY, "out of memory for an image of %zu bytes", value.len);
    memcpy(copy, value.ptr, value.len);
    ws_images_record_encode(&record, copy);
    status = ws_images_db_put(db, WS_TABLE_IMAGES, key, ws_span_of(copy, value.len), err);
    free(copy);
    return status;
}
