/* The log sink: one of the two mutable globals, because a message may come from any depth of a stage driver. */
#include "log_int.h"

#include "webstill/base/clock.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { LINE_BYTES = 4096 };

/* Written by ws_log_open() before threads start, then read only; the mutex guards the stream and `is_open_line`. */
static struct {
    pthread_mutex_t mutex;
    const char *stage;
    enum ws_log_format format;
    enum ws_progress_mode progress;
    bool is_terminal, shows_debug;
    bool is_open_line; /* a progress line stands on the terminal without its newline */
} sink = {.mutex = PTHREAD_MUTEX_INITIALIZER, .stage = "webstill"};

static const char *const level_names[] = {
    [WS_LOG_DEBUG] = "debug",
    [WS_LOG_INFO] = "info",
    [WS_LOG_WARN] = "warning",
    [WS_LOG_ERROR] = "error",
};

void ws_log_open(const char *stage, enum ws_log_format format, enum ws_progress_mode progress)
{
    sink.stage = stage;
    sink.format = format;
    sink.progress = progress;
    sink.is_terminal = isatty(STDERR_FILENO) != 0;
    sink.shows_debug = getenv("WEBSTILL_DEBUG") != NULL;
}

enum ws_progress_style ws_log_progress_style(void)
{
    if (sink.progress == WS_PROGRESS_NEVER)
        return WS_STYLE_NONE;
    if (sink.format == WS_LOG_JSON)
        return WS_STYLE_JSON;
    return sink.is_terminal ? WS_STYLE_REDRAW : WS_STYLE_LINES;
}

bool ws_log_progress_is_rare(void)
{
    return sink.progress == WS_PROGRESS_AUTO && !sink.is_terminal;
}

double ws_log_progress_period_s(void)
{
    if (ws_log_progress_is_rare())
        return 20;
    return ws_log_progress_style() == WS_STYLE_REDRAW ? 0.1 : 5;
}

int ws_log_columns(void)
{
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

void ws_log_put(const char *line, bool redraw)
{
    pthread_mutex_lock(&sink.mutex);
    /* One call a line, so that lines of several processes on one terminal stay whole. */
    fprintf(stderr, "%s%s%s", sink.is_open_line ? "\r\033[K" : "", line, redraw ? "" : "\n");
    fflush(stderr);
    sink.is_open_line = redraw;
    pthread_mutex_unlock(&sink.mutex);
}

/* Length of the UTF-8 character at `p` (RFC 3629), or 0 when its bytes are none. */
static size_t measure_utf8(const unsigned char *p)
{
    if (p[0] < 0x80)
        return 1;
    size_t length = p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : 2;
    if (p[0] < 0xC2 || p[0] > 0xF4)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    bool is_overlong = (p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xF0 && p[1] < 0x90);
    bool is_surrogate = p[0] == 0xED && p[1] >= 0xA0;
    bool is_too_large = p[0] == 0xF4 && p[1] >= 0x90;
    return is_overlong || is_surrogate || is_too_large ? 0 : length;
}

bool ws_log_json_text(struct ws_buf *out, const char *text)
{
    bool is_fine = ws_buf_add(out, "\"", 1);
    for (const unsigned char *p = (const unsigned char *)text; is_fine && *p != '\0';) {
        size_t length = measure_utf8(p);
        if (length == 0)
            is_fine = ws_buf_add_str(out, "\xef\xbf\xbd");
        else if (*p == '"' || *p == '\\')
            is_fine = ws_buf_addf(out, "\\%c", *p);
        else if (*p < 0x20 || *p == 0x7F)
            is_fine = ws_buf_addf(out, "\\u%04x", *p);
        else
            is_fine = ws_buf_add(out, p, length);
        p += length > 0 ? length : 1;
    }
    return is_fine && ws_buf_add(out, "\"", 1);
}

bool ws_log_json_begin(struct ws_buf *out, enum ws_log_level level)
{
    char now[WS_TIME_TEXT];
    ws_clock_text(ws_clock_unix_s(), now);
    return ws_buf_addf(out, "{\"time\":\"%s\",\"level\":\"%s\",\"stage\":", now, level_names[level]) &&
           ws_log_json_text(out, sink.stage);
}

/* Messages quote what the web sent: no byte of it may steer the terminal or forge a second line. */
static void defuse(char *text)
{
    for (char *p = text; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7F)
            *p = *p == '\n' || *p == '\t' ? ' ' : '?';
}

void ws_log(enum ws_log_level level, const char *format, ...)
{
    if (level == WS_LOG_DEBUG && !sink.shows_debug)
        return;
    char message[LINE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    if (length < 0)
        return;
    if ((size_t)length >= sizeof message)
        memcpy(message + sizeof message - 4, "...", 4);
    struct ws_buf line = {0};
    bool is_fine;
    if (sink.format == WS_LOG_JSON) {
        is_fine = ws_log_json_begin(&line, level) && ws_buf_add_str(&line, ",\"message\":") &&
                  ws_log_json_text(&line, message) && ws_buf_add(&line, "}", 1);
    } else {
        defuse(message);
        const char *mark = level == WS_LOG_INFO ? "" : level_names[level];
        is_fine = ws_buf_addf(&line, "%s: %s%s%s", sink.stage, mark, *mark != '\0' ? ": " : "", message);
    }
    /* Out of memory, the bare message is better than none. */
    ws_log_put(is_fine ? line.ptr : message, false);
    ws_buf_fini(&line);
}
