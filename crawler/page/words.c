#include "words.h"

#include "webstill/base/text.h"

#include <string.h>

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (unsigned char)c >= 0x80;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static const char *skip_separators(const char *text)
{
    while (*text && !is_word(*text))
        text++;
    return text;
}

/** The phrase's words against the words that begin at `text`. */
static bool begins_with(const char *text, const char *phrase)
{
    for (;;) {
        while (is_word(*phrase) && lower(*phrase) == lower(*text)) {
            phrase++;
            text++;
        }
        if (is_word(*phrase) || is_word(*text))
            return false;
        phrase = skip_separators(phrase);
        if (!*phrase)
            return true;
        text = skip_separators(text);
    }
}

bool ws_words_contain(const char *text, const char *phrase)
{
    phrase = skip_separators(phrase);
    if (!*phrase)
        return false;
    for (text = skip_separators(text); *text; text = skip_separators(text)) {
        if (begins_with(text, phrase))
            return true;
        while (is_word(*text))
            text++;
    }
    return false;
}

void ws_words_of_file_name(const char *url, char *out, size_t size_bytes)
{
    const size_t len = strcspn(url, "?#");
    size_t start = len, end = len, n = 0;
    while (start > 0 && url[start - 1] != '/')
        start--;
    for (size_t i = len; i > start; i--) {
        if (url[i - 1] == '.') {
            end = i - 1;
            break;
        }
    }
    for (size_t i = start; i < end && n + 1 < size_bytes; i++) {
        if (url[i] == '%' && i + 2 < end && ws_hex_value(url[i + 1]) >= 0 && ws_hex_value(url[i + 2]) >= 0) {
            const int octet = ws_hex_value(url[i + 1]) << 4 | ws_hex_value(url[i + 2]);
            out[n++] = octet ? (char)octet : ' ';
            i += 2;
        } else {
            out[n++] = url[i];
        }
    }
    out[n] = '\0';
}

int ws_words_find_class(const struct ws_class *classes, unsigned n_classes, const char *const *texts,
                        const char **query)
{
    for (unsigned c = 0; c < n_classes; c++) {
        const unsigned n = classes[c].n_queries ? classes[c].n_queries : 1;
        for (unsigned q = 0; q < n; q++) {
            const char *phrase = classes[c].n_queries ? classes[c].queries[q] : classes[c].name;
            for (size_t t = 0; texts[t]; t++) {
                if (ws_words_contain(texts[t], phrase)) {
                    *query = phrase;
                    return (int)c;
                }
            }
        }
    }
    return -1;
}
