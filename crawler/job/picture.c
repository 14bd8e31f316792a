#include "picture.h"

#include "admit.h"
#include "answer.h"
#include "page/consent.h"
#include "rules.h"

#include "webstill/base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char accept_pictures[] = "image/webp,image/png,image/jpeg,image/*;q=0.5";

static enum ws_status get_entry(struct ws_crawl *crawl, const struct ws_item *item, struct ws_url_entry *entry,
                                struct ws_err *err)
{
    const enum ws_status status = ws_frontier_get_url(crawl->books.frontier, &item->id, entry, err);
    return status == WS_DONE ? ws_fail(err, WS_E_DAMAGED, "frontier: a queued picture has no entry") : status;
}

/** The story ends here: keep the entry, let the item go. */
static enum ws_status end(struct ws_crawl *crawl, struct ws_host *host, const struct ws_item *item,
                          const struct ws_url_entry *entry, struct ws_err *err)
{
    const enum ws_status status = ws_frontier_put_url(crawl->books.frontier, &item->id, entry, err);
    return status == WS_OK ? ws_frontier_land(crawl->books.frontier, host->origin, item, err) : status;
}

static enum ws_status end_as(struct ws_crawl *crawl, const struct ws_errand *errand, struct ws_url_entry *entry,
                             enum ws_entry_state state, enum ws_failure failure, const char *detail, struct ws_err *err)
{
    entry->state = state;
    entry->failure = failure;
    snprintf(entry->detail, sizeof entry->detail, "%s", detail);
    crawl->books.tally.n_failed += state == WS_ENTRY_FAILED;
    return end(crawl, errand->host, &errand->item, entry, err);
}

/** Keep with the picture what it was asked for under. */
static void note_permission(struct ws_url_entry *entry, const struct ws_permission *permission)
{
    entry->robots_line = permission->decision.line;
    memcpy(entry->rule, permission->decision.rule, sizeof entry->rule);
    memcpy(entry->robots_sha256, permission->sha256, sizeof entry->robots_sha256);
    memcpy(entry->robots_fetched, permission->fetched, sizeof entry->robots_fetched);
}

static enum ws_status start(struct ws_crawl *crawl, struct ws_host *host, const struct ws_item *item, bool *is_started,
                            struct ws_err *err)
{
    struct ws_url_entry entry;
    struct ws_errand errand = {.ops = &ws_picture_errand, .host = host, .item = *item};
    struct ws_request request = {.accept = accept_pictures};
    *is_started = false;
    enum ws_status status = get_entry(crawl, item, &entry, err);
    if (status != WS_OK)
        return status;
    if (!ws_url_parse(&request.url, entry.url))
        return ws_fail(err, WS_E_DAMAGED, "frontier: %s is no URL", entry.url);
    status = ws_rules_decide(crawl, host, &request.url, &errand.permission, err);
    if (status != WS_OK)
        return status;
    if (!errand.permission.decision.is_allowed) {
        entry.state = WS_ENTRY_FORBIDDEN;
        note_permission(&entry, &errand.permission);
        return end(crawl, host, item, &entry, err);
    }
    *is_started = true;
    return ws_turns_start(&crawl->turns, &errand, &request, err);
}

/** A transient failure: queue it again later, or end it after the last try. */
static enum ws_status retry(struct ws_crawl *crawl, const struct ws_errand *errand, struct ws_url_entry *entry,
                            const struct ws_response *response, const struct ws_answer *answer, struct ws_err *err)
{
    int64_t due_ms;
    const struct ws_item *item = &errand->item;
    struct ws_host *host = errand->host;
    if (!ws_turns_may_retry(&crawl->turns, host, &item->id, &entry->tries, response->retry_after_s, &due_ms))
        return end_as(crawl, errand, entry, WS_ENTRY_FAILED, answer->failure, answer->detail, err);
    enum ws_status status = end(crawl, host, item, entry, err);
    if (status == WS_OK)
        status = ws_frontier_queue(crawl->books.frontier, host->origin, WS_ITEM_IMAGE, &item->id, due_ms, err);
    return status == WS_OK ? ws_turns_wake(&crawl->turns, host->origin, due_ms, err) : status;
}

static enum ws_status redirect(struct ws_crawl *crawl, const struct ws_errand *errand, struct ws_url_entry *entry,
                               const struct ws_response *response, struct ws_err *err)
{
    char record[64], detail[WS_URL_MAX + 64];
    struct ws_url target;
    enum ws_status status = ws_archive_response(&crawl->books.archive, response, record, err);
    if (status != WS_OK)
        return status;
    if (!ws_answer_target(response, &target, detail, sizeof detail))
        return end_as(crawl, errand, entry, WS_ENTRY_FAILED, WS_FAILURE_REDIRECT, detail, err);
    status = ws_admit_forward(crawl, &errand->item.id, entry, &target, err);
    if (status == WS_DONE) {
        snprintf(detail, sizeof detail, "redirect to %.4000s: a loop, or more than %u hops", target.text,
                 (unsigned)crawl->conf->max_redirects);
        return end_as(crawl, errand, entry, WS_ENTRY_FAILED, WS_FAILURE_REDIRECT, detail, err);
    }
    crawl->books.tally.n_known--;
    return status == WS_OK ? end_as(crawl, errand, entry, WS_ENTRY_REDIRECTED, WS_FAILURE_NONE, target.text, err)
                           : status;
}

static enum ws_status keep(struct ws_crawl *crawl, const struct ws_errand *errand, struct ws_url_entry *entry,
                           const struct ws_response *response, struct ws_err *err)
{
    char detail[128];
    bool is_duplicate;
    const char *refusal = ws_consent_refusal(ws_consent_head(response->head, crawl->token));
    if (refusal)
        return end_as(crawl, errand, entry, WS_ENTRY_OPTED_OUT, WS_FAILURE_NONE, refusal, err);
    enum ws_status status =
        ws_archive_picture(&crawl->books.archive, crawl->books.frontier, response, entry->record, &is_duplicate, err);
    if (status == WS_OK)
        status = ws_admit_write(crawl, &errand->item.id, entry, err);
    if (status != WS_OK)
        return status;
    entry->body_bytes = response->body.len;
    if (response->is_cut) {
        snprintf(detail, sizeof detail, "longer than crawl.max_body_kib (%u KiB)", (unsigned)crawl->conf->max_body_kib);
        return end_as(crawl, errand, entry, WS_ENTRY_FAILED, WS_FAILURE_OVERSIZED, detail, err);
    }
    crawl->books.tally.n_images++;
    return end_as(crawl, errand, entry, is_duplicate ? WS_ENTRY_DUPLICATE : WS_ENTRY_DONE, WS_FAILURE_NONE, "", err);
}

/** An answer that is neither a picture nor a redirect, and that no further try will change. */
static enum ws_status give_up(struct ws_crawl *crawl, const struct ws_errand *errand, struct ws_url_entry *entry,
                              const struct ws_response *response, const struct ws_answer *answer, struct ws_err *err)
{
    char record[64];
    const enum ws_status status = ws_archive_response(&crawl->books.archive, response, record, err);
    return status == WS_OK ? end_as(crawl, errand, entry, WS_ENTRY_FAILED, answer->failure, answer->detail, err)
                           : status;
}

static enum ws_status conclude(struct ws_crawl *crawl, const struct ws_errand *errand,
                               const struct ws_response *response, struct ws_err *err)
{
    struct ws_url_entry entry;
    const struct ws_answer answer = ws_answer_read(response);
    const enum ws_status status = get_entry(crawl, &errand->item, &entry, err);
    if (status != WS_OK)
        return status;
    entry.tries++;
    entry.http_status = response->http_status;
    note_permission(&entry, &errand->permission);
    switch (answer.kind) {
    case WS_ANSWER_WHOLE:
        return keep(crawl, errand, &entry, response, err);
    case WS_ANSWER_REDIRECT:
        return redirect(crawl, errand, &entry, response, err);
    case WS_ANSWER_BUSY:
        return retry(crawl, errand, &entry, response, &answer, err);
    case WS_ANSWER_BROKEN:
        return end_as(crawl, errand, &entry, WS_ENTRY_FAILED, answer.failure, answer.detail, err);
    default:
        return give_up(crawl, errand, &entry, response, &answer, err);
    }
}

const struct ws_errand_ops ws_picture_errand = {.is_limited = true, .start = start, .conclude = conclude};

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
    crawl->books.tally.n_failed--;
    const enum ws_status status = ws_frontier_put_url(crawl->books.frontier, key, entry, err);
    return status == WS_OK ? ws_turns_queue(&crawl->turns, &url, WS_ITEM_IMAGE, key, 0, err) : status;
}

enum ws_status ws_picture_retry_failed(struct ws_crawl *crawl, struct ws_err *err)
{
    struct ws_image_id key = {{0}};
    struct ws_url_entry *entry = ws_calloc(1, sizeof *entry);
    enum ws_status status = entry ? WS_OK : ws_fail(err, WS_E_MEMORY, "out of memory for the frontier's entries");
    for (bool is_first = true; status == WS_OK; is_first = false) {
        status = ws_frontier_next_url(crawl->books.frontier, &key, is_first, entry, err);
        if (status == WS_OK && entry->state == WS_ENTRY_FAILED && ws_failure_is_transient(entry->failure))
            status = queue_again(crawl, &key, entry, err);
    }
    free(entry);
    return status == WS_DONE ? WS_OK : status;
}
