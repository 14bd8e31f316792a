#include "loop.h"

#include "webstill/base/clock.h"
#include "webstill/base/log.h"
#include "webstill/base/stop.h"

#include <stdio.h>

enum {
    MAX_WAIT_MS = 250,   /* of the loop for the network: so soon it sees a signal */
    ITEMS_AT_ONCE = 256, /* concluded without a request (forbidden ones) before other hosts get their turn */
};
static const double commit_interval_s = 1.0;

struct loop {
    struct ws_turns *turns; /* borrowed, as the next two */
    const struct ws_errand_table *table;
    struct ws_crawl *crawl;
    struct ws_progress progress;
    unsigned n_since_commit;
    double last_commit_s;
};

/* --- asking --- */

/** Serve the host until a transfer has started or it has nothing to do; give it its next turn. */
static enum ws_status serve(struct loop *loop, struct ws_host *host, struct ws_err *err)
{
    struct ws_turns *turns = loop->turns;
    struct ws_frontier *frontier = turns->books->frontier;
    enum ws_status status = WS_OK;
    bool is_started = false;
    ws_hosts_rest(&turns->hosts, host);
    if (host->state == WS_HOST_OPEN && ws_clock_mono_s() >= host->rules_until_s)
        host->state = WS_HOST_UNKNOWN; /* a long run asks for robots.txt again */
    if (host->state == WS_HOST_UNKNOWN) {
        status = loop->table->open_host->start(loop->crawl, host, NULL, &is_started, err);
        if (status != WS_OK || host->state != WS_HOST_OPEN)
            return status;
    }
    for (int n = 0; !is_started && n < ITEMS_AT_ONCE; n++) {
        struct ws_item item;
        status = ws_frontier_peek(frontier, host->origin, &item, err);
        if (status != WS_OK)
            return status == WS_DONE ? WS_OK : status;
        if (item.due_ms > ws_turns_now_ms()) {
            ws_hosts_schedule(&turns->hosts, host, ws_turns_due_s(item.due_ms));
            return WS_OK;
        }
        const struct ws_errand_ops *ops = loop->table->serve[item.kind];
        if (ops->is_limited && ws_turns_has_reached_limit(turns))
            return WS_OK; /* a transfer that fails gives the host its turn again */
        status = ws_frontier_take(frontier, host->origin, &item, err);
        if (status == WS_OK)
            status = ops->start(loop->crawl, host, &item, &is_started, err);
        if (status != WS_OK)
            return status;
    }
    if (host->n_in_flight < turns->conf->per_host && host->state == WS_HOST_OPEN)
        ws_hosts_schedule(&turns->hosts, host, host->ready_s);
    return WS_OK;
}

static enum ws_status start_due(struct loop *loop, struct ws_err *err)
{
    struct ws_turns *turns = loop->turns;
    while (ws_fetcher_n_in_flight(turns->fetcher) < turns->conf->concurrency) {
        struct ws_host *host = ws_hosts_first(&turns->hosts);
        if (!host || host->key > ws_clock_mono_s())
            return WS_OK;
        const enum ws_status status = serve(loop, host, err);
        if (status != WS_OK) {
            ws_err_note(err, "while asking %s", host->origin);
            return status;
        }
    }
    return WS_OK;
}

/* --- answers --- */

static enum ws_status conclude(struct loop *loop, struct ws_errand *errand, const struct ws_response *response,
                               struct ws_err *err)
{
    struct ws_turns *turns = loop->turns;
    struct ws_host *host = errand->host;
    loop->n_since_commit++;
    enum ws_status status = ws_turns_heed(turns, errand, response, err);
    if (status != WS_OK)
        return status;
    status = errand->ops->conclude(loop->crawl, errand, response, err);
    if (status != WS_OK) {
        ws_err_note(err, "%s", response->request->url.text);
        return status;
    }
    if (host->state == WS_HOST_OPEN || host->state == WS_HOST_UNKNOWN)
        ws_hosts_schedule(&turns->hosts, host, host->ready_s);
    /* Near the limit hosts rest with full queues; a picture that was not kept makes room for one of theirs. */
    const bool has_room = errand->ops->is_limited && turns->limit > 0 && !ws_turns_has_reached_limit(turns);
    return has_room ? ws_turns_wake_all(turns, err) : WS_OK;
}

static enum ws_status conclude_finished(struct loop *loop, struct ws_err *err)
{
    const struct ws_response *response;
    while ((response = ws_fetcher_next(loop->turns->fetcher))) {
        struct ws_errand *errand = response->owner;
        const enum ws_status status = conclude(loop, errand, response, err);
        errand->is_busy = false;
        ws_fetcher_release(loop->turns->fetcher, response);
        if (status != WS_OK)
            return status;
    }
    return WS_OK;
}

static enum ws_status commit_if_due(struct loop *loop, struct ws_err *err)
{
    const double now_s = ws_clock_mono_s();
    if (loop->n_since_commit == 0 ||
        (loop->n_since_commit < loop->turns->conf->commit_every && now_s - loop->last_commit_s < commit_interval_s))
        return WS_OK;
    loop->n_since_commit = 0;
    loop->last_commit_s = now_s;
    return ws_books_commit(loop->turns->books, err);
}

/* --- the loop --- */

static void show_progress(struct loop *loop, bool is_end)
{
    char note[128];
    const struct ws_turns *turns = loop->turns;
    const struct ws_tally *tally = &turns->books->tally;
    const double n_ended = (double)(tally->n_images + tally->n_failed);
    snprintf(note, sizeof note, "%.1f %% ok, %lld failed, %zu hosts",
             n_ended > 0 ? 100 * (double)tally->n_images / n_ended : 100, (long long)tally->n_failed, turns->hosts.n);
    loop->progress.total = turns->limit > 0 && turns->limit < tally->n_known ? turns->limit : tally->n_known;
    if (is_end)
        ws_progress_end(&loop->progress, tally->n_images, note);
    else
        ws_progress_step(&loop->progress, tally->n_images, note);
}

static int wait_ms(const struct ws_turns *turns)
{
    const struct ws_host *host = ws_hosts_first(&turns->hosts);
    if (!host || ws_fetcher_n_in_flight(turns->fetcher) == turns->conf->concurrency)
        return MAX_WAIT_MS;
    const double ms = (host->key - ws_clock_mono_s()) * 1000 + 1;
    return ms < 0 ? 0 : ms < MAX_WAIT_MS ? (int)ms : MAX_WAIT_MS;
}

/** One round: ask, wait, conclude, commit. WS_DONE when nothing is left to do. */
static enum ws_status go_round(struct loop *loop, struct ws_err *err)
{
    struct ws_turns *turns = loop->turns;
    if (ws_stop_asked()) {
        ws_fail(err, WS_E_STOPPED, "stopped by a signal; %lld images are kept",
                (long long)turns->books->tally.n_images);
        ws_err_hint(err, "run the same command again to go on");
        return WS_E_STOPPED;
    }
    enum ws_status status = start_due(loop, err);
    if (status == WS_OK && ws_fetcher_n_in_flight(turns->fetcher) == 0 && !ws_hosts_first(&turns->hosts))
        return WS_DONE;
    if (status == WS_OK)
        status = ws_fetcher_wait(turns->fetcher, wait_ms(turns), err);
    if (status == WS_OK)
        status = conclude_finished(loop, err);
    if (status == WS_OK)
        status = commit_if_due(loop, err);
    show_progress(loop, false);
    return status;
}

enum ws_status ws_loop_run(struct ws_turns *turns, const struct ws_errand_table *table, struct ws_crawl *crawl,
                           struct ws_err *err)
{
    struct loop loop = {.turns = turns, .table = table, .crawl = crawl, .last_commit_s = ws_clock_mono_s()};
    const struct ws_tally *tally = &turns->books->tally;
    ws_progress_begin(&loop.progress, "crawl", "images", tally->n_known, tally->n_images);
    enum ws_status status = ws_turns_wake_all(turns, err);
    while (status == WS_OK)
        status = go_round(&loop, err);
    show_progress(&loop, true);
    if (status != WS_DONE && status != WS_E_STOPPED)
        return status;
    const enum ws_status committed = ws_books_commit(turns->books, status == WS_DONE ? err : NULL);
    return status == WS_DONE ? committed : status;
}
