/*
 * Gradients of every op against differences of the engine's own forward pass.
 *
 * The loss is sum_i c_i y_i in double with random c, so that its gradient with respect to y is c itself; 4-point
 * differences with a step of 2^-6 leave errors of about 1e-4 of the gradient: float rounding of y over the step, and
 * the fourth power of the step. The twin in double is differentiated too, with a tolerance that leaves no room for
 * doubt about the formulas.
 */
#include "differences.h"

/* --- one op at a time --- */

static void convolution_has_the_gradient_of_its_differences(void **state)
{
    (void)state;
    static const struct {
        int height, width, channels, out;
        struct ws_window window;
        bool bias;
    } cases[] = {
        {5, 7, 2, 3, WS_SQUARE(3, 1, 1), true}, {7, 5, 1, 2, WS_SQUARE(3, 2, 1), false},
        {4, 4, 3, 1, WS_SQUARE(1, 1, 0), true}, {5, 5, 3, 2, WS_SQUARE(1, 2, 0), false},
        {6, 5, 1, 1, WS_SQUARE(2, 1, 1), true}, {7, 7, 2, 2, WS_SQUARE(5, 3, 2), false},
        {1, 1, 4, 3, WS_SQUARE(3, 1, 1), true}, {3, 9, 2, 2, WS_SQUARE(3, 1, 0), false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int batch = 1; batch <= 3; batch += 2) {
            struct subject s = {.what = "convolution", .batch = batch, .mode = WS_BN_TRAIN};
            s.net = input(cases[i].height, cases[i].width, cases[i].channels);
            ws_net_conv(s.net, "conv", 0, cases[i].out, cases[i].window, cases[i].bias);
            check_gradients(s);
        }
}

static void grouped_convolution_has_the_gradient_of_its_differences(void **state)
{
    (void)state;
    static const struct {
        int height, width, groups, in, out; /* channels of a group */
        struct ws_window window;
    } cases[] = {
        {5, 4, 2, 2, 3, WS_SQUARE(3, 1, 1)},                     /* groups */
        {5, 5, 2, 2, 2, WS_SQUARE(3, 2, 1)},                     /* groups, strided */
        {5, 4, 5, 1, 1, WS_SQUARE(3, 1, 1)},                     /* depthwise */
        {6, 5, 4, 1, 1, WS_SQUARE(5, 2, 2)},                     /* depthwise, strided */
        {4, 5, 3, 1, 2, WS_SQUARE(3, 1, 1)},                     /* channel multiplier */
        {7, 6, 1, 2, 2, {{3, 2}, {1, 1}, {2, 3}, {2, 1, 0, 2}}}, /* dilated, rectangular, asymmetric */
        {7, 6, 3, 1, 1, {{2, 3}, {2, 1}, {2, 1}, {0, 2, 1, 0}}}, /* depthwise, everything at once */
        {4, 4, 2, 2, 1, {{1, 1}, {1, 2}, {1, 1}, {1, 0, 0, 1}}}, /* one pixel, in padding too */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int batch = 1; batch <= 2; batch++) {
            struct subject s = {.what = "grouped convolution", .batch = batch, .mode = WS_BN_TRAIN};
            s.net = input(cases[i].height, cases[i].width, cases[i].groups * cases[i].in);
            ws_net_conv_grouped(s.net, "conv", 0, cases[i].groups * cases[i].out, cases[i].window, cases[i].groups,
                                true);
            check_gradients(s);
        }
}

static void check_batchnorm(const char *what, enum ws_bn_mode mode)
{
    for (int channels = 1; channels <= 3; channels += 2) {
        struct subject s = {.what = what, .batch = 3, .mode = mode};
        s.net = input(3, 2, channels);
        ws_net_batchnorm(s.net, "bn", 0);
        check_gradients(s);
    }
}

static void batchnorm_in_training_has_the_gradient_of_its_differences(void **state)
{
    (void)state;
    check_batchnorm("batchnorm, train", WS_BN_TRAIN);
}

static void batchnorm_in_evaluation_has_the_gradient_of_its_differences(void **state)
{
    (void)state;
    check_batchnorm("batchnorm, eval", WS_BN_EVAL);
}

static void frozen_batchnorm_has_the_gradient_of_its_differences(void **state)
{
    (void)state;
    check_batchnorm("batchnorm, frozen", WS_BN_FROZEN);
}

static void relu_has_the_gradient_of_its_differences(void **state)
{
    (void)state;
    struct subject s = {.what = "relu", .batch = 2, .mode = WS_BN_TRAIN};
    s.net = input(3, 3, 1);
    ws_net_relu(s.net, "relu", 0);
    check_gradients(s);
}

static void add_has_the_gradient_of_its_differences(void **state)
{
    (void)state;
    struct subject s = {.what = "add", .batch = 2, .mode = WS_BN_TRAIN};
    s.net = input(3, 3, 2);
    const int a = ws_net_conv(s.net, "a", 0, 3, (struct ws_window)WS_SQUARE(3, 1, 1), true);
    const int b = ws_net_conv(s.net, "b", 0, 3, (struct ws_window)WS_SQUARE(1, 1, 0), false);
    const int c = ws_net_add(s.net, "c", a, b);
    ws_net_add(s.net, "d", c, a); /* `a` is read twice: its gradients must add */
    check_gradients(s);
}

static void average_pools_have_the_gradient_of_their_differences(void **state)
{
    (void)state;
    static const struct ws_window windows[] = {WS_SQUARE(2, 2, 0), WS_SQUARE(3, 2, 1), WS_SQUARE(3, 1, 2)};
    for (int i = 0; i < 3; i++) {
        struct subject s = {.what = "average pool", .batch = 2, .mode = WS_BN_TRAIN};
        s.net = input(5, 4, 2);
        ws_net_average_pool(s.net, "pool", 0, windows[i]);
        check_gradients(s);
    }
    struct subject s = {.what = "global pool", .batch = 2, .mode = WS_BN_TRAIN};
    s.net = input(5, 3, 3);
    ws_net_global_average_pool(s.net, "pool", 0);
    check_gradients(s);
}

static void gemm_has_the_gradient_of_its_differences(void **state)
{
    (void)state;
    for (int batch = 1; batch <= 3; batch += 2) {
        struct subject s = {.what = "gemm", .batch = batch, .mode = WS_BN_TRAIN};
        s.net = input(2, 3, 3);
        ws_net_gemm(s.net, "fc", 0, 4, batch == 1);
        check_gradients(s);
    }
}

/* Values far apart, so that no step changes which one is the largest. */
static void max_pool_gives_its_gradient_to_the_largest_alone(void **state)
{
    (void)state;
    static const struct ws_window windows[] = {WS_SQUARE(2, 2, 0), WS_SQUARE(3, 2, 1), WS_SQUARE(3, 1, 1)};
    for (int w = 0; w < 3; w++) {
        struct subject s = {.what = "max pool", .batch = 2, .mode = WS_BN_TRAIN};
        s.net = input(5, 5, 2);
        ws_net_max_pool(s.net, "pool", 0, windows[w]);
        open_subject(&s, 3);
        float *x = ws_exec_input(s.exec);
        struct ws_rng rng;
        uint32_t order[100];
        ws_rng_init(&rng, 3, WS_STREAM_TEST, 3, 0);
        assert_int_equal(s.n_in, 100);
        ws_rng_permutation(&rng, order, s.n_in);
        for (size_t i = 0; i < s.n_in; i++)
            x[i] = 0.1F * (float)order[i] - 5.0F;
        measure(&s);
        float *to = ws_exec_output_gradient(s.exec, 1);
        for (size_t i = 0; i < s.n_out; i++)
            to[i] += s.weights[i];
        ws_exec_backward(s.exec);
        float gradient[100];
        memcpy(gradient, ws_exec_input_gradient(s.exec), sizeof gradient);
        compare(&s, "input", x, gradient, s.n_in);
        close_subject(&s);
    }
}

/* --- small networks --- */

/* conv, BN, ReLU, conv, BN, + 1x1 shortcut with BN, ReLU, pool, linear: a residual block of one or two channels. */
static struct ws_net *make_block(int channels, int width, int stride)
{
    struct ws_net *net = input(3, 2, channels);
    int y = ws_net_conv(net, "conv1", 0, width, (struct ws_window)WS_SQUARE(3, stride, 1), false);
    y = ws_net_batchnorm(net, "bn1", y);
    y = ws_net_relu(net, "relu1", y);
    y = ws_net_conv(net, "conv2", y, width, (struct ws_window)WS_SQUARE(3, 1, 1), false);
    y = ws_net_batchnorm(net, "bn2", y);
    int s = ws_net_conv(net, "shortcut", 0, width, (struct ws_window)WS_SQUARE(1, stride, 0), false);
    s = ws_net_batchnorm(net, "bn3", s);
    y = ws_net_add(net, "add", y, s);
    y = ws_net_relu(net, "relu2", y);
    y = ws_net_global_average_pool(net, "pool", y);
    ws_net_gemm(net, "fc", y, 2, true);
    return net;
}

static void residual_block_has_the_gradient_of_its_differences(void **state)
{
    (void)state;
    /* Evaluation and frozen: one image, so that a point far from all kinks is found. */
    check_gradients(
        (struct subject){.what = "block, eval", .net = make_block(1, 1, 1), .batch = 1, .mode = WS_BN_EVAL});
    check_gradients(
        (struct subject){.what = "block, frozen", .net = make_block(2, 1, 2), .batch = 1, .mode = WS_BN_FROZEN});
}

/* --- the twin itself --- */

static double measure_twin(struct reference *r, const float *weights, size_t n_out, enum ws_bn_mode mode)
{
    reference_forward(r, mode);
    double loss = 0.0;
    for (size_t i = 0; i < n_out; i++)
        loss += (double)weights[i] * (double)r->value[r->net->n_nodes - 1][i];
    return loss;
}

/* In double a step of 1e-5 is enough, which crosses no kink: training mode, every parameter and the input, 1e-7. */
static void check_twin(struct ws_net *net, int batch, enum ws_bn_mode mode)
{
    struct ws_err err = {0};
    check(ws_net_alloc(net, &err), &err);
    reference_randomise(net, 5);
    struct reference *r = reference_open(net, batch);
    const size_t n_in = (size_t)batch * reference_size(net, 0);
    const size_t n_out = (size_t)batch * reference_size(net, net->n_nodes - 1);
    float *x = reference_take(n_in, sizeof *x), *weights = reference_take(n_out, sizeof *weights);
    reference_fill(x, n_in, 5, 1);
    reference_fill(weights, n_out, 5, 2);
    for (size_t i = 0; i < n_in; i++)
        r->value[0][i] = (real)x[i];
    measure_twin(r, weights, n_out, mode);
    for (size_t i = 0; i < n_out; i++)
        r->gradient[net->n_nodes - 1][i] = (real)weights[i];
    reference_backward(r);
    real *in_gradient = reference_take(n_in, sizeof *in_gradient);
    memcpy(in_gradient, r->gradient[0], n_in * sizeof *in_gradient);

    for (int p = -1; p < net->n_params; p++) {
        if (p >= 0 && net->params[p].is_buffer)
            continue;
        real *at = p < 0 ? r->value[0] : r->param[p], *gradient = p < 0 ? in_gradient : r->param_gradient[p];
        const size_t n = p < 0 ? n_in : net->params[p].n;
        for (size_t i = 0; i < n; i++) {
            const real x0 = at[i], h = 1e-5;
            at[i] = x0 + h;
            const double up = measure_twin(r, weights, n_out, mode);
            at[i] = x0 - h;
            const double down = measure_twin(r, weights, n_out, mode);
            at[i] = x0;
            const double expected = (up - down) / (2.0 * (double)h);
            if (!(fabs((double)gradient[i] - expected) <= 1e-7 * (1.0 + fabs(expected))))
                fail_msg("twin: d/d %s[%zu] is %.9g, differences give %.9g", p < 0 ? "input" : net->params[p].name, i,
                         (double)gradient[i], expected);
        }
    }
    free(in_gradient);
    free(x);
    free(weights);
    reference_close(r);
    ws_net_free(&net);
}

static void twin_has_the_gradient_of_its_differences(void **state)
{
    (void)state;
    check_twin(make_block(1, 3, 1), 3, WS_BN_TRAIN);
    check_twin(make_block(2, 3, 2), 2, WS_BN_TRAIN);
    check_twin(make_block(2, 2, 2), 1, WS_BN_FROZEN);

    struct ws_net *net = input(6, 5, 2);
    int x = ws_net_conv(net, "conv", 0, 3, (struct ws_window)WS_SQUARE(5, 1, 2), true);
    x = ws_net_max_pool(net, "max", x, (struct ws_window)WS_SQUARE(3, 2, 1));
    x = ws_net_average_pool(net, "mean", x, (struct ws_window)WS_SQUARE(2, 1, 1));
    ws_net_gemm(net, "fc", x, 3, true);
    check_twin(net, 2, WS_BN_TRAIN);
}

/* --- how gradients gather --- */

/* A student that sees X and X': two execs of one network add to the same gradients. */
static void two_backward_passes_add_up(void **state)
{
    (void)state;
    struct ws_err err = {0};
    struct subject s = {.what = "sum", .batch = 3, .mode = WS_BN_TRAIN, .net = make_block(2, 3, 1)};
    open_subject(&s, 4);
    struct ws_exec *other = NULL;
    const struct ws_exec_options options = {.max_batch = s.batch, .backward = true};
    check(ws_exec_open(&other, s.net, s.workers, &options, &err), &err);
    reference_fill(ws_exec_input(other), s.n_in, 4, 9);

    struct ws_exec *execs[2] = {s.exec, other};
    float *sum = reference_take(s.net->n_values, sizeof *sum);
    const int last = s.net->n_nodes - 1;
    for (int round = 0; round < 3; round++) {
        /* Rounds 0 and 1: one exec alone; round 2: both forward first, then both backward, without zeroing between. */
        ws_net_zero_gradients(s.net);
        for (int e = 0; e < 2; e++)
            if (round == e || round == 2)
                ws_exec_forward(execs[e], s.batch, s.mode);
        for (int e = 0; e < 2; e++)
            if (round == e || round == 2) {
                memcpy(ws_exec_output_gradient(execs[e], last), s.weights, s.n_out * sizeof *s.weights);
                ws_exec_backward(execs[e]);
            }
        for (size_t k = 0; k < s.net->n_values && round < 2; k++)
            sum[k] += s.net->gradients[k];
    }
    for (size_t k = 0; k < s.net->n_values; k++)
        if (!(fabsf(s.net->gradients[k] - sum[k]) <= 1e-5F * (1.0F + fabsf(sum[k]))))
            fail_msg("gradient %zu: %g, apart %g", k, (double)s.net->gradients[k], (double)sum[k]);
    free(sum);
    ws_exec_close(&other);
    close_subject(&s);
}

static void seeds_of_two_taps_add_up(void **state)
{
    (void)state;
    struct ws_err err = {0};
    struct ws_net *net = make_block(2, 3, 1);
    struct ws_workers *workers = NULL;
    struct ws_exec *exec = NULL;
    const int taps[] = {ws_net_find(net, "relu2"), net->n_nodes - 1};
    enum { BATCH = 2 };
    check(ws_net_alloc(net, &err), &err);
    check(ws_net_alloc_gradients(net, &err), &err);
    check(ws_workers_open(&workers, 2, &err), &err);
    const struct ws_exec_options options = {
        .max_batch = BATCH, .backward = true, .input_gradient = true, .taps = taps, .n_taps = 1};
    check(ws_exec_open(&exec, net, workers, &options, &err), &err);
    reference_randomise(net, 6);
    reference_fill(ws_exec_input(exec), BATCH * reference_size(net, 0), 6, 1);

    const size_t n_in = BATCH * reference_size(net, 0);
    float *gradient[3];
    for (int round = 0; round < 3; round++) {
        ws_net_zero_gradients(net);
        ws_exec_forward(exec, BATCH, WS_BN_FROZEN);
        for (int t = 0; t < 2; t++)
            if (round == t || round == 2) {
                float *to = ws_exec_output_gradient(exec, taps[t]);
                for (size_t i = 0; i < BATCH * reference_size(net, taps[t]); i++)
                    to[i] += 1.0F + (float)(i % 3);
            }
        ws_exec_backward(exec);
        gradient[round] = reference_take(n_in, sizeof **gradient);
        memcpy(gradient[round], ws_exec_input_gradient(exec), n_in * sizeof **gradient);
    }
    double size = 0.0;
    for (size_t i = 0; i < n_in; i++) {
        const double apart = (double)gradient[0][i] + (double)gradient[1][i];
        size += fabs((double)gradient[0][i]) * fabs((double)gradient[1][i]);
        if (!(fabs((double)gradient[2][i] - apart) <= 1e-5 * (1.0 + fabs(apart))))
            fail_msg("input gradient %zu: %g, apart %g", i, (double)gradient[2][i], apart);
    }
    assert_true(size > 0.0);
    for (int round = 0; round < 3; round++)
        free(gradient[round]);
    ws_exec_close(&exec);
    ws_workers_close(&workers);
    ws_net_free(&net);
}

static void frozen_parameters_get_no_gradient_and_pass_it_on(void **state)
{
    (void)state;
    struct subject s = {.what = "frozen", .batch = 2, .mode = WS_BN_TRAIN, .net = make_block(2, 3, 1)};
    s.net->params[ws_net_find_param(s.net, "fc.weight")].is_frozen = true;
    s.net->params[ws_net_find_param(s.net, "fc.bias")].is_frozen = true;
    open_subject(&s, 7);
    ws_net_zero_gradients(s.net);
    measure(&s);
    memcpy(ws_exec_output_gradient(s.exec, s.net->n_nodes - 1), s.weights, s.n_out * sizeof *s.weights);
    ws_exec_backward(s.exec);
    double frozen = 0.0, passed = 0.0;
    const struct ws_param *fc = &s.net->params[ws_net_find_param(s.net, "fc.weight")];
    const struct ws_param *conv = &s.net->params[ws_net_find_param(s.net, "conv1.weight")];
    for (size_t i = 0; i < fc->n; i++)
        frozen += fabs((double)s.net->gradients[fc->offset + i]);
    for (size_t i = 0; i < conv->n; i++)
        passed += fabs((double)s.net->gradients[conv->offset + i]);
    assert_true(frozen <= 0.0);
    assert_true(passed > 0.0);
    close_subject(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolution_has_the_gradient_of_its_differences),
        cmocka_unit_test(grouped_convolution_has_the_gradient_of_its_differences),
        cmocka_unit_test(batchnorm_in_training_has_the_gradient_of_its_differences),
        cmocka_unit_test(batchnorm_in_evaluation_has_the_gradient_of_its_differences),
        cmocka_unit_test(frozen_batchnorm_has_the_gradient_of_its_differences),
        cmocka_unit_test(relu_has_the_gradient_of_its_differences),
        cmocka_unit_test(add_has_the_gradient_of_its_differences),
        cmocka_unit_test(average_pools_have_the_gradient_of_their_differences),
        cmocka_unit_test(max_pool_gives_its_gradient_to_the_largest_alone),
        cmocka_unit_test(gemm_has_the_gradient_of_its_differences),
        cmocka_unit_test(residual_block_has_the_gradient_of_its_differences),
        cmocka_unit_test(twin_has_the_gradient_of_its_differences),
        cmocka_unit_test(two_backward_passes_add_up),
        cmocka_unit_test(seeds_of_two_taps_add_up),
        cmocka_unit_test(frozen_parameters_get_no_gradient_and_pass_it_on),
    };
    return cmocka_run_group_tests_name("gradients", tests, NULL, NULL);
}
