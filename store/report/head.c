/** The head of the page: the title, one sentence, the figures that matter. */
#include "section.h"
#include "span.h"

#include "webstill/base/json.h"
#include "webstill/stage/cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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
        ws_html_text(html, ws_config_runs(report->config)->arch);
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

static void add_short_facts(const struct ws_report *report, struct ws_html *html)
{
    const struct ws_report_span span = ws_report_span_of(report);
    if (!span.manifest)
        return;
    ws_html_add(html, "<p class=\"soft small\">");
    char day[11];
    snprintf(day, sizeof day, "%.10s", span.last);
    ws_html_text(html, day);
    ws_html_add(html, " · ");
    ws_report_span_add_machine(&span, html);
    ws_html_add(html, " · ");
    ws_html_seconds(html, span.seconds);
    ws_html_addf(html, " in all stages · webstill " WS_VERSION " · seed %llu · configuration ",
                 (unsigned long long)report->config->seed);
    char hash[13];
    snprintf(hash, sizeof hash, "%.12s", report->config_sha256);
    ws_html_text(html, hash);
    ws_html_add(html, "</p>\n");
}

void ws_report_add_head(const struct ws_report *report, struct ws_html *html)
{
    ws_html_add(html, "<header>\n<p class=\"eyebrow\">webstill report</p>\n<h1>");
    ws_html_text(html, ws_report_keys(report->config)->title);
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
