/* SGD against PyTorch's formula written out, and the ends and middles of the schedules. */
#include "webstill/base/rng.h"
#include "webstill/nn/optim.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_near(double a, double b, double tolerance)
{
    if (!(fabs(a - b) <= tolerance))
        fail_msg("%.12g is not within %g of %.12g", a, tolerance, b);
}

/* conv, BN and a frozen classifier. */
static struct ws_net *make_net(void)
{
    struct ws_err err = {0};
    struct ws_net *net = ws_net_new(4, 4, 2);
    assert_non_null(net);
    int x = ws_net_conv(net, "conv", 0, 3, (struct ws_window)WS_SQUARE(3, 1, 1), false);
    x = ws_net_batchnorm(net, "bn", x);
    x = ws_net_global_average_pool(net, "pool", x);
    ws_net_gemm(net, "fc", x, 5, true);
    assert_int_equal(ws_net_alloc(net, &err), WS_OK);
    assert_int_equal(ws_net_alloc_gradients(net, &err), WS_OK);
    ws_net_init(net, 3);
    net->params[ws_net_find_param(net, "fc.weight")].is_frozen = true;
    return net;
}

static void fill_gradients(struct ws_net *net, uint32_t step)
{
    struct ws_rng rng;
    ws_rng_init(&rng, 4, WS_STREAM_TEST, step, 0);
    for (int i = 0; i < net->n_params; i++)
        for (size_t k = 0; k < net->params[i].n; k++)
            net->gradients[net->params[i].offset + k] = (float)ws_rng_normal(&rng);
}

static void check_sgd(double momentum, double decay, bool nesterov)
{
    struct ws_err err = {0};
    struct ws_net *net = make_net();
    struct ws_sgd sgd;
    assert_int_equal(ws_sgd_init(&sgd, net, momentum, decay, nesterov, &err), WS_OK);

    double *w = calloc(net->n_values, sizeof *w), *v = calloc(net->n_values, sizeof *v);
    float *before = malloc(net->n_values * sizeof *before);
    assert_true(w && v && before);
    memcpy(before, net->values, net->n_values * sizeof *before);
    for (size_t k = 0; k < net->n_values; k++)
        w[k] = (double)net->values[k];

    for (uint32_t step = 0; step < 5; step++) {
        const double lr = 0.1 / (1.0 + step);
        fill_gradients(net, step);
        for (int i = 0; i < net->n_params; i++) {
            const struct ws_param *param = &net->params[i];
            for (size_t k = param->offset; k < param->offset + param->n && !param->is_buffer && !param->is_frozen;
                 k++) {
                const double g = (double)net->gradients[k] + decay * w[k];
                v[k] = momentum * v[k] + g;
                w[k] -= lr * (nesterov ? g + momentum * v[k] : v[k]);
            }
        }
        ws_sgd_step(&sgd, net, lr);
    }
    for (size_t k = 0; k < net->n_values; k++)
        assert_near((double)net->values[k], w[k], 2e-6);

    const char *const still[] = {"fc.weight", "bn.running_mean", "bn.running_var"};
    for (int i = 0; i < 3; i++) {
        const struct ws_param *param = &net->params[ws_net_find_param(net, still[i])];
        assert_memory_equal(net->values + param->offset, before + param->offset, param->n * sizeof *before);
    }
    free(w);
    free(v);
    free(before);
    ws_sgd_fini(&sgd);
    ws_sgd_fini(&sgd);
    ws_net_free(&net);
}

static void plain_sgd_follows_its_formula(void **state)
{
    (void)state;
    check_sgd(0.0, 0.0, false);
}

static void momentum_and_decay_follow_their_formula(void **state)
{
    (void)state;
    check_sgd(0.9, 5e-2, false);
}

static void nesterov_follows_its_formula(void **state)
{
    (void)state;
    check_sgd(0.9, 5e-2, true);
}

static void first_momentum_step_equals_a_plain_step(void **state)
{
    (void)state;
    struct ws_err err = {0};
    struct ws_net *a = make_net(), *b = make_net();
    struct ws_sgd plain, heavy;
    assert_int_equal(ws_sgd_init(&plain, a, 0.0, 0.0, false, &err), WS_OK);
    assert_int_equal(ws_sgd_init(&heavy, b, 0.9, 0.0, false, &err), WS_OK);
    fill_gradients(a, 9);
    fill_gradients(b, 9);
    ws_sgd_step(&plain, a, 0.1);
    ws_sgd_step(&heavy, b, 0.1);
    assert_memory_equal(a->values, b->values, a->n_values * sizeof *a->values);
    ws_sgd_fini(&plain);
    ws_sgd_fini(&heavy);
    ws_net_free(&a);
    ws_net_free(&b);
}

static void gradient_norm_counts_only_what_is_trained(void **state)
{
    (void)state;
    struct ws_net *net = make_net();
    for (size_t k = 0; k < net->n_values; k++)
        net->gradients[k] = 100.0F; /* gaps, buffers and frozen parameters must not count */
    double n_trained = 0.0;
    for (int i = 0; i < net->n_params; i++) {
        const struct ws_param *param = &net->params[i];
        if (param->is_buffer || param->is_frozen)
            continue;
        n_trained += (double)param->n;
        for (size_t k = 0; k < param->n; k++)
            net->gradients[param->offset + k] = k % 2 ? 2.0F : -2.0F;
    }
    assert_near(ws_gradient_norm(net), 2.0 * sqrt(n_trained), 1e-12);
    ws_net_free(&net);
}

static void onecycle_rises_from_a_25th_and_falls_to_a_10000th(void **state)
{
    (void)state;
    const double peak = 0.4;
    assert_near(ws_lr_onecycle(peak, 0, 1000, 0.3), peak / 25.0, 1e-15);
    assert_near(ws_lr_onecycle(peak, 150, 1000, 0.3), (peak / 25.0 + peak) / 2.0, 1e-12);
    assert_near(ws_lr_onecycle(peak, 300, 1000, 0.3), peak, 1e-12);
    assert_near(ws_lr_onecycle(peak, 999, 1000, 0.3), peak / 1e4, 1e-12);
    for (int64_t step = 1; step < 1000; step++) {
        const double change = ws_lr_onecycle(peak, step, 1000, 0.3) - ws_lr_onecycle(peak, step - 1, 1000, 0.3);
        assert_true(step <= 300 ? change > 0.0 : change < 0.0);
    }
}

static void onecycle_survives_runs_without_rise_or_fall(void **state)
{
    (void)state;
    assert_near(ws_lr_onecycle(1.0, 0, 10, 0.0), 1.0, 1e-12);
    assert_near(ws_lr_onecycle(1.0, 9, 10, 1.0), 1.0 / 25.0 + 0.9 * (1.0 - 1.0 / 25.0), 1e-12);
    assert_true(isfinite(ws_lr_onecycle(1.0, 0, 1, 0.0)));
}

static void cosine_halves_in_the_middle(void **state)
{
    (void)state;
    assert_near(ws_lr_cosine(0.2, 0, 100), 0.2, 1e-15);
    assert_near(ws_lr_cosine(0.2, 50, 100), 0.1, 1e-15);
    assert_near(ws_lr_cosine(0.2, 100, 100), 0.0, 1e-15);
}

static void step_schedule_falls_strictly_after_a_milestone(void **state)
{
    (void)state;
    const double milestones[] = {150.0, 180.0, 210.0};
    assert_near(ws_lr_step(0.05, 1.0, milestones, 3, 0.1), 0.05, 0.0);
    assert_near(ws_lr_step(0.05, 150.0, milestones, 3, 0.1), 0.05, 0.0);
    assert_near(ws_lr_step(0.05, 151.0, milestones, 3, 0.1), 0.005, 1e-17);
    assert_near(ws_lr_step(0.05, 181.0, milestones, 3, 0.1), 0.0005, 1e-17);
    assert_near(ws_lr_step(0.05, 240.0, milestones, 3, 0.1), 0.00005, 1e-17);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_sgd_follows_its_formula),
        cmocka_unit_test(momentum_and_decay_follow_their_formula),
        cmocka_unit_test(nesterov_follows_its_formula),
        cmocka_unit_test(first_momentum_step_equals_a_plain_step),
        cmocka_unit_test(gradient_norm_counts_only_what_is_trained),
        cmocka_unit_test(onecycle_rises_from_a_25th_and_falls_to_a_10000th),
        cmocka_unit_test(onecycle_survives_runs_without_rise_or_fall),
        cmocka_unit_test(cosine_halves_in_the_middle),
        cmocka_unit_test(step_schedule_falls_strictly_after_a_milestone),
    };
    return cmocka_run_group_tests_name("optimiser and schedules", tests, NULL, NULL);
}
