/*
 * FitNets: Romero, Ballas, Kahou, Chassang, Gatta, Bengio, "FitNets: Hints for Thin Deep Nets", ICLR 2015.
 *
 *   H_t, H_s   middle maps of teacher and student: model/hint.h says which
 *   r          regressor: 1x1 convolution from the student's channels to the teacher's, BN, ReLU
 *
 *   L = T^2 KL(softmax(z_t / T) || softmax(z_s / T)) + hint_weight 1/(B D) sum_i |r(H_s)_i - H_t_i|^2
 *
 * The paper trains in two stages, hints first and distillation behind them. Here both run together, as in RepDistiller
 * (Tian, Krishnan, Isola, "Contrastive Representation Distillation", ICLR 2020), whose figures for FitNet later papers
 * compare with: every method then takes as many steps, and there is no second schedule to choose. From there are also
 * the weight of 100, the mean over all values, and the regressor's BN and ReLU; what stands beside the hint there is
 * cross entropy on labels, which the web does not have. Maps of different sizes are averaged to the smaller one's.
 */
#include "methods.h"
#include "model/hint.h"
#include "shared_head.h"

static const struct ws_conf_key fitnet_keys[] = {
    {WS_CONF_NUMBER(struct ws_fitnet_keys, temperature), .unit = "temperature", .min = 0, .max = 1000,
     .excluded = WS_CONF_ABOVE, .fallback = "4", .help = "Both outputs are softened by it."},
    {WS_CONF_NUMBER(struct ws_fitnet_keys, hint_weight), .unit = "factor", .min = 0, .max = 100000, .fallback = "100",
     .help = "Weight of the mean squared error of the middle maps, beside the distillation's 1 (RepDistiller's)."},
    {.name = NULL},
};

const struct ws_conf_section ws_fitnet_section = {
    .name = "distill.fitnet",
    .title = "Method fitnet: Romero et al., \"FitNets: Hints for Thin Deep Nets\", hints and distillation together.",
    WS_CONF_KEYS(struct ws_fitnet_keys, fitnet_keys),
};

struct fitnet {
    struct ws_network *teacher, *regressor; /* the folded teacher with its middle map at hand */
    struct ws_point hint_t, hint_s;
    int teacher_pool; /* the teacher's map is averaged over windows of this side first; 1 = as it is */
    float *scratch;   /* [batch][H's values]: the teacher's map, averaged */
};

/* The student's middle map, of a network that is not there yet; and over which windows the two are averaged. */
struct match {
    int hint_t, hint_s, teacher_pool, student_pool;
};

static enum ws_status match_maps(struct match *match, const struct ws_model *student, const struct ws_model *teacher,
                                 struct ws_err *err)
{
    match->hint_t = ws_hint_find(teacher);
    match->hint_s = ws_hint_find(student);
    if (match->hint_s < 0) {
        ws_fail(err, WS_E_UNSUPPORTED, "fitnet compares maps halfway through the networks; the student (%s) has none",
                student->card.arch);
        ws_err_hint(err, "use method kd, which compares logits alone");
        return WS_E_UNSUPPORTED;
    }
    const struct ws_node *t = &teacher->net->nodes[match->hint_t], *s = &student->net->nodes[match->hint_s];
    if (ws_map_match(t, s, &match->teacher_pool, &match->student_pool))
        return WS_OK;
    return ws_fail(err, WS_E_UNSUPPORTED,
                   "fitnet compares middle maps: the teacher's (%s, \"%s\") is %d x %d, the student's (%s, \"%s\") "
                   "%d x %d; expected equal sizes or an integer ratio, the same in height and width",
                   teacher->card.arch, t->name, t->height, t->width, student->card.arch, s->name, s->height, s->width);
}

static enum ws_status match_session(struct match *match, const struct ws_session *session, struct ws_err *err)
{
    struct ws_model *shape = NULL;
    enum ws_status status = ws_model_build(&shape, &session->card, err);
    if (status == WS_OK)
        status = match_maps(match, shape, session->teacher_predictor->model, err);
    ws_model_free(&shape);
    return status;
}

static enum ws_status check_fitnet(const struct ws_method *method, const struct ws_session *session, struct ws_err *err)
{
    struct match match;
    (void)method;
    return match_session(&match, session, err);
}

static enum ws_status add_teacher(struct fitnet *fitnet, struct ws_training *training, int hint, struct ws_err *err)
{
    const struct ws_session *session = training->session;
    const struct ws_model *teacher = session->teacher_predictor->model;
    const int taps[] = {hint, teacher->logits};
    const struct ws_exec_options options = {.max_batch = session->batch, .taps = taps, .n_taps = 2};
    const enum ws_status status =
        ws_training_add_run(training, "teacher", teacher->net, NULL, &options, &fitnet->teacher, err);
    training->teacher = fitnet->teacher;
    fitnet->hint_t = (struct ws_point){fitnet->teacher, hint};
    return status;
}

static enum ws_status add_regressor(struct fitnet *fitnet, struct ws_training *training, int side, struct ws_err *err)
{
    const struct ws_session *session = training->session;
    const struct ws_node *from = ws_tap_node(ws_point_tap(fitnet->hint_s)),
                         *to = ws_tap_node(ws_point_tap(fitnet->hint_t));
    struct ws_net *net = ws_net_new(from->height, from->width, from->channels);
    if (net) {
        const struct ws_window window = WS_SQUARE(side, side, 0);
        int x = side > 1 ? ws_net_average_pool(net, "regressor.pool", 0, window) : 0;
        x = ws_net_conv(net, "regressor.0", x, to->channels, (struct ws_window)WS_SQUARE(1, 1, 0), false);
        ws_net_relu(net, "regressor.2", ws_net_batchnorm(net, "regressor.1", x));
    }
    const struct ws_exec_options options = {.max_batch = session->batch, .backward = true, .input_gradient = true};
    return ws_training_add_net(training, "regressor", "regressor", &net, session->optim, &options, &fitnet->regressor,
                               err);
}

static struct ws_point output_of(const struct fitnet *fitnet)
{
    return (struct ws_point){fitnet->regressor, fitnet->regressor->net->n_nodes - 1};
}

static enum ws_status open_fitnet(struct ws_training *training, struct ws_err *err)
{
    struct match match;
    void *memory = NULL;
    enum ws_status status = ws_training_alloc(training, &training->state, 1, sizeof(struct fitnet), err);
    struct fitnet *fitnet = training->state;
    if (status == WS_OK)
        status = match_session(&match, training->session, err);
    if (status == WS_OK)
        status = ws_training_add_student(training, &training->session->card, match.hint_s, err);
    if (status == WS_OK)
        status = add_teacher(fitnet, training, match.hint_t, err);
    if (status != WS_OK)
        return status;
    fitnet->hint_s = (struct ws_point){training->student, match.hint_s};
    fitnet->teacher_pool = match.teacher_pool;
    status = add_regressor(fitnet, training, match.student_pool, err);
    if (status == WS_OK)
        status = ws_training_alloc(training, &memory, (size_t)training->session->batch,
                                   ws_point_floats(output_of(fitnet)) * sizeof *fitnet->scratch, err);
    fitnet->scratch = memory;
    return status;
}

static void losses(void *state, struct ws_step *step)
{
    struct fitnet *fitnet = state;
    const struct ws_fitnet_keys *options = ws_config_keys(step->training->session->config, &ws_fitnet_section);
    ws_step_distill(step, options->temperature);
    ws_step_flow(step, fitnet->hint_s, fitnet->regressor, 0);
    ws_step_forward(step, fitnet->regressor, step->n, WS_BN_TRAIN);
    ws_step_align(step, "hint", output_of(fitnet), fitnet->hint_t, fitnet->teacher_pool, NULL, options->hint_weight,
                  fitnet->scratch);
}

static const struct ws_phase phases[] = {{.name = "distil", .losses = losses}, {0}};
static const struct ws_need needs[] = {{.kind = WS_NEED_TEACHER}, {.kind = WS_NEED_MIDDLE_MAP}, {0}};

static const struct ws_conf_section *const sections[] = {&ws_fitnet_section, NULL};

const struct ws_method ws_method_fitnet = {
    .name = "fitnet",
    .summary = "Hinton's distillation, and the teacher's middle feature map as a hint",
    .sections = sections,
    .needs = needs,
    .phases = phases,
    .check = check_fitnet,
    .open = open_fitnet,
};
