/* Stored images: all, the labelled ones, or a choice of each epoch. */
#include "supply.h"

#include "webstill/base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { VIEW_PASSES_PER_EPOCH = 4096 };

void ws_supply_close(struct ws_supply **supply)
{
    if (!*supply)
        return;
    (*supply)->kind->close(*supply);
    free(*supply);
    *supply = NULL;
}

static struct ws_stored *stored_of(struct ws_supply *supply)
{
    return (struct ws_stored *)supply;
}

static void close_stored(struct ws_supply *supply)
{
    struct ws_stored *stored = stored_of(supply);
    free(stored->order);
    free(stored->batch);
    free(stored->labels);
    free(stored->groups);
    free(stored->images);
    free(stored->weights);
    free(stored->threshold);
    free(stored->n_kept);
    free(stored->weight_of);
    free(stored->batch_weights);
}

/* Behind begin or load: the sampler goes over the epoch's images. */
static void sample_epoch(struct ws_stored *stored, uint32_t number)
{
    const struct ws_session *session = stored->base.session;
    const struct ws_epoch *epoch = &stored->base.epoch;
    ws_assert(epoch->n >= 2);
    stored->sampler = (struct ws_sampler){
        .seed = session->seed,
        .epoch = number,
        .order = stored->order,
        .images = epoch->images,
        .n = epoch->n,
        .batch = session->batch,
        .pass = -1,
    };
    for (size_t i = 0; epoch->weights && i < epoch->n; i++)
        stored->weight_of[epoch->images[i]] = epoch->weights[i];
}

static enum ws_status begin_stored(struct ws_supply *supply, uint32_t number, struct ws_err *err)
{
    struct ws_stored *stored = stored_of(supply);
    const struct ws_session *session = supply->session;
    if (stored->choose)
        return stored->choose(stored->chooser, number, &supply->epoch, err);
    supply->epoch = (struct ws_epoch){.images = session->train, .n = session->n_train, .alpha = -1.0};
    return WS_OK;
}

static void fill_batch(struct ws_stored *stored, const uint32_t *images, int n, uint32_t view_pass,
                       struct ws_batch *batch)
{
    const struct ws_dataset *data = stored->base.session->data;
    for (int i = 0; i < n; i++)
        stored->labels[i] = data->labels[images[i]];
    for (int i = 0; data->groups && i < n; i++)
        stored->groups[i] = data->groups[images[i]];
    for (int i = 0; stored->base.epoch.weights && i < n; i++)
        stored->batch_weights[i] = stored->weight_of[images[i]];
    *batch = (struct ws_batch){
        .n = n,
        .set = data,
        .images = images,
        .labels = stored->labels,
        .groups = data->groups ? stored->groups : NULL,
        .weights = stored->base.epoch.weights ? stored->batch_weights : NULL,
        .view_pass = view_pass,
    };
}

static enum ws_status take_stored(struct ws_supply *supply, const uint32_t *images, int n, uint32_t view_pass,
                                  struct ws_batch *batch, struct ws_err *err)
{
    struct ws_stored *stored = stored_of(supply);
    for (int i = 0; i < n; i++)
        if (images[i] >= supply->session->data->n)
            return ws_fail(err, WS_E_DAMAGED, "batch.images: image %u of %zu", images[i], supply->session->data->n);
    memcpy(stored->batch, images, (size_t)n * sizeof *images);
    fill_batch(stored, stored->batch, n, view_pass, batch);
    return WS_OK;
}

static void draw_stored(struct ws_supply *supply, const struct ws_place *place, struct ws_batch *batch)
{
    struct ws_stored *stored = stored_of(supply);
    uint32_t pass;
    if (stored->sampler.images != supply->epoch.images || stored->sampler.epoch != place->epoch)
        sample_epoch(stored, place->epoch);
    const int n = ws_sampler_batch(&stored->sampler, place->step_in_epoch, stored->batch, &pass);
    fill_batch(stored, stored->batch, n, place->epoch * VIEW_PASSES_PER_EPOCH + pass, batch);
}

static void show_stored(struct ws_supply *supply, const struct ws_batch *batch, const struct ws_place *place,
                        float *input)
{
    (void)place;
    const struct ws_stored *stored = stored_of(supply);
    const struct ws_session *session = supply->session;
    const struct ws_view view = {
        .augment = &session->augment,
        .seed = session->seed,
        .stream = WS_STREAM_AUGMENT,
        .pass = batch->view_pass,
        .refined = stored->refined,
        .refined_share = stored->refined_share,
    };
    ws_batch_load(session->workers, session->data, &view, batch->images, batch->n, input);
}

static void save_stored(struct ws_supply *supply, struct ws_checkpoint *checkpoint, bool is_begun)
{
    const struct ws_epoch *epoch = &supply->epoch;
    const size_t n_classes = (size_t)supply->session->card.n_classes;
    if (!is_begun)
        return;
    ws_checkpoint_add_list(checkpoint, "loop.images", WS_I32, epoch->n, epoch->images);
    if (epoch->weights)
        ws_checkpoint_add_list(checkpoint, "loop.weights", WS_F32, epoch->n, epoch->weights);
    if (epoch->threshold)
        ws_checkpoint_add_list(checkpoint, "loop.threshold", WS_F64, n_classes, epoch->threshold);
    if (epoch->n_kept)
        ws_checkpoint_add_list(checkpoint, "loop.n_kept", WS_I64, n_classes, epoch->n_kept);
}

/* The images of an epoch under way: chosen with the networks as they were at its beginning, so not to be chosen again.
 */
static enum ws_status load_stored(struct ws_supply *supply, const struct ws_tensors *file, bool is_begun,
                                  struct ws_err *err)
{
    struct ws_stored *stored = stored_of(supply);
    const struct ws_session *session = supply->session;
    const size_t n_classes = (size_t)session->card.n_classes;
    size_t n = 0, n_weights = 0, n_thresholds = 0, n_kept = 0;
    if (!is_begun)
        return WS_OK;
    const uint32_t *images = ws_checkpoint_get_list(file, "loop.images", WS_I32, &n);
    const float *weights = ws_checkpoint_get_list(file, "loop.weights", WS_F32, &n_weights);
    const double *threshold = ws_checkpoint_get_list(file, "loop.threshold", WS_F64, &n_thresholds);
    const int64_t *kept = ws_checkpoint_get_list(file, "loop.n_kept", WS_I64, &n_kept);
    if (!images || n < 2 || n > session->n_train || (threshold && n_thresholds != n_classes) ||
        (kept && n_kept != n_classes) || (weights && n_weights != n))
        return ws_fail(err, WS_E_DAMAGED, "the list of the epoch's images is missing or too long");
    for (size_t i = 0; i < n; i++)
        if (images[i] >= session->data->n)
            return ws_fail(err, WS_E_DAMAGED, "image %u of %zu", images[i], session->data->n);
    supply->epoch = (struct ws_epoch){
        .images = memcpy(stored->images, images, n * sizeof *images),
        .n = n,
        .weights = weights ? memcpy(stored->weights, weights, n * sizeof *weights) : NULL,
        .threshold = threshold ? memcpy(stored->threshold, threshold, n_classes * sizeof *threshold) : NULL,
        .n_kept = kept ? memcpy(stored->n_kept, kept, n_classes * sizeof *kept) : NULL,
        .alpha = -1.0,
    };
    return WS_OK;
}

static const struct ws_supply_kind stored_kind = {
    .begin = begin_stored,
    .draw = draw_stored,
    .take = take_stored,
    .show = show_stored,
    .save = save_stored,
    .load = load_stored,
    .close = close_stored,
};

enum ws_status ws_supply_open_choice(struct ws_stored **out, const struct ws_session *session, ws_choose_fn *choose,
                                     void *chooser, struct ws_err *err)
{
    const size_t n = session->n_train, n_classes = (size_t)session->card.n_classes, batch = (size_t)session->batch;
    struct ws_stored *stored = *out = ws_calloc(1, sizeof *stored);
    if (!stored)
        return ws_fail(err, WS_E_MEMORY, "out of memory for the order of %zu images", n);
    *stored = (struct ws_stored){.base = {&stored_kind, session, {0}}, .choose = choose, .chooser = chooser};
    stored->order = ws_calloc(n, sizeof *stored->order);
    stored->batch = ws_calloc(batch, sizeof *stored->batch);
    stored->labels = ws_calloc(batch, sizeof *stored->labels);
    stored->groups = ws_calloc(batch, sizeof *stored->groups);
    stored->images = ws_calloc(n, sizeof *stored->images);
    stored->weights = ws_calloc(n, sizeof *stored->weights);
    stored->threshold = ws_calloc(n_classes, sizeof *stored->threshold);
    stored->n_kept = ws_calloc(n_classes, sizeof *stored->n_kept);
    stored->weight_of = ws_calloc(session->data->n, sizeof *stored->weight_of);
    stored->batch_weights = ws_calloc(batch, sizeof *stored->batch_weights);
    if (stored->order && stored->batch && stored->labels && stored->groups && stored->images && stored->weights &&
        stored->threshold && stored->n_kept && stored->weight_of && stored->batch_weights)
        return WS_OK;
    struct ws_supply *supply = &stored->base;
    ws_supply_close(&supply);
    *out = NULL;
    return ws_fail(err, WS_E_MEMORY, "out of memory for the order of %zu images", n);
}

void ws_supply_refine(struct ws_supply *supply, const uint8_t *const *refined, double share)
{
    ws_assert(supply->kind == &stored_kind);
    stored_of(supply)->refined = refined;
    stored_of(supply)->refined_share = share;
}

enum ws_status ws_supply_open_pool(struct ws_supply **out, const struct ws_session *session, struct ws_err *err)
{
    struct ws_stored *stored;
    const enum ws_status status = ws_supply_open_choice(&stored, session, NULL, NULL, err);
    *out = status == WS_OK ? &stored->base : NULL;
    return status;
}

/* The list goes where a resumed epoch's would: they are the same images. */
static enum ws_status choose_labelled(void *chooser, uint32_t number, struct ws_epoch *epoch, struct ws_err *err)
{
    struct ws_stored *stored = chooser;
    const struct ws_session *session = stored->base.session;
    (void)number;
    (void)err;
    *epoch = (struct ws_epoch){.images = stored->images, .alpha = -1.0};
    for (size_t i = 0; i < session->n_train; i++)
        if (session->data->labels[session->train[i]] >= 0)
            stored->images[epoch->n++] = session->train[i];
    return WS_OK;
}

enum ws_status ws_supply_open_labelled(struct ws_supply **out, const struct ws_session *session, struct ws_err *err)
{
    struct ws_stored *stored;
    const enum ws_status status = ws_supply_open_choice(&stored, session, choose_labelled, NULL, err);
    *out = status == WS_OK ? &stored->base : NULL;
    if (status == WS_OK)
        stored->chooser = stored;
    return status;
}
