/** The page: what stands around its sections, and the table of them. */
#ifndef WEBSTILL_STORE_REPORT_PAGE_H
#define WEBSTILL_STORE_REPORT_PAGE_H

#include "data.h"
#include "html.h"

/** Write the whole page. WS_E_MEMORY. */
WS_MUST_USE enum ws_status ws_report_write(const struct ws_report *report, struct ws_html *html, struct ws_err *err);

#endif
