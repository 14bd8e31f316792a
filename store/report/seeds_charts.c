/** The report's charts over seeds: lines with bands, dots with bars. */
#include "seeds.h"

#include "chart.h"

#include <math.h>
#include <string.h>

bool ws_seeds_draw_spreads(struct ws_html *html, const struct ws_results *results,
                           const struct ws_experiment *experiment, const char *title)
{
    struct ws_seed_row rows[WS_SEED_ROWS_MAX];
    struct ws_chart_spread spreads[WS_SEED_ROWS_MAX];
    struct ws_arena arena = {0};
    const size_t n = ws_seed_rows(results, experiment, false, rows);
    bool is_whole = true;
    for (size_t r = 0; r < n; r++) {
        const struct ws_result_group *group = rows[r].group;
        const struct ws_spread spread = ws_results_spread(results, group, WS_MEASURE_ACCURACY);
        double *points = ws_arena_alloc(&arena, group->n, sizeof *points);
        is_whole = is_whole && points;
        for (size_t i = 0; points && i < group->n; i++)
            points[i] = 100 * results->items[group->first + i].values[WS_MEASURE_ACCURACY];
        spreads[r] = (struct ws_chart_spread){.name = group->row,
                                              .slot = rows[r].slot,
                                              .mean = 100 * spread.mean,
                                              .sd = 100 * spread.sd,
                                              .points = points,
                                              .n_points = points ? group->n : 0};
    }
    if (is_whole && n > 1) {
        ws_html_add(html, "<div class=\"charts one\">\n");
        ws_chart_spreads(html, title, spreads, n, 2);
        ws_html_add(html, "</div>\n");
    }
    ws_arena_fini(&arena);
    return is_whole;
}

/** mean - sd and mean + sd; a mean without a deviation has no band. */
static bool make_band(struct ws_arena *arena, const double *mean, const double *sd, struct ws_chart_series *series)
{
    double *lo = ws_arena_alloc(arena, series->n + 1, sizeof *lo),
           *hi = ws_arena_alloc(arena, series->n + 1, sizeof *hi);
    if (!lo || !hi)
        return false;
    for (size_t i = 0; i < series->n; i++) {
        lo[i] = mean[i] - sd[i];
        hi[i] = mean[i] + sd[i];
    }
    series->lo = lo;
    series->hi = hi;
    return true;
}

static void add_legend(struct ws_html *html, const struct ws_chart_series *series, size_t n)
{
    ws_html_add(html, "<div class=\"legend\">");
    for (size_t s = 0; s < n; s++) {
        ws_html_addf(html, "<span><span class=\"key k%d\"></span>", series[s].slot);
        ws_html_text(html, series[s].name);
        ws_html_add(html, "</span>");
    }
    ws_html_add(html, "</div>\n");
}

/* --- against x --- */

/** One row's measure over its x. n = 0 where it has none; false when out of memory. */
static bool take_against(struct ws_arena *arena, const struct ws_results *results, const struct ws_seed_row *rows,
                         size_t n_rows, enum ws_result_measure measure, double x_scale, struct ws_chart_series *out)
{
    double *x = ws_arena_alloc(arena, n_rows, sizeof *x), *mean = ws_arena_alloc(arena, n_rows, sizeof *mean);
    double *sd = ws_arena_alloc(arena, n_rows, sizeof *sd);
    if (!x || !mean || !sd)
        return false;
    *out = (struct ws_chart_series){.name = rows[0].group->row, .slot = rows[0].slot, .x = x, .y = mean};
    for (size_t r = 0; r < n_rows; r++) {
        const struct ws_spread spread = ws_results_spread(results, rows[r].group, measure);
        if (spread.n == 0 || !isfinite(rows[r].group->x))
            continue;
        x[out->n] = x_scale * rows[r].group->x;
        mean[out->n] = 100 * spread.mean;
        sd[out->n++] = 100 * spread.sd;
    }
    return make_band(arena, mean, sd, out);
}

/** How many entries from `rows` on are of one row. */
static size_t count_alike(const struct ws_seed_row *rows, size_t n)
{
    size_t k = 1;
    while (k < n && strcmp(rows[k].group->row, rows[0].group->row) == 0)
        k++;
    return k;
}

bool ws_seeds_draw_against(struct ws_html *html, const struct ws_results *results,
                           const struct ws_experiment *experiment)
{
    const bool is_shifted = experiment->judged == WS_MEASURE_SHIFTED;
    const struct {
        enum ws_result_measure measure;
        const char *title;
    } charts[] = {{experiment->judged, is_shifted ? "Accuracy on the shifted test, %" : "Clean test accuracy, %"},
                  {WS_MEASURE_PRECISION, "Precision of the selection, %"},
                  {WS_MEASURE_RECALL, "Recall of the selection, %"}};
    struct ws_seed_row rows[WS_SEED_ROWS_MAX];
    struct ws_chart_series series[WS_SEED_ROWS_MAX];
    struct ws_arena arena = {0};
    const size_t n = ws_seed_rows(results, experiment, true, rows);
    bool is_whole = true;
    for (size_t c = 0; is_whole && c < (is_shifted ? 1 : sizeof charts / sizeof charts[0]); c++) {
        size_t n_series = 0;
        for (size_t r = 0; is_whole && r < n; r += count_alike(&rows[r], n - r)) {
            is_whole = take_against(&arena, results, &rows[r], count_alike(&rows[r], n - r), charts[c].measure,
                                    experiment->is_share ? 100 : 1, &series[n_series]);
            n_series += is_whole && series[n_series].n > 0 ? 1 : 0;
        }
        if (c == 0) {
            add_legend(html, series, n_series);
            ws_html_add(html, "<div class=\"charts\">\n");
        }
        ws_chart_lines(html, &(struct ws_chart){.title = charts[c].title,
                                                .x_title = experiment->x_title,
                                                .is_log = experiment->is_log,
                                                .y_top = (double)NAN,
                                                .decimals = 1,
                                                .series = series,
                                                .n_series = n_series});
    }
    ws_html_add(html, "</div>\n");
    ws_arena_fini(&arena);
    return is_whole;
}

/* --- while training --- */

static bool take_curve(struct ws_arena *arena, const struct ws_results *results, const struct ws_seed_row *row,
                       struct ws_chart_series *out)
{
    struct ws_spread_curve curve;
    if (!ws_results_curve(results, row->group, arena, &curve))
        return false;
    for (size_t i = 0; i < curve.n; i++) {
        curve.mean[i] *= 100;
        curve.sd[i] *= 100;
    }
    *out = (struct ws_chart_series){
        .name = row->group->row, .slot = row->slot, .n = curve.n, .x = curve.step, .y = curve.mean};
    return make_band(arena, curve.mean, curve.sd, out);
}

/** From the lowest to the highest point of all curves and bands. */
static void find_range(const struct ws_chart_series *series, size_t n, double range[2])
{
    range[0] = HUGE_VAL;
    range[1] = -HUGE_VAL;
    for (size_t s = 0; s < n; s++) {
        for (size_t i = 0; i < series[s].n; i++) { /* fmin and fmax pass NaN over */
            range[0] = fmin(range[0], fmin(series[s].y[i], series[s].lo[i]));
            range[1] = fmax(range[1], fmax(series[s].y[i], series[s].hi[i]));
        }
    }
}

/** A panel for each row on one scale, with `behind` as a grey line in each. */
static void draw_panels(struct ws_html *html, const struct ws_chart_series *series, size_t n,
                        const struct ws_chart_series *behind)
{
    double range[2];
    find_range(series, n, range);
    ws_html_add(html, "<div class=\"charts\">\n");
    for (size_t s = 0; s < n; s++) {
        struct ws_chart_series pair[2] = {*behind, series[s]};
        const bool is_alone = &series[s] == behind;
        pair[0].slot = WS_CHART_SOFT;
        pair[0].lo = pair[0].hi = NULL;
        ws_chart_lines(html, &(struct ws_chart){.title = series[s].name,
                                                .x_title = "step",
                                                .y_top = (double)NAN,
                                                .y_range = range,
                                                .decimals = 1,
                                                .series = is_alone ? &pair[1] : pair,
                                                .n_series = is_alone ? 1 : 2});
    }
    ws_html_add(html, "</div>\n");
}

/** The first panels stand open, the others wait behind a line: a phone shows one beside none. */
static void add_panels(struct ws_html *html, const struct ws_experiment *experiment,
                       const struct ws_chart_series *series, size_t n)
{
    enum { N_OPEN = 6 };
    const size_t n_open = n < N_OPEN ? n : N_OPEN;
    const char *lead = json_string_value(json_array_get(experiment->leads, 0));
    const struct ws_chart_series *behind = &series[0];
    for (size_t s = 0; s < n; s++)
        behind = lead && strcmp(series[s].name, lead) == 0 ? &series[s] : behind;
    ws_html_add(html,
                "<h4>Held-out agreement with the teacher while training, %</h4>\n<p class=\"soft\">Panels side by "
                "side have one scale; the dashed line is ");
    ws_html_text(html, behind->name);
    ws_html_add(html, ".</p>\n");
    draw_panels(html, series, n_open, behind);
    if (n == n_open)
        return;
    ws_html_addf(html, "<details><summary>%zu more</summary>\n", n - n_open);
    draw_panels(html, series + n_open, n - n_open, behind);
    ws_html_add(html, "</details>\n");
}

/** The rows with a colour of their own come first, in the same order otherwise. */
static void put_known_first(struct ws_seed_row *rows, size_t n)
{
    size_t n_known = 0;
    for (size_t r = 0; r < n; r++) {
        const struct ws_seed_row row = rows[r];
        if (row.slot == WS_CHART_NEUTRAL)
            continue;
        memmove(&rows[n_known + 1], &rows[n_known], (r - n_known) * sizeof row);
        rows[n_known++] = row;
    }
}

bool ws_seeds_draw_curves(struct ws_html *html, const struct ws_results *results,
                          const struct ws_experiment *experiment)
{
    struct ws_seed_row rows[WS_SEED_ROWS_MAX];
    struct ws_chart_series series[WS_SEED_ROWS_MAX];
    struct ws_arena arena = {0};
    const size_t n = ws_seed_rows(results, experiment, false, rows);
    size_t n_series = 0;
    bool is_whole = true;
    put_known_first(rows, n);
    for (size_t r = 0; is_whole && r < n; r++) {
        is_whole = take_curve(&arena, results, &rows[r], &series[n_series]);
        n_series += is_whole && series[n_series].n > 1 ? 1 : 0;
    }
    if (is_whole && n_series > 0)
        add_panels(html, experiment, series, n_series);
    ws_arena_fini(&arena);
    return is_whole;
}
