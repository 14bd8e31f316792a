#include "mediawiki_answer.h"

#include "page/html.h"

#include <libxml/xmlreader.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    xmlTextReaderPtr xml;
    struct ws_mediawiki_answer *answer;
    struct ws_mediawiki_image image; /* the page being read */
    size_t cap;
    bool is_out_of_memory;
};

static const char *keep(struct reader *r, const char *text)
{
    const char *kept = ws_arena_strdup(&r->answer->arena, text);
    r->is_out_of_memory = r->is_out_of_memory || !kept;
    return kept ? kept : "";
}

/** An attribute of the current element, kept; "" when it has none. */
static const char *attribute(struct reader *r, const char *name)
{
    xmlChar *value = xmlTextReaderGetAttribute(r->xml, (const xmlChar *)name);
    const char *kept = value ? keep(r, (const char *)value) : "";
    xmlFree(value);
    return kept;
}

/** The `value` of an extmetadata field without its HTML. */
static const char *plain_value(struct reader *r)
{
    char text[1000];
    xmlChar *value = xmlTextReaderGetAttribute(r->xml, (const xmlChar *)"value");
    if (!value)
        return "";
    ws_html_to_text((const char *)value, text, sizeof text);
    xmlFree(value);
    return keep(r, text);
}

static void start_page(struct reader *r)
{
    r->image = (struct ws_mediawiki_image){.index = LONG_MAX,
                                           .licence = "",
                                           .licence_url = "",
                                           .author = "",
                                           .attribution = "",
                                           .description = "",
                                           .url = "",
                                           .page = "",
                                           .mime = "",
                                           .user = ""};
    const char *index = attribute(r, "index");
    if (*index)
        r->image.index = strtol(index, NULL, 10);
    r->image.title = attribute(r, "title");
}

static void end_page(struct reader *r)
{
    struct ws_mediawiki_answer *answer = r->answer;
    if (!r->image.url || !*r->image.url || answer->n_images == WS_MEDIAWIKI_MAX_IMAGES)
        return;
    if (answer->n_images == r->cap) {
        const size_t cap = r->cap ? r->cap * 2 : 64;
        struct ws_mediawiki_image *larger = ws_arena_alloc(&answer->arena, cap, sizeof *larger);
        if (!larger) {
            r->is_out_of_memory = true;
            return;
        }
        if (answer->n_images)
            memcpy(larger, answer->images, answer->n_images * sizeof *larger);
        answer->images = larger;
        r->cap = cap;
    }
    answer->images[answer->n_images++] = r->image;
    r->image.url = "";
}

static void read_continue(struct reader *r)
{
    struct ws_mediawiki_answer *answer = r->answer;
    while (xmlTextReaderMoveToNextAttribute(r->xml) == 1 && answer->n_parameters < WS_MEDIAWIKI_MAX_CONTINUE) {
        const xmlChar *name = xmlTextReaderConstName(r->xml), *value = xmlTextReaderConstValue(r->xml);
        answer->parameters[answer->n_parameters++] =
            (struct ws_mediawiki_parameter){keep(r, (const char *)name), keep(r, value ? (const char *)value : "")};
    }
    (void)xmlTextReaderMoveToElement(r->xml);
}

static void read_field(struct reader *r, const char *name)
{
    static const struct {
        const char *name;
        size_t offset;
    } fields[] = {
        {"LicenseShortName", offsetof(struct ws_mediawiki_image, licence)},
        {"LicenseUrl", offsetof(struct ws_mediawiki_image, licence_url)},
        {"Artist", offsetof(struct ws_mediawiki_image, author)},
        {"Attribution", offsetof(struct ws_mediawiki_image, attribution)},
        {"ImageDescription", offsetof(struct ws_mediawiki_image, description)},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (strcmp(name, fields[i].name) == 0) {
            const char *value = plain_value(r);
            memcpy((char *)&r->image + fields[i].offset, &value, sizeof value);
        }
    }
}

static void read_start(struct reader *r)
{
    const char *name = (const char *)xmlTextReaderConstLocalName(r->xml);
    if (strcmp(name, "page") == 0) {
        start_page(r);
    } else if (strcmp(name, "ii") == 0) {
        r->image.url = attribute(r, "url");
        r->image.page = attribute(r, "descriptionurl");
        r->image.mime = attribute(r, "mime");
        r->image.user = attribute(r, "user");
    } else if (strcmp(name, "continue") == 0) {
        read_continue(r);
    } else if (strcmp(name, "error") == 0) {
        r->answer->error_code = attribute(r, "code");
        r->answer->error_info = attribute(r, "info");
    } else {
        read_field(r, name);
    }
}

static int compare_index(const void *a, const void *b)
{
    const struct ws_mediawiki_image *x = a, *y = b;
    if (x->index != y->index)
        return x->index < y->index ? -1 : 1;
    return strcmp(x->url, y->url);
}

static bool has_text(struct ws_span body, const char *text)
{
    const size_t n = strlen(text);
    for (size_t i = 0; i + n <= body.len; i++)
        if (body.ptr[i] == (uint8_t)*text && memcmp(body.ptr + i, text, n) == 0)
            return true;
    return false;
}

static void ignore_error(void *context, const char *message, xmlParserSeverities severity,
                         xmlTextReaderLocatorPtr locator)
{
    (void)context; /* the reader's return value tells; libxml2 would print */
    (void)message;
    (void)severity;
    (void)locator;
}

enum ws_status ws_mediawiki_read(struct ws_mediawiki_answer *answer, struct ws_span body, struct ws_err *err)
{
    *answer = (struct ws_mediawiki_answer){0};
    if (body.len == 0)
        return ws_fail(err, WS_E_FORMAT, "expected an API answer in XML, found an empty body");
    if (body.len > INT_MAX || memchr(body.ptr, '\0', body.len) || has_text(body, "<!DOCTYPE"))
        return ws_fail(err, WS_E_FORMAT, "expected an API answer in XML (UTF-8, no DOCTYPE), found something else");
    struct reader r = {.answer = answer};
    /* UTF-8 whatever it declares: another encoding (UTF-7) could write a DOCTYPE that was not seen above. */
    r.xml = xmlReaderForMemory((const char *)body.ptr, (int)body.len, NULL, "UTF-8",
                               XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    if (!r.xml)
        return ws_fail(err, WS_E_MEMORY, "out of memory for the XML reader");
    xmlTextReaderSetErrorHandler(r.xml, ignore_error, NULL);

    int step;
    bool has_api = false;
    while ((step = xmlTextReaderRead(r.xml)) == 1 && !r.is_out_of_memory) {
        const int type = xmlTextReaderNodeType(r.xml);
        const char *name = (const char *)xmlTextReaderConstLocalName(r.xml);
        if (type == XML_READER_TYPE_ELEMENT) {
            if (xmlTextReaderDepth(r.xml) == 0)
                has_api = strcmp(name, "api") == 0;
            const bool is_empty = xmlTextReaderIsEmptyElement(r.xml) == 1;
            read_start(&r);
            if (is_empty && strcmp(name, "page") == 0)
                end_page(&r);
        } else if (type == XML_READER_TYPE_END_ELEMENT && strcmp(name, "page") == 0) {
            end_page(&r);
        }
    }
    xmlFreeTextReader(r.xml);
    if (r.is_out_of_memory || step < 0 || !has_api) {
        const bool is_memory = r.is_out_of_memory;
        ws_mediawiki_fini(answer);
        return is_memory ? ws_fail(err, WS_E_MEMORY, "out of memory for an API answer")
                         : ws_fail(err, WS_E_FORMAT, "expected <api>…</api> of MediaWiki's Action API, found %s",
                                   step < 0 ? "XML that breaks off or is not well-formed" : "another document");
    }
    if (answer->n_images)
        qsort(answer->images, answer->n_images, sizeof *answer->images, compare_index);
    return WS_OK;
}

void ws_mediawiki_fini(struct ws_mediawiki_answer *answer)
{
    ws_arena_fini(&answer->arena);
    *answer = (struct ws_mediawiki_answer){0};
}
