/** The page around its sections. */
#include "page.h"

#include "section.h"

#include "webstill/stage/cli.h"

static bool has_results(const struct ws_report *report)
{
    return report->results.n > 0;
}

static bool has_prepared(const struct ws_report *report)
{
    return report->prepared != NULL;
}

static const struct section {
    const char *id, *title;
    bool (*is_needed)(const struct ws_report *report); /**< NULL: it always stands there */
    enum ws_status (*print)(const struct ws_report *report, struct ws_html *html, struct ws_err *err);
} sections[] = {
    {"results", "Results", NULL, ws_report_add_results},
    {"seeds", "Over seeds", has_results, ws_report_add_seeds},
    {"funnel", "From the web to the lesson", NULL, ws_report_add_funnel},
    {"sheet", "Kept and dropped", NULL, ws_report_add_sheet},
    {"changes", "What changed sides", ws_report_has_changes, ws_report_add_changes},
    {"refined", "Refined", has_prepared, ws_report_add_prepared},
    {"training", "How the students learned", NULL, ws_report_add_curves},
    {"classes", "Class by class", NULL, ws_report_add_classes},
    {"confusion", "What is taken for what", ws_report_has_confusion, ws_report_add_confusion},
    {"stages", "How it was made", NULL, ws_report_add_stages},
};

static enum ws_status add_section(const struct ws_report *report, const struct section *section, struct ws_html *html,
                                  struct ws_err *err)
{
    if (section->is_needed && !section->is_needed(report))
        return WS_OK;
    ws_html_addf(html, "<section id=\"%s\">\n<h2>%s</h2>\n", section->id, section->title);
    const enum ws_status status = section->print(report, html, err);
    ws_html_add(html, "</section>\n");
    return status;
}

enum ws_status ws_report_write(const struct ws_report *report, struct ws_html *html, struct ws_err *err)
{
    enum ws_status status = WS_OK;
    ws_html_add(html, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                      "<meta name=\"generator\" content=\"webstill " WS_VERSION "\">\n"
                      "<meta name=\"referrer\" content=\"no-referrer\">\n<title>");
    ws_html_text(html, ws_report_keys(report->config)->title);
    ws_html_add(html, " – webstill report</title>\n<style>\n");
    ws_html_add(html, ws_report_style);
    ws_html_add(html, "</style>\n</head>\n<body>\n<main>\n");
    ws_report_add_head(report, html);
    for (size_t i = 0; status == WS_OK && i < sizeof sections / sizeof sections[0]; i++)
        status = add_section(report, &sections[i], html, err);
    if (status != WS_OK)
        return status;
    ws_html_add(html,
                "<footer>Made by webstill " WS_VERSION " from manifests, metrics and the image store alone; this page "
                "loads nothing from elsewhere. The pictures belong to their authors: each links to where it was "
                "found.</footer>\n</main>\n</body>\n</html>\n");
    return html->is_failed ? ws_fail(err, WS_E_MEMORY, "out of memory for the report") : WS_OK;
}
