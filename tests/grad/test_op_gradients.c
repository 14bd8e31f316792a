/* Gradients of the ops without parameters against differences of the engine's own forward pass (differences.h). */
#include "differences.h"

/* A first convolution gives each op something that learns below it; 1x1, so that few values depend on a weight. */
static int begin(struct subject *s, const char *what, int channels)
{
    *s = (struct subject){.what = what, .batch = 2, .mode = WS_BN_EVAL};
    s->net = input(3, 2, 2);
    return ws_net_conv(s->net, "conv", 0, channels, (struct ws_window)WS_SQUARE(1, 1, 0), false);
}

static void activations_have_the_gradients_of_their_differences(void **state)
{
    (void)state;
    static const struct {
        enum ws_op op;
        double alpha, beta;
    } ops[] = {{WS_OP_LEAKY_RELU, 0.2, 0},     {WS_OP_CLIP, -0.4, 0.6},  {WS_OP_SIGMOID, 0, 0},
               {WS_OP_HARD_SIGMOID, 1.1, 0.5}, {WS_OP_HARD_SWISH, 0, 0}, {WS_OP_TANH, 0, 0},
               {WS_OP_DROPOUT, 0.4, 0}};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        struct subject s;
        const int x = begin(&s, ws_op_name(ops[i].op), 1);
        s.batch = 1;
        ws_net_unary(s.net, ops[i].op, "op", x, ops[i].alpha, ops[i].beta);
        check_gradients(s);
    }
}

/* In training too: the mask is the same for every forward of the step. */
static void dropout_has_the_gradient_of_its_differences(void **state)
{
    (void)state;
    struct subject s;
    const int x = begin(&s, "dropout", 3);
    ws_net_unary(s.net, WS_OP_DROPOUT, "drop", x, 0.4, 0);
    open_subject(&s, 3);
    s.mode = WS_BN_TRAIN;
    ws_exec_set_dropout(s.exec, 4, 7);
    measure(&s);
    memcpy(ws_exec_output_gradient(s.exec, s.net->n_nodes - 1), s.weights, s.n_out * sizeof *s.weights);
    ws_exec_backward(s.exec);
    float gradient[64];
    assert_true(s.n_in <= 64);
    memcpy(gradient, ws_exec_input_gradient(s.exec), s.n_in * sizeof *gradient);
    compare(&s, "input", ws_exec_input(s.exec), gradient, s.n_in);
    close_subject(&s);
}

static void softmax_and_means_have_the_gradients_of_their_differences(void **state)
{
    (void)state;
    for (int axis = 0; axis < WS_N_SIDES; axis++) {
        struct subject s;
        const int x = begin(&s, "softmax", 3);
        ws_net_softmax(s.net, "op", x, (enum ws_side)axis);
        check_gradients(s);
        const bool axes[] = {axis != 0, axis != 1, axis == 2};
        const int y = begin(&s, "reduce mean", 3);
        ws_net_reduce_mean(s.net, "op", y, axes);
        check_gradients(s);
    }
}

static void combinations_have_the_gradients_of_their_differences(void **state)
{
    (void)state;
    const bool to_channels[] = {true, true, false}, to_map[] = {false, false, true};
    struct subject s;
    int x = begin(&s, "squeeze and excite", 3);
    int gate = ws_net_unary(s.net, WS_OP_SIGMOID, "gate", ws_net_reduce_mean(s.net, "mean", x, to_channels), 0, 0);
    ws_net_mul(s.net, "scaled", x, gate);
    check_gradients(s);
    x = begin(&s, "outer product", 3);
    const int channels = ws_net_reduce_mean(s.net, "channels", x, to_channels);
    ws_net_mul(s.net, "outer", channels, ws_net_reduce_mean(s.net, "map", x, to_map));
    check_gradients(s);
    x = begin(&s, "repeated sum", 3);
    ws_net_add(s.net, "sum", ws_net_reduce_mean(s.net, "map", x, to_map), x);
    check_gradients(s);
    x = begin(&s, "square", 2);
    ws_net_mul(s.net, "square", x, x);
    check_gradients(s);
    x = begin(&s, "constant", 2);
    ws_net_mul(s.net, "scaled", ws_net_constant(s.net, "constant", 1, 1, 2), x);
    check_gradients(s);
}

static void layout_has_the_gradients_of_its_differences(void **state)
{
    (void)state;
    struct subject s;
    for (int mode = 0; mode < 3; mode++) {
        const int x = begin(&s, "pad", 2);
        ws_net_pad(s.net, "pad", x, (int[]){1, 2, -1, 0, 0, mode ? 1 : 3}, (enum ws_pad_mode)mode, 0.5);
        check_gradients(s);
        const int y = begin(&s, "concat", 2);
        ws_net_concat(s.net, "concat", (int[]){y, 0, y}, 3, (enum ws_side)mode);
        check_gradients(s);
    }
    int x = begin(&s, "slice, transpose, reshape, shuffle", 4);
    x = ws_net_slice(s.net, "slice", x, (int[]){2, 0, 3}, (int[]){2, 2, 4}, (int[]){-2, 1, -1});
    x = ws_net_transpose(s.net, "transpose", x, (int[]){2, 0, 1});
    x = ws_net_reshape(s.net, "reshape", x, 2, 2, 4);
    ws_net_channel_shuffle(s.net, "shuffle", x, 2);
    check_gradients(s);
}

static void resize_and_pools_have_the_gradients_of_their_differences(void **state)
{
    (void)state;
    struct subject s;
    for (int k = 0; k < 4; k++) {
        const int x = begin(&s, "resize", 2);
        ws_net_resize(
            s.net, "resize", x, k < 2 ? 6 : 2, k < 2 ? 4 : 3,
            (struct ws_resize){.is_linear = k % 2 == 1, .grid = k < 2 ? WS_GRID_ASYMMETRIC : WS_GRID_HALF_PIXEL});
        check_gradients(s);
        const int y = begin(&s, "average pool", 2);
        ws_net_pool(s.net, WS_OP_AVERAGE_POOL, "pool", y, (struct ws_window){{3, 2}, {2, 1}, {1, 1}, {1, 0, 2, 1}},
                    k % 2 == 1, k < 2);
        check_gradients(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(activations_have_the_gradients_of_their_differences),
        cmocka_unit_test(dropout_has_the_gradient_of_its_differences),
        cmocka_unit_test(softmax_and_means_have_the_gradients_of_their_differences),
        cmocka_unit_test(combinations_have_the_gradients_of_their_differences),
        cmocka_unit_test(layout_has_the_gradients_of_its_differences),
        cmocka_unit_test(resize_and_pools_have_the_gradients_of_their_differences),
    };
    return cmocka_run_group_tests_name("gradients of ops", tests, NULL, NULL);
}
