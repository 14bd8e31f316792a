#include "augment.h"

#include "webstill/base/text.h"

#include <math.h>
#include <string.h>

enum { CROP_TRIES = 10, MAX_CHANNELS = 3 };

static const double min_aspect = 3.0 / 4.0, max_aspect = 4.0 / 3.0;

static int draw_offset(struct ws_rng *rng, int room)
{
    return (int)ws_rng_below(rng, (uint32_t)room + 1);
}

static struct ws_crop centre_crop(int height, int width)
{
    struct ws_crop crop = {0, 0, height, width};
    const double aspect = (double)width / (double)height;
    if (aspect < min_aspect)
        crop.height = (int)lround((double)width / min_aspect);
    else if (aspect > max_aspect)
        crop.width = (int)lround((double)height * max_aspect);
    crop.top = (height - crop.height) / 2;
    crop.left = (width - crop.width) / 2;
    return crop;
}

struct ws_crop ws_crop_draw(struct ws_rng *rng, int height, int width, double min_area)
{
    const double area = (double)height * (double)width;
    for (int attempt = 0; attempt < CROP_TRIES; attempt++) {
        const double target = area * (min_area + (1.0 - min_area) * ws_rng_uniform(rng));
        const double aspect = exp(log(min_aspect) + (log(max_aspect) - log(min_aspect)) * ws_rng_uniform(rng));
        const int crop_width = (int)lround(sqrt(target * aspect));
        const int crop_height = (int)lround(sqrt(target / aspect));
        if (crop_width < 1 || crop_width > width || crop_height < 1 || crop_height > height)
            continue;
        const int top = draw_offset(rng, height - crop_height);
        const int left = draw_offset(rng, width - crop_width);
        return (struct ws_crop){top, left, crop_height, crop_width};
    }
    return centre_crop(height, width);
}

/* Per channel x*scale + shift = (x/255 - mean)/std. */
struct affine {
    float scale[MAX_CHANNELS], shift[MAX_CHANNELS];
};

static struct affine make_affine(const struct ws_augment *augment, int channels)
{
    struct affine affine;
    for (int c = 0; c < channels; c++) {
        affine.scale[c] = (float)(1.0 / (255.0 * (double)augment->std[c]));
        affine.shift[c] = (float)(-(double)augment->mean[c] / (double)augment->std[c]);
    }
    return affine;
}

/* Where output position i samples a crop of `size` picture pixels: two neighbours and the second one's share. */
struct sample {
    int first, second;
    float share;
};

static struct sample sample_at(int i, double ratio, int start, int size)
{
    double at = ((double)i + 0.5) * ratio - 0.5;
    at = at < 0.0 ? 0.0 : at;
    const int first = (int)at < size - 1 ? (int)at : size - 1;
    const int second = first < size - 1 ? first + 1 : first;
    return (struct sample){start + first, start + second, (float)(at - (double)first)};
}

struct picture {
    const uint8_t *pixels;
    int height, width, channels;
};

static void resize_crop(const struct picture *picture, struct ws_crop crop, bool is_flipped,
                        const struct affine *affine, float *out)
{
    const size_t channels = (size_t)picture->channels, row_bytes = (size_t)picture->width * channels;
    const double ratio_y = (double)crop.height / (double)picture->height;
    const double ratio_x = (double)crop.width / (double)picture->width;
    for (int y = 0; y < picture->height; y++) {
        const struct sample v = sample_at(y, ratio_y, crop.top, crop.height);
        const uint8_t *upper = picture->pixels + (size_t)v.first * row_bytes;
        const uint8_t *lower = picture->pixels + (size_t)v.second * row_bytes;
        for (int x = 0; x < picture->width; x++) {
            const int from = is_flipped ? picture->width - 1 - x : x;
            const struct sample h = sample_at(from, ratio_x, crop.left, crop.width);
            const size_t left = (size_t)h.first * channels, right = (size_t)h.second * channels;
            for (size_t c = 0; c < channels; c++) {
                const float top = upper[left + c] + h.share * (float)(upper[right + c] - upper[left + c]);
                const float bottom = lower[left + c] + h.share * (float)(lower[right + c] - lower[left + c]);
                *out++ = (top + v.share * (bottom - top)) * affine->scale[c] + affine->shift[c];
            }
        }
    }
}

/* Pixels outside the picture are byte 0, before normalisation, as torchvision's RandomCrop pads. */
static void shift_crop(const struct picture *picture, int top, int left, bool is_flipped, const struct affine *affine,
                       float *out)
{
    const size_t channels = (size_t)picture->channels;
    for (int y = 0; y < picture->height; y++) {
        const int from_y = y + top;
        for (int x = 0; x < picture->width; x++) {
            const int from_x = (is_flipped ? picture->width - 1 - x : x) + left;
            const bool is_inside = from_y >= 0 && from_y < picture->height && from_x >= 0 && from_x < picture->width;
            const uint8_t *pixel =
                is_inside ? picture->pixels + ((size_t)from_y * (size_t)picture->width + (size_t)from_x) * channels
                          : NULL;
            for (size_t c = 0; c < channels; c++)
                *out++ = (pixel ? (float)pixel[c] : 0.0f) * affine->scale[c] + affine->shift[c];
        }
    }
}

void ws_augment_image(const struct ws_augment *augment, struct ws_rng *rng, const uint8_t *pixels, int height,
                      int width, int channels, float *out)
{
    ws_assert(channels >= 1 && channels <= MAX_CHANNELS);
    const struct picture picture = {pixels, height, width, channels};
    const struct affine affine = make_affine(augment, channels);
    struct ws_crop crop = {0, 0, height, width};
    int top = 0, left = 0;
    if (rng && augment->kind == WS_AUGMENT_RESIZED_CROP)
        crop = ws_crop_draw(rng, height, width, augment->min_area);
    if (rng && augment->kind == WS_AUGMENT_SHIFT) {
        top = draw_offset(rng, 2 * augment->pad) - augment->pad;
        left = draw_offset(rng, 2 * augment->pad) - augment->pad;
    }
    const bool is_flipped = rng && augment->flip && ws_rng_uniform(rng) < 0.5;
    if (rng && augment->kind == WS_AUGMENT_RESIZED_CROP)
        resize_crop(&picture, crop, is_flipped, &affine, out);
    else
        shift_crop(&picture, top, left, is_flipped, &affine, out);
}
