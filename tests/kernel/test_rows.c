/*
 * An image's values do not depend on the batch it comes in: batches of 1 to 300 against their single images, byte for
 * byte, on each table of kernels that this processor runs and, in processes of their own, on each of OpenBLAS's that it
 * runs.
 */
#include "../../distill/nn/cpu/exec_int.h"
#include "webstill/base/rng.h"
#include "webstill/nn/blas.h"
#include "webstill/nn/zoo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void check(enum ws_status status, const struct ws_err *err)
{
    if (status != WS_OK)
        fail_msg("%s", err->text);
}

/* --- networks --- */

/* Small maps through the ways that a convolution has, and a classifier: direct, Winograd, 1x1, depthwise, patches (5x5,
   and in two groups), and a grouped 1x1. */
static struct ws_net *all_ways(int n_classes)
{
    struct ws_net *net = ws_net_new(6, 6, 3);
    assert_non_null(net);
    int x = ws_net_conv(net, "direct", 0, 16, (struct ws_window)WS_SQUARE(3, 1, 1), false);
    x = ws_net_relu(net, "relu1", ws_net_batchnorm(net, "bn1", x));
    const int shortcut = x;
    x = ws_net_conv(net, "winograd", x, 16, (struct ws_window)WS_SQUARE(3, 1, 1), false);
    x = ws_net_add(net, "add", ws_net_batchnorm(net, "bn2", x), shortcut);
    x = ws_net_conv(net, "point", ws_net_relu(net, "relu2", x), 18, (struct ws_window)WS_SQUARE(1, 1, 0), true);
    x = ws_net_unary(net, WS_OP_HARD_SWISH, "swish", x, 0, 0);
    x = ws_net_conv_grouped(net, "depthwise", x, 18, (struct ws_window)WS_SQUARE(3, 1, 1), 18, false);
    x = ws_net_unary(net, WS_OP_CLIP, "relu6", ws_net_batchnorm(net, "bn3", x), 0, 6);
    x = ws_net_conv_grouped(net, "grouped", x, 22, (struct ws_window)WS_SQUARE(3, 2, 1), 2, true);
    x = ws_net_conv_grouped(net, "grouped_point", x, 26, (struct ws_window)WS_SQUARE(1, 1, 0), 2, true);
    x = ws_net_conv(net, "patches", x, 37, (struct ws_window)WS_SQUARE(5, 1, 2), false);
    x = ws_net_relu(net, "relu4", ws_net_batchnorm(net, "bn4", x));
    ws_net_gemm(net, "fc", x, n_classes, true);
    return net;
}

/* Linear layers alone: the last one of 257 terms, more than are summed at a time. */
static struct ws_net *linear(int n_classes)
{
    struct ws_net *net = ws_net_new(1, 1, 31);
    assert_non_null(net);
    ws_net_gemm(net, "fc2", ws_net_relu(net, "relu", ws_net_gemm(net, "fc1", 0, 257, false)), n_classes, true);
    return net;
}

/* Wide maps: Winograd's other form, and patches of 576 and 720 terms. */
static struct ws_net *wide(int n_classes)
{
    struct ws_net *net = ws_net_new(8, 8, 64);
    assert_non_null(net);
    int x = ws_net_conv(net, "winograd", 0, 80, (struct ws_window)WS_SQUARE(3, 1, 1), true);
    x = ws_net_conv(net, "patches", ws_net_relu(net, "relu1", x), 136, (struct ws_window)WS_SQUARE(3, 2, 1), true);
    x = ws_net_conv(net, "point", ws_net_relu(net, "relu2", x), 40, (struct ws_window)WS_SQUARE(1, 2, 0), true);
    ws_net_gemm(net, "fc", x, n_classes, true);
    return net;
}

static struct ws_net *from_zoo(const char *arch, int side, int channels, int n_classes)
{
    struct ws_err err = {0};
    struct ws_net *net = NULL;
    struct ws_zoo_taps taps;
    check(ws_zoo_build(&net, &taps, arch, side, side, channels, n_classes, &err), &err);
    return net;
}

/* --- batches against single images --- */

struct execs {
    struct ws_exec *many, *one;
    const char *what;
    size_t n_in, n_out;
    int last;
};

static size_t node_floats(const struct ws_net *net, int node)
{
    const struct ws_node *n = &net->nodes[node];
    return (size_t)n->height * (size_t)n->width * (size_t)n->channels;
}

static float *take(size_t n)
{
    float *p = malloc(n * sizeof *p);
    assert_non_null(p);
    return p;
}

/* Batches of 1, 1 + step, … most images. */
static void compare_batches(const struct execs *e, int step, int most)
{
    float *singles = take((size_t)most * e->n_out), *images = ws_exec_input(e->many);
    struct ws_rng rng;
    ws_rng_init(&rng, 3, WS_STREAM_TEST, 0, 0);
    for (size_t i = 0; i < (size_t)most * e->n_in; i++)
        images[i] = (float)ws_rng_normal(&rng);
    for (size_t i = 0; i < (size_t)most; i++) {
        memcpy(ws_exec_input(e->one), images + i * e->n_in, e->n_in * sizeof(float));
        ws_exec_forward(e->one, 1, WS_BN_EVAL);
        memcpy(singles + i * e->n_out, ws_exec_value(e->one, e->last), e->n_out * sizeof(float));
    }
    for (int batch = 1; batch <= most; batch += step) {
        ws_exec_forward(e->many, batch, WS_BN_EVAL);
        const float *values = ws_exec_value(e->many, e->last);
        for (size_t i = 0; i < (size_t)batch * e->n_out; i++)
            if (memcmp(&values[i], &singles[i], sizeof *values) != 0)
                fail_msg("%s, %s kernels, OpenBLAS's %s: image %zu of %d: value %zu is %.9g, alone %.9g", e->what,
                         e->many->view.kernels->name, ws_blas_core(), i / e->n_out, batch, i % e->n_out,
                         (double)values[i], (double)singles[i]);
    }
    free(singles);
}

/* One network as it is trained, or folded and frozen. */
static void compare_form(const char *what, struct ws_net *net, struct ws_workers *workers,
                         const struct ws_kernels *kernels, bool backward, int step, int most)
{
    struct ws_err err = {0};
    const struct ws_exec_options many = {.max_batch = most, .backward = backward},
                                 one = {.max_batch = 1, .backward = backward};
    struct execs e = {.what = what, .n_in = node_floats(net, 0), .last = net->n_nodes - 1};
    e.n_out = node_floats(net, e.last);
    check(ws_exec_open(&e.many, net, workers, &many, &err), &err);
    check(ws_exec_open(&e.one, net, workers, &one, &err), &err);
    e.many->view.kernels = e.one->view.kernels = kernels;
    compare_batches(&e, step, most);
    ws_exec_close(&e.many);
    ws_exec_close(&e.one);
}

static void compare(const char *what, struct ws_net *net, const struct ws_kernels *kernels, int step, int most)
{
    struct ws_err err = {0};
    struct ws_workers *workers = NULL;
    struct ws_net *folded = NULL;
    check(ws_net_alloc(net, &err), &err);
    ws_net_init(net, 4);
    check(ws_net_fold(&folded, net, NULL, &err), &err);
    check(ws_workers_open(&workers, 2, &err), &err);
    compare_form(what, net, workers, kernels, true, 3 * step, most);
    compare_form(what, folded, workers, kernels, false, step, most);
    ws_net_free(&folded);
    ws_net_free(&net);
    ws_workers_close(&workers);
}

static void compare_small(const struct ws_kernels *kernels, int most)
{
    compare("all ways, 7 classes", all_ways(7), kernels, 1, most);
    compare("linear, 10 classes", linear(10), kernels, 1, most);
    compare("linear, 1000 classes", linear(1000), kernels, 7, most);
    compare("wide maps", wide(101), kernels, 43, most);
}

/* --- tests --- */

static const char *const tables[] = {"plain", "avx2", "avx512"};
enum { N_TABLES = sizeof tables / sizeof *tables };

static void every_table_gives_the_bytes_of_single_images(void **state)
{
    (void)state;
    for (int t = 0; t < N_TABLES; t++)
        if (ws_kernels_find(tables[t]))
            compare_small(ws_kernels_find(tables[t]), 300);
}

static void networks_of_the_zoo_give_the_bytes_of_single_images(void **state)
{
    (void)state;
    for (int t = 0; t < N_TABLES; t++) {
        const struct ws_kernels *kernels = ws_kernels_find(tables[t]);
        if (!kernels)
            continue;
        compare("resnet8", from_zoo("resnet8", 28, 1, 10), kernels, 9, 46);
        compare("lenet", from_zoo("lenet", 28, 1, 10), kernels, 9, 55);
        compare("mobilenetv2", from_zoo("mobilenetv2", 16, 3, 7), kernels, 8, 17);
        compare("vgg8", from_zoo("vgg8", 16, 3, 100), kernels, 8, 17);
    }
}

/* OpenBLAS's kernels are chosen when it is loaded. */
static int run_child(const char *core)
{
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char *const argv[] = {"test_rows", "--small", NULL};
        setenv("OPENBLAS_CORETYPE", core, 1);
        execv("/proc/self/exe", argv);
        _exit(127);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void every_core_of_the_matrix_library_gives_the_bytes_of_single_images(void **state)
{
    (void)state;
#if defined(__x86_64__)
    const bool avx = __builtin_cpu_supports("avx"), avx2 = ws_kernels_find("avx2"), avx512 = ws_kernels_find("avx512");
    const struct {
        const char *name;
        bool runs;
    } cores[] = {{"Prescott", true}, {"Nehalem", true}, {"Sandybridge", avx},
                 {"Haswell", avx2},  {"Zen", avx2},     {"SkylakeX", avx512}};
    for (size_t i = 0; i < sizeof cores / sizeof *cores; i++)
        if (cores[i].runs && run_child(cores[i].name) != 0)
            fail_msg("on OpenBLAS's %s kernels batches are not their single images (see above)", cores[i].name);
#else
    skip();
#endif
}

static void the_asked_for_core_runs(void **state)
{
    (void)state;
    if (strcasecmp(ws_blas_core(), getenv("OPENBLAS_CORETYPE")) != 0)
        skip(); /* a library built for one processor */
    compare_small(ws_kernels_get(), 87);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest child[] = {
        cmocka_unit_test(the_asked_for_core_runs),
    };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_table_gives_the_bytes_of_single_images),
        cmocka_unit_test(networks_of_the_zoo_give_the_bytes_of_single_images),
        cmocka_unit_test(every_core_of_the_matrix_library_gives_the_bytes_of_single_images),
    };
    if (argc == 2 && strcmp(argv[1], "--small") == 0)
        return cmocka_run_group_tests_name("rows, one core", child, NULL, NULL);
    return cmocka_run_group_tests_name("rows", tests, NULL, NULL);
}
