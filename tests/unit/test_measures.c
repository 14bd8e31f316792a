/* Measures against closed forms, and the table: a measure is its row alone. */
#include "../../distill/measure/measure.h"
#include "near.h"

#include <math.h>
#include <stdlib.h>

static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"};

static json_t *take(const struct ws_measure *const *table, const float *logits, const int32_t *labels,
                    const float *teacher, size_t n, int n_classes, bool is_shifted)
{
    const struct ws_exam_answers answers = {
        .n = n, .n_classes = n_classes, .classes = names, .logits = logits, .labels = labels, .teacher = teacher};
    struct ws_err err = {0};
    json_t *found = json_object();
    assert_int_equal(ws_measures_take(table, &answers, is_shifted, found, &err), WS_OK);
    return found;
}

static json_t *evaluate(const float *logits, const int32_t *labels, const float *teacher, size_t n, int n_classes)
{
    return take(ws_measures, logits, labels, teacher, n, n_classes, false);
}

static double figure(const json_t *found, const char *name)
{
    const json_t *value = json_object_get(found, name);
    assert_true(json_is_number(value));
    return json_number_value(value);
}

static void equal_logits_have_the_entropy_of_the_dice(void **state)
{
    (void)state;
    static const float logits[4 * 10];
    const int32_t labels[] = {0, 3, 7, 9};
    json_t *found = evaluate(logits, labels, NULL, 4, 10);
    assert_near(figure(found, "nll"), log(10), 1e-12);
    assert_near(figure(found, "brier"), .9, 1e-12);     /* 9/100 + 81/100 */
    assert_near(figure(found, "accuracy"), .25, 1e-12); /* the first of equals */
    assert_near(figure(found, "ece"), fabs(.25 - .1), 1e-12);
    assert_near(figure(found, "top5"), .5, 1e-12); /* of equals, classes 0 to 4 */
    json_decref(found);
}

static void a_certain_and_right_model_has_no_loss(void **state)
{
    (void)state;
    const float logits[] = {100, 0, 0, 0, 100, 0, 0, 0, 100};
    const int32_t labels[] = {0, 1, 2};
    json_t *found = evaluate(logits, labels, NULL, 3, 3);
    assert_near(figure(found, "accuracy"), 1, 0);
    assert_near(figure(found, "nll"), 0, 1e-12);
    assert_near(figure(found, "brier"), 0, 1e-12);
    assert_near(figure(found, "ece"), 0, 1e-12);
    json_decref(found);
}

static void a_certain_and_wrong_model_is_wholly_miscalibrated(void **state)
{
    (void)state;
    const float logits[] = {100, 0, 100, 0};
    const int32_t labels[] = {1, 1};
    json_t *found = evaluate(logits, labels, NULL, 2, 2);
    assert_near(figure(found, "accuracy"), 0, 0);
    assert_near(figure(found, "ece"), 1, 1e-12);
    assert_near(figure(found, "brier"), 2, 1e-12);
    assert_near(figure(found, "nll"), 100, 1e-9);
    json_decref(found);
}

static void the_confusion_counts_label_by_prediction(void **state)
{
    (void)state;
    const float logits[] = {2, 1, 0, 0, 2, 1, 0, 2, 1, 0, 1, 2};
    const int32_t labels[] = {0, 1, 2, 2};
    json_t *found = evaluate(logits, labels, NULL, 4, 3);
    static const char expected[] = "[[1,0,0],[0,1,0],[0,1,1]]";
    char *confusion = json_dumps(json_object_get(found, "confusion"), JSON_COMPACT);
    assert_string_equal(confusion, expected);
    free(confusion);
    const json_t *third = json_array_get(json_object_get(found, "per_class"), 2);
    assert_string_equal(json_string_value(json_object_get(third, "class")), "c");
    assert_int_equal(json_integer_value(json_object_get(third, "n")), 2);
    assert_near(figure(third, "accuracy"), .5, 0);
    assert_near(figure(third, "precision"), 1, 0);
    assert_near(figure(json_array_get(json_object_get(found, "per_class"), 1), "precision"), .5, 0);
    assert_near(figure(found, "accuracy"), .75, 1e-12);
    assert_true(json_is_null(json_object_get(found, "agreement")));
    assert_true(json_is_null(json_object_get(found, "kl")));
    json_decref(found);
}

static void a_model_agrees_wholly_with_itself(void **state)
{
    (void)state;
    const float logits[] = {2, 1, 0, -3, 2, 1};
    const int32_t labels[] = {0, 2};
    json_t *found = evaluate(logits, labels, logits, 2, 3);
    assert_near(figure(found, "agreement"), 1, 0);
    assert_near(figure(found, "kl"), 0, 1e-12);
    json_decref(found);
}

static void kl_is_the_sum_over_the_teachers_distribution(void **state)
{
    (void)state;
    const float student[] = {0, 0}, teacher[] = {1, 0};
    const int32_t labels[] = {0};
    json_t *found = evaluate(student, labels, teacher, 1, 2);
    const double p = 1 / (1 + exp(-1));
    assert_near(figure(found, "kl"), p * log(p / .5) + (1 - p) * log((1 - p) / .5), 1e-12);
    json_decref(found);
}

static void calibration_bins_are_weighed_by_their_images(void **state)
{
    (void)state;
    /* Two images at confidence .9, one right; two at .6, both right: ECE = 2/4 |.5-.9| + 2/4 |1-.6|. */
    const float nine = (float)log(9), six = (float)log(1.5);
    const float logits[] = {nine, 0, nine, 0, six, 0, six, 0};
    const int32_t labels[] = {0, 1, 0, 0};
    json_t *found = evaluate(logits, labels, NULL, 4, 2);
    assert_near(figure(found, "ece"), .5 * .4 + .5 * .4, 1e-6);
    json_decref(found);
}

static void a_class_without_images_or_predictions_has_no_share(void **state)
{
    (void)state;
    const float logits[] = {1, 0, 0};
    const int32_t labels[] = {1};
    json_t *found = evaluate(logits, labels, NULL, 1, 3);
    const json_t *third = json_array_get(json_object_get(found, "per_class"), 2);
    assert_true(json_is_null(json_object_get(third, "accuracy")));
    assert_true(json_is_null(json_object_get(third, "precision")));
    json_decref(found);
}

static void under_shift_only_what_says_so_is_told(void **state)
{
    (void)state;
    const float logits[] = {1, 0};
    const int32_t labels[] = {0};
    json_t *found = take(ws_measures, logits, labels, logits, 1, 2, true);
    size_t n_told = 0;
    for (int i = 0; ws_measures[i]; i++) {
        n_told += ws_measures[i]->is_told_under_shift;
        assert_int_equal(json_object_get(found, ws_measures[i]->name) != NULL, ws_measures[i]->is_told_under_shift);
    }
    assert_int_equal(json_object_size(found), n_told);
    json_decref(found);
}

/* A made-up measure: the mean label. */
static double label_of(const struct ws_exam_image *image)
{
    return image->label;
}

static void a_measure_is_its_row_alone(void **state)
{
    (void)state;
    static const struct ws_measure made_up = {.name = "mean_label", .of_image = label_of};
    static const struct ws_measure *const table[] = {&made_up, NULL};
    const float logits[] = {1, 0, 1, 0, 1, 0};
    const int32_t labels[] = {0, 1, 1};
    json_t *found = take(table, logits, labels, NULL, 3, 2, false);
    assert_int_equal(json_object_size(found), 1);
    assert_near(figure(found, "mean_label"), 2. / 3, 1e-12);
    json_decref(found);
}

static void each_measure_has_a_name_of_its_own_and_a_sentence(void **state)
{
    (void)state;
    for (int i = 0; ws_measures[i]; i++) {
        assert_true(ws_measures[i]->summary[0]);
        assert_true(ws_measures[i]->of_image ||
                    (ws_measures[i]->state_bytes && ws_measures[i]->add && ws_measures[i]->tell));
        for (int k = 0; k < i; k++)
            assert_string_not_equal(ws_measures[i]->name, ws_measures[k]->name);
    }
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
        cmocka_unit_test(a_class_without_images_or_predictions_has_no_share),
        cmocka_unit_test(under_shift_only_what_says_so_is_told),
        cmocka_unit_test(a_measure_is_its_row_alone),
        cmocka_unit_test(each_measure_has_a_name_of_its_own_and_a_sentence),
    };
    return cmocka_run_group_tests_name("measures", tests, NULL, NULL);
}
