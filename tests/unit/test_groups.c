/* Groups of images, where a set tells some: they go wherever labels go. */
#include "../../distill/data/shift.h"
#include "../../distill/measure/measure.h"
#include "method_bench.h"

static int32_t group_of(size_t i)
{
    return (int32_t)(i % 5) - 1; /* some images have none */
}

static void add_groups(struct ws_dataset *set)
{
    assert_non_null(set->groups = calloc(set->n, sizeof *set->groups));
    for (size_t i = 0; i < set->n; i++)
        set->groups[i] = group_of(i);
}

static void they_are_part_of_the_digest_and_are_kept_and_shifted_with_their_images(void **state)
{
    (void)state;
    enum { N = 12 };
    struct ws_dataset set, shifted;
    uint8_t keep[N] = {0};
    pool_data_make(&set, N, 8, 1, 3);
    const struct ws_digest without = set.digest;
    add_groups(&set);
    ws_dataset_update_digest(&set);
    assert_memory_not_equal(&set.digest, &without, sizeof without);
    assert_true(ws_shift_apply(&set, 0.0, 1, &shifted));
    assert_memory_equal(&set.digest, &shifted.digest, sizeof set.digest);
    keep[3] = keep[7] = keep[11] = 1;
    ws_dataset_keep(&set, keep);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(set.groups[i], group_of(4 * i + 3));
    ws_dataset_close(&set);
    ws_dataset_close(&shifted);
}

static void a_batch_of_stored_images_has_theirs(void **state)
{
    (void)state;
    static struct method_bench b;
    const struct ws_place place = {.epoch = 1};
    struct ws_batch batch;
    struct ws_err err = {0};
    method_bench_init(&b, "resnet8", "resnet8", 8);
    method_bench_open(&b, &ws_method_ce);
    struct ws_supply *supply = b.training.supply;
    for (int pass = 0; pass < 2; pass++) {
        assert_int_equal(supply->kind->begin(supply, 1, &err), WS_OK);
        supply->kind->draw(supply, &place, &batch);
        assert_int_equal(batch.n, BENCH_BATCH);
        assert_int_equal(batch.groups != NULL, pass);
        for (int i = 0; pass > 0 && i < batch.n; i++)
            assert_int_equal(batch.groups[i], group_of(batch.images[i]));
        if (pass == 0)
            add_groups(&b.data);
    }
    method_bench_close(&b);
}

static double tell_group(const struct ws_exam_image *image)
{
    return (double)image->group;
}

static void a_measure_sees_each_images_group(void **state)
{
    (void)state;
    static const struct ws_measure mean_group = {.name = "mean_group", .of_image = tell_group};
    static const struct ws_measure *const table[] = {&mean_group, NULL};
    static const float logits[4 * 2];
    static const int32_t labels[] = {0, 1, 0, 1}, groups[] = {4, 2, 0, 4};
    struct ws_exam_answers answers = {.n = 4, .n_classes = 2, .logits = logits, .labels = labels};
    struct ws_err err = {0};
    json_t *result = json_object();
    assert_int_equal(ws_measures_take(table, &answers, false, result, &err), WS_OK);
    assert_near(json_number_value(json_object_get(result, "mean_group")), -1.0, 1e-12);
    answers.groups = groups;
    assert_int_equal(ws_measures_take(table, &answers, false, result, &err), WS_OK);
    assert_near(json_number_value(json_object_get(result, "mean_group")), 2.5, 1e-12);
    json_decref(result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_are_part_of_the_digest_and_are_kept_and_shifted_with_their_images),
        cmocka_unit_test(a_batch_of_stored_images_has_theirs),
        cmocka_unit_test(a_measure_sees_each_images_group),
    };
    return cmocka_run_group_tests_name("groups", tests, NULL, NULL);
}
