/** Which stages there are, and what state each is in. */
#define _GNU_SOURCE /* flock() is not POSIX; the lock files are taken with it */
#include "stages.h"

#include "webstill/base/file.h"
#include "webstill/base/json.h"
#include "webstill/base/path.h"
#include "webstill/stage/manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static void set_place(struct ws_stage_folder *place, const struct ws_stage *stage, const char *run)
{
    const char *name = run ? run : "";
    *place = (struct ws_stage_folder){.stage = stage, .run = run};
    snprintf(place->title, sizeof place->title, "%s%s%.60s", stage->name, run ? " " : "", name);
    snprintf(place->folder, sizeof place->folder, "%s%s%.200s", stage->folder, run ? "/" : "", name);
    snprintf(place->manifest, sizeof place->manifest, "%s/manifest.json", place->folder);
    snprintf(place->lock, sizeof place->lock, "%s/lock", place->folder);
}

/** The run that the folder's manifest says it was made for, of those that there are today; else NULL. */
static const char *find_prepared(const struct ws_config *config, const char *work, const struct ws_stage *stage,
                                 const char *name)
{
    char path[WS_PATH_BYTES];
    json_t *manifest = NULL;
    const char *found = NULL;
    if (ws_path_join(path, work, NULL, "%s/%s/manifest.json", stage->folder, name) != WS_OK || !ws_file_exists(path) ||
        ws_manifest_read(path, &manifest, NULL) != WS_OK)
        return NULL;
    const char *run = ws_json_text(json_object_get(manifest, "facts"), "prepares");
    for (unsigned m = 0; !found && m < ws_config_runs(config)->n_methods; m++)
        found = strcmp(ws_config_runs(config)->methods[m], run) == 0 ? ws_config_runs(config)->methods[m] : NULL;
    json_decref(manifest);
    return found;
}

static size_t list_prepared(const struct ws_stage *stage, const struct ws_config *config, const char *work,
                            struct ws_stage_folder *out, size_t n_max)
{
    char path[WS_PATH_BYTES];
    struct ws_dir_list list = {0};
    size_t n = 0;
    if (ws_path_join(path, work, NULL, "%s", stage->folder) != WS_OK ||
        ws_dir_list_open(&list, path, "", NULL) != WS_OK)
        return 0;
    for (size_t i = 0; i < list.n && n < n_max; i++) {
        const char *run = find_prepared(config, work, stage, list.names[i]);
        if (!run)
            continue;
        set_place(&out[n], stage, list.names[i]);
        out[n].run = run;
        out[n++].is_prepared = true;
    }
    ws_dir_list_close(&list);
    return n;
}

size_t ws_stages_list(const struct ws_config *config, const char *work, struct ws_stage_folder *out, size_t n_max)
{
    size_t n = 0;
    for (const struct ws_stage *stage = ws_stage_table; stage->name; stage++) {
        if (stage->has_runs && work)
            n += list_prepared(stage, config, work, out + n, n_max - n);
        for (unsigned m = 0; stage->has_runs && m < ws_config_runs(config)->n_methods && n < n_max; m++)
            set_place(&out[n++], stage, ws_config_runs(config)->methods[m]);
        if (n < n_max)
            set_place(&out[n++], stage, NULL);
    }
    return n;
}

enum ws_status ws_stage_read(const struct ws_stage_folder *place, const char *work, json_t **out, struct ws_err *err)
{
    *out = NULL;
    char path[WS_PATH_BYTES];
    const enum ws_status status = ws_path_join(path, work, err, "%s", place->manifest);
    return status == WS_OK && ws_file_exists(path) ? ws_manifest_read(path, out, err) : status;
}

const char *ws_stage_state_name(enum ws_stage_state state)
{
    static const char *const names[] = {[WS_STAGE_DONE] = "done",
                                        [WS_STAGE_MISSING] = "missing",
                                        [WS_STAGE_STALE] = "stale",
                                        [WS_STAGE_RUNNING] = "running",
                                        [WS_STAGE_DAMAGED] = "damaged"};
    return names[state];
}

/**
 * The text of a lock file whose lock is held, else false. The lock is only tried when the process it names is alive: a
 * try takes the lock for an instant, in which a stage that starts would be refused.
 */
static bool find_holder(const char *path, char *text, size_t size_bytes)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool is_held = false;
    const ssize_t len = read(fd, text, size_bytes - 1);
    if (len > 0) {
        text[len] = '\0';
        text[strcspn(text, "\n")] = '\0';
        const char *digits = strpbrk(text, "0123456789");
        const long pid = digits ? strtol(digits, NULL, 10) : 0;
        if (pid > 0 && (kill((pid_t)pid, 0) == 0 || errno == EPERM))
            is_held = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    }
    close(fd);
    return is_held;
}

static const json_t *find_file(const json_t *files, const char *path)
{
    size_t i;
    const json_t *file;
    json_array_foreach(files, i, file)
    {
        if (strcmp(ws_json_text(file, "path"), path) == 0)
            return file;
    }
    return NULL;
}

WS_PRINTF(2, 3) static void set_stale(struct ws_stage_view *view, const char *format, ...)
{
    view->state = WS_STAGE_STALE;
    va_list list;
    va_start(list, format);
    vsnprintf(view->reason, sizeof view->reason, format, list);
    va_end(list);
}

/** The configuration that the manifest was made under, against today's. */
static enum ws_status check_config(struct ws_stage_view *view, const struct ws_stage_folder *place,
                                   const struct ws_config *config, struct ws_err *err)
{
    const char *const *reads = place->stage->reads;
    struct ws_buf yaml = {0};
    const enum ws_status status = ws_config_part(config, place->stage, place->run, &yaml, err);
    if (status == WS_OK) {
        char names[200] = "";
        for (size_t i = 0; reads[i]; i++) {
            const size_t used = strlen(names), len = strcspn(reads[i], "*");
            if (reads[i][0] != '-') /* "distill.*" is told as distill */
                snprintf(names + used, sizeof names - used, "%s%.*s", i > 0 ? ", " : "",
                         (int)(reads[i][len] ? len - 1 : len), reads[i]);
        }
        if (!ws_manifest_has_config(view->manifest, yaml.len > 0 ? yaml.ptr : ""))
            set_stale(view, "the configuration changed since (%s)", names);
    }
    ws_buf_fini(&yaml);
    return status;
}

/** An input that an earlier stage makes must have the digest that this stage names today. */
static void check_inputs(struct ws_stage_view *view, const struct ws_stage_view *views, size_t n_before)
{
    size_t i;
    const json_t *input;
    json_array_foreach(json_object_get(view->manifest, "inputs"), i, input)
    {
        const char *path = ws_json_text(input, "path");
        for (size_t k = 0; k < n_before; k++) {
            const json_t *output = find_file(json_object_get(views[k].manifest, "outputs"), path);
            if (output && strcmp(ws_json_text(output, "sha256"), ws_json_text(input, "sha256")) != 0)
                set_stale(view, "made from an older %.300s", path);
        }
    }
}

static void check_outputs(struct ws_stage_view *view, const char *work)
{
    size_t i;
    const json_t *output;
    json_array_foreach(json_object_get(view->manifest, "outputs"), i, output)
    {
        char path[WS_PATH_BYTES];
        const char *relative = ws_json_text(output, "path");
        if (ws_path_join(path, work, NULL, "%s", relative) != WS_OK || !ws_file_exists(path))
            set_stale(view, "an output is gone: %.300s", relative);
    }
}

static enum ws_status look_at(struct ws_stage_view *view, const struct ws_stage_folder *place,
                              const struct ws_stage_view *views, size_t n_before, const char *work,
                              const struct ws_config *config, struct ws_err *err)
{
    struct ws_err local = {0};
    *view = (struct ws_stage_view){.state = WS_STAGE_DONE};
    enum ws_status status = ws_stage_read(place, work, &view->manifest, &local);
    if (status == WS_E_DAMAGED || status == WS_E_FORMAT) {
        view->state = WS_STAGE_DAMAGED;
        snprintf(view->reason, sizeof view->reason, "%.500s", local.text);
        status = WS_OK;
    } else if (status != WS_OK) {
        return ws_fail(err, status, "%s", local.text);
    } else if (!view->manifest) {
        view->state = WS_STAGE_MISSING;
    } else {
        status = check_config(view, place, config, err);
        if (status == WS_OK && view->state == WS_STAGE_DONE)
            check_outputs(view, work);
        if (status == WS_OK && view->state == WS_STAGE_DONE)
            check_inputs(view, views, n_before);
    }
    char lock[WS_PATH_BYTES], holder[200];
    if (ws_path_join(lock, work, NULL, "%s", place->lock) == WS_OK && find_holder(lock, holder, sizeof holder)) {
        view->state = WS_STAGE_RUNNING;
        snprintf(view->reason, sizeof view->reason, "%s", holder);
    }
    return status;
}

enum ws_status ws_stages_look(const struct ws_stage_folder *places, size_t n_places, const char *work,
                              const struct ws_config *config, struct ws_stage_view *views, struct ws_err *err)
{
    memset(views, 0, n_places * sizeof *views);
    for (size_t i = 0; i < n_places; i++) {
        const enum ws_status status = look_at(&views[i], &places[i], views, i, work, config, err);
        if (status != WS_OK) {
            for (size_t k = 0; k <= i; k++)
                ws_stage_view_fini(&views[k]);
            return status;
        }
    }
    return WS_OK;
}

void ws_stage_view_fini(struct ws_stage_view *view)
{
    json_decref(view->manifest);
    view->manifest = NULL;
}
