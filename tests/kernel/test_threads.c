/* 1, 2, 3 and 8 threads give the same bytes: values, gradients, running statistics and ten training steps. */
#include "webstill/base/rng.h"
#include "webstill/nn/exec.h"
#include "webstill/nn/loss.h"
#include "webstill/nn/optim.h"
#include "webstill/nn/zoo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SIDE = 28, CLASSES = 10 };

static void check(enum ws_status status, const struct ws_err *err)
{
    if (status != WS_OK)
        fail_msg("%s", err->text);
}

/* What one run leaves behind. */
struct outcome {
    size_t n_values, n_logits, n_input;
    float *logits, *frozen_logits, *gradients, *input_gradient, *values;
};

static float *copy(const float *from, size_t n)
{
    float *to = malloc(n * sizeof *to);
    assert_non_null(to);
    return memcpy(to, from, n * sizeof *to);
}

static void fill(float *values, size_t n, uint32_t what)
{
    struct ws_rng rng;
    ws_rng_init(&rng, 2, WS_STREAM_TEST, what, 0);
    for (size_t i = 0; i < n; i++)
        values[i] = (float)ws_rng_normal(&rng);
}

static float *frozen_logits(const struct ws_net *net, struct ws_workers *workers, int batch, size_t n_input)
{
    struct ws_err err = {0};
    struct ws_net *folded = NULL;
    struct ws_exec *exec = NULL;
    check(ws_net_fold(&folded, net, NULL, &err), &err);
    const struct ws_exec_options options = {.max_batch = batch};
    check(ws_exec_open(&exec, folded, workers, &options, &err), &err);
    fill(ws_exec_input(exec), n_input, 99);
    ws_exec_forward(exec, batch, WS_BN_EVAL);
    float *logits = copy(ws_exec_value(exec, folded->n_nodes - 1), (size_t)batch * CLASSES);
    ws_exec_close(&exec);
    ws_net_free(&folded);
    return logits;
}

static struct outcome run(const char *arch, int n_threads, int batch, int channels, int n_steps)
{
    struct ws_err err = {0};
    struct ws_net *net = NULL;
    struct ws_zoo_taps taps;
    struct ws_workers *workers = NULL;
    struct ws_exec *exec = NULL;
    struct ws_optim optim;
    check(ws_workers_open(&workers, n_threads, &err), &err);
    assert_int_equal(ws_workers_count(workers), n_threads);
    check(ws_zoo_build(&net, &taps, arch, SIDE, SIDE, channels, CLASSES, &err), &err);
    check(ws_net_alloc(net, &err), &err);
    check(ws_net_alloc_gradients(net, &err), &err);
    ws_net_init(net, 1);
    const struct ws_optim_options sgd = {.momentum = 0.9, .weight_decay = 5e-4, .nesterov = true};
    check(ws_optim_init(&optim, net, &sgd, &err), &err);
    const struct ws_exec_options options = {.max_batch = batch, .backward = true, .input_gradient = true};
    check(ws_exec_open(&exec, net, workers, &options, &err), &err);

    struct outcome out = {.n_values = net->n_values,
                          .n_logits = (size_t)batch * CLASSES,
                          .n_input = (size_t)batch * SIDE * SIDE * (size_t)channels};
    int32_t *labels = calloc((size_t)batch, sizeof *labels);
    assert_non_null(labels);
    for (int step = 0; step < n_steps; step++) {
        fill(ws_exec_input(exec), out.n_input, (uint32_t)step);
        for (int i = 0; i < batch; i++)
            labels[i] = (i + step) % CLASSES;
        ws_net_zero_gradients(net);
        ws_exec_forward(exec, batch, WS_BN_TRAIN);
        const double loss = ws_loss_cross_entropy((struct ws_tap){exec, taps.logits}, labels, 0.0, 1.0, NULL);
        assert_true(loss > 0.0 && loss < 100.0);
        ws_exec_backward(exec);
        if (step == 0) {
            out.logits = copy(ws_exec_value(exec, taps.logits), out.n_logits);
            out.gradients = copy(net->gradients, out.n_values);
            out.input_gradient = copy(ws_exec_input_gradient(exec), out.n_input);
        }
        ws_optim_step(&optim, net, 0.05);
    }
    out.values = copy(net->values, out.n_values);
    out.frozen_logits = frozen_logits(net, workers, batch, out.n_input);

    free(labels);
    ws_optim_fini(&optim);
    ws_exec_close(&exec);
    ws_net_free(&net);
    ws_workers_close(&workers);
    return out;
}

static void free_outcome(struct outcome *out)
{
    free(out->logits);
    free(out->frozen_logits);
    free(out->gradients);
    free(out->input_gradient);
    free(out->values);
}

static void check_threads(const char *arch, int batch, int channels, int n_steps)
{
    struct outcome one = run(arch, 1, batch, channels, n_steps);
    const int threads[] = {1, 2, 3, 8};
    for (int i = 0; i < 4; i++) {
        struct outcome many = run(arch, threads[i], batch, channels, n_steps);
        assert_memory_equal(many.logits, one.logits, one.n_logits * sizeof(float));
        assert_memory_equal(many.gradients, one.gradients, one.n_values * sizeof(float));
        assert_memory_equal(many.input_gradient, one.input_gradient, one.n_input * sizeof(float));
        assert_memory_equal(many.values, one.values, one.n_values * sizeof(float));
        assert_memory_equal(many.frozen_logits, one.frozen_logits, one.n_logits * sizeof(float));
        free_outcome(&many);
    }
    free_outcome(&one);
}

static void any_number_of_threads_gives_the_same_bytes(void **state)
{
    (void)state;
    check_threads("resnet8", 37, 1, 10);
}

static void few_images_over_many_threads_give_the_same_bytes(void **state)
{
    (void)state;
    check_threads("resnet8", 3, 3, 10);
}

static void deeper_networks_give_the_same_bytes(void **state)
{
    (void)state;
    check_threads("resnet20", 9, 1, 2);
}

/* Frozen networks run groups of images through their first steps; resnet18 goes on with the whole batch behind them. */
static void a_frozen_batch_gives_the_bytes_of_its_single_images(void **state)
{
    (void)state;
    static const char *const archs[] = {"resnet8", "resnet18"};
    enum { BATCH = 37 };
    for (int a = 0; a < 2; a++) {
        struct ws_err err = {0};
        struct ws_net *net = NULL;
        struct ws_zoo_taps taps;
        struct ws_workers *workers = NULL;
        struct ws_exec *many = NULL, *one = NULL;
        check(ws_workers_open(&workers, 2, &err), &err);
        check(ws_zoo_build(&net, &taps, archs[a], SIDE, SIDE, 1, CLASSES, &err), &err);
        check(ws_net_alloc(net, &err), &err);
        ws_net_init(net, 5);
        const int wanted[] = {taps.features, taps.pooled};
        const struct ws_exec_options options = {.max_batch = BATCH, .taps = wanted, .n_taps = 2};
        const struct ws_exec_options single = {.max_batch = 1, .taps = wanted, .n_taps = 2};
        check(ws_exec_open(&many, net, workers, &options, &err), &err);
        check(ws_exec_open(&one, net, workers, &single, &err), &err);
        const size_t n_image = (size_t)SIDE * SIDE;
        const struct ws_node *map = &net->nodes[taps.features];
        const size_t n_map = (size_t)map->height * (size_t)map->width * (size_t)map->channels;
        fill(ws_exec_input(many), BATCH * n_image, 7);
        ws_exec_forward(many, BATCH, WS_BN_EVAL);
        for (size_t i = 0; i < BATCH; i++) {
            memcpy(ws_exec_input(one), ws_exec_input(many) + i * n_image, n_image * sizeof(float));
            ws_exec_forward(one, 1, WS_BN_EVAL);
            assert_memory_equal(ws_exec_value(one, taps.features), ws_exec_value(many, taps.features) + i * n_map,
                                n_map * sizeof(float));
            assert_memory_equal(ws_exec_value(one, taps.pooled),
                                ws_exec_value(many, taps.pooled) + i * (size_t)map->channels,
                                (size_t)map->channels * sizeof(float));
        }
        ws_exec_close(&many);
        ws_exec_close(&one);
        ws_net_free(&net);
        ws_workers_close(&workers);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_number_of_threads_gives_the_same_bytes),
        cmocka_unit_test(few_images_over_many_threads_give_the_same_bytes),
        cmocka_unit_test(deeper_networks_give_the_same_bytes),
        cmocka_unit_test(a_frozen_batch_gives_the_bytes_of_its_single_images),
    };
    return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}
