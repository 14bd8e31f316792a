/**
 * Addresses of the web: RFC 3986 references, resolved and normalised, so that one thing has one name.
 *
 * Only http and https pass ws_url_parse(). Normalised means: lower-case scheme and host, no default port, no fragment,
 * dot segments removed, `%xx` in upper case and undone where it stands for an unreserved character (RFC 3986 §6.2.2),
 * octets that may not stand in a URL encoded. Credentials in a URL are refused, never sent.
 */
#ifndef WEBSTILL_CRAWLER_NET_URL_H
#define WEBSTILL_CRAWLER_NET_URL_H

#include "webstill/base/hash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WS_URL_MAX = 4096,   /**< longest URL taken, NUL included: beyond it lie tracking links and traps */
    WS_ORIGIN_MAX = 280, /**< "https://" + 253 octets of host + ":65535" + NUL */
};

/** A normalised absolute http(s) URL. */
struct ws_url {
    char text[WS_URL_MAX]; /**< plain: the whole URL */
    size_t host_at, host_len;
    size_t path_at; /**< path and query run from here to the end */
    uint16_t port;  /**< the default one filled in */
    bool is_https;
};

/** Split and normalise an absolute URL. False when it is no http(s) URL, names no valid host, or is too long. */
bool ws_url_parse(struct ws_url *url, const char *text);

/**
 * Resolve a reference as an HTML page writes it (surrounding white space, tabs, line ends and backslashes are forgiven,
 * as browsers do) and parse the result. `url` may be `base`.
 */
bool ws_url_resolve(struct ws_url *url, const struct ws_url *base, const char *reference);

/** RFC 3986 §5.2: any base, any reference, no normalisation beyond dot segments. False when `size_bytes` is too small.
 */
bool ws_url_join(const char *base, const char *reference, char *out, size_t size_bytes);

/** "http://host:port", port always written: the name of a politeness queue and of a robots.txt. */
void ws_url_origin(const struct ws_url *url, char origin[WS_ORIGIN_MAX]);

/** The host alone, without brackets or port. `host` holds at least 256 bytes. */
void ws_url_host(const struct ws_url *url, char host[256]);

/** Same host and port; http and https on their default ports count as one. */
bool ws_url_same_host(const struct ws_url *a, const struct ws_url *b);

/** The extension of the last path segment in lower case ("jpg"), or "". */
void ws_url_extension(const struct ws_url *url, char extension[8]);

/** The key of a URL in the frontier: the first half of its SHA-256. */
struct ws_image_id ws_url_key(const char *text);

/** Percent-encode all but unreserved characters. False when `size_bytes` is too small. */
bool ws_url_escape(const char *text, char *out, size_t size_bytes);

#endif
