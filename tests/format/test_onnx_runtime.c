/*
 * What others make of our ONNX files: onnx's checker (python3-onnx) and onnxruntime (node) read models of several
 * kinds; the runtime's logits must be ours. Either judge is skipped, with a message, when it is not installed.
 */
#include "webstill/base/file.h"
#include "webstill/base/rng.h"
#include "webstill/nn/exec.h"
#include "webstill/nn/onnx.h"
#include "webstill/nn/zoo.h"
#include "webstill/store/tensors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { BATCH = 5, SKIPPED = 77 };

static char folder[64];
static char models[4096], pairs[8192]; /* arguments of the two judges */

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
                        struct ws_pool *pool)
{
    struct ws_err err = {0};
    struct ws_exec *exec = NULL;
    const struct ws_node *in = &net->nodes[0];
    const size_t pixels = (size_t)in->height * (size_t)in->width, channels = (size_t)in->channels;
    const size_t n = BATCH * pixels * channels;
    float *images = malloc(n * sizeof *images);
    assert_non_null(images);
    const struct ws_exec_options exec_options = {.max_batch = BATCH, .taps = &options->output, .n_taps = 1};
    check(ws_exec_open(&exec, net, pool, &exec_options, &err), &err);

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
    struct ws_pool *pool = NULL;
    struct ws_buf buf = {0};
    char model[128], batch[128];
    const struct ws_onnx_option metadata[] = {{"classes", "[\"shirt\",\"bag\"]"}};
    const struct ws_onnx_options options = {
        .opset = opset, .output = output, .mean = mean, .std = std, .metadata = metadata, .n_metadata = 1};
    snprintf(model, sizeof model, "%s/%s.onnx", folder, name);
    snprintf(batch, sizeof batch, "%s/%s.safetensors", folder, name);
    check(ws_pool_open(&pool, 2, &err), &err);
    check(ws_onnx_write(net, &options, &buf, &err), &err);
    check(ws_file_replace(model, buf.ptr, buf.len, &err), &err);
    write_batch(batch, net, &options, pool);
    append(models, sizeof models, model);
    append(pairs, sizeof pairs, model);
    append(pairs, sizeof pairs, batch);
    ws_buf_fini(&buf);
    ws_pool_close(&pool);
}

/* Weights from a seed; running statistics away from 0 and 1, so that a wrong BatchNorm shows. */
static void randomise(struct ws_net *net)
{
    ws_net_init(net, 8);
    for (int i = 0; i < net->n_params; i++) {
        const struct ws_param *param = &net->params[i];
        if (param->rank != 1)
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
    char line[9000];
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(onnx_checker_accepts_every_model),
        cmocka_unit_test(onnxruntime_gives_our_logits),
    };
    return cmocka_run_group_tests_name("ONNX elsewhere", tests, write_cases, remove_cases);
}
