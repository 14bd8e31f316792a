/* KD3's selection rule and weights, image by image. What the paper's rule must show: test_kd3_claims.c, items 1 to 3.
 */
#include "near.h"
#include "temp.h"

#include "webstill/base/rng.h"
#include "webstill/curate/select.h"
#include "webstill/curate/selection.h"
#include "webstill/curate/weight.h"
#include "webstill/store/tensors.h"

#include <math.h>

enum { N = 400, C = 4 };

/* Logits that favour class i % C, or with `skew` mostly class 0. */
static void fill(float *logits, uint32_t stream, bool skew)
{
    struct ws_rng rng;
    ws_rng_init(&rng, 7, WS_STREAM_TEST, stream, 0);
    for (int i = 0; i < N; i++) {
        const int favourite = skew && i % 20 != 0 ? 0 : i % C;
        for (int c = 0; c < C; c++)
            logits[i * C + c] = (float)(ws_rng_normal(&rng) + (c == favourite ? 2.0 : 0.0));
    }
}

static void an_image_is_kept_iff_its_confidence_is_above_its_class_threshold(void **state)
{
    (void)state;
    static float teacher[N * C], student[N * C];
    struct ws_arena arena = {0};
    struct ws_selection found;
    fill(teacher, 1, true);
    fill(student, 2, false);
    assert_true(ws_select_kd3(&found, &arena, teacher, student, N, C, .4, .95));
    int64_t kept = 0;
    for (int i = 0; i < N; i++) {
        double z[C], sum = 0;
        int best = 0;
        for (int c = 0; c < C; c++) {
            z[c] = .4 * (double)teacher[i * C + c] + .6 * (double)student[i * C + c];
            best = z[c] > z[best] ? c : best;
        }
        for (int c = 0; c < C; c++)
            sum += exp(z[c] - z[best]);
        assert_int_equal(found.predicted[i], best);
        assert_near(found.confidence[i], 1 / sum, 1e-6);
        assert_int_equal(found.keep[i], (double)found.confidence[i] > found.threshold[best]);
        kept += found.keep[i];
    }
    assert_int_equal(kept, found.n_kept_total);
    assert_true(kept > 0 && kept < N);
    ws_arena_fini(&arena);
}

static void a_rare_class_keeps_more_than_under_one_global_threshold(void **state)
{
    (void)state;
    static float teacher[N * C];
    struct ws_arena arena = {0};
    struct ws_selection found;
    fill(teacher, 3, true);
    assert_true(ws_select_kd3(&found, &arena, teacher, NULL, N, C, 1.0, .95));
    for (int c = 1; c < C; c++) {
        int64_t global = 0;
        for (int i = 0; i < N; i++)
            global += found.predicted[i] == c && found.confidence[i] > .95f;
        assert_true(found.n_kept[c] > 0);
        assert_true(found.n_kept[c] > global);
    }
    ws_arena_fini(&arena);
}

static void a_higher_cutoff_keeps_a_subset_that_is_purer(void **state)
{
    (void)state;
    static float teacher[N * C];
    struct ws_arena arena = {0};
    struct ws_selection low, high;
    fill(teacher, 4, false);
    assert_true(ws_select_kd3(&low, &arena, teacher, NULL, N, C, 1.0, .5));
    assert_true(ws_select_kd3(&high, &arena, teacher, NULL, N, C, 1.0, .9));
    double low_right = 0, high_right = 0, all_right = 0;
    for (int i = 0; i < N; i++) {
        assert_true(low.keep[i] >= high.keep[i]);
        const bool is_right = low.predicted[i] == i % C;
        all_right += is_right;
        low_right += low.keep[i] && is_right;
        high_right += high.keep[i] && is_right;
    }
    assert_true(low_right / (double)low.n_kept_total > all_right / N);
    assert_true(high_right / (double)high.n_kept_total > low_right / (double)low.n_kept_total);
    ws_arena_fini(&arena);
}

static void rule_all_keeps_everything_and_tells_the_same_facts(void **state)
{
    (void)state;
    static float teacher[N * C];
    struct ws_arena arena = {0};
    struct ws_selection all, kd3;
    fill(teacher, 5, true);
    assert_true(ws_select_all(&all, &arena, teacher, NULL, N, C, 1.0));
    assert_true(ws_select_kd3(&kd3, &arena, teacher, NULL, N, C, 1.0, .95));
    assert_int_equal(all.n_kept_total, N);
    assert_memory_equal(all.predicted, kd3.predicted, N * sizeof(int32_t));
    assert_memory_equal(all.n_kept, kd3.n_predicted, C * sizeof(int64_t));
    ws_arena_fini(&arena);
}

static void equal_logits_weigh_one_half_and_far_ones_nearly_one(void **state)
{
    (void)state;
    const float a[] = {1, 2, 3, 1, 2, 3}, b[] = {1, 2, 3, 11, -20, 30};
    float w[2];
    ws_weight_disagreement(a, b, 2, 3, w);
    assert_near(w[0], .5, 1e-6);
    assert_true(w[1] > .999f && w[1] <= 1.0f);
}

static void the_weight_is_the_logistic_of_the_distance(void **state)
{
    (void)state;
    const float a[] = {3, 0}, b[] = {0, 4};
    float w;
    ws_weight_disagreement(a, b, 1, 2, &w);
    const double d = sqrt((3 + 1e-6) * (3 + 1e-6) + (-4 + 1e-6) * (-4 + 1e-6));
    assert_near(w, 1 / (1 + exp(-d)), 1e-7);
}

static void a_selection_comes_back_from_its_file(void **state)
{
    static float teacher[N * C];
    static struct ws_image_id ids[N];
    struct ws_arena arena = {0};
    struct ws_selection found;
    struct ws_tensors *file;
    struct ws_err err = {0};
    char path[TEMP_PATH];
    temp_join(path, *state, "selection/epoch-003.safetensors");
    fill(teacher, 6, true);
    for (int i = 0; i < N; i++)
        ids[i].bytes[15] = (uint8_t)i;
    assert_true(ws_select_kd3(&found, &arena, teacher, NULL, N, C, 1.0, .95));
    const struct ws_selection_facts facts = {"kd3", .95, 3};
    assert_int_equal(ws_selection_write(path, ids, &found, &facts, &err), WS_OK);
    assert_int_equal(ws_tensors_open(&file, path, &err), WS_OK);
    assert_memory_equal(ws_tensors_find(file, "ids")->data, ids, sizeof ids);
    assert_memory_equal(ws_tensors_find(file, "keep")->data, found.keep, N);
    assert_memory_equal(ws_tensors_find(file, "threshold")->data, found.threshold, C * sizeof(double));
    assert_memory_equal(ws_tensors_find(file, "n_kept")->data, found.n_kept, C * sizeof(int64_t));
    assert_string_equal(ws_tensors_metadata(file, "rule"), "kd3");
    assert_string_equal(ws_tensors_metadata(file, "epoch"), "3");
    assert_true(strtod(ws_tensors_metadata(file, "p_cutoff"), NULL) == .95);
    ws_tensors_close(&file);
    ws_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_image_is_kept_iff_its_confidence_is_above_its_class_threshold),
        cmocka_unit_test(a_rare_class_keeps_more_than_under_one_global_threshold),
        cmocka_unit_test(a_higher_cutoff_keeps_a_subset_that_is_purer),
        cmocka_unit_test(rule_all_keeps_everything_and_tells_the_same_facts),
        cmocka_unit_test(equal_logits_weigh_one_half_and_far_ones_nearly_one),
        cmocka_unit_test(the_weight_is_the_logistic_of_the_distance),
        cmocka_unit_test_setup_teardown(a_selection_comes_back_from_its_file, temp_setup, temp_teardown),
    };
    return cmocka_run_group_tests_name("select", tests, NULL, NULL);
}
