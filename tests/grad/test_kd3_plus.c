/* What kd3+ adds to a step of kd3: the slope of its loss, what it is without its parts, and whose pixels it shows. */
#include "../unit/kd3_bench.h"

static void softened_outputs_add_their_slope_to_the_students(void **state)
{
    (void)state;
    static struct method_bench b;
    const struct ws_kd3_plus_keys plus = {.contrast = WS_CONTRAST_OFF, .kl_weight = 2.0, .kl_temperature = 4.0};
    kd3_bench_open_plus(&b, kd3_bench_options(0, false), &plus);
    static const char *const names[] = {"conv1.weight", "layer3.0.conv1.weight", "projector.0.weight",
                                        "projector.7.bias"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        method_bench_check_slope(&b, b.model->net, names[i]);
    method_bench_close(&b);
}

static void the_loss_grows_by_the_weighted_divergence(void **state)
{
    (void)state;
    static struct method_bench b;
    const struct ws_kd3_plus_keys plus = {.contrast = WS_CONTRAST_OFF, .kl_weight = 3.0, .kl_temperature = 4.0};
    kd3_bench_open_plus(&b, kd3_bench_options(0, true), &plus);
    const struct ws_step step = method_bench_step(&b);
    assert_int_equal(step.n_losses, 2);
    assert_string_equal(step.losses[1].name, "kl");
    assert_true(step.losses[1].value > 0);
    assert_near(step.loss, step.losses[0].value + 3.0 * step.losses[1].value, 1e-12);
    method_bench_close(&b);
}

static float *learn(const struct ws_kd3_plus_keys *plus, size_t *n)
{
    static struct method_bench b;
    kd3_bench_open_plus(&b, kd3_bench_options(1.0, true), plus);
    method_bench_learn(&b, .05);
    float *values = kd3_bench_copy(b.model->net, b.model->net->values);
    *n = b.model->net->n_values;
    method_bench_close(&b);
    return values;
}

static void without_its_parts_it_is_kd3_byte_for_byte(void **state)
{
    (void)state;
    const struct ws_kd3_plus_keys nothing = {.contrast = WS_CONTRAST_SELF, .kl_temperature = 4.0};
    size_t n;
    float *kd3 = learn(NULL, &n), *plus = learn(&nothing, &n);
    assert_memory_equal(kd3, plus, n * sizeof *kd3);
    free(kd3);
    free(plus);
}

/* No stored picture begins with two sevens; refined ones hold nothing else. */
static void a_picture_is_shown_refined_as_often_as_asked(void **state)
{
    (void)state;
    static struct method_bench b;
    kd3_bench_open(&b, kd3_bench_options(0, false));
    uint8_t sevens[KD3_SIDE * KD3_SIDE];
    const uint8_t *refined[BENCH_IMAGES];
    float input[BENCH_IMAGES * KD3_SIDE * KD3_SIDE];
    memset(sevens, 7, sizeof sevens);
    for (int i = 0; i < BENCH_IMAGES; i++)
        refined[i] = sevens;
    const struct ws_augment augment = {.mean = {0}, .std = {1.0f / 255.0f, 1, 1}};
    const double shares[] = {0.0, 0.5, 1.0};
    for (int s = 0; s < 3; s++) {
        int n_refined = 0;
        for (uint32_t pass = 0; pass < 50; pass++) {
            const struct ws_view view = {.augment = &augment,
                                         .stream = WS_STREAM_AUGMENT,
                                         .pass = pass,
                                         .refined = refined,
                                         .refined_share = shares[s]};
            ws_batch_load(b.workers, &b.data, &view, b.images, BENCH_IMAGES, input);
            for (size_t i = 0; i < BENCH_IMAGES; i++)
                n_refined += fabsf(input[i * KD3_SIDE * KD3_SIDE] - 7.0f) < 1e-3f &&
                             fabsf(input[i * KD3_SIDE * KD3_SIDE + 9] - 7.0f) < 1e-3f;
        }
        const double share = (double)n_refined / (50 * BENCH_IMAGES);
        if (!(fabs(share - shares[s]) <= (s == 1 ? .06 : 0.0)))
            fail_msg("asked for %.1f, shown %.3f", shares[s], share);
    }
    method_bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(softened_outputs_add_their_slope_to_the_students),
        cmocka_unit_test(the_loss_grows_by_the_weighted_divergence),
        cmocka_unit_test(without_its_parts_it_is_kd3_byte_for_byte),
        cmocka_unit_test(a_picture_is_shown_refined_as_often_as_asked),
    };
    return cmocka_run_group_tests_name("kd3_plus", tests, NULL, NULL);
}
