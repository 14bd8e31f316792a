/*
 * Every op of the engine against its plain double twin on random shapes: odd sizes, one image, one channel, strides,
 * paddings, and canaries where the engine has no business; with each table of kernels that this processor can run.
 */
#include "compare.h"

static struct ws_net *build_conv(struct ws_rng *rng)
{
    struct ws_net *net = new_net(rng, 13, 33);
    const struct ws_window w = pick_window(rng, net->nodes[0].height, net->nodes[0].width);
    ws_net_conv(net, "conv", 0, pick(rng, channel_counts, N_CHANNEL_COUNTS), w, below(rng, 2) == 0);
    return net;
}

static struct ws_net *build_resnet_conv(struct ws_rng *rng)
{
    /* The shapes that have paths of their own: 3x3 padding 1 and 1x1, stride 1 and 2, 16 to 64 channels. */
    static const int widths[] = {16, 32, 64};
    const int side = 7 + (int)below(rng, 22), k = below(rng, 3) ? 3 : 1;
    struct ws_net *net = ws_net_new(side, side, pick(rng, widths, 3));
    assert_non_null(net);
    const int stride = 1 + (int)below(rng, 2); /* WS_SQUARE reads its arguments more than once */
    ws_net_conv(net, "conv", 0, pick(rng, widths, 3), (struct ws_window)WS_SQUARE(k, stride, k / 2), false);
    return net;
}

/* 3x3 of stride 1 beyond 64 channels: all images' products together; up to 64: block by block. */
static struct ws_net *build_winograd_conv(struct ws_rng *rng)
{
    static const int widths[] = {16, 48, 80, 112};
    struct ws_net *net = ws_net_new(4 + (int)below(rng, 10), 4 + (int)below(rng, 10), pick(rng, widths, 4));
    assert_non_null(net);
    const int pad = (int)below(rng, 3);
    ws_net_conv(net, "conv", 0, pick(rng, widths, 4), (struct ws_window)WS_SQUARE(3, 1, pad), below(rng, 2) == 0);
    return net;
}

/* MobileNetV2's block: each convolution reads its input through the BatchNorm and ReLU6 before it, and makes the dx of
   the one behind it while it reads dY. */
static struct ws_net *build_inverted_residual(struct ws_rng *rng)
{
    static const int widths[] = {3, 16, 24, 40};
    const int channels = pick(rng, widths, 4), wide = channels * (1 + (int)below(rng, 4)),
              stride = 1 + (int)below(rng, 2);
    struct ws_net *net = ws_net_new(3 + (int)below(rng, 7), 3 + (int)below(rng, 7), channels);
    assert_non_null(net);
    const struct ws_window point = WS_SQUARE(1, 1, 0), depth = WS_SQUARE(3, stride, 1);
    int x = ws_net_conv(net, "expand", 0, wide, point, false);
    x = ws_net_batchnorm(net, "bn1", x);
    x = ws_net_unary(net, WS_OP_CLIP, "relu1", x, 0, 6);
    x = ws_net_conv_grouped(net, "depth", x, wide, depth, wide, false);
    x = ws_net_batchnorm(net, "bn2", x);
    x = ws_net_unary(net, WS_OP_CLIP, "relu2", x, 0, 6);
    x = ws_net_conv(net, "project", x, channels, point, false);
    x = ws_net_batchnorm(net, "bn3", x);
    if (stride == 1)
        ws_net_add(net, "add", x, 0);
    return net;
}

static struct ws_net *build_gemm(struct ws_rng *rng)
{
    struct ws_net *net = new_net(rng, 5, 33);
    ws_net_gemm(net, "fc", 0, 1 + (int)below(rng, 40), below(rng, 2) == 0);
    return net;
}

static struct ws_net *build_average_pool(struct ws_rng *rng)
{
    struct ws_net *net = new_net(rng, 11, 33);
    ws_net_average_pool(net, "pool", 0, pick_window(rng, net->nodes[0].height, net->nodes[0].width));
    return net;
}

static struct ws_net *build_max_pool(struct ws_rng *rng)
{
    struct ws_net *net = new_net(rng, 11, 33);
    ws_net_max_pool(net, "pool", 0, pick_window(rng, net->nodes[0].height, net->nodes[0].width));
    return net;
}

/* A pool over a pool of stride 1, whose neighbours are mostly equal: of several largest, one alone gets the gradient.
 */
static struct ws_net *build_max_pool_with_ties(struct ws_rng *rng)
{
    struct ws_net *net = new_net(rng, 11, 33);
    const int x = ws_net_max_pool(net, "first", 0, (struct ws_window)WS_SQUARE(3, 1, 1));
    ws_net_max_pool(net, "pool", x, pick_window(rng, net->nodes[0].height, net->nodes[0].width));
    return net;
}

static struct ws_net *build_global_pool(struct ws_rng *rng)
{
    struct ws_net *net = new_net(rng, 11, 33);
    ws_net_global_average_pool(net, "pool", 0);
    return net;
}

static struct ws_net *build_relu(struct ws_rng *rng)
{
    struct ws_net *net = new_net(rng, 9, 33);
    ws_net_relu(net, "relu", 0);
    return net;
}

static struct ws_net *build_add_with_itself(struct ws_rng *rng)
{
    struct ws_net *net = new_net(rng, 9, 33);
    ws_net_add(net, "add", 0, 0);
    return net;
}

static struct ws_net *build_batchnorm(struct ws_rng *rng)
{
    struct ws_net *net = new_net(rng, 11, 33);
    ws_net_batchnorm(net, "bn", 0);
    return net;
}

/* A residual block with a shortcut that changes the shape, small enough that no ReLU is at its kink. */
static struct ws_net *build_block(struct ws_rng *rng)
{
    struct ws_net *net = new_net(rng, 6, 5);
    const int width = 1 + (int)below(rng, 6), stride = 1 + (int)below(rng, 2);
    int y = ws_net_conv(net, "conv1", 0, width, (struct ws_window)WS_SQUARE(3, stride, 1), false);
    y = ws_net_batchnorm(net, "bn1", y);
    y = ws_net_relu(net, "relu1", y);
    y = ws_net_conv(net, "conv2", y, width, (struct ws_window)WS_SQUARE(3, 1, 1), false);
    y = ws_net_batchnorm(net, "bn2", y);
    int s = ws_net_conv(net, "downsample.0", 0, width, (struct ws_window)WS_SQUARE(1, stride, 0), false);
    s = ws_net_batchnorm(net, "downsample.1", s);
    y = ws_net_add(net, "add", y, s);
    y = ws_net_relu(net, "relu2", y);
    y = ws_net_global_average_pool(net, "pool", y);
    ws_net_gemm(net, "fc", y, 4, true);
    return net;
}

static void convolution_equals_its_twin(void **state)
{
    (void)state;
    run_trials("convolution", build_conv, 150, WS_BN_TRAIN, true);
}

static void resnet_convolutions_equal_their_twin(void **state)
{
    (void)state;
    run_trials("ResNet convolution", build_resnet_conv, 12, WS_BN_TRAIN, true);
}

static void winograd_convolutions_equal_their_twin(void **state)
{
    (void)state;
    run_trials("Winograd convolution", build_winograd_conv, 16, WS_BN_TRAIN, true);
}

static void inverted_residuals_equal_their_twin(void **state)
{
    (void)state;
    run_trials("inverted residual", build_inverted_residual, 24, WS_BN_TRAIN, false);
}

static void gemm_flattens_in_file_order_and_equals_its_twin(void **state)
{
    (void)state;
    run_trials("gemm", build_gemm, 60, WS_BN_TRAIN, true);
}

static void average_pool_equals_its_twin(void **state)
{
    (void)state;
    run_trials("average pool", build_average_pool, 60, WS_BN_TRAIN, true);
}

static void max_pool_equals_its_twin(void **state)
{
    (void)state;
    run_trials("max pool", build_max_pool, 60, WS_BN_TRAIN, false);
}

static void max_pool_gives_the_gradient_of_a_tie_once(void **state)
{
    (void)state;
    run_trials("max pool, ties", build_max_pool_with_ties, 40, WS_BN_TRAIN, false);
}

static void global_pool_equals_its_twin(void **state)
{
    (void)state;
    run_trials("global pool", build_global_pool, 40, WS_BN_TRAIN, true);
}

static void relu_equals_its_twin(void **state)
{
    (void)state;
    run_trials("relu", build_relu, 40, WS_BN_TRAIN, false);
}

static void add_gives_gradient_to_both_inputs(void **state)
{
    (void)state;
    run_trials("add", build_add_with_itself, 20, WS_BN_TRAIN, true);
}

static void batchnorm_in_training_equals_its_twin(void **state)
{
    (void)state;
    run_trials("batchnorm, train", build_batchnorm, 60, WS_BN_TRAIN, false);
}

static void batchnorm_in_evaluation_equals_its_twin(void **state)
{
    (void)state;
    run_trials("batchnorm, eval", build_batchnorm, 40, WS_BN_EVAL, false);
}

static void frozen_batchnorm_equals_its_twin(void **state)
{
    (void)state;
    run_trials("batchnorm, frozen", build_batchnorm, 40, WS_BN_FROZEN, false);
}

static void residual_block_in_training_equals_its_twin(void **state)
{
    (void)state;
    run_trials("block, train", build_block, 40, WS_BN_TRAIN, false);
}

static void residual_block_with_frozen_statistics_equals_its_twin(void **state)
{
    (void)state;
    run_trials("block, frozen", build_block, 40, WS_BN_FROZEN, false);
}

/* --- folding --- */

static void folded_block_equals_the_block_in_evaluation(void **state)
{
    (void)state;
    struct ws_err err = {0};
    struct ws_workers *workers = NULL;
    check(ws_workers_open(&workers, 2, &err), &err);
    for (int trial = 0; trial < 40; trial++) {
        struct ws_rng rng;
        ws_rng_init(&rng, 11, WS_STREAM_TEST, (uint32_t)trial, 0);
        struct ws_net *net = build_block(&rng), *folded = NULL;
        struct ws_exec *exec = NULL;
        const int batch = 1 + (int)below(&rng, 4);
        int map[32];
        check(ws_net_alloc(net, &err), &err);
        reference_randomise(net, (uint64_t)trial);
        check(ws_net_fold(&folded, net, map, &err), &err);
        const int last = net->n_nodes - 1, block = ws_net_find(net, "relu2");
        assert_true(map[last] == folded->n_nodes - 1 && map[block] >= 0);
        const struct ws_exec_options options = {.max_batch = batch, .taps = &map[block], .n_taps = 1};
        check(ws_exec_open(&exec, folded, workers, &options, &err), &err);
        const struct ws_kernels *kernels = ws_kernels_find(tables[trial % N_TABLES]);
        exec->view.kernels = kernels ? kernels : ws_kernels_find("plain");

        struct reference *r = reference_open(net, batch);
        const size_t n_in = (size_t)batch * reference_size(net, 0);
        reference_fill(ws_exec_input(exec), n_in, (uint64_t)trial, 1);
        for (size_t i = 0; i < n_in; i++)
            r->value[0][i] = (real)ws_exec_input(exec)[i];
        reference_forward(r, WS_BN_EVAL);
        ws_exec_forward(exec, batch, WS_BN_EVAL);
        const struct comparison c = {.net = net, .what = "folded block", .kernels = exec->view.kernels, .trial = trial};
        const int nodes[] = {last, block};
        for (int i = 0; i < 2; i++) {
            const size_t n = (size_t)batch * reference_size(net, nodes[i]);
            use_largest(r->value[nodes[i]], r->gradient[nodes[i]], n);
            compare(&c, net->nodes[nodes[i]].name, ws_exec_value(exec, map[nodes[i]]), r->value[nodes[i]],
                    r->gradient[nodes[i]], n);
        }
        reference_close(r);
        ws_exec_close(&exec);
        ws_net_free(&folded);
        ws_net_free(&net);
    }
    ws_workers_close(&workers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolution_equals_its_twin),
        cmocka_unit_test(resnet_convolutions_equal_their_twin),
        cmocka_unit_test(winograd_convolutions_equal_their_twin),
        cmocka_unit_test(inverted_residuals_equal_their_twin),
        cmocka_unit_test(gemm_flattens_in_file_order_and_equals_its_twin),
        cmocka_unit_test(average_pool_equals_its_twin),
        cmocka_unit_test(max_pool_equals_its_twin),
        cmocka_unit_test(max_pool_gives_the_gradient_of_a_tie_once),
        cmocka_unit_test(global_pool_equals_its_twin),
        cmocka_unit_test(relu_equals_its_twin),
        cmocka_unit_test(add_gives_gradient_to_both_inputs),
        cmocka_unit_test(batchnorm_in_training_equals_its_twin),
        cmocka_unit_test(batchnorm_in_evaluation_equals_its_twin),
        cmocka_unit_test(frozen_batchnorm_equals_its_twin),
        cmocka_unit_test(residual_block_in_training_equals_its_twin),
        cmocka_unit_test(residual_block_with_frozen_statistics_equals_its_twin),
        cmocka_unit_test(folded_block_equals_the_block_in_evaluation),
    };
    return cmocka_run_group_tests_name("kernels against their twins", tests, NULL, NULL);
}
