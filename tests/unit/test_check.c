/* What a pool promises: agreement beyond chance in closed form, and the right sentence for each kind of bad pool. */
#include "near.h"

#include "webstill/base/rng.h"
#include "webstill/curate/check.h"

#include <stdio.h>
#include <string.h>

enum { N = 600, C = 6 };

static const char *const names[C] = {"coat", "bag", "shoe", "dress", "shirt", "hat"};

/* All sentences of a look, one behind the other. */
struct told {
    char text[8192];
    int n;
};

static void tell(void *argument, const char *sentence)
{
    struct told *told = argument;
    const size_t used = strlen(told->text);
    snprintf(told->text + used, sizeof told->text - used, "%s\n", sentence);
    told->n++;
}

static struct ws_pool_look warn(const int32_t *predicted, const int32_t *labels, size_t n, struct told *told)
{
    int64_t confusion[C * C];
    memset(told, 0, sizeof *told);
    const struct ws_pool_look look = ws_pool_look(predicted, labels, n, C, confusion);
    const int n_told = ws_pool_warn(&look, confusion, names, tell, told);
    assert_int_equal(n_told, told->n);
    return look;
}

static void kappa_and_association_have_their_closed_forms(void **state)
{
    (void)state;
    /* 2 classes: 40 right and 10 wrong of one, 20 wrong and 30 right of the other (Cohen's own kind of table). */
    int32_t predicted[100], labels[100];
    int64_t confusion[4];
    for (int i = 0; i < 100; i++) {
        labels[i] = i >= 50;
        predicted[i] = i < 40 ? 0 : i < 50 ? 1 : i < 70 ? 0 : 1;
    }
    const struct ws_pool_look look = ws_pool_look(predicted, labels, 100, 2, confusion);
    assert_near(look.agreement, .7, 1e-12);
    assert_near(look.chance, .5 * .6 + .5 * .4, 1e-12);
    assert_near(look.kappa, .4, 1e-12);
    /* phi^2 = (ad - bc)^2 / (r1 r2 c1 c2) = (1200 - 200)^2 / (50 50 60 40) = 1/6; correction 1/99 */
    assert_near(look.association, sqrt((1.0 / 6 - 1.0 / 99) / (1 - 1.0 / 99)), 1e-12);
}

static void a_pool_of_its_classes_needs_no_warning(void **state)
{
    (void)state;
    static int32_t predicted[N], labels[N];
    static struct told told;
    for (int i = 0; i < N; i++) {
        labels[i] = i % C;
        predicted[i] = i % 3 == 0 ? (i / 3) % C : i % C; /* a third is noise */
    }
    const struct ws_pool_look look = warn(predicted, labels, N, &told);
    assert_true(look.kappa > .5);
    assert_string_equal(told.text, "");
}

/* As icons of clothes are to a teacher of photographs: little agreement, but more than chance gives among so many. */
static void a_weak_agreement_that_is_no_chance_needs_no_warning(void **state)
{
    (void)state;
    static int32_t predicted[N], labels[N];
    static struct told told;
    for (int i = 0; i < N; i++) {
        labels[i] = i % C;
        predicted[i] = i / C % 14 == 0 ? i % C : (i + i / C) % C;
    }
    struct ws_pool_look look = warn(predicted, labels, N, &told);
    assert_true(look.kappa > .03 && look.kappa < .1);
    assert_string_equal(told.text, "");
    look = warn(predicted, labels, 120, &told); /* among fewer the same share says less */
    assert_true(look.kappa < .1);
    assert_int_equal(told.n, 1);
}

static void a_pool_of_junk_is_called_so(void **state)
{
    (void)state;
    static int32_t predicted[N], labels[N];
    static struct told told;
    for (uint32_t seed = 0; seed < 20; seed++) {
        struct ws_rng rng;
        ws_rng_init(&rng, seed, WS_STREAM_TEST, 0, 0);
        for (int i = 0; i < N; i++) { /* the teacher sees bags everywhere, whatever was searched for */
            labels[i] = (int32_t)ws_rng_below(&rng, C);
            predicted[i] = ws_rng_below(&rng, 2) ? 1 : (int32_t)ws_rng_below(&rng, C);
        }
        const struct ws_pool_look look = warn(predicted, labels, N, &told);
        assert_true(fabs(look.kappa) < .1 && look.association < .2);
        assert_int_equal(told.n, 1);
        assert_non_null(strstr(told.text, "the pictures show something else, or the teacher knows other classes"));
        assert_non_null(strstr(told.text, "Expect a student"));
    }
}

static void classes_in_another_order_are_called_so(void **state)
{
    (void)state;
    static int32_t predicted[N], labels[N];
    static struct told told;
    for (int i = 0; i < N; i++) {
        labels[i] = i % C;
        predicted[i] = i % 10 == 0 ? (i / 10) % C : (i % C + 1) % C; /* coats are called bags, … */
    }
    const struct ws_pool_look look = warn(predicted, labels, N, &told);
    assert_true(look.kappa < 0 && look.association > .7);
    assert_int_equal(told.n, 1);
    assert_non_null(strstr(told.text, "the teacher's classes do not match the queries"));
    assert_non_null(strstr(told.text, "in 100 of 100 pictures searched as \"bag\" it sees \"shoe\""));
    assert_non_null(strstr(told.text, "order of the teacher's outputs"));
}

static void ten_images_and_none_with_a_label_are_told(void **state)
{
    (void)state;
    static const int32_t predicted[10], none[10] = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1};
    static struct told told;
    const struct ws_pool_look look = warn(predicted, none, 10, &told);
    assert_true(look.n_labelled == 0 && isnan(look.kappa));
    assert_int_equal(told.n, 2);
    assert_non_null(strstr(told.text, "the pool has 10 images for 6 classes"));
    assert_non_null(strstr(told.text, "nothing but the teacher tells"));
    warn(predicted, predicted, 10, &told); /* too few to speak of agreement */
    assert_int_equal(told.n, 1);
}

static void missing_classes_are_named(void **state)
{
    (void)state;
    static struct told told;
    const int64_t all[C] = {1, 1, 1, 1, 1, 1}, one[C] = {9, 0, 9, 9, 9, 9}, five[C] = {9, 0, 0, 0, 0, 0};
    const int64_t none[C] = {0};
    assert_int_equal(ws_pool_warn_missing(all, N, C, names, tell, &told), 0);
    assert_int_equal(ws_pool_warn_missing(one, N, C, names, tell, &told), 1);
    assert_non_null(strstr(told.text, "none of 600 images is taken for \"bag\": nothing of this class can"));
    assert_int_equal(ws_pool_warn_missing(five, N, C, names, tell, &told), 1);
    assert_non_null(strstr(told.text, "\"bag\", \"shoe\", \"dress\", \"shirt\", \"hat\": nothing of these"));
    ws_pool_warn_missing(none, N, C, names, tell, &told);
    assert_non_null(strstr(told.text, "\"shirt\" and 1 more"));
}

static void classes_that_nothing_was_found_for_are_named_where_others_have_pictures(void **state)
{
    (void)state;
    static struct told told;
    const int64_t all[C] = {1, 1, 1, 1, 1, 1}, one[C] = {9, 0, 9, 9, 9, 9}, none[C] = {0};
    assert_int_equal(ws_pool_warn_unfound(all, C, names, tell, &told), 0);
    assert_int_equal(ws_pool_warn_unfound(none, C, names, tell, &told), 0);
    assert_int_equal(ws_pool_warn_unfound(one, C, names, tell, &told), 1);
    assert_non_null(
        strstr(told.text, "no picture of this pool was found for \"bag\": what the student learns of this"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kappa_and_association_have_their_closed_forms),
        cmocka_unit_test(a_pool_of_its_classes_needs_no_warning),
        cmocka_unit_test(a_weak_agreement_that_is_no_chance_needs_no_warning),
        cmocka_unit_test(a_pool_of_junk_is_called_so),
        cmocka_unit_test(classes_in_another_order_are_called_so),
        cmocka_unit_test(ten_images_and_none_with_a_label_are_told),
        cmocka_unit_test(missing_classes_are_named),
        cmocka_unit_test(classes_that_nothing_was_found_for_are_named_where_others_have_pictures),
    };
    return cmocka_run_group_tests_name("check", tests, NULL, NULL);
}
