/** Gathering a picture's story. */
#include "story.h"

#include "stage/stages.h"

#include "webstill/base/file.h"
#include "webstill/base/json.h"
#include "webstill/base/mem.h"
#include "webstill/base/path.h"
#include "webstill/base/text.h"
#include "webstill/tensors/file.h"
#include "webstill/tensors/scores.h"
#include "webstill/tensors/selection.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TOP_CLASSES = 3 };

static const char *name_class(const struct ws_config *config, int64_t index)
{
    return index >= 0 && index < (int64_t)config->n_classes ? config->classes[index].name : "none";
}

/** object.key = value; takes the reference. */
static enum ws_status set_member(json_t *object, const char *key, json_t *value, struct ws_err *err)
{
    if (json_object_set_new(object, key, value) == 0)
        return WS_OK;
    return ws_fail(err, WS_E_MEMORY, "out of memory for the story's \"%s\"", key);
}

static enum ws_status tell_record(const struct ws_story_place *place, size_t i, json_t *story, struct ws_err *err)
{
    static const char *const formats[] = {"unknown", "JPEG", "PNG", "WebP"};
    const struct ws_image_record *record = ws_images_record(place->images, i);
    char hex[WS_IMAGE_ID_HEX];
    ws_image_id_hex(ws_images_id(place->images, i), hex);
    json_t *decoded = json_pack(
        "{s:s,s:I,s:I,s:i,s:i,s:i,s:b,s:b,s:b}", "format", formats[record->format < 4 ? record->format : 0],
        "original_width", (json_int_t)record->original_width, "original_height", (json_int_t)record->original_height,
        "width", record->width, "height", record->height, "channels", record->channels, "inverted", record->flags & 1,
        "had_alpha", record->flags >> 1 & 1, "turned_by_exif", record->flags >> 2 & 1);
    enum ws_status status = set_member(story, "id", json_string(hex), err);
    if (status == WS_OK)
        status = set_member(story, "index", json_integer((json_int_t)i), err);
    if (status == WS_OK)
        status = set_member(story, "decoded", decoded, err);
    else
        json_decref(decoded);
    if (status == WS_OK)
        status = set_member(story, "label", json_integer(record->label), err);
    if (status == WS_OK)
        status = set_member(story, "class", json_string(name_class(place->config, record->label)), err);
    return status;
}

static enum ws_status tell_origins(const struct ws_story_place *place, size_t i, json_t *story, struct ws_err *err)
{
    struct ws_buf text = {0};
    enum ws_status status = ws_images_origins(place->images, ws_images_id(place->images, i), &text, err);
    if (status == WS_OK) {
        json_error_t error;
        json_t *origins = json_loadb(text.len > 0 ? text.ptr : "", text.len, 0, &error);
        status = origins ? set_member(story, "origins", origins, err)
                         : ws_fail(err, WS_E_DAMAGED, "the store's origins of this image are no JSON: %s", error.text);
    }
    ws_buf_fini(&text);
    return status;
}

/** The classes of largest softmax probability, best first. */
static json_t *rank_classes(const struct ws_config *config, const float *logits, int n_classes)
{
    double max = logits[0], sum = 0;
    for (int c = 1; c < n_classes; c++)
        max = logits[c] > max ? (double)logits[c] : max;
    for (int c = 0; c < n_classes; c++)
        sum += exp((double)logits[c] - max);
    json_t *list = json_array();
    int chosen[TOP_CLASSES];
    for (int k = 0; k < TOP_CLASSES && k < n_classes; k++) {
        int best = -1;
        for (int c = 0; c < n_classes; c++) {
            bool is_taken = false;
            for (int m = 0; m < k; m++)
                is_taken = is_taken || chosen[m] == c;
            if (!is_taken && (best < 0 || logits[c] > logits[best]))
                best = c;
        }
        chosen[k] = best;
        json_t *entry = json_pack("{s:i,s:s,s:f,s:f}", "class", best, "name", name_class(config, best), "probability",
                                  exp((double)logits[best] - max) / sum, "logit", (double)logits[best]);
        if (!list || !entry || json_array_append_new(list, entry) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static enum ws_status tell_scores(const struct ws_story_place *place, size_t i, json_t *story, struct ws_err *err)
{
    char path[WS_PATH_BYTES];
    struct ws_scores_file scores;
    enum ws_status status = ws_path_join(path, place->work, err, "scores/teacher.safetensors");
    if (status != WS_OK || !ws_file_exists(path))
        return status;
    status = ws_scores_open(&scores, path, err);
    if (status != WS_OK)
        return status;
    const int64_t row = ws_id_find(scores.ids, scores.n, ws_images_id(place->images, i));
    if (row >= 0)
        status = set_member(story, "teacher",
                            rank_classes(place->config, scores.logits + row * scores.n_classes, scores.n_classes), err);
    ws_scores_close(&scores);
    return status;
}

/** Rank within the class, and, where the file knows them, the rule that dropped the image and its weight. */
static bool add_standing(json_t *fate, const struct ws_selection_file *file, size_t row)
{
    size_t n_of_class = 0;
    const size_t rank = ws_selection_file_rank(file, row, &n_of_class);
    bool is_whole = json_object_set_new(fate, "rank", json_integer((json_int_t)rank)) == 0 &&
                    json_object_set_new(fate, "of_class", json_integer((json_int_t)n_of_class)) == 0;
    if (is_whole && file->reason)
        is_whole = json_object_set_new(fate, "reason", json_string(ws_selection_reason_name(file->reason[row]))) == 0 &&
                   json_object_set_new(fate, "weight", json_real((double)file->weight[row])) == 0;
    return is_whole;
}

/** What one selection file says about the image; a NULL entry without failure means: it is not in the file. */
static enum ws_status read_fate(const struct ws_story_place *place, size_t i, const char *path, json_t **out,
                                struct ws_err *err)
{
    struct ws_selection_file file;
    *out = NULL;
    enum ws_status status = ws_selection_open(&file, path, err);
    if (status != WS_OK)
        return status;
    const int64_t row = ws_id_find(file.ids, file.n, ws_images_id(place->images, i));
    if (row >= 0) {
        const int predicted = file.predicted[row];
        *out = json_pack("{s:i,s:b,s:i,s:s,s:f,s:f}", "epoch", file.epoch, "kept", file.keep[row] != 0, "predicted",
                         predicted, "name", name_class(place->config, predicted), "confidence",
                         (double)file.confidence[row], "threshold", file.threshold[predicted]);
        if (*out && isfinite(file.alpha) && json_object_set_new(*out, "alpha", json_real(file.alpha)) != 0) {
            json_decref(*out);
            *out = NULL;
        }
        if (*out && !add_standing(*out, &file, (size_t)row)) {
            json_decref(*out);
            *out = NULL;
        }
        if (!*out)
            status = ws_fail(err, WS_E_MEMORY, "out of memory for the story's epochs");
    }
    ws_selection_close(&file);
    return status;
}

/** The image's fate in every epoch of one folder of selections, in order of the files' names. */
static enum ws_status read_fates(const struct ws_story_place *place, size_t i, const char *folder, json_t *fates,
                                 int64_t *n_files, struct ws_err *err)
{
    char path[WS_PATH_BYTES];
    struct ws_dir_list list = {0};
    *n_files = 0;
    enum ws_status status = ws_path_join(path, place->work, err, "%s", folder);
    if (status == WS_OK)
        status = ws_dir_list_open(&list, path, ".safetensors", err);
    for (size_t k = 0; status == WS_OK && k < list.n; k++) {
        char file[WS_PATH_BYTES];
        json_t *fate = NULL;
        status = ws_path_join(file, path, err, "%s", list.names[k]);
        if (status == WS_OK)
            status = read_fate(place, i, file, &fate, err);
        if (status == WS_OK && fate && json_array_append_new(fates, fate) != 0)
            status = ws_fail(err, WS_E_MEMORY, "out of memory for the story's epochs");
        (*n_files)++;
    }
    ws_dir_list_close(&list);
    return status;
}

static int64_t count_kept(const json_t *fates)
{
    int64_t n = 0;
    size_t k;
    const json_t *fate;
    json_array_foreach(fates, k, fate) n += json_is_true(json_object_get(fate, "kept"));
    return n;
}

/** One run: {"run","epochs":[…],"n_kept","n_epochs","finished","in_student"}. */
static enum ws_status tell_run(const struct ws_story_place *place, size_t i, const char *run, json_t *runs,
                               struct ws_err *err)
{
    char folder[512], manifest[WS_PATH_BYTES];
    enum ws_status status = ws_path_join(manifest, place->work, err, "runs/%.200s/manifest.json", run);
    if (status != WS_OK)
        return status;
    const bool is_finished = ws_file_exists(manifest);
    snprintf(folder, sizeof folder, "runs/%.200s/selection", run);
    int64_t n_files = 0;
    json_t *fates = json_array();
    status = fates ? read_fates(place, i, folder, fates, &n_files, err)
                   : ws_fail(err, WS_E_MEMORY, "out of memory for the story of run %s", run);
    if (status == WS_OK && (n_files > 0 || is_finished)) {
        const int64_t n_kept = count_kept(fates);
        json_t *entry = json_pack("{s:s,s:O,s:I,s:I,s:b,s:b}", "run", run, "epochs", fates, "n_kept",
                                  (json_int_t)n_kept, "n_selections", (json_int_t)n_files, "finished", is_finished,
                                  "in_student", is_finished && n_kept > 0);
        if (!entry || json_array_append_new(runs, entry) != 0)
            status = ws_fail(err, WS_E_MEMORY, "out of memory for the story's runs");
    }
    json_decref(fates);
    return status;
}

static enum ws_status tell_selections(const struct ws_story_place *place, size_t i, json_t *story, struct ws_err *err)
{
    json_t *fates = json_array(), *runs = json_array();
    int64_t n_files = 0;
    enum ws_status status = fates && runs ? read_fates(place, i, "selection", fates, &n_files, err)
                                          : ws_fail(err, WS_E_MEMORY, "out of memory for the story");
    for (unsigned m = 0; status == WS_OK && m < ws_config_runs(place->config)->n_methods; m++)
        status = tell_run(place, i, ws_config_runs(place->config)->methods[m], runs, err);
    if (status == WS_OK && n_files > 0)
        status = set_member(story, "curate", json_incref(fates), err);
    if (status == WS_OK && json_array_size(runs) > 0)
        status = set_member(story, "runs", json_incref(runs), err);
    json_decref(fates);
    json_decref(runs);
    return status;
}

/** Where a part of what was prepared shows the image: {"step","file","row"}, or nothing. */
static enum ws_status find_in_part(const struct ws_story_place *place, size_t i, const struct ws_stage_folder *prepared,
                                   const char *name, json_t *list, struct ws_err *err)
{
    char path[WS_PATH_BYTES], relative[WS_PATH_BYTES];
    struct ws_tensors *file = NULL;
    enum ws_status status = ws_path_join(relative, prepared->folder, err, "%s", name);
    if (status == WS_OK)
        status = ws_path_join(path, place->work, err, "%s", relative);
    if (status == WS_OK)
        status = ws_tensors_open(&file, path, err);
    if (status != WS_OK)
        return status;
    const struct ws_tensor_entry *ids = ws_tensors_find(file, "ids");
    const size_t id_bytes = sizeof(struct ws_image_id), n = ids ? ids->size_bytes / id_bytes : 0;
    for (size_t row = 0; row < n; row++) {
        if (memcmp((const uint8_t *)ids->data + row * id_bytes, ws_images_id(place->images, i), id_bytes) != 0)
            continue;
        json_t *entry = json_pack("{s:s,s:s,s:s,s:I}", "for", prepared->run, "folder", prepared->folder, "file",
                                  relative, "row", (json_int_t)row);
        if (!entry || json_array_append_new(list, entry) != 0)
            status = ws_fail(err, WS_E_MEMORY, "out of memory for the story's prepared pictures");
        break;
    }
    ws_tensors_close(&file);
    return status;
}

/** What was made of the image before a training: refined pictures, and the like. */
static enum ws_status tell_prepared(const struct ws_story_place *place, size_t i, json_t *story, struct ws_err *err)
{
    struct ws_stage_folder places[WS_STAGES_MAX];
    const size_t n = ws_stages_list(place->config, place->work, places, WS_STAGES_MAX);
    json_t *list = json_array();
    enum ws_status status = list ? WS_OK : ws_fail(err, WS_E_MEMORY, "out of memory for the story");
    for (size_t k = 0; status == WS_OK && k < n; k++) {
        char path[WS_PATH_BYTES];
        struct ws_dir_list parts = {0};
        if (!places[k].is_prepared)
            continue;
        status = ws_path_join(path, place->work, err, "%s", places[k].folder);
        if (status == WS_OK)
            status = ws_dir_list_open(&parts, path, ".safetensors", err);
        for (size_t p = 0; status == WS_OK && p < parts.n; p++)
            status = find_in_part(place, i, &places[k], parts.names[p], list, err);
        ws_dir_list_close(&parts);
    }
    if (status == WS_OK && json_array_size(list) > 0)
        status = set_member(story, "prepared", json_incref(list), err);
    json_decref(list);
    return status;
}

enum ws_status ws_story_tell(const struct ws_story_place *place, size_t i, json_t **out, struct ws_err *err)
{
    *out = NULL;
    json_t *story = json_object();
    enum ws_status status = story ? tell_record(place, i, story, err)
                                  : ws_fail(err, WS_E_MEMORY, "out of memory for the story of a picture");
    if (status == WS_OK)
        status = tell_origins(place, i, story, err);
    if (status == WS_OK)
        status = tell_scores(place, i, story, err);
    if (status == WS_OK)
        status = tell_selections(place, i, story, err);
    if (status == WS_OK)
        status = tell_prepared(place, i, story, err);
    if (status != WS_OK) {
        json_decref(story);
        return status;
    }
    *out = story;
    return WS_OK;
}

json_t *ws_story_find_failure(const char *work, const char *url)
{
    char path[WS_PATH_BYTES];
    struct ws_file_map map = {0};
    if (ws_path_join(path, work, NULL, "crawl/failures.jsonl") != WS_OK || !ws_file_exists(path) ||
        ws_file_map_open(&map, path, NULL) != WS_OK)
        return NULL;
    json_t *found = NULL;
    struct ws_span rest = map.bytes, line;
    while (!found && ws_line_next(&rest, &line)) {
        json_t *failure = json_loadb((const char *)line.ptr, line.len, 0, NULL);
        if (strcmp(ws_json_text(failure, "url"), url) == 0)
            found = json_incref(failure);
        json_decref(failure);
    }
    ws_file_map_close(&map);
    return found;
}
