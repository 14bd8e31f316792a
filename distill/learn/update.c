#include "update.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static bool is_trained(const struct ws_phase *phase, int learner)
{
    return phase->learners == 0 || (phase->learners >> learner & 1) != 0;
}

/* All of them: the tape may lead through a network that this phase does not train. */
static void zero(struct ws_training *training)
{
    for (int i = 0; i < training->n_learners; i++) {
        struct ws_learner *learner = training->learners[i];
        memset(learner->gradients, 0, learner->n * sizeof *learner->gradients);
    }
    if (training->loss_of)
        memset(training->loss_of, 0, (size_t)training->session->batch * sizeof *training->loss_of);
    training->n_records = 0;
}

/* --- backward --- */

/* What the input that a value went into wants of it. */
static void return_flow(const struct ws_record *flow)
{
    const struct ws_learner *numbers = flow->numbers;
    if (numbers) {
        const float *wanted = ws_exec_input_gradient(flow->network->exec);
        for (size_t i = 0; i < numbers->n; i++)
            numbers->gradients[i] += wanted[i];
        return;
    }
    ws_tap_return(ws_point_tap(flow->from), flow->n, flow->network->exec, flow->row);
}

/* A network that ran in another's memory has lost its maps: it runs once more. */
static void go_back(struct ws_training *training, struct ws_network *network)
{
    if (ws_exec_is_borrower(network->exec))
        ws_exec_forward_again(network->exec);
    for (int k = 0; k < training->n_records; k++)
        if (training->tape[k].is_flow && training->tape[k].from.network == network)
            return_flow(&training->tape[k]);
    ws_exec_backward(network->exec);
}

static void backward(struct ws_training *training)
{
    for (int k = training->n_records - 1; k >= 0; k--)
        if (!training->tape[k].is_flow && training->tape[k].network->goes_back)
            go_back(training, training->tape[k].network);
    for (int k = 0; k < training->n_records; k++)
        if (training->tape[k].numbers)
            return_flow(&training->tape[k]);
}

/* --- update --- */

static enum ws_status check_loss(const struct ws_step *step, struct ws_err *err)
{
    if (isfinite(step->loss))
        return WS_OK;
    return ws_fail(err, WS_E_NUMERIC, "step %" PRId64 ": the loss is %f", step->place.step + 1, step->loss);
}

static enum ws_status reduce(const struct ws_phase *phase, struct ws_training *training, struct ws_err *err)
{
    const struct ws_comm *comm = training->session->comm;
    enum ws_status status = WS_OK;
    for (int i = 0; comm && status == WS_OK && i < training->n_learners; i++)
        if (is_trained(phase, i))
            status = comm->reduce(comm, training->learners[i]->gradients, training->learners[i]->n, err);
    return status;
}

static enum ws_status check_norm(const struct ws_phase *phase, struct ws_step *step, struct ws_err *err)
{
    const struct ws_training *training = step->training;
    double squares = 0.0;
    for (int i = 0; i < training->n_learners; i++)
        if (is_trained(phase, i)) {
            const double norm = ws_learner_norm(training->learners[i]);
            squares += norm * norm;
        }
    step->gradient_norm = sqrt(squares);
    if (isfinite(step->gradient_norm))
        return WS_OK;
    return ws_fail(err, WS_E_NUMERIC, "step %" PRId64 ": the gradient's norm is %f", step->place.step + 1,
                   step->gradient_norm);
}

static void follow(const struct ws_phase *phase, struct ws_step *step)
{
    struct ws_training *training = step->training;
    for (int i = 0; i < training->n_learners; i++) {
        struct ws_learner *learner = training->learners[i];
        if (!is_trained(phase, i))
            continue;
        const double rate = ws_rate_at(learner->rate, &step->place);
        if (learner->net)
            ws_optim_step(&learner->optim, learner->net, rate);
        else
            ws_optim_step_numbers(&learner->optim, learner->values, learner->gradients, learner->n, rate);
    }
    /* Runs whose statistics waited for the numbers to be finite, in the order in which they were added. */
    for (int i = 0; i < training->n_networks; i++) {
        struct ws_network *network = training->networks[i];
        if (network->mode == WS_BN_BATCH)
            ws_exec_move_statistics(network->exec);
        network->mode = WS_BN_EVAL;
    }
}

enum ws_status ws_update_phase(const struct ws_phase *phase, struct ws_step *step, struct ws_err *err)
{
    struct ws_training *training = step->training;
    zero(training);
    step->loss = 0.0;
    phase->losses(training->state, step);
    enum ws_status status = check_loss(step, err);
    if (status == WS_OK) {
        backward(training);
        status = reduce(phase, training, err);
    }
    if (status == WS_OK)
        status = check_norm(phase, step, err);
    if (status != WS_OK)
        return status;
    follow(phase, step);
    if (training->loss_of && !phase->draws_nothing)
        training->supply->kind->note(training->supply, &step->batch, training->loss_of);
    if (phase->done)
        phase->done(training->state, step);
    return WS_OK;
}

static void draw(const struct ws_phase *phase, struct ws_step *step)
{
    struct ws_supply *supply = step->training->supply;
    step->batch = (struct ws_batch){.n = step->training->session->batch};
    if (!phase->draws_nothing)
        supply->kind->draw(supply, &step->place, &step->batch);
    step->n = step->batch.n;
}

enum ws_status ws_update_step(const struct ws_method *method, struct ws_step *step, const struct ws_phase **phase,
                              struct ws_err *err)
{
    struct ws_training *training = step->training;
    training->n_losses = 0;
    step->n_right = -1;
    step->lr = ws_rate_at(training->learners[0]->rate, &step->place);
    for (*phase = method->phases; (*phase)->losses; (*phase)++) {
        const int n = (*phase)->count       ? (*phase)->count(training->state, &step->place)
                      : (*phase)->steps > 0 ? (*phase)->steps
                                            : 1;
        for (step->place.turn = 0; step->place.turn < n; step->place.turn++) {
            draw(*phase, step);
            const enum ws_status status = ws_update_phase(*phase, step, err);
            if (status != WS_OK)
                return status;
        }
    }
    step->place.turn = 0;
    return WS_OK;
}
