/* The matrix library runs its best kernels on this processor, unless the user says otherwise. */
#include "webstill/nn/blas.h"

#include <cblas.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* "build/MODE", where both this test and the program are. */
static void find_build(char path[512])
{
    const ssize_t len = readlink("/proc/self/exe", path, 511);
    assert_true(len > 0);
    path[len] = '\0';
    char *tests = strstr(path, "/tests/unit/");
    assert_non_null(tests);
    *tests = '\0';
}

static void an_older_choice_is_bettered_and_a_good_one_is_left(void **state)
{
    (void)state;
    assert_string_equal(ws_blas_better_core("Prescott", WS_BLAS_AVX512), "SkylakeX");
    assert_string_equal(ws_blas_better_core("prescott", WS_BLAS_AVX2), "Haswell");
    assert_string_equal(ws_blas_better_core("Haswell", WS_BLAS_AVX512), "SkylakeX");
    assert_string_equal(ws_blas_better_core("Sandybridge", WS_BLAS_AVX2), "Haswell");
    assert_null(ws_blas_better_core("Prescott", WS_BLAS_SSE));
    assert_null(ws_blas_better_core("Zen", WS_BLAS_AVX2));
    assert_null(ws_blas_better_core("SkylakeX", WS_BLAS_AVX512));
    assert_null(ws_blas_better_core("Cooperlake", WS_BLAS_AVX512));
    assert_null(ws_blas_better_core("of tomorrow", WS_BLAS_AVX512)); /* not ours to judge */
}

/* Standard output of `environment PROGRAM --version`. */
static void ask_version(const char *environment, char *text, size_t size_bytes)
{
    char command[1024], build[512];
    find_build(build);
    snprintf(command, sizeof command,
             "env -u OPENBLAS_CORETYPE -u WEBSTILL_BLAS_CORE %s %s/bin/webstill-distill --version", environment, build);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    const size_t n = fread(text, 1, size_bytes - 1, pipe);
    text[n] = '\0';
    assert_int_equal(pclose(pipe), 0);
}

/* This very process was started by tests/start.c: what is left to better would have been. */
static void the_program_itself_finds_the_best_kernels(void **state)
{
    (void)state;
    char text[512], expected[64], remark[512];
    assert_null(ws_blas_remark(remark));
    ask_version("", text, sizeof text);
    snprintf(expected, sizeof expected, "(%s)", ws_blas_core());
    if (!strstr(text, expected))
        fail_msg("expected %s in: %s", expected, text);
}

static void a_choice_of_the_users_is_respected(void **state)
{
    (void)state;
    char text[512];
    if (!strstr(openblas_get_config(), "DYNAMIC_ARCH"))
        skip();
    ask_version("OPENBLAS_CORETYPE=Nehalem", text, sizeof text);
    if (!strstr(text, "(Nehalem)"))
        fail_msg("expected Nehalem's kernels in: %s", text);
}

static void it_runs_itself_again_only_once(void **state)
{
    (void)state;
    char text[512];
    ask_version("WEBSTILL_BLAS_CORE=x", text, sizeof text);
    assert_non_null(strstr(text, "OpenBLAS"));
}

static void a_poor_choice_is_remarked_on(void **state)
{
    (void)state;
    char remark[512] = "";
    if (!getenv("WEBSTILL_TEST_CORE")) {
        /* Only a process that is started with the variable has these kernels: this test alone, in another one. */
        if (!strstr(openblas_get_config(), "DYNAMIC_ARCH") || strcmp(ws_blas_core(), "SkylakeX") != 0)
            skip();
        assert_int_equal(system("WEBSTILL_TEST_CORE=1 OPENBLAS_CORETYPE=Nehalem CMOCKA_TEST_FILTER='a_poor*' "
                                "/proc/$PPID/exe >/dev/null 2>&1"),
                         0);
        return;
    }
    assert_non_null(ws_blas_remark(remark));
    assert_non_null(strstr(remark, "OPENBLAS_CORETYPE=Nehalem"));
    assert_non_null(strstr(remark, "SkylakeX"));
}

int main(int argc, char **argv)
{
    (void)argc;
    /* Where the environment chooses for all, as some build machines' does, the program's own choice is not seen. */
    if (getenv("OPENBLAS_CORETYPE") && !getenv("WEBSTILL_BLAS_CORE") && !getenv("WEBSTILL_TEST_CORE")) {
        unsetenv("OPENBLAS_CORETYPE");
        execv("/proc/self/exe", argv);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_older_choice_is_bettered_and_a_good_one_is_left),
        cmocka_unit_test(the_program_itself_finds_the_best_kernels),
        cmocka_unit_test(a_choice_of_the_users_is_respected),
        cmocka_unit_test(it_runs_itself_again_only_once),
        cmocka_unit_test(a_poor_choice_is_remarked_on),
    };
    if (getenv("WEBSTILL_TEST_CORE"))
        cmocka_set_test_filter("a_poor*");
    return cmocka_run_group_tests_name("blas", tests, NULL, NULL);
}
