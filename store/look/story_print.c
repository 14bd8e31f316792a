/** A story as text. */
#include "story.h"

#include "stage/stages.h"

#include "webstill/base/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static int64_t get_integer(const json_t *object, const char *key)
{
    return (int64_t)json_integer_value(json_object_get(object, key));
}

static bool is_set(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

static void print_decoded(const json_t *story)
{
    const json_t *d = json_object_get(story, "decoded");
    printf("image %s\n", ws_json_text(story, "id"));
    printf("  stored     %" PRId64 "x%" PRId64 ", %" PRId64 " channel%s, from a %s of %" PRId64 "x%" PRId64 "%s%s%s\n",
           get_integer(d, "width"), get_integer(d, "height"), get_integer(d, "channels"),
           get_integer(d, "channels") == 1 ? "" : "s", ws_json_text(d, "format"), get_integer(d, "original_width"),
           get_integer(d, "original_height"), is_set(d, "inverted") ? ", inverted" : "",
           is_set(d, "had_alpha") ? ", had transparency" : "", is_set(d, "turned_by_exif") ? ", turned by EXIF" : "");
    if (get_integer(story, "label") < 0)
        printf("  label      none: no query of a class found it\n");
    else
        printf("  label      %" PRId64 " %s (what it was searched by; no method but ce trains on it)\n",
               get_integer(story, "label"), ws_json_text(story, "class"));
}

static void print_field(const json_t *origin, const char *key)
{
    const json_t *value = json_object_get(origin, key);
    if (!value || json_is_null(value))
        return;
    if (json_is_string(value)) {
        if (json_string_length(value) > 0)
            printf("      %-11s %s\n", key, json_string_value(value));
        return;
    }
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    printf("      %-11s %s\n", key, text ? text : "?");
    free(text);
}

static void print_origins(const json_t *story)
{
    static const char *const fields[] = {"page",   "alt",     "title",  "query",       "class_name",
                                         "source", "licence", "author", "attribution", "licence_url",
                                         "robots", "via",     "time"};
    const json_t *origins = json_object_get(story, "origins");
    printf("  origins    %zu\n", json_array_size(origins));
    size_t i;
    const json_t *origin;
    json_array_foreach(origins, i, origin)
    {
        printf("    %s\n", ws_json_text(origin, "url"));
        for (size_t k = 0; k < sizeof fields / sizeof fields[0]; k++)
            print_field(origin, fields[k]);
        if (ws_json_text(origin, "warc")[0])
            printf("      %-11s %s at byte %" PRId64 "\n", "warc", ws_json_text(origin, "warc"),
                   get_integer(origin, "offset"));
    }
}

static void print_teacher(const json_t *story)
{
    const json_t *top = json_object_get(story, "teacher");
    if (!top) {
        printf("  teacher    not scored: `webstill score` has not seen it\n");
        return;
    }
    printf("  teacher    ");
    size_t i;
    const json_t *guess;
    json_array_foreach(top, i, guess)
        printf("%s%s %.4f", i > 0 ? " · " : "", ws_json_text(guess, "name"), ws_json_number(guess, "probability"));
    printf("\n");
}

static void print_fates(const char *title, const json_t *fates)
{
    size_t i;
    const json_t *fate;
    json_array_foreach(fates, i, fate)
    {
        const bool is_kept = is_set(fate, "kept");
        const bool is_above = ws_json_number(fate, "confidence") > ws_json_number(fate, "threshold");
        printf("    %-10s epoch %-4" PRId64 " %-8s confidence %.4f %s threshold %.4f of %s, rank %" PRId64
               " of %" PRId64,
               title, get_integer(fate, "epoch"), is_kept ? "kept" : "dropped", ws_json_number(fate, "confidence"),
               is_above ? "above" : "not above", ws_json_number(fate, "threshold"), ws_json_text(fate, "name"),
               get_integer(fate, "rank"), get_integer(fate, "of_class"));
        if (!is_kept && json_object_get(fate, "reason"))
            printf(", dropped by %s", ws_json_text(fate, "reason"));
        if (is_kept && json_object_get(fate, "weight") && fabs(ws_json_number(fate, "weight") - 1.0) > 1e-6)
            printf(", weight %.4f", ws_json_number(fate, "weight"));
        if (json_object_get(fate, "alpha"))
            printf(", alpha %.4f", ws_json_number(fate, "alpha"));
        printf("\n");
    }
}

static void print_runs(const json_t *story)
{
    const json_t *curate = json_object_get(story, "curate"), *runs = json_object_get(story, "runs");
    size_t i;
    const json_t *run;
    if (curate || runs)
        printf("  selection\n");
    print_fates("curate", curate);
    json_array_foreach(runs, i, run) print_fates(ws_json_text(run, "run"), json_object_get(run, "epochs"));
    if (!runs) {
        printf("  students   none: no run has begun\n");
        return;
    }
    printf("  students\n");
    json_array_foreach(runs, i, run)
    {
        const int64_t n_epochs = (int64_t)json_array_size(json_object_get(run, "epochs"));
        const char *name = ws_json_text(run, "run"), *state = is_set(run, "finished") ? "" : " so far";
        if (get_integer(run, "n_selections") == 0)
            printf("    %-10s writes no selection: it learns from its whole pool\n", name);
        else if (n_epochs == 0)
            printf("    %-10s not in its pool: held out, or stored after the run\n", name);
        else
            printf("    %-10s kept in %" PRId64 " of %" PRId64 " epochs%s\n", name, get_integer(run, "n_kept"),
                   n_epochs, state);
    }
}

static void print_prepared(const json_t *story)
{
    size_t i;
    const json_t *part;
    json_array_foreach(json_object_get(story, "prepared"), i, part)
        printf("  prepared   for %s: row %" PRId64 " of %s\n", ws_json_text(part, "for"), get_integer(part, "row"),
               ws_json_text(part, "file"));
}

void ws_story_print(const json_t *story)
{
    print_decoded(story);
    print_origins(story);
    print_teacher(story);
    print_prepared(story);
    print_runs(story);
}
