/** Writing HTML into a buffer: everything from outside is escaped; memory failure is sticky and asked for once. */
#ifndef WEBSTILL_STORE_REPORT_HTML_H
#define WEBSTILL_STORE_REPORT_HTML_H

#include "webstill/base/buf.h"

#include <stdbool.h>
#include <stdint.h>

/** A page being written. All-zero is an empty one. */
struct ws_html {
    struct ws_buf buf; /**< owned */
    bool is_failed;    /**< plain: memory ran out; what follows is dropped */
};

/** Append markup as it is. */
void ws_html_add(struct ws_html *html, const char *markup);
/** Append formatted markup as it is: for numbers and our own texts only. */
void ws_html_addf(struct ws_html *html, const char *format, ...) WS_PRINTF(2, 3);
/**
 * Append text from outside: & < > " ' escaped, control characters dropped, bytes that are not UTF-8 shown as U+FFFD.
 * Safe between tags and inside quoted attributes. NULL is nothing.
 */
void ws_html_text(struct ws_html *html, const char *text);
/** Append at most `n_max` characters of a text, with "…" when it is longer. */
void ws_html_text_short(struct ws_html *html, const char *text, size_t n_max);
/** Append an integer with thin spaces between groups of three: 1 234 567. */
void ws_html_count(struct ws_html *html, int64_t value);
/** Append a share as a percentage: 0.8215 as "82.15" with two decimals. A NaN is a dash. */
void ws_html_percent(struct ws_html *html, double share, int decimals);
/** Append a number with decimals; a NaN is a dash. */
void ws_html_number(struct ws_html *html, double value, int decimals);
/** Append a duration: "0.4 s", "48 s", "3 min 20 s", "2 h 5 min". A NaN is a dash. */
void ws_html_seconds(struct ws_html *html, double seconds);
/** Append RFC 4648 base64. */
void ws_html_base64(struct ws_html *html, const void *bytes, size_t len);
/** True when `url` may stand in an href: http or https. */
bool ws_html_is_link(const char *url);

#endif
