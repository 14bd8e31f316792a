/** Reading what the report is made of. */
#include "data.h"

#include "webstill/base/file.h"
#include "webstill/base/json.h"
#include "webstill/base/log.h"
#include "webstill/base/mem.h"
#include "webstill/base/path.h"
#include "webstill/base/text.h"
#include "webstill/stage/manifest.h"
#include "webstill/tensors/file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/** A file that cannot be read takes its part out of the report, not the report away: the page names it. */
static void note_problem(struct ws_report *report, const char *text)
{
    const size_t used = strlen(report->problems);
    snprintf(report->problems + used, sizeof report->problems - used, "%s%.400s", used > 0 ? "\n" : "", text);
}

static json_t *read_json(struct ws_report *report, const char *relative, bool is_manifest)
{
    char path[WS_PATH_BYTES];
    struct ws_err err = {0};
    json_t *root = NULL;
    enum ws_status status = ws_path_join(path, report->work, &err, "%s", relative);
    if (status == WS_OK && ws_file_exists(path))
        status = is_manifest ? ws_manifest_read(path, &root, &err) : ws_json_read(path, &root, &err);
    if (status != WS_OK)
        note_problem(report, err.text);
    return root;
}

/** Of each stage but the report itself, and of those with runs each run's alone. */
static void load_manifests(struct ws_report *report)
{
    for (size_t i = 0; ws_stage_table[i].name; i++) {
        const struct ws_stage *stage = &ws_stage_table[i];
        char relative[512];
        if (stage->has_runs || strcmp(stage->name, "report") == 0)
            continue;
        snprintf(relative, sizeof relative, "%s/manifest.json", stage->folder);
        report->manifests[i] = read_json(report, relative, true);
    }
}

static json_t *read_card(struct ws_report *report)
{
    char path[WS_PATH_BYTES];
    struct ws_err err = {0};
    struct ws_tensors *tensors = NULL;
    enum ws_status status = ws_path_join(path, report->work, &err, "teacher/teacher.safetensors");
    if (status == WS_OK && !ws_file_exists(path))
        return NULL;
    if (status != WS_OK || ws_tensors_open(&tensors, path, &err) != WS_OK) {
        note_problem(report, err.text);
        return NULL;
    }
    const char *text = ws_tensors_metadata(tensors, "webstill.card");
    json_t *card = text ? json_loads(text, 0, NULL) : NULL;
    ws_tensors_close(&tensors);
    return card;
}

/** One line of metrics; a torn last line of a run in progress is passed over. */
static bool take_line(struct ws_report_run *run, const char *text, size_t len)
{
    json_t *line = json_loadb(text, len, 0, NULL);
    const char *kind = ws_json_text(line, "kind");
    bool is_taken = true;
    if (strcmp(kind, "epoch") == 0) {
        is_taken = json_array_append(run->epochs, line) == 0;
    } else if (strcmp(kind, "step") == 0 && isfinite(ws_json_number(line, "loss"))) {
        run->step_x[run->n_steps] = ws_json_number(line, "step");
        run->step_loss[run->n_steps] = ws_json_number(line, "loss");
        run->n_steps += isfinite(run->step_x[run->n_steps]) ? 1 : 0;
    }
    json_decref(line);
    return is_taken;
}

static enum ws_status read_metrics(struct ws_report *report, struct ws_report_run *run, const char *relative,
                                   struct ws_err *err)
{
    char path[WS_PATH_BYTES];
    struct ws_file_map map = {0};
    run->epochs = json_array();
    if (!run->epochs)
        return ws_fail(err, WS_E_MEMORY, "out of memory for the metrics");
    enum ws_status status = ws_path_join(path, report->work, err, "%s", relative);
    if (status != WS_OK || !ws_file_exists(path))
        return status;
    status = ws_file_map_open(&map, path, err);
    if (status != WS_OK)
        return status;
    struct ws_span rest = map.bytes, line;
    size_t n_lines = 1;
    while (ws_line_next(&rest, &line))
        n_lines++;
    run->step_x = ws_calloc(n_lines, sizeof *run->step_x);
    run->step_loss = ws_calloc(n_lines, sizeof *run->step_loss);
    bool is_whole = run->step_x && run->step_loss;
    rest = map.bytes;
    while (is_whole && ws_line_next(&rest, &line))
        is_whole = take_line(run, (const char *)line.ptr, line.len);
    ws_file_map_close(&map);
    return is_whole ? WS_OK : ws_fail(err, WS_E_MEMORY, "out of memory for %s", relative);
}

static enum ws_status load_run(struct ws_report *report, const char *name, struct ws_err *err)
{
    struct ws_report_run *run = &report->runs[report->n_runs];
    char relative[512];
    run->name = name;
    run->slot = (int)(report->n_runs % WS_SLOTS);
    report->n_runs++;
    snprintf(relative, sizeof relative, "runs/%.200s/manifest.json", name);
    run->manifest = read_json(report, relative, true);
    snprintf(relative, sizeof relative, "runs/%.200s/eval.json", name);
    run->eval = read_json(report, relative, false);
    snprintf(relative, sizeof relative, "runs/%.200s/best-eval.json", name);
    run->best_eval = read_json(report, relative, false);
    snprintf(relative, sizeof relative, "runs/%.200s/metrics.jsonl", name);
    return read_metrics(report, run, relative, err);
}

static void open_selection(struct ws_report *report, struct ws_selection_file *file, const char *path)
{
    struct ws_err err = {0};
    if (ws_selection_open(file, path, &err) != WS_OK)
        note_problem(report, err.text);
}

static enum ws_status open_selection_in(struct ws_report *report, struct ws_selection_file *file, const char *folder,
                                        const char *name, struct ws_err *err)
{
    char path[WS_PATH_BYTES];
    const enum ws_status status = ws_path_join(path, folder, err, "%s", name);
    if (status == WS_OK && ws_file_exists(path))
        open_selection(report, file, path);
    return status;
}

/** First and last epoch that a run has selected, if it has. */
static enum ws_status load_selections_of(struct ws_report *report, const char *run, struct ws_err *err)
{
    char folder[WS_PATH_BYTES];
    struct ws_dir_list list = {0};
    enum ws_status status = ws_path_join(folder, report->work, err, "runs/%.200s/selection", run);
    if (status == WS_OK)
        status = ws_dir_list_open(&list, folder, ".safetensors", err);
    if (status == WS_OK && list.n > 0) {
        report->selection_run = run;
        status = open_selection_in(report, &report->last, folder, list.names[list.n - 1], err);
    }
    if (status == WS_OK && list.n > 1)
        status = open_selection_in(report, &report->first, folder, list.names[0], err);
    ws_dir_list_close(&list);
    return status;
}

/** First and last epoch of the first run that selects, else what `webstill curate` chose. */
static enum ws_status load_selections(struct ws_report *report, struct ws_err *err)
{
    enum ws_status status = WS_OK;
    for (size_t r = 0; status == WS_OK && r < report->n_runs && report->last.n == 0; r++)
        status = load_selections_of(report, report->runs[r].name, err);
    if (status == WS_OK && report->last.n == 0) {
        status = open_selection_in(report, &report->last, report->work, "selection/epoch.safetensors", err);
        if (report->last.n > 0)
            report->selection_run = NULL;
    }
    return status;
}

/** What changed between the epochs of the run whose selection is shown, and what the teacher says alone. */
static void load_changes(struct ws_report *report)
{
    char folder[WS_PATH_BYTES], scores[WS_PATH_BYTES];
    struct ws_err err = {0};
    const char *run = report->selection_run ? report->selection_run : "-";
    if (ws_path_join(folder, report->work, &err, "runs/%.200s/selection", run) != WS_OK ||
        ws_path_join(scores, report->work, &err, "scores/teacher.safetensors") != WS_OK ||
        ws_report_changes_load(&report->changes, folder, scores, &err) != WS_OK)
        note_problem(report, err.text);
}

static void load_images(struct ws_report *report)
{
    char path[WS_PATH_BYTES];
    struct ws_err err = {0};
    if (ws_path_join(path, report->work, &err, "store/data.mdb") != WS_OK) {
        note_problem(report, err.text);
        return;
    }
    if (!ws_file_exists(path))
        return;
    path[strlen(path) - strlen("/data.mdb")] = '\0';
    if (ws_images_open(&report->images, path, &err) != WS_OK)
        note_problem(report, err.text);
}

/** True when the part holds pictures in the shape of the store's. */
static bool is_ours(const struct ws_report *report, const struct ws_tensor_entry *ids,
                    const struct ws_tensor_entry *pixels)
{
    const int64_t side = ws_images_size(report->images), channels = ws_images_channels(report->images);
    return ids && pixels && ids->dtype == WS_U8 && ids->rank == 2 && ids->shape[0] > 0 && ids->shape[1] == 16 &&
           pixels->dtype == WS_U8 && pixels->rank == 4 && pixels->shape[0] == ids->shape[0] &&
           pixels->shape[1] == side && pixels->shape[2] == side && pixels->shape[3] == channels;
}

/** The first part of the pictures in `folder`, when there are some; false without. */
static bool find_part(const struct ws_report *report, const char *folder, char path[WS_PATH_BYTES])
{
    return ws_path_join(path, report->work, NULL, "%s/part-001.safetensors", folder) == WS_OK && ws_file_exists(path);
}

/** Where pictures were made for a run of the configuration: by its manifest, or where older programs left them. */
static bool find_prepared(struct ws_report *report, char path[WS_PATH_BYTES])
{
    struct ws_stage_folder places[WS_STAGES_MAX];
    const size_t n = ws_stages_list(report->config, report->work, places, WS_STAGES_MAX);
    for (size_t i = 0; i < n; i++) {
        if (!places[i].is_prepared || !find_part(report, places[i].folder, path))
            continue;
        report->prepared_for = places[i].run;
        report->prepared_manifest = read_json(report, places[i].manifest, true);
        return true;
    }
    if (ws_path_join(path, report->work, NULL, "runs/refined/manifest.json") == WS_OK && ws_file_exists(path))
        return false; /* for a run that the configuration has no more */
    return find_part(report, "runs/refined", path);
}

/** The pool as a run shows it to its student, when pictures were made for it and the page shows any. */
static void load_prepared(struct ws_report *report)
{
    char path[WS_PATH_BYTES];
    struct ws_tensors *part = NULL;
    struct ws_err err = {0};
    if (!report->images || ws_report_keys(report->config)->contact == 0 || !find_prepared(report, path))
        return;
    if (ws_tensors_open(&part, path, &err) != WS_OK) {
        ws_log(WS_LOG_WARN, "the page shows no refined pictures: %s", err.text);
    } else if (is_ours(report, ws_tensors_find(part, "ids"), ws_tensors_find(part, "pixels"))) {
        report->prepared = part;
        return;
    } else {
        ws_log(WS_LOG_WARN, "the page shows no refined pictures: those of %s are not in the store's shape", path);
    }
    ws_tensors_close(&part);
}

/** The experiments over seeds, when the configuration names a file of them. */
static void load_results(struct ws_report *report)
{
    const char *path = ws_report_keys(report->config)->results;
    struct ws_err err = {0};
    if (!path[0])
        return;
    if (!ws_file_exists(path))
        ws_fail(&err, WS_E_IO, "report.results: %s does not exist", path);
    else if (ws_results_read(&report->results, path, &err) == WS_OK && report->results.problem[0])
        note_problem(report, report->results.problem);
    if (err.text[0])
        note_problem(report, err.text);
}

static enum ws_status hash_config(struct ws_report *report, struct ws_err *err)
{
    struct ws_buf yaml = {0};
    const enum ws_status status = ws_config_print(report->config, NULL, &yaml, err);
    if (status == WS_OK) {
        const struct ws_digest digest = ws_sha256(yaml.ptr, yaml.len);
        ws_digest_hex(&digest, report->config_sha256);
    }
    ws_buf_fini(&yaml);
    return status;
}

enum ws_status ws_report_load(struct ws_report *report, const struct ws_config *config, const char *work,
                              struct ws_err *err)
{
    *report = (struct ws_report){.config = config, .work = work};
    load_manifests(report);
    report->teacher_eval = read_json(report, "teacher/eval.json", false);
    report->card = read_card(report);
    report->teacher_run.name = "teacher";
    enum ws_status status = hash_config(report, err);
    if (status == WS_OK)
        status = read_metrics(report, &report->teacher_run, "teacher/metrics.jsonl", err);
    for (unsigned i = 0; status == WS_OK && i < ws_config_runs(config)->n_methods && i < WS_RUNS_MAX; i++)
        status = load_run(report, ws_config_runs(config)->methods[i], err);
    if (status == WS_OK)
        status = load_selections(report, err);
    if (status == WS_OK) {
        load_changes(report);
        load_images(report);
        load_prepared(report);
        load_results(report);
    }
    if (status != WS_OK)
        ws_report_fini(report);
    return status;
}

static void fini_run(struct ws_report_run *run)
{
    json_decref(run->manifest);
    json_decref(run->eval);
    json_decref(run->best_eval);
    json_decref(run->epochs);
    free(run->step_x);
    free(run->step_loss);
}

void ws_report_fini(struct ws_report *report)
{
    for (size_t i = 0; i < WS_STAGES_MAX; i++)
        json_decref(report->manifests[i]);
    ws_tensors_close(&report->prepared);
    json_decref(report->prepared_manifest);
    json_decref(report->teacher_eval);
    json_decref(report->card);
    fini_run(&report->teacher_run);
    for (size_t r = 0; r < report->n_runs; r++)
        fini_run(&report->runs[r]);
    ws_selection_close(&report->first);
    ws_selection_close(&report->last);
    ws_report_changes_fini(&report->changes);
    ws_images_close(&report->images);
    ws_results_fini(&report->results);
    *report = (struct ws_report){0};
}

const struct ws_report_run *ws_report_lead(const struct ws_report *report)
{
    for (size_t r = 0; r < report->n_runs; r++) {
        if (report->runs[r].eval)
            return &report->runs[r];
    }
    return report->n_runs > 0 ? &report->runs[0] : NULL;
}

int64_t ws_report_count(const json_t *manifest, const char *const *keys)
{
    for (size_t i = 0; keys[i]; i++) {
        const json_t *value = json_object_get(json_object_get(manifest, "counts"), keys[i]);
        if (json_is_integer(value))
            return (int64_t)json_integer_value(value);
    }
    return -1;
}

const json_t *ws_report_manifest(const struct ws_report *report, const char *stage)
{
    return report->manifests[ws_stage_find(stage) - ws_stage_table];
}

const char *ws_report_class_name(const struct ws_report *report, int c)
{
    return c >= 0 && c < (int)report->config->n_classes ? report->config->classes[c].name : "?";
}
