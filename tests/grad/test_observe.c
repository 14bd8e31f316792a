/*
 * BatchNorm's statistics as values that a loss may read: what they are, that observing changes nothing else, and their
 * gradient down to the input against differences of the engine's own forward pass.
 */
#include "../kernel/reference.h"

#include "webstill/nn/statistics.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { BATCH = 3, MAX_IN = 512, MAX_CHANNELS = 4 };

static void check(enum ws_status status, const struct ws_err *err)
{
    if (status != WS_OK)
        fail_msg("%s", err->text);
}

struct subject {
    struct ws_net *net;
    struct ws_workers *workers;
    struct ws_exec *exec;
    int bn[2], n_bn;
    bool reads_output;
    size_t n_in, n_out;
};

/* Two BatchNorms and nothing with a kink, so that the loss is quadratic in the input. */
static void open_subject(struct subject *s, int threads)
{
    struct ws_err err = {0};
    s->net = ws_net_new(5, 4, 2);
    assert_non_null(s->net);
    int x = ws_net_conv(s->net, "conv1", 0, 3, (struct ws_window)WS_SQUARE(3, 1, 1), false);
    s->bn[0] = x = ws_net_batchnorm(s->net, "bn1", x);
    x = ws_net_average_pool(s->net, "pool", x, (struct ws_window)WS_SQUARE(2, 1, 1));
    x = ws_net_conv(s->net, "conv2", x, 4, (struct ws_window)WS_SQUARE(3, 2, 1), false);
    s->bn[1] = x = ws_net_batchnorm(s->net, "bn2", x);
    s->n_bn = 2;
    ws_net_gemm(s->net, "fc", ws_net_global_average_pool(s->net, "mean", x), 2, true);
    check(ws_net_alloc(s->net, &err), &err);
    check(ws_workers_open(&s->workers, threads, &err), &err);
    const struct ws_exec_options options = {.max_batch = BATCH + 2, .backward = true, .input_gradient = true};
    check(ws_exec_open(&s->exec, s->net, s->workers, &options, &err), &err);
    s->n_in = BATCH * reference_size(s->net, 0);
    s->n_out = BATCH * reference_size(s->net, s->net->n_nodes - 1);
    assert_true(s->n_in <= MAX_IN);
    reference_randomise(s->net, 3);
    reference_fill(ws_exec_input(s->exec), s->n_in, 3, 1);
}

static void close_subject(struct subject *s)
{
    ws_exec_close(&s->exec);
    ws_workers_close(&s->workers);
    ws_net_free(&s->net);
}

static double weight_of(size_t i)
{
    return 0.25 * (double)(i * 7 % 5) - 0.4;
}

static double measure(const struct subject *s)
{
    ws_exec_forward(s->exec, BATCH, WS_BN_OBSERVE);
    double loss = 0;
    for (int b = 0; b < s->n_bn; b++)
        for (size_t c = 0; c < (size_t)s->net->nodes[s->bn[b]].channels; c++)
            loss += weight_of(c) * (double)ws_exec_batch_mean(s->exec, s->bn[b])[c] +
                    weight_of(c + 2) * (double)ws_exec_batch_var(s->exec, s->bn[b])[c];
    for (size_t i = 0; s->reads_output && i < s->n_out; i++)
        loss += weight_of(i + 1) * (double)ws_exec_value(s->exec, s->net->n_nodes - 1)[i];
    return loss;
}

static void seed(const struct subject *s)
{
    for (int b = 0; b < s->n_bn; b++)
        for (size_t c = 0; c < (size_t)s->net->nodes[s->bn[b]].channels; c++) {
            ws_exec_mean_gradient(s->exec, s->bn[b])[c] += (float)weight_of(c);
            ws_exec_var_gradient(s->exec, s->bn[b])[c] += (float)weight_of(c + 2);
        }
    for (size_t i = 0; s->reads_output && i < s->n_out; i++)
        ws_exec_output_gradient(s->exec, s->net->n_nodes - 1)[i] += (float)weight_of(i + 1);
}

static void check_differences(struct subject *s)
{
    const float step = 0.03125F;
    float gradient[MAX_IN], *x = ws_exec_input(s->exec);
    measure(s);
    seed(s);
    ws_exec_backward(s->exec);
    memcpy(gradient, ws_exec_input_gradient(s->exec), s->n_in * sizeof *gradient);
    double largest = 0;
    for (size_t i = 0; i < s->n_in; i++)
        largest = fmax(largest, fabs((double)gradient[i]));
    assert_true(largest > 1e-3);
    for (size_t i = 0; i < s->n_in; i++) {
        const float x0 = x[i];
        x[i] = x0 + step;
        const double up = measure(s);
        x[i] = x0 - step;
        const double expected = (up - measure(s)) / (2 * (double)step); /* exact: the loss is quadratic in x */
        x[i] = x0;
        if (!(fabs((double)gradient[i] - expected) <= 2e-4 * largest))
            fail_msg("d/d input[%zu] is %.6g, differences give %.6g", i, (double)gradient[i], expected);
    }
}

static void statistics_have_the_gradient_of_their_differences(void **state)
{
    (void)state;
    struct subject s = {.reads_output = true};
    open_subject(&s, 2);
    check_differences(&s);
    close_subject(&s);
}

/* No gradient reaches the output of bn2, nor that of bn1 in the second round. */
static void statistics_alone_send_a_gradient_down(void **state)
{
    (void)state;
    struct subject s = {.reads_output = false};
    open_subject(&s, 2);
    check_differences(&s);
    s.n_bn = 1;
    check_differences(&s);
    close_subject(&s);
}

static void statistics_are_the_mean_and_the_biased_variance_of_the_batch(void **state)
{
    (void)state;
    struct subject s = {.reads_output = false};
    open_subject(&s, 2);
    float *kept = reference_take(s.net->n_values, sizeof *kept);
    memcpy(kept, s.net->values, s.net->n_values * sizeof *kept);
    struct reference *r = reference_open(s.net, BATCH);
    for (size_t i = 0; i < s.n_in; i++)
        r->value[0][i] = (real)ws_exec_input(s.exec)[i];
    reference_forward(r, WS_BN_EVAL);
    ws_exec_forward(s.exec, BATCH, WS_BN_OBSERVE);
    for (int b = 0; b < 2; b++) {
        const struct ws_node *node = &s.net->nodes[s.bn[b]];
        const real *x = r->value[node->inputs[0]];
        const size_t channels = (size_t)node->channels, n = BATCH * reference_size(s.net, node->inputs[0]);
        for (size_t c = 0; c < channels; c++) {
            double mean = 0, var = 0;
            for (size_t i = c; i < n; i += channels)
                mean += (double)x[i] * (double)channels / (double)n;
            for (size_t i = c; i < n; i += channels)
                var += pow((double)x[i] - mean, 2) * (double)channels / (double)n;
            assert_true(fabs((double)ws_exec_batch_mean(s.exec, s.bn[b])[c] - mean) <= 1e-5);
            assert_true(fabs((double)ws_exec_batch_var(s.exec, s.bn[b])[c] - var) <= 1e-5 * (1 + var));
        }
    }
    for (size_t i = 0; i < s.n_out; i++)
        assert_true(
            fabs((double)ws_exec_value(s.exec, s.net->n_nodes - 1)[i] - (double)r->value[s.net->n_nodes - 1][i]) <=
            1e-5 * (1 + fabs((double)r->value[s.net->n_nodes - 1][i])));
    assert_memory_equal(kept, s.net->values, s.net->n_values * sizeof *kept);
    reference_close(r);
    free(kept);
    close_subject(&s);
}

/* Far from the running mean of 0, in deviations: one pass around it would lose the variance's digits. */
static void variance_is_exact_for_a_batch_far_from_the_running_mean(void **state)
{
    (void)state;
    struct ws_err err = {0};
    enum { SIDE = 16, IMAGES = 16 };
    const double offsets[] = {0, 5, 20, 170, 1000};
    struct ws_net *net = ws_net_new(SIDE, SIDE, 1);
    assert_non_null(net);
    const int bn = ws_net_batchnorm(net, "bn", 0);
    struct ws_workers *workers = NULL;
    struct ws_exec *exec = NULL;
    check(ws_net_alloc(net, &err), &err);
    check(ws_workers_open(&workers, 2, &err), &err);
    const struct ws_exec_options options = {.max_batch = IMAGES};
    check(ws_exec_open(&exec, net, workers, &options, &err), &err);
    for (size_t k = 0; k < sizeof offsets / sizeof *offsets; k++) {
        const size_t n = IMAGES * SIDE * SIDE;
        float *x = ws_exec_input(exec);
        double mean = 0, var = 0;
        reference_fill(x, n, k, 1);
        for (size_t i = 0; i < n; i++) {
            x[i] += (float)(offsets[k] / sqrt(3));
            mean += (double)x[i] / (double)n;
        }
        for (size_t i = 0; i < n; i++)
            var += pow((double)x[i] - mean, 2) / (double)n;
        ws_net_init(net, 1);
        ws_exec_forward(exec, IMAGES, WS_BN_OBSERVE);
        if (!(fabs((double)ws_exec_batch_var(exec, bn)[0] - var) <= 1e-5 * var))
            fail_msg("%g deviations away: variance %.9g, expected %.9g", offsets[k],
                     (double)ws_exec_batch_var(exec, bn)[0], var);
        ws_exec_forward(exec, IMAGES, WS_BN_TRAIN);
        float running;
        ws_net_get(net, ws_net_find_param(net, "bn.running_var"), &running, 1);
        assert_true(fabs((double)running - .9 - .1 * var * (double)n / (double)(n - 1)) <= 1e-6);
    }
    ws_exec_close(&exec);
    ws_workers_close(&workers);
    ws_net_free(&net);
}

/* R is not quadratic: its gradient against central differences, in the engine's own single precision. */
static void the_distance_to_the_running_statistics_has_the_gradient_of_its_differences(void **state)
{
    (void)state;
    struct subject s = {0};
    open_subject(&s, 2);
    const float step = 0.03125F;
    float gradient[MAX_IN], *x = ws_exec_input(s.exec);
    ws_exec_forward(s.exec, BATCH, WS_BN_OBSERVE);
    assert_true(ws_loss_statistics(s.exec, s.net, 0.5) > 0.1);
    ws_exec_backward(s.exec);
    memcpy(gradient, ws_exec_input_gradient(s.exec), s.n_in * sizeof *gradient);
    double largest = 0;
    for (size_t i = 0; i < s.n_in; i++)
        largest = fmax(largest, fabs((double)gradient[i]));
    assert_true(largest > 1e-3);
    for (size_t i = 0; i < s.n_in; i += 7) {
        const float x0 = x[i];
        double loss[2];
        for (int side = 0; side < 2; side++) {
            x[i] = side ? x0 - step : x0 + step;
            ws_exec_forward(s.exec, BATCH, WS_BN_OBSERVE);
            loss[side] = 0.5 * ws_loss_statistics(s.exec, s.net, 0.5);
        }
        x[i] = x0;
        const double expected = (loss[0] - loss[1]) / (2 * (double)step);
        if (!(fabs((double)gradient[i] - expected) <= 5e-3 * largest))
            fail_msg("d/d input[%zu] is %.6g, differences give %.6g", i, (double)gradient[i], expected);
    }
    close_subject(&s);
}

static void the_distance_is_the_sum_of_two_lengths_a_layer(void **state)
{
    (void)state;
    struct subject s = {0};
    open_subject(&s, 1);
    ws_exec_forward(s.exec, BATCH, WS_BN_OBSERVE);
    double expected = 0;
    for (int b = 0; b < s.n_bn; b++) {
        const struct ws_node *node = &s.net->nodes[s.bn[b]];
        double squares[2] = {0, 0};
        for (int c = 0; c < node->channels; c++) {
            const float *running_mean = s.net->values + s.net->params[node->params[2]].offset;
            const float *running_var = s.net->values + s.net->params[node->params[3]].offset;
            squares[0] += pow((double)ws_exec_batch_mean(s.exec, s.bn[b])[c] - (double)running_mean[c], 2);
            squares[1] += pow((double)ws_exec_batch_var(s.exec, s.bn[b])[c] - (double)running_var[c], 2);
        }
        expected += sqrt(squares[0]) + sqrt(squares[1]);
    }
    assert_true(fabs(ws_loss_statistics(s.exec, s.net, 1.0) - expected) <= 1e-12 * expected);
    assert_int_equal(ws_statistics_count(s.net), 2);
    close_subject(&s);
}

static void statistics_and_gradients_do_not_depend_on_threads(void **state)
{
    (void)state;
    float gradient[2][MAX_IN], var[2][MAX_CHANNELS];
    for (int k = 0; k < 2; k++) {
        struct subject s = {.reads_output = true};
        open_subject(&s, k ? 8 : 1);
        measure(&s);
        memcpy(var[k], ws_exec_batch_var(s.exec, s.bn[1]), sizeof var[k]);
        seed(&s);
        ws_exec_backward(s.exec);
        memcpy(gradient[k], ws_exec_input_gradient(s.exec), s.n_in * sizeof **gradient);
        if (k)
            assert_memory_equal(gradient[0], gradient[1], s.n_in * sizeof **gradient);
        close_subject(&s);
    }
    assert_memory_equal(var[0], var[1], sizeof var[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statistics_have_the_gradient_of_their_differences),
        cmocka_unit_test(statistics_alone_send_a_gradient_down),
        cmocka_unit_test(statistics_are_the_mean_and_the_biased_variance_of_the_batch),
        cmocka_unit_test(variance_is_exact_for_a_batch_far_from_the_running_mean),
        cmocka_unit_test(the_distance_to_the_running_statistics_has_the_gradient_of_its_differences),
        cmocka_unit_test(the_distance_is_the_sum_of_two_lengths_a_layer),
        cmocka_unit_test(statistics_and_gradients_do_not_depend_on_threads),
    };
    return cmocka_run_group_tests_name("observed statistics", tests, NULL, NULL);
}
