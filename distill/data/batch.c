#include "batch.h"

struct load {
    const struct ws_dataset *set;
    const struct ws_view *view;
    const uint32_t *images;
    float *input;
};

static void load_image(void *argument, int slice, int worker)
{
    (void)worker;
    const struct load *load = argument;
    const struct ws_dataset *set = load->set;
    const uint32_t image = load->images[slice];
    struct ws_rng rng;
    if (!load->view->is_clean)
        ws_rng_init(&rng, load->view->seed, load->view->stream, ws_id_key(&set->ids[image]), load->view->pass);
    const uint8_t *pixels = set->pixels[image];
    if (load->view->refined && !load->view->is_clean && ws_rng_uniform(&rng) < load->view->refined_share)
        pixels = load->view->refined[image];
    ws_augment_image(load->view->augment, load->view->is_clean ? NULL : &rng, pixels, set->height, set->width,
                     set->channels, load->input + (size_t)slice * ws_dataset_image_bytes(set));
}

void ws_batch_load(struct ws_workers *workers, const struct ws_dataset *set, const struct ws_view *view,
                   const uint32_t *images, int n, float *input)
{
    struct load load = {set, view, images, input};
    ws_workers_run(workers, n, load_image, &load);
}

int64_t ws_sampler_pass_batches(size_t n, int batch)
{
    const int64_t whole = (int64_t)n / batch, rest = (int64_t)n % batch;
    return whole + (rest >= 2 ? 1 : 0);
}

int ws_sampler_batch(struct ws_sampler *sampler, int64_t index, uint32_t *out, uint32_t *pass)
{
    const int64_t per_pass = ws_sampler_pass_batches(sampler->n, sampler->batch);
    ws_assert(per_pass >= 1);
    const int64_t wanted = index / per_pass;
    if (sampler->pass != wanted) {
        struct ws_rng rng;
        ws_rng_init(&rng, sampler->seed, WS_STREAM_SHUFFLE, sampler->epoch, (uint32_t)wanted);
        ws_rng_permutation(&rng, sampler->order, sampler->n);
        sampler->pass = wanted;
    }
    const size_t first = (size_t)(index % per_pass) * (size_t)sampler->batch;
    const size_t left = sampler->n - first;
    const int n = left < (size_t)sampler->batch ? (int)left : sampler->batch;
    for (int i = 0; i < n; i++)
        out[i] = sampler->images[sampler->order[first + (size_t)i]];
    *pass = (uint32_t)wanted;
    return n;
}
