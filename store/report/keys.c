/** The keys of section `report`. */
#include "keys.h"

static const struct ws_conf_key report_keys[] = {
    {WS_CONF_TEXT(struct ws_report_keys, title), .fallback = "webstill", .help = "Heading of the page."},
    {WS_CONF_UINT(struct ws_report_keys, contact), .unit = "images", .min = 0, .max = 1000, .fallback = "64",
     .help = "Images on each contact sheet."},
    {WS_CONF_TEXT(struct ws_report_keys, results), .fallback = "",
     .help = "Results of experiments repeated over seeds, one JSON object a line: shown as a table with mean and "
             "deviation, and as curves. The fields stand in store/report/results.h. Empty: none."},
    {.name = NULL},
};

const struct ws_conf_section ws_report_section = {
    .name = "report",
    .title = "manifests and metrics -> report/index.html",
    WS_CONF_KEYS(struct ws_report_keys, report_keys),
};
