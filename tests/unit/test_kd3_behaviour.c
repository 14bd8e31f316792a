/*
 * What KD3 must show by training, items 10 to 14 (1 to 9: test_kd3_claims.c), on the made-up task of shapes.h: a
 * ResNet-8 that has learnt clean shapes teaches another one from a web of recoloured, blurred, inverted shapes and
 * junk. Accuracies are means over three seeds, on 1,000 clean pictures that no training sees; what fails prints them
 * all.
 *
 * Every student gets the same 160 steps with the same Adam. A step has 64 images where a selection is looked at, which
 * goes by what the student knows, and 32 where losses are compared: that tells them apart in half the time. Where a
 * claim holds at one setting and not at another, the test's comment says so.
 */
#include "../../distill/learn/train.h"
#include "../../distill/method/methods.h"
#include "program.h"
#include "shapes.h"
#include "temp.h"

#include "webstill/curate/select.h"
#include "webstill/tensors/file.h"

#include <stdarg.h>
#include <stdlib.h>

enum {
    N_CLEAN = 2000,
    N_TEST = 1000,
    N_POOL = 1000,
    BATCH = 64,
    HALF_BATCH = BATCH / 2,
    EPOCHS = 8,
    STEPS = 20,
    SEEDS = 3,
    RARE = 3
};

static char *class_names[] = {"across", "down", "rise", "fall", "plus", "cross", "ring", "disc", "box", "triangle"};
static const float mean[3] = {.4f, .4f, .4f}, deviation[3] = {.3f, .3f, .3f};

static struct ws_workers *workers;
static char folder[TEMP_PATH];
static uint32_t numbers[N_CLEAN];

/* A task of one noise: its clean sets, and a teacher that has learnt it. */
struct task {
    double noise;
    struct ws_dataset clean, test, shifted; /* shifted: the test set with other channel means and deviations */
    struct ws_model *teacher;
    struct ws_predictor predictor;
};

static struct task calm = {.noise = 20}, noisy = {.noise = 40};

/* --- training --- */

static struct ws_config settings(void)
{
    struct ws_config config;
    test_config_init(&config);
    *KEYS(&config, curate) = (struct ws_curate_keys){.rule = WS_RULE_KD3,
                                                     .p_cutoff = .95,
                                                     .alpha_zero_share = .5,
                                                     .alpha_horizon_share = 2 / 3.0,
                                                     .alpha_steepness = 5};
    *KEYS(&config, kd3) = (struct ws_kd3_keys){.contrast = WS_CONTRAST_OFF,
                                               .contrast_temperature = .3,
                                               .embedding = 64,
                                               .projector_factor = 2,
                                               .share = true,
                                               .kl_temperature = 4,
                                               .mix_alpha = .1,
                                               .mix_eps = 1e-6,
                                               .mixed_memory_mib = 192,
                                               .select = true,
                                               .weights = true};
    KEYS(&config, distill)->optim =
        (struct ws_optim_keys){.options = {.kind = WS_OPTIM_ADAM, .beta1 = .9, .beta2 = .99, .eps = 1e-8},
                               .lr = .02,
                               .schedule = WS_SCHEDULE_ONECYCLE,
                               .warmup = .3};
    return config;
}

/* Train into folder/NAME; `last` becomes the path of the weights. The teacher (of no task yet) has smoothed labels:
 * without them it is as sure of junk as of shapes. */
static void train(struct task *task, const char *name, const struct ws_method *method, const struct ws_config *config,
                  uint64_t seed, int batch, const struct ws_dataset *data, char last[TEMP_PATH])
{
    struct ws_err err = {0};
    char dir[TEMP_PATH];
    temp_join(dir, folder, name);
    temp_join(last, dir, "student.safetensors");
    struct ws_session session = {
        .config = config,
        .dir = dir,
        .workers = workers,
        .data = data,
        .train = numbers,
        .n_train = data->n,
        .card = {.arch = "resnet8",
                 .classes = class_names,
                 .n_classes = SHAPES_CLASSES,
                 .height = SHAPES_SIDE,
                 .width = SHAPES_SIDE,
                 .channels = 3,
                 .accuracy = -1},
        .teacher = task ? task->teacher : NULL,
        .teacher_predictor = task ? &task->predictor : NULL,
        .optim = &ws_distill_keys(config)->optim,
        .augment = {.kind = WS_AUGMENT_SHIFT, .pad = 1},
        .label_smoothing = task ? 0 : .1,
        .seed = seed,
        .batch = batch,
        .epochs = task ? EPOCHS : 5,
    };
    memcpy(session.card.mean, mean, sizeof mean);
    memcpy(session.card.std, deviation, sizeof deviation);
    memcpy(session.augment.mean, mean, sizeof mean);
    memcpy(session.augment.std, deviation, sizeof deviation);
    const struct ws_train_options options = {.name = name,
                                             .steps_per_epoch = STEPS,
                                             .checkpoint_s = 1e9,
                                             .key = name,
                                             .held_name = "agreement",
                                             .last_path = last};
    struct ws_train_result result;
    if (ws_train(method, &session, &options, &result, &err) != WS_OK)
        fail_msg("%s: %s", name, err.text);
}

/* Logits of a set's pictures as they are. */
static void predict(struct ws_predictor *predictor, const struct ws_dataset *set, float *logits)
{
    struct ws_err err = {0};
    struct ws_augment augment;
    const struct ws_view view = ws_view_clean(&predictor->model->card, &augment);
    assert_int_equal(ws_predict(predictor, set, &view, numbers, set->n, logits, NULL, &err), WS_OK);
}

static double accuracy(struct ws_predictor *predictor, const struct ws_dataset *set)
{
    static float logits[N_CLEAN * SHAPES_CLASSES];
    size_t n_right = 0;
    predict(predictor, set, logits);
    for (size_t i = 0; i < set->n; i++)
        n_right += ws_argmax(logits + i * SHAPES_CLASSES, SHAPES_CLASSES) == set->labels[i];
    return (double)n_right / (double)set->n;
}

/* Students of one setting, one a seed. */
struct students {
    double test[SEEDS], shifted[SEEDS];
    double mean_test, mean_shifted;
};

static struct students train_students(struct task *task, const char *name, const struct ws_method *method,
                                      const struct ws_config *config, int batch, const struct ws_dataset *web)
{
    struct students found = {.mean_test = 0};
    for (int s = 0; s < SEEDS; s++) {
        struct ws_err err = {0};
        struct ws_model *model;
        struct ws_predictor predictor;
        char run[64], last[TEMP_PATH];
        snprintf(run, sizeof run, "%s-%d", name, s + 1);
        train(task, run, method, config, (uint64_t)s + 1, batch, web, last);
        assert_int_equal(ws_model_load(&model, last, NULL, &err), WS_OK);
        assert_int_equal(ws_predictor_open(&predictor, model, workers, BATCH, true, &err), WS_OK);
        found.test[s] = accuracy(&predictor, &task->test);
        found.shifted[s] = accuracy(&predictor, &task->shifted);
        found.mean_test += found.test[s] / SEEDS;
        found.mean_shifted += found.shifted[s] / SEEDS;
        ws_predictor_close(&predictor);
        ws_model_free(&model);
    }
    print_message("%-24s test %.3f (%.3f %.3f %.3f), shifted %.3f (%.3f %.3f %.3f)\n", name, found.mean_test,
                  found.test[0], found.test[1], found.test[2], found.mean_shifted, found.shifted[0], found.shifted[1],
                  found.shifted[2]);
    return found;
}

static void open_task(struct task *task)
{
    struct ws_err err = {0};
    char name[32], last[TEMP_PATH];
    struct ws_config config = settings();
    shapes_make(&task->clean, N_CLEAN, &(struct shapes_kind){.stream = 1, .noise = task->noise, .rare = -1});
    shapes_make(&task->test, N_TEST, &(struct shapes_kind){.stream = 2, .noise = task->noise, .rare = -1});
    shapes_make(&task->shifted, N_TEST, &(struct shapes_kind){.stream = 2, .noise = task->noise, .rare = -1});
    shapes_shift_statistics(&task->shifted);
    snprintf(name, sizeof name, "teacher-%g", task->noise);
    train(NULL, name, &ws_method_ce, &config, 1, BATCH, &task->clean, last);
    assert_int_equal(ws_model_load(&task->teacher, last, NULL, &err), WS_OK);
    assert_int_equal(ws_predictor_open(&task->predictor, task->teacher, workers, BATCH, true, &err), WS_OK);
    const double right = accuracy(&task->predictor, &task->test);
    print_message("%-24s test %.3f, shifted %.3f\n", name, right, accuracy(&task->predictor, &task->shifted));
    assert_true(right > .9);
    ws_config_fini(&config);
}

static void close_task(struct task *task)
{
    ws_predictor_close(&task->predictor);
    ws_model_free(&task->teacher);
    ws_dataset_close(&task->clean);
    ws_dataset_close(&task->test);
    ws_dataset_close(&task->shifted);
}

static int open_all(void **state)
{
    struct ws_err err = {0};
    (void)state;
    for (uint32_t i = 0; i < N_CLEAN; i++)
        numbers[i] = i;
    temp_make(folder);
    assert_int_equal(ws_workers_open(&workers, 2, &err), WS_OK);
    open_task(&calm);
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    close_task(&calm);
    ws_workers_close(&workers);
    temp_remove(folder);
    return 0;
}

/* --- 10, 14: what is selected --- */

/* One epoch's selection of a run, as its file has it; images in the web's order. */
struct epoch_file {
    struct ws_tensors *file;
    const uint8_t *keep;
    const float *confidence;
    const int32_t *predicted;
};

static struct epoch_file open_epoch(const char *run, int epoch)
{
    struct epoch_file e = {0};
    struct ws_err err = {0};
    char name[64], path[TEMP_PATH];
    snprintf(name, sizeof name, "%s/selection/epoch-%03d.safetensors", run, epoch);
    if (ws_tensors_open(&e.file, temp_join(path, folder, name), &err) != WS_OK)
        fail_msg("%s", err.text);
    e.keep = ws_tensors_find(e.file, "keep")->data;
    e.confidence = ws_tensors_find(e.file, "confidence")->data;
    e.predicted = ws_tensors_find(e.file, "predicted")->data;
    return e;
}

/* Share of shapes among what is kept. */
static double precision_of(const uint8_t *keep, const struct ws_dataset *web)
{
    size_t n_kept = 0, n_shapes = 0;
    for (size_t i = 0; i < web->n; i++) {
        n_kept += keep[i];
        n_shapes += keep[i] && web->labels[i] != WS_NO_LABEL;
    }
    assert_true(n_kept > 0);
    return (double)n_shapes / (double)n_kept;
}

/*
 * In every epoch, those in which the student decides alone included: the last three, 100 steps on. Under the paper's
 * shares it would be the last five, from step 60 on, when this student is none yet: 0.30 in the fourth epoch, 0.42 in
 * the fifth, in a pool of 0.48, and above it before and behind.
 */
static void selection_is_richer_in_shapes_than_the_pool_from_epoch_one_on(void **state)
{
    (void)state;
    struct ws_dataset web;
    char last[TEMP_PATH];
    struct ws_config config = settings();
    KEYS(&config, curate)->alpha_zero_share = .75;
    KEYS(&config, curate)->alpha_horizon_share = 1;
    shapes_make(&web, N_POOL, &(struct shapes_kind){.stream = 3, .is_web = true, .noise = 20, .junk = .5, .rare = -1});
    size_t n_shapes = 0;
    for (size_t i = 0; i < web.n; i++)
        n_shapes += web.labels[i] != WS_NO_LABEL;
    const double base = (double)n_shapes / (double)web.n;
    train(&calm, "precision", &ws_method_kd3, &config, 1, BATCH, &web, last);
    double precision[EPOCHS + 1];
    for (int e = 1; e <= EPOCHS; e++) {
        struct epoch_file file = open_epoch("precision", e);
        precision[e] = precision_of(file.keep, &web);
        print_message("epoch %d: precision %.3f, pool %.3f\n", e, precision[e], base);
        ws_tensors_close(&file.file);
    }
    for (int e = 1; e <= EPOCHS; e++)
        if (precision[e] <= base)
            fail_msg("epoch %d: precision %.3f, pool %.3f", e, precision[e], base);
    ws_dataset_close(&web);
    ws_config_fini(&config);
}

/* Up to .9: at .99 this teacher, surer of some stripes than of most discs, is at .52 again, behind .55. */
static void precision_rises_with_the_cutoff(void **state)
{
    (void)state;
    static float logits[N_CLEAN * SHAPES_CLASSES];
    static const double cutoffs[] = {0, .5, .7, .9};
    struct ws_dataset web;
    shapes_make(&web, N_CLEAN, &(struct shapes_kind){.stream = 3, .is_web = true, .noise = 20, .junk = .5, .rare = -1});
    predict(&calm.predictor, &web, logits);
    double last = -1;
    for (size_t k = 0; k < sizeof cutoffs / sizeof *cutoffs; k++) {
        struct ws_arena arena = {0};
        struct ws_selection found;
        const struct ws_select_options options = {.alpha = 1, .p_cutoff = cutoffs[k]};
        assert_true(ws_select_kd3(&found, &arena, logits, NULL, web.n, SHAPES_CLASSES, &options));
        const double precision = precision_of(found.keep, &web);
        print_message("cutoff %.2f: precision %.3f, %ld kept\n", cutoffs[k], precision, (long)found.n_kept_total);
        if (precision <= last)
            fail_msg("cutoff %.2f: precision %.3f, at the one before %.3f", cutoffs[k], precision, last);
        last = precision;
        ws_arena_fini(&arena);
    }
    ws_dataset_close(&web);
}

/*
 * The run's own selections of the epochs in which the teacher has the greater say (alpha .858 and .616; .268 in the
 * third: from there on a student of a few steps may predict a class for no image at all, and then no threshold can keep
 * one). The cutoff is .8 on both sides: a teacher of smoothed labels is never much surer than .91, so under .95 the
 * class that takes most of the junk keeps nothing at all.
 */
static void while_the_teacher_leads_every_class_keeps_images_and_a_rare_one_more_than_under_one_threshold(void **state)
{
    (void)state;
    enum { LED_EPOCHS = 2 };
    struct ws_dataset web;
    char name[32], last[TEMP_PATH];
    struct ws_config config = settings();
    KEYS(&config, curate)->p_cutoff = .8;
    shapes_make(
        &web, N_POOL,
        &(struct shapes_kind){.stream = 4, .is_web = true, .noise = 20, .junk = .5, .rare = RARE, .rare_share = .2});
    for (int k = 0; k < SEEDS * LED_EPOCHS; k++) {
        const int seed = 1 + k / LED_EPOCHS, e = 1 + k % LED_EPOCHS;
        snprintf(name, sizeof name, "rare-%d", seed);
        if (e == 1)
            train(&calm, name, &ws_method_kd3, &config, (uint64_t)seed, BATCH, &web, last);
        struct epoch_file file = open_epoch(name, e);
        int n_kept[SHAPES_CLASSES] = {0}, n_global = 0, n_predicted = 0;
        for (size_t i = 0; i < web.n; i++) {
            n_kept[file.predicted[i]] += file.keep[i];
            n_predicted += file.predicted[i] == RARE;
            n_global += file.predicted[i] == RARE && file.confidence[i] > .8f;
        }
        print_message("seed %d, epoch %d: of the rare class %d are predicted, %d kept, %d above .8\n", seed, e,
                      n_predicted, n_kept[RARE], n_global);
        for (int c = 0; c < SHAPES_CLASSES; c++)
            if (n_kept[c] == 0)
                fail_msg("seed %d, epoch %d: class %s keeps nothing", seed, e, class_names[c]);
        if (n_kept[RARE] <= n_global)
            fail_msg("seed %d, epoch %d: the rare class keeps %d, under one threshold %d", seed, e, n_kept[RARE],
                     n_global);
        ws_tensors_close(&file.file);
    }
    ws_dataset_close(&web);
    ws_config_fini(&config);
}

/* --- 11 to 13: what the students are worth --- */

/*
 * Where junk is most of the pool, shows nothing (noise, ramps) and the teacher can tell it from shapes. It is not a
 * law: with checks, stripes and blobs as junk the student learns from them what the teacher's features are like, and
 * 0.90 without selection stood beside 0.81 with it (one seed, 100 steps); with noise of 28 or more on every picture the
 * teacher no longer tells shapes from noise, and the two were 0.72 and 0.66, 0.75 and 0.75.
 */
static void selection_makes_better_students_in_as_many_updates(void **state)
{
    (void)state;
    struct ws_dataset web;
    struct ws_config with = settings(), without = settings();
    KEYS(&without, kd3)->select = false;
    shapes_make(
        &web, N_POOL,
        &(struct shapes_kind){.stream = 3, .is_web = true, .noise = 20, .junk = .8, .is_junk_dull = true, .rare = -1});
    const struct students a = train_students(&calm, "with-selection", &ws_method_kd3, &with, BATCH, &web);
    const struct students b = train_students(&calm, "without-selection", &ws_method_kd3, &without, BATCH, &web);
    if (a.mean_test <= b.mean_test)
        fail_msg("with selection %.3f, without %.3f", a.mean_test, b.mean_test);
    ws_dataset_close(&web);
    ws_config_fini(&with);
    ws_config_fini(&without);
}

/*
 * On the whole pool, without contrast: what differs is the classifier and its loss. The pictures are noisy, as of calm
 * ones both learn all there is (noise 12, half junk: 0.998 and 1.000); at noise 20 it was 0.879 and 0.850.
 */
static void the_teachers_classifier_makes_better_students_than_an_own_one_taught_by_kl(void **state)
{
    (void)state;
    struct ws_dataset web;
    struct ws_config config = settings(), apart = settings();
    KEYS(&config, kd3)->select = KEYS(&apart, kd3)->select = false;
    KEYS(&apart, kd3)->share = false;
    open_task(&noisy);
    shapes_make(&web, N_POOL, &(struct shapes_kind){.stream = 3, .is_web = true, .noise = 40, .junk = .8, .rare = -1});
    const struct students shared =
        train_students(&noisy, "shared-classifier", &ws_method_kd3, &config, HALF_BATCH, &web);
    const struct students own = train_students(&noisy, "own-classifier", &ws_method_kd3, &apart, HALF_BATCH, &web);
    if (shared.mean_test <= own.mean_test)
        fail_msg("shared classifier %.3f, own classifier by KL %.3f", shared.mean_test, own.mean_test);
    ws_dataset_close(&web);
    close_task(&noisy);
    ws_config_fini(&config);
    ws_config_fini(&apart);
}

/*
 * Weight 0 is the same run, X' and its share in the running statistics included. Weight .1, as 160 steps leave no
 * time for the paper's 0.001 over 240 epochs; at 1 the students know less: 0.78 on the pictures as they are.
 */
static void contrast_loses_less_to_random_channel_statistics(void **state)
{
    (void)state;
    struct ws_dataset web;
    struct ws_config with = settings(), without = settings();
    KEYS(&with, kd3)->select = KEYS(&without, kd3)->select = false;
    KEYS(&with, kd3)->contrast = KEYS(&without, kd3)->contrast = WS_CONTRAST_SELF;
    KEYS(&with, kd3)->contrast_weight = .1;
    shapes_make(&web, N_POOL, &(struct shapes_kind){.stream = 3, .is_web = true, .noise = 20, .junk = .5, .rare = -1});
    const struct students a = train_students(&calm, "contrast-.1", &ws_method_kd3, &with, HALF_BATCH, &web);
    const struct students b = train_students(&calm, "contrast-0", &ws_method_kd3, &without, HALF_BATCH, &web);
    const double lost_with = a.mean_test - a.mean_shifted, lost_without = b.mean_test - b.mean_shifted;
    if (lost_with >= lost_without || a.mean_shifted <= b.mean_shifted)
        fail_msg("with contrast %.3f falls to %.3f, without %.3f to %.3f", a.mean_test, a.mean_shifted, b.mean_test,
                 b.mean_shifted);
    ws_dataset_close(&web);
    ws_config_fini(&with);
    ws_config_fini(&without);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* 10 */
        cmocka_unit_test(selection_is_richer_in_shapes_than_the_pool_from_epoch_one_on),
        cmocka_unit_test(precision_rises_with_the_cutoff),
        /* 11 */
        cmocka_unit_test(selection_makes_better_students_in_as_many_updates),
        /* 12 */
        cmocka_unit_test(the_teachers_classifier_makes_better_students_than_an_own_one_taught_by_kl),
        /* 13 */
        cmocka_unit_test(contrast_loses_less_to_random_channel_statistics),
        /* 14 */
        cmocka_unit_test(while_the_teacher_leads_every_class_keeps_images_and_a_rare_one_more_than_under_one_threshold),
    };
    return cmocka_run_group_tests_name("kd3_behaviour", tests, open_all, close_all);
}
