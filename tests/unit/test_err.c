/* Message chains: what is kept, what is cut, and what code the process ends with. */
#include "webstill/base/err.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void context_stands_before_its_cause(void **state)
{
    (void)state;
    struct ws_err err = {0};
    assert_int_equal(ws_fail(&err, WS_E_FORMAT, "record %d: length %d", 17, 9), WS_E_FORMAT);
    ws_err_note(&err, "in shard %s", "a.warc.gz");
    ws_err_note(&err, "store");
    assert_int_equal(err.status, WS_E_FORMAT);
    assert_string_equal(err.text, "store: in shard a.warc.gz: record 17: length 9");
}

static void note_on_an_empty_chain_has_no_colon(void **state)
{
    (void)state;
    struct ws_err err = {0};
    ws_err_note(&err, "alone");
    assert_string_equal(err.text, "alone");
}

static void null_chain_is_accepted_everywhere(void **state)
{
    (void)state;
    assert_int_equal(ws_fail(NULL, WS_E_CONFIG, "x"), WS_E_CONFIG);
    errno = EIO;
    assert_int_equal(ws_fail_errno(NULL, "x"), WS_E_IO);
    ws_err_note(NULL, "x");
    ws_err_hint(NULL, "x");
}

static void errno_is_told_and_kept(void **state)
{
    (void)state;
    struct ws_err err = {0};
    errno = ENOENT;
    assert_int_equal(ws_fail_errno(&err, "cannot open %s", "a/b"), WS_E_IO);
    assert_string_equal(err.text, "cannot open a/b: No such file or directory");
    assert_int_equal(errno, ENOENT);
    errno = ENOMEM;
    assert_int_equal(ws_fail_errno(&err, "cannot map"), WS_E_MEMORY);
}

static void deepest_hint_stays_until_a_new_failure(void **state)
{
    (void)state;
    struct ws_err err = {0};
    ws_fail(&err, WS_E_IO, "x");
    ws_err_hint(&err, "free %d MB", 3);
    ws_err_hint(&err, "call someone");
    assert_string_equal(err.hint, "free 3 MB");
    ws_fail(&err, WS_E_IO, "y");
    assert_string_equal(err.hint, "");
}

static void chain_may_quote_itself(void **state)
{
    (void)state;
    struct ws_err err = {0};
    ws_fail(&err, WS_E_IO, "inner");
    ws_fail(&err, WS_E_FORMAT, "outer (%s)", err.text);
    assert_string_equal(err.text, "outer (inner)");
}

static void long_text_is_cut_at_a_character_with_an_ellipsis(void **state)
{
    (void)state;
    /* Every start, so that the cut falls on each byte of a two-byte character. */
    for (size_t start = 0; start < 4; start++) {
        char text[4000];
        memset(text, 'a', start);
        for (size_t i = start; i + 2 < sizeof text; i += 2)
            memcpy(text + i, "\xc3\xa9", 3);
        struct ws_err err = {0};
        ws_fail(&err, WS_E_IO, "%s", text);
        size_t length = strlen(err.text);
        assert_true(length < sizeof err.text && length + 4 >= sizeof err.text - 1);
        assert_string_equal(err.text + length - 3, "\xe2\x80\xa6");
        assert_int_equal((length - 3 - start) % 2, 0);
        assert_memory_equal(err.text, text, length - 3);
    }
}

static void note_that_overflows_keeps_the_newest_context(void **state)
{
    (void)state;
    struct ws_err err = {0};
    char text[3000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    ws_fail(&err, WS_E_IO, "%s", text);
    ws_err_note(&err, "newest");
    assert_memory_equal(err.text, "newest: xxx", 11);
    assert_string_equal(err.text + strlen(err.text) - 3, "\xe2\x80\xa6");
}

static void print_names_program_and_hint(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    struct ws_err err = {0};
    ws_fail(&err, WS_E_NETWORK, "no route");
    ws_err_hint(&err, "check the cable");
    ws_err_print(&err, "webstill-crawl", out);
    struct ws_err bare = {.status = WS_E_LOCKED};
    ws_err_print(&bare, "p", out);
    fclose(out);
    assert_string_equal(text, "webstill-crawl: no route\nwebstill-crawl: hint: check the cable\np: locked\n");
    free(text);
}

static void exit_codes_are_the_documented_ones(void **state)
{
    (void)state;
    static const struct {
        enum ws_status status;
        int exit_code;
        const char *name;
    } cases[] = {
        {WS_OK, 0, "ok"},
        {WS_DONE, 0, "done"},
        {WS_E_INTERNAL, 1, "internal"},
        {WS_E_MEMORY, 1, "memory"},
        {WS_E_NUMERIC, 1, "numeric"},
        {WS_E_CONFIG, 2, "config"},
        {WS_E_IO, 3, "io"},
        {WS_E_NETWORK, 4, "network"},
        {WS_E_FORMAT, 5, "format"},
        {WS_E_UNSUPPORTED, 5, "unsupported"},
        {WS_E_PARTIAL, 6, "partial"},
        {WS_E_STOPPED, 11, "stopped"},
        {WS_E_BUDGET, 12, "budget"},
        {WS_E_LOCKED, 13, "locked"},
        {WS_E_DAMAGED, 14, "damaged"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(ws_status_exit_code(cases[i].status), cases[i].exit_code);
        assert_string_equal(ws_status_name(cases[i].status), cases[i].name);
    }
}

static void broken_contract_aborts_and_names_its_place(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        ws_assert(1 + 1 == 3);
        _exit(0);
    }
    close(ends[1]);
    char text[512] = "";
    ssize_t n = read(ends[0], text, sizeof text - 1);
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_true(n > 0);
    assert_non_null(strstr(text, "test_err.c:"));
    assert_non_null(strstr(text, "1 + 1 == 3"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(context_stands_before_its_cause),
        cmocka_unit_test(note_on_an_empty_chain_has_no_colon),
        cmocka_unit_test(null_chain_is_accepted_everywhere),
        cmocka_unit_test(errno_is_told_and_kept),
        cmocka_unit_test(deepest_hint_stays_until_a_new_failure),
        cmocka_unit_test(chain_may_quote_itself),
        cmocka_unit_test(long_text_is_cut_at_a_character_with_an_ellipsis),
        cmocka_unit_test(note_that_overflows_keeps_the_newest_context),
        cmocka_unit_test(print_names_program_and_hint),
        cmocka_unit_test(exit_codes_are_the_documented_ones),
        cmocka_unit_test(broken_contract_aborts_and_names_its_place),
    };
    return cmocka_run_group_tests_name("err", tests, NULL, NULL);
}
