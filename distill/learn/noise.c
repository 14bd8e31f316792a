/* Pictures of noise. */
#include "supply.h"

#include "webstill/base/mem.h"

#include <stdlib.h>

struct noise {
    struct ws_supply base;
    uint8_t *pixels; /* owned: [batch][height][width][channels] */
};

static void close_noise(struct ws_supply *supply)
{
    free(((struct noise *)supply)->pixels);
}

static enum ws_status begin_noise(struct ws_supply *supply, uint32_t number, struct ws_err *err)
{
    (void)number;
    (void)err;
    supply->epoch = (struct ws_epoch){.n = supply->session->n_train, .alpha = -1.0};
    return WS_OK;
}

/* As many as a pass over the pool would show. */
static void draw_noise(struct ws_supply *supply, const struct ws_place *place, struct ws_batch *batch)
{
    const size_t n = supply->session->n_train, size = (size_t)supply->session->batch;
    const int64_t per_pass = ws_sampler_pass_batches(n, supply->session->batch);
    ws_assert(per_pass >= 1);
    const size_t left = n - (size_t)(place->step_in_epoch % per_pass) * size;
    *batch = (struct ws_batch){.n = (int)(left < size ? left : size)};
}

struct draw {
    const struct noise *noise;
    int64_t step;
    float *input;
};

static void show_image(void *argument, int slice, int worker)
{
    (void)worker;
    const struct draw *draw = argument;
    const struct ws_session *session = draw->noise->base.session;
    const struct ws_dataset *data = session->data;
    const size_t n = ws_dataset_image_bytes(data);
    uint8_t *pixels = draw->noise->pixels + (size_t)slice * n;
    struct ws_rng rng;
    ws_rng_init(&rng, session->seed, WS_STREAM_NOISE, (uint32_t)draw->step, (uint32_t)slice);
    for (size_t i = 0; i < n; i++)
        pixels[i] = (uint8_t)ws_rng_below(&rng, 256);
    ws_augment_image(&session->augment, NULL, pixels, data->height, data->width, data->channels,
                     draw->input + (size_t)slice * n);
}

static void show_noise(struct ws_supply *supply, const struct ws_batch *batch, const struct ws_place *place,
                       float *input)
{
    struct draw draw = {(const struct noise *)supply, place->step, input};
    ws_workers_run(supply->session->workers, batch->n, show_image, &draw);
}

static enum ws_status load_noise(struct ws_supply *supply, const struct ws_tensors *file, bool is_begun,
                                 struct ws_err *err)
{
    (void)file;
    return is_begun ? begin_noise(supply, 0, err) : WS_OK;
}

enum ws_status ws_supply_open_noise(struct ws_supply **out, const struct ws_session *session, struct ws_err *err)
{
    static const struct ws_supply_kind kind = {
        .begin = begin_noise, .draw = draw_noise, .show = show_noise, .load = load_noise, .close = close_noise};
    struct noise *noise = ws_calloc(1, sizeof *noise);
    *out = noise ? &noise->base : NULL;
    if (!noise)
        return ws_fail(err, WS_E_MEMORY, "out of memory for a supply of noise");
    noise->base = (struct ws_supply){.kind = &kind, .session = session};
    noise->pixels = ws_calloc((size_t)session->batch, ws_dataset_image_bytes(session->data));
    if (noise->pixels)
        return WS_OK;
    ws_supply_close(out);
    return ws_fail(err, WS_E_MEMORY, "out of memory for a batch of noise");
}
