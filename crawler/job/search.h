/** Searches and walks: what to ask for next, and what to make of the answer; what it holds is its source's to say. */
#ifndef WEBSTILL_CRAWLER_JOB_SEARCH_H
#define WEBSTILL_CRAWLER_JOB_SEARCH_H

#include "books/failures.h"
#include "books/outcome.h"
#include "crawl.h"

extern const struct ws_errand_ops ws_search_errand;

/** Begin what is new on the agenda, take up what has more to do under this configuration, queue what may run. */
WS_MUST_USE enum ws_status ws_search_begin_all(struct ws_crawl *crawl, struct ws_err *err);
/** Add what the searches have come to. */
WS_MUST_USE enum ws_status ws_search_count(struct ws_crawl *crawl, struct ws_outcome *outcome, struct ws_err *err);
/** Write a line for each search that broke off. */
WS_MUST_USE enum ws_status ws_search_write_failures(struct ws_crawl *crawl, struct ws_failures *failures,
                                                    struct ws_err *err);

#endif
