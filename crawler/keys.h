/** Section `crawl` of the configuration. */
#ifndef WEBSTILL_CRAWLER_KEYS_H
#define WEBSTILL_CRAWLER_KEYS_H

#include "webstill/stage/config.h"

/** A place to look for images. */
struct ws_source_keys {
    uint32_t kind; /**< which of the list of sources (source/list.h) */
    char *url;     /**< mediawiki: the api.php URL; pages: a seed page, "{query}" is replaced by each query */
    char *name;    /**< shown in provenance; "" = the URL's host */
};

struct ws_crawl_keys {
    char *user_agent; /**< product/version (contact) */
    struct ws_source_keys *sources;
    unsigned n_sources;
    char **resolve; /**< "host=address" pairs that replace DNS, as curl's --resolve does */
    unsigned n_resolve;
    char **allow_addresses; /**< CIDR blocks exempt from the private-address guard, "127.0.0.0/8" */
    unsigned n_allow_addresses;
    uint32_t per_query_max;     /**< images taken from one query of one source */
    uint32_t per_page_results;  /**< results asked for in one API request */
    uint32_t max_pages;         /**< HTML pages followed per seed */
    uint32_t max_depth;         /**< links followed from a seed page */
    uint32_t concurrency;       /**< transfers in flight over all hosts */
    uint32_t per_host;          /**< transfers in flight per host */
    uint32_t delay_ms;          /**< least time between two requests to a host; robots' Crawl-delay raises it */
    uint32_t max_crawl_delay_s; /**< a longer Crawl-delay means: skip the host */
    uint32_t connect_timeout_ms;
    uint32_t timeout_s;         /**< whole transfer */
    uint32_t min_speed_bytes_s; /**< slower than this for min_speed_time_s: given up */
    uint32_t min_speed_time_s;
    uint32_t max_body_kib; /**< after content decoding */
    uint32_t max_redirects;
    uint32_t retries;       /**< further tries after a transient failure (network, 429, 5xx) */
    uint32_t retry_base_ms; /**< first wait, doubled each time, with jitter; Retry-After wins */
    uint32_t robots_cache_h;
    uint32_t warc_max_mib;    /**< a shard rolls at this size */
    uint32_t commit_every;    /**< fetches between two durable commits */
    double max_failure_share; /**< above it the stage ends with exit code 6 */
};

/** The words of the kinds. */
extern const struct ws_conf_word ws_source_words[];
extern const struct ws_conf_section ws_crawl_section;

static inline const struct ws_crawl_keys *ws_crawl_keys(const struct ws_config *config)
{
    return ws_config_keys(config, &ws_crawl_section);
}

#endif
