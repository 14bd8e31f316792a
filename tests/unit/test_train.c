/* The training loop and its methods on a made-up pool: resumable, repeatable, and clear about what it cannot do. */
#include "../../distill/kd3.h"
#include "../../distill/metrics.h"
#include "../../distill/train.h"
#include "pool_data.h"
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
    struct ws_pool *pool;
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
static char rule_kd3[] = "kd3", contrast_self[] = "self", contrast_off[] = "off";

static void set_config(struct ws_config *config)
{
    *config = (struct ws_config){.seed = 5};
    config->curate = (struct ws_conf_curate){
        .rule = rule_kd3, .p_cutoff = .95, .alpha_zero_share = .5, .alpha_horizon_share = .67, .alpha_steepness = 5};
    config->distill.kd3 = (struct ws_conf_kd3){.contrast = contrast_self,
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
    config->distill.kd3_plus = (struct ws_conf_kd3_plus){.contrast = contrast_off,
                                                         .kl_weight = 1,
                                                         .kl_temperature = 4,
                                                         .refine_steps = 2,
                                                         .refine_lr = .05,
                                                         .refine_statistics = 1,
                                                         .refined_share = .5};
    config->distill.kd.temperature = 4;
    config->distill.simkd.projector_factor = 2;
    config->distill.fitnet = (struct ws_conf_fitnet){.temperature = 4, .hint_weight = 100};
    config->distill.dfnd = (struct ws_conf_dfnd){.share = .5, .temperature = 4, .noise_lr = .001};
    config->distill.optim =
        (struct ws_conf_optim){.lr = .05, .momentum = .9, .weight_decay = 5e-4, .schedule = WS_SCHEDULE_COSINE};
}

static void open_bench(struct bench *b, const char *folder, const char *run, int n_threads, struct ws_model *teacher)
{
    struct ws_err err = {0};
    memset(b, 0, sizeof *b);
    temp_join(b->dir, folder, run);
    temp_join(b->last, b->dir, "student.safetensors");
    temp_join(b->best, b->dir, "best.safetensors");
    set_config(&b->config);
    pool_data_make(&b->data, N, SIDE, 1, CLASSES);
    assert_int_equal(ws_pool_open(&b->pool, n_threads, &err), WS_OK);
    ws_dataset_split(&b->data, .2, 5, b->train, &b->n_train, b->held, &b->n_held);
    assert_true(b->n_held > 5 && b->n_held < 40);
    b->session = (struct ws_session){
        .config = &b->config,
        .dir = b->dir,
        .pool = b->pool,
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
        .optim = &b->config.distill.optim,
        .augment = {.kind = WS_AUGMENT_RESIZED_CROP, .min_area = .5, .mean = {.4f}, .std = {.3f}},
        .seed = 5,
        .batch = BATCH,
        .epochs = EPOCHS,
    };
    if (teacher) {
        b->teacher = teacher;
        assert_int_equal(ws_predictor_open(&b->predictor, teacher, b->pool, BATCH, true, &err), WS_OK);
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

static void close_bench(struct bench *b)
{
    ws_predictor_close(&b->predictor);
    ws_dataset_close(&b->data);
    ws_pool_close(&b->pool);
}

static enum ws_status run(struct bench *b, const struct ws_method *method, struct ws_err *err)
{
    *err = (struct ws_err){0};
    return ws_train(method, &b->session, &b->options, &b->result, err);
}

static void must_run(struct bench *b, const struct ws_method *method)
{
    struct ws_err err;
    if (run(b, method, &err) != WS_OK)
        fail_msg("%s", err.text);
}

/* A teacher that has learnt the bars, trained once for all tests. */
static struct ws_model *the_teacher;

static int train_teacher(void **state)
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

static int free_teacher(void **state)
{
    temp_remove(*state);
    free(*state);
    ws_model_free(&the_teacher);
    return 0;
}

static void read_file(const char *path, struct ws_buf *out)
{
    struct ws_err err = {0};
    if (ws_file_read(path, 1 << 26, out, &err) != WS_OK)
        fail_msg("%s", err.text);
}

static void assert_same_file(const char *a, const char *b)
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
static void assert_same_metrics(const char *a_dir, const char *b_dir)
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

static void use_optimiser(struct bench *b, enum ws_optim_kind kind)
{
    struct ws_conf_optim *optim = &b->config.distill.optim;
    optim->kind = kind;
    if (kind == WS_OPTIM_SGD)
        return;
    optim->lr = .002;
    optim->beta1 = .9;
    optim->beta2 = .99;
    optim->eps = 1e-8;
}

/* Whom noise taught knows noise: its student has seen no bar and need not know one. */
static void every_method_runs_and_beats_chance(void **state)
{
    for (int m = 0; ws_methods[m]; m++) {
        static struct bench b;
        open_bench(&b, *state, ws_methods[m]->name, 2, the_teacher);
        b.session.epochs = 8;
        must_run(&b, ws_methods[m]);
        if (ws_methods[m] != &ws_method_noise && !(b.result.held_best > .6))
            fail_msg("%s: %g of the hold-out are right", ws_methods[m]->name, b.result.held_best);
        assert_true(b.result.held_best >= b.result.held_last);
        assert_true(ws_file_exists(b.last) && ws_file_exists(b.best));
        close_bench(&b);
    }
}

static void train_with_threads(struct bench *b, const char *folder, const struct ws_method *method, int n_threads)
{
    char name[64];
    snprintf(name, sizeof name, "%s-threads-%d", method->name, n_threads);
    open_bench(b, folder, name, n_threads, the_teacher);
    use_optimiser(b, WS_OPTIM_ADAM);
    b->options.checkpoint_s = 0; /* one behind every step: writing them changes nothing */
    must_run(b, method);
}

static void one_two_three_and_eight_threads_give_the_same_bytes(void **state)
{
    static const int threads[] = {2, 3, 8};
    for (int m = 0; ws_methods[m]; m++) {
        static struct bench one, more;
        train_with_threads(&one, *state, ws_methods[m], 1);
        for (int i = 0; i < (ws_methods[m] == &ws_method_kd3 ? 3 : 2); i++) {
            train_with_threads(&more, *state, ws_methods[m], threads[i]);
            assert_same_file(one.last, more.last);
            assert_same_metrics(one.dir, more.dir);
            close_bench(&more);
        }
        close_bench(&one);
    }
}

/* Each method and optimiser, cut after every few steps and gone on with in a new process's state. */
static void a_run_cut_anywhere_ends_with_the_same_bytes(void **state)
{
    static const enum ws_optim_kind kinds[] = {WS_OPTIM_ADAMW, WS_OPTIM_SGD, WS_OPTIM_ADAM};
    static const int threads[] = {1, 2, 3, 8};
    for (int m = 0; ws_methods[m]; m++) {
        static struct bench whole, cut;
        char name[32];
        snprintf(name, sizeof name, "whole-%s", ws_methods[m]->name);
        open_bench(&whole, *state, name, 2, the_teacher);
        use_optimiser(&whole, kinds[m % 3]);
        must_run(&whole, ws_methods[m]);
        snprintf(name, sizeof name, "cut-%s", ws_methods[m]->name);
        enum ws_status status = WS_E_BUDGET;
        int n_calls = 0;
        while (status == WS_E_BUDGET) {
            struct ws_err err;
            open_bench(&cut, *state, name, threads[n_calls % 4], the_teacher);
            use_optimiser(&cut, kinds[m % 3]);
            cut.options.limit = 1 + n_calls % 4;
            status = run(&cut, ws_methods[m], &err);
            close_bench(&cut);
            n_calls++;
            assert_true(n_calls < 100);
        }
        assert_int_equal(status, WS_OK);
        assert_true(n_calls > 5);
        assert_same_file(whole.last, cut.last);
        assert_same_file(whole.best, cut.best);
        assert_same_metrics(whole.dir, cut.dir);
        assert_int_equal(whole.result.steps, cut.result.steps);
        assert_int_equal(whole.result.images_seen, cut.result.images_seen);
        close_bench(&whole);
    }
}

/* Ten copies of one picture among the pool, which share one image's weight. */
static void use_density(struct bench *b, enum ws_density_mode mode)
{
    for (int i = 1; i < 10; i++)
        memcpy(b->data.block + (size_t)i * SIDE * SIDE, b->data.block, SIDE * SIDE);
    b->config.curate.density = mode;
    b->config.curate.density_distance = 0;
    b->config.curate.p_cutoff = .3;
}

static void weights_of_an_epoch_survive_a_cut_inside_it(void **state)
{
    static struct bench plain, whole, cut;
    open_bench(&plain, *state, "plain", 2, the_teacher);
    use_density(&plain, WS_DENSITY_OFF);
    must_run(&plain, &ws_method_kd3);
    open_bench(&whole, *state, "whole", 1, the_teacher);
    use_density(&whole, WS_DENSITY_WEIGHT);
    must_run(&whole, &ws_method_kd3);
    assert_memory_not_equal(&plain.result.last, &whole.result.last, sizeof whole.result.last);
    enum ws_status status = WS_E_BUDGET;
    for (int n_calls = 0; status == WS_E_BUDGET; n_calls++) {
        struct ws_err err;
        open_bench(&cut, *state, "cut", 2 + n_calls % 2, the_teacher);
        use_density(&cut, WS_DENSITY_WEIGHT);
        cut.options.limit = 3;
        status = run(&cut, &ws_method_kd3, &err);
        close_bench(&cut);
        assert_true(n_calls < 20);
    }
    assert_int_equal(status, WS_OK);
    assert_same_file(whole.last, cut.last);
    assert_same_metrics(whole.dir, cut.dir);
    close_bench(&plain);
    close_bench(&whole);
}

/* Without KD3's rule the others work alone: of the copies one is left, whatever its confidence. */
static void rules_beyond_kd3s_do_not_need_its_threshold(void **state)
{
    static struct bench b;
    struct kd3_selection selection;
    struct ws_epoch epoch;
    struct ws_err err = {0};
    open_bench(&b, *state, "alone", 2, the_teacher);
    use_density(&b, WS_DENSITY_DROP);
    b.config.distill.kd3.select = false;
    b.config.curate.alpha_steepness = 1000; /* alpha = 1: the teacher alone is asked */
    b.session.epochs = 100;
    assert_int_equal(kd3_selection_open(&selection, &b.session, &b.config.distill.kd3, &err), WS_OK);
    assert_int_equal(kd3_select(&selection, &b.session, 1, &epoch, &err), WS_OK);
    int n_pool = 0, n_copies = 0, n_others = 0;
    for (size_t i = 0; i < b.n_train; i++)
        n_pool += b.train[i] < 10;
    for (size_t i = 0; i < epoch.n; i++) {
        n_copies += epoch.images[i] < 10;
        n_others += epoch.images[i] >= 10;
    }
    assert_true(n_pool > 4 && n_others > 20);
    assert_int_equal(n_copies, 1);
    assert_non_null(epoch.weights);
    for (size_t i = 0; i < epoch.n; i++)
        assert_true(epoch.weights[i] == 1.0f);
    kd3_selection_close(&selection);
    close_bench(&b);
}

static void copy_file(const char *from, const char *to)
{
    struct ws_buf bytes = {0};
    read_file(from, &bytes);
    temp_write(to, bytes.ptr, bytes.len);
    ws_buf_fini(&bytes);
}

/* kill -9 behind a checkpoint: later lines of metrics, a torn one, and a later best.safetensors are already there. */
static void what_a_killed_run_left_behind_its_checkpoint_is_done_again(void **state)
{
    static struct bench whole, killed;
    struct ws_err err;
    char checkpoint[TEMP_PATH], saved[TEMP_PATH], metrics[TEMP_PATH];
    open_bench(&whole, *state, "whole", 2, the_teacher);
    must_run(&whole, &ws_method_kd3);
    open_bench(&killed, *state, "killed", 2, the_teacher);
    temp_join(checkpoint, killed.dir, "checkpoint.safetensors");
    temp_join(saved, *state, "early.safetensors");
    killed.options.limit = 6;
    assert_int_equal(run(&killed, &ws_method_kd3, &err), WS_E_BUDGET);
    copy_file(checkpoint, saved);
    killed.options.limit = 9;
    assert_int_equal(run(&killed, &ws_method_kd3, &err), WS_E_BUDGET);
    copy_file(saved, checkpoint);
    FILE *stream = fopen(temp_join(metrics, killed.dir, "metrics.jsonl"), "a");
    fputs("{\"kind\":\"step\",\"to", stream);
    fclose(stream);
    killed.options.limit = 0;
    must_run(&killed, &ws_method_kd3);
    assert_same_file(whole.last, killed.last);
    assert_same_file(whole.best, killed.best);
    assert_same_metrics(whole.dir, killed.dir);
    close_bench(&whole);
    close_bench(&killed);
}

static void a_checkpoint_of_another_key_is_not_used(void **state)
{
    static struct bench whole, other;
    struct ws_err err;
    open_bench(&whole, *state, "whole", 2, the_teacher);
    must_run(&whole, &ws_method_kd);
    open_bench(&other, *state, "other", 2, the_teacher);
    other.options.key = "yesterday's";
    other.session.seed = 6;
    other.options.limit = 7;
    assert_int_equal(run(&other, &ws_method_kd, &err), WS_E_BUDGET);
    other.options.key = "key";
    other.session.seed = 5;
    other.options.limit = 0;
    must_run(&other, &ws_method_kd);
    assert_same_file(whole.last, other.last);
    assert_same_metrics(whole.dir, other.dir);
    close_bench(&whole);
    close_bench(&other);
}

/* Classifiers of other names and lengths than a ResNet's "fc" are shared all the same. */
static void kd3_takes_any_pair_of_the_zoo(void **state)
{
    static const char *const pairs[][2] = {
        {"vgg8", "wrn-10-1"}, {"resnet8x4", "vgg8"}, {"mobilenetv2", "shufflenetv2"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        static struct bench b;
        struct ws_err err = {0};
        struct ws_card card = {
            .classes = class_names, .n_classes = CLASSES, .height = SIDE, .width = SIDE, .channels = 1};
        struct ws_model *teacher, *student;
        snprintf(card.arch, sizeof card.arch, "%s", pairs[i][0]);
        assert_int_equal(ws_model_build(&teacher, &card, &err), WS_OK);
        ws_net_init(teacher->net, 3);
        open_bench(&b, *state, pairs[i][1], 2, teacher);
        snprintf(b.session.card.arch, sizeof b.session.card.arch, "%s", pairs[i][1]);
        b.config.distill.kd3.select = false;
        b.session.epochs = 1;
        b.options.steps_per_epoch = 2;
        must_run(&b, &ws_method_kd3);
        assert_int_equal(ws_model_load(&student, b.last, NULL, &err), WS_OK);
        const struct ws_node *from = &teacher->net->nodes[teacher->logits], *to = &student->net->nodes[student->logits];
        for (int p = 0; p < 2; p++) {
            const struct ws_param *a = &teacher->net->params[from->params[p]],
                                  *c = &student->net->params[to->params[p]];
            assert_int_equal(a->n, c->n);
            assert_memory_equal(teacher->net->values + a->offset, student->net->values + c->offset,
                                a->n * sizeof(float));
        }
        close_bench(&b);
        ws_model_free(&student);
        ws_model_free(&teacher);
    }
}

/* Of pictures of 12 x 12 one has a map of 2 x 2, the other of 3 x 3. */
static void pooled_alignment_takes_pairs_whose_maps_do_not_fit(void **state)
{
    static struct bench b;
    struct ws_err err;
    struct ws_card card = {
        .arch = "mobilenetv2", .classes = class_names, .n_classes = CLASSES, .height = 12, .width = 12, .channels = 1};
    struct ws_model *teacher;
    assert_int_equal(ws_model_build(&teacher, &card, &err), WS_OK);
    ws_net_init(teacher->net, 3);
    open_bench(&b, *state, "kd3", 2, teacher);
    ws_dataset_close(&b.data);
    pool_data_make(&b.data, N, 12, 1, CLASSES);
    b.session.card.height = b.session.card.width = 12;
    snprintf(b.session.card.arch, sizeof b.session.card.arch, "resnet8");
    b.session.epochs = 2;
    assert_int_equal(run(&b, &ws_method_kd3, &err), WS_E_UNSUPPORTED);
    assert_non_null(strstr(err.text, "integer ratio"));
    assert_non_null(strstr(err.hint, "distill.kd3.align: pooled"));
    b.config.distill.kd3.align = WS_ALIGN_POOLED;
    b.config.distill.kd3.select = false;
    must_run(&b, &ws_method_kd3);
    close_bench(&b);
    ws_model_free(&teacher);
}

/* contrast: cross and align: pooled, as for the released code's choices above. */
static void runs_with_the_other_contrast_and_alignment_resume_and_ignore_threads(void **state)
{
    static char contrast_cross[] = "cross";
    static struct bench whole, cut;
    enum ws_status status = WS_E_BUDGET;
    open_bench(&whole, *state, "whole", 1, the_teacher);
    whole.config.distill.kd3.contrast = contrast_cross;
    whole.config.distill.kd3.contrast_weight = .5;
    whole.config.distill.kd3.align = WS_ALIGN_POOLED;
    whole.config.distill.kd3.select = false; /* the student would decide before it has learnt anything */
    must_run(&whole, &ws_method_kd3);
    for (int n_calls = 1; status == WS_E_BUDGET; n_calls++) {
        struct ws_err err;
        open_bench(&cut, *state, "cut", 1 + n_calls % 3, the_teacher);
        cut.config = whole.config;
        cut.options.limit = n_calls;
        status = run(&cut, &ws_method_kd3, &err);
        close_bench(&cut);
    }
    assert_int_equal(status, WS_OK);
    assert_same_file(whole.last, cut.last);
    assert_same_metrics(whole.dir, cut.dir);
    close_bench(&whole);
}

static void kd3_says_which_heads_it_cannot_share(void **state)
{
    static struct bench b;
    struct ws_err err;
    open_bench(&b, *state, "kd3", 2, the_teacher);
    /* As if further layers stood between. */
    struct ws_model other = *the_teacher;
    other.head_pooled = other.features;
    b.session.teacher = &other;
    assert_int_equal(run(&b, &ws_method_kd3, &err), WS_E_UNSUPPORTED);
    assert_non_null(strstr(err.text, "one linear layer"));
    assert_non_null(strstr(err.hint, "method kd"));
    close_bench(&b);
}

/* The teacher's contrast trains E_t alone, in the released code and here: the student's bytes do not depend on it. */
static void contrast_reaches_the_student_through_its_own_embedding(void **state)
{
    static struct bench on, off;
    open_bench(&on, *state, "on", 2, the_teacher);
    open_bench(&off, *state, "off", 2, the_teacher);
    on.config.distill.kd3.contrast_weight = 1;
    off.config.distill.kd3.contrast = contrast_off;
    must_run(&on, &ws_method_kd3);
    must_run(&off, &ws_method_kd3);
    assert_memory_not_equal(&on.result.last, &off.result.last, sizeof on.result.last);
    close_bench(&on);
    close_bench(&off);
}

static void each_epoch_tells_what_it_selected(void **state)
{
    static struct bench b;
    char path[TEMP_PATH], line[65536];
    open_bench(&b, *state, "kd3", 2, the_teacher);
    must_run(&b, &ws_method_kd3);
    FILE *stream = fopen(temp_join(path, b.dir, "metrics.jsonl"), "r");
    int n_epochs = 0;
    while (fgets(line, sizeof line, stream)) {
        json_t *object = json_loads(line, 0, NULL);
        if (strcmp(json_string_value(json_object_get(object, "kind")), "epoch") == 0) {
            json_int_t sum = 0;
            for (size_t c = 0; c < CLASSES; c++)
                sum += json_integer_value(json_array_get(json_object_get(object, "selected_per_class"), c));
            assert_int_equal(sum, json_integer_value(json_object_get(object, "n_selected")));
            assert_int_equal(json_integer_value(json_object_get(object, "n_pool")), b.n_train);
            assert_int_equal(json_array_size(json_object_get(object, "threshold_per_class")), CLASSES);
            assert_int_equal(json_integer_value(json_object_get(object, "epoch")), ++n_epochs);
            assert_near(json_number_value(json_object_get(object, "alpha")) == 0, n_epochs >= 2, 0);
            assert_non_null(json_object_get(json_object_get(object, "losses"), "align"));
        }
        json_decref(object);
    }
    fclose(stream);
    assert_int_equal(n_epochs, EPOCHS);
    for (int e = 1; e <= EPOCHS; e++) {
        char name[64];
        snprintf(name, sizeof name, "selection/epoch-%03d.safetensors", e);
        assert_true(ws_file_exists(temp_join(path, b.dir, name)));
    }
    close_bench(&b);
}

/* The file of an epoch's selection. */
static char *selection_path(char path[TEMP_PATH], const struct bench *b, int epoch)
{
    char name[64];
    snprintf(name, sizeof name, "selection/epoch-%03d.safetensors", epoch);
    return temp_join(path, b->dir, name);
}

static void kept_teacher_logits_give_the_bytes_of_recomputed_ones(void **state)
{
    static struct bench kept, recomputed, augmented, cut;
    struct ws_err err;
    char a[TEMP_PATH], b[TEMP_PATH];
    open_bench(&kept, *state, "kept", 2, the_teacher);
    open_bench(&recomputed, *state, "recomputed", 3, the_teacher);
    open_bench(&augmented, *state, "augmented", 2, the_teacher);
    kept.config.distill.kd3.selection_view = recomputed.config.distill.kd3.selection_view = WS_SELECTION_CLEAN;
    kept.config.distill.kd3.teacher_cache_mib = 1;
    kept.config.curate.alpha_zero_share = recomputed.config.curate.alpha_zero_share = 1; /* asks in each epoch */
    must_run(&kept, &ws_method_kd3);
    must_run(&recomputed, &ws_method_kd3);
    must_run(&augmented, &ws_method_kd3);
    assert_same_file(kept.last, recomputed.last);
    assert_same_metrics(kept.dir, recomputed.dir);
    for (int e = 1; e <= EPOCHS; e++)
        assert_same_file(selection_path(a, &kept, e), selection_path(b, &recomputed, e));
    assert_memory_not_equal(&kept.result.last, &augmented.result.last, sizeof kept.result.last);

    /* A run that goes on has no cache yet. */
    enum ws_status status = WS_E_BUDGET;
    while (status == WS_E_BUDGET) {
        open_bench(&cut, *state, "cut", 2, the_teacher);
        cut.config = kept.config;
        cut.options.limit = 7;
        status = run(&cut, &ws_method_kd3, &err);
        close_bench(&cut);
    }
    assert_int_equal(status, WS_OK);
    assert_same_file(kept.last, cut.last);
    close_bench(&kept);
    close_bench(&recomputed);
    close_bench(&augmented);
}

/* Another teacher put in its place behind the first epoch is not asked where the first one's logits are kept. */
static void the_teacher_is_asked_once_where_its_logits_fit_under_the_cap(void **state)
{
    for (uint32_t cap = 0; cap < 2; cap++) {
        static struct bench b;
        struct kd3_selection selection;
        struct ws_epoch epoch;
        struct ws_err err = {0};
        struct ws_model *other;
        struct ws_predictor stranger;
        char path[TEMP_PATH], first[TEMP_PATH];
        open_bench(&b, *state, cap ? "kept" : "recomputed", 2, the_teacher);
        b.config.distill.kd3.selection_view = WS_SELECTION_CLEAN;
        b.config.distill.kd3.teacher_cache_mib = cap;
        b.config.curate.alpha_steepness = 1000; /* alpha = 1 in both epochs */
        b.config.curate.p_cutoff = .1;          /* which even a random network reaches */
        b.session.epochs = 100;
        assert_int_equal(ws_model_build(&other, &the_teacher->card, &err), WS_OK);
        ws_net_init(other->net, 3);
        assert_int_equal(ws_predictor_open(&stranger, other, b.pool, BATCH, false, &err), WS_OK);
        assert_int_equal(kd3_selection_open(&selection, &b.session, &b.config.distill.kd3, &err), WS_OK);
        b.session.student = &stranger;
        assert_int_equal(kd3_select(&selection, &b.session, 1, &epoch, &err), WS_OK);
        copy_file(selection_path(path, &b, 1), temp_join(first, b.dir, "first"));
        b.session.teacher_predictor = &stranger;
        assert_int_equal(kd3_select(&selection, &b.session, 1, &epoch, &err), WS_OK);
        struct ws_buf left = {0}, right = {0};
        read_file(first, &left);
        read_file(path, &right);
        assert_int_equal(left.len == right.len && memcmp(left.ptr, right.ptr, left.len) == 0, cap);
        ws_buf_fini(&left);
        ws_buf_fini(&right);
        kd3_selection_close(&selection);
        ws_predictor_close(&stranger);
        ws_model_free(&other);
        close_bench(&b);
    }
}

static void combining_probabilities_selects_otherwise(void **state)
{
    static struct bench of_logits, of_probabilities;
    char a[TEMP_PATH], b[TEMP_PATH];
    struct ws_buf left = {0}, right = {0};
    open_bench(&of_logits, *state, "logits", 2, the_teacher);
    open_bench(&of_probabilities, *state, "probabilities", 2, the_teacher);
    of_probabilities.config.curate.combine = WS_COMBINE_PROBABILITIES;
    must_run(&of_logits, &ws_method_kd3);
    must_run(&of_probabilities, &ws_method_kd3);
    read_file(selection_path(a, &of_logits, 1), &left);
    read_file(selection_path(b, &of_probabilities, 1), &right);
    assert_true(left.len == right.len && memcmp(left.ptr, right.ptr, left.len) != 0);
    ws_buf_fini(&left);
    ws_buf_fini(&right);
    close_bench(&of_logits);
    close_bench(&of_probabilities);
}

static void a_selection_of_fewer_than_two_says_what_to_do(void **state)
{
    static struct bench b;
    struct ws_err err;
    open_bench(&b, *state, "kd3", 2, the_teacher);
    b.n_train = b.session.n_train = 2;
    b.config.curate.p_cutoff = 1;
    memset(the_teacher->net->values + the_teacher->net->params[ws_net_find_param(the_teacher->net, "fc.bias")].offset,
           0, sizeof(float) * CLASSES);
    const enum ws_status status = run(&b, &ws_method_kd3, &err);
    /* Two images of equal prediction reach the cutoff 1 only with certainty. */
    assert_int_equal(status, WS_E_NUMERIC);
    assert_non_null(strstr(err.text, "expected at least 2"));
    assert_non_null(strstr(err.hint, "curate.p_cutoff"));
    close_bench(&b);
}

static void labels_are_needed_by_ce_alone(void **state)
{
    static struct bench b;
    struct ws_err err;
    open_bench(&b, *state, "ce", 2, the_teacher);
    for (size_t i = 0; i < N; i++)
        b.data.labels[i] = WS_NO_LABEL;
    assert_int_equal(run(&b, &ws_method_ce, &err), WS_E_CONFIG);
    assert_non_null(strstr(err.text, "0 of"));
    assert_non_null(strstr(err.hint, "distill.methods"));
    must_run(&b, &ws_method_kd3);
    close_bench(&b);
}

static void unlabelled_images_are_left_out_of_ce(void **state)
{
    static struct bench b;
    open_bench(&b, *state, "ce", 2, the_teacher);
    for (size_t i = 0; i < N; i += 2)
        b.data.labels[i] = WS_NO_LABEL;
    size_t n_labelled = 0;
    for (size_t i = 0; i < b.n_train; i++)
        n_labelled += b.data.labels[b.train[i]] >= 0;
    b.options.steps_per_epoch = 0;
    must_run(&b, &ws_method_ce);
    assert_in_range(b.result.images_seen, EPOCHS * (n_labelled - 1), EPOCHS * n_labelled);
    close_bench(&b);
}

/* Cross entropy with one parameter spoilt before step 7. */
static struct {
    const char *param;
    float value;
} spoiler;

static enum ws_status spoilt_step(void *state, struct ws_step *step, struct ws_err *err)
{
    struct ws_method_network list[WS_MAX_NETWORKS];
    assert_in_range(ws_method_ce.networks(state, list), 1, WS_MAX_NETWORKS);
    const struct ws_net *net = list[0].net;
    if (step->index == 6) {
        const struct ws_param *param = &net->params[ws_net_find_param(net, spoiler.param)];
        for (size_t i = 0; i < param->n; i++)
            net->values[param->offset + i] = i % 2 ? spoiler.value : -spoiler.value;
    }
    return ws_method_ce.step(state, step, err);
}

/* Trains into the spoilt step; the message, and what its replay prints (free it). */
static char *spoil(const char *folder, const char *param, float value, struct ws_err *err)
{
    static struct bench b;
    struct ws_method method = ws_method_ce;
    char kept[TEMP_PATH], *text = NULL;
    size_t len = 0;
    method.step = spoilt_step;
    spoiler.param = param;
    spoiler.value = value;
    open_bench(&b, folder, "ce", 2, NULL);
    assert_int_equal(run(&b, &method, err), WS_E_NUMERIC);
    assert_false(ws_file_exists(b.last));
    temp_join(kept, b.dir, "nan-step-7.safetensors");
    if (!ws_file_exists(kept))
        fail_msg("%s", err->text);
    assert_non_null(strstr(err->hint, kept));
    assert_non_null(strstr(err->hint, "--replay"));
    close_bench(&b);

    /* In a new process's state, without the spoiler: the file alone brings it back. */
    struct ws_err none;
    open_bench(&b, folder, "ce", 1, NULL);
    b.options.replay = kept;
    b.options.replay_out = open_memstream(&text, &len);
    if (run(&b, &ws_method_ce, &none) != WS_OK)
        fail_msg("%s", none.text);
    fclose(b.options.replay_out);
    close_bench(&b);
    return text;
}

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("expected \"%s\" in: %s", part, text);
}

static void a_value_that_overflows_is_traced_to_its_node_and_replayed(void **state)
{
    struct ws_err err;
    char *replay = spoil(*state, "layer2.0.conv1.weight", 3e38f, &err);
    assert_has(err.text, "training left the numbers at step 7 (epoch 2)");
    assert_has(err.text, "student's activation of layer2.0.conv1 (");
    assert_has(replay, "step 7, epoch 2, 16 images");
    assert_has(replay, "it began in the student's activation of layer2.0.conv1\n");
    free(replay);
}

static void a_weight_that_is_no_number_is_named(void **state)
{
    struct ws_err err;
    char *replay = spoil(*state, "layer3.0.bn2.bias", NAN, &err);
    assert_has(err.text, "student's weight of layer3.0.bn2.bias (");
    assert_has(replay, "weight of layer3.0.bn2.bias");
    free(replay);
}

/* A smoothing beyond float, though not beyond double, makes a finite loss with a gradient that is not. */
static void a_gradient_that_overflows_stops_the_run_before_it_is_used(void **state)
{
    static struct bench b;
    struct ws_err err;
    char kept[TEMP_PATH], *replay = NULL;
    size_t len = 0;
    for (int again = 0; again < 2; again++) {
        open_bench(&b, *state, "ce", 2, NULL);
        b.session.label_smoothing = 1e100;
        temp_join(kept, b.dir, "nan-step-1.safetensors");
        if (again) {
            b.options.replay = kept;
            b.options.replay_out = open_memstream(&replay, &len);
            assert_int_equal(run(&b, &ws_method_ce, &err), WS_OK);
            fclose(b.options.replay_out);
        } else {
            assert_int_equal(run(&b, &ws_method_ce, &err), WS_E_NUMERIC);
            assert_has(err.text, "a gradient is not finite; it began in the student's gradient of fc.bias");
        }
        close_bench(&b);
    }
    assert_has(replay, "it began in the student's gradient of fc.bias\n");
    free(replay);
}

static void an_input_that_is_not_finite_is_blamed_on_no_layer(void **state)
{
    static struct bench b;
    struct ws_err err;
    char path[TEMP_PATH];
    struct ws_tensors *kept;
    open_bench(&b, *state, "kd3", 2, the_teacher);
    b.config.distill.kd3.select = false;
    b.session.augment.std[0] = 0;
    assert_int_equal(run(&b, &ws_method_kd3, &err), WS_E_NUMERIC);
    if (!strstr(err.text, "student's activation of input"))
        fail_msg("%s", err.text);
    assert_int_equal(ws_tensors_open(&kept, temp_join(path, b.dir, "nan-step-1.safetensors"), &err), WS_OK);
    static const char *const names[] = {"batch.images",  "batch.ids",   "batch.labels",   "input.student",
                                        "input.teacher", "input.mixed", "output.teacher", "student.conv1.weight"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!ws_tensors_find(kept, names[i]))
            fail_msg("%s is not kept", names[i]);
    ws_tensors_close(&kept);
    close_bench(&b);
}

static void a_rate_that_is_too_high_ends_in_an_error_not_in_a_student(void **state)
{
    static struct bench b;
    struct ws_err err;
    open_bench(&b, *state, "ce", 2, NULL);
    b.config.distill.optim.lr = 1e30;
    b.config.distill.optim.schedule = WS_SCHEDULE_CONSTANT;
    assert_int_equal(run(&b, &ws_method_ce, &err), WS_E_NUMERIC);
    assert_has(err.text, "it began in the student's");
    assert_has(err.hint, "lower the learning rate");
    assert_false(ws_file_exists(b.last));
    close_bench(&b);
}

static void a_pool_of_one_image_is_refused(void **state)
{
    static struct bench b;
    struct ws_err err;
    open_bench(&b, *state, "kd", 2, the_teacher);
    b.session.n_train = 1;
    assert_int_equal(run(&b, &ws_method_kd, &err), WS_E_CONFIG);
    assert_non_null(strstr(err.text, "expected at least 2"));
    close_bench(&b);
}

static void without_a_hold_out_the_best_epoch_is_the_last(void **state)
{
    static struct bench b;
    open_bench(&b, *state, "kd", 2, the_teacher);
    b.options.n_held = 0;
    must_run(&b, &ws_method_kd);
    assert_same_file(b.last, b.best);
    assert_true(b.result.held_last < 0);
    close_bench(&b);
}

static void a_step_budget_ends_inside_an_epoch(void **state)
{
    static struct bench b;
    open_bench(&b, *state, "ce", 2, NULL);
    b.options.steps = 7;
    must_run(&b, &ws_method_ce);
    assert_int_equal(b.result.steps, 7);
    close_bench(&b);
}

static void steps_per_epoch_cycle_the_images(void **state)
{
    static struct bench b;
    open_bench(&b, *state, "kd", 2, the_teacher);
    b.options.steps_per_epoch = 13;
    b.session.epochs = 2;
    must_run(&b, &ws_method_kd);
    assert_int_equal(b.result.steps, 26);
    close_bench(&b);
}

static void a_pass_shows_every_image_once(void **state)
{
    (void)state;
    uint32_t images[33], order[33], batch[8], pass;
    int seen[2][100] = {{0}};
    for (uint32_t i = 0; i < 33; i++)
        images[i] = 3 * i;
    struct ws_sampler sampler = {
        .seed = 1, .epoch = 1, .order = order, .images = images, .n = 33, .batch = 8, .pass = -1};
    assert_int_equal(ws_sampler_pass_batches(33, 8), 4); /* one image alone is left out */
    assert_int_equal(ws_sampler_pass_batches(34, 8), 5);
    for (int64_t k = 0; k < 8; k++) {
        const int n = ws_sampler_batch(&sampler, k, batch, &pass);
        assert_int_equal(n, 8);
        assert_int_equal(pass, k / 4);
        for (int i = 0; i < n; i++)
            seen[pass][batch[i]]++;
    }
    for (int p = 0; p < 2; p++) {
        int n = 0;
        for (int i = 0; i < 100; i++) {
            assert_true(seen[p][i] <= 1);
            n += seen[p][i];
        }
        assert_int_equal(n, 32);
    }
    assert_memory_not_equal(seen[0], seen[1], sizeof seen[0]);
}

static void the_step_schedule_falls_behind_its_milestones(void **state)
{
    (void)state;
    double milestones[] = {.625, .75, .875};
    const struct ws_conf_optim optim = {
        .lr = .05, .schedule = WS_SCHEDULE_STEP, .milestones = milestones, .n_milestones = 3, .gamma = .1};
    assert_near(ws_train_lr(&optim, 0, 1, 150, 240), .05, 1e-15);
    assert_near(ws_train_lr(&optim, 0, 1, 151, 240), .005, 1e-15);
    assert_near(ws_train_lr(&optim, 0, 1, 180, 240), .005, 1e-15);
    assert_near(ws_train_lr(&optim, 0, 1, 181, 240), .0005, 1e-15);
    assert_near(ws_train_lr(&optim, 0, 1, 240, 240), .00005, 1e-15);
}

static void a_split_is_by_id_whatever_the_others_are(void **state)
{
    (void)state;
    struct ws_dataset small, large;
    static uint32_t train[1000], held[1000], train_small[100], held_small[100];
    size_t n_train, n_held, n_train_small, n_held_small;
    pool_data_make(&large, 1000, 2, 1, 2);
    pool_data_make(&small, 100, 2, 1, 2);
    ws_dataset_split(&large, .2, 9, train, &n_train, held, &n_held);
    ws_dataset_split(&small, .2, 9, train_small, &n_train_small, held_small, &n_held_small);
    assert_int_equal(n_train + n_held, 1000);
    assert_in_range(n_held, 150, 250);
    assert_memory_equal(held, held_small, n_held_small * sizeof *held);
    ws_dataset_split(&large, 0, 9, train, &n_train, held, &n_held);
    assert_int_equal(n_held, 0);
    ws_dataset_close(&small);
    ws_dataset_close(&large);
}

static void an_unknown_method_is_told_its_nearest(void **state)
{
    (void)state;
    const struct ws_method *method;
    struct ws_err err = {0};
    assert_int_equal(ws_method_find("kd3", &method, &err), WS_OK);
    assert_ptr_equal(method, &ws_method_kd3);
    assert_int_equal(ws_method_find("dk3", &method, &err), WS_E_CONFIG);
    assert_non_null(strstr(err.text, "did you mean \"kd3\""));
    for (int i = 0; ws_methods[i]; i++) { /* the hint has room for all of them */
        char name[40];
        snprintf(name, sizeof name, " %s%s", ws_methods[i]->name, ws_methods[i + 1] ? "," : ";");
        assert_non_null(strstr(err.hint, name));
    }
}

static void metrics_are_cut_back_to_what_the_checkpoint_vouches_for(void **state)
{
    struct ws_metrics metrics;
    struct ws_err err = {0};
    struct ws_buf text = {0};
    char path[TEMP_PATH];
    temp_join(path, *state, "metrics.jsonl");
    assert_int_equal(ws_metrics_open(&metrics, path, 0, &err), WS_OK);
    for (int i = 0; i < 5; i++)
        assert_int_equal(ws_metrics_add(&metrics, json_pack("{s:i}", "i", i), &err), WS_OK);
    ws_metrics_close(&metrics);
    assert_int_equal(ws_metrics_open(&metrics, path, 2, &err), WS_OK);
    assert_int_equal(ws_metrics_add(&metrics, json_pack("{s:i}", "i", 9), &err), WS_OK);
    assert_int_equal(metrics.n_lines, 3);
    ws_metrics_close(&metrics);
    read_file(path, &text);
    assert_string_equal(text.ptr, "{\"i\":0}\n{\"i\":1}\n{\"i\":9}\n");
    ws_buf_fini(&text);
    assert_int_equal(ws_metrics_open(&metrics, path, 7, &err), WS_E_DAMAGED);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, temp_setup, temp_teardown)

static void kd3_without_sharing_selection_and_contrast_is_kd(void **state)
{
    static struct bench kd3, kd;
    open_bench(&kd3, *state, "kd3", 2, the_teacher);
    kd3.config.distill.kd3.share = kd3.config.distill.kd3.select = false;
    kd3.config.distill.kd3.contrast = contrast_off;
    open_bench(&kd, *state, "kd", 2, the_teacher);
    must_run(&kd3, &ws_method_kd3);
    must_run(&kd, &ws_method_kd);
    assert_same_file(kd3.last, kd.last);
    close_bench(&kd3);
    close_bench(&kd);
}

static void kd3_without_sharing_trains_a_classifier_of_its_own_on_the_selection(void **state)
{
    static struct bench own, shared;
    open_bench(&own, *state, "own", 2, the_teacher);
    own.config.distill.kd3.share = false;
    open_bench(&shared, *state, "shared", 2, the_teacher);
    must_run(&own, &ws_method_kd3);
    must_run(&shared, &ws_method_kd3);
    struct ws_model *student = NULL;
    struct ws_err err = {0};
    char path[TEMP_PATH];
    assert_int_equal(ws_model_load(&student, own.last, NULL, &err), WS_OK);
    assert_int_equal(student->card.projector_channels, 0);
    for (int i = 0; i < student->net->n_params; i++)
        assert_false(student->net->params[i].is_frozen);
    ws_model_free(&student);
    /* The first epoch's selection asks the teacher and an untrained student; it is there for both. */
    assert_true(ws_file_exists(temp_join(path, own.dir, "selection/epoch-001.safetensors")));
    struct ws_buf text = {0};
    read_file(temp_join(path, own.dir, "metrics.jsonl"), &text);
    assert_non_null(strstr(text.ptr, "\"kl\":"));
    assert_non_null(strstr(text.ptr, "\"contrast_student\":"));
    assert_null(strstr(text.ptr, "\"align\":"));
    ws_buf_fini(&text);
    read_file(temp_join(path, shared.dir, "metrics.jsonl"), &text);
    assert_null(strstr(text.ptr, "\"kl\":"));
    ws_buf_fini(&text);
    close_bench(&own);
    close_bench(&shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(kd3_without_sharing_selection_and_contrast_is_kd),
        IN_FOLDER(kd3_without_sharing_trains_a_classifier_of_its_own_on_the_selection),
        IN_FOLDER(every_method_runs_and_beats_chance),
        IN_FOLDER(one_two_three_and_eight_threads_give_the_same_bytes),
        IN_FOLDER(a_run_cut_anywhere_ends_with_the_same_bytes),
        IN_FOLDER(weights_of_an_epoch_survive_a_cut_inside_it),
        IN_FOLDER(rules_beyond_kd3s_do_not_need_its_threshold),
        IN_FOLDER(what_a_killed_run_left_behind_its_checkpoint_is_done_again),
        IN_FOLDER(a_checkpoint_of_another_key_is_not_used),
        IN_FOLDER(kd3_takes_any_pair_of_the_zoo),
        IN_FOLDER(pooled_alignment_takes_pairs_whose_maps_do_not_fit),
        IN_FOLDER(runs_with_the_other_contrast_and_alignment_resume_and_ignore_threads),
        IN_FOLDER(kd3_says_which_heads_it_cannot_share),
        IN_FOLDER(contrast_reaches_the_student_through_its_own_embedding),
        IN_FOLDER(each_epoch_tells_what_it_selected),
        IN_FOLDER(labels_are_needed_by_ce_alone),
        IN_FOLDER(unlabelled_images_are_left_out_of_ce),
        IN_FOLDER(a_value_that_overflows_is_traced_to_its_node_and_replayed),
        IN_FOLDER(a_weight_that_is_no_number_is_named),
        IN_FOLDER(a_gradient_that_overflows_stops_the_run_before_it_is_used),
        IN_FOLDER(an_input_that_is_not_finite_is_blamed_on_no_layer),
        IN_FOLDER(a_rate_that_is_too_high_ends_in_an_error_not_in_a_student),
        IN_FOLDER(a_pool_of_one_image_is_refused),
        IN_FOLDER(without_a_hold_out_the_best_epoch_is_the_last),
        IN_FOLDER(a_step_budget_ends_inside_an_epoch),
        IN_FOLDER(steps_per_epoch_cycle_the_images),
        cmocka_unit_test(a_pass_shows_every_image_once),
        cmocka_unit_test(the_step_schedule_falls_behind_its_milestones),
        cmocka_unit_test(a_split_is_by_id_whatever_the_others_are),
        cmocka_unit_test(an_unknown_method_is_told_its_nearest),
        IN_FOLDER(metrics_are_cut_back_to_what_the_checkpoint_vouches_for),
        IN_FOLDER(kept_teacher_logits_give_the_bytes_of_recomputed_ones),
        IN_FOLDER(the_teacher_is_asked_once_where_its_logits_fit_under_the_cap),
        IN_FOLDER(combining_probabilities_selects_otherwise),
        IN_FOLDER(a_selection_of_fewer_than_two_says_what_to_do),
    };
    return cmocka_run_group_tests_name("train", tests, train_teacher, free_teacher);
}
