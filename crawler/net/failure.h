/** Why a URL was not kept: one short name per reason, the same in messages, failures.jsonl and the manifest's counts.
 */
#ifndef WEBSTILL_CRAWLER_NET_FAILURE_H
#define WEBSTILL_CRAWLER_NET_FAILURE_H

#include <stdbool.h>

/** Stored in the frontier: new values go to the end. */
enum ws_failure {
    WS_FAILURE_NONE,
    WS_FAILURE_DNS,     /**< the name has no address, or nobody answered for it */
    WS_FAILURE_CONNECT, /**< refused, unreachable */
    WS_FAILURE_TLS,     /**< no secure connection, or a certificate that does not hold */
    WS_FAILURE_TIMEOUT, /**< connect, whole transfer, or slower than the least speed */
    WS_FAILURE_BROKEN,  /**< connection lost, body shorter than announced, not HTTP */
    WS_FAILURE_ADDRESS, /**< the address guard refused */
    WS_FAILURE_4XX,
    WS_FAILURE_5XX,       /**< and 429: come back later */
    WS_FAILURE_STATUS,    /**< any other status that is no picture */
    WS_FAILURE_OVERSIZED, /**< body over crawl.max_body_kib */
    WS_FAILURE_REDIRECT,  /**< too many, a loop, or a target that is no URL */
    WS_FAILURE_CODING,    /**< content coding that cannot be undone */
    WS_FAILURE_ANSWER,    /**< an API answer or page that cannot be read */
    WS_N_FAILURES,
};

/** "dns", "connect", …; "none" for WS_FAILURE_NONE. */
const char *ws_failure_name(enum ws_failure failure);

/** True when another try may help: the network and servers that are busy. */
bool ws_failure_is_transient(enum ws_failure failure);

/** True when the server itself was never heard. */
bool ws_failure_is_silence(enum ws_failure failure);

#endif
