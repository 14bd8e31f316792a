/** The loop of a crawl: whose turn it is, what to ask for, what came, and when to commit. */
#ifndef WEBSTILL_CRAWLER_TURN_LOOP_H
#define WEBSTILL_CRAWLER_TURN_LOOP_H

#include "turns.h"

/**
 * Crawl until nothing is left to do, or the limit is reached. WS_E_STOPPED when a signal came; what was done is kept.
 *
 * @table  the jobs: all that the loop knows of them
 * @crawl  what they are called with
 */
WS_MUST_USE enum ws_status ws_loop_run(struct ws_turns *turns, const struct ws_errand_table *table,
                                       struct ws_crawl *crawl, struct ws_err *err);

#endif
