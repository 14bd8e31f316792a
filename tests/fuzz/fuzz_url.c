/** Fuzz target: any text as a URL and as a reference; what is taken reads back as itself and names its parts. */
#include "../../crawler/net/url.h"
#include "../../crawler/page/srcset.h"
#include "../../crawler/page/words.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct ws_url *url)
{
    struct ws_url again;
    char origin[WS_ORIGIN_MAX], host[256], extension[8], words[256];
    if (!ws_url_parse(&again, url->text) || strcmp(again.text, url->text) != 0 || again.port != url->port)
        abort();
    if (url->path_at >= strlen(url->text) || url->text[url->path_at] != '/' || strstr(url->text + url->path_at, "#"))
        abort();
    for (const char *p = url->text; *p; p++)
        if (*p <= ' ' || *p > '~')
            abort();
    ws_url_origin(url, origin);
    ws_url_host(url, host);
    ws_url_extension(url, extension);
    ws_words_of_file_name(url->text, words, sizeof words);
    if (!ws_url_parse(&again, origin) || !ws_url_same_host(&again, url) || !*host)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const bases[] = {"http://a/b/c/d;p?q", "https://xn--bcher-kva.example:8443", "http://[::1]/%2F"};
    char *text = malloc(size + 1);
    struct ws_candidate candidate;
    if (!text)
        return 0;
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    struct ws_url url, base;
    if (ws_url_parse(&url, text))
        check(&url);
    for (size_t i = 0; i < sizeof bases / sizeof *bases; i++)
        if (!ws_url_parse(&base, bases[i]))
            abort();
        else if (ws_url_resolve(&url, &base, text))
            check(&url);
    if (ws_srcset_largest(text, &candidate) &&
        (candidate.len == 0 || candidate.url < text || candidate.url + candidate.len > text + strlen(text)))
        abort();
    free(text);
    return 0;
}
