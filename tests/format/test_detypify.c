/*
 * A model that others ship: detypify-service (npm) classifies drawn symbols, 224 x 224 grey, 411 classes, PyTorch's
 * exporter of 2025 with BatchNorm folded and a Loop at its end. It goes through the teacher stage, and the teacher's
 * logits are onnxruntime's. Skipped, with a message, without the package or without onnxruntime.
 */
#include "../../distill/commands.h"
#include "../../distill/learn/predict.h"
#include "../../distill/model/network.h"
#include "../unit/program.h"
#include "../unit/temp.h"

#include "webstill/base/buf.h"
#include "webstill/base/file.h"
#include "webstill/base/rng.h"
#include "webstill/stage/cli.h"
#include "webstill/tensors/file.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/wait.h>

#include <cmocka.h>

#define PACKAGE "build/npm/node_modules/detypify-service/train/"
enum { BATCH = 2, SIDE = 224, CLASSES = 411, NOT_INSTALLED = 77 };

static void check(enum ws_status status, const struct ws_err *err)
{
    if (status != WS_OK)
        fail_msg("%s", err->text);
}

/* The classes are the package's own characters, in its order. */
static struct ws_config *load_config(const char *folder)
{
    char path[TEMP_PATH];
    struct ws_err err = {0};
    struct ws_buf text = {0};
    struct ws_config *config = NULL;
    json_t *symbols = json_load_file(PACKAGE "infer.json", 0, NULL), *names = json_array();
    assert_int_equal(json_array_size(symbols), CLASSES);
    for (size_t i = 0; i < CLASSES; i++) {
        const char *shown = json_string_value(json_object_get(json_array_get(symbols, i), "char"));
        assert_non_null(shown);
        json_t *name = json_sprintf("%zu %s", i, shown);
        json_array_append_new(names, name);
    }
    char *list = json_dumps(names, JSON_COMPACT);
    assert_non_null(list);
    assert_true(ws_buf_addf(&text,
                            "classes: %s\nstore: {size: %d, channels: 1}\n"
                            "teacher: {kind: import, import_path: " PACKAGE "model.onnx, mean: [0], std: [1]}\n",
                            list, SIDE));
    temp_write(temp_join(path, folder, "c.yaml"), text.ptr, text.len);
    check(ws_config_load(&config, test_program(), path, NULL, 0, &err), &err);
    free(list);
    json_decref(names);
    json_decref(symbols);
    ws_buf_fini(&text);
    return config;
}

static void run_teacher(const char *folder)
{
    char path[TEMP_PATH];
    struct ws_err err = {0};
    struct ws_config *config = load_config(folder);
    static const struct ws_option_value none = {NULL, NULL};
    const struct ws_run run = {
        .config = config, .config_path = temp_join(path, folder, "c.yaml"), .work = folder, .options = &none};
    check(ws_teacher_command(&run, &err), &err);
    ws_config_free(&config);
}

static void write_logits(const char *folder)
{
    char path[TEMP_PATH];
    struct ws_err err = {0};
    struct ws_model *model = NULL;
    struct ws_workers *workers = NULL;
    struct ws_predictor predictor = {0};
    check(ws_model_load(&model, temp_join(path, folder, "teacher/teacher.safetensors"), NULL, &err), &err);
    check(ws_workers_open(&workers, 2, &err), &err);
    check(ws_predictor_open(&predictor, model, workers, BATCH, true, &err), &err);
    struct ws_rng rng;
    ws_rng_init(&rng, 6, WS_STREAM_TEST, 0, 0);
    for (size_t i = 0; i < (size_t)BATCH * SIDE * SIDE; i++)
        ws_exec_input(predictor.exec)[i] = (float)ws_rng_uniform(&rng);
    ws_predictor_forward(&predictor, BATCH);
    const struct ws_tensor_entry entries[] = {
        {"input", WS_F32, 4, {BATCH, 1, SIDE, SIDE}, ws_exec_input(predictor.exec), (size_t)BATCH * SIDE * SIDE * 4},
        {"logits",
         WS_F32,
         2,
         {BATCH, CLASSES},
         ws_exec_value(predictor.exec, predictor.model->logits),
         (size_t)BATCH * CLASSES * 4},
    };
    check(ws_tensors_write(temp_join(path, folder, "batch.safetensors"), entries, 2, NULL, 0, &err), &err);
    ws_predictor_close(&predictor);
    ws_workers_close(&workers);
    ws_model_free(&model);
}

static void detypifys_model_teaches_with_onnxruntimes_logits(void **state)
{
    char command[2 * TEMP_PATH];
    if (!ws_file_exists(PACKAGE "model.onnx")) {
        print_message("skipped: no " PACKAGE
                      " (npm install --ignore-scripts --prefix build/npm detypify-service@0.3.0)\n");
        skip();
    }
    run_teacher(*state);
    write_logits(*state);
    snprintf(command, sizeof command,
             "node tests/format/onnx_check.mjs --foreign " PACKAGE "model.onnx %s/batch.safetensors", (char *)*state);
    fflush(NULL);
    const int status = system(command);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == NOT_INSTALLED || WEXITSTATUS(status) == 127)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(detypifys_model_teaches_with_onnxruntimes_logits, temp_setup, temp_teardown),
    };
    return cmocka_run_group_tests_name("detypify", tests, NULL, NULL);
}
