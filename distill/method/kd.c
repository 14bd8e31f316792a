/*
 * Knowledge distillation on the whole pool, without selection and without labels (Hinton, Vinyals, Dean, "Distilling
 * the Knowledge in a Neural Network", 2015): T^2 KL(teacher || student) at temperature T, the student's own classifier.
 */
#include "methods.h"

static void losses(void *state, struct ws_step *step)
{
    (void)state;
    ws_step_distill(step, step->training->session->config->distill.kd.temperature);
}

static const struct ws_phase phases[] = {{.name = "distil", .losses = losses}, {0}};
static const struct ws_need needs[] = {{.kind = WS_NEED_TEACHER}, {0}};

const struct ws_method ws_method_kd = {
    .name = "kd",
    .summary = "Hinton's distillation on the whole pool",
    .needs = needs,
    .phases = phases,
};
