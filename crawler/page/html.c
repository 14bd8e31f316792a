#include "html.h"

#include "consent.h"
#include "net/text.h"
#include "srcset.h"

#include <libxml/HTMLparser.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    FEED_BYTES = 64 * 1024,
    SNIFF_BYTES = 4096, /* where a page may declare its charset; browsers look at 1024 */
};

/** The state between SAX events. Raw references are kept until the end: `base` speaks for the whole page. */
struct reader {
    struct ws_page *page;
    const char *token;
    char *base; /* first <base href>, in the arena */
    bool is_in_title, is_in_picture, has_picture_candidate;
    char picture_url[WS_URL_MAX];
    struct ws_candidate picture; /* its best <source> */
    char title[WS_PAGE_MAX_TEXT];
    size_t title_len;
    size_t cap_images, cap_links;
    bool is_out_of_memory;
};

static const char *attribute(const xmlChar **attributes, const char *name)
{
    for (size_t i = 0; attributes && attributes[i]; i += 2)
        if (strcasecmp((const char *)attributes[i], name) == 0)
            return attributes[i + 1] ? (const char *)attributes[i + 1] : "";
    return NULL;
}

static char *keep_text(struct reader *r, const char *text)
{
    char clean[WS_PAGE_MAX_TEXT];
    ws_text_collapse(text ? text : "", clean, sizeof clean);
    char *kept = ws_arena_strdup(&r->page->arena, clean);
    r->is_out_of_memory = r->is_out_of_memory || !kept;
    return kept;
}

/** Room for one more element; arrays double, the arena forgets the old half with the page. */
static void *grow(struct reader *r, void *items, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return items;
    const size_t wanted = *cap ? *cap * 2 : 32;
    void *larger = ws_arena_alloc(&r->page->arena, wanted, size);
    if (!larger) {
        r->is_out_of_memory = true;
        return NULL;
    }
    if (n)
        memcpy(larger, items, n * size);
    *cap = wanted;
    return larger;
}

static bool has_token(const char *list, const char *token)
{
    const size_t n = strlen(token);
    for (const char *p = list; *p;) {
        p += strspn(p, " \t\r\n\f");
        const size_t len = strcspn(p, " \t\r\n\f");
        if (len == n && strncasecmp(p, token, n) == 0)
            return true;
        p += len;
    }
    return false;
}

static bool is_usable_reference(const char *reference)
{
    return reference && *reference && strlen(reference) < WS_URL_MAX && strncasecmp(reference, "data:", 5) != 0;
}

static void add_image(struct reader *r, const char *reference, const char *alt, const char *title)
{
    struct ws_page *page = r->page;
    if (page->n_images == WS_PAGE_MAX_IMAGES || !is_usable_reference(reference))
        return;
    struct ws_page_image *images = grow(r, page->images, page->n_images, &r->cap_images, sizeof *images);
    if (!images)
        return;
    page->images = images;
    struct ws_page_image *image = &images[page->n_images];
    image->url = ws_arena_strdup(&page->arena, reference);
    image->alt = keep_text(r, alt);
    image->title = keep_text(r, title);
    r->is_out_of_memory = r->is_out_of_memory || !image->url;
    if (!r->is_out_of_memory)
        page->n_images++;
}

static void add_link(struct reader *r, const xmlChar **attributes)
{
    struct ws_page *page = r->page;
    const char *href = attribute(attributes, "href"), *rel = attribute(attributes, "rel");
    if (page->n_links == WS_PAGE_MAX_LINKS || !is_usable_reference(href) || (rel && has_token(rel, "nofollow")))
        return;
    const char **links = grow(r, page->links, page->n_links, &r->cap_links, sizeof *links);
    if (!links)
        return;
    page->links = links;
    links[page->n_links] = ws_arena_strdup(&page->arena, href);
    if (links[page->n_links])
        page->n_links++;
    else
        r->is_out_of_memory = true;
}

/** Take a srcset's largest candidate when it beats what there is. */
static void offer_srcset(const char *srcset, struct ws_candidate *best, char best_url[WS_URL_MAX], bool *has_best)
{
    struct ws_candidate candidate;
    if (!srcset || !ws_srcset_largest(srcset, &candidate) || candidate.len >= WS_URL_MAX)
        return;
    if (*has_best && !ws_candidate_is_larger(&candidate, best))
        return;
    char url[WS_URL_MAX];
    memcpy(url, candidate.url, candidate.len);
    url[candidate.len] = '\0';
    if (!is_usable_reference(url))
        return;
    memcpy(best_url, url, candidate.len + 1);
    *best = candidate;
    *has_best = true;
}

/** A source in a format that the store cannot decode is no candidate. */
static bool is_decodable_type(const char *type)
{
    static const char *const types[] = {"image/jpeg", "image/jpg", "image/pjpeg", "image/png", "image/webp"};
    if (!type || !*type)
        return true;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strncasecmp(type, types[i], strlen(types[i])) == 0)
            return true;
    return false;
}

static void read_source(struct reader *r, const xmlChar **attributes)
{
    if (!r->is_in_picture || !is_decodable_type(attribute(attributes, "type")))
        return;
    offer_srcset(attribute(attributes, "srcset"), &r->picture, r->picture_url, &r->has_picture_candidate);
    offer_srcset(attribute(attributes, "data-srcset"), &r->picture, r->picture_url, &r->has_picture_candidate);
}

static void read_img(struct reader *r, const xmlChar **attributes)
{
    static const char *const plain[] = {"data-src", "data-original", "data-lazy-src", "src"};
    char url[WS_URL_MAX] = "";
    struct ws_candidate best = {0};
    bool has_best = false;
    if (r->is_in_picture && r->has_picture_candidate) {
        best = r->picture;
        memcpy(url, r->picture_url, sizeof url);
        has_best = true;
    }
    offer_srcset(attribute(attributes, "srcset"), &best, url, &has_best);
    offer_srcset(attribute(attributes, "data-srcset"), &best, url, &has_best);
    const char *reference = has_best ? url : NULL;
    for (size_t i = 0; !reference && i < sizeof plain / sizeof *plain; i++) {
        const char *value = attribute(attributes, plain[i]);
        reference = is_usable_reference(value) ? value : NULL;
    }
    add_image(r, reference, attribute(attributes, "alt"), attribute(attributes, "title"));
}

static void read_meta(struct reader *r, const xmlChar **attributes)
{
    const char *name = attribute(attributes, "name"), *content = attribute(attributes, "content");
    if (!name || !content)
        return;
    if (strcasecmp(name, "robots") == 0 || strcasecmp(name, r->token) == 0)
        r->page->directives |= ws_consent_meta(content);
    else if (strcasecmp(name, "tdm-reservation") == 0 && strcmp(content, "1") == 0)
        r->page->directives |= WS_CONSENT_TDM_RESERVED;
}

static void on_start(void *context, const xmlChar *element, const xmlChar **attributes)
{
    struct reader *r = context;
    const char *name = (const char *)element;
    if (strcasecmp(name, "img") == 0) {
        read_img(r, attributes);
    } else if (strcasecmp(name, "a") == 0 || strcasecmp(name, "area") == 0) {
        add_link(r, attributes);
    } else if (strcasecmp(name, "picture") == 0) {
        r->is_in_picture = true;
        r->has_picture_candidate = false;
    } else if (strcasecmp(name, "source") == 0) {
        read_source(r, attributes);
    } else if (strcasecmp(name, "meta") == 0) {
        read_meta(r, attributes);
    } else if (strcasecmp(name, "title") == 0) {
        r->is_in_title = r->title_len == 0;
    } else if (strcasecmp(name, "base") == 0 && !r->base) {
        const char *href = attribute(attributes, "href");
        if (is_usable_reference(href))
            r->base = ws_arena_strdup(&r->page->arena, href);
    }
}

static void on_end(void *context, const xmlChar *element)
{
    struct reader *r = context;
    if (strcasecmp((const char *)element, "picture") == 0)
        r->is_in_picture = false;
    else if (strcasecmp((const char *)element, "title") == 0)
        r->is_in_title = false;
}

static void on_characters(void *context, const xmlChar *text, int len)
{
    struct reader *r = context;
    if (!r->is_in_title || len <= 0)
        return;
    const size_t room = sizeof r->title - 1 - r->title_len, n = (size_t)len < room ? (size_t)len : room;
    memcpy(r->title + r->title_len, text, n);
    r->title_len += n;
    r->title[r->title_len] = '\0';
}

/** Does the page itself name a charset where parsers look for one? */
static bool declares_charset(struct ws_span body)
{
    const size_t len = body.len < SNIFF_BYTES ? body.len : SNIFF_BYTES;
    for (size_t i = 0; i + 7 <= len; i++)
        if (strncasecmp((const char *)body.ptr + i, "charset", 7) == 0)
            return true;
    return len >= 2 && (memcmp(body.ptr, "\xFE\xFF", 2) == 0 || memcmp(body.ptr, "\xFF\xFE", 2) == 0);
}

static htmlParserCtxtPtr open_parser(struct reader *r, struct ws_span body, const char *charset)
{
    htmlSAXHandler handlers = {.startElement = on_start, .endElement = on_end, .characters = on_characters};
    xmlCharEncoding encoding = charset ? xmlParseCharEncoding(charset) : XML_CHAR_ENCODING_NONE;
    if (encoding == XML_CHAR_ENCODING_ERROR)
        encoding = XML_CHAR_ENCODING_NONE;
    if (encoding == XML_CHAR_ENCODING_NONE && !declares_charset(body) && ws_text_is_utf8(body.ptr, body.len))
        encoding = XML_CHAR_ENCODING_UTF8;
    htmlParserCtxtPtr parser = htmlCreatePushParserCtxt(&handlers, r, NULL, 0, NULL, encoding);
    if (parser)
        htmlCtxtUseOptions(parser, HTML_PARSE_RECOVER | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING | HTML_PARSE_NONET);
    return parser;
}

/** Turn the raw references into normalised URLs; those that are none fall out. */
static void resolve_all(struct reader *r, const struct ws_url *url)
{
    struct ws_page *page = r->page;
    struct ws_url base = *url, resolved;
    size_t n = 0;
    if (r->base && !ws_url_resolve(&base, url, r->base))
        base = *url;
    for (size_t i = 0; i < page->n_images; i++) {
        if (!ws_url_resolve(&resolved, &base, page->images[i].url))
            continue;
        page->images[n] = page->images[i];
        page->images[n].url = ws_arena_strdup(&page->arena, resolved.text);
        r->is_out_of_memory = r->is_out_of_memory || !page->images[n].url;
        n++;
    }
    page->n_images = n;
    n = 0;
    for (size_t i = 0; i < page->n_links; i++) {
        if (!ws_url_resolve(&resolved, &base, page->links[i]))
            continue;
        page->links[n] = ws_arena_strdup(&page->arena, resolved.text);
        r->is_out_of_memory = r->is_out_of_memory || !page->links[n];
        n++;
    }
    page->n_links = n;
}

enum ws_status ws_page_read(struct ws_page *page, struct ws_span body, const struct ws_url *url, const char *charset,
                            const char *token, struct ws_err *err)
{
    *page = (struct ws_page){.title = ""};
    struct reader *r = ws_calloc(1, sizeof *r);
    if (!r)
        return ws_fail(err, WS_E_MEMORY, "out of memory for a page");
    r->page = page;
    r->token = token;
    htmlParserCtxtPtr parser = open_parser(r, body, charset);
    if (!parser) {
        free(r);
        return ws_fail(err, WS_E_MEMORY, "out of memory for the HTML parser");
    }
    for (size_t at = 0; at < body.len && !r->is_out_of_memory; at += FEED_BYTES) {
        const size_t n = body.len - at < FEED_BYTES ? body.len - at : FEED_BYTES;
        /* The return value tells of broken HTML, which is the rule. */
        (void)htmlParseChunk(parser, (const char *)body.ptr + at, (int)n, 0);
    }
    (void)htmlParseChunk(parser, NULL, 0, 1);
    xmlFreeDoc(parser->myDoc);
    htmlFreeParserCtxt(parser);

    resolve_all(r, url);
    page->title = keep_text(r, r->title);
    const bool is_ok = !r->is_out_of_memory;
    free(r);
    if (!is_ok) {
        ws_page_fini(page);
        return ws_fail(err, WS_E_MEMORY, "out of memory for the pictures of %s", url->text);
    }
    return WS_OK;
}

void ws_page_fini(struct ws_page *page)
{
    ws_arena_fini(&page->arena);
    *page = (struct ws_page){.title = ""};
}

/* --- fragments --- */

static void on_fragment_text(void *context, const xmlChar *text, int len)
{
    if (len > 0 && !ws_buf_add(context, text, (size_t)len))
        return; /* over its ceiling: the rest is cut anyway */
}

void ws_html_to_text(const char *html, char *text, size_t size_bytes)
{
    htmlSAXHandler handlers = {.characters = on_fragment_text};
    struct ws_buf raw = {.max_bytes = 64 * 1024};
    htmlParserCtxtPtr parser = htmlCreatePushParserCtxt(&handlers, &raw, NULL, 0, NULL, XML_CHAR_ENCODING_UTF8);
    if (parser) {
        htmlCtxtUseOptions(parser, HTML_PARSE_RECOVER | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING | HTML_PARSE_NONET);
        (void)htmlParseChunk(parser, html, (int)strnlen(html, 64 * 1024), 1);
        xmlFreeDoc(parser->myDoc);
        htmlFreeParserCtxt(parser);
    }
    ws_text_collapse(raw.ptr ? raw.ptr : "", text, size_bytes);
    ws_buf_fini(&raw);
}
