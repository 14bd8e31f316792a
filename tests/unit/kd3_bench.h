/**
 * Method kd3 on a made-up pool, without the loop around it: a ResNet-8 with random weights teaches another one.
 *
 *   static struct kd3_bench b;
 *   kd3_bench_open(&b, (struct ws_conf_kd3){…});          // or kd3_bench_options(1.0, true)
 *   const struct ws_step step = kd3_bench_step(&b, 0.0);
 *   kd3_bench_close(&b);
 *
 * A step with learning rate 0 leaves the weights alone, and the same step index draws the same view and the same mix,
 * so the method's own step is a function of the weights, which can be differentiated.
 */
#ifndef WEBSTILL_TESTS_UNIT_KD3_BENCH_H
#define WEBSTILL_TESTS_UNIT_KD3_BENCH_H

#include "../../distill/kd3.h"
#include "pool_data.h"

#include <stdlib.h>

enum { KD3_SIDE = 8, KD3_CLASSES = 3, KD3_IMAGES = 24, KD3_BATCH = 12 };

struct kd3_bench {
    struct ws_config config;
    struct ws_dataset data;
    struct ws_pool *pool;
    struct ws_model *teacher, *model;
    struct ws_predictor predictor;
    uint32_t images[KD3_IMAGES];
    struct ws_session session;
    void *state;
};

static inline struct ws_conf_kd3 kd3_bench_options(double contrast_weight, bool weights)
{
    static char contrast_self[] = "self", contrast_off[] = "off";
    return (struct ws_conf_kd3){.contrast = contrast_weight > 0 ? contrast_self : contrast_off,
                                .contrast_weight = contrast_weight,
                                .contrast_temperature = .3,
                                .embedding = 16,
                                .projector_factor = 2,
                                .share = true,
                                .kl_temperature = 4,
                                .mix_alpha = .5,
                                .mix_eps = 1e-6,
                                .weights = weights};
}

/** kd3_bench_options() with the contrast of student and teacher. */
static inline struct ws_conf_kd3 kd3_bench_cross(double contrast_weight)
{
    static char contrast_cross[] = "cross";
    struct ws_conf_kd3 options = kd3_bench_options(contrast_weight, false);
    options.contrast = contrast_cross;
    return options;
}

/** As kd3_bench_open(), for kd3+ when `plus` is not NULL. */
static inline void kd3_bench_open_plus(struct kd3_bench *b, struct ws_conf_kd3 options,
                                       const struct ws_conf_kd3_plus *plus)
{
    static char *class_names[] = {"a", "b", "c"}, rule_all[] = "all";
    struct ws_err err = {0};
    memset(b, 0, sizeof *b);
    b->config.curate.rule = rule_all;
    b->config.distill.optim.momentum = .9;
    b->config.distill.optim.weight_decay = 5e-4;
    b->config.distill.kd3 = options;
    pool_data_make(&b->data, KD3_IMAGES, KD3_SIDE, 1, KD3_CLASSES);
    for (uint32_t i = 0; i < KD3_IMAGES; i++)
        b->images[i] = i;
    struct ws_card card = {.arch = "resnet8",
                           .classes = class_names,
                           .n_classes = KD3_CLASSES,
                           .height = KD3_SIDE,
                           .width = KD3_SIDE,
                           .channels = 1,
                           .mean = {.4f},
                           .std = {.3f}};
    assert_int_equal(ws_pool_open(&b->pool, 2, &err), WS_OK);
    assert_int_equal(ws_model_build(&b->teacher, &card, &err), WS_OK);
    ws_net_init(b->teacher->net, 77);
    assert_int_equal(ws_predictor_open(&b->predictor, b->teacher, b->pool, KD3_BATCH, true, &err), WS_OK);
    b->session = (struct ws_session){.config = &b->config,
                                     .dir = "build/tmp",
                                     .pool = b->pool,
                                     .data = &b->data,
                                     .train = b->images,
                                     .n_train = KD3_IMAGES,
                                     .card = card,
                                     .teacher = b->teacher,
                                     .teacher_predictor = &b->predictor,
                                     .optim = &b->config.distill.optim,
                                     .augment = {.mean = {.4f}, .std = {.3f}},
                                     .seed = 3,
                                     .batch = KD3_BATCH,
                                     .epochs = 1};
    if (plus)
        b->config.distill.kd3_plus = *plus;
    const struct ws_method *method = plus ? &ws_method_kd3_plus : &ws_method_kd3;
    if (method->open(&b->state, &b->session, &b->model, &err) != WS_OK)
        fail_msg("%s", err.text);
}

static inline void kd3_bench_open(struct kd3_bench *b, struct ws_conf_kd3 options)
{
    kd3_bench_open_plus(b, options, NULL);
}

static inline void kd3_bench_close(struct kd3_bench *b)
{
    ws_method_kd3.close(&b->state);
    ws_predictor_close(&b->predictor);
    ws_model_free(&b->teacher);
    ws_pool_close(&b->pool);
    ws_dataset_close(&b->data);
}

/** The step of index 4. */
static inline struct ws_step kd3_bench_step(struct kd3_bench *b, double lr)
{
    struct ws_err err = {0};
    struct ws_step step = {.images = b->images, .n = KD3_BATCH, .view_pass = 1, .index = 4, .lr = lr};
    if (ws_method_kd3.step(b->state, &step, &err) != WS_OK)
        fail_msg("%s", err.text);
    return step;
}

static inline float *kd3_bench_copy(const struct ws_net *net, const float *values)
{
    float *copy = malloc(net->n_values * sizeof *copy);
    assert_non_null(copy);
    return memcpy(copy, values, net->n_values * sizeof *copy);
}

/** Along a parameter's own gradient the slope of the whole step's loss is the gradient's length. */
static inline void kd3_bench_check_slope(struct kd3_bench *b, struct ws_net *net, const char *name)
{
    const struct ws_param *param = &net->params[ws_net_find_param(net, name)];
    float *values = net->values + param->offset;
    float *direction = malloc(param->n * sizeof *direction), *saved = malloc(param->n * sizeof *saved);
    kd3_bench_step(b, 0);
    double squares = 0;
    for (size_t i = 0; i < param->n; i++)
        squares += pow((double)net->gradients[param->offset + i], 2);
    const double length = sqrt(squares);
    assert_true(length > 1e-6);
    memcpy(saved, values, param->n * sizeof *saved);
    for (size_t i = 0; i < param->n; i++)
        direction[i] = (float)((double)net->gradients[param->offset + i] / length);
    const double h = 2e-3;
    double loss[2];
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < param->n; i++)
            values[i] = saved[i] + (float)(side ? -h : h) * direction[i];
        loss[side] = kd3_bench_step(b, 0).loss;
    }
    memcpy(values, saved, param->n * sizeof *saved);
    const double slope = (loss[0] - loss[1]) / (2 * h);
    if (!(fabs(slope - length) <= .02 * length + 2e-4))
        fail_msg("%s: slope %.6g, gradient %.6g", name, slope, length);
    free(direction);
    free(saved);
}

#endif
