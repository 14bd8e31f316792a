/* The gradients of a whole network against differences of its own forward pass: what the tests of gradients share. */
#ifndef WEBSTILL_TESTS_DIFFERENCES_H
#define WEBSTILL_TESTS_DIFFERENCES_H

#include "../kernel/reference.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const float step = 0.015625F;

static inline void check(enum ws_status status, const struct ws_err *err)
{
    if (status != WS_OK)
        fail_msg("%s", err->text);
}

struct subject {
    const char *what;
    struct ws_net *net;
    struct ws_workers *workers;
    struct ws_exec *exec;
    int batch;
    enum ws_bn_mode mode;
    size_t n_in, n_out;
    float *weights;
};

static inline void open_subject(struct subject *s, uint64_t seed)
{
    struct ws_err err = {0};
    check(ws_net_alloc(s->net, &err), &err);
    check(ws_net_alloc_gradients(s->net, &err), &err);
    check(ws_workers_open(&s->workers, 2, &err), &err);
    const struct ws_exec_options options = {.max_batch = s->batch, .backward = true, .input_gradient = true};
    check(ws_exec_open(&s->exec, s->net, s->workers, &options, &err), &err);
    s->n_in = (size_t)s->batch * reference_size(s->net, 0);
    s->n_out = (size_t)s->batch * reference_size(s->net, s->net->n_nodes - 1);
    s->weights = reference_take(s->n_out, sizeof *s->weights);
    reference_randomise(s->net, seed);
    reference_fill(ws_exec_input(s->exec), s->n_in, seed, 1);
    reference_fill(s->weights, s->n_out, seed, 2);
}

static inline void close_subject(struct subject *s)
{
    free(s->weights);
    ws_exec_close(&s->exec);
    ws_workers_close(&s->workers);
    ws_net_free(&s->net);
}

/* The loss of the engine. */
static inline double measure(const struct subject *s)
{
    ws_exec_forward(s->exec, s->batch, s->mode);
    const float *y = ws_exec_value(s->exec, s->net->n_nodes - 1);
    double loss = 0.0;
    for (size_t i = 0; i < s->n_out; i++)
        loss += (double)s->weights[i] * (double)y[i];
    return loss;
}

/* d loss / d *x by 4-point differences. */
static inline double differentiate(const struct subject *s, float *x)
{
    const float x0 = *x;
    double f[4];
    const float steps[4] = {-2.0F, -1.0F, 1.0F, 2.0F};
    for (int k = 0; k < 4; k++) {
        *x = x0 + steps[k] * step;
        f[k] = measure(s);
    }
    *x = x0;
    return (8.0 * (f[2] - f[1]) - (f[3] - f[0])) / (12.0 * (double)step);
}

static inline void compare(const struct subject *s, const char *of, float *x, const float *gradient, size_t n)
{
    double largest = 1e-3;
    for (size_t i = 0; i < n; i++)
        largest = fmax(largest, fabs((double)gradient[i]));
    for (size_t i = 0; i < n; i++) {
        const double expected = differentiate(s, &x[i]);
        if (!(fabs((double)gradient[i] - expected) <= 2e-3 * largest))
            fail_msg("%s: d/d %s[%zu] is %.6g, differences give %.6g (largest %.3g)", s->what, of, i,
                     (double)gradient[i], expected, largest);
    }
}

/* Is the network far enough from all kinks of its ReLUs for the steps that will be taken? */
static inline bool is_smooth(const struct subject *s)
{
    struct reference *r = reference_open(s->net, s->batch);
    for (size_t i = 0; i < s->n_in; i++)
        r->value[0][i] = (real)ws_exec_input(s->exec)[i];
    reference_forward(r, s->mode);
    const double distance = reference_kink_distance(r);
    reference_close(r);
    return distance > 5.0 * (double)step;
}

/* Gradients of the input and of every parameter (EVAL gives none to BN's). Takes the net. */
static inline void check_gradients(struct subject s)
{
    uint64_t seed = 1;
    open_subject(&s, seed);
    while (!is_smooth(&s)) {
        if (++seed == 20000)
            fail_msg("%s: no smooth point found", s.what);
        reference_randomise(s.net, seed);
        reference_fill(ws_exec_input(s.exec), s.n_in, seed, 1);
    }

    ws_net_zero_gradients(s.net);
    measure(&s);
    float *to = ws_exec_output_gradient(s.exec, s.net->n_nodes - 1);
    for (size_t i = 0; i < s.n_out; i++)
        to[i] += s.weights[i];
    ws_exec_backward(s.exec);
    float *in_gradient = reference_take(s.n_in, sizeof *in_gradient);
    memcpy(in_gradient, ws_exec_input_gradient(s.exec), s.n_in * sizeof *in_gradient);

    compare(&s, "input", ws_exec_input(s.exec), in_gradient, s.n_in);
    for (int i = 0; i < s.net->n_params; i++) {
        const struct ws_param *param = &s.net->params[i];
        const bool is_bn = strstr(param->name, "bn") != NULL;
        if (!param->is_buffer && !(is_bn && s.mode == WS_BN_EVAL))
            compare(&s, param->name, s.net->values + param->offset, s.net->gradients + param->offset, param->n);
    }
    free(in_gradient);
    close_subject(&s);
}

static inline struct ws_net *input(int height, int width, int channels)
{
    struct ws_net *net = ws_net_new(height, width, channels);
    assert_non_null(net);
    return net;
}

#endif
