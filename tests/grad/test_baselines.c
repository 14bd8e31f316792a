/*
 * The baselines beside KD3: each one's whole step against its formula, computed here in double from what the networks
 * say, and its gradients against differences of that loss.
 */
#include "../unit/method_bench.h"

static void check_slopes(struct method_bench *b, const char *network, const char *const *names)
{
    const struct ws_method_network found = method_bench_network(b, network);
    for (; *names; names++)
        method_bench_check_slope(b, found.net, *names);
}

static const float *logits_of(const struct ws_model *model, const struct ws_exec *exec)
{
    return ws_exec_value(exec, model->logits);
}

/* --- kd and noise: T^2 / B sum_i sum_c p_ic (log p_ic - log q_ic), as PyTorch's kl_div(batchmean) * T^2 --- */

static void log_softmax(const float *z, double temperature, double out[BENCH_CLASSES])
{
    double sum = 0;
    for (int c = 0; c < BENCH_CLASSES; c++)
        sum += exp((double)z[c] / temperature);
    for (int c = 0; c < BENCH_CLASSES; c++)
        out[c] = (double)z[c] / temperature - log(sum);
}

static double kd_formula(const float *student, const float *teacher, int n, double temperature)
{
    double sum = 0;
    for (int i = 0; i < n; i++) {
        double q[BENCH_CLASSES], p[BENCH_CLASSES];
        log_softmax(student + i * BENCH_CLASSES, temperature, q);
        log_softmax(teacher + i * BENCH_CLASSES, temperature, p);
        for (int c = 0; c < BENCH_CLASSES; c++)
            sum += exp(p[c]) * (p[c] - q[c]);
    }
    return temperature * temperature * sum / n;
}

static void check_kd(const struct ws_method *method)
{
    static struct method_bench b;
    static const char *const names[] = {"conv1.weight", "layer2.0.conv2.weight", "fc.weight", NULL};
    method_bench_init(&b, "resnet8", "resnet8");
    b.config.distill.kd.temperature = 3;
    method_bench_open(&b, method);
    const struct ws_step step = method_bench_step(&b);
    const struct ws_method_network student = method_bench_network(&b, "student");
    assert_near(step.loss,
                kd_formula(logits_of(b.model, student.exec), logits_of(b.predictor.model, b.predictor.exec), step.n, 3),
                1e-6);
    check_slopes(&b, "student", names);
    method_bench_close(&b);
}

static void a_step_of_kd_is_its_formula_and_its_gradients_are_slopes(void **state)
{
    (void)state;
    check_kd(&ws_method_kd);
}

static void a_step_of_noise_is_kds_formula_and_its_gradients_are_slopes(void **state)
{
    (void)state;
    check_kd(&ws_method_noise);
}

/* Normalised bytes come back as whole numbers of 0..255, each about as often, and differ from step to step. */
static void noise_is_uniform_over_the_bytes_and_new_in_each_step(void **state)
{
    (void)state;
    static struct method_bench b;
    enum { PIXELS = BENCH_BATCH * BENCH_SIDE * BENCH_SIDE, STEPS = 20 };
    static float first[PIXELS];
    int counts[16] = {0};
    struct ws_err err = {0};
    method_bench_init(&b, "resnet8", "resnet8");
    b.config.distill.kd.temperature = 4;
    method_bench_open(&b, &ws_method_noise);
    struct ws_exec *exec = method_bench_network(&b, "student").exec;
    for (int k = 0; k < STEPS; k++) {
        struct ws_step step = {.images = b.images, .n = BENCH_BATCH, .index = k};
        assert_int_equal(ws_method_noise.step(b.state, &step, &err), WS_OK);
        const float *input = ws_exec_input(exec);
        for (int i = 0; i < PIXELS; i++) {
            const double byte = ((double)input[i] * (double).3f + (double).4f) * 255;
            assert_near(byte, round(byte), 1e-3);
            assert_true(byte > -.5 && byte < 255.5);
            counts[(int)round(byte) / 16]++;
        }
        assert_memory_equal(input, ws_exec_input(b.predictor.exec), sizeof first);
        if (k == 0)
            memcpy(first, input, sizeof first);
        else
            assert_memory_not_equal(first, input, sizeof first);
    }
    /* 15 degrees of freedom: 37.7 is passed once in a thousand seeds. */
    double chi2 = 0;
    const double expected = (double)(PIXELS * STEPS) / 16;
    for (int i = 0; i < 16; i++)
        chi2 += pow(counts[i] - expected, 2) / expected;
    assert_true(chi2 < 37.7);
    method_bench_close(&b);
}

/* The pool gives the number of steps and nothing else. */
static void noise_does_not_depend_on_the_pool(void **state)
{
    (void)state;
    static struct method_bench b;
    struct ws_step steps[2];
    for (int k = 0; k < 2; k++) {
        method_bench_init(&b, "resnet8", "resnet8");
        b.config.distill.kd.temperature = 4;
        memset(b.data.block, k ? 200 : 7, b.data.n * ws_dataset_image_bytes(&b.data));
        method_bench_open(&b, &ws_method_noise);
        steps[k] = method_bench_step(&b);
        method_bench_close(&b);
    }
    assert_true(steps[0].loss == steps[1].loss && steps[0].gradient_norm == steps[1].gradient_norm);
}

/* --- simkd --- */

/* Whichever of the two last maps is larger is averaged to the other's size. */
static void check_simkd(const char *teacher, const char *student, const char *const *names)
{
    static struct method_bench b;
    method_bench_init(&b, teacher, student);
    b.config.distill.simkd.projector_factor = 2;
    method_bench_open(&b, &ws_method_simkd);
    const struct ws_step step = method_bench_step(&b);
    const struct ws_model *t = b.predictor.model;
    const struct ws_node *large = &t->net->nodes[t->projected], *small = &b.model->net->nodes[b.model->projected];
    const int ratio = large->height / small->height, channels = small->channels;
    const float *f_t = ws_exec_value(b.predictor.exec, t->projected);
    const float *f_s = ws_exec_value(method_bench_network(&b, "student").exec, b.model->projected);
    double sum = 0;
    for (int i = 0; i < step.n; i++)
        for (int y = 0; y < small->height; y++)
            for (int x = 0; x < small->width; x++)
                for (int c = 0; c < channels; c++) {
                    double mean = 0;
                    for (int v = 0; v < ratio * ratio; v++)
                        mean += (double)
                            f_t[((i * large->height + y * ratio + v / ratio) * large->width + x * ratio + v % ratio) *
                                    channels +
                                c];
                    const double s = (double)f_s[((i * small->height + y) * small->width + x) * channels + c];
                    sum += pow(s - mean / (ratio * ratio), 2);
                }
    const double expected = sum / (double)(step.n * small->height * small->width * channels);
    assert_near(step.loss, expected, 1e-6 * expected);
    check_slopes(&b, "student", names);
    method_bench_close(&b);
}

static void a_step_of_simkd_is_the_mean_squared_error_of_the_maps(void **state)
{
    (void)state;
    static const char *const resnet[] = {"conv1.weight", "layer3.0.bn2.weight", "projector.0.weight",
                                         "projector.4.bias", NULL};
    static const char *const vgg[] = {"features.0.weight", "projector.6.weight", NULL};
    check_simkd("resnet8", "resnet8", resnet);
    check_simkd("resnet8", "vgg8", vgg);    /* 4 x 4 against 2 x 2 */
    check_simkd("vgg8", "resnet8", resnet); /* 2 x 2 against 4 x 4: averaged inside the student */
}

static void the_classifier_that_simkd_shares_has_no_gradient(void **state)
{
    (void)state;
    static struct method_bench b;
    method_bench_init(&b, "resnet8", "resnet8");
    b.config.distill.simkd.projector_factor = 2;
    method_bench_open(&b, &ws_method_simkd);
    struct ws_err err = {0};
    struct ws_step step = {.images = b.images, .n = BENCH_BATCH, .lr = .1};
    assert_int_equal(ws_method_simkd.step(b.state, &step, &err), WS_OK);
    static const char *const names[] = {"fc.weight", "fc.bias"};
    for (int i = 0; i < 2; i++) {
        const struct ws_param *from = &b.teacher->net->params[ws_net_find_param(b.teacher->net, names[i])];
        const struct ws_param *to = &b.model->net->params[ws_net_find_param(b.model->net, names[i])];
        assert_memory_equal(b.teacher->net->values + from->offset, b.model->net->values + to->offset,
                            to->n * sizeof(float));
    }
    method_bench_close(&b);
}

static void assert_refused(const struct ws_method *method, struct method_bench *b, enum ws_status expected,
                           const char *part)
{
    struct ws_err err = {0};
    assert_int_equal(method->open(&b->state, &b->session, &b->model, &err), expected);
    assert_null(b->state);
    if (!strstr(err.text, part))
        fail_msg("expected \"%s\" in: %s", part, err.text);
}

static void simkd_says_what_it_cannot_serve(void **state)
{
    (void)state;
    static struct method_bench b;
    method_bench_init(&b, "resnet8", "resnet8");
    b.config.distill.simkd.projector_factor = 65;
    assert_refused(&ws_method_simkd, &b, WS_E_CONFIG,
                   "distill.simkd.projector_factor: expected 1 to 64 (the teacher's channels), found 65");
    b.config.distill.simkd.projector_factor = 2;
    struct ws_model other = *b.teacher;
    other.head_pooled = other.features; /* as if further layers stood between */
    b.session.teacher = &other;
    assert_refused(&ws_method_simkd, &b, WS_E_UNSUPPORTED, "simkd shares the teacher's classifier");
    method_bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_of_kd_is_its_formula_and_its_gradients_are_slopes),
        cmocka_unit_test(a_step_of_noise_is_kds_formula_and_its_gradients_are_slopes),
        cmocka_unit_test(noise_is_uniform_over_the_bytes_and_new_in_each_step),
        cmocka_unit_test(noise_does_not_depend_on_the_pool),
        cmocka_unit_test(a_step_of_simkd_is_the_mean_squared_error_of_the_maps),
        cmocka_unit_test(the_classifier_that_simkd_shares_has_no_gradient),
        cmocka_unit_test(simkd_says_what_it_cannot_serve),
    };
    return cmocka_run_group_tests_name("baselines", tests, NULL, NULL);
}
