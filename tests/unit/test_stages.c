/* The stages teacher, score, curate, distill, eval and export as commands, on a made-up store. */
#include "../../curate/commands.h"
#include "../../distill/commands.h"
#include "../../distill/learn/predict.h"
#include "../../distill/model/network.h"
#include "../../store/stage/stages.h"
#include "program.h"
#include "workdir.h"

#include "webstill/nn/exec.h"
#include "webstill/nn/loss.h"
#include "webstill/nn/onnx.h"
#include "webstill/nn/optim.h"
#include "webstill/stage/cli.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

enum { N_WEB = 80, N_TRAIN = 150, N_TEST = 60, SIDE = WORKDIR_SIDE };

/* A working directory with crawl and store done, and everything else still to do. */
struct place {
    struct workdir work;
    char *folder;
};

static void write_idx(const char *folder, const char *name, size_t first, size_t n, bool is_images)
{
    char path[TEMP_PATH];
    static uint8_t bytes[16 + N_TRAIN * SIDE * SIDE];
    const uint8_t head[] = {0, 0, 8, is_images ? 3 : 1, 0, 0, 0, (uint8_t)n, 0, 0, 0, SIDE, 0, 0, 0, SIDE};
    size_t len = is_images ? 16 : 8;
    memcpy(bytes, head, len);
    for (size_t i = first; i < first + n; i++) {
        if (is_images)
            workdir_draw(bytes + len, i, (int)(i % 3));
        else
            bytes[len] = (uint8_t)(i % 3);
        len += is_images ? SIDE * SIDE : 1;
    }
    temp_write(temp_join(path, folder, name), bytes, len);
}

static void make_place(struct place *place, char *folder, const char *methods)
{
    char text[4096], path[TEMP_PATH];
    place->folder = folder;
    place->work = (struct workdir){.n_images = N_WEB};
    write_idx(folder, "train-images", 0, N_TRAIN, true);
    write_idx(folder, "train-labels", 0, N_TRAIN, false);
    write_idx(folder, "test-images", 1000, N_TEST, true);
    write_idx(folder, "test-labels", 1000, N_TEST, false);
    snprintf(
        text, sizeof text,
        "classes: [one, two, three]\nstore: {size: 28, channels: 1}\n"
        "teacher: {train_images: %s/train-images, train_labels: %s/train-labels, arch: resnet8, steps: 30, batch: 16,\n"
        "  holdout: 0.2, lr: 0.1, schedule: onecycle}\n"
        "distill: {methods: [%s], arch: resnet8, epochs: 2, steps_per_epoch: 6, batch: 16, holdout: 0.2,\n"
        "  kd3: {embedding: 16}, kd3_plus: {refine_steps: 2}}\n"
        "curate: {p_cutoff: 0.3}\n"
        "eval: {images: %s/test-images, labels: %s/test-labels}\n",
        folder, folder, methods, folder, folder);
    temp_write(temp_join(path, folder, "c.yaml"), text, strlen(text));
    snprintf(place->work.folder, sizeof place->work.folder, "%s", folder);
    workdir_config(&place->work, folder);
    place->work.ids = calloc(N_WEB, sizeof *place->work.ids);
    for (size_t i = 0; i < N_WEB; i++) {
        const struct ws_digest digest = ws_sha256(&i, sizeof i);
        place->work.ids[i] = ws_image_id_of(&digest);
    }
    qsort(place->work.ids, N_WEB, sizeof *place->work.ids, workdir_compare_ids);
    workdir_store(&place->work);
    workdir_manifest(&place->work, "store", "store", NULL, "store", N_WEB);
}

static void free_place(struct place *place)
{
    ws_config_free(&place->work.config);
    free(place->work.ids);
}

/* Load the configuration again, with the methods changed in the file. */
static void set_methods(struct place *place, const char *from, const char *to)
{
    char path[TEMP_PATH], text[4096], changed[4096];
    temp_join(path, place->folder, "c.yaml");
    FILE *stream = fopen(path, "r");
    const size_t len = fread(text, 1, sizeof text - 1, stream);
    fclose(stream);
    text[len] = '\0';
    char *at = strstr(text, from);
    assert_non_null(at);
    snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    temp_write(path, changed, strlen(changed));
    ws_config_free(&place->work.config);
    WORKDIR_OK(ws_config_load(&place->work.config, test_program(), path, NULL, 0, err));
}

typedef enum ws_status command_fn(const struct ws_run *run, struct ws_err *err);

static enum ws_status run_with(struct place *place, command_fn *command, const struct ws_option_value *options,
                               int64_t limit, struct ws_err *err)
{
    static const struct ws_option_value none = {NULL, NULL};
    const struct ws_run run = {.config = place->work.config,
                               .config_path = place->work.config_path,
                               .work = place->folder,
                               .limit = limit,
                               .options = options ? options : &none};
    *err = (struct ws_err){0};
    return command(&run, err);
}

static void must(struct place *place, command_fn *command)
{
    struct ws_err err;
    if (run_with(place, command, NULL, 0, &err) != WS_OK)
        fail_msg("%s", err.text);
}

static struct ws_digest digest_of(const struct place *place, const char *name)
{
    char path[TEMP_PATH];
    struct ws_digest digest;
    temp_join(path, place->folder, name);
    WORKDIR_OK(ws_sha256_file(path, &digest, err));
    return digest;
}

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

static void an_imported_teacher_is_the_same_teacher(void **state)
{
    struct place place;
    char path[TEMP_PATH], other[TEMP_PATH], change[2 * TEMP_PATH];
    make_place(&place, *state, "kd3");
    must(&place, ws_teacher_command);
    const struct ws_digest trained = digest_of(&place, "teacher/teacher.safetensors");
    temp_join(path, place.folder, "teacher/teacher.safetensors");
    temp_join(other, place.folder, "given.safetensors");
    assert_int_equal(rename(path, other), 0);
    snprintf(change, sizeof change, "teacher: {kind: import, import_path: %s, ", other);
    set_methods(&place, "teacher: {", change);
    must(&place, ws_teacher_command);
    const struct ws_digest imported = digest_of(&place, "teacher/teacher.safetensors");
    assert_memory_equal(&trained, &imported, sizeof trained);
    free_place(&place);
}

/* The trained teacher as our own export writes it, with other facts in the metadata than its card has. */
static void write_onnx(struct place *place, const char *path, bool fold)
{
    char file[TEMP_PATH];
    struct ws_model *model = NULL, *folded = NULL;
    struct ws_buf bytes = {0};
    const struct ws_onnx_option metadata[] = {{"mean", "[0.25]"}, {"std", "[0.5]"}};
    temp_join(file, place->folder, "teacher/teacher.safetensors");
    WORKDIR_OK(ws_model_load(&model, file, NULL, err));
    WORKDIR_OK(ws_model_fold(&folded, model, err));
    const struct ws_model *from = fold ? folded : model;
    const struct ws_onnx_options options = {.opset = 13, .output = from->logits, .metadata = metadata, .n_metadata = 2};
    WORKDIR_OK(ws_onnx_write(from->net, &options, &bytes, err));
    WORKDIR_OK(ws_file_replace(path, bytes.ptr, bytes.len, err));
    ws_buf_fini(&bytes);
    ws_model_free(&folded);
    ws_model_free(&model);
}

/* Train a teacher, write it as ONNX, and import that. */
static void import_onnx(struct place *place, char *folder, bool fold)
{
    char path[TEMP_PATH], change[2 * TEMP_PATH];
    make_place(place, folder, "kd3");
    must(place, ws_teacher_command);
    temp_join(path, place->folder, "given.bin"); /* the content decides, not the name */
    write_onnx(place, path, fold);
    snprintf(change, sizeof change, "teacher: {kind: import, import_path: %s, ", path);
    set_methods(place, "teacher: {", change);
    must(place, ws_teacher_command);
}

static void an_onnx_teacher_teaches_without_its_file(void **state)
{
    struct place place;
    char path[TEMP_PATH];
    struct ws_model *model = NULL;
    import_onnx(&place, *state, false);
    WORKDIR_OK(ws_model_load(&model, temp_join(path, place.folder, "teacher/teacher.safetensors"), NULL, err));
    assert_string_equal(model->card.arch, "onnx");
    assert_true(fabs((double)model->card.mean[0] - 0.25) < 1e-7 && fabs((double)model->card.std[0] - 0.5) < 1e-7);
    ws_model_free(&model);
    assert_int_equal(unlink(temp_join(path, place.folder, "given.bin")), 0);
    must(&place, ws_score_command);
    must(&place, ws_distill_command);
    must(&place, ws_eval_command);
    must(&place, ws_export_command);
    free_place(&place);
}

static void an_import_says_which_methods_it_cannot_serve(void **state)
{
    struct place place;
    char path[TEMP_PATH];
    import_onnx(&place, *state, true);
    json_t *root = json_load_file(temp_join(path, place.folder, "teacher/manifest.json"), 0, NULL);
    char *text = json_dumps(root, JSON_COMPACT);
    assert_non_null(text);
    assert_non_null(strstr(text, "\"methods\":\"kd3+ with refined images\""));
    assert_non_null(strstr(text, "\"methods\":\"dfnd without distill.dfnd.accuracy\""));
    assert_null(strstr(text, "\"methods\":\"kd3\""));
    free(text);
    json_decref(root);
    free_place(&place);
}

/* Logits of a model for one image of bytes, normalised as its card says. */
static void run_pixels(struct place *place, const char *name, float logits[3])
{
    char path[TEMP_PATH];
    struct ws_model *model = NULL;
    struct ws_workers *workers = NULL;
    struct ws_predictor predictor = {0};
    WORKDIR_OK(ws_model_load(&model, temp_join(path, place->folder, name), NULL, err));
    WORKDIR_OK(ws_workers_open(&workers, 2, err));
    WORKDIR_OK(ws_predictor_open(&predictor, model, workers, 1, false, err));
    for (int i = 0; i < SIDE * SIDE; i++)
        ws_exec_input(predictor.exec)[i] = ((float)(i * 37 % 256) / 255.0F - model->card.mean[0]) / model->card.std[0];
    ws_predictor_forward(&predictor, 1);
    memcpy(logits, ws_exec_value(predictor.exec, predictor.model->logits), 3 * sizeof *logits);
    ws_predictor_close(&predictor);
    ws_workers_close(&workers);
    ws_model_free(&model);
}

static void a_student_with_normalisation_inside_can_teach(void **state)
{
    struct place place;
    char path[TEMP_PATH], change[2 * TEMP_PATH];
    float student[3], teacher[3];
    make_place(&place, *state, "kd");
    set_methods(&place, "eval: {", "export: {normalise: true}\neval: {");
    must(&place, ws_teacher_command);
    must(&place, ws_distill_command);
    must(&place, ws_export_command);
    snprintf(change, sizeof change, "teacher: {kind: import, import_path: %s, ",
             temp_join(path, place.folder, "runs/kd/student.onnx"));
    set_methods(&place, "teacher: {", change);
    must(&place, ws_teacher_command);
    run_pixels(&place, "runs/kd/student.safetensors", student);
    run_pixels(&place, "teacher/teacher.safetensors", teacher);
    for (int i = 0; i < 3; i++)
        assert_true(fabs((double)student[i] - (double)teacher[i]) < 1e-4 * (1 + fabs((double)student[i])));
    free_place(&place);
}

/* SGD on random images and labels; the mean loss of the last steps. */
static double train_steps(struct ws_model *model, int n_steps)
{
    enum { BATCH = 8 };
    struct ws_workers *workers = NULL;
    struct ws_exec *exec = NULL;
    struct ws_optim optim = {0};
    const struct ws_optim_options options = {.kind = WS_OPTIM_SGD, .momentum = 0.9};
    const int32_t labels[BATCH] = {0, 1, 2, 0, 1, 2, 0, 1};
    double loss = 0;
    WORKDIR_OK(ws_workers_open(&workers, 2, err));
    const struct ws_exec_options exec_options = {.max_batch = BATCH, .backward = true};
    WORKDIR_OK(ws_exec_open(&exec, model->net, workers, &exec_options, err));
    WORKDIR_OK(ws_optim_init(&optim, model->net, &options, err));
    for (int step = 0; step < n_steps; step++) {
        struct ws_rng rng;
        ws_rng_init(&rng, 5, WS_STREAM_TEST, 0, 0);
        for (int i = 0; i < BATCH * SIDE * SIDE; i++)
            ws_exec_input(exec)[i] = (float)ws_rng_normal(&rng);
        ws_exec_forward(exec, BATCH, WS_BN_TRAIN);
        loss = ws_loss_cross_entropy((struct ws_tap){exec, model->logits}, labels, 0, 1, NULL);
        ws_net_zero_gradients(model->net);
        ws_exec_backward(exec);
        ws_optim_step(&optim, model->net, 0.05);
    }
    ws_optim_fini(&optim);
    ws_exec_close(&exec);
    ws_workers_close(&workers);
    return loss;
}

static void an_imported_network_learns_and_keeps_what_it_learnt(void **state)
{
    struct place place;
    char path[TEMP_PATH], again[TEMP_PATH];
    struct ws_model *model = NULL, *loaded = NULL;
    struct ws_digest imported;
    import_onnx(&place, *state, false);
    WORKDIR_OK(ws_model_load(&model, temp_join(path, place.folder, "teacher/teacher.safetensors"), NULL, err));
    imported = model->digest;
    const double before = train_steps(model, 1), after = train_steps(model, 30);
    assert_true(after < 0.2 * before);
    WORKDIR_OK(ws_model_save(model, temp_join(again, place.folder, "again.safetensors"), err));
    assert_memory_not_equal(&imported, &model->digest, sizeof imported);
    WORKDIR_OK(ws_model_load(&loaded, again, NULL, err));
    assert_memory_equal(loaded->net->values, model->net->values, model->net->n_values * sizeof(float));
    ws_model_free(&loaded);
    ws_model_free(&model);
    free_place(&place);
}

/* Weights grow ninefold a step until they leave the floats: the stage stops, and its replay tells the same. */
static void a_training_that_leaves_the_numbers_can_be_replayed(void **state)
{
    struct place place;
    struct ws_err failure;
    char kept[TEMP_PATH], out[TEMP_PATH];
    struct ws_buf table = {0};
    make_place(&place, *state, "ce");
    set_methods(&place, "steps: 30", "steps: 300");
    set_methods(&place, "lr: 0.1, schedule: onecycle", "lr: 10, weight_decay: 1, schedule: constant");
    assert_int_equal(run_with(&place, ws_teacher_command, NULL, 0, &failure), WS_E_NUMERIC);
    const char *at = strstr(failure.hint, "--replay ");
    assert_non_null(at);
    assert_int_equal(sscanf(at, "--replay %500s", kept), 1);

    temp_join(out, place.folder, "replay.txt");
    const struct ws_option_value options[] = {{"replay", kept}, {NULL, NULL}};
    fflush(stdout);
    const int saved = dup(STDOUT_FILENO);
    assert_non_null(freopen(out, "w", stdout));
    const enum ws_status status = run_with(&place, ws_teacher_command, options, 0, &failure);
    fflush(stdout);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    assert_int_equal(status, WS_OK);
    WORKDIR_OK(ws_file_read(out, 1 << 20, &table, err));
    assert_non_null(strstr(table.ptr, "it began in the student's "));
    assert_non_null(strstr(table.ptr, "conv1"));
    ws_buf_fini(&table);
    free_place(&place);
}

/* With several methods the stage cannot tell whose step it is: the hint's command has to say so. */
static void a_students_lost_step_is_told_with_the_command_that_replays_it(void **state)
{
    struct place place;
    struct ws_err failure;
    char kept[TEMP_PATH], method[32];
    make_place(&place, *state, "ce, kd");
    must(&place, ws_teacher_command);
    set_methods(&place, "epochs: 2, steps_per_epoch: 6, batch: 16,",
                "epochs: 40, steps_per_epoch: 6, batch: 16, lr: 10, weight_decay: 1, schedule: constant,");
    assert_int_equal(run_with(&place, ws_distill_command, NULL, 0, &failure), WS_E_NUMERIC);
    const char *at = strstr(failure.hint, "--method ");
    assert_non_null(at);
    assert_int_equal(sscanf(at, "--method %31s --replay %500s", method, kept), 2);
    assert_string_equal(method, "ce");
    const struct ws_option_value options[] = {{"method", method}, {"replay", kept}, {NULL, NULL}};
    assert_int_equal(run_with(&place, ws_distill_command, options, 0, &failure), WS_OK);
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

static int64_t cpu_ns(void)
{
    struct timespec spent;
    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent), 0);
    return (int64_t)spent.tv_sec * 1000000000 + spent.tv_nsec;
}

/* Run a command in a child that is killed when it has worked for so long; true when it ended by itself, well. */
static bool run_and_kill(struct place *place, command_fn *command, int64_t after_ns)
{
    fflush(NULL);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct ws_err err;
        timer_t timer;
        struct sigevent kill = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL};
        const struct itimerspec when = {
            .it_value = {.tv_sec = (time_t)(after_ns / 1000000000), .tv_nsec = (long)(after_ns % 1000000000)}};
        if (timer_create(CLOCK_PROCESS_CPUTIME_ID, &kill, &timer) != 0 || timer_settime(timer, 0, &when, NULL) != 0)
            _exit(2);
        _exit(run_with(place, command, NULL, 0, &err) == WS_OK ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status)) {
        assert_int_equal(WTERMSIG(status), SIGKILL);
        return false;
    }
    assert_int_equal(WEXITSTATUS(status), 0);
    return true;
}

/*
 * The first place is left alone, the second killed again and again, at ever later instants: parts of what the first has
 * worked, so that they lie as close on a slow machine.
 */
static void killed_at_any_instant_the_bytes_end_up_the_same(void **state)
{
    static const char *const made[] = {"teacher/teacher.safetensors",
                                       "runs/kd3/student.safetensors",
                                       "runs/kd3/best.safetensors",
                                       "runs/ce/student.safetensors",
                                       "runs/kd3/selection/epoch-002.safetensors",
                                       "runs/refined/part-001.safetensors",
                                       "runs/kd3+/student.safetensors"};
    struct place whole, killed;
    char folder[TEMP_PATH];
    (void)state;
    temp_make(folder);
    make_place(&whole, *state, "kd3, ce, kd3+");
    make_place(&killed, folder, "kd3, ce, kd3+");
    KEYS(killed.work.config, teacher)->checkpoint_s = KEYS(killed.work.config, distill)->checkpoint_s = 0;
    static command_fn *const commands[] = {ws_teacher_command, ws_distill_command};
    for (int i = 0; i < 2; i++) {
        const int64_t begin = cpu_ns();
        must(&whole, commands[i]);
        const int64_t step = (cpu_ns() - begin) / 32;
        int n_kills = 0;
        while (!run_and_kill(&killed, commands[i], (n_kills + 1) * step))
            n_kills++;
        assert_true(n_kills >= 3);
    }
    for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
        struct ws_tensors *a, *b;
        char path[TEMP_PATH];
        WORKDIR_OK(ws_tensors_open(&a, temp_join(path, whole.folder, made[i]), err));
        WORKDIR_OK(ws_tensors_open(&b, temp_join(path, killed.folder, made[i]), err));
        /* The two places name their inputs by different paths, so the cards' configuration digests differ. */
        assert_memory_equal(ws_tensors_digest(a), ws_tensors_digest(b), sizeof(struct ws_digest));
        ws_tensors_close(&a);
        ws_tensors_close(&b);
    }
    free_place(&whole);
    free_place(&killed);
    temp_remove(folder);
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
        IN_FOLDER(an_imported_teacher_is_the_same_teacher),
        IN_FOLDER(an_onnx_teacher_teaches_without_its_file),
        IN_FOLDER(an_import_says_which_methods_it_cannot_serve),
        IN_FOLDER(a_student_with_normalisation_inside_can_teach),
        IN_FOLDER(an_imported_network_learns_and_keeps_what_it_learnt),
        IN_FOLDER(a_training_that_leaves_the_numbers_can_be_replayed),
        IN_FOLDER(a_students_lost_step_is_told_with_the_command_that_replays_it),
        IN_FOLDER(a_students_scores_can_be_curated_with),
        IN_FOLDER(killed_at_any_instant_the_bytes_end_up_the_same),
        IN_FOLDER(a_limit_is_refused_where_it_has_no_meaning),
    };
    return cmocka_run_group_tests_name("stages", tests, NULL, NULL);
}
