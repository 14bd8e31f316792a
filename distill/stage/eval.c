/* The stage `eval`: the only one that opens the clean test set. */
#include "commands.h"
#include "data/shift.h"
#include "eval_table.h"
#include "keys/distill.h"
#include "keys/teacher.h"
#include "learn/predict.h"
#include "machine.h"
#include "measure/measure.h"

#include "webstill/base/log.h"
#include "webstill/base/mem.h"
#include "webstill/base/path.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { WS_MAX_SHIFTS = 16 };

struct ws_eval_keys {
    char *images, *labels; /**< IDX files of the clean test set, .gz or plain */
    char *folder;          /**< or one folder a class */
    double *shift;         /**< strengths of the random brightness and contrast under which it is measured, too */
    unsigned n_shift;
    uint64_t shift_seed;
    uint32_t batch;
};

static const struct ws_conf_key eval_keys[] = {
    {WS_CONF_TEXT(struct ws_eval_keys, images), .fallback = "", .help = "IDX files, .gz or plain …"},
    {WS_CONF_TEXT(struct ws_eval_keys, labels), .fallback = ""},
    {WS_CONF_TEXT(struct ws_eval_keys, folder), .fallback = "",
     .help = "… or a folder with one folder of images per class."},
    {WS_CONF_NUMBERS(struct ws_eval_keys, shift), .unit = "strength", .min = 0, .max = 10, .excluded = WS_CONF_ABOVE,
     .fallback = "[]", .n_max = WS_MAX_SHIFTS,
     .help = "The test set is measured under random brightness and contrast, too, once for each of these strengths: "
             "each channel of each image is scaled about its mean by exp(strength u) and moved by strength v/2 of "
             "white, u and v uniform in [-1, 1)."},
    {WS_CONF_ULONG(struct ws_eval_keys, shift_seed), .unit = "number", .min = 0, .max = 9007199254740991,
     .fallback = "1", .help = "What u and v are drawn from, besides the image; the same for every strength."},
    {WS_CONF_UINT(struct ws_eval_keys, batch), .unit = "images", .min = 1, .max = 65536, .fallback = "256",
     .help = "Images per forward pass. Does not change any result."},
    {.name = NULL},
};

static enum ws_status check_eval(const void *keys, const char *name, struct ws_err *err)
{
    const struct ws_eval_keys *eval = keys;
    (void)name;
    return ws_keys_check_pair("eval.images", eval->images, "eval.labels", eval->labels, err);
}

const struct ws_conf_section ws_eval_section = {
    .name = "eval",
    .title = "students and teacher on the clean test set, which no other stage opens",
    WS_CONF_KEYS(struct ws_eval_keys, eval_keys),
    .check = check_eval,
};

static const struct ws_eval_keys *keys_of(const struct ws_config *config)
{
    return ws_config_keys(config, &ws_eval_section);
}

/* The test set as it is, or under shift. All-zero is valid. */
struct paper {
    double strength; /* 0: as it is */
    struct ws_dataset data;
    float *teacher_logits; /* [n][n_classes], once the teacher has been asked */
};

/* All-zero is valid. */
struct exam {
    const struct ws_run *run;
    struct ws_job *job;
    struct ws_workers *workers;
    struct paper papers[1 + WS_MAX_SHIFTS]; /* the first is the clean set */
    int n_papers;
    uint32_t *images;
    float *logits;
};

static void close_exam(struct exam *exam)
{
    ws_workers_close(&exam->workers);
    for (int i = 0; i < exam->n_papers; i++) {
        ws_dataset_close(&exam->papers[i].data);
        free(exam->papers[i].teacher_logits);
    }
    free(exam->images);
    free(exam->logits);
}

static bool is_folder_set(const struct ws_config *config)
{
    return keys_of(config)->folder && keys_of(config)->folder[0];
}

static enum ws_status note_folder(struct ws_job *job, const struct ws_config *config, struct ws_err *err)
{
    const char *folder = keys_of(config)->folder;
    struct ws_digest digest;
    enum ws_status status = ws_data_require(folder, "eval.folder", err);
    if (status != WS_OK)
        return status;
    status = ws_dataset_folder_digest(folder, config, &digest, err);
    return status == WS_OK ? ws_job_input(job, folder, &digest, err) : status;
}

static enum ws_status note_test_set(struct ws_job *job, const struct ws_config *config, struct ws_err *err)
{
    const struct ws_eval_keys *keys = keys_of(config);
    if (is_folder_set(config))
        return note_folder(job, config, err);
    enum ws_status status = ws_data_require(keys->images, "eval.images", err);
    if (status != WS_OK)
        return status;
    status = ws_data_require(keys->labels, "eval.labels", err);
    if (status != WS_OK)
        return status;
    status = ws_job_input_file(job, keys->images, err);
    return status == WS_OK ? ws_job_input_file(job, keys->labels, err) : status;
}

/* The teacher, and both students of each run. */
static enum ws_status note_models(struct ws_job *job, const struct ws_runs_keys *runs, struct ws_err *err)
{
    static const char *const files[] = {"student", "best"};
    enum ws_status status = ws_job_input_stage(job, "teacher", NULL, "teacher/teacher.safetensors", NULL, err);
    for (unsigned i = 0; status == WS_OK && i < 2 * runs->n_methods; i++) {
        const char *method = runs->methods[i / 2];
        char output[128];
        snprintf(output, sizeof output, "runs/%.60s/%s.safetensors", method, files[i % 2]);
        status = ws_job_input_stage(job, "distill", method, output, NULL, err);
    }
    return status;
}

static enum ws_status note_inputs(struct ws_job *job, void *self, struct ws_err *err)
{
    const struct ws_config *config = job->run->config;
    (void)self;
    enum ws_status status = note_test_set(job, config, err);
    if (status != WS_OK)
        return status;
    status = ws_job_input_classes(job, config, err);
    return status == WS_OK ? note_models(job, ws_config_runs(config), err) : status;
}

/* The clean set is opened once; what it looks like under shift is made of it in memory. */
static enum ws_status open_papers(struct exam *exam, struct ws_err *err)
{
    const struct ws_config *config = exam->run->config;
    struct ws_dataset *clean = &exam->papers[0].data;
    exam->n_papers = 1;
    const enum ws_status status =
        is_folder_set(config)
            ? ws_dataset_open_folder(clean, keys_of(config)->folder, config, err)
            : ws_dataset_open_idx(clean, keys_of(config)->images, keys_of(config)->labels, (int)config->n_classes, err);
    if (status != WS_OK)
        return status;
    for (unsigned i = 0; i < keys_of(config)->n_shift; i++) {
        struct paper *paper = &exam->papers[exam->n_papers++];
        paper->strength = keys_of(config)->shift[i];
        if (!ws_shift_apply(clean, paper->strength, keys_of(config)->shift_seed, &paper->data))
            return ws_fail(err, WS_E_MEMORY, "out of memory for %zu shifted images", clean->n);
    }
    for (int i = 0; i < exam->n_papers; i++) {
        exam->papers[i].teacher_logits = ws_calloc(clean->n, config->n_classes * sizeof(float));
        if (!exam->papers[i].teacher_logits)
            return ws_fail(err, WS_E_MEMORY, "out of memory for the logits of %zu images", clean->n);
    }
    return WS_OK;
}

static enum ws_status open_exam(struct exam *exam, struct ws_err *err)
{
    enum ws_status status = open_papers(exam, err);
    if (status == WS_OK)
        status = ws_machine_workers_open(&exam->workers, exam->run->config, err);
    if (status != WS_OK)
        return status;
    const size_t n = exam->papers[0].data.n;
    exam->images = ws_calloc(n, sizeof *exam->images);
    exam->logits = ws_calloc(n, exam->run->config->n_classes * sizeof(float));
    if (!exam->images || !exam->logits)
        return ws_fail(err, WS_E_MEMORY, "out of memory for the logits of %zu images", n);
    for (size_t i = 0; i < n; i++)
        exam->images[i] = (uint32_t)i;
    return WS_OK;
}

static enum ws_status ask_model(struct exam *exam, const struct ws_dataset *data, struct ws_model *model,
                                const char *name, float *logits, struct ws_err *err)
{
    struct ws_predictor predictor = {0};
    struct ws_augment augment;
    const struct ws_view view = ws_view_clean(&model->card, &augment);
    enum ws_status status = ws_card_check_classes(&model->card, exam->run->config, err);
    if (status != WS_OK)
        return status;
    status = ws_predictor_check(model, data, "the test set", err);
    if (status != WS_OK)
        return status;
    status = ws_predictor_open(&predictor, model, exam->workers, (int)keys_of(exam->run->config)->batch, true, err);
    if (status != WS_OK)
        return status;
    struct ws_progress progress;
    ws_progress_begin(&progress, name, "images", (int64_t)data->n, 0);
    status = ws_predict(&predictor, data, &view, exam->images, data->n, logits, &progress, err);
    ws_progress_end(&progress, (int64_t)data->n, NULL);
    ws_predictor_close(&predictor);
    return status;
}

/* What stands before the measures in eval.json. */
static json_t *describe(const struct ws_model *model, const char *name, size_t n)
{
    char hex[WS_DIGEST_HEX];
    ws_digest_hex(&model->digest, hex);
    return json_pack("{s:s,s:s,s:s,s:I,s:I,s:I}", "model", name, "arch", model->card.arch, "sha256", hex, "images",
                     (json_int_t)n, "parameters", (json_int_t)ws_net_count_params(model->net), "multiply_adds",
                     (json_int_t)ws_net_count_macs(model->net));
}

static enum ws_status write_result(struct exam *exam, const char *output, json_t *result, struct ws_err *err)
{
    char path[WS_PATH_BYTES];
    char *text = result ? json_dumps(result, JSON_INDENT(1) | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(result);
    enum ws_status status = text ? ws_path_join(path, exam->run->work, err, "%s", output)
                                 : ws_fail(err, WS_E_MEMORY, "out of memory for %s", output);
    if (status == WS_OK)
        status = ws_file_replace(path, text, strlen(text), err);
    free(text);
    return status == WS_OK ? ws_job_output_file(exam->job, output, (int64_t)exam->papers[0].data.n, err) : status;
}

/* Where the figures of paper `i` go: into the result itself, or into its list "shifted". NULL when out of memory. */
static json_t *entry_of(json_t *result, const struct paper *paper, int i)
{
    if (i == 0)
        return result;
    json_t *list = json_object_get(result, "shifted");
    json_t *entry = json_pack("{s:f}", "strength", paper->strength);
    if (!list && json_object_set_new(result, "shifted", list = json_array()) != 0)
        list = NULL;
    return json_array_append_new(list, entry) == 0 ? entry : NULL;
}

/* One model on every paper; *result is what eval.json says. */
static enum ws_status sit_papers(struct exam *exam, struct ws_model *model, const char *name, bool is_teacher,
                                 json_t **result, struct ws_err *err)
{
    *result = describe(model, name, exam->papers[0].data.n);
    enum ws_status status = *result ? WS_OK : ws_fail(err, WS_E_MEMORY, "out of memory for the figures of %s", name);
    for (int i = 0; status == WS_OK && i < exam->n_papers; i++) {
        struct paper *paper = &exam->papers[i];
        float *logits = is_teacher ? paper->teacher_logits : exam->logits;
        json_t *entry = entry_of(*result, paper, i);
        status = entry ? ask_model(exam, &paper->data, model, name, logits, err)
                       : ws_fail(err, WS_E_MEMORY, "out of memory for the shifted figures of %s", name);
        const struct ws_exam_answers answers = {.n = paper->data.n,
                                                .n_classes = model->card.n_classes,
                                                .classes = (const char *const *)model->card.classes,
                                                .logits = logits,
                                                .labels = paper->data.labels,
                                                .groups = paper->data.groups,
                                                .teacher = is_teacher ? NULL : paper->teacher_logits};
        if (status == WS_OK)
            status = ws_measures_take(ws_measures, &answers, i > 0, entry, err);
    }
    return status;
}

/* One model: WORK/MODEL_FILE in, WORK/OUTPUT out. The teacher comes first and gets no teacher to agree with. */
static enum ws_status examine(struct exam *exam, const char *model_file, const char *name, const char *output,
                              bool is_teacher, struct ws_err *err)
{
    char path[WS_PATH_BYTES];
    struct ws_model *model = NULL;
    json_t *result = NULL;
    enum ws_status status = ws_path_join(path, exam->run->work, err, "%s", model_file);
    if (status == WS_OK)
        status = ws_model_load(&model, path, NULL, err);
    if (status == WS_OK)
        status = sit_papers(exam, model, name, is_teacher, &result, err);
    if (status == WS_OK)
        status = write_result(exam, output, result, err);
    else
        json_decref(result);
    ws_model_free(&model);
    if (status != WS_OK)
        ws_err_note(err, "%s", name);
    return status;
}

static enum ws_status examine_all(struct exam *exam, struct ws_err *err)
{
    const struct ws_distill_keys *distill = ws_distill_keys(exam->run->config);
    enum ws_status status = examine(exam, "teacher/teacher.safetensors", "teacher", "teacher/eval.json", true, err);
    for (unsigned i = 0; status == WS_OK && i < distill->runs.n_methods; i++) {
        static const char *const files[][2] = {{"student", "eval.json"}, {"best", "best-eval.json"}};
        for (int k = 0; status == WS_OK && k < 2; k++) {
            char file[128], name[80], output[128];
            snprintf(file, sizeof file, "runs/%.60s/%s.safetensors", distill->runs.methods[i], files[k][0]);
            snprintf(output, sizeof output, "runs/%.60s/%s", distill->runs.methods[i], files[k][1]);
            snprintf(name, sizeof name, "%.60s%s", distill->runs.methods[i], k == 0 ? "" : " best");
            status = examine(exam, file, name, output, false, err);
        }
    }
    return status;
}

static enum ws_status hold_exam(struct ws_job *job, void *self, struct ws_err *err)
{
    struct exam exam = {.run = job->run, .job = job};
    enum ws_status status = ws_job_start(job, err);
    (void)self;
    if (status == WS_OK)
        status = open_exam(&exam, err);
    if (status == WS_OK)
        status = examine_all(&exam, err);
    if (status == WS_OK)
        status = ws_job_finish(job, err);
    close_exam(&exam);
    return status;
}

static enum ws_status tell_plan(struct ws_job *job, void *self, struct ws_err *err)
{
    (void)self;
    (void)err;
    printf("eval: would evaluate the teacher and %u students\n", ws_config_runs(job->run->config)->n_methods);
    return WS_OK;
}

static enum ws_status print_table(struct ws_job *job, void *self, struct ws_err *err)
{
    (void)self;
    return ws_eval_table_print(job->run, stdout, err);
}

enum ws_status ws_eval_command(const struct ws_run *run, struct ws_err *err)
{
    static const struct ws_job_steps steps = {
        .inputs = note_inputs, .plan = tell_plan, .make = hold_exam, .tell = print_table};
    const struct ws_job_setup setup = {.stage = ws_stage_find("eval")};
    const enum ws_status status = ws_run_refuse_limit(run, "eval", err);
    return status == WS_OK ? ws_machine_run(run, setup, &steps, NULL, err) : status;
}
