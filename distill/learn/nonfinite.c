/* A step whose numbers are no longer finite: where it began, what is kept of it, and how to look at it again. */
#include "train_int.h"

#include "webstill/base/log.h"
#include "webstill/base/path.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- statistics of one array --- */

struct range {
    double min, max, sum; /* of the finite values */
    size_t n, n_bad, first_bad;
};

static struct range measure(const float *values, size_t n)
{
    struct range r = {.min = INFINITY, .max = -INFINITY, .n = n};
    for (size_t i = 0; i < n; i++) {
        const double x = (double)values[i];
        if (!isfinite(x)) {
            r.first_bad = r.n_bad == 0 ? i : r.first_bad;
            r.n_bad++;
            continue;
        }
        r.min = fmin(r.min, x);
        r.max = fmax(r.max, x);
        r.sum += x;
    }
    return r;
}

static void forget(struct ws_err *err)
{
    if (err)
        *err = (struct ws_err){0};
}

/* --- where it began --- */

struct finding {
    const char *what; /* "weight", "activation", "gradient"; NULL: nothing found */
    const char *network, *name;
    struct range range;
};

/* The first of a network's parameters, or the last (where a gradient comes by first), that is not finite. */
static bool search_params(const struct ws_network *network, bool gradients, struct finding *found)
{
    const struct ws_net *net = network->net;
    for (int k = 0; k < net->n_params; k++) {
        const struct ws_param *param = &net->params[gradients ? net->n_params - 1 - k : k];
        if (param->is_buffer || (gradients && (param->is_frozen || !net->gradients)))
            continue;
        const struct range range = measure((gradients ? net->gradients : net->values) + param->offset, param->n);
        if (range.n_bad == 0)
            continue;
        *found = (struct finding){gradients ? "gradient" : "weight", network->name, param->name, range};
        return true;
    }
    return false;
}

struct search {
    const struct ws_network *network;
    struct finding *found;
};

static void see_first(void *argument, int node, bool is_gradient, const float *values, size_t n)
{
    const struct search *search = argument;
    if (is_gradient || search->found->what)
        return;
    const struct range range = measure(values, n);
    if (range.n_bad > 0)
        *search->found =
            (struct finding){"activation", search->network->name, search->network->net->nodes[node].name, range};
}

/* Values are looked at as they are made: later ones may take an earlier one's memory. */
static bool search_values(const struct ws_network *network, struct finding *found)
{
    struct search search = {network, found};
    const int batch = ws_exec_batch(network->exec);
    if (batch == 0)
        return false;
    const struct range input =
        measure(ws_exec_input(network->exec), (size_t)batch * (size_t)network->net->nodes[0].height *
                                                  (size_t)network->net->nodes[0].width *
                                                  (size_t)network->net->nodes[0].channels);
    if (input.n_bad > 0) {
        *found = (struct finding){"activation", network->name, network->net->nodes[0].name, input};
        return true;
    }
    ws_exec_trace(network->exec, see_first, &search);
    ws_exec_forward_again(network->exec);
    ws_exec_trace(network->exec, NULL, NULL);
    return found->what != NULL;
}

static bool search_numbers(const struct ws_learner *learner, bool gradients, struct finding *found)
{
    const struct range range = measure(gradients ? learner->gradients : learner->values, learner->n);
    if (range.n_bad > 0)
        *found = (struct finding){gradients ? "gradient" : "weight", learner->name, "numbers", range};
    return range.n_bad > 0;
}

/* Of weights or gradients: the networks' in the order in which they were added, then numbers that no network runs. */
static bool search_learners(const struct ws_training *training, bool gradients, struct finding *found)
{
    for (int i = 0; i < training->n_networks; i++)
        if (search_params(training->networks[i], gradients, found))
            return true;
    for (int i = 0; i < training->n_learners; i++)
        if (!training->learners[i]->net && search_numbers(training->learners[i], gradients, found))
            return true;
    return false;
}

static struct finding find_beginning(const struct ws_training *training)
{
    struct finding found = {0}, gradient = {0};
    if (search_learners(training, false, &found))
        return found;
    /* Before the forward passes: these need what backward left. */
    search_learners(training, true, &gradient);
    for (int i = 0; i < training->n_networks; i++)
        if (search_values(training->networks[i], &found))
            return found;
    return gradient;
}

/* --- what is kept --- */

static void keep_network(struct ws_checkpoint *checkpoint, const struct ws_network *network)
{
    const struct ws_node *first = &network->net->nodes[0], *last = &network->net->nodes[network->net->n_nodes - 1];
    const int batch = ws_exec_batch(network->exec);
    const struct {
        const char *what;
        const float *values;
        const struct ws_node *node;
    } kept[] = {{"input", ws_exec_input(network->exec), first},
                {"output", ws_exec_value(network->exec, network->net->n_nodes - 1), last}};
    for (int i = 0; batch > 0 && i < 2; i++) {
        const struct ws_node *node = kept[i].node;
        const struct ws_tensor_entry entry = {
            .name = ws_arena_printf(&checkpoint->arena, "%s.%s", kept[i].what, network->name),
            .dtype = WS_F32,
            .rank = 4,
            .shape = {batch, node->height, node->width, node->channels},
            .data = kept[i].values,
            .size_bytes =
                (size_t)batch * (size_t)node->height * (size_t)node->width * (size_t)node->channels * sizeof(float),
        };
        ws_checkpoint_add(checkpoint, &entry);
    }
}

static void keep_ids(struct ws_checkpoint *checkpoint, const struct ws_batch *batch)
{
    const size_t n = (size_t)batch->n;
    struct ws_image_id *ids = ws_arena_alloc(&checkpoint->arena, n, sizeof *ids);
    for (size_t i = 0; ids && i < n; i++)
        ids[i] = batch->set->ids[batch->images[i]];
    const struct ws_tensor_entry entry = {
        .name = "batch.ids", .dtype = WS_U8, .rank = 2, .shape = {batch->n, 16}, .data = ids, .size_bytes = 16 * n};
    ws_checkpoint_add(checkpoint, &entry);
}

static void keep_batch(struct ws_checkpoint *checkpoint, const struct ws_batch *batch)
{
    const size_t n = (size_t)batch->n;
    if (batch->images)
        ws_checkpoint_add_list(checkpoint, "batch.images", WS_I32, n, batch->images);
    if (batch->weights)
        ws_checkpoint_add_list(checkpoint, "batch.weights", WS_F32, n, batch->weights);
    if (batch->set)
        keep_ids(checkpoint, batch);
    if (batch->labels)
        ws_checkpoint_add_list(checkpoint, "batch.labels", WS_I32, n, batch->labels);
    if (batch->groups)
        ws_checkpoint_add_list(checkpoint, "batch.groups", WS_I32, n, batch->groups);
}

static json_t *pack_step(const struct ws_loop *loop, const struct ws_step *step, const struct ws_phase *phase,
                         const struct finding *found)
{
    const struct ws_place *place = &step->place;
    return json_pack("{s:s,s:I,s:I,s:I,s:f,s:s,s:s,s:s,s:s,s:i,s:I,s:I,s:I,s:i}", "method", loop->method->name, "epoch",
                     (json_int_t)place->epoch, "step", (json_int_t)place->step + 1, "view_pass",
                     (json_int_t)step->batch.view_pass, "lr", step->lr, "what", found->what ? found->what : "loss",
                     "network", found->what ? found->network : "", "node", found->what ? found->name : "", "phase",
                     phase->name, "turn", place->turn, "step_in_epoch", (json_int_t)place->step_in_epoch, "rate_step",
                     (json_int_t)place->rate_step, "rate_steps", (json_int_t)place->rate_steps, "n", step->n);
}

enum ws_status ws_loop_tell_nonfinite(struct ws_loop *loop, const struct ws_step *step, const struct ws_phase *phase,
                                      struct ws_err *err)
{
    struct ws_training *training = &loop->training;
    struct ws_checkpoint checkpoint = {0};
    struct ws_err ignored = {0};
    char path[WS_PATH_BYTES],
        place[512] = "the loss itself overflowed: every weight, activation and gradient is finite";
    ws_method_save(loop->method, training, &checkpoint, false);
    keep_batch(&checkpoint, &step->batch);
    for (int i = 0; i < training->n_networks; i++)
        keep_network(&checkpoint, training->networks[i]);
    const struct finding found = find_beginning(training);
    if (found.what)
        snprintf(place, sizeof place, "it began in the %s's %s of %.200s (%zu of %zu values, the first at %zu)",
                 found.network, found.what, found.name, found.range.n_bad, found.range.n, found.range.first_bad);
    json_t *numbers = pack_step(loop, step, phase, &found);
    const bool is_kept = ws_path_join(path, loop->session->dir, &ignored, "nan-step-%" PRId64 ".safetensors",
                                      step->place.step + 1) == WS_OK &&
                         ws_checkpoint_write(&checkpoint, path, loop->options->key, numbers, &ignored) == WS_OK;
    json_decref(numbers);
    forget(err); /* what the method said is said better here */
    ws_fail(err, WS_E_NUMERIC, "training left the numbers at step %" PRId64 " (epoch %" PRIu32 "): %s %s; %s",
            step->place.step + 1, loop->counters.epoch, isfinite(step->loss) ? "a gradient" : "the loss",
            isfinite(step->loss) ? "is not finite"
            : isnan(step->loss)  ? "is NaN"
                                 : "is infinite",
            place);
    const bool is_teacher = loop->session->teacher == NULL; /* its stage has one run, and no --method */
    if (is_kept)
        ws_err_hint(err,
                    "lower the learning rate (key lr) and run anew; weights and batch of the step are in %s: "
                    "the same command with %s%s%s--replay %s shows each node's values",
                    path, is_teacher ? "" : "--method ", is_teacher ? "" : loop->method->name, is_teacher ? "" : " ",
                    path);
    else
        ws_err_hint(err, "lower the learning rate (key lr) and run anew; the batch could not be kept: %s",
                    ignored.text);
    return WS_E_NUMERIC;
}

/* --- looking at it again --- */

struct printer {
    const struct ws_network *network;
    FILE *out;
};

static void print_range(void *argument, int node, bool is_gradient, const float *values, size_t n)
{
    const struct printer *printer = argument;
    const struct range r = measure(values, n);
    fprintf(printer->out, "%-12s %-10s %-40s", printer->network->name, is_gradient ? "gradient" : "activation",
            printer->network->net->nodes[node].name);
    if (r.n_bad < n)
        fprintf(printer->out, " %12.5g %12.5g %12.5g", r.min, r.max, r.sum / (double)(n - r.n_bad));
    else
        fprintf(printer->out, " %12s %12s %12s", "-", "-", "-");
    if (r.n_bad > 0)
        fprintf(printer->out, "  %zu not finite, the first at %zu", r.n_bad, r.first_bad);
    fputc('\n', printer->out);
}

/* The phase that left the numbers; of a file that does not tell, the only one. */
static const struct ws_phase *find_phase(const struct ws_method *method, const json_t *numbers)
{
    const char *name = json_string_value(json_object_get(numbers, "phase"));
    const struct ws_phase *phase = method->phases;
    while (name && phase[1].losses && strcmp(phase->name, name) != 0)
        phase++;
    return phase;
}

/* Images by number; other supplies make the kept step's once more. */
static enum ws_status read_images(struct ws_loop *loop, const struct ws_tensors *file, const json_t *numbers,
                                  struct ws_step *step, struct ws_err *err)
{
    size_t n = 0, n_weights = 0;
    const uint32_t *images = ws_checkpoint_get_list(file, "batch.images", WS_I32, &n);
    const float *weights = ws_checkpoint_get_list(file, "batch.weights", WS_F32, &n_weights);
    struct ws_supply *supply = loop->training.supply;
    if (!images || n < 1 || n > (size_t)loop->session->batch)
        return ws_fail(err, WS_E_DAMAGED, "tensor batch.images is missing or not 1 to %d images", loop->session->batch);
    if (weights && n_weights != n)
        return ws_fail(err, WS_E_DAMAGED, "tensor batch.weights has %zu values for %zu images", n_weights, n);
    const enum ws_status status = supply->kind->take(
        supply, images, (int)n, (uint32_t)json_integer_value(json_object_get(numbers, "view_pass")), &step->batch, err);
    step->batch.weights = weights;
    return status;
}

static enum ws_status read_step(struct ws_loop *loop, const struct ws_tensors *file, const json_t *numbers,
                                const struct ws_phase *phase, struct ws_step *step, struct ws_err *err)
{
    struct ws_training *training = &loop->training;
    struct ws_supply *supply = training->supply;
    *step = (struct ws_step){
        .training = training,
        .place = {.epoch = (uint32_t)json_integer_value(json_object_get(numbers, "epoch")),
                  .epochs = loop->session->epochs,
                  .step = json_integer_value(json_object_get(numbers, "step")) - 1,
                  .step_in_epoch = json_integer_value(json_object_get(numbers, "step_in_epoch")),
                  .rate_step = json_integer_value(json_object_get(numbers, "rate_step")),
                  .rate_steps = json_integer_value(json_object_get(numbers, "rate_steps")),
                  .turn = (int)json_integer_value(json_object_get(numbers, "turn"))},
        .n = (int)json_integer_value(json_object_get(numbers, "n")),
        .lr = json_number_value(json_object_get(numbers, "lr")),
        .n_right = -1,
    };
    loop->counters.epoch = step->place.epoch;
    enum ws_status status = ws_method_load(loop->method, training, file, false, err);
    if (status != WS_OK || phase->draws_nothing)
        return status;
    if (supply->kind->take)
        status = read_images(loop, file, numbers, step, err);
    else
        supply->kind->draw(supply, &step->place, &step->batch);
    step->n = step->batch.n;
    return status;
}

static enum ws_status run_again(struct ws_loop *loop, const struct ws_phase *phase, struct ws_step *step, FILE *out,
                                struct ws_err *err)
{
    const struct ws_training *training = &loop->training;
    struct printer *printers = ws_calloc((size_t)training->n_networks + 1, sizeof *printers);
    if (!printers)
        return ws_fail(err, WS_E_MEMORY, "out of memory for a look at %d networks", training->n_networks);
    fprintf(out, "step %" PRId64 ", epoch %" PRIu32 ", %d images, lr %g\n", step->place.step + 1, loop->counters.epoch,
            step->n, step->lr);
    fprintf(out, "%-12s %-10s %-40s %12s %12s %12s\n", "network", "what", "node", "min", "max", "mean");
    for (int i = 0; i < training->n_networks; i++) {
        printers[i] = (struct printer){training->networks[i], out};
        ws_exec_trace(training->networks[i]->exec, print_range, &printers[i]);
    }
    const enum ws_status status = ws_update_phase(phase, step, err);
    for (int i = 0; i < training->n_networks; i++)
        ws_exec_trace(training->networks[i]->exec, NULL, NULL);
    free(printers);
    for (int i = 0; i < step->n_losses; i++)
        fprintf(out, "loss %s: %g\n", step->losses[i].name, step->losses[i].value);
    if (status != WS_E_NUMERIC) {
        fprintf(out, "all numbers of this step are finite here\n");
        return status;
    }
    const struct finding found = find_beginning(training);
    if (found.what)
        fprintf(out, "it began in the %s's %s of %s\n", found.network, found.what, found.name);
    forget(err);
    return WS_OK;
}

enum ws_status ws_loop_replay(struct ws_loop *loop, const char *path, FILE *out, struct ws_err *err)
{
    struct ws_tensors *file = NULL;
    json_t *numbers = NULL;
    struct ws_step step;
    enum ws_status status = ws_checkpoint_open(&file, &numbers, path, loop->options->key, err);
    if (status == WS_DONE)
        status = ws_fail(err, WS_E_IO, "%s does not exist", path);
    if (status == WS_OK)
        status = read_step(loop, file, numbers, find_phase(loop->method, numbers), &step, err);
    if (status == WS_OK)
        status = run_again(loop, find_phase(loop->method, numbers), &step, out, err);
    if (status != WS_OK)
        ws_err_note(err, "replay of %s", path);
    json_decref(numbers);
    ws_tensors_close(&file);
    return status;
}
