/** HTTP/1 messages inside WARC records: head, status, fields, and the body with its codings undone. */
#include "parts.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

size_t ws_http_head_len(struct ws_span block)
{
    if (block.len < 5 || memcmp(block.ptr, "HTTP/", 5) != 0)
        return 0;
    /* Line ends are CRLF; RFC 9112 §2.2 lets a recipient take a lone LF. */
    for (size_t i = 0; i + 1 < block.len; i++) {
        if (block.ptr[i] != '\n')
            continue;
        if (block.ptr[i + 1] == '\n')
            return i + 2;
        if (block.ptr[i + 1] == '\r' && i + 2 < block.len && block.ptr[i + 2] == '\n')
            return i + 3;
    }
    return 0;
}

int ws_http_status(struct ws_span head)
{
    const uint8_t *space = head.len > 0 ? memchr(head.ptr, ' ', head.len) : NULL;
    if (!space || (size_t)(head.ptr + head.len - space) < 4)
        return 0;
    int status = 0;
    for (int i = 1; i <= 3; i++) {
        if (space[i] < '0' || space[i] > '9')
            return 0;
        status = 10 * status + (space[i] - '0');
    }
    return status;
}

struct ws_span ws_http_field(struct ws_span head, const char *name)
{
    const size_t name_len = strlen(name);
    const uint8_t *line = head.ptr;
    const uint8_t *end = head.ptr + head.len;
    while (head.len > 0 && line < end) {
        const uint8_t *newline = memchr(line, '\n', (size_t)(end - line));
        const uint8_t *stop = newline ? newline : end;
        if ((size_t)(stop - line) > name_len && line[name_len] == ':' &&
            strncasecmp((const char *)line, name, name_len) == 0) {
            const uint8_t *value = line + name_len + 1;
            while (value < stop && (*value == ' ' || *value == '\t'))
                value++;
            while (stop > value && (stop[-1] == ' ' || stop[-1] == '\t' || stop[-1] == '\r'))
                stop--;
            return (struct ws_span){value, (size_t)(stop - value)};
        }
        if (!newline)
            break;
        line = newline + 1;
    }
    return (struct ws_span){0};
}

static bool equals(struct ws_span value, const char *text)
{
    return value.len == strlen(text) && strncasecmp((const char *)value.ptr, text, value.len) == 0;
}

/** A chunk-size line (RFC 9112 §7.1): its length and the size, or 0 when there is none. */
static size_t parse_chunk_size(const uint8_t *p, size_t len, uint64_t *size)
{
    size_t i = 0;
    *size = 0;
    for (; i < len && i < 16; i++) {
        const int c = p[i] | 0x20;
        const int digit = p[i] >= '0' && p[i] <= '9' ? p[i] - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0)
            break;
        *size = *size << 4 | (uint64_t)digit;
    }
    if (i == 0)
        return 0;
    const size_t line = len < 1024 ? len : 1024; /* extensions are allowed, endless ones are not */
    const uint8_t *newline = i < line ? memchr(p + i, '\n', line - i) : NULL;
    const bool clean = newline && (p[i] == '\r' || p[i] == '\n' || p[i] == ';' || p[i] == ' ' || p[i] == '\t');
    return clean ? (size_t)(newline - p) + 1 : 0;
}

/** Join the chunks; a body whose first line is no chunk size was joined before it was archived. */
static bool unchunk(struct ws_span body, struct ws_buf *out)
{
    size_t at = 0;
    uint64_t size = 0;
    ws_buf_clear(out);
    for (;;) {
        const size_t line = parse_chunk_size(body.ptr + at, body.len - at, &size);
        if (line == 0)
            return at > 0;
        at += line;
        const size_t left = body.len - at;
        const size_t take = size < left ? (size_t)size : left;
        if (take > 0 && !ws_buf_add(out, body.ptr + at, take))
            return false;
        at += take;
        if (size == 0 || take < size)
            return true;
        if (at < body.len && body.ptr[at] == '\r')
            at++;
        if (at < body.len && body.ptr[at] == '\n')
            at++;
    }
}

/** Inflate all members of a body. False: over the ceiling or out of memory; damage ends the output quietly. */
static bool inflate_body(struct ws_span body, int window_bits, uint64_t max_bytes, struct ws_buf *out)
{
    enum { STEP = 1 << 16 };
    z_stream z = {0};
    if (inflateInit2(&z, window_bits) != Z_OK)
        return false;
    z.next_in = (z_const Bytef *)(uintptr_t)body.ptr;
    z.avail_in = (uInt)body.len;
    ws_buf_clear(out);
    bool fits = true;
    int rc = Z_OK;
    while (fits && rc == Z_OK) {
        char *to = ws_buf_reserve(out, STEP);
        if (!to) {
            fits = false;
            break;
        }
        z.next_out = (Bytef *)to;
        z.avail_out = STEP;
        rc = inflate(&z, Z_NO_FLUSH);
        out->len += STEP - z.avail_out;
        fits = out->len <= max_bytes;
        if (rc == Z_STREAM_END && window_bits > 15 && z.avail_in > 2 && z.next_in[0] == 0x1f && z.next_in[1] == 0x8b)
            rc = inflateReset(&z);
    }
    (void)inflateEnd(&z);
    return fits;
}

enum ws_status ws_http_body(struct ws_span head, struct ws_span body, uint64_t max_bytes, struct ws_buf scratch[2],
                            struct ws_span *unchunked, struct ws_span *payload, struct ws_err *err)
{
    *unchunked = *payload = body;
    if (equals(ws_http_field(head, "Transfer-Encoding"), "chunked") && body.len > 0 && unchunk(body, &scratch[0]))
        *unchunked = (struct ws_span){(const uint8_t *)scratch[0].ptr, scratch[0].len};
    *payload = *unchunked;
    const struct ws_span coding = ws_http_field(head, "Content-Encoding");
    const struct ws_span in = *unchunked;
    if (in.len < 2 || in.len > UINT32_MAX / 2)
        return WS_OK;
    enum { ZLIB = 15, RAW = -15, GZIP = 15 + 16 };
    int window_bits = 0;
    if ((equals(coding, "gzip") || equals(coding, "x-gzip")) && in.ptr[0] == 0x1f && in.ptr[1] == 0x8b)
        window_bits = GZIP;
    else if (equals(coding, "deflate")) /* RFC 9110 says zlib; some servers send raw deflate */
        window_bits = (in.ptr[0] & 0x0f) == 8 && (in.ptr[0] * 256 + in.ptr[1]) % 31 == 0 ? ZLIB : RAW;
    if (window_bits == 0)
        return WS_OK;
    if (!inflate_body(in, window_bits, max_bytes, &scratch[1]))
        return ws_fail(err, WS_E_FORMAT, "the body grows over %llu bytes when its %.*s coding is undone",
                       (unsigned long long)max_bytes, (int)(coding.len < 16 ? coding.len : 16),
                       (const char *)coding.ptr);
    *payload = (struct ws_span){(const uint8_t *)scratch[1].ptr, scratch[1].len};
    return WS_OK;
}
