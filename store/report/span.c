#include "span.h"

#include "webstill/base/json.h"

#include <math.h>
#include <string.h>

static void take(struct ws_report_span *span, const json_t *manifest)
{
    if (!manifest)
        return;
    const char *started = ws_json_text(manifest, "started"), *finished = ws_json_text(manifest, "finished");
    const double seconds = ws_json_number(manifest, "seconds");
    /* ISO 8601 in UTC sorts as text. */
    span->first = !span->manifest || strcmp(started, span->first) < 0 ? started : span->first;
    span->last = strcmp(finished, span->last) > 0 ? finished : span->last;
    span->seconds += isfinite(seconds) ? seconds : 0;
    span->manifest = manifest;
}

struct ws_report_span ws_report_span_of(const struct ws_report *report)
{
    struct ws_report_span span = {.first = "", .last = ""};
    for (size_t i = 0; ws_stage_table[i].name; i++) {
        for (size_t r = 0; ws_stage_table[i].has_runs && r < report->n_runs; r++)
            take(&span, report->runs[r].manifest);
        take(&span, report->manifests[i]);
    }
    return span;
}

void ws_report_span_add_machine(const struct ws_report_span *span, struct ws_html *html)
{
    const json_t *machine = json_object_get(span->manifest, "machine");
    ws_html_text(html, ws_json_text(machine, "cpu"));
    ws_html_addf(html, ", %lld cores", (long long)json_integer_value(json_object_get(machine, "cores")));
}
