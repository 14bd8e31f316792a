/** When, how long and where the stages ran. */
#ifndef WEBSTILL_STORE_REPORT_SPAN_H
#define WEBSTILL_STORE_REPORT_SPAN_H

#include "data.h"
#include "html.h"

/** Over all manifests that were read. */
struct ws_report_span {
    const char *first, *last; /**< borrowed: ISO 8601 in UTC */
    double seconds;
    const json_t *manifest; /**< borrowed: the last stage's; NULL when nothing has been run */
};

struct ws_report_span ws_report_span_of(const struct ws_report *report);

/** The processor and its cores. */
void ws_report_span_add_machine(const struct ws_report_span *span, struct ws_html *html);

#endif
