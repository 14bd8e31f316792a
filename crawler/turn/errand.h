/**
 * Errands: a transfer, and what it is for.
 *
 * The turns and the loop know no more of a kind of errand than its row: how to start one for what stands in a host's
 * queue, and what to make of its answer. The rows are the jobs (job/); who runs the loop hands them in.
 */
#ifndef WEBSTILL_CRAWLER_TURN_ERRAND_H
#define WEBSTILL_CRAWLER_TURN_ERRAND_H

#include "books/frontier.h"
#include "hosts.h"
#include "net/fetch.h"
#include "net/robots.h"

struct ws_crawl; /* what the jobs share (job/crawl.h): handed through, never looked into */
struct ws_errand;

struct ws_errand_ops {
    /** Each that is under way counts against the limit of pictures, as one that may be kept. */
    bool is_limited;
    /**
     * Start the transfer that `item`, taken from the host's queue, asks for; or conclude at once (`*is_started` is then
     * false). To open a host is an errand without an item: it leaves the host open, asking or parked.
     */
    enum ws_status (*start)(struct ws_crawl *crawl, struct ws_host *host, const struct ws_item *item, bool *is_started,
                            struct ws_err *err);
    /** An answer has come, or has not. */
    enum ws_status (*conclude)(struct ws_crawl *crawl, const struct ws_errand *errand,
                               const struct ws_response *response, struct ws_err *err);
};

/** The jobs, by what they are called for. */
struct ws_errand_table {
    const struct ws_errand_ops *open_host;
    const struct ws_errand_ops *serve[WS_N_ITEM_KINDS]; /**< by enum ws_item_kind */
};

/** A transfer in flight and what it is for. */
struct ws_errand {
    const struct ws_errand_ops *ops;
    bool is_busy;
    struct ws_host *host; /**< borrowed: whose queue the item came from */
    struct ws_item item;
    struct ws_permission permission;
};

#endif
