/** The report's tables: results, classes, confusions. */
#include "section.h"

#include "chart.h"

#include "webstill/base/json.h"
#include "webstill/base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const json_t *get_last_epoch(const struct ws_report_run *run)
{
    const size_t n = json_array_size(run->epochs);
    return n > 0 ? json_array_get(run->epochs, n - 1) : NULL;
}

/** Seconds of training over all its sittings; the manifest knows the last one only. */
static double get_seconds(const struct ws_report_run *run, const json_t *manifest)
{
    const double seconds = ws_json_number(get_last_epoch(run), "seconds");
    return isfinite(seconds) ? seconds : ws_json_number(manifest, "seconds");
}

/** The network's size: as `eval` measured it, else as the stage that trained it noted. */
static double get_size(const json_t *eval, const json_t *manifest, const char *key)
{
    const double size = ws_json_number(eval, key);
    return isfinite(size) ? size : ws_json_number(json_object_get(manifest, "facts"), key);
}

static void add_count_cell(struct ws_html *html, double value)
{
    ws_html_add(html, "<td>");
    if (isfinite(value))
        ws_html_count(html, (int64_t)llround(value));
    else
        ws_html_add(html, "–");
    ws_html_add(html, "</td>");
}

static void add_percent_cell(struct ws_html *html, double share, bool is_best)
{
    ws_html_add(html, is_best ? "<td class=\"best\">" : "<td>");
    ws_html_percent(html, share, 2);
    ws_html_add(html, "</td>");
}

static void add_number_cell(struct ws_html *html, double value, int decimals)
{
    ws_html_add(html, "<td>");
    ws_html_number(html, value, decimals);
    ws_html_add(html, "</td>");
}

/** A row of the results: `manifest` and the metrics of `run` tell the cost, the evaluations the worth. */
static void add_result_row(struct ws_html *html, const struct ws_report_run *run, const char *key, const char *arch,
                           const json_t *manifest, const json_t *eval, const json_t *best_eval, bool is_best)
{
    const bool is_teacher = strcmp(key, "kt") == 0;
    ws_html_addf(html, "<tr><th scope=\"row\"><span class=\"key %s\"></span>", key);
    ws_html_text(html, run->name);
    ws_html_add(html, "</th><td class=\"left\">");
    ws_html_text(html, ws_json_text(eval, "arch")[0] ? ws_json_text(eval, "arch") : arch);
    ws_html_add(html, "</td>");
    add_count_cell(html, get_size(eval, manifest, "parameters"));
    add_number_cell(html, get_size(eval, manifest, "multiply_adds") / 1e6, 2);
    add_percent_cell(html, ws_json_number(eval, "accuracy"), is_best);
    add_percent_cell(html, ws_json_number(best_eval, "accuracy"), false);
    add_percent_cell(html, is_teacher ? (double)NAN : ws_json_number(eval, "agreement"), false);
    add_number_cell(html, ws_json_number(eval, "nll"), 3);
    add_percent_cell(html, ws_json_number(eval, "ece"), false);
    ws_html_add(html, "<td>");
    ws_html_seconds(html, get_seconds(run, manifest));
    ws_html_add(html, "</td>");
    add_count_cell(html, ws_json_number(get_last_epoch(run), "images_seen"));
    ws_html_add(html, "</tr>\n");
}

static const struct ws_report_run *find_best(const struct ws_report *report)
{
    const struct ws_report_run *best = NULL;
    double accuracy = -1;
    for (size_t r = 0; r < report->n_runs; r++) {
        const double own = ws_json_number(report->runs[r].eval, "accuracy");
        if (own > accuracy) {
            accuracy = own;
            best = &report->runs[r];
        }
    }
    return best;
}

enum ws_status ws_report_add_results(const struct ws_report *report, struct ws_html *html, struct ws_err *err)
{
    const struct ws_report_run *best = find_best(report);
    (void)err;
    if (!best && !report->teacher_eval) {
        ws_report_add_missing(html, "No model has been tried on the clean test images.", "eval");
        if (!ws_report_manifest(report, "teacher"))
            ws_report_add_missing(html, "There is no teacher yet.", "teacher");
        return WS_OK;
    }
    const double images = ws_json_number(best ? best->eval : report->teacher_eval, "images");
    ws_html_add(html, "<p>Measured on ");
    ws_html_count(html, isfinite(images) ? (int64_t)images : 0);
    ws_html_add(html,
                " clean test images that no training and no choice has seen. “Best” is the epoch that agrees most "
                "with the teacher on held-out images of the web pool.</p>\n");
    ws_html_add(html,
                "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Results\"><table><thead><tr><th "
                "scope=\"col\">Model</th><th scope=\"col\" class=\"left\">Network</th>"
                "<th scope=\"col\">Parameters</th><th scope=\"col\">Multiply-adds,<br>million</th><th "
                "scope=\"col\">Accuracy,<br>last %</th>"
                "<th scope=\"col\">Accuracy,<br>best %</th><th scope=\"col\">Agreement<br>with teacher %</th><th "
                "scope=\"col\">NLL</th><th scope=\"col\">ECE %</th>"
                "<th scope=\"col\">Training</th><th scope=\"col\">Images seen</th></tr></thead><tbody>\n");
    const char *teacher_arch = ws_json_text(report->card, "arch");
    add_result_row(html, &report->teacher_run, "kt",
                   teacher_arch[0] ? teacher_arch : ws_config_teacher(report->config)->arch,
                   ws_report_manifest(report, "teacher"), report->teacher_eval, NULL, false);
    for (size_t r = 0; r < report->n_runs; r++) {
        const struct ws_report_run *run = &report->runs[r];
        char key[8];
        snprintf(key, sizeof key, "k%d", run->slot);
        add_result_row(html, run, key, ws_config_runs(report->config)->arch, run->manifest, run->eval, run->best_eval,
                       run == best);
    }
    ws_html_add(html, "</tbody></table></div>\n");
    for (size_t r = 0; r < report->n_runs; r++) {
        char text[300];
        snprintf(text, sizeof text, "Run %.200s has no evaluation yet.", report->runs[r].name);
        if (!report->runs[r].eval)
            ws_report_add_missing(html, text, report->runs[r].manifest ? "eval" : "distill");
    }
    return WS_OK;
}

/** Accuracy on one class of an evaluation, or NaN. */
static double get_class_accuracy(const json_t *eval, size_t c)
{
    return ws_json_number(json_array_get(json_object_get(eval, "per_class"), c), "accuracy");
}

/** How many stored images each class's search found, counted from the store itself; NULL without one. */
static int64_t *count_labels(const struct ws_report *report)
{
    if (!report->images)
        return NULL;
    int64_t *counts = ws_calloc(report->config->n_classes + 1u, sizeof *counts);
    for (size_t i = 0; counts && i < ws_images_count(report->images); i++) {
        const int label = ws_images_record(report->images, i)->label;
        counts[label >= 0 && label < (int)report->config->n_classes ? label : (int)report->config->n_classes]++;
    }
    return counts;
}

static void add_class_row(const struct ws_report *report, struct ws_html *html, const int64_t *labels, size_t c)
{
    const bool is_selected = report->last.n > 0 && (int)c < report->last.n_classes;
    double best = -1;
    for (size_t r = 0; r < report->n_runs; r++)
        best = fmax(best, get_class_accuracy(report->runs[r].eval, c));
    ws_html_add(html, "<tr><th scope=\"row\">");
    ws_html_text(html, report->config->classes[c].name);
    ws_html_add(html, "</th>");
    add_count_cell(html, labels ? (double)labels[c] : (double)NAN);
    add_count_cell(html, is_selected ? (double)report->last.n_predicted[c] : (double)NAN);
    add_count_cell(html, is_selected ? (double)report->last.n_kept[c] : (double)NAN);
    add_number_cell(html, is_selected ? report->last.threshold[c] : (double)NAN, 3);
    add_percent_cell(html, get_class_accuracy(report->teacher_eval, c), false);
    for (size_t r = 0; r < report->n_runs; r++) {
        const double accuracy = get_class_accuracy(report->runs[r].eval, c);
        add_percent_cell(html, accuracy, report->n_runs > 1 && accuracy > 0 && accuracy >= best);
    }
    ws_html_add(html, "</tr>\n");
}

static void add_class_table(const struct ws_report *report, struct ws_html *html, const int64_t *labels)
{
    ws_html_add(html,
                "<p>“Found by” counts the stored images that a search for the class brought; the other counts go by "
                "the class that teacher and student predict together in the last epoch. Accuracies are those of "
                "the last epoch on the clean test images.</p>\n");
    ws_html_add(html,
                "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Class by "
                "class\"><table><thead><tr><th scope=\"col\">Class</th><th scope=\"col\">Found by<br>its name</th>"
                "<th scope=\"col\">Predicted</th><th scope=\"col\">Kept</th><th scope=\"col\">Threshold</th><th "
                "scope=\"col\">Teacher<br>accuracy %</th>");
    for (size_t r = 0; r < report->n_runs; r++) {
        ws_html_add(html, "<th scope=\"col\">");
        ws_html_text(html, report->runs[r].name);
        ws_html_add(html, "<br>accuracy %</th>");
    }
    ws_html_add(html, "</tr></thead><tbody>\n");
    for (size_t c = 0; c < report->config->n_classes; c++)
        add_class_row(report, html, labels, c);
    ws_html_add(html, "</tbody></table></div>\n");
    if (labels && labels[report->config->n_classes] > 0) {
        ws_html_add(html, "<p class=\"soft\">");
        ws_html_count(html, labels[report->config->n_classes]);
        ws_html_add(html, " more stored images were found under no class.</p>\n");
    }
}

enum ws_status ws_report_add_classes(const struct ws_report *report, struct ws_html *html, struct ws_err *err)
{
    (void)err;
    int64_t *labels = count_labels(report);
    if (labels || report->last.n > 0 || report->teacher_eval || find_best(report))
        add_class_table(report, html, labels);
    if (!report->images)
        ws_report_add_missing(html, "Nothing has been stored.", "store");
    if (report->last.n == 0)
        ws_report_add_missing(html, "Nothing has been selected.", "curate");
    free(labels);
    return WS_OK;
}

/** Row by row the share of a class's test images that got each answer. */
static void add_confusion_of(const struct ws_report *report, struct ws_html *html, const char *title,
                             const json_t *eval)
{
    const json_t *rows = json_object_get(eval, "confusion");
    const size_t n = json_array_size(rows);
    if (n == 0 || n > WS_REPORT_CLASSES_MAX || n != report->config->n_classes)
        return;
    double *shares = ws_calloc(n * n, sizeof *shares);
    const char *names[WS_REPORT_CLASSES_MAX];
    for (size_t i = 0; shares && i < n; i++) {
        const json_t *row = json_array_get(rows, i);
        double sum = 0;
        names[i] = report->config->classes[i].name;
        for (size_t j = 0; j < n; j++)
            sum += json_number_value(json_array_get(row, j));
        for (size_t j = 0; j < n; j++)
            shares[i * n + j] = sum > 0 ? 100 * json_number_value(json_array_get(row, j)) / sum : (double)NAN;
    }
    if (shares) {
        const struct ws_heatmap map = {.title = title,
                                       .x_title = "answer",
                                       .rows = names,
                                       .n_rows = n,
                                       .n_columns = n,
                                       .values = shares,
                                       .columns = names,
                                       .decimals = 0,
                                       .shows_values = true};
        ws_chart_heatmap(html, &map);
    } else {
        html->is_failed = true;
    }
    free(shares);
}

bool ws_report_has_confusion(const struct ws_report *report)
{
    const struct ws_report_run *lead = ws_report_lead(report);
    return lead && json_object_get(lead->eval, "confusion") && report->config->n_classes <= WS_REPORT_CLASSES_MAX;
}

enum ws_status ws_report_add_confusion(const struct ws_report *report, struct ws_html *html, struct ws_err *err)
{
    const struct ws_report_run *lead = ws_report_lead(report);
    (void)err;
    char title[120];
    snprintf(title, sizeof title, "%.80s student", lead->name);
    ws_html_add(html, "<p>Each row shows how the test images of one class were answered, in per cent.</p>\n"
                      "<div class=\"charts two\">\n");
    add_confusion_of(report, html, title, lead->eval);
    add_confusion_of(report, html, "teacher", report->teacher_eval);
    ws_html_add(html, "</div>\n");
    return WS_OK;
}
