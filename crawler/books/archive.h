/**
 * The crawl's WARC records.
 *
 * For each answer that ends a request's story: `response` (or `revisit` when the same bytes came from another URL
 * before) and `request`. For each way a picture was found: a `metadata` record (application/json) with the picture's
 * URL as target, concurrent to its response.
 */
#ifndef WEBSTILL_CRAWLER_BOOKS_ARCHIVE_H
#define WEBSTILL_CRAWLER_BOOKS_ARCHIVE_H

#include "frontier.h"
#include "net/fetch.h"

#include "keys.h"
#include "webstill/warc/file.h"

#include <stdbool.h>

struct ws_archive {
    struct ws_warc_writer *writer; /**< owned */
    char dir[4096];
    struct ws_buf head; /**< owned: scratch */
    bool is_empty;      /**< the open shard holds no record but its warcinfo */
};

/** Continue where the frontier's books end; what lies behind in the files is cut off. */
WS_MUST_USE enum ws_status ws_archive_open(struct ws_archive *archive, const char *dir,
                                           const struct ws_crawl_keys *conf, struct ws_frontier *frontier,
                                           struct ws_err *err);
/** Sync the files, then commit the frontier with their position: in this order, so that the books never promise too
 * much. */
WS_MUST_USE enum ws_status ws_archive_commit(struct ws_archive *archive, struct ws_frontier *frontier,
                                             struct ws_err *err);
/** Give the open shard its final name, then commit. */
WS_MUST_USE enum ws_status ws_archive_finish(struct ws_archive *archive, struct ws_frontier *frontier,
                                             struct ws_err *err);
void ws_archive_close(struct ws_archive *archive);

/** Write response and request; `record` receives the response's WARC-Record-ID. */
WS_MUST_USE enum ws_status ws_archive_response(struct ws_archive *archive, const struct ws_response *response,
                                               char record[64], struct ws_err *err);
/**
 * Write a picture's answer: a response the first time these bytes come, a revisit for another URL with the same
 * (`*is_duplicate`).
 */
WS_MUST_USE enum ws_status ws_archive_picture(struct ws_archive *archive, struct ws_frontier *frontier,
                                              const struct ws_response *response, char record[64], bool *is_duplicate,
                                              struct ws_err *err);
/** Write a metadata record about `url`, concurrent to `record`. */
WS_MUST_USE enum ws_status ws_archive_metadata(struct ws_archive *archive, const char *url, const char *record,
                                               const char *json, struct ws_err *err);

#endif
