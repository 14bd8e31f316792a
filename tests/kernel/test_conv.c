/*
 * Convolution in its generality against the plain double twin: groups, one channel a group, rectangular windows,
 * dilation, padding that differs from edge to edge; one image, odd sizes, canaries, and each table of kernels that this
 * processor can run.
 */
#include "reference.h"

#include "../../distill/nn/cpu/exec_int.h" /* to choose the table of kernels, */
#include "../../distill/nn/op/conv_int.h"  /* and the way */

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const double tolerance = 1e-5; /* of a float sum, relative to the sum of its terms' sizes */
static const float canary = 12345.678F;

static void check(enum ws_status status, const struct ws_err *err)
{
    if (status != WS_OK)
        fail_msg("%s", err->text);
}

static int pick(struct ws_rng *rng, int least, int most)
{
    return least + (int)ws_rng_below(rng, (uint32_t)(most - least + 1));
}

/* --- one comparison --- */

struct comparison {
    struct ws_net *net;
    const char *what;
    const struct ws_kernels *kernels;
    int trial;
    ws_plan_choose_fn *choose; /* NULL: as ever */
};

static void compare(const struct comparison *c, const char *of, const float *found, const real *expected,
                    const real *size, size_t n)
{
    const struct ws_node *in = &c->net->nodes[0], *conv = &c->net->nodes[1];
    const struct ws_window *w = &conv->conv.window;
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)found[i] - expected[i]) <= tolerance * size[i] + 1e-30))
            fail_msg("%s (%s), trial %d, input %dx%dx%d, %d outputs in %d groups, kernel %dx%d, stride %dx%d, dilation "
                     "%dx%d, "
                     "pads %d %d %d %d: %s[%zu] is %.9g, expected %.9g (terms' size %.3g)",
                     c->what, c->kernels->name, c->trial, in->height, in->width, in->channels, conv->channels,
                     conv->conv.groups, w->kernel[0], w->kernel[1], w->stride[0], w->stride[1], w->dilation[0],
                     w->dilation[1], w->pads[0], w->pads[1], w->pads[2], w->pads[3], of, i, (double)found[i],
                     expected[i], size[i]);
}

static void check_canaries(const struct comparison *c, const char *of, const float *array, size_t begin, size_t end)
{
    for (size_t i = begin; i < end; i++)
        if (array[i] < canary || array[i] > canary)
            fail_msg("%s (%s), trial %d: wrote beyond the %s, at %zu", c->what, c->kernels->name, c->trial, of,
                     i - begin);
}

/* The twin, with `seed` as the gradient of its last node; in absolute values it gives the size of each sum. */
static struct reference *run_twin(const struct comparison *c, int batch, const float *input, const float *seeds,
                                  bool is_absolute)
{
    struct reference *r = reference_open(c->net, batch);
    const int last = c->net->n_nodes - 1;
    const size_t n_in = (size_t)batch * reference_size(c->net, 0), n_out = (size_t)batch * reference_size(c->net, last);
    for (size_t i = 0; i < n_in; i++)
        r->value[0][i] = is_absolute ? fabs((double)input[i]) : (double)input[i];
    for (int i = 0; i < c->net->n_params; i++)
        for (size_t k = 0; is_absolute && k < c->net->params[i].n; k++)
            r->param[i][k] = fabs(r->param[i][k]);
    reference_forward(r, WS_BN_TRAIN);
    for (size_t i = 0; i < n_out; i++)
        r->gradient[last][i] = is_absolute ? fabs((double)seeds[i]) : (double)seeds[i];
    reference_backward(r);
    return r;
}

/* Forward without a backward behind it: groups of images, weights packed beforehand. */
static void compare_in_groups(const struct comparison *c, struct ws_workers *workers, int batch,
                              const struct reference *r, const struct reference *s)
{
    struct ws_err err = {0};
    struct ws_exec *exec = NULL;
    const int last = c->net->n_nodes - 1;
    const size_t n_in = (size_t)batch * reference_size(c->net, 0), n_out = (size_t)batch * reference_size(c->net, last);
    const struct ws_exec_options options = {.max_batch = batch};
    check(ws_exec_open_choosing(&exec, c->net, workers, &options, c->choose ? c->choose : ws_conv_choose, &err), &err);
    exec->view.kernels = c->kernels;
    reference_fill(ws_exec_input(exec), n_in, (uint64_t)c->trial, 1);
    ws_exec_forward(exec, batch, WS_BN_EVAL);
    compare(c, "output in groups", ws_exec_value(exec, last), r->value[last], s->value[last], n_out);
    ws_exec_close(&exec);
}

/*
 * Forward and backward in both worlds. The exec has room for two more images than the batch: in the input they hold
 * NaN, which may not show; behind the output and the input's gradient they hold canaries. Parameter gradients begin at
 * 1, because backward adds.
 */
static void compare_network(struct comparison c, struct ws_workers *workers, int batch)
{
    struct ws_err err = {0};
    struct ws_exec *exec = NULL;
    const int last = c.net->n_nodes - 1;
    const size_t in_size = reference_size(c.net, 0), out_size = reference_size(c.net, last);
    const size_t n_in = (size_t)batch * in_size, n_out = (size_t)batch * out_size;
    check(ws_net_alloc(c.net, &err), &err);
    check(ws_net_alloc_gradients(c.net, &err), &err);
    reference_randomise(c.net, (uint64_t)c.trial);
    const struct ws_exec_options options = {.max_batch = batch + 2, .backward = true, .input_gradient = true};
    check(ws_exec_open_choosing(&exec, c.net, workers, &options, c.choose ? c.choose : ws_conv_choose, &err), &err);
    exec->view.kernels = c.kernels;

    float *input = ws_exec_input(exec), *seeds = reference_take(n_out, sizeof *seeds);
    reference_fill(input, n_in, (uint64_t)c.trial, 1);
    reference_fill(seeds, n_out, (uint64_t)c.trial, 2);
    for (size_t i = 0; i < 2 * in_size; i++)
        input[n_in + i] = NAN;
    struct reference *r = run_twin(&c, batch, input, seeds, false), *s = run_twin(&c, batch, input, seeds, true);

    for (size_t k = 0; k < c.net->n_values; k++)
        c.net->gradients[k] = 1;
    for (size_t i = 0; i < 2 * out_size; i++)
        exec->memory.value[last][n_out + i] = canary;
    ws_exec_forward(exec, batch, WS_BN_TRAIN);
    compare(&c, "output", ws_exec_value(exec, last), r->value[last], s->value[last], n_out);
    check_canaries(&c, "output", ws_exec_value(exec, last), n_out, n_out + 2 * out_size);

    float *to = ws_exec_output_gradient(exec, last);
    for (size_t i = 0; i < n_out; i++)
        to[i] += seeds[i];
    for (size_t i = 0; i < 2 * in_size; i++)
        exec->memory.gradient[0][n_in + i] = canary;
    ws_exec_backward(exec);
    compare(&c, "input gradient", ws_exec_input_gradient(exec), r->gradient[0], s->gradient[0], n_in);
    check_canaries(&c, "input gradient", ws_exec_input_gradient(exec), n_in, n_in + 2 * in_size);
    for (int i = 0; i < c.net->n_params; i++) {
        const size_t n = c.net->params[i].n;
        float *found = reference_take(n, sizeof *found);
        ws_net_get_gradient(c.net, i, found, n);
        for (size_t k = 0; k < n; k++) {
            r->param_gradient[i][k] += 1;
            s->param_gradient[i][k] += 1;
        }
        compare(&c, c.net->params[i].name, found, r->param_gradient[i], s->param_gradient[i], n);
        free(found);
    }
    ws_exec_close(&exec);
    if (c.choose)
        compare_in_groups(&c, workers, batch, r, s);
    free(seeds);
    reference_close(r);
    reference_close(s);
}

/* --- random shapes --- */

typedef struct ws_net *build_fn(struct ws_rng *rng);

static const char *const tables[] = {"plain", "avx2", "avx512"};

static void run_trials(const char *what, build_fn *build, int n_trials)
{
    struct ws_err err = {0};
    struct ws_workers *workers = NULL;
    check(ws_workers_open(&workers, 2, &err), &err);
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
        for (int trial = 0; ws_kernels_find(tables[t]) && trial < n_trials; trial++) {
            struct ws_rng rng;
            ws_rng_init(&rng, 13, WS_STREAM_TEST, (uint32_t)trial, (uint32_t)strlen(what));
            struct ws_net *net = build(&rng);
            const int batch = pick(&rng, 1, 4);
            compare_network((struct comparison){net, what, ws_kernels_find(tables[t]), trial, NULL}, workers, batch);
            ws_net_free(&net);
        }
    ws_workers_close(&workers);
}

/* A window that fits the map, with each axis and each edge on its own. */
static struct ws_window any_window(struct ws_rng *rng, const int side[2])
{
    for (;;) {
        struct ws_window w;
        bool fits = true;
        for (int i = 0; i < 2; i++) {
            w.kernel[i] = pick(rng, 1, 5);
            w.stride[i] = pick(rng, 1, 3);
            w.dilation[i] = pick(rng, 1, 3);
            w.pads[i] = pick(rng, 0, 4);
            w.pads[i + 2] = pick(rng, 0, 4);
            fits &= (w.kernel[i] - 1) * w.dilation[i] + 1 <= side[i] + w.pads[i] + w.pads[i + 2];
        }
        if (fits)
            return w;
    }
}

/* A square window without holes, as the fast paths want it. */
static struct ws_window square_window(struct ws_rng *rng, const int side[2])
{
    for (;;) {
        const int kernel = 2 * pick(rng, 0, 2) + 1, stride = pick(rng, 1, 2),
                  pad = pick(rng, 0, 1) ? kernel / 2 : pick(rng, 0, 3);
        if (kernel <= side[0] + 2 * pad && kernel <= side[1] + 2 * pad)
            return (struct ws_window)WS_SQUARE(kernel, stride, pad);
    }
}

/* `groups` groups of `in` and `out` channels; two nodes of the same input, so that the second one adds to its gradient.
 */
static struct ws_net *convolve(struct ws_rng *rng, int groups, int in, int out, bool is_square)
{
    const int side[2] = {pick(rng, 1, 13), pick(rng, 1, 13)};
    struct ws_net *net = ws_net_new(side[0], side[1], groups * in);
    assert_non_null(net);
    const struct ws_window w = is_square ? square_window(rng, side) : any_window(rng, side);
    const bool is_read_twice = pick(rng, 0, 2) == 0;
    const int a = ws_net_conv_grouped(net, "a", 0, groups * out, w, groups, pick(rng, 0, 1) == 1);
    if (is_read_twice) {
        const int b = ws_net_conv_grouped(net, "b", 0, groups * out, w, groups, false);
        ws_net_add(net, "sum", a, b);
    }
    return net;
}

static struct ws_net *build_ungrouped(struct ws_rng *rng)
{
    return convolve(rng, 1, pick(rng, 1, 20), pick(rng, 1, 20), false);
}

static struct ws_net *build_grouped(struct ws_rng *rng)
{
    const int groups = pick(rng, 2, 4), in = pick(rng, 1, 6), out = pick(rng, 1, 6);
    return convolve(rng, groups, in, out, pick(rng, 0, 1));
}

static struct ws_net *build_wide_groups(struct ws_rng *rng)
{
    static const int widths[] = {8, 16, 24, 32, 48, 80};
    const int width = widths[pick(rng, 0, 5)], groups = pick(rng, 2, 3);
    return convolve(rng, groups, width, pick(rng, 0, 3) ? width : 16, pick(rng, 0, 5) > 0);
}

static const int counts[] = {1, 2, 3, 5, 8, 16, 17, 24, 31, 33, 48, 64, 72, 96, 100, 144};

static struct ws_net *build_depthwise(struct ws_rng *rng)
{
    const int channels = counts[pick(rng, 0, 15)];
    return convolve(rng, channels, 1, 1, true);
}

static struct ws_net *build_any_depthwise(struct ws_rng *rng)
{
    const int channels = counts[pick(rng, 0, 15)];
    return convolve(rng, channels, 1, 1, false);
}

static struct ws_net *build_multiplier(struct ws_rng *rng)
{
    const int channels = pick(rng, 1, 9), multiplier = pick(rng, 2, 4);
    return convolve(rng, channels, 1, multiplier, pick(rng, 0, 1));
}

static void any_window_equals_its_twin(void **state)
{
    (void)state;
    run_trials("any window", build_ungrouped, 120);
}

static void grouped_convolution_equals_its_twin(void **state)
{
    (void)state;
    run_trials("groups", build_grouped, 120);
}

static void wide_groups_equal_their_twin(void **state)
{
    (void)state;
    run_trials("wide groups", build_wide_groups, 24);
}

static void depthwise_convolution_equals_its_twin(void **state)
{
    (void)state;
    run_trials("depthwise", build_depthwise, 150);
}

static void depthwise_convolution_with_any_window_equals_its_twin(void **state)
{
    (void)state;
    run_trials("depthwise, any window", build_any_depthwise, 100);
}

static void channel_multiplier_equals_its_twin(void **state)
{
    (void)state;
    run_trials("multiplier", build_multiplier, 80);
}

/* --- the ways --- */

/* A convolution's shape (no kernel: a gemm) and the ways it has always gone. */
static const struct shaped {
    int height, width, in, out, groups;
    struct ws_window window;
    const char *way, *dx; /* dx: where the way leaves it to the second table */
} shapes[] = {
    {9, 8, 3, 16, 1, WS_SQUARE(3, 1, 1), "direct", "flipped"},
    {9, 8, 16, 24, 1, WS_SQUARE(3, 1, 1), "patches", "direct"},
    {8, 8, 16, 16, 1, WS_SQUARE(3, 1, 1), "winograd narrow", NULL},
    {8, 12, 64, 64, 1, WS_SQUARE(3, 1, 1), "winograd narrow", NULL},
    {8, 8, 64, 80, 1, WS_SQUARE(3, 1, 1), "winograd wide", NULL},
    {8, 8, 80, 64, 1, WS_SQUARE(3, 1, 2), "winograd wide", NULL},
    {8, 8, 32, 32, 1, WS_SQUARE(3, 1, 3), "direct", "flipped"}, /* dX begins inside the map */
    {2, 5, 32, 32, 1, WS_SQUARE(3, 1, 1), "direct", "direct"},  /* tiles that hang over cost too much */
    {2, 5, 144, 144, 1, WS_SQUARE(3, 1, 1), "patches", "flipped"},
    {8, 8, 16, 32, 1, WS_SQUARE(3, 2, 1), "direct", "scattered"},
    {8, 8, 18, 33, 1, WS_SQUARE(3, 2, 1), "patches", "scattered"},
    {8, 8, 16, 16, 1, WS_SQUARE(5, 1, 2), "direct", "direct"},
    {8, 8, 16, 16, 1, {{3, 1}, {1, 1}, {1, 1}, {1, 0, 1, 0}}, "patches", "flipped"},
    {8, 8, 16, 16, 1, {{3, 3}, {1, 1}, {2, 2}, {2, 2, 2, 2}}, "patches", "flipped"},
    {8, 8, 16, 16, 1, {{3, 3}, {1, 2}, {1, 1}, {1, 1, 1, 1}}, "patches", "scattered"},
    {7, 6, 24, 40, 1, WS_SQUARE(1, 1, 0), "1x1", NULL},
    {7, 6, 1, 1, 1, WS_SQUARE(1, 1, 0), "depthwise", NULL},
    {7, 6, 24, 32, 1, WS_SQUARE(1, 2, 0), "direct", "scattered"},
    {7, 6, 24, 32, 1, WS_SQUARE(1, 1, 1), "direct", "flipped"},
    {7, 6, 32, 32, 2, WS_SQUARE(1, 1, 0), "direct", "product"},
    {7, 6, 24, 24, 2, WS_SQUARE(1, 1, 0), "patches", "product"},
    {7, 6, 48, 48, 3, WS_SQUARE(3, 1, 1), "direct", "direct"},
    {7, 6, 30, 30, 3, WS_SQUARE(3, 1, 1), "patches", "flipped"},
    {7, 6, 24, 24, 24, WS_SQUARE(3, 1, 1), "depthwise", NULL},
    {7, 6, 24, 24, 24, WS_SQUARE(3, 2, 1), "depthwise", NULL},
    {7, 6, 24, 24, 24, WS_SQUARE(1, 1, 0), "depthwise", NULL},
    {7, 6, 24, 48, 24, WS_SQUARE(3, 1, 1), "patches", "flipped"},
    {31, 31, 128, 16, 1, WS_SQUARE(1, 1, 1), "patches", "flipped"}, /* a frame too large for the cache */
    {3, 2, 12, 10, 1, {{0}, {0}, {0}, {0}}, "patches", "product"},
};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

static struct ws_net *build_shaped(const struct shaped *shape)
{
    struct ws_net *net = ws_net_new(shape->height, shape->width, shape->in);
    assert_non_null(net);
    int branch[2]; /* the second one stores dX, the first one adds to it */
    for (int i = 0; i < 2; i++) {
        const char *name = i == 0 ? "a" : "b";
        branch[i] = shape->window.kernel[0] == 0
                        ? ws_net_gemm(net, name, 0, shape->out, i == 0)
                        : ws_net_conv_grouped(net, name, 0, shape->out, shape->window, shape->groups, i == 0);
    }
    ws_net_add(net, "sum", branch[0], branch[1]);
    return net;
}

static void the_first_way_that_fits_is_the_one_it_always_was(void **state)
{
    (void)state;
    for (int i = 0; i < N_SHAPES; i++) {
        struct ws_net *net = build_shaped(&shapes[i]);
        struct ws_plan_step s = {.op = net->nodes[1].op, .node = 1, .x = 0, .out = 1};
        ws_conv_choose(net, &s);
        if (strcmp(s.way->name, shapes[i].way) != 0)
            fail_msg("shape %d goes by %s, expected %s", i, s.way->name, shapes[i].way);
        if (shapes[i].dx && strcmp(s.dx_way->name, shapes[i].dx) != 0)
            fail_msg("dX of shape %d goes by %s, expected %s", i, s.dx_way->name, shapes[i].dx);
        const struct ws_conv_way *way = (const struct ws_conv_way *)s.way;
        assert_true((way->backward == NULL) == (shapes[i].dx != NULL));
        ws_net_free(&net);
    }
}

/* What choose_forced() gives to every step. */
static const struct ws_conv_way *forced_way;
static const struct ws_conv_dx_way *forced_dx;

static void choose_forced(const struct ws_net *net, struct ws_plan_step *s)
{
    (void)net;
    s->way = &forced_way->plan;
    s->dx_way = &forced_dx->plan;
}

static void check_ways(struct ws_workers *workers, const struct shaped *shape, int trial, bool *is_run)
{
    struct ws_net *net = build_shaped(shape);
    struct ws_plan_step s = {.op = net->nodes[1].op, .node = 1, .x = 0, .out = 1};
    const struct ws_conv_shape c = ws_conv_shape_of(net, &s);
    ws_conv_choose(net, &s);
    for (int way = 0; ws_conv_ways[way]; way++)
        for (int dx = 0; ws_conv_dx_ways[dx]; dx++) {
            forced_way = ws_conv_ways[way];
            forced_dx = ws_conv_dx_ways[dx];
            if (!forced_way->fits(&c) || !forced_dx->fits(&c) || (forced_way->backward && &forced_dx->plan != s.dx_way))
                continue;
            is_run[way] = true;
            char what[80];
            snprintf(what, sizeof what, "by %s, dX by %s", forced_way->plan.name, forced_dx->plan.name);
            for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
                if (ws_kernels_find(tables[t]))
                    compare_network((struct comparison){net, what, ws_kernels_find(tables[t]), trial, choose_forced},
                                    workers, 3);
        }
    ws_net_free(&net);
}

static void every_way_that_fits_a_shape_equals_its_twin(void **state)
{
    (void)state;
    struct ws_err err = {0};
    struct ws_workers *workers = NULL;
    bool is_run[8] = {false};
    check(ws_workers_open(&workers, 2, &err), &err);
    for (int i = 0; i < N_SHAPES; i++)
        check_ways(workers, &shapes[i], i, is_run);
    for (int way = 0; ws_conv_ways[way]; way++)
        assert_true(is_run[way]);
    ws_workers_close(&workers);
}

/* --- epilogue and threads --- */

/* A bias, a ReLU, an added map, and a BatchNorm that takes its moments from the convolution before it. */
static struct ws_net *build_epilogues(int groups, int per_group)
{
    const struct ws_window w = WS_SQUARE(3, 1, 1);
    struct ws_net *net = ws_net_new(24, 23, groups * per_group);
    assert_non_null(net);
    const int a = ws_net_conv_grouped(net, "a", 0, groups * per_group, w, groups, true);
    const int b = ws_net_conv_grouped(net, "b", a, groups * per_group, w, groups, true);
    const int c = ws_net_batchnorm(net, "bn", b);
    ws_net_conv_grouped(net, "c", c, groups * per_group, (struct ws_window)WS_SQUARE(5, 2, 2), groups, false);
    if (net->err.status == WS_OK) {
        net->nodes[a].conv.fused_relu = true;
        net->nodes[b].conv.fused_add = a;
    }
    return net;
}

static void check_epilogues(int groups, int per_group, int batch)
{
    struct ws_err err = {0};
    float *first = NULL, *first_gradients = NULL;
    const int threads[] = {1, 2, 3, 8};
    for (int t = 0; t < 4; t++) {
        struct ws_workers *workers = NULL;
        struct ws_exec *exec = NULL;
        struct ws_net *net = build_epilogues(groups, per_group);
        check(ws_workers_open(&workers, threads[t], &err), &err);
        check(ws_net_alloc(net, &err), &err);
        check(ws_net_alloc_gradients(net, &err), &err);
        reference_randomise(net, 3);
        const struct ws_exec_options options = {.max_batch = batch, .backward = true, .input_gradient = true};
        check(ws_exec_open(&exec, net, workers, &options, &err), &err);
        const int last = net->n_nodes - 1;
        const size_t n_in = (size_t)batch * reference_size(net, 0), n_out = (size_t)batch * reference_size(net, last);
        reference_fill(ws_exec_input(exec), n_in, 3, 1);
        struct reference *r = t == 0 ? reference_open(net, batch) : NULL; /* before forward moves the statistics */
        ws_exec_forward(exec, batch, WS_BN_TRAIN);
        if (r) {
            for (size_t i = 0; i < n_in; i++)
                r->value[0][i] = (real)ws_exec_input(exec)[i];
            reference_forward(r, WS_BN_TRAIN);
            for (size_t i = 0; i < n_out; i++)
                if (!(fabs((double)ws_exec_value(exec, last)[i] - r->value[last][i]) <= 1e-4))
                    fail_msg("%d groups: output %zu is %.9g, expected %.9g", groups, i,
                             (double)ws_exec_value(exec, last)[i], r->value[last][i]);
            reference_close(r);
        }
        reference_fill(ws_exec_output_gradient(exec, last), n_out, 3, 2);
        ws_exec_backward(exec);
        if (t == 0) {
            first = reference_take(n_out + n_in, sizeof *first);
            first_gradients = reference_take(net->n_values, sizeof *first_gradients);
            memcpy(first, ws_exec_value(exec, last), n_out * sizeof *first);
            memcpy(first + n_out, ws_exec_input_gradient(exec), n_in * sizeof *first);
            memcpy(first_gradients, net->gradients, net->n_values * sizeof *first_gradients);
        }
        assert_memory_equal(ws_exec_value(exec, last), first, n_out * sizeof *first);
        assert_memory_equal(ws_exec_input_gradient(exec), first + n_out, n_in * sizeof *first);
        assert_memory_equal(net->gradients, first_gradients, net->n_values * sizeof *first_gradients);
        ws_exec_close(&exec);
        ws_workers_close(&workers);
        ws_net_free(&net);
    }
    free(first);
    free(first_gradients);
}

static void epilogues_equal_their_twin_and_threads_give_the_same_bytes(void **state)
{
    (void)state;
    check_epilogues(72, 1, 9);
    check_epilogues(3, 16, 9);
    check_epilogues(3, 5, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_window_equals_its_twin),
        cmocka_unit_test(grouped_convolution_equals_its_twin),
        cmocka_unit_test(wide_groups_equal_their_twin),
        cmocka_unit_test(depthwise_convolution_equals_its_twin),
        cmocka_unit_test(depthwise_convolution_with_any_window_equals_its_twin),
        cmocka_unit_test(channel_multiplier_equals_its_twin),
        cmocka_unit_test(the_first_way_that_fits_is_the_one_it_always_was),
        cmocka_unit_test(every_way_that_fits_a_shape_equals_its_twin),
        cmocka_unit_test(epilogues_equal_their_twin_and_threads_give_the_same_bytes),
    };
    return cmocka_run_group_tests_name("convolution against its twin", tests, NULL, NULL);
}
