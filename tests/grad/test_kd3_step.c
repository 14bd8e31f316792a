/*
 * One step of KD3 as a whole: its gradients against finite differences of its loss, and who influences whom.
 *
 * A step with learning rate 0 leaves the weights alone, and the same step index draws the same view and the same mix,
 * so the method's own step is the function that is differentiated.
 */
#include "../../distill/kd3.h"
#include "../unit/pool_data.h"

#include <stdlib.h>

enum { SIDE = 8, CLASSES = 3, N = 24, BATCH = 12 };

static char *class_names[] = {"a", "b", "c"};
static char rule_all[] = "all", contrast_self[] = "self", contrast_off[] = "off";

struct bench {
    struct ws_config config;
    struct ws_dataset data;
    struct ws_pool *pool;
    struct ws_model *teacher, *model;
    struct ws_predictor predictor;
    uint32_t images[N];
    struct ws_session session;
    void *state;
};

static void open_bench(struct bench *b, double contrast_weight, bool weights)
{
    struct ws_err err = {0};
    memset(b, 0, sizeof *b);
    b->config.curate.rule = rule_all;
    b->config.distill.optim.momentum = .9;
    b->config.distill.kd3 = (struct ws_conf_kd3){.contrast = contrast_weight > 0 ? contrast_self : contrast_off,
                                                 .contrast_weight = contrast_weight,
                                                 .contrast_temperature = .3,
                                                 .embedding = 16,
                                                 .projector_factor = 2,
                                                 .mix_alpha = .5,
                                                 .mix_eps = 1e-6,
                                                 .weights = weights};
    pool_data_make(&b->data, N, SIDE, 1, CLASSES);
    for (uint32_t i = 0; i < N; i++)
        b->images[i] = i;
    struct ws_card card = {.arch = "resnet8",
                           .classes = class_names,
                           .n_classes = CLASSES,
                           .height = SIDE,
                           .width = SIDE,
                           .channels = 1,
                           .mean = {.4f},
                           .std = {.3f}};
    assert_int_equal(ws_pool_open(&b->pool, 2, &err), WS_OK);
    assert_int_equal(ws_model_build(&b->teacher, &card, &err), WS_OK);
    ws_net_init(b->teacher->net, 77);
    assert_int_equal(ws_predictor_open(&b->predictor, b->teacher, b->pool, BATCH, true, &err), WS_OK);
    b->session = (struct ws_session){.config = &b->config,
                                     .dir = "build/tmp",
                                     .pool = b->pool,
                                     .data = &b->data,
                                     .train = b->images,
                                     .n_train = N,
                                     .card = card,
                                     .teacher = b->teacher,
                                     .teacher_predictor = &b->predictor,
                                     .optim = &b->config.distill.optim,
                                     .augment = {.mean = {.4f}, .std = {.3f}},
                                     .seed = 3,
                                     .batch = BATCH,
                                     .epochs = 1};
    assert_int_equal(ws_method_kd3.open(&b->state, &b->session, &b->model, &err), WS_OK);
}

static void close_bench(struct bench *b)
{
    ws_method_kd3.close(&b->state);
    ws_predictor_close(&b->predictor);
    ws_model_free(&b->teacher);
    ws_pool_close(&b->pool);
    ws_dataset_close(&b->data);
}

static struct ws_step step_once(struct bench *b)
{
    struct ws_err err = {0};
    struct ws_step step = {.images = b->images, .n = BATCH, .view_pass = 1, .index = 4, .lr = 0};
    if (ws_method_kd3.step(b->state, &step, &err) != WS_OK)
        fail_msg("%s", err.text);
    return step;
}

/*
 * The same step from the same running statistics: the engine takes batch moments around the running mean, so that
 * rounding (and nothing else) depends on it.
 */
static struct ws_step step_from(struct bench *b, const float *values)
{
    memcpy(b->model->net->values, values, b->model->net->n_values * sizeof *values);
    return step_once(b);
}

static float *copy_values(const struct ws_net *net, const float *values)
{
    float *copy = malloc(net->n_values * sizeof *copy);
    assert_non_null(copy);
    return memcpy(copy, values, net->n_values * sizeof *copy);
}

/* Along a parameter's own gradient the slope of the loss is the gradient's length. */
static void check_slope(struct bench *b, struct ws_net *net, const char *name)
{
    const struct ws_param *param = &net->params[ws_net_find_param(net, name)];
    float *values = net->values + param->offset;
    float *direction = malloc(param->n * sizeof *direction), *saved = malloc(param->n * sizeof *saved);
    step_once(b);
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
        loss[side] = step_once(b).loss;
    }
    memcpy(values, saved, param->n * sizeof *saved);
    const double slope = (loss[0] - loss[1]) / (2 * h);
    if (!(fabs(slope - length) <= .02 * length + 2e-4))
        fail_msg("%s: slope %.6g, gradient %.6g", name, slope, length);
    free(direction);
    free(saved);
}

static void gradients_are_the_slopes_of_the_whole_loss(void **state)
{
    (void)state;
    static struct bench b;
    open_bench(&b, 1.0, false);
    struct kd3 *kd3 = b.state;
    static const char *const names[] = {
        "conv1.weight",        "bn1.bias",           "layer1.0.conv2.weight", "layer3.0.conv1.weight",
        "layer3.0.bn2.weight", "projector.0.weight", "projector.4.bias",      "projector.6.weight"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        check_slope(&b, b.model->net, names[i]);
    check_slope(&b, kd3->embed_s.net, "embed_s.weight");
    check_slope(&b, kd3->embed_t.net, "embed_t.weight");
    close_bench(&b);
}

static void gradients_without_contrast_are_slopes_too(void **state)
{
    (void)state;
    static struct bench b;
    open_bench(&b, 0, false);
    check_slope(&b, b.model->net, "conv1.weight");
    check_slope(&b, b.model->net, "projector.3.weight");
    close_bench(&b);
}

static void the_loss_is_the_weighted_sum_of_its_parts(void **state)
{
    (void)state;
    static struct bench b;
    open_bench(&b, .25, true);
    const struct ws_step step = step_once(&b);
    assert_int_equal(step.n_losses, 3);
    assert_near(step.loss, step.losses[0].value + .25 * (step.losses[1].value + step.losses[2].value), 1e-12);
    close_bench(&b);
}

static void equal_weights_of_one_half_halve_the_mean_squared_error(void **state)
{
    (void)state;
    static struct bench b;
    open_bench(&b, 0, false);
    const struct ws_step step = step_once(&b);
    struct kd3 *kd3 = b.state;
    const float *student = ws_exec_value(kd3->trainee.exec, b.model->projected);
    const float *teacher = ws_exec_value(b.predictor.exec, b.predictor.model->projected);
    double squares = 0;
    for (size_t i = 0; i < BATCH * kd3->head.map_floats; i++)
        squares += pow((double)student[i] - (double)teacher[i], 2);
    assert_near(step.loss, .5 * squares / (double)(BATCH * kd3->head.map_floats), 1e-6 * step.loss);
    close_bench(&b);
}

static void copy_param(const struct ws_net *net, const char *name, float out[64])
{
    const int param = ws_net_find_param(net, name);
    assert_true(param >= 0 && net->params[param].n <= 64);
    ws_net_get(net, param, out, net->params[param].n);
}

/* The mixed copy passes through the backbone's BatchNorm, in the order X, X', and never through the projector's. */
static void the_mixed_copy_reaches_the_backbones_statistics_but_not_the_projectors(void **state)
{
    (void)state;
    static struct bench with, without;
    float a[64] = {0}, c[64] = {0};
    open_bench(&with, 1.0, true);
    open_bench(&without, 0, true);
    step_once(&with);
    step_once(&without);
    copy_param(with.model->net, "projector.1.running_mean", a);
    copy_param(without.model->net, "projector.1.running_mean", c);
    assert_memory_equal(a, c, sizeof a);
    copy_param(with.model->net, "bn1.running_mean", a);
    copy_param(without.model->net, "bn1.running_mean", c);
    assert_memory_not_equal(a, c, sizeof a);
    close_bench(&with);
    close_bench(&without);
}

static void the_teachers_embedding_does_not_touch_the_student(void **state)
{
    (void)state;
    static struct bench b;
    open_bench(&b, 1.0, true);
    struct kd3 *kd3 = b.state;
    const struct ws_net *net = b.model->net;
    float *values = copy_values(net, net->values);
    step_from(&b, values);
    float *gradients = copy_values(net, net->gradients);
    for (size_t i = 0; i < kd3->embed_t.net->n_values; i++)
        kd3->embed_t.net->values[i] *= -3;
    step_from(&b, values);
    assert_memory_equal(gradients, net->gradients, net->n_values * sizeof *gradients);
    free(gradients);
    free(values);
    close_bench(&b);
}

static void a_step_of_rate_zero_is_a_pure_function_of_its_index(void **state)
{
    (void)state;
    static struct bench b;
    open_bench(&b, 1.0, true);
    float *values = copy_values(b.model->net, b.model->net->values);
    const struct ws_step first = step_from(&b, values), again = step_from(&b, values);
    assert_true(first.loss == again.loss && first.gradient_norm == again.gradient_norm);
    free(values);
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_the_slopes_of_the_whole_loss),
        cmocka_unit_test(gradients_without_contrast_are_slopes_too),
        cmocka_unit_test(the_loss_is_the_weighted_sum_of_its_parts),
        cmocka_unit_test(equal_weights_of_one_half_halve_the_mean_squared_error),
        cmocka_unit_test(the_mixed_copy_reaches_the_backbones_statistics_but_not_the_projectors),
        cmocka_unit_test(the_teachers_embedding_does_not_touch_the_student),
        cmocka_unit_test(a_step_of_rate_zero_is_a_pure_function_of_its_index),
    };
    return cmocka_run_group_tests_name("kd3_step", tests, NULL, NULL);
}
