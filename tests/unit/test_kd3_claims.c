/*
 * What a right KD3 must show exactly (Tang et al., ICCV 2023, and the released code), one test a claim, numbered:
 *
 *    1 the teacher's weight alpha    4 MixDistribution        7 gradients
 *    2 thresholds                    5 feature alignment      8 what is frozen
 *    3 the ends of alpha             6 NT-Xent                9 a student that is the teacher
 *
 * What it must show by training, 10 to 14, stands in test_kd3_behaviour.c.
 */
#include "../../distill/data/mix.h"
#include "kd3_bench.h"
#include "loss_slope.h"
#include "made_logits.h"

#include "loss/arrays.h"
#include "webstill/curate/select.h"
#include "webstill/curate/weight.h"
#include "webstill/nn/loss.h"

/* --- 1: alpha --- */

static const struct ws_alpha_schedule paper = {.zero_epoch = 120, .horizon = 160, .steepness = 5};

static void alpha_follows_the_papers_table(void **state)
{
    (void)state;
    static const struct {
        double epoch, alpha;
    } table[] = {{1, .9924},   {10, .9869},  {20, .9770},  {40, .9371}, {60, .8525}, {80, .7045},
                 {100, .4933}, {110, .3743}, {119, .2684}, {120, 0},    {240, 0}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        assert_near(ws_alpha_at(&paper, table[i].epoch), table[i].alpha, 5e-5);
}

static void alpha_falls_strictly_until_it_is_zero(void **state)
{
    (void)state;
    for (int e = 2; e <= 120; e++)
        assert_true(ws_alpha_at(&paper, e) < ws_alpha_at(&paper, e - 1));
    for (int e = 120; e <= 240; e++)
        assert_true(ws_alpha_at(&paper, e) == 0.0);
}

/* --- 2: thresholds --- */

enum { N = MADE_IMAGES, C = MADE_CLASSES };

static void threshold_rises_from_zero_to_the_cutoff(void **state)
{
    (void)state;
    assert_true(ws_select_threshold(.95, 0) == 0.0);
    assert_true(ws_select_threshold(.95, 1) == .95);
    for (int i = 1; i <= 100; i++)
        assert_true(ws_select_threshold(.95, i / 100.0) > ws_select_threshold(.95, (i - 1) / 100.0));
    assert_near(ws_select_threshold(.95, .8), .6333, 1e-4);
    assert_near(ws_select_threshold(.95, .5), .3167, 1e-4);
    assert_near(ws_select_threshold(.95, .1), .05, 1e-9);
}

static void the_commonest_class_has_the_cutoff_as_threshold(void **state)
{
    (void)state;
    static float teacher[N * C];
    struct ws_arena arena = {0};
    struct ws_selection found;
    made_logits(teacher, 1, true);
    assert_true(ws_select_kd3(&found, &arena, teacher, NULL, N, C, rule(1.0, .95)));
    int64_t total = 0;
    for (int c = 0; c < C; c++) {
        assert_true(found.threshold[c] <= found.threshold[0]);
        total += found.n_predicted[c];
    }
    assert_true(found.threshold[0] == .95);
    assert_int_equal(total, N);
    ws_arena_fini(&arena);
}

static void uniform_predictions_give_every_class_the_cutoff(void **state)
{
    (void)state;
    static float teacher[N * C];
    struct ws_arena arena = {0};
    struct ws_selection found;
    for (int i = 0; i < N; i++)
        teacher[i * C + i % C] = 5;
    assert_true(ws_select_kd3(&found, &arena, teacher, NULL, N, C, rule(1.0, .95)));
    for (int c = 0; c < C; c++)
        assert_true(found.threshold[c] == .95);
    ws_arena_fini(&arena);
}

/* --- 3: the ends of alpha --- */

static void check_same(const struct ws_selection *a, const struct ws_selection *b)
{
    assert_memory_equal(a->keep, b->keep, N);
    assert_memory_equal(a->confidence, b->confidence, N * sizeof(float));
    assert_memory_equal(a->predicted, b->predicted, N * sizeof(int32_t));
}

static void alpha_one_does_not_look_at_the_student(void **state)
{
    (void)state;
    static float teacher[N * C], student[N * C];
    struct ws_arena arena = {0};
    struct ws_selection alone, both;
    made_logits(teacher, 1, false);
    for (int i = 0; i < N * C; i++)
        student[i] = NAN;
    assert_true(ws_select_kd3(&alone, &arena, teacher, NULL, N, C, rule(1.0, .95)));
    assert_true(ws_select_kd3(&both, &arena, teacher, student, N, C, rule(1.0, .95)));
    check_same(&alone, &both);
    ws_arena_fini(&arena);
}

static void alpha_zero_does_not_look_at_the_teacher(void **state)
{
    (void)state;
    static float teacher[N * C], student[N * C];
    struct ws_arena arena = {0};
    struct ws_selection alone, both;
    made_logits(student, 2, false);
    for (int i = 0; i < N * C; i++)
        teacher[i] = INFINITY;
    assert_true(ws_select_kd3(&alone, &arena, NULL, student, N, C, rule(0.0, .95)));
    assert_true(ws_select_kd3(&both, &arena, teacher, student, N, C, rule(0.0, .95)));
    check_same(&alone, &both);
    ws_arena_fini(&arena);
}

/* --- 4: MixDistribution --- */

enum { B = 6, P = 40, CHANNELS = 3 };

struct mixed {
    float x[B * P * CHANNELS], out[B * P * CHANNELS];
    double lam[B];
    uint32_t partner[B];
    double scratch[2 * B * CHANNELS];
};

static void mix(struct mixed *m, int batch)
{
    struct ws_workers *workers;
    struct ws_err err = {0};
    assert_true(ws_mix_scratch_bytes(B, CHANNELS) == sizeof m->scratch);
    assert_int_equal(ws_workers_open(&workers, 2, &err), WS_OK);
    ws_mix_apply(workers, m->x, m->out, batch, P, CHANNELS, m->lam, m->partner, 1e-6, m->scratch);
    ws_workers_close(&workers);
}

static void fill_mixed(struct mixed *m, double lam)
{
    struct ws_rng rng;
    ws_rng_init(&rng, 5, WS_STREAM_TEST, 0, 0);
    for (int i = 0; i < B * P * CHANNELS; i++)
        m->x[i] = (float)(ws_rng_normal(&rng) * (1 + i / (P * CHANNELS)) + i % CHANNELS);
    for (int b = 0; b < B; b++) {
        m->lam[b] = lam;
        m->partner[b] = (uint32_t)((b + 2) % B);
    }
}

static void moments(const float *x, int image, int channel, double *mean, double *deviation)
{
    double sum = 0, squares = 0;
    for (int p = 0; p < P; p++)
        sum += (double)x[(image * P + p) * CHANNELS + channel];
    *mean = sum / P;
    for (int p = 0; p < P; p++)
        squares += pow((double)x[(image * P + p) * CHANNELS + channel] - *mean, 2);
    *deviation = sqrt(squares / (P - 1));
}

static void lambda_one_returns_the_image(void **state)
{
    (void)state;
    static struct mixed m;
    fill_mixed(&m, 1.0);
    mix(&m, B);
    for (int i = 0; i < B * P * CHANNELS; i++)
        assert_near(m.out[i], m.x[i], 1e-6 * (1 + fabs((double)m.x[i])));
}

/* The mean to float's rounding; the deviation to the eps = 1e-6 beside a variance of 1 and more. */
static void lambda_zero_gives_the_partners_moments(void **state)
{
    (void)state;
    static struct mixed m;
    fill_mixed(&m, 0.0);
    mix(&m, B);
    for (int b = 0; b < B; b++)
        for (int c = 0; c < CHANNELS; c++) {
            double mean, deviation, other_mean, other_deviation;
            moments(m.out, b, c, &mean, &deviation);
            moments(m.x, (b + 2) % B, c, &other_mean, &other_deviation);
            assert_near(mean, other_mean, 2e-7 * (1 + other_deviation));
            assert_near(deviation, other_deviation, 5e-6 * other_deviation);
        }
}

static void mixing_keeps_the_structure_of_an_image(void **state)
{
    (void)state;
    static struct mixed m;
    fill_mixed(&m, .3);
    mix(&m, B);
    for (int b = 0; b < B; b++)
        for (int c = 0; c < CHANNELS; c++) {
            double mean, deviation, old_mean, old_deviation;
            moments(m.out, b, c, &mean, &deviation);
            moments(m.x, b, c, &old_mean, &old_deviation);
            for (int p = 0; p < P; p++) {
                const int at = (b * P + p) * CHANNELS + c;
                assert_near(((double)m.out[at] - mean) / deviation, ((double)m.x[at] - old_mean) / old_deviation, 1e-4);
            }
        }
}

static void a_single_image_is_a_fixed_point_of_mixing(void **state)
{
    (void)state;
    static struct mixed m;
    fill_mixed(&m, .3);
    m.partner[0] = 0;
    mix(&m, 1);
    for (int i = 0; i < P * CHANNELS; i++)
        assert_near(m.out[i], m.x[i], 1e-5 * (1 + fabs((double)m.x[i])));
}

static void a_batch_of_one_image_repeated_is_a_fixed_point_of_mixing(void **state)
{
    (void)state;
    static struct mixed m;
    fill_mixed(&m, .3);
    for (int i = P * CHANNELS; i < B * P * CHANNELS; i++)
        m.x[i] = m.x[i - P * CHANNELS];
    mix(&m, B);
    for (int i = 0; i < B * P * CHANNELS; i++)
        assert_near(m.out[i], m.x[i], 1e-5 * (1 + fabs((double)m.x[i])));
}

static void mixing_a_constant_channel_makes_no_nan(void **state)
{
    (void)state;
    static struct mixed m;
    fill_mixed(&m, .3);
    for (int p = 0; p < P; p++)
        m.x[p * CHANNELS] = 2;
    mix(&m, B);
    for (int i = 0; i < B * P * CHANNELS; i++)
        assert_true(isfinite(m.out[i]));
    for (int p = 1; p < P; p++)
        assert_true(m.out[p * CHANNELS] == m.out[0]);
}

/* --- 5: feature alignment --- */

enum { IMAGES = 5, DIM = 12 };

static void fill(float *values, size_t n, uint32_t what)
{
    struct ws_rng rng;
    ws_rng_init(&rng, 1, WS_STREAM_TEST, what, 0);
    for (size_t i = 0; i < n; i++)
        values[i] = (float)ws_rng_normal(&rng);
}

static void alignment_is_zero_for_equal_features_and_for_no_others(void **state)
{
    (void)state;
    float student[IMAGES * DIM], teacher[IMAGES * DIM], zs[IMAGES * C], zt[IMAGES * C], weights[IMAGES];
    fill(teacher, IMAGES * DIM, 9);
    fill(zs, IMAGES * C, 10);
    fill(zt, IMAGES * C, 11);
    ws_weight_disagreement(zs, zt, IMAGES, C, weights);
    memcpy(student, teacher, sizeof student);
    assert_true(ws_array_alignment(student, teacher, weights, IMAGES, DIM, 1.0, NULL, NULL) == 0.0);
    for (size_t i = 0; i < IMAGES * DIM; i++) {
        student[i] += 0.5F;
        const double difference = (double)student[i] - (double)teacher[i];
        const double expected = (double)weights[i / DIM] * difference * difference / (IMAGES * DIM);
        assert_true(expected > 0.0);
        assert_near(ws_array_alignment(student, teacher, weights, IMAGES, DIM, 1.0, NULL, NULL), expected,
                    1e-12 * expected);
        student[i] = teacher[i];
    }
}

static void equal_logits_weigh_one_half_and_halve_the_mean_square(void **state)
{
    (void)state;
    float student[IMAGES * DIM], teacher[IMAGES * DIM], z[IMAGES * C], weights[IMAGES];
    fill(student, IMAGES * DIM, 12);
    fill(teacher, IMAGES * DIM, 13);
    fill(z, IMAGES * C, 14);
    ws_weight_disagreement(z, z, IMAGES, C, weights);
    for (int i = 0; i < IMAGES; i++)
        assert_near(weights[i], 0.5, 1e-6); /* sigmoid(1e-6 sqrt(C)) */
    double mean_square = 0.0;
    for (int i = 0; i < IMAGES * DIM; i++)
        mean_square += pow((double)student[i] - (double)teacher[i], 2.0) / (IMAGES * DIM);
    assert_near(ws_array_alignment(student, teacher, weights, IMAGES, DIM, 1.0, NULL, NULL), 0.5 * mean_square,
                2e-6 * mean_square);
}

static void a_step_of_equal_logits_would_halve_the_mean_square(void **state)
{
    (void)state;
    static struct method_bench b;
    kd3_bench_open(&b, kd3_bench_options(0, false)); /* weights off: w = 1/2 as for equal logits */
    const struct ws_step step = method_bench_step(&b);
    struct ws_kd3 *kd3 = b.state;
    const float *student = ws_exec_value(b.training.student->exec, b.model->projected);
    const float *teacher = ws_exec_value(b.predictor.exec, b.predictor.model->projected);
    double squares = 0;
    const size_t n = BENCH_BATCH * ws_point_floats((struct ws_point){b.training.student, kd3->head->compared});
    for (size_t i = 0; i < n; i++)
        squares += pow((double)student[i] - (double)teacher[i], 2);
    assert_near(step.loss, .5 * squares / (double)n, 1e-6 * step.loss);
    method_bench_close(&b);
}

/* --- 6: NT-Xent --- */

static double ntxent_pairs(const float *u, const float *v, int batch, float *gu, float *gv)
{
    const size_t n_scratch = ws_loss_ntxent_scratch(batch, DIM);
    float *scratch = malloc(n_scratch * sizeof *scratch);
    assert_non_null(scratch);
    const double loss = ws_array_ntxent(NULL, u, v, batch, DIM, 0.3, 1.0, gu, gv, scratch);
    free(scratch);
    return loss;
}

static double ntxent(const float *x, float *gradient)
{
    return ntxent_pairs(x, x + IMAGES * DIM, IMAGES, gradient, gradient ? gradient + IMAGES * DIM : NULL);
}

static void ntxent_of_equal_embeddings_is_log_2b_minus_1(void **state)
{
    (void)state;
    float x[2 * IMAGES * DIM];
    fill(x, DIM, 15);
    for (int i = 1; i < 2 * IMAGES; i++)
        memcpy(x + i * DIM, x, DIM * sizeof *x);
    assert_near(ntxent(x, NULL), log(2 * IMAGES - 1), 1e-13);
    assert_near(ntxent_pairs(x, x, 1, NULL, NULL), 0.0, 1e-13);
}

static void ntxent_ignores_the_order_of_pairs(void **state)
{
    (void)state;
    float x[2 * IMAGES * DIM], turned[2 * IMAGES * DIM];
    fill(x, 2 * IMAGES * DIM, 16);
    for (int i = 0; i < IMAGES; i++) {
        const int to = (i + 2) % IMAGES;
        memcpy(turned + to * DIM, x + i * DIM, DIM * sizeof *x);
        memcpy(turned + (IMAGES + to) * DIM, x + (IMAGES + i) * DIM, DIM * sizeof *x);
    }
    assert_near(ntxent(turned, NULL), ntxent(x, NULL), 1e-12);
}

static void ntxent_ignores_which_view_is_first(void **state)
{
    (void)state;
    float x[2 * IMAGES * DIM], swapped[2 * IMAGES * DIM];
    fill(x, 2 * IMAGES * DIM, 17);
    memcpy(swapped, x + IMAGES * DIM, IMAGES * DIM * sizeof *x);
    memcpy(swapped + IMAGES * DIM, x, IMAGES * DIM * sizeof *x);
    assert_near(ntxent(swapped, NULL), ntxent(x, NULL), 1e-12);

    float a[2 * IMAGES * DIM] = {0}, b[2 * IMAGES * DIM] = {0};
    ntxent(x, a);
    ntxent(swapped, b);
    for (int i = 0; i < IMAGES * DIM; i++)
        assert_near((double)a[i], (double)b[IMAGES * DIM + i], 1e-6);
}

/* --- 7: gradients --- */

static void check_slopes(const char *const *names, size_t n)
{
    static struct method_bench b;
    kd3_bench_open(&b, kd3_bench_options(1.0, false));
    struct ws_kd3 *kd3 = b.state;
    for (size_t i = 0; i < n; i++)
        method_bench_check_slope(&b,
                                 strncmp(names[i], "embed_s", 7) == 0   ? kd3->embed_s->net
                                 : strncmp(names[i], "embed_t", 7) == 0 ? kd3->embed_t->net
                                                                        : b.model->net,
                                 names[i]);
    method_bench_close(&b);
}

static void the_projectors_gradients_are_the_slopes_of_the_whole_loss(void **state)
{
    (void)state;
    static const char *const names[] = {"projector.0.weight", "projector.1.weight", "projector.3.weight",
                                        "projector.4.bias",   "projector.6.weight", "projector.7.bias"};
    check_slopes(names, sizeof names / sizeof *names);
}

/* BatchNorm in training mode, over X and X' both. */
static void the_backbones_gradients_are_the_slopes_of_the_whole_loss(void **state)
{
    (void)state;
    static const char *const names[] = {"conv1.weight", "bn1.bias", "layer1.0.conv2.weight", "layer3.0.conv1.weight",
                                        "layer3.0.bn2.weight"};
    check_slopes(names, sizeof names / sizeof *names);
}

static void the_embeddings_gradients_are_the_slopes_of_the_whole_loss(void **state)
{
    (void)state;
    static const char *const names[] = {"embed_s.weight", "embed_s.bias", "embed_t.weight"};
    check_slopes(names, sizeof names / sizeof *names);
}

static void ntxent_has_the_gradient_of_its_differences(void **state)
{
    (void)state;
    float x[2 * IMAGES * DIM];
    fill(x, 2 * IMAGES * DIM, 19);
    check_gradient(ntxent, x, 2 * IMAGES * DIM, 1e-3);
}

/* --- 8: what is frozen --- */

static void the_teacher_and_its_shared_classifier_never_change(void **state)
{
    (void)state;
    static struct method_bench b;
    kd3_bench_open(&b, kd3_bench_options(.5, true));
    const struct ws_net *teacher = b.teacher->net, *folded = b.predictor.model->net, *student = b.model->net;
    /* All values: weights, and the running statistics of BatchNorm, of which there must be some. */
    float *teacher_before = kd3_bench_copy(teacher, teacher->values);
    float *folded_before = kd3_bench_copy(folded, folded->values);
    float *student_before = kd3_bench_copy(student, student->values);
    assert_true(ws_net_find_param(teacher, "bn1.running_mean") >= 0);
    for (int64_t i = 0; i < 20; i++) {
        method_bench_at(&b, i, (uint32_t)i % 12, .1);
    }
    assert_memory_equal(teacher_before, teacher->values, teacher->n_values * sizeof(float));
    assert_memory_equal(folded_before, folded->values, folded->n_values * sizeof(float));
    static const char *const shared[] = {"fc.weight", "fc.bias"};
    for (int i = 0; i < 2; i++) {
        const struct ws_param *from = &teacher->params[ws_net_find_param(teacher, shared[i])];
        const struct ws_param *to = &student->params[ws_net_find_param(student, shared[i])];
        assert_int_equal(from->n, to->n);
        assert_memory_equal(teacher->values + from->offset, student->values + to->offset, from->n * sizeof(float));
    }
    static const char *const learning[] = {"conv1.weight", "layer3.0.bn2.bias", "projector.6.weight"};
    for (int i = 0; i < 3; i++) {
        const struct ws_param *param = &student->params[ws_net_find_param(student, learning[i])];
        assert_memory_not_equal(student_before + param->offset, student->values + param->offset,
                                param->n * sizeof(float));
    }
    free(teacher_before);
    free(folded_before);
    free(student_before);
    method_bench_close(&b);
}

/* --- 9: a student that is the teacher --- */

static void set_all(struct ws_net *net, const char *name, float value)
{
    const struct ws_param *param = &net->params[ws_net_find_param(net, name)];
    float *values = malloc(param->n * sizeof *values);
    for (size_t i = 0; i < param->n; i++)
        values[i] = value;
    ws_net_set(net, (int)(param - net->params), values, param->n);
    free(values);
}

/* [out][in][height][width] as files have it: 1 from each channel to itself, at the window's centre. */
static void set_identity(struct ws_net *net, const char *name)
{
    const struct ws_param *param = &net->params[ws_net_find_param(net, name)];
    const size_t n = (size_t)param->shape[0], window = (size_t)(param->shape[2] * param->shape[3]);
    assert_int_equal(param->shape[0], param->shape[1]);
    float *values = calloc(param->n, sizeof *values);
    for (size_t c = 0; c < n; c++)
        values[(c * n + c) * window + window / 2] = 1;
    ws_net_set(net, (int)(param - net->params), values, param->n);
    free(values);
}

/* The backbone's parameters have the same names in both; phi's factor is 1, so that it can be the identity at all. */
static void become_the_teacher(struct method_bench *b)
{
    struct ws_net *net = b->model->net;
    const struct ws_net *teacher = b->teacher->net;
    static const char *const identities[] = {"projector.0.weight", "projector.3.weight", "projector.6.weight"};
    static const char *const norms[] = {"projector.1", "projector.4", "projector.7"};
    for (int i = 0; i < net->n_params; i++) {
        const int from = ws_net_find_param(teacher, net->params[i].name);
        if (from < 0)
            continue;
        float *values = malloc(net->params[i].n * sizeof *values);
        ws_net_get(teacher, from, values, net->params[i].n);
        ws_net_set(net, i, values, net->params[i].n);
        free(values);
    }
    for (int i = 0; i < 3; i++) {
        char name[64];
        set_identity(net, identities[i]);
        snprintf(name, sizeof name, "%s.weight", norms[i]);
        set_all(net, name, 1);
        snprintf(name, sizeof name, "%s.bias", norms[i]);
        set_all(net, name, 0);
        snprintf(name, sizeof name, "%s.running_mean", norms[i]);
        set_all(net, name, 0);
        snprintf(name, sizeof name, "%s.running_var", norms[i]);
        set_all(net, name, (float)(1.0 - 1e-5)); /* BatchNorm adds 1e-5 */
    }
}

/* In evaluation mode, as training statistics are not the teacher's running ones. */
static void a_student_with_the_teachers_weights_has_no_loss_and_its_accuracy(void **state)
{
    (void)state;
    static struct method_bench b;
    struct ws_err err = {0};
    struct ws_kd3_keys options = kd3_bench_options(0, true);
    struct ws_predictor student, teacher;
    options.projector_factor = 1;
    kd3_bench_open(&b, options);
    become_the_teacher(&b);
    assert_int_equal(ws_predictor_open(&student, b.model, b.workers, BENCH_IMAGES, false, &err), WS_OK);
    assert_int_equal(ws_predictor_open(&teacher, b.teacher, b.workers, BENCH_IMAGES, false, &err), WS_OK);
    float zs[BENCH_IMAGES * BENCH_CLASSES], zt[BENCH_IMAGES * BENCH_CLASSES], weights[BENCH_IMAGES];
    struct ws_augment augment;
    const struct ws_view view = ws_view_clean(&b.model->card, &augment);
    assert_int_equal(ws_predict(&student, &b.data, &view, b.images, BENCH_IMAGES, zs, NULL, &err), WS_OK);
    assert_int_equal(ws_predict(&teacher, &b.data, &view, b.images, BENCH_IMAGES, zt, NULL, &err), WS_OK);
    ws_weight_disagreement(zs, zt, BENCH_IMAGES, BENCH_CLASSES, weights);
    const float *fs = ws_exec_value(student.exec, b.model->projected);
    const float *ft = ws_exec_value(teacher.exec, b.teacher->projected);
    const struct ws_node *map = &b.teacher->net->nodes[b.teacher->projected];
    const size_t n = (size_t)(map->height * map->width * map->channels);
    double size = 0;
    for (size_t i = 0; i < BENCH_IMAGES * n; i++)
        size += (double)ft[i] * (double)ft[i] / (double)(BENCH_IMAGES * n);
    assert_true(size > 1e-3);
    assert_near(ws_array_alignment(fs, ft, weights, BENCH_IMAGES, n, 1.0, NULL, NULL), 0, 1e-12 * size);
    int right_s = 0, right_t = 0;
    for (size_t i = 0; i < BENCH_IMAGES; i++) {
        right_s += ws_argmax(zs + i * BENCH_CLASSES, BENCH_CLASSES) == b.data.labels[i];
        right_t += ws_argmax(zt + i * BENCH_CLASSES, BENCH_CLASSES) == b.data.labels[i];
        for (size_t c = 0; c < BENCH_CLASSES; c++)
            assert_near(zs[i * BENCH_CLASSES + c], zt[i * BENCH_CLASSES + c], 1e-5);
    }
    assert_int_equal(right_s, right_t);
    ws_predictor_close(&student);
    ws_predictor_close(&teacher);
    method_bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* 1 */
        cmocka_unit_test(alpha_follows_the_papers_table),
        cmocka_unit_test(alpha_falls_strictly_until_it_is_zero),
        /* 2 */
        cmocka_unit_test(threshold_rises_from_zero_to_the_cutoff),
        cmocka_unit_test(the_commonest_class_has_the_cutoff_as_threshold),
        cmocka_unit_test(uniform_predictions_give_every_class_the_cutoff),
        /* 3 */
        cmocka_unit_test(alpha_one_does_not_look_at_the_student),
        cmocka_unit_test(alpha_zero_does_not_look_at_the_teacher),
        /* 4 */
        cmocka_unit_test(lambda_one_returns_the_image),
        cmocka_unit_test(lambda_zero_gives_the_partners_moments),
        cmocka_unit_test(mixing_keeps_the_structure_of_an_image),
        cmocka_unit_test(a_single_image_is_a_fixed_point_of_mixing),
        cmocka_unit_test(a_batch_of_one_image_repeated_is_a_fixed_point_of_mixing),
        cmocka_unit_test(mixing_a_constant_channel_makes_no_nan),
        /* 5 */
        cmocka_unit_test(alignment_is_zero_for_equal_features_and_for_no_others),
        cmocka_unit_test(equal_logits_weigh_one_half_and_halve_the_mean_square),
        cmocka_unit_test(a_step_of_equal_logits_would_halve_the_mean_square),
        /* 6 */
        cmocka_unit_test(ntxent_of_equal_embeddings_is_log_2b_minus_1),
        cmocka_unit_test(ntxent_ignores_the_order_of_pairs),
        cmocka_unit_test(ntxent_ignores_which_view_is_first),
        /* 7 */
        cmocka_unit_test(the_projectors_gradients_are_the_slopes_of_the_whole_loss),
        cmocka_unit_test(the_backbones_gradients_are_the_slopes_of_the_whole_loss),
        cmocka_unit_test(the_embeddings_gradients_are_the_slopes_of_the_whole_loss),
        cmocka_unit_test(ntxent_has_the_gradient_of_its_differences),
        /* 8 */
        cmocka_unit_test(the_teacher_and_its_shared_classifier_never_change),
        /* 9 */
        cmocka_unit_test(a_student_with_the_teachers_weights_has_no_loss_and_its_accuracy),
    };
    return cmocka_run_group_tests_name("kd3_claims", tests, NULL, NULL);
}
