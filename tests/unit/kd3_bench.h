/**
 * Methods kd3 and kd3+ on method_bench.h's made-up pool: a ResNet-8 with random weights teaches another one.
 *
 *   static struct method_bench b;
 *   kd3_bench_open(&b, (struct ws_kd3_keys){…});          // or kd3_bench_options(1.0, true)
 *   const struct ws_step step = method_bench_step(&b);
 *   method_bench_close(&b);
 *
 * The same step index draws the same mix, too.
 */
#ifndef WEBSTILL_TESTS_UNIT_KD3_BENCH_H
#define WEBSTILL_TESTS_UNIT_KD3_BENCH_H

#include "../../distill/method/kd3/state.h"
#include "method_bench.h"
#include "program.h"

enum { KD3_SIDE = 8 };

static inline struct ws_kd3_keys kd3_bench_options(double contrast_weight, bool weights)
{
    return (struct ws_kd3_keys){.contrast = contrast_weight > 0 ? WS_CONTRAST_SELF : WS_CONTRAST_OFF,
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
static inline struct ws_kd3_keys kd3_bench_cross(double contrast_weight)
{
    struct ws_kd3_keys options = kd3_bench_options(contrast_weight, false);
    options.contrast = WS_CONTRAST_CROSS;
    return options;
}

/** As kd3_bench_open(), for kd3+ when `plus` is not NULL. */
static inline void kd3_bench_open_plus(struct method_bench *b, struct ws_kd3_keys options,
                                       const struct ws_kd3_plus_keys *plus)
{
    method_bench_init(b, "resnet8", "resnet8", KD3_SIDE);
    b->reach = 2e-3;
    KEYS(&b->config, curate)->rule = WS_RULE_ALL;
    *KEYS(&b->config, kd3) = options;
    if (plus)
        *KEYS(&b->config, kd3_plus) = *plus;
    method_bench_open(b, plus ? &ws_method_kd3_plus : &ws_method_kd3);
}

static inline void kd3_bench_open(struct method_bench *b, struct ws_kd3_keys options)
{
    kd3_bench_open_plus(b, options, NULL);
}

static inline float *kd3_bench_copy(const struct ws_net *net, const float *values)
{
    float *copy = malloc(net->n_values * sizeof *copy);
    assert_non_null(copy);
    return memcpy(copy, values, net->n_values * sizeof *copy);
}

#endif
