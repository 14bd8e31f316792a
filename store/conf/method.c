/* The part of a configuration that one run of `distill` depends on. */
#include "webstill/conf/config.h"

#include <stdio.h>
#include <string.h>

void ws_config_view_init(struct ws_config_view *view, const struct ws_config *config, const char *method)
{
    *view = (struct ws_config_view){.config = *config};
    snprintf(view->method, sizeof view->method, "%s", method);
    view->methods[0] = view->method;
    struct ws_conf_distill *distill = &view->config.distill;
    distill->methods = view->methods;
    distill->n_methods = 1;
    distill->checkpoint_s = 0;
    view->config.curate.epoch = 0;
    view->config.curate.drift_warn = 0;
    const bool is_plus = strcmp(method, "kd3+") == 0;
    if (!is_plus)
        distill->kd3_plus = (struct ws_conf_kd3_plus){.contrast = view->nothing};
    if (strcmp(method, "kd3") != 0 && !is_plus) {
        distill->kd3 = (struct ws_conf_kd3){.contrast = view->nothing};
        view->config.curate = (struct ws_conf_curate){.rule = view->nothing};
    }
    if (strcmp(method, "kd") != 0 && strcmp(method, "noise") != 0)
        distill->kd = (struct ws_conf_kd){0};
    if (strcmp(method, "dfnd") != 0)
        distill->dfnd = (struct ws_conf_dfnd){0};
    if (strcmp(method, "fitnet") != 0)
        distill->fitnet = (struct ws_conf_fitnet){0};
    if (strcmp(method, "simkd") != 0)
        distill->simkd = (struct ws_conf_simkd){0};
}
