/* The stage `curate`: KD3's rule on stored predictions, by the same function that the training loop calls. */
#include "commands.h"
#include "curating.h"
#include "scores.h"
#include "webstill/curate/keys.h"

#include "webstill/base/file.h"
#include "webstill/base/log.h"
#include "webstill/curate/select.h"
#include "webstill/stage/job.h"
#include "webstill/tensors/file.h"
#include "webstill/tensors/selection.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCORES_FILE "scores/teacher.safetensors"
#define SELECTION_FILE "selection/epoch.safetensors"

const struct ws_option ws_curate_options[] = {
    {"student", "PATH",
     "scores of a student (scores/NAME.safetensors); without it the teacher decides alone (alpha 1)"},
    {"explain", "WHAT",
     "print, tab-separated, why each image is kept or dropped: of a class, an image id or its beginning, or all"},
    {NULL, NULL, NULL},
};

const char *ws_curate_libraries(void)
{
    return "jansson " JANSSON_VERSION;
}

static enum ws_status check_match(const struct ws_curate_scores *teacher, const struct ws_curate_scores *student,
                                  const char *path, const struct ws_config *config, struct ws_err *err)
{
    if (teacher->n_classes != (int)config->n_classes)
        return ws_fail(err, WS_E_CONFIG, "the teacher's scores have %d classes, the configuration lists %u",
                       teacher->n_classes, config->n_classes);
    if (!student->file.tensors)
        return WS_OK;
    if (student->n != teacher->n || student->n_classes != teacher->n_classes ||
        memcmp(student->ids, teacher->ids, teacher->n * sizeof *teacher->ids) != 0) {
        ws_fail(err, WS_E_CONFIG, "%s: its images or classes are not those of the teacher's scores", path);
        ws_err_hint(err, "score both on the same store: `webstill score CONFIG`, then with --model");
        return WS_E_CONFIG;
    }
    return WS_OK;
}

static double alpha_of(const struct ws_config *config, bool has_student)
{
    const struct ws_curate_keys *curate = ws_curate_keys(config);
    const double epochs = (double)ws_config_runs(config)->epochs;
    const struct ws_alpha_schedule schedule = {
        .zero_epoch = curate->alpha_zero_share * epochs,
        .horizon = curate->alpha_horizon_share * epochs,
        .steepness = curate->alpha_steepness,
    };
    return has_student ? ws_alpha_at(&schedule, (double)curate->epoch) : 1.0;
}

static enum ws_status apply_rule(struct ws_selection *out, struct ws_arena *arena,
                                 const struct ws_curate_scores *teacher, const struct ws_curate_scores *student,
                                 const struct ws_config *config, struct ws_err *err)
{
    const struct ws_curate_keys *curate = ws_curate_keys(config);
    const struct ws_select_options options = {.alpha = alpha_of(config, student->file.tensors != NULL),
                                              .combine = curate->combine,
                                              .p_cutoff = curate->p_cutoff};
    bool is_done;
    if (curate->rule == WS_RULE_KD3)
        is_done = ws_select_kd3(out, arena, teacher->logits, student->logits, teacher->n, teacher->n_classes, &options);
    else
        is_done = ws_select_all(out, arena, teacher->logits, student->logits, teacher->n, teacher->n_classes, &options);
    return is_done ? WS_OK : ws_fail(err, WS_E_MEMORY, "out of memory for a selection among %zu images", teacher->n);
}

/* The store tells what was searched for; the rules beyond KD3's cannot do without it. */
static enum ws_status open_store(struct ws_curating *curating, const char *work, struct ws_err *err)
{
    char folder[WS_PATH_BYTES], data[WS_PATH_BYTES];
    enum ws_status status = ws_path_join(folder, work, err, "store");
    if (status != WS_OK)
        return status;
    status = ws_path_join(data, work, err, "store/data.mdb");
    if (status != WS_OK)
        return status;
    const bool is_needed = ws_curation_is_on(ws_curate_keys(curating->config));
    return is_needed || ws_file_exists(data) ? ws_images_open(&curating->store, folder, err) : WS_OK;
}

static enum ws_status open_curation(struct ws_curating *curating, const struct ws_curate_scores *scores,
                                    struct ws_err *err)
{
    const uint8_t **pixels = ws_calloc(scores->n, sizeof *pixels);
    enum ws_status status = pixels ? WS_OK : ws_fail(err, WS_E_MEMORY, "out of memory for %zu images", scores->n);
    for (size_t i = 0; status == WS_OK && i < scores->n; i++) {
        const int64_t at = ws_images_find(curating->store, &scores->ids[i]);
        if (at >= 0) {
            pixels[i] = ws_images_pixels(curating->store, (size_t)at);
            continue;
        }
        char hex[WS_IMAGE_ID_HEX];
        ws_image_id_hex(&scores->ids[i], hex);
        status = ws_fail(err, WS_E_CONFIG, "image %s has a score, but the store does not hold it", hex);
        ws_err_hint(err, "run `webstill score` on the store as it is now");
    }
    const struct ws_curation_pool pool = {.n = scores->n,
                                          .n_classes = scores->n_classes,
                                          .ids = scores->ids,
                                          .pixels = pixels,
                                          .height = ws_images_size(curating->store),
                                          .width = ws_images_size(curating->store),
                                          .channels = ws_images_channels(curating->store),
                                          .store = curating->store};
    if (status == WS_OK)
        status = ws_curation_open(&curating->curation, ws_curate_keys(curating->config), &pool, err);
    free(pixels);
    return status;
}

/* KD3's rule, then those beyond it. */
static enum ws_status select_images(struct ws_curating *curating, const struct ws_curate_scores *teacher,
                                    const struct ws_curate_scores *student, struct ws_err *err)
{
    const struct ws_select_options alone = {.alpha = 1.0};
    enum ws_status status = apply_rule(&curating->found, &curating->arena, teacher, student, curating->config, err);
    if (status == WS_OK && !ws_select_all(&curating->choices, &curating->arena, teacher->logits, NULL, teacher->n,
                                          teacher->n_classes, &alone))
        status = ws_fail(err, WS_E_MEMORY, "out of memory for the teacher's choices");
    if (status != WS_OK || !ws_curation_is_on(ws_curate_keys(curating->config)))
        return status;
    status = open_curation(curating, teacher, err);
    if (status != WS_OK)
        return status;
    if (ws_curation_asks_teacher(ws_curate_keys(curating->config)))
        ws_curation_judge(&curating->curation, curating->choices.predicted, curating->choices.confidence);
    ws_curation_apply(&curating->curation, &curating->found);
    return WS_OK;
}

/* A file that cannot be read, or is of other classes or of another mixture of teacher and student, is nothing to
 * compare with. */
static enum ws_status compare_with_previous(struct ws_curating *curating, const char *path, struct ws_err *err)
{
    struct ws_err why = {0};
    if (!ws_file_exists(path))
        return WS_OK;
    if (ws_selection_open(&curating->previous, path, &why) != WS_OK) {
        ws_log(WS_LOG_WARN, "no drift is told: %s", why.text);
        return WS_OK;
    }
    if (curating->previous.n_classes != curating->found.n_classes || curating->previous.n == 0) {
        ws_log(WS_LOG_INFO, "no drift is told: the last selection has %d classes, this one %d",
               curating->previous.n_classes, curating->found.n_classes);
        return WS_OK;
    }
    if (isfinite(curating->previous.alpha) && curating->previous.alpha != curating->found.alpha) {
        ws_log(WS_LOG_INFO, "no drift is told: the last selection gave the teacher the weight %.3f, this one %.3f",
               curating->previous.alpha, curating->found.alpha);
        return WS_OK;
    }
    curating->drift_classes =
        ws_arena_alloc(&curating->arena, (size_t)curating->found.n_classes, sizeof *curating->drift_classes);
    struct ws_selection *before = ws_arena_alloc(&curating->arena, 1, sizeof *before);
    if (!curating->drift_classes || !before)
        return ws_fail(err, WS_E_MEMORY, "out of memory for the drift of %d classes", curating->found.n_classes);
    const struct ws_selection_file *file = &curating->previous;
    *before = (struct ws_selection){.n = file->n,
                                    .n_classes = file->n_classes,
                                    .keep = (uint8_t *)(uintptr_t)file->keep, /* only read */
                                    .confidence = (float *)(uintptr_t)file->confidence,
                                    .predicted = (int32_t *)(uintptr_t)file->predicted};
    curating->drift = ws_drift_compare(before, &curating->found, curating->drift_classes);
    return WS_OK;
}

/*
 * The last whole selection becomes previous/epoch.safetensors. Only a manifest tells that it was whole: a run that was
 * cut short behind this point finds no manifest and compares with the same one again.
 */
static enum ws_status set_aside(const struct ws_job *job, const char *path, const char *previous, struct ws_err *err)
{
    char folder[WS_PATH_BYTES];
    if (!ws_file_exists(path) || !ws_file_exists(job->manifest_path))
        return WS_OK;
    enum ws_status status = ws_path_join(folder, job->dir, err, "previous");
    if (status != WS_OK)
        return status;
    status = ws_dir_make(folder, err);
    if (status != WS_OK)
        return status;
    return rename(path, previous) == 0 ? WS_OK : ws_fail_errno(err, "%s", previous);
}

static enum ws_status record(struct ws_job *job, const struct ws_curating *curating, const char *path,
                             struct ws_err *err)
{
    const struct ws_selection *found = &curating->found;
    struct ws_manifest *manifest = &job->manifest;
    struct ws_tensors *written = NULL;
    const enum ws_status status = ws_tensors_open(&written, path, err);
    if (status != WS_OK)
        return status;
    bool is_whole = ws_manifest_output(manifest, SELECTION_FILE, ws_tensors_digest(written), (int64_t)found->n) &&
                    ws_manifest_count(manifest, "images", (int64_t)found->n) &&
                    ws_manifest_count(manifest, "kept", found->n_kept_total) &&
                    ws_manifest_fact(manifest, "alpha", json_real(found->alpha));
    json_t *kept = json_object();
    for (int c = 0; c < found->n_classes; c++)
        json_object_set_new(kept, curating->config->classes[c].name, json_integer(found->n_kept[c]));
    is_whole = ws_manifest_fact(manifest, "kept_per_class", kept) && is_whole;
    is_whole = ws_curate_note(curating, manifest) && is_whole;
    ws_tensors_close(&written);
    return is_whole ? WS_OK : ws_fail(err, WS_E_MEMORY, "out of memory for the manifest");
}

/* The stage begins: the last selection is put aside, and this one compared with it. */
static enum ws_status replace_selection(struct ws_curating *curating, struct ws_job *job, const char *path,
                                        struct ws_err *err)
{
    char previous[WS_PATH_BYTES];
    enum ws_status status = ws_path_join(previous, job->dir, err, "previous/epoch.safetensors");
    if (status != WS_OK)
        return status;
    status = set_aside(job, path, previous, err);
    if (status != WS_OK)
        return status;
    status = ws_job_start(job, err);
    return status == WS_OK ? compare_with_previous(curating, previous, err) : status;
}

/* The last selection aside, this one in its place, and the manifest. */
static enum ws_status publish(struct ws_curating *curating, struct ws_job *job, const struct ws_image_id *ids,
                              struct ws_err *err)
{
    const struct ws_curate_keys *rule = ws_curate_keys(curating->config);
    const struct ws_selection_facts facts = {ws_rule_name(rule->rule), rule->p_cutoff, rule->epoch};
    char path[WS_PATH_BYTES];
    enum ws_status status = ws_path_join(path, job->run->work, err, SELECTION_FILE);
    if (status != WS_OK)
        return status;
    status = replace_selection(curating, job, path, err);
    if (status != WS_OK)
        return status;
    status = ws_selection_write(path, ids, &curating->found, &facts, err);
    if (status != WS_OK)
        return status;
    status = record(job, curating, path, err);
    return status == WS_OK ? ws_job_finish(job, err) : status;
}

/* Whose predictions decide. */
struct judges {
    const char *student_path; /* NULL: the teacher decides alone */
    struct ws_curate_scores teacher, student;
};

static enum ws_status open_judges(struct judges *judges, const struct ws_run *run, struct ws_err *err)
{
    const char *pool = ws_config_runs(run->config)->pool;
    char path[WS_PATH_BYTES];
    enum ws_status status = ws_path_join(path, run->work, err, SCORES_FILE);
    if (status != WS_OK)
        return status;
    status = ws_curate_scores_open(&judges->teacher, path, err);
    if (status == WS_OK && judges->student_path)
        status = ws_curate_scores_open(&judges->student, judges->student_path, err);
    if (status != WS_OK)
        return status;
    status = check_match(&judges->teacher, &judges->student, judges->student_path, run->config, err);
    if (status != WS_OK || !pool[0])
        return status;
    return ws_curate_scores_restrict(&judges->teacher, &judges->student, pool, err);
}

static void close_curating(struct ws_curating *curating)
{
    ws_curation_close(&curating->curation);
    ws_selection_close(&curating->previous);
    ws_images_close(&curating->store);
    ws_arena_fini(&curating->arena);
}

static enum ws_status make_selection(struct ws_job *job, void *self, struct ws_err *err)
{
    struct judges *judges = self;
    struct ws_curating curating = {.config = job->run->config};
    enum ws_status status = open_judges(judges, job->run, err);
    if (status != WS_OK)
        goto close;
    status = open_store(&curating, job->run->work, err);
    if (status != WS_OK)
        goto close;
    status = select_images(&curating, &judges->teacher, &judges->student, err);
    if (status != WS_OK)
        goto close;
    status = publish(&curating, job, judges->teacher.ids, err);
    if (status != WS_OK)
        goto close;
    if (!ws_run_option(job->run, "explain", NULL))
        ws_curate_print(&curating);
    ws_curate_warn(&curating, judges->teacher.ids);
close:
    close_curating(&curating);
    ws_curate_scores_close(&judges->teacher);
    ws_curate_scores_close(&judges->student);
    return status;
}

static enum ws_status note_inputs(struct ws_job *job, void *self, struct ws_err *err)
{
    const struct judges *judges = self;
    const char *pool = ws_config_runs(job->run->config)->pool;
    enum ws_status status = ws_job_input_stage(job, "score", NULL, SCORES_FILE, NULL, err);
    if (status != WS_OK)
        return status;
    if (pool[0] && !ws_file_exists(pool))
        return ws_fail(err, WS_E_CONFIG, "distill.pool: %s does not exist; expected a file with one image id a line",
                       pool);
    if (pool[0])
        status = ws_job_input_file(job, pool, err);
    return status == WS_OK && judges->student_path ? ws_job_input_file(job, judges->student_path, err) : status;
}

static enum ws_status tell_plan(struct ws_job *job, void *self, struct ws_err *err)
{
    (void)self;
    (void)err;
    printf("curate: would apply rule %s to %s/%s\n", ws_rule_name(ws_curate_keys(job->run->config)->rule),
           job->run->work, SCORES_FILE);
    return WS_OK;
}

static enum ws_status explain(struct ws_job *job, void *self, struct ws_err *err)
{
    const char *what = ws_run_option(job->run, "explain", NULL);
    char path[WS_PATH_BYTES];
    (void)self;
    if (!what || job->run->dry_run)
        return WS_OK;
    const enum ws_status status = ws_path_join(path, job->run->work, err, SELECTION_FILE);
    return status == WS_OK ? ws_curate_explain(job->run->config, path, what, err) : status;
}

enum ws_status ws_curate_command(const struct ws_run *run, struct ws_err *err)
{
    static const struct ws_job_steps steps = {
        .inputs = note_inputs, .plan = tell_plan, .make = make_selection, .tell = explain};
    const struct ws_job_setup setup = {
        .stage = ws_stage_find("curate"), .program = "webstill-curate", .libraries = ws_curate_libraries()};
    struct judges judges = {.student_path = ws_run_option(run, "student", NULL)};
    if (run->limit > 0)
        return ws_fail(err, WS_E_CONFIG,
                       "--limit: `webstill curate` works on the whole pool, as thresholds depend on it");
    return ws_job_run(run, &setup, &steps, &judges, err);
}
