#include "answer.h"

#include "net/head.h"

#include <stdio.h>

struct ws_answer ws_answer_read(const struct ws_response *response)
{
    struct ws_answer answer = {.failure = response->failure};
    const int status = response->http_status;
    if (response->failure != WS_FAILURE_NONE) {
        answer.kind = ws_failure_is_transient(response->failure) ? WS_ANSWER_BUSY : WS_ANSWER_BROKEN;
        snprintf(answer.detail, sizeof answer.detail, "%s", response->detail);
        return answer;
    }
    snprintf(answer.detail, sizeof answer.detail, "HTTP status %d", status);
    if (status == 429 || status >= 500) {
        answer.kind = WS_ANSWER_BUSY;
        answer.failure = WS_FAILURE_5XX;
        return answer;
    }
    switch (status) {
    case 200:
        answer.kind = WS_ANSWER_WHOLE;
        return answer;
    case 301:
    case 302:
    case 303:
    case 307:
    case 308:
        answer.kind = WS_ANSWER_REDIRECT;
        return answer;
    default:
        answer.kind = WS_ANSWER_OTHER;
        answer.failure = status >= 400 ? WS_FAILURE_4XX : WS_FAILURE_STATUS;
        return answer;
    }
}

bool ws_answer_target(const struct ws_response *response, struct ws_url *target, char *why, size_t size_bytes)
{
    char location[WS_URL_MAX];
    if (!ws_head_field(response->head, "Location", 0, location, sizeof location)) {
        snprintf(why, size_bytes, "redirect without a Location");
        return false;
    }
    if (!ws_url_resolve(target, &response->request->url, location)) {
        snprintf(why, size_bytes, "redirect to what is no http(s) URL: %s", location);
        return false;
    }
    return true;
}
