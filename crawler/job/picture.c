/** What becomes of a picture's URL: asked for, tried again, redirected, kept, or not kept for a reason. */
#include "turn/crawl.h"

#include "net/head.h"
#include "page/consent.h"

#include "webstill/base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char accept_pictures[] = "image/webp,image/png,image/jpeg,image/*;q=0.5";

static enum ws_status get_entry(struct ws_crawl *crawl, const struct ws_item *item, struct ws_url_entry *entry,
                                struct ws_err *err)
{
    const enum ws_status status = ws_frontier_get_url(crawl->frontier, &item->id, entry, err);
    return status == WS_DONE ? ws_fail(err, WS_E_DAMAGED, "frontier: a queued picture has no entry") : status;
}

/** The story ends here: keep the entry, let the item go. */
static enum ws_status end(struct ws_crawl *crawl, struct ws_host *host, const struct ws_item *item,
                          const struct ws_url_entry *entry, struct ws_err *err)
{
    const enum ws_status status = ws_frontier_put_url(crawl->frontier, &item->id, entry, err);
    return status == WS_OK ? ws_frontier_land(crawl->frontier, host->origin, item, err) : status;
}

static enum ws_status end_as(struct ws_crawl *crawl, struct ws_job *job, struct ws_url_entry *entry,
                             enum ws_entry_state state, enum ws_failure failure, const char *detail, struct ws_err *err)
{
    entry->state = state;
    entry->failure = failure;
    snprintf(entry->detail, sizeof entry->detail, "%s", detail);
    crawl->tally.n_failed += state == WS_ENTRY_FAILED;
    return end(crawl, job->host, &job->item, entry, err);
}

enum ws_status ws_picture_start(struct ws_crawl *crawl, struct ws_host *host, const struct ws_item *item,
                                bool *is_started, struct ws_err *err)
{
    struct ws_url_entry entry;
    struct ws_job job = {.kind = WS_JOB_IMAGE, .host = host, .item = *item};
    struct ws_request request = {.accept = accept_pictures};
    *is_started = false;
    enum ws_status status = get_entry(crawl, item, &entry, err);
    if (status != WS_OK)
        return status;
    if (!ws_url_parse(&request.url, entry.url))
        return ws_fail(err, WS_E_DAMAGED, "frontier: %s is no URL", entry.url);
    status = ws_gate_decide(crawl, host, &request.url, &job.permission, err);
    if (status != WS_OK)
        return status;
    if (!job.permission.decision.is_allowed) {
        entry.state = WS_ENTRY_FORBIDDEN;
        entry.robots_line = job.permission.decision.line;
        memcpy(entry.rule, job.permission.decision.rule, sizeof entry.rule);
        memcpy(entry.robots_sha256, job.permission.sha256, sizeof entry.robots_sha256);
        memcpy(entry.robots_fetched, job.permission.fetched, sizeof entry.robots_fetched);
        return end(crawl, host, item, &entry, err);
    }
    *is_started = true;
    return ws_crawl_start(crawl, host, &job, &request, err);
}

/** A transient failure: queue it again later, or end it after the last try. */
static enum ws_status retry(struct ws_crawl *crawl, struct ws_job *job, struct ws_url_entry *entry,
                            const struct ws_response *response, enum ws_failure failure, const char *detail,
                            struct ws_err *err)
{
    /* A host that was just parked keeps its queue for another run. */
    const bool is_parked = job->host->state == WS_HOST_PARKED;
    entry->tries = is_parked ? 0 : entry->tries;
    if (!is_parked && entry->tries > crawl->conf->retries)
        return end_as(crawl, job, entry, WS_ENTRY_FAILED, failure, detail, err);
    const int64_t due_ms =
        is_parked ? 0 : ws_crawl_retry_ms(crawl, &job->item.id, entry->tries, response->retry_after_s);
    enum ws_status status = ws_frontier_put_url(crawl->frontier, &job->item.id, entry, err);
    if (status == WS_OK)
        status = ws_frontier_land(crawl->frontier, job->host->origin, &job->item, err);
    if (status == WS_OK)
        status = ws_frontier_queue(crawl->frontier, job->host->origin, WS_ITEM_IMAGE, &job->item.id, due_ms, err);
    return status == WS_OK ? ws_crawl_wake(crawl, job->host->origin, due_ms, err) : status;
}

static enum ws_status redirect(struct ws_crawl *crawl, struct ws_job *job, struct ws_url_entry *entry,
                               const struct ws_response *response, struct ws_err *err)
{
    char location[WS_URL_MAX], record[64], detail[WS_URL_MAX + 64];
    struct ws_url target;
    enum ws_status status = ws_archive_response(&crawl->archive, response, record, err);
    if (status != WS_OK)
        return status;
    if (!ws_head_field(response->head, "Location", 0, location, sizeof location))
        return end_as(crawl, job, entry, WS_ENTRY_FAILED, WS_FAILURE_REDIRECT, "redirect without a Location", err);
    if (!ws_url_resolve(&target, &response->request->url, location)) {
        snprintf(detail, sizeof detail, "redirect to what is no http(s) URL: %s", location);
        return end_as(crawl, job, entry, WS_ENTRY_FAILED, WS_FAILURE_REDIRECT, detail, err);
    }
    status = ws_admit_forward(crawl, &job->item.id, entry, &target, err);
    if (status == WS_DONE) {
        snprintf(detail, sizeof detail, "redirect to %.4000s: a loop, or more than %u hops", target.text,
                 (unsigned)crawl->conf->max_redirects);
        return end_as(crawl, job, entry, WS_ENTRY_FAILED, WS_FAILURE_REDIRECT, detail, err);
    }
    crawl->tally.n_known--;
    return status == WS_OK ? end_as(crawl, job, entry, WS_ENTRY_REDIRECTED, WS_FAILURE_NONE, target.text, err) : status;
}

static enum ws_status keep(struct ws_crawl *crawl, struct ws_job *job, struct ws_url_entry *entry,
                           const struct ws_response *response, struct ws_err *err)
{
    char detail[128];
    bool is_duplicate;
    const char *refusal = ws_consent_refusal(ws_consent_head(response->head, crawl->token));
    if (refusal)
        return end_as(crawl, job, entry, WS_ENTRY_OPTED_OUT, WS_FAILURE_NONE, refusal, err);
    enum ws_status status =
        ws_archive_picture(&crawl->archive, crawl->frontier, response, entry->record, &is_duplicate, err);
    if (status == WS_OK)
        status = ws_admit_write(crawl, &job->item.id, entry, err);
    if (status != WS_OK)
        return status;
    entry->body_bytes = response->body.len;
    if (response->is_cut) {
        snprintf(detail, sizeof detail, "longer than crawl.max_body_kib (%u KiB)", (unsigned)crawl->conf->max_body_kib);
        return end_as(crawl, job, entry, WS_ENTRY_FAILED, WS_FAILURE_OVERSIZED, detail, err);
    }
    crawl->tally.n_images++;
    return end_as(crawl, job, entry, is_duplicate ? WS_ENTRY_DUPLICATE : WS_ENTRY_DONE, WS_FAILURE_NONE, "", err);
}

/** An answer that is neither a picture nor a redirect, and that no further try will change. */
static enum ws_status give_up(struct ws_crawl *crawl, struct ws_job *job, struct ws_url_entry *entry,
                              const struct ws_response *response, struct ws_err *err)
{
    char detail[64], record[64];
    const int status_code = response->http_status;
    const enum ws_status status = ws_archive_response(&crawl->archive, response, record, err);
    if (status != WS_OK)
        return status;
    snprintf(detail, sizeof detail, "HTTP status %d", status_code);
    return end_as(crawl, job, entry, WS_ENTRY_FAILED,
                  status_code >= 400 && status_code < 500 ? WS_FAILURE_4XX : WS_FAILURE_STATUS, detail, err);
}

enum ws_status ws_picture_conclude(struct ws_crawl *crawl, struct ws_job *job, const struct ws_response *response,
                                   struct ws_err *err)
{
    struct ws_url_entry entry;
    char detail[64];
    const int http_status = response->http_status;
    const enum ws_status status = get_entry(crawl, &job->item, &entry, err);
    if (status != WS_OK)
        return status;
    entry.tries++;
    entry.http_status = http_status;
    entry.robots_line = job->permission.decision.line;
    memcpy(entry.rule, job->permission.decision.rule, sizeof entry.rule);
    memcpy(entry.robots_sha256, job->permission.sha256, sizeof entry.robots_sha256);
    memcpy(entry.robots_fetched, job->permission.fetched, sizeof entry.robots_fetched);

    if (response->failure != WS_FAILURE_NONE) {
        if (ws_failure_is_transient(response->failure))
            return retry(crawl, job, &entry, response, response->failure, response->detail, err);
        return end_as(crawl, job, &entry, WS_ENTRY_FAILED, response->failure, response->detail, err);
    }
    if (http_status == 429 || http_status >= 500) {
        snprintf(detail, sizeof detail, "HTTP status %d", http_status);
        return retry(crawl, job, &entry, response, WS_FAILURE_5XX, detail, err);
    }
    switch (http_status) {
    case 200:
        return keep(crawl, job, &entry, response, err);
    case 301:
    case 302:
    case 303:
    case 307:
    case 308:
        return redirect(crawl, job, &entry, response, err);
    default:
        return give_up(crawl, job, &entry, response, err);
    }
}

/* --- another round --- */

static enum ws_status queue_again(struct ws_crawl *crawl, const struct ws_image_id *key, struct ws_url_entry *entry,
                                  struct ws_err *err)
{
    struct ws_url url;
    if (!ws_url_parse(&url, entry->url))
        return ws_fail(err, WS_E_DAMAGED, "frontier: %s is no URL", entry->url);
    entry->state = WS_ENTRY_QUEUED;
    entry->failure = WS_FAILURE_NONE;
    entry->tries = 0;
    entry->detail[0] = '\0';
    crawl->tally.n_failed--;
    const enum ws_status status = ws_frontier_put_url(crawl->frontier, key, entry, err);
    return status == WS_OK ? ws_crawl_queue(crawl, &url, WS_ITEM_IMAGE, key, 0, err) : status;
}

enum ws_status ws_picture_retry_failed(struct ws_crawl *crawl, struct ws_err *err)
{
    struct ws_image_id key = {{0}};
    struct ws_url_entry *entry = ws_calloc(1, sizeof *entry);
    enum ws_status status = entry ? WS_OK : ws_fail(err, WS_E_MEMORY, "out of memory for the frontier's entries");
    for (bool is_first = true; status == WS_OK; is_first = false) {
        status = ws_frontier_next_url(crawl->frontier, &key, is_first, entry, err);
        if (status == WS_OK && entry->state == WS_ENTRY_FAILED && ws_failure_is_transient(entry->failure))
            status = queue_again(crawl, &key, entry, err);
    }
    free(entry);
    return status == WS_DONE ? WS_OK : status;
}
