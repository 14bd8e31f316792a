/* Weights of images beyond KD3's own, as they reach a step's loss and its gradient. */
#include "kd3_bench.h"

static double align_with(struct method_bench *b, const float *weights)
{
    const struct ws_step step = method_bench_run(b, 4, 0, weights, 0);
    assert_string_equal(step.losses[0].name, "align");
    return step.losses[0].value;
}

static void the_alignment_is_linear_in_the_images_weights(void **state)
{
    static struct method_bench b;
    (void)state;
    kd3_bench_open(&b, kd3_bench_options(1.0, true));
    float weights[BENCH_BATCH];
    double sum = 0, mixed = 0;
    const double all = align_with(&b, NULL);
    for (int i = 0; i < BENCH_BATCH; i++) {
        for (int j = 0; j < BENCH_BATCH; j++)
            weights[j] = j == i;
        const double one = align_with(&b, weights);
        assert_true(one > 0);
        sum += one;
        mixed += (.25 * i) * one;
    }
    assert_near(sum / all, 1, 1e-5);
    for (int j = 0; j < BENCH_BATCH; j++)
        weights[j] = .25f * (float)j;
    assert_near(align_with(&b, weights) / mixed, 1, 1e-5);
    method_bench_close(&b);
}

static void weights_of_one_are_the_plain_step(void **state)
{
    static struct method_bench b;
    (void)state;
    kd3_bench_open(&b, kd3_bench_options(1.0, true));
    float weights[BENCH_BATCH];
    for (int j = 0; j < BENCH_BATCH; j++)
        weights[j] = 1.0f;
    /* not to the bit: a step shifts BatchNorm's sums by the running means, which the step before has moved */
    assert_near(align_with(&b, NULL) / align_with(&b, weights), 1, 1e-6);
    method_bench_close(&b);
}

static void the_gradient_is_weighted_as_the_loss_is(void **state)
{
    static struct method_bench b;
    (void)state;
    kd3_bench_open(&b, kd3_bench_options(0.0, false));
    float weights[BENCH_BATCH];
    for (int j = 0; j < BENCH_BATCH; j++)
        weights[j] = 3.0f;
    align_with(&b, NULL);
    const double plain = ws_gradient_norm(b.model->net);
    align_with(&b, weights);
    assert_near(ws_gradient_norm(b.model->net) / plain, 3, 1e-4);
    method_bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_alignment_is_linear_in_the_images_weights),
        cmocka_unit_test(weights_of_one_are_the_plain_step),
        cmocka_unit_test(the_gradient_is_weighted_as_the_loss_is),
    };
    return cmocka_run_group_tests_name("weights", tests, NULL, NULL);
}
