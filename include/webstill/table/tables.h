/**
 * Named tables of sorted keys in one folder: LMDB, wrapped once.
 *
 * A folder holds one environment (data.mdb, lock.mdb) with some named tables; keys sort bytewise. What is written
 * between two commits is one transaction: after kill -9 all of it is there or none.
 *
 * Whoever opens one says what it is (struct ws_tables_kind): messages begin with its noun and its folder, and it alone
 * knows what to do about a full map or damage. Tier 3 throughout: WS_E_IO (disk, a full map), WS_E_MEMORY, WS_E_DAMAGED
 * (LMDB's own checks), WS_E_INTERNAL (a call LMDB does not take). A getter returns WS_DONE when there is nothing.
 *
 * Damage ends the process: LMDB asserts over a page that breaks its format and lets nobody return from that, so an
 * assertion of an environment opened here prints what is damaged and ends the process with the exit code of
 * WS_E_DAMAGED.
 *
 * Threads: one at a time. Open a folder at most once per process (LMDB's locks belong to the process); do not use it
 * across fork().
 */
#ifndef WEBSTILL_TABLE_TABLES_H
#define WEBSTILL_TABLE_TABLES_H

#include "webstill/base/buf.h"
#include "webstill/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WS_TABLES_MAX = 16, WS_TABLES_DIR_BYTES = 3800 };

/** What a user can do something about. */
enum ws_tables_trouble {
    WS_TABLES_DISK_FULL,
    WS_TABLES_MAP_FULL,
    WS_TABLES_NO_MEMORY,
    WS_TABLES_DAMAGED,
};

/** What is kept in the tables; static, as an opened environment points to it. */
struct ws_tables_kind {
    const char *noun;         /**< "store": begins each message */
    const char *const *names; /**< of the tables; their order numbers them */
    int n_tables;             /**< at most WS_TABLES_MAX */
    bool is_scattered;        /**< reads jump about in a file larger than memory: do not read ahead */
    /** Set the hint of a trouble, if there is one. */
    void (*advise)(struct ws_err *err, enum ws_tables_trouble trouble, const char *dir);
};

struct ws_tables;

/**
 * Open for writing, or make, the folder and its tables; the transaction that made them is open. One writer at a time,
 * under its stage's lock. `map_bytes` bounds the file: address space, not disk.
 */
WS_MUST_USE enum ws_status ws_tables_open(struct ws_tables **out, const struct ws_tables_kind *kind, const char *dir,
                                          size_t map_bytes, struct ws_err *err);
/**
 * Open for reading, as it is at this moment: a writer beside it changes nothing here, and values stay until close. In a
 * folder that cannot be written, where no writer can be, LMDB's lock file is done without.
 */
WS_MUST_USE enum ws_status ws_tables_open_snapshot(struct ws_tables **out, const struct ws_tables_kind *kind,
                                                   const char *dir, struct ws_err *err);
/** Forgets what was not committed. NULL is fine. */
void ws_tables_close(struct ws_tables **tables);

const char *ws_tables_dir(const struct ws_tables *tables);

/** Begin a transaction; none is open. */
WS_MUST_USE enum ws_status ws_tables_begin(struct ws_tables *tables, struct ws_err *err);
/** Durable when it returns WS_OK; on failure everything is as before the begin. No transaction is open behind it. */
WS_MUST_USE enum ws_status ws_tables_commit(struct ws_tables *tables, struct ws_err *err);

/** The value of a key, borrowed until the next write or the transaction's end. WS_DONE when there is none. */
WS_MUST_USE enum ws_status ws_tables_get(const struct ws_tables *tables, int table, struct ws_span key,
                                         struct ws_span *value, struct ws_err *err);
WS_MUST_USE enum ws_status ws_tables_put(struct ws_tables *tables, int table, struct ws_span key, struct ws_span value,
                                         struct ws_err *err);
/** Put a value of `len` bytes that the caller writes to *value before the next call. */
WS_MUST_USE enum ws_status ws_tables_reserve(struct ws_tables *tables, int table, struct ws_span key, size_t len,
                                             uint8_t **value, struct ws_err *err);
/** Put unless the key is there: then WS_DONE. */
WS_MUST_USE enum ws_status ws_tables_add(struct ws_tables *tables, int table, struct ws_span key, struct ws_span value,
                                         struct ws_err *err);
/** WS_DONE when there was nothing to delete. */
WS_MUST_USE enum ws_status ws_tables_delete(struct ws_tables *tables, int table, struct ws_span key,
                                            struct ws_err *err);

/** The first key >= `from` (or > it when `is_behind`) and its value, borrowed until the next write; else WS_DONE. */
WS_MUST_USE enum ws_status ws_tables_seek(const struct ws_tables *tables, int table, struct ws_span from,
                                          bool is_behind, struct ws_span *key, struct ws_span *value,
                                          struct ws_err *err);

/** Visits one row; WS_DONE ends the walk well, any other status but WS_OK ends it with that. */
typedef enum ws_status ws_tables_visit_fn(void *argument, struct ws_span key, struct ws_span value, struct ws_err *err);
/** Walk a table in key order over the keys that begin with `prefix` (empty: all). The visitor must not write. */
WS_MUST_USE enum ws_status ws_tables_each(const struct ws_tables *tables, int table, struct ws_span prefix,
                                          ws_tables_visit_fn *visit, void *argument, struct ws_err *err);

/** Rows of a table. */
WS_MUST_USE enum ws_status ws_tables_count(const struct ws_tables *tables, int table, int64_t *n, struct ws_err *err);

/**
 * From here on to ws_tables_unguard() a memory fault (SIGSEGV, SIGBUS) of this thread ends the process as an assertion
 * of LMDB does: a damaged page may point out of the file, and LMDB follows it. Around reading every page of `dir`, a
 * text that lives until then. Installs process-wide signal handlers and puts back those that were there; faults of
 * other threads meanwhile are fatal as without. Not nested.
 */
void ws_tables_guard(const char *dir);
void ws_tables_unguard(void);

/** What stands in an environment of anybody's. */
struct ws_tables_facts {
    size_t used_bytes, map_bytes, transaction;
    int n_tables; /**< of those listed */
    struct ws_table_facts {
        char name[128];
        size_t n_rows;
        unsigned depth;
    } tables[64];
};
/** Look into a folder's environment. WS_E_IO when it cannot be read, else WS_E_DAMAGED. */
WS_MUST_USE enum ws_status ws_tables_look(const char *dir, struct ws_tables_facts *facts, struct ws_err *err);

/** "0.9.24": LMDB's version. */
const char *ws_tables_library(char text[32]);

#endif
