/* The table of stages drives what lists them; the protocol of a stage: lock, inputs, dry run, publishing last. */
#include "workdir.h"

#include "../../crawler/commands.h"
#include "../../curate/commands.h"
#include "../../distill/commands.h"
#include "../../store/commands.h"

#include "webstill/stage/job.h"
#include "webstill/stage/rules.h"

#include <sys/wait.h>

/* --- the table --- */

static void every_row_reads_rows_before_it_and_lies_in_a_folder_of_its_own(void **state)
{
    (void)state;
    for (const struct ws_stage *stage = ws_stage_table; stage->name; stage++) {
        assert_ptr_equal(ws_stage_find(stage->name), stage);
        assert_true(stage->program && stage->folder && stage->part && stage->summary && stage->reads[0]);
        for (const struct ws_stage *before = ws_stage_table; before < stage; before++)
            assert_string_not_equal(before->folder, stage->folder);
        for (size_t i = 0; stage->inputs[i]; i++) {
            const struct ws_stage *input = ws_stage_find(stage->inputs[i]);
            if (!input || input >= stage)
                fail_msg("%s reads %s, which is no row before it", stage->name, stage->inputs[i]);
        }
    }
    assert_null(ws_stage_find("crwal"));
}

static void a_missing_manifest_is_told_with_the_command_of_its_row(void **state)
{
    for (const struct ws_stage *stage = ws_stage_table; stage->name; stage++) {
        char relative[300], path[TEMP_PATH], expected[100];
        struct ws_err err = {0};
        json_t *root;
        snprintf(relative, sizeof relative, "store/x/%s%s/manifest.json", stage->folder, stage->has_runs ? "/kd3" : "");
        snprintf(expected, sizeof expected, "run `webstill %s` with", stage->name);
        assert_int_equal(ws_manifest_read(temp_join(path, *state, relative), &root, &err), WS_E_IO);
        if (!strstr(err.hint, expected))
            fail_msg("%s: the hint is \"%s\"", path, err.hint);
    }
}

/* Load the configuration again, with a place to crawl. */
static void add_source(struct workdir *work)
{
    const char *sources[1] = {"crawl.sources=[{kind: pages, url: \"http://nowhere.test/\"}]"};
    ws_config_free(&work->config);
    WORKDIR_OK(ws_config_load(&work->config, test_program(), work->config_path, sources, 1, err));
}

/* A working directory in which every stage is done, as made up by workdir.h and completed here. */
static void make_whole(struct workdir *work, const char *folder)
{
    workdir_make(work, folder, 12, 2);
    workdir_manifest(work, "distill", "runs", NULL, "runs/kd3/metrics.jsonl", 1);
    workdir_manifest(work, "eval", "eval", NULL, "runs/kd3/eval.json", 12);
    workdir_manifest(work, "export", "export", NULL, "runs/kd3/eval.json", 1);
}

static void status_and_report_tell_of_each_row(void **state)
{
    struct workdir work;
    struct ws_err failure = {0};
    char path[TEMP_PATH], *status = NULL, *told = NULL;
    struct ws_buf page = {0};
    make_whole(&work, *state);
    assert_int_equal(workdir_run(&work, ws_report_command, NULL, false, &told, &failure), WS_OK);
    assert_int_equal(workdir_run(&work, ws_status_command, NULL, false, &status, &failure), WS_OK);
    WORKDIR_OK(ws_file_read(workdir_path(&work, path, "report/index.html"), 1 << 24, &page, err));
    for (const struct ws_stage *stage = ws_stage_table; stage->name; stage++) {
        char line[100], row[100];
        snprintf(line, sizeof line, "\n%-11s  done ", stage->name);
        snprintf(row, sizeof row, "<th scope=\"row\">%s%s</th>", stage->name, stage->has_runs ? " kd3" : "");
        assert_true(ws_file_exists(workdir_path(&work, path, stage->folder)));
        if (!strstr(status, line))
            fail_msg("status has no line of %s that is done:\n%s", stage->name, status);
        if (!strstr(page.ptr, row) && strcmp(stage->name, "report") != 0)
            fail_msg("the page has no row of %s", stage->name);
    }
    free(status);
    free(told);
    ws_buf_fini(&page);
    workdir_free(&work);
}

static void make_has_a_rule_for_each_row(void **state)
{
    struct workdir work;
    struct ws_buf rules = {0};
    make_whole(&work, *state);
    add_source(&work);
    WORKDIR_OK(ws_stage_rules(work.config, &rules, err));
    for (const struct ws_stage *stage = ws_stage_table; stage->name; stage++) {
        char rule[200];
        snprintf(rule, sizeof rule, "\n%s: $(WORK)/%s/manifest.json\n", stage->name, stage->folder);
        if (!strstr(rules.ptr, rule))
            fail_msg("make has no rule%s", rule);
    }
    assert_non_null(strstr(rules.ptr, "store/manifest.json: $(WORK)/crawl/manifest.json $(WORK)/config/store.yaml |"));
    /* Without a place to crawl nobody waits for the crawl. */
    ws_config_free(&work.config);
    workdir_config(&work, *state);
    ws_buf_clear(&rules);
    WORKDIR_OK(ws_stage_rules(work.config, &rules, err));
    assert_non_null(strstr(rules.ptr, "store/manifest.json: $(WORK)/config/store.yaml |"));
    ws_buf_fini(&rules);
    workdir_free(&work);
}

/* --- the protocol --- */

static const struct ws_stage own = {
    .name = "prepare", .program = "distill", .folder = "runs/prepared", .reads = {"score"}, .inputs = {"teacher"}};

/* What the made-up work does, and how often it did. */
struct script {
    const char *input; /* a file */
    enum { MAKE_ALL, MAKE_FAILS, MAKE_DIES } way;
    int n_made, n_planned, n_told;
};

static enum ws_status note_inputs(struct ws_job *job, void *self, struct ws_err *err)
{
    const struct script *script = self;
    return ws_job_input_file(job, script->input, err);
}

static enum ws_status plan(struct ws_job *job, void *self, struct ws_err *err)
{
    (void)job;
    (void)err;
    ((struct script *)self)->n_planned++;
    return WS_OK;
}

static enum ws_status make(struct ws_job *job, void *self, struct ws_err *err)
{
    struct script *script = self;
    char path[WS_PATH_BYTES];
    script->n_made++;
    enum ws_status status = ws_job_start(job, err);
    if (status == WS_OK)
        status = ws_path_join(path, job->dir, err, "x");
    if (status == WS_OK)
        status = ws_file_replace(path, "made", 4, err);
    if (status == WS_OK)
        status = ws_job_output_file(job, "runs/prepared/x", 1, err);
    if (script->way == MAKE_DIES)
        _exit(7);
    if (script->way == MAKE_FAILS)
        return ws_fail(err, WS_E_FORMAT, "halfway");
    return status == WS_OK ? ws_job_finish(job, err) : status;
}

static enum ws_status tell(struct ws_job *job, void *self, struct ws_err *err)
{
    (void)job;
    (void)err;
    ((struct script *)self)->n_told++;
    return WS_OK;
}

static enum ws_status run_script(struct workdir *work, struct script *script, bool is_dry, struct ws_err *err)
{
    static const struct ws_job_steps steps = {.inputs = note_inputs, .plan = plan, .make = make, .tell = tell};
    const struct ws_job_setup setup = {.stage = &own, .program = "webstill-test", .libraries = "test 1"};
    const struct ws_run run = {.config = work->config, .work = work->folder, .dry_run = is_dry};
    return ws_job_run(&run, &setup, &steps, script, err);
}

/* A working directory with nothing in it but an input. */
static void begin(struct workdir *work, struct script *script, char input[TEMP_PATH], const char *folder)
{
    *work = (struct workdir){.n_images = 0};
    snprintf(work->folder, sizeof work->folder, "%s", folder);
    workdir_config(work, folder);
    temp_write(temp_join(input, folder, "input"), "a", 1);
    *script = (struct script){.input = input};
}

static bool has_manifest(const struct workdir *work)
{
    char path[TEMP_PATH];
    return ws_file_exists(workdir_path(work, path, "runs/prepared/manifest.json"));
}

static void work_of_its_own_row_is_made_once_and_again_when_an_input_changed(void **state)
{
    struct workdir work;
    struct script script;
    struct ws_err err = {0};
    char input[TEMP_PATH], path[TEMP_PATH];
    begin(&work, &script, input, *state);
    assert_int_equal(run_script(&work, &script, true, &err), WS_OK);
    assert_int_equal(script.n_planned, 1);
    assert_int_equal(script.n_told, 0);
    assert_false(ws_file_exists(workdir_path(&work, path, "runs"))); /* a dry run leaves no lock behind */
    for (int i = 0; i < 3; i++)
        assert_int_equal(run_script(&work, &script, false, &err), WS_OK);
    assert_int_equal(script.n_made, 1);
    assert_int_equal(script.n_told, 3);
    assert_int_equal(run_script(&work, &script, true, &err), WS_OK);
    assert_int_equal(script.n_planned, 1); /* up to date: there is nothing to plan */
    temp_write(input, "b", 1);
    assert_int_equal(run_script(&work, &script, false, &err), WS_OK);
    assert_int_equal(script.n_made, 2);
    assert_true(has_manifest(&work));
    json_t *root = NULL;
    assert_int_equal(ws_manifest_read(workdir_path(&work, path, "runs/prepared/manifest.json"), &root, &err), WS_OK);
    assert_string_equal(json_string_value(json_object_get(root, "stage")), "prepare");
    assert_string_equal(json_string_value(json_object_get(root, "libraries")), "test 1");
    json_decref(root);
    ws_config_free(&work.config);
}

static void work_that_ends_before_it_publishes_leaves_no_manifest(void **state)
{
    struct workdir work;
    struct script script;
    struct ws_err err = {0};
    char input[TEMP_PATH];
    begin(&work, &script, input, *state);
    assert_int_equal(run_script(&work, &script, false, &err), WS_OK);
    assert_true(has_manifest(&work));
    temp_write(input, "b", 1);
    script.way = MAKE_FAILS;
    assert_int_equal(run_script(&work, &script, false, &err), WS_E_FORMAT);
    assert_false(has_manifest(&work));
    script.way = MAKE_ALL;
    assert_int_equal(run_script(&work, &script, false, &err), WS_OK);
    temp_write(input, "c", 1);
    script.way = MAKE_DIES;
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0)
        _exit(run_script(&work, &script, false, &err) == WS_OK ? 0 : 1);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    assert_false(has_manifest(&work));
    script.way = MAKE_ALL; /* and the lock went with the process */
    assert_int_equal(run_script(&work, &script, false, &err), WS_OK);
    assert_true(has_manifest(&work));
    ws_config_free(&work.config);
}

static void a_held_lock_is_told_with_its_holder(void **state)
{
    struct workdir work;
    struct script script;
    struct ws_err err = {0};
    struct ws_lock lock = {0};
    char input[TEMP_PATH], path[TEMP_PATH];
    begin(&work, &script, input, *state);
    workdir_path(&work, path, "runs/prepared/lock");
    assert_int_equal(ws_lock_take(&lock, path, "webstill-other", &err), WS_OK);
    assert_int_equal(run_script(&work, &script, false, &err), WS_E_LOCKED);
    assert_non_null(strstr(err.text, "webstill-other"));
    assert_int_equal(script.n_made, 0);
    assert_int_equal(run_script(&work, &script, true, &err), WS_OK); /* a dry run needs none */
    ws_lock_release(&lock);
    ws_config_free(&work.config);
}

/* Where the old manifest cannot be taken away nothing is overwritten: here a folder has its name. */
static void an_old_manifest_that_stays_is_told_before_anything_is_made(void **state)
{
    struct workdir work;
    struct script script;
    struct ws_err err = {0};
    char input[TEMP_PATH], path[TEMP_PATH];
    begin(&work, &script, input, *state);
    temp_write(workdir_path(&work, path, "runs/prepared/manifest.json/x"), "", 0);
    assert_int_equal(run_script(&work, &script, false, &err), WS_E_IO);
    assert_non_null(strstr(err.text, "runs/prepared/manifest.json"));
    assert_false(ws_file_exists(workdir_path(&work, path, "runs/prepared/x")));
    ws_config_free(&work.config);
}

/* When a file was last written, in nanoseconds; 0 when there is none. */
static int64_t written_at(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 ? about.st_mtim.tv_sec * 1000000000 + about.st_mtim.tv_nsec : 0;
}

static void the_store_and_the_report_leave_all_alone_where_the_manifest_stays(void **state)
{
    static const struct {
        const char *manifest, *output;
        workdir_command *command;
    } cases[] = {{"store/manifest.json", "store/data.mdb", ws_store_command},
                 {"report/manifest.json", "report/index.html", ws_report_command}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct workdir work;
        struct ws_err failure = {0};
        char path[TEMP_PATH], inside[TEMP_PATH], folder[TEMP_PATH], output[TEMP_PATH], name[32], *out = NULL;
        snprintf(name, sizeof name, "case%zu", i);
        temp_write(temp_join(path, temp_join(folder, *state, name), "x"), "", 0);
        workdir_make(&work, folder, 12, 2);
        temp_remove(workdir_path(&work, path, cases[i].manifest));
        temp_write(temp_join(inside, path, "x"), "", 0);
        const int64_t before = written_at(workdir_path(&work, output, cases[i].output));
        assert_int_equal(workdir_run(&work, cases[i].command, NULL, false, &out, &failure), WS_E_IO);
        if (!strstr(failure.text, cases[i].manifest))
            fail_msg("%s: told as \"%s\"", cases[i].manifest, failure.text);
        assert_true(written_at(output) == before);
        free(out);
        workdir_free(&work);
    }
}

static void every_command_refuses_a_path_that_is_too_long(void **state)
{
    static const struct {
        const char *stage;
        enum ws_status (*command)(const struct ws_run *run, struct ws_err *err);
    } commands[] = {{"crawl", ws_crawl_command}, {"store", ws_store_command},   {"teacher", ws_teacher_command},
                    {"score", ws_score_command}, {"curate", ws_curate_command}, {"distill", ws_distill_command},
                    {"eval", ws_eval_command},   {"export", ws_export_command}, {"report", ws_report_command}};
    struct workdir work = {.n_images = 0};
    snprintf(work.folder, sizeof work.folder, "%s", (const char *)*state);
    workdir_config(&work, *state);
    add_source(&work);
    /* One byte below a whole path: the folder's name fits, what lies in it does not. */
    char *longest = malloc(WS_PATH_BYTES);
    assert_non_null(longest);
    memset(longest, 'x', WS_PATH_BYTES - 2);
    longest[WS_PATH_BYTES - 2] = '\0';
    size_t n = 0;
    for (const struct ws_stage *stage = ws_stage_table; stage->name; stage++, n++) {
        assert_true(n < sizeof commands / sizeof commands[0]);
        assert_string_equal(commands[n].stage, stage->name);
        const struct ws_run run = {.config = work.config, .config_path = work.config_path, .work = longest};
        struct ws_err err = {0};
        const enum ws_status status = commands[n].command(&run, &err);
        if (status != WS_E_CONFIG || !strstr(err.text, "is too long"))
            fail_msg("%s: status %s, \"%s\"", stage->name, ws_status_name(status), err.text);
    }
    assert_false(ws_file_exists("x"));
    free(longest);
    ws_config_free(&work.config);
}

static void a_path_is_joined_whole_or_not_at_all(void **state)
{
    (void)state;
    char path[WS_PATH_BYTES], *folder = calloc(1, WS_PATH_BYTES + 1);
    struct ws_err err = {0};
    assert_non_null(folder);
    assert_int_equal(ws_path_join(path, "a/b", &err, "%s/%d.json", "c", 7), WS_OK);
    assert_string_equal(path, "a/b/c/7.json");
    assert_int_equal(ws_path_join(path, "a/b", &err, "%s", "/c"), WS_OK);
    assert_string_equal(path, "/c");
    memset(folder, 'f', WS_PATH_BYTES - 3); /* and "/x" fill it to the last byte but the NUL */
    assert_int_equal(ws_path_join(path, folder, &err, "x"), WS_OK);
    assert_int_equal(strlen(path), WS_PATH_BYTES - 1);
    assert_int_equal(ws_path_join(path, folder, &err, "xy"), WS_E_CONFIG);
    assert_string_equal(path, "");
    assert_non_null(strstr(err.text, "fff… is too long: expected fewer than 4096 bytes"));
    assert_int_equal(ws_path_join(path, "a", NULL, "%s", folder), WS_OK);
    memset(folder, 'f', WS_PATH_BYTES);
    assert_int_equal(ws_path_join(path, "a", NULL, "%s", folder), WS_E_CONFIG);
    assert_string_equal(path, "");
    free(folder);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, temp_setup, temp_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_reads_rows_before_it_and_lies_in_a_folder_of_its_own),
        IN_FOLDER(a_missing_manifest_is_told_with_the_command_of_its_row),
        IN_FOLDER(status_and_report_tell_of_each_row),
        IN_FOLDER(make_has_a_rule_for_each_row),
        IN_FOLDER(work_of_its_own_row_is_made_once_and_again_when_an_input_changed),
        IN_FOLDER(work_that_ends_before_it_publishes_leaves_no_manifest),
        IN_FOLDER(a_held_lock_is_told_with_its_holder),
        IN_FOLDER(an_old_manifest_that_stays_is_told_before_anything_is_made),
        IN_FOLDER(the_store_and_the_report_leave_all_alone_where_the_manifest_stays),
        IN_FOLDER(every_command_refuses_a_path_that_is_too_long),
        cmocka_unit_test(a_path_is_joined_whole_or_not_at_all),
    };
    return cmocka_run_group_tests_name("stage", tests, NULL, NULL);
}
