/**
 * A training of any method on a made-up pool, as the loop runs it, with a teacher that has learnt the pool.
 *
 *   static struct bench b;
 *   open_bench(&b, folder, "kd3", 2, the_teacher);      // run's name, threads; change b.config, b.options, then
 *   must_run(&b, &ws_method_kd3);                       // b.result, b.dir, b.last, b.best tell
 *   close_bench(&b);
 *
 * The group's setup and teardown are train_teacher and free_teacher.
 */
#ifndef WEBSTILL_TESTS_UNIT_TRAIN_BENCH_H
#define WEBSTILL_TESTS_UNIT_TRAIN_BENCH_H

#include "../../distill/learn/metrics.h"
#include "../../distill/learn/train.h"
#include "../../distill/method/kd3/state.h"
#include "../../distill/prepare/refine.h"
#include "pool_data.h"
#include "program.h"
#include "temp.h"

#include "webstill/base/file.h"

#include <jansson.h>

enum { SIDE = 8, CLASSES = 3, N = 90, BATCH = 16, EPOCHS = 4 };

static char *class_names[] = {"a", "b", "c"};

/* One student's surroundings, made anew for each training. */
struct bench {
    char dir[TEMP_PATH], last[TEMP_PATH], best[TEMP_PATH];
    struct ws_config config;
    struct ws_dataset data;
    struct ws_workers *workers;
    struct ws_model *teacher;
    struct ws_predictor predictor;
    uint32_t train[N], held[N];
    size_t n_train, n_held;
    int32_t targets[N];
    struct ws_session session;
    struct ws_train_options options;
    struct ws_train_result result;
};

static char teacher_path[TEMP_PATH]; /* a copy on disk of the teacher */

static inline void set_config(struct ws_config *config)
{
    test_config_init(config);
    config->seed = 5;
    *KEYS(config, curate) = (struct ws_curate_keys){
        .rule = WS_RULE_KD3, .p_cutoff = .95, .alpha_zero_share = .5, .alpha_horizon_share = .67, .alpha_steepness = 5};
    *KEYS(config, kd3) = (struct ws_kd3_keys){.contrast = WS_CONTRAST_SELF,
                                              .contrast_weight = .001,
                                              .contrast_temperature = .3,
                                              .embedding = 16,
                                              .projector_factor = 2,
                                              .share = true,
                                              .kl_temperature = 4,
                                              .mix_alpha = .1,
                                              .mix_eps = 1e-6,
                                              .mixed_memory_mib = 192,
                                              .select = true,
                                              .weights = true};
    *KEYS(config, kd3_plus) =
        (struct ws_kd3_plus_keys){.contrast = WS_CONTRAST_OFF,
                                  .kl_weight = 1,
                                  .kl_temperature = 4,
                                  .refine = {.steps = 2, .lr = .05, .statistics = 1, .share = .5}};
    KEYS(config, kd)->temperature = 4;
    KEYS(config, simkd)->projector_factor = 2;
    *KEYS(config, fitnet) = (struct ws_fitnet_keys){.temperature = 4, .hint_weight = 100};
    *KEYS(config, dfnd) = (struct ws_dfnd_keys){.share = .5, .temperature = 4, .noise_lr = .001};
    KEYS(config, distill)->optim = (struct ws_optim_keys){
        .options = {.momentum = .9, .weight_decay = 5e-4}, .lr = .05, .schedule = WS_SCHEDULE_COSINE};
}

static inline void open_bench(struct bench *b, const char *folder, const char *run, int n_threads,
                              struct ws_model *teacher)
{
    struct ws_err err = {0};
    memset(b, 0, sizeof *b);
    temp_join(b->dir, folder, run);
    temp_join(b->last, b->dir, "student.safetensors");
    temp_join(b->best, b->dir, "best.safetensors");
    set_config(&b->config);
    pool_data_make(&b->data, N, SIDE, 1, CLASSES);
    assert_int_equal(ws_workers_open(&b->workers, n_threads, &err), WS_OK);
    ws_dataset_split(&b->data, .2, 5, b->train, &b->n_train, b->held, &b->n_held);
    assert_true(b->n_held > 5 && b->n_held < 40);
    b->session = (struct ws_session){
        .config = &b->config,
        .dir = b->dir,
        .workers = b->workers,
        .data = &b->data,
        .train = b->train,
        .n_train = b->n_train,
        .card = {.arch = "resnet8",
                 .classes = class_names,
                 .n_classes = CLASSES,
                 .height = SIDE,
                 .width = SIDE,
                 .channels = 1,
                 .mean = {.4f},
                 .std = {.3f},
                 .accuracy = -1},
        .optim = &KEYS(&b->config, distill)->optim,
        .augment = {.kind = WS_AUGMENT_RESIZED_CROP, .min_area = .5, .mean = {.4f}, .std = {.3f}},
        .seed = 5,
        .batch = BATCH,
        .epochs = EPOCHS,
    };
    if (teacher) {
        b->teacher = teacher;
        assert_int_equal(ws_predictor_open(&b->predictor, teacher, b->workers, BATCH, true, &err), WS_OK);
        b->session.teacher = teacher;
        b->session.teacher_path = teacher_path;
        b->session.teacher_predictor = &b->predictor;
    }
    for (size_t i = 0; i < b->n_held; i++)
        b->targets[i] = b->data.labels[b->held[i]];
    b->options = (struct ws_train_options){.name = run,
                                           .steps_per_epoch = 5,
                                           .checkpoint_s = 1e9,
                                           .key = "key",
                                           .held = b->held,
                                           .n_held = b->n_held,
                                           .targets = b->targets,
                                           .held_name = "agreement",
                                           .last_path = b->last,
                                           .best_path = b->best};
}

static inline void close_bench(struct bench *b)
{
    ws_config_fini(&b->config);
    ws_predictor_close(&b->predictor);
    ws_dataset_close(&b->data);
    ws_workers_close(&b->workers);
}

static inline enum ws_status run(struct bench *b, const struct ws_method *method, struct ws_err *err)
{
    struct ws_session session = b->session;
    struct ws_prepared prepared = {0};
    *err = (struct ws_err){0};
    enum ws_status status = ws_method_check(method, &session, err);
    if (status == WS_OK)
        status = ws_prepared_open(&prepared, method->prepare, &session, NULL, NULL, err);
    if (status == WS_OK)
        status = ws_train(method, &session, &b->options, &b->result, err);
    ws_prepared_close(&prepared);
    return status;
}

static inline void must_run(struct bench *b, const struct ws_method *method)
{
    struct ws_err err;
    if (run(b, method, &err) != WS_OK)
        fail_msg("%s", err.text);
}

/* A teacher that has learnt the bars, trained once for all tests. */
static struct ws_model *the_teacher;

static inline int train_teacher(void **state)
{
    static struct bench b;
    struct ws_err err = {0};
    char folder[TEMP_PATH];
    temp_make(folder);
    open_bench(&b, folder, "teacher", 2, NULL);
    b.options.best_path = NULL;
    b.session.epochs = 15;
    must_run(&b, &ws_method_ce);
    assert_int_equal(ws_model_load(&the_teacher, b.last, NULL, &err), WS_OK);
    assert_true(b.result.held_last > .8);
    memcpy(teacher_path, b.last, sizeof teacher_path);
    close_bench(&b);
    *state = strdup(folder);
    return 0;
}

static inline int free_teacher(void **state)
{
    temp_remove(*state);
    free(*state);
    ws_model_free(&the_teacher);
    return 0;
}

static inline void read_file(const char *path, struct ws_buf *out)
{
    struct ws_err err = {0};
    if (ws_file_read(path, 1 << 26, out, &err) != WS_OK)
        fail_msg("%s", err.text);
}

static inline void assert_same_file(const char *a, const char *b)
{
    struct ws_buf left = {0}, right = {0};
    read_file(a, &left);
    read_file(b, &right);
    assert_int_equal(left.len, right.len);
    assert_memory_equal(left.ptr, right.ptr, left.len);
    ws_buf_fini(&left);
    ws_buf_fini(&right);
}

/* metrics.jsonl without what a clock says. */
static inline void assert_same_metrics(const char *a_dir, const char *b_dir)
{
    const char *dirs[] = {a_dir, b_dir};
    json_t *lists[2] = {json_array(), json_array()};
    for (int i = 0; i < 2; i++) {
        char path[TEMP_PATH], line[65536];
        FILE *stream = fopen(temp_join(path, dirs[i], "metrics.jsonl"), "r");
        assert_non_null(stream);
        while (fgets(line, sizeof line, stream)) {
            json_t *object = json_loads(line, 0, NULL);
            assert_non_null(object);
            json_object_del(object, "seconds");
            json_object_del(object, "images_per_s");
            json_object_del(object, "method");
            json_array_append_new(lists[i], object);
        }
        fclose(stream);
    }
    assert_true(json_array_size(lists[0]) > EPOCHS);
    assert_true(json_equal(lists[0], lists[1]));
    json_decref(lists[0]);
    json_decref(lists[1]);
}

static inline void use_optimiser(struct bench *b, enum ws_optim_kind kind)
{
    struct ws_optim_keys *optim = &KEYS(&b->config, distill)->optim;
    optim->options.kind = kind;
    if (kind == WS_OPTIM_SGD)
        return;
    optim->lr = .002;
    optim->options.beta1 = .9;
    optim->options.beta2 = .99;
    optim->options.eps = 1e-8;
}

static inline void copy_file(const char *from, const char *to)
{
    struct ws_buf bytes = {0};
    read_file(from, &bytes);
    temp_write(to, bytes.ptr, bytes.len);
    ws_buf_fini(&bytes);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, temp_setup, temp_teardown)

#endif
