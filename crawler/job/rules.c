#include "rules.h"

#include "answer.h"

#include "webstill/base/clock.h"
#include "webstill/base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    MAX_HOPS = 5,
    MIN_RULES_S = 3600, /* a run asks a host again once an hour at most, even when nothing is kept for the next run */
};

static enum ws_status park(struct ws_crawl *crawl, struct ws_host *host, enum ws_failure failure, bool is_forbidden,
                           const char *reason, struct ws_err *err)
{
    ws_log(WS_LOG_WARN, "%s: skipped: %s", host->origin, reason);
    return ws_turns_park(&crawl->turns, host, failure, is_forbidden, reason, err);
}

/** Its rules are known: set the pace, or park it when it asks for a pace that we are not given time for. */
static enum ws_status open_host(struct ws_crawl *crawl, struct ws_host *host, const struct ws_robots_entry *entry,
                                struct ws_err *err)
{
    char reason[256];
    const double delay_s = entry->http_status == 200 ? ws_robots_crawl_delay(entry->text, crawl->token) : -1;
    if (delay_s > crawl->conf->max_crawl_delay_s) {
        snprintf(reason, sizeof reason, "robots.txt asks for a Crawl-delay of %g s; crawl.max_crawl_delay_s is %u",
                 delay_s, (unsigned)crawl->conf->max_crawl_delay_s);
        return park(crawl, host, WS_FAILURE_NONE, true, reason, err);
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

static enum ws_status start(struct ws_crawl *crawl, struct ws_host *host, const struct ws_item *item, bool *is_started,
                            struct ws_err *err)
{
    (void)item; /* to open a host is asked for by its turn */
    *is_started = false;
    struct ws_robots_entry entry;
    const enum ws_status status = ws_frontier_get_robots(crawl->books.frontier, host->origin, &entry, err);
    if (status != WS_OK && status != WS_DONE)
        return status;
    const int64_t age_s = status == WS_OK ? (int64_t)time(NULL) - entry.fetched_s : INT64_MAX;
    if (status == WS_OK && age_s >= 0 && age_s < (int64_t)crawl->conf->robots_cache_h * 3600)
        return open_host(crawl, host, &entry, err);

    char text[WS_ORIGIN_MAX + 16];
    const struct ws_errand errand = {.ops = &ws_rules_errand, .host = host};
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
    *is_started = true;
    return ws_turns_start(&crawl->turns, &errand, &request, err);
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
    const enum ws_status status = ws_frontier_put_robots(crawl->books.frontier, host->origin, &entry, err);
    return status == WS_OK ? open_host(crawl, host, &entry, err) : status;
}

/** Nobody answered, or nobody could: try again later, live on the kept copy, or close the host for this run. */
static enum ws_status endure(struct ws_crawl *crawl, struct ws_host *host, const struct ws_response *response,
                             const struct ws_answer *answer, struct ws_err *err)
{
    static const struct ws_image_id no_id = {0};
    char reason[400];
    const unsigned n_tries = ++host->n_robots_tries;
    const bool may_help = answer->kind == WS_ANSWER_BUSY && response->retry_after_s <= WS_TURNS_MAX_RETRY_AFTER_S;
    if (may_help && n_tries <= crawl->conf->retries) {
        const int64_t due_ms = ws_turns_retry_ms(&crawl->turns, &no_id, n_tries, response->retry_after_s);
        host->state = WS_HOST_UNKNOWN;
        host->ready_s = ws_clock_mono_s() + (double)(due_ms - ws_turns_now_ms()) / 1000;
        return WS_OK;
    }
    struct ws_robots_entry entry;
    const enum ws_status status = ws_frontier_get_robots(crawl->books.frontier, host->origin, &entry, err);
    if (status == WS_OK)
        return open_host(crawl, host, &entry, err);
    if (status != WS_DONE)
        return status;
    snprintf(reason, sizeof reason, "robots.txt cannot be had, so nothing may be asked for: %s", answer->detail);
    return park(crawl, host, answer->failure, false, reason, err);
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

static enum ws_status conclude(struct ws_crawl *crawl, const struct ws_errand *errand,
                               const struct ws_response *response, struct ws_err *err)
{
    static const struct ws_span nothing = {0};
    char record[64], why[WS_URL_MAX + 64];
    struct ws_url next;
    struct ws_host *host = errand->host;
    const int http_status = response->http_status;
    const struct ws_answer answer = ws_answer_read(response);
    if (answer.kind == WS_ANSWER_BUSY || answer.kind == WS_ANSWER_BROKEN)
        return endure(crawl, host, response, &answer, err);
    const enum ws_status status = ws_archive_response(&crawl->books.archive, response, record, err);
    if (status != WS_OK)
        return status;
    if (answer.kind == WS_ANSWER_REDIRECT && host->n_robots_hops < MAX_HOPS &&
        ws_answer_target(response, &next, why, sizeof why))
        return follow(host, &next, err);
    if (http_status >= 200 && http_status < 300)
        return settle(crawl, host, 200, response->body, err);
    return settle(crawl, host, http_status, nothing, err);
}

enum ws_status ws_rules_decide(struct ws_crawl *crawl, const struct ws_host *host, const struct ws_url *url,
                               struct ws_permission *permission, struct ws_err *err)
{
    struct ws_robots_entry entry;
    *permission = (struct ws_permission){.decision = {.is_allowed = true}};
    const enum ws_status status = ws_frontier_get_robots(crawl->books.frontier, host->origin, &entry, err);
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

const struct ws_errand_ops ws_rules_errand = {.start = start, .conclude = conclude};
