/**
 * Names to addresses.
 *
 * `crawl.resolve` pairs replace DNS for the hosts they name; all other names go to curl's resolver (a thread per
 * look-up in Debian's build). This is the one place that knows where addresses come from: an own resolver goes here,
 * and hands curl its answers in the same form.
 */
#ifndef WEBSTILL_CRAWLER_NET_RESOLVE_H
#define WEBSTILL_CRAWLER_NET_RESOLVE_H

#include "url.h"
#include "webstill/base/err.h"

#include <curl/curl.h>
#include <stddef.h>

struct ws_resolver {
    char *const *pairs; /**< borrowed: "host=address" */
    size_t n_pairs;
};

/** Check the pairs; WS_E_CONFIG names the one that is none. `pairs` must outlive the resolver. */
WS_MUST_USE enum ws_status ws_resolver_init(struct ws_resolver *resolver, char *const *pairs, size_t n_pairs,
                                            struct ws_err *err);

/**
 * What CURLOPT_RESOLVE needs for this URL, or NULL when curl shall look the name up itself (`*is_ok` tells that from
 * out of memory). The caller frees it with curl_slist_free_all() after the transfer.
 */
struct curl_slist *ws_resolver_answer(const struct ws_resolver *resolver, const struct ws_url *url, bool *is_ok);

#endif
