/* The training loop and its methods on a made-up pool: resumable, repeatable, and clear about what it cannot do. */
#include "train_bench.h"

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

static void methods_that_learn_from_a_teacher_are_refused_where_one_is_trained(void **state)
{
    for (int m = 0; ws_methods[m]; m++) {
        static struct bench b;
        struct ws_err err;
        open_bench(&b, *state, "teacher", 2, NULL);
        b.session.epochs = 1;
        const bool is_ce = ws_methods[m] == &ws_method_ce;
        assert_int_equal(run(&b, ws_methods[m], &err), is_ce ? WS_OK : WS_E_CONFIG);
        if (!is_ce && (!strstr(err.text, ws_methods[m]->name) || !strstr(err.hint, "method ce")))
            fail_msg("%s", err.text);
        close_bench(&b);
    }
}

/* As those are that an older program wrote, of a method whose parts had other names. */
static void a_checkpoint_without_a_learners_numbers_says_what_to_do(void **state)
{
    static struct bench b;
    struct ws_err err;
    char path[TEMP_PATH];
    struct ws_tensors *file;
    struct ws_checkpoint checkpoint = {0};
    json_t *loop;
    open_bench(&b, *state, "dfnd", 2, the_teacher);
    b.options.limit = 3;
    assert_int_equal(run(&b, &ws_method_dfnd, &err), WS_E_BUDGET);
    assert_int_equal(ws_checkpoint_open(&file, &loop, temp_join(path, b.dir, "checkpoint.safetensors"), "key", &err),
                     WS_OK);
    for (size_t i = 0; i < ws_tensors_count(file); i++)
        if (strcmp(ws_tensors_at(file, i)->name, "noise.values") != 0)
            ws_checkpoint_add(&checkpoint, ws_tensors_at(file, i));
    assert_int_equal(checkpoint.n, ws_tensors_count(file) - 1);
    assert_int_equal(ws_checkpoint_write(&checkpoint, path, "key", loop, &err), WS_OK);
    ws_tensors_close(&file);
    json_decref(loop);
    assert_int_equal(run(&b, &ws_method_dfnd, &err), WS_E_DAMAGED);
    assert_non_null(strstr(err.text, "noise.values"));
    assert_non_null(strstr(err.text, path));
    assert_non_null(strstr(err.hint, "run the same command again"));
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
    const struct ws_optim_keys optim = {
        .lr = .05, .schedule = WS_SCHEDULE_STEP, .milestones = milestones, .n_milestones = 3, .gamma = .1};
    assert_near(ws_rate_at(&optim, &(struct ws_place){.epoch = 150, .epochs = 240}), .05, 1e-15);
    assert_near(ws_rate_at(&optim, &(struct ws_place){.epoch = 151, .epochs = 240}), .005, 1e-15);
    assert_near(ws_rate_at(&optim, &(struct ws_place){.epoch = 180, .epochs = 240}), .005, 1e-15);
    assert_near(ws_rate_at(&optim, &(struct ws_place){.epoch = 181, .epochs = 240}), .0005, 1e-15);
    assert_near(ws_rate_at(&optim, &(struct ws_place){.epoch = 240, .epochs = 240}), .00005, 1e-15);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(every_method_runs_and_beats_chance),
        IN_FOLDER(one_two_three_and_eight_threads_give_the_same_bytes),
        IN_FOLDER(a_run_cut_anywhere_ends_with_the_same_bytes),
        IN_FOLDER(what_a_killed_run_left_behind_its_checkpoint_is_done_again),
        IN_FOLDER(a_checkpoint_of_another_key_is_not_used),
        IN_FOLDER(labels_are_needed_by_ce_alone),
        IN_FOLDER(methods_that_learn_from_a_teacher_are_refused_where_one_is_trained),
        IN_FOLDER(a_checkpoint_without_a_learners_numbers_says_what_to_do),
        IN_FOLDER(unlabelled_images_are_left_out_of_ce),
        IN_FOLDER(a_pool_of_one_image_is_refused),
        IN_FOLDER(without_a_hold_out_the_best_epoch_is_the_last),
        IN_FOLDER(a_step_budget_ends_inside_an_epoch),
        IN_FOLDER(steps_per_epoch_cycle_the_images),
        cmocka_unit_test(a_pass_shows_every_image_once),
        cmocka_unit_test(the_step_schedule_falls_behind_its_milestones),
        cmocka_unit_test(a_split_is_by_id_whatever_the_others_are),
        cmocka_unit_test(an_unknown_method_is_told_its_nearest),
        IN_FOLDER(metrics_are_cut_back_to_what_the_checkpoint_vouches_for),
    };
    return cmocka_run_group_tests_name("train", tests, train_teacher, free_teacher);
}
