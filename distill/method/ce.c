/* Cross entropy on labels: trains teachers, and is the baseline that believes the web's search terms. */
#include "methods.h"

static void losses(void *state, struct ws_step *step)
{
    (void)state;
    ws_step_run_student(step);
    ws_step_classify(step, "cross_entropy", ws_step_student_logits(step), step->training->session->label_smoothing);
}

static const struct ws_phase phases[] = {{.name = "learn", .losses = losses}, {0}};
static const struct ws_need needs[] = {{.kind = WS_NEED_LABELS}, {0}};

const struct ws_method ws_method_ce = {
    .name = "ce",
    .summary = "cross entropy on the labels that the web's queries suggest",
    .needs = needs,
    .supply = ws_supply_open_labelled,
    .phases = phases,
};
