/* The stage `teacher`: train on labelled images with the students' own loop and the method teacher.method, or import a
 * file. */
#include "keys/teacher.h"
#include "commands.h"
#include "learn/train.h"
#include "method/methods.h"
#include "teacher.h"

#include "webstill/base/log.h"
#include "webstill/base/path.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define TEACHER_FILE "teacher/teacher.safetensors"

const struct ws_option ws_teacher_options[] = {
    {"replay", "FILE", "run the step kept in teacher/nan-step-N.safetensors again and print each node's values"},
    {NULL, NULL, NULL},
};

static enum ws_status note_inputs(struct ws_job *job, void *self, struct ws_err *err)
{
    const struct ws_config *config = job->run->config;
    const struct ws_teacher_keys *teacher = ws_teacher_keys(config);
    (void)self;
    enum ws_status status = ws_job_input_classes(job, config, err);
    if (status != WS_OK)
        return status;
    if (teacher->kind == WS_TEACHER_IMPORT) {
        status = ws_data_require(teacher->import_path, "teacher.import_path", err);
        return status == WS_OK ? ws_job_input_file(job, teacher->import_path, err) : status;
    }
    return ws_teacher_data_input(job, config, err);
}

/* Everything a training needs and somebody must free. All-zero is valid. */
struct schooling {
    const struct ws_run *run;
    struct ws_job *job;
    const struct ws_method *method;
    struct ws_dataset data;
    struct ws_workers *workers;
    uint32_t *train, *held;
    size_t n_train, n_held;
    int32_t *targets;
    struct ws_card card;
};

static void close_schooling(struct schooling *schooling)
{
    ws_dataset_close(&schooling->data);
    ws_workers_close(&schooling->workers);
    free(schooling->train);
    free(schooling->held);
    free(schooling->targets);
    ws_card_fini(&schooling->card);
}

static enum ws_status open_data(struct schooling *schooling, struct ws_err *err)
{
    const struct ws_config *config = schooling->run->config;
    const struct ws_teacher_keys *teacher = ws_teacher_keys(config);
    const enum ws_status status = ws_teacher_data_open(&schooling->data, config, err);
    if (status != WS_OK)
        return status;
    const size_t n = schooling->data.n;
    schooling->train = ws_calloc(n, sizeof *schooling->train);
    schooling->held = ws_calloc(n, sizeof *schooling->held);
    schooling->targets = ws_calloc(n, sizeof *schooling->targets);
    if (!schooling->train || !schooling->held || !schooling->targets)
        return ws_fail(err, WS_E_MEMORY, "out of memory for the order of %zu images", n);
    ws_dataset_split(&schooling->data, teacher->holdout, config->seed, schooling->train, &schooling->n_train,
                     schooling->held, &schooling->n_held);
    for (size_t i = 0; i < schooling->n_held; i++)
        schooling->targets[i] = schooling->data.labels[schooling->held[i]];
    if (schooling->n_train == 0)
        return ws_fail(err, WS_E_CONFIG, "teacher.holdout keeps all %zu images back: none is left to train on", n);
    return WS_OK;
}

static enum ws_status fill_card(struct schooling *schooling, const char *key, struct ws_err *err)
{
    const struct ws_config *config = schooling->run->config;
    struct ws_card *card = &schooling->card;
    if (strlen(ws_teacher_keys(config)->part.arch) >= sizeof card->arch)
        return ws_fail(err, WS_E_CONFIG, "teacher.arch: unknown architecture \"%.60s\"",
                       ws_teacher_keys(config)->part.arch);
    *card = (struct ws_card){.height = schooling->data.height,
                             .width = schooling->data.width,
                             .channels = schooling->data.channels,
                             .seed = config->seed,
                             .accuracy = -1.0};
    snprintf(card->arch, sizeof card->arch, "%s", ws_teacher_keys(config)->part.arch);
    snprintf(card->method, sizeof card->method, "%s", schooling->method->name);
    snprintf(card->config_sha256, sizeof card->config_sha256, "%s", key);
    if (!ws_card_set_classes(card, config))
        return ws_fail(err, WS_E_MEMORY, "out of memory for the class names");
    ws_dataset_statistics(&schooling->data, schooling->train, schooling->n_train, card->mean, card->std);
    for (int c = 0; c < card->channels; c++)
        if (!(card->std[c] > 0.0f))
            return ws_fail(err, WS_E_FORMAT, "channel %d is the same in every pixel of every training image", c);
    return WS_OK;
}

static struct ws_session make_session(const struct schooling *schooling)
{
    const struct ws_config *config = schooling->run->config;
    const struct ws_teacher_keys *teacher = ws_teacher_keys(config);
    struct ws_session session = {
        .config = config,
        .dir = schooling->job->dir,
        .workers = schooling->workers,
        .data = &schooling->data,
        .train = schooling->train,
        .n_train = schooling->n_train,
        .card = schooling->card,
        .optim = &teacher->optim,
        .augment = {.kind = teacher->crop_pad > 0 ? WS_AUGMENT_SHIFT : WS_AUGMENT_NONE,
                    .flip = teacher->flip,
                    .pad = (int)teacher->crop_pad},
        .label_smoothing = teacher->label_smoothing,
        .seed = config->seed,
        .batch = (int)teacher->batch,
        .epochs = teacher->epochs,
    };
    if (teacher->steps > 0) {
        const int64_t per_epoch = ws_sampler_pass_batches(schooling->n_train, session.batch);
        session.epochs = per_epoch > 0 ? (uint32_t)((teacher->steps + per_epoch - 1) / per_epoch) : 1;
    }
    memcpy(session.augment.mean, schooling->card.mean, sizeof session.augment.mean);
    memcpy(session.augment.std, schooling->card.std, sizeof session.augment.std);
    return session;
}

static void note_model(struct ws_job *job, const struct ws_card *card, const struct ws_net *net)
{
    ws_job_fact(job, "arch", json_string(card->arch));
    ws_job_fact(job, "parameters", json_integer(ws_net_count_params(net)));
    ws_job_fact(job, "multiply_adds", json_integer(ws_net_count_macs(net)));
    if (card->accuracy >= 0.0)
        ws_job_fact(job, "accuracy", json_real(card->accuracy));
}

/* The file as it is on disk is what the next stages read: describe that. */
static enum ws_status describe_result(struct ws_job *job, bool is_import, struct ws_err *err)
{
    char path[WS_PATH_BYTES];
    struct ws_model *model = NULL;
    enum ws_status status = ws_path_join(path, job->run->work, err, TEACHER_FILE);
    if (status == WS_OK)
        status = ws_model_load(&model, path, NULL, err);
    if (status != WS_OK)
        return status;
    note_model(job, &model->card, model->net);
    if (is_import)
        ws_teacher_describe_import(job, model);
    status = ws_job_output(job, TEACHER_FILE, &model->digest, model->net->n_params, err);
    if (!is_import)
        ws_log(WS_LOG_INFO, "%s with %" PRId64 " parameters%s", model->card.arch, ws_net_count_params(model->net),
               model->card.accuracy < 0.0 ? "" : ", accuracy on the hold-out in its card");
    ws_model_free(&model);
    return status;
}

static enum ws_status find_method(struct schooling *schooling, struct ws_err *err)
{
    const enum ws_status status =
        ws_method_find(ws_teacher_keys(schooling->run->config)->method, &schooling->method, err);
    if (status != WS_OK)
        ws_err_note(err, "teacher.method");
    return status;
}

static enum ws_status train_teacher(struct schooling *schooling, struct ws_err *err)
{
    const struct ws_config *config = schooling->run->config;
    char key[WS_DIGEST_HEX], path[WS_PATH_BYTES];
    ws_job_key(schooling->job, key);
    enum ws_status status = ws_path_join(path, schooling->run->work, err, TEACHER_FILE);
    if (status == WS_OK)
        status = find_method(schooling, err);
    if (status == WS_OK)
        status = open_data(schooling, err);
    if (status == WS_OK)
        status = fill_card(schooling, key, err);
    if (status == WS_OK)
        status = ws_machine_workers_open(&schooling->workers, config, err);
    if (status != WS_OK)
        return status;
    struct ws_session session = make_session(schooling);
    const struct ws_train_options options = {
        .name = "teacher",
        .steps = ws_teacher_keys(config)->steps,
        .limit = schooling->run->limit,
        .checkpoint_s = ws_teacher_keys(config)->checkpoint_s,
        .key = key,
        .held = schooling->held,
        .n_held = schooling->n_held,
        .targets = schooling->targets,
        .held_name = "accuracy",
        .last_path = path,
        .replay = ws_run_option(schooling->run, "replay", NULL),
        .replay_out = stdout,
    };
    struct ws_train_result result;
    status = ws_train(schooling->method, &session, &options, &result, err);
    if (status != WS_OK || options.replay)
        return status;
    ws_job_fact(schooling->job, "steps", json_integer(result.steps));
    ws_job_fact(schooling->job, "images_seen", json_integer(result.images_seen));
    ws_job_fact(schooling->job, "train_seconds", json_real(result.seconds));
    if (result.held_last >= 0.0)
        ws_log(WS_LOG_INFO, "%" PRId64 " steps in %.0f s; accuracy on %zu held-out images: %.2f %%", result.steps,
               result.seconds, schooling->n_held, 100.0 * result.held_last);
    return WS_OK;
}

static enum ws_status tell_plan(struct ws_job *job, void *self, struct ws_err *err)
{
    const struct ws_teacher_keys *teacher = ws_teacher_keys(job->run->config);
    (void)self;
    (void)err;
    if (teacher->kind == WS_TEACHER_IMPORT)
        printf("teacher: would import %s\n", teacher->import_path);
    else if (teacher->steps > 0)
        printf("teacher: would train %s for %" PRIu32 " steps of %" PRIu32 " images\n", teacher->part.arch,
               teacher->steps, teacher->batch);
    else
        printf("teacher: would train %s for %" PRIu32 " epochs in steps of %" PRIu32 " images\n", teacher->part.arch,
               teacher->epochs, teacher->batch);
    return WS_OK;
}

static enum ws_status import_teacher(struct ws_job *job, struct ws_err *err)
{
    char path[WS_PATH_BYTES];
    const enum ws_status status = ws_path_join(path, job->run->work, err, TEACHER_FILE);
    return status == WS_OK ? ws_teacher_import(job->run->config, path, err) : status;
}

static enum ws_status make_teacher(struct ws_job *job, void *self, struct ws_err *err)
{
    const struct ws_run *run = job->run;
    const bool is_import = ws_teacher_keys(run->config)->kind == WS_TEACHER_IMPORT;
    const bool is_replay = ws_run_option(run, "replay", NULL) != NULL;
    struct schooling schooling = {.run = run, .job = job};
    (void)self;
    if (is_replay && is_import)
        return ws_fail(err, WS_E_CONFIG, "--replay: this teacher is imported, not trained");
    enum ws_status status = is_replay ? WS_OK : ws_job_start(job, err);
    if (status == WS_OK)
        status = is_import ? import_teacher(job, err) : train_teacher(&schooling, err);
    close_schooling(&schooling);
    if (status != WS_OK || is_replay)
        return status;
    status = describe_result(job, is_import, err);
    return status == WS_OK ? ws_job_finish(job, err) : status;
}

enum ws_status ws_teacher_command(const struct ws_run *run, struct ws_err *err)
{
    static const struct ws_job_steps steps = {.inputs = note_inputs, .plan = tell_plan, .make = make_teacher};
    const struct ws_job_setup setup = {.stage = ws_stage_find("teacher")};
    return ws_machine_run(run, setup, &steps, NULL, err);
}
