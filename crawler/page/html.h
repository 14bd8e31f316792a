/**
 * What an HTML page holds for a crawler: its pictures, its links, its title and what it says about their use.
 *
 * Read with libxml2's push parser and its SAX events: no tree, no network, no entities of the page's own, fixed
 * ceilings on counts and text lengths. URLs are resolved against the first `<base href>`.
 */
#ifndef WEBSTILL_CRAWLER_PAGE_HTML_H
#define WEBSTILL_CRAWLER_PAGE_HTML_H

#include "net/url.h"

#include "webstill/base/buf.h"
#include "webstill/base/err.h"
#include "webstill/base/mem.h"

enum {
    WS_PAGE_MAX_IMAGES = 5000,
    WS_PAGE_MAX_LINKS = 5000,
    WS_PAGE_MAX_TEXT = 1000, /**< octets of an alt text or title */
};

struct ws_page_image {
    const char *url;   /**< normalised */
    const char *alt;   /**< "" when it has none */
    const char *title; /**< its own title attribute, or "" */
};

/** Everything lives in the arena until ws_page_fini(). All-zero is a valid empty page. */
struct ws_page {
    struct ws_arena arena;
    const char *title;            /**< of the page, or "" */
    struct ws_page_image *images; /**< in document order, each URL as often as it stands there */
    size_t n_images;
    const char **links; /**< normalised, in document order; those with rel=nofollow left out */
    size_t n_links;
    unsigned directives; /**< enum ws_consent flags of its meta elements */
};

/**
 * Read a page.
 *
 * @charset  from the Content-Type field, or NULL: then the page's own, else UTF-8 when it is that
 * @token    our product token: `<meta name="TOKEN">` speaks to us as `robots` does
 *
 * For each `img` the largest candidate of its srcset, its data-srcset and the `source`s of its `picture` is taken, else
 * data-src and its kin, else src. Broken HTML is read as far as it goes. Returns WS_OK or WS_E_MEMORY.
 */
WS_MUST_USE enum ws_status ws_page_read(struct ws_page *page, struct ws_span body, const struct ws_url *url,
                                        const char *charset, const char *token, struct ws_err *err);
void ws_page_fini(struct ws_page *page);

/** The text of an HTML fragment ("<a href=…>Jane</a>" → "Jane"), white space collapsed, cut to fit at a character. */
void ws_html_to_text(const char *html, char *text, size_t size_bytes);

#endif
