#include "training.h"
#include "keys/optim.h"

#include "webstill/base/hash.h"

#include <stdlib.h>
#include <string.h>

static void free_learner(struct ws_learner *learner)
{
    ws_optim_fini(&learner->optim);
    if (learner->model) {
        ws_model_free(&learner->model);
    } else if (learner->net) {
        ws_net_free(&learner->net);
    } else {
        free(learner->values);
        free(learner->gradients);
    }
    free(learner);
}

void ws_training_close(struct ws_training *training)
{
    ws_supply_close(&training->supply);
    for (int i = 0; i < training->n_networks; i++) {
        if (!training->networks[i]->is_borrowed)
            ws_exec_close(&training->networks[i]->exec);
        free(training->networks[i]);
    }
    for (int i = 0; i < training->n_learners; i++)
        free_learner(training->learners[i]);
    free(training->networks);
    free(training->learners);
    free(training->tape);
    free(training->losses);
    ws_arena_fini(&training->arena);
    *training = (struct ws_training){0};
}

enum ws_status ws_training_alloc(struct ws_training *training, void **out, size_t n, size_t size_bytes,
                                 struct ws_err *err)
{
    *out = ws_arena_alloc(&training->arena, n, size_bytes);
    return *out ? WS_OK : ws_fail(err, WS_E_MEMORY, "out of memory: a training wanted %zu x %zu bytes", n, size_bytes);
}

/* --- adding --- */

static struct ws_learner *add_learner(struct ws_training *training, const char *name)
{
    struct ws_learner **list =
        ws_realloc(training->learners, (size_t)training->n_learners + 1, sizeof *training->learners);
    if (list)
        training->learners = list;
    struct ws_learner *learner = list ? ws_calloc(1, sizeof *learner) : NULL;
    if (!learner)
        return NULL;
    ws_assert(training->n_learners < 64); /* a phase names them by bits */
    learner->name = name;
    return training->learners[training->n_learners++] = learner;
}

static struct ws_network *add_network(struct ws_training *training, const struct ws_network *of)
{
    struct ws_network **list =
        ws_realloc(training->networks, (size_t)training->n_networks + 1, sizeof *training->networks);
    if (list)
        training->networks = list;
    struct ws_network *network = list ? ws_calloc(1, sizeof *network) : NULL;
    if (!network)
        return NULL;
    *network = *of;
    return training->networks[training->n_networks++] = network;
}

static enum ws_status fail_memory(const char *name, struct ws_err *err)
{
    return ws_fail(err, WS_E_MEMORY, "out of memory for %s, which learns", name);
}

/* Gradients and optimiser of a network that has its values. */
static enum ws_status open_learner(struct ws_learner *learner, const struct ws_optim_keys *optim, struct ws_err *err)
{
    struct ws_net *net = learner->net;
    enum ws_status status = ws_net_alloc_gradients(net, err);
    if (status == WS_OK)
        status = ws_optim_init(&learner->optim, net, &optim->options, err);
    learner->rate = optim;
    learner->values = net->values;
    learner->gradients = net->gradients;
    learner->n = net->n_values;
    return status;
}

enum ws_status ws_training_add_run(struct ws_training *training, const char *name, struct ws_net *net,
                                   struct ws_learner *learner, const struct ws_exec_options *options,
                                   struct ws_network **out, struct ws_err *err)
{
    struct ws_exec *exec = NULL;
    *out = NULL;
    const enum ws_status status = ws_exec_open(&exec, net, training->session->workers, options, err);
    if (status != WS_OK)
        return status;
    const struct ws_network network = {.name = name,
                                       .net = net,
                                       .exec = exec,
                                       .learner = learner,
                                       .goes_back = options->backward,
                                       .gives_input_gradient = options->input_gradient};
    *out = add_network(training, &network);
    if (*out)
        return WS_OK;
    ws_exec_close(&exec);
    return fail_memory(name, err);
}

enum ws_status ws_training_add_student(struct ws_training *training, const struct ws_card *card, int tap,
                                       struct ws_err *err)
{
    const struct ws_session *session = training->session;
    struct ws_learner *learner = add_learner(training, "student");
    if (!learner)
        return fail_memory("the student", err);
    enum ws_status status = ws_model_build(&learner->model, card, err);
    if (status != WS_OK)
        return status;
    const struct ws_model *model = training->model = learner->model;
    learner->net = model->net;
    status = open_learner(learner, session->optim, err);
    if (status != WS_OK)
        return status;
    ws_net_init(model->net, session->seed);
    const int taps[] = {model->pooled, model->projected, model->head_pooled, model->logits, tap};
    const struct ws_exec_options options = {
        .max_batch = session->batch, .backward = true, .taps = taps, .n_taps = tap < 0 ? 4 : 5};
    return ws_training_add_run(training, "student", model->net, learner, &options, &training->student, err);
}

enum ws_status ws_training_add_teacher(struct ws_training *training, struct ws_err *err)
{
    const struct ws_predictor *teacher = training->session->teacher_predictor;
    const struct ws_network network = {
        .name = "teacher", .net = teacher->model->net, .exec = teacher->exec, .is_borrowed = true};
    training->teacher = add_network(training, &network);
    return training->teacher ? WS_OK : fail_memory("a training with a teacher", err);
}

enum ws_status ws_training_add_net(struct ws_training *training, const char *name, const char *run, struct ws_net **net,
                                   const struct ws_optim_keys *optim, const struct ws_exec_options *options,
                                   struct ws_network **out, struct ws_err *err)
{
    struct ws_learner *learner = *net ? add_learner(training, name) : NULL;
    *out = NULL;
    if (!learner) {
        ws_net_free(net);
        return fail_memory(name, err);
    }
    learner->net = *net;
    *net = NULL;
    enum ws_status status = ws_net_alloc(learner->net, err);
    if (status == WS_OK)
        status = open_learner(learner, optim, err);
    if (status != WS_OK)
        return status;
    /* Parameter 0 of every network draws from the same stream: the name tells them apart. */
    ws_net_init(learner->net, ws_xxh64(run, strlen(run), training->session->seed));
    return ws_training_add_run(training, run, learner->net, learner, options, out, err);
}

enum ws_status ws_training_add_numbers(struct ws_training *training, const char *name, size_t n,
                                       const struct ws_optim_keys *optim, struct ws_learner **out, struct ws_err *err)
{
    struct ws_learner *learner = *out = add_learner(training, name);
    if (!learner)
        return fail_memory(name, err);
    learner->n = n;
    learner->rate = optim;
    learner->values = ws_calloc_aligned(n, sizeof *learner->values);
    learner->gradients = ws_calloc_aligned(n, sizeof *learner->gradients);
    if (!learner->values || !learner->gradients)
        return fail_memory(name, err);
    return ws_optim_init_numbers(&learner->optim, n, &optim->options, err);
}

double ws_learner_norm(const struct ws_learner *learner)
{
    return learner->net ? ws_gradient_norm(learner->net) : ws_numbers_norm(learner->gradients, learner->n);
}

/* --- keeping --- */

void ws_training_save(struct ws_training *training, struct ws_checkpoint *checkpoint, bool is_begun)
{
    struct ws_supply *supply = training->supply;
    for (int i = 0; i < training->n_learners; i++) {
        const struct ws_learner *learner = training->learners[i];
        if (learner->net)
            ws_checkpoint_add_net(checkpoint, learner->name, learner->net);
        else
            ws_checkpoint_add_numbers(checkpoint, learner->name, learner->values, learner->n);
        ws_checkpoint_add_optim(checkpoint, learner->name, &learner->optim, learner->n);
    }
    if (supply->kind->save)
        supply->kind->save(supply, checkpoint, is_begun);
}

static enum ws_status load_learner(struct ws_learner *learner, const struct ws_tensors *checkpoint, struct ws_err *err)
{
    enum ws_status status =
        learner->net ? ws_checkpoint_get_net(checkpoint, learner->name, learner->net, err)
                     : ws_checkpoint_get_numbers(checkpoint, learner->name, learner->values, learner->n, err);
    if (status == WS_OK)
        status = ws_checkpoint_get_optim(checkpoint, learner->name, &learner->optim, learner->n, err);
    return status;
}

enum ws_status ws_training_load(struct ws_training *training, const struct ws_tensors *checkpoint, bool is_begun,
                                struct ws_err *err)
{
    struct ws_supply *supply = training->supply;
    enum ws_status status = WS_OK;
    for (int i = 0; status == WS_OK && i < training->n_learners; i++)
        status = load_learner(training->learners[i], checkpoint, err);
    if (status == WS_OK && supply->kind->load)
        status = supply->kind->load(supply, checkpoint, is_begun, err);
    return status;
}

double ws_rate_at(const struct ws_optim_keys *rate, const struct ws_place *place)
{
    switch (rate->schedule) {
    case WS_SCHEDULE_ONECYCLE:
        return ws_lr_onecycle(rate->lr, place->rate_step, place->rate_steps, rate->warmup);
    case WS_SCHEDULE_COSINE:
        return ws_lr_cosine(rate->lr, place->rate_step, place->rate_steps);
    case WS_SCHEDULE_STEP:
        /* Dividing keeps the comparison exact where a milestone is a whole epoch. */
        return ws_lr_step(rate->lr, (double)place->epoch / (double)place->epochs, rate->milestones,
                          (int)rate->n_milestones, rate->gamma);
    case WS_SCHEDULE_CONSTANT:
        break;
    }
    return rate->lr;
}
