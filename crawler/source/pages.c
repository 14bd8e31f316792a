/**
 * Seed pages: breadth first over the links within the seed's host, up to crawl.max_pages and crawl.max_depth, pictures
 * from each page.
 *
 * A seed with "{query}" searches for each class's queries, and what it finds is of that class. Pictures of other seeds
 * belong to the first class one of whose queries stands in their alt text, title or file name as whole words, or to
 * none.
 */
#include "source.h"

#include "net/head.h"
#include "page/consent.h"
#include "page/format.h"
#include "page/html.h"
#include "page/words.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char placeholder[] = "{query}";

/** Its own part of a cursor: where the walk is, and what it began under. */
struct state {
    uint32_t page, depth;          /* number and depth of the page under way */
    uint32_t n_pages;              /* known */
    uint32_t max_pages, max_depth; /* crawl.max_pages and max_depth at its start */
    uint32_t classes;              /* of a walk that asks by no query: hash of the classes that it tells apart */
};
_Static_assert(sizeof(struct state) <= WS_CURSOR_OWN_BYTES, "the cursor's own part is too small");

static const struct ws_field own_fields[] = {
    WS_FIELD_OPTIONAL(struct state, page, "page", WS_FIELD_U32),
    WS_FIELD_OPTIONAL(struct state, depth, "depth", WS_FIELD_U32),
    WS_FIELD_OPTIONAL(struct state, n_pages, "pages", WS_FIELD_U32),
    WS_FIELD_OPTIONAL(struct state, max_pages, "max_pages", WS_FIELD_U32),
    WS_FIELD_OPTIONAL(struct state, max_depth, "max_depth", WS_FIELD_U32),
    WS_FIELD_OPTIONAL(struct state, classes, "classes", WS_FIELD_U32),
    WS_FIELD_END,
};

static struct state *state_of(const struct ws_visit *visit)
{
    return (struct state *)(void *)visit->cursor->own.bytes;
}

static bool is_per_query(const struct ws_source_keys *source)
{
    return strstr(source->url, placeholder) != NULL;
}

/** The seed with its query filled in. */
static bool make_seed(const struct ws_search *search, struct ws_url *seed)
{
    char text[WS_URL_MAX], query[WS_URL_MAX] = "";
    size_t len = 0;
    if (search->query && !ws_url_escape(search->query, query, sizeof query))
        return false;
    for (const char *p = search->source->url; *p;) {
        const bool is_query = strncmp(p, placeholder, sizeof placeholder - 1) == 0;
        const char *piece = is_query ? query : p;
        const size_t n = is_query ? strlen(query) : 1;
        if (len + n >= sizeof text)
            return false;
        memcpy(text + len, piece, n);
        len += n;
        p += is_query ? sizeof placeholder - 1 : 1;
    }
    text[len] = '\0';
    return ws_url_parse(seed, text);
}

/** What pictures of a seed without a query are told apart by; never 0. */
static uint32_t hash_classes(const struct ws_config *config)
{
    uint64_t hash = 0;
    for (unsigned c = 0; c < config->n_classes; c++) {
        hash = ws_xxh64(config->classes[c].name, strlen(config->classes[c].name) + 1, hash);
        for (unsigned q = 0; q < config->classes[c].n_queries; q++)
            hash = ws_xxh64(config->classes[c].queries[q], strlen(config->classes[c].queries[q]), hash);
    }
    return (uint32_t)hash | 1;
}

static enum ws_status begin(const struct ws_visit *visit, struct ws_err *err)
{
    const struct ws_crawl_keys *conf = ws_crawl_keys(visit->config);
    struct state *state = state_of(visit);
    struct ws_url seed;
    if (!make_seed(visit->search, &seed))
        return ws_fail(err, WS_E_CONFIG, "crawl.sources: expected an http or https URL of a seed page, found \"%s\"",
                       visit->search->source->url);
    memcpy(visit->cursor->url, seed.text, sizeof visit->cursor->url);
    state->n_pages = 1;
    state->max_pages = conf->max_pages;
    state->max_depth = conf->max_depth;
    state->classes = visit->search->query ? 0 : hash_classes(visit->config);
    const enum ws_status status = ws_walk_see(&visit->walk, &seed, err);
    return status == WS_OK || status == WS_DONE ? ws_walk_put(&visit->walk, 0, 0, &seed, err) : status;
}

static bool reopen(const struct ws_visit *visit)
{
    /* Neither links beyond the old limits nor texts that name no class were kept: the walk begins anew. */
    const struct ws_crawl_keys *conf = ws_crawl_keys(visit->config);
    const struct state *state = state_of(visit);
    const bool is_longer = conf->max_pages > state->max_pages || conf->max_depth > state->max_depth;
    const bool is_other = state->classes != 0 && state->classes != hash_classes(visit->config);
    if (!is_longer && !is_other)
        return false;
    *visit->cursor = (struct ws_cursor){0};
    return true;
}

static bool may_follow(const struct ws_visit *visit, const struct ws_url *from, const struct ws_url *to)
{
    return state_of(visit)->page == 0 || ws_url_same_host(from, to);
}

/* --- reading a page --- */

static bool is_html(const struct ws_response *response, char charset[64])
{
    char type[256];
    charset[0] = '\0';
    if (!ws_head_field(response->head, "Content-Type", 0, type, sizeof type) || !*type)
        return response->body.len && response->body.ptr[0] == '<';
    const char *parameter = type;
    while ((parameter = strchr(parameter, ';'))) {
        parameter += 1 + strspn(parameter + 1, " \t");
        if (strncasecmp(parameter, "charset=", 8) != 0)
            continue;
        parameter += 8 + (parameter[8] == '"');
        snprintf(charset, 64, "%.*s", (int)strcspn(parameter, "\"; \t"), parameter);
    }
    return strncasecmp(type, "text/html", 9) == 0 || strncasecmp(type, "application/xhtml+xml", 21) == 0;
}

static enum ws_status admit_image(const struct ws_visit *visit, const struct ws_page *page,
                                  const struct ws_page_image *image, const char *page_url, struct ws_err *err)
{
    char file_name[256];
    struct ws_url url;
    const struct ws_search *search = visit->search;
    if (!ws_url_parse(&url, image->url))
        return WS_OK;
    if (ws_url_format_of(&url) == WS_URL_FORMAT_UNSUPPORTED) {
        visit->cursor->n_unsupported++;
        return WS_OK;
    }
    struct ws_sighting sighting = {
        .url = &url,
        .page = page_url,
        .alt = image->alt,
        .title = *image->title ? image->title : page->title,
        .query = search->query,
        .class_name = search->class_name,
        .source = search->source_name,
    };
    if (!search->query) {
        const struct ws_config *config = visit->config;
        ws_words_of_file_name(url.text, file_name, sizeof file_name);
        const char *const texts[] = {image->alt, image->title, file_name, NULL};
        const int class_i = ws_words_find_class(config->classes, config->n_classes, texts, &sighting.query);
        sighting.class_name = class_i >= 0 ? config->classes[class_i].name : NULL;
    }
    const enum ws_status status = visit->admit(visit->crawl, &sighting, err);
    visit->cursor->n_found += status == WS_OK;
    return status == WS_DONE ? WS_OK : status;
}

static enum ws_status add_link(const struct ws_visit *visit, const struct ws_url *from, const char *link,
                               struct ws_err *err)
{
    struct ws_url url;
    struct state *state = state_of(visit);
    if (!ws_url_parse(&url, link) || !ws_url_same_host(from, &url) || ws_url_format_of(&url) != WS_URL_FORMAT_OTHER)
        return WS_OK;
    const enum ws_status status = ws_walk_see(&visit->walk, &url, err);
    if (status != WS_OK)
        return status == WS_DONE ? WS_OK : status;
    return ws_walk_put(&visit->walk, state->n_pages++, state->depth + 1, &url, err);
}

static enum ws_status take_page(const struct ws_visit *visit, const struct ws_page *page,
                                const struct ws_response *response, struct ws_err *err)
{
    const struct ws_url *url = &response->request->url;
    const struct state *state = state_of(visit);
    const unsigned directives = page->directives | ws_consent_head(response->head, visit->token);
    enum ws_status status = WS_OK;
    if (page->n_images && ws_consent_refusal(directives)) {
        visit->cursor->n_opted_out++;
    } else {
        for (size_t i = 0; status == WS_OK && i < page->n_images; i++)
            status = admit_image(visit, page, &page->images[i], url->text, err);
    }
    if (directives & WS_CONSENT_NOFOLLOW || state->depth >= state->max_depth)
        return status;
    for (size_t i = 0; status == WS_OK && i < page->n_links && state->n_pages < 1 + state->max_pages; i++)
        status = add_link(visit, url, page->links[i], err);
    return status;
}

/** On to the next page in order of discovery. */
static enum ws_status step(const struct ws_visit *visit, struct ws_err *err)
{
    struct state *state = state_of(visit);
    if (++state->page < state->n_pages)
        return ws_walk_get(&visit->walk, state->page, &state->depth, visit->cursor->url, err);
    visit->cursor->url[0] = '\0';
    visit->cursor->is_done = true;
    return WS_OK;
}

static enum ws_status read_answer(const struct ws_visit *visit, const struct ws_response *response, struct ws_err *err)
{
    char charset[64];
    struct ws_page page;
    const struct ws_url *url = &response->request->url;
    if (visit->cursor->n_hops > 0) {
        /* A redirect may lead to a page that the walk knows: it is read where it stands in the order, or was. */
        const enum ws_status seen = ws_walk_see(&visit->walk, url, err);
        if (seen != WS_OK)
            return seen == WS_DONE ? step(visit, err) : seen;
    }
    if (!is_html(response, charset))
        return ws_fail(err, WS_E_FORMAT, "expected an HTML page, found another type");
    enum ws_status status = ws_page_read(&page, response->body, url, *charset ? charset : NULL, visit->token, err);
    if (status != WS_OK)
        return status;
    status = take_page(visit, &page, response, err);
    ws_page_fini(&page);
    return status == WS_OK ? step(visit, err) : status;
}

static enum ws_status skip(const struct ws_visit *visit, const char *reason, struct ws_err *err)
{
    if (state_of(visit)->page > 0) {
        visit->cursor->n_skipped++;
        return step(visit, err);
    }
    ws_cursor_break_off(visit->cursor, reason); /* without its seed page; the next run tries again */
    return WS_OK;
}

const struct ws_source_ops ws_source_pages = {
    .name = "pages",
    .summary = "url is a seed page; \"{query}\" in it is replaced by each query",
    .accept = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.1",
    .own_fields = own_fields,
    .has_groups = true,
    .is_per_query = is_per_query,
    .begin = begin,
    .reopen = reopen,
    .may_follow = may_follow,
    .read = read_answer,
    .skip = skip,
};
