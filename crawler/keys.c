/** The keys of section `crawl`. */
#include "keys.h"

#include "source/list.h"

#include <string.h>

#define NUMBER(name) NUMBER_##name,
enum { WS_SOURCES(NUMBER) };
#define WORD(name) {#name, NUMBER_##name},
const struct ws_conf_word ws_source_words[] = {WS_SOURCES(WORD){NULL, 0}};

static const struct ws_conf_key source_keys[] = {
    {WS_CONF_WORD(struct ws_source_keys, kind, uint32_t, ws_source_words)},
    {WS_CONF_TEXT(struct ws_source_keys, url)},
    {WS_CONF_TEXT(struct ws_source_keys, name), .fallback = ""},
    {.name = NULL},
};
static const struct ws_conf_section source_record = {.name = "crawl.sources[]",
                                                     WS_CONF_KEYS(struct ws_source_keys, source_keys)};

static const struct ws_conf_key crawl_keys[] = {
    {WS_CONF_TEXT(struct ws_crawl_keys, user_agent), .fallback = "",
     .help = "How the crawler calls itself: product/version and how to reach you, by address or page, e.g. \"mybot/1.0 "
             "(+https://example.org/bot)\" or \"mybot/1.0 (me@example.org)\". Refused without such a contact."},
    {WS_CONF_RECORDS(struct ws_crawl_keys, sources, struct ws_source_keys, &source_record), .fallback = "[]",
     .help = "Where to look. name is shown in the provenance; the url's host when left out.\n"
             "  sources:\n"
             "  - {kind: mediawiki, url: \"https://commons.wikimedia.org/w/api.php\", name: commons}\n"
             "  - {kind: pages, url: \"https://example.org/search?q={query}\"}\n"
             "The kinds:"},
    {WS_CONF_TEXTS(struct ws_crawl_keys, resolve), .fallback = "[]",
     .help = "\"host=address\" pairs that replace DNS, as curl's --resolve does."},
    {WS_CONF_TEXTS(struct ws_crawl_keys, allow_addresses), .fallback = "[]",
     .help = "CIDR blocks exempt from the guard that refuses private, loopback and link-local addresses, e.g. "
             "\"127.0.0.0/8\"."},
    {WS_CONF_UINT(struct ws_crawl_keys, per_query_max), .unit = "images", .min = 1, .max = 1000000, .fallback = "500",
     .help = "Most images taken from one query of one source."},
    {WS_CONF_UINT(struct ws_crawl_keys, per_page_results), .unit = "results", .min = 1, .max = 500, .fallback = "50",
     .help = "Results asked for in one API request."},
    {WS_CONF_UINT(struct ws_crawl_keys, max_pages), .unit = "pages", .min = 0, .max = 1000000, .fallback = "200",
     .help = "Most HTML pages followed per seed page."},
    {WS_CONF_UINT(struct ws_crawl_keys, max_depth), .unit = "links", .min = 0, .max = 100, .fallback = "2",
     .help = "Links followed from a seed page."},
    {WS_CONF_UINT(struct ws_crawl_keys, concurrency), .unit = "transfers", .min = 1, .max = 1024, .fallback = "16",
     .help = "Transfers in flight over all hosts."},
    {WS_CONF_UINT(struct ws_crawl_keys, per_host), .unit = "transfers", .min = 1, .max = 64, .fallback = "1",
     .help = "Transfers in flight per host."},
    {WS_CONF_UINT(struct ws_crawl_keys, delay_ms), .unit = "ms", .min = 0, .max = 3600000, .fallback = "1000",
     .help = "Least time between two requests to one host; a Crawl-delay in robots.txt raises it."},
    {WS_CONF_UINT(struct ws_crawl_keys, max_crawl_delay_s), .unit = "s", .min = 0, .max = 86400, .fallback = "30",
     .help = "A host whose robots.txt asks for a longer Crawl-delay is skipped."},
    {WS_CONF_UINT(struct ws_crawl_keys, connect_timeout_ms), .unit = "ms", .min = 100, .max = 600000,
     .fallback = "10000", .help = "Longest wait for a connection."},
    {WS_CONF_UINT(struct ws_crawl_keys, timeout_s), .unit = "s", .min = 1, .max = 86400, .fallback = "60",
     .help = "Longest whole transfer."},
    {WS_CONF_UINT(struct ws_crawl_keys, min_speed_bytes_s), .unit = "bytes/s", .min = 0, .max = 1000000000,
     .fallback = "1000", .help = "A transfer slower than this for min_speed_time_s is given up; 0 = never."},
    {WS_CONF_UINT(struct ws_crawl_keys, min_speed_time_s), .unit = "s", .min = 1, .max = 3600, .fallback = "15",
     .help = "How long a transfer may be slower than min_speed_bytes_s."},
    {WS_CONF_UINT(struct ws_crawl_keys, max_body_kib), .unit = "KiB", .min = 1, .max = 1048576, .fallback = "8192",
     .help = "Largest body, after content decoding; a larger one is cut off and counted as refused."},
    {WS_CONF_UINT(struct ws_crawl_keys, max_redirects), .unit = "redirects", .min = 0, .max = 50, .fallback = "5",
     .help = "Redirects followed, each one under robots.txt and the address guard again."},
    {WS_CONF_UINT(struct ws_crawl_keys, retries), .unit = "tries", .min = 0, .max = 20, .fallback = "3",
     .help = "Further tries after a transient failure (network, 429, 5xx)."},
    {WS_CONF_UINT(struct ws_crawl_keys, retry_base_ms), .unit = "ms", .min = 0, .max = 600000, .fallback = "1000",
     .help = "First wait before a further try; doubled each time, with jitter. Retry-After wins."},
    {WS_CONF_UINT(struct ws_crawl_keys, robots_cache_h), .unit = "h", .min = 0, .max = 24, .fallback = "24",
     .help = "How long a robots.txt is believed; RFC 9309 allows a day at most."},
    {WS_CONF_UINT(struct ws_crawl_keys, warc_max_mib), .unit = "MiB", .min = 1, .max = 1048576, .fallback = "1000",
     .help = "A WARC shard is closed and the next one begun at this size."},
    {WS_CONF_UINT(struct ws_crawl_keys, commit_every), .unit = "fetches", .min = 1, .max = 100000, .fallback = "32",
     .help = "Fetches between two durable commits: what a crash at worst fetches again."},
    {WS_CONF_NUMBER(struct ws_crawl_keys, max_failure_share), .unit = "share", .min = 0, .max = 1, .fallback = "0.5",
     .help = "With a larger share of failed fetches the stage ends with exit code 6."},
    {.name = NULL},
};

static bool has_contact(const char *user_agent)
{
    return strstr(user_agent, "+http://") || strstr(user_agent, "+https://") || strchr(user_agent, '@');
}

static bool is_web_url(const char *url)
{
    return strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0;
}

static enum ws_status check_crawl(const void *keys, const char *name, struct ws_err *err)
{
    const struct ws_crawl_keys *crawl = keys;
    (void)name;
    bool is_named = crawl->user_agent[0] != '\0';
    if ((is_named || crawl->n_sources > 0) && !has_contact(crawl->user_agent)) {
        enum ws_status status = ws_fail(err, WS_E_CONFIG,
                                        "crawl.user_agent: expected a contact in it, \"(+https://…)\" or an e-mail "
                                        "address, found \"%s\"",
                                        crawl->user_agent);
        ws_err_hint(err, "site owners need a way to reach you: user_agent: \"mybot/1.0 (+https://example.org/bot)\"");
        return status;
    }
    if (strpbrk(crawl->user_agent, "\r\n"))
        return ws_fail(err, WS_E_CONFIG, "crawl.user_agent: expected one line");
    for (unsigned i = 0; i < crawl->n_sources; i++)
        if (!is_web_url(crawl->sources[i].url))
            return ws_fail(err, WS_E_CONFIG, "crawl.sources[%u].url: expected http://… or https://…, found \"%s\"", i,
                           crawl->sources[i].url);
    for (unsigned i = 0; i < crawl->n_resolve; i++) {
        const char *equals = strchr(crawl->resolve[i], '=');
        if (!equals || equals == crawl->resolve[i] || equals[1] == '\0')
            return ws_fail(err, WS_E_CONFIG, "crawl.resolve[%u]: expected \"host=address\", found \"%s\"", i,
                           crawl->resolve[i]);
    }
    return WS_OK;
}

const struct ws_conf_section ws_crawl_section = {
    .name = "crawl",
    .title = "class names -> crawl/*.warc.gz",
    WS_CONF_KEYS(struct ws_crawl_keys, crawl_keys),
    .check = check_crawl,
};
