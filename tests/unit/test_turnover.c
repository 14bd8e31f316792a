/* What changed between two selections, and what is disputed, against small cases worked out by hand. */
#include "../../store/report/turnover.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { N = 5 };

static const struct ws_image_id ids[N] = {{{1}}, {{2}}, {{3}}, {{4}}, {{5}}};
static const double threshold_before[2] = {0.5, 0.2}, threshold_after[2] = {0.6, 0.1};
static const uint8_t keep_before[N] = {1, 0, 0, 1, 1}, keep_after[N] = {1, 1, 1, 0, 1};
static const float confidence_before[N] = {0.9F, 0.4F, 0.1F, 0.7F, 0.9F};
static const float confidence_after[N] = {0.8F, 0.7F, 0.95F, 0.3F, 0.9F};
static const int32_t predicted_before[N] = {0, 0, 1, 0, 1}, predicted_after[N] = {0, 0, 1, 0, 1};

static const struct ws_selection_file before = {.n = N,
                                                .n_classes = 2,
                                                .ids = ids,
                                                .keep = keep_before,
                                                .confidence = confidence_before,
                                                .predicted = predicted_before,
                                                .threshold = threshold_before};
static const struct ws_selection_file after = {.n = N,
                                               .n_classes = 2,
                                               .ids = ids,
                                               .keep = keep_after,
                                               .confidence = confidence_after,
                                               .predicted = predicted_after,
                                               .threshold = threshold_after};

static void finds_what_is_newly_kept_and_newly_dropped(void **state)
{
    struct ws_turnover_row rows[N];
    (void)state;
    assert_true(ws_turnover_is_comparable(&before, &after));
    assert_int_equal(ws_turnover_count(&before, &after, true), 2);
    assert_int_equal(ws_turnover_count(&before, &after, false), 1);
    assert_int_equal(ws_turnover_list(&before, &after, true, rows), 2);
    /* Row 2 moved by (0.95-0.1) - (0.1-0.2) = 0.95, row 1 by (0.7-0.6) - (0.4-0.5) = 0.2. */
    assert_int_equal(rows[0].row, 2);
    assert_true(fabs(rows[0].rank - 0.95) < 1e-6);
    assert_int_equal(rows[1].row, 1);
    assert_true(fabs(rows[1].rank - 0.2) < 1e-6);
    assert_int_equal(ws_turnover_list(&before, &after, false, rows), 1);
    assert_int_equal(rows[0].row, 3);
}

static void compares_only_selections_of_the_same_images(void **state)
{
    static const struct ws_image_id others[N] = {{{1}}, {{2}}, {{3}}, {{4}}, {{6}}};
    struct ws_selection_file other = after, none = {0};
    (void)state;
    other.ids = others;
    assert_false(ws_turnover_is_comparable(&before, &other));
    other.ids = ids;
    other.n = N - 1;
    assert_false(ws_turnover_is_comparable(&before, &other));
    assert_false(ws_turnover_is_comparable(&none, &none));
}

static void takes_the_teachers_verdict_by_softmax(void **state)
{
    const float logits[3] = {1.0F, 3.0F, 2.0F}, large[2] = {1000.0F, 990.0F};
    (void)state;
    const struct ws_verdict verdict = ws_verdict_of(logits, 3);
    assert_int_equal(verdict.predicted, 1);
    assert_true(fabs(verdict.confidence - exp(3) / (exp(1) + exp(2) + exp(3))) < 1e-12);
    assert_true(fabs(ws_verdict_of(large, 2).confidence - 1 / (1 + exp(-10))) < 1e-12);
}

static void ranks_disputes_by_the_less_sure_of_the_two(void **state)
{
    /* Images 1, 3, 4 and 5 are scored, and one that the selection does not know. */
    static const struct ws_image_id scored[5] = {{{1}}, {{3}}, {{4}}, {{5}}, {{9}}};
    static const float logits[5][2] = {{0, 4}, {1, 0}, {2, 0}, {5, 0}, {0, 0}};
    const struct ws_scores_file teacher = {.n = 5, .n_classes = 2, .ids = scored, .logits = &logits[0][0]};
    struct ws_verdict verdicts[N];
    struct ws_turnover_row rows[N];
    (void)state;
    /* Image 1: teacher 0.982 of class 1, selection 0.8 of class 0; 3: 0.731 of 0 against 0.95 of 1; 4: both say 0;
       5: 0.993 of 0 against 0.9 of 1. */
    assert_int_equal(ws_dispute_list(&after, &teacher, verdicts, rows), 3);
    assert_int_equal(rows[0].row, 4);
    assert_true(fabs(rows[0].rank - 0.9) < 1e-6);
    assert_int_equal(rows[1].row, 0);
    assert_true(fabs(rows[1].rank - 0.8) < 1e-6);
    assert_int_equal(rows[2].row, 2);
    assert_true(fabs(rows[2].rank - 1 / (1 + exp(-1))) < 1e-6);
    assert_int_equal(verdicts[0].predicted, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_is_newly_kept_and_newly_dropped),
        cmocka_unit_test(compares_only_selections_of_the_same_images),
        cmocka_unit_test(takes_the_teachers_verdict_by_softmax),
        cmocka_unit_test(ranks_disputes_by_the_less_sure_of_the_two),
    };
    return cmocka_run_group_tests_name("turnover", tests, NULL, NULL);
}
