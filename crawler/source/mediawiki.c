/**
 * MediaWiki's Action API, as Wikimedia Commons speaks it: a full-text search in the File namespace for each query, with
 * the licence fields of each file.
 *
 * Etiquette (mediawiki.org, API:Etiquette): requests of one search follow one another, maxlag=5, gzip, an identifying
 * User-Agent, and waiting as long as the server asks.
 */
#include "source.h"

#include "mediawiki_answer.h"
#include "page/format.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { MAXLAG_S = 5 };

/** Its own part of a cursor: what a larger crawl.per_query_max goes on from. */
struct state {
    uint32_t n_before; /* pictures taken before the answer that `limit` cut */
    uint32_t limit;    /* crawl.per_query_max when it stopped there, else 0 */
};
_Static_assert(sizeof(struct state) <= WS_CURSOR_OWN_BYTES, "the cursor's own part is too small");

static const struct ws_field own_fields[] = {
    WS_FIELD_OPTIONAL(struct state, n_before, "before", WS_FIELD_U32),
    WS_FIELD_OPTIONAL(struct state, limit, "limit", WS_FIELD_U32),
    WS_FIELD_END,
};

static struct state *state_of(const struct ws_visit *visit)
{
    return (struct state *)(void *)visit->cursor->own.bytes;
}

static uint32_t max_found(const struct ws_visit *visit)
{
    return ws_crawl_keys(visit->config)->per_query_max;
}

/** The request without its continuation. */
static bool make_base(const struct ws_visit *visit, char url[WS_URL_MAX])
{
    const struct ws_search *search = visit->search;
    char query[WS_URL_MAX];
    if (!ws_url_escape(search->query, query, sizeof query))
        return false;
    const int n = snprintf(url, WS_URL_MAX,
                           "%s%caction=query&format=xml&maxlag=%d&generator=search&gsrnamespace=6&gsrsearch=%s"
                           "&gsrlimit=%u&prop=imageinfo&iiprop=url%%7Csize%%7Cmime%%7Csha1%%7Cuser%%7Cextmetadata",
                           search->source->url, strchr(search->source->url, '?') ? '&' : '?', MAXLAG_S, query,
                           (unsigned)ws_crawl_keys(visit->config)->per_page_results);
    return n > 0 && n < WS_URL_MAX;
}

static enum ws_status begin(const struct ws_visit *visit, struct ws_err *err)
{
    const struct ws_search *search = visit->search;
    struct ws_url url;
    if (!ws_url_parse(&url, search->source->url))
        return ws_fail(err, WS_E_CONFIG, "crawl.sources: expected an http or https URL of an api.php, found \"%s\"",
                       search->source->url);
    if (!make_base(visit, visit->cursor->url))
        return ws_fail(err, WS_E_CONFIG, "crawl.sources: the request for query \"%s\" is longer than %d octets",
                       search->query, WS_URL_MAX);
    return WS_OK;
}

static bool reopen(const struct ws_visit *visit)
{
    struct state *state = state_of(visit);
    if (!visit->cursor->url[0] || state->limit == 0 || max_found(visit) <= state->limit)
        return false;
    visit->cursor->n_found = state->n_before;
    state->limit = 0;
    return true;
}

static bool is_decodable(const struct ws_mediawiki_image *image, const struct ws_url *url)
{
    static const char *const types[] = {"image/jpeg", "image/png", "image/webp"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcasecmp(image->mime, types[i]) == 0)
            return true;
    return !*image->mime && ws_url_format_of(url) != WS_URL_FORMAT_UNSUPPORTED;
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

static enum ws_status admit_image(const struct ws_visit *visit, const struct ws_mediawiki_image *image,
                                  const struct ws_url *base, struct ws_err *err)
{
    const struct ws_search *search = visit->search;
    char attribution[2000];
    struct ws_url url;
    if (!ws_url_resolve(&url, base, image->url) || !is_decodable(image, &url)) {
        visit->cursor->n_unsupported++;
        return WS_OK;
    }
    const char *author = *image->author ? image->author : image->user;
    make_attribution(image, author, attribution, sizeof attribution);
    const struct ws_sighting sighting = {
        .url = &url,
        .page = image->page,
        .alt = image->description,
        .title = image->title,
        .query = search->query,
        .class_name = search->class_name,
        .source = search->source_name,
        .licence = image->licence,
        .licence_url = image->licence_url,
        .author = author,
        .attribution = attribution,
    };
    const enum ws_status status = visit->admit(visit->crawl, &sighting, err);
    visit->cursor->n_found++;
    return status == WS_DONE ? WS_OK : status;
}

/** Every key of `continue` goes into the next request (API:Continue). */
static bool make_next(const struct ws_visit *visit, const struct ws_mediawiki_answer *answer, char url[WS_URL_MAX])
{
    if (!make_base(visit, url))
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

static enum ws_status take_answer(const struct ws_visit *visit, const struct ws_mediawiki_answer *answer,
                                  const struct ws_response *response, struct ws_err *err)
{
    char next[WS_URL_MAX];
    struct ws_cursor *cursor = visit->cursor;
    struct state *state = state_of(visit);
    if (answer->error_code) {
        if (strcmp(answer->error_code, "maxlag") == 0 || strcmp(answer->error_code, "ratelimited") == 0) {
            cursor->wait_s = response->retry_after_s > 0 ? response->retry_after_s : MAXLAG_S;
            return WS_OK;
        }
        return ws_fail(err, WS_E_FORMAT, "the API answers with error %s: %.200s", answer->error_code,
                       answer->error_info ? answer->error_info : "");
    }
    state->n_before = cursor->n_found;
    for (size_t i = 0; i < answer->n_images; i++) {
        if (cursor->n_found >= max_found(visit)) {
            state->limit = max_found(visit); /* a larger one later asks for this answer again */
            cursor->is_done = true;
            return WS_OK;
        }
        const enum ws_status status = admit_image(visit, &answer->images[i], &response->request->url, err);
        if (status != WS_OK)
            return status;
    }
    if (answer->n_parameters == 0) {
        cursor->url[0] = '\0';
        cursor->is_done = true;
        return WS_OK;
    }
    if (!make_next(visit, answer, next) || strcmp(next, cursor->url) == 0)
        return ws_fail(err, WS_E_FORMAT, "the API's continuation leads nowhere new");
    memcpy(cursor->url, next, sizeof next);
    if (cursor->n_found >= max_found(visit)) {
        state->limit = max_found(visit);
        state->n_before = cursor->n_found;
        cursor->is_done = true;
    }
    return WS_OK;
}

static enum ws_status read_answer(const struct ws_visit *visit, const struct ws_response *response, struct ws_err *err)
{
    struct ws_mediawiki_answer answer;
    enum ws_status status = ws_mediawiki_read(&answer, response->body, err);
    if (status != WS_OK)
        return status;
    status = take_answer(visit, &answer, response, err);
    ws_mediawiki_fini(&answer);
    return status;
}

const struct ws_source_ops ws_source_mediawiki = {
    .name = "mediawiki",
    .summary = "url is an api.php; asked for each query",
    .accept = "application/xml,text/xml;q=0.9,*/*;q=0.1",
    .own_fields = own_fields,
    .is_api = true,
    .begin = begin,
    .reopen = reopen,
    .read = read_answer,
};
