#include "step.h"

#include "webstill/nn/loss.h"

#include <string.h>

/* --- the tape --- */

/* The tape grows in the first step and keeps its size. */
static void record(struct ws_training *training, const struct ws_record *of)
{
    if (training->n_records == training->cap_records) {
        const int cap = training->cap_records ? 2 * training->cap_records : 16;
        struct ws_record *tape = ws_realloc(training->tape, (size_t)cap, sizeof *tape);
        ws_assert(tape != NULL);
        training->tape = tape;
        training->cap_records = cap;
    }
    training->tape[training->n_records++] = *of;
}

void ws_step_show(struct ws_step *step, struct ws_network *network)
{
    struct ws_supply *supply = step->training->supply;
    supply->kind->show(supply, &step->batch, &step->place, ws_exec_input(network->exec));
    ws_exec_set_dropout(network->exec, step->training->session->seed, (uint64_t)step->place.step);
}

void ws_step_forward(struct ws_step *step, struct ws_network *network, int n, enum ws_bn_mode mode)
{
    network->mode = mode;
    ws_exec_forward(network->exec, n, mode);
    record(step->training, &(struct ws_record){.network = network, .n = n});
}

void ws_step_run_student(struct ws_step *step)
{
    ws_step_show(step, step->training->student);
    ws_step_forward(step, step->training->student, step->n, WS_BN_TRAIN);
}

void ws_step_run_teacher(struct ws_step *step, struct ws_network *of)
{
    struct ws_exec *teacher = step->training->teacher->exec;
    ws_tap_copy((struct ws_tap){of->exec, 0}, step->n, teacher, 0);
    ws_exec_forward(teacher, step->n, WS_BN_EVAL);
}

void ws_step_flow(struct ws_step *step, struct ws_point from, struct ws_network *to, int row)
{
    ws_tap_copy(ws_point_tap(from), step->n, to->exec, row);
    if (from.network->goes_back && to->gives_input_gradient)
        record(step->training,
               &(struct ws_record){.network = to, .from = from, .row = row, .n = step->n, .is_flow = true});
}

void ws_step_flow_numbers(struct ws_step *step, struct ws_learner *from, struct ws_network *to)
{
    const size_t floats = ws_point_floats((struct ws_point){to, 0});
    ws_assert(from->n % floats == 0);
    memcpy(ws_exec_input(to->exec), from->values, from->n * sizeof(float));
    if (to->gives_input_gradient)
        record(step->training,
               &(struct ws_record){.network = to, .numbers = from, .n = (int)(from->n / floats), .is_flow = true});
}

/* --- losses --- */

void ws_step_add_loss(struct ws_step *step, const char *name, double value, double weight)
{
    struct ws_training *training = step->training;
    int at = 0;
    while (at < training->n_losses && strcmp(training->losses[at].name, name) != 0)
        at++;
    if (at == training->cap_losses) {
        const int cap = training->cap_losses + 8;
        struct ws_loss *losses = ws_realloc(training->losses, (size_t)cap, sizeof *losses);
        ws_assert(losses != NULL);
        training->losses = losses;
        training->cap_losses = cap;
    }
    training->n_losses += at == training->n_losses;
    training->losses[at] = (struct ws_loss){name, value};
    step->loss += weight * value;
    step->losses = training->losses;
    step->n_losses = training->n_losses;
}

double ws_step_imitate(struct ws_step *step, const char *name, struct ws_point student, struct ws_point teacher,
                       double temperature, const float *weights, double weight)
{
    const double loss =
        ws_loss_kd(ws_point_tap(student), ws_point_tap(teacher), weights, temperature, weight, step->training->loss_of);
    ws_step_add_loss(step, name, loss, weight);
    return loss;
}

void ws_step_distill(struct ws_step *step, double temperature)
{
    ws_step_run_student(step);
    ws_step_run_teacher(step, step->training->student);
    ws_step_imitate(step, "kd", ws_step_student_logits(step), ws_step_teacher_logits(step), temperature, NULL, 1.0);
}

static int count_right(const float *logits, const int32_t *labels, int n, int n_classes)
{
    int n_right = 0;
    for (int i = 0; i < n; i++)
        n_right += ws_argmax(logits + (size_t)i * (size_t)n_classes, n_classes) == labels[i];
    return n_right;
}

void ws_step_classify(struct ws_step *step, const char *name, struct ws_point logits, double smoothing)
{
    const int32_t *labels = step->batch.labels;
    const double loss = ws_loss_cross_entropy(ws_point_tap(logits), labels, smoothing, 1.0, step->training->loss_of);
    ws_step_add_loss(step, name, loss, 1.0);
    step->n_right = count_right(ws_point_value(logits), labels, step->n, (int)ws_point_floats(logits));
}

double ws_step_align(struct ws_step *step, const char *name, struct ws_point from, struct ws_point to, int side,
                     const float *weights, double weight, float *scratch)
{
    const double loss = ws_loss_alignment(ws_point_tap(from), ws_point_tap(to), side, weights, weight, scratch,
                                          step->training->loss_of);
    ws_step_add_loss(step, name, loss, weight);
    return loss;
}

struct ws_point ws_step_student_logits(const struct ws_step *step)
{
    return (struct ws_point){step->training->student, step->training->model->logits};
}

struct ws_point ws_step_teacher_logits(const struct ws_step *step)
{
    return (struct ws_point){step->training->teacher, step->training->session->teacher_predictor->model->logits};
}
