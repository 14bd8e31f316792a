/** Text from the web made fit for JSON and logs: valid UTF-8, white space collapsed, bounded length. */
#ifndef WEBSTILL_CRAWLER_NET_TEXT_H
#define WEBSTILL_CRAWLER_NET_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool ws_text_is_utf8(const uint8_t *bytes, size_t len);

/**
 * Copy with white space and control characters collapsed to single spaces, outer ones dropped, octets that are no UTF-8
 * replaced by "?", cut at a whole character to fit `size_bytes` (> 0, NUL included).
 */
void ws_text_collapse(const char *text, char *out, size_t size_bytes);

/** A JSON string of any bytes, collapsed as above; NULL when out of memory. */
json_t *ws_text_json(const char *text);

#endif
