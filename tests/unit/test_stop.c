/* The clock and the stop flag; signals are sent to children, because the flag cannot be taken back. */
#include "webstill/base/clock.h"
#include "webstill/base/stop.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static int run_in_child(int (*act)(void))
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(act());
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static int stop_once(void)
{
    if (ws_stop_asked())
        return 1;
    ws_stop_install();
    raise(SIGTERM);
    return ws_stop_asked() ? 0 : 2;
}

static void first_signal_only_asks(void **state)
{
    (void)state;
    assert_int_equal(run_in_child(stop_once), 0);
}

static int stop_twice(void)
{
    ws_stop_install();
    raise(SIGTERM);
    raise(SIGINT);
    return 3;
}

static void second_signal_ends_the_process_by_that_signal(void **state)
{
    (void)state;
    int status = run_in_child(stop_twice);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGINT);
}

static int write_to_closed_pipe(void)
{
    ws_stop_install();
    int ends[2];
    if (pipe(ends) != 0)
        return 1;
    close(ends[0]);
    return write(ends[1], "x", 1) < 0 && errno == EPIPE ? 0 : 2;
}

static void closed_pipe_is_an_error_not_an_end(void **state)
{
    (void)state;
    assert_int_equal(run_in_child(write_to_closed_pipe), 0);
}

static int sleep_until_stopped(void)
{
    ws_stop_install();
    pid_t parent = getpid(), child = fork();
    if (child < 0)
        return 1;
    if (child == 0) {
        struct timespec pause_time = {.tv_nsec = 50000000};
        nanosleep(&pause_time, NULL);
        kill(parent, SIGINT);
        _exit(0);
    }
    double start_s = ws_clock_mono_s();
    ws_clock_sleep_ms(20000);
    double slept_s = ws_clock_mono_s() - start_s;
    ws_clock_sleep_ms(20000); /* a stop already asked for ends it, too */
    return slept_s >= 0.04 && ws_clock_mono_s() - start_s < 5 ? 0 : 2;
}

static void stop_ends_a_sleep(void **state)
{
    (void)state;
    assert_int_equal(run_in_child(sleep_until_stopped), 0);
}

static void sleep_lasts_as_long_as_it_says(void **state)
{
    (void)state;
    double start_s = ws_clock_mono_s();
    ws_clock_sleep_ms(70);
    double slept_s = ws_clock_mono_s() - start_s;
    assert_true(slept_s >= 0.069 && slept_s < 5);
    ws_clock_sleep_ms(0);
    ws_clock_sleep_ms(-5);
}

static void source_date_stands_in_for_the_clock(void **state)
{
    (void)state;
    setenv("SOURCE_DATE_EPOCH", "1700000000", 1);
    assert_int_equal(ws_clock_unix_s(), 1700000000);
    static const char *const wrong[] = {"", "soon", "17e9", "-5", "99999999999999999999"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        setenv("SOURCE_DATE_EPOCH", wrong[i], 1);
        assert_true(ws_clock_unix_s() > 1700000000);
    }
    unsetenv("SOURCE_DATE_EPOCH");
    assert_true(ws_clock_unix_s() > 1700000000);
}

static void times_are_iso_8601_in_utc(void **state)
{
    (void)state;
    static const struct {
        int64_t unix_s;
        const char *expected;
    } cases[] = {
        {0, "1970-01-01T00:00:00Z"},         {951782400, "2000-02-29T00:00:00Z"}, {-1, "1969-12-31T23:59:59Z"},
        {INT64_MAX, "9999-12-31T23:59:59Z"}, {INT64_MIN, "1000-01-01T00:00:00Z"},
    };
    setenv("TZ", "Asia/Kolkata", 1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[WS_TIME_TEXT];
        ws_clock_text(cases[i].unix_s, text);
        assert_string_equal(text, cases[i].expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_signal_only_asks),
        cmocka_unit_test(second_signal_ends_the_process_by_that_signal),
        cmocka_unit_test(closed_pipe_is_an_error_not_an_end),
        cmocka_unit_test(stop_ends_a_sleep),
        cmocka_unit_test(sleep_lasts_as_long_as_it_says),
        cmocka_unit_test(source_date_stands_in_for_the_clock),
        cmocka_unit_test(times_are_iso_8601_in_utc),
    };
    return cmocka_run_group_tests_name("stop", tests, NULL, NULL);
}
