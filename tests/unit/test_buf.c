/* Growable buffers: the NUL, the ceiling, and what failure leaves. */
#include "webstill/base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void content_grows_and_ends_with_nul(void **state)
{
    (void)state;
    struct ws_buf buf = {0};
    for (int i = 0; i < 1000; i++) {
        assert_true(ws_buf_add(&buf, "ab", 2));
        assert_true(buf.ptr[buf.len] == '\0' && buf.len < buf.cap);
    }
    assert_int_equal(buf.len, 2000);
    assert_memory_equal(buf.ptr + 1998, "ab", 3);
    ws_buf_fini(&buf);
    assert_null(buf.ptr);
}

static void text_and_format_append(void **state)
{
    (void)state;
    struct ws_buf buf = {0};
    assert_true(ws_buf_add_str(&buf, "n="));
    assert_true(ws_buf_addf(&buf, "%d %s", 42, "images"));
    assert_true(ws_buf_add(&buf, NULL, 0));
    assert_string_equal(buf.ptr, "n=42 images");
    assert_int_equal(buf.len, 11);
    ws_buf_fini(&buf);
}

static void long_format_is_whole(void **state)
{
    (void)state;
    struct ws_buf buf = {0};
    assert_true(ws_buf_addf(&buf, "%5000d", 7));
    assert_int_equal(buf.len, 5000);
    assert_int_equal(buf.ptr[4999], '7');
    ws_buf_fini(&buf);
}

static void ceiling_refuses_and_changes_nothing(void **state)
{
    (void)state;
    struct ws_buf buf = {.max_bytes = 5};
    assert_true(ws_buf_add_str(&buf, "abc"));
    assert_false(ws_buf_add_str(&buf, "def"));
    assert_false(ws_buf_addf(&buf, "%d", 1234));
    assert_null(ws_buf_reserve(&buf, 3));
    assert_false(ws_buf_add(&buf, "x", SIZE_MAX));
    assert_string_equal(buf.ptr, "abc");
    assert_int_equal(buf.len, 3);
    assert_true(ws_buf_add_str(&buf, "de"));
    assert_string_equal(buf.ptr, "abcde");
    ws_buf_fini(&buf);
    assert_int_equal(buf.max_bytes, 5);
}

static void reserved_room_keeps_the_nul_however_much_is_used(void **state)
{
    (void)state;
    struct ws_buf buf = {0};
    assert_true(ws_buf_add_str(&buf, "xyzxyz"));
    ws_buf_clear(&buf); /* old bytes lie behind the content */
    char *room = ws_buf_reserve(&buf, 6);
    assert_non_null(room);
    assert_int_equal(buf.len, 0);
    memcpy(room, "ab", 2);
    buf.len += 2;
    assert_string_equal(buf.ptr, "ab");
    room = ws_buf_reserve(&buf, 500);
    assert_non_null(room);
    memset(room, 'c', 500);
    buf.len += 500;
    assert_int_equal(strlen(buf.ptr), 502);
    ws_buf_fini(&buf);
}

static void clear_keeps_the_memory(void **state)
{
    (void)state;
    struct ws_buf buf = {0};
    ws_buf_clear(&buf);
    assert_null(buf.ptr);
    assert_true(ws_buf_add_str(&buf, "abc"));
    const char *before = buf.ptr;
    ws_buf_clear(&buf);
    assert_int_equal(buf.len, 0);
    assert_string_equal(buf.ptr, "");
    assert_true(ws_buf_add_str(&buf, "de"));
    assert_ptr_equal(buf.ptr, before);
    ws_buf_fini(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(content_grows_and_ends_with_nul),
        cmocka_unit_test(text_and_format_append),
        cmocka_unit_test(long_format_is_whole),
        cmocka_unit_test(ceiling_refuses_and_changes_nothing),
        cmocka_unit_test(reserved_room_keeps_the_nul_however_much_is_used),
        cmocka_unit_test(clear_keeps_the_memory),
    };
    return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
