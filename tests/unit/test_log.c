/* What reaches standard error: each case runs in a child whose standard error is a pipe or a pseudo-terminal. */
#define _XOPEN_SOURCE 700 /* posix_openpt and its companions */
#include "webstill/base/clock.h"
#include "webstill/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { OUTPUT_BYTES = 65536 };

static void collect(int fd, pid_t child, char out[OUTPUT_BYTES])
{
    size_t len = 0;
    for (;;) {
        ssize_t n = read(fd, out + len, OUTPUT_BYTES - 1 - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) /* a pseudo-terminal ends with EIO */
            break;
        len += (size_t)n;
    }
    out[len] = '\0';
    close(fd);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void capture_pipe(void (*act)(void), char out[OUTPUT_BYTES])
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        act();
        _exit(0);
    }
    close(ends[1]);
    collect(ends[0], child, out);
}

/* A terminal of 40 columns. */
static void capture_terminal(void (*act)(void), char out[OUTPUT_BYTES])
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(master >= 0);
    assert_int_equal(grantpt(master), 0);
    assert_int_equal(unlockpt(master), 0);
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    assert_true(slave >= 0);
    struct winsize size = {.ws_row = 24, .ws_col = 40};
    assert_int_equal(ioctl(slave, TIOCSWINSZ, &size), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(master);
        dup2(slave, STDERR_FILENO);
        act();
        _exit(0);
    }
    close(slave);
    collect(master, child, out);
}

static void log_levels(void)
{
    ws_log_open("crawl", WS_LOG_TEXT, WS_PROGRESS_AUTO);
    unsetenv("WEBSTILL_DEBUG");
    ws_log(WS_LOG_DEBUG, "hidden");
    ws_log(WS_LOG_INFO, "found %d images", 7);
    ws_log(WS_LOG_WARN, "slow host");
    ws_log(WS_LOG_ERROR, "gone");
}

static void text_lines_name_stage_and_level(void **state)
{
    (void)state;
    char out[OUTPUT_BYTES];
    capture_pipe(log_levels, out);
    assert_string_equal(out, "crawl: found 7 images\ncrawl: warning: slow host\ncrawl: error: gone\n");
}

static void log_debug(void)
{
    setenv("WEBSTILL_DEBUG", "1", 1);
    ws_log_open("crawl", WS_LOG_TEXT, WS_PROGRESS_AUTO);
    ws_log(WS_LOG_DEBUG, "shown");
}

static void debug_lines_appear_when_asked_for(void **state)
{
    (void)state;
    char out[OUTPUT_BYTES];
    capture_pipe(log_debug, out);
    assert_string_equal(out, "crawl: debug: shown\n");
}

static void log_hostile_text(void)
{
    ws_log_open("store", WS_LOG_TEXT, WS_PROGRESS_AUTO);
    ws_log(WS_LOG_INFO, "title \x1b]0;owned\a\nstore: forged\ttail");
}

static void quoted_bytes_cannot_steer_the_terminal(void **state)
{
    (void)state;
    char out[OUTPUT_BYTES];
    capture_pipe(log_hostile_text, out);
    assert_string_equal(out, "store: title ?]0;owned? store: forged tail\n");
}

static void log_json(void)
{
    setenv("SOURCE_DATE_EPOCH", "1700000000", 1);
    ws_log_open("store", WS_LOG_JSON, WS_PROGRESS_AUTO);
    ws_log(WS_LOG_WARN, "a \"b\" \\ \x01 caf\xc3\xa9 \xff\xc3 \xed\xa0\x80.");
}

static void json_lines_escape_and_stay_utf8(void **state)
{
    (void)state;
    char out[OUTPUT_BYTES];
    capture_pipe(log_json, out);
    assert_string_equal(out, "{\"time\":\"2023-11-14T22:13:20Z\",\"level\":\"warning\",\"stage\":\"store\",\"message\":"
                             "\"a \\\"b\\\" \\\\ \\u0001 caf\xc3\xa9 \xef\xbf\xbd\xef\xbf\xbd "
                             "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd.\"}\n");
}

static void log_long(void)
{
    char text[9000];
    memset(text, 'y', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    ws_log_open("s", WS_LOG_TEXT, WS_PROGRESS_AUTO);
    ws_log(WS_LOG_INFO, "%s", text);
}

static void endless_message_is_cut_and_says_so(void **state)
{
    (void)state;
    char out[OUTPUT_BYTES];
    capture_pipe(log_long, out);
    size_t length = strlen(out);
    assert_true(length > 4000 && length < 4200);
    assert_string_equal(out + length - 5, "y...\n");
}

static void step_through(enum ws_log_format format, enum ws_progress_mode mode)
{
    ws_log_open("crawl", format, mode);
    struct ws_progress progress;
    ws_progress_begin(&progress, "crawl", "images", 7100, 1000);
    progress.start_s -= 1000; /* as if so many seconds had passed: a slow machine then changes no digit */
    progress.last_s -= 1000;
    ws_progress_step(&progress, 6600, "static.example");
    ws_progress_step(&progress, 6601, "too early to draw");
    ws_log(WS_LOG_INFO, "hello");
    ws_progress_end(&progress, 7100, NULL);
}

static void step_always(void)
{
    step_through(WS_LOG_TEXT, WS_PROGRESS_ALWAYS);
}

static void always_gives_plain_lines_without_a_terminal(void **state)
{
    (void)state;
    char out[OUTPUT_BYTES];
    capture_pipe(step_always, out);
    assert_string_equal(out, "crawl  6,600 / 7,100  92 %  5.6 images/s  ETA 1:29  static.example\n"
                             "crawl: hello\n"
                             "crawl  7,100 / 7,100  100 %  6.1 images/s  took 16:40\n");
}

/* `since_s` after its last line, and so long after its beginning. */
static void step_after(double since_s)
{
    ws_log_open("distill", WS_LOG_TEXT, WS_PROGRESS_AUTO);
    struct ws_progress progress;
    ws_progress_begin(&progress, "kd3", "steps", 1100, 0);
    for (int64_t n = 1000; n <= 1080; n += 80) {
        progress.start_s -= since_s;
        progress.last_s -= since_s;
        ws_progress_step(&progress, n, "loss 0.5");
    }
    ws_log(WS_LOG_INFO, "hello");
    ws_progress_end(&progress, 1080, NULL);
}

static void step_long(void)
{
    step_after(1000);
}

static void step_short(void)
{
    step_after(-1000);
}

static void step_auto(void)
{
    step_through(WS_LOG_TEXT, WS_PROGRESS_AUTO);
}

static void step_never(void)
{
    step_through(WS_LOG_TEXT, WS_PROGRESS_NEVER);
}

static void auto_without_a_terminal_tells_of_what_takes_long(void **state)
{
    (void)state;
    char out[OUTPUT_BYTES];
    capture_pipe(step_long, out);
    /* Up to the tens of seconds at the end: a slow machine changes no digit before them. */
    static const char lines[] = "kd3  1,000 / 1,100  90 %  1 steps/s  ETA 1:40  loss 0.5\n"
                                "kd3  1,080 / 1,100  98 %  0.54 steps/s  ETA 0:37  loss 0.5\n"
                                "distill: hello\n"
                                "kd3  1,080 / 1,100  98 %  0.54 steps/s  took 33:2";
    out[sizeof lines - 1] = '\0';
    assert_string_equal(out, lines);
    capture_pipe(step_short, out);
    assert_string_equal(out, "distill: hello\n");
}

static void never_is_silent_on_a_terminal(void **state)
{
    (void)state;
    char out[OUTPUT_BYTES];
    capture_terminal(step_never, out);
    assert_string_equal(out, "crawl: hello\r\n");
}

static void terminal_line_is_drawn_over_and_never_wraps(void **state)
{
    (void)state;
    char out[OUTPUT_BYTES];
    capture_terminal(step_auto, out);
    assert_string_equal(out, "crawl  6,600 / 7,100  92 %  5.6 images/"
                             "\r\033[Kcrawl: hello\r\n"
                             "crawl  7,100 / 7,100  100 %  6.1 images/s  took 16:40\r\n");
}

static void step_json(void)
{
    setenv("SOURCE_DATE_EPOCH", "1700000000", 1);
    step_through(WS_LOG_JSON, WS_PROGRESS_ALWAYS);
}

static void json_progress_has_its_own_member(void **state)
{
    (void)state;
    char out[OUTPUT_BYTES];
    capture_pipe(step_json, out);
    assert_non_null(strstr(out,
                           "{\"time\":\"2023-11-14T22:13:20Z\",\"level\":\"info\",\"stage\":\"crawl\",\"progress\":"
                           "{\"what\":\"crawl\",\"unit\":\"images\",\"done\":6600,\"total\":7100,"));
    assert_non_null(strstr(out, "\"is_end\":false,\"note\":\"static.example\"}}\n"));
    assert_non_null(strstr(out, "\"is_end\":true}}\n"));
}

static void step_unknown_total(void)
{
    ws_log_open("crawl", WS_LOG_TEXT, WS_PROGRESS_ALWAYS);
    struct ws_progress progress;
    ws_progress_begin(&progress, "links", "pages", 0, 0);
    ws_progress_end(&progress, 0, NULL);
    progress.start_s -= 7384;
    ws_progress_end(&progress, 221520, "last");
}

static void unknown_total_shows_no_share(void **state)
{
    (void)state;
    char out[OUTPUT_BYTES];
    capture_pipe(step_unknown_total, out);
    assert_string_equal(out, "links  0 pages  took 0:00\nlinks  221,520  30 pages/s  took 2:03:04  last\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_lines_name_stage_and_level),
        cmocka_unit_test(debug_lines_appear_when_asked_for),
        cmocka_unit_test(quoted_bytes_cannot_steer_the_terminal),
        cmocka_unit_test(json_lines_escape_and_stay_utf8),
        cmocka_unit_test(endless_message_is_cut_and_says_so),
        cmocka_unit_test(always_gives_plain_lines_without_a_terminal),
        cmocka_unit_test(auto_without_a_terminal_tells_of_what_takes_long),
        cmocka_unit_test(never_is_silent_on_a_terminal),
        cmocka_unit_test(terminal_line_is_drawn_over_and_never_wraps),
        cmocka_unit_test(json_progress_has_its_own_member),
        cmocka_unit_test(unknown_total_shows_no_share),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
