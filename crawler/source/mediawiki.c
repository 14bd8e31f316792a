/**
 * MediaWiki's Action API, as Wikimedia Commons speaks it: a full-text search in the File namespace for each query, with
 * the licence fields of each file.
 *
 * Etiquette (mediawiki.org, API:Etiquette): requests of one search follow one another, maxlag=5, gzip, an identifying
 * User-Agent, and waiting as long as the server asks.
 */
#include "source.h"

#include "mediawiki_answer.h"
#include "page/words.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { MAXLAG_S = 5 };

static bool is_per_query(const struct ws_source_keys *source)
{
    (void)source;
    return true;
}

/** The request without its continuation. */
static bool make_base(const struct ws_crawl *crawl, const struct ws_task *task, char url[WS_URL_MAX])
{
    char query[WS_URL_MAX];
    if (!ws_url_escape(task->query, query, sizeof query))
        return false;
    const int n = snprintf(url, WS_URL_MAX,
                           "%s%caction=query&format=xml&maxlag=%d&generator=search&gsrnamespace=6&gsrsearch=%s"
                           "&gsrlimit=%u&prop=imageinfo&iiprop=url%%7Csize%%7Cmime%%7Csha1%%7Cuser%%7Cextmetadata",
                           task->source->url, strchr(task->source->url, '?') ? '&' : '?', MAXLAG_S, query,
                           (unsigned)crawl->conf->per_page_results);
    return n > 0 && n < WS_URL_MAX;
}

static enum ws_status begin(struct ws_crawl *crawl, const struct ws_task *task, struct ws_cursor *cursor,
                            struct ws_err *err)
{
    struct ws_url url;
    if (!ws_url_parse(&url, task->source->url))
        return ws_fail(err, WS_E_CONFIG, "crawl.sources: expected an http or https URL of an api.php, found \"%s\"",
                       task->source->url);
    if (!make_base(crawl, task, cursor->url))
        return ws_fail(err, WS_E_CONFIG, "crawl.sources: the request for query \"%s\" is longer than %d octets",
                       task->query, WS_URL_MAX);
    return WS_OK;
}

static bool reopen(const struct ws_crawl *crawl, struct ws_cursor *cursor)
{
    if (!cursor->url[0] || cursor->limit == 0 || crawl->conf->per_query_max <= cursor->limit)
        return false;
    cursor->n_found = cursor->n_before;
    cursor->limit = 0;
    return true;
}

static bool may_follow(const struct ws_cursor *cursor, const struct ws_url *from, const struct ws_url *to)
{
    (void)cursor;
    (void)from;
    (void)to;
    return true;
}

static bool is_decodable(const struct ws_mediawiki_image *image, const struct ws_url *url)
{
    static const char *const types[] = {"image/jpeg", "image/png", "image/webp"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcasecmp(image->mime, types[i]) == 0)
            return true;
    return !*image->mime && !ws_admit_is_unsupported(url);
}

/** The line to print under the picture: what the file asks for, or title, author, licence and page. */
static void make_attribution(const struct ws_mediawiki_image *image, const char *author, char *text, size_t size)
{
    const char *title = strncmp(image->title, "File:", 5) == 0 ? image->title + 5 : image->title;
    if (*image->attribution)
        snprintf(text, size, "%s", image->attribution);
    else
        snprintf(text, size, "\"%s\"%s%s%s%s%s%s", title, *author ? " by " : "", author, *image->licence ? ", " : "",
                 image->licence, *image->page ? ", " : "", image->page);
}

static enum ws_status admit_image(struct ws_crawl *crawl, const struct ws_task *task, struct ws_cursor *cursor,
                                  const struct ws_mediawiki_image *image, const struct ws_url *base, struct ws_err *err)
{
    char attribution[2000];
    struct ws_url url;
    if (!ws_url_resolve(&url, base, image->url) || !is_decodable(image, &url)) {
        cursor->n_unsupported++;
        return WS_OK;
    }
    const char *author = *image->author ? image->author : image->user;
    make_attribution(image, author, attribution, sizeof attribution);
    const struct ws_sighting sighting = {
        .url = &url,
        .page = image->page,
        .alt = image->description,
        .title = image->title,
        .query = task->query,
        .class_name = task->class_name,
        .source = task->source_name,
        .licence = image->licence,
        .licence_url = image->licence_url,
        .author = author,
        .attribution = attribution,
    };
    const enum ws_status status = ws_admit(crawl, &sighting, err);
    cursor->n_found++;
    return status == WS_DONE ? WS_OK : status;
}

/** Every key of `continue` goes into the next request (API:Continue). */
static bool make_next(const struct ws_crawl *crawl, const struct ws_task *task,
                      const struct ws_mediawiki_answer *answer, char url[WS_URL_MAX])
{
    if (!make_base(crawl, task, url))
        return false;
    size_t len = strlen(url);
    for (size_t i = 0; i < answer->n_parameters; i++) {
        char name[256], value[1024];
        if (!ws_url_escape(answer->parameters[i].name, name, sizeof name) ||
            !ws_url_escape(answer->parameters[i].value, value, sizeof value))
            return false;
        const int n = snprintf(url + len, WS_URL_MAX - len, "&%s=%s", name, value);
        if (n < 0 || (size_t)n >= WS_URL_MAX - len)
            return false;
        len += (size_t)n;
    }
    return true;
}

static enum ws_status take_answer(struct ws_crawl *crawl, const struct ws_task *task, struct ws_cursor *cursor,
                                  const struct ws_mediawiki_answer *answer, const struct ws_response *response,
                                  struct ws_err *err)
{
    char next[WS_URL_MAX];
    if (answer->error_code) {
        if (strcmp(answer->error_code, "maxlag") == 0 || strcmp(answer->error_code, "ratelimited") == 0) {
            cursor->wait_s = response->retry_after_s > 0 ? response->retry_after_s : MAXLAG_S;
            return WS_OK;
        }
        return ws_fail(err, WS_E_FORMAT, "the API answers with error %s: %.200s", answer->error_code,
                       answer->error_info ? answer->error_info : "");
    }
    cursor->n_before = cursor->n_found;
    for (size_t i = 0; i < answer->n_images; i++) {
        if (cursor->n_found >= crawl->conf->per_query_max) {
            cursor->limit = crawl->conf->per_query_max; /* a larger one later asks for this answer again */
            cursor->is_done = true;
            return WS_OK;
        }
        const enum ws_status status =
            admit_image(crawl, task, cursor, &answer->images[i], &response->request->url, err);
        if (status != WS_OK)
            return status;
    }
    if (answer->n_parameters == 0) {
        cursor->url[0] = '\0';
        cursor->is_done = true;
        return WS_OK;
    }
    if (!make_next(crawl, task, answer, next) || strcmp(next, cursor->url) == 0)
        return ws_fail(err, WS_E_FORMAT, "the API's continuation leads nowhere new");
    memcpy(cursor->url, next, sizeof next);
    if (cursor->n_found >= crawl->conf->per_query_max) {
        cursor->limit = crawl->conf->per_query_max;
        cursor->n_before = cursor->n_found;
        cursor->is_done = true;
    }
    return WS_OK;
}

static enum ws_status read_answer(struct ws_crawl *crawl, const struct ws_task *task, struct ws_cursor *cursor,
                                  const struct ws_response *response, struct ws_err *err)
{
    struct ws_mediawiki_answer answer;
    enum ws_status status = ws_mediawiki_read(&answer, response->body, err);
    if (status != WS_OK)
        return status;
    status = take_answer(crawl, task, cursor, &answer, response, err);
    ws_mediawiki_fini(&answer);
    return status;
}

static enum ws_status skip(struct ws_crawl *crawl, const struct ws_task *task, struct ws_cursor *cursor,
                           const char *reason, struct ws_err *err)
{
    (void)crawl;
    (void)task;
    (void)err;
    cursor->is_done = true;
    snprintf(cursor->failure, sizeof cursor->failure, "%s", reason);
    return WS_OK;
}

const struct ws_source_ops ws_source_mediawiki = {
    .kind = WS_SOURCE_MEDIAWIKI,
    .name = "mediawiki",
    .accept = "application/xml,text/xml;q=0.9,*/*;q=0.1",
    .is_api = true,
    .is_per_query = is_per_query,
    .begin = begin,
    .reopen = reopen,
    .may_follow = may_follow,
    .read = read_answer,
    .skip = skip,
};
