/**
 * Tasks: one search or one page walk each, a chain of requests of which one is under way at any time.
 *
 * What a task has admitted depends on the answers alone, never on timing: its requests follow one another, and walks
 * that begin on the same host form a group that runs one after another, in order of sources, classes and queries.
 */
#ifndef WEBSTILL_CRAWLER_JOB_SEARCH_H
#define WEBSTILL_CRAWLER_JOB_SEARCH_H

#include "turn/crawl.h"

struct ws_task {
    struct ws_image_id id;
    const struct ws_source_ops *ops;
    const struct ws_source_keys *source; /**< borrowed */
    const char *source_name;             /**< borrowed, or owned when `is_name_owned` */
    bool is_name_owned;
    const char *class_name, *query; /**< borrowed; NULL for a seed without {query} */
    bool has_group;
    struct ws_image_id group;
};

/** Where a task stands; kept in the frontier as JSON. */
struct ws_cursor {
    char url[WS_URL_MAX];          /**< the request under way or to come; empty when there is none */
    uint32_t n_tries, n_hops;      /**< of that request */
    uint32_t n_requests;           /**< answered */
    uint32_t n_found;              /**< pictures taken */
    uint32_t n_before;             /**< of these, before the answer that `limit` cut */
    uint32_t limit;                /**< crawl.per_query_max when it stopped there, else 0 */
    uint32_t page, depth;          /**< walks: number and depth of the page under way */
    uint32_t n_pages;              /**< walks: pages known */
    uint32_t max_pages, max_depth; /**< walks: crawl.max_pages and max_depth at its start */
    uint32_t classes;              /**< walks that ask by no query: hash of the classes that it tells apart */
    uint32_t n_unsupported;        /**< pictures in formats that the store cannot decode */
    uint32_t n_skipped;            /**< pages of a walk that could not be had */
    uint32_t n_opted_out;          /**< pages that say their pictures must not be used */
    bool is_queued, is_done;
    char failure[256]; /**< why it is done before its end, or empty */
    int64_t wait_s;    /**< not kept: the answer asks to repeat the request after so long */
};

/** Make crawl->tasks from the configuration. */
WS_MUST_USE enum ws_status ws_tasks_make(struct ws_crawl *crawl, struct ws_err *err);
/** Begin what is new, take up what has more to do under this configuration, queue what may run. */
WS_MUST_USE enum ws_status ws_tasks_begin(struct ws_crawl *crawl, struct ws_err *err);
void ws_tasks_fini(struct ws_crawl *crawl);

/** WS_DONE when the task has none yet. */
WS_MUST_USE enum ws_status ws_cursor_load(struct ws_frontier *frontier, const struct ws_image_id *id,
                                          struct ws_cursor *cursor, struct ws_err *err);
WS_MUST_USE enum ws_status ws_cursor_save(struct ws_frontier *frontier, const struct ws_image_id *id,
                                          const struct ws_cursor *cursor, struct ws_err *err);

/** Start the task's request, or conclude it at once when robots.txt forbids it. */
WS_MUST_USE enum ws_status ws_task_start(struct ws_crawl *crawl, struct ws_host *host, const struct ws_item *item,
                                         bool *is_started, struct ws_err *err);
WS_MUST_USE enum ws_status ws_task_conclude(struct ws_crawl *crawl, struct ws_job *job,
                                            const struct ws_response *response, struct ws_err *err);

#endif
