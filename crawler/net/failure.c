#include "failure.h"

#include "webstill/base/err.h"

const char *ws_failure_name(enum ws_failure failure)
{
    static const char *const names[WS_N_FAILURES] = {
        [WS_FAILURE_NONE] = "none",
        [WS_FAILURE_DNS] = "dns",
        [WS_FAILURE_CONNECT] = "connect",
        [WS_FAILURE_TLS] = "tls",
        [WS_FAILURE_TIMEOUT] = "timeout",
        [WS_FAILURE_BROKEN] = "broken",
        [WS_FAILURE_ADDRESS] = "address",
        [WS_FAILURE_4XX] = "4xx",
        [WS_FAILURE_5XX] = "5xx",
        [WS_FAILURE_STATUS] = "status",
        [WS_FAILURE_OVERSIZED] = "oversized",
        [WS_FAILURE_REDIRECT] = "redirect",
        [WS_FAILURE_CODING] = "coding",
        [WS_FAILURE_ANSWER] = "answer",
    };
    ws_assert((unsigned)failure < WS_N_FAILURES);
    return names[failure];
}

bool ws_failure_is_transient(enum ws_failure failure)
{
    switch (failure) {
    case WS_FAILURE_DNS:
    case WS_FAILURE_CONNECT:
    case WS_FAILURE_TLS:
    case WS_FAILURE_TIMEOUT:
    case WS_FAILURE_BROKEN:
    case WS_FAILURE_5XX:
        return true;
    default:
        return false;
    }
}

bool ws_failure_is_silence(enum ws_failure failure)
{
    return failure == WS_FAILURE_DNS || failure == WS_FAILURE_CONNECT || failure == WS_FAILURE_TLS ||
           failure == WS_FAILURE_TIMEOUT;
}
