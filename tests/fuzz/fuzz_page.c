/** Fuzz target: any bytes as an HTML page, and as an answer of MediaWiki's API. */
#include "../../crawler/net/text.h"
#include "../../crawler/page/html.h"
#include "../../crawler/source/mediawiki_answer.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text)
{
    if (strlen(text) >= WS_PAGE_MAX_TEXT || !ws_text_is_utf8((const uint8_t *)text, strlen(text)))
        abort();
}

static void read_page(struct ws_span body, const char *charset)
{
    struct ws_page page;
    struct ws_url url, again;
    if (!ws_url_parse(&url, "http://shop.test/a/b") ||
        ws_page_read(&page, body, &url, charset, "webstill", NULL) != WS_OK)
        abort();
    check_text(page.title);
    for (size_t i = 0; i < page.n_images; i++) {
        check_text(page.images[i].alt);
        check_text(page.images[i].title);
        if (!ws_url_parse(&again, page.images[i].url))
            abort();
    }
    for (size_t i = 0; i < page.n_links; i++)
        if (!ws_url_parse(&again, page.links[i]))
            abort();
    ws_page_fini(&page);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const charsets[] = {NULL, "utf-8", "iso-8859-1", "utf-16", "shift_jis"};
    const struct ws_span body = {data, size};
    struct ws_mediawiki_answer answer;
    read_page(body, charsets[size ? data[size - 1] % 5 : 0]);
    if (ws_mediawiki_read(&answer, body, NULL) == WS_OK) {
        for (size_t i = 0; i < answer.n_images; i++)
            if (!*answer.images[i].url || !answer.images[i].title || !answer.images[i].licence)
                abort();
        ws_mediawiki_fini(&answer);
    }
    return 0;
}
