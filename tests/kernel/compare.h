/* A network in the engine and in its double twin, forward and backward, with every table of kernels: what
 * test_kernels.c and test_ops.c share. */
#ifndef WEBSTILL_TESTS_COMPARE_H
#define WEBSTILL_TESTS_COMPARE_H

#include "reference.h"

#include "../../distill/nn/cpu/exec_int.h" /* to choose the table of kernels */

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* The most by which a float sum may differ from the double one, relative to the sum of its terms' sizes. */
static const double tolerance = 1e-5;

static inline void check(enum ws_status status, const struct ws_err *err)
{
    if (status != WS_OK)
        fail_msg("%s", err->text);
}

static inline uint32_t below(struct ws_rng *rng, uint32_t n)
{
    return ws_rng_below(rng, n);
}

static inline int pick(struct ws_rng *rng, const int *from, uint32_t n)
{
    return from[below(rng, n)];
}

/* --- one comparison --- */

struct comparison {
    const struct ws_net *net;
    const char *what;
    const struct ws_kernels *kernels;
    int trial;
};

/* |found - expected| <= tolerance * size, where size is the same sum over absolute values. */
static inline void compare(const struct comparison *c, const char *of, const float *found, const real *expected,
                           const real *size, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const double difference = fabs((double)found[i] - (double)expected[i]);
        if (!(difference <= tolerance * (double)size[i] + 1e-30))
            fail_msg("%s (%s), trial %d, input %dx%dx%d: %s[%zu] is %.9g, expected %.9g (terms' size %.3g)", c->what,
                     c->kernels->name, c->trial, c->net->nodes[0].height, c->net->nodes[0].width,
                     c->net->nodes[0].channels, of, i, (double)found[i], (double)expected[i], (double)size[i]);
    }
}

static inline void make_absolute(real *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        values[i] = fabs(values[i]);
}

/* For linear ops: the twin run on absolute values gives the size of each sum. */
static inline struct reference *run_sizes(const struct ws_net *net, const struct reference *r, const float *seed)
{
    struct reference *s = reference_open(net, r->batch);
    const int last = net->n_nodes - 1;
    const size_t n_in = (size_t)r->batch * reference_size(net, 0), n_out = (size_t)r->batch * reference_size(net, last);
    for (size_t i = 0; i < n_in; i++)
        s->value[0][i] = fabs(r->value[0][i]);
    for (int i = 0; i < net->n_params; i++)
        make_absolute(s->param[i], net->params[i].n);
    reference_forward(s, r->mode);
    for (size_t i = 0; i < n_out; i++)
        s->gradient[last][i] = fabs((double)seed[i]);
    reference_backward(s);
    return s;
}

/* BatchNorm subtracts what it has summed: the largest value of the tensor is the yardstick there. */
static inline void use_largest(const real *expected, real *size, size_t n)
{
    real largest = 0;
    for (size_t i = 0; i < n; i++)
        largest = fmax(largest, fabs(expected[i]));
    for (size_t i = 0; i < n; i++)
        size[i] = largest;
}

static const float canary = 12345.678F;

/* Write a canary into the gaps between parameters; `check_gaps` says whether one was touched. */
static inline void fill_gaps(const struct ws_net *net, float *array)
{
    size_t end = 0;
    for (int i = 0; i <= net->n_params; i++) {
        const size_t begin = i < net->n_params ? net->params[i].offset : net->n_values;
        for (size_t k = end; k < begin; k++)
            array[k] = canary;
        if (i < net->n_params)
            end = begin + net->params[i].n;
    }
}

static inline void check_gaps(const struct comparison *c, const float *array)
{
    size_t end = 0;
    for (int i = 0; i <= c->net->n_params; i++) {
        const size_t begin = i < c->net->n_params ? c->net->params[i].offset : c->net->n_values;
        for (size_t k = end; k < begin; k++)
            if (array[k] < canary || array[k] > canary)
                fail_msg("%s (%s), trial %d: wrote between parameters, at %zu", c->what, c->kernels->name, c->trial, k);
        if (i < c->net->n_params)
            end = begin + c->net->params[i].n;
    }
}

/*
 * Forward and backward of `net` in both worlds. The exec has room for two more images than the batch, filled with NaN:
 * none of them may show. Parameter gradients begin at 1, because backward adds.
 */
static inline void compare_network(struct comparison c, struct ws_net *net, struct ws_workers *workers, int batch,
                                   enum ws_bn_mode mode, bool is_linear)
{
    struct ws_err err = {0};
    struct ws_exec *exec = NULL;
    const int last = net->n_nodes - 1;
    const size_t in_size = reference_size(net, 0), out_size = reference_size(net, last);
    const size_t n_in = (size_t)batch * in_size, n_out = (size_t)batch * out_size;
    const uint64_t seed = (uint64_t)c.trial;
    c.net = net;

    check(ws_net_alloc(net, &err), &err);
    check(ws_net_alloc_gradients(net, &err), &err);
    reference_randomise(net, seed);
    const struct ws_exec_options options = {.max_batch = batch + 2, .backward = true, .input_gradient = true};
    check(ws_exec_open(&exec, net, workers, &options, &err), &err);
    exec->view.kernels = c.kernels;

    float *input = ws_exec_input(exec), *weights = reference_take(n_out, sizeof *weights);
    float *kept = reference_take(n_in, sizeof *kept);
    reference_fill(input, n_in, seed, 1);
    reference_fill(weights, n_out, seed, 2);
    for (size_t i = n_in; i < n_in + 2 * in_size; i++)
        input[i] = NAN;
    memcpy(kept, input, n_in * sizeof *kept);

    struct reference *r = reference_open(net, batch);
    for (size_t i = 0; i < n_in; i++)
        r->value[0][i] = (real)input[i];
    reference_forward(r, mode);
    for (size_t i = 0; i < n_out; i++)
        r->gradient[last][i] = (real)weights[i];
    reference_backward(r);
    struct reference *s = run_sizes(net, r, weights);

    for (size_t k = 0; k < net->n_values; k++)
        net->gradients[k] = 1.0F;
    fill_gaps(net, net->gradients);
    ws_exec_forward(exec, batch, mode);
    if (!is_linear)
        use_largest(r->value[last], s->value[last], n_out);
    compare(&c, "output", ws_exec_value(exec, last), r->value[last], s->value[last], n_out);
    float *to = ws_exec_output_gradient(exec, last);
    for (size_t i = 0; i < n_out; i++)
        to[i] += weights[i];
    ws_exec_backward(exec);

    if (!is_linear)
        use_largest(r->gradient[0], s->gradient[0], n_in);
    compare(&c, "input gradient", ws_exec_input_gradient(exec), r->gradient[0], s->gradient[0], n_in);
    assert_memory_equal(ws_exec_input(exec), kept, n_in * sizeof *kept);
    for (int i = 0; i < net->n_params; i++) {
        const size_t n = net->params[i].n;
        float *found = reference_take(n, sizeof *found);
        if (net->params[i].is_buffer) {
            ws_net_get(net, i, found, n);
            use_largest(r->param[i], s->param[i], n);
            compare(&c, net->params[i].name, found, r->param[i], s->param[i], n);
        } else if (mode != WS_BN_EVAL || is_linear) {
            ws_net_get_gradient(net, i, found, n);
            for (size_t k = 0; k < n; k++) {
                r->param_gradient[i][k] += 1;
                s->param_gradient[i][k] += 1;
            }
            if (!is_linear)
                use_largest(r->param_gradient[i], s->param_gradient[i], n);
            compare(&c, net->params[i].name, found, r->param_gradient[i], s->param_gradient[i], n);
        }
        free(found);
    }
    check_gaps(&c, net->gradients);

    free(kept);
    free(weights);
    reference_close(r);
    reference_close(s);
    ws_exec_close(&exec);
}

/* --- random shapes --- */

static const int channel_counts[] = {1, 2, 3, 5, 8, 16, 17, 33, 70};
enum { N_CHANNEL_COUNTS = sizeof channel_counts / sizeof *channel_counts };

typedef struct ws_net *build_fn(struct ws_rng *rng);

/* The tables to test: by name, as far as this processor goes. */
static const char *const tables[] = {"plain", "avx2", "avx512"};
enum { N_TABLES = sizeof tables / sizeof *tables };

static inline void run_table(const char *what, build_fn *build, int n_trials, enum ws_bn_mode mode, bool is_linear,
                             const struct ws_kernels *kernels)
{
    struct ws_err err = {0};
    struct ws_workers *workers = NULL;
    check(ws_workers_open(&workers, 2, &err), &err);
    for (int trial = 0; trial < n_trials; trial++) {
        struct ws_rng rng;
        ws_rng_init(&rng, 7, WS_STREAM_TEST, (uint32_t)trial, (uint32_t)strlen(what));
        struct ws_net *net = build(&rng);
        const int batch = mode == WS_BN_TRAIN && !is_linear ? 2 + (int)below(&rng, 5) : 1 + (int)below(&rng, 5);
        compare_network((struct comparison){.what = what, .kernels = kernels, .trial = trial}, net, workers, batch,
                        mode, is_linear);
        ws_net_free(&net);
    }
    ws_workers_close(&workers);
}

static inline void run_trials(const char *what, build_fn *build, int n_trials, enum ws_bn_mode mode, bool is_linear)
{
    for (int i = 0; i < N_TABLES; i++)
        if (ws_kernels_find(tables[i]))
            run_table(what, build, n_trials, mode, is_linear, ws_kernels_find(tables[i]));
}

static inline struct ws_net *new_net(struct ws_rng *rng, int max_side, int max_channels)
{
    int channels = pick(rng, channel_counts, N_CHANNEL_COUNTS);
    if (channels > max_channels)
        channels = max_channels;
    struct ws_net *net =
        ws_net_new(1 + (int)below(rng, (uint32_t)max_side), 1 + (int)below(rng, (uint32_t)max_side), channels);
    assert_non_null(net);
    return net;
}

/* A window that fits the map: kernel 1, 2, 3, 5 or 7, stride 1 to 3, any legal padding. */
static inline struct ws_window pick_window(struct ws_rng *rng, int height, int width)
{
    static const int kernels[] = {1, 1, 2, 3, 3, 3, 5, 7};
    for (;;) {
        const int kernel = pick(rng, kernels, 8), stride = 1 + (int)below(rng, 3),
                  pad = (int)below(rng, (uint32_t)kernel);
        const struct ws_window w = WS_SQUARE(kernel, stride, pad);
        if (kernel <= height + 2 * pad && kernel <= width + 2 * pad)
            return w;
    }
}

#endif
