/** HTML text, numbers and data URIs. */
#include "html.h"

#include "webstill/base/base64.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void add_bytes(struct ws_html *html, const char *bytes, size_t len)
{
    if (!html->is_failed && !ws_buf_add(&html->buf, bytes, len))
        html->is_failed = true;
}

void ws_html_add(struct ws_html *html, const char *markup)
{
    add_bytes(html, markup, strlen(markup));
}

void ws_html_addf(struct ws_html *html, const char *format, ...)
{
    char text[1024];
    va_list list;
    va_start(list, format);
    const int len = vsnprintf(text, sizeof text, format, list);
    va_end(list);
    ws_assert(len >= 0 && (size_t)len < sizeof text);
    add_bytes(html, text, (size_t)len);
}

/** Length of the well-formed UTF-8 sequence at `s` (RFC 3629), or 0. */
static size_t measure_utf8(const unsigned char *s)
{
    const unsigned char c = s[0];
    if (c < 0x80)
        return 1;
    if (c >= 0xc2 && c <= 0xdf)
        return (s[1] & 0xc0) == 0x80 ? 2 : 0;
    if (c >= 0xe0 && c <= 0xef) {
        const unsigned char low = c == 0xe0 ? 0xa0 : 0x80, high = c == 0xed ? 0x9f : 0xbf;
        return s[1] >= low && s[1] <= high && (s[2] & 0xc0) == 0x80 ? 3 : 0;
    }
    if (c >= 0xf0 && c <= 0xf4) {
        const unsigned char low = c == 0xf0 ? 0x90 : 0x80, high = c == 0xf4 ? 0x8f : 0xbf;
        return s[1] >= low && s[1] <= high && (s[2] & 0xc0) == 0x80 && (s[3] & 0xc0) == 0x80 ? 4 : 0;
    }
    return 0;
}

static void add_character(struct ws_html *html, const unsigned char *s, size_t len)
{
    switch (s[0]) {
    case '&':
        ws_html_add(html, "&amp;");
        return;
    case '<':
        ws_html_add(html, "&lt;");
        return;
    case '>':
        ws_html_add(html, "&gt;");
        return;
    case '"':
        ws_html_add(html, "&quot;");
        return;
    case '\'':
        ws_html_add(html, "&#39;");
        return;
    case '\t':
    case '\n':
    case '\r':
        ws_html_add(html, " ");
        return;
    default:
        if (s[0] >= 0x20 && s[0] != 0x7f)
            add_bytes(html, (const char *)s, len);
    }
}

void ws_html_text_short(struct ws_html *html, const char *text, size_t n_max)
{
    const unsigned char *s = (const unsigned char *)(text ? text : "");
    for (size_t n = 0; *s != '\0'; n++) {
        if (n == n_max) {
            ws_html_add(html, "…");
            return;
        }
        const size_t len = measure_utf8(s);
        if (len == 0)
            ws_html_add(html, "\xef\xbf\xbd");
        else
            add_character(html, s, len);
        s += len > 0 ? len : 1;
    }
}

void ws_html_text(struct ws_html *html, const char *text)
{
    ws_html_text_short(html, text, SIZE_MAX);
}

void ws_html_count(struct ws_html *html, int64_t value)
{
    char digits[32];
    const int len = snprintf(digits, sizeof digits, "%lld", (long long)value);
    for (int i = 0; i < len; i++) {
        if (i > 0 && digits[i - 1] != '-' && (len - i) % 3 == 0)
            ws_html_add(html, "\xe2\x80\xaf"); /* narrow no-break space */
        add_bytes(html, &digits[i], 1);
    }
}

void ws_html_number(struct ws_html *html, double value, int decimals)
{
    if (isfinite(value))
        ws_html_addf(html, "%.*f", decimals, value);
    else
        ws_html_add(html, "–");
}

void ws_html_percent(struct ws_html *html, double share, int decimals)
{
    ws_html_number(html, 100.0 * share, decimals);
}

void ws_html_seconds(struct ws_html *html, double seconds)
{
    if (!isfinite(seconds)) {
        ws_html_add(html, "–");
        return;
    }
    const long long whole = llround(seconds);
    if (seconds < 10)
        ws_html_addf(html, "%.1f s", seconds);
    else if (whole < 120)
        ws_html_addf(html, "%lld s", whole);
    else if (whole < 7200)
        ws_html_addf(html, "%lld min %lld s", whole / 60, whole % 60);
    else
        ws_html_addf(html, "%lld h %lld min", whole / 3600, whole / 60 % 60);
}

void ws_html_base64(struct ws_html *html, const void *bytes, size_t len)
{
    char *text = ws_base64_encode(bytes, len);
    if (text)
        ws_html_add(html, text);
    else
        html->is_failed = true;
    free(text);
}

bool ws_html_is_link(const char *url)
{
    return url && (strncasecmp(url, "http://", 7) == 0 || strncasecmp(url, "https://", 8) == 0);
}
