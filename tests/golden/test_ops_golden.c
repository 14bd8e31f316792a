/* Single ops against PyTorch 1.13: output and input gradient (generate.py, write_ops). */
#include "recipe.h"

#include "webstill/nn/exec.h"
#include "webstill/tensors/file.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { BATCH = 2, CHANNELS = 6, HEIGHT = 7, WIDTH = 9, N_IN = BATCH * CHANNELS * HEIGHT * WIDTH };

static void check(enum ws_status status, const struct ws_err *err)
{
    if (status != WS_OK)
        fail_msg("%s", err->text);
}

static void build(struct ws_net *net, const char *name)
{
    static const struct {
        const char *name;
        enum ws_op op;
        double alpha, beta;
    } unary[] = {
        {"hard_swish", WS_OP_HARD_SWISH, 0, 0},
        {"hard_sigmoid", WS_OP_HARD_SIGMOID, 1.0 / 6, 0.5},
        {"relu6", WS_OP_CLIP, 0, 6},
        {"leaky_relu", WS_OP_LEAKY_RELU, 0.1, 0},
        {"tanh", WS_OP_TANH, 0, 0},
    };
    static const struct {
        const char *name;
        enum ws_op op;
        struct ws_window window;
        bool ceil_mode, count_padding;
    } pools[] = {
        {"max_pool_ceil", WS_OP_MAX_POOL, WS_SQUARE(3, 2, 1), true, false},
        {"max_pool_dilated", WS_OP_MAX_POOL, {{2, 3}, {1, 2}, {3, 2}, {0, 1, 0, 1}}, false, false},
        {"mean_pool_counted", WS_OP_AVERAGE_POOL, WS_SQUARE(3, 2, 1), false, true},
        {"mean_pool_ceil", WS_OP_AVERAGE_POOL, WS_SQUARE(3, 2, 1), true, false},
        {"mean_pool_ceil_counted", WS_OP_AVERAGE_POOL, {{3, 2}, {2, 3}, {1, 1}, {1, 0, 1, 0}}, true, true},
        {"mean_pool_ceil_counted_by_4", WS_OP_AVERAGE_POOL, WS_SQUARE(4, 4, 2), true, true},
    };
    static const struct {
        const char *name;
        int height, width;
        struct ws_resize resize;
    } resizes[] = {
        {"nearest_twice", 14, 18, {.grid = WS_GRID_ASYMMETRIC, .rounding = WS_ROUND_FLOOR, .scale = {2, 2}}},
        {"nearest_down", 4, 5, {.grid = WS_GRID_ASYMMETRIC, .rounding = WS_ROUND_FLOOR}},
        {"linear", 10, 5, {.is_linear = true, .grid = WS_GRID_PYTORCH_HALF_PIXEL}},
        {"linear_corners", 10, 5, {.is_linear = true, .grid = WS_GRID_ALIGN_CORNERS}},
    };
    for (size_t i = 0; i < sizeof unary / sizeof *unary; i++)
        if (strcmp(name, unary[i].name) == 0)
            ws_net_unary(net, unary[i].op, name, 0, unary[i].alpha, unary[i].beta);
    for (size_t i = 0; i < sizeof pools / sizeof *pools; i++)
        if (strcmp(name, pools[i].name) == 0)
            ws_net_pool(net, pools[i].op, name, 0, pools[i].window, pools[i].ceil_mode, pools[i].count_padding);
    for (size_t i = 0; i < sizeof resizes / sizeof *resizes; i++)
        if (strcmp(name, resizes[i].name) == 0)
            ws_net_resize(net, name, 0, resizes[i].height, resizes[i].width, resizes[i].resize);
    if (strcmp(name, "silu") == 0)
        ws_net_mul(net, name, 0, ws_net_unary(net, WS_OP_SIGMOID, "sigmoid", 0, 0, 0));
    if (strcmp(name, "softmax") == 0)
        ws_net_softmax(net, name, 0, WS_CHANNELS);
    if (strcmp(name, "softmax_height") == 0)
        ws_net_softmax(net, name, 0, WS_HEIGHT);
    if (strcmp(name, "reflect") == 0)
        ws_net_pad(net, name, 0, (int[]){3, 0, 2, 1, 0, 0}, WS_PAD_REFLECT, 0);
    if (strcmp(name, "shuffle") == 0)
        ws_net_channel_shuffle(net, name, 0, 2);
}

static void compare(const struct ws_tensors *file, const char *name, const float *found, size_t n)
{
    const struct ws_tensor_entry *entry = ws_tensors_find(file, name);
    if (!entry)
        fail_msg("the golden file has no \"%s\"", name);
    assert_int_equal(entry->size_bytes, n * sizeof(float));
    const float *expected = entry->data;
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)found[i] - (double)expected[i]) <= 2e-6 * (1 + fabs((double)expected[i]))))
            fail_msg("%s[%zu]: %.9g, PyTorch has %.9g", name, i, (double)found[i], (double)expected[i]);
}

static void check_op(const struct ws_tensors *file, struct ws_workers *workers, const char *name)
{
    struct ws_err err = {0};
    struct ws_exec *exec = NULL;
    struct ws_net *net = ws_net_new(HEIGHT, WIDTH, CHANNELS);
    assert_non_null(net);
    build(net, name);
    assert_true(net->n_nodes > 1);
    check(ws_net_alloc(net, &err), &err);
    const struct ws_exec_options options = {.max_batch = BATCH, .backward = true, .input_gradient = true};
    check(ws_exec_open(&exec, net, workers, &options, &err), &err);
    float drawn[N_IN];
    recipe_draw("x", drawn, N_IN, 4.0, 0.0);
    for (size_t i = 0; i < BATCH * HEIGHT * WIDTH; i++)
        for (size_t c = 0; c < CHANNELS; c++)
            ws_exec_input(exec)[i * CHANNELS + c] =
                drawn[(i / (HEIGHT * WIDTH) * CHANNELS + c) * HEIGHT * WIDTH + i % (HEIGHT * WIDTH)];
    ws_exec_forward(exec, BATCH, WS_BN_TRAIN);
    const struct ws_node *last = &net->nodes[net->n_nodes - 1];
    const size_t n = BATCH * (size_t)last->height * (size_t)last->width * (size_t)last->channels;
    compare(file, name, ws_exec_value(exec, net->n_nodes - 1), n);
    char key[64];
    snprintf(key, sizeof key, "c/%s", name);
    recipe_draw(key, ws_exec_output_gradient(exec, net->n_nodes - 1), n, 1.0, 0.0);
    ws_exec_backward(exec);
    snprintf(key, sizeof key, "%s/gradient", name);
    compare(file, key, ws_exec_input_gradient(exec), N_IN);
    ws_exec_close(&exec);
    ws_net_free(&net);
}

static void ops_and_their_gradients_are_pytorchs(void **state)
{
    (void)state;
    static const char *const names[] = {"hard_swish",
                                        "hard_sigmoid",
                                        "relu6",
                                        "leaky_relu",
                                        "silu",
                                        "tanh",
                                        "softmax",
                                        "softmax_height",
                                        "max_pool_ceil",
                                        "mean_pool_ceil",
                                        "max_pool_dilated",
                                        "mean_pool_counted",
                                        "nearest_twice",
                                        "nearest_down",
                                        "mean_pool_ceil_counted",
                                        "linear",
                                        "linear_corners",
                                        "mean_pool_ceil_counted_by_4",
                                        "reflect",
                                        "shuffle"};
    struct ws_err err = {0};
    struct ws_tensors *file = NULL;
    struct ws_workers *workers = NULL;
    check(ws_tensors_open(&file, "tests/golden/ops.safetensors", &err), &err);
    check(ws_workers_open(&workers, 2, &err), &err);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        check_op(file, workers, names[i]);
    ws_workers_close(&workers);
    ws_tensors_close(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(ops_and_their_gradients_are_pytorchs)};
    return cmocka_run_group_tests_name("ops as in PyTorch", tests, NULL, NULL);
}
