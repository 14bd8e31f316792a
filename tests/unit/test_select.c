/* KD3's selection rule and weights, image by image. What the paper's rule must show: test_kd3_claims.c, items 1 to 3.
 */
#include "made_logits.h"
#include "near.h"
#include "temp.h"

#include "webstill/base/rng.h"
#include "webstill/curate/select.h"
#include "webstill/curate/weight.h"
#include "webstill/tensors/file.h"
#include "webstill/tensors/selection.h"

#include <math.h>

enum { N = MADE_IMAGES, C = MADE_CLASSES };

static void an_image_is_kept_iff_its_confidence_is_above_its_class_threshold(void **state)
{
    (void)state;
    static float teacher[N * C], student[N * C];
    struct ws_arena arena = {0};
    struct ws_selection found;
    made_logits(teacher, 1, true);
    made_logits(student, 2, false);
    assert_true(ws_select_kd3(&found, &arena, teacher, student, N, C, rule(.4, .95)));
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
    made_logits(teacher, 3, true);
    assert_true(ws_select_kd3(&found, &arena, teacher, NULL, N, C, rule(1.0, .95)));
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
    made_logits(teacher, 4, false);
    assert_true(ws_select_kd3(&low, &arena, teacher, NULL, N, C, rule(1.0, .5)));
    assert_true(ws_select_kd3(&high, &arena, teacher, NULL, N, C, rule(1.0, .9)));
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

/* Against softmax in long double, both kinds; and where they differ: one sure network beside one that is not. */
static void probabilities_are_combined_as_they_are_said_to_be(void **state)
{
    (void)state;
    static float teacher[N * C], student[N * C];
    struct ws_arena arena = {0};
    struct ws_selection of_logits, of_probabilities;
    const struct ws_select_options options = {.alpha = .4, .combine = WS_COMBINE_PROBABILITIES, .p_cutoff = .95};
    int n_differing = 0;
    made_logits(teacher, 1, true);
    made_logits(student, 2, false);
    assert_true(ws_select_kd3(&of_logits, &arena, teacher, student, N, C, rule(.4, .95)));
    assert_true(ws_select_kd3(&of_probabilities, &arena, teacher, student, N, C, &options));
    for (int i = 0; i < N; i++) {
        long double sum_t = 0, sum_s = 0, p[C];
        int best = 0;
        for (int c = 0; c < C; c++) {
            sum_t += expl((long double)teacher[i * C + c]);
            sum_s += expl((long double)student[i * C + c]);
        }
        for (int c = 0; c < C; c++) {
            p[c] = .4L * expl((long double)teacher[i * C + c]) / sum_t +
                   .6L * expl((long double)student[i * C + c]) / sum_s;
            best = p[c] > p[best] ? c : best;
        }
        assert_int_equal(of_probabilities.predicted[i], best);
        assert_near(of_probabilities.confidence[i], p[best], 1e-7);
        assert_int_equal(of_probabilities.keep[i],
                         (double)of_probabilities.confidence[i] > of_probabilities.threshold[best]);
        n_differing += of_logits.predicted[i] != best;
    }
    assert_true(n_differing > 0 && n_differing < N / 2);
    ws_arena_fini(&arena);

    const float sure[C] = {0, 20, 0, 0}, unsure[C] = {1, 0, 0, 0};
    struct ws_select_options half = {.alpha = .2, .combine = WS_COMBINE_LOGITS, .p_cutoff = .95};
    assert_true(ws_select_kd3(&of_logits, &arena, sure, unsure, 1, C, &half));
    half.combine = WS_COMBINE_PROBABILITIES;
    assert_true(ws_select_kd3(&of_probabilities, &arena, sure, unsure, 1, C, &half));
    assert_int_equal(of_logits.predicted[0], 1);
    assert_int_equal(of_probabilities.predicted[0], 0);
    assert_near(of_probabilities.confidence[0], .8 * exp(1) / (exp(1) + 3), 1e-6);
    ws_arena_fini(&arena);
}

static void at_the_ends_of_alpha_both_combinations_are_the_same_bytes(void **state)
{
    (void)state;
    static float logits[N * C];
    struct ws_arena arena = {0};
    struct ws_selection found[2];
    made_logits(logits, 1, true);
    for (int end = 0; end < 2; end++) {
        for (int k = 0; k < 2; k++) {
            const struct ws_select_options options = {
                .alpha = end, .combine = k ? WS_COMBINE_PROBABILITIES : WS_COMBINE_LOGITS, .p_cutoff = .95};
            assert_true(ws_select_kd3(&found[k], &arena, end ? logits : NULL, end ? NULL : logits, N, C, &options));
        }
        assert_memory_equal(found[0].confidence, found[1].confidence, N * sizeof(float));
        assert_memory_equal(found[0].keep, found[1].keep, N);
    }
    ws_arena_fini(&arena);
}

static void in_pieces_the_rule_gives_the_same_selection(void **state)
{
    (void)state;
    static float teacher[N * C], student[N * C];
    struct ws_arena arena = {0};
    struct ws_selection whole, pieces;
    made_logits(teacher, 1, true);
    made_logits(student, 2, false);
    assert_true(ws_select_kd3(&whole, &arena, teacher, student, N, C, rule(.4, .95)));
    assert_true(ws_select_begin(&pieces, &arena, N, C, rule(.4, .95)));
    for (size_t first = 0; first < N; first += 37) {
        const size_t n = N - first < 37 ? N - first : 37;
        ws_select_predict(&pieces, teacher + first * C, student + first * C, first, n, rule(.4, .95));
    }
    ws_select_keep(&pieces, rule(.4, .95));
    assert_memory_equal(whole.keep, pieces.keep, N);
    assert_memory_equal(whole.confidence, pieces.confidence, N * sizeof(float));
    assert_memory_equal(whole.threshold, pieces.threshold, C * sizeof(double));
    assert_memory_equal(whole.n_kept, pieces.n_kept, C * sizeof(int64_t));
    assert_int_equal(whole.n_kept_total, pieces.n_kept_total);
    ws_arena_fini(&arena);
}

static void rule_all_keeps_everything_and_tells_the_same_facts(void **state)
{
    (void)state;
    static float teacher[N * C];
    struct ws_arena arena = {0};
    struct ws_selection all, kd3;
    made_logits(teacher, 5, true);
    assert_true(ws_select_all(&all, &arena, teacher, NULL, N, C, rule(1.0, 0)));
    assert_true(ws_select_kd3(&kd3, &arena, teacher, NULL, N, C, rule(1.0, .95)));
    assert_int_equal(all.n_kept_total, N);
    assert_memory_equal(all.predicted, kd3.predicted, N * sizeof(int32_t));
    assert_memory_equal(all.n_kept, kd3.n_predicted, C * sizeof(int64_t));
    ws_arena_fini(&arena);
}

/* DFND's rule: so many images and no others are kept that none of the dropped ones is surer; of equals the earlier. */
static void the_top_share_is_the_surest_images_whatever_their_class(void **state)
{
    (void)state;
    static float teacher[N * C];
    struct ws_arena arena = {0};
    made_logits(teacher, 1, true);
    memcpy(teacher + 8 * C, teacher + 4 * C, sizeof(float) * C); /* images 4 and 8 are equally sure */
    static const size_t shares[] = {1, 2, 187, N};
    for (int k = 0; k < 4; k++) {
        struct ws_selection found;
        assert_true(ws_select_begin(&found, &arena, N, C, rule(1, 0)));
        ws_select_predict(&found, teacher, NULL, 0, N, rule(1, 0));
        assert_true(ws_select_keep_top(&found, &arena, shares[k]));
        float least = 2, most_dropped = -1;
        int64_t n_kept = 0, per_class = 0;
        for (int i = 0; i < N; i++) {
            n_kept += found.keep[i];
            if (found.keep[i])
                least = fminf(least, found.confidence[i]);
            else
                most_dropped = fmaxf(most_dropped, found.confidence[i]);
            assert_int_equal(found.reason[i], found.keep[i] ? WS_REASON_KEPT : WS_REASON_THRESHOLD);
            assert_true(found.weight[i] == (float)found.keep[i]);
        }
        for (int c = 0; c < C; c++) {
            per_class += found.n_kept[c];
            assert_true(found.threshold[c] == (double)least);
        }
        assert_int_equal(n_kept, shares[k]);
        assert_int_equal(found.n_kept_total, shares[k]);
        assert_int_equal(per_class, shares[k]);
        assert_true(most_dropped <= least);
        assert_true(found.keep[4] >= found.keep[8]);
    }
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
    made_logits(teacher, 6, true);
    for (int i = 0; i < N; i++)
        ids[i].bytes[15] = (uint8_t)i;
    assert_true(ws_select_kd3(&found, &arena, teacher, NULL, N, C, rule(1.0, .95)));
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
        cmocka_unit_test(probabilities_are_combined_as_they_are_said_to_be),
        cmocka_unit_test(at_the_ends_of_alpha_both_combinations_are_the_same_bytes),
        cmocka_unit_test(in_pieces_the_rule_gives_the_same_selection),
        cmocka_unit_test(rule_all_keeps_everything_and_tells_the_same_facts),
        cmocka_unit_test(the_top_share_is_the_surest_images_whatever_their_class),
        cmocka_unit_test(equal_logits_weigh_one_half_and_far_ones_nearly_one),
        cmocka_unit_test(the_weight_is_the_logistic_of_the_distance),
        cmocka_unit_test_setup_teardown(a_selection_comes_back_from_its_file, temp_setup, temp_teardown),
    };
    return cmocka_run_group_tests_name("select", tests, NULL, NULL);
}
