/*
 * KD3+: KD3 for pools that look unlike the teacher's data.
 *
 * Most places of a batch show a picture in its refined form (prepare/refine.h): pulled towards what the teacher's
 * BatchNorm layers remember of its data. Of a pool larger than refine_images a sample is refined and trained on:
 * refining costs more than training there, and brings no more. The loss is KD3's and, where kl_weight is not 0,
 *
 *   + lambda T^2 KL( softmax(z_t / T) || softmax(z_s / T) )
 *
 * with z_t and z_s the logits of teacher and student through the one classifier they share. Selection, contrast and KL
 * are options, off unless asked for; weights of images count in the alignment alone. Everything else is KD3
 * (step.c).
 */
#include "prepare/refine.h"
#include "state.h"
#include "webstill/curate/keys.h"

struct kd3_plus {
    struct ws_kd3 kd3; /* first: kd3's verbs take it */
    const struct ws_kd3_plus_keys *options;
    struct ws_kd3_keys settled; /* section kd3 with what kd3+ says otherwise */
};

static struct ws_kd3_keys settle(const struct ws_config *config)
{
    struct ws_kd3_keys settled = *(const struct ws_kd3_keys *)ws_config_keys(config, &ws_kd3_section);
    const struct ws_kd3_plus_keys *plus = ws_config_keys(config, &ws_kd3_plus_section);
    settled.select = plus->select;
    settled.contrast = plus->contrast;
    return settled;
}

static enum ws_status check_kd3_plus(const struct ws_method *method, const struct ws_session *session,
                                     struct ws_err *err)
{
    const struct ws_kd3_keys settled = settle(session->config);
    (void)method;
    return ws_kd3_check(session, &settled, err);
}

static enum ws_status open_kd3_plus(struct ws_training *training, struct ws_err *err)
{
    const struct ws_session *session = training->session;
    const struct ws_refined *refined = session->made ? session->made[0] : NULL;
    void *memory = NULL;
    enum ws_status status = ws_training_alloc(training, &memory, 1, sizeof(struct kd3_plus), err);
    struct kd3_plus *plus = memory;
    if (status != WS_OK)
        return status;
    plus->options = ws_config_keys(session->config, &ws_kd3_plus_section);
    plus->settled = settle(session->config);
    status = ws_kd3_open(&plus->kd3, training, &plus->settled, err);
    if (status == WS_OK && refined)
        ws_supply_refine(training->supply, refined->pixels, plus->options->refine.share);
    return status;
}

static void losses(void *state, struct ws_step *step)
{
    const struct kd3_plus *plus = state;
    ws_kd3_run(state, step);
    ws_kd3_align(state, step);
    if (plus->options->kl_weight > 0.0 && plus->settled.share)
        ws_step_imitate(step, "kl", ws_step_student_logits(step), ws_step_teacher_logits(step),
                        plus->options->kl_temperature, NULL, plus->options->kl_weight);
    ws_kd3_contrast(state, step);
}

static const struct ws_prepare *const prepare[] = {&ws_prepare_refine, NULL};
static const struct ws_phase phases[] = {{.name = "distil", .losses = losses}, {0}};
static const struct ws_need needs[] = {
    {.kind = WS_NEED_TEACHER},
    {WS_NEED_BATCHNORM, " with refined images", ws_refine_is_asked, "distill.kd3_plus.refine_steps"},
    {.kind = WS_NEED_LINEAR_LAYER, .applies = ws_kd3_does_share},
    {0},
};

static const struct ws_conf_section *const sections[] = {&ws_curate_section, &ws_kd3_section, &ws_kd3_plus_section,
                                                         NULL};

const struct ws_method ws_method_kd3_plus = {
    .name = "kd3+",
    .summary = "kd3 on images refined towards what the teacher remembers of its data",
    .sections = sections,
    .needs = needs,
    .prepare = prepare,
    .phases = phases,
    .check = check_kd3_plus,
    .open = open_kd3_plus,
    .close = ws_kd3_close,
};
