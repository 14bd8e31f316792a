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
#include "page/html.h"
#include "page/words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char placeholder[] = "{query}";

static bool is_per_query(const struct ws_source_keys *source)
{
    return strstr(source->url, placeholder) != NULL;
}

/** The seed with its query filled in. */
static bool make_seed(const struct ws_task *task, struct ws_url *seed)
{
    char text[WS_URL_MAX], query[WS_URL_MAX] = "";
    size_t len = 0;
    if (task->query && !ws_url_escape(task->query, query, sizeof query))
        return false;
    for (const char *p = task->source->url; *p;) {
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

static enum ws_status begin(struct ws_crawl *crawl, const struct ws_task *task, struct ws_cursor *cursor,
                            struct ws_err *err)
{
    struct ws_url seed;
    if (!make_seed(task, &seed))
        return ws_fail(err, WS_E_CONFIG, "crawl.sources: expected an http or https URL of a seed page, found \"%s\"",
                       task->source->url);
    memcpy(cursor->url, seed.text, sizeof cursor->url);
    cursor->n_pages = 1;
    cursor->max_pages = crawl->conf->max_pages;
    cursor->max_depth = crawl->conf->max_depth;
    cursor->classes = task->query ? 0 : hash_classes(crawl->config);
    const struct ws_image_id key = ws_url_key(seed.text);
    enum ws_status status = ws_frontier_see(crawl->frontier, &task->group, &key, err);
    if (status == WS_OK || status == WS_DONE)
        status = ws_frontier_put_page(crawl->frontier, &task->id, 0, 0, seed.text, err);
    return status;
}

static bool reopen(const struct ws_crawl *crawl, struct ws_cursor *cursor)
{
    /* Neither links beyond the old limits nor texts that name no class were kept: the walk begins anew. */
    const bool is_longer = crawl->conf->max_pages > cursor->max_pages || crawl->conf->max_depth > cursor->max_depth;
    const bool is_other = cursor->classes != 0 && cursor->classes != hash_classes(crawl->config);
    if (!is_longer && !is_other)
        return false;
    *cursor = (struct ws_cursor){0};
    return true;
}

static bool may_follow(const struct ws_cursor *cursor, const struct ws_url *from, const struct ws_url *to)
{
    return cursor->page == 0 || ws_url_same_host(from, to);
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

static enum ws_status admit_image(struct ws_crawl *crawl, const struct ws_task *task, struct ws_cursor *cursor,
                                  const struct ws_page *page, const struct ws_page_image *image, const char *page_url,
                                  struct ws_err *err)
{
    char file_name[256];
    struct ws_url url;
    if (!ws_url_parse(&url, image->url))
        return WS_OK;
    if (ws_admit_is_unsupported(&url)) {
        cursor->n_unsupported++;
        return WS_OK;
    }
    struct ws_sighting sighting = {
        .url = &url,
        .page = page_url,
        .alt = image->alt,
        .title = *image->title ? image->title : page->title,
        .query = task->query,
        .class_name = task->class_name,
        .source = task->source_name,
    };
    if (!task->query) {
        const struct ws_config *config = crawl->config;
        ws_words_of_file_name(url.text, file_name, sizeof file_name);
        const char *const texts[] = {image->alt, image->title, file_name, NULL};
        const int class_i = ws_words_find_class(config->classes, config->n_classes, texts, &sighting.query);
        sighting.class_name = class_i >= 0 ? config->classes[class_i].name : NULL;
    }
    const enum ws_status status = ws_admit(crawl, &sighting, err);
    cursor->n_found += status == WS_OK;
    return status == WS_DONE ? WS_OK : status;
}

static enum ws_status add_link(struct ws_crawl *crawl, const struct ws_task *task, struct ws_cursor *cursor,
                               const struct ws_url *from, const char *link, struct ws_err *err)
{
    static const char *const pictures[] = {"jpg", "jpeg", "png", "webp"};
    char extension[8];
    struct ws_url url;
    if (!ws_url_parse(&url, link) || !ws_url_same_host(from, &url) || ws_admit_is_unsupported(&url))
        return WS_OK;
    ws_url_extension(&url, extension);
    for (size_t i = 0; i < sizeof pictures / sizeof *pictures; i++)
        if (strcmp(extension, pictures[i]) == 0)
            return WS_OK;
    const struct ws_image_id key = ws_url_key(url.text);
    const enum ws_status status = ws_frontier_see(crawl->frontier, &task->group, &key, err);
    if (status != WS_OK)
        return status == WS_DONE ? WS_OK : status;
    return ws_frontier_put_page(crawl->frontier, &task->id, cursor->n_pages++, cursor->depth + 1, url.text, err);
}

static enum ws_status take_page(struct ws_crawl *crawl, const struct ws_task *task, struct ws_cursor *cursor,
                                const struct ws_page *page, const struct ws_response *response, struct ws_err *err)
{
    const struct ws_url *url = &response->request->url;
    const unsigned directives = page->directives | ws_consent_head(response->head, crawl->token);
    enum ws_status status = WS_OK;
    if (page->n_images && ws_consent_refusal(directives)) {
        cursor->n_opted_out++;
    } else {
        for (size_t i = 0; status == WS_OK && i < page->n_images; i++)
            status = admit_image(crawl, task, cursor, page, &page->images[i], url->text, err);
    }
    if (directives & WS_CONSENT_NOFOLLOW || cursor->depth >= cursor->max_depth)
        return status;
    for (size_t i = 0; status == WS_OK && i < page->n_links && cursor->n_pages < 1 + cursor->max_pages; i++)
        status = add_link(crawl, task, cursor, url, page->links[i], err);
    return status;
}

/** On to the next page in order of discovery. */
static enum ws_status step(struct ws_crawl *crawl, const struct ws_task *task, struct ws_cursor *cursor,
                           struct ws_err *err)
{
    cursor->page++;
    if (cursor->page >= cursor->n_pages) {
        cursor->url[0] = '\0';
        cursor->is_done = true;
        return WS_OK;
    }
    const enum ws_status status =
        ws_frontier_get_page(crawl->frontier, &task->id, cursor->page, &cursor->depth, cursor->url, err);
    return status == WS_DONE ? ws_fail(err, WS_E_DAMAGED, "frontier: page %u of a walk is missing", cursor->page)
                             : status;
}

static enum ws_status read_answer(struct ws_crawl *crawl, const struct ws_task *task, struct ws_cursor *cursor,
                                  const struct ws_response *response, struct ws_err *err)
{
    char charset[64];
    struct ws_page page;
    const struct ws_url *url = &response->request->url;
    if (cursor->n_hops > 0) {
        /* A redirect may lead to a page that the walk knows: it is read where it stands in the order, or was. */
        const struct ws_image_id key = ws_url_key(url->text);
        const enum ws_status seen = ws_frontier_see(crawl->frontier, &task->group, &key, err);
        if (seen != WS_OK)
            return seen == WS_DONE ? step(crawl, task, cursor, err) : seen;
    }
    if (!is_html(response, charset))
        return ws_fail(err, WS_E_FORMAT, "expected an HTML page, found another type");
    enum ws_status status = ws_page_read(&page, response->body, url, *charset ? charset : NULL, crawl->token, err);
    if (status != WS_OK)
        return status;
    status = take_page(crawl, task, cursor, &page, response, err);
    ws_page_fini(&page);
    return status == WS_OK ? step(crawl, task, cursor, err) : status;
}

static enum ws_status skip(struct ws_crawl *crawl, const struct ws_task *task, struct ws_cursor *cursor,
                           const char *reason, struct ws_err *err)
{
    if (cursor->page > 0) {
        cursor->n_skipped++;
        return step(crawl, task, cursor, err);
    }
    cursor->is_done = true; /* without its seed page the walk is broken off, and tried again by the next run */
    snprintf(cursor->failure, sizeof cursor->failure, "%s", reason);
    return WS_OK;
}

const struct ws_source_ops ws_source_pages = {
    .kind = WS_SOURCE_PAGES,
    .name = "pages",
    .accept = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.1",
    .has_groups = true,
    .is_per_query = is_per_query,
    .begin = begin,
    .reopen = reopen,
    .may_follow = may_follow,
    .read = read_answer,
    .skip = skip,
};
