/** HTTP response heads: reading fields, and the form that goes into the archive. */
#ifndef WEBSTILL_CRAWLER_NET_HEAD_H
#define WEBSTILL_CRAWLER_NET_HEAD_H

#include "webstill/base/buf.h"

#include <stdbool.h>
#include <stddef.h>

/** The value of the `nth` field of that name (from 0), trimmed and cut to fit; false when there is none. */
bool ws_head_field(struct ws_span head, const char *name, unsigned nth, char *value, size_t size_bytes);

/**
 * The head as the archive keeps it: as received, except that fields which no longer describe the body that follows
 * (Transfer-Encoding, a Content-Encoding that was undone, their Content-Length) get the prefix "X-Crawler-", the way
 * public crawls mark them, and Content-Length tells the length of the body kept. A status line of HTTP/2 is written as
 * HTTP/1.1, which every WARC reader knows. False when out of memory.
 */
WS_MUST_USE bool ws_head_for_archive(struct ws_span head, size_t body_len, bool is_whole, struct ws_buf *out);

#endif
