/**
 * robots.txt before anything: fetched once per origin, kept for crawl.robots_cache_h hours.
 *
 * What the answer means (RFC 9309 §2.3.1): 2xx is read; 4xx means no rules; 429, 5xx and silence close the host, after
 * the usual tries; up to five redirects are followed, also to other hosts, more count as no rules. A kept copy serves
 * while the server is silent.
 */
#include "turn/crawl.h"

#include "net/head.h"

#include "webstill/base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    MAX_HOPS = 5,
    MIN_RULES_S = 3600, /* a run asks a host again once an hour at most, even when nothing is kept for the next run */
};

/** Its rules are known: set the pace, or park it when it asks for a pace that we are not given time for. */
static enum ws_status open_host(struct ws_crawl *crawl, struct ws_host *host, const struct ws_robots_entry *entry)
{
    char reason[256];
    const double delay_s = entry->http_status == 200 ? ws_robots_crawl_delay(entry->text, crawl->token) : -1;
    if (delay_s > crawl->conf->max_crawl_delay_s) {
        snprintf(reason, sizeof reason, "robots.txt asks for a Crawl-delay of %g s; crawl.max_crawl_delay_s is %u",
                 delay_s, (unsigned)crawl->conf->max_crawl_delay_s);
        ws_hosts_park(&crawl->hosts, host, WS_FAILURE_NONE, true, reason);
        ws_log(WS_LOG_WARN, "%s: skipped: %s", host->origin, reason);
        return WS_OK;
    }
    if (delay_s > host->delay_s) {
        host->ready_s += delay_s - host->delay_s; /* the request for robots.txt was one, too */
        host->delay_s = delay_s;
    }
    const double left_s = (double)crawl->conf->robots_cache_h * 3600 - (double)((int64_t)time(NULL) - entry->fetched_s);
    host->state = WS_HOST_OPEN;
    host->rules_until_s = ws_clock_mono_s() + (left_s > MIN_RULES_S ? left_s : MIN_RULES_S);
    host->n_robots_tries = host->n_robots_hops = 0;
    free(host->robots_url);
    host->robots_url = NULL;
    return WS_OK;
}

enum ws_status ws_gate_ask(struct ws_crawl *crawl, struct ws_host *host, struct ws_err *err)
{
    struct ws_robots_entry entry;
    const enum ws_status status = ws_frontier_get_robots(crawl->frontier, host->origin, &entry, err);
    if (status != WS_OK && status != WS_DONE)
        return status;
    const int64_t age_s = status == WS_OK ? (int64_t)time(NULL) - entry.fetched_s : INT64_MAX;
    if (status == WS_OK && age_s >= 0 && age_s < (int64_t)crawl->conf->robots_cache_h * 3600)
        return open_host(crawl, host, &entry);

    char text[WS_ORIGIN_MAX + 16];
    const struct ws_job job = {.kind = WS_JOB_ROBOTS, .host = host};
    struct ws_request request = {
        .accept = "text/plain, */*;q=0.5",
        .may_be_coded = true,
        .max_bytes = WS_ROBOTS_MAX_BYTES + 1, /* one more shows that the last line is cut */
        .is_beginning_enough = true,
    };
    snprintf(text, sizeof text, "%s/robots.txt", host->origin);
    if (!ws_url_parse(&request.url, host->robots_url ? host->robots_url : text))
        return ws_fail(err, WS_E_INTERNAL, "the origin %s makes no URL", host->origin);
    host->state = WS_HOST_ASKING;
    return ws_crawl_start(crawl, host, &job, &request, err);
}

/** Keep what came (also "there is none") and open the host. */
static enum ws_status settle(struct ws_crawl *crawl, struct ws_host *host, int http_status, struct ws_span text,
                             struct ws_err *err)
{
    const struct ws_robots_entry entry = {
        .fetched_s = (int64_t)time(NULL),
        .http_status = http_status,
        .sha256 = ws_sha256(text.ptr ? text.ptr : (const uint8_t *)"", text.len),
        .text = text,
    };
    const enum ws_status status = ws_frontier_put_robots(crawl->frontier, host->origin, &entry, err);
    return status == WS_OK ? open_host(crawl, host, &entry) : status;
}

/** Nobody answered, or nobody could: try again later, live on the kept copy, or close the host for this run. */
static enum ws_status endure(struct ws_crawl *crawl, struct ws_host *host, const struct ws_response *response,
                             struct ws_err *err)
{
    static const struct ws_image_id no_id = {0};
    char reason[400], cause[256];
    const unsigned n_tries = ++host->n_robots_tries;
    const bool may_help = (response->failure == WS_FAILURE_NONE || ws_failure_is_transient(response->failure)) &&
                          response->retry_after_s <= WS_CRAWL_MAX_RETRY_AFTER_S;
    if (may_help && n_tries <= crawl->conf->retries) {
        const int64_t due_ms = ws_crawl_retry_ms(crawl, &no_id, n_tries, response->retry_after_s);
        host->state = WS_HOST_UNKNOWN;
        host->ready_s = ws_clock_mono_s() + (double)(due_ms - ws_crawl_now_ms()) / 1000;
        return WS_OK;
    }
    struct ws_robots_entry entry;
    const enum ws_status status = ws_frontier_get_robots(crawl->frontier, host->origin, &entry, err);
    if (status == WS_OK)
        return open_host(crawl, host, &entry);
    if (status != WS_DONE)
        return status;
    if (response->failure == WS_FAILURE_NONE)
        snprintf(cause, sizeof cause, "HTTP status %d", response->http_status);
    else
        snprintf(cause, sizeof cause, "%s", response->detail);
    snprintf(reason, sizeof reason, "robots.txt cannot be had, so nothing may be asked for: %s", cause);
    ws_hosts_park(&crawl->hosts, host, response->failure == WS_FAILURE_NONE ? WS_FAILURE_5XX : response->failure, false,
                  reason);
    ws_log(WS_LOG_WARN, "%s: skipped: %s", host->origin, reason);
    return WS_OK;
}

/** The next turn asks there; the copy is still kept under this host's origin. */
static enum ws_status follow(struct ws_host *host, const struct ws_url *next, struct ws_err *err)
{
    free(host->robots_url);
    host->robots_url = strdup(next->text);
    if (!host->robots_url)
        return ws_fail(err, WS_E_MEMORY, "out of memory for the robots.txt of %s", host->origin);
    host->n_robots_hops++;
    host->state = WS_HOST_UNKNOWN;
    return WS_OK;
}

static bool is_redirect(int http_status)
{
    return http_status == 301 || http_status == 302 || http_status == 303 || http_status == 307 || http_status == 308;
}

enum ws_status ws_gate_conclude(struct ws_crawl *crawl, struct ws_job *job, const struct ws_response *response,
                                struct ws_err *err)
{
    static const struct ws_span nothing = {0};
    char location[WS_URL_MAX], record[64];
    struct ws_host *host = job->host;
    const int http_status = response->http_status;
    if (response->failure != WS_FAILURE_NONE || http_status == 429 || http_status >= 500)
        return endure(crawl, host, response, err);
    enum ws_status status = ws_archive_response(&crawl->archive, response, record, err);
    if (status != WS_OK)
        return status;
    if (is_redirect(http_status)) {
        struct ws_url next;
        if (host->n_robots_hops >= MAX_HOPS ||
            !ws_head_field(response->head, "Location", 0, location, sizeof location) ||
            !ws_url_resolve(&next, &response->request->url, location))
            return settle(crawl, host, http_status, nothing, err);
        return follow(host, &next, err);
    }
    if (http_status >= 200 && http_status < 300)
        return settle(crawl, host, 200, response->body, err);
    return settle(crawl, host, http_status, nothing, err);
}

enum ws_status ws_gate_decide(struct ws_crawl *crawl, const struct ws_host *host, const struct ws_url *url,
                              struct ws_permission *permission, struct ws_err *err)
{
    struct ws_robots_entry entry;
    *permission = (struct ws_permission){.decision = {.is_allowed = true}};
    const enum ws_status status = ws_frontier_get_robots(crawl->frontier, host->origin, &entry, err);
    if (status == WS_DONE)
        return ws_fail(err, WS_E_INTERNAL, "%s was opened without a robots.txt", host->origin);
    if (status != WS_OK)
        return status;
    ws_clock_text(entry.fetched_s, permission->fetched);
    if (entry.http_status == 200) {
        ws_robots_decide(entry.text, crawl->token, url->text + url->path_at, &permission->decision);
        ws_digest_hex(&entry.sha256, permission->sha256);
    } else {
        snprintf(permission->decision.rule, sizeof permission->decision.rule, "(no robots.txt: HTTP status %d)",
                 entry.http_status);
    }
    return WS_OK;
}
