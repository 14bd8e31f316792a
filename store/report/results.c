/** Results of repeated experiments. */
#include "results.h"

#include "stage/stages.h"

#include "webstill/base/file.h"
#include "webstill/base/json.h"
#include "webstill/base/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEEDS_MAX = 256 };

static const char *const measure_keys[WS_N_MEASURES] = {
    [WS_MEASURE_ACCURACY] = "accuracy",      [WS_MEASURE_BEST] = "accuracy_best",
    [WS_MEASURE_AGREEMENT] = "agreement",    [WS_MEASURE_PRECISION] = "selected_precision",
    [WS_MEASURE_RECALL] = "selected_recall", [WS_MEASURE_SHIFTED] = "shifted_accuracy",
    [WS_MEASURE_SECONDS] = "seconds",        [WS_MEASURE_STEPS] = "steps",
};

/** Two absent x are the same; an absent one sorts first. */
static int compare_x(double a, double b)
{
    if (isnan(a) || isnan(b))
        return isnan(b) - isnan(a);
    return a < b ? -1 : a > b;
}

static int compare_kind(const struct ws_result *a, const struct ws_result *b)
{
    int order = strcmp(a->experiment, b->experiment);
    order = order ? order : strcmp(a->row, b->row);
    return order ? order : compare_x(a->x, b->x);
}

static int compare_results(const void *a, const void *b)
{
    const struct ws_result *x = a, *y = b;
    const int order = compare_kind(x, y);
    return order ? order : x->seed < y->seed ? -1 : x->seed > y->seed;
}

static bool is_same(const struct ws_result *a, const struct ws_result *b)
{
    return compare_results(a, b) == 0;
}

/** False when the line is no run. */
static bool parse_line(const json_t *line, struct ws_result *out)
{
    const json_t *seed = json_object_get(line, "seed"), *curve = json_object_get(line, "curve");
    *out = (struct ws_result){.experiment = ws_json_text(line, "experiment"),
                              .row = ws_json_text(line, "row"),
                              .seed = (int64_t)json_integer_value(seed),
                              .x = ws_json_number(line, "x"),
                              .commit = ws_json_text(line, "commit"),
                              .config_sha256 = ws_json_text(line, "config_sha256"),
                              .machine = ws_json_text(line, "machine"),
                              .curve = json_is_array(curve) ? curve : NULL};
    for (size_t m = 0; m < WS_N_MEASURES; m++)
        out->values[m] = ws_json_number(line, measure_keys[m]);
    return out->experiment[0] && out->row[0] && json_is_integer(seed);
}

/** Put a run in, in place of an earlier one of the same seed. */
static void take_result(struct ws_results *results, const struct ws_result *result)
{
    for (size_t i = 0; i < results->n; i++) {
        if (is_same(&results->items[i], result)) {
            results->items[i] = *result;
            return;
        }
    }
    results->items[results->n++] = *result;
}

static void note_line(struct ws_results *results, const char *path, size_t number, size_t n_bad)
{
    if (n_bad == 1)
        snprintf(results->problem, sizeof results->problem,
                 "%.300s:%zu: expected a JSON object with experiment, row and seed; the line is left out", path,
                 number);
    else if (n_bad == 2)
        strncat(results->problem, ", and further ones", sizeof results->problem - strlen(results->problem) - 1);
}

/* --- what experiments are --- */

static enum ws_result_measure find_measure(const char *name)
{
    for (int m = 0; m < WS_N_MEASURES; m++)
        if (strcmp(measure_keys[m], name) == 0)
            return (enum ws_result_measure)m;
    return WS_MEASURE_ACCURACY;
}

static struct ws_experiment *find_experiment(struct ws_results *results, const char *name)
{
    for (size_t i = 0; i < results->n_experiments; i++)
        if (strcmp(results->experiments[i].name, name) == 0)
            return &results->experiments[i];
    return NULL;
}

static const json_t *if_array(const json_t *value)
{
    return json_is_array(value) ? value : NULL;
}

/** False when the line is not about an experiment. */
static bool take_about(struct ws_results *results, const json_t *line)
{
    const char *name = ws_json_text(line, "about"), *title = ws_json_text(line, "title");
    const char *x_title = ws_json_text(line, "x"), *x_is = ws_json_text(line, "x_is");
    const json_t *reported = json_object_get(line, "reported");
    if (!name[0])
        return false;
    struct ws_experiment *experiment = find_experiment(results, name);
    if (!experiment)
        experiment = &results->experiments[results->n_experiments++];
    *experiment = (struct ws_experiment){.name = name,
                                         .title = title[0] ? title : name,
                                         .text = ws_json_text(line, "text"),
                                         .judged = find_measure(ws_json_text(line, "judged")),
                                         .x_title = x_title[0] ? x_title : NULL,
                                         .is_share = strcmp(x_is, "share") == 0,
                                         .is_log = strcmp(x_is, "log") == 0,
                                         .leads = if_array(json_object_get(line, "leads")),
                                         .against = if_array(json_object_get(line, "against")),
                                         .reported = json_is_object(reported) ? reported : NULL};
    return true;
}

static int compare_orders(const void *a, const void *b)
{
    const struct ws_result_group *x = a, *y = b;
    return x->order < y->order ? -1 : x->order > y->order;
}

/** Those that no line is about, in the order of their first runs. */
static void add_untold(struct ws_results *results)
{
    const size_t n_told = results->n_experiments;
    qsort(results->groups, results->n_groups, sizeof *results->groups, compare_orders);
    for (size_t g = 0; g < results->n_groups; g++) {
        const struct ws_result_group *group = &results->groups[g];
        struct ws_experiment *experiment = find_experiment(results, group->experiment);
        if (!experiment) {
            experiment = &results->experiments[results->n_experiments++];
            *experiment = (struct ws_experiment){.name = group->experiment, .title = group->experiment, .text = ""};
        }
        if (experiment >= &results->experiments[n_told] && isfinite(group->x))
            experiment->x_title = "x";
    }
}

/* --- reading --- */

static bool read_lines(struct ws_results *results, const char *path, struct ws_span rest)
{
    struct ws_span line;
    size_t number = 0, n_bad = 0;
    while (ws_line_next(&rest, &line)) {
        struct ws_result result;
        number++;
        if (line.len == 0)
            continue;
        json_t *object = json_loadb((const char *)line.ptr, line.len, 0, NULL);
        const bool is_about = object && take_about(results, object);
        if (!object || (!is_about && !parse_line(object, &result))) {
            note_line(results, path, number, ++n_bad);
            json_decref(object);
            continue;
        }
        if (json_array_append_new(results->lines, object) != 0)
            return false;
        if (!is_about)
            take_result(results, &result);
    }
    return true;
}

/** Sort the runs by kind, and note where each kind begins and which came first in the file. */
static void group_results(struct ws_results *results)
{
    for (size_t i = 0; i < results->n; i++) {
        const struct ws_result *item = &results->items[i];
        size_t g = 0;
        while (g < results->n_groups &&
               (strcmp(results->groups[g].experiment, item->experiment) != 0 ||
                strcmp(results->groups[g].row, item->row) != 0 || compare_x(results->groups[g].x, item->x) != 0))
            g++;
        if (g < results->n_groups)
            continue;
        results->groups[results->n_groups++] =
            (struct ws_result_group){.experiment = item->experiment, .row = item->row, .x = item->x, .order = i};
    }
    qsort(results->items, results->n, sizeof *results->items, compare_results);
    for (size_t g = 0; g < results->n_groups; g++) {
        struct ws_result_group *group = &results->groups[g];
        const struct ws_result kind = {.experiment = group->experiment, .row = group->row, .x = group->x};
        while (compare_kind(&results->items[group->first], &kind) != 0)
            group->first++;
        while (group->first + group->n < results->n &&
               compare_kind(&results->items[group->first + group->n], &kind) == 0)
            group->n++;
    }
}

static int compare_groups(const void *a, const void *b)
{
    const struct ws_result_group *x = a, *y = b;
    return x->first < y->first ? -1 : x->first > y->first;
}

enum ws_status ws_results_read(struct ws_results *out, const char *path, struct ws_err *err)
{
    struct ws_file_map map = {0};
    *out = (struct ws_results){0};
    enum ws_status status = ws_file_map_open(&map, path, err);
    if (status != WS_OK)
        return status;
    struct ws_span rest = map.bytes, line;
    size_t n_lines = 1;
    while (ws_line_next(&rest, &line))
        n_lines++;
    out->lines = json_array();
    out->items = ws_calloc(n_lines, sizeof *out->items);
    out->groups = ws_calloc(n_lines, sizeof *out->groups);
    out->experiments = ws_calloc(n_lines, sizeof *out->experiments);
    if (!out->lines || !out->items || !out->groups || !out->experiments || !read_lines(out, path, map.bytes))
        status = ws_fail(err, WS_E_MEMORY, "out of memory for %s", path);
    ws_file_map_close(&map);
    if (status == WS_OK) {
        group_results(out);
        add_untold(out);
        qsort(out->groups, out->n_groups, sizeof *out->groups, compare_groups);
    } else {
        ws_results_fini(out);
    }
    return status;
}

void ws_results_fini(struct ws_results *results)
{
    json_decref(results->lines);
    free(results->items);
    free(results->groups);
    free(results->experiments);
    *results = (struct ws_results){0};
}

const struct ws_result_group *ws_results_find(const struct ws_results *results, const char *experiment, const char *row,
                                              double x)
{
    for (size_t g = 0; g < results->n_groups; g++) {
        const struct ws_result_group *group = &results->groups[g];
        if (strcmp(group->experiment, experiment) == 0 && (!row || strcmp(group->row, row) == 0) &&
            (isnan(x) || compare_x(group->x, x) == 0))
            return group;
    }
    return NULL;
}

struct ws_spread ws_spread_of(const double *values, size_t n)
{
    struct ws_spread spread = {.mean = (double)NAN, .sd = (double)NAN};
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        sum += isfinite(values[i]) ? values[i] : 0;
        spread.n += isfinite(values[i]) ? 1 : 0;
    }
    if (spread.n == 0)
        return spread;
    spread.mean = sum / (double)spread.n;
    for (size_t i = 0; i < n; i++) {
        const double off = values[i] - spread.mean;
        squares += isfinite(off) ? off * off : 0;
    }
    if (spread.n > 1)
        spread.sd = sqrt(squares / (double)(spread.n - 1));
    return spread;
}

struct ws_spread ws_results_spread(const struct ws_results *results, const struct ws_result_group *group,
                                   enum ws_result_measure measure)
{
    double values[SEEDS_MAX];
    const size_t n = group->n < SEEDS_MAX ? group->n : SEEDS_MAX;
    for (size_t i = 0; i < n; i++)
        values[i] = results->items[group->first + i].values[measure];
    return ws_spread_of(values, n);
}

struct ws_spread ws_results_difference(const struct ws_results *results, const struct ws_result_group *a,
                                       const struct ws_result_group *b, enum ws_result_measure measure)
{
    double values[SEEDS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < a->n && n < SEEDS_MAX; i++) {
        const struct ws_result *left = &results->items[a->first + i];
        for (size_t k = 0; k < b->n; k++) {
            const struct ws_result *right = &results->items[b->first + k];
            if (left->seed == right->seed) {
                values[n++] = left->values[measure] - right->values[measure];
                break;
            }
        }
    }
    return ws_spread_of(values, n);
}

/** The value of a curve at place `i` when it is that of `step`, else NaN. */
static double get_value(const json_t *curve, size_t i, double step)
{
    const json_t *pair = json_array_get(curve, i), *value = json_array_get(pair, 1);
    const bool is_it = json_is_number(value) && compare_x(json_number_value(json_array_get(pair, 0)), step) == 0;
    return is_it ? json_number_value(value) : (double)NAN;
}

/** The value of a curve at a step, or NaN. Curves of one kind have the same steps: the same place is tried first. */
static double find_point(const json_t *curve, size_t near, double step)
{
    double value = get_value(curve, near, step);
    for (size_t i = 0; isnan(value) && i < json_array_size(curve); i++)
        value = get_value(curve, i, step);
    return value;
}

bool ws_results_curve(const struct ws_results *results, const struct ws_result_group *group, struct ws_arena *arena,
                      struct ws_spread_curve *out)
{
    const json_t *longest = NULL;
    double values[SEEDS_MAX];
    *out = (struct ws_spread_curve){0};
    for (size_t i = 0; i < group->n; i++) {
        const json_t *curve = results->items[group->first + i].curve;
        longest = json_array_size(curve) > json_array_size(longest) ? curve : longest;
    }
    const size_t n = json_array_size(longest), n_seeds = group->n < SEEDS_MAX ? group->n : SEEDS_MAX;
    if (n == 0)
        return true;
    out->step = ws_arena_alloc(arena, n, sizeof(double));
    out->mean = ws_arena_alloc(arena, n, sizeof(double));
    out->sd = ws_arena_alloc(arena, n, sizeof(double));
    if (!out->step || !out->mean || !out->sd)
        return false;
    for (size_t k = 0; k < n; k++) {
        const json_t *step = json_array_get(json_array_get(longest, k), 0);
        if (!json_is_number(step))
            continue;
        for (size_t i = 0; i < n_seeds; i++)
            values[i] = find_point(results->items[group->first + i].curve, k, json_number_value(step));
        const struct ws_spread spread = ws_spread_of(values, n_seeds);
        if (spread.n == 0)
            continue;
        out->step[out->n] = json_number_value(step);
        out->mean[out->n] = spread.mean;
        out->sd[out->n++] = spread.sd;
    }
    return true;
}
