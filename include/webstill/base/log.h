/**
 * What a program tells its user on standard error: log lines (text or JSON lines) and progress lines.
 *
 * The sink is one of the two mutable globals (the stop flag is the other). Only programs and stage
 * drivers log; libraries return errors.
 */
#ifndef WEBSTILL_BASE_LOG_H
#define WEBSTILL_BASE_LOG_H

#include "webstill/base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum ws_log_format { WS_LOG_TEXT, WS_LOG_JSON };
enum ws_log_level { WS_LOG_DEBUG, WS_LOG_INFO, WS_LOG_WARN, WS_LOG_ERROR };
enum ws_progress_mode { WS_PROGRESS_AUTO, WS_PROGRESS_ALWAYS, WS_PROGRESS_NEVER };

/**
 * Call once in main, before threads start. `stage` ("crawl") is borrowed and stands in each line.
 *
 * AUTO shows progress on a terminal, and elsewhere only of what takes long; ALWAYS and NEVER do what they say. Debug
 * lines appear only when WEBSTILL_DEBUG is set in the environment.
 */
void ws_log_open(const char *stage, enum ws_log_format format, enum ws_progress_mode progress);

/**
 * One line: "stage: text" ("stage: warning: text"), or {"time":…,"level":…,"stage":…,"message":…}.
 *
 * Control characters of the text are replaced (JSON: escaped), so that quoted bytes of the web cannot steer a terminal.
 * Threads: any may log.
 */
void ws_log(enum ws_log_level level, const char *format, ...) WS_PRINTF(2, 3);

/**
 * A progress line for a long step: "crawl  1,234 / 7,100  17 %  812 images/s  ETA 0:07  NOTE"; the line of the end
 * says "took 0:09" instead of an ETA.
 *
 * On a terminal it is redrawn in place at most ten times a second; with ALWAYS and no terminal, or with JSON, one plain
 * line every five seconds and one at the end; with AUTO and no terminal one every twenty seconds, and one at the end of
 * what had any.
 * Threads: one at a time.
 */
struct ws_progress {
    const char *what; /**< borrowed */
    const char *unit; /**< borrowed: "images", "steps" */
    int64_t total;    /**< 0 = unknown */
    int64_t start_count;
    double start_s, last_s;
    bool is_shown; /**< a line of it was written */
};
/** `start_count`: units already done in an earlier run; they count for the share, not for the rate. */
void ws_progress_begin(struct ws_progress *progress, const char *what, const char *unit, int64_t total,
                       int64_t start_count);
/** `note` is free text at the end of the line, or NULL. Cheap: returns at once when it is too early to draw. */
void ws_progress_step(struct ws_progress *progress, int64_t done, const char *note);
void ws_progress_end(struct ws_progress *progress, int64_t done, const char *note);

#endif
