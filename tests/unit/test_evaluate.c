/* Evaluation figures against closed forms. */
#include "../../distill/learn/evaluate.h"
#include "near.h"

#include <math.h>

static struct ws_evaluation evaluate(struct ws_arena *arena, const float *logits, const int32_t *labels,
                                     const float *teacher, size_t n, int n_classes)
{
    struct ws_evaluation found;
    assert_true(ws_evaluate(&found, arena, logits, labels, teacher, n, n_classes));
    return found;
}

static void equal_logits_have_the_entropy_of_the_dice(void **state)
{
    (void)state;
    static const float logits[4 * 10];
    const int32_t labels[] = {0, 3, 7, 9};
    struct ws_arena arena = {0};
    const struct ws_evaluation found = evaluate(&arena, logits, labels, NULL, 4, 10);
    assert_near(found.nll, log(10), 1e-12);
    assert_near(found.brier, .9, 1e-12);     /* 9/100 + 81/100 */
    assert_near(found.accuracy, .25, 1e-12); /* the first of equals */
    assert_near(found.ece, fabs(.25 - .1), 1e-12);
    assert_near(found.top5, .5, 1e-12); /* of equals, classes 0 to 4 */
    ws_arena_fini(&arena);
}

static void a_certain_and_right_model_has_no_loss(void **state)
{
    (void)state;
    const float logits[] = {100, 0, 0, 0, 100, 0, 0, 0, 100};
    const int32_t labels[] = {0, 1, 2};
    struct ws_arena arena = {0};
    const struct ws_evaluation found = evaluate(&arena, logits, labels, NULL, 3, 3);
    assert_near(found.accuracy, 1, 0);
    assert_near(found.nll, 0, 1e-12);
    assert_near(found.brier, 0, 1e-12);
    assert_near(found.ece, 0, 1e-12);
    ws_arena_fini(&arena);
}

static void a_certain_and_wrong_model_is_wholly_miscalibrated(void **state)
{
    (void)state;
    const float logits[] = {100, 0, 100, 0};
    const int32_t labels[] = {1, 1};
    struct ws_arena arena = {0};
    const struct ws_evaluation found = evaluate(&arena, logits, labels, NULL, 2, 2);
    assert_near(found.accuracy, 0, 0);
    assert_near(found.ece, 1, 1e-12);
    assert_near(found.brier, 2, 1e-12);
    assert_near(found.nll, 100, 1e-9);
    ws_arena_fini(&arena);
}

static void the_confusion_counts_label_by_prediction(void **state)
{
    (void)state;
    const float logits[] = {2, 1, 0, 0, 2, 1, 0, 2, 1, 0, 1, 2};
    const int32_t labels[] = {0, 1, 2, 2};
    struct ws_arena arena = {0};
    const struct ws_evaluation found = evaluate(&arena, logits, labels, NULL, 4, 3);
    const int64_t expected[] = {1, 0, 0, 0, 1, 0, 0, 1, 1};
    assert_memory_equal(found.confusion, expected, sizeof expected);
    assert_int_equal(found.n_label[2], 2);
    assert_int_equal(found.n_right[2], 1);
    assert_int_equal(found.n_predicted[1], 2);
    assert_near(found.accuracy, .75, 1e-12);
    assert_true(found.agreement < 0 && found.kl < 0);
    ws_arena_fini(&arena);
}

static void a_model_agrees_wholly_with_itself(void **state)
{
    (void)state;
    const float logits[] = {2, 1, 0, -3, 2, 1};
    const int32_t labels[] = {0, 2};
    struct ws_arena arena = {0};
    const struct ws_evaluation found = evaluate(&arena, logits, labels, logits, 2, 3);
    assert_near(found.agreement, 1, 0);
    assert_near(found.kl, 0, 1e-12);
    ws_arena_fini(&arena);
}

static void kl_is_the_sum_over_the_teachers_distribution(void **state)
{
    (void)state;
    const float student[] = {0, 0}, teacher[] = {1, 0};
    const int32_t labels[] = {0};
    struct ws_arena arena = {0};
    const struct ws_evaluation found = evaluate(&arena, student, labels, teacher, 1, 2);
    const double p = 1 / (1 + exp(-1));
    assert_near(found.kl, p * log(p / .5) + (1 - p) * log((1 - p) / .5), 1e-12);
    ws_arena_fini(&arena);
}

static void calibration_bins_are_weighed_by_their_images(void **state)
{
    (void)state;
    /* Two images at confidence .9, one right; two at .6, both right: ECE = 2/4 |.5-.9| + 2/4 |1-.6|. */
    const float nine = (float)log(9), six = (float)log(1.5);
    const float logits[] = {nine, 0, nine, 0, six, 0, six, 0};
    const int32_t labels[] = {0, 1, 0, 0};
    struct ws_arena arena = {0};
    const struct ws_evaluation found = evaluate(&arena, logits, labels, NULL, 4, 2);
    assert_near(found.ece, .5 * .4 + .5 * .4, 1e-6);
    ws_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_logits_have_the_entropy_of_the_dice),
        cmocka_unit_test(a_certain_and_right_model_has_no_loss),
        cmocka_unit_test(a_certain_and_wrong_model_is_wholly_miscalibrated),
        cmocka_unit_test(the_confusion_counts_label_by_prediction),
        cmocka_unit_test(a_model_agrees_wholly_with_itself),
        cmocka_unit_test(kl_is_the_sum_over_the_teachers_distribution),
        cmocka_unit_test(calibration_bins_are_weighed_by_their_images),
    };
    return cmocka_run_group_tests_name("evaluate", tests, NULL, NULL);
}
