/**
 * Turns: what is queued for whom, when a host may be asked next, and what is under way.
 *
 * The queues themselves are the frontier's; here is their pace. A turn is a host's place in the heap (hosts.h); the
 * loop (loop.h) takes them in order.
 */
#ifndef WEBSTILL_CRAWLER_TURN_TURNS_H
#define WEBSTILL_CRAWLER_TURN_TURNS_H

#include "books/books.h"
#include "errand.h"
#include "hosts.h"

#include "keys.h"

enum { WS_TURNS_MAX_RETRY_AFTER_S = 600 /**< a server that asks for more is left alone for this run */ };

/** All-zero is valid and closed. */
struct ws_turns {
    const struct ws_config *config;   /**< borrowed */
    const struct ws_crawl_keys *conf; /**< borrowed: section `crawl` */
    struct ws_books *books;           /**< borrowed */
    int64_t limit;                    /**< pictures to keep in all; 0 = no limit */
    struct ws_fetcher *fetcher;       /**< owned */
    struct ws_hosts hosts;            /**< owned */
    struct ws_errand *errands;        /**< owned: one for each transfer that may be in flight */
    int64_t n_limited_in_flight;
};

/** `config` and `books` are borrowed until close. WS_E_CONFIG, WS_E_MEMORY, WS_E_INTERNAL as ws_fetcher_open(). */
WS_MUST_USE enum ws_status ws_turns_open(struct ws_turns *turns, const struct ws_config *config, struct ws_books *books,
                                         int64_t limit, struct ws_err *err);
/** Aborts what is under way. */
void ws_turns_close(struct ws_turns *turns);

/* --- queues --- */

/** Unix time in milliseconds. */
int64_t ws_turns_now_ms(void);
/** When something that is due at `due_ms` (Unix time; 0 = at once) may be asked for, in monotonic seconds. */
double ws_turns_due_s(int64_t due_ms);
/** Something was queued for this origin, to be asked for no earlier than `due_ms`: see that its turn comes. */
WS_MUST_USE enum ws_status ws_turns_wake(struct ws_turns *turns, const char *origin, int64_t due_ms,
                                         struct ws_err *err);
/** Give every origin with a queue its turn. */
WS_MUST_USE enum ws_status ws_turns_wake_all(struct ws_turns *turns, struct ws_err *err);
/** Queue an item at the origin of `url` and wake it. */
WS_MUST_USE enum ws_status ws_turns_queue(struct ws_turns *turns, const struct ws_url *url, enum ws_item_kind kind,
                                          const struct ws_image_id *id, int64_t due_ms, struct ws_err *err);

/* --- transfers --- */

/** Start a transfer for an errand, which is copied. */
WS_MUST_USE enum ws_status ws_turns_start(struct ws_turns *turns, const struct ws_errand *errand,
                                          const struct ws_request *request, struct ws_err *err);
/** Its answer has come, or has not: tally it, and heed what that says about the host as a whole. */
WS_MUST_USE enum ws_status ws_turns_heed(struct ws_turns *turns, struct ws_errand *errand,
                                         const struct ws_response *response, struct ws_err *err);
/** True when no further picture may be asked for. */
bool ws_turns_has_reached_limit(const struct ws_turns *turns);

/* --- trying again, or not --- */

/** The Unix time of the next try after `n_tries` failed ones: doubling waits with jitter, or what the server asked for.
 */
int64_t ws_turns_retry_ms(const struct ws_turns *turns, const struct ws_image_id *id, unsigned n_tries,
                          int64_t retry_after_s);
/**
 * Another try after `*n_tries` failed ones, this one counted? Then `*due_ms` is its time. A host that is parked keeps
 * its queue for another run, which counts from 0.
 */
bool ws_turns_may_retry(const struct ws_turns *turns, const struct ws_host *host, const struct ws_image_id *id,
                        uint32_t *n_tries, int64_t retry_after_s, int64_t *due_ms);
/** Stop asking a host for the rest of the run. */
WS_MUST_USE enum ws_status ws_turns_park(struct ws_turns *turns, struct ws_host *host, enum ws_failure failure,
                                         bool is_forbidden, const char *reason, struct ws_err *err);

#endif
