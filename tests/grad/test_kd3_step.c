/* One step of KD3 as a whole: what its loss is made of, and who influences whom. Its slopes: test_kd3_claims.c, item 7.
 */
#include "../unit/kd3_bench.h"

#include <malloc.h>

/*
 * The same step from the same running statistics: the engine takes batch moments around the running mean, so that
 * rounding (and nothing else) depends on it.
 */
static struct ws_step step_from(struct method_bench *b, const float *values)
{
    memcpy(b->model->net->values, values, b->model->net->n_values * sizeof *values);
    return method_bench_step(b);
}

static void gradients_without_contrast_are_slopes_too(void **state)
{
    (void)state;
    static struct method_bench b;
    kd3_bench_open(&b, kd3_bench_options(0, false));
    method_bench_check_slope(&b, b.model->net, "conv1.weight");
    method_bench_check_slope(&b, b.model->net, "projector.3.weight");
    method_bench_close(&b);
}

static void gradients_of_the_contrast_with_the_teacher_are_slopes_too(void **state)
{
    (void)state;
    static struct method_bench b;
    kd3_bench_open(&b, kd3_bench_cross(1.0));
    struct ws_kd3 *kd3 = b.state;
    static const char *const names[] = {"conv1.weight", "layer3.0.conv1.weight", "layer3.0.bn2.weight",
                                        "projector.0.weight"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        method_bench_check_slope(&b, b.model->net, names[i]);
    method_bench_check_slope(&b, kd3->embed_s->net, "embed_s.weight");
    method_bench_check_slope(&b, kd3->embed_s->net, "embed_s.bias");
    method_bench_check_slope(&b, kd3->embed_t->net, "embed_t.weight");
    method_bench_close(&b);
}

static void gradients_of_pooled_alignment_are_slopes_too(void **state)
{
    (void)state;
    static struct method_bench b;
    struct ws_kd3_keys options = kd3_bench_options(.5, false);
    options.align = WS_ALIGN_POOLED;
    kd3_bench_open(&b, options);
    static const char *const names[] = {"conv1.weight", "layer2.0.bn1.bias", "projector.3.weight",
                                        "projector.7.weight"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        method_bench_check_slope(&b, b.model->net, names[i]);
    method_bench_close(&b);
}

/* The embeddings' own rows, as the step leaves them, once more in double. */
static void the_contrast_with_the_teacher_is_that_of_pooled_features_of_the_same_images(void **state)
{
    (void)state;
    static struct method_bench b;
    enum { WIDTH = 16 };
    kd3_bench_open(&b, kd3_bench_cross(.25));
    struct ws_kd3 *kd3 = b.state;
    const struct ws_step step = method_bench_step(&b);
    assert_int_equal(step.n_losses, 2);
    assert_null(kd3->mixed);
    assert_near(step.loss, step.losses[0].value + .25 * step.losses[1].value, 1e-12);

    const float *pooled[2] = {ws_exec_value(b.training.student->exec, b.model->pooled),
                              ws_exec_value(b.predictor.exec, b.predictor.model->head_pooled)};
    const struct ws_network *embed[2] = {kd3->embed_s, kd3->embed_t};
    double unit[2][BENCH_BATCH][WIDTH], loss = 0;
    for (int k = 0; k < 2; k++) {
        const int features = embed[k]->net->nodes[0].channels;
        float *weight = malloc(WIDTH * (size_t)features * sizeof *weight), bias[WIDTH];
        ws_net_get(embed[k]->net, 0, weight, WIDTH * (size_t)features);
        ws_net_get(embed[k]->net, 1, bias, WIDTH);
        for (int i = 0; i < BENCH_BATCH; i++) {
            double squares = 0;
            for (int o = 0; o < WIDTH; o++) {
                unit[k][i][o] = (double)bias[o];
                for (int f = 0; f < features; f++)
                    unit[k][i][o] += (double)weight[o * features + f] * (double)pooled[k][i * features + f];
                squares += unit[k][i][o] * unit[k][i][o];
            }
            for (int o = 0; o < WIDTH; o++)
                unit[k][i][o] /= sqrt(squares);
        }
        free(weight);
    }
    for (int i = 0; i < BENCH_BATCH; i++) {
        double sum = 0, own = 0;
        for (int j = 0; j < BENCH_BATCH; j++) {
            double cosine = 0;
            for (int o = 0; o < WIDTH; o++)
                cosine += unit[0][i][o] * unit[1][j][o];
            sum += exp(cosine / .3);
            own = i == j ? cosine / .3 : own;
        }
        loss += log(sum) - own;
    }
    assert_near(step.losses[1].value, loss / BENCH_BATCH, 1e-5);
    method_bench_close(&b);
}

static void pooled_alignment_compares_what_the_classifier_reads(void **state)
{
    (void)state;
    static struct method_bench b;
    struct ws_kd3_keys options = kd3_bench_options(0, false);
    options.align = WS_ALIGN_POOLED;
    kd3_bench_open(&b, options);
    const struct ws_step step = method_bench_step(&b);
    const float *map[2] = {ws_exec_value(b.training.student->exec, b.model->projected),
                           ws_exec_value(b.predictor.exec, b.predictor.model->projected)};
    const struct ws_node *node = &b.model->net->nodes[b.model->projected];
    const int n_pixels = node->height * node->width, n_channels = node->channels;
    assert_true(n_pixels > 1);
    double squares = 0;
    for (int i = 0; i < BENCH_BATCH; i++)
        for (int c = 0; c < n_channels; c++) {
            double mean[2] = {0, 0};
            for (int k = 0; k < 2; k++)
                for (int p = 0; p < n_pixels; p++)
                    mean[k] += (double)map[k][(i * n_pixels + p) * n_channels + c] / n_pixels;
            squares += pow(mean[0] - mean[1], 2);
        }
    assert_near(step.loss, .5 * squares / (BENCH_BATCH * n_channels), 1e-5 * step.loss);
    method_bench_close(&b);
}

static void the_loss_is_the_weighted_sum_of_its_parts(void **state)
{
    (void)state;
    static struct method_bench b;
    kd3_bench_open(&b, kd3_bench_options(.25, true));
    const struct ws_step step = method_bench_step(&b);
    assert_int_equal(step.n_losses, 3);
    assert_near(step.loss, step.losses[0].value + .25 * (step.losses[1].value + step.losses[2].value), 1e-12);
    method_bench_close(&b);
}

static void copy_param(const struct ws_net *net, const char *name, float out[64])
{
    const int param = ws_net_find_param(net, name);
    assert_true(param >= 0 && net->params[param].n <= 64);
    ws_net_get(net, param, out, net->params[param].n);
}

/* The mixed copy passes through the backbone's BatchNorm, in the order X, X', and never through the projector's. */
static void the_mixed_copy_reaches_the_backbones_statistics_but_not_the_projectors(void **state)
{
    (void)state;
    static struct method_bench with, without;
    float a[64] = {0}, c[64] = {0};
    kd3_bench_open(&with, kd3_bench_options(1.0, true));
    kd3_bench_open(&without, kd3_bench_options(0, true));
    method_bench_step(&with);
    method_bench_step(&without);
    copy_param(with.model->net, "projector.1.running_mean", a);
    copy_param(without.model->net, "projector.1.running_mean", c);
    assert_memory_equal(a, c, sizeof a);
    copy_param(with.model->net, "bn1.running_mean", a);
    copy_param(without.model->net, "bn1.running_mean", c);
    assert_memory_not_equal(a, c, sizeof a);
    method_bench_close(&with);
    method_bench_close(&without);
}

static void the_teachers_embedding_does_not_touch_the_student(void **state)
{
    (void)state;
    static struct method_bench b;
    kd3_bench_open(&b, kd3_bench_options(1.0, true));
    struct ws_kd3 *kd3 = b.state;
    const struct ws_net *net = b.model->net;
    float *values = kd3_bench_copy(net, net->values);
    step_from(&b, values);
    float *gradients = kd3_bench_copy(net, net->gradients);
    for (size_t i = 0; i < kd3->embed_t->net->n_values; i++)
        kd3->embed_t->net->values[i] *= -3;
    step_from(&b, values);
    assert_memory_equal(gradients, net->gradients, net->n_values * sizeof *gradients);
    free(gradients);
    free(values);
    method_bench_close(&b);
}

static void a_step_of_rate_zero_is_a_pure_function_of_its_index(void **state)
{
    (void)state;
    static struct method_bench b;
    kd3_bench_open(&b, kd3_bench_options(1.0, true));
    float *values = kd3_bench_copy(b.model->net, b.model->net->values);
    const struct ws_step first = step_from(&b, values), again = step_from(&b, values);
    assert_true(first.loss == again.loss && first.gradient_norm == again.gradient_norm);
    free(values);
    method_bench_close(&b);
}

/* Three steps that learn; the student's weights and running statistics behind them. */
static float *learn_within(uint32_t mixed_memory_mib, bool *is_borrower, size_t *n)
{
    static struct method_bench b;
    struct ws_kd3_keys options = kd3_bench_options(1.0, true);
    options.mixed_memory_mib = mixed_memory_mib;
    kd3_bench_open(&b, options);
    *is_borrower = ws_exec_is_borrower(((struct ws_kd3 *)b.state)->mixed->exec);
    for (int64_t i = 0; i < 3; i++) {
        method_bench_at(&b, i, 0, .05);
    }
    float *values = kd3_bench_copy(b.model->net, b.model->net->values);
    *n = b.model->net->n_values;
    method_bench_close(&b);
    return values;
}

static void one_memory_for_x_and_its_copy_gives_the_bytes_of_two(void **state)
{
    (void)state;
    bool is_borrower[2];
    size_t n;
    float *two = learn_within(1024, &is_borrower[0], &n), *one = learn_within(0, &is_borrower[1], &n);
    assert_false(is_borrower[0]);
    assert_true(is_borrower[1]);
    assert_memory_equal(one, two, n * sizeof *one);
    free(one);
    free(two);
}

/* glibc fills what malloc hands out with this byte's complement: as floats, and in sums, that would show. */
static void no_step_reads_what_its_memory_held_before(void **state)
{
    (void)state;
    bool is_borrower;
    size_t n;
    float *clean = learn_within(0, &is_borrower, &n);
    mallopt(M_PERTURB, 0x5a);
    float *dirty = learn_within(0, &is_borrower, &n);
    mallopt(M_PERTURB, 0);
    assert_memory_equal(clean, dirty, n * sizeof *clean);
    free(clean);
    free(dirty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_without_contrast_are_slopes_too),
        cmocka_unit_test(gradients_of_the_contrast_with_the_teacher_are_slopes_too),
        cmocka_unit_test(gradients_of_pooled_alignment_are_slopes_too),
        cmocka_unit_test(the_contrast_with_the_teacher_is_that_of_pooled_features_of_the_same_images),
        cmocka_unit_test(pooled_alignment_compares_what_the_classifier_reads),
        cmocka_unit_test(the_loss_is_the_weighted_sum_of_its_parts),
        cmocka_unit_test(the_mixed_copy_reaches_the_backbones_statistics_but_not_the_projectors),
        cmocka_unit_test(the_teachers_embedding_does_not_touch_the_student),
        cmocka_unit_test(one_memory_for_x_and_its_copy_gives_the_bytes_of_two),
        cmocka_unit_test(no_step_reads_what_its_memory_held_before),
        cmocka_unit_test(a_step_of_rate_zero_is_a_pure_function_of_its_index),
    };
    return cmocka_run_group_tests_name("kd3_step", tests, NULL, NULL);
}
