/* The shifted test set: what a strength means, and what must not change. */
#include "../../distill/data/shift.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N = 200, SIDE = 6, CHANNELS = 3, PIXELS = SIDE * SIDE };

/* Images of middle greys: no small shift cuts them. */
static void make_set(struct ws_dataset *set)
{
    assert_true(ws_dataset_alloc(set, N, SIDE, SIDE, CHANNELS, true));
    for (size_t i = 0; i < N; i++) {
        set->ids[i].bytes[15] = (uint8_t)i;
        set->labels[i] = (int32_t)(i % 10);
        for (size_t p = 0; p < PIXELS * CHANNELS; p++)
            set->block[i * PIXELS * CHANNELS + p] = (uint8_t)(110 + (i * 7 + p * p * 3) % 37);
    }
    ws_dataset_update_digest(set);
}

/* Mean and deviation of a channel, by another way than the program's. */
static void measure(const uint8_t *pixels, int channel, double *mean, double *deviation)
{
    double sum = 0.0, squares = 0.0;
    for (int p = 0; p < PIXELS; p++) {
        const double value = pixels[p * CHANNELS + channel];
        sum += value;
        squares += value * value;
    }
    *mean = sum / PIXELS;
    *deviation = sqrt(squares / PIXELS - *mean * *mean);
}

static void strength_zero_changes_no_byte(void **state)
{
    (void)state;
    struct ws_dataset set, shifted;
    make_set(&set);
    assert_true(ws_shift_apply(&set, 0.0, 1, &shifted));
    assert_memory_equal(&set.digest, &shifted.digest, sizeof set.digest);
    ws_dataset_close(&set);
    ws_dataset_close(&shifted);
}

static void each_channel_gets_the_mean_and_the_deviation_that_were_drawn(void **state)
{
    (void)state;
    struct ws_dataset set, shifted;
    make_set(&set);
    assert_true(ws_shift_apply(&set, 0.3, 5, &shifted));
    for (size_t i = 0; i < N; i++) {
        for (int c = 0; c < CHANNELS; c++) {
            double gain, offset, mean, deviation, new_mean, new_deviation;
            ws_shift_draw(5, &set.ids[i], c, 0.3, &gain, &offset);
            measure(set.pixels[i], c, &mean, &deviation);
            measure(shifted.pixels[i], c, &new_mean, &new_deviation);
            assert_true(fabs(new_mean - (mean + 255.0 * offset)) < 0.5); /* bytes are rounded */
            assert_true(fabs(new_deviation - gain * deviation) < 0.5);
        }
    }
    assert_memory_equal(set.labels, shifted.labels, N * sizeof *set.labels);
    assert_memory_equal(set.ids, shifted.ids, N * sizeof *set.ids);
    ws_dataset_close(&set);
    ws_dataset_close(&shifted);
}

static void draws_fill_their_range_and_are_centred(void **state)
{
    (void)state;
    double sum_log = 0.0, sum_offset = 0.0, largest = 0.0;
    for (uint32_t i = 0; i < 10000; i++) {
        struct ws_image_id id = {{0}};
        double gain, offset;
        memcpy(id.bytes, &i, sizeof i);
        ws_shift_draw(1, &id, 0, 0.8, &gain, &offset);
        assert_true(fabs(log(gain)) <= 0.8 + 1e-12 && fabs(offset) <= 0.4);
        sum_log += log(gain);
        sum_offset += offset;
        largest = fmax(largest, fmax(fabs(log(gain)) / 0.8, fabs(offset) / 0.4));
    }
    assert_true(fabs(sum_log / 10000) < 0.02 && fabs(sum_offset / 10000) < 0.01); /* four standard errors */
    assert_true(largest > 0.999);
}

static void a_strength_scales_the_same_draw(void **state)
{
    (void)state;
    const struct ws_image_id id = {{7}};
    double gain, offset, twice_gain, twice_offset;
    ws_shift_draw(3, &id, 1, 0.25, &gain, &offset);
    ws_shift_draw(3, &id, 1, 0.5, &twice_gain, &twice_offset);
    assert_true(fabs(gain * gain - twice_gain) < 1e-12 && fabs(2.0 * offset - twice_offset) < 1e-12);
}

static void draws_depend_on_seed_image_and_channel(void **state)
{
    (void)state;
    const struct ws_image_id one = {{1}}, two = {{2}};
    const struct {
        uint64_t seed;
        const struct ws_image_id *id;
        int channel;
    } cases[] = {{1, &one, 0}, {2, &one, 0}, {1, &two, 0}, {1, &one, 1}};
    double gains[4], offset;
    for (int i = 0; i < 4; i++) {
        ws_shift_draw(cases[i].seed, cases[i].id, cases[i].channel, 0.5, &gains[i], &offset);
        for (int k = 0; k < i; k++)
            assert_true(gains[i] != gains[k]);
    }
}

static void what_leaves_the_range_is_cut(void **state)
{
    (void)state;
    struct ws_dataset set, shifted;
    make_set(&set);
    for (size_t p = 0; p < (size_t)N * PIXELS * CHANNELS; p++)
        set.block[p] = p % 2 ? 255 : 0;
    assert_true(ws_shift_apply(&set, 1.0, 1, &shifted));
    size_t n_black = 0, n_white = 0;
    for (size_t p = 0; p < (size_t)N * PIXELS * CHANNELS; p++) {
        n_black += p % 2 == 1 && shifted.block[p] == 0;
        n_white += p % 2 == 0 && shifted.block[p] == 255;
    }
    assert_int_equal(n_black + n_white, 0); /* a sum that wrapped round would turn white into black */
    n_black = n_white = 0;
    for (size_t p = 0; p < (size_t)N * PIXELS * CHANNELS; p++) {
        n_black += shifted.block[p] == 0;
        n_white += shifted.block[p] == 255;
    }
    assert_true(n_black > 0 && n_white > 0);
    ws_dataset_close(&set);
    ws_dataset_close(&shifted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strength_zero_changes_no_byte),
        cmocka_unit_test(each_channel_gets_the_mean_and_the_deviation_that_were_drawn),
        cmocka_unit_test(draws_fill_their_range_and_are_centred),
        cmocka_unit_test(a_strength_scales_the_same_draw),
        cmocka_unit_test(draws_depend_on_seed_image_and_channel),
        cmocka_unit_test(what_leaves_the_range_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
