#include "search.h"

#include "net/head.h"
#include "net/text.h"
#include "source/source.h"

#include "webstill/base/buf.h"
#include "webstill/base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- the list --- */

static struct ws_image_id make_id(const struct ws_source_ops *ops, const char *url, const char *class_name,
                                  const char *query, struct ws_buf *scratch, bool *is_ok)
{
    static const char nul = '\0';
    ws_buf_clear(scratch);
    *is_ok = ws_buf_add(scratch, ops->name, strlen(ops->name) + 1) && ws_buf_add(scratch, url, strlen(url) + 1) &&
             ws_buf_add(scratch, class_name ? class_name : &nul, class_name ? strlen(class_name) + 1 : 1) &&
             ws_buf_add(scratch, query ? query : &nul, query ? strlen(query) + 1 : 1);
    const struct ws_digest digest = ws_sha256(scratch->ptr ? scratch->ptr : "", scratch->len);
    return ws_image_id_of(&digest);
}

/** Walks with the same first host run one after another. */
static struct ws_image_id make_group(const struct ws_source_keys *source)
{
    struct ws_url url;
    char origin[WS_ORIGIN_MAX] = "";
    if (ws_url_parse(&url, source->url))
        ws_url_origin(&url, origin);
    return ws_url_key(origin);
}

static const char *name_of(const struct ws_source_keys *source, bool *is_owned)
{
    struct ws_url url;
    char host[256];
    *is_owned = false;
    if ((source->name && *source->name) || !ws_url_parse(&url, source->url))
        return source->name ? source->name : "";
    ws_url_host(&url, host);
    const char *name = strdup(host);
    *is_owned = name != NULL;
    return name ? name : "";
}

static bool add_task(struct ws_crawl *crawl, const struct ws_source_keys *source, const struct ws_source_ops *ops,
                     const char *class_name, const char *query, struct ws_buf *scratch)
{
    struct ws_task *task = &crawl->tasks[crawl->n_tasks];
    bool is_ok;
    *task = (struct ws_task){.ops = ops, .source = source, .class_name = class_name, .query = query};
    task->id = make_id(ops, source->url, class_name, query, scratch, &is_ok);
    task->source_name = name_of(source, &task->is_name_owned);
    task->has_group = ops->has_groups;
    if (task->has_group)
        task->group = make_group(source);
    crawl->n_tasks++;
    return is_ok;
}

enum ws_status ws_tasks_make(struct ws_crawl *crawl, struct ws_err *err)
{
    const struct ws_config *config = crawl->config;
    struct ws_buf scratch = {0};
    size_t n_queries = 0;
    bool is_ok = true;
    for (unsigned c = 0; c < config->n_classes; c++)
        n_queries += config->classes[c].n_queries;
    const size_t n_max = ws_size_mul(crawl->conf->n_sources, n_queries + 1);
    crawl->tasks = ws_calloc(n_max ? n_max : 1, sizeof *crawl->tasks);
    if (!crawl->tasks)
        return ws_fail(err, WS_E_MEMORY, "out of memory for %zu searches", n_max);
    for (unsigned s = 0; s < crawl->conf->n_sources; s++) {
        const struct ws_source_keys *source = &crawl->conf->sources[s];
        const struct ws_source_ops *ops = ws_source_find(source->kind);
        if (!ops->is_per_query(source)) {
            is_ok = add_task(crawl, source, ops, NULL, NULL, &scratch) && is_ok;
            continue;
        }
        for (unsigned c = 0; c < config->n_classes; c++)
            for (unsigned q = 0; q < config->classes[c].n_queries; q++)
                is_ok =
                    add_task(crawl, source, ops, config->classes[c].name, config->classes[c].queries[q], &scratch) &&
                    is_ok;
    }
    ws_buf_fini(&scratch);
    return is_ok ? WS_OK : ws_fail(err, WS_E_MEMORY, "out of memory for the searches");
}

void ws_tasks_fini(struct ws_crawl *crawl)
{
    for (size_t i = 0; i < crawl->n_tasks; i++)
        if (crawl->tasks[i].is_name_owned)
            free((void *)(uintptr_t)crawl->tasks[i].source_name);
    free(crawl->tasks);
    crawl->tasks = NULL;
    crawl->n_tasks = 0;
}

static const struct ws_task *find_task(const struct ws_crawl *crawl, const struct ws_image_id *id)
{
    for (size_t i = 0; i < crawl->n_tasks; i++)
        if (ws_image_id_compare(&crawl->tasks[i].id, id) == 0)
            return &crawl->tasks[i];
    return NULL;
}

static bool is_same_group(const struct ws_task *a, const struct ws_task *b)
{
    return a->has_group && b->has_group && ws_image_id_compare(&a->group, &b->group) == 0;
}

/* --- beginning and going on --- */

static enum ws_status queue_task(struct ws_crawl *crawl, const struct ws_task *task, struct ws_cursor *cursor,
                                 int64_t due_ms, struct ws_err *err)
{
    struct ws_url url;
    if (!ws_url_parse(&url, cursor->url))
        return ws_fail(err, WS_E_DAMAGED, "frontier: a task's next request \"%s\" is no URL", cursor->url);
    cursor->is_queued = true;
    const enum ws_status status = ws_cursor_save(crawl->frontier, &task->id, cursor, err);
    return status == WS_OK ? ws_crawl_queue(crawl, &url, WS_ITEM_TASK, &task->id, due_ms, err) : status;
}

/** Queue the first unfinished task of a group, unless it is queued. */
static enum ws_status queue_group(struct ws_crawl *crawl, const struct ws_task *member, struct ws_err *err)
{
    struct ws_cursor cursor;
    for (size_t i = 0; i < crawl->n_tasks; i++) {
        const struct ws_task *task = &crawl->tasks[i];
        if (!is_same_group(task, member))
            continue;
        const enum ws_status status = ws_cursor_load(crawl->frontier, &task->id, &cursor, err);
        if (status != WS_OK)
            return status == WS_DONE ? ws_fail(err, WS_E_DAMAGED, "frontier: a task is missing") : status;
        if (cursor.is_done)
            continue;
        return cursor.is_queued ? WS_OK : queue_task(crawl, task, &cursor, 0, err);
    }
    return WS_OK;
}

static enum ws_status begin_anew(struct ws_crawl *crawl, const struct ws_task *task, bool is_queued, struct ws_err *err)
{
    struct ws_cursor cursor = {.is_queued = is_queued};
    const enum ws_status status = task->ops->begin(crawl, task, &cursor, err);
    return status == WS_OK ? ws_cursor_save(crawl->frontier, &task->id, &cursor, err) : status;
}

/** Walks that know the same pages can only begin anew together. */
static enum ws_status begin_group_anew(struct ws_crawl *crawl, const struct ws_task *member, struct ws_err *err)
{
    struct ws_cursor cursor;
    enum ws_status status = ws_frontier_forget_seen(crawl->frontier, &member->group, err);
    for (size_t i = 0; status == WS_OK && i < crawl->n_tasks; i++) {
        if (!is_same_group(&crawl->tasks[i], member))
            continue;
        status = ws_cursor_load(crawl->frontier, &crawl->tasks[i].id, &cursor, err);
        if (status == WS_OK || status == WS_DONE)
            status = begin_anew(crawl, &crawl->tasks[i], cursor.is_queued, err);
    }
    return status;
}

/** Bring one task to where it may run. */
static enum ws_status prepare(struct ws_crawl *crawl, const struct ws_task *task, struct ws_err *err)
{
    struct ws_cursor cursor;
    enum ws_status status = ws_cursor_load(crawl->frontier, &task->id, &cursor, err);
    if (status == WS_DONE)
        return begin_anew(crawl, task, false, err);
    if (status != WS_OK)
        return status;
    const bool is_queued = cursor.is_queued;
    if ((cursor.is_done || task->has_group) && !cursor.failure[0] && task->ops->reopen(crawl, &cursor)) {
        if (task->has_group)
            return begin_group_anew(crawl, task, err);
        cursor.is_done = false;
    } else if (cursor.failure[0]) {
        cursor.is_done = false; /* another run, another chance */
        cursor.failure[0] = '\0';
        cursor.n_tries = 0;
    }
    cursor.is_queued = is_queued;
    return ws_cursor_save(crawl->frontier, &task->id, &cursor, err);
}

enum ws_status ws_tasks_begin(struct ws_crawl *crawl, struct ws_err *err)
{
    struct ws_cursor cursor;
    enum ws_status status = WS_OK;
    for (size_t i = 0; status == WS_OK && i < crawl->n_tasks; i++)
        status = prepare(crawl, &crawl->tasks[i], err);
    for (size_t i = 0; status == WS_OK && i < crawl->n_tasks; i++) {
        const struct ws_task *task = &crawl->tasks[i];
        if (task->has_group) {
            status = queue_group(crawl, task, err);
            continue;
        }
        status = ws_cursor_load(crawl->frontier, &task->id, &cursor, err);
        if (status == WS_OK && !cursor.is_done && !cursor.is_queued)
            status = queue_task(crawl, task, &cursor, 0, err);
    }
    return status;
}

/** After an answer, or instead of one: queue the next request, or the next task of the group. */
static enum ws_status go_on(struct ws_crawl *crawl, const struct ws_task *task, struct ws_cursor *cursor,
                            struct ws_err *err)
{
    cursor->n_tries = cursor->n_hops = 0;
    if (!cursor->is_done)
        return queue_task(crawl, task, cursor, 0, err);
    cursor->is_queued = false;
    const enum ws_status status = ws_cursor_save(crawl->frontier, &task->id, cursor, err);
    return status == WS_OK && task->has_group ? queue_group(crawl, task, err) : status;
}

static enum ws_status skip(struct ws_crawl *crawl, const struct ws_task *task, struct ws_cursor *cursor,
                           const char *reason, struct ws_err *err)
{
    char clean[sizeof cursor->failure];
    ws_text_collapse(reason, clean, sizeof clean);
    ws_log(WS_LOG_WARN, "%s: %s", cursor->url, clean);
    const enum ws_status status = task->ops->skip(crawl, task, cursor, clean, err);
    return status == WS_OK ? go_on(crawl, task, cursor, err) : status;
}

/* --- requests --- */

/** An item whose task is not in this configuration, or whose request belongs to another host, leaves this queue. */
static enum ws_status send_home(struct ws_crawl *crawl, struct ws_host *host, const struct ws_item *item,
                                const struct ws_task *task, struct ws_cursor *cursor, struct ws_err *err)
{
    const enum ws_status status = ws_frontier_land(crawl->frontier, host->origin, item, err);
    if (status != WS_OK)
        return status;
    if (task && !cursor->is_done)
        return queue_task(crawl, task, cursor, 0, err);
    cursor->is_queued = false;
    return ws_cursor_save(crawl->frontier, &item->id, cursor, err);
}

enum ws_status ws_task_start(struct ws_crawl *crawl, struct ws_host *host, const struct ws_item *item, bool *is_started,
                             struct ws_err *err)
{
    char reason[400], origin[WS_ORIGIN_MAX] = "";
    struct ws_cursor cursor;
    struct ws_job job = {.kind = WS_JOB_TASK, .host = host, .item = *item};
    const struct ws_task *task = find_task(crawl, &item->id);
    struct ws_request request = {.accept = task ? task->ops->accept : NULL, .may_be_coded = true};
    *is_started = false;
    enum ws_status status = ws_cursor_load(crawl->frontier, &item->id, &cursor, err);
    if (status != WS_OK)
        return status == WS_DONE ? ws_fail(err, WS_E_DAMAGED, "frontier: a queued task is missing") : status;
    if (ws_url_parse(&request.url, cursor.url))
        ws_url_origin(&request.url, origin);
    if (!task || cursor.is_done || strcmp(origin, host->origin) != 0)
        return send_home(crawl, host, item, task, &cursor, err);

    status = ws_gate_decide(crawl, host, &request.url, &job.permission, err);
    if (status != WS_OK)
        return status;
    const struct ws_robots_decision *decision = &job.permission.decision;
    if (!decision->is_allowed && !task->ops->is_api) {
        status = ws_frontier_land(crawl->frontier, host->origin, item, err);
        snprintf(reason, sizeof reason, "forbidden by robots.txt (line %u: %s)", decision->line, decision->rule);
        return status == WS_OK ? skip(crawl, task, &cursor, reason, err) : status;
    }
    *is_started = true;
    return ws_crawl_start(crawl, host, &job, &request, err);
}

static enum ws_status retry(struct ws_crawl *crawl, const struct ws_job *job, const struct ws_task *task,
                            struct ws_cursor *cursor, int64_t retry_after_s, const char *detail, struct ws_err *err)
{
    const bool is_parked = job->host->state == WS_HOST_PARKED;
    cursor->n_tries = is_parked ? 0 : cursor->n_tries + 1;
    if (cursor->n_tries > crawl->conf->retries)
        return skip(crawl, task, cursor, detail, err);
    const int64_t due_ms = is_parked ? 0 : ws_crawl_retry_ms(crawl, &task->id, cursor->n_tries, retry_after_s);
    return queue_task(crawl, task, cursor, due_ms, err);
}

static bool is_redirect(int http_status)
{
    return http_status == 301 || http_status == 302 || http_status == 303 || http_status == 307 || http_status == 308;
}

static enum ws_status redirect(struct ws_crawl *crawl, const struct ws_task *task, struct ws_cursor *cursor,
                               const struct ws_response *response, struct ws_err *err)
{
    char location[WS_URL_MAX];
    struct ws_url target;
    const struct ws_url *from = &response->request->url;
    if (cursor->n_hops >= crawl->conf->max_redirects)
        return skip(crawl, task, cursor, "too many redirects", err);
    if (!ws_head_field(response->head, "Location", 0, location, sizeof location) ||
        !ws_url_resolve(&target, from, location) || strcmp(target.text, from->text) == 0 ||
        !task->ops->may_follow(cursor, from, &target))
        return skip(crawl, task, cursor, "a redirect that cannot be followed", err);
    cursor->n_hops++;
    memcpy(cursor->url, target.text, sizeof cursor->url);
    return queue_task(crawl, task, cursor, 0, err);
}

static enum ws_status read_answer(struct ws_crawl *crawl, const struct ws_job *job, const struct ws_task *task,
                                  struct ws_cursor *cursor, const struct ws_response *response, struct ws_err *err)
{
    struct ws_err cause = {0};
    cursor->wait_s = 0;
    if (response->is_cut)
        return skip(crawl, task, cursor, "the answer is longer than crawl.max_body_kib", err);
    const enum ws_status status = task->ops->read(crawl, task, cursor, response, &cause);
    if (status == WS_E_FORMAT)
        return skip(crawl, task, cursor, cause.text, err);
    if (status != WS_OK) {
        if (err)
            *err = cause;
        return status;
    }
    if (cursor->wait_s > 0)
        return retry(crawl, job, task, cursor, cursor->wait_s, "the API is busy", err);
    cursor->n_requests++;
    return go_on(crawl, task, cursor, err);
}

enum ws_status ws_task_conclude(struct ws_crawl *crawl, struct ws_job *job, const struct ws_response *response,
                                struct ws_err *err)
{
    char record[64], detail[64];
    struct ws_cursor cursor;
    const int http_status = response->http_status;
    const struct ws_task *task = find_task(crawl, &job->item.id);
    ws_assert(task != NULL);
    enum ws_status status = ws_cursor_load(crawl->frontier, &task->id, &cursor, err);
    if (status == WS_OK)
        status = ws_frontier_land(crawl->frontier, job->host->origin, &job->item, err);
    if (status != WS_OK)
        return status;
    if (response->failure != WS_FAILURE_NONE) {
        if (ws_failure_is_transient(response->failure))
            return retry(crawl, job, task, &cursor, response->retry_after_s, response->detail, err);
        return skip(crawl, task, &cursor, response->detail, err);
    }
    snprintf(detail, sizeof detail, "HTTP status %d", http_status);
    if (http_status == 429 || http_status >= 500)
        return retry(crawl, job, task, &cursor, response->retry_after_s, detail, err);
    status = ws_archive_response(&crawl->archive, response, record, err);
    if (status != WS_OK)
        return status;
    if (is_redirect(http_status))
        return redirect(crawl, task, &cursor, response, err);
    if (http_status != 200)
        return skip(crawl, task, &cursor, detail, err);
    return read_answer(crawl, job, task, &cursor, response, err);
}
