/** Small questions about text that the C library leaves open. */
#ifndef WEBSTILL_BASE_TEXT_H
#define WEBSTILL_BASE_TEXT_H

#include "webstill/base/buf.h"

#include <stdbool.h>

bool ws_text_ends_with(const char *text, const char *suffix);

/** The text without its NUL, as bytes that borrow from it. */
struct ws_span ws_text_span(const char *text);

/** Take the next line (without its end) off `rest`; false at the end. Both are borrowed from the same bytes. */
bool ws_line_next(struct ws_span *rest, struct ws_span *line);

/** 0 to 15 for a hexadecimal digit of either case, else -1. */
int ws_hex_value(char c);

/**
 * The known name nearest to `name`, or NULL when none is near. `names` ends with NULL.
 *
 * Near: at most one edit in three letters (insert, delete, replace, swap neighbours; case does not count), or
 * one name begins with the other. The earlier of two equally near names wins.
 */
const char *ws_nearest_name(const char *name, const char *const *names);

#endif
