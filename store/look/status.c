/** `webstill status`: a line a stage. */
#include "commands.h"
#include "stage/stages.h"

#include "webstill/base/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COUNTS_SHOWN = 4 };

const struct ws_option ws_status_options[] = {{"json", NULL, "print one JSON object instead of the table"},
                                              {NULL, NULL, NULL}};

/** The first numbers of an object, as far as there is room; returns how many have been shown in all. */
static int print_numbers(json_t *object, int n_shown)
{
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        if (!json_is_number(value) || json_number_value(value) == 0 || n_shown == COUNTS_SHOWN)
            continue;
        printf("%s%s ", n_shown++ > 0 ? " · " : "  ", key);
        if (json_is_integer(value))
            printf("%" PRId64, (int64_t)json_integer_value(value));
        else
            printf("%.4g", json_real_value(value));
    }
    return n_shown;
}

static void print_counts(const json_t *manifest)
{
    const int n_shown = print_numbers(json_object_get(manifest, "counts"), 0);
    print_numbers(json_object_get(manifest, "facts"), n_shown);
}

static void print_table(const struct ws_stage_folder *places, const struct ws_stage_view *views, size_t n)
{
    int width = 5;
    for (size_t i = 0; i < n; i++) {
        const int len = (int)strlen(places[i].title);
        width = len > width ? len : width;
    }
    printf("%-*s  %-8s %-20s %9s  %s\n", width, "stage", "state", "finished", "seconds", "counts");
    for (size_t i = 0; i < n; i++) {
        const json_t *manifest = views[i].manifest;
        const double seconds = ws_json_number(manifest, "seconds");
        char text[32] = "";
        if (isfinite(seconds))
            snprintf(text, sizeof text, "%.1f", seconds);
        printf("%-*s  %-8s %-20s %9s", width, places[i].title, ws_stage_state_name(views[i].state),
               ws_json_text(manifest, "finished"), text);
        if (views[i].reason[0])
            printf("  %s", views[i].reason);
        else if (views[i].state == WS_STAGE_MISSING)
            printf("  run `webstill %s`", places[i].stage->name);
        else
            print_counts(manifest);
        printf("\n");
    }
}

static enum ws_status print_json(const struct ws_run *run, const struct ws_stage_folder *places,
                                 const struct ws_stage_view *views, size_t n, struct ws_err *err)
{
    json_t *list = json_array();
    bool is_whole = list != NULL;
    for (size_t i = 0; is_whole && i < n; i++) {
        const json_t *manifest = views[i].manifest;
        json_t *entry = json_pack("{s:s,s:s,s:s,s:s,s:O?,s:O?}", "stage", places[i].title, "state",
                                  ws_stage_state_name(views[i].state), "reason", views[i].reason, "finished",
                                  ws_json_text(manifest, "finished"), "seconds", json_object_get(manifest, "seconds"),
                                  "counts", json_object_get(manifest, "counts"));
        is_whole = entry && json_array_append_new(list, entry) == 0;
    }
    json_t *root =
        is_whole ? json_pack("{s:s,s:s,s:O}", "config", run->config_path, "work", run->work, "stages", list) : NULL;
    is_whole = root && json_dumpf(root, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(9)) == 0 && putchar('\n') != EOF;
    json_decref(root);
    json_decref(list);
    return is_whole ? WS_OK : ws_fail(err, WS_E_IO, "cannot write the status as JSON");
}

enum ws_status ws_status_command(const struct ws_run *run, struct ws_err *err)
{
    struct ws_stage_folder places[WS_STAGES_MAX];
    struct ws_stage_view views[WS_STAGES_MAX];
    const size_t n = ws_stages_list(run->config, run->work, places, WS_STAGES_MAX);
    enum ws_status status = ws_stages_look(places, n, run->work, run->config, views, err);
    if (status != WS_OK)
        return status;
    if (ws_run_option(run, "json", NULL))
        status = print_json(run, places, views, n, err);
    else
        print_table(places, views, n);
    for (size_t i = 0; i < n; i++)
        ws_stage_view_fini(&views[i]);
    return status;
}
