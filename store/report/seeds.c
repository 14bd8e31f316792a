/** The report's table over seeds: each experiment's rows with mean and deviation, and every run behind them. */
#include "seeds.h"

#include "chart.h"
#include "section.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/** A column of a table: a measure, or a measure's difference to a row. */
struct column {
    const char *title; /**< markup; NULL: of a difference */
    enum ws_result_measure measure;
    double scale;
    int decimals;
    const char *against; /**< a row: the difference to it, seed by seed; NULL: the value */
};

enum { DIFFERENCES_MAX = 8, COLUMNS_MAX = 16 };

/* --- tables --- */

/** The columns of an experiment's table; returns how many. */
static size_t list_columns(const struct ws_experiment *experiment, struct column columns[COLUMNS_MAX])
{
    static const struct column before[] = {
        {"Accuracy,<br>last %", WS_MEASURE_ACCURACY, 100, 2, NULL},
        {"Accuracy,<br>best %", WS_MEASURE_BEST, 100, 2, NULL},
    };
    static const struct column behind[] = {
        {"Agreement<br>with teacher %", WS_MEASURE_AGREEMENT, 100, 2, NULL},
        {"Accuracy under<br>the shift %", WS_MEASURE_SHIFTED, 100, 2, NULL},
        {"Selection,<br>precision %", WS_MEASURE_PRECISION, 100, 1, NULL},
        {"Selection,<br>recall %", WS_MEASURE_RECALL, 100, 1, NULL},
        {"Training,<br>seconds", WS_MEASURE_SECONDS, 1, 0, NULL},
        {"Steps", WS_MEASURE_STEPS, 1, 0, NULL},
    };
    size_t n = 0;
    for (size_t i = 0; i < sizeof before / sizeof before[0]; i++)
        columns[n++] = before[i];
    for (size_t i = 0; i < DIFFERENCES_MAX && i < json_array_size(experiment->against); i++) {
        const char *row = json_string_value(json_array_get(experiment->against, i));
        if (row)
            columns[n++] = (struct column){NULL, experiment->judged, 100, 2, row};
    }
    for (size_t i = 0; i < sizeof behind / sizeof behind[0]; i++)
        columns[n++] = behind[i];
    return n;
}

static void add_column_title(struct ws_html *html, const struct column *column)
{
    ws_html_add(html, "<th scope=\"col\">");
    if (column->against) {
        ws_html_add(html, "Against ");
        ws_html_text(html, column->against);
        ws_html_add(html, ",<br>points");
    } else {
        ws_html_add(html, column->title);
    }
    ws_html_add(html, "</th>");
}

static struct ws_spread measure(const struct ws_results *results, const struct ws_result_group *group,
                                const struct column *column)
{
    if (!column->against)
        return ws_results_spread(results, group, column->measure);
    const struct ws_result_group *base = ws_results_find(results, group->experiment, column->against, group->x);
    if (!base || base == group)
        return (struct ws_spread){.mean = (double)NAN, .sd = (double)NAN};
    return ws_results_difference(results, group, base, column->measure);
}

/** "82.00 ± 1.00", a difference with its sign. */
static void add_spread(struct ws_html *html, const struct ws_spread *spread, const struct column *column)
{
    const double mean = column->scale * spread->mean;
    ws_html_add(html, "<td>");
    if (column->against && isfinite(mean))
        ws_html_add(html, mean < 0 ? "−" : "+");
    ws_html_number(html, column->against ? fabs(mean) : mean, column->decimals);
    /* Whole numbers that are the same for every seed: steps. */
    if (isfinite(spread->sd) && (column->decimals > 0 || spread->sd > 0)) {
        ws_html_add(html, " <span class=\"sd\">± ");
        ws_html_number(html, column->scale * spread->sd, column->decimals);
        ws_html_add(html, "</span>");
    }
    ws_html_add(html, "</td>");
}

static bool is_used(const struct ws_results *results, const struct ws_seed_row *rows, size_t n_rows,
                    const struct column *column)
{
    for (size_t r = 0; r < n_rows; r++) {
        if (measure(results, rows[r].group, column).n > 0)
            return true;
    }
    return false;
}

static void add_x(struct ws_html *html, double x, bool is_share)
{
    if (is_share)
        ws_html_number(html, 100 * x, 0);
    else if (isfinite(x) && fabs(x - round(x)) > 1e-9)
        ws_html_addf(html, "%g", x);
    else if (isfinite(x))
        ws_html_count(html, (int64_t)llround(x));
}

static void add_table(const struct ws_results *results, struct ws_html *html, const struct ws_experiment *experiment)
{
    struct ws_seed_row rows[WS_SEED_ROWS_MAX];
    struct column columns[COLUMNS_MAX];
    bool is_shown[COLUMNS_MAX];
    const size_t n = ws_seed_rows(results, experiment, experiment->x_title != NULL, rows);
    const size_t n_columns = list_columns(experiment, columns);
    ws_html_add(html, "<p class=\"soft small\">Mean ± standard deviation over seeds.</p>\n<div class=\"scroll\" "
                      "tabindex=\"0\" role=\"region\" aria-label=\"");
    ws_html_text(html, experiment->title);
    ws_html_add(html, "\"><table data-experiment=\"");
    ws_html_text(html, experiment->name);
    ws_html_add(html, "\"><thead><tr><th scope=\"col\">Row</th>");
    if (experiment->x_title) {
        ws_html_add(html, "<th scope=\"col\">");
        ws_html_text(html, experiment->x_title);
        ws_html_add(html, "</th>");
    }
    ws_html_add(html, "<th scope=\"col\">Seeds</th>");
    for (size_t c = 0; c < n_columns; c++) {
        is_shown[c] = is_used(results, rows, n, &columns[c]);
        if (is_shown[c])
            add_column_title(html, &columns[c]);
    }
    ws_html_add(html, "</tr></thead><tbody>\n");
    for (size_t r = 0; r < n; r++) {
        ws_html_addf(html, "<tr><th scope=\"row\"><span class=\"key k%d\"></span>", rows[r].slot);
        ws_html_text(html, rows[r].group->row);
        ws_html_add(html, "</th>");
        if (experiment->x_title) {
            ws_html_add(html, "<td>");
            add_x(html, rows[r].group->x, experiment->is_share);
            ws_html_add(html, "</td>");
        }
        ws_html_addf(html, "<td>%zu</td>", rows[r].group->n);
        for (size_t c = 0; c < n_columns; c++) {
            const struct ws_spread spread = measure(results, rows[r].group, &columns[c]);
            if (is_shown[c])
                add_spread(html, &spread, &columns[c]);
        }
        ws_html_add(html, "</tr>\n");
    }
    ws_html_add(html, "</tbody></table></div>\n");
}

static void add_run(struct ws_html *html, const struct ws_result *run)
{
    ws_html_add(html, "<tr><th scope=\"row\">");
    ws_html_text(html, run->experiment);
    ws_html_add(html, "</th><td class=\"left\">");
    ws_html_text(html, run->row);
    ws_html_add(html, "</td><td>");
    add_x(html, run->x, false);
    ws_html_addf(html, "</td><td>%lld</td>", (long long)run->seed);
    static const enum ws_result_measure shown[] = {WS_MEASURE_ACCURACY, WS_MEASURE_BEST};
    for (size_t m = 0; m < 2; m++) {
        ws_html_add(html, "<td>");
        ws_html_percent(html, run->values[shown[m]], 2);
        ws_html_add(html, "</td>");
    }
    ws_html_add(html, "<td>");
    ws_html_seconds(html, run->values[WS_MEASURE_SECONDS]);
    ws_html_add(html, "</td><td class=\"left\"><code>");
    ws_html_text_short(html, run->commit, 10);
    ws_html_add(html, "</code></td><td class=\"left\"><code>");
    ws_html_text_short(html, run->config_sha256, 12);
    ws_html_add(html, "</code></td><td class=\"left\">");
    ws_html_text_short(html, run->machine, 60);
    ws_html_add(html, "</td></tr>\n");
}

/** What the figures rest on: each run with its commit, its configuration's hash and its machine. */
static void add_runs(const struct ws_results *results, struct ws_html *html)
{
    ws_html_addf(html, "<details><summary>All %zu runs: commit, configuration, machine</summary>\n", results->n);
    ws_html_add(html, "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Every run\">"
                      "<table data-experiment=\"all\">"
                      "<thead><tr><th scope=\"col\">Experiment</th><th scope=\"col\" class=\"left\">Row</th>"
                      "<th scope=\"col\">x</th><th scope=\"col\">Seed</th><th scope=\"col\">Last %</th>"
                      "<th scope=\"col\">Best %</th><th scope=\"col\">Training</th>"
                      "<th scope=\"col\" class=\"left\">Commit</th><th scope=\"col\" class=\"left\">Configuration</th>"
                      "<th scope=\"col\" class=\"left\">Machine</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < results->n; i++)
        add_run(html, &results->items[i]);
    ws_html_add(html, "</tbody></table></div>\n</details>\n");
}

/* --- the section --- */

static bool add_experiment(const struct ws_results *results, struct ws_html *html,
                           const struct ws_experiment *experiment)
{
    if (!ws_results_find(results, experiment->name, NULL, (double)NAN))
        return true;
    ws_html_add(html, "<h3 class=\"part\" id=\"seeds-");
    ws_html_text(html, experiment->name);
    ws_html_add(html, "\">");
    ws_html_text(html, experiment->title);
    ws_html_add(html, "</h3>\n");
    if (experiment->text[0]) {
        ws_html_add(html, "<p>");
        ws_html_text(html, experiment->text);
        ws_html_add(html, "</p>\n");
    }
    if (experiment->x_title) {
        if (!ws_seeds_draw_against(html, results, experiment))
            return false;
        ws_html_add(html, "<details><summary>The same as a table</summary>\n");
        add_table(results, html, experiment);
        ws_html_add(html, "</details>\n");
        return true;
    }
    if (!ws_seeds_draw_spreads(html, results, experiment, "Clean test accuracy, %"))
        return false;
    add_table(results, html, experiment);
    ws_seeds_add_parts(html, results, experiment);
    return ws_seeds_draw_curves(html, results, experiment);
}

/** Commit and machine when all runs share them. */
static void add_origin(const struct ws_results *results, struct ws_html *html)
{
    bool is_one_commit = true, is_one_machine = true;
    for (size_t i = 1; i < results->n; i++) {
        is_one_commit = is_one_commit && strcmp(results->items[i].commit, results->items[0].commit) == 0;
        is_one_machine = is_one_machine && strcmp(results->items[i].machine, results->items[0].machine) == 0;
    }
    ws_html_add(html, "<p class=\"soft small\">");
    ws_html_count(html, (int64_t)results->n);
    ws_html_add(html, " runs · ");
    if (is_one_commit) {
        ws_html_add(html, "commit ");
        ws_html_text_short(html, results->items[0].commit, 10);
    } else {
        ws_html_add(html, "several commits, listed below");
    }
    ws_html_add(html, " · ");
    ws_html_text_short(html, is_one_machine ? results->items[0].machine : "several machines, listed below", 100);
    ws_html_add(html, "</p>\n");
}

enum ws_status ws_report_add_seeds(const struct ws_report *report, struct ws_html *html, struct ws_err *err)
{
    const struct ws_results *results = &report->results;
    ws_html_add(html, "<p>Every figure is the mean over seeds, ± one "
                      "standard deviation; bands and bars show the same. A run meets the clean test images once, after "
                      "its training. “Last” is the last epoch, “best” the one that agreed most with the teacher on "
                      "held-out images of the web.</p>\n");
    add_origin(results, html);
    bool is_whole = true;
    for (size_t i = 0; is_whole && i < results->n_experiments; i++)
        is_whole = add_experiment(results, html, &results->experiments[i]);
    add_runs(results, html);
    return is_whole ? WS_OK : ws_fail(err, WS_E_MEMORY, "out of memory for the results over seeds");
}
