/**
 * Any method of the table on a made-up pool, without the loop around it: a net with random weights teaches another one.
 *
 *   static struct method_bench b;
 *   method_bench_init(&b, "resnet14", "resnet8", 16);
 *   KEYS(&b.config, simkd)->projector_factor = 2;
 *   method_bench_open(&b, &ws_method_simkd);
 *   const struct ws_step step = method_bench_step(&b);
 *   method_bench_check_slope(&b, net, "conv1.weight");
 *   method_bench_close(&b);
 *
 * A step with learning rate 0 leaves the weights alone, and the same step index draws the same view, so the method's
 * own step is a function of the weights, which can be differentiated.
 */
#ifndef WEBSTILL_TESTS_UNIT_METHOD_BENCH_H
#define WEBSTILL_TESTS_UNIT_METHOD_BENCH_H

#include "../../distill/learn/update.h"
#include "../../distill/method/methods.h"
#include "pool_data.h"
#include "program.h"

#include <stdlib.h>

enum { BENCH_CLASSES = 3, BENCH_IMAGES = 24, BENCH_BATCH = 12 };

struct method_bench {
    const struct ws_method *method;
    double reach; /**< of a central difference, along a gradient of length 1 */
    struct ws_config config;
    struct ws_dataset data;
    struct ws_workers *workers;
    struct ws_model *teacher, *model; /**< model: the training's */
    struct ws_predictor predictor;
    uint32_t images[BENCH_IMAGES];
    struct ws_session session;
    struct ws_training training;
    void *state; /**< the training's */
};

/** Nets for images of `side` x `side` pixels. */
static inline void method_bench_init(struct method_bench *b, const char *teacher, const char *student, int side)
{
    static char *class_names[] = {"a", "b", "c"};
    struct ws_err err = {0};
    memset(b, 0, sizeof *b);
    b->reach = 5e-4;
    test_config_init(&b->config);
    KEYS(&b->config, distill)->optim.options.momentum = .9;
    KEYS(&b->config, distill)->optim.options.weight_decay = 5e-4;
    pool_data_make(&b->data, BENCH_IMAGES, side, 1, BENCH_CLASSES);
    for (uint32_t i = 0; i < BENCH_IMAGES; i++)
        b->images[i] = i;
    struct ws_card card = {.classes = class_names,
                           .n_classes = BENCH_CLASSES,
                           .height = side,
                           .width = side,
                           .channels = 1,
                           .mean = {.4f},
                           .std = {.3f},
                           .accuracy = -1};
    snprintf(card.arch, sizeof card.arch, "%s", teacher);
    assert_int_equal(ws_workers_open(&b->workers, 2, &err), WS_OK);
    assert_int_equal(ws_model_build(&b->teacher, &card, &err), WS_OK);
    ws_net_init(b->teacher->net, 77);
    assert_int_equal(ws_predictor_open(&b->predictor, b->teacher, b->workers, BENCH_BATCH, true, &err), WS_OK);
    snprintf(card.arch, sizeof card.arch, "%s", student);
    b->session = (struct ws_session){.config = &b->config,
                                     .dir = "build/tmp",
                                     .workers = b->workers,
                                     .data = &b->data,
                                     .train = b->images,
                                     .n_train = BENCH_IMAGES,
                                     .card = card,
                                     .teacher = b->teacher,
                                     .teacher_predictor = &b->predictor,
                                     .optim = &KEYS(&b->config, distill)->optim,
                                     .augment = {.mean = {.4f}, .std = {.3f}},
                                     .seed = 3,
                                     .batch = BENCH_BATCH,
                                     .epochs = 1};
}

static inline void method_bench_open(struct method_bench *b, const struct ws_method *method)
{
    struct ws_err err = {0};
    b->method = method;
    if (ws_method_open(method, &b->training, &b->session, &err) != WS_OK)
        fail_msg("%s", err.text);
    b->model = b->training.model;
    b->state = b->training.state;
}

static inline void method_bench_close(struct method_bench *b)
{
    ws_config_fini(&b->config);
    if (b->method)
        ws_method_close(b->method, &b->training);
    ws_predictor_close(&b->predictor);
    ws_model_free(&b->teacher);
    ws_workers_close(&b->workers);
    ws_dataset_close(&b->data);
}

/** Step `index` of a whole batch from image `first` on, each image by its weight (NULL: 1), at a rate for all that
 * learns by the session's optimiser. */
static inline struct ws_step method_bench_run(struct method_bench *b, int64_t index, uint32_t first,
                                              const float *weights, double lr)
{
    struct ws_err err = {0};
    struct ws_supply *supply = b->training.supply;
    struct ws_step step = {.training = &b->training, .place = {.epoch = 1, .epochs = 1, .step = index}, .n_right = -1};
    KEYS(&b->config, distill)->optim.lr = lr;
    KEYS(&b->config, distill)->optim.schedule = WS_SCHEDULE_CONSTANT;
    if (supply->kind->take)
        assert_int_equal(supply->kind->take(supply, b->images + first, BENCH_BATCH, 1, &step.batch, &err), WS_OK);
    else
        supply->kind->draw(supply, &step.place, &step.batch);
    step.n = step.batch.n;
    step.batch.weights = weights;
    b->training.n_losses = 0;
    if (ws_update_phase(b->method->phases, &step, &err) != WS_OK)
        fail_msg("%s", err.text);
    return step;
}

static inline struct ws_step method_bench_at(struct method_bench *b, int64_t index, uint32_t first, double lr)
{
    return method_bench_run(b, index, first, NULL, lr);
}

/** The step of index 4. */
static inline struct ws_step method_bench_learn(struct method_bench *b, double lr)
{
    return method_bench_at(b, 4, 0, lr);
}

/** The same at rate 0. */
static inline struct ws_step method_bench_step(struct method_bench *b)
{
    return method_bench_learn(b, 0);
}

/** A network that the method's step runs, by its name in messages ("student"). */
static inline struct ws_network method_bench_network(struct method_bench *b, const char *name)
{
    for (int i = 0; i < b->training.n_networks; i++)
        if (strcmp(b->training.networks[i]->name, name) == 0)
            return *b->training.networks[i];
    fail_msg("%s runs no network \"%s\"", b->method->name, name);
    return *b->training.networks[0];
}

/** Along a parameter's own gradient the slope of the whole step's loss is the gradient's length. */
static inline void method_bench_check_slope(struct method_bench *b, const struct ws_net *net, const char *name)
{
    const int index = ws_net_find_param(net, name);
    assert_true(index >= 0);
    const struct ws_param *param = &net->params[index];
    float *values = net->values + param->offset;
    float *direction = malloc(param->n * sizeof *direction), *saved = malloc(param->n * sizeof *saved);
    method_bench_step(b);
    double squares = 0;
    for (size_t i = 0; i < param->n; i++)
        squares += pow((double)net->gradients[param->offset + i], 2);
    const double length = sqrt(squares);
    if (!(length > 1e-6))
        fail_msg("%s: %s has no gradient", b->method->name, name);
    memcpy(saved, values, param->n * sizeof *saved);
    for (size_t i = 0; i < param->n; i++)
        direction[i] = (float)((double)net->gradients[param->offset + i] / length);
    const double h = b->reach;
    double loss[2];
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < param->n; i++)
            values[i] = saved[i] + (float)(side ? -h : h) * direction[i];
        loss[side] = method_bench_step(b).loss;
    }
    memcpy(values, saved, param->n * sizeof *saved);
    const double slope = (loss[0] - loss[1]) / (2 * h);
    if (!(fabs(slope - length) <= .02 * length + 2e-4))
        fail_msg("%s: %s: slope %.6g, gradient %.6g", b->method->name, name, slope, length);
    free(direction);
    free(saved);
}

#endif
