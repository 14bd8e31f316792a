/* Progress lines: how far, how fast, how long still. */
#include "log_int.h"

#include "webstill/base/clock.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { NUMBER_BYTES = 32, DURATION_BYTES = 32, LINE_BYTES = 1024 };

/* "1,234,567" */
static const char *print_number(int64_t value, char text[NUMBER_BYTES])
{
    char plain[NUMBER_BYTES];
    int length = snprintf(plain, sizeof plain, "%lld", (long long)(value < 0 ? 0 : value));
    char *out = text;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            *out++ = ',';
        *out++ = plain[i];
    }
    *out = '\0';
    return text;
}

/* "0:07", "12:40", "3:05:00" */
static const char *print_duration(double seconds, char text[DURATION_BYTES])
{
    long long s = seconds < 0 ? 0 : seconds > 1e9 ? 1000000000 : llround(seconds);
    if (s < 3600)
        snprintf(text, DURATION_BYTES, "%lld:%02lld", s / 60, s % 60);
    else
        snprintf(text, DURATION_BYTES, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
    return text;
}

static double rate_per_s(const struct ws_progress *progress, int64_t done, double now_s)
{
    double elapsed_s = now_s - progress->start_s;
    int64_t n = done - progress->start_count;
    return elapsed_s > 0 && n > 0 ? (double)n / elapsed_s : 0;
}

static bool add_text_line(struct ws_buf *line, const struct ws_progress *progress, int64_t done, const char *note,
                          bool is_end, double now_s)
{
    char number[NUMBER_BYTES], duration[DURATION_BYTES];
    double rate = rate_per_s(progress, done, now_s);
    bool is_fine = ws_buf_addf(line, "%s  %s", progress->what, print_number(done, number));
    if (progress->total > 0) {
        int64_t percent = (int64_t)(100.0 * (double)done / (double)progress->total);
        is_fine =
            is_fine && ws_buf_addf(line, " / %s  %lld %%", print_number(progress->total, number), (long long)percent);
    }
    if (rate >= 10)
        is_fine = is_fine && ws_buf_addf(line, "  %s %s/s", print_number(llround(rate), number), progress->unit);
    else if (rate > 0)
        is_fine = is_fine && ws_buf_addf(line, "  %.2g %s/s", rate, progress->unit);
    else
        is_fine = is_fine && ws_buf_addf(line, " %s", progress->unit);
    if (is_end)
        is_fine = is_fine && ws_buf_addf(line, "  took %s", print_duration(now_s - progress->start_s, duration));
    else if (progress->total > 0 && rate > 0)
        is_fine =
            is_fine && ws_buf_addf(line, "  ETA %s", print_duration((double)(progress->total - done) / rate, duration));
    if (note != NULL && note[0] != '\0')
        is_fine = is_fine && ws_buf_addf(line, "  %s", note);
    return is_fine;
}

static bool add_json_line(struct ws_buf *line, const struct ws_progress *progress, int64_t done, const char *note,
                          bool is_end, double now_s)
{
    return ws_log_json_begin(line, WS_LOG_INFO) && ws_buf_add_str(line, ",\"progress\":{\"what\":") &&
           ws_log_json_text(line, progress->what) && ws_buf_add_str(line, ",\"unit\":") &&
           ws_log_json_text(line, progress->unit) &&
           ws_buf_addf(line, ",\"done\":%lld,\"total\":%lld,\"rate_per_s\":%.6g,\"elapsed_s\":%.3f,\"is_end\":%s",
                       (long long)done, (long long)progress->total, rate_per_s(progress, done, now_s),
                       now_s - progress->start_s, is_end ? "true" : "false") &&
           (note == NULL || (ws_buf_add_str(line, ",\"note\":") && ws_log_json_text(line, note))) &&
           ws_buf_add_str(line, "}}");
}

/* A line that wraps could not be drawn over: cut it to the terminal, counting characters, not bytes. */
static void cut_to_columns(char *line, int columns)
{
    int n = 0;
    for (char *p = line; *p != '\0'; p++) {
        if (((unsigned char)*p & 0xC0) != 0x80 && ++n == columns) {
            *p = '\0';
            return;
        }
    }
}

static void draw(const struct ws_progress *progress, int64_t done, const char *note, bool is_end, double now_s)
{
    enum ws_progress_style style = ws_log_progress_style();
    struct ws_buf line = {.max_bytes = LINE_BYTES};
    bool is_fine = style == WS_STYLE_JSON ? add_json_line(&line, progress, done, note, is_end, now_s)
                                          : add_text_line(&line, progress, done, note, is_end, now_s);
    if (!is_fine && note != NULL) { /* an endless note is dropped, not the line */
        ws_buf_clear(&line);
        is_fine = style == WS_STYLE_JSON ? add_json_line(&line, progress, done, NULL, is_end, now_s)
                                         : add_text_line(&line, progress, done, NULL, is_end, now_s);
    }
    if (is_fine) {
        for (char *p = line.ptr; *p != '\0'; p++)
            if ((unsigned char)*p < 0x20 || *p == 0x7F)
                *p = ' ';
        bool redraw = style == WS_STYLE_REDRAW && !is_end;
        if (redraw)
            cut_to_columns(line.ptr, ws_log_columns());
        ws_log_put(line.ptr, redraw);
    }
    ws_buf_fini(&line);
}

void ws_progress_begin(struct ws_progress *progress, const char *what, const char *unit, int64_t total,
                       int64_t start_count)
{
    double now_s = ws_clock_mono_s();
    *progress = (struct ws_progress){
        .what = what,
        .unit = unit,
        .total = total,
        .start_count = start_count,
        .start_s = now_s,
        .last_s = now_s,
    };
}

void ws_progress_step(struct ws_progress *progress, int64_t done, const char *note)
{
    if (ws_log_progress_style() == WS_STYLE_NONE)
        return;
    double now_s = ws_clock_mono_s();
    if (now_s - progress->last_s < ws_log_progress_period_s())
        return;
    progress->last_s = now_s;
    progress->is_shown = true;
    draw(progress, done, note, false, now_s);
}

void ws_progress_end(struct ws_progress *progress, int64_t done, const char *note)
{
    if (ws_log_progress_style() != WS_STYLE_NONE && (progress->is_shown || !ws_log_progress_is_rare()))
        draw(progress, done, note, true, ws_clock_mono_s());
}
