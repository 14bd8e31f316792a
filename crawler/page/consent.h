/**
 * What a site says about the use of its pictures, besides robots.txt: X-Robots-Tag, `<meta name="robots">`,
 * Content-Usage (IETF AIPREF drafts) and tdm-reservation (W3C TDMRep).
 *
 * A picture whose answer or page carries one of the refusals is not kept; it is counted as opted out with the reason.
 */
#ifndef WEBSTILL_CRAWLER_PAGE_CONSENT_H
#define WEBSTILL_CRAWLER_PAGE_CONSENT_H

#include "webstill/base/buf.h"

enum ws_consent {
    WS_CONSENT_NOINDEX = 1 << 0,
    WS_CONSENT_NOFOLLOW = 1 << 1,
    WS_CONSENT_NOIMAGEINDEX = 1 << 2,
    WS_CONSENT_NOAI = 1 << 3,
    WS_CONSENT_NOIMAGEAI = 1 << 4,
    WS_CONSENT_NOML = 1 << 5,
    WS_CONSENT_NO_TRAINING = 1 << 6,  /**< Content-Usage: train-ai=n */
    WS_CONSENT_TDM_RESERVED = 1 << 7, /**< tdm-reservation: 1 */
};

/**
 * The directives of one X-Robots-Tag value: a comma list, in which "name:" turns the following ones to that crawler
 * alone; those for others than `token` do not count. Known directives with a value (unavailable_after: …) are passed
 * over.
 */
unsigned ws_consent_robots_tag(const char *value, const char *token);

/** The directives of a `content` attribute of `<meta name="robots">`. */
unsigned ws_consent_meta(const char *content);

/** WS_CONSENT_NO_TRAINING when a Content-Usage dictionary says train-ai=n. */
unsigned ws_consent_usage(const char *value);

/** Everything that a response head says. */
unsigned ws_consent_head(struct ws_span head, const char *token);

/** The name of the first directive that refuses the use of pictures ("noai"), or NULL when none does. */
const char *ws_consent_refusal(unsigned directives);

#endif
