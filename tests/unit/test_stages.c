/* The stages teacher, score, curate, distill, eval and export as commands, on a made-up store. */
#include "../../curate/commands.h"
#include "../../store/stage/stages.h"
#include "place.h"

static int64_t modified_ns(const struct place *place, const char *name)
{
    char path[TEMP_PATH];
    struct stat facts;
    assert_int_equal(stat(temp_join(path, place->folder, name), &facts), 0);
    return (int64_t)facts.st_mtim.tv_sec * 1000000000 + facts.st_mtim.tv_nsec;
}

static command_fn *const in_order[] = {ws_teacher_command, ws_score_command, ws_curate_command,
                                       ws_distill_command, ws_eval_command,  ws_export_command};

static void the_stages_run_in_order_and_then_have_nothing_to_do(void **state)
{
    static const char *const made[] = {
        "teacher/teacher.safetensors",  "scores/teacher.safetensors",  "selection/epoch.safetensors",
        "runs/kd3/student.safetensors", "runs/kd3/best.safetensors",   "runs/kd3/selection/epoch-002.safetensors",
        "runs/kd/student.safetensors",  "runs/ce/student.safetensors", "runs/kd3/eval.json",
        "runs/kd3/best-eval.json",      "teacher/eval.json",           "runs/kd3/student.onnx",
        "runs/ce/student.onnx",         "runs/kd3/manifest.json"};
    static const char *const targets[] = {"teacher/manifest.json", "scores/manifest.json", "selection/manifest.json",
                                          "runs/manifest.json",    "eval/manifest.json",   "export/manifest.json"};
    struct place place;
    int64_t before[sizeof made / sizeof *made], targets_before[6];
    make_place(&place, *state, "kd3, kd, ce");
    for (int i = 0; i < 6; i++) {
        must(&place, in_order[i]);
        targets_before[i] = modified_ns(&place, targets[i]);
    }
    for (size_t i = 0; i < sizeof made / sizeof *made; i++)
        before[i] = modified_ns(&place, made[i]);
    for (int i = 0; i < 6; i++)
        must(&place, in_order[i]);
    for (size_t i = 0; i < sizeof made / sizeof *made; i++)
        assert_true(before[i] == modified_ns(&place, made[i]));
    for (int i = 0; i < 6; i++) /* touched, so that make sees them as newer than what they depend on */
        assert_true(modified_ns(&place, targets[i]) > targets_before[i]);
    free_place(&place);
}

static void adding_a_method_trains_that_one_alone(void **state)
{
    struct place place;
    char path[TEMP_PATH];
    make_place(&place, *state, "kd3");
    must(&place, ws_teacher_command);
    must(&place, ws_distill_command);
    const int64_t before = modified_ns(&place, "runs/kd3/student.safetensors");
    set_methods(&place, "methods: [kd3]", "methods: [kd, kd3], kd: {temperature: 2}");
    must(&place, ws_distill_command);
    assert_true(before == modified_ns(&place, "runs/kd3/student.safetensors"));
    assert_true(ws_file_exists(temp_join(path, place.folder, "runs/kd/student.safetensors")));
    free_place(&place);
}

static void a_changed_key_of_a_method_trains_it_anew(void **state)
{
    struct place place;
    make_place(&place, *state, "kd3");
    must(&place, ws_teacher_command);
    must(&place, ws_distill_command);
    const struct ws_digest before = digest_of(&place, "runs/kd3/student.safetensors");
    set_methods(&place, "embedding: 16", "embedding: 8");
    must(&place, ws_distill_command);
    const struct ws_digest after = digest_of(&place, "runs/kd3/student.safetensors");
    assert_memory_not_equal(&before, &after, sizeof before);
    free_place(&place);
}

static const char *input_of(const json_t *manifest, const char *suffix)
{
    size_t i;
    const json_t *input;
    json_array_foreach(json_object_get(manifest, "inputs"), i, input)
    {
        const char *path = json_string_value(json_object_get(input, "path"));
        const size_t len = strlen(path), suffix_len = strlen(suffix);
        if (len >= suffix_len && strcmp(path + len - suffix_len, suffix) == 0)
            return path;
    }
    return NULL;
}

/* Upper bounds: the same methods on the labelled set, held-out images left out as on the web, the store not opened. */
static void students_of_the_teachers_own_data_know_it_as_their_input(void **state)
{
    struct place place;
    char path[TEMP_PATH], store[TEMP_PATH], away[TEMP_PATH];
    make_place(&place, *state, "kd, ce");
    must(&place, ws_teacher_command);
    set_methods(&place, "methods: [kd, ce]", "methods: [kd, ce], data: teacher");
    temp_join(store, place.folder, "store");
    assert_int_equal(rename(store, temp_join(away, place.folder, "away")), 0);
    must(&place, ws_distill_command);
    for (int i = 0; i < 2; i++) {
        json_t *manifest = json_load_file(
            temp_join(path, place.folder, i ? "runs/ce/manifest.json" : "runs/kd/manifest.json"), 0, NULL);
        const json_t *facts = json_object_get(manifest, "facts");
        assert_non_null(input_of(manifest, "/train-images"));
        assert_non_null(input_of(manifest, "/train-labels"));
        assert_non_null(input_of(manifest, "teacher/teacher.safetensors"));
        assert_null(input_of(manifest, "store"));
        assert_string_equal(json_string_value(json_object_get(facts, "data")), "teacher");
        const json_int_t n_pool = json_integer_value(json_object_get(facts, "n_pool"));
        const json_int_t n_held = json_integer_value(json_object_get(facts, "n_held_out"));
        assert_int_equal(n_pool + n_held, N_TRAIN);
        assert_in_range(n_held, N_TRAIN / 10, N_TRAIN * 3 / 10);
        json_decref(manifest);
    }
    assert_int_equal(rename(away, store), 0);
    free_place(&place);
}

static void a_run_goes_stale_when_its_data_are_others(void **state)
{
    struct place place;
    char path[TEMP_PATH];
    make_place(&place, *state, "kd");
    must(&place, ws_teacher_command);
    set_methods(&place, "methods: [kd]", "methods: [kd], data: teacher");
    must(&place, ws_distill_command);
    const struct ws_digest own = digest_of(&place, "runs/kd/student.safetensors");
    const int64_t before = modified_ns(&place, "runs/kd/student.safetensors");
    must(&place, ws_distill_command);
    assert_true(before == modified_ns(&place, "runs/kd/student.safetensors"));
    /* The labelled set has changed under the same name. */
    write_idx(place.folder, "train-images", 7, N_TRAIN, true);
    must(&place, ws_distill_command);
    assert_true(before != modified_ns(&place, "runs/kd/student.safetensors"));
    write_idx(place.folder, "train-images", 0, N_TRAIN, true);
    set_methods(&place, "data: teacher", "data: web");
    must(&place, ws_distill_command);
    const struct ws_digest web = digest_of(&place, "runs/kd/student.safetensors");
    assert_memory_not_equal(&own, &web, sizeof own);
    json_t *manifest = json_load_file(temp_join(path, place.folder, "runs/kd/manifest.json"), 0, NULL);
    assert_null(input_of(manifest, "/train-images"));
    assert_non_null(input_of(manifest, "store"));
    json_decref(manifest);
    free_place(&place);
}

static void data_of_a_teacher_that_has_none_are_asked_for(void **state)
{
    struct place place;
    struct ws_err err;
    make_place(&place, *state, "kd");
    must(&place, ws_teacher_command);
    set_methods(&place, "methods: [kd]", "methods: [kd], data: teacher");
    set_methods(&place, "train-labels", "nowhere");
    assert_int_equal(run_with(&place, ws_distill_command, NULL, 0, &err), WS_E_CONFIG);
    assert_non_null(strstr(err.text, "distill.data: teacher"));
    assert_non_null(strstr(err.text, "teacher.train_labels"));
    assert_non_null(strstr(err.text, "nowhere does not exist"));
    free_place(&place);
}

static void a_stage_without_its_forerunner_names_it(void **state)
{
    static const struct {
        command_fn *command;
        const char *hint;
    } cases[] = {{ws_score_command, "webstill teacher"},
                 {ws_curate_command, "webstill score"},
                 {ws_distill_command, "webstill teacher"},
                 {ws_eval_command, "webstill teacher"},
                 {ws_export_command, "webstill distill"}};
    struct place place;
    make_place(&place, *state, "kd3");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ws_err err;
        assert_int_equal(run_with(&place, cases[i].command, NULL, 0, &err), WS_E_IO);
        if (!strstr(err.hint, cases[i].hint))
            fail_msg("%s (hint: %s)", err.text, err.hint);
    }
    free_place(&place);
}

static void a_missing_labelled_set_says_where_data_comes_from(void **state)
{
    struct place place;
    struct ws_err err;
    make_place(&place, *state, "kd3");
    set_methods(&place, "train-images", "nowhere");
    assert_int_equal(run_with(&place, ws_teacher_command, NULL, 0, &err), WS_E_CONFIG);
    assert_non_null(strstr(err.text, "teacher.train_images"));
    assert_non_null(strstr(err.text, "nowhere does not exist"));
    assert_non_null(strstr(err.hint, "make data"));
    free_place(&place);
}

static void a_renamed_class_is_told_before_anything_is_trained(void **state)
{
    struct place place;
    struct ws_err err;
    make_place(&place, *state, "kd3");
    must(&place, ws_teacher_command);
    set_methods(&place, "two", "zwei");
    assert_int_equal(run_with(&place, ws_distill_command, NULL, 0, &err), WS_E_CONFIG);
    assert_non_null(strstr(err.text, "class 1 is \"two\" in the model and \"zwei\" in the configuration"));
    free_place(&place);
}

/* The key is younger than teachers that there are: their manifests do not name it, and stay current. */
static void the_teachers_method_is_a_row_of_the_table(void **state)
{
    struct place place;
    struct ws_err err;
    char path[TEMP_PATH];
    make_place(&place, *state, "kd");
    must(&place, ws_teacher_command);
    struct ws_buf text = {0};
    assert_int_equal(ws_file_read(temp_join(path, place.folder, "teacher/manifest.json"), 1 << 20, &text, &err), WS_OK);
    assert_null(strstr(text.ptr, "method: ce"));
    ws_buf_fini(&text);
    const int64_t before = modified_ns(&place, "teacher/teacher.safetensors");
    set_methods(&place, "teacher: {", "teacher: {method: ce, ");
    must(&place, ws_teacher_command);
    assert_true(before == modified_ns(&place, "teacher/teacher.safetensors"));
    set_methods(&place, "method: ce, ", "method: kd, ");
    assert_int_equal(run_with(&place, ws_teacher_command, NULL, 0, &err), WS_E_CONFIG);
    assert_non_null(strstr(err.text, "method kd learns from a teacher"));
    set_methods(&place, "method: kd, ", "method: cd, ");
    assert_int_equal(run_with(&place, ws_teacher_command, NULL, 0, &err), WS_E_CONFIG);
    assert_non_null(strstr(err.text, "teacher.method: unknown method \"cd\""));
    free_place(&place);
}

static void a_held_lock_is_respected(void **state)
{
    struct place place;
    struct ws_err err = {0};
    struct ws_lock lock;
    char path[TEMP_PATH];
    make_place(&place, *state, "kd3");
    assert_int_equal(ws_lock_take(&lock, temp_join(path, place.folder, "teacher/lock"), "somebody", &err), WS_OK);
    assert_int_equal(run_with(&place, ws_teacher_command, NULL, 0, &err), WS_E_LOCKED);
    ws_lock_release(&lock);
    must(&place, ws_teacher_command);
    free_place(&place);
}

/* What `webstill status` says of what was prepared for kd3+. */
static void expect_prepared(const struct place *place, enum ws_stage_state state)
{
    struct ws_stage_folder places[WS_STAGES_MAX];
    struct ws_stage_view views[WS_STAGES_MAX];
    int n_found = 0;
    const size_t n = ws_stages_list(place->work.config, place->folder, places, WS_STAGES_MAX);
    WORKDIR_OK(ws_stages_look(places, n, place->folder, place->work.config, views, err));
    for (size_t i = 0; i < n; i++) {
        if (places[i].is_prepared) {
            assert_string_equal(places[i].title, "distill refined");
            assert_string_equal(places[i].run, "kd3+");
            assert_int_equal(views[i].state, state);
            n_found++;
        }
        ws_stage_view_fini(&views[i]);
    }
    assert_int_equal(n_found, 1);
}

/* What is prepared for a training has a folder, a lock and a manifest of its own, and is not made twice. */
static void refining_is_a_step_of_its_own(void **state)
{
    static const char part[] = "runs/refined/part-001.safetensors", manifest_name[] = "runs/refined/manifest.json";
    struct place place;
    struct ws_err err = {0};
    struct ws_lock lock;
    char path[TEMP_PATH];
    make_place(&place, *state, "kd3+");
    must(&place, ws_teacher_command);
    assert_int_equal(ws_lock_take(&lock, temp_join(path, place.folder, "runs/refined/lock"), "somebody", &err), WS_OK);
    assert_int_equal(run_with(&place, ws_distill_command, NULL, 0, &err), WS_E_LOCKED);
    ws_lock_release(&lock);
    must(&place, ws_distill_command);
    json_t *manifest = json_load_file(temp_join(path, place.folder, manifest_name), 0, NULL);
    assert_non_null(input_of(manifest, "teacher/teacher.safetensors"));
    const json_t *outputs = json_object_get(manifest, "outputs");
    assert_int_equal(json_array_size(outputs), 1);
    assert_string_equal(json_string_value(json_object_get(json_array_get(outputs, 0), "path")), part);
    json_decref(manifest);
    const struct ws_digest student = digest_of(&place, "runs/kd3+/student.safetensors"),
                           refined = digest_of(&place, part);
    const int64_t made_ns = modified_ns(&place, part);

    /* Another loss on the same pictures: they are read. */
    expect_prepared(&place, WS_STAGE_DONE);
    set_methods(&place, "refine_steps: 2", "refine_steps: 2, kl_weight: 3");
    must(&place, ws_distill_command);
    expect_prepared(&place, WS_STAGE_DONE);
    assert_int_equal(modified_ns(&place, part), made_ns);
    const struct ws_digest other = digest_of(&place, "runs/kd3+/student.safetensors");
    assert_memory_not_equal(&student, &other, sizeof student);

    /* A part that is damaged is made again, the same. */
    temp_write(temp_join(path, place.folder, part), "gone", 4);
    set_methods(&place, "kl_weight: 3", "kl_weight: 1");
    must(&place, ws_distill_command);
    const struct ws_digest again = digest_of(&place, part);
    assert_memory_equal(&refined, &again, sizeof again);

    /* None are asked for: none are looked for. */
    temp_remove(temp_join(path, place.folder, "runs/refined"));
    set_methods(&place, "refine_steps: 2", "refine_steps: 0");
    must(&place, ws_distill_command);
    assert_false(ws_file_exists(path));
    free_place(&place);
}

static void a_students_scores_can_be_curated_with(void **state)
{
    struct place place;
    struct ws_err err;
    char student[TEMP_PATH], scores[TEMP_PATH];
    make_place(&place, *state, "kd3");
    must(&place, ws_teacher_command);
    must(&place, ws_score_command);
    must(&place, ws_distill_command);
    temp_join(student, place.folder, "runs/kd3/student.safetensors");
    temp_join(scores, place.folder, "scores/kd3.safetensors");
    const struct ws_option_value model[] = {{"model", student}, {NULL, NULL}};
    assert_int_equal(run_with(&place, ws_score_command, model, 0, &err), WS_OK);
    assert_true(ws_file_exists(scores));
    must(&place, ws_curate_command);
    const struct ws_digest alone = digest_of(&place, "selection/epoch.safetensors");
    const struct ws_option_value with[] = {{"student", scores}, {NULL, NULL}};
    KEYS(place.work.config, curate)->epoch = 2;
    assert_int_equal(run_with(&place, ws_curate_command, with, 0, &err), WS_OK);
    const struct ws_digest both = digest_of(&place, "selection/epoch.safetensors");
    assert_memory_not_equal(&alone, &both, sizeof alone);
    free_place(&place);
}

static void a_limit_is_refused_where_it_has_no_meaning(void **state)
{
    struct place place;
    struct ws_err err;
    make_place(&place, *state, "kd3");
    for (int i = 0; i < 6; i++)
        if (in_order[i] != ws_teacher_command && in_order[i] != ws_distill_command)
            assert_int_equal(run_with(&place, in_order[i], NULL, 5, &err), WS_E_CONFIG);
    assert_int_equal(run_with(&place, ws_teacher_command, NULL, 5, &err), WS_E_BUDGET);
    assert_non_null(strstr(err.hint, "again"));
    must(&place, ws_teacher_command);
    free_place(&place);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, temp_setup, temp_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(the_stages_run_in_order_and_then_have_nothing_to_do),
        IN_FOLDER(adding_a_method_trains_that_one_alone),
        IN_FOLDER(a_changed_key_of_a_method_trains_it_anew),
        IN_FOLDER(students_of_the_teachers_own_data_know_it_as_their_input),
        IN_FOLDER(a_run_goes_stale_when_its_data_are_others),
        IN_FOLDER(data_of_a_teacher_that_has_none_are_asked_for),
        IN_FOLDER(a_stage_without_its_forerunner_names_it),
        IN_FOLDER(a_missing_labelled_set_says_where_data_comes_from),
        IN_FOLDER(a_renamed_class_is_told_before_anything_is_trained),
        IN_FOLDER(the_teachers_method_is_a_row_of_the_table),
        IN_FOLDER(a_held_lock_is_respected),
        IN_FOLDER(refining_is_a_step_of_its_own),
        IN_FOLDER(a_students_scores_can_be_curated_with),
        IN_FOLDER(a_limit_is_refused_where_it_has_no_meaning),
    };
    return cmocka_run_group_tests_name("stages", tests, NULL, NULL);
}
