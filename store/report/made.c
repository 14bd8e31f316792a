/** How it was made: machine, versions, each stage's time and outputs, and the configuration it ran under. */
#include "section.h"
#include "span.h"

#include "webstill/base/json.h"

#include <stdlib.h>
#include <string.h>

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

static void add_facts(const struct ws_report *report, struct ws_html *html)
{
    const struct ws_report_span span = ws_report_span_of(report);
    char text[600];
    if (!span.manifest)
        return;
    ws_html_add(html, "<dl class=\"facts\">\n<dt>Machine</dt><dd>");
    ws_report_span_add_machine(&span, html);
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

/** What a stage's row tells of itself: of a stage with runs, the run that is shown first. */
static const json_t *find_shown(const struct ws_report *report, size_t i)
{
    const struct ws_report_run *lead = ws_report_lead(report);
    if (!ws_stage_table[i].has_runs)
        return report->manifests[i];
    return lead ? lead->manifest : NULL;
}

static void add_configurations(const struct ws_report *report, struct ws_html *html)
{
    bool is_any = false;
    for (size_t i = 0; ws_stage_table[i].name; i++)
        is_any = is_any || find_shown(report, i);
    if (!is_any)
        return;
    ws_html_add(html, "<details><summary>The configuration each stage ran under</summary>\n");
    for (size_t i = 0; ws_stage_table[i].name; i++)
        add_configuration(html, ws_stage_table[i].name, find_shown(report, i));
    ws_html_add(html, "</details>\n");
}

static void add_stage_rows(const struct ws_report *report, const struct ws_stage *stage, struct ws_html *html)
{
    for (size_t r = 0; stage->has_runs && r < report->n_runs; r++) {
        char title[100];
        snprintf(title, sizeof title, "%s %.80s", stage->name, report->runs[r].name);
        add_stage_row(html, title, report->runs[r].manifest);
    }
    if (!stage->has_runs && strcmp(stage->name, "report") != 0) /* the page is not done before it is written */
        add_stage_row(html, stage->name, ws_report_manifest(report, stage->name));
}

enum ws_status ws_report_add_stages(const struct ws_report *report, struct ws_html *html, struct ws_err *err)
{
    (void)err;
    add_facts(report, html);
    ws_html_add(html,
                "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Stages\"><table><thead><tr><th "
                "scope=\"col\">Stage</th><th scope=\"col\" class=\"left\">Finished</th>"
                "<th scope=\"col\">Time</th><th scope=\"col\" class=\"left\">Output and its "
                "SHA-256</th></tr></thead><tbody>\n");
    for (const struct ws_stage *stage = ws_stage_table; stage->name; stage++)
        add_stage_rows(report, stage, html);
    ws_html_add(html, "</tbody></table></div>\n");
    add_configurations(report, html);
    return WS_OK;
}
