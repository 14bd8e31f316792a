/* What folding keeps and what it swallows: the structure; its values are compared in tests/kernel. */
#include "webstill/nn/graph.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct ws_net *fold(struct ws_net *net, int *map)
{
    struct ws_err err = {0};
    struct ws_net *folded = NULL;
    if (ws_net_alloc(net, &err) != WS_OK || ws_net_fold(&folded, net, map, &err) != WS_OK)
        fail_msg("%s", err.text);
    return folded;
}

/* Equal but for ids: what an op is told beside its inputs. */
static void assert_same_attributes(const struct ws_node *a, const struct ws_node *b)
{
    struct ws_node x = *a, y = *b;
    memset(x.inputs, 0, sizeof x.inputs);
    memset(y.inputs, 0, sizeof y.inputs);
    memset(x.params, 0, sizeof x.params);
    memset(y.params, 0, sizeof y.params);
    if (x.op == WS_OP_CONV)
        x.conv.fused_add = y.conv.fused_add = -1;
    assert_memory_equal(&x, &y, sizeof x);
}

static void every_other_op_is_copied_with_its_attributes(void **state)
{
    (void)state;
    struct ws_net *net = ws_net_new(8, 6, 4);
    int map[64];
    const int begin[] = {1, 4, 0}, size[] = {6, 2, 4}, step[] = {1, -3, 1}, pads[] = {1, 2, 0, 1, 0, 0};
    const bool axes[WS_N_SIDES] = {[WS_WIDTH] = true};
    const int perm[] = {WS_WIDTH, WS_HEIGHT, WS_CHANNELS};
    const struct ws_resize resize = {.is_linear = true, .grid = WS_GRID_ALIGN_CORNERS, .scale = {2, 2}};
    int x = ws_net_batchnorm(net, "bn", 0);
    net->nodes[x].batchnorm.eps = 1e-3;
    x = ws_net_unary(net, WS_OP_LEAKY_RELU, "leaky", x, 0.2, 0);
    x = ws_net_unary(net, WS_OP_CLIP, "clip", x, -1, 6);
    x = ws_net_unary(net, WS_OP_HARD_SIGMOID, "hard", x, 0.2, 0.5);
    x = ws_net_pool(net, WS_OP_AVERAGE_POOL, "average", x, (struct ws_window)WS_SQUARE(3, 1, 1), true, true);
    x = ws_net_channel_shuffle(net, "shuffle", x, 2);
    x = ws_net_slice(net, "slice", x, begin, size, step);
    x = ws_net_pad(net, "pad", x, pads, WS_PAD_EDGE, 0.5);
    x = ws_net_resize(net, "resize", x, 18, 6, resize);
    x = ws_net_softmax(net, "softmax", x, WS_CHANNELS);
    x = ws_net_transpose(net, "transpose", x, perm);
    x = ws_net_reduce_mean(net, "mean", x, axes);
    x = ws_net_reshape(net, "reshape", x, 4, 6, 1);
    const int constant = ws_net_constant(net, "constant", 1, 6, 1);
    x = ws_net_mul(net, "mul", x, constant);
    const int joined[] = {x, x, x};
    x = ws_net_concat(net, "concat", joined, 3, WS_CHANNELS);
    ws_net_gemm(net, "gemm", x, 5, true);
    struct ws_net *folded = fold(net, map);
    assert_int_equal(folded->n_nodes, net->n_nodes);
    for (int i = 0; i < net->n_nodes; i++) {
        assert_int_equal(map[i], i);
        assert_same_attributes(&folded->nodes[i], &net->nodes[i]);
        for (int j = 0; j < net->nodes[i].n_inputs; j++)
            assert_int_equal(folded->nodes[i].inputs[j], net->nodes[i].inputs[j]);
    }
    for (int i = 0; i < net->n_params; i++)
        assert_string_equal(folded->params[i].name, net->params[i].name);
    ws_net_free(&folded);
    ws_net_free(&net);
}

static void a_grouped_convolution_swallows_its_batchnorm_and_relu(void **state)
{
    (void)state;
    struct ws_net *net = ws_net_new(5, 5, 6);
    int map[8];
    int x = ws_net_conv_grouped(net, "dw", 0, 12, (struct ws_window)WS_SQUARE(3, 1, 1), 6, false);
    x = ws_net_batchnorm(net, "bn", x);
    ws_net_relu(net, "relu", x);
    struct ws_net *folded = fold(net, map);
    assert_int_equal(folded->n_nodes, 2);
    assert_int_equal(folded->nodes[1].conv.groups, 6);
    assert_true(folded->nodes[1].n_params > 1 && folded->nodes[1].conv.fused_relu);
    assert_int_equal(map[3], 1);
    assert_int_equal(map[1], -1);
    struct ws_net *again = fold(folded, map);
    assert_true(again->nodes[1].conv.fused_relu);
    assert_int_equal(again->nodes[1].n_params, 2);
    ws_net_free(&again);
    ws_net_free(&folded);
    ws_net_free(&net);
}

static void a_batchnorm_in_front_of_its_convolution_stays(void **state)
{
    (void)state;
    struct ws_net *net = ws_net_new(5, 5, 4);
    int first = ws_net_conv(net, "conv0", 0, 4, (struct ws_window)WS_SQUARE(3, 1, 1), false);
    int x = ws_net_batchnorm(net, "norm1", first);
    x = ws_net_relu(net, "relu1", x);
    x = ws_net_conv(net, "conv1", x, 2, (struct ws_window)WS_SQUARE(3, 1, 1), false);
    const int joined[] = {first, x};
    ws_net_concat(net, "dense", joined, 2, WS_CHANNELS);
    struct ws_net *folded = fold(net, NULL);
    assert_int_equal(folded->n_nodes, net->n_nodes); /* conv0 is read by the Concat too */
    assert_true(ws_net_find(folded, "norm1") > 0);
    ws_net_free(&folded);
    ws_net_free(&net);
}

static void only_a_sum_of_equal_sides_goes_into_the_epilogue(void **state)
{
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        struct ws_net *net = ws_net_new(5, 5, 4);
        int other = 0;
        if (kind == 1)
            other = ws_net_global_average_pool(net, "pool", 0);
        if (kind == 2)
            other = ws_net_constant(net, "constant", 5, 5, 4);
        int x = ws_net_conv(net, "conv", 0, 4, (struct ws_window)WS_SQUARE(3, 1, 1), false);
        x = ws_net_add(net, "add", x, other);
        ws_net_relu(net, "relu", x);
        struct ws_net *folded = fold(net, NULL);
        assert_int_equal(ws_net_find(folded, "add") < 0, kind == 0);
        ws_net_free(&folded);
        ws_net_free(&net);
    }
}

static void dropout_leaves(void **state)
{
    (void)state;
    struct ws_net *net = ws_net_new(5, 5, 4);
    int map[4];
    int x = ws_net_relu(net, "relu", 0);
    x = ws_net_unary(net, WS_OP_DROPOUT, "dropout", x, 0.5, 0);
    ws_net_gemm(net, "fc", x, 3, true);
    struct ws_net *folded = fold(net, map);
    assert_int_equal(folded->n_nodes, 3);
    assert_int_equal(map[2], 1);
    assert_int_equal(folded->nodes[2].inputs[0], 1);
    ws_net_free(&folded);
    ws_net_free(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_other_op_is_copied_with_its_attributes),
        cmocka_unit_test(a_grouped_convolution_swallows_its_batchnorm_and_relu),
        cmocka_unit_test(a_batchnorm_in_front_of_its_convolution_stays),
        cmocka_unit_test(only_a_sum_of_equal_sides_goes_into_the_epilogue),
        cmocka_unit_test(dropout_leaves),
    };
    return cmocka_run_group_tests_name("folding", tests, NULL, NULL);
}
