/*
 * The ops without parameters against their plain double twins on random shapes, and what they promise beyond that:
 * accuracy of e^x, NaN that is passed on, Dropout's masks.
 */
#include "compare.h"

static int side_below(struct ws_rng *rng, int n)
{
    return (int)below(rng, (uint32_t)n);
}

/* --- value by value --- */

/* The input times 8, so that every branch is met. */
static int times_eight(struct ws_net *net)
{
    const int twice = ws_net_add(net, "twice", 0, 0), four = ws_net_add(net, "four", twice, twice);
    return ws_net_add(net, "eight", four, four);
}

#define UNARY(function, op, alpha, beta)                                                                               \
    static struct ws_net *function(struct ws_rng *rng)                                                                 \
    {                                                                                                                  \
        struct ws_net *net = new_net(rng, 9, 70);                                                                      \
        const int x = times_eight(net);                                                                                \
        ws_net_unary(net, op, "op", x, alpha, beta);                                                                   \
        return net;                                                                                                    \
    }
UNARY(build_relu, WS_OP_RELU, 0, 0)
UNARY(build_leaky_relu, WS_OP_LEAKY_RELU, 0.1, 0)
UNARY(build_clip, WS_OP_CLIP, -1.5, 6)
UNARY(build_sigmoid, WS_OP_SIGMOID, 0, 0)
UNARY(build_hard_sigmoid, WS_OP_HARD_SIGMOID, 0.2, 0.5)
UNARY(build_hard_swish, WS_OP_HARD_SWISH, 0, 0)
UNARY(build_tanh, WS_OP_TANH, 0, 0)
UNARY(build_dropout, WS_OP_DROPOUT, 0.4, 0)

static void ops_of_one_input_equal_their_twins(void **state)
{
    (void)state;
    run_trials("relu", build_relu, 30, WS_BN_TRAIN, false);
    run_trials("leaky relu", build_leaky_relu, 30, WS_BN_TRAIN, false);
    run_trials("clip", build_clip, 30, WS_BN_TRAIN, false);
    run_trials("sigmoid", build_sigmoid, 30, WS_BN_TRAIN, false);
    run_trials("hard sigmoid", build_hard_sigmoid, 30, WS_BN_TRAIN, false);
    run_trials("hard swish", build_hard_swish, 30, WS_BN_TRAIN, false);
    run_trials("tanh", build_tanh, 30, WS_BN_TRAIN, false);
}

static void dropout_is_the_identity_outside_training(void **state)
{
    (void)state;
    run_trials("dropout, eval", build_dropout, 20, WS_BN_EVAL, false);
    run_trials("dropout, frozen", build_dropout, 20, WS_BN_FROZEN, false);
    run_trials("dropout, observe", build_dropout, 20, WS_BN_OBSERVE, false);
}

/* --- two inputs --- */

static void combine(struct ws_net *net, bool is_mul, int a, int b)
{
    if (is_mul)
        ws_net_mul(net, "combined", a, b);
    else
        ws_net_add(net, "combined", a, b);
}

/* The input, some of its sides averaged away, against it or against another such. */
static struct ws_net *build_combine(struct ws_rng *rng)
{
    struct ws_net *net = new_net(rng, 7, 70);
    int operand[2];
    for (int i = 0; i < 2; i++) {
        const bool axes[] = {below(rng, 2) == 0, below(rng, 2) == 0, below(rng, 2) == 0};
        operand[i] = below(rng, 3) == 0 ? 0 : ws_net_reduce_mean(net, i ? "b" : "a", 0, axes);
    }
    combine(net, below(rng, 2) == 0, operand[0], operand[1]);
    return net;
}

static struct ws_net *build_combine_with_constant(struct ws_rng *rng)
{
    struct ws_net *net = new_net(rng, 7, 70);
    const struct ws_node in = net->nodes[0];
    const int constant = ws_net_constant(net, "constant", below(rng, 2) ? in.height : 1, below(rng, 2) ? in.width : 1,
                                         below(rng, 2) ? in.channels : 1);
    const bool is_first = below(rng, 2) == 0;
    combine(net, below(rng, 2) == 0, is_first ? constant : 0, is_first ? 0 : constant);
    return net;
}

/* A constant that is larger than the input along every side. */
static struct ws_net *build_combine_to_constant(struct ws_rng *rng)
{
    struct ws_net *net = ws_net_new(1, 1, below(rng, 2) ? 5 : 1);
    assert_non_null(net);
    combine(net, below(rng, 2) == 0, 0, ws_net_constant(net, "constant", 3, 4, 5));
    return net;
}

static struct ws_net *build_square(struct ws_rng *rng)
{
    struct ws_net *net = new_net(rng, 7, 33);
    ws_net_mul(net, "square", 0, 0);
    return net;
}

static struct ws_net *build_add_relu(struct ws_rng *rng)
{
    struct ws_net *net = new_net(rng, 7, 33);
    const bool axes[] = {true, true, false};
    ws_net_relu(net, "relu", ws_net_add(net, "add", 0, ws_net_reduce_mean(net, "mean", 0, axes)));
    return net;
}

static void add_and_mul_repeat_a_side_of_one(void **state)
{
    (void)state;
    run_trials("combine", build_combine, 120, WS_BN_TRAIN, true);
    run_trials("combine with a constant", build_combine_with_constant, 60, WS_BN_TRAIN, true);
    run_trials("combine to a constant", build_combine_to_constant, 12, WS_BN_TRAIN, true);
    run_trials("square", build_square, 20, WS_BN_TRAIN, true);
    run_trials("add and relu", build_add_relu, 20, WS_BN_TRAIN, false);
}

/* --- over sides --- */

static struct ws_net *build_reduce_mean(struct ws_rng *rng)
{
    struct ws_net *net = new_net(rng, 9, 70);
    const bool axes[] = {below(rng, 2) == 0, below(rng, 2) == 0, below(rng, 2) == 0};
    ws_net_reduce_mean(net, "mean", 0, axes);
    return net;
}

static struct ws_net *build_softmax(struct ws_rng *rng)
{
    struct ws_net *net = new_net(rng, 9, 70);
    ws_net_softmax(net, "softmax", times_eight(net), (enum ws_side)below(rng, WS_N_SIDES));
    return net;
}

static void reduce_mean_equals_its_twin(void **state)
{
    (void)state;
    run_trials("reduce mean", build_reduce_mean, 80, WS_BN_TRAIN, true);
}

static void softmax_equals_its_twin(void **state)
{
    (void)state;
    run_trials("softmax", build_softmax, 60, WS_BN_TRAIN, false);
}

/* --- pools --- */

static struct ws_net *build_pool(struct ws_rng *rng, enum ws_op op)
{
    struct ws_net *net = new_net(rng, 11, 70);
    const struct ws_node in = net->nodes[0];
    for (;;) {
        struct ws_window w;
        bool fits = true;
        for (int axis = 0; axis < 2; axis++) {
            w.kernel[axis] = 1 + side_below(rng, 4);
            w.stride[axis] = 1 + side_below(rng, 3);
            w.dilation[axis] = op == WS_OP_MAX_POOL ? 1 + side_below(rng, 2) : 1;
            w.pads[axis] = side_below(rng, w.kernel[axis]);
            w.pads[axis + 2] = side_below(rng, w.kernel[axis]);
            const int side = axis ? in.width : in.height;
            fits &= (w.kernel[axis] - 1) * w.dilation[axis] + 1 <= side; /* every window then meets the map */
        }
        if (!fits)
            continue;
        ws_net_pool(net, op, "pool", 0, w, below(rng, 2) == 0, below(rng, 2) == 0);
        return net;
    }
}

static struct ws_net *build_max_pool(struct ws_rng *rng)
{
    return build_pool(rng, WS_OP_MAX_POOL);
}

static struct ws_net *build_average_pool(struct ws_rng *rng)
{
    return build_pool(rng, WS_OP_AVERAGE_POOL);
}

static void pools_of_any_window_equal_their_twins(void **state)
{
    (void)state;
    run_trials("max pool", build_max_pool, 100, WS_BN_TRAIN, false);
    run_trials("average pool", build_average_pool, 100, WS_BN_TRAIN, true);
}

/* --- layout --- */

static struct ws_net *build_concat(struct ws_rng *rng)
{
    struct ws_net *net = new_net(rng, 5, 20);
    int parts[WS_NODE_MAX_INPUTS];
    const enum ws_side axis = (enum ws_side)below(rng, WS_N_SIDES);
    const int n = 1 + side_below(rng, below(rng, 4) ? 5 : WS_NODE_MAX_INPUTS);
    bool axes[WS_N_SIDES] = {false};
    axes[axis] = true;
    const int other = ws_net_reduce_mean(net, "mean", 0, axes);
    for (int i = 0; i < n; i++)
        parts[i] = below(rng, 2) ? other : 0;
    ws_net_concat(net, "concat", parts, n, axis);
    return net;
}

static struct ws_net *build_concat_with_constant(struct ws_rng *rng)
{
    struct ws_net *net = new_net(rng, 5, 20);
    const int constant = ws_net_constant(net, "constant", net->nodes[0].height, net->nodes[0].width, 3);
    ws_net_concat(net, "concat", (int[]){0, constant, 0}, 3, WS_CHANNELS);
    return net;
}

static struct ws_net *build_reshape(struct ws_rng *rng)
{
    struct ws_net *net = ws_net_new(4, 6, below(rng, 2) ? 10 : 1);
    assert_non_null(net);
    const int n = 24 * net->nodes[0].channels;
    static const int sides[] = {1, 2, 3, 4, 6, 8};
    const int height = pick(rng, sides, 3), width = pick(rng, sides, 4);
    ws_net_reshape(net, "reshape", 0, height, width, n / height / width);
    if (net->err.status != WS_OK) { /* did not divide */
        ws_net_free(&net);
        return build_reshape(rng);
    }
    return net;
}

static struct ws_net *build_transpose(struct ws_rng *rng)
{
    static const int perms[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    struct ws_net *net = new_net(rng, 7, 33);
    ws_net_transpose(net, "transpose", 0, perms[below(rng, 6)]);
    return net;
}

static struct ws_net *build_shuffle(struct ws_rng *rng)
{
    struct ws_net *net = ws_net_new(1 + side_below(rng, 5), 1 + side_below(rng, 5), 12);
    assert_non_null(net);
    static const int groups[] = {1, 2, 3, 4, 6, 12};
    ws_net_channel_shuffle(net, "shuffle", 0, pick(rng, groups, 6));
    return net;
}

static struct ws_net *build_slice(struct ws_rng *rng)
{
    struct ws_net *net = new_net(rng, 9, 33);
    const int sides[] = {net->nodes[0].height, net->nodes[0].width, net->nodes[0].channels};
    int begin[3], size[3], step[3];
    for (int i = 0; i < 3; i++) {
        begin[i] = side_below(rng, sides[i]);
        step[i] = 1 + side_below(rng, 3);
        const bool is_backward = below(rng, 2) == 0;
        const int room = is_backward ? begin[i] : sides[i] - 1 - begin[i];
        size[i] = 1 + side_below(rng, room / step[i] + 1);
        step[i] = is_backward ? -step[i] : step[i];
    }
    ws_net_slice(net, "slice", 0, begin, size, step);
    return net;
}

static struct ws_net *build_pad(struct ws_rng *rng)
{
    struct ws_net *net = new_net(rng, 7, 20);
    const int sides[] = {net->nodes[0].height, net->nodes[0].width, net->nodes[0].channels};
    const enum ws_pad_mode mode = (enum ws_pad_mode)below(rng, 3);
    int pads[6];
    for (int i = 0; i < 6; i++) {
        const int side = sides[i / 2], most = mode == WS_PAD_REFLECT ? side : 4;
        pads[i] = side_below(rng, most < 4 ? most : 4);
        if (below(rng, 3) == 0 && side >= 3)
            pads[i] = -1;
    }
    ws_net_pad(net, "pad", 0, pads, mode, -0.75);
    return net;
}

static void layout_ops_equal_their_twins(void **state)
{
    (void)state;
    run_trials("concat", build_concat, 60, WS_BN_TRAIN, true);
    run_trials("concat with a constant", build_concat_with_constant, 10, WS_BN_TRAIN, true);
    run_trials("reshape", build_reshape, 40, WS_BN_TRAIN, true);
    run_trials("transpose", build_transpose, 60, WS_BN_TRAIN, true);
    run_trials("shuffle", build_shuffle, 30, WS_BN_TRAIN, true);
    run_trials("slice", build_slice, 100, WS_BN_TRAIN, true);
    run_trials("pad", build_pad, 100, WS_BN_TRAIN, false);
}

/* --- resize --- */

static struct ws_net *build_resize(struct ws_rng *rng)
{
    struct ws_net *net = new_net(rng, 7, 20);
    struct ws_resize resize = {.is_linear = below(rng, 2) == 0,
                               .grid = (enum ws_resize_grid)below(rng, 4),
                               .rounding = (enum ws_resize_round)below(rng, 4)};
    int height = 1 + side_below(rng, 15), width = 1 + side_below(rng, 15);
    if (below(rng, 3) == 0) { /* by a scale that the sides do not tell exactly */
        resize.scale[0] = 1.7;
        resize.scale[1] = 0.6;
        height = (int)(1.7 * net->nodes[0].height);
        width = net->nodes[0].width > 1 ? (int)(0.6 * net->nodes[0].width) : 1;
    } else if (below(rng, 3) == 0) {
        height = 2 * net->nodes[0].height;
        width = 2 * net->nodes[0].width;
    }
    ws_net_resize(net, "resize", 0, height, width, resize);
    return net;
}

static void resize_equals_its_twin(void **state)
{
    (void)state;
    run_trials("resize", build_resize, 150, WS_BN_TRAIN, true);
}

/* --- beyond the twins --- */

static void check_accuracy(const char *of, const float *x, const float *y, size_t n, double (*truth)(double),
                           double bound)
{
    for (size_t i = 0; i < n; i++) {
        const double expected = truth((double)x[i]);
        if (!(fabs((double)y[i] - expected) <= bound * fabs(expected)))
            fail_msg("%s(%.9g) is %.9g, expected %.9g (%.2g apart)", of, (double)x[i], (double)y[i], expected,
                     fabs((double)y[i] - expected) / fabs(expected));
    }
}

static double true_sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static void exponentials_are_good_to_a_few_units_in_the_last_place(void **state)
{
    (void)state;
    enum { N = 40001 };
    float *x = reference_take(N, sizeof *x), *y = reference_take(N, sizeof *y);
    for (int t = 0; t < N_TABLES; t++) {
        const struct ws_kernels *k = ws_kernels_find(tables[t]);
        if (!k)
            continue;
        for (int i = 0; i < N; i++)
            x[i] = (float)(i - N / 2) * 0.0042F; /* -84 … 84 */
        k->exponential(x, N, y);
        check_accuracy("exp", x, y, N, exp, 2.5e-7);
        k->unary(WS_OP_SIGMOID, x, N, 0, 0, y);
        check_accuracy("sigmoid", x, y, N, true_sigmoid, 4e-7);
        k->unary(WS_OP_TANH, x, N, 0, 0, y);
        check_accuracy("tanh", x, y, N, tanh, 4e-7);
        for (int i = 0; i < N; i++)
            x[i] *= 1e-3F;
        k->unary(WS_OP_TANH, x, N, 0, 0, y);
        check_accuracy("tanh", x, y, N, tanh, 4e-7);
        const float far[] = {-INFINITY, -1000, 1000, INFINITY};
        k->exponential(far, 4, y);
        assert_true(y[0] <= 0 && y[1] <= 0 && isinf(y[2]) && isinf(y[3]));
        k->unary(WS_OP_SIGMOID, far, 4, 0, 0, y);
        assert_true(y[0] <= 1e-37F && y[1] <= 1e-37F && y[2] >= 1 && y[3] >= 1);
        k->unary(WS_OP_TANH, far, 4, 0, 0, y);
        assert_true(y[0] <= -1 && y[1] <= -1 && y[2] >= 1 && y[3] >= 1);
    }
    free(x);
    free(y);
}

static void nan_passes_through_every_op_of_one_input(void **state)
{
    (void)state;
    static const enum ws_op ops[] = {WS_OP_RELU,         WS_OP_LEAKY_RELU, WS_OP_CLIP, WS_OP_SIGMOID,
                                     WS_OP_HARD_SIGMOID, WS_OP_HARD_SWISH, WS_OP_TANH};
    float x[40], y[40];
    for (int i = 0; i < 40; i++)
        x[i] = NAN;
    for (int t = 0; t < N_TABLES; t++) {
        const struct ws_kernels *k = ws_kernels_find(tables[t]);
        for (size_t o = 0; k && o < sizeof ops / sizeof *ops; o++) {
            k->unary(ops[o], x, 40, 0.1F, 0.5F, y);
            for (int i = 0; i < 40; i++)
                if (!isnan(y[i]))
                    fail_msg("%s (%s) of NaN is %g", ws_op_name(ops[o]), k->name, (double)y[i]);
        }
    }
}

/* Dropout of ones: what is zero is the mask. Returns value and input gradient of one step. */
static void run_dropout(int threads, int batch, uint64_t seed, uint64_t step, float *value, float *gradient)
{
    struct ws_err err = {0};
    struct ws_net *net = ws_net_new(7, 5, 33);
    struct ws_workers *workers = NULL;
    struct ws_exec *exec = NULL;
    assert_non_null(net);
    const int drop = ws_net_unary(net, WS_OP_DROPOUT, "drop", 0, 0.3, 0);
    check(ws_net_alloc(net, &err), &err);
    check(ws_workers_open(&workers, threads, &err), &err);
    const struct ws_exec_options options = {.max_batch = batch, .backward = true, .input_gradient = true};
    check(ws_exec_open(&exec, net, workers, &options, &err), &err);
    const size_t n = (size_t)batch * reference_size(net, 0);
    for (size_t i = 0; i < n; i++)
        ws_exec_input(exec)[i] = 1;
    ws_exec_set_dropout(exec, seed, step);
    ws_exec_forward(exec, batch, WS_BN_TRAIN);
    memcpy(value, ws_exec_value(exec, drop), n * sizeof *value);
    float *to = ws_exec_output_gradient(exec, drop);
    for (size_t i = 0; i < n; i++)
        to[i] = 1;
    ws_exec_backward(exec);
    memcpy(gradient, ws_exec_input_gradient(exec), n * sizeof *gradient);
    ws_exec_close(&exec);
    ws_workers_close(&workers);
    ws_net_free(&net);
}

static void dropout_zeroes_its_share_by_a_mask_of_seed_and_step_alone(void **state)
{
    (void)state;
    enum { BATCH = 9, N = BATCH * 7 * 5 * 33 };
    static float value[4][N], gradient[N];
    run_dropout(1, BATCH, 5, 3, value[0], gradient);
    int n_zero = 0, n_same = 0;
    for (int i = 0; i < N; i++) {
        n_zero += value[0][i] <= 0;
        assert_true(value[0][i] <= 0 || fabsf(value[0][i] - 1 / 0.7F) < 1e-6F);
    }
    assert_true(fabs(n_zero / (double)N - 0.3) < 4 * sqrt(0.3 * 0.7 / N));
    assert_memory_equal(value[0], gradient, sizeof gradient);                         /* backward's mask is forward's */
    assert_memory_not_equal(value[0], value[0] + N / BATCH, sizeof gradient / BATCH); /* each image has its own */
    run_dropout(8, BATCH, 5, 3, value[1], gradient);
    assert_memory_equal(value[0], value[1], sizeof gradient);
    run_dropout(2, BATCH - 4, 5, 3, value[1], gradient); /* nor on the batch */
    assert_memory_equal(value[0], value[1], sizeof gradient / BATCH * (BATCH - 4));
    run_dropout(2, BATCH, 5, 4, value[2], gradient);
    run_dropout(2, BATCH, 6, 3, value[3], gradient);
    for (int k = 2; k < 4; k++) {
        n_same = 0;
        for (int i = 0; i < N; i++)
            n_same += (value[0][i] <= 0) == (value[k][i] <= 0);
        assert_true(n_same > N / 2 && n_same < N * 2 / 3); /* independent masks agree at 0.58 */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ops_of_one_input_equal_their_twins),
        cmocka_unit_test(dropout_is_the_identity_outside_training),
        cmocka_unit_test(add_and_mul_repeat_a_side_of_one),
        cmocka_unit_test(reduce_mean_equals_its_twin),
        cmocka_unit_test(softmax_equals_its_twin),
        cmocka_unit_test(pools_of_any_window_equal_their_twins),
        cmocka_unit_test(layout_ops_equal_their_twins),
        cmocka_unit_test(resize_equals_its_twin),
        cmocka_unit_test(exponentials_are_good_to_a_few_units_in_the_last_place),
        cmocka_unit_test(nan_passes_through_every_op_of_one_input),
        cmocka_unit_test(dropout_zeroes_its_share_by_a_mask_of_seed_and_step_alone),
    };
    return cmocka_run_group_tests_name("ops against their twins", tests, NULL, NULL);
}
