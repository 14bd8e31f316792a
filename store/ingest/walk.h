/** From WARC records to the image store: read, decode in the sandbox, commit batch by batch with the position read to.
 */
#ifndef WEBSTILL_STORE_INGEST_WALK_H
#define WEBSTILL_STORE_INGEST_WALK_H

#include "images/format.h"
#include "webstill/picture/keys.h"

#include "webstill/base/err.h"
#include "webstill/stage/config.h"

#include <stdint.h>

/** A WARC file to read. */
struct ws_ingest_input {
    char *name; /**< owned: its key in the store's books, relative to the working directory */
    char *path; /**< owned: how to open it */
    char sha256[WS_DIGEST_HEX];
    int64_t n_records; /**< for the progress line; 0 = unknown */
};

/** What was read of one WARC file; the value of `shards` as JSON. */
struct ws_ingest_shard {
    char sha256[WS_DIGEST_HEX];
    uint64_t bytes;        /**< where to go on; 0 with records > 0: from the beginning, stepping over as many records */
    int64_t records;       /**< good ones read */
    int64_t damaged;       /**< stepped over */
    int64_t images;        /**< answers (200) and revisits whose body is a picture, stored or refused */
    int64_t duplicates;    /**< of these: body already stored */
    int64_t refused_again; /**< of these: body already refused */
    bool is_done;
};

struct ws_ingest_setup {
    struct ws_tables *db;           /**< borrowed: open */
    const struct ws_config *config; /**< borrowed */
    const char *crash_dir;          /**< borrowed: where bodies that ended a decoder are kept */
    int64_t limit;                  /**< stop when the store holds so many images; 0 = none */
};

/**
 * Bring the store up to date with the inputs; those that are done are not opened. `*limited` tells that the limit ended
 * it. Returns WS_E_FORMAT for a file without one good record, WS_E_IO (disk or map full: what is committed stays),
 * WS_E_STOPPED, WS_E_MEMORY. Logs damaged records and draws progress.
 */
WS_MUST_USE enum ws_status ws_ingest_run(const struct ws_ingest_setup *setup, const struct ws_ingest_input *inputs,
                                         size_t n_inputs, bool *limited, struct ws_err *err);

/** What the books say about a file: all-zero when nothing. Needs an open transaction. */
WS_MUST_USE enum ws_status ws_ingest_shard_read(struct ws_tables *db, const char *name, struct ws_ingest_shard *shard,
                                                struct ws_err *err);

#endif
