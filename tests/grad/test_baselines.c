/*
 * The baselines beside KD3: each one's whole step against its formula, computed here in double from what the networks
 * say, and its gradients against differences of that loss.
 */
#include "../../distill/model/hint.h"
#include "../unit/method_bench.h"
#include "../unit/program.h"
#include "../unit/temp.h"

enum { SIDE = 16 };

static void check_slopes(struct method_bench *b, const char *network, const char *const *names)
{
    const struct ws_network found = method_bench_network(b, network);
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
    method_bench_init(&b, "resnet8", "resnet8", SIDE);
    KEYS(&b.config, kd)->temperature = 3;
    method_bench_open(&b, method);
    const struct ws_step step = method_bench_step(&b);
    const struct ws_network student = method_bench_network(&b, "student");
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
    enum { PIXELS = BENCH_BATCH * SIDE * SIDE, STEPS = 20 };
    static float first[PIXELS];
    int counts[16] = {0};
    method_bench_init(&b, "resnet8", "resnet8", SIDE);
    KEYS(&b.config, kd)->temperature = 4;
    method_bench_open(&b, &ws_method_noise);
    struct ws_exec *exec = method_bench_network(&b, "student").exec;
    for (int k = 0; k < STEPS; k++) {
        method_bench_at(&b, k, 0, 0);
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
        method_bench_init(&b, "resnet8", "resnet8", SIDE);
        KEYS(&b.config, kd)->temperature = 4;
        memset(b.data.block, k ? 200 : 7, b.data.n * ws_dataset_image_bytes(&b.data));
        method_bench_open(&b, &ws_method_noise);
        steps[k] = method_bench_step(&b);
        method_bench_close(&b);
    }
    assert_true(steps[0].loss == steps[1].loss && steps[0].gradient_norm == steps[1].gradient_norm);
}

/* --- simkd --- */

/* Mean square of the difference of two maps of n images, the larger one averaged to the smaller one's size. */
static double mean_square(const float *of_large, const struct ws_node *large, const float *of_small,
                          const struct ws_node *small, int n)
{
    const int ratio = large->height / small->height, channels = small->channels;
    double sum = 0;
    assert_int_equal(channels, large->channels);
    for (int i = 0; i < n; i++)
        for (int y = 0; y < small->height; y++)
            for (int x = 0; x < small->width; x++)
                for (int c = 0; c < channels; c++) {
                    double mean = 0;
                    for (int v = 0; v < ratio * ratio; v++)
                        mean += (double)of_large[((i * large->height + y * ratio + v / ratio) * large->width +
                                                  x * ratio + v % ratio) *
                                                     channels +
                                                 c];
                    const double s = (double)of_small[((i * small->height + y) * small->width + x) * channels + c];
                    sum += pow(s - mean / (ratio * ratio), 2);
                }
    return sum / (double)(n * small->height * small->width * channels);
}

/* Whichever of the two last maps is larger is averaged to the other's size. */
static void check_simkd(const char *teacher, const char *student, const char *const *names)
{
    static struct method_bench b;
    method_bench_init(&b, teacher, student, SIDE);
    KEYS(&b.config, simkd)->projector_factor = 2;
    method_bench_open(&b, &ws_method_simkd);
    const struct ws_step step = method_bench_step(&b);
    const struct ws_model *t = b.predictor.model;
    const struct ws_node *large = &t->net->nodes[t->projected], *small = &b.model->net->nodes[b.model->projected];
    const double expected =
        mean_square(ws_exec_value(b.predictor.exec, t->projected), large,
                    ws_exec_value(method_bench_network(&b, "student").exec, b.model->projected), small, step.n);
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
    method_bench_init(&b, "resnet8", "resnet8", SIDE);
    KEYS(&b.config, simkd)->projector_factor = 2;
    method_bench_open(&b, &ws_method_simkd);
    method_bench_learn(&b, .1);
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
    assert_int_equal(ws_method_open(method, &b->training, &b->session, &err), expected);
    assert_null(b->training.learners);
    if (!strstr(err.text, part))
        fail_msg("expected \"%s\" in: %s", part, err.text);
}

static void simkd_says_what_it_cannot_serve(void **state)
{
    (void)state;
    static struct method_bench b;
    method_bench_init(&b, "resnet8", "resnet8", SIDE);
    KEYS(&b.config, simkd)->projector_factor = 65;
    assert_refused(&ws_method_simkd, &b, WS_E_CONFIG,
                   "distill.simkd.projector_factor: expected 1 to 64 (the teacher's channels), found 65");
    KEYS(&b.config, simkd)->projector_factor = 2;
    struct ws_model other = *b.teacher;
    other.head_pooled = other.features; /* as if further layers stood between */
    b.session.teacher = &other;
    assert_refused(&ws_method_simkd, &b, WS_E_UNSUPPORTED, "simkd shares the teacher's classifier");
    method_bench_close(&b);
}

/* --- dfnd --- */

static void open_dfnd(struct method_bench *b, double noise_lr)
{
    method_bench_init(b, "resnet8", "resnet8", SIDE);
    *KEYS(&b->config, dfnd) =
        (struct ws_dfnd_keys){.share = .4, .temperature = 3, .accuracy = .8, .noise_lr = noise_lr};
    method_bench_open(b, &ws_method_dfnd);
}

/* At the start every wrong label is as likely as the next: -log(a p_y + (1-a)/(C-1) (1 - p_y)). */
static void the_first_step_of_dfnd_is_kd_and_the_noisy_cross_entropy(void **state)
{
    (void)state;
    static struct method_bench b;
    static const char *const names[] = {"conv1.weight", "layer2.0.bn1.weight", "fc.weight", "fc.bias", NULL};
    open_dfnd(&b, 0); /* so that a step is a function of the student's weights alone */
    const struct ws_step step = method_bench_step(&b);
    const float *z_s = logits_of(b.model, method_bench_network(&b, "student").exec);
    const float *z_t = logits_of(b.predictor.model, b.predictor.exec);
    double noisy = 0;
    for (int i = 0; i < step.n; i++) {
        double log_p[BENCH_CLASSES];
        log_softmax(z_s + i * BENCH_CLASSES, 1, log_p);
        const double p = exp(log_p[ws_argmax(z_t + i * BENCH_CLASSES, BENCH_CLASSES)]);
        noisy -= log(.8 * p + .2 / (BENCH_CLASSES - 1) * (1 - p)) / step.n;
    }
    const double kd = kd_formula(z_s, z_t, step.n, 3);
    assert_int_equal(step.n_losses, 2);
    assert_near(step.losses[0].value, kd, 1e-6);
    assert_near(step.losses[1].value, noisy, 1e-6);
    assert_near(step.loss, kd + noisy, 1e-6);
    check_slopes(&b, "student", names);
    method_bench_close(&b);
}

/* Adam's first step is the rate in the direction of each gradient, and the loss falls along it. */
static void dfnd_learns_the_teachers_mistakes_beside_the_student(void **state)
{
    (void)state;
    static struct method_bench b;
    enum { N_NOISE = BENCH_CLASSES * (BENCH_CLASSES - 1) };
    open_dfnd(&b, .01);
    const double before = method_bench_step(&b).losses[1].value;
    const struct ws_learner *noise = b.training.learners[1];
    assert_string_equal(noise->name, "noise");
    assert_int_equal(noise->n, N_NOISE);
    for (int k = 0; k < N_NOISE; k++)
        assert_near(fabs((double)noise->values[k]), .01, 1e-4);
    double after = before;
    for (int k = 0; k < 50; k++)
        after = method_bench_step(&b).losses[1].value; /* at rate 0 the student stands still */
    assert_true(after < before - 1e-3);
    method_bench_close(&b);
}

static void dfnd_trains_on_what_the_teacher_is_surest_of(void **state)
{
    static struct method_bench b;
    struct ws_err err = {0};
    struct ws_supply *supply;
    const struct ws_epoch *epoch;
    struct ws_augment augment;
    float logits[BENCH_IMAGES * BENCH_CLASSES], confidence[BENCH_IMAGES];
    char path[TEMP_PATH];
    bool is_kept[BENCH_IMAGES] = {false};
    open_dfnd(&b, .01);
    b.session.dir = *state;
    supply = b.training.supply;
    epoch = &supply->epoch;
    assert_int_equal(supply->kind->begin(supply, 1, &err), WS_OK);
    assert_int_equal(epoch->n, 10); /* 0.4 of 24 is 9.6 */
    for (size_t i = 0; i < epoch->n; i++)
        is_kept[epoch->images[i]] = true;
    const uint32_t *first = epoch->images;
    const struct ws_view view = ws_view_clean(&b.teacher->card, &augment);
    assert_int_equal(ws_predict(&b.predictor, &b.data, &view, b.images, BENCH_IMAGES, logits, NULL, &err), WS_OK);
    float least = 2, most_dropped = -1;
    for (int i = 0; i < BENCH_IMAGES; i++) {
        double log_p[BENCH_CLASSES];
        log_softmax(logits + i * BENCH_CLASSES, 1, log_p);
        confidence[i] = (float)exp(log_p[ws_argmax(logits + i * BENCH_CLASSES, BENCH_CLASSES)]);
        if (is_kept[i])
            least = fminf(least, confidence[i]);
        else
            most_dropped = fmaxf(most_dropped, confidence[i]);
    }
    assert_true(most_dropped <= least + 1e-6f);
    assert_int_equal(access(temp_join(path, *state, "selection/epoch-001.safetensors"), R_OK), 0);
    assert_int_equal(supply->kind->begin(supply, 2, &err), WS_OK);
    assert_ptr_equal(epoch->images, first);
    assert_int_equal(epoch->n, 10);
    method_bench_close(&b);
}

static void dfnd_asks_for_the_accuracy_that_a_card_does_not_tell(void **state)
{
    (void)state;
    static struct method_bench b;
    method_bench_init(&b, "resnet8", "resnet8", SIDE);
    *KEYS(&b.config, dfnd) = (struct ws_dfnd_keys){.share = .4, .temperature = 3, .noise_lr = .01};
    assert_refused(&ws_method_dfnd, &b, WS_E_CONFIG, "which this teacher's card does not tell");
    method_bench_close(&b);
}

/* --- fitnet --- */

/* Where the architecture's own definition ends its middle stage; sides of 32 x 32 pictures. */
static void the_hint_is_the_end_of_the_middle_stage(void **state)
{
    (void)state;
    static const struct {
        const char *arch, *before; /* the first node behind the hint that has weights and is on the main way */
        int side, channels;
    } cases[] = {
        {"resnet8", "layer3.0.conv1", 16, 32},   {"resnet20", "layer3.0.conv1", 16, 32},
        {"resnet18", "layer3.0.conv1", 16, 128}, {"wrn-16-2", "block3.layer.0.conv1", 16, 64},
        {"vgg8", "features.8", 16, 128},
    };
    static char *class_names[] = {"a", "b"};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct ws_err err = {0};
        struct ws_card card = {.classes = class_names, .n_classes = 2, .height = 32, .width = 32, .channels = 3};
        struct ws_model *model, *folded;
        snprintf(card.arch, sizeof card.arch, "%s", cases[k].arch);
        assert_int_equal(ws_model_build(&model, &card, &err), WS_OK);
        ws_net_init(model->net, 5);
        assert_int_equal(ws_model_fold(&folded, model, &err), WS_OK);
        const struct ws_model *const forms[] = {model, folded};
        for (int f = 0; f < 2; f++) {
            const struct ws_net *net = forms[f]->net;
            const int hint = ws_hint_find(forms[f]), next = ws_net_find(net, cases[k].before);
            if (hint < 0 || net->nodes[hint].height != cases[k].side || net->nodes[hint].width != cases[k].side ||
                net->nodes[hint].channels != cases[k].channels || next <= hint)
                fail_msg("%s: \"%s\"", cases[k].arch, hint < 0 ? "none" : net->nodes[hint].name);
            /* What comes next reads the hint, or its pooled copy, and no earlier map. */
            const int read = net->nodes[next].inputs[0];
            assert_true(read == hint || net->nodes[read].inputs[0] == hint);
        }
        ws_model_free(&folded);
        ws_model_free(&model);
    }
}

static void check_fitnet(const char *teacher, const char *student, const char *const *names)
{
    static struct method_bench b;
    static const char *const regressor[] = {"regressor.0.weight", "regressor.1.bias", NULL};
    method_bench_init(&b, teacher, student, SIDE);
    *KEYS(&b.config, fitnet) = (struct ws_fitnet_keys){.temperature = 3, .hint_weight = 7};
    method_bench_open(&b, &ws_method_fitnet);
    const struct ws_step step = method_bench_step(&b);
    const struct ws_network t = method_bench_network(&b, "teacher"), r = method_bench_network(&b, "regressor");
    const float *z_s = logits_of(b.model, method_bench_network(&b, "student").exec);
    const double kd = kd_formula(z_s, logits_of(b.predictor.model, t.exec), step.n, 3);
    const int hint = ws_hint_find(b.predictor.model), last = r.net->n_nodes - 1;
    const struct ws_node *large = &t.net->nodes[hint], *small = &r.net->nodes[last];
    const double mse = mean_square(ws_exec_value(t.exec, hint), large, ws_exec_value(r.exec, last), small, step.n);
    assert_near(step.losses[0].value, kd, 1e-6);
    assert_near(step.losses[1].value, mse, 1e-6 * mse);
    assert_near(step.loss, kd + 7 * mse, 1e-5);
    check_slopes(&b, "student", names);
    check_slopes(&b, "regressor", regressor);
    method_bench_close(&b);
}

/* "layer1" learns from both halves, "layer3" and "fc" from the distillation alone. */
static void a_step_of_fitnet_is_kd_and_the_weighted_error_of_the_middle_maps(void **state)
{
    (void)state;
    static const char *const names[] = {"conv1.weight", "layer1.0.bn2.weight", "layer3.0.conv2.weight", "fc.weight",
                                        NULL};
    check_fitnet("resnet8", "resnet8", names);
    check_fitnet("resnet14", "resnet8", names);
}

static void fitnet_says_what_it_cannot_compare(void **state)
{
    (void)state;
    static struct method_bench b;
    method_bench_init(&b, "resnet8", "resnet8", SIDE);
    *KEYS(&b.config, fitnet) = (struct ws_fitnet_keys){.temperature = 3, .hint_weight = 7};
    struct ws_net *net = b.predictor.folded->net;
    for (int i = 1; i < net->n_nodes; i++) /* as if the teacher's maps had another size */
        if (net->nodes[i].height == 8)
            net->nodes[i].height = net->nodes[i].width = 11;
    assert_refused(&ws_method_fitnet, &b, WS_E_UNSUPPORTED, "is 11 x 11, the student's (resnet8,");
    for (int i = 1; i < net->n_nodes; i++)
        net->nodes[i].height = net->nodes[i].width = 1;
    assert_refused(&ws_method_fitnet, &b, WS_E_UNSUPPORTED, "the teacher (resnet8) has none");
    method_bench_close(&b);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, temp_setup, temp_teardown)

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
        cmocka_unit_test(the_first_step_of_dfnd_is_kd_and_the_noisy_cross_entropy),
        cmocka_unit_test(dfnd_learns_the_teachers_mistakes_beside_the_student),
        IN_FOLDER(dfnd_trains_on_what_the_teacher_is_surest_of),
        cmocka_unit_test(the_hint_is_the_end_of_the_middle_stage),
        cmocka_unit_test(a_step_of_fitnet_is_kd_and_the_weighted_error_of_the_middle_maps),
        cmocka_unit_test(fitnet_says_what_it_cannot_compare),
        cmocka_unit_test(dfnd_asks_for_the_accuracy_that_a_card_does_not_tell),
    };
    return cmocka_run_group_tests_name("baselines", tests, NULL, NULL);
}
