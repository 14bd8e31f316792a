#include "resolve.h"

#include "guard.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum ws_status ws_resolver_init(struct ws_resolver *resolver, char *const *pairs, size_t n_pairs, struct ws_err *err)
{
    *resolver = (struct ws_resolver){pairs, n_pairs};
    for (size_t i = 0; i < n_pairs; i++) {
        struct ws_block block;
        const char *equals = strchr(pairs[i], '=');
        if (!equals || equals == pairs[i] || strchr(equals, '/') || !ws_block_parse(&block, equals + 1))
            return ws_fail(err, WS_E_CONFIG,
                           "crawl.resolve: expected \"host=address\" such as \"images.test=127.0.2.1\", found \"%s\"",
                           pairs[i]);
    }
    return WS_OK;
}

struct curl_slist *ws_resolver_answer(const struct ws_resolver *resolver, const struct ws_url *url, bool *is_ok)
{
    char host[256], line[400];
    *is_ok = true;
    ws_url_host(url, host);
    for (size_t i = 0; i < resolver->n_pairs; i++) {
        const char *equals = strchr(resolver->pairs[i], '=');
        const size_t len = (size_t)(equals - resolver->pairs[i]);
        if (strlen(host) != len || strncasecmp(host, resolver->pairs[i], len) != 0)
            continue;
        const bool is_v6 = strchr(equals, ':') != NULL;
        /* "+" lets curl's cached answer age like one from DNS instead of staying for ever. */
        snprintf(line, sizeof line, "+%s:%u:%s%s%s", host, (unsigned)url->port, is_v6 ? "[" : "", equals + 1,
                 is_v6 ? "]" : "");
        struct curl_slist *list = curl_slist_append(NULL, line);
        *is_ok = list != NULL;
        return list;
    }
    return NULL;
}
