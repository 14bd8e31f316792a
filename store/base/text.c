#include "webstill/base/text.h"

#include <string.h>

bool ws_text_ends_with(const char *text, const char *suffix)
{
    const size_t n = strlen(text), k = strlen(suffix);
    return n >= k && memcmp(text + n - k, suffix, k) == 0;
}

struct ws_span ws_text_span(const char *text)
{
    return (struct ws_span){(const uint8_t *)text, strlen(text)};
}

int ws_hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool ws_line_next(struct ws_span *rest, struct ws_span *line)
{
    if (rest->len == 0)
        return false;
    const uint8_t *stop = memchr(rest->ptr, '\n', rest->len);
    const size_t len = stop ? (size_t)(stop - rest->ptr) : rest->len, taken = stop ? len + 1 : len;
    *line = (struct ws_span){rest->ptr, len};
    *rest = (struct ws_span){rest->ptr + taken, rest->len - taken};
    return true;
}
