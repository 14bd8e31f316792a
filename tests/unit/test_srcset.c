/* srcset: the candidate that promises the most pixels, however the attribute is written. */
#include "../../crawler/page/srcset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void the_largest_candidate_wins(void **state)
{
    static const char *const cases[][2] = {
        {"a.jpg", "a.jpg"},
        {"a.jpg 1x, b.jpg 2x", "b.jpg"},
        {"a.jpg, b.jpg 2x", "b.jpg"},
        {"a.jpg 2x, b.jpg", "a.jpg"},
        {"a.jpg 320w, b.jpg 1280w, c.jpg 640w", "b.jpg"},
        {"a.jpg 100w,b.jpg 200w", "b.jpg"},
        {" \n a.jpg\t300w ,\n b.jpg 200w", "a.jpg"},
        {"a.jpg 1.5x, b.jpg 1.25x", "a.jpg"},
        {"a.jpg 100w 50h, b.jpg 90w 900h", "a.jpg"},
        {"a.jpg 2x, b.jpg 2x", "a.jpg"},
        {"a,b.jpg 1x, c,d.jpg 2x", "c,d.jpg"},
        {"a.jpg, b.jpg", "a.jpg"},
        {",,, a.jpg ,,", "a.jpg"},
        {"a.jpg,", "a.jpg"},
        {"a.jpg (1, 2) 2x, b.jpg 1x", "a.jpg"},
        {"a.jpg 1e3w, b.jpg 999w", "a.jpg"},
        {"a.jpg 2q, b.jpg 1.5x", "b.jpg"},
        {"http://h/a?x=1,2 10w, //h/b 20w", "//h/b"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ws_candidate best;
        if (!ws_srcset_largest(cases[i][0], &best))
            fail_msg("\"%s\" has no candidate", cases[i][0]);
        if (best.len != strlen(cases[i][1]) || memcmp(best.url, cases[i][1], best.len) != 0)
            fail_msg("\"%s\": expected %s, found %.*s", cases[i][0], cases[i][1], (int)best.len, best.url);
    }
}

static void an_attribute_without_candidates_has_none(void **state)
{
    static const char *const cases[] = {"", "  \n", ",", " , ,, "};
    struct ws_candidate best;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_false(ws_srcset_largest(cases[i], &best));
}

static void width_counts_before_density(void **state)
{
    const struct ws_candidate wide = {"a", 1, 10, 1}, dense = {"b", 1, 0, 9}, same = {"c", 1, 10, 1};
    (void)state;
    assert_true(ws_candidate_is_larger(&wide, &dense));
    assert_false(ws_candidate_is_larger(&dense, &wide));
    assert_false(ws_candidate_is_larger(&wide, &same));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_largest_candidate_wins),
        cmocka_unit_test(an_attribute_without_candidates_has_none),
        cmocka_unit_test(width_counts_before_density),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
