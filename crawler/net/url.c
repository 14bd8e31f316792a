#include "url.h"

#include "webstill/base/text.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char hex_digits[] = "0123456789ABCDEF";

static bool is_alpha(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}

static bool is_unreserved(unsigned char c)
{
    return is_alpha(c) || is_digit(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* --- RFC 3986 §5.2 --- */

/** A piece of a reference; `ptr` is NULL when the component is undefined, which differs from empty. */
struct piece {
    const char *ptr;
    size_t len;
};

struct reference {
    struct piece scheme, authority, path, query, fragment;
};

/** Append to a NUL-terminated text of bounded size. */
struct sink {
    char *text;
    size_t len, size;
    bool is_full;
};

static void put(struct sink *sink, const char *bytes, size_t len)
{
    if (sink->is_full || len >= sink->size - sink->len) {
        sink->is_full = true;
        return;
    }
    memcpy(sink->text + sink->len, bytes, len);
    sink->len += len;
    sink->text[sink->len] = '\0';
}

static size_t scheme_length(const char *text)
{
    size_t n = 0;
    if (!is_alpha((unsigned char)text[0]))
        return 0;
    while (is_alpha((unsigned char)text[n]) || is_digit((unsigned char)text[n]) || text[n] == '+' || text[n] == '-' ||
           text[n] == '.')
        n++;
    return text[n] == ':' ? n : 0;
}

static struct reference split(const char *text)
{
    struct reference r = {0};
    size_t n = scheme_length(text);
    if (n) {
        r.scheme = (struct piece){text, n};
        text += n + 1;
    }
    if (text[0] == '/' && text[1] == '/') {
        n = strcspn(text + 2, "/?#");
        r.authority = (struct piece){text + 2, n};
        text += 2 + n;
    }
    n = strcspn(text, "?#");
    r.path = (struct piece){text, n};
    text += n;
    if (*text == '?') {
        n = strcspn(text + 1, "#");
        r.query = (struct piece){text + 1, n};
        text += 1 + n;
    }
    if (*text == '#')
        r.fragment = (struct piece){text + 1, strlen(text + 1)};
    return r;
}

/** §5.2.4, in place; the result is never longer. */
static size_t remove_dot_segments(char *path, size_t len)
{
    size_t in = 0, out = 0;
    while (in < len) {
        const char *p = path + in;
        const size_t left = len - in;
        if (left >= 3 && memcmp(p, "../", 3) == 0) {
            in += 3;
        } else if (left >= 2 && memcmp(p, "./", 2) == 0) {
            in += 2;
        } else if (left >= 3 && memcmp(p, "/./", 3) == 0) {
            in += 2;
        } else if (left == 2 && memcmp(p, "/.", 2) == 0) {
            path[++in] = '/';
        } else if ((left >= 4 && memcmp(p, "/../", 4) == 0) || (left == 3 && memcmp(p, "/..", 3) == 0)) {
            in += left == 3 ? 2 : 3;
            path[in] = '/';
            while (out > 0 && path[--out] != '/')
                ;
        } else if ((left == 1 && *p == '.') || (left == 2 && memcmp(p, "..", 2) == 0)) {
            in = len;
        } else {
            do
                path[out++] = path[in++];
            while (in < len && path[in] != '/');
        }
    }
    path[out] = '\0';
    return out;
}

/** §5.2.3: the base's path up to its last slash. */
static void put_merged(struct sink *sink, const struct reference *base, const struct reference *ref)
{
    if (base->authority.ptr && base->path.len == 0) {
        put(sink, "/", 1);
    } else {
        size_t n = base->path.len;
        while (n > 0 && base->path.ptr[n - 1] != '/')
            n--;
        put(sink, base->path.ptr, n);
    }
    put(sink, ref->path.ptr, ref->path.len);
}

bool ws_url_join(const char *base_text, const char *reference, char *out, size_t size_bytes)
{
    const struct reference base = split(base_text), ref = split(reference);
    struct sink sink = {.text = out, .size = size_bytes};
    if (size_bytes == 0)
        return false;
    out[0] = '\0';

    const bool is_absolute = ref.scheme.ptr != NULL;
    const bool has_authority = is_absolute || ref.authority.ptr;
    const struct reference *authority = has_authority ? &ref : &base;
    const struct piece scheme = is_absolute ? ref.scheme : base.scheme;
    put(&sink, scheme.ptr ? scheme.ptr : "", scheme.len);
    put(&sink, ":", scheme.ptr ? 1 : 0);
    if (authority->authority.ptr) {
        put(&sink, "//", 2);
        put(&sink, authority->authority.ptr, authority->authority.len);
    }

    const size_t path_at = sink.len;
    struct piece query = ref.query;
    if (has_authority || (ref.path.len && ref.path.ptr[0] == '/')) {
        put(&sink, ref.path.ptr, ref.path.len);
    } else if (ref.path.len == 0) {
        put(&sink, base.path.ptr, base.path.len);
        if (!query.ptr)
            query = base.query;
    } else {
        put_merged(&sink, &base, &ref);
    }
    /* An absolute path keeps its dots out of a base that was copied unchanged (§5.2.2 cleans all but that case). */
    if (!sink.is_full && (has_authority || ref.path.len))
        sink.len = path_at + remove_dot_segments(out + path_at, sink.len - path_at);

    if (query.ptr) {
        put(&sink, "?", 1);
        put(&sink, query.ptr, query.len);
    }
    if (ref.fragment.ptr) {
        put(&sink, "#", 1);
        put(&sink, ref.fragment.ptr, ref.fragment.len);
    }
    return !sink.is_full;
}

/* --- normalising http and https --- */

/** Octets that may stand in a path or query as they are (RFC 3986 §3.3, §3.4, and "[]", which the web uses). */
static bool is_url_octet(unsigned char c)
{
    return is_unreserved(c) || (c && strchr("!$&'()*+,;=:@/?[]", c));
}

static void put_normal(struct sink *sink, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        int high, low;
        if (c == '%' && i + 2 < len && (high = ws_hex_value(text[i + 1])) >= 0 &&
            (low = ws_hex_value(text[i + 2])) >= 0) {
            const unsigned char octet = (unsigned char)(high << 4 | low);
            const char coded[3] = {'%', hex_digits[high], hex_digits[low]};
            if (is_unreserved(octet))
                put(sink, (const char *)&octet, 1);
            else
                put(sink, coded, 3);
            i += 2;
        } else if (is_url_octet(c)) {
            put(sink, text + i, 1);
        } else { /* also a "%" that codes nothing: it would begin to, beside what is undone */
            const char coded[3] = {'%', hex_digits[c >> 4], hex_digits[c & 15]};
            put(sink, coded, 3);
        }
    }
}

static bool put_ascii_host(struct sink *sink, const char *host, size_t len)
{
    if (len == 0 || len > 253 || host[len - 1] == '.')
        return false;
    for (size_t i = 0; i < len; i++) {
        const unsigned char c = (unsigned char)host[i];
        if (!is_alpha(c) && !is_digit(c) && c != '-' && c != '.' && c != '_')
            return false;
        if (c == '.' && (i == 0 || host[i - 1] == '.'))
            return false;
        const char lowered = lower(host[i]);
        put(sink, &lowered, 1);
    }
    return true;
}

/** The ASCII form of a host with other letters (IDNA), by curl, which also resolves it. */
static bool put_international_host(struct sink *sink, const char *host, size_t len)
{
    char utf8[256];
    if (len >= sizeof utf8)
        return false;
    memcpy(utf8, host, len);
    utf8[len] = '\0';
    /* curl's IDNA library reads names in the thread's charset, which is ASCII unless a program asks for another. */
    const locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    if (!locale)
        return false;
    const locale_t before = uselocale(locale);
    CURLU *handle = curl_url();
    char *ascii = NULL;
    const bool is_known = handle && curl_url_set(handle, CURLUPART_SCHEME, "http", 0) == CURLUE_OK &&
                          curl_url_set(handle, CURLUPART_HOST, utf8, 0) == CURLUE_OK &&
                          curl_url_get(handle, CURLUPART_HOST, &ascii, CURLU_PUNYCODE) == CURLUE_OK &&
                          put_ascii_host(sink, ascii, strlen(ascii));
    curl_free(ascii);
    curl_url_cleanup(handle);
    uselocale(before);
    freelocale(locale);
    return is_known;
}

static bool put_bracketed_host(struct sink *sink, const char *host, size_t len)
{
    char literal[INET6_ADDRSTRLEN];
    struct in6_addr address;
    if (len < 4 || len - 2 >= sizeof literal || host[len - 1] != ']')
        return false;
    memcpy(literal, host + 1, len - 2);
    literal[len - 2] = '\0';
    if (inet_pton(AF_INET6, literal, &address) != 1 || !inet_ntop(AF_INET6, &address, literal, sizeof literal))
        return false;
    put(sink, "[", 1);
    put(sink, literal, strlen(literal));
    put(sink, "]", 1);
    return true;
}

static bool put_host(struct sink *sink, const char *host, size_t len)
{
    if (len > 1 && host[len - 1] == '.')
        len--; /* the root of DNS, written out */
    if (len && host[0] == '[')
        return put_bracketed_host(sink, host, len);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)host[i] >= 0x80)
            return put_international_host(sink, host, len);
    return put_ascii_host(sink, host, len);
}

static bool parse_port(const char *text, size_t len, uint16_t *port)
{
    unsigned value = 0;
    if (len == 0)
        return true; /* "host:" means the default port (RFC 3986 §3.2.3) */
    if (len > 5)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!is_digit((unsigned char)text[i]))
            return false;
        value = value * 10 + (unsigned)(text[i] - '0');
    }
    *port = (uint16_t)value;
    return value > 0 && value <= 65535;
}

static bool put_authority(struct sink *sink, struct ws_url *url, const struct piece *authority)
{
    if (memchr(authority->ptr, '@', authority->len))
        return false;
    size_t host_len = authority->len;
    const char *bracket = memchr(authority->ptr, ']', authority->len);
    for (size_t i = bracket ? (size_t)(bracket - authority->ptr) : 0; i < authority->len; i++) {
        if (authority->ptr[i] == ':') {
            host_len = i;
            break;
        }
    }
    const uint16_t default_port = url->is_https ? 443 : 80;
    url->port = default_port;
    if (host_len < authority->len &&
        !parse_port(authority->ptr + host_len + 1, authority->len - host_len - 1, &url->port))
        return false;
    url->host_at = sink->len;
    if (!put_host(sink, authority->ptr, host_len))
        return false;
    url->host_len = sink->len - url->host_at;
    if (url->port != default_port) {
        char port[8];
        const int n = snprintf(port, sizeof port, ":%u", (unsigned)url->port);
        put(sink, port, (size_t)n);
    }
    return true;
}

bool ws_url_parse(struct ws_url *url, const char *text)
{
    const struct reference r = split(text);
    struct sink sink = {.text = url->text, .size = sizeof url->text};
    url->text[0] = '\0';
    if (r.scheme.len == 5 && strncasecmp(r.scheme.ptr, "https", 5) == 0)
        url->is_https = true;
    else if (r.scheme.len == 4 && strncasecmp(r.scheme.ptr, "http", 4) == 0)
        url->is_https = false;
    else
        return false;
    if (!r.authority.ptr || r.authority.len == 0)
        return false;
    put(&sink, url->is_https ? "https://" : "http://", url->is_https ? 8 : 7);
    if (!put_authority(&sink, url, &r.authority))
        return false;

    url->path_at = sink.len;
    if (r.path.len == 0)
        put(&sink, "/", 1);
    put_normal(&sink, r.path.ptr, r.path.len);
    if (sink.is_full)
        return false;
    /* After decoding: "%2e%2e" is a dot segment too. */
    sink.len = url->path_at + remove_dot_segments(url->text + url->path_at, sink.len - url->path_at);
    if (r.query.ptr) {
        put(&sink, "?", 1);
        put_normal(&sink, r.query.ptr, r.query.len);
    }
    return !sink.is_full;
}

/** What browsers forgive (WHATWG URL, "basic URL parser"): outer space, inner tabs and line ends, backslashes in paths.
 */
static bool clean_reference(const char *reference, char *out, size_t size)
{
    size_t len = strlen(reference), n = 0;
    bool is_path = true;
    while (len && (unsigned char)*reference <= ' ') {
        reference++;
        len--;
    }
    while (len && (unsigned char)reference[len - 1] <= ' ')
        len--;
    if (len >= size)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = reference[i];
        if (c == '\t' || c == '\n' || c == '\r')
            continue;
        is_path = is_path && c != '?' && c != '#';
        out[n++] = c == '\\' && is_path ? '/' : c;
    }
    out[n] = '\0';
    return true;
}

bool ws_url_resolve(struct ws_url *url, const struct ws_url *base, const char *reference)
{
    char clean[WS_URL_MAX], joined[2 * WS_URL_MAX];
    return clean_reference(reference, clean, sizeof clean) && ws_url_join(base->text, clean, joined, sizeof joined) &&
           ws_url_parse(url, joined);
}

/* --- parts --- */

void ws_url_origin(const struct ws_url *url, char origin[WS_ORIGIN_MAX])
{
    snprintf(origin, WS_ORIGIN_MAX, "%s://%.*s:%u", url->is_https ? "https" : "http", (int)url->host_len,
             url->text + url->host_at, (unsigned)url->port);
}

void ws_url_host(const struct ws_url *url, char host[256])
{
    const bool has_brackets = url->text[url->host_at] == '[';
    const size_t skip = has_brackets ? 1 : 0;
    snprintf(host, 256, "%.*s", (int)(url->host_len - 2 * skip), url->text + url->host_at + skip);
}

bool ws_url_same_host(const struct ws_url *a, const struct ws_url *b)
{
    if (a->host_len != b->host_len || memcmp(a->text + a->host_at, b->text + b->host_at, a->host_len) != 0)
        return false;
    const bool a_is_default = a->port == (a->is_https ? 443 : 80);
    const bool b_is_default = b->port == (b->is_https ? 443 : 80);
    return a->port == b->port || (a_is_default && b_is_default);
}

void ws_url_extension(const struct ws_url *url, char extension[8])
{
    const char *path = url->text + url->path_at;
    const size_t len = strcspn(path, "?");
    size_t dot = len;
    extension[0] = '\0';
    while (dot > 0 && path[dot - 1] != '.' && path[dot - 1] != '/')
        dot--;
    if (dot == 0 || path[dot - 1] != '.' || len - dot >= 8)
        return;
    for (size_t i = dot; i < len; i++)
        extension[i - dot] = lower(path[i]);
    extension[len - dot] = '\0';
}

struct ws_image_id ws_url_key(const char *text)
{
    const struct ws_digest digest = ws_sha256(text, strlen(text));
    return ws_image_id_of(&digest);
}

bool ws_url_escape(const char *text, char *out, size_t size_bytes)
{
    struct sink sink = {.text = out, .size = size_bytes};
    if (size_bytes == 0)
        return false;
    out[0] = '\0';
    for (; *text; text++) {
        const unsigned char c = (unsigned char)*text;
        const char coded[3] = {'%', hex_digits[c >> 4], hex_digits[c & 15]};
        if (is_unreserved(c))
            put(&sink, text, 1);
        else
            put(&sink, coded, 3);
    }
    return !sink.is_full;
}
