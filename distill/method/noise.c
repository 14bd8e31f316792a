/*
 * Knowledge distillation on pictures of noise, the usual lower bound of distillation without the teacher's data: kd's
 * loss, steps and rates, but every pixel of every channel is drawn uniformly from 0..255 and then normalised as a
 * picture would be. A batch's noise is a function of (seed, step, place in the batch) alone; the pool gives the number
 * of steps and nothing else.
 */
#include "method.h"

#include <stdlib.h>

struct noise {
    struct ws_learner base; /* first: see ws_learner */
    uint8_t *pixels;        /* owned: [batch][height][width][channels] */
};

static void close_noise(void **state)
{
    struct noise *noise = *state;
    if (!noise)
        return;
    ws_trainee_close(&noise->base.trainee);
    free(noise->pixels);
    free(noise);
    *state = NULL;
}

static enum ws_status open_noise(void **state, const struct ws_session *session, struct ws_model **model,
                                 struct ws_err *err)
{
    struct noise *noise = ws_calloc(1, sizeof *noise);
    *state = noise;
    if (!noise)
        return ws_fail(err, WS_E_MEMORY, "out of memory for method noise");
    noise->base.session = session;
    noise->pixels = ws_calloc((size_t)session->batch, ws_dataset_image_bytes(session->data));
    enum ws_status status = noise->pixels ? WS_OK : ws_fail(err, WS_E_MEMORY, "out of memory for a batch of noise");
    if (status == WS_OK)
        status = ws_trainee_open(&noise->base.trainee, session, err);
    if (status != WS_OK)
        close_noise(state);
    else
        *model = noise->base.trainee.model;
    return status;
}

struct draw {
    const struct noise *noise;
    int64_t step;
    float *input;
};

static void draw_image(void *argument, int slice, int worker)
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

static enum ws_status step_noise(void *state, struct ws_step *step, struct ws_err *err)
{
    struct noise *noise = state;
    const struct ws_session *session = noise->base.session;
    struct draw draw = {noise, step->index, ws_exec_input(noise->base.trainee.exec)};
    ws_pool_run(session->pool, step->n, draw_image, &draw);
    ws_exec_set_dropout(noise->base.trainee.exec, session->seed, (uint64_t)step->index);
    return ws_learner_distill(&noise->base, step, session->config->distill.kd.temperature, err);
}

const struct ws_method ws_method_noise = {
    .name = "noise",
    .summary = "Hinton's distillation on pictures of uniform noise",
    .open = open_noise,
    .epoch_begin = ws_learner_take_all,
    .step = step_noise,
    .save = ws_learner_save,
    .load = ws_learner_load,
    .networks = ws_learner_networks,
    .close = close_noise,
};
