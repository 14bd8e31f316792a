/*
 * What others make of our ONNX files: onnx's checker (python3-onnx) and onnxruntime (node) read models of several
 * kinds; the runtime's logits must be ours. Either judge is skipped, with a message, when it is not installed.
 */
#include "../../distill/learn/predict.h"
#include "../../distill/model/network.h"

#include "webstill/base/file.h"
#include "webstill/base/rng.h"
#include "webstill/nn/exec.h"
#include "webstill/nn/loss.h"
#include "webstill/nn/onnx.h"
#include "webstill/nn/optim.h"
#include "webstill/nn/zoo.h"
#include "webstill/tensors/file.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { BATCH = 5, SKIPPED = 77 };

static char folder[64];
static char models[8192], pairs[16384]; /* arguments of the two judges */

static void check(enum ws_status status, const struct ws_err *err)
{
    if (status != WS_OK)
        fail_msg("%s", err->text);
}

static void append(char *to, size_t size, const char *path)
{
    const size_t used = strlen(to);
    assert_true(used + strlen(path) + 2 < size);
    snprintf(to + used, size - used, " %s", path);
}

/* Images of 0..255 where the graph normalises, else around 0; logits are ours. */
static void write_batch(const char *path, struct ws_net *net, const struct ws_onnx_options *options,
                        struct ws_workers *workers)
{
    struct ws_err err = {0};
    struct ws_exec *exec = NULL;
    const struct ws_node *in = &net->nodes[0];
    const size_t pixels = (size_t)in->height * (size_t)in->width, channels = (size_t)in->channels;
    const size_t n = BATCH * pixels * channels;
    float *images = malloc(n * sizeof *images);
    assert_non_null(images);
    const struct ws_exec_options exec_options = {.max_batch = BATCH, .taps = &options->output, .n_taps = 1};
    check(ws_exec_open(&exec, net, workers, &exec_options, &err), &err);

    struct ws_rng rng;
    ws_rng_init(&rng, 3, WS_STREAM_TEST, 0, 0);
    float *nhwc = ws_exec_input(exec);
    for (size_t i = 0; i < BATCH; i++)
        for (size_t c = 0; c < channels; c++)
            for (size_t p = 0; p < pixels; p++) {
                float x = (float)ws_rng_normal(&rng);
                if (options->mean)
                    x = (float)ws_rng_below(&rng, 256);
                images[(i * channels + c) * pixels + p] = x;
                if (options->mean)
                    x = (x / 255.0F - options->mean[c]) / options->std[c];
                nhwc[(i * pixels + p) * channels + c] = x;
            }
    ws_exec_forward(exec, BATCH, WS_BN_EVAL);

    const int64_t classes = net->nodes[options->output].channels;
    const struct ws_tensor_entry entries[] = {
        {.name = "input",
         .dtype = WS_F32,
         .rank = 4,
         .shape = {BATCH, in->channels, in->height, in->width},
         .data = images,
         .size_bytes = n * sizeof(float)},
        {.name = "logits",
         .dtype = WS_F32,
         .rank = 2,
         .shape = {BATCH, classes},
         .data = ws_exec_value(exec, options->output),
         .size_bytes = BATCH * (size_t)classes * sizeof(float)},
    };
    check(ws_tensors_write(path, entries, 2, NULL, 0, &err), &err);
    ws_exec_close(&exec);
    free(images);
}

/* One more model and its batch for the judges. */
static void add_case(const char *name, struct ws_net *net, int opset, int output, const float *mean, const float *std)
{
    struct ws_err err = {0};
    struct ws_workers *workers = NULL;
    struct ws_buf buf = {0};
    char model[128], batch[128];
    const struct ws_onnx_option metadata[] = {{"origin", "tests"}};
    const struct ws_onnx_options options = {
        .opset = opset, .output = output, .mean = mean, .std = std, .metadata = metadata, .n_metadata = 1};
    snprintf(model, sizeof model, "%s/%s.onnx", folder, name);
    snprintf(batch, sizeof batch, "%s/%s.safetensors", folder, name);
    check(ws_workers_open(&workers, 2, &err), &err);
    check(ws_onnx_write(net, &options, &buf, &err), &err);
    check(ws_file_replace(model, buf.ptr, buf.len, &err), &err);
    append(models, sizeof models, model);
    append(pairs, sizeof pairs, model);
    append(pairs, sizeof pairs, batch);
    write_batch(batch, net, &options, workers);
    ws_buf_fini(&buf);
    ws_workers_close(&workers);
}

/* Weights from a seed; running statistics away from 0 and 1, so that a wrong BatchNorm shows. */
static void randomise(struct ws_net *net)
{
    ws_net_init(net, 8);
    for (int i = 0; i < net->n_params; i++) {
        const struct ws_param *param = &net->params[i];
        if (param->rank != 1 && param->rank != 3) /* 3: a constant */
            continue;
        const char *suffix = strrchr(param->name, '.');
        const bool around_one = strcmp(suffix, ".weight") == 0 || strcmp(suffix, ".running_var") == 0;
        struct ws_rng rng;
        ws_rng_init(&rng, 9, WS_STREAM_TEST, (uint32_t)i, 0);
        for (size_t k = 0; k < param->n; k++)
            net->values[param->offset + k] = (float)((around_one ? 1.0 : 0.0) + 0.5 * (ws_rng_uniform(&rng) - 0.5));
    }
}

static void add_zoo_case(const char *name, const char *arch, int side, int channels, int opset, bool fold)
{
    struct ws_err err = {0};
    struct ws_net *net = NULL, *folded = NULL;
    struct ws_zoo_taps taps;
    check(ws_zoo_build(&net, &taps, arch, side, side, channels, 10, &err), &err);
    check(ws_net_alloc(net, &err), &err);
    randomise(net);
    const float mean[3] = {0.48F, 0.457F, 0.409F}, std[3] = {0.275F, 0.271F, 0.281F};
    if (fold) {
        check(ws_net_fold(&folded, net, NULL, &err), &err);
        add_case(name, folded, opset, folded->n_nodes - 1, mean, std);
    } else {
        add_case(name, net, opset, taps.logits, NULL, NULL);
    }
    ws_net_free(&folded);
    ws_net_free(&net);
}

/* What the zoo does not use: biases, odd windows, both pools, a map before the linear layer, logits from a pool. */
static void add_odd_cases(void)
{
    struct ws_err err = {0};
    struct ws_net *net = ws_net_new(11, 9, 2);
    assert_non_null(net);
    int x = ws_net_conv(net, "first", 0, 5, (struct ws_window)WS_SQUARE(5, 2, 2), true);
    x = ws_net_batchnorm(net, "first_bn", x);
    x = ws_net_relu(net, "first_relu", x);
    x = ws_net_max_pool(net, "max", x, (struct ws_window)WS_SQUARE(3, 2, 1));
    x = ws_net_average_pool(net, "mean", x, (struct ws_window)WS_SQUARE(3, 1, 1));
    const int map = x;
    x = ws_net_gemm(net, "hidden", x, 7, true);
    x = ws_net_relu(net, "hidden_relu", x);
    const int linear = ws_net_gemm(net, "out", x, 3, false);
    const int pooled = ws_net_global_average_pool(net, "global", map);
    check(ws_net_alloc(net, &err), &err);
    randomise(net);
    add_case("odd_linear", net, 13, linear, NULL, NULL);
    add_case("odd_pool", net, 14, pooled, NULL, NULL);
    ws_net_free(&net);
}

/* --- every op of the graph, each in a small net of its own --- */

/* A net of one op between a convolution, so that its gradient and its values differ in each place, and a linear layer.
 */
struct op_case {
    const char *name;
    int (*add)(struct ws_net *net, int x); /* x is 9 x 8 with 6 channels */
    int opset;
};

static int add_grouped(struct ws_net *net, int x)
{
    const struct ws_window window = {.kernel = {3, 2}, .stride = {2, 1}, .dilation = {1, 2}, .pads = {0, 2, 1, 1}};
    return ws_net_conv_grouped(net, "op", x, 9, window, 3, true);
}

static int add_depthwise(struct ws_net *net, int x)
{
    x = ws_net_conv_grouped(net, "op", x, 6, (struct ws_window)WS_SQUARE(3, 2, 1), 6, false);
    x = ws_net_batchnorm(net, "op_bn", x);
    return ws_net_unary(net, WS_OP_CLIP, "op_relu6", x, 0, 6);
}

static int add_leaky(struct ws_net *net, int x)
{
    return ws_net_unary(net, WS_OP_LEAKY_RELU, "op", x, 0.2, 0);
}

static int add_clip(struct ws_net *net, int x)
{
    x = ws_net_unary(net, WS_OP_CLIP, "op", x, -0.25, 0.5);
    x = ws_net_unary(net, WS_OP_CLIP, "below", x, -(double)INFINITY, 0.25);
    return ws_net_unary(net, WS_OP_CLIP, "above", x, -0.125, (double)INFINITY);
}

static int add_sigmoid(struct ws_net *net, int x)
{
    const int gate = ws_net_unary(net, WS_OP_SIGMOID, "op", x, 0, 0);
    return ws_net_mul(net, "silu", x, gate);
}

static int add_hard_sigmoid(struct ws_net *net, int x)
{
    return ws_net_unary(net, WS_OP_HARD_SIGMOID, "op", x, 0.3, 0.4);
}

static int add_hard_swish(struct ws_net *net, int x)
{
    return ws_net_unary(net, WS_OP_HARD_SWISH, "op", x, 0, 0);
}

static int add_tanh(struct ws_net *net, int x)
{
    return ws_net_unary(net, WS_OP_TANH, "op", x, 0, 0);
}

static int add_softmax(struct ws_net *net, int x)
{
    x = ws_net_softmax(net, "op", x, WS_CHANNELS);
    return ws_net_softmax(net, "wide", x, WS_WIDTH);
}

static int add_dropout(struct ws_net *net, int x)
{
    return ws_net_unary(net, WS_OP_DROPOUT, "op", x, 0.5, 0);
}

/* Squeeze and excitation, as MobileNetV3 has it. */
static int add_gate(struct ws_net *net, int x)
{
    int s = ws_net_global_average_pool(net, "squeeze", x);
    s = ws_net_conv(net, "reduce", s, 3, (struct ws_window)WS_SQUARE(1, 1, 0), true);
    s = ws_net_relu(net, "reduced", s);
    s = ws_net_conv(net, "expand", s, 6, (struct ws_window)WS_SQUARE(1, 1, 0), true);
    s = ws_net_unary(net, WS_OP_HARD_SIGMOID, "gate", s, 1.0 / 6.0, 0.5);
    return ws_net_mul(net, "op", s, x);
}

/* The same with linear layers: the gate is a vector in the file. */
static int add_linear_gate(struct ws_net *net, int x)
{
    int s = ws_net_global_average_pool(net, "squeeze", x);
    s = ws_net_gemm(net, "reduce", s, 3, true);
    s = ws_net_unary(net, WS_OP_TANH, "reduced", s, 0, 0);
    s = ws_net_gemm(net, "expand", s, 6, true);
    return ws_net_add(net, "op", x, s);
}

static int add_constants(struct ws_net *net, int x)
{
    x = ws_net_add(net, "op", x, ws_net_constant(net, "each_channel", 1, 1, 6));
    x = ws_net_mul(net, "op2", x, ws_net_constant(net, "each_row", 9, 1, 1));
    x = ws_net_gemm(net, "hidden", x, 7, false);
    return ws_net_add(net, "op3", ws_net_constant(net, "each_value", 1, 1, 7), x);
}

static int add_concat(struct ws_net *net, int x)
{
    const int a = ws_net_relu(net, "a", x), all[] = {x, a, x};
    x = ws_net_concat(net, "op", all, 3, WS_CHANNELS);
    const int b = ws_net_average_pool(net, "b", x, (struct ws_window)WS_SQUARE(3, 1, 1)), rows[] = {b, x};
    x = ws_net_concat(net, "op2", rows, 2, WS_HEIGHT);
    const int v = ws_net_gemm(net, "v", x, 3, true), u = ws_net_gemm(net, "u", x, 2, true), vectors[] = {v, u};
    return ws_net_concat(net, "op3", vectors, 2, WS_CHANNELS);
}

static int add_max_pool(struct ws_net *net, int x)
{
    const struct ws_window window = {.kernel = {3, 2}, .stride = {2, 3}, .dilation = {2, 1}, .pads = {1, 0, 0, 1}};
    x = ws_net_pool(net, WS_OP_MAX_POOL, "op", x, window, false, false);
    return ws_net_pool(net, WS_OP_MAX_POOL, "op2", x, (struct ws_window)WS_SQUARE(2, 2, 0), true, false);
}

static int add_average_pool(struct ws_net *net, int x)
{
    x = ws_net_pool(net, WS_OP_AVERAGE_POOL, "op", x, (struct ws_window)WS_SQUARE(3, 1, 1), false, true);
    return ws_net_pool(net, WS_OP_AVERAGE_POOL, "op2", x, (struct ws_window)WS_SQUARE(2, 2, 0), true, false);
}

static int add_average_pool_ceil(struct ws_net *net, int x)
{
    return ws_net_pool(net, WS_OP_AVERAGE_POOL, "op", x, (struct ws_window)WS_SQUARE(3, 3, 1), true, true);
}

static int add_reduce_mean(struct ws_net *net, int x)
{
    const bool rows[WS_N_SIDES] = {[WS_HEIGHT] = true};
    const int narrow = ws_net_reduce_mean(net, "op", x, rows);
    const bool map[WS_N_SIDES] = {[WS_HEIGHT] = true, [WS_WIDTH] = true};
    return ws_net_reduce_mean(net, "op2", ws_net_mul(net, "spread", x, narrow), map);
}

static int add_reshape(struct ws_net *net, int x)
{
    x = ws_net_reshape(net, "op", x, 4, 9, 12);
    x = ws_net_conv(net, "after", x, 3, (struct ws_window)WS_SQUARE(3, 1, 1), true);
    x = ws_net_reshape(net, "op2", x, 1, 1, 108);
    x = ws_net_relu(net, "flat", x);
    return ws_net_reshape(net, "op3", x, 6, 6, 3);
}

static int add_transpose(struct ws_net *net, int x)
{
    return ws_net_transpose(net, "op", x, (int[]){WS_CHANNELS, WS_HEIGHT, WS_WIDTH});
}

static int add_shuffle(struct ws_net *net, int x)
{
    return ws_net_channel_shuffle(net, "op", x, 3);
}

static int add_slice(struct ws_net *net, int x)
{
    return ws_net_slice(net, "op", x, (int[]){8, 1, 0}, (int[]){5, 3, 4}, (int[]){-2, 2, 1});
}

static int add_pad(struct ws_net *net, int x)
{
    x = ws_net_pad(net, "op", x, (int[]){1, 2, 0, 3, 2, 0}, WS_PAD_CONSTANT, 0.5);
    x = ws_net_pad(net, "op2", x, (int[]){2, 1, 1, 0, 0, 0}, WS_PAD_EDGE, 0);
    x = ws_net_pad(net, "op3", x, (int[]){2, 3, 4, 1, 0, 0}, WS_PAD_REFLECT, 0);
    return ws_net_pad(net, "op4", x, (int[]){-1, 0, 0, -2, 0, 0}, WS_PAD_CONSTANT, 0);
}

static int add_resize_nearest(struct ws_net *net, int x)
{
    const struct ws_resize upsample = {.grid = WS_GRID_ASYMMETRIC, .rounding = WS_ROUND_FLOOR, .scale = {2, 2}};
    x = ws_net_resize(net, "op", x, 18, 16, upsample);
    const struct ws_resize half = {.grid = WS_GRID_HALF_PIXEL, .rounding = WS_ROUND_PREFER_FLOOR};
    return ws_net_resize(net, "op2", x, 7, 48, half);
}

static int add_resize_linear(struct ws_net *net, int x)
{
    const struct ws_resize half = {.is_linear = true, .grid = WS_GRID_HALF_PIXEL};
    x = ws_net_resize(net, "op", x, 18, 24, half);
    const struct ws_resize pytorch = {.is_linear = true, .grid = WS_GRID_PYTORCH_HALF_PIXEL};
    x = ws_net_resize(net, "op2", x, 13, 11, pytorch);
    const struct ws_resize corners = {.is_linear = true, .grid = WS_GRID_ALIGN_CORNERS};
    return ws_net_resize(net, "op3", x, 10, 17, corners);
}

static int add_map_after_linear(struct ws_net *net, int x)
{
    x = ws_net_gemm(net, "hidden", x, 10, true);
    x = ws_net_softmax(net, "weights", x, WS_CHANNELS);
    x = ws_net_conv(net, "op", x, 4, (struct ws_window)WS_SQUARE(1, 1, 0), true);
    return ws_net_batchnorm(net, "op_bn", x);
}

/* Two layers and a transition of DenseNet: BatchNorm stands in front of its convolution, and maps are read twice. */
static int add_dense_block(struct ws_net *net, int x)
{
    int all[3] = {x, 0, 0};
    for (int i = 0; i < 2; i++) {
        char name[32];
        snprintf(name, sizeof name, "layer%d", i);
        int y = i ? ws_net_concat(net, name, all, 2, WS_CHANNELS) : x;
        snprintf(name, sizeof name, "norm%d", i);
        y = ws_net_batchnorm(net, name, y);
        snprintf(name, sizeof name, "relu%d", i);
        y = ws_net_relu(net, name, y);
        snprintf(name, sizeof name, "conv%d", i);
        all[i + 1] = ws_net_conv(net, name, y, 4, (struct ws_window)WS_SQUARE(3, 1, 1), false);
    }
    x = ws_net_concat(net, "block", all, 3, WS_CHANNELS);
    x = ws_net_batchnorm(net, "transition.norm", x);
    x = ws_net_relu(net, "transition.relu", x);
    x = ws_net_conv(net, "transition.conv", x, 7, (struct ws_window)WS_SQUARE(1, 1, 0), false);
    return ws_net_average_pool(net, "transition.pool", x, (struct ws_window)WS_SQUARE(2, 2, 0));
}

/* MobileNetV2's, with a gate: expand, depthwise, squeeze and excitation, project, add. */
static int add_inverted_residual(struct ws_net *net, int x)
{
    int y = ws_net_conv(net, "expand", x, 12, (struct ws_window)WS_SQUARE(1, 1, 0), false);
    y = ws_net_unary(net, WS_OP_CLIP, "expand6", ws_net_batchnorm(net, "expand_bn", y), 0, 6);
    y = ws_net_conv_grouped(net, "dw", y, 12, (struct ws_window)WS_SQUARE(3, 1, 1), 12, false);
    y = ws_net_unary(net, WS_OP_HARD_SWISH, "swish", ws_net_batchnorm(net, "dw_bn", y), 0, 0);
    int s = ws_net_global_average_pool(net, "squeeze", y);
    s = ws_net_relu(net, "reduced", ws_net_conv(net, "reduce", s, 3, (struct ws_window)WS_SQUARE(1, 1, 0), true));
    s = ws_net_conv(net, "excite", s, 12, (struct ws_window)WS_SQUARE(1, 1, 0), true);
    y = ws_net_mul(net, "scaled", y, ws_net_unary(net, WS_OP_SIGMOID, "gate", s, 0, 0));
    y = ws_net_conv(net, "project", y, 6, (struct ws_window)WS_SQUARE(1, 1, 0), false);
    return ws_net_relu(net, "out_relu", ws_net_add(net, "sum", ws_net_batchnorm(net, "project_bn", y), x));
}

/* ShuffleNetV2's: half of the channels pass, the others are convolved, then both are shuffled. */
static int add_shuffle_unit(struct ws_net *net, int x)
{
    const int step[] = {1, 1, 1}, half[] = {9, 8, 3};
    const int left = ws_net_slice(net, "left", x, (int[]){0, 0, 0}, half, step);
    int right = ws_net_slice(net, "right", x, (int[]){0, 0, 3}, half, step);
    right = ws_net_conv_grouped(net, "dw", right, 3, (struct ws_window)WS_SQUARE(3, 1, 1), 3, false);
    right =
        ws_net_conv(net, "pw", ws_net_batchnorm(net, "dw_bn", right), 3, (struct ws_window)WS_SQUARE(1, 1, 0), false);
    right = ws_net_relu(net, "pw_relu", ws_net_batchnorm(net, "pw_bn", right));
    x = ws_net_concat(net, "joined", (int[]){left, right}, 2, WS_CHANNELS);
    return ws_net_channel_shuffle(net, "op", x, 2);
}

static const struct op_case op_cases[] = {
    {"grouped", add_grouped, 13},
    {"depthwise", add_depthwise, 13},
    {"leaky", add_leaky, 16},
    {"clip", add_clip, 13},
    {"silu", add_sigmoid, 13},
    {"hard_sigmoid", add_hard_sigmoid, 13},
    {"hard_swish_13", add_hard_swish, 13},
    {"hard_swish_14", add_hard_swish, 14},
    {"tanh", add_tanh, 13},
    {"softmax", add_softmax, 13},
    {"dropout", add_dropout, 13},
    {"gate", add_gate, 17},
    {"linear_gate", add_linear_gate, 14},
    {"constants", add_constants, 14},
    {"concat", add_concat, 13},
    {"max_pool", add_max_pool, 13},
    {"average_pool", add_average_pool, 13},
    {"average_pool_ceil", add_average_pool_ceil, 17},
    {"reduce_mean", add_reduce_mean, 17},
    {"reshape", add_reshape, 14},
    {"transpose", add_transpose, 13},
    {"shuffle", add_shuffle, 13},
    {"slice", add_slice, 13},
    {"pad", add_pad, 13},
    {"resize_nearest", add_resize_nearest, 13},
    {"resize_linear", add_resize_linear, 17},
    {"dense_block", add_dense_block, 13},
    {"inverted_residual", add_inverted_residual, 17},
    {"shuffle_unit", add_shuffle_unit, 14},
    {"map_after_linear", add_map_after_linear, 15},
};

static void add_op_cases(void)
{
    for (size_t i = 0; i < sizeof op_cases / sizeof *op_cases; i++) {
        struct ws_err err = {0};
        struct ws_net *net = ws_net_new(9, 8, 3);
        assert_non_null(net);
        int x = ws_net_conv(net, "first", 0, 6, (struct ws_window)WS_SQUARE(3, 1, 1), true);
        x = op_cases[i].add(net, x);
        x = ws_net_gemm(net, "out", x, 5, true);
        check(ws_net_alloc(net, &err), &err);
        randomise(net);
        add_case(op_cases[i].name, net, op_cases[i].opset, x, NULL, NULL);
        ws_net_free(&net);
    }
}

/* --- an import that has learnt --- */

static void train(struct ws_model *model)
{
    struct ws_err err = {0};
    struct ws_workers *workers = NULL;
    struct ws_exec *exec = NULL;
    struct ws_optim optim = {0};
    const struct ws_optim_options sgd = {.kind = WS_OPTIM_SGD, .momentum = 0.9};
    const struct ws_exec_options options = {.max_batch = BATCH, .backward = true};
    const int32_t labels[BATCH] = {0, 1, 2, 3, 4};
    const size_t image = (size_t)model->card.height * (size_t)model->card.width * (size_t)model->card.channels;
    double first = 0, loss = 0;
    check(ws_workers_open(&workers, 2, &err), &err);
    check(ws_exec_open(&exec, model->net, workers, &options, &err), &err);
    check(ws_optim_init(&optim, model->net, &sgd, &err), &err);
    for (int step = 0; step < 40; step++) {
        struct ws_rng rng;
        ws_rng_init(&rng, 4, WS_STREAM_TEST, 0, 0);
        for (size_t i = 0; i < BATCH * image; i++)
            ws_exec_input(exec)[i] = (float)ws_rng_normal(&rng);
        ws_exec_forward(exec, BATCH, WS_BN_TRAIN);
        loss = ws_loss_cross_entropy((struct ws_tap){exec, model->logits}, labels, 0, 1, NULL);
        first = step ? first : loss;
        ws_net_zero_gradients(model->net);
        ws_exec_backward(exec);
        ws_optim_step(&optim, model->net, 0.02);
    }
    assert_true(loss < 0.5 * first);
    ws_optim_fini(&optim);
    ws_exec_close(&exec);
    ws_workers_close(&workers);
}

/* Read, train, save, load, write again: the judges see it like any other. */
static void add_trained_case(const char *name)
{
    struct ws_err err = {0};
    struct ws_model *model = NULL, *loaded = NULL;
    char path[160], again[64], *classes[] = {"a", "b", "c", "d", "e"};
    const struct ws_card fallback = {.classes = classes, .n_classes = 5, .mean = {.5F, .5F, .5F}, .std = {1, 1, 1}};
    snprintf(path, sizeof path, "%s/%s.onnx", folder, name);
    check(ws_model_import_onnx(&model, path, &fallback, &err), &err);
    train(model);
    snprintf(path, sizeof path, "%s/%s_trained_model.safetensors", folder, name);
    check(ws_model_save(model, path, &err), &err);
    check(ws_model_load(&loaded, path, NULL, &err), &err);
    snprintf(again, sizeof again, "%s_trained", name);
    add_case(again, loaded->net, 16, loaded->logits, NULL, NULL);
    ws_model_free(&loaded);
    ws_model_free(&model);
}

static int write_cases(void **state)
{
    (void)state;
    struct ws_err err = {0};
    if (ws_dir_make("build/tmp", &err) != WS_OK)
        return -1;
    snprintf(folder, sizeof folder, "build/tmp/onnx-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    add_zoo_case("resnet8_plain", "resnet8", 28, 1, 13, false);
    add_zoo_case("resnet8_folded_normalised", "resnet8", 28, 3, 17, true);
    add_zoo_case("resnet20_plain", "resnet20", 32, 3, 15, false);
    add_zoo_case("resnet18_torchvision_stem", "resnet18", 96, 3, 16, true);
    add_odd_cases();
    add_op_cases();
    add_trained_case("inverted_residual");
    add_trained_case("dense_block");
    return 0;
}

static int remove_cases(void **state)
{
    (void)state;
    struct ws_dir_list list = {0};
    struct ws_err err = {0};
    if (ws_dir_list_open(&list, folder, "", &err) != WS_OK)
        return -1;
    for (size_t i = 0; i < list.n; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", folder, list.names[i]);
        unlink(path);
    }
    ws_dir_list_close(&list);
    return rmdir(folder);
}

/* Exit status of a judge; its output goes to ours. */
static int judge(const char *command, const char *arguments)
{
    char line[17000];
    snprintf(line, sizeof line, "%s%s", command, arguments);
    fflush(NULL);
    const int status = system(line);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 127)
        print_message("skipped: \"%s\" could not be started\n", command);
    return WEXITSTATUS(status) == 127 ? SKIPPED : WEXITSTATUS(status);
}

static void onnx_checker_accepts_every_model(void **state)
{
    (void)state;
    const int status = judge("/usr/bin/python3 tests/format/onnx_check.py", models);
    if (status == SKIPPED)
        skip();
    assert_int_equal(status, 0);
}

static void onnxruntime_gives_our_logits(void **state)
{
    (void)state;
    const int status = judge("node tests/format/onnx_check.mjs", pairs);
    if (status == SKIPPED)
        skip();
    assert_int_equal(status, 0);
}

/* --- and what we make of them ourselves --- */

/* The stored batch through a model; the largest difference relative to the largest logit. */
static double run_stored(struct ws_model *model, const struct ws_tensors *batch, struct ws_workers *workers, bool fold)
{
    struct ws_err err = {0};
    struct ws_predictor predictor = {0};
    const float *images = ws_tensors_find(batch, "input")->data, *expected = ws_tensors_find(batch, "logits")->data;
    const struct ws_card *card = &model->card;
    const size_t pixels = (size_t)card->height * (size_t)card->width, channels = (size_t)card->channels;
    check(ws_predictor_open(&predictor, model, workers, BATCH, fold, &err), &err);
    for (size_t i = 0; i < BATCH; i++)
        for (size_t c = 0; c < channels; c++)
            for (size_t p = 0; p < pixels; p++)
                ws_exec_input(predictor.exec)[(i * pixels + p) * channels + c] =
                    images[(i * channels + c) * pixels + p];
    ws_predictor_forward(&predictor, BATCH);
    const float *found = ws_exec_value(predictor.exec, predictor.model->logits);
    double largest = 0, worst = 0;
    for (size_t i = 0; i < BATCH * (size_t)card->n_classes; i++) {
        largest = fmax(largest, fabs((double)expected[i]));
        worst = fmax(worst, fabs((double)found[i] - (double)expected[i]));
    }
    ws_predictor_close(&predictor);
    return worst / largest;
}

static void every_model_comes_back_through_import_and_file(void **state)
{
    (void)state;
    struct ws_err err = {0};
    struct ws_workers *workers = NULL;
    char list[sizeof pairs], *next = list, file[160];
    memcpy(list, pairs, sizeof list);
    snprintf(file, sizeof file, "%s/imported.safetensors", folder);
    check(ws_workers_open(&workers, 2, &err), &err);
    for (char *path; (path = strtok_r(NULL, " ", &next)) != NULL;) {
        const char *batch_path = strtok_r(NULL, " ", &next);
        struct ws_tensors *batch = NULL;
        struct ws_model *model = NULL, *loaded = NULL;
        check(ws_tensors_open(&batch, batch_path, &err), &err);
        char *classes[16] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
        const struct ws_card fallback = {.classes = classes,
                                         .n_classes = (int)ws_tensors_find(batch, "logits")->shape[1],
                                         .mean = {.5F, .5F, .5F},
                                         .std = {1, 1, 1}};
        check(ws_model_import_onnx(&model, path, &fallback, &err), &err);
        const double imported = run_stored(model, batch, workers, false),
                     folded = run_stored(model, batch, workers, true);
        check(ws_model_save(model, file, &err), &err);
        check(ws_model_load(&loaded, file, NULL, &err), &err);
        const double again = run_stored(loaded, batch, workers, false);
        if (!(imported <= 1e-5 && folded <= 1e-5 && again <= 1e-5))
            fail_msg("%s: logits differ by %g imported, %g folded, %g from its file", path, imported, folded, again);
        ws_model_free(&loaded);
        ws_model_free(&model);
        ws_tensors_close(&batch);
    }
    ws_workers_close(&workers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(onnx_checker_accepts_every_model),
        cmocka_unit_test(onnxruntime_gives_our_logits),
        cmocka_unit_test(every_model_comes_back_through_import_and_file),
    };
    return cmocka_run_group_tests_name("ONNX elsewhere", tests, write_cases, remove_cases);
}
