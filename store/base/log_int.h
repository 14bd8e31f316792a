/** What log.c lends to progress.c: the sink and its ways of writing. */
#ifndef WEBSTILL_STORE_BASE_LOG_INT_H
#define WEBSTILL_STORE_BASE_LOG_INT_H

#include "webstill/base/buf.h"
#include "webstill/base/log.h"

/** How progress is shown on this run's standard error. */
enum ws_progress_style {
    WS_STYLE_NONE,
    WS_STYLE_REDRAW, /**< one line of a terminal, drawn over */
    WS_STYLE_LINES,  /**< plain lines, now and then */
    WS_STYLE_JSON,   /**< JSON lines, now and then */
};
enum ws_progress_style ws_log_progress_style(void);

/** Seconds between two lines of the style. */
double ws_log_progress_period_s(void);

/** Nobody asked for progress, and nobody watches a terminal: only what takes long has lines at all. */
bool ws_log_progress_is_rare(void);

/** Columns of the terminal, 80 when unknown. */
int ws_log_columns(void);

/** Write a line for progress; with `redraw` it stays open and the next line of any kind takes its place. */
void ws_log_put(const char *line, bool redraw);

/** Begin a JSON line: {"time":…,"level":…,"stage":…; the caller adds its members and the brace. */
WS_MUST_USE bool ws_log_json_begin(struct ws_buf *out, enum ws_log_level level);

/** Add text as a JSON string, quotes included; bytes that are not UTF-8 become U+FFFD. */
WS_MUST_USE bool ws_log_json_text(struct ws_buf *out, const char *text);

#endif
