/**
 * Transfers: libcurl's multi interface behind four calls (start, wait, next, release).
 *
 * A transfer is one request and one answer. Redirects are not followed here (each hop needs its own robots decision),
 * no cookies, credentials or proxies are used, TLS is verified, only http and https are spoken. The body is bounded
 * after content decoding; a longer one is cut. Every socket passes the address guard.
 *
 * Not thread-safe. Memory: at most `concurrency` bodies of `max_body_kib`.
 */
#ifndef WEBSTILL_CRAWLER_NET_FETCH_H
#define WEBSTILL_CRAWLER_NET_FETCH_H

#include "failure.h"
#include "guard.h"
#include "resolve.h"
#include "url.h"

#include "keys.h"
#include "webstill/base/buf.h"
#include "webstill/base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct ws_fetcher;

struct ws_request {
    struct ws_url url;
    const char *accept;       /**< borrowed until released: the Accept field */
    bool may_be_coded;        /**< ask for gzip; else "Accept-Encoding: identity" */
    size_t max_bytes;         /**< 0 = crawl.max_body_kib */
    bool is_beginning_enough; /**< read the beginning of a body that is announced as longer; else nothing of it */
};

/** An answer; spans are borrowed until ws_fetcher_release(). */
struct ws_response {
    const struct ws_request *request;
    void *owner;                             /**< what ws_fetcher_start() was given */
    struct ws_span request_head, head, body; /**< as sent; as received; chunked and content coding undone */
    int http_status;                         /**< 0 when nothing came */
    bool is_cut;             /**< the body is longer than max_bytes; `body` holds its beginning, or nothing */
    enum ws_failure failure; /**< of the transfer; NONE for any complete answer, whatever its status */
    char detail[256];        /**< what curl or the guard said */
    char ip_address[64];
    int64_t retry_after_s; /**< 0 = not asked */
    double seconds;
};

/** `conf` is borrowed until close. WS_E_CONFIG for bad `resolve` or `allow_addresses`, WS_E_MEMORY, WS_E_INTERNAL. */
WS_MUST_USE enum ws_status ws_fetcher_open(struct ws_fetcher **out, const struct ws_crawl_keys *conf,
                                           struct ws_err *err);
/** Aborts what is in flight. */
void ws_fetcher_close(struct ws_fetcher **fetcher);

/** Begin a transfer; the request is copied. There must be room: ws_fetcher_n_in_flight() < crawl.concurrency. */
WS_MUST_USE enum ws_status ws_fetcher_start(struct ws_fetcher *fetcher, const struct ws_request *request, void *owner,
                                            struct ws_err *err);
unsigned ws_fetcher_n_in_flight(const struct ws_fetcher *fetcher);

/** Move bytes; returns when something happened or after `timeout_ms`. */
WS_MUST_USE enum ws_status ws_fetcher_wait(struct ws_fetcher *fetcher, int timeout_ms, struct ws_err *err);

/** The next finished transfer, or NULL. Release it before asking for another. */
const struct ws_response *ws_fetcher_next(struct ws_fetcher *fetcher);
void ws_fetcher_release(struct ws_fetcher *fetcher, const struct ws_response *response);

/** "libcurl/7.88.1 …" for --version and warcinfo; static. */
const char *ws_fetcher_library(void);

#endif
