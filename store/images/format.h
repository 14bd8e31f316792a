/** What the image store's reader and writer share, and the writer itself. */
#ifndef WEBSTILL_STORE_IMAGES_FORMAT_H
#define WEBSTILL_STORE_IMAGES_FORMAT_H

#include "webstill/base/buf.h"
#include "webstill/base/err.h"
#include "webstill/base/hash.h"
#include "webstill/images/read.h"

#include <lmdb.h>
#include <stdbool.h>
#include <stdint.h>

enum { WS_RECORD_BYTES = 32, WS_URL_KEY_BYTES = 400, WS_ORIGIN_KEY_BYTES = 24, WS_DIR_BYTES = 3800 };

enum ws_images_table {
    WS_TABLE_IMAGES,
    WS_TABLE_ORIGINS,
    WS_TABLE_URLS,
    WS_TABLE_REFUSED,
    WS_TABLE_SHARDS,
    WS_TABLE_META,
    WS_N_TABLES
};
extern const char *const ws_images_table_names[WS_N_TABLES];

void ws_images_record_encode(const struct ws_image_record *record, uint8_t bytes[WS_RECORD_BYTES]);
struct ws_image_record ws_images_record_decode(const uint8_t bytes[WS_RECORD_BYTES]);

/** The key of a URL in `urls`; returns its length. */
size_t ws_images_url_key(const char *url, char key[WS_URL_KEY_BYTES]);

/** LMDB's code as ours, with what to do about a full map or disk. `what` says what was being done. */
enum ws_status ws_images_fail(struct ws_err *err, int rc, const char *dir, const char *what);

/** A store open for writing: one at a time, under the stage's lock. */
struct ws_images_db {
    char dir[WS_DIR_BYTES];
    MDB_env *env; /**< owned */
    MDB_txn *txn; /**< owned: the open write transaction, or NULL */
    MDB_dbi tables[WS_N_TABLES];
};

/** Open or create; `map_gib` bounds the map (address space, not disk). */
WS_MUST_USE enum ws_status ws_images_db_open(struct ws_images_db *db, const char *dir, double map_gib,
                                             struct ws_err *err);
/** Drops what is not committed. Safe on all-zero. */
void ws_images_db_close(struct ws_images_db *db);
/** Remove a store's files (not its lock, its manifest first), so that the next open makes an empty one. */
WS_MUST_USE enum ws_status ws_images_db_remove(const char *dir, struct ws_err *err);

WS_MUST_USE enum ws_status ws_images_db_begin(struct ws_images_db *db, struct ws_err *err);
/** Durable when it returns WS_OK; on failure the store is as before the begin. */
WS_MUST_USE enum ws_status ws_images_db_commit(struct ws_images_db *db, struct ws_err *err);

/** Value of a key, borrowed until the next write or the transaction's end. WS_DONE when absent. */
WS_MUST_USE enum ws_status ws_images_db_get(struct ws_images_db *db, enum ws_images_table table, struct ws_span key,
                                            struct ws_span *value, struct ws_err *err);
WS_MUST_USE enum ws_status ws_images_db_put(struct ws_images_db *db, enum ws_images_table table, struct ws_span key,
                                            struct ws_span value, struct ws_err *err);
/** Absent is fine. */
WS_MUST_USE enum ws_status ws_images_db_delete(struct ws_images_db *db, enum ws_images_table table, struct ws_span key,
                                               struct ws_err *err);

/** Visits one row; WS_DONE ends the walk well, any other status but WS_OK ends it with that. */
typedef enum ws_status ws_images_visit_fn(void *argument, struct ws_span key, struct ws_span value, struct ws_err *err);
/** Walk a table in key order over the keys that begin with `prefix` (empty: all). The visitor must not write. */
WS_MUST_USE enum ws_status ws_images_db_each(struct ws_images_db *db, enum ws_images_table table, struct ws_span prefix,
                                             ws_images_visit_fn *visit, void *argument, struct ws_err *err);

/** Rows of a table. */
WS_MUST_USE enum ws_status ws_images_db_count(struct ws_images_db *db, enum ws_images_table table, int64_t *n,
                                              struct ws_err *err);

/** Add an image; checksum and version are filled in. */
WS_MUST_USE enum ws_status ws_images_db_put_image(struct ws_images_db *db, const struct ws_image_id *id,
                                                  struct ws_image_record record, const uint8_t *pixels,
                                                  struct ws_err *err);
/** Lower an image's label to `label` when that is smaller or the first one. */
WS_MUST_USE enum ws_status ws_images_db_label(struct ws_images_db *db, const struct ws_image_id *id, int label,
                                              struct ws_err *err);

static inline struct ws_span ws_span_of(const void *bytes, size_t len)
{
    return (struct ws_span){bytes, len};
}

#endif
