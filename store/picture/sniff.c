/** What a body is by its first bytes (WHATWG MIME Sniffing, the parts that matter here). */
#include "decode.h"

#include <string.h>
#include <strings.h>

static bool begins(struct ws_span body, size_t at, const void *bytes, size_t len)
{
    return body.len >= at + len && memcmp(body.ptr + at, bytes, len) == 0;
}

/** Texts: look behind white space and a byte order mark, ignore case. */
static const char *sniff_text(struct ws_span body)
{
    size_t at = begins(body, 0, "\xef\xbb\xbf", 3) ? 3 : 0;
    while (at < body.len && strchr(" \t\r\n", body.ptr[at]) && body.ptr[at] != 0)
        at++;
    const char *p = (const char *)body.ptr + at;
    const size_t left = body.len - at;
    static const char *const html[] = {"<!doctype html", "<html", "<head", "<body", "<title", "<script", "<!--"};
    for (size_t i = 0; i < sizeof html / sizeof html[0]; i++)
        if (left >= strlen(html[i]) && strncasecmp(p, html[i], strlen(html[i])) == 0)
            return "html";
    if (left >= 4 && strncasecmp(p, "<svg", 4) == 0)
        return "svg";
    if (left >= 5 && memcmp(p, "<?xml", 5) == 0) {
        for (size_t i = 0; i + 4 < left && i < 1024; i++)
            if (memcmp(p + i, "<svg", 4) == 0)
                return "svg";
        return "xml";
    }
    if (left > 0 && (*p == '{' || *p == '['))
        return "json";
    for (size_t i = 0; i < left && i < 512; i++)
        if ((unsigned char)p[i] < 0x20 && (p[i] == 0 || !strchr("\t\r\n\f\x1b", p[i])))
            return "unknown";
    return left > 0 ? "text" : "unknown";
}

enum ws_image_format ws_picture_sniff(struct ws_span body, const char **kind)
{
    static const struct {
        const char *bytes;
        uint8_t at, len;
        const char *kind;
    } others[] = {
        {"GIF8", 0, 4, "gif"},      {"BM", 0, 2, "bmp"},        {"\0\0\1\0", 0, 4, "ico"},  {"II*\0", 0, 4, "tiff"},
        {"MM\0*", 0, 4, "tiff"},    {"ftypavif", 4, 8, "avif"}, {"ftypavis", 4, 8, "avif"}, {"ftypheic", 4, 8, "heic"},
        {"ftypmif1", 4, 8, "heic"}, {"\xff\x0a", 0, 2, "jxl"},  {"JXL ", 4, 4, "jxl"},      {"%PDF-", 0, 5, "pdf"},
        {"\x1f\x8b", 0, 2, "gzip"}, {"PK\3\4", 0, 4, "zip"},    {"ftyp", 4, 4, "video"},
    };
    if (body.len == 0) {
        *kind = "empty";
        return WS_IMAGE_UNKNOWN;
    }
    if (begins(body, 0, "\xff\xd8\xff", 3)) {
        *kind = "jpeg";
        return WS_IMAGE_JPEG;
    }
    if (begins(body, 0, "\x89PNG\r\n\x1a\n", 8)) {
        *kind = "png";
        return WS_IMAGE_PNG;
    }
    if (begins(body, 0, "RIFF", 4) && begins(body, 8, "WEBP", 4)) {
        *kind = "webp";
        return WS_IMAGE_WEBP;
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (begins(body, others[i].at, others[i].bytes, others[i].len)) {
            *kind = others[i].kind;
            return WS_IMAGE_UNKNOWN;
        }
    }
    *kind = sniff_text(body);
    return WS_IMAGE_UNKNOWN;
}
