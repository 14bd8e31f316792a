/* Views of an image: exact where they must be, random where they may be, the same bytes each time. */
#include "../../distill/data/augment.h"
#include "../../distill/data/batch.h"
#include "../../distill/data/mix.h"
#include "near.h"

#include "webstill/base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { H = 12, W = 10 };

static const struct ws_augment plain = {.kind = WS_AUGMENT_NONE, .mean = {.25f, .5f, .75f}, .std = {.5f, .25f, .125f}};

static void fill(uint8_t *pixels, size_t n)
{
    for (size_t i = 0; i < n; i++)
        pixels[i] = (uint8_t)(i * 37 + 11);
}

static void the_clean_view_is_the_normalised_image(void **state)
{
    (void)state;
    uint8_t pixels[H * W * 3];
    float out[H * W * 3];
    fill(pixels, sizeof pixels);
    ws_augment_image(&plain, NULL, pixels, H, W, 3, out);
    for (int i = 0; i < H * W * 3; i++)
        assert_near(out[i], ((double)pixels[i] / 255 - (double)plain.mean[i % 3]) / (double)plain.std[i % 3], 1e-5);
}

static void the_clean_view_ignores_every_augmentation(void **state)
{
    (void)state;
    uint8_t pixels[H * W];
    float a[H * W], b[H * W];
    struct ws_augment crop = plain;
    crop.kind = WS_AUGMENT_RESIZED_CROP;
    crop.flip = true;
    crop.min_area = .08;
    fill(pixels, sizeof pixels);
    ws_augment_image(&plain, NULL, pixels, H, W, 1, a);
    ws_augment_image(&crop, NULL, pixels, H, W, 1, b);
    assert_memory_equal(a, b, sizeof a);
}

static void a_crop_lies_inside_and_keeps_area_and_aspect_in_bounds(void **state)
{
    (void)state;
    double smallest = 1, largest = 0;
    for (uint32_t i = 0; i < 2000; i++) {
        struct ws_rng rng;
        ws_rng_init(&rng, 1, WS_STREAM_TEST, i, 0);
        const struct ws_crop crop = ws_crop_draw(&rng, 32, 32, .08);
        assert_true(crop.top >= 0 && crop.left >= 0 && crop.height >= 1 && crop.width >= 1);
        assert_true(crop.top + crop.height <= 32 && crop.left + crop.width <= 32);
        const double area = crop.height * crop.width / 1024.0, aspect = (double)crop.width / crop.height;
        assert_true(area >= .06 && area <= 1.0); /* sides are rounded to whole pixels */
        assert_true(aspect >= .75 * .85 && aspect <= 4 / 3.0 * 1.15);
        smallest = fmin(smallest, area);
        largest = fmax(largest, area);
    }
    assert_true(smallest < .1 && largest > .9);
}

static void a_shape_that_no_crop_fits_gets_the_centre_crop(void **state)
{
    (void)state;
    struct ws_rng rng;
    ws_rng_init(&rng, 1, WS_STREAM_TEST, 0, 0);
    const struct ws_crop crop = ws_crop_draw(&rng, 8, 80, 1.0);
    assert_int_equal(crop.height, 8);
    assert_int_equal(crop.width, 11); /* 8 * 4/3 */
    assert_int_equal(crop.left, 34);
    assert_int_equal(crop.top, 0);
}

static void a_resized_ramp_stays_a_ramp(void **state)
{
    (void)state;
    uint8_t pixels[32 * 32];
    float out[32 * 32];
    struct ws_augment crop = {.kind = WS_AUGMENT_RESIZED_CROP, .min_area = .3, .mean = {0}, .std = {1.0f / 255, 1, 1}};
    for (int i = 0; i < 32 * 32; i++)
        pixels[i] = (uint8_t)(4 * (i % 32));
    for (uint32_t k = 0; k < 50; k++) {
        struct ws_rng rng, again;
        ws_rng_init(&rng, 2, WS_STREAM_TEST, k, 0);
        again = rng;
        const struct ws_crop window = ws_crop_draw(&again, 32, 32, .3);
        ws_augment_image(&crop, &rng, pixels, 32, 32, 1, out);
        for (int x = 0; x < 32; x++) {
            double at = (x + .5) * window.width / 32.0 - .5;
            at = fmin(fmax(at, 0), window.width - 1);
            for (int y = 0; y < 32; y += 7)
                assert_near(out[y * 32 + x], 4 * (window.left + at), 1e-2);
        }
    }
}

static void a_shift_moves_the_image_and_pads_with_black(void **state)
{
    (void)state;
    uint8_t pixels[H * W];
    float out[H * W];
    struct ws_augment shift = {.kind = WS_AUGMENT_SHIFT, .pad = 3, .mean = {0}, .std = {1.0f / 255, 1, 1}};
    bool seen[7][7] = {{false}};
    fill(pixels, sizeof pixels);
    for (uint32_t k = 0; k < 600; k++) {
        struct ws_rng rng;
        ws_rng_init(&rng, 3, WS_STREAM_TEST, k, 0);
        ws_augment_image(&shift, &rng, pixels, H, W, 1, out);
        int n_matches = 0;
        for (int top = -3; top <= 3; top++)
            for (int left = -3; left <= 3; left++) {
                bool is_match = true;
                for (int i = 0; is_match && i < H * W; i++) {
                    const int y = i / W + top, x = i % W + left;
                    const bool is_inside = y >= 0 && y < H && x >= 0 && x < W;
                    is_match = fabsf(out[i] - (is_inside ? (float)pixels[y * W + x] : 0.0f)) < 1e-2f;
                }
                n_matches += is_match;
                seen[top + 3][left + 3] |= is_match;
            }
        assert_int_equal(n_matches, 1);
    }
    for (int i = 0; i < 49; i++)
        assert_true(seen[i / 7][i % 7]);
}

static void a_flip_mirrors_about_half_of_the_images(void **state)
{
    (void)state;
    uint8_t pixels[H * W];
    float clean[H * W], out[H * W];
    struct ws_augment flip = plain;
    flip.flip = true;
    int n_flipped = 0;
    fill(pixels, sizeof pixels);
    ws_augment_image(&plain, NULL, pixels, H, W, 1, clean);
    for (uint32_t k = 0; k < 1000; k++) {
        struct ws_rng rng;
        ws_rng_init(&rng, 4, WS_STREAM_TEST, k, 0);
        ws_augment_image(&flip, &rng, pixels, H, W, 1, out);
        const bool is_flipped = memcmp(out, clean, sizeof out) != 0;
        for (int i = 0; is_flipped && i < H * W; i++)
            assert_true(out[i] == clean[i / W * W + (W - 1 - i % W)]);
        n_flipped += is_flipped;
    }
    assert_in_range(n_flipped, 430, 570);
}

/* What is drawn for MixDistribution; what it does with it: test_kd3_claims.c, item 4. */
static void shares_are_mostly_near_zero_or_one_and_partners_a_permutation(void **state)
{
    (void)state;
    enum { MANY = 512 };
    static double lam[MANY];
    static uint32_t partner[MANY];
    bool seen[MANY] = {false};
    struct ws_rng rng;
    int n_ends = 0;
    double sum = 0;
    ws_rng_init(&rng, 6, WS_STREAM_MIX, 0, 0);
    ws_mix_draw(&rng, MANY, .1, lam, partner);
    for (int i = 0; i < MANY; i++) {
        assert_true(lam[i] >= 0 && lam[i] <= 1);
        assert_false(seen[partner[i]]);
        seen[partner[i]] = true;
        n_ends += lam[i] < .1 || lam[i] > .9;
        sum += lam[i];
    }
    assert_true(n_ends > MANY * 7 / 10);
    assert_near(sum / MANY, .5, .08);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_clean_view_is_the_normalised_image),
        cmocka_unit_test(the_clean_view_ignores_every_augmentation),
        cmocka_unit_test(a_crop_lies_inside_and_keeps_area_and_aspect_in_bounds),
        cmocka_unit_test(a_shape_that_no_crop_fits_gets_the_centre_crop),
        cmocka_unit_test(a_resized_ramp_stays_a_ramp),
        cmocka_unit_test(a_shift_moves_the_image_and_pads_with_black),
        cmocka_unit_test(a_flip_mirrors_about_half_of_the_images),
        cmocka_unit_test(shares_are_mostly_near_zero_or_one_and_partners_a_permutation),
    };
    return cmocka_run_group_tests_name("augment", tests, NULL, NULL);
}
