/** What the frontier's files share: its tables. */
#ifndef WEBSTILL_CRAWLER_BOOKS_FRONTIER_INT_H
#define WEBSTILL_CRAWLER_BOOKS_FRONTIER_INT_H

#include "frontier.h"

#include "webstill/table/pack.h"
#include "webstill/table/tables.h"

enum ws_frontier_table {
    WS_FRONTIER_META,
    WS_FRONTIER_URLS,
    WS_FRONTIER_FINDS,
    WS_FRONTIER_QUEUE,
    WS_FRONTIER_FLIGHT,
    WS_FRONTIER_TASKS,
    WS_FRONTIER_WALK,
    WS_FRONTIER_SEEN,
    WS_FRONTIER_ROBOTS,
    WS_FRONTIER_BODIES,
    WS_FRONTIER_N_TABLES,
};

struct ws_frontier {
    struct ws_tables *tables; /**< owned: its transaction, the open batch, is there but while closing */
    uint64_t next_seq;
    struct ws_buf scratch; /**< owned: values under construction */
};

enum ws_status ws_frontier_damaged(struct ws_frontier *f, const char *what, struct ws_err *err);

#endif
