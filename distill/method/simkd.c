/*
 * SimKD: Chen, Mei, Zhang, Wang, Feng, Chen, "Knowledge Distillation with the Reused Teacher Classifier", CVPR 2022.
 *
 *   F_t, F_s   last feature maps of teacher and student
 *   phi        the projector: 1x1, 3x3, 1x1 convolutions, each with BN and ReLU
 *
 *   L = 1/(B D) sum_i |phi(F_s)_i - F_t_i|^2   (equation 3, as the mean over all values that the released code takes)
 *
 * on the whole pool. The student ends in the teacher's own classifier, which does not learn, and no label, logit or
 * temperature stands in the loss: it is KD3's head and alignment without its selection, weights and contrast.
 */
#include "methods.h"
#include "shared_head.h"

static const struct ws_conf_key simkd_keys[] = {
    {WS_CONF_UINT(struct ws_simkd_keys, projector_factor), .unit = "divisor", .min = 1, .max = 64, .fallback = "2",
     .help = "The projector's inner width is the teacher's width divided by this."},
    {.name = NULL},
};

const struct ws_conf_section ws_simkd_section = {
    .name = "distill.simkd",
    .title = "Method simkd: Chen et al., \"Knowledge Distillation with the Reused Teacher Classifier\".",
    WS_CONF_KEYS(struct ws_simkd_keys, simkd_keys),
};

static int factor_of(const struct ws_session *session)
{
    const struct ws_simkd_keys *keys = ws_config_keys(session->config, &ws_simkd_section);
    return (int)keys->projector_factor;
}

static enum ws_status check_simkd(const struct ws_method *method, const struct ws_session *session, struct ws_err *err)
{
    return ws_shared_head_check(session, method->name, factor_of(session), WS_ALIGN_MAP, err);
}

static enum ws_status open_simkd(struct ws_training *training, struct ws_err *err)
{
    struct ws_shared_head *head = NULL;
    enum ws_status status = ws_shared_head_open(&head, training, factor_of(training->session), WS_ALIGN_MAP, err);
    training->state = head;
    return status == WS_OK ? ws_training_add_teacher(training, err) : status;
}

static void losses(void *state, struct ws_step *step)
{
    ws_step_run_student(step);
    ws_step_run_teacher(step, step->training->student);
    ws_shared_head_align(state, step, NULL);
}

static const struct ws_phase phases[] = {{.name = "distil", .losses = losses}, {0}};
static const struct ws_need needs[] = {{.kind = WS_NEED_TEACHER}, {.kind = WS_NEED_LINEAR_LAYER}, {0}};

static const struct ws_conf_section *const sections[] = {&ws_simkd_section, NULL};

const struct ws_method ws_method_simkd = {
    .name = "simkd",
    .summary = "the teacher's classifier reused, its last feature map imitated, on the whole pool",
    .sections = sections,
    .needs = needs,
    .phases = phases,
    .check = check_simkd,
    .open = open_simkd,
};
