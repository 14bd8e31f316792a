/** The loop: whose turn it is, what to ask for, what came, and when to commit. */
#include "crawl.h"

#include "source.h"
#include "task.h"

#include "webstill/base/clock.h"
#include "webstill/base/rng.h"
#include "webstill/base/stop.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    MAX_WAIT_MS = 250,   /* of the loop for the network: so soon it sees a signal */
    ITEMS_AT_ONCE = 256, /* concluded without a request (forbidden ones) before other hosts get their turn */
};
static const double commit_interval_s = 1.0;

int64_t ws_crawl_now_ms(void)
{
    struct timespec now; /* not ws_clock_unix_s(): a frozen SOURCE_DATE_EPOCH would wait for ever */
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t ws_crawl_retry_ms(const struct ws_crawl *crawl, const struct ws_image_id *id, unsigned n_tries,
                          int64_t retry_after_s)
{
    struct ws_rng rng;
    uint32_t word;
    memcpy(&word, id->bytes, sizeof word);
    if (retry_after_s > 0)
        return ws_crawl_now_ms() +
               1000 * (retry_after_s < WS_CRAWL_MAX_RETRY_AFTER_S ? retry_after_s : WS_CRAWL_MAX_RETRY_AFTER_S);
    ws_rng_init(&rng, crawl->config->seed, WS_STREAM_CRAWL, word, n_tries);
    const double doubled = (double)crawl->conf->retry_base_ms * (double)(1u << (n_tries < 16 ? n_tries - 1 : 15));
    return ws_crawl_now_ms() + (int64_t)(doubled * (0.5 + ws_rng_uniform(&rng)));
}

bool ws_crawl_has_reached_limit(const struct ws_crawl *crawl)
{
    return crawl->limit > 0 && crawl->tally.n_images + crawl->tally.n_images_in_flight >= crawl->limit;
}

/* --- turns --- */

/** When an item may be asked for, in monotonic seconds. */
static double due_mono_s(int64_t due_ms)
{
    const double now_s = ws_clock_mono_s();
    return due_ms == 0 ? now_s : now_s + (double)(due_ms - ws_crawl_now_ms()) / 1000;
}

enum ws_status ws_crawl_wake(struct ws_crawl *crawl, const char *origin, int64_t due_ms, struct ws_err *err)
{
    struct ws_host *host = ws_hosts_get(&crawl->hosts, origin, (double)crawl->conf->delay_ms / 1000);
    if (!host)
        return ws_fail(err, WS_E_MEMORY, "out of memory for the hosts of the crawl");
    if (host->state == WS_HOST_ASKING || host->state == WS_HOST_PARKED || host->n_in_flight >= crawl->conf->per_host)
        return WS_OK;
    double key = due_mono_s(due_ms);
    if (key < host->ready_s)
        key = host->ready_s;
    if (host->heap_i == SIZE_MAX || key < host->key)
        ws_hosts_schedule(&crawl->hosts, host, key);
    return WS_OK;
}

enum ws_status ws_crawl_queue(struct ws_crawl *crawl, const struct ws_url *url, enum ws_item_kind kind,
                              const struct ws_image_id *id, int64_t due_ms, struct ws_err *err)
{
    char origin[WS_ORIGIN_MAX];
    ws_url_origin(url, origin);
    const enum ws_status status = ws_frontier_queue(crawl->frontier, origin, kind, id, due_ms, err);
    return status == WS_OK ? ws_crawl_wake(crawl, origin, due_ms, err) : status;
}

/** Give every origin with a queue its turn. */
static enum ws_status wake_all(struct ws_crawl *crawl, struct ws_err *err)
{
    char origin[WS_ORIGIN_MAX] = "";
    enum ws_status status;
    while ((status = ws_frontier_next_origin(crawl->frontier, origin, err)) == WS_OK) {
        status = ws_crawl_wake(crawl, origin, 0, err);
        if (status != WS_OK)
            return status;
    }
    return status == WS_DONE ? WS_OK : status;
}

enum ws_status ws_crawl_start(struct ws_crawl *crawl, struct ws_host *host, const struct ws_job *job,
                              const struct ws_request *request, struct ws_err *err)
{
    struct ws_job *slot = NULL;
    for (uint32_t i = 0; !slot && i < crawl->conf->concurrency; i++)
        slot = crawl->jobs[i].is_busy ? NULL : &crawl->jobs[i];
    ws_assert(slot != NULL);
    *slot = *job;
    slot->is_busy = true;
    host->n_in_flight++;
    const double now_s = ws_clock_mono_s();
    host->ready_s = now_s + host->delay_s;
    /* The clock that delays hold on: a server sees requests later than this, and each by another while. */
    ws_log(WS_LOG_DEBUG, "at %.6f s: asks %s", now_s, request->url.text);
    crawl->tally.n_images_in_flight += job->kind == WS_JOB_IMAGE;
    return ws_fetcher_start(crawl->fetcher, request, slot, err);
}

/** Serve the host until a transfer has started or it has nothing to do; give it its next turn. */
static enum ws_status serve(struct ws_crawl *crawl, struct ws_host *host, struct ws_err *err)
{
    enum ws_status status = WS_OK;
    ws_hosts_rest(&crawl->hosts, host);
    if (host->state == WS_HOST_OPEN && ws_clock_mono_s() >= host->rules_until_s)
        host->state = WS_HOST_UNKNOWN; /* a long run asks for robots.txt again */
    if (host->state == WS_HOST_UNKNOWN) {
        status = ws_gate_ask(crawl, host, err);
        if (status != WS_OK || host->state != WS_HOST_OPEN)
            return status;
    }
    bool is_started = false;
    for (int n = 0; !is_started && n < ITEMS_AT_ONCE; n++) {
        struct ws_item item;
        status = ws_frontier_peek(crawl->frontier, host->origin, &item, err);
        if (status != WS_OK)
            return status == WS_DONE ? WS_OK : status;
        if (item.due_ms > ws_crawl_now_ms()) {
            ws_hosts_schedule(&crawl->hosts, host, due_mono_s(item.due_ms));
            return WS_OK;
        }
        if (item.kind == WS_ITEM_IMAGE && ws_crawl_has_reached_limit(crawl))
            return WS_OK; /* a transfer that fails gives the host its turn again */
        status = ws_frontier_take(crawl->frontier, host->origin, &item, err);
        if (status == WS_OK)
            status = item.kind == WS_ITEM_IMAGE ? ws_picture_start(crawl, host, &item, &is_started, err)
                                                : ws_task_start(crawl, host, &item, &is_started, err);
        if (status != WS_OK)
            return status;
    }
    if (host->n_in_flight < crawl->conf->per_host && host->state == WS_HOST_OPEN)
        ws_hosts_schedule(&crawl->hosts, host, host->ready_s);
    return WS_OK;
}

static enum ws_status start_due(struct ws_crawl *crawl, struct ws_err *err)
{
    while (ws_fetcher_n_in_flight(crawl->fetcher) < crawl->conf->concurrency) {
        struct ws_host *host = ws_hosts_first(&crawl->hosts);
        if (!host || host->key > ws_clock_mono_s())
            return WS_OK;
        const enum ws_status status = serve(crawl, host, err);
        if (status != WS_OK) {
            ws_err_note(err, "while asking %s", host->origin);
            return status;
        }
    }
    return WS_OK;
}

/* --- answers --- */

/** Who answers, who does not, and who did before: robots.txt of an earlier run tells. */
static enum ws_status tally_answer(struct ws_crawl *crawl, struct ws_host *host, const struct ws_response *response,
                                   struct ws_err *err)
{
    struct ws_robots_entry entry;
    struct ws_tally *tally = &crawl->tally;
    if (response->http_status > 0 && response->failure == WS_FAILURE_NONE) {
        tally->n_answers++;
        host->n_silences = 0;
        return WS_OK;
    }
    if (!ws_failure_is_silence(response->failure) && response->failure != WS_FAILURE_ADDRESS)
        return WS_OK;
    host->n_silences++;
    if (tally->n_silences++ == 0) {
        snprintf(tally->silent_host, sizeof tally->silent_host, "%s", host->origin);
        snprintf(tally->silent_detail, sizeof tally->silent_detail, "%s", response->detail);
    }
    const enum ws_status status = ws_frontier_get_robots(crawl->frontier, host->origin, &entry, err);
    tally->n_lost += status == WS_OK;
    return status == WS_DONE ? WS_OK : status;
}

/** What an answer, or its lack, says about the host as a whole. */
static void judge_host(struct ws_crawl *crawl, struct ws_host *host, const struct ws_response *response)
{
    char reason[400];
    if (response->retry_after_s > 0 && (response->http_status == 429 || response->http_status == 503)) {
        const double until_s = ws_clock_mono_s() + (double)response->retry_after_s;
        host->ready_s = until_s > host->ready_s ? until_s : host->ready_s;
    }
    if (host->state != WS_HOST_OPEN)
        return;
    /* A host that went silent takes all its URLs with it; each would wait for its own timeouts otherwise. */
    if (host->n_silences > 2 * (crawl->conf->retries + 1)) {
        snprintf(reason, sizeof reason, "%u transfers in a row got no answer; the last: %s", host->n_silences,
                 response->detail);
        ws_hosts_park(&crawl->hosts, host, response->failure, false, reason);
        ws_log(WS_LOG_WARN, "%s: left alone: %s", host->origin, reason);
    } else if (response->retry_after_s > WS_CRAWL_MAX_RETRY_AFTER_S &&
               (response->http_status == 429 || response->http_status == 503)) {
        snprintf(reason, sizeof reason, "HTTP status %d asks to wait %lld s", response->http_status,
                 (long long)response->retry_after_s);
        ws_hosts_park(&crawl->hosts, host, WS_FAILURE_5XX, false, reason);
        ws_log(WS_LOG_WARN, "%s: left alone: %s", host->origin, reason);
    }
}

static enum ws_status conclude(struct ws_crawl *crawl, const struct ws_response *response, struct ws_err *err)
{
    struct ws_job *job = response->owner;
    struct ws_host *host = job->host;
    host->n_in_flight--;
    crawl->tally.n_images_in_flight -= job->kind == WS_JOB_IMAGE;
    crawl->n_since_commit++;
    enum ws_status status = tally_answer(crawl, host, response, err);
    if (status != WS_OK)
        return status;
    judge_host(crawl, host, response);
    if (job->kind == WS_JOB_ROBOTS)
        status = ws_gate_conclude(crawl, job, response, err);
    else if (job->kind == WS_JOB_IMAGE)
        status = ws_picture_conclude(crawl, job, response, err);
    else
        status = ws_task_conclude(crawl, job, response, err);
    if (status != WS_OK) {
        ws_err_note(err, "%s", response->request->url.text);
        return status;
    }
    if (host->state == WS_HOST_OPEN || host->state == WS_HOST_UNKNOWN)
        ws_hosts_schedule(&crawl->hosts, host, host->ready_s);
    /* Near the limit hosts rest with full queues; a picture that was not kept makes room for one of theirs. */
    const bool has_room = job->kind == WS_JOB_IMAGE && crawl->limit > 0 && !ws_crawl_has_reached_limit(crawl);
    return has_room ? wake_all(crawl, err) : WS_OK;
}

static enum ws_status conclude_finished(struct ws_crawl *crawl, struct ws_err *err)
{
    const struct ws_response *response;
    while ((response = ws_fetcher_next(crawl->fetcher))) {
        struct ws_job *job = response->owner;
        const enum ws_status status = conclude(crawl, response, err);
        job->is_busy = false;
        ws_fetcher_release(crawl->fetcher, response);
        if (status != WS_OK)
            return status;
    }
    return WS_OK;
}

static enum ws_status commit_if_due(struct ws_crawl *crawl, struct ws_err *err)
{
    const double now_s = ws_clock_mono_s();
    if (crawl->n_since_commit == 0 ||
        (crawl->n_since_commit < crawl->conf->commit_every && now_s - crawl->last_commit_s < commit_interval_s))
        return WS_OK;
    crawl->n_since_commit = 0;
    crawl->last_commit_s = now_s;
    return ws_archive_commit(&crawl->archive, crawl->frontier, err);
}

/* --- the loop --- */

static void show_progress(struct ws_crawl *crawl, bool is_end)
{
    char note[128];
    const struct ws_tally *tally = &crawl->tally;
    const double n_ended = (double)(tally->n_images + tally->n_failed);
    snprintf(note, sizeof note, "%.1f %% ok, %lld failed, %zu hosts",
             n_ended > 0 ? 100 * (double)tally->n_images / n_ended : 100, (long long)tally->n_failed, crawl->hosts.n);
    crawl->progress.total = crawl->limit > 0 && crawl->limit < tally->n_known ? crawl->limit : tally->n_known;
    if (is_end)
        ws_progress_end(&crawl->progress, tally->n_images, note);
    else
        ws_progress_step(&crawl->progress, tally->n_images, note);
}

static int wait_ms(const struct ws_crawl *crawl)
{
    const struct ws_host *host = ws_hosts_first(&crawl->hosts);
    if (!host || ws_fetcher_n_in_flight(crawl->fetcher) == crawl->conf->concurrency)
        return MAX_WAIT_MS;
    const double ms = (host->key - ws_clock_mono_s()) * 1000 + 1;
    return ms < 0 ? 0 : ms < MAX_WAIT_MS ? (int)ms : MAX_WAIT_MS;
}

enum ws_status ws_crawl_run(struct ws_crawl *crawl, struct ws_err *err)
{
    crawl->last_commit_s = ws_clock_mono_s();
    ws_progress_begin(&crawl->progress, "crawl", "images", crawl->tally.n_known, crawl->tally.n_images);
    enum ws_status status = wake_all(crawl, err);
    while (status == WS_OK) {
        if (ws_stop_asked()) {
            status = ws_fail(err, WS_E_STOPPED, "stopped by a signal; %lld images are kept",
                             (long long)crawl->tally.n_images);
            ws_err_hint(err, "run the same command again to go on");
            break;
        }
        status = start_due(crawl, err);
        if (status == WS_OK && ws_fetcher_n_in_flight(crawl->fetcher) == 0 && !ws_hosts_first(&crawl->hosts))
            break;
        if (status == WS_OK)
            status = ws_fetcher_wait(crawl->fetcher, wait_ms(crawl), err);
        if (status == WS_OK)
            status = conclude_finished(crawl, err);
        if (status == WS_OK)
            status = commit_if_due(crawl, err);
        show_progress(crawl, false);
    }
    show_progress(crawl, true);
    if (status == WS_OK || status == WS_E_STOPPED) {
        const enum ws_status committed =
            ws_archive_commit(&crawl->archive, crawl->frontier, status == WS_OK ? err : NULL);
        status = status == WS_OK ? committed : status;
    }
    return status;
}
