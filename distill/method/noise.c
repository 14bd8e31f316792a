/*
 * Knowledge distillation on pictures of noise, the usual lower bound of distillation without the teacher's data: kd's
 * loss, steps and rates, but every pixel of every channel is drawn uniformly from 0..255 and then normalised as a
 * picture would be.
 */
#include "methods.h"

static void losses(void *state, struct ws_step *step)
{
    (void)state;
    const struct ws_kd_keys *keys = ws_config_keys(step->training->session->config, &ws_kd_section);
    ws_step_distill(step, keys->temperature);
}

static const struct ws_phase phases[] = {{.name = "distil", .losses = losses}, {0}};
static const struct ws_need needs[] = {{.kind = WS_NEED_TEACHER}, {0}};

static const struct ws_conf_section *const sections[] = {&ws_kd_section, NULL};

const struct ws_method ws_method_noise = {
    .name = "noise",
    .summary = "Hinton's distillation on pictures of uniform noise",
    .sections = sections,
    .supply = ws_supply_open_noise,
    .needs = needs,
    .phases = phases,
};
