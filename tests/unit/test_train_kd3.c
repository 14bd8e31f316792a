/* KD3 in the loop: what it selects and keeps each epoch, which pairs and options it takes, and how these resume. */
#include "program.h"
#include "train_bench.h"

/* Ten copies of one picture among the pool, which share one image's weight. */
static void use_density(struct bench *b, enum ws_density_mode mode)
{
    for (int i = 1; i < 10; i++)
        memcpy(b->data.block + (size_t)i * SIDE * SIDE, b->data.block, SIDE * SIDE);
    KEYS(&b->config, curate)->density = mode;
    KEYS(&b->config, curate)->density_distance = 0;
    KEYS(&b->config, curate)->p_cutoff = .3;
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
    struct ws_kd3_selection selection;
    struct ws_epoch epoch;
    struct ws_err err = {0};
    open_bench(&b, *state, "alone", 2, the_teacher);
    use_density(&b, WS_DENSITY_DROP);
    KEYS(&b.config, kd3)->select = false;
    KEYS(&b.config, curate)->alpha_steepness = 1000; /* alpha = 1: the teacher alone is asked */
    b.session.epochs = 100;
    assert_int_equal(ws_kd3_selection_open(&selection, &b.session, KEYS(&b.config, kd3), &err), WS_OK);
    assert_int_equal(ws_kd3_select(&selection, 1, &epoch, &err), WS_OK);
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
    ws_kd3_selection_close(&selection);
    close_bench(&b);
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
        KEYS(&b.config, kd3)->select = false;
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
    KEYS(&b.config, kd3)->align = WS_ALIGN_POOLED;
    KEYS(&b.config, kd3)->select = false;
    must_run(&b, &ws_method_kd3);
    close_bench(&b);
    ws_model_free(&teacher);
}

/* contrast: cross and align: pooled, as for the released code's choices above. */
static void runs_with_the_other_contrast_and_alignment_resume_and_ignore_threads(void **state)
{
    static struct bench whole, cut;
    enum ws_status status = WS_E_BUDGET;
    open_bench(&whole, *state, "whole", 1, the_teacher);
    KEYS(&whole.config, kd3)->contrast = WS_CONTRAST_CROSS;
    KEYS(&whole.config, kd3)->contrast_weight = .5;
    KEYS(&whole.config, kd3)->align = WS_ALIGN_POOLED;
    KEYS(&whole.config, kd3)->select = false; /* the student would decide before it has learnt anything */
    must_run(&whole, &ws_method_kd3);
    for (int n_calls = 1; status == WS_E_BUDGET; n_calls++) {
        struct ws_err err;
        open_bench(&cut, *state, "cut", 1 + n_calls % 3, the_teacher);
        test_config_copy(&cut.config, &whole.config);
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
    KEYS(&on.config, kd3)->contrast_weight = 1;
    KEYS(&off.config, kd3)->contrast = WS_CONTRAST_OFF;
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
    KEYS(&kept.config, kd3)->selection_view = KEYS(&recomputed.config, kd3)->selection_view = WS_SELECTION_CLEAN;
    KEYS(&kept.config, kd3)->teacher_cache_mib = 1;
    KEYS(&kept.config, curate)->alpha_zero_share = KEYS(&recomputed.config, curate)->alpha_zero_share =
        1; /* asks in each epoch */
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
        test_config_copy(&cut.config, &kept.config);
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
        struct ws_kd3_selection selection;
        struct ws_epoch epoch;
        struct ws_err err = {0};
        struct ws_model *other;
        struct ws_predictor stranger;
        char path[TEMP_PATH], first[TEMP_PATH];
        open_bench(&b, *state, cap ? "kept" : "recomputed", 2, the_teacher);
        KEYS(&b.config, kd3)->selection_view = WS_SELECTION_CLEAN;
        KEYS(&b.config, kd3)->teacher_cache_mib = cap;
        KEYS(&b.config, curate)->alpha_steepness = 1000; /* alpha = 1 in both epochs */
        KEYS(&b.config, curate)->p_cutoff = .1;          /* which even a random network reaches */
        b.session.epochs = 100;
        assert_int_equal(ws_model_build(&other, &the_teacher->card, &err), WS_OK);
        ws_net_init(other->net, 3);
        assert_int_equal(ws_predictor_open(&stranger, other, b.workers, BATCH, false, &err), WS_OK);
        assert_int_equal(ws_kd3_selection_open(&selection, &b.session, KEYS(&b.config, kd3), &err), WS_OK);
        b.session.student = &stranger;
        assert_int_equal(ws_kd3_select(&selection, 1, &epoch, &err), WS_OK);
        copy_file(selection_path(path, &b, 1), temp_join(first, b.dir, "first"));
        b.session.teacher_predictor = &stranger;
        assert_int_equal(ws_kd3_select(&selection, 1, &epoch, &err), WS_OK);
        struct ws_buf left = {0}, right = {0};
        read_file(first, &left);
        read_file(path, &right);
        assert_int_equal(left.len == right.len && memcmp(left.ptr, right.ptr, left.len) == 0, cap);
        ws_buf_fini(&left);
        ws_buf_fini(&right);
        ws_kd3_selection_close(&selection);
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
    KEYS(&of_probabilities.config, curate)->combine = WS_COMBINE_PROBABILITIES;
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
    KEYS(&b.config, curate)->p_cutoff = 1;
    memset(the_teacher->net->values + the_teacher->net->params[ws_net_find_param(the_teacher->net, "fc.bias")].offset,
           0, sizeof(float) * CLASSES);
    const enum ws_status status = run(&b, &ws_method_kd3, &err);
    /* Two images of equal prediction reach the cutoff 1 only with certainty. */
    assert_int_equal(status, WS_E_NUMERIC);
    assert_non_null(strstr(err.text, "expected at least 2"));
    assert_non_null(strstr(err.hint, "curate.p_cutoff"));
    close_bench(&b);
}

static void kd3_without_sharing_selection_and_contrast_is_kd(void **state)
{
    static struct bench kd3, kd;
    open_bench(&kd3, *state, "kd3", 2, the_teacher);
    KEYS(&kd3.config, kd3)->share = KEYS(&kd3.config, kd3)->select = false;
    KEYS(&kd3.config, kd3)->contrast = WS_CONTRAST_OFF;
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
    KEYS(&own.config, kd3)->share = false;
    open_bench(&shared, *state, "shared", 2, the_teacher);
    must_run(&own, &ws_method_kd3);
    must_run(&shared, &ws_method_kd3);
    struct ws_model *student = NULL;
    struct ws_err err = {0};
    char path[TEMP_PATH];
    assert_int_equal(ws_model_load(&student, own.last, NULL, &err), WS_OK);
    assert_int_equal(student->card.head.kind, WS_HEAD_OWN);
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

static void sample_pool(struct bench *b, const char *folder, const char *name, int n_threads)
{
    open_bench(b, folder, name, n_threads, the_teacher);
    KEYS(&b->config, kd3_plus)->refine.images = 40;
    KEYS(&b->config, curate)->p_cutoff = .3;
    assert_true(b->n_train > 50);
}

static void of_a_large_pool_kd3_plus_shows_the_refined_ones_alone(void **state)
{
    static struct bench b;
    struct ws_err err = {0};
    struct ws_prepared prepared;
    struct ws_training training;
    sample_pool(&b, *state, "sampled", 2);
    struct ws_session session = b.session;
    assert_int_equal(ws_dir_make(b.dir, &err), WS_OK);
    assert_int_equal(ws_prepared_open(&prepared, ws_method_kd3_plus.prepare, &session, NULL, NULL, &err), WS_OK);
    assert_int_equal(ws_method_open(&ws_method_kd3_plus, &training, &session, &err), WS_OK);
    assert_int_equal(training.supply->kind->begin(training.supply, 1, &err), WS_OK);
    const struct ws_epoch *epoch = &training.supply->epoch;
    const struct ws_refined *refined = prepared.made[0];
    size_t n_refined = 0;
    for (size_t i = 0; i < N; i++)
        n_refined += refined->pixels[i] != NULL;
    assert_int_equal(n_refined, 40);
    assert_int_equal(epoch->n, 40);
    assert_int_equal(session.n_pool, b.n_train);
    for (size_t i = 0; i < epoch->n; i++) {
        assert_non_null(refined->pixels[epoch->images[i]]);
        assert_true(i == 0 || epoch->images[i] > epoch->images[i - 1]);
    }
    ws_method_close(&ws_method_kd3_plus, &training);
    ws_prepared_close(&prepared);
    close_bench(&b);
}

/* Whether an image is drawn depends on the ids that hash lower alone: without the others, the same ones are drawn. */
static void a_pool_that_grew_keeps_what_is_drawn(void **state)
{
    (void)state;
    static struct bench b;
    struct ws_err err = {0};
    uint32_t *of_large, *of_small, fewer[N];
    sample_pool(&b, *state, "grew", 1);
    struct ws_session large = b.session, small = b.session;
    assert_int_equal(ws_prepare_refine.narrow(&large, &of_large, &err), WS_OK);
    assert_int_equal(large.n_train, 40);
    size_t n = 0;
    for (size_t i = 0, at = 0; i < b.n_train; i++) {
        const bool is_drawn = at < 40 && large.train[at] == b.train[i];
        at += is_drawn;
        if (is_drawn || i % 2 == 0)
            fewer[n++] = b.train[i];
    }
    assert_true(n > 40 && n < b.n_train);
    small.train = fewer;
    small.n_train = n;
    assert_int_equal(ws_prepare_refine.narrow(&small, &of_small, &err), WS_OK);
    assert_int_equal(small.n_train, 40);
    assert_memory_equal(large.train, small.train, 40 * sizeof *fewer);
    free(of_large);
    free(of_small);
    close_bench(&b);
}

static void a_sampled_run_that_selects_resumes_and_ignores_threads(void **state)
{
    static struct bench whole, cut;
    sample_pool(&whole, *state, "whole-sample", 1);
    KEYS(&whole.config, kd3_plus)->select = true;
    must_run(&whole, &ws_method_kd3_plus);
    enum ws_status status = WS_E_BUDGET;
    for (int n_calls = 0; status == WS_E_BUDGET; n_calls++) {
        struct ws_err err;
        sample_pool(&cut, *state, "cut-sample", 2 + n_calls % 2);
        KEYS(&cut.config, kd3_plus)->select = true;
        cut.options.limit = 7;
        status = run(&cut, &ws_method_kd3_plus, &err);
        close_bench(&cut);
        assert_true(n_calls < 20);
    }
    assert_int_equal(status, WS_OK);
    assert_same_file(whole.last, cut.last);
    close_bench(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(kd3_without_sharing_selection_and_contrast_is_kd),
        IN_FOLDER(kd3_without_sharing_trains_a_classifier_of_its_own_on_the_selection),
        IN_FOLDER(weights_of_an_epoch_survive_a_cut_inside_it),
        IN_FOLDER(rules_beyond_kd3s_do_not_need_its_threshold),
        IN_FOLDER(kd3_takes_any_pair_of_the_zoo),
        IN_FOLDER(pooled_alignment_takes_pairs_whose_maps_do_not_fit),
        IN_FOLDER(runs_with_the_other_contrast_and_alignment_resume_and_ignore_threads),
        IN_FOLDER(kd3_says_which_heads_it_cannot_share),
        IN_FOLDER(contrast_reaches_the_student_through_its_own_embedding),
        IN_FOLDER(each_epoch_tells_what_it_selected),
        IN_FOLDER(kept_teacher_logits_give_the_bytes_of_recomputed_ones),
        IN_FOLDER(the_teacher_is_asked_once_where_its_logits_fit_under_the_cap),
        IN_FOLDER(combining_probabilities_selects_otherwise),
        IN_FOLDER(a_selection_of_fewer_than_two_says_what_to_do),
        IN_FOLDER(of_a_large_pool_kd3_plus_shows_the_refined_ones_alone),
        IN_FOLDER(a_pool_that_grew_keeps_what_is_drawn),
        IN_FOLDER(a_sampled_run_that_selects_resumes_and_ignores_threads),
    };
    return cmocka_run_group_tests_name("train_kd3", tests, train_teacher, free_teacher);
}
