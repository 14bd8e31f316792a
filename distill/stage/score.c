/* The stage `score`: logits of one model on every image of the store, in id order, on the clean view. */
#include "commands.h"
#include "learn/predict.h"
#include "machine.h"

#include "webstill/base/clock.h"
#include "webstill/base/log.h"
#include "webstill/base/mem.h"
#include "webstill/base/path.h"
#include "webstill/tensors/scores.h"

#include <stdlib.h>
#include <string.h>

struct ws_score_keys {
    uint32_t batch;
};

static const struct ws_conf_key score_keys[] = {
    {WS_CONF_UINT(struct ws_score_keys, batch), .unit = "images", .min = 1, .max = 65536, .fallback = "256",
     .help = "Images per forward pass. Does not change any score."},
    {.name = NULL},
};

const struct ws_conf_section ws_score_section = {
    .name = "score",
    .title = "store and one model -> scores/*.safetensors",
    WS_CONF_KEYS(struct ws_score_keys, score_keys),
};

static const struct ws_score_keys *keys_of(const struct ws_config *config)
{
    return ws_config_keys(config, &ws_score_section);
}

enum { BATCHES_PER_PIECE = 16, SECONDS_PER_SAVE = 60 };

const struct ws_option ws_score_options[] = {
    {"model", "PATH", "a model of ours to score instead of the teacher, e.g. work/X/runs/kd3/student.safetensors"},
    {NULL, NULL, NULL},
};

/* What is scored, and under which names. */
struct target {
    char model[WS_PATH_BYTES];  /* path of the model */
    char output[WS_PATH_BYTES]; /* relative: "scores/teacher.safetensors" */
    char name[64];
    bool is_teacher;
};

/* "…/runs/kd3/student.safetensors" is called kd3; any other file by its own name. */
static void name_model(const char *path, char name[64])
{
    const char *slash = strrchr(path, '/');
    const char *base = slash ? slash + 1 : path;
    size_t len = strcspn(base, ".");
    if (slash && strncmp(base, "student.", 8) == 0) {
        const char *end = slash;
        while (slash > path && slash[-1] != '/')
            slash--;
        base = slash;
        len = (size_t)(end - slash);
    }
    snprintf(name, 64, "%.*s", len < 60 ? (int)len : 60, base);
}

static enum ws_status choose_target(struct target *target, const struct ws_run *run, struct ws_err *err)
{
    const char *path = ws_run_option(run, "model", NULL);
    target->is_teacher = path == NULL;
    enum ws_status status = WS_OK;
    if (path) {
        name_model(path, target->name);
        if (snprintf(target->model, sizeof target->model, "%s", path) >= (int)sizeof target->model)
            status = ws_fail(err, WS_E_CONFIG, "--model: the path is too long");
        else if (strcmp(target->name, "teacher") == 0 || !target->name[0])
            status = ws_fail(err, WS_E_CONFIG, "--model %s: its scores would overwrite the teacher's; rename it", path);
    } else {
        snprintf(target->name, sizeof target->name, "teacher");
        status = ws_path_join(target->model, run->work, err, "teacher/teacher.safetensors");
    }
    snprintf(target->output, sizeof target->output, "scores/%s.safetensors", target->name);
    return status;
}

static enum ws_status note_inputs(struct ws_job *job, void *self, struct ws_err *err)
{
    const struct target *target = self;
    enum ws_status status = ws_job_input_stage(job, "store", NULL, NULL, NULL, err);
    if (status != WS_OK)
        return status;
    return target->is_teacher ? ws_job_input_stage(job, "teacher", NULL, "teacher/teacher.safetensors", NULL, err)
                              : ws_job_input_file(job, target->model, err);
}

static enum ws_status write_scores(const struct ws_run *run, const struct target *target, const struct ws_model *model,
                                   const struct ws_dataset *data, const float *logits, struct ws_digest *digest,
                                   struct ws_err *err)
{
    char path[WS_PATH_BYTES];
    enum ws_status status = ws_path_join(path, run->work, err, "%s", target->output);
    if (status != WS_OK)
        return status;
    char *card = ws_card_text(&model->card);
    if (!card)
        return ws_fail(err, WS_E_MEMORY, "out of memory for the model card");
    const struct ws_scores_file scores = {
        .n = data->n, .n_classes = model->card.n_classes, .ids = data->ids, .logits = logits};
    const struct ws_scores_facts facts = {&model->digest, card};
    status = ws_scores_write(path, &scores, &facts, digest, err);
    free(card);
    return status;
}

/* Logits so far, so that a killed run of hours does not begin again: scores/NAME.part.safetensors. */
struct partial {
    char path[WS_PATH_BYTES];
    char key[WS_DIGEST_HEX];
    size_t n_done;
    double saved_s;
};

static enum ws_status save_partial(struct partial *partial, const float *logits, int n_classes, struct ws_err *err)
{
    const struct ws_tensor_entry entry = {"logits", WS_F32,
                                          2,        {(int64_t)partial->n_done, n_classes},
                                          logits,   partial->n_done * (size_t)n_classes * sizeof *logits};
    partial->saved_s = ws_clock_mono_s();
    return ws_tensors_write(partial->path, &entry, 1, &(struct ws_metadata){"webstill.key", partial->key}, 1, err);
}

/* What another model, store or configuration left behind, or a damaged file, is simply not used. */
static void load_partial(struct partial *partial, float *logits, size_t n, int n_classes)
{
    struct ws_tensors *file = NULL;
    struct ws_err ignored = {0};
    if (!ws_file_exists(partial->path) || ws_tensors_open(&file, partial->path, &ignored) != WS_OK)
        return;
    const char *key = ws_tensors_metadata(file, "webstill.key");
    const struct ws_tensor_entry *entry = ws_tensors_find(file, "logits");
    if (key && strcmp(key, partial->key) == 0 && entry && entry->dtype == WS_F32 && entry->rank == 2 &&
        entry->shape[1] == n_classes && (size_t)entry->shape[0] <= n) {
        partial->n_done = (size_t)entry->shape[0];
        memcpy(logits, entry->data, entry->size_bytes);
        ws_log(WS_LOG_INFO, "going on behind image %zu of %zu", partial->n_done, n);
    }
    ws_tensors_close(&file);
}

/* In pieces of some batches; each piece ends at a multiple of the batch, so that the pieces do not show. */
static enum ws_status predict_pieces(struct ws_predictor *predictor, const struct ws_dataset *data,
                                     const uint32_t *images, struct partial *partial, const char *name, float *logits,
                                     struct ws_err *err)
{
    struct ws_augment augment;
    const struct ws_view view = ws_view_clean(&predictor->model->card, &augment);
    const int n_classes = predictor->model->card.n_classes;
    const size_t piece = (size_t)predictor->max_batch * BATCHES_PER_PIECE;
    struct ws_progress progress;
    enum ws_status status = WS_OK;
    load_partial(partial, logits, data->n, n_classes);
    partial->saved_s = ws_clock_mono_s();
    ws_progress_begin(&progress, name, "images", (int64_t)data->n, (int64_t)partial->n_done);
    while (status == WS_OK && partial->n_done < data->n) {
        const size_t left = data->n - partial->n_done, n = left < piece ? left : piece;
        status = ws_predict(predictor, data, &view, images + partial->n_done, n,
                            logits + partial->n_done * (size_t)n_classes, NULL, err);
        if (status == WS_OK)
            partial->n_done += n;
        ws_progress_step(&progress, (int64_t)partial->n_done, NULL);
        if (status == WS_E_STOPPED || ws_clock_mono_s() - partial->saved_s > SECONDS_PER_SAVE) {
            const enum ws_status saved = save_partial(partial, logits, n_classes, err);
            status = saved == WS_OK ? status : saved;
        }
    }
    ws_progress_end(&progress, (int64_t)partial->n_done, NULL);
    return status;
}

static enum ws_status predict_store(const struct ws_run *run, const struct ws_job *job, const struct target *target,
                                    struct ws_model *model, const struct ws_dataset *data, struct ws_workers *workers,
                                    float *logits, struct ws_err *err)
{
    struct ws_predictor predictor = {0};
    struct partial partial = {.n_done = 0};
    uint32_t *images = ws_calloc(data->n, sizeof *images);
    if (!images)
        return ws_fail(err, WS_E_MEMORY, "out of memory for the list of %zu images", data->n);
    for (size_t i = 0; i < data->n; i++)
        images[i] = (uint32_t)i;
    ws_job_key(job, partial.key);
    enum ws_status status = ws_path_join(partial.path, run->work, err, "scores/%s.part.safetensors", target->name);
    if (status == WS_OK)
        status = ws_predictor_open(&predictor, model, workers, (int)keys_of(run->config)->batch, true, err);
    if (status == WS_OK)
        status = predict_pieces(&predictor, data, images, &partial, target->name, logits, err);
    ws_predictor_close(&predictor);
    free(images);
    return status;
}

/* How often each class was the first choice: a collapsed model shows here before anybody trains on it. */
static void tell_choices(struct ws_job *job, const struct ws_model *model, const float *logits, size_t n)
{
    const int n_classes = model->card.n_classes;
    int64_t *counts = ws_calloc((size_t)n_classes, sizeof *counts);
    for (size_t i = 0; counts && i < n; i++)
        counts[ws_argmax(logits + i * (size_t)n_classes, n_classes)]++;
    json_t *list = json_object();
    for (int c = 0; counts && c < n_classes; c++) {
        ws_log(WS_LOG_INFO, "%-20s first choice for %lld of %zu", model->card.classes[c], (long long)counts[c], n);
        json_object_set_new(list, model->card.classes[c], json_integer(counts[c]));
    }
    ws_job_fact(job, "first_choice", list);
    free(counts);
}

static void remove_partial(const char *work, const struct target *target)
{
    char path[WS_PATH_BYTES];
    struct ws_err ignored = {0};
    if (ws_path_join(path, work, &ignored, "scores/%s.part.safetensors", target->name) == WS_OK)
        remove(path);
}

/* A model before the store. All-zero is a valid closed one. */
struct scoring {
    struct ws_model *model; /* owned, as all here */
    struct ws_dataset data;
    struct ws_workers *workers;
    float *logits; /* [data.n][n_classes] */
};

static enum ws_status open_scoring(struct scoring *scoring, const struct ws_run *run, const struct target *target,
                                   struct ws_err *err)
{
    char store[WS_PATH_BYTES];
    enum ws_status status = ws_path_join(store, run->work, err, "store");
    if (status != WS_OK)
        return status;
    status = ws_model_load(&scoring->model, target->model, NULL, err);
    if (status != WS_OK)
        return status;
    status = ws_card_check_classes(&scoring->model->card, run->config, err);
    if (status != WS_OK)
        return status;
    status = ws_dataset_open_web(&scoring->data, store, err);
    if (status != WS_OK)
        return status;
    status = ws_predictor_check(scoring->model, &scoring->data, "the store", err);
    if (status != WS_OK)
        return status;
    const size_t n = scoring->data.n;
    scoring->logits = ws_calloc(n, (size_t)scoring->model->card.n_classes * sizeof *scoring->logits);
    if (!scoring->logits)
        return ws_fail(err, WS_E_MEMORY, "out of memory for the logits of %zu images", n);
    return ws_machine_workers_open(&scoring->workers, run->config, err);
}

static void close_scoring(struct scoring *scoring)
{
    ws_workers_close(&scoring->workers);
    free(scoring->logits);
    ws_dataset_close(&scoring->data);
    ws_model_free(&scoring->model);
}

static enum ws_status publish(struct ws_job *job, const struct target *target, const struct scoring *scoring,
                              struct ws_err *err)
{
    struct ws_digest digest;
    const size_t n = scoring->data.n;
    enum ws_status status =
        write_scores(job->run, target, scoring->model, &scoring->data, scoring->logits, &digest, err);
    if (status != WS_OK)
        return status;
    status = ws_job_output(job, target->output, &digest, (int64_t)n, err);
    if (status != WS_OK)
        return status;
    tell_choices(job, scoring->model, scoring->logits, n);
    status = ws_job_finish(job, err);
    remove_partial(job->run->work, target);
    return status;
}

static enum ws_status score_store(const struct ws_run *run, struct ws_job *job, const struct target *target,
                                  struct ws_err *err)
{
    struct scoring scoring = {0};
    enum ws_status status = open_scoring(&scoring, run, target, err);
    if (status == WS_OK)
        status = predict_store(run, job, target, scoring.model, &scoring.data, scoring.workers, scoring.logits, err);
    if (status == WS_OK)
        status = publish(job, target, &scoring, err);
    close_scoring(&scoring);
    return status;
}

static enum ws_status tell_plan(struct ws_job *job, void *self, struct ws_err *err)
{
    const struct target *target = self;
    (void)job;
    (void)err;
    printf("score: would write %s\n", target->output);
    return WS_OK;
}

static enum ws_status make_scores(struct ws_job *job, void *self, struct ws_err *err)
{
    const enum ws_status status = ws_job_start(job, err);
    return status == WS_OK ? score_store(job->run, job, self, err) : status;
}

enum ws_status ws_score_command(const struct ws_run *run, struct ws_err *err)
{
    static const struct ws_job_steps steps = {.inputs = note_inputs, .plan = tell_plan, .make = make_scores};
    struct target target = {.is_teacher = true};
    char file[100];
    enum ws_status status = ws_run_refuse_limit(run, "score", err);
    if (status == WS_OK)
        status = choose_target(&target, run, err);
    if (status != WS_OK)
        return status;
    snprintf(file, sizeof file, "manifest-%s.json", target.name);
    const struct ws_job_setup setup = {
        .stage = ws_stage_find("score"), .file = target.is_teacher ? NULL : file, .title = target.name};
    return ws_machine_run(run, setup, &steps, &target, err);
}
