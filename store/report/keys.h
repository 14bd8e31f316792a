/** Section `report` of the configuration. */
#ifndef WEBSTILL_STORE_REPORT_KEYS_H
#define WEBSTILL_STORE_REPORT_KEYS_H

#include "webstill/stage/config.h"

struct ws_report_keys {
    char *title;
    uint32_t contact; /**< images on each contact sheet */
    char *results;    /**< results of repeated experiments, JSON lines; "" = none */
};

extern const struct ws_conf_section ws_report_section;

static inline const struct ws_report_keys *ws_report_keys(const struct ws_config *config)
{
    return ws_config_keys(config, &ws_report_section);
}

#endif
