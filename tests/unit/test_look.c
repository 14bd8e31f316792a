/* status, verify, inspect and explain on a made-up working directory. */
#include "workdir.h"

#include "../../store/commands.h"

#include <sys/file.h>

static json_t *get_stage(const struct workdir *work, json_t **root, const char *name)
{
    char *out = NULL;
    struct ws_err failure = {0};
    assert_int_equal(workdir_run(work, ws_status_command, NULL, true, &out, &failure), WS_OK);
    *root = json_loads(out, 0, NULL);
    assert_non_null(*root);
    free(out);
    size_t i;
    json_t *stage;
    json_array_foreach(json_object_get(*root, "stages"), i, stage)
    {
        if (strcmp(json_string_value(json_object_get(stage, "stage")), name) == 0)
            return stage;
    }
    fail_msg("status lists no stage %s", name);
    return NULL;
}

static void expect_state(const struct workdir *work, const char *name, const char *state, const char *reason)
{
    json_t *root = NULL;
    const json_t *stage = get_stage(work, &root, name);
    assert_string_equal(json_string_value(json_object_get(stage, "state")), state);
    const char *found = json_string_value(json_object_get(stage, "reason"));
    if (!strstr(found, reason))
        fail_msg("%s is %s because \"%s\", expected \"%s\"", name, state, found, reason);
    json_decref(root);
}

static void status_tells_done_from_missing(void **state)
{
    struct workdir work;
    workdir_make(&work, *state, 12, 2);
    static const char *const done[] = {"crawl", "store", "teacher", "score", "curate", "distill kd3", "distill kd"};
    for (size_t i = 0; i < sizeof(done) / sizeof(done[0]); i++)
        expect_state(&work, done[i], "done", "");
    expect_state(&work, "export", "missing", "");
    expect_state(&work, "report", "missing", "");
    workdir_free(&work);
}

static void status_says_why_a_stage_is_stale(void **state)
{
    struct workdir work;
    char path[TEMP_PATH];
    workdir_make(&work, *state, 12, 2);
    const char *changed = "classes: [\"T-shirt <top>\", Trouser, \"Bag & case\"]\n"
                          "crawl: {user_agent: \"test/1 (+mailto:a@b.example)\"}\n"
                          "store: {size: 28, channels: 1, min_side: 17}\n"
                          "distill: {methods: [kd3, kd], arch: resnet8}\n"
                          "teacher: {arch: resnet20}\n";
    temp_write(work.config_path, changed, strlen(changed));
    ws_config_free(&work.config);
    workdir_config(&work, *state);
    expect_state(&work, "store", "stale", "the configuration changed since");
    expect_state(&work, "teacher", "done", "");
    expect_state(&work, "distill kd3", "done", "");
    temp_remove(workdir_path(&work, path, "teacher/teacher.safetensors"));
    expect_state(&work, "teacher", "stale", "an output is gone: teacher/teacher.safetensors");
    workdir_free(&work);
}

static void status_sees_an_input_that_was_made_anew(void **state)
{
    struct workdir work;
    workdir_make(&work, *state, 12, 2);
    work.logits[0] += 1;
    workdir_scores(&work);
    workdir_manifest(&work, "score", "scores", "store", "scores/teacher.safetensors", 12);
    expect_state(&work, "score", "done", "");
    expect_state(&work, "curate", "stale", "made from an older scores/teacher.safetensors");
    workdir_free(&work);
}

static void status_sees_who_holds_a_lock(void **state)
{
    struct workdir work;
    char path[TEMP_PATH];
    struct ws_lock lock = {0};
    workdir_make(&work, *state, 12, 2);
    workdir_path(&work, path, "store/lock");
    WORKDIR_OK(ws_lock_take(&lock, path, "webstill-store", err));
    char pid[32];
    snprintf(pid, sizeof(pid), "%ld", (long)getpid());
    expect_state(&work, "store", "running", pid);
    ws_lock_release(&lock);
    expect_state(&work, "store", "done", "");
    workdir_free(&work);
}

static void status_prints_a_table_for_people(void **state)
{
    struct workdir work;
    char *out = NULL;
    struct ws_err failure = {0};
    workdir_make(&work, *state, 12, 2);
    assert_int_equal(workdir_run(&work, ws_status_command, NULL, false, &out, &failure), WS_OK);
    assert_non_null(strstr(out, "images 12 · duplicates 5\n"));
    assert_non_null(strstr(out, "run `webstill export`"));
    free(out);
    workdir_free(&work);
}

static void verify_passes_what_is_whole(void **state)
{
    struct workdir work;
    char *out = NULL;
    struct ws_err failure = {0};
    workdir_make(&work, *state, 12, 2);
    if (workdir_run(&work, ws_verify_command, NULL, false, &out, &failure) != WS_OK)
        fail_msg("%s\n%s", failure.text, out);
    assert_null(strstr(out, "bad "));
    assert_non_null(strstr(out, "ok   store: SHA-256"));
    assert_non_null(strstr(out, "ok   crawl/webstill-00000.warc.gz: 2 records"));
    assert_non_null(strstr(out, "ok   runs/kd3/selection/epoch-002.safetensors: 9 arrays"));
    free(out);
    workdir_free(&work);
}

/* Flip one bit in the middle of a file. */
static void damage(const struct workdir *work, const char *name, long at)
{
    char path[TEMP_PATH];
    workdir_path(work, path, name);
    FILE *stream = fopen(path, "r+");
    assert_non_null(stream);
    assert_int_equal(fseek(stream, at, at < 0 ? SEEK_END : SEEK_SET), 0);
    const int byte = getc(stream);
    assert_true(byte != EOF);
    assert_int_equal(fseek(stream, -1, SEEK_CUR), 0);
    putc(byte ^ 16, stream);
    assert_int_equal(fclose(stream), 0);
}

/* What an older program refined; no manifest names it. */
static void write_refined(const struct workdir *work)
{
    char path[TEMP_PATH];
    const struct ws_tensor_entry ids = {"ids", WS_U8, 2, {12, 16}, work->ids, (size_t)12 * 16};
    WORKDIR_OK(ws_tensors_write(workdir_path(work, path, "runs/refined/part-001.safetensors"), &ids, 1, NULL, 0, err));
}

/* The same, with the manifest that says whom it was made for. */
static void write_prepared(const struct workdir *work, const char *run)
{
    char path[TEMP_PATH];
    static const char part[] = "runs/refined/part-001.safetensors";
    struct ws_manifest manifest = {0};
    write_refined(work);
    const struct ws_digest digest = workdir_digest(work, part);
    WORKDIR_OK(ws_manifest_begin(&manifest, ws_stage_find("distill"), "test 1", work->config, run, err));
    assert_true(ws_manifest_output(&manifest, part, &digest, 12));
    assert_true(ws_manifest_fact(&manifest, "prepares", json_string(run)));
    WORKDIR_OK(ws_manifest_finish(&manifest, workdir_path(work, path, "runs/refined/manifest.json"), err));
    ws_manifest_fini(&manifest);
}

static void what_was_prepared_for_a_run_is_known_by_its_manifest(void **state)
{
    struct workdir work;
    char path[TEMP_PATH], hex[WS_IMAGE_ID_HEX], *out = NULL;
    struct ws_err failure = {0};
    workdir_make(&work, *state, 12, 2);
    write_prepared(&work, "kd3");
    expect_state(&work, "distill refined", "done", "");
    assert_int_equal(workdir_run(&work, ws_verify_command, NULL, false, &out, &failure), WS_OK);
    assert_non_null(strstr(out, "ok   runs/refined/part-001.safetensors: SHA-256"));
    assert_non_null(strstr(out, "ok   runs/refined/manifest.json"));
    free(out);
    ws_image_id_hex(&work.ids[3], hex);
    assert_int_equal(workdir_run(&work, ws_explain_command, hex, false, &out, &failure), WS_OK);
    assert_non_null(strstr(out, "  prepared   for kd3: row 3 of runs/refined/part-001.safetensors\n"));
    free(out);
    temp_remove(workdir_path(&work, path, "runs/refined/part-001.safetensors"));
    expect_state(&work, "distill refined", "stale", "an output is gone: runs/refined/part-001.safetensors");
    assert_int_equal(workdir_run(&work, ws_verify_command, NULL, false, &out, &failure), WS_E_DAMAGED);
    free(out);
    workdir_free(&work);
}

/* Of a run that the configuration no longer has, status says nothing. */
static void what_was_prepared_for_no_run_of_today_is_not_listed(void **state)
{
    struct workdir work;
    char *out = NULL;
    struct ws_err failure = {0};
    workdir_make(&work, *state, 12, 2);
    write_prepared(&work, "ce");
    assert_int_equal(workdir_run(&work, ws_status_command, NULL, false, &out, &failure), WS_OK);
    assert_null(strstr(out, "refined"));
    free(out);
    workdir_free(&work);
}

static void verify_finds_damage_in_every_kind_of_file(void **state)
{
    static const struct {
        const char *name, *expected;
        long at;
    } cases[] = {
        {"scores/teacher.safetensors", "scores/teacher.safetensors: the data has SHA-256", -3},
        {"runs/kd/metrics.jsonl", "bad  runs/kd/metrics.jsonl: SHA-256 is", 20},
        {"crawl/webstill-00000.warc.gz", "crawl/webstill-00000.warc.gz", -30},
        {"runs/kd3/manifest.json", "runs/kd3/manifest.json", 0},
        {"runs/kd3/selection/epoch-001.safetensors", "epoch-001.safetensors", -1},
        {"runs/refined/part-001.safetensors", "runs/refined/part-001.safetensors: the data has SHA-256", -3},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct workdir work;
        char folder[TEMP_PATH], name[16], *out = NULL;
        struct ws_err failure = {0};
        snprintf(name, sizeof(name), "w%zu", i);
        temp_join(folder, *state, name);
        workdir_make(&work, folder, 12, 2);
        write_refined(&work);
        damage(&work, cases[i].name, cases[i].at);
        assert_int_equal(workdir_run(&work, ws_verify_command, NULL, false, &out, &failure), WS_E_DAMAGED);
        assert_int_equal(ws_status_exit_code(WS_E_DAMAGED), 14);
        const char *bad = strstr(out, "bad  ");
        if (!bad || !strstr(bad, cases[i].expected))
            fail_msg("%s was damaged; verify says:\n%s", cases[i].name, out);
        free(out);
        workdir_free(&work);
    }
}

static void verify_finds_a_pixel_that_changed_in_the_store(void **state)
{
    struct workdir work;
    struct ws_images *images = NULL;
    struct ws_buf file = {0};
    char path[TEMP_PATH], *out = NULL;
    struct ws_err failure = {0};
    uint8_t pixels[WORKDIR_SIDE * WORKDIR_SIDE];
    workdir_make(&work, *state, 12, 2);
    workdir_path(&work, path, "store");
    WORKDIR_OK(ws_images_open(&images, path, err));
    memcpy(pixels, ws_images_pixels(images, 5), sizeof(pixels));
    ws_images_close(&images);
    workdir_path(&work, path, "store/data.mdb");
    WORKDIR_OK(ws_file_read(path, 1 << 26, &file, err));
    bool is_found = false;
    for (size_t at = 0; !is_found && at + sizeof(pixels) <= file.len; at++) {
        if (memcmp(file.ptr + at, pixels, sizeof(pixels)) == 0) {
            damage(&work, "store/data.mdb", (long)at + 100);
            is_found = true;
        }
    }
    ws_buf_fini(&file);
    assert_true(is_found);
    assert_int_equal(workdir_run(&work, ws_verify_command, NULL, false, &out, &failure), WS_E_DAMAGED);
    assert_non_null(strstr(out, "bad  "));
    free(out);
    workdir_free(&work);
}

static void explain_tells_a_story_from_url_to_student(void **state)
{
    static const char *const parts[] = {"from a PNG of 512x300, inverted",
                                        "http://shop.test/0-0.png",
                                        "http://shop.test/0-1.png",
                                        "licence     CC0",
                                        "crawl/webstill-00000.warc.gz at byte 1000",
                                        "teacher    ",
                                        "kd3        epoch 2 ",
                                        " epochs\n",
                                        "origins    2"};
    struct workdir work;
    char hex[WS_IMAGE_ID_HEX], *out = NULL, *again = NULL;
    struct ws_err failure = {0};
    workdir_make(&work, *state, 12, 2);
    ws_image_id_hex(&work.ids[0], hex);
    if (workdir_run(&work, ws_explain_command, hex, false, &out, &failure) != WS_OK)
        fail_msg("%s", failure.text);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (!strstr(out, parts[i]))
            fail_msg("no \"%s\" in:\n%s", parts[i], out);
    }
    assert_int_equal(workdir_run(&work, ws_explain_command, "http://shop.test/0-1.png", false, &again, &failure),
                     WS_OK);
    assert_string_equal(again, out);
    free(again);
    hex[9] = '\0';
    assert_int_equal(workdir_run(&work, ws_explain_command, hex, false, &again, &failure), WS_OK);
    assert_string_equal(again, out);
    free(again);
    free(out);
    workdir_free(&work);
}

static void explain_gives_json_whose_numbers_are_those_of_the_files(void **state)
{
    struct workdir work;
    char hex[WS_IMAGE_ID_HEX], *out = NULL;
    struct ws_err failure = {0};
    workdir_make(&work, *state, 12, 2);
    ws_image_id_hex(&work.ids[3], hex);
    assert_int_equal(workdir_run(&work, ws_explain_command, hex, true, &out, &failure), WS_OK);
    json_t *story = json_loads(out, 0, NULL);
    const float *row = work.logits + 3 * 3;
    int best = 0;
    double sum = 0;
    for (int c = 0; c < 3; c++) {
        sum += exp((double)row[c]);
        best = row[c] > row[best] ? c : best;
    }
    const json_t *top = json_array_get(json_object_get(story, "teacher"), 0);
    assert_int_equal(json_integer_value(json_object_get(top, "class")), best);
    assert_true(fabs(json_number_value(json_object_get(top, "probability")) - exp((double)row[best]) / sum) < 1e-6);
    const json_t *run = json_array_get(json_object_get(story, "runs"), 0);
    assert_int_equal(json_array_size(json_object_get(run, "epochs")), 2);
    size_t i;
    const json_t *fate;
    json_array_foreach(json_object_get(run, "epochs"), i, fate)
    {
        const double confidence = json_number_value(json_object_get(fate, "confidence"));
        const double threshold = json_number_value(json_object_get(fate, "threshold"));
        const char *reason = json_string_value(json_object_get(fate, "reason"));
        assert_non_null(reason);
        assert_int_equal(json_is_true(json_object_get(fate, "kept")), strcmp(reason, "kept") == 0);
        assert_int_equal(strcmp(reason, "threshold") != 0, confidence > threshold);
        const json_int_t rank = json_integer_value(json_object_get(fate, "rank"));
        const json_int_t of_class = json_integer_value(json_object_get(fate, "of_class"));
        assert_true(rank >= 1 && rank <= of_class && of_class <= 12);
    }
    json_decref(story);
    free(out);
    workdir_free(&work);
}

static void explain_answers_for_what_was_refused_or_failed(void **state)
{
    struct workdir work;
    char *out = NULL;
    struct ws_err failure = {0};
    workdir_make(&work, *state, 12, 2);
    assert_int_equal(workdir_run(&work, ws_explain_command, "http://shop.test/tiny.png", false, &out, &failure), WS_OK);
    assert_non_null(strstr(out, "not stored: too_small: 12x9, at least 16 are asked for"));
    free(out);
    assert_int_equal(workdir_run(&work, ws_explain_command, "http://shop.test/gone.png", false, &out, &failure), WS_OK);
    assert_non_null(strstr(out, "not kept by crawl: 4xx"));
    free(out);
    workdir_free(&work);
}

static void explain_refuses_what_it_does_not_know_with_exit_code_2(void **state)
{
    static const char *const cases[][2] = {
        {"http://shop.test/never.png", "no stage has seen a picture at http://shop.test/never.png"},
        {"nonsense", "neither an image id"},
        {"abc", "neither an image id"},
        {"00000000000000000000000000000000", "no image of 12"}};
    struct workdir work;
    workdir_make(&work, *state, 12, 2);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *out = NULL;
        struct ws_err failure = {0};
        const enum ws_status status = workdir_run(&work, ws_explain_command, cases[i][0], false, &out, &failure);
        assert_int_equal(ws_status_exit_code(status), 2);
        if (!strstr(failure.text, cases[i][1]))
            fail_msg("%s: %s", cases[i][0], failure.text);
        free(out);
    }
    workdir_free(&work);
}

static void explain_names_the_nearest_id(void **state)
{
    struct workdir work;
    char hex[WS_IMAGE_ID_HEX], wrong[WS_IMAGE_ID_HEX], *out = NULL;
    struct ws_err failure = {0};
    workdir_make(&work, *state, 12, 2);
    ws_image_id_hex(&work.ids[6], hex);
    memcpy(wrong, hex, sizeof(hex));
    wrong[31] = wrong[31] == '0' ? '1' : '0';
    assert_int_equal(workdir_run(&work, ws_explain_command, wrong, false, &out, &failure), WS_E_CONFIG);
    assert_non_null(strstr(failure.hint, hex));
    free(out);
    workdir_free(&work);
}

static void inspect_knows_each_of_our_files(void **state)
{
    static const char *const cases[][2] = {
        {"scores/teacher.safetensors", "safetensors, 2 tensors, data SHA-256 "},
        {"teacher/teacher.safetensors", "arch: \"resnet20\""},
        {"crawl/webstill-00000.warc.gz", "response     1\n"},
        {"store", "image store: 12 images of 28x28, 1 channel"},
        {"store/manifest.json", "manifest of stage store"},
        {"runs/kd3/metrics.jsonl", "JSON lines, 42 lines, 0 of them damaged"},
        {"runs/kd3/eval.json", "evaluation\n"},
        {"runs/kd3", "manifest of stage distill"},
    };
    struct workdir work;
    workdir_make(&work, *state, 12, 2);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char path[TEMP_PATH], *out = NULL;
        struct ws_err failure = {0};
        workdir_path(&work, path, cases[i][0]);
        if (workdir_run(&work, ws_inspect_command, path, false, &out, &failure) != WS_OK)
            fail_msg("%s: %s", path, failure.text);
        if (!strstr(out, cases[i][1]))
            fail_msg("no \"%s\" in:\n%s", cases[i][1], out);
        free(out);
    }
    workdir_free(&work);
}

static void inspect_refuses_what_is_not_ours(void **state)
{
    struct workdir work = {0};
    char path[TEMP_PATH], *out = NULL;
    struct ws_err failure = {0};
    snprintf(work.folder, sizeof(work.folder), "%s", (const char *)*state);
    temp_write(workdir_path(&work, path, "letter.txt"), "Dear", 4);
    assert_int_equal(workdir_run(&work, ws_inspect_command, path, false, &out, &failure), WS_E_UNSUPPORTED);
    free(out);
    assert_int_equal(workdir_run(&work, ws_inspect_command, work.folder, false, &out, &failure), WS_E_UNSUPPORTED);
    free(out);
    assert_int_equal(workdir_run(&work, ws_inspect_command, "build/tmp/absent", false, &out, &failure), WS_E_IO);
    free(out);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, temp_setup, temp_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(status_tells_done_from_missing),
        TEST(status_says_why_a_stage_is_stale),
        TEST(status_sees_an_input_that_was_made_anew),
        TEST(status_sees_who_holds_a_lock),
        TEST(status_prints_a_table_for_people),
        TEST(verify_passes_what_is_whole),
        TEST(what_was_prepared_for_a_run_is_known_by_its_manifest),
        TEST(what_was_prepared_for_no_run_of_today_is_not_listed),
        TEST(verify_finds_damage_in_every_kind_of_file),
        TEST(verify_finds_a_pixel_that_changed_in_the_store),
        TEST(explain_tells_a_story_from_url_to_student),
        TEST(explain_gives_json_whose_numbers_are_those_of_the_files),
        TEST(explain_answers_for_what_was_refused_or_failed),
        TEST(explain_refuses_what_it_does_not_know_with_exit_code_2),
        TEST(explain_names_the_nearest_id),
        TEST(inspect_knows_each_of_our_files),
        TEST(inspect_refuses_what_is_not_ours),
    };
    return cmocka_run_group_tests_name("look", tests, NULL, NULL);
}
