/* Lists of image ids: what is read, what is refused and where, and what is marked. */
#include "../../distill/data/set.h"
#include "temp.h"

#include "webstill/tensors/id_list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define A "000102030405060708090a0b0c0d0e0f"
#define B "100102030405060708090a0b0c0d0e0f"
#define C "200102030405060708090a0b0c0d0e0f"

static struct ws_image_id id_of(const char *text)
{
    struct ws_image_id id;
    assert_true(ws_image_id_parse(text, &id));
    return id;
}

static void assert_refused(const char *text, const char *expected)
{
    struct ws_id_list list;
    struct ws_err err = {0};
    assert_int_equal(ws_id_list_parse(&list, text, strlen(text), "pool.txt", &err), WS_E_FORMAT);
    assert_string_equal(err.text, expected);
    assert_null(list.ids);
}

static void ids_keep_the_order_of_their_lines(void **state)
{
    (void)state;
    static const char *const texts[] = {B "\n" A "\n", B "\n" A};
    for (int i = 0; i < 2; i++) {
        struct ws_id_list list;
        struct ws_err err = {0};
        assert_int_equal(ws_id_list_parse(&list, texts[i], strlen(texts[i]), "pool.txt", &err), WS_OK);
        assert_int_equal(list.n, 2);
        const struct ws_image_id expected[] = {id_of(B), id_of(A)};
        assert_memory_equal(list.ids, expected, sizeof expected);
        ws_id_list_free(&list);
    }
}

static void a_line_that_is_no_id_is_named_with_file_and_line(void **state)
{
    (void)state;
    assert_refused("", "pool.txt:1: expected an image id, 32 hexadecimal digits, found an empty file");
    assert_refused("\n", "pool.txt:1: expected an image id, 32 hexadecimal digits, found \"\"");
    assert_refused(A "\nnone\n" B, "pool.txt:2: expected an image id, 32 hexadecimal digits, found \"none\"");
    assert_refused(A "\n" B "0\n", "pool.txt:2: expected an image id, 32 hexadecimal digits, found \"" B "0\"");
    assert_refused(A " \n", "pool.txt:1: expected an image id, 32 hexadecimal digits, found \"" A " \"");
    assert_refused(A "\n\n" B, "pool.txt:2: expected an image id, 32 hexadecimal digits, found \"\"");
}

static void a_missing_file_is_a_matter_of_configuration(void **state)
{
    (void)state;
    struct ws_id_list list;
    struct ws_err err = {0};
    assert_int_equal(ws_id_list_read(&list, "/nonexistent/pool.txt", &err), WS_E_CONFIG);
    assert_non_null(strstr(err.text, "/nonexistent/pool.txt does not exist"));
}

static enum ws_status mark(const char *text, uint8_t keep[2], struct ws_err *err)
{
    struct ws_id_list list;
    const struct ws_image_id ids[] = {id_of(A), id_of(C)};
    assert_int_equal(ws_id_list_parse(&list, text, strlen(text), "pool.txt", err), WS_OK);
    const enum ws_status status = ws_id_list_mark(&list, "pool.txt", ids, 2, keep, err);
    ws_id_list_free(&list);
    return status;
}

static void listed_ids_are_marked_and_no_others(void **state)
{
    (void)state;
    uint8_t keep[2] = {9, 9};
    struct ws_err err = {0};
    assert_int_equal(mark(C "\n", keep, &err), WS_OK);
    assert_int_equal(keep[0], 0);
    assert_int_equal(keep[1], 1);
}

static void an_id_that_is_not_stored_is_named_with_file_and_line(void **state)
{
    (void)state;
    uint8_t keep[2];
    struct ws_err err = {0};
    assert_int_equal(mark(C "\n" B "\n", keep, &err), WS_E_CONFIG);
    assert_string_equal(err.text, "pool.txt:2: image " B " is not among the 2 stored ones");
}

static void an_id_that_stands_twice_is_named_with_file_and_line(void **state)
{
    (void)state;
    uint8_t keep[2];
    struct ws_err err = {0};
    assert_int_equal(mark(C "\n" A "\n" C "\n", keep, &err), WS_E_CONFIG);
    assert_string_equal(err.text, "pool.txt:3: image " C " stands in an earlier line, too");
}

static void a_restricted_set_has_the_listed_images_in_the_old_order(void **state)
{
    (void)state;
    char folder[TEMP_PATH], path[TEMP_PATH];
    struct ws_dataset set;
    struct ws_err err = {0};
    temp_make(folder);
    temp_write(temp_join(path, folder, "pool.txt"), C "\n" A "\n", 66);
    assert_true(ws_dataset_alloc(&set, 3, 1, 1, 1, true));
    static const char *const names[] = {A, B, C};
    for (int i = 0; i < 3; i++) {
        set.ids[i] = id_of(names[i]);
        set.labels[i] = 10 + i;
        set.block[i] = (uint8_t)(20 + i);
    }
    assert_int_equal(ws_dataset_restrict(&set, path, &err), WS_OK);
    assert_int_equal(set.n, 2);
    for (int i = 0; i < 2; i++) {
        const struct ws_image_id expected = id_of(i == 0 ? A : C);
        assert_memory_equal(&set.ids[i], &expected, sizeof expected);
        assert_int_equal(set.labels[i], 10 + 2 * i);
        assert_int_equal(*set.pixels[i], 20 + 2 * i);
    }
    temp_write(path, B "\n" B "\n", 66);
    assert_int_equal(ws_dataset_restrict(&set, path, &err), WS_E_CONFIG);
    assert_int_equal(set.n, 2); /* refused: unchanged */
    ws_dataset_close(&set);
    temp_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_keep_the_order_of_their_lines),
        cmocka_unit_test(a_line_that_is_no_id_is_named_with_file_and_line),
        cmocka_unit_test(a_missing_file_is_a_matter_of_configuration),
        cmocka_unit_test(listed_ids_are_marked_and_no_others),
        cmocka_unit_test(an_id_that_is_not_stored_is_named_with_file_and_line),
        cmocka_unit_test(an_id_that_stands_twice_is_named_with_file_and_line),
        cmocka_unit_test(a_restricted_set_has_the_listed_images_in_the_old_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
