/* SGD, Adam and AdamW against PyTorch's formulas written out, and the ends and middles of the schedules. */
#include "../../distill/nn/cpu/kernels.h"
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

/* PyTorch's formula for one value, in double. */
static void step_twin(const struct ws_optim_options *o, double g, double lr, int t, double *w, double *m, double *v)
{
    if (o->kind == WS_OPTIM_ADAMW)
        *w *= 1.0 - lr * o->weight_decay;
    else
        g += o->weight_decay * *w;
    if (o->kind == WS_OPTIM_SGD) {
        *m = o->momentum * *m + g;
        *w -= lr * (o->nesterov ? g + o->momentum * *m : *m);
        return;
    }
    *m = o->beta1 * *m + (1.0 - o->beta1) * g;
    *v = o->beta2 * *v + (1.0 - o->beta2) * g * g;
    const double corrected = *v / (1.0 - pow(o->beta2, t));
    *w -= lr * (*m / (1.0 - pow(o->beta1, t))) / (sqrt(corrected) + o->eps);
}

static void check_optim(const struct ws_optim_options *options)
{
    struct ws_err err = {0};
    struct ws_net *net = make_net();
    struct ws_optim optim;
    assert_int_equal(ws_optim_init(&optim, net, options, &err), WS_OK);

    const size_t n = net->n_values;
    double *w = calloc(n, sizeof *w), *m = calloc(n, sizeof *m), *v = calloc(n, sizeof *v);
    float *before = malloc(n * sizeof *before);
    assert_true(w && m && v && before);
    memcpy(before, net->values, n * sizeof *before);
    for (size_t k = 0; k < n; k++)
        w[k] = (double)net->values[k];

    for (int step = 0; step < 5; step++) {
        const double lr = 0.1 / (1.0 + step);
        fill_gradients(net, (uint32_t)step);
        for (int i = 0; i < net->n_params; i++) {
            const struct ws_param *param = &net->params[i];
            for (size_t k = param->offset; k < param->offset + param->n && !param->is_buffer && !param->is_frozen; k++)
                step_twin(options, (double)net->gradients[k], lr, step + 1, &w[k], &m[k], &v[k]);
        }
        ws_optim_step(&optim, net, lr);
    }
    for (size_t k = 0; k < n; k++)
        assert_near((double)net->values[k], w[k], 2e-6);

    const char *const still[] = {"fc.weight", "bn.running_mean", "bn.running_var"};
    for (int i = 0; i < 3; i++) {
        const struct ws_param *param = &net->params[ws_net_find_param(net, still[i])];
        assert_memory_equal(net->values + param->offset, before + param->offset, param->n * sizeof *before);
    }
    free(w);
    free(m);
    free(v);
    free(before);
    ws_optim_fini(&optim);
    ws_optim_fini(&optim);
    ws_net_free(&net);
}

static void plain_sgd_follows_its_formula(void **state)
{
    (void)state;
    check_optim(&(struct ws_optim_options){.kind = WS_OPTIM_SGD});
}

static void momentum_and_decay_follow_their_formula(void **state)
{
    (void)state;
    check_optim(&(struct ws_optim_options){.momentum = 0.9, .weight_decay = 5e-2});
}

static void nesterov_follows_its_formula(void **state)
{
    (void)state;
    check_optim(&(struct ws_optim_options){.momentum = 0.9, .weight_decay = 5e-2, .nesterov = true});
}

static void adam_follows_its_formula(void **state)
{
    (void)state;
    check_optim(&(struct ws_optim_options){
        .kind = WS_OPTIM_ADAM, .weight_decay = 5e-2, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-2});
}

static void adamw_follows_its_formula(void **state)
{
    (void)state;
    check_optim(&(struct ws_optim_options){
        .kind = WS_OPTIM_ADAMW, .weight_decay = 0.5, .beta1 = 0.8, .beta2 = 0.999, .eps = 1e-8});
}

/* Each vector path computes the same formula; only fused multiply-adds may round differently. */
static void every_kernel_table_steps_adam_alike(void **state)
{
    (void)state;
    enum { LEN = 83, FRAME = 4 }; /* no multiple of any vector */
    const struct ws_adam adam = {
        .beta1 = 0.9F, .beta2 = 0.99F, .eps = 1e-3F, .rate = 0.1F, .root = 0.3F, .decay = 0.1F, .shrink = 0.9F};
    static const char *const names[] = {"plain", "avx2", "avx512"};
    float expected[3][LEN] = {{0}};
    for (int table = 0; table < 3; table++) {
        const struct ws_kernels *kernels = ws_kernels_find(names[table]);
        if (!kernels)
            continue;
        struct ws_rng rng;
        ws_rng_init(&rng, 5, WS_STREAM_TEST, 0, 0);
        float x[4][LEN + FRAME];
        for (int i = 0; i < 4; i++)
            for (int k = 0; k < LEN + FRAME; k++)
                x[i][k] = k < LEN ? (float)ws_rng_normal(&rng) : 7.0F;
        for (int k = 0; k < LEN; k++)
            x[3][k] = fabsf(x[3][k]);
        kernels->adam(&adam, x[0], x[1], x[2], x[3], LEN);
        for (int i = 0; i < 4; i++)
            for (int k = LEN; k < LEN + FRAME; k++)
                assert_true(x[i][k] == 7.0F);
        static const int changed[] = {0, 2, 3};
        for (int i = 0; i < 3; i++)
            for (int k = 0; k < LEN; k++) {
                if (table == 0)
                    expected[i][k] = x[changed[i]][k];
                assert_near((double)x[changed[i]][k], (double)expected[i][k], 1e-6);
            }
    }
}

static void first_momentum_step_equals_a_plain_step(void **state)
{
    (void)state;
    struct ws_err err = {0};
    struct ws_net *a = make_net(), *b = make_net();
    struct ws_optim plain, heavy;
    const struct ws_optim_options none = {0}, momentum = {.momentum = 0.9};
    assert_int_equal(ws_optim_init(&plain, a, &none, &err), WS_OK);
    assert_int_equal(ws_optim_init(&heavy, b, &momentum, &err), WS_OK);
    fill_gradients(a, 9);
    fill_gradients(b, 9);
    ws_optim_step(&plain, a, 0.1);
    ws_optim_step(&heavy, b, 0.1);
    assert_memory_equal(a->values, b->values, a->n_values * sizeof *a->values);
    ws_optim_fini(&plain);
    ws_optim_fini(&heavy);
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
        cmocka_unit_test(adam_follows_its_formula),
        cmocka_unit_test(adamw_follows_its_formula),
        cmocka_unit_test(every_kernel_table_steps_adam_alike),
        cmocka_unit_test(first_momentum_step_equals_a_plain_step),
        cmocka_unit_test(gradient_norm_counts_only_what_is_trained),
        cmocka_unit_test(onecycle_rises_from_a_25th_and_falls_to_a_10000th),
        cmocka_unit_test(onecycle_survives_runs_without_rise_or_fall),
        cmocka_unit_test(cosine_halves_in_the_middle),
        cmocka_unit_test(step_schedule_falls_strictly_after_a_milestone),
    };
    return cmocka_run_group_tests_name("optimiser and schedules", tests, NULL, NULL);
}
