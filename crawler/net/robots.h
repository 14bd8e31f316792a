/**
 * robots.txt as RFC 9309 says it.
 *
 * The text is read again for each question: no rule list is kept, a decision carries the line that made it, and the
 * memory of a crawl over many hosts stays flat. Groups that name the product token are merged, else those of "*"; the
 * longest matching rule wins, Allow on a tie; "*" and a final "$" are special; both sides are percent-normalised before
 * comparing.
 */
#ifndef WEBSTILL_CRAWLER_NET_ROBOTS_H
#define WEBSTILL_CRAWLER_NET_ROBOTS_H

#include "webstill/base/buf.h"
#include "webstill/base/hash.h"

#include <stdbool.h>

enum {
    WS_ROBOTS_MAX_BYTES = 500 * 1024, /**< RFC 9309 §2.5: at least this much is read; we stop there */
    WS_ROBOTS_TOKEN_MAX = 64,
};

struct ws_robots_decision {
    bool is_allowed;
    unsigned line;  /**< of the deciding rule, counted from 1; 0 when no rule applies */
    char rule[256]; /**< that line as it is written, trimmed and cut to fit; empty when no rule applies */
};

/** A decision that a request was made under, and the copy of robots.txt that it was read from. */
struct ws_permission {
    struct ws_robots_decision decision;
    char sha256[WS_DIGEST_HEX]; /**< of that copy; empty when the host has none */
    char fetched[24];           /**< when, as ws_clock_text() writes it */
};

/** The product token of a User-Agent ("webstill" of "webstill/0.1 (…)") in lower case: letters, "_" and "-". */
void ws_robots_token(const char *user_agent, char token[WS_ROBOTS_TOKEN_MAX]);

/**
 * Decide on a path with its query ("/a?b=c", normalised). /robots.txt itself is always allowed. A text crafted to make
 * matching dear is answered with a refusal after a fixed number of steps.
 */
void ws_robots_decide(struct ws_span text, const char *token, const char *path, struct ws_robots_decision *decision);

/** Seconds of Crawl-delay for the group that applies to `token`, or -1 when there is none. Not in the RFC, but asked
 * for. */
double ws_robots_crawl_delay(struct ws_span text, const char *token);

#endif
