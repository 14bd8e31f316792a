/** What the frontier's files share: the environment, and LMDB with our errors. */
#ifndef WEBSTILL_CRAWLER_BOOKS_FRONTIER_INT_H
#define WEBSTILL_CRAWLER_BOOKS_FRONTIER_INT_H

#include "frontier.h"

#include <lmdb.h>

enum ws_table {
    WS_TABLE_META,
    WS_TABLE_URLS,
    WS_TABLE_FINDS,
    WS_TABLE_QUEUE,
    WS_TABLE_FLIGHT,
    WS_TABLE_TASKS,
    WS_TABLE_WALK,
    WS_TABLE_SEEN,
    WS_TABLE_ROBOTS,
    WS_TABLE_BODIES,
    WS_N_TABLES,
};

struct ws_frontier {
    char dir[4096];
    MDB_env *env; /**< owned */
    MDB_txn *txn; /**< owned: the open batch; NULL only while closing */
    MDB_dbi tables[WS_N_TABLES];
    uint64_t next_seq;
    struct ws_buf scratch; /**< owned: values under construction */
};

/** Get; the value is borrowed until the next write. WS_DONE when there is none. */
WS_MUST_USE enum ws_status ws_table_get(struct ws_frontier *f, enum ws_table table, struct ws_span key,
                                        struct ws_span *value, struct ws_err *err);
WS_MUST_USE enum ws_status ws_table_put(struct ws_frontier *f, enum ws_table table, struct ws_span key,
                                        struct ws_span value, struct ws_err *err);
/** Put unless the key is there: then WS_DONE. */
WS_MUST_USE enum ws_status ws_table_add(struct ws_frontier *f, enum ws_table table, struct ws_span key,
                                        struct ws_span value, struct ws_err *err);
/** WS_DONE when there was nothing to delete. */
WS_MUST_USE enum ws_status ws_table_delete(struct ws_frontier *f, enum ws_table table, struct ws_span key,
                                           struct ws_err *err);
/** The first key >= `from` (or > it when `is_behind`) and its value, borrowed until the next write; else WS_DONE. */
WS_MUST_USE enum ws_status ws_table_seek(struct ws_frontier *f, enum ws_table table, struct ws_span from,
                                         bool is_behind, struct ws_span *key, struct ws_span *value,
                                         struct ws_err *err);

/** Values made of fixed little-endian numbers and NUL-terminated texts. Writers append to f->scratch. */
struct ws_pack {
    struct ws_buf *buf;
    bool is_ok;
};
void ws_pack_u64(struct ws_pack *pack, uint64_t value);
void ws_pack_text(struct ws_pack *pack, const char *text);

struct ws_unpack {
    struct ws_span rest;
    bool is_ok;
};
uint64_t ws_unpack_u64(struct ws_unpack *unpack);
void ws_unpack_text(struct ws_unpack *unpack, char *text, size_t size_bytes);

enum ws_status ws_frontier_damaged(struct ws_frontier *f, const char *what, struct ws_err *err);

void ws_put_be64(uint8_t *bytes, uint64_t value);
uint64_t ws_get_be64(const uint8_t *bytes);

#endif
