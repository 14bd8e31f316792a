/* The stage `curate`: KD3's rule on stored predictions, by the same function that the training loop calls. */
#include "commands.h"
#include "scores.h"
#include "stage.h"

#include "webstill/base/file.h"
#include "webstill/base/log.h"
#include "webstill/curate/selection.h"
#include "webstill/stage/table.h"
#include "webstill/tensors/file.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 4096 };

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

static enum ws_status join(char path[PATH_BYTES], const char *work, const char *relative, struct ws_err *err)
{
    if (snprintf(path, PATH_BYTES, "%s/%s", work, relative) >= PATH_BYTES)
        return ws_fail(err, WS_E_CONFIG, "the path of the working directory is too long");
    return WS_OK;
}

static enum ws_status check_match(const struct scores *teacher, const struct scores *student, const char *path,
                                  const struct ws_config *config, struct ws_err *err)
{
    if (teacher->n_classes != (int)config->n_classes)
        return ws_fail(err, WS_E_CONFIG, "the teacher's scores have %d classes, the configuration lists %u",
                       teacher->n_classes, config->n_classes);
    if (!student->file)
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
    const struct ws_conf_curate *curate = &config->curate;
    const double epochs = (double)config->distill.epochs;
    const struct ws_alpha_schedule schedule = {
        .zero_epoch = curate->alpha_zero_share * epochs,
        .horizon = curate->alpha_horizon_share * epochs,
        .steepness = curate->alpha_steepness,
    };
    return has_student ? ws_alpha_at(&schedule, (double)curate->epoch) : 1.0;
}

static enum ws_status apply_rule(struct ws_selection *out, struct ws_arena *arena, const struct scores *teacher,
                                 const struct scores *student, const struct ws_config *config, struct ws_err *err)
{
    const struct ws_conf_curate *curate = &config->curate;
    const struct ws_select_options options = {
        .alpha = alpha_of(config, student->file != NULL), .combine = curate->combine, .p_cutoff = curate->p_cutoff};
    bool is_done;
    if (strcmp(curate->rule, "kd3") == 0)
        is_done = ws_select_kd3(out, arena, teacher->logits, student->logits, teacher->n, teacher->n_classes, &options);
    else if (strcmp(curate->rule, "all") == 0)
        is_done = ws_select_all(out, arena, teacher->logits, student->logits, teacher->n, teacher->n_classes, &options);
    else
        return ws_fail(err, WS_E_CONFIG, "curate.rule: expected kd3 or all, found \"%s\"", curate->rule);
    return is_done ? WS_OK : ws_fail(err, WS_E_MEMORY, "out of memory for a selection among %zu images", teacher->n);
}

/* The store tells what was searched for; the rules beyond KD3's cannot do without it. */
static enum ws_status open_store(struct stage *stage, const char *work, struct ws_err *err)
{
    char folder[PATH_BYTES], data[PATH_BYTES];
    enum ws_status status = join(folder, work, "store", err);
    if (status == WS_OK)
        status = join(data, work, "store/data.mdb", err);
    if (status != WS_OK || (!ws_curation_is_on(&stage->config->curate) && !ws_file_exists(data)))
        return status;
    return ws_images_open(&stage->store, folder, err);
}

static enum ws_status open_curation(struct stage *stage, const struct scores *scores, struct ws_err *err)
{
    const uint8_t **pixels = ws_calloc(scores->n, sizeof *pixels);
    enum ws_status status = pixels ? WS_OK : ws_fail(err, WS_E_MEMORY, "out of memory for %zu images", scores->n);
    for (size_t i = 0; status == WS_OK && i < scores->n; i++) {
        const int64_t at = ws_images_find(stage->store, &scores->ids[i]);
        if (at >= 0) {
            pixels[i] = ws_images_pixels(stage->store, (size_t)at);
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
                                          .height = ws_images_size(stage->store),
                                          .width = ws_images_size(stage->store),
                                          .channels = ws_images_channels(stage->store),
                                          .store = stage->store};
    if (status == WS_OK)
        status = ws_curation_open(&stage->curation, &stage->config->curate, &pool, err);
    free(pixels);
    return status;
}

/* KD3's rule, then those beyond it. */
static enum ws_status select_images(struct stage *stage, const struct scores *teacher, const struct scores *student,
                                    struct ws_err *err)
{
    const struct ws_select_options alone = {.alpha = 1.0};
    enum ws_status status = apply_rule(&stage->found, &stage->arena, teacher, student, stage->config, err);
    if (status == WS_OK &&
        !ws_select_all(&stage->choices, &stage->arena, teacher->logits, NULL, teacher->n, teacher->n_classes, &alone))
        status = ws_fail(err, WS_E_MEMORY, "out of memory for the teacher's choices");
    if (status != WS_OK || !ws_curation_is_on(&stage->config->curate))
        return status;
    status = open_curation(stage, teacher, err);
    if (status != WS_OK)
        return status;
    if (ws_curation_asks_teacher(&stage->config->curate))
        ws_curation_judge(&stage->curation, stage->choices.predicted, stage->choices.confidence);
    ws_curation_apply(&stage->curation, &stage->found);
    return WS_OK;
}

/* A file that cannot be read, or is of other classes or of another mixture of teacher and student, is nothing to
 * compare with. */
static enum ws_status compare_with_previous(struct stage *stage, const char *path, struct ws_err *err)
{
    struct ws_err why = {0};
    if (!ws_file_exists(path))
        return WS_OK;
    if (ws_selection_open(&stage->previous, path, &why) != WS_OK) {
        ws_log(WS_LOG_WARN, "no drift is told: %s", why.text);
        return WS_OK;
    }
    if (stage->previous.n_classes != stage->found.n_classes || stage->previous.n == 0) {
        ws_log(WS_LOG_INFO, "no drift is told: the last selection has %d classes, this one %d",
               stage->previous.n_classes, stage->found.n_classes);
        return WS_OK;
    }
    if (isfinite(stage->previous.alpha) && stage->previous.alpha != stage->found.alpha) {
        ws_log(WS_LOG_INFO, "no drift is told: the last selection gave the teacher the weight %.3f, this one %.3f",
               stage->previous.alpha, stage->found.alpha);
        return WS_OK;
    }
    stage->drift_classes = ws_arena_alloc(&stage->arena, (size_t)stage->found.n_classes, sizeof *stage->drift_classes);
    struct ws_selection *before = ws_arena_alloc(&stage->arena, 1, sizeof *before);
    if (!stage->drift_classes || !before)
        return ws_fail(err, WS_E_MEMORY, "out of memory for the drift of %d classes", stage->found.n_classes);
    const struct ws_selection_file *file = &stage->previous;
    *before = (struct ws_selection){.n = file->n,
                                    .n_classes = file->n_classes,
                                    .keep = (uint8_t *)(uintptr_t)file->keep, /* only read */
                                    .confidence = (float *)(uintptr_t)file->confidence,
                                    .predicted = (int32_t *)(uintptr_t)file->predicted};
    stage->drift = ws_drift_compare(before, &stage->found, stage->drift_classes);
    return WS_OK;
}

/*
 * The last whole selection becomes previous/epoch.safetensors. Only a manifest tells that it was whole: a run that was
 * cut short behind this point finds no manifest and compares with the same one again.
 */
static enum ws_status set_aside(const char *path, const char *previous, const char *manifest_path, struct ws_err *err)
{
    char folder[PATH_BYTES];
    if (!ws_file_exists(path) || !ws_file_exists(manifest_path))
        return WS_OK;
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(previous, '/') - previous), previous);
    const enum ws_status status = ws_dir_make(folder, err);
    if (status == WS_OK && rename(path, previous) != 0)
        return ws_fail_errno(err, "%s", previous);
    return status;
}

static enum ws_status record(struct ws_manifest *manifest, const struct stage *stage, const char *path,
                             struct ws_err *err)
{
    const struct ws_selection *found = &stage->found;
    struct ws_tensors *written = NULL;
    const enum ws_status status = ws_tensors_open(&written, path, err);
    if (status != WS_OK)
        return status;
    bool is_whole =
        ws_manifest_output(manifest, "selection/epoch.safetensors", ws_tensors_digest(written), (int64_t)found->n) &&
        ws_manifest_count(manifest, "images", (int64_t)found->n) &&
        ws_manifest_count(manifest, "kept", found->n_kept_total) &&
        ws_manifest_fact(manifest, "alpha", json_real(found->alpha));
    json_t *kept = json_object();
    for (int c = 0; c < found->n_classes; c++)
        json_object_set_new(kept, stage->config->classes[c].name, json_integer(found->n_kept[c]));
    is_whole = ws_manifest_fact(manifest, "kept_per_class", kept) && is_whole;
    is_whole = stage_note(stage, manifest) && is_whole;
    ws_tensors_close(&written);
    return is_whole ? WS_OK : ws_fail(err, WS_E_MEMORY, "out of memory for the manifest");
}

/* Write the selection beside its manifest, and say what is in it. */
static enum ws_status publish(struct stage *stage, struct ws_manifest *manifest, const char *work,
                              const struct ws_image_id *ids, const char *manifest_path, struct ws_err *err)
{
    const struct ws_conf_curate *rule = &stage->config->curate;
    const struct ws_selection_facts facts = {rule->rule, rule->p_cutoff, rule->epoch};
    char path[PATH_BYTES], previous[PATH_BYTES];
    enum ws_status status = join(path, work, "selection/epoch.safetensors", err);
    if (status == WS_OK)
        status = join(previous, work, "selection/previous/epoch.safetensors", err);
    if (status == WS_OK)
        status = set_aside(path, previous, manifest_path, err);
    if (status == WS_OK && unlink(manifest_path) != 0 && errno != ENOENT)
        status = ws_fail_errno(err, "%s", manifest_path);
    if (status == WS_OK)
        status = compare_with_previous(stage, previous, err);
    if (status == WS_OK)
        status = ws_selection_write(path, ids, &stage->found, &facts, err);
    if (status == WS_OK)
        status = record(manifest, stage, path, err);
    if (status == WS_OK)
        status = ws_manifest_finish(manifest, manifest_path, err);
    return status;
}

static enum ws_status make_selection(const struct ws_run *run, struct ws_manifest *manifest, const char *teacher_path,
                                     const char *student_path, const char *manifest_path, struct ws_err *err)
{
    const char *pool = run->config->distill.pool;
    struct scores teacher = {0}, student = {0};
    struct stage stage = {.config = run->config};
    enum ws_status status = scores_open(&teacher, teacher_path, err);
    if (status == WS_OK && student_path)
        status = scores_open(&student, student_path, err);
    if (status == WS_OK)
        status = check_match(&teacher, &student, student_path, run->config, err);
    if (status == WS_OK && pool[0])
        status = scores_restrict(&teacher, &student, pool, err);
    if (status == WS_OK)
        status = open_store(&stage, run->work, err);
    if (status == WS_OK)
        status = select_images(&stage, &teacher, &student, err);
    if (status == WS_OK)
        status = publish(&stage, manifest, run->work, teacher.ids, manifest_path, err);
    if (status == WS_OK) {
        if (!ws_run_option(run, "explain", NULL))
            stage_print(&stage);
        stage_warn(&stage, teacher.ids);
    }
    ws_curation_close(&stage.curation);
    ws_selection_close(&stage.previous);
    ws_images_close(&stage.store);
    ws_arena_fini(&stage.arena);
    scores_close(&teacher);
    scores_close(&student);
    return status;
}

/* A file outside of the working directory. */
static enum ws_status note_file(struct ws_manifest *manifest, const char *path, struct ws_err *err)
{
    struct ws_digest digest;
    const enum ws_status status = ws_sha256_file(path, &digest, err);
    if (status == WS_OK && !ws_manifest_input(manifest, path, &digest))
        return ws_fail(err, WS_E_MEMORY, "out of memory for the manifest");
    return status;
}

static enum ws_status note_pool(struct ws_manifest *manifest, const char *pool, struct ws_err *err)
{
    if (!ws_file_exists(pool))
        return ws_fail(err, WS_E_CONFIG, "distill.pool: %s does not exist; expected a file with one image id a line",
                       pool);
    return note_file(manifest, pool, err);
}

static enum ws_status note_inputs(struct ws_manifest *manifest, const char *work, const char *student_path,
                                  const char *pool, struct ws_err *err)
{
    char path[PATH_BYTES];
    json_t *scores = NULL;
    struct ws_digest digest;
    enum ws_status status = join(path, work, "scores/manifest.json", err);
    if (status == WS_OK)
        status = ws_manifest_read(path, &scores, err);
    if (status == WS_OK)
        status = ws_manifest_output_digest(scores, "scores/teacher.safetensors", &digest, err);
    json_decref(scores);
    if (status == WS_OK && !ws_manifest_input(manifest, "scores/teacher.safetensors", &digest))
        status = ws_fail(err, WS_E_MEMORY, "out of memory for the manifest");
    if (status == WS_OK && pool[0])
        status = note_pool(manifest, pool, err);
    return status == WS_OK && student_path ? note_file(manifest, student_path, err) : status;
}

/* With the lock held (in a dry run: without). */
static enum ws_status curate(const struct ws_run *run, struct ws_err *err)
{
    const char *student_path = ws_run_option(run, "student", NULL);
    char manifest_path[PATH_BYTES], teacher_path[PATH_BYTES];
    struct ws_manifest manifest = {0};
    enum ws_status status = join(manifest_path, run->work, "selection/manifest.json", err);
    if (status == WS_OK)
        status = join(teacher_path, run->work, "scores/teacher.safetensors", err);
    if (status == WS_OK)
        status = ws_manifest_begin(&manifest, "curate", ws_curate_libraries(), run->config,
                                   ws_stage_find("curate")->sections, err);
    if (status != WS_OK)
        return status;
    status = note_inputs(&manifest, run->work, student_path, run->config->distill.pool, err);
    if (status == WS_OK && ws_manifest_is_current(&manifest, manifest_path, run->work)) {
        ws_log(WS_LOG_INFO, "up to date");
        if (!run->dry_run)
            utimensat(AT_FDCWD, manifest_path, NULL, 0); /* for make; failing costs one more look */
    } else if (status == WS_OK && run->dry_run) {
        printf("curate: would apply rule %s to %s\n", run->config->curate.rule, teacher_path);
    } else if (status == WS_OK) {
        status = make_selection(run, &manifest, teacher_path, student_path, manifest_path, err);
    }
    ws_manifest_fini(&manifest);
    return status;
}

enum ws_status ws_curate_command(const struct ws_run *run, struct ws_err *err)
{
    if (run->limit > 0)
        return ws_fail(err, WS_E_CONFIG,
                       "--limit: `webstill curate` works on the whole pool, as thresholds depend on it");
    struct ws_lock lock = {0};
    char path[PATH_BYTES];
    enum ws_status status = join(path, run->work, "selection/lock", err);
    if (status == WS_OK && !run->dry_run)
        status = ws_lock_take(&lock, path, "webstill-curate", err);
    if (status == WS_OK)
        status = curate(run, err);
    const char *what = ws_run_option(run, "explain", NULL);
    if (status == WS_OK && what && !run->dry_run)
        status = join(path, run->work, "selection/epoch.safetensors", err);
    if (status == WS_OK && what && !run->dry_run)
        status = stage_explain(run->config, path, what, err);
    ws_lock_release(&lock);
    return status;
}
