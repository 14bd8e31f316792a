/* Teachers from a file: what is imported is what was given, teaches, and learns. */
#include "../../distill/learn/predict.h"
#include "../../distill/model/network.h"
#include "place.h"

#include "webstill/nn/exec.h"
#include "webstill/nn/loss.h"
#include "webstill/nn/onnx.h"
#include "webstill/nn/optim.h"

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

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, temp_setup, temp_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(an_imported_teacher_is_the_same_teacher),
        IN_FOLDER(an_onnx_teacher_teaches_without_its_file),
        IN_FOLDER(an_import_says_which_methods_it_cannot_serve),
        IN_FOLDER(a_student_with_normalisation_inside_can_teach),
        IN_FOLDER(an_imported_network_learns_and_keeps_what_it_learnt),
    };
    return cmocka_run_group_tests_name("imported", tests, NULL, NULL);
}
