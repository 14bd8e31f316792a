/** The books of a crawl: what is on disk (frontier, archive), and what this run adds to it in memory. */
#ifndef WEBSTILL_CRAWLER_BOOKS_BOOKS_H
#define WEBSTILL_CRAWLER_BOOKS_BOOKS_H

#include "archive.h"
#include "frontier.h"
#include "parked.h"

/** What the run has seen so far; the frontier itself is counted at the end (outcome.h). */
struct ws_tally {
    int64_t n_images; /**< kept, in all runs */
    int64_t n_known;  /**< picture URLs that are not redirects */
    int64_t n_failed;
    int64_t n_answers;               /**< HTTP answers of any kind, in this run */
    int64_t n_silences;              /**< transfers without any, in this run */
    int64_t n_lost;                  /**< of these, of hosts that have answered before */
    char silent_host[WS_ORIGIN_MAX]; /**< first host that did not answer, and what curl said */
    char silent_detail[256];
};

/** All-zero is valid and closed. */
struct ws_books {
    struct ws_frontier *frontier; /**< owned */
    struct ws_archive archive;    /**< owned */
    struct ws_parked parked;      /**< owned */
    struct ws_tally tally;
};

/** Open the frontier in `frontier_dir` and the archive in `dir`, where the frontier's last commit stands. */
WS_MUST_USE enum ws_status ws_books_open(struct ws_books *books, const char *dir, const char *frontier_dir,
                                         const struct ws_crawl_keys *conf, struct ws_err *err);
/** Make everything since the last commit durable: the archive first, so that the books never promise too much. */
WS_MUST_USE enum ws_status ws_books_commit(struct ws_books *books, struct ws_err *err);
/** Forgets what was not committed. */
void ws_books_close(struct ws_books *books);

#endif
