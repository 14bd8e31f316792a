/*
 * Knowledge distillation on the whole pool, without selection and without labels (Hinton, Vinyals, Dean, "Distilling
 * the Knowledge in a Neural Network", 2015): T^2 KL(teacher || student) at temperature T, the student's own classifier.
 */
#include "methods.h"

static const struct ws_conf_key kd_keys[] = {
    {WS_CONF_NUMBER(struct ws_kd_keys, temperature), .unit = "temperature", .min = 0, .max = 1000,
     .excluded = WS_CONF_ABOVE, .fallback = "4", .help = "Both outputs are softened by it."},
    {.name = NULL},
};

const struct ws_conf_section ws_kd_section = {
    .name = "distill.kd",
    .title = "Methods kd and noise: Hinton et al., \"Distilling the Knowledge in a Neural Network\".",
    WS_CONF_KEYS(struct ws_kd_keys, kd_keys),
};

static void losses(void *state, struct ws_step *step)
{
    (void)state;
    const struct ws_kd_keys *keys = ws_config_keys(step->training->session->config, &ws_kd_section);
    ws_step_distill(step, keys->temperature);
}

static const struct ws_phase phases[] = {{.name = "distil", .losses = losses}, {0}};
static const struct ws_need needs[] = {{.kind = WS_NEED_TEACHER}, {0}};

static const struct ws_conf_section *const sections[] = {&ws_kd_section, NULL};

const struct ws_method ws_method_kd = {
    .name = "kd",
    .summary = "Hinton's distillation on the whole pool",
    .sections = sections,
    .needs = needs,
    .phases = phases,
};
