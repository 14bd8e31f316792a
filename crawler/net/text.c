#include "text.h"

#include <string.h>

/** Length of the valid UTF-8 character at `p` (RFC 3629), or 0. */
static size_t character_length(const uint8_t *p, size_t left)
{
    const uint8_t c = p[0];
    size_t n;
    uint8_t low = 0x80,
            high = 0xBF; /* bounds of the second octet: no overlong forms, no surrogates, nothing past U+10FFFF */
    if (c < 0x80)
        return 1;
    if (c >= 0xC2 && c <= 0xDF) {
        n = 2;
    } else if (c >= 0xE0 && c <= 0xEF) {
        n = 3;
        low = c == 0xE0 ? 0xA0 : 0x80;
        high = c == 0xED ? 0x9F : 0xBF;
    } else if (c >= 0xF0 && c <= 0xF4) {
        n = 4;
        low = c == 0xF0 ? 0x90 : 0x80;
        high = c == 0xF4 ? 0x8F : 0xBF;
    } else {
        return 0;
    }
    if (left < n || p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    return n;
}

bool ws_text_is_utf8(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len;) {
        const size_t n = character_length(bytes + i, len - i);
        if (n == 0)
            return false;
        i += n;
    }
    return true;
}

void ws_text_collapse(const char *text, char *out, size_t size_bytes)
{
    const uint8_t *p = (const uint8_t *)text;
    size_t left = strlen(text), n = 0;
    bool has_gap = false;
    while (left) {
        size_t len = character_length(p, left);
        const bool is_valid = len > 0;
        len = is_valid ? len : 1;
        if (*p <= ' ' || *p == 0x7F) {
            has_gap = n > 0;
        } else {
            const size_t gap = has_gap ? 1 : 0;
            if (n + gap + len >= size_bytes)
                break;
            if (gap)
                out[n++] = ' ';
            has_gap = false;
            memcpy(out + n, is_valid ? (const char *)p : "?", len);
            n += len;
        }
        p += len;
        left -= len;
    }
    out[n] = '\0';
}

json_t *ws_text_json(const char *text)
{
    char clean[4096 + 256];
    ws_text_collapse(text, clean, sizeof clean);
    return json_string(clean);
}
