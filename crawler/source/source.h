/**
 * Kinds of places to look for pictures. A new kind is one file source_<kind>.c and one line in table.c's table.
 */
#ifndef WEBSTILL_CRAWLER_SOURCE_SOURCE_H
#define WEBSTILL_CRAWLER_SOURCE_SOURCE_H

#include "job/search.h"

struct ws_source_ops {
    enum ws_source_kind kind;
    const char *name;
    const char *accept; /**< the Accept field of its requests */
    bool is_api;        /**< an interface for programs that the user named: its rules are the API's, not robots.txt's
                             Disallow, which is written for crawlers (Crawl-delay still holds) */
    bool has_groups;    /**< tasks that begin on one host run one after another */

    /** One task for each class and query, or one for all? */
    bool (*is_per_query)(const struct ws_source_keys *source);
    /** Set the first request of a fresh cursor. WS_E_CONFIG when the source's URL is none. */
    enum ws_status (*begin)(struct ws_crawl *crawl, const struct ws_task *task, struct ws_cursor *cursor,
                            struct ws_err *err);
    /** May a finished task go on under the present configuration? Then make the cursor ready for it. */
    bool (*reopen)(const struct ws_crawl *crawl, struct ws_cursor *cursor);
    /** May a redirect lead there? */
    bool (*may_follow)(const struct ws_cursor *cursor, const struct ws_url *from, const struct ws_url *to);
    /**
     * Read a complete answer with status 200: admit its pictures, set the next request or `is_done`. WS_E_FORMAT with a
     * message when it cannot be read (the task then goes on by skip()).
     */
    enum ws_status (*read)(struct ws_crawl *crawl, const struct ws_task *task, struct ws_cursor *cursor,
                           const struct ws_response *response, struct ws_err *err);
    /** The request has failed for good: set the next one, or `is_done` with `failure`. */
    enum ws_status (*skip)(struct ws_crawl *crawl, const struct ws_task *task, struct ws_cursor *cursor,
                           const char *reason, struct ws_err *err);
};

extern const struct ws_source_ops ws_source_mediawiki;
extern const struct ws_source_ops ws_source_pages;

/** The operations of a kind; every kind that the configuration knows has them. */
const struct ws_source_ops *ws_source_find(enum ws_source_kind kind);

#endif
