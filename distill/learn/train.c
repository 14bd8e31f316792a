#include "train_int.h"

#include "webstill/base/clock.h"
#include "webstill/base/file.h"
#include "webstill/base/log.h"
#include "webstill/base/path.h"
#include "webstill/base/stop.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS_PER_LINE = 10 };

static enum ws_status open_loop(struct ws_loop *loop, struct ws_err *err)
{
    struct ws_session *session = loop->session;
    if (session->n_train < 2) {
        ws_fail(err, WS_E_CONFIG, "%s: %zu training image%s; expected at least 2", loop->options->name,
                session->n_train, session->n_train == 1 ? "" : "s");
        ws_err_hint(err, "crawl more images, or lower the share that is held out");
        return WS_E_CONFIG;
    }
    enum ws_status status = ws_path_join(loop->checkpoint_path, session->dir, err, "checkpoint.safetensors");
    if (status == WS_OK)
        status = ws_dir_make(session->dir, err);
    session->student = &loop->student;
    if (status == WS_OK)
        status = ws_method_open(loop->method, &loop->training, session, err);
    if (status != WS_OK)
        return status;
    loop->model = loop->training.model;
    const size_t n_held = loop->options->n_held;
    loop->held_logits =
        ws_calloc(n_held ? ws_size_mul(n_held, (size_t)session->card.n_classes) : 1, sizeof *loop->held_logits);
    if (!loop->held_logits)
        status = ws_fail(err, WS_E_MEMORY, "out of memory for the logits of %zu images", n_held);
    if (status == WS_OK)
        status = ws_predictor_open(&loop->student, loop->model, session->workers, session->batch, false, err);
    return status;
}

static void close_loop(struct ws_loop *loop)
{
    ws_predictor_close(&loop->student);
    loop->session->student = NULL;
    ws_method_close(loop->method, &loop->training);
    ws_metrics_close(&loop->metrics);
    free(loop->counters.losses);
    free(loop->held_logits);
}

/* Steps of the epoch under way; the last epoch of a step budget is cut. */
static int64_t count_steps(const struct ws_loop *loop)
{
    const int64_t passes = ws_sampler_pass_batches(loop->training.supply->epoch.n, loop->session->batch);
    int64_t n = loop->options->steps_per_epoch > 0 ? loop->options->steps_per_epoch : passes;
    const int64_t before = loop->counters.step - loop->counters.step_in_epoch;
    if (loop->options->steps > 0 && before + n > loop->options->steps)
        n = loop->options->steps - before;
    return n;
}

static enum ws_status begin_epoch(struct ws_loop *loop, struct ws_err *err)
{
    struct ws_loop_counters *c = &loop->counters;
    if (!c->is_begun) {
        struct ws_supply *supply = loop->training.supply;
        const enum ws_status status = supply->kind->begin(supply, c->epoch, err);
        if (status != WS_OK)
            return status;
        ws_assert(supply->epoch.n >= 2);
        c->is_begun = true;
        c->step_in_epoch = c->epoch_images = c->epoch_right = 0;
        c->epoch_loss = 0.0;
        c->n_losses = 0;
    }
    loop->steps_in_epoch = count_steps(loop);
    return WS_OK;
}

/* On its schedule: exact for a fixed number of steps, else as if every epoch were as long as this one. */
static struct ws_place place_of(const struct ws_loop *loop)
{
    const struct ws_loop_counters *c = &loop->counters;
    struct ws_place place = {.epoch = c->epoch,
                             .epochs = loop->session->epochs,
                             .step = c->step,
                             .step_in_epoch = c->step_in_epoch,
                             .rate_step = c->step,
                             .rate_steps = loop->options->steps};
    if (place.rate_steps == 0) {
        place.rate_step = (int64_t)(c->epoch - 1) * loop->steps_in_epoch + c->step_in_epoch;
        place.rate_steps = (int64_t)loop->session->epochs * loop->steps_in_epoch;
    }
    return place;
}

/* A phase that does not run in each step leaves the sums of its losses as they are. */
static enum ws_status count_losses(struct ws_loop_counters *c, const struct ws_step *step, struct ws_err *err)
{
    if (!ws_loop_alloc_losses(c, c->n_losses + step->n_losses))
        return ws_fail(err, WS_E_MEMORY, "out of memory for %d losses", step->n_losses);
    for (int i = 0; i < step->n_losses; i++) {
        int at = 0;
        while (at < c->n_losses && strcmp(c->losses[at].name, step->losses[i].name) != 0)
            at++;
        if (at == c->n_losses) {
            c->losses[c->n_losses++].sum = 0.0;
            snprintf(c->losses[at].name, sizeof c->losses[at].name, "%s", step->losses[i].name);
        }
        c->losses[at].sum += step->losses[i].value;
    }
    return WS_OK;
}

static enum ws_status count_step(struct ws_loop *loop, const struct ws_step *step, struct ws_err *err)
{
    struct ws_loop_counters *c = &loop->counters;
    c->step++;
    c->step_in_epoch++;
    c->images_seen += step->n;
    c->epoch_images += step->n;
    c->epoch_right = step->n_right >= 0 && c->epoch_right >= 0 ? c->epoch_right + step->n_right : -1;
    c->epoch_loss += step->loss;
    c->lr = step->lr;
    loop->line_images += step->n;
    return count_losses(c, step, err);
}

static enum ws_status run_step(struct ws_loop *loop, struct ws_err *err)
{
    const struct ws_loop_counters *c = &loop->counters;
    const struct ws_phase *phase;
    struct ws_step step = {.training = &loop->training, .place = place_of(loop)};
    const double begun_s = ws_clock_mono_s();
    enum ws_status status = ws_update_step(loop->method, &step, &phase, err);
    loop->counters.step_seconds += ws_clock_mono_s() - begun_s;
    if (status == WS_E_NUMERIC)
        return ws_loop_tell_nonfinite(loop, &step, phase, err);
    if (status == WS_OK)
        status = count_step(loop, &step, err);
    if (status != WS_OK)
        return status;
    return c->step % STEPS_PER_LINE == 0 ? ws_loop_step_line(loop, &step, err) : WS_OK;
}

/* A stop, the limit, or time for a checkpoint. */
static enum ws_status pause_if_asked(struct ws_loop *loop, int64_t steps_here, struct ws_err *err)
{
    const struct ws_train_options *options = loop->options;
    const bool is_stopped = ws_stop_asked(), is_over = options->limit > 0 && steps_here >= options->limit;
    if (!is_stopped && !is_over && ws_clock_mono_s() - loop->checkpoint_s < options->checkpoint_s)
        return WS_OK;
    const enum ws_status status = ws_loop_save(loop, err);
    if (status != WS_OK || (!is_stopped && !is_over))
        return status;
    ws_fail(err, is_stopped ? WS_E_STOPPED : WS_E_BUDGET, "%s at step %" PRId64 " (epoch %" PRIu32 "); checkpoint kept",
            is_stopped ? "stopped by a signal" : "step limit reached", loop->counters.step, loop->counters.epoch);
    ws_err_hint(err, "run the same command again to go on");
    return is_stopped ? WS_E_STOPPED : WS_E_BUDGET;
}

/* Stopped while the hold-out was asked: the epoch's steps are done and need not be done again. */
static enum ws_status keep_and_stop(struct ws_loop *loop, struct ws_err *err)
{
    const enum ws_status status = ws_loop_save(loop, err);
    return status == WS_OK ? WS_E_STOPPED : status;
}

/* An epoch that is done moves the loop to the next one before the checkpoint is written. */
static enum ws_status end_epoch(struct ws_loop *loop, struct ws_err *err)
{
    enum ws_status status = ws_loop_hold_out(loop, err);
    if (status == WS_E_STOPPED)
        return keep_and_stop(loop, err);
    if (status == WS_OK)
        status = ws_loop_epoch_line(loop, err);
    if (status != WS_OK)
        return status;
    loop->counters.epoch++;
    loop->counters.step_in_epoch = 0;
    loop->counters.is_begun = false;
    return ws_loop_save(loop, err);
}

static bool is_finished(const struct ws_loop *loop)
{
    const int64_t steps = loop->options->steps;
    return steps > 0 ? loop->counters.step >= steps && loop->counters.step_in_epoch == 0
                     : loop->counters.epoch > loop->session->epochs;
}

static void describe(const struct ws_loop *loop, char note[128])
{
    const struct ws_loop_counters *c = &loop->counters;
    const double loss = c->step_in_epoch > 0 ? c->epoch_loss / (double)c->step_in_epoch : 0.0;
    int len = snprintf(note, 128, "epoch %" PRIu32 " loss %.4f", c->epoch, loss);
    if (c->held_last >= 0.0)
        snprintf(note + len, 128 - (size_t)len, " %s %.1f %%", loop->options->held_name, 100.0 * c->held_last);
}

/* Total steps for the progress line: an estimate when selections vary in size. */
static int64_t estimate_steps(const struct ws_loop *loop)
{
    if (loop->options->steps > 0)
        return loop->options->steps;
    const struct ws_loop_counters *c = &loop->counters;
    return c->step - c->step_in_epoch + (int64_t)(loop->session->epochs - c->epoch + 1) * loop->steps_in_epoch;
}

static enum ws_status run_epochs(struct ws_loop *loop, struct ws_err *err)
{
    struct ws_loop_counters *c = &loop->counters;
    struct ws_progress progress;
    ws_progress_begin(&progress, loop->options->name, "steps", loop->options->steps, c->step);
    int64_t steps_here = 0;
    enum ws_status status = WS_OK;
    char note[128] = "";
    while (status == WS_OK && !is_finished(loop)) {
        status = begin_epoch(loop, err);
        progress.total = estimate_steps(loop);
        while (status == WS_OK && c->step_in_epoch < loop->steps_in_epoch) {
            status = run_step(loop, err);
            steps_here++;
            describe(loop, note);
            ws_progress_step(&progress, c->step, note);
            /* The epoch's last step needs no pause of its own: end_epoch() saves. */
            if (status == WS_OK && c->step_in_epoch < loop->steps_in_epoch)
                status = pause_if_asked(loop, steps_here, err);
        }
        if (status == WS_OK)
            status = end_epoch(loop, err);
        if (status == WS_OK && !is_finished(loop))
            status = pause_if_asked(loop, steps_here, err);
    }
    ws_progress_end(&progress, c->step, note);
    return status;
}

/* SHA-256 over what must not change: the teacher, and the student's frozen weights. */
static struct ws_digest digest_frozen(const struct ws_loop *loop)
{
    struct ws_sha256_stream stream;
    if (!ws_sha256_init(&stream))
        return (struct ws_digest){{0}};
    if (loop->session->teacher) {
        const struct ws_net *nets[] = {loop->session->teacher->net, loop->session->teacher_predictor->model->net};
        for (int i = 0; i < 2; i++)
            ws_sha256_add(&stream, nets[i]->values, nets[i]->n_values * sizeof(float));
    }
    for (int k = 0; k < loop->training.n_learners; k++) {
        const struct ws_net *net = loop->training.learners[k]->net;
        for (int i = 0; net && i < net->n_params; i++)
            if (net->params[i].is_frozen)
                ws_sha256_add(&stream, net->values + net->params[i].offset, net->params[i].n * sizeof(float));
    }
    return ws_sha256_finish(&stream);
}

static enum ws_status publish(struct ws_loop *loop, struct ws_train_result *result, struct ws_err *err)
{
    const struct ws_train_options *options = loop->options;
    const struct ws_loop_counters *c = &loop->counters;
    if (!loop->session->teacher && c->held_last >= 0.0)
        loop->model->card.accuracy = c->held_last;
    enum ws_status status = ws_model_save(loop->model, options->last_path, err);
    *result = (struct ws_train_result){.steps = c->step,
                                       .images_seen = c->images_seen,
                                       .seconds = ws_loop_seconds(loop),
                                       .step_seconds = c->step_seconds,
                                       .held_last = c->held_last,
                                       .held_best = c->held_best,
                                       .best_epoch = c->best_epoch,
                                       .last = loop->model->digest};
    if (status != WS_OK || !options->best_path)
        return status;
    if (c->best_epoch == 0) {
        /* Without a hold-out there is no choice to make: the last epoch is the best we know. */
        status = ws_model_save(loop->model, options->best_path, err);
        result->best = loop->model->digest;
        return status;
    }
    struct ws_tensors *best = NULL;
    status = ws_tensors_open(&best, options->best_path, err);
    if (status == WS_OK)
        result->best = *ws_tensors_digest(best);
    ws_tensors_close(&best);
    return status;
}

enum ws_status ws_train(const struct ws_method *method, struct ws_session *session,
                        const struct ws_train_options *options, struct ws_train_result *result, struct ws_err *err)
{
    struct ws_loop *loop = ws_calloc(1, sizeof *loop);
    if (!loop)
        return ws_fail(err, WS_E_MEMORY, "out of memory for the training loop");
    *loop = (struct ws_loop){.method = method, .session = session, .options = options};
    loop->counters = (struct ws_loop_counters){.epoch = 1, .held_last = -1.0, .held_best = -1.0};
    enum ws_status status = open_loop(loop, err);
    if (status == WS_OK && options->replay) {
        status = ws_loop_replay(loop, options->replay, options->replay_out, err);
        close_loop(loop);
        free(loop);
        return status;
    }
    if (status == WS_OK)
        status = ws_loop_restore(loop, err);
    if (status == WS_OK)
        ws_log(WS_LOG_INFO, "%s: going on behind step %" PRId64 " (epoch %" PRIu32 ")", options->name,
               loop->counters.step, loop->counters.epoch);
    if (status == WS_OK || status == WS_DONE) {
        loop->start_s = loop->checkpoint_s = loop->line_s = ws_clock_mono_s();
        const struct ws_digest before = digest_frozen(loop);
        status = run_epochs(loop, err);
        const struct ws_digest after = digest_frozen(loop);
        if (status == WS_OK && memcmp(&before, &after, sizeof before) != 0)
            status = ws_fail(err, WS_E_INTERNAL, "%s: the teacher's or a frozen weight changed during training",
                             options->name);
        if (status == WS_OK)
            status = publish(loop, result, err);
    }
    if (status != WS_OK)
        ws_err_note(err, "%s", options->name);
    close_loop(loop);
    free(loop);
    return status;
}
