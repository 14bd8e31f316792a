/** The page around the sections: head, lead, facts, provenance, foot. */
#include "page.h"

#include "webstill/base/json.h"
#include "webstill/stage/cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void ws_report_add_missing(struct ws_html *html, const char *what, const char *command)
{
    ws_html_add(html, "<p class=\"missing\">");
    ws_html_text(html, what);
    ws_html_add(html, " Stage <b>");
    ws_html_text(html, command);
    ws_html_add(html, "</b> has not been run: <code>webstill ");
    ws_html_text(html, command);
    ws_html_add(html, " CONFIG</code>.</p>\n");
}

/** What the teacher scores on the clean test set; its own card's validation figure when `eval` has not been run. */
static double find_teacher_accuracy(const struct ws_report *report)
{
    const double accuracy = ws_json_number(report->teacher_eval, "accuracy");
    return isfinite(accuracy) ? accuracy : ws_json_number(report->card, "accuracy");
}

/** The page's one sentence. */
static void add_lead(const struct ws_report *report, struct ws_html *html)
{
    const struct ws_report_run *lead = ws_report_lead(report);
    const double teacher = find_teacher_accuracy(report);
    ws_html_add(html, "<p class=\"lead\">");
    if (lead && lead->eval && isfinite(teacher)) {
        ws_html_add(html, "A ");
        ws_html_text(html, report->config->distill.arch);
        ws_html_add(html, " student, taught by ");
        ws_html_text(html, lead->name);
        ws_html_add(html, " on images from the web alone, is right on ");
        ws_html_percent(html, ws_json_number(lead->eval, "accuracy"), 2);
        ws_html_add(html,
                    "&nbsp;% of the clean test images. Its teacher, which had seen the original training data, is "
                    "right on ");
        ws_html_percent(html, teacher, 2);
        ws_html_add(html, "&nbsp;%.</p>\n");
        return;
    }
    if (report->images) {
        ws_html_count(html, (int64_t)ws_images_count(report->images));
        ws_html_add(html, " images of the web are stored; no student has been evaluated yet.</p>\n");
        return;
    }
    ws_html_add(html, "Nothing has been stored yet. This page grows with each stage that ends.</p>\n");
}

static void open_tile(struct ws_html *html)
{
    ws_html_add(html, "<div class=\"tile\"><b>");
}

static void close_tile(struct ws_html *html, const char *text)
{
    ws_html_add(html, "</b><span>");
    ws_html_text(html, text);
    ws_html_add(html, "</span></div>\n");
}

static void add_tiles(const struct ws_report *report, struct ws_html *html)
{
    const struct ws_report_run *lead = ws_report_lead(report);
    const double teacher_work = ws_json_number(report->teacher_eval, "multiply_adds");
    const json_t *eval = lead ? lead->eval : NULL;
    char text[200];
    ws_html_add(html, "<div class=\"tiles\">\n");
    if (eval) {
        open_tile(html);
        ws_html_percent(html, ws_json_number(eval, "accuracy"), 1);
        snprintf(text, sizeof text, "%.80s student, clean test accuracy in %%", lead->name);
        close_tile(html, text);
    }
    if (isfinite(find_teacher_accuracy(report))) {
        open_tile(html);
        ws_html_percent(html, find_teacher_accuracy(report), 1);
        close_tile(html,
                   report->teacher_eval ? "teacher, clean test accuracy in %" : "teacher, validation accuracy in %");
    }
    if (eval && teacher_work > ws_json_number(eval, "multiply_adds") && ws_json_number(eval, "multiply_adds") > 0) {
        open_tile(html);
        ws_html_number(html, teacher_work / ws_json_number(eval, "multiply_adds"), 1);
        ws_html_add(html, "×");
        close_tile(html, "fewer multiply-adds than the teacher");
    }
    if (report->last.n > 0) {
        int64_t n_kept = 0;
        for (int c = 0; c < report->last.n_classes; c++)
            n_kept += report->last.n_kept[c];
        open_tile(html);
        ws_html_count(html, n_kept);
        ws_html_add(html, "</b><span>of ");
        ws_html_count(html, (int64_t)report->last.n);
        ws_html_add(html, " pool images kept in the last epoch</span></div>\n");
    } else if (report->images) {
        open_tile(html);
        ws_html_count(html, (int64_t)ws_images_count(report->images));
        close_tile(html, "images stored");
    }
    ws_html_add(html, "</div>\n");
}

static void add_fact(struct ws_html *html, const char *name, const char *value)
{
    if (!value || !value[0])
        return;
    ws_html_add(html, "<dt>");
    ws_html_text(html, name);
    ws_html_add(html, "</dt><dd>");
    ws_html_text(html, value);
    ws_html_add(html, "</dd>\n");
}

/** Every manifest that was read, in the order of the stages. */
static size_t list_manifests(const struct ws_report *report, const json_t **out, size_t n_max)
{
    const json_t *const before[] = {report->crawl, report->store, report->teacher, report->score, report->curate};
    size_t n = 0;
    for (size_t i = 0; i < sizeof before / sizeof before[0] && n < n_max; i++) {
        if (before[i])
            out[n++] = before[i];
    }
    for (size_t r = 0; r < report->n_runs && n < n_max; r++) {
        if (report->runs[r].manifest)
            out[n++] = report->runs[r].manifest;
    }
    if (report->eval && n < n_max)
        out[n++] = report->eval;
    if (report->export_ && n < n_max)
        out[n++] = report->export_;
    return n;
}

/** When and how long, over all manifests. */
struct span_of_work {
    const char *first, *last; /**< borrowed: ISO 8601 in UTC */
    double seconds;
    const json_t *manifest; /**< borrowed: the last one; NULL when nothing has been run */
};

static struct span_of_work measure_work(const struct ws_report *report)
{
    const json_t *manifests[WS_RUNS_MAX + 8]; /* five stages before, two behind */
    const size_t n = list_manifests(report, manifests, WS_RUNS_MAX + 8);
    struct span_of_work span = {.first = "", .last = ""};
    for (size_t i = 0; i < n; i++) {
        const char *started = ws_json_text(manifests[i], "started"), *finished = ws_json_text(manifests[i], "finished");
        const double seconds = ws_json_number(manifests[i], "seconds");
        /* ISO 8601 in UTC sorts as text. */
        span.first = i == 0 || strcmp(started, span.first) < 0 ? started : span.first;
        span.last = strcmp(finished, span.last) > 0 ? finished : span.last;
        span.seconds += isfinite(seconds) ? seconds : 0;
        span.manifest = manifests[i];
    }
    return span;
}

static void add_machine(const struct span_of_work *span, struct ws_html *html)
{
    const json_t *machine = json_object_get(span->manifest, "machine");
    ws_html_text(html, ws_json_text(machine, "cpu"));
    ws_html_addf(html, ", %lld cores", (long long)json_integer_value(json_object_get(machine, "cores")));
}

static void add_short_facts(const struct ws_report *report, struct ws_html *html)
{
    const struct span_of_work span = measure_work(report);
    if (!span.manifest)
        return;
    ws_html_add(html, "<p class=\"soft small\">");
    char day[11];
    snprintf(day, sizeof day, "%.10s", span.last);
    ws_html_text(html, day);
    ws_html_add(html, " · ");
    add_machine(&span, html);
    ws_html_add(html, " · ");
    ws_html_seconds(html, span.seconds);
    ws_html_addf(html, " in all stages · webstill " WS_VERSION " · seed %llu · configuration ",
                 (unsigned long long)report->config->seed);
    char hash[13];
    snprintf(hash, sizeof hash, "%.12s", report->config_sha256);
    ws_html_text(html, hash);
    ws_html_add(html, "</p>\n");
}

static void add_facts(const struct ws_report *report, struct ws_html *html)
{
    const struct span_of_work span = measure_work(report);
    char text[600];
    if (!span.manifest)
        return;
    ws_html_add(html, "<dl class=\"facts\">\n<dt>Machine</dt><dd>");
    add_machine(&span, html);
    ws_html_add(html, "</dd>\n");
    add_fact(html, "System", ws_json_text(json_object_get(span.manifest, "machine"), "system"));
    snprintf(text, sizeof text, "webstill %.40s; %.500s", ws_json_text(span.manifest, "version"),
             ws_json_text(span.manifest, "libraries"));
    add_fact(html, "Versions", text);
    snprintf(text, sizeof text, "%llu", (unsigned long long)report->config->seed);
    add_fact(html, "Seed", text);
    add_fact(html, "Configuration", report->config_sha256);
    snprintf(text, sizeof text, "%.40s to %.40s", span.first, span.last);
    add_fact(html, "Made", text);
    ws_html_add(html, "<dt>Time in all stages</dt><dd>");
    ws_html_seconds(html, span.seconds);
    ws_html_add(html, "</dd>\n</dl>\n");
}

void ws_report_add_head(const struct ws_report *report, struct ws_html *html)
{
    ws_html_add(html, "<header>\n<p class=\"eyebrow\">webstill report</p>\n<h1>");
    ws_html_text(html, report->config->report.title);
    ws_html_add(html, "</h1>\n");
    add_lead(report, html);
    add_tiles(report, html);
    add_short_facts(report, html);
    if (report->problems[0]) {
        ws_html_add(html,
                    "<p class=\"missing\">Some files could not be read and are left out; <code>webstill verify</code> "
                    "tells more. ");
        ws_html_text(html, report->problems);
        ws_html_add(html, "</p>\n");
    }
    ws_html_add(html, "</header>\n");
}

static void add_stage_row(struct ws_html *html, const char *title, const json_t *manifest)
{
    ws_html_add(html, "<tr><th scope=\"row\">");
    ws_html_text(html, title);
    ws_html_add(html, "</th><td class=\"left\">");
    if (!manifest) {
        ws_html_add(html, "not run</td><td></td><td class=\"left\"></td></tr>\n");
        return;
    }
    ws_html_text(html, ws_json_text(manifest, "finished"));
    ws_html_add(html, "</td><td>");
    ws_html_seconds(html, ws_json_number(manifest, "seconds"));
    ws_html_add(html, "</td><td class=\"left wrap\">");
    bool is_first = true;
    size_t i;
    const json_t *output;
    json_array_foreach(json_object_get(manifest, "outputs"), i, output)
    {
        ws_html_add(html, is_first ? "" : "<br>");
        ws_html_text(html, ws_json_text(output, "path"));
        ws_html_add(html, " <code>");
        ws_html_text_short(html, ws_json_text(output, "sha256"), 12);
        ws_html_add(html, "</code>");
        is_first = false;
        if (i == 7) {
            ws_html_addf(html, "<br>and %zu more", json_array_size(json_object_get(manifest, "outputs")) - 8);
            break;
        }
    }
    ws_html_add(html, "</td></tr>\n");
}

static void add_configuration(struct ws_html *html, const char *title, const json_t *manifest)
{
    if (!manifest)
        return;
    ws_html_add(html, "<h3>");
    ws_html_text(html, title);
    ws_html_add(html, "</h3><pre>");
    /* Line breaks matter here, and ws_html_text() turns them into spaces. */
    const char *line = ws_json_text(manifest, "config");
    while (*line) {
        const size_t len = strcspn(line, "\n");
        char part[512];
        snprintf(part, sizeof part, "%.*s", (int)(len < 500 ? len : 500), line);
        ws_html_text(html, part);
        ws_html_add(html, "\n");
        line += len + (line[len] == '\n');
    }
    ws_html_add(html, "</pre>\n");
}

static void add_configurations(const struct ws_report *report, struct ws_html *html)
{
    const struct ws_report_run *lead = ws_report_lead(report);
    const struct {
        const char *title;
        const json_t *manifest;
    } stages[] = {{"crawl", report->crawl}, {"store", report->store},   {"teacher", report->teacher},
                  {"score", report->score}, {"curate", report->curate}, {"distill", lead ? lead->manifest : NULL}};
    bool is_any = false;
    for (size_t i = 0; i < sizeof stages / sizeof stages[0]; i++)
        is_any = is_any || stages[i].manifest;
    if (!is_any)
        return;
    ws_html_add(html, "<details><summary>The configuration each stage ran under</summary>\n");
    for (size_t i = 0; i < sizeof stages / sizeof stages[0]; i++)
        add_configuration(html, stages[i].title, stages[i].manifest);
    ws_html_add(html, "</details>\n");
}

void ws_report_add_stages(const struct ws_report *report, struct ws_html *html)
{
    const struct {
        const char *title;
        const json_t *manifest;
    } stages[] = {{"crawl", report->crawl},
                  {"store", report->store},
                  {"teacher", report->teacher},
                  {"score", report->score},
                  {"curate", report->curate}};
    ws_html_add(html, "<section id=\"stages\">\n<h2>How it was made</h2>\n");
    add_facts(report, html);
    ws_html_add(html,
                "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Stages\"><table><thead><tr><th "
                "scope=\"col\">Stage</th><th scope=\"col\" class=\"left\">Finished</th>"
                "<th scope=\"col\">Time</th><th scope=\"col\" class=\"left\">Output and its "
                "SHA-256</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < sizeof stages / sizeof stages[0]; i++)
        add_stage_row(html, stages[i].title, stages[i].manifest);
    for (size_t r = 0; r < report->n_runs; r++) {
        char title[100];
        snprintf(title, sizeof title, "distill %.80s", report->runs[r].name);
        add_stage_row(html, title, report->runs[r].manifest);
    }
    add_stage_row(html, "eval", report->eval);
    add_stage_row(html, "export", report->export_);
    ws_html_add(html, "</tbody></table></div>\n");
    add_configurations(report, html);
    ws_html_add(html, "</section>\n");
}

enum ws_status ws_report_write(const struct ws_report *report, struct ws_html *html, struct ws_err *err)
{
    ws_html_add(html, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                      "<meta name=\"generator\" content=\"webstill " WS_VERSION "\">\n"
                      "<meta name=\"referrer\" content=\"no-referrer\">\n<title>");
    ws_html_text(html, report->config->report.title);
    ws_html_add(html, " – webstill report</title>\n<style>\n");
    ws_html_add(html, ws_report_style);
    ws_html_add(html, "</style>\n</head>\n<body>\n<main>\n");
    ws_report_add_head(report, html);
    ws_report_add_results(report, html);
    enum ws_status status = ws_report_add_seeds(report, html, err);
    if (status == WS_OK)
        status = ws_report_add_funnel(report, html, err);
    if (status == WS_OK)
        status = ws_report_add_sheet(report, html, err);
    if (status == WS_OK)
        status = ws_report_add_changes(report, html, err);
    if (status == WS_OK)
        status = ws_report_add_refined(report, html, err);
    if (status == WS_OK)
        status = ws_report_add_curves(report, html, err);
    if (status != WS_OK)
        return status;
    ws_report_add_classes(report, html);
    ws_report_add_confusion(report, html);
    ws_report_add_stages(report, html);
    ws_html_add(html,
                "<footer>Made by webstill " WS_VERSION " from manifests, metrics and the image store alone; this page "
                "loads nothing from elsewhere. The pictures belong to their authors: each links to where it was "
                "found.</footer>\n</main>\n</body>\n</html>\n");
    return html->is_failed ? ws_fail(err, WS_E_MEMORY, "out of memory for the report") : WS_OK;
}
