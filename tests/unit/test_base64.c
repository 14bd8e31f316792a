#include "webstill/base/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* RFC 4648, section 10. */
static const char *const vectors[][2] = {{"", ""},
                                         {"f", "Zg=="},
                                         {"fo", "Zm8="},
                                         {"foo", "Zm9v"},
                                         {"foob", "Zm9vYg=="},
                                         {"fooba", "Zm9vYmE="},
                                         {"foobar", "Zm9vYmFy"}};

static void vectors_of_the_rfc_hold_both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        unsigned char *bytes = NULL;
        size_t len = 0;
        char *text = ws_base64_encode(vectors[i][0], strlen(vectors[i][0]));
        assert_string_equal(text, vectors[i][1]);
        assert_true(ws_base64_decode(text, &bytes, &len));
        assert_int_equal(len, strlen(vectors[i][0]));
        assert_memory_equal(bytes, vectors[i][0], len);
        free(bytes);
        free(text);
    }
}

static void all_bytes_survive(void **state)
{
    (void)state;
    unsigned char all[256], *bytes = NULL;
    size_t len = 0;
    for (int i = 0; i < 256; i++)
        all[i] = (unsigned char)(i * 37);
    char *text = ws_base64_encode(all, sizeof all);
    assert_true(ws_base64_decode(text, &bytes, &len));
    assert_int_equal(len, sizeof all);
    assert_memory_equal(bytes, all, len);
    free(bytes);
    free(text);
}

static void other_texts_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"Zg",   "Zg=",  "Z===", "====", "Zg==Zg==", "Zm9v\n",
                                        "Zm 9", "Zh==", "Zm9=", "=m9v", "Zm\x80v"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        unsigned char *bytes = NULL;
        size_t len = 7;
        assert_false(ws_base64_decode(texts[i], &bytes, &len));
        assert_null(bytes);
        assert_int_equal(len, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_of_the_rfc_hold_both_ways),
        cmocka_unit_test(all_bytes_survive),
        cmocka_unit_test(other_texts_are_refused),
    };
    return cmocka_run_group_tests_name("base64", tests, NULL, NULL);
}
