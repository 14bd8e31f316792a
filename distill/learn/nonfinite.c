/* A step whose numbers are no longer finite: where it began, what is kept of it, and how to look at it again. */
#include "train_int.h"

#include "webstill/base/log.h"

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
static bool search_params(const struct ws_method_network *network, bool gradients, struct finding *found)
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
    const struct ws_method_network *network;
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
static bool search_values(const struct ws_method_network *network, struct finding *found)
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

static struct finding find_beginning(const struct ws_method_network *networks, int n)
{
    struct finding found = {0};
    for (int i = 0; i < n; i++)
        if (search_params(&networks[i], false, &found))
            return found;
    /* Before the forward passes: these need what backward left. */
    struct finding gradient = {0};
    for (int i = 0; i < n && !gradient.what; i++)
        search_params(&networks[i], true, &gradient);
    for (int i = 0; i < n; i++)
        if (search_values(&networks[i], &found))
            return found;
    return gradient;
}

/* --- what is kept --- */

static void keep_network(struct ws_checkpoint *checkpoint, const struct ws_method_network *network)
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

static void keep_batch(struct ws_checkpoint *checkpoint, const struct loop *loop, const struct ws_step *step)
{
    const struct ws_dataset *data = loop->session->data;
    const size_t n = (size_t)step->n;
    ws_checkpoint_add_list(checkpoint, "batch.images", WS_I32, n, step->images);
    if (step->weights)
        ws_checkpoint_add_list(checkpoint, "batch.weights", WS_F32, n, step->weights);
    struct ws_image_id *ids = ws_arena_alloc(&checkpoint->arena, n, sizeof *ids);
    int32_t *labels = ws_arena_alloc(&checkpoint->arena, n, sizeof *labels);
    for (size_t i = 0; ids && labels && i < n; i++) {
        ids[i] = data->ids[step->images[i]];
        labels[i] = data->labels[step->images[i]];
    }
    const struct ws_tensor_entry entry = {
        .name = "batch.ids", .dtype = WS_U8, .rank = 2, .shape = {step->n, 16}, .data = ids, .size_bytes = 16 * n};
    ws_checkpoint_add(checkpoint, &entry);
    ws_checkpoint_add_list(checkpoint, "batch.labels", WS_I32, n, labels);
}

static json_t *pack_step(const struct loop *loop, const struct ws_step *step, const struct finding *found)
{
    return json_pack("{s:s,s:I,s:I,s:I,s:f,s:s,s:s,s:s}", "method", loop->method->name, "epoch",
                     (json_int_t)loop->counters.epoch, "step", (json_int_t)step->index + 1, "view_pass",
                     (json_int_t)step->view_pass, "lr", step->lr, "what", found->what ? found->what : "loss", "network",
                     found->what ? found->network : "", "node", found->what ? found->name : "");
}

enum ws_status loop_tell_nonfinite(struct loop *loop, const struct ws_step *step, struct ws_err *err)
{
    struct ws_method_network networks[WS_MAX_NETWORKS];
    const int n = loop->method->networks(loop->state, networks);
    struct ws_checkpoint checkpoint = {0};
    struct ws_err ignored = {0};
    char path[4096], place[512] = "the loss itself overflowed: every weight, activation and gradient is finite";
    loop->method->save(loop->state, &checkpoint);
    keep_batch(&checkpoint, loop, step);
    for (int i = 0; i < n; i++)
        keep_network(&checkpoint, &networks[i]);
    const struct finding found = find_beginning(networks, n);
    if (found.what)
        snprintf(place, sizeof place, "it began in the %s's %s of %.200s (%zu of %zu values, the first at %zu)",
                 found.network, found.what, found.name, found.range.n_bad, found.range.n, found.range.first_bad);
    snprintf(path, sizeof path, "%.4000s/nan-step-%" PRId64 ".safetensors", loop->session->dir, step->index + 1);
    json_t *numbers = pack_step(loop, step, &found);
    const bool is_kept = ws_checkpoint_write(&checkpoint, path, loop->options->key, numbers, &ignored) == WS_OK;
    json_decref(numbers);
    forget(err); /* what the method said is said better here */
    ws_fail(err, WS_E_NUMERIC, "training left the numbers at step %" PRId64 " (epoch %" PRIu32 "): %s %s; %s",
            step->index + 1, loop->counters.epoch, isfinite(step->loss) ? "a gradient" : "the loss",
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
    const struct ws_method_network *network;
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

static enum ws_status read_step(struct loop *loop, const struct ws_tensors *file, const json_t *numbers,
                                struct ws_step *step, struct ws_err *err)
{
    size_t n = 0;
    const uint32_t *images = ws_checkpoint_get_list(file, "batch.images", WS_I32, &n);
    if (!images || n < 1 || n > (size_t)loop->session->batch)
        return ws_fail(err, WS_E_DAMAGED, "tensor batch.images is missing or not 1 to %d images", loop->session->batch);
    for (size_t i = 0; i < n; i++)
        if (images[i] >= loop->session->data->n)
            return ws_fail(err, WS_E_DAMAGED, "batch.images: image %u of %zu", images[i], loop->session->data->n);
    memcpy(loop->batch, images, n * sizeof *images);
    size_t n_weights = 0;
    const float *weights = ws_checkpoint_get_list(file, "batch.weights", WS_F32, &n_weights);
    if (weights && n_weights != n)
        return ws_fail(err, WS_E_DAMAGED, "tensor batch.weights has %zu values for %zu images", n_weights, n);
    if (weights)
        memcpy(loop->batch_weights, weights, n * sizeof *weights);
    *step = (struct ws_step){
        .images = loop->batch,
        .weights = weights ? loop->batch_weights : NULL,
        .n = (int)n,
        .view_pass = (uint32_t)json_integer_value(json_object_get(numbers, "view_pass")),
        .index = json_integer_value(json_object_get(numbers, "step")) - 1,
        .lr = json_number_value(json_object_get(numbers, "lr")),
        .n_right = -1,
    };
    loop->counters.epoch = (uint32_t)json_integer_value(json_object_get(numbers, "epoch"));
    return loop->method->load(loop->state, file, err);
}

static enum ws_status run_again(struct loop *loop, struct ws_step *step, FILE *out, struct ws_err *err)
{
    struct ws_method_network networks[WS_MAX_NETWORKS];
    struct printer printers[WS_MAX_NETWORKS];
    const int n = loop->method->networks(loop->state, networks);
    fprintf(out, "step %" PRId64 ", epoch %" PRIu32 ", %d images, lr %g\n", step->index + 1, loop->counters.epoch,
            step->n, step->lr);
    fprintf(out, "%-12s %-10s %-40s %12s %12s %12s\n", "network", "what", "node", "min", "max", "mean");
    for (int i = 0; i < n; i++) {
        printers[i] = (struct printer){&networks[i], out};
        ws_exec_trace(networks[i].exec, print_range, &printers[i]);
    }
    const enum ws_status status = loop->method->step(loop->state, step, err);
    for (int i = 0; i < n; i++)
        ws_exec_trace(networks[i].exec, NULL, NULL);
    for (int i = 0; i < step->n_losses; i++)
        fprintf(out, "loss %s: %g\n", step->losses[i].name, step->losses[i].value);
    if (status != WS_E_NUMERIC) {
        fprintf(out, "all numbers of this step are finite here\n");
        return status;
    }
    const struct finding found = find_beginning(networks, n);
    if (found.what)
        fprintf(out, "it began in the %s's %s of %s\n", found.network, found.what, found.name);
    forget(err);
    return WS_OK;
}

enum ws_status loop_replay(struct loop *loop, const char *path, FILE *out, struct ws_err *err)
{
    struct ws_tensors *file = NULL;
    json_t *numbers = NULL;
    struct ws_step step;
    enum ws_status status = ws_checkpoint_open(&file, &numbers, path, loop->options->key, err);
    if (status == WS_DONE)
        status = ws_fail(err, WS_E_IO, "%s does not exist", path);
    if (status == WS_OK)
        status = read_step(loop, file, numbers, &step, err);
    if (status == WS_OK)
        status = run_again(loop, &step, out, err);
    if (status != WS_OK)
        ws_err_note(err, "replay of %s", path);
    json_decref(numbers);
    ws_tensors_close(&file);
    return status;
}
