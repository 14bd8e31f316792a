/**
 * The sections of the page: what stands in each, between its heading and its end. page.c lists them. A part whose stage
 * has not been run says so in a sentence.
 */
#ifndef WEBSTILL_STORE_REPORT_SECTION_H
#define WEBSTILL_STORE_REPORT_SECTION_H

#include "data.h"
#include "html.h"

/** The page's head: title, the sentence, tiles. */
void ws_report_add_head(const struct ws_report *report, struct ws_html *html);

WS_MUST_USE enum ws_status ws_report_add_results(const struct ws_report *report, struct ws_html *html,
                                                 struct ws_err *err);
WS_MUST_USE enum ws_status ws_report_add_seeds(const struct ws_report *report, struct ws_html *html,
                                               struct ws_err *err);
WS_MUST_USE enum ws_status ws_report_add_funnel(const struct ws_report *report, struct ws_html *html,
                                                struct ws_err *err);
WS_MUST_USE enum ws_status ws_report_add_sheet(const struct ws_report *report, struct ws_html *html,
                                               struct ws_err *err);
WS_MUST_USE enum ws_status ws_report_add_changes(const struct ws_report *report, struct ws_html *html,
                                                 struct ws_err *err);
WS_MUST_USE enum ws_status ws_report_add_prepared(const struct ws_report *report, struct ws_html *html,
                                                  struct ws_err *err);
WS_MUST_USE enum ws_status ws_report_add_curves(const struct ws_report *report, struct ws_html *html,
                                                struct ws_err *err);
WS_MUST_USE enum ws_status ws_report_add_classes(const struct ws_report *report, struct ws_html *html,
                                                 struct ws_err *err);
WS_MUST_USE enum ws_status ws_report_add_confusion(const struct ws_report *report, struct ws_html *html,
                                                   struct ws_err *err);
WS_MUST_USE enum ws_status ws_report_add_stages(const struct ws_report *report, struct ws_html *html,
                                                struct ws_err *err);

/** Is there something to say? Sections that are not listed here always stand on the page. */
bool ws_report_has_changes(const struct ws_report *report);
bool ws_report_has_confusion(const struct ws_report *report);

/** A part of `funnel`, class by class. */
WS_MUST_USE enum ws_status ws_report_add_class_funnel(const struct ws_report *report, struct ws_html *html,
                                                      struct ws_err *err);

/** The sentence of a part whose stage has not been run. */
void ws_report_add_missing(struct ws_html *html, const char *what, const char *stage);

/** The style sheet. */
extern const char ws_report_style[];

#endif
