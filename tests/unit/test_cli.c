/* The command line all programs share: what a command gets, what a slip is told, which code ends the program. */
#include "program.h"
#include "temp.h"

#include "../../store/stage/sibling.h"

#include "webstill/base/file.h"
#include "webstill/stage/cli.h"
#include "webstill/stage/table.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { MAX_ARGUMENTS = 24 };

/** What the probe command saw; tests run one at a time. */
static struct {
    int n_calls;
    char text[1024];
    enum ws_status answer;
} probe;

static enum ws_status run_probe(const struct ws_run *run, struct ws_err *err)
{
    probe.n_calls++;
    int used = snprintf(probe.text, sizeof probe.text, "work=%s limit=%lld dry=%d run=%s all=%s",
                        run->work ? run->work : "-", (long long)run->limit, run->dry_run,
                        ws_run_option(run, "run", "last"), ws_run_option(run, "all", "-"));
    if (run->config)
        used +=
            snprintf(probe.text + used, sizeof probe.text - (size_t)used, " seed=%llu threads=%u batch=%u",
                     (unsigned long long)run->config->seed, run->config->threads, KEYS(run->config, distill)->batch);
    for (int i = 0; i < run->n_args; i++)
        used += snprintf(probe.text + used, sizeof probe.text - (size_t)used, " [%s]", run->args[i]);
    if (probe.answer != WS_OK) {
        (void)ws_fail(err, probe.answer, "the probe failed");
        ws_err_hint(err, "ask it again");
    }
    return probe.answer;
}

static const struct ws_option probe_options[] = {
    {"run", "NAME", "the run; the last by default"},
    {"all", NULL, "all of them"},
    {NULL, NULL, NULL},
};
static const struct ws_command commands[] = {
    {.name = "distill",
     .summary = "train the students",
     .usage = "CONFIG [options]",
     .details = "Reads the store.",
     .needs_config = true,
     .max_args = 1,
     .options = probe_options,
     .run = run_probe},
    {.name = "inspect",
     .summary = "look into a file",
     .usage = "PATH",
     .min_args = 1,
     .max_args = -1,
     .run = run_probe},
    WS_CONFIG_COMMAND,
    {.name = NULL},
};

/** A program run: its exit code and what it printed. */
struct outcome {
    int code;
    struct ws_buf out, err;
};

static int redirect(int fd, const char *path)
{
    fflush(NULL);
    int saved = dup(fd), file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0666);
    assert_true(saved >= 0 && file >= 0 && dup2(file, fd) >= 0);
    close(file);
    return saved;
}

static void restore(int fd, int saved)
{
    fflush(NULL);
    assert_true(dup2(saved, fd) >= 0);
    close(saved);
}

/** Run the program in the test's folder's stead: "@" at the start of an argument stands for that folder. */
static struct outcome run_program(const char *folder, ...)
{
    char storage[MAX_ARGUMENTS][TEMP_PATH], *argv[MAX_ARGUMENTS + 1] = {storage[0]};
    int argc = 1;
    snprintf(storage[0], TEMP_PATH, "webstill-distill");
    va_list arguments;
    va_start(arguments, folder);
    for (const char *text; (text = va_arg(arguments, const char *)) != NULL; argc++) {
        assert_true(argc < MAX_ARGUMENTS);
        snprintf(storage[argc], TEMP_PATH, "%s%s", text[0] == '@' ? folder : "", text[0] == '@' ? text + 1 : text);
        argv[argc] = storage[argc];
    }
    va_end(arguments);
    char path[TEMP_PATH], out_path[TEMP_PATH], err_path[TEMP_PATH];
    static const char yaml[] = "classes: [cat, dog]\n";
    temp_write(temp_join(path, folder, "x.yaml"), yaml, sizeof yaml - 1);
    temp_join(out_path, folder, "out");
    temp_join(err_path, folder, "err");
    int saved_out = redirect(STDOUT_FILENO, out_path), saved_err = redirect(STDERR_FILENO, err_path);
    struct ws_program program = *test_program();
    program.name = "distill";
    struct outcome outcome = {.code = ws_cli_main(&program, "libdemo 1.2", commands, argc, argv)};
    restore(STDERR_FILENO, saved_err);
    restore(STDOUT_FILENO, saved_out);
    assert_int_equal(ws_file_read(out_path, 1 << 20, &outcome.out, NULL), WS_OK);
    assert_int_equal(ws_file_read(err_path, 1 << 20, &outcome.err, NULL), WS_OK);
    return outcome;
}

static const char *text_of(const struct ws_buf *buf)
{
    return buf->ptr ? buf->ptr : "";
}

static void outcome_fini(struct outcome *outcome)
{
    ws_buf_fini(&outcome->out);
    ws_buf_fini(&outcome->err);
}

static int setup(void **state)
{
    memset(&probe, 0, sizeof probe);
    return temp_setup(state);
}

/** Expect exit code 2, no call of the command, and a first line on standard error. */
static void assert_usage_error(struct outcome outcome, const char *message)
{
    char expected[512];
    snprintf(expected, sizeof expected, "webstill-distill: %s\n", message);
    if (strncmp(text_of(&outcome.err), expected, strlen(expected)) != 0)
        fail_msg("expected \"%s\", found \"%s\"", expected, text_of(&outcome.err));
    assert_int_equal(outcome.code, 2);
    assert_int_equal(probe.n_calls, 0);
    assert_string_equal(text_of(&outcome.out), "");
    outcome_fini(&outcome);
}

/* --- what a command gets --- */

static void command_gets_its_configuration_and_options_in_any_order(void **state)
{
    struct outcome outcome =
        run_program(*state, "distill", "--limit", "5", "@/x.yaml", "-o", "distill.batch=64", "--run=a", "extra",
                    "--seed=9", "--threads", "2", "--dry-run", "-oseed=3", "--run", "b", "--all", "--work", "w", NULL);
    assert_string_equal(text_of(&outcome.err), "");
    assert_int_equal(outcome.code, 0);
    assert_string_equal(probe.text, "work=w limit=5 dry=1 run=b all=1 seed=9 threads=2 batch=64 [extra]");
    outcome_fini(&outcome);
}

static void working_directory_is_named_after_the_configuration(void **state)
{
    struct outcome outcome = run_program(*state, "distill", "@/x.yaml", NULL);
    assert_int_equal(outcome.code, 0);
    assert_string_equal(probe.text, "work=work/x limit=0 dry=0 run=last all=- seed=1 threads=0 batch=1024");
    outcome_fini(&outcome);
}

static void command_without_configuration_gets_all_arguments(void **state)
{
    struct outcome outcome = run_program(*state, "inspect", "a", "--", "--b", "-", NULL);
    assert_int_equal(outcome.code, 0);
    assert_string_equal(probe.text, "work=- limit=0 dry=0 run=last all=- [a] [--b] [-]");
    outcome_fini(&outcome);
}

/* --- slips --- */

static void unknown_command_names_the_nearest(void **state)
{
    assert_usage_error(run_program(*state, "distil", "@/x.yaml", NULL),
                       "unknown command \"distil\"; did you mean \"distill\"?");
}

static void unknown_option_names_the_nearest_own_or_common_one(void **state)
{
    assert_usage_error(run_program(*state, "distill", "@/x.yaml", "--thread", "2", NULL),
                       "unknown option \"--thread\"; did you mean \"--threads\"?");
    assert_usage_error(run_program(*state, "distill", "@/x.yaml", "--rum=2", NULL),
                       "unknown option \"--rum\"; did you mean \"--run\"?");
    assert_usage_error(run_program(*state, "distill", "@/x.yaml", "-x", NULL), "unknown option \"-x\"");
}

static void wrong_option_value_says_what_was_expected(void **state)
{
    assert_usage_error(run_program(*state, "distill", "@/x.yaml", "--seed", "two", NULL),
                       "--seed: expected a whole number, 0 or more, found \"two\"");
    assert_usage_error(run_program(*state, "distill", "@/x.yaml", "--limit=-1", NULL),
                       "--limit: expected a whole number, 0 or more, found \"-1\"");
    assert_usage_error(run_program(*state, "distill", "@/x.yaml", "--progress=allways", NULL),
                       "--progress: expected one of auto, always, never, found \"allways\"; did you mean \"always\"?");
    assert_usage_error(run_program(*state, "distill", "@/x.yaml", "--log-format", "xml", NULL),
                       "--log-format: expected one of text, json, found \"xml\"");
    assert_usage_error(run_program(*state, "distill", "@/x.yaml", "--run", NULL),
                       "--run: expected NAME behind it, found nothing");
    assert_usage_error(run_program(*state, "distill", "@/x.yaml", "-o", NULL),
                       "-o: expected KEY=VALUE behind it, found nothing");
    assert_usage_error(run_program(*state, "distill", "@/x.yaml", "--dry-run=yes", NULL),
                       "--dry-run takes no value, found \"yes\"");
    assert_usage_error(run_program(*state, "distill", "@/x.yaml", "--threads=9999", NULL),
                       "-o threads=9999: threads: expected a whole number in [0, 1024], found \"9999\"");
}

static void missing_and_surplus_arguments_are_usage_errors(void **state)
{
    assert_usage_error(run_program(*state, "distill", NULL), "distill: expected a configuration file, found none");
    assert_usage_error(run_program(*state, "inspect", NULL), "inspect: expected 1 more argument, found none");
    assert_usage_error(run_program(*state, "distill", "@/x.yaml", "a", "b", NULL),
                       "distill: unexpected argument \"b\"");
    assert_usage_error(run_program(*state, "inspect", "a", "-o", "seed=1", NULL),
                       "-o: \"inspect\" reads no configuration");
    assert_usage_error(run_program(*state, "inspect", "a", "--seed=1", NULL),
                       "--seed: \"inspect\" reads no configuration");
}

static void wrong_configuration_ends_with_code_2_before_the_command_runs(void **state)
{
    assert_usage_error(run_program(*state, "distill", "@/x.yaml", "-o", "distill.bach=2", NULL),
                       "-o distill.bach=2: unknown key \"bach\" in section \"distill\"; did you mean \"batch\"?");
}

static void no_command_shows_the_commands_and_ends_with_code_2(void **state)
{
    struct outcome outcome = run_program(*state, NULL);
    assert_int_equal(outcome.code, 2);
    assert_non_null(strstr(text_of(&outcome.err), "  distill    train the students\n"));
    outcome_fini(&outcome);
}

/* --- endings --- */

static void failure_is_printed_once_with_its_hint_and_code(void **state)
{
    static const struct {
        enum ws_status status;
        int code;
    } cases[] = {{WS_E_IO, 3},       {WS_E_NETWORK, 4}, {WS_E_FORMAT, 5},  {WS_E_PARTIAL, 6},
                 {WS_E_STOPPED, 11}, {WS_E_BUDGET, 12}, {WS_E_LOCKED, 13}, {WS_E_DAMAGED, 14}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        probe.answer = cases[i].status;
        struct outcome outcome = run_program(*state, "inspect", "a", NULL);
        assert_int_equal(outcome.code, cases[i].code);
        assert_string_equal(text_of(&outcome.err),
                            "webstill-distill: the probe failed\nwebstill-distill: hint: ask it again\n");
        outcome_fini(&outcome);
    }
}

static void failure_is_a_json_line_when_the_log_is_json(void **state)
{
    probe.answer = WS_E_FORMAT;
    struct outcome outcome = run_program(*state, "inspect", "a", "--log-format=json", NULL);
    assert_int_equal(outcome.code, 5);
    assert_int_equal(text_of(&outcome.err)[0], '{');
    assert_non_null(strstr(text_of(&outcome.err), "the probe failed; hint: ask it again"));
    outcome_fini(&outcome);
}

static void full_disk_behind_standard_output_is_a_failure(void **state)
{
    /* The log's sink is a global; this runs in the same process, so only standard output is turned aside. */
    char path[TEMP_PATH], config[TEMP_PATH], program[] = "webstill-distill", command[] = "config";
    static const char yaml[] = "classes: [cat, dog]\n";
    temp_write(temp_join(config, *state, "x.yaml"), yaml, sizeof yaml - 1);
    temp_join(path, *state, "err");
    char *argv[] = {program, command, config, NULL};
    int saved_err = redirect(STDERR_FILENO, path), saved_out = redirect(STDOUT_FILENO, "/dev/full");
    int code = ws_cli_main(test_program(), "", commands, 3, argv);
    restore(STDOUT_FILENO, saved_out);
    restore(STDERR_FILENO, saved_err);
    clearerr(stdout);
    assert_int_equal(code, 3);
}

/* --- help, version, config --- */

static void help_lists_own_and_common_options(void **state)
{
    struct outcome outcome = run_program(*state, "distill", "--help", NULL);
    assert_int_equal(outcome.code, 0);
    assert_int_equal(probe.n_calls, 0);
    static const char *const parts[] = {"Usage: webstill distill CONFIG [options]\n",
                                        "Reads the store.",
                                        "  --run NAME           the run; the last by default\n",
                                        "  -o KEY=VALUE",
                                        "  --log-format FORMAT",
                                        "13 another process holds"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (!strstr(text_of(&outcome.out), parts[i]))
            fail_msg("--help lacks \"%s\"", parts[i]);
    outcome_fini(&outcome);
    outcome = run_program(*state, "inspect", "--help", NULL);
    assert_null(strstr(text_of(&outcome.out), "--seed"));
    outcome_fini(&outcome);
}

static void version_names_the_libraries(void **state)
{
    struct outcome outcome = run_program(*state, "--version", NULL);
    assert_int_equal(outcome.code, 0);
    assert_string_equal(text_of(&outcome.out), "webstill-distill " WS_VERSION "\nlibdemo 1.2\n");
    outcome_fini(&outcome);
    outcome = run_program(*state, "distill", "--version", NULL);
    assert_string_equal(text_of(&outcome.out), "webstill-distill " WS_VERSION "\nlibdemo 1.2\n");
    outcome_fini(&outcome);
}

static void config_prints_a_section_of_the_resolved_configuration(void **state)
{
    struct outcome outcome =
        run_program(*state, "config", "@/x.yaml", "--section", "score", "-o", "score.batch=8", NULL);
    assert_int_equal(outcome.code, 0);
    assert_string_equal(text_of(&outcome.out), "score:\n  batch: 8\n");
    outcome_fini(&outcome);
    outcome = run_program(*state, "config", "@/x.yaml", "--section", "scor", NULL);
    assert_int_equal(outcome.code, 2);
    assert_string_equal(text_of(&outcome.err), "webstill-distill: unknown section \"scor\"; did you mean \"score\"?\n");
    outcome_fini(&outcome);
}

static void config_write_touches_only_the_stages_that_changed(void **state)
{
    char crawl[TEMP_PATH], distill[TEMP_PATH];
    struct outcome outcome = run_program(*state, "config", "@/x.yaml", "--write", "@/conf", NULL);
    assert_string_equal(text_of(&outcome.err), "");
    assert_int_equal(outcome.code, 0);
    outcome_fini(&outcome);
    for (const struct ws_stage *stage = ws_stage_table; stage->name; stage++) {
        char name[64], path[TEMP_PATH];
        snprintf(name, sizeof name, "conf/%s.yaml", stage->name);
        assert_true(ws_file_exists(temp_join(path, *state, name)));
    }
    temp_join(crawl, *state, "conf/crawl.yaml");
    temp_join(distill, *state, "conf/distill.yaml");
    const struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    assert_int_equal(utimensat(AT_FDCWD, crawl, old, 0), 0);
    assert_int_equal(utimensat(AT_FDCWD, distill, old, 0), 0);
    outcome = run_program(*state, "config", "@/x.yaml", "--write", "@/conf", "-o", "distill.batch=64", NULL);
    assert_int_equal(outcome.code, 0);
    outcome_fini(&outcome);
    struct stat facts;
    assert_int_equal(stat(crawl, &facts), 0);
    assert_int_equal(facts.st_mtime, 1000);
    assert_int_equal(stat(distill, &facts), 0);
    assert_int_not_equal(facts.st_mtime, 1000);
}

static void program_directory_is_the_executables(void **state)
{
    (void)state;
    char folder[TEMP_PATH], executable[TEMP_PATH] = "", small[4];
    assert_true(ws_sibling_folder(folder, sizeof folder));
    assert_int_equal(folder[0], '/');
    assert_true(readlink("/proc/self/exe", executable, sizeof executable - 1) > 0);
    assert_int_equal(strncmp(executable, folder, strlen(folder)), 0);
    assert_int_equal(executable[strlen(folder)], '/');
    assert_null(strchr(executable + strlen(folder) + 1, '/'));
    assert_false(ws_sibling_folder(small, sizeof small));
}

#define CLI_TEST(name) cmocka_unit_test_setup_teardown(name, setup, temp_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLI_TEST(command_gets_its_configuration_and_options_in_any_order),
        CLI_TEST(working_directory_is_named_after_the_configuration),
        CLI_TEST(command_without_configuration_gets_all_arguments),
        CLI_TEST(unknown_command_names_the_nearest),
        CLI_TEST(unknown_option_names_the_nearest_own_or_common_one),
        CLI_TEST(wrong_option_value_says_what_was_expected),
        CLI_TEST(missing_and_surplus_arguments_are_usage_errors),
        CLI_TEST(wrong_configuration_ends_with_code_2_before_the_command_runs),
        CLI_TEST(no_command_shows_the_commands_and_ends_with_code_2),
        CLI_TEST(failure_is_printed_once_with_its_hint_and_code),
        CLI_TEST(failure_is_a_json_line_when_the_log_is_json),
        CLI_TEST(full_disk_behind_standard_output_is_a_failure),
        CLI_TEST(help_lists_own_and_common_options),
        CLI_TEST(version_names_the_libraries),
        CLI_TEST(config_prints_a_section_of_the_resolved_configuration),
        CLI_TEST(config_write_touches_only_the_stages_that_changed),
        CLI_TEST(program_directory_is_the_executables),
    };
    return cmocka_run_group_tests_name("cli", tests, NULL, NULL);
}
