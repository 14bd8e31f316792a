/* The stage `distill`: train one student per method. */
#include "keys/distill.h"
#include "commands.h"
#include "learn/train.h"
#include "machine.h"
#include "method/methods.h"
#include "teacher.h"
#include "workshop.h"

#include "webstill/base/log.h"
#include "webstill/base/path.h"
#include "webstill/tensors/file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

const struct ws_option ws_distill_options[] = {
    {"method", "NAME", "train with this method alone; default: each of distill.methods"},
    {"replay", "FILE", "run the step kept in a run's nan-step-N.safetensors again and print each node's values"},
    {NULL, NULL, NULL},
};

/* The student's card: the teacher's task, the web images under the teacher's normalisation. */
static enum ws_status fill_card(struct ws_card *card, const struct ws_workshop *shop, const char *method,
                                const char *key, struct ws_err *err)
{
    const struct ws_config *config = shop->run->config;
    if (strlen(ws_config_runs(config)->arch) >= sizeof card->arch)
        return ws_fail(err, WS_E_CONFIG, "distill.arch: unknown architecture \"%.60s\"", ws_config_runs(config)->arch);
    if (!ws_card_copy(card, &shop->teacher->card))
        return ws_fail(err, WS_E_MEMORY, "out of memory for the class names");
    card->head = (struct ws_head){.kind = WS_HEAD_OWN};
    card->accuracy = -1.0;
    card->seed = config->seed;
    snprintf(card->arch, sizeof card->arch, "%s", ws_config_runs(config)->arch);
    snprintf(card->method, sizeof card->method, "%s", method);
    snprintf(card->config_sha256, sizeof card->config_sha256, "%s", key);
    ws_digest_hex(&shop->teacher->digest, card->teacher_sha256);
    return WS_OK;
}

static enum ws_status make_session(struct ws_session *session, struct ws_workshop *shop, const struct ws_job *job,
                                   const char *method, const char *key, struct ws_err *err)
{
    const struct ws_config *config = shop->run->config;
    const struct ws_distill_keys *distill = ws_distill_keys(config);
    *session = (struct ws_session){
        .config = config,
        .dir = job->dir,
        .workers = shop->workers,
        .data = &shop->data,
        .train = shop->train,
        .n_train = shop->n_train,
        .teacher = shop->teacher,
        .teacher_predictor = &shop->predictor,
        .teacher_path = shop->teacher_path,
        .optim = &distill->optim,
        .augment = {.kind = distill->augment,
                    .flip = distill->flip,
                    .pad = (int)distill->crop_pad,
                    .min_area = distill->crop_min_area},
        .seed = config->seed,
        .batch = (int)distill->batch,
        .epochs = distill->runs.epochs,
    };
    enum ws_status status = fill_card(&session->card, shop, method, key, err);
    memcpy(session->augment.mean, shop->teacher->card.mean, sizeof session->augment.mean);
    memcpy(session->augment.std, shop->teacher->card.std, sizeof session->augment.std);
    return status;
}

static enum ws_status note_result(struct ws_job *job, const struct ws_workshop *shop, const char *method,
                                  const struct ws_train_result *result, struct ws_err *err)
{
    char student[128], best[128];
    snprintf(student, sizeof student, "runs/%s/student.safetensors", method);
    snprintf(best, sizeof best, "runs/%s/best.safetensors", method);
    ws_job_fact(job, "method", json_string(method));
    ws_job_fact(job, "arch", json_string(ws_config_runs(shop->run->config)->arch));
    ws_job_fact(job, "data", json_string(ws_distill_keys(shop->run->config)->data == WS_DATA_WEB ? "web" : "teacher"));
    ws_job_fact(job, "steps", json_integer(result->steps));
    ws_job_fact(job, "images_seen", json_integer(result->images_seen));
    ws_job_fact(job, "train_seconds", json_real(result->seconds));
    ws_job_fact(job, "step_seconds", json_real(result->step_seconds));
    ws_job_fact(job, "n_pool", json_integer((json_int_t)shop->n_train));
    ws_job_fact(job, "n_held_out", json_integer((json_int_t)shop->n_held));
    if (result->held_last >= 0.0) {
        ws_job_fact(job, "agreement_last", json_real(result->held_last));
        ws_job_fact(job, "agreement_best", json_real(result->held_best));
        ws_job_fact(job, "best_epoch", json_integer(result->best_epoch));
    }
    enum ws_status status = ws_job_output(job, student, &result->last, result->images_seen, err);
    if (status == WS_OK)
        status = ws_job_output(job, best, &result->best, result->images_seen, err);
    return status == WS_OK ? ws_job_finish(job, err) : status;
}

/* The pool is a list of images outside of the working directory. */
static enum ws_status note_pool(struct ws_job *job, const struct ws_config *config, struct ws_err *err)
{
    const char *pool = ws_config_runs(config)->pool;
    if (!pool[0])
        return WS_OK;
    if (ws_distill_keys(config)->data != WS_DATA_WEB)
        return ws_fail(err, WS_E_CONFIG,
                       "distill.pool lists images of the web, but distill.data asks for the teacher's");
    if (!ws_file_exists(pool))
        return ws_fail(err, WS_E_CONFIG, "distill.pool: %s does not exist; expected a file with one image id a line",
                       pool);
    return ws_job_input_file(job, pool, err);
}

/* What a run is made from; with the teacher's data the store does not matter. */
static enum ws_status note_inputs(struct ws_job *job, void *self, struct ws_err *err)
{
    const struct ws_config *config = job->run->config;
    enum ws_status status = WS_OK;
    (void)self;
    if (ws_distill_keys(config)->data == WS_DATA_WEB) {
        status = ws_job_input_stage(job, "store", NULL, NULL, NULL, err);
    } else {
        status = ws_teacher_data_input(job, config, err);
        if (status != WS_OK)
            ws_err_note(err, "distill.data: teacher");
    }
    if (status == WS_OK)
        status = note_pool(job, config, err);
    return status == WS_OK ? ws_job_input_stage(job, "teacher", NULL, "teacher/teacher.safetensors", NULL, err)
                           : status;
}

/* --- what comes before a training --- */

struct preparing {
    struct ws_workshop *shop;
    const char *method; /* whose run it is, and on whose keys it depends */
};

static enum ws_status note_files(struct ws_job *job, struct ws_err *err)
{
    struct ws_dir_list list;
    enum ws_status status = ws_dir_list_open(&list, job->dir, ".safetensors", err);
    if (status != WS_OK)
        return status;
    for (size_t i = 0; status == WS_OK && i < list.n; i++) {
        char path[WS_PATH_BYTES];
        struct ws_tensors *file = NULL;
        status = ws_path_join(path, job->dir, err, "%s", list.names[i]);
        if (status == WS_OK)
            status = ws_tensors_open(&file, path, err);
        if (status == WS_OK)
            status = ws_job_output(job, path + strlen(job->run->work) + 1, ws_tensors_digest(file),
                                   (int64_t)ws_tensors_at(file, 0)->shape[0], err);
        ws_tensors_close(&file);
    }
    ws_dir_list_close(&list);
    return status;
}

/* status, verify and report find it by these facts. */
static enum ws_status publish_prepared(struct ws_job *job, const struct ws_prepare *step, const char *method,
                                       struct ws_err *err)
{
    ws_job_fact(job, "prepares", json_string(method));
    if (step->what)
        ws_job_fact(job, "what", json_string(step->what));
    const enum ws_status status = note_files(job, err);
    return status == WS_OK ? ws_job_finish(job, err) : status;
}

/* A step's own lock and manifest; what it has made already it only reads. */
static enum ws_status prepare(void *argument, const struct ws_prepare *step, void **made,
                              const struct ws_session *session, struct ws_err *err)
{
    const struct preparing *preparing = argument;
    const struct ws_run *run = preparing->shop->run;
    struct ws_job job = {0};
    char folder[128];
    snprintf(folder, sizeof folder, "runs/%s", step->folder);
    const struct ws_job_setup setup = {
        .stage = ws_stage_find("distill"), .folder = folder, .title = step->name, .method = preparing->method};
    enum ws_status status = ws_machine_open(&job, run, setup, err);
    if (status == WS_OK)
        status = note_inputs(&job, NULL, err);
    if (status != WS_OK)
        goto close;
    const bool is_current = ws_job_is_current(&job);
    if (!is_current)
        status = ws_job_start(&job, err);
    if (status == WS_OK)
        status = step->make(made, session, job.dir, err);
    if (status == WS_OK && !is_current)
        status = publish_prepared(&job, step, preparing->method, err);
close:
    ws_job_close(&job);
    return status;
}

/* Where a run's students go, and what tells its checkpoint apart. */
struct places {
    char key[WS_DIGEST_HEX], last[WS_PATH_BYTES], best[WS_PATH_BYTES];
};

static enum ws_status find_places(struct places *places, const struct ws_job *job, const char *method,
                                  struct ws_err *err)
{
    const char *work = job->run->work;
    ws_job_key(job, places->key);
    const enum ws_status status = ws_path_join(places->last, work, err, "runs/%s/student.safetensors", method);
    return status == WS_OK ? ws_path_join(places->best, work, err, "runs/%s/best.safetensors", method) : status;
}

static enum ws_status train(const struct ws_workshop *shop, const struct ws_method *method, struct ws_session *session,
                            const struct places *places, struct ws_train_result *result, struct ws_err *err)
{
    const struct ws_distill_keys *distill = ws_distill_keys(shop->run->config);
    const struct ws_train_options options = {
        .name = method->name,
        .steps_per_epoch = distill->steps_per_epoch,
        .limit = shop->run->limit,
        .checkpoint_s = distill->checkpoint_s,
        .key = places->key,
        .held = shop->held,
        .n_held = shop->n_held,
        .targets = shop->choices,
        .held_name = "agreement",
        .last_path = places->last,
        .best_path = places->best,
        .replay = ws_run_option(shop->run, "replay", NULL),
        .replay_out = stdout,
    };
    return ws_train(method, session, &options, result, err);
}

/* Before minutes are spent, what can be refused is refused. */
static enum ws_status prepare_and_train(struct ws_workshop *shop, const struct ws_method *method,
                                        struct ws_session *session, const struct places *places,
                                        struct ws_train_result *result, struct ws_err *err)
{
    struct ws_prepared prepared = {0};
    struct preparing preparing = {shop, method->name};
    enum ws_status status = ws_method_check(method, session, err);
    if (status != WS_OK)
        return status;
    status = ws_prepared_open(&prepared, method->prepare, session, prepare, &preparing, err);
    if (status == WS_OK)
        status = train(shop, method, session, places, result, err);
    ws_prepared_close(&prepared);
    return status;
}

static enum ws_status train_student(struct ws_workshop *shop, struct ws_job *job, const struct ws_method *method,
                                    struct ws_err *err)
{
    const bool is_replay = ws_run_option(shop->run, "replay", NULL) != NULL;
    struct places places;
    struct ws_session session = {0};
    struct ws_train_result result;
    enum ws_status status = ws_workshop_open(shop, err);
    if (status != WS_OK)
        return status;
    status = find_places(&places, job, method->name, err);
    if (status != WS_OK)
        return status;
    status = make_session(&session, shop, job, method->name, places.key, err);
    if (status == WS_OK && !is_replay)
        status = ws_job_start(job, err);
    if (status == WS_OK)
        status = prepare_and_train(shop, method, &session, &places, &result, err);
    ws_card_fini(&session.card);
    if (status != WS_OK || is_replay)
        return status;
    ws_log(WS_LOG_INFO,
           "%s: %" PRId64 " steps, %" PRId64 " images in %.0f s; agreement with the teacher on %zu held-out images: "
           "%.1f %% (best %.1f %%, epoch %" PRIu32 ")",
           method->name, result.steps, result.images_seen, result.seconds, shop->n_held, 100.0 * result.held_last,
           100.0 * result.held_best, result.best_epoch);
    return note_result(job, shop, method->name, &result, err);
}

/* One run. */
struct training {
    struct ws_workshop *shop;
    const struct ws_method *method;
};

static enum ws_status tell_plan(struct ws_job *job, void *self, struct ws_err *err)
{
    const struct training *training = self;
    const struct ws_distill_keys *distill = ws_distill_keys(job->run->config);
    (void)err;
    printf("distill: would train %s (%s) with method %s on the %s's images into %s\n", distill->runs.arch,
           training->method->summary, training->method->name, distill->data == WS_DATA_WEB ? "web" : "teacher",
           job->dir);
    return WS_OK;
}

static enum ws_status make_student(struct ws_job *job, void *self, struct ws_err *err)
{
    const struct training *training = self;
    return train_student(training->shop, job, training->method, err);
}

/* One run: its own lock and manifest in runs/METHOD. */
static enum ws_status run_method(struct ws_workshop *shop, const char *name, struct ws_err *err)
{
    static const struct ws_job_steps steps = {.inputs = note_inputs, .plan = tell_plan, .make = make_student};
    struct training training = {.shop = shop};
    char folder[128];
    const enum ws_status status = ws_method_find(name, &training.method, err);
    if (status != WS_OK)
        return status;
    snprintf(folder, sizeof folder, "runs/%s", training.method->name);
    const struct ws_job_setup setup = {.stage = ws_stage_find("distill"),
                                       .folder = folder,
                                       .title = training.method->name,
                                       .method = training.method->name};
    return ws_machine_run(shop->run, setup, &steps, &training, err);
}

/* The students are what the sum of all runs is made from, and what it vouches for. */
static enum ws_status note_runs(struct ws_job *job, void *self, struct ws_err *err)
{
    const struct ws_distill_keys *distill = ws_distill_keys(job->run->config);
    enum ws_status status = WS_OK;
    (void)self;
    for (unsigned i = 0; status == WS_OK && i < distill->runs.n_methods; i++) {
        char output[128];
        struct ws_digest digest;
        snprintf(output, sizeof output, "runs/%.60s/student.safetensors", distill->runs.methods[i]);
        status = ws_job_input_stage(job, "distill", distill->runs.methods[i], output, &digest, err);
        if (status == WS_OK)
            status = ws_job_output(job, output, &digest, 1, err);
    }
    return status;
}

static enum ws_status publish_sum(struct ws_job *job, void *self, struct ws_err *err)
{
    (void)self;
    return ws_job_finish(job, err);
}

/* runs/manifest.json vouches for all runs of the configuration: make's target. */
static enum ws_status sum_up(const struct ws_run *run, struct ws_err *err)
{
    static const struct ws_job_steps steps = {.inputs = note_runs, .make = publish_sum};
    const struct ws_job_setup setup = {.stage = ws_stage_find("distill"), .title = "all runs"};
    return ws_machine_run(run, setup, &steps, NULL, err);
}

static enum ws_status check_methods(const struct ws_config *config, struct ws_err *err)
{
    const struct ws_method *method;
    enum ws_status status = WS_OK;
    for (unsigned i = 0; status == WS_OK && i < ws_config_runs(config)->n_methods; i++)
        status = ws_method_find(ws_config_runs(config)->methods[i], &method, err);
    if (status == WS_OK && ws_config_runs(config)->n_methods == 0)
        status = ws_fail(err, WS_E_CONFIG, "distill.methods: expected at least one method, found none");
    return status;
}

enum ws_status ws_distill_command(const struct ws_run *run, struct ws_err *err)
{
    const struct ws_distill_keys *distill = ws_distill_keys(run->config);
    const char *only = ws_run_option(run, "method", NULL);
    struct ws_workshop shop = {.run = run};
    /* A misspelt third method should not be found out after two trainings. */
    enum ws_status status = check_methods(run->config, err);
    if (status == WS_OK && ws_run_option(run, "replay", NULL) && !only) {
        status = ws_fail(err, WS_E_CONFIG, "--replay needs the run that the step belongs to");
        ws_err_hint(err, "add --method NAME");
    }
    if (status == WS_OK && only)
        status = run_method(&shop, only, err);
    for (unsigned i = 0; status == WS_OK && !only && i < distill->runs.n_methods; i++)
        status = run_method(&shop, distill->runs.methods[i], err);
    ws_workshop_close(&shop);
    if (status == WS_OK && !only && !run->dry_run)
        status = sum_up(run, err);
    return status;
}
