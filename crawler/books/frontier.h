/**
 * What a crawl knows, on disk: an LMDB environment in crawl/frontier/.
 *
 *   meta        text -> text                            format, WARC position, digests of finished shards
 *   urls        key of the URL -> entry                 every picture's URL and what became of it
 *   finds       key of the URL, hash -> flag, JSON      where a picture was found (page, alt, query, class, …)
 *   queue       origin NUL due seq -> item              what a host still has to be asked for, soonest first
 *   flight      as queue                                what was taken and has not come back
 *   tasks       task id -> JSON                         one search or page walk: its cursor
 *   walk        task id, number -> depth, URL           the pages of a walk in order of discovery
 *   seen        group, key of the URL -> nothing        pages that a walk of the group knows
 *   robots      origin -> head, text                    robots.txt cache
 *   bodies      SHA-256 -> record id, URL, date         who had these bytes first
 *
 * Integers in keys are big-endian, so that byte order is number order. Everything between two commits is one LMDB
 * transaction, and the WARC position is in it: after kill -9 the frontier, and the archive cut to the committed length,
 * tell the same story; what was in flight goes back into its queue.
 *
 * Tier 3 throughout: WS_E_IO (disk), WS_E_MEMORY, WS_E_DAMAGED (the environment fails LMDB's or our checks). A getter
 * returns WS_DONE when there is nothing. Not thread-safe.
 */
#ifndef WEBSTILL_CRAWLER_BOOKS_FRONTIER_H
#define WEBSTILL_CRAWLER_BOOKS_FRONTIER_H

#include "net/failure.h"
#include "net/url.h"

#include "webstill/base/buf.h"
#include "webstill/base/err.h"
#include "webstill/base/hash.h"

#include <stdbool.h>
#include <stdint.h>

struct ws_frontier;

WS_MUST_USE enum ws_status ws_frontier_open(struct ws_frontier **out, const char *dir, struct ws_err *err);
/** Make everything since the last commit durable. */
WS_MUST_USE enum ws_status ws_frontier_commit(struct ws_frontier *frontier, struct ws_err *err);
/** Forgets what was not committed. */
void ws_frontier_close(struct ws_frontier **frontier);

/** A value of meta, appended to `out`. */
WS_MUST_USE enum ws_status ws_frontier_get_meta(struct ws_frontier *frontier, const char *key, struct ws_buf *out,
                                                struct ws_err *err);
WS_MUST_USE enum ws_status ws_frontier_put_meta(struct ws_frontier *frontier, const char *key, const char *value,
                                                struct ws_err *err);

/* --- pictures --- */

enum ws_entry_state {
    WS_ENTRY_QUEUED = 1,
    WS_ENTRY_DONE,
    WS_ENTRY_DUPLICATE,  /**< done, with bytes that another URL had before */
    WS_ENTRY_REDIRECTED, /**< `detail` is the next URL */
    WS_ENTRY_FAILED,
    WS_ENTRY_FORBIDDEN, /**< by robots.txt; `rule` and `line` tell */
    WS_ENTRY_OPTED_OUT, /**< by its answer's fields; `detail` tells */
    WS_N_ENTRY_STATES,
};

struct ws_url_entry {
    enum ws_entry_state state;
    enum ws_failure failure;
    uint32_t tries;
    int32_t http_status;
    uint64_t body_bytes;
    uint32_t robots_line;
    char url[WS_URL_MAX];
    char record[64];         /**< WARC-Record-ID of its response or revisit */
    char detail[WS_URL_MAX]; /**< message, or the redirect's target */
    char rule[256];          /**< of robots.txt, at the time it was asked for */
    char robots_sha256[WS_DIGEST_HEX];
    char robots_fetched[24];
};

WS_MUST_USE enum ws_status ws_frontier_get_url(struct ws_frontier *frontier, const struct ws_image_id *key,
                                               struct ws_url_entry *entry, struct ws_err *err);
WS_MUST_USE enum ws_status ws_frontier_put_url(struct ws_frontier *frontier, const struct ws_image_id *key,
                                               const struct ws_url_entry *entry, struct ws_err *err);
/** Step through all in key order: `key` is in and out; begin with all zero and `is_first`. */
WS_MUST_USE enum ws_status ws_frontier_next_url(struct ws_frontier *frontier, struct ws_image_id *key, bool is_first,
                                                struct ws_url_entry *entry, struct ws_err *err);

/** Where a picture was found. */
struct ws_find {
    struct ws_image_id hash; /**< of the JSON: the same find is kept once */
    bool is_written;         /**< its metadata record is in the archive */
    struct ws_buf json;      /**< owned by the caller; cleared by each get */
};
/** WS_DONE when the same find is there already. */
WS_MUST_USE enum ws_status ws_frontier_add_find(struct ws_frontier *frontier, const struct ws_image_id *url,
                                                const char *json, bool is_written, struct ws_err *err);
WS_MUST_USE enum ws_status ws_frontier_mark_find(struct ws_frontier *frontier, const struct ws_image_id *url,
                                                 const struct ws_find *find, struct ws_err *err);
/** The find behind `find->hash` (or the first), in hash order. */
WS_MUST_USE enum ws_status ws_frontier_next_find(struct ws_frontier *frontier, const struct ws_image_id *url,
                                                 bool is_first, struct ws_find *find, struct ws_err *err);

/* --- queues --- */

enum ws_item_kind { WS_ITEM_IMAGE = 1, WS_ITEM_TASK, WS_N_ITEM_KINDS };

struct ws_item {
    enum ws_item_kind kind;
    struct ws_image_id id; /**< key of a URL, or a task's id */
    int64_t due_ms;        /**< Unix time before which it must not be asked for; 0 = at once */
    uint64_t seq;          /**< order of arrival */
};
WS_MUST_USE enum ws_status ws_frontier_queue(struct ws_frontier *frontier, const char *origin, enum ws_item_kind kind,
                                             const struct ws_image_id *id, int64_t due_ms, struct ws_err *err);
/** The soonest item of an origin, which stays where it is. */
WS_MUST_USE enum ws_status ws_frontier_peek(struct ws_frontier *frontier, const char *origin, struct ws_item *item,
                                            struct ws_err *err);
/** Move an item from its queue to the flight, or out of the flight for good. */
WS_MUST_USE enum ws_status ws_frontier_take(struct ws_frontier *frontier, const char *origin,
                                            const struct ws_item *item, struct ws_err *err);
WS_MUST_USE enum ws_status ws_frontier_land(struct ws_frontier *frontier, const char *origin,
                                            const struct ws_item *item, struct ws_err *err);
/** Step through all queued items by origin: `origin` and `item` are in and out; begin with an empty origin. */
WS_MUST_USE enum ws_status ws_frontier_next_item(struct ws_frontier *frontier, char origin[WS_ORIGIN_MAX],
                                                 struct ws_item *item, struct ws_err *err);
/** The first origin behind `origin` that has a queue; begin with an empty one. */
WS_MUST_USE enum ws_status ws_frontier_next_origin(struct ws_frontier *frontier, char origin[WS_ORIGIN_MAX],
                                                   struct ws_err *err);

/* --- searches and walks --- */

/** Appended to `out`. */
WS_MUST_USE enum ws_status ws_frontier_get_task(struct ws_frontier *frontier, const struct ws_image_id *id,
                                                struct ws_buf *out, struct ws_err *err);
WS_MUST_USE enum ws_status ws_frontier_put_task(struct ws_frontier *frontier, const struct ws_image_id *id,
                                                const char *json, struct ws_err *err);

WS_MUST_USE enum ws_status ws_frontier_put_page(struct ws_frontier *frontier, const struct ws_image_id *task,
                                                uint32_t number, uint32_t depth, const char *url, struct ws_err *err);
WS_MUST_USE enum ws_status ws_frontier_get_page(struct ws_frontier *frontier, const struct ws_image_id *task,
                                                uint32_t number, uint32_t *depth, char url[WS_URL_MAX],
                                                struct ws_err *err);
/** Remember a page of a group; WS_DONE when it was known. */
WS_MUST_USE enum ws_status ws_frontier_see(struct ws_frontier *frontier, const struct ws_image_id *group,
                                           const struct ws_image_id *url, struct ws_err *err);
/** Forget the pages of a group. */
WS_MUST_USE enum ws_status ws_frontier_forget_seen(struct ws_frontier *frontier, const struct ws_image_id *group,
                                                   struct ws_err *err);

/* --- robots.txt and bodies --- */

struct ws_robots_entry {
    int64_t fetched_s;       /**< Unix time */
    int http_status;         /**< 200: `text` rules; else: no rules, everything allowed */
    struct ws_digest sha256; /**< of the text */
    struct ws_span text;     /**< get: borrowed from the map until the next write to the frontier */
};
WS_MUST_USE enum ws_status ws_frontier_get_robots(struct ws_frontier *frontier, const char *origin,
                                                  struct ws_robots_entry *entry, struct ws_err *err);
WS_MUST_USE enum ws_status ws_frontier_put_robots(struct ws_frontier *frontier, const char *origin,
                                                  const struct ws_robots_entry *entry, struct ws_err *err);

struct ws_body_entry {
    char record[64], date[24];
    char url[WS_URL_MAX];
};
WS_MUST_USE enum ws_status ws_frontier_get_body(struct ws_frontier *frontier, const struct ws_digest *digest,
                                                struct ws_body_entry *entry, struct ws_err *err);
WS_MUST_USE enum ws_status ws_frontier_put_body(struct ws_frontier *frontier, const struct ws_digest *digest,
                                                const struct ws_body_entry *entry, struct ws_err *err);

#endif
