#include "turns.h"

#include "webstill/base/clock.h"
#include "webstill/base/log.h"
#include "webstill/base/mem.h"
#include "webstill/base/rng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum ws_status ws_turns_open(struct ws_turns *turns, const struct ws_config *config, struct ws_books *books,
                             int64_t limit, struct ws_err *err)
{
    *turns = (struct ws_turns){.config = config, .conf = ws_crawl_keys(config), .books = books, .limit = limit};
    turns->errands = ws_calloc(turns->conf->concurrency, sizeof *turns->errands);
    if (!turns->errands)
        return ws_fail(err, WS_E_MEMORY, "out of memory for the transfers");
    return ws_fetcher_open(&turns->fetcher, turns->conf, err);
}

void ws_turns_close(struct ws_turns *turns)
{
    ws_fetcher_close(&turns->fetcher);
    ws_hosts_fini(&turns->hosts);
    free(turns->errands);
    turns->errands = NULL;
}

/* --- queues --- */

int64_t ws_turns_now_ms(void)
{
    struct timespec now; /* not ws_clock_unix_s(): a frozen SOURCE_DATE_EPOCH would wait for ever */
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

double ws_turns_due_s(int64_t due_ms)
{
    const double now_s = ws_clock_mono_s();
    return due_ms == 0 ? now_s : now_s + (double)(due_ms - ws_turns_now_ms()) / 1000;
}

enum ws_status ws_turns_wake(struct ws_turns *turns, const char *origin, int64_t due_ms, struct ws_err *err)
{
    struct ws_host *host = ws_hosts_get(&turns->hosts, origin, (double)turns->conf->delay_ms / 1000);
    if (!host)
        return ws_fail(err, WS_E_MEMORY, "out of memory for the hosts of the crawl");
    if (host->state == WS_HOST_ASKING || host->state == WS_HOST_PARKED || host->n_in_flight >= turns->conf->per_host)
        return WS_OK;
    double key = ws_turns_due_s(due_ms);
    if (key < host->ready_s)
        key = host->ready_s;
    if (host->heap_i == SIZE_MAX || key < host->key)
        ws_hosts_schedule(&turns->hosts, host, key);
    return WS_OK;
}

enum ws_status ws_turns_wake_all(struct ws_turns *turns, struct ws_err *err)
{
    char origin[WS_ORIGIN_MAX] = "";
    enum ws_status status;
    while ((status = ws_frontier_next_origin(turns->books->frontier, origin, err)) == WS_OK) {
        status = ws_turns_wake(turns, origin, 0, err);
        if (status != WS_OK)
            return status;
    }
    return status == WS_DONE ? WS_OK : status;
}

enum ws_status ws_turns_queue(struct ws_turns *turns, const struct ws_url *url, enum ws_item_kind kind,
                              const struct ws_image_id *id, int64_t due_ms, struct ws_err *err)
{
    char origin[WS_ORIGIN_MAX];
    ws_url_origin(url, origin);
    const enum ws_status status = ws_frontier_queue(turns->books->frontier, origin, kind, id, due_ms, err);
    return status == WS_OK ? ws_turns_wake(turns, origin, due_ms, err) : status;
}

/* --- trying again, or not --- */

int64_t ws_turns_retry_ms(const struct ws_turns *turns, const struct ws_image_id *id, unsigned n_tries,
                          int64_t retry_after_s)
{
    struct ws_rng rng;
    uint32_t word;
    memcpy(&word, id->bytes, sizeof word);
    if (retry_after_s > 0)
        return ws_turns_now_ms() +
               1000 * (retry_after_s < WS_TURNS_MAX_RETRY_AFTER_S ? retry_after_s : WS_TURNS_MAX_RETRY_AFTER_S);
    ws_rng_init(&rng, turns->config->seed, WS_STREAM_CRAWL, word, n_tries);
    const double doubled = (double)turns->conf->retry_base_ms * (double)(1u << (n_tries < 16 ? n_tries - 1 : 15));
    return ws_turns_now_ms() + (int64_t)(doubled * (0.5 + ws_rng_uniform(&rng)));
}

bool ws_turns_may_retry(const struct ws_turns *turns, const struct ws_host *host, const struct ws_image_id *id,
                        uint32_t *n_tries, int64_t retry_after_s, int64_t *due_ms)
{
    if (host->state == WS_HOST_PARKED) {
        *n_tries = 0;
        *due_ms = 0;
        return true;
    }
    if (*n_tries > turns->conf->retries)
        return false;
    *due_ms = ws_turns_retry_ms(turns, id, *n_tries, retry_after_s);
    return true;
}

enum ws_status ws_turns_park(struct ws_turns *turns, struct ws_host *host, enum ws_failure failure, bool is_forbidden,
                             const char *reason, struct ws_err *err)
{
    ws_hosts_rest(&turns->hosts, host);
    host->state = WS_HOST_PARKED;
    return ws_parked_add(&turns->books->parked, host->origin, failure, is_forbidden, reason)
               ? WS_OK
               : ws_fail(err, WS_E_MEMORY, "out of memory for the hosts of the crawl");
}

/* --- transfers --- */

enum ws_status ws_turns_start(struct ws_turns *turns, const struct ws_errand *errand, const struct ws_request *request,
                              struct ws_err *err)
{
    struct ws_errand *slot = NULL;
    for (uint32_t i = 0; !slot && i < turns->conf->concurrency; i++)
        slot = turns->errands[i].is_busy ? NULL : &turns->errands[i];
    ws_assert(slot != NULL);
    *slot = *errand;
    slot->is_busy = true;
    slot->host->n_in_flight++;
    const double now_s = ws_clock_mono_s();
    slot->host->ready_s = now_s + slot->host->delay_s;
    /* The clock that delays hold on: a server sees requests later than this, and each by another while. */
    ws_log(WS_LOG_DEBUG, "at %.6f s: asks %s", now_s, request->url.text);
    turns->n_limited_in_flight += slot->ops->is_limited;
    return ws_fetcher_start(turns->fetcher, request, slot, err);
}

bool ws_turns_has_reached_limit(const struct ws_turns *turns)
{
    return turns->limit > 0 && turns->books->tally.n_images + turns->n_limited_in_flight >= turns->limit;
}

/** Who answers, who does not, and who did before: robots.txt of an earlier run tells. */
static enum ws_status tally_answer(struct ws_turns *turns, struct ws_host *host, const struct ws_response *response,
                                   struct ws_err *err)
{
    struct ws_robots_entry entry;
    struct ws_tally *tally = &turns->books->tally;
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
    const enum ws_status status = ws_frontier_get_robots(turns->books->frontier, host->origin, &entry, err);
    tally->n_lost += status == WS_OK;
    return status == WS_DONE ? WS_OK : status;
}

static enum ws_status judge_host(struct ws_turns *turns, struct ws_host *host, const struct ws_response *response,
                                 struct ws_err *err)
{
    char reason[400];
    enum ws_failure failure = response->failure;
    const bool is_busy = response->http_status == 429 || response->http_status == 503;
    if (response->retry_after_s > 0 && is_busy) {
        const double until_s = ws_clock_mono_s() + (double)response->retry_after_s;
        host->ready_s = until_s > host->ready_s ? until_s : host->ready_s;
    }
    if (host->state != WS_HOST_OPEN)
        return WS_OK;
    /* A host that went silent takes all its URLs with it; each would wait for its own timeouts otherwise. */
    if (host->n_silences > 2 * (turns->conf->retries + 1)) {
        snprintf(reason, sizeof reason, "%u transfers in a row got no answer; the last: %s", host->n_silences,
                 response->detail);
    } else if (response->retry_after_s > WS_TURNS_MAX_RETRY_AFTER_S && is_busy) {
        failure = WS_FAILURE_5XX;
        snprintf(reason, sizeof reason, "HTTP status %d asks to wait %lld s", response->http_status,
                 (long long)response->retry_after_s);
    } else {
        return WS_OK;
    }
    ws_log(WS_LOG_WARN, "%s: left alone: %s", host->origin, reason);
    return ws_turns_park(turns, host, failure, false, reason, err);
}

enum ws_status ws_turns_heed(struct ws_turns *turns, struct ws_errand *errand, const struct ws_response *response,
                             struct ws_err *err)
{
    errand->host->n_in_flight--;
    turns->n_limited_in_flight -= errand->ops->is_limited;
    const enum ws_status status = tally_answer(turns, errand->host, response, err);
    return status == WS_OK ? judge_host(turns, errand->host, response, err) : status;
}
