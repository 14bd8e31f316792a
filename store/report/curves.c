/** The report's curves: how each run went, epoch by epoch. */
#include "section.h"

#include "chart.h"

#include "webstill/base/json.h"
#include "webstill/base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LOSS_POINTS = 240 };

/** A member of each epoch's line as a series; arrays live in `arena`. False when out of memory. */
static bool take_series(struct ws_arena *arena, const struct ws_report_run *run, const char *key, double scale,
                        struct ws_chart_series *out)
{
    const size_t n = json_array_size(run->epochs);
    double *x = ws_arena_alloc(arena, n + 1, sizeof *x), *y = ws_arena_alloc(arena, n + 1, sizeof *y);
    if (!x || !y)
        return false;
    for (size_t i = 0; i < n; i++) {
        const json_t *line = json_array_get(run->epochs, i);
        x[i] = ws_json_number(line, "epoch");
        y[i] = scale * ws_json_number(line, key);
    }
    *out = (struct ws_chart_series){.name = run->name, .slot = run->slot, .n = n, .x = x, .y = y};
    return true;
}

static bool is_any_finite(const struct ws_chart_series *series)
{
    for (size_t i = 0; i < series->n; i++) {
        if (isfinite(series->y[i]))
            return true;
    }
    return false;
}

/** One chart of a member over all runs that have it. */
static bool draw_member(const struct ws_report *report, struct ws_html *html, struct ws_arena *arena, const char *key,
                        double scale, struct ws_chart chart)
{
    struct ws_chart_series series[WS_RUNS_MAX];
    size_t n = 0;
    for (size_t r = 0; r < report->n_runs; r++) {
        if (!take_series(arena, &report->runs[r], key, scale, &series[n]))
            return false;
        n += is_any_finite(&series[n]) ? 1 : 0;
    }
    chart.series = series;
    chart.n_series = n;
    chart.x_title = "epoch";
    ws_chart_lines(html, &chart);
    return true;
}

/** A run's loss step by step, as means over equal spans of steps: losses of different methods share no scale. */
static bool draw_loss(struct ws_html *html, struct ws_arena *arena, const struct ws_report_run *run)
{
    if (run->n_steps == 0)
        return true;
    const size_t n = run->n_steps < LOSS_POINTS ? run->n_steps : LOSS_POINTS;
    double *x = ws_arena_alloc(arena, n, sizeof *x), *y = ws_arena_alloc(arena, n, sizeof *y);
    char *title = ws_arena_printf(arena, "Training loss, %s", run->name);
    if (!x || !y || !title)
        return false;
    for (size_t i = 0; i < n; i++) {
        const size_t from = i * run->n_steps / n, to = (i + 1) * run->n_steps / n;
        for (size_t k = from; k < to; k++) {
            x[i] += run->step_x[k] / (double)(to - from);
            y[i] += run->step_loss[k] / (double)(to - from);
        }
    }
    const struct ws_chart_series series = {.name = run->name, .slot = run->slot, .n = n, .x = x, .y = y};
    const struct ws_chart chart = {.title = title,
                                   .x_title = "step",
                                   .from_zero = true,
                                   .y_top = (double)NAN,
                                   .decimals = 3,
                                   .series = &series,
                                   .n_series = 1};
    ws_chart_lines(html, &chart);
    return true;
}

/** classes x epochs of a list member of a run's epochs; NULL when the run has none (or, with `is_short`, no memory). */
static double *take_table(struct ws_arena *arena, const struct ws_report_run *run, const char *key, size_t n_classes,
                          bool *is_short)
{
    const size_t n = json_array_size(run->epochs);
    if (n == 0 || json_array_size(json_object_get(json_array_get(run->epochs, n - 1), key)) != n_classes)
        return NULL;
    double *values = ws_arena_alloc(arena, n * n_classes, sizeof *values);
    *is_short = *is_short || !values;
    for (size_t e = 0; values && e < n; e++) {
        const json_t *list = json_object_get(json_array_get(run->epochs, e), key);
        for (size_t c = 0; c < n_classes; c++) {
            const json_t *value = json_array_get(list, c);
            values[c * n + e] = json_is_number(value) ? json_number_value(value) : (double)NAN;
        }
    }
    return values;
}

/** Counts differ by orders between classes: their shades go by the square root. */
static double *shade_counts(struct ws_arena *arena, const double *values, size_t n, bool *is_short)
{
    double *shades = ws_arena_alloc(arena, n, sizeof *shades), largest = 0;
    *is_short = *is_short || !shades;
    for (size_t i = 0; i < n; i++)
        largest = isfinite(values[i]) ? fmax(largest, values[i]) : largest;
    for (size_t i = 0; shades && i < n; i++)
        shades[i] = largest > 0 && isfinite(values[i]) ? sqrt(values[i] / largest) : 0;
    return shades;
}

static bool draw_classes(const struct ws_report *report, struct ws_html *html, struct ws_arena *arena)
{
    const size_t n_classes = report->config->n_classes;
    const char *names[WS_REPORT_CLASSES_MAX];
    bool is_short = false;
    if (n_classes > WS_REPORT_CLASSES_MAX)
        return true; /* the table of classes has them all */
    for (size_t c = 0; c < n_classes; c++)
        names[c] = report->config->classes[c].name;
    for (size_t r = 0; r < report->n_runs; r++) {
        const struct ws_report_run *run = &report->runs[r];
        const size_t n = json_array_size(run->epochs);
        const double *thresholds = take_table(arena, run, "threshold_per_class", n_classes, &is_short);
        const double *counts = take_table(arena, run, "selected_per_class", n_classes, &is_short);
        if (!thresholds || !counts)
            continue;
        struct ws_heatmap map = {.title =
                                     ws_arena_printf(arena, "Threshold on the confidence per class, %s", run->name),
                                 .x_title = "epoch",
                                 .rows = names,
                                 .n_rows = n_classes,
                                 .n_columns = n,
                                 .values = thresholds,
                                 .shades = thresholds,
                                 .decimals = 2,
                                 .shows_values = true};
        const double *shades = shade_counts(arena, counts, n * n_classes, &is_short);
        char *title = ws_arena_printf(arena, "Images selected per class, %s", run->name);
        if (is_short || !map.title || !title)
            return false;
        ws_html_add(html, "<div class=\"charts two\" style=\"margin-top:18px\">\n");
        ws_chart_heatmap(html, &map);
        map.title = title;
        map.values = counts;
        map.shades = shades;
        map.decimals = 0;
        ws_chart_heatmap(html, &map);
        ws_html_add(html, "</div>\n");
    }
    return !is_short;
}

static void add_legend(const struct ws_report *report, struct ws_html *html)
{
    ws_html_add(html, "<div class=\"legend\">");
    for (size_t r = 0; r < report->n_runs; r++) {
        if (report->runs[r].n_steps == 0 && json_array_size(report->runs[r].epochs) == 0)
            continue;
        ws_html_addf(html, "<span><span class=\"key k%d\"></span>", report->runs[r].slot);
        ws_html_text(html, report->runs[r].name);
        ws_html_add(html, "</span>");
    }
    ws_html_add(html, "</div>\n");
}

static bool draw_all(const struct ws_report *report, struct ws_html *html, struct ws_arena *arena)
{
    static const struct {
        const char *key;
        double scale;
        struct ws_chart chart;
    } members[] = {
        {"agreement", 100, {.title = "Held-out agreement with the teacher, %", .y_top = NAN, .decimals = 1}},
        {"n_selected", 1, {.title = "Images selected", .from_zero = true, .y_top = NAN, .decimals = 0}},
        {"alpha",
         1,
         {.title = "Alpha, the teacher’s say in the selection", .from_zero = true, .y_top = 1, .decimals = 2}},
    };
    ws_html_add(html, "<div class=\"charts\">\n");
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        if (!draw_member(report, html, arena, members[i].key, members[i].scale, members[i].chart))
            return false;
    }
    for (size_t r = 0; r < report->n_runs; r++) {
        if (!draw_loss(html, arena, &report->runs[r]))
            return false;
    }
    ws_html_add(html, "</div>\n");
    return draw_classes(report, html, arena);
}

enum ws_status ws_report_add_curves(const struct ws_report *report, struct ws_html *html, struct ws_err *err)
{
    bool is_any = false;
    for (size_t r = 0; r < report->n_runs; r++)
        is_any = is_any || json_array_size(report->runs[r].epochs) > 0 || report->runs[r].n_steps > 0;
    bool is_drawn = true;
    if (is_any) {
        struct ws_arena arena = {0};
        add_legend(report, html);
        is_drawn = draw_all(report, html, &arena);
        ws_arena_fini(&arena);
    } else {
        ws_report_add_missing(html, "No student has been trained.", "distill");
    }
    return is_drawn ? WS_OK : ws_fail(err, WS_E_MEMORY, "out of memory for the report's curves");
}
