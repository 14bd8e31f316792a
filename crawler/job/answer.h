/** What an answer says, told once for all jobs: which kind it is, why it came to nothing, where it redirects. */
#ifndef WEBSTILL_CRAWLER_JOB_ANSWER_H
#define WEBSTILL_CRAWLER_JOB_ANSWER_H

#include "net/fetch.h"
#include "net/url.h"

enum ws_answer_kind {
    WS_ANSWER_WHOLE,    /**< status 200 */
    WS_ANSWER_REDIRECT, /**< status 301, 302, 303, 307, 308 */
    WS_ANSWER_BUSY,     /**< another try may help: the network, 429, 5xx */
    WS_ANSWER_BROKEN,   /**< the transfer failed for good */
    WS_ANSWER_OTHER,    /**< any other status, which no further try will change */
};

struct ws_answer {
    enum ws_answer_kind kind;
    enum ws_failure failure; /**< NONE when whole or a redirect */
    char detail[256];        /**< what curl or the guard said, or the status */
};

struct ws_answer ws_answer_read(const struct ws_response *response);

/** Where a redirect leads; false with the reason in `why` when it leads nowhere. */
bool ws_answer_target(const struct ws_response *response, struct ws_url *target, char *why, size_t size_bytes);

#endif
