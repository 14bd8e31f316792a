/*
 * How fast the engine works, one row of the benchmark at a time: real steps of the methods kd3 and ce, and the frozen
 * teacher's forward pass.
 *
 *   bench_distill ROW SECONDS THREADS          prints one line of JSON
 *   bench_distill --list                       prints the rows
 *
 * bench.py does the same work in PyTorch. Pictures are random and the same for every step: the step is measured, not
 * the data. README.md tells what the figures mean.
 */
#include "../../distill/learn/update.h"
#include "../../distill/method/kd3/state.h"
#include "../unit/program.h"

#include "webstill/base/clock.h"
#include "webstill/nn/blas.h"

#include <cblas.h>
#include <stdlib.h>
#include <string.h>

enum { CLASSES = 10, EMBEDDING = 128, FACTOR = 2, WARM_STEPS = 3, MIN_STEPS = 2, SGEMM_SIDE = 2048 };

enum kind { KD3, TRAIN, FROZEN };

/* bench.py has the same table. */
static const struct row {
    const char *name;
    enum kind kind;
    const char *arch, *teacher; /* the trained or run one; kd3's teacher */
    int side, channels, batch;
} rows[] = {
    {"kd3-28", KD3, "resnet8", "resnet20", 28, 1, 128},
    {"kd3-32", KD3, "resnet8", "resnet20", 32, 3, 128},
    {"kd3-resnet34", KD3, "resnet18", "resnet34", 32, 3, 64},
    {"train-resnet20", TRAIN, "resnet20", NULL, 28, 1, 128},
    {"train-mobilenetv2-32", TRAIN, "mobilenetv2", NULL, 32, 3, 64},
    {"train-mobilenetv2-96", TRAIN, "mobilenetv2", NULL, 96, 3, 32},
    {"frozen-resnet20", FROZEN, "resnet20", NULL, 28, 1, 128},
    {"frozen-resnet34", FROZEN, "resnet34", NULL, 32, 3, 64},
};

enum { N_ROWS = sizeof rows / sizeof *rows };

static void check(enum ws_status status, const struct ws_err *err)
{
    if (status == WS_OK)
        return;
    ws_err_print(err, "bench_distill", stderr);
    exit(ws_status_exit_code(status));
}

static void *take(size_t n, size_t size)
{
    void *memory = ws_calloc_aligned(n, size);
    if (!memory)
        abort();
    return memory;
}

/* --- what is measured --- */

struct bench {
    const struct row *row;
    struct ws_config config;
    struct ws_dataset data;
    struct ws_workers *workers;
    struct ws_model *model;        /* the method's */
    const struct ws_model *frozen; /* the predictor's, or NULL */
    struct ws_predictor predictor;
    struct ws_session session;
    const struct ws_method *method;
    struct ws_training training;
    uint32_t *images;
    int64_t n_steps;
    double macs; /* multiply-adds of a step: forward once, backward twice, without the first layer's input gradient */
    double planned_bytes;
};

static char *class_names[CLASSES] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};

/* Of all sections only what the rows' methods read: the engine's memory is told, not that of a crawler beside it. */
static void set_config(struct ws_config *config)
{
    static const struct ws_conf_section *const sections[] = {&ws_top_section, &ws_curate_section, &ws_distill_section,
                                                             &ws_kd3_section, NULL};
    static const struct ws_program program = {.name = "bench", .sections = sections};
    struct ws_err err = {0};
    check(ws_config_init(config, &program, &err), &err);
    KEYS(config, curate)->rule = WS_RULE_KD3;
    *KEYS(config, kd3) = (struct ws_kd3_keys){.contrast = WS_CONTRAST_SELF,
                                              .contrast_weight = .001,
                                              .contrast_temperature = .3,
                                              .embedding = EMBEDDING,
                                              .projector_factor = FACTOR,
                                              .mix_alpha = .1,
                                              .mix_eps = 1e-6,
                                              .mixed_memory_mib = 192,
                                              .share = true,
                                              .weights = true};
    KEYS(config, distill)->optim =
        (struct ws_optim_keys){.options = {.momentum = .9, .weight_decay = 5e-4}, .lr = 1e-3};
}

static void make_pictures(struct bench *b)
{
    const struct row *row = b->row;
    if (!ws_dataset_alloc(&b->data, (size_t)row->batch, row->side, row->side, row->channels, true))
        abort();
    b->images = take((size_t)row->batch, sizeof *b->images);
    struct ws_rng rng;
    ws_rng_init(&rng, 1, WS_STREAM_TEST, 0, 0);
    for (size_t i = 0; i < (size_t)row->batch * ws_dataset_image_bytes(&b->data); i++)
        b->data.block[i] = (uint8_t)ws_rng_below(&rng, 256);
    for (uint32_t i = 0; i < (uint32_t)row->batch; i++) {
        b->images[i] = i;
        b->data.labels[i] = (int32_t)(i % CLASSES);
    }
}

static struct ws_card make_card(const struct row *row, const char *arch)
{
    struct ws_card card = {.classes = class_names,
                           .n_classes = CLASSES,
                           .height = row->side,
                           .width = row->side,
                           .channels = row->channels,
                           .mean = {.5f, .5f, .5f},
                           .std = {.29f, .29f, .29f},
                           .accuracy = -1};
    snprintf(card.arch, sizeof card.arch, "%s", arch);
    return card;
}

static const struct ws_model *open_frozen(struct bench *b, const char *arch)
{
    struct ws_err err = {0};
    const struct ws_card card = make_card(b->row, arch);
    struct ws_model *model = NULL;
    check(ws_model_build(&model, &card, &err), &err);
    ws_net_init(model->net, 1);
    check(ws_predictor_take(&b->predictor, &model, b->workers, b->row->batch, &err), &err);
    return b->predictor.model;
}

static void open_method(struct bench *b)
{
    struct ws_err err = {0};
    if (b->row->kind == KD3)
        b->frozen = open_frozen(b, b->row->teacher);
    b->session = (struct ws_session){.config = &b->config,
                                     .dir = "build",
                                     .workers = b->workers,
                                     .data = &b->data,
                                     .train = b->images,
                                     .n_train = (size_t)b->row->batch,
                                     .card = make_card(b->row, b->row->arch),
                                     .teacher = b->frozen,
                                     .teacher_predictor = b->frozen ? &b->predictor : NULL,
                                     .optim = &KEYS(&b->config, distill)->optim,
                                     .augment = {.kind = WS_AUGMENT_NONE},
                                     .seed = 1,
                                     .batch = b->row->batch,
                                     .epochs = 1};
    memcpy(b->session.augment.mean, b->session.card.mean, sizeof b->session.augment.mean);
    memcpy(b->session.augment.std, b->session.card.std, sizeof b->session.augment.std);
    b->method = b->row->kind == KD3 ? &ws_method_kd3 : &ws_method_ce;
    check(ws_method_open(b->method, &b->training, &b->session, &err), &err);
    b->model = b->training.model;
    check(b->training.supply->kind->begin(b->training.supply, 1, &err), &err);
}

static void run_step(struct bench *b)
{
    struct ws_err err = {0};
    if (b->row->kind == FROZEN) {
        ws_predictor_forward(&b->predictor, b->row->batch);
        return;
    }
    const struct ws_phase *phase;
    struct ws_step step = {.training = &b->training,
                           .place = {.epoch = 1, .epochs = 1, .step = b->n_steps, .step_in_epoch = b->n_steps}};
    b->n_steps++;
    check(ws_update_step(b->method, &step, &phase, &err), &err);
}

/* --- what it amounts to --- */

/* Multiply-adds of one image in the nodes up to `last`; `first` gets those of the layers that read the input. */
static double count_macs(const struct ws_net *net, int last, double *first)
{
    double sum = 0;
    *first = 0;
    for (int i = 0; i <= last; i++) {
        const struct ws_node *node = &net->nodes[i];
        if (node->op != WS_OP_CONV && node->op != WS_OP_GEMM)
            continue;
        const double macs = (double)node->height * node->width * (double)net->params[node->params[0]].n;
        sum += macs;
        if (node->inputs[0] == 0)
            *first += macs;
    }
    return sum;
}

static double arrays_bytes(const struct ws_net *net, int n_arrays)
{
    return (double)net->n_values * sizeof(float) * n_arrays;
}

/* X runs through phi and g, whose gradient stops at phi; X' through the backbone alone. NT-Xent's own products, under a
 * thousandth, are left out. */
static void count_kd3(struct bench *b)
{
    const struct ws_kd3 *kd3 = b->training.state;
    const struct ws_model *student = b->model, *teacher = b->predictor.model;
    double first, ignored;
    const double whole = count_macs(student->net, student->logits, &first);
    const double projected = count_macs(student->net, student->projected, &first);
    const double backbone = count_macs(student->net, student->pooled, &first);
    const double features_s = kd3->embed_s->net->nodes[0].channels, features_t = kd3->embed_t->net->nodes[0].channels;
    b->macs = whole + 2 * projected - first + 3 * backbone - first;
    b->macs += 2 * count_macs(teacher->net, teacher->logits, &ignored);
    b->macs += 2 * EMBEDDING * (3 * features_s + 2 * features_t);
    b->planned_bytes = (double)ws_exec_size_bytes(b->training.student->exec) +
                       (double)ws_exec_size_bytes(kd3->mixed->exec) + (double)ws_exec_size_bytes(kd3->embed_s->exec) +
                       (double)ws_exec_size_bytes(kd3->embed_t->exec) + (double)ws_exec_size_bytes(b->predictor.exec) +
                       arrays_bytes(student->net, 3) + arrays_bytes(teacher->net, 1);
}

static void count_work(struct bench *b)
{
    double first;
    if (b->row->kind == KD3) {
        count_kd3(b);
    } else {
        const struct ws_model *model = b->frozen ? b->frozen : b->model;
        const double forward = count_macs(model->net, model->logits, &first);
        b->macs = b->row->kind == TRAIN ? 3 * forward - first : forward;
    }
    b->macs *= b->row->batch;
}

/* Peak resident set of this process (VmHWM), in bytes; 0 when /proc does not tell. */
static double peak_rss_bytes(void)
{
    char line[256];
    double kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "VmHWM:", 6) == 0)
            kib = atof(line + 6);
    if (file)
        fclose(file);
    return kib * 1024;
}

struct product {
    float *a, *b, *c;
};

static void multiply(void *argument, int slice, int worker)
{
    (void)worker;
    const struct product *p = (const struct product *)argument + slice;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, SGEMM_SIDE, SGEMM_SIDE, SGEMM_SIDE, 1, p->a, SGEMM_SIDE,
                p->b, SGEMM_SIDE, 0, p->c, SGEMM_SIDE);
}

/* GF/s of products of 2048 x 2048, one on each thread at once: what the steps' products could reach at best. */
static double measure_sgemm(struct ws_workers *workers, double seconds)
{
    enum { MAX_THREADS = 64 };
    const int n = ws_workers_count(workers) < MAX_THREADS ? ws_workers_count(workers) : MAX_THREADS;
    const size_t elements = (size_t)SGEMM_SIDE * SGEMM_SIDE;
    struct product products[MAX_THREADS];
    for (int i = 0; i < n; i++) {
        products[i] = (struct product){take(elements, 4), take(elements, 4), take(elements, 4)};
        for (size_t k = 0; k < elements; k++)
            products[i].a[k] = products[i].b[k] = (float)(k % 7) * .25f;
    }
    ws_workers_run(workers, n, multiply, products);
    const double start = ws_clock_mono_s();
    double now = start;
    int n_rounds = 0;
    for (; now - start < seconds || n_rounds < 2; now = ws_clock_mono_s(), n_rounds++)
        ws_workers_run(workers, n, multiply, products);
    for (int i = 0; i < n; i++) {
        free(products[i].a);
        free(products[i].b);
        free(products[i].c);
    }
    return 2e-9 * SGEMM_SIDE * SGEMM_SIDE * SGEMM_SIDE * n * n_rounds / (now - start);
}

/* Seconds of a step. Warming up ends after `seconds`, too. */
static double measure_step(struct bench *b, double seconds)
{
    double start = ws_clock_mono_s();
    for (int i = 0; i < WARM_STEPS && (i == 0 || ws_clock_mono_s() - start < seconds); i++)
        run_step(b);
    start = ws_clock_mono_s();
    double now = start;
    int n_steps = 0;
    for (; now - start < seconds || n_steps < MIN_STEPS; now = ws_clock_mono_s(), n_steps++)
        run_step(b);
    return (now - start) / n_steps;
}

static void close_bench(struct bench *b)
{
    if (b->method)
        ws_method_close(b->method, &b->training);
    ws_predictor_close(&b->predictor);
    ws_dataset_close(&b->data);
    ws_workers_close(&b->workers);
    free(b->images);
}

static void run_row(const struct row *row, double seconds, int n_threads)
{
    struct ws_err err = {0};
    struct bench b = {.row = row};
    ws_blas_be_serial();
    check(ws_workers_open(&b.workers, n_threads, &err), &err);
    set_config(&b.config);
    make_pictures(&b);
    if (row->kind == FROZEN)
        b.frozen = open_frozen(&b, row->arch);
    else
        open_method(&b);
    count_work(&b);
    const double step_s = measure_step(&b, seconds);
    const double peak = peak_rss_bytes(); /* before sgemm's matrices */
    const double sgemm = measure_sgemm(b.workers, seconds < 1 ? seconds : 1);
    const double rate = 2e-9 * b.macs / step_s;
    printf("{\"who\":\"webstill\",\"row\":\"%s\",\"threads\":%d,\"images_per_s\":%.2f,\"step_s\":%.6f,"
           "\"gflop_per_step\":%.4f,\"gflop_per_s\":%.2f,\"sgemm_gflop_per_s\":%.2f,\"share\":%.4f,"
           "\"peak_rss_bytes\":%.0f,\"planned_bytes\":%.0f,\"openblas\":\"%s\",\"core\":\"%s\"}\n",
           row->name, n_threads, row->batch / step_s, step_s, 2e-9 * b.macs, rate, sgemm, rate / sgemm, peak,
           b.planned_bytes, ws_exec_library(), ws_blas_core());
    close_bench(&b);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        for (int i = 0; i < N_ROWS; i++)
            puts(rows[i].name);
        return 0;
    }
    const double seconds = argc > 2 ? atof(argv[2]) : 0;
    const int n_threads = argc > 3 ? atoi(argv[3]) : 0;
    for (int i = 0; i < N_ROWS && argc == 4 && seconds > 0 && n_threads > 0; i++)
        if (strcmp(argv[1], rows[i].name) == 0) {
            run_row(&rows[i], seconds, n_threads);
            return 0;
        }
    fprintf(stderr, "usage: bench_distill ROW SECONDS THREADS    (rows: bench_distill --list)\n");
    return 2;
}
