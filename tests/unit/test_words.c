/* Whole words: when a picture's texts name a class, and when they only seem to. */
#include "../../crawler/net/text.h"
#include "../../crawler/page/words.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void words_match_whole_and_in_any_case(void **state)
{
    static const struct {
        const char *text, *phrase;
        bool is_match;
    } cases[] = {
        {"A blue dress", "dress", true},
        {"DRESS!", "Dress", true},
        {"address", "dress", false},
        {"dressing", "dress", false},
        {"dress", "dress", true},
        {"", "dress", false},
        {"dress", "", false},
        {"dress", " -", false},
        {"t-shirt", "t-shirt", true},
        {"T_Shirt", "t-shirt", true},
        {"tshirt", "t-shirt", false},
        {"high  heel", "high heel", true},
        {"high-heel.jpg", "high heel", true},
        {"high blue heel", "high heel", false},
        {"high heels", "high heel", false},
        {"very high high heel", "high heel", true},
        {"dress1", "dress", false},
        {"robe d\xC3\xA9"
         "t\xC3\xA9",
         "robe", true},
        {"\xC3\xA9robe", "robe", false},
        {"a high", "high heel", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (ws_words_contain(cases[i].text, cases[i].phrase) != cases[i].is_match)
            fail_msg("\"%s\" in \"%s\" should be %d", cases[i].phrase, cases[i].text, cases[i].is_match);
}

static void a_file_name_gives_its_words(void **state)
{
    static const char *const cases[][2] = {
        {"http://a/b/blue%5Fdress.jpg?x=coat.png", "blue_dress"},
        {"http://a/b/c.d.jpg#bag", "c.d"},
        {"http://a/b/dress", "dress"},
        {"http://a/bag/", ""},
        {"http://a/x%zz%4.jpg", "x%zz%4"},
        {"http://a/x%00y.jpg", "x y"},
    };
    char out[64], tiny[4];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ws_words_of_file_name(cases[i][0], out, sizeof out);
        assert_string_equal(out, cases[i][1]);
    }
    ws_words_of_file_name("http://a/abcdef.jpg", tiny, sizeof tiny);
    assert_string_equal(tiny, "abc");
}

static void the_first_class_in_order_wins(void **state)
{
    char shirt[] = "Shirt", coat[] = "Coat", q1[] = "shirt", q2[] = "polo shirt", q3[] = "jacket", q4[] = "coat";
    char *shirt_queries[] = {q1, q2}, *coat_queries[] = {q3, q4};
    const struct ws_class classes[] = {
        {.name = shirt, .queries = shirt_queries, .n_queries = 2},
        {.name = coat, .queries = coat_queries, .n_queries = 2},
    };
    const char *const both[] = {"a coat", "", "polo-shirt", NULL}, *const second[] = {"winter coat", NULL};
    const char *const none[] = {"shirts and coats", "", NULL};
    const char *query = NULL;
    (void)state;
    assert_int_equal(ws_words_find_class(classes, 2, both, &query), 0);
    assert_string_equal(query, "shirt");
    assert_int_equal(ws_words_find_class(classes, 2, second, &query), 1);
    assert_string_equal(query, "coat");
    assert_int_equal(ws_words_find_class(classes, 2, none, &query), -1);
}

static void text_of_the_web_becomes_clean_utf8(void **state)
{
    static const char *const cases[][2] = {
        {"  a \t\r\n b  ", "a b"},
        {"\x01"
         "a\x7F\x02"
         "b",
         "a b"},
        {"caf\xE9", "caf?"},
        {"caf\xC3\xA9", "caf\xC3\xA9"},
        {"\xC0\xAF\xED\xA0\x80\xF4\x90\x80\x80", "?????????"}, /* overlong, surrogate, past U+10FFFF */
        {"\xF0\x9F\x91\x97", "\xF0\x9F\x91\x97"},
        {"", ""},
    };
    char out[64];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ws_text_collapse(cases[i][0], out, sizeof out);
        assert_string_equal(out, cases[i][1]);
        assert_true(ws_text_is_utf8((const uint8_t *)out, strlen(out)));
    }
}

static void a_cut_falls_between_characters(void **state)
{
    char out[8];
    (void)state;
    for (size_t size = 1; size <= sizeof out; size++) {
        ws_text_collapse("a\xC3\xA9\xE2\x82\xAC z", out, size);
        assert_true(strlen(out) < size);
        assert_true(ws_text_is_utf8((const uint8_t *)out, strlen(out)));
    }
    ws_text_collapse("a\xC3\xA9", out, 3);
    assert_string_equal(out, "a");
}

static void any_bytes_make_a_json_string(void **state)
{
    json_t *json = ws_text_json("x\xFF\xFEy\n");
    (void)state;
    assert_string_equal(json_string_value(json), "x??y");
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_match_whole_and_in_any_case), cmocka_unit_test(a_file_name_gives_its_words),
        cmocka_unit_test(the_first_class_in_order_wins),     cmocka_unit_test(text_of_the_web_becomes_clean_utf8),
        cmocka_unit_test(a_cut_falls_between_characters),    cmocka_unit_test(any_bytes_make_a_json_string),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
