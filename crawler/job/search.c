#include "search.h"

#include "admit.h"
#include "answer.h"
#include "net/text.h"
#include "rules.h"

#include "webstill/base/log.h"

#include <stdio.h>
#include <string.h>

/** What the source of a search may know and touch. */
static struct ws_visit make_visit(struct ws_crawl *crawl, const struct ws_search *search, struct ws_cursor *cursor)
{
    return (struct ws_visit){
        .search = search,
        .config = crawl->config,
        .token = crawl->token,
        .cursor = cursor,
        .walk = {.frontier = crawl->books.frontier,
                 .search = search->id,
                 .group = search->group ? search->group->id : search->id},
        .admit = ws_admit,
        .crawl = crawl,
    };
}

static enum ws_status load(struct ws_crawl *crawl, const struct ws_search *search, struct ws_cursor *cursor,
                           struct ws_err *err)
{
    return ws_cursor_load(crawl->books.frontier, &search->id, search->ops->own_fields, cursor, err);
}

static enum ws_status save(struct ws_crawl *crawl, const struct ws_search *search, const struct ws_cursor *cursor,
                           struct ws_err *err)
{
    return ws_cursor_save(crawl->books.frontier, &search->id, search->ops->own_fields, cursor, err);
}

/* --- beginning and going on --- */

static enum ws_status queue(struct ws_crawl *crawl, const struct ws_search *search, struct ws_cursor *cursor,
                            int64_t due_ms, struct ws_err *err)
{
    struct ws_url url;
    if (!ws_url_parse(&url, cursor->url))
        return ws_fail(err, WS_E_DAMAGED, "frontier: a task's next request \"%s\" is no URL", cursor->url);
    cursor->is_queued = true;
    const enum ws_status status = save(crawl, search, cursor, err);
    return status == WS_OK ? ws_turns_queue(&crawl->turns, &url, WS_ITEM_TASK, &search->id, due_ms, err) : status;
}

/** Queue the first unfinished search of a group, unless it is queued. */
static enum ws_status queue_group(struct ws_crawl *crawl, struct ws_group *group, struct ws_err *err)
{
    struct ws_cursor cursor;
    for (; group->next < group->n; group->next++) {
        const struct ws_search *search = group->members[group->next];
        const enum ws_status status = load(crawl, search, &cursor, err);
        if (status != WS_OK)
            return status == WS_DONE ? ws_fail(err, WS_E_DAMAGED, "frontier: a task is missing") : status;
        if (!cursor.is_done)
            return cursor.is_queued ? WS_OK : queue(crawl, search, &cursor, 0, err);
    }
    return WS_OK;
}

static enum ws_status begin_anew(struct ws_crawl *crawl, const struct ws_search *search, bool is_queued,
                                 struct ws_err *err)
{
    struct ws_cursor cursor = {.is_queued = is_queued};
    const struct ws_visit visit = make_visit(crawl, search, &cursor);
    const enum ws_status status = search->ops->begin(&visit, err);
    return status == WS_OK ? save(crawl, search, &cursor, err) : status;
}

/** Walks that know the same pages can only begin anew together. */
static enum ws_status begin_group_anew(struct ws_crawl *crawl, const struct ws_group *group, struct ws_err *err)
{
    struct ws_cursor cursor;
    enum ws_status status = ws_frontier_forget_seen(crawl->books.frontier, &group->id, err);
    for (size_t i = 0; status == WS_OK && i < group->n; i++) {
        status = load(crawl, group->members[i], &cursor, err);
        if (status == WS_OK || status == WS_DONE)
            status = begin_anew(crawl, group->members[i], cursor.is_queued, err);
    }
    return status;
}

/** Bring one search to where it may run. */
static enum ws_status prepare(struct ws_crawl *crawl, const struct ws_search *search, struct ws_err *err)
{
    struct ws_cursor cursor;
    const struct ws_source_ops *ops = search->ops;
    const struct ws_visit visit = make_visit(crawl, search, &cursor);
    enum ws_status status = load(crawl, search, &cursor, err);
    if (status == WS_DONE)
        return begin_anew(crawl, search, false, err);
    if (status != WS_OK)
        return status;
    const bool is_queued = cursor.is_queued;
    const bool may_reopen = (cursor.is_done || search->group) && !cursor.failure[0];
    if (may_reopen && ops->reopen && ops->reopen(&visit)) {
        if (search->group)
            return begin_group_anew(crawl, search->group, err);
        cursor.is_done = false;
    } else if (cursor.failure[0]) {
        cursor.is_done = false; /* another run, another chance */
        cursor.failure[0] = '\0';
        cursor.n_tries = 0;
    }
    cursor.is_queued = is_queued;
    return save(crawl, search, &cursor, err);
}

enum ws_status ws_search_begin_all(struct ws_crawl *crawl, struct ws_err *err)
{
    struct ws_cursor cursor;
    const struct ws_agenda *agenda = &crawl->agenda;
    enum ws_status status = WS_OK;
    for (size_t i = 0; status == WS_OK && i < agenda->n; i++)
        status = prepare(crawl, &agenda->searches[i], err);
    for (size_t i = 0; status == WS_OK && i < agenda->n; i++) {
        const struct ws_search *search = &agenda->searches[i];
        if (search->group) {
            if (search == search->group->members[0])
                status = queue_group(crawl, search->group, err);
            continue;
        }
        status = load(crawl, search, &cursor, err);
        if (status == WS_OK && !cursor.is_done && !cursor.is_queued)
            status = queue(crawl, search, &cursor, 0, err);
    }
    return status;
}

/** After an answer, or instead of one: queue the next request, or the next search of the group. */
static enum ws_status go_on(struct ws_crawl *crawl, const struct ws_search *search, struct ws_cursor *cursor,
                            struct ws_err *err)
{
    cursor->n_tries = cursor->n_hops = 0;
    if (!cursor->is_done)
        return queue(crawl, search, cursor, 0, err);
    cursor->is_queued = false;
    const enum ws_status status = save(crawl, search, cursor, err);
    return status == WS_OK && search->group ? queue_group(crawl, search->group, err) : status;
}

static enum ws_status skip(struct ws_crawl *crawl, const struct ws_search *search, struct ws_cursor *cursor,
                           const char *reason, struct ws_err *err)
{
    char clean[sizeof cursor->failure];
    enum ws_status status = WS_OK;
    const struct ws_visit visit = make_visit(crawl, search, cursor);
    ws_text_collapse(reason, clean, sizeof clean);
    ws_log(WS_LOG_WARN, "%s: %s", cursor->url, clean);
    if (search->ops->skip)
        status = search->ops->skip(&visit, clean, err);
    else
        ws_cursor_break_off(cursor, clean);
    return status == WS_OK ? go_on(crawl, search, cursor, err) : status;
}

/* --- requests --- */

/** An item whose search is not on the agenda, or whose request belongs to another host, leaves this queue. */
static enum ws_status send_home(struct ws_crawl *crawl, struct ws_host *host, const struct ws_item *item,
                                const struct ws_search *search, struct ws_cursor *cursor, struct ws_err *err)
{
    const enum ws_status status = ws_frontier_land(crawl->books.frontier, host->origin, item, err);
    if (status != WS_OK)
        return status;
    if (search && !cursor->is_done)
        return queue(crawl, search, cursor, 0, err);
    return ws_cursor_rest(crawl->books.frontier, &item->id, err);
}

static enum ws_status start(struct ws_crawl *crawl, struct ws_host *host, const struct ws_item *item, bool *is_started,
                            struct ws_err *err)
{
    char reason[400], origin[WS_ORIGIN_MAX] = "";
    struct ws_cursor cursor;
    struct ws_errand errand = {.ops = &ws_search_errand, .host = host, .item = *item};
    const struct ws_search *search = ws_agenda_find(&crawl->agenda, &item->id);
    struct ws_request request = {.accept = search ? search->ops->accept : NULL, .may_be_coded = true};
    *is_started = false;
    enum ws_status status =
        ws_cursor_load(crawl->books.frontier, &item->id, search ? search->ops->own_fields : NULL, &cursor, err);
    if (status != WS_OK)
        return status == WS_DONE ? ws_fail(err, WS_E_DAMAGED, "frontier: a queued task is missing") : status;
    if (ws_url_parse(&request.url, cursor.url))
        ws_url_origin(&request.url, origin);
    if (!search || cursor.is_done || strcmp(origin, host->origin) != 0)
        return send_home(crawl, host, item, search, &cursor, err);

    status = ws_rules_decide(crawl, host, &request.url, &errand.permission, err);
    if (status != WS_OK)
        return status;
    const struct ws_robots_decision *decision = &errand.permission.decision;
    if (!decision->is_allowed && !search->ops->is_api) {
        status = ws_frontier_land(crawl->books.frontier, host->origin, item, err);
        snprintf(reason, sizeof reason, "forbidden by robots.txt (line %u: %s)", decision->line, decision->rule);
        return status == WS_OK ? skip(crawl, search, &cursor, reason, err) : status;
    }
    *is_started = true;
    return ws_turns_start(&crawl->turns, &errand, &request, err);
}

/* --- answers --- */

static enum ws_status retry(struct ws_crawl *crawl, const struct ws_errand *errand, const struct ws_search *search,
                            struct ws_cursor *cursor, int64_t retry_after_s, const char *detail, struct ws_err *err)
{
    int64_t due_ms;
    cursor->n_tries++;
    if (!ws_turns_may_retry(&crawl->turns, errand->host, &search->id, &cursor->n_tries, retry_after_s, &due_ms))
        return skip(crawl, search, cursor, detail, err);
    return queue(crawl, search, cursor, due_ms, err);
}

static enum ws_status redirect(struct ws_crawl *crawl, const struct ws_search *search, struct ws_cursor *cursor,
                               const struct ws_response *response, struct ws_err *err)
{
    char why[WS_URL_MAX + 64];
    struct ws_url target;
    const struct ws_url *from = &response->request->url;
    const struct ws_visit visit = make_visit(crawl, search, cursor);
    if (cursor->n_hops >= crawl->conf->max_redirects)
        return skip(crawl, search, cursor, "too many redirects", err);
    if (!ws_answer_target(response, &target, why, sizeof why) || strcmp(target.text, from->text) == 0 ||
        (search->ops->may_follow && !search->ops->may_follow(&visit, from, &target)))
        return skip(crawl, search, cursor, "a redirect that cannot be followed", err);
    cursor->n_hops++;
    memcpy(cursor->url, target.text, sizeof cursor->url);
    return queue(crawl, search, cursor, 0, err);
}

static enum ws_status read_answer(struct ws_crawl *crawl, const struct ws_errand *errand,
                                  const struct ws_search *search, struct ws_cursor *cursor,
                                  const struct ws_response *response, struct ws_err *err)
{
    struct ws_err cause = {0};
    const struct ws_visit visit = make_visit(crawl, search, cursor);
    cursor->wait_s = 0;
    if (response->is_cut)
        return skip(crawl, search, cursor, "the answer is longer than crawl.max_body_kib", err);
    const enum ws_status status = search->ops->read(&visit, response, &cause);
    if (status == WS_E_FORMAT)
        return skip(crawl, search, cursor, cause.text, err);
    if (status != WS_OK) {
        if (err)
            *err = cause;
        return status;
    }
    if (cursor->wait_s > 0)
        return retry(crawl, errand, search, cursor, cursor->wait_s, "the API is busy", err);
    cursor->n_requests++;
    return go_on(crawl, search, cursor, err);
}

static enum ws_status conclude(struct ws_crawl *crawl, const struct ws_errand *errand,
                               const struct ws_response *response, struct ws_err *err)
{
    char record[64];
    struct ws_cursor cursor;
    const struct ws_answer answer = ws_answer_read(response);
    const struct ws_search *search = ws_agenda_find(&crawl->agenda, &errand->item.id);
    ws_assert(search != NULL);
    enum ws_status status = load(crawl, search, &cursor, err);
    if (status == WS_OK)
        status = ws_frontier_land(crawl->books.frontier, errand->host->origin, &errand->item, err);
    if (status != WS_OK)
        return status;
    if (answer.kind == WS_ANSWER_BUSY)
        return retry(crawl, errand, search, &cursor, response->retry_after_s, answer.detail, err);
    if (answer.kind == WS_ANSWER_BROKEN)
        return skip(crawl, search, &cursor, answer.detail, err);
    status = ws_archive_response(&crawl->books.archive, response, record, err);
    if (status != WS_OK)
        return status;
    if (answer.kind == WS_ANSWER_REDIRECT)
        return redirect(crawl, search, &cursor, response, err);
    if (answer.kind == WS_ANSWER_OTHER)
        return skip(crawl, search, &cursor, answer.detail, err);
    return read_answer(crawl, errand, search, &cursor, response, err);
}

const struct ws_errand_ops ws_search_errand = {.start = start, .conclude = conclude};

/* --- what it has come to --- */

enum ws_status ws_search_count(struct ws_crawl *crawl, struct ws_outcome *outcome, struct ws_err *err)
{
    struct ws_cursor cursor;
    for (size_t i = 0; i < crawl->agenda.n; i++) {
        const enum ws_status status = load(crawl, &crawl->agenda.searches[i], &cursor, err);
        if (status == WS_DONE)
            continue;
        if (status != WS_OK)
            return status;
        outcome->n_requests += cursor.n_requests;
        outcome->n_pages_skipped += cursor.n_skipped;
        outcome->n_unsupported += cursor.n_unsupported;
        outcome->n_pages_opted_out += cursor.n_opted_out;
        outcome->n_searches_failed += cursor.failure[0] != '\0';
        const struct ws_parking *parking = cursor.is_done ? NULL : ws_parked_find_url(&crawl->books.parked, cursor.url);
        outcome->n_searches_left += !cursor.is_done && !(parking && ws_parking_is_final(parking));
    }
    return WS_OK;
}

enum ws_status ws_search_write_failures(struct ws_crawl *crawl, struct ws_failures *failures, struct ws_err *err)
{
    struct ws_cursor cursor;
    for (size_t i = 0; i < crawl->agenda.n; i++) {
        const struct ws_search *search = &crawl->agenda.searches[i];
        enum ws_status status = load(crawl, search, &cursor, err);
        if (status != WS_OK && status != WS_DONE)
            return status;
        if (status == WS_DONE || !cursor.failure[0])
            continue;
        json_t *line = json_pack("{s:s,s:s,s:s,s:s,s:s?,s:s?}", "url", cursor.url[0] ? cursor.url : search->source->url,
                                 "reason", "answer", "detail", cursor.failure, "source", search->source_name,
                                 "class_name", search->class_name, "query", search->query);
        status = ws_failures_add_take(failures, line, err);
        if (status != WS_OK)
            return status;
    }
    return WS_OK;
}
