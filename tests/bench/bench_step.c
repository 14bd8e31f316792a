/*
 * How fast the engine trains: images per second of a plain step, of a KD3 step, and of a frozen forward pass.
 *
 *   bench_step [SECONDS [THREADS]]     (5 seconds each, 2 threads)
 *
 * Prints one line of JSON; bench.py does the same work in PyTorch. The data is random and the same for every step:
 * what is measured is the step itself.
 */
#include "webstill/base/clock.h"
#include "webstill/base/rng.h"
#include "webstill/nn/exec.h"
#include "webstill/nn/loss.h"
#include "webstill/nn/optim.h"
#include "webstill/nn/zoo.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 128, SIDE = 28, CLASSES = 10, WIDTH = 64, EMBEDDING = 128, WARM_STEPS = 3 };

static void check(enum ws_status status, const struct ws_err *err)
{
    if (status == WS_OK)
        return;
    ws_err_print(err, "bench_step", stderr);
    exit(ws_status_exit_code(status));
}

static void fill(float *values, size_t n)
{
    struct ws_rng rng;
    ws_rng_init(&rng, 1, WS_STREAM_TEST, 0, 0);
    for (size_t i = 0; i < n; i++)
        values[i] = (float)ws_rng_normal(&rng);
}

static struct ws_net *build(const char *arch, struct ws_zoo_taps *taps)
{
    struct ws_err err = {0};
    struct ws_net *net = NULL;
    check(ws_zoo_build(&net, taps, arch, SIDE, SIDE, 1, CLASSES, &err), &err);
    return net;
}

static void make_ready(struct ws_net *net, bool trains)
{
    struct ws_err err = {0};
    check(ws_net_alloc(net, &err), &err);
    if (trains)
        check(ws_net_alloc_gradients(net, &err), &err);
    ws_net_init(net, 1);
}

static struct ws_exec *open_exec(struct ws_net *net, struct ws_pool *pool, bool backward, const int *taps, int n_taps)
{
    struct ws_err err = {0};
    struct ws_exec *exec = NULL;
    const struct ws_exec_options options = {.max_batch = BATCH, .backward = backward, .taps = taps, .n_taps = n_taps};
    check(ws_exec_open(&exec, net, pool, &options, &err), &err);
    fill(ws_exec_input(exec),
         (size_t)BATCH * (size_t)net->nodes[0].height * (size_t)net->nodes[0].width * (size_t)net->nodes[0].channels);
    return exec;
}

/* Run `step` for `seconds` after warming up; images per second. */
static double measure(void (*step)(void *), void *state, double seconds)
{
    for (int i = 0; i < WARM_STEPS; i++)
        step(state);
    const double start = ws_clock_mono_s();
    double now = start;
    int n_steps = 0;
    for (; now - start < seconds || n_steps < 3; now = ws_clock_mono_s(), n_steps++)
        step(state);
    return (double)n_steps * BATCH / (now - start);
}

/* --- a plain training step of resnet20
 * ---------------------------------------------------------------------------------- */

static const struct ws_conf_optim momentum = {.momentum = 0.9, .weight_decay = 5e-4},
                                  nesterov = {.momentum = 0.9, .weight_decay = 5e-4, .nesterov = true};

struct plain {
    struct ws_net *net;
    struct ws_zoo_taps taps;
    struct ws_exec *exec;
    struct ws_optim sgd;
    int32_t labels[BATCH];
};

static void step_plain(void *state)
{
    struct plain *p = state;
    ws_net_zero_gradients(p->net);
    ws_exec_forward(p->exec, BATCH, WS_BN_TRAIN);
    ws_loss_cross_entropy(ws_exec_value(p->exec, p->taps.logits), p->labels, BATCH, CLASSES, 0.0, 1.0,
                          ws_exec_seed(p->exec, p->taps.logits));
    ws_exec_backward(p->exec);
    ws_optim_step(&p->sgd, p->net, 1e-3);
}

static double bench_plain(struct ws_pool *pool, double seconds)
{
    struct ws_err err = {0};
    struct plain p = {0};
    p.net = build("resnet20", &p.taps);
    make_ready(p.net, true);
    p.exec = open_exec(p.net, pool, true, NULL, 0);
    check(ws_optim_init(&p.sgd, p.net, &nesterov, &err), &err);
    for (int i = 0; i < BATCH; i++)
        p.labels[i] = i % CLASSES;
    const double rate = measure(step_plain, &p, seconds);
    ws_optim_fini(&p.sgd);
    ws_exec_close(&p.exec);
    ws_net_free(&p.net);
    return rate;
}

/* --- a KD3 step, resnet20 to resnet8
 * -------------------------------------------------------------------------------------- */

struct kd3 {
    struct ws_net *teacher, *folded, *student, *embed_t;
    struct ws_zoo_taps t, s;
    int features_t, pooled_t, projected, classifier, embed;
    struct ws_exec *teach_x, *teach_mixed, *on_x, *on_mixed, *embed_x, *embed_mixed;
    struct ws_optim sgd, sgd_t;
    float weights[BATCH], *scratch;
};

static void embed_teacher(struct kd3 *k, struct ws_exec *from, struct ws_exec *to)
{
    memcpy(ws_exec_input(to), ws_exec_value(from, k->pooled_t), (size_t)BATCH * WIDTH * sizeof(float));
    ws_exec_forward(to, BATCH, WS_BN_TRAIN);
}

static void contrast(struct kd3 *k, struct ws_exec *a, struct ws_exec *b, int node)
{
    ws_loss_ntxent(ws_exec_value(a, node), ws_exec_value(b, node), BATCH, EMBEDDING, 0.3, 1e-3, ws_exec_seed(a, node),
                   ws_exec_seed(b, node), k->scratch);
}

static void step_kd3(void *state)
{
    struct kd3 *k = state;
    ws_net_zero_gradients(k->student);
    ws_net_zero_gradients(k->embed_t);
    ws_exec_forward(k->on_x, BATCH, WS_BN_TRAIN);
    ws_exec_forward(k->on_mixed, BATCH, WS_BN_TRAIN);
    ws_exec_forward(k->teach_x, BATCH, WS_BN_EVAL);
    ws_exec_forward(k->teach_mixed, BATCH, WS_BN_EVAL);
    embed_teacher(k, k->teach_x, k->embed_x);
    embed_teacher(k, k->teach_mixed, k->embed_mixed);

    const float *z_s = ws_exec_value(k->on_x, k->classifier);
    const float *z_t = ws_exec_value(k->teach_x, k->folded->n_nodes - 1);
    for (int i = 0; i < BATCH; i++) {
        double sum = 0.0;
        for (int c = 0; c < CLASSES; c++)
            sum += pow((double)z_s[i * CLASSES + c] - (double)z_t[i * CLASSES + c] + 1e-6, 2.0);
        k->weights[i] = (float)(1.0 / (1.0 + exp(-sqrt(sum))));
    }
    ws_loss_alignment(ws_exec_value(k->on_x, k->projected), ws_exec_value(k->teach_x, k->features_t), k->weights, BATCH,
                      (size_t)7 * 7 * WIDTH, 1.0, ws_exec_seed(k->on_x, k->projected));
    contrast(k, k->on_x, k->on_mixed, k->embed);
    contrast(k, k->embed_x, k->embed_mixed, 1);
    ws_exec_backward(k->on_x);
    ws_exec_backward(k->on_mixed);
    ws_exec_backward(k->embed_x);
    ws_exec_backward(k->embed_mixed);
    ws_optim_step(&k->sgd, k->student, 1e-3);
    ws_optim_step(&k->sgd_t, k->embed_t, 1e-3);
}

static void build_student(struct kd3 *k)
{
    k->student = build("resnet8", &k->s);
    int x = k->s.features;
    const int width[3] = {WIDTH / 2, WIDTH / 2, WIDTH};
    for (int i = 0; i < 3; i++) {
        char name[32];
        snprintf(name, sizeof name, "projector.%d", 3 * i);
        x = ws_net_conv(k->student, name, x, width[i], (struct ws_window)WS_SQUARE(i == 1 ? 3 : 1, 1, i == 1), false);
        snprintf(name, sizeof name, "projector.%d", 3 * i + 1);
        x = ws_net_batchnorm(k->student, name, x);
        snprintf(name, sizeof name, "projector.%d", 3 * i + 2);
        x = ws_net_relu(k->student, name, x);
    }
    k->projected = x;
    x = ws_net_global_average_pool(k->student, "projector.pool", x);
    k->classifier = ws_net_gemm(k->student, "classifier", x, CLASSES, true);
    k->embed = ws_net_gemm(k->student, "embed", k->s.pooled, EMBEDDING, true);
    make_ready(k->student, true);
    k->student->params[ws_net_find_param(k->student, "classifier.weight")].is_frozen = true;
    k->student->params[ws_net_find_param(k->student, "classifier.bias")].is_frozen = true;
}

static double bench_kd3(struct ws_pool *pool, double seconds)
{
    struct ws_err err = {0};
    struct kd3 k = {0};
    k.teacher = build("resnet20", &k.t);
    make_ready(k.teacher, false);
    int *map = calloc((size_t)k.teacher->n_nodes, sizeof *map);
    k.scratch = calloc(ws_loss_ntxent_scratch(BATCH, EMBEDDING), sizeof *k.scratch);
    if (!map || !k.scratch)
        abort();
    check(ws_net_fold(&k.folded, k.teacher, map, &err), &err);
    k.features_t = map[k.t.features];
    k.pooled_t = map[k.t.pooled];
    build_student(&k);
    k.embed_t = ws_net_new(1, 1, WIDTH);
    if (!k.embed_t)
        abort();
    ws_net_gemm(k.embed_t, "embed_t", 0, EMBEDDING, true);
    make_ready(k.embed_t, true);

    const int t_taps[] = {k.features_t, k.pooled_t}, s_taps[] = {k.projected, k.classifier};
    k.teach_x = open_exec(k.folded, pool, false, t_taps, 2);
    k.teach_mixed = open_exec(k.folded, pool, false, t_taps, 2);
    k.on_x = open_exec(k.student, pool, true, s_taps, 2);
    k.on_mixed = open_exec(k.student, pool, true, s_taps, 2);
    k.embed_x = open_exec(k.embed_t, pool, true, NULL, 0);
    k.embed_mixed = open_exec(k.embed_t, pool, true, NULL, 0);
    check(ws_optim_init(&k.sgd, k.student, &momentum, &err), &err);
    check(ws_optim_init(&k.sgd_t, k.embed_t, &momentum, &err), &err);
    const double rate = measure(step_kd3, &k, seconds);

    ws_optim_fini(&k.sgd);
    ws_optim_fini(&k.sgd_t);
    struct ws_exec **const execs[] = {&k.teach_x, &k.teach_mixed, &k.on_x, &k.on_mixed, &k.embed_x, &k.embed_mixed};
    for (size_t i = 0; i < sizeof execs / sizeof *execs; i++)
        ws_exec_close(execs[i]);
    ws_net_free(&k.teacher);
    ws_net_free(&k.folded);
    ws_net_free(&k.student);
    ws_net_free(&k.embed_t);
    free(k.scratch);
    free(map);
    return rate;
}

/* --- a frozen forward pass of resnet20
 * ------------------------------------------------------------------------------------ */

static void step_frozen(void *state)
{
    ws_exec_forward(state, BATCH, WS_BN_EVAL);
}

static double bench_frozen(struct ws_pool *pool, double seconds)
{
    struct ws_err err = {0};
    struct ws_zoo_taps taps;
    struct ws_net *net = build("resnet20", &taps), *folded = NULL;
    make_ready(net, false);
    check(ws_net_fold(&folded, net, NULL, &err), &err);
    struct ws_exec *exec = open_exec(folded, pool, false, NULL, 0);
    const double rate = measure(step_frozen, exec, seconds);
    ws_exec_close(&exec);
    ws_net_free(&folded);
    ws_net_free(&net);
    return rate;
}

int main(int argc, char **argv)
{
    const double seconds = argc > 1 ? atof(argv[1]) : 5.0;
    const int n_threads = argc > 2 ? atoi(argv[2]) : 2;
    struct ws_err err = {0};
    struct ws_pool *pool = NULL;
    if (!(seconds > 0.0) || n_threads < 1) {
        fprintf(stderr, "usage: bench_step [SECONDS [THREADS]]\n");
        return 2;
    }
    check(ws_pool_open(&pool, n_threads, &err), &err);
    const double plain = bench_plain(pool, seconds);
    const double kd3 = bench_kd3(pool, seconds);
    const double frozen = bench_frozen(pool, seconds);
    printf("{\"who\":\"webstill\",\"threads\":%d,\"train\":%.1f,\"kd3\":%.1f,\"frozen\":%.1f}\n", n_threads, plain, kd3,
           frozen);
    ws_pool_close(&pool);
    return 0;
}
