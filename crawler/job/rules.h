/**
 * robots.txt before anything: fetched once per origin, kept for crawl.robots_cache_h hours.
 *
 * What the answer means (RFC 9309 §2.3.1): 2xx is read; 4xx means no rules; 429, 5xx and silence close the host, after
 * the usual tries; up to five redirects are followed, also to other hosts, more count as no rules. A kept copy serves
 * while the server is silent.
 */
#ifndef WEBSTILL_CRAWLER_JOB_RULES_H
#define WEBSTILL_CRAWLER_JOB_RULES_H

#include "crawl.h"

/** Opens a host from the cache, or fetches its robots.txt; a redirect waits for the host's next turn. */
extern const struct ws_errand_ops ws_rules_errand;

/** May we ask for this URL of an open host? `permission` is filled in either way. */
WS_MUST_USE enum ws_status ws_rules_decide(struct ws_crawl *crawl, const struct ws_host *host, const struct ws_url *url,
                                           struct ws_permission *permission, struct ws_err *err);

#endif
