/** Base64 (RFC 4648, section 4): the standard alphabet, padded, no line breaks. */
#ifndef WEBSTILL_BASE_BASE64_H
#define WEBSTILL_BASE_BASE64_H

#include <stdbool.h>
#include <stddef.h>

/** Encode; malloc'ed and NUL-terminated, or NULL when out of memory. */
char *ws_base64_encode(const void *bytes, size_t len);

/**
 * Decode `text` into *out (malloc'ed, the caller's) and *len. Strict: false for any other character, a missing or
 * misplaced padding, or bits behind the last byte; also when out of memory. *out is NULL then.
 */
bool ws_base64_decode(const char *text, unsigned char **out, size_t *len);

#endif
