/* The loop's checkpoint, hold-out figure and metrics lines. */
#include "train_int.h"

#include "webstill/base/clock.h"
#include "webstill/base/fields.h"
#include "webstill/base/log.h"
#include "webstill/base/path.h"

#include <math.h>
#include <string.h>

double ws_loop_seconds(const struct ws_loop *loop)
{
    return loop->counters.seconds + (ws_clock_mono_s() - loop->start_s);
}

static json_t *pack_losses(const struct ws_loop_counters *c)
{
    json_t *list = json_array();
    for (int i = 0; i < c->n_losses; i++)
        json_array_append_new(list, json_pack("{s:s,s:f}", "name", c->losses[i].name, "sum", c->losses[i].sum));
    return list;
}

/* What a checkpoint has of the loop, its losses aside. */
struct kept {
    struct ws_loop_counters counters;
    int64_t metrics_lines;
    double alpha;
};
static const struct ws_field kept_fields[] = {
    WS_FIELD(struct kept, counters.epoch, "epoch", WS_FIELD_U32),
    WS_FIELD(struct kept, counters.step, "step", WS_FIELD_I64),
    WS_FIELD(struct kept, counters.step_in_epoch, "step_in_epoch", WS_FIELD_I64),
    WS_FIELD(struct kept, counters.is_begun, "is_begun", WS_FIELD_BOOL),
    WS_FIELD(struct kept, counters.images_seen, "images_seen", WS_FIELD_I64),
    WS_FIELD(struct kept, counters.epoch_images, "epoch_images", WS_FIELD_I64),
    WS_FIELD(struct kept, counters.epoch_right, "epoch_right", WS_FIELD_I64),
    WS_FIELD(struct kept, counters.epoch_loss, "epoch_loss", WS_FIELD_F64),
    WS_FIELD(struct kept, counters.lr, "lr", WS_FIELD_F64),
    WS_FIELD(struct kept, counters.held_last, "held_last", WS_FIELD_F64),
    WS_FIELD(struct kept, counters.held_best, "held_best", WS_FIELD_F64),
    WS_FIELD(struct kept, counters.best_epoch, "best_epoch", WS_FIELD_U32),
    WS_FIELD(struct kept, counters.seconds, "seconds", WS_FIELD_F64),
    WS_FIELD_OPTIONAL(struct kept, counters.step_seconds, "step_seconds", WS_FIELD_F64),
    WS_FIELD(struct kept, metrics_lines, "metrics_lines", WS_FIELD_I64),
    WS_FIELD(struct kept, alpha, "alpha", WS_FIELD_F64),
    WS_FIELD_END,
};

static json_t *pack_counters(const struct ws_loop *loop)
{
    struct kept kept = {loop->counters, (int64_t)loop->metrics.n_lines,
                        loop->counters.is_begun ? loop->training.supply->epoch.alpha : -1.0};
    kept.counters.seconds = ws_loop_seconds(loop);
    json_t *root = json_object();
    if (ws_fields_save(kept_fields, &kept, root) &&
        json_object_set_new(root, "losses", pack_losses(&loop->counters)) == 0)
        return root;
    json_decref(root);
    return NULL;
}

enum ws_status ws_loop_save(struct ws_loop *loop, struct ws_err *err)
{
    struct ws_checkpoint checkpoint = {0};
    enum ws_status status = ws_metrics_sync(&loop->metrics, err);
    if (status != WS_OK)
        return status;
    ws_method_save(loop->method, &loop->training, &checkpoint, loop->counters.is_begun);
    json_t *counters = pack_counters(loop);
    status = ws_checkpoint_write(&checkpoint, loop->checkpoint_path, loop->options->key, counters, err);
    json_decref(counters);
    loop->checkpoint_s = ws_clock_mono_s();
    return status;
}

bool ws_loop_alloc_losses(struct ws_loop_counters *counters, int n)
{
    struct ws_loss_sum *losses = ws_realloc(counters->losses, (size_t)n + 1, sizeof *losses);
    if (losses)
        counters->losses = losses;
    return losses != NULL;
}

static bool unpack_losses(struct ws_loop_counters *c, const json_t *list)
{
    if (!json_is_array(list) || !ws_loop_alloc_losses(c, (int)json_array_size(list)))
        return false;
    c->n_losses = (int)json_array_size(list);
    for (int i = 0; i < c->n_losses; i++) {
        const json_t *loss = json_array_get(list, (size_t)i);
        const char *name = json_string_value(json_object_get(loss, "name"));
        if (!name || strlen(name) >= sizeof c->losses[i].name)
            return false;
        memcpy(c->losses[i].name, name, strlen(name) + 1);
        c->losses[i].sum = json_number_value(json_object_get(loss, "sum"));
    }
    return true;
}

static bool unpack_counters(struct ws_loop *loop, const json_t *root, int64_t *metrics_lines, double *alpha)
{
    struct kept kept = {.counters = loop->counters};
    const struct ws_loop_counters *c = &kept.counters;
    if (!ws_fields_load(kept_fields, &kept, root) || c->epoch < 1 || c->step < 0 || c->step_in_epoch < 0 ||
        c->step_in_epoch > c->step)
        return false;
    loop->counters = kept.counters;
    *metrics_lines = kept.metrics_lines;
    *alpha = kept.alpha;
    return unpack_losses(&loop->counters, json_object_get(root, "losses"));
}

static enum ws_status restore_from(struct ws_loop *loop, const struct ws_tensors *file, json_t *root,
                                   int64_t *metrics_lines, struct ws_err *err)
{
    double alpha = -1.0;
    if (!unpack_counters(loop, root, metrics_lines, &alpha))
        return ws_fail(err, WS_E_DAMAGED, "%s: metadata \"webstill.loop\" lacks numbers", loop->checkpoint_path);
    const enum ws_status status = ws_method_load(loop->method, &loop->training, file, loop->counters.is_begun, err);
    if (status != WS_OK)
        ws_err_note(err, "%s", loop->checkpoint_path);
    else
        loop->training.supply->epoch.alpha = alpha;
    return status;
}

enum ws_status ws_loop_restore(struct ws_loop *loop, struct ws_err *err)
{
    struct ws_tensors *file = NULL;
    json_t *root = NULL;
    int64_t metrics_lines = 0;
    struct ws_err why = {0};
    enum ws_status status = ws_checkpoint_open(&file, &root, loop->checkpoint_path, loop->options->key, &why);
    if (status == WS_E_CONFIG)
        ws_log(WS_LOG_WARN, "%s; starting anew", why.text);
    else if (status == WS_OK)
        status = restore_from(loop, file, root, &metrics_lines, err);
    else if (status != WS_DONE && err)
        *err = why;
    json_decref(root);
    ws_tensors_close(&file);
    if (status != WS_OK && status != WS_DONE && status != WS_E_CONFIG)
        return status;
    const bool is_new = status != WS_OK;
    char path[WS_PATH_BYTES];
    status = ws_path_join(path, loop->session->dir, err, "metrics.jsonl");
    if (status == WS_OK)
        status = ws_metrics_open(&loop->metrics, path, metrics_lines, err);
    return status != WS_OK ? status : is_new ? WS_DONE : WS_OK;
}

enum ws_status ws_loop_hold_out(struct ws_loop *loop, struct ws_err *err)
{
    const struct ws_train_options *options = loop->options;
    struct ws_loop_counters *c = &loop->counters;
    if (options->n_held == 0)
        return WS_OK;
    struct ws_augment augment;
    const struct ws_view view = ws_view_clean(&loop->model->card, &augment);
    enum ws_status status = ws_predict(&loop->student, loop->session->data, &view, options->held, options->n_held,
                                       loop->held_logits, NULL, err);
    if (status != WS_OK)
        return status;
    const int n_classes = loop->model->card.n_classes;
    size_t n_right = 0;
    for (size_t i = 0; i < options->n_held; i++)
        n_right += ws_argmax(loop->held_logits + i * (size_t)n_classes, n_classes) == options->targets[i];
    c->held_last = (double)n_right / (double)options->n_held;
    if (c->held_last <= c->held_best)
        return WS_OK;
    c->held_best = c->held_last;
    c->best_epoch = c->epoch;
    return options->best_path ? ws_model_save(loop->model, options->best_path, err) : WS_OK;
}

/* JSON has no NaN: what is not finite becomes null. */
static json_t *real_or_null(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *counts_or_null(const int64_t *values, int n)
{
    json_t *list = values ? json_array() : json_null();
    for (int i = 0; values && i < n; i++)
        json_array_append_new(list, json_integer(values[i]));
    return list;
}

static json_t *reals_or_null(const double *values, int n)
{
    json_t *list = values ? json_array() : json_null();
    for (int i = 0; values && i < n; i++)
        json_array_append_new(list, real_or_null(values[i]));
    return list;
}

enum ws_status ws_loop_step_line(struct ws_loop *loop, const struct ws_step *step, struct ws_err *err)
{
    json_t *losses = json_object();
    for (int i = 0; i < step->n_losses; i++)
        json_object_set_new(losses, step->losses[i].name, real_or_null(step->losses[i].value));
    const double now = ws_clock_mono_s();
    const double rate = now > loop->line_s ? (double)loop->line_images / (now - loop->line_s) : 0.0;
    loop->line_s = now;
    loop->line_images = 0;
    json_t *line = json_pack("{s:s,s:s,s:I,s:I,s:f,s:o,s:o,s:o,s:f,s:f}", "kind", "step", "method", loop->options->name,
                             "epoch", (json_int_t)loop->counters.epoch, "step", (json_int_t)loop->counters.step, "lr",
                             step->lr, "loss", real_or_null(step->loss), "losses", losses, "gradient_norm",
                             real_or_null(step->gradient_norm), "images_per_s", rate, "seconds", ws_loop_seconds(loop));
    if (loop->method->metrics && line)
        loop->method->metrics(loop->training.state, line);
    return ws_metrics_add(&loop->metrics, line, err);
}

enum ws_status ws_loop_epoch_line(struct ws_loop *loop, struct ws_err *err)
{
    const struct ws_loop_counters *c = &loop->counters;
    const int n_classes = loop->model->card.n_classes;
    const double steps = (double)c->step_in_epoch;
    const struct ws_epoch *epoch = &loop->training.supply->epoch;
    const struct ws_session *session = loop->session;
    const size_t n_pool = session->n_pool ? session->n_pool : session->n_train;
    json_t *losses = json_object();
    for (int i = 0; i < c->n_losses; i++)
        json_object_set_new(losses, c->losses[i].name, real_or_null(c->losses[i].sum / steps));
    const bool is_held = loop->options->n_held > 0, is_labelled = c->epoch_right >= 0 && c->epoch_images > 0;
    json_t *line = json_pack(
        "{s:s,s:s,s:I,s:I,s:f,s:o,s:o,s:o,s:o,s:I,s:I,s:o,s:o,s:o,s:I,s:f}", "kind", "epoch", "method",
        loop->options->name, "epoch", (json_int_t)c->epoch, "step", (json_int_t)c->step, "lr", c->lr, "loss",
        real_or_null(c->epoch_loss / steps), "losses", losses, loop->options->held_name,
        is_held ? json_real(c->held_last) : json_null(), "train_accuracy",
        is_labelled ? json_real((double)c->epoch_right / (double)c->epoch_images) : json_null(), "n_selected",
        (json_int_t)epoch->n, "n_pool", (json_int_t)n_pool, "alpha",
        epoch->alpha >= 0.0 ? json_real(epoch->alpha) : json_null(), "selected_per_class",
        counts_or_null(epoch->n_kept, n_classes), "threshold_per_class", reals_or_null(epoch->threshold, n_classes),
        "images_seen", (json_int_t)c->images_seen, "seconds", ws_loop_seconds(loop));
    return ws_metrics_add(&loop->metrics, line, err);
}
