#include "mix.h"

#include <math.h>

size_t ws_mix_scratch_bytes(int batch, int channels)
{
    return 2 * (size_t)batch * (size_t)channels * sizeof(double);
}

struct mix {
    const float *x;
    float *out;
    size_t n_pixels, channels;
    const double *lam;
    const uint32_t *partner;
    double eps;
    double *mean, *deviation; /* [batch][channels] */
};

static void measure_image(void *argument, int slice, int worker)
{
    (void)worker;
    const struct mix *mix = argument;
    const size_t at = (size_t)slice * mix->channels;
    const float *x = mix->x + (size_t)slice * mix->n_pixels * mix->channels;
    for (size_t c = 0; c < mix->channels; c++) {
        double sum = 0.0, squares = 0.0;
        for (size_t p = 0; p < mix->n_pixels; p++)
            sum += (double)x[p * mix->channels + c];
        const double mean = sum / (double)mix->n_pixels;
        for (size_t p = 0; p < mix->n_pixels; p++) {
            const double centred = (double)x[p * mix->channels + c] - mean;
            squares += centred * centred;
        }
        mix->mean[at + c] = mean;
        mix->deviation[at + c] = sqrt(squares / (double)(mix->n_pixels - 1) + mix->eps);
    }
}

static void mix_image(void *argument, int slice, int worker)
{
    (void)worker;
    const struct mix *mix = argument;
    const size_t own = (size_t)slice * mix->channels, other = mix->partner[slice] * mix->channels;
    const size_t first = (size_t)slice * mix->n_pixels * mix->channels;
    const double lam = mix->lam[slice];
    for (size_t c = 0; c < mix->channels; c++) {
        const double mean = lam * mix->mean[own + c] + (1.0 - lam) * mix->mean[other + c];
        const double deviation = lam * mix->deviation[own + c] + (1.0 - lam) * mix->deviation[other + c];
        const double scale = deviation / mix->deviation[own + c];
        for (size_t p = 0; p < mix->n_pixels; p++) {
            const size_t at = first + p * mix->channels + c;
            mix->out[at] = (float)(((double)mix->x[at] - mix->mean[own + c]) * scale + mean);
        }
    }
}

void ws_mix_apply(struct ws_workers *workers, const float *x, float *out, int batch, int n_pixels, int channels,
                  const double *lam, const uint32_t *partner, double eps, void *scratch)
{
    ws_assert(n_pixels >= 2 && batch >= 1);
    double *statistics = scratch;
    struct mix mix = {
        .x = x,
        .out = out,
        .n_pixels = (size_t)n_pixels,
        .channels = (size_t)channels,
        .lam = lam,
        .partner = partner,
        .eps = eps,
        .mean = statistics,
        .deviation = statistics + (size_t)batch * (size_t)channels,
    };
    ws_workers_run(workers, batch, measure_image, &mix);
    ws_workers_run(workers, batch, mix_image, &mix);
}

void ws_mix_draw(struct ws_rng *rng, int batch, double alpha, double *lam, uint32_t *partner)
{
    for (int b = 0; b < batch; b++)
        lam[b] = ws_rng_beta(rng, alpha, alpha);
    ws_rng_permutation(rng, partner, (size_t)batch);
}
