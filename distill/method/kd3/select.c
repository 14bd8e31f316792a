/* KD3's teacher-student dynamic instance selection, run on the networks of the epoch. */
#include "state.h"
#include "webstill/curate/keys.h"

#include "webstill/base/log.h"
#include "webstill/base/path.h"
#include "webstill/curate/check.h"
#include "webstill/curate/select.h"
#include "webstill/tensors/selection.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void warn_of_unused_weights(const struct ws_curate_keys *curate, const struct ws_kd3_keys *options)
{
    if (!options->share && (curate->density == WS_DENSITY_WEIGHT || curate->source_precision != WS_BY_NOTHING))
        ws_log(WS_LOG_WARN, "weights by density or source are not used: distill.kd3.share is false, and there is no "
                            "alignment for them to weigh; what these rules drop stays dropped");
}

enum ws_status ws_kd3_selection_open(struct ws_kd3_selection *selection, const struct ws_session *session,
                                     const struct ws_kd3_keys *options, struct ws_err *err)
{
    *selection = (struct ws_kd3_selection){.session = session};
    const struct ws_config *config = session->config;
    selection->has_threshold = options->select && ws_curate_keys(config)->rule == WS_RULE_KD3;
    selection->is_off = !selection->has_threshold && !ws_curation_is_on(ws_curate_keys(config));
    if (selection->is_off)
        return WS_OK;
    warn_of_unused_weights(ws_curate_keys(config), options);
    const size_t n = session->n_train, n_classes = (size_t)session->card.n_classes;
    selection->is_clean = options->selection_view == WS_SELECTION_CLEAN;
    selection->piece = (size_t)session->batch;
    selection->teacher_logits = ws_calloc(ws_size_mul(selection->piece, n_classes), sizeof(float));
    selection->student_logits = ws_calloc(ws_size_mul(selection->piece, n_classes), sizeof(float));
    selection->images = ws_calloc(n, sizeof *selection->images);
    selection->ids = ws_calloc(n, sizeof *selection->ids);
    const size_t cache_bytes = ws_size_mul(ws_size_mul(n, n_classes), sizeof(float));
    const bool has_cache = selection->is_clean && cache_bytes <= (size_t)options->teacher_cache_mib << 20;
    if (has_cache)
        selection->teacher_cache = ws_calloc(cache_bytes, 1);
    if (!selection->teacher_logits || !selection->student_logits || !selection->images || !selection->ids ||
        (has_cache && !selection->teacher_cache)) {
        ws_kd3_selection_close(selection);
        return ws_fail(err, WS_E_MEMORY, "out of memory for the predictions of %zu images", n);
    }
    for (size_t i = 0; i < n; i++)
        selection->ids[i] = session->data->ids[session->train[i]];
    const enum ws_status status =
        ws_curation_is_on(ws_curate_keys(config)) ? ws_kd3_curation_open(selection, err) : WS_OK;
    if (status != WS_OK)
        ws_kd3_selection_close(selection);
    return status;
}

void ws_kd3_selection_close(struct ws_kd3_selection *selection)
{
    free(selection->teacher_logits);
    free(selection->student_logits);
    free(selection->teacher_cache);
    free(selection->images);
    free(selection->ids);
    free(selection->weights);
    ws_curation_close(&selection->curation);
    ws_arena_fini(&selection->arena);
    *selection = (struct ws_kd3_selection){0};
}

/* Both networks on one piece of the pool. A network whose weight in the combination is 0 is not asked: in the second
 * half that saves the teacher's pass. */
static enum ws_status predict_piece(struct ws_kd3_selection *selection, const struct ws_session *session,
                                    const struct ws_view *view, size_t first, size_t n,
                                    const struct ws_select_options *options, struct ws_selection *found,
                                    struct ws_err *err)
{
    const uint32_t *images = session->train + first;
    float *teacher = selection->teacher_logits;
    if (selection->teacher_cache)
        teacher = selection->teacher_cache + first * (size_t)session->card.n_classes;
    enum ws_status status = WS_OK;
    if (options->alpha > 0.0 && !selection->is_cached)
        status = ws_predict(session->teacher_predictor, session->data, view, images, n, teacher, NULL, err);
    if (status == WS_OK && options->alpha < 1.0)
        status = ws_predict(session->student, session->data, view, images, n, selection->student_logits, NULL, err);
    if (status == WS_OK)
        ws_select_predict(found, teacher, selection->student_logits, first, n, options);
    return status;
}

static enum ws_status predict_pool(struct ws_kd3_selection *selection, const struct ws_session *session,
                                   uint32_t number, const struct ws_select_options *options, struct ws_selection *found,
                                   struct ws_err *err)
{
    struct ws_augment clean;
    struct ws_view view = {
        .augment = &session->augment,
        .seed = session->seed,
        .stream = WS_STREAM_SELECT,
        .pass = number,
    };
    if (selection->is_clean)
        view = ws_view_clean(&session->card, &clean);
    char what[64];
    snprintf(what, sizeof what, "epoch %" PRIu32 ": selection", number);
    struct ws_progress progress;
    ws_progress_begin(&progress, what, "images", (int64_t)session->n_train, 0);
    enum ws_status status = WS_OK;
    for (size_t first = 0; status == WS_OK && first < session->n_train; first += selection->piece) {
        const size_t left = session->n_train - first, n = left < selection->piece ? left : selection->piece;
        status = predict_piece(selection, session, &view, first, n, options, found, err);
        ws_progress_step(&progress, (int64_t)(first + n), NULL);
    }
    ws_progress_end(&progress, (int64_t)session->n_train, NULL);
    if (status == WS_OK && options->alpha > 0.0)
        selection->is_cached = selection->teacher_cache != NULL;
    return status;
}

/* Usual causes: a cutoff that nothing reaches, or a student that decides alone before it has learnt anything. */
static enum ws_status check_size(const struct ws_selection *found, uint32_t number, double p_cutoff, struct ws_err *err)
{
    if (found->n_kept_total >= 2)
        return WS_OK;
    ws_fail(err, WS_E_NUMERIC,
            "epoch %" PRIu32 ": the selection keeps %" PRId64
            " of %zu images; expected at least 2 (teacher's weight %.3f)",
            number, found->n_kept_total, found->n, found->alpha);
    ws_err_hint(
        err,
        "lower curate.p_cutoff (now %g), give the teacher more say (curate.alpha_zero_share, distill.epochs), crawl "
        "more images, or set distill.kd3.select (of kd3+: distill.kd3_plus.select) to false%s",
        p_cutoff,
        found->n_kept_total < (int64_t)found->n - ws_selection_count_reason(found, WS_REASON_THRESHOLD)
            ? "; rules beyond KD3's dropped some: see curate.source_drop_below, density and quota"
            : "");
    return WS_E_NUMERIC;
}

static enum ws_status write_selection(const struct ws_kd3_selection *selection, const struct ws_session *session,
                                      const struct ws_selection *found, uint32_t number, struct ws_err *err)
{
    char path[WS_PATH_BYTES];
    const enum ws_status status =
        ws_path_join(path, session->dir, err, "selection/epoch-%03" PRIu32 ".safetensors", number);
    const struct ws_selection_facts facts = {ws_rule_name(selection->has_threshold ? WS_RULE_KD3 : WS_RULE_ALL),
                                             ws_curate_keys(session->config)->p_cutoff, number};
    return status == WS_OK ? ws_selection_write(path, selection->ids, found, &facts, err) : status;
}

static enum ws_status apply_rule(struct ws_kd3_selection *selection, const struct ws_session *session, uint32_t number,
                                 struct ws_selection *found, struct ws_err *err)
{
    const struct ws_curate_keys *curate = ws_curate_keys(session->config);
    const struct ws_alpha_schedule schedule = {
        .zero_epoch = curate->alpha_zero_share * (double)session->epochs,
        .horizon = curate->alpha_horizon_share * (double)session->epochs,
        .steepness = curate->alpha_steepness,
    };
    const struct ws_select_options options = {
        .alpha = ws_alpha_at(&schedule, (double)number), .combine = curate->combine, .p_cutoff = curate->p_cutoff};
    ws_arena_reset(&selection->arena);
    if (!ws_select_begin(found, &selection->arena, session->n_train, session->card.n_classes, &options))
        return ws_fail(err, WS_E_MEMORY, "out of memory for a selection among %zu images", session->n_train);
    const enum ws_status status = predict_pool(selection, session, number, &options, found, err);
    if (status != WS_OK)
        return status;
    if (selection->has_threshold)
        ws_select_keep(found, &options);
    else
        ws_select_keep_all(found);
    ws_curation_apply(&selection->curation, found);
    return WS_OK;
}

static void warn(void *argument, const char *sentence)
{
    (void)argument;
    ws_log(WS_LOG_WARN, "%s", sentence);
}

enum ws_status ws_kd3_select(void *chooser, uint32_t number, struct ws_epoch *epoch, struct ws_err *err)
{
    struct ws_kd3_selection *selection = chooser;
    const struct ws_session *session = selection->session;
    if (selection->is_off) {
        *epoch = (struct ws_epoch){.images = session->train, .n = session->n_train, .alpha = -1.0};
        return WS_OK;
    }
    struct ws_selection found;
    enum ws_status status = apply_rule(selection, session, number, &found, err);
    if (status == WS_OK && number == 1)
        (void)ws_pool_warn_missing(found.n_predicted, found.n, found.n_classes,
                                   (const char *const *)session->card.classes, warn, NULL);
    if (status == WS_OK)
        status = check_size(&found, number, ws_curate_keys(session->config)->p_cutoff, err);
    if (status == WS_OK)
        status = write_selection(selection, session, &found, number, err);
    if (status != WS_OK)
        return status;
    size_t n = 0;
    for (size_t i = 0; i < found.n; i++)
        if (found.keep[i]) {
            if (selection->weights)
                selection->weights[n] = found.weight[i];
            selection->images[n++] = session->train[i];
        }
    *epoch = (struct ws_epoch){.images = selection->images,
                               .n = n,
                               .weights = selection->weights,
                               .alpha = found.alpha,
                               .threshold = found.threshold,
                               .n_kept = found.n_kept};
    return WS_OK;
}
