/* Refined images: nearer to what the teacher remembers, the same bytes however they are made, never made twice. */
#include "../../distill/learn/needs.h"
#include "../../distill/prepare/refine.h"
#include "pool_data.h"
#include "temp.h"

#include "webstill/nn/statistics.h"

#include <unistd.h>
#include <utime.h>

enum { SIDE = 8, CLASSES = 3, N = 50, BATCH = 4 }; /* 13 batches, in two parts of up to 8 */

static char *class_names[] = {"a", "b", "c"};

struct bench {
    struct ws_dataset data;
    struct ws_model *teacher;
    uint32_t images[N];
    struct ws_refine_options options;
};

static void check(enum ws_status status, const struct ws_err *err)
{
    if (status != WS_OK)
        fail_msg("%s", err->text);
}

/* Its running statistics become those of other images, of half the brightness. */
static void remember_dark_images(struct bench *b)
{
    struct ws_err err = {0};
    struct ws_workers *workers = NULL;
    struct ws_exec *exec = NULL;
    const size_t bytes = ws_dataset_image_bytes(&b->data);
    const struct ws_exec_options options = {.max_batch = N / 2};
    check(ws_workers_open(&workers, 1, &err), &err);
    check(ws_exec_open(&exec, b->teacher->net, workers, &options, &err), &err);
    for (int run = 0; run < 80; run++) {
        for (size_t i = 0; i < N / 2 * bytes; i++)
            ws_exec_input(exec)[i] = ((float)b->data.block[i] / 510.0f - .4f) / .3f;
        ws_exec_forward(exec, N / 2, WS_BN_TRAIN);
    }
    ws_exec_close(&exec);
    ws_workers_close(&workers);
}

static void open_bench(struct bench *b)
{
    struct ws_err err = {0};
    struct ws_card card = {.arch = "resnet8",
                           .classes = class_names,
                           .n_classes = CLASSES,
                           .height = SIDE,
                           .width = SIDE,
                           .channels = 1,
                           .mean = {.4f},
                           .std = {.3f}};
    pool_data_make(&b->data, N, SIDE, 1, CLASSES);
    check(ws_model_build(&b->teacher, &card, &err), &err);
    ws_net_init(b->teacher->net, 5);
    remember_dark_images(b);
    for (uint32_t i = 0; i < N; i++)
        b->images[i] = N - 1 - i;
    b->options =
        (struct ws_refine_options){.steps = 3, .lr = .1, .statistics = 1, .any_class = .3, .batch = BATCH, .seed = 2};
}

static void close_bench(struct bench *b)
{
    ws_model_free(&b->teacher);
    ws_dataset_close(&b->data);
}

static struct ws_refined refine(struct bench *b, int n_threads, size_t n, const char *dir)
{
    struct ws_err err = {0};
    struct ws_workers *workers = NULL;
    struct ws_refined refined;
    check(ws_workers_open(&workers, n_threads, &err), &err);
    check(ws_refine(&refined, b->teacher, workers, &b->data, b->images, n, &b->options, dir, &err), &err);
    ws_workers_close(&workers);
    return refined;
}

/* R(x) of the first images. */
static double distance_of(struct bench *b, const uint8_t **pixels)
{
    struct ws_err err = {0};
    struct ws_workers *workers = NULL;
    struct ws_exec *exec = NULL;
    const struct ws_exec_options options = {.max_batch = BATCH, .backward = true, .input_gradient = true};
    check(ws_workers_open(&workers, 1, &err), &err);
    check(ws_exec_open(&exec, b->teacher->net, workers, &options, &err), &err);
    const size_t bytes = ws_dataset_image_bytes(&b->data);
    for (size_t i = 0; i < BATCH; i++)
        for (size_t k = 0; k < bytes; k++)
            ws_exec_input(exec)[i * bytes + k] = ((float)pixels[i][k] / 255.0f - .4f) / .3f;
    ws_exec_forward(exec, BATCH, WS_BN_OBSERVE);
    const double distance = ws_loss_statistics(exec, b->teacher->net, 1.0);
    ws_exec_close(&exec);
    ws_workers_close(&workers);
    return distance;
}

static void refined_images_lie_nearer_to_what_the_teacher_remembers(void **state)
{
    static struct bench b;
    open_bench(&b);
    b.options.steps = 20;
    b.options.any_class = 0;
    struct ws_refined refined = refine(&b, 2, BATCH, *state);
    const uint8_t *before[BATCH], *after[BATCH];
    for (int i = 0; i < BATCH; i++) {
        before[i] = b.data.pixels[b.images[i]];
        after[i] = refined.pixels[b.images[i]];
        assert_non_null(after[i]);
    }
    const double was = distance_of(&b, before), is = distance_of(&b, after);
    if (!(is < .5 * was))
        fail_msg("R went from %.3f to %.3f", was, is);
    ws_refined_close(&refined);
    close_bench(&b);
}

static void images_that_were_not_asked_for_are_not_refined(void **state)
{
    static struct bench b;
    open_bench(&b);
    struct ws_refined refined = refine(&b, 1, 10, *state);
    for (size_t i = 0; i < N; i++)
        assert_int_equal(refined.pixels[i] != NULL, i >= N - 10);
    ws_refined_close(&refined);
    close_bench(&b);
}

static void the_same_bytes_come_of_any_number_of_threads(void **state)
{
    static struct bench b;
    char dir[TEMP_PATH + 8];
    struct ws_refined of[3];
    open_bench(&b);
    for (int n = 0; n < 3; n++) {
        snprintf(dir, sizeof dir, "%s/%d", (const char *)*state, n + 1);
        of[n] = refine(&b, n + 1, N, dir);
    }
    for (int n = 1; n < 3; n++)
        assert_memory_equal(of[0].block, of[n].block, N * SIDE * SIDE);
    for (int n = 0; n < 3; n++)
        ws_refined_close(&of[n]);
    close_bench(&b);
}

static void set_old(const char *path)
{
    const struct utimbuf then = {1000, 1000};
    assert_int_equal(utime(path, &then), 0);
}

static bool is_old(const char *path)
{
    struct stat facts;
    assert_int_equal(stat(path, &facts), 0);
    return facts.st_mtime == 1000;
}

static void a_part_that_is_there_is_not_made_again_and_one_of_other_options_is(void **state)
{
    static struct bench b;
    char first[TEMP_PATH], second[TEMP_PATH];
    temp_join(first, *state, "part-001.safetensors");
    temp_join(second, *state, "part-002.safetensors");
    open_bench(&b);
    struct ws_refined whole = refine(&b, 2, N, *state);
    set_old(first);
    temp_remove(second); /* as if it had been stopped there */
    struct ws_refined resumed = refine(&b, 2, N, *state);
    assert_true(is_old(first));
    assert_false(is_old(second));
    assert_memory_equal(whole.block, resumed.block, N * SIDE * SIDE);
    b.options.lr = .2;
    struct ws_refined other = refine(&b, 2, N, *state);
    assert_false(is_old(first));
    assert_memory_not_equal(whole.block, other.block, N * SIDE * SIDE);
    ws_refined_close(&whole);
    ws_refined_close(&resumed);
    ws_refined_close(&other);
    close_bench(&b);
}

/* Another fit or background: the ids are those of the fetched bytes. */
static void pictures_stored_in_another_way_are_refined_anew(void **state)
{
    static struct bench b;
    char first[TEMP_PATH];
    temp_join(first, *state, "part-001.safetensors");
    open_bench(&b);
    struct ws_refined before = refine(&b, 2, N, *state);
    set_old(first);
    uint8_t other[SIDE * SIDE] = {0};
    b.data.pixels[b.images[0]] = other;
    struct ws_refined after = refine(&b, 2, N, *state);
    assert_false(is_old(first));
    ws_refined_close(&before);
    ws_refined_close(&after);
    close_bench(&b);
}

static void parts_of_a_larger_pool_do_not_stay(void **state)
{
    static struct bench b;
    char second[TEMP_PATH];
    temp_join(second, *state, "part-002.safetensors");
    open_bench(&b);
    struct ws_refined whole = refine(&b, 2, N, *state);
    assert_int_equal(access(second, F_OK), 0);
    struct ws_refined smaller = refine(&b, 2, N / 2, *state);
    assert_int_not_equal(access(second, F_OK), 0);
    ws_refined_close(&whole);
    ws_refined_close(&smaller);
    close_bench(&b);
}

static void a_teacher_without_batchnorm_is_refused_with_the_reason(void **state)
{
    (void)state;
    static struct bench b;
    static const struct ws_need need = {.kind = WS_NEED_BATCHNORM, .key = "a.refine_steps"};
    struct ws_err err = {0};
    struct ws_model *folded = NULL;
    open_bench(&b);
    check(ws_model_fold(&folded, b.teacher, &err), &err);
    struct ws_session session = {.teacher = b.teacher};
    assert_int_equal(ws_need_check(&need, &session, "kd3+", &err), WS_OK);
    session.teacher = folded;
    assert_int_equal(ws_need_check(&need, &session, "kd3+", &err), WS_E_UNSUPPORTED);
    assert_non_null(strstr(err.text, "BatchNorm layers"));
    assert_non_null(strstr(err.hint, ", or set a.refine_steps to 0"));
    ws_model_free(&folded);
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(refined_images_lie_nearer_to_what_the_teacher_remembers, temp_setup,
                                        temp_teardown),
        cmocka_unit_test_setup_teardown(images_that_were_not_asked_for_are_not_refined, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(the_same_bytes_come_of_any_number_of_threads, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(pictures_stored_in_another_way_are_refined_anew, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(parts_of_a_larger_pool_do_not_stay, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(a_part_that_is_there_is_not_made_again_and_one_of_other_options_is, temp_setup,
                                        temp_teardown),
        cmocka_unit_test_setup_teardown(a_teacher_without_batchnorm_is_refused_with_the_reason, temp_setup,
                                        temp_teardown),
    };
    return cmocka_run_group_tests_name("refine", tests, NULL, NULL);
}
