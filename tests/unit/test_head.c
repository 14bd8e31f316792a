/* Response heads: fields as they are asked for, and the form that describes the body kept in the archive. */
#include "../../crawler/net/head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct ws_span span(const char *text)
{
    return (struct ws_span){(const uint8_t *)text, strlen(text)};
}

static void fields_are_found_by_name_and_number(void **state)
{
    const struct ws_span head =
        span("HTTP/1.1 200 OK: fine\r\nA: one\r\nb:two \t\r\nEmpty:\r\nno colon\r\na:  three\r\n\r\nA: body\r\n");
    char value[16], tiny[3];
    (void)state;
    assert_true(ws_head_field(head, "a", 0, value, sizeof value));
    assert_string_equal(value, "one");
    assert_true(ws_head_field(head, "A", 1, value, sizeof value));
    assert_string_equal(value, "three");
    assert_false(ws_head_field(head, "A", 2, value, sizeof value));
    assert_true(ws_head_field(head, "B", 0, value, sizeof value));
    assert_string_equal(value, "two");
    assert_true(ws_head_field(head, "Empty", 0, value, sizeof value));
    assert_string_equal(value, "");
    assert_false(ws_head_field(head, "HTTP/1.1 200 OK", 0, value, sizeof value));
    assert_false(ws_head_field(head, "no colon", 0, value, sizeof value));
    assert_true(ws_head_field(head, "a", 0, tiny, sizeof tiny));
    assert_string_equal(tiny, "on");
    assert_false(ws_head_field((struct ws_span){NULL, 0}, "a", 0, value, sizeof value));
}

static void lines_may_end_in_a_line_feed_alone_or_not_at_all(void **state)
{
    char value[16];
    (void)state;
    assert_true(ws_head_field(span("HTTP/1.1 200\nX: y\nZ: w"), "z", 0, value, sizeof value));
    assert_string_equal(value, "w");
}

static void a_space_before_the_colon_hides_no_field(void **state)
{
    char value[16];
    (void)state;
    assert_true(
        ws_head_field(span("HTTP/1.1 200 OK\r\nX-Robots-Tag : noai\r\n\r\n"), "X-Robots-Tag", 0, value, sizeof value));
    assert_string_equal(value, "noai");
}

static void check_archived(const char *head, size_t body_len, bool is_whole, const char *expected)
{
    struct ws_buf out = {0};
    assert_true(ws_head_for_archive(span(head), body_len, is_whole, &out));
    assert_string_equal(out.ptr, expected);
    ws_buf_fini(&out);
}

static void a_plain_head_is_kept_as_received(void **state)
{
    (void)state;
    check_archived("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\n", 5, true,
                   "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\n");
    check_archived("HTTP/1.0 200 OK\r\nX: y\r\n\r\n", 5, true, "HTTP/1.0 200 OK\r\nX: y\r\n\r\n");
}

static void what_no_longer_describes_the_body_is_renamed(void **state)
{
    (void)state;
    check_archived("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 7, true,
                   "HTTP/1.1 200 OK\r\nX-Crawler-Transfer-Encoding: chunked\r\nContent-Length: 7\r\n\r\n");
    check_archived("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n", 9, true,
                   "HTTP/1.1 200 OK\r\nX-Crawler-Content-Encoding: gzip\r\nX-Crawler-Content-Length: "
                   "3\r\nContent-Length: 9\r\n\r\n");
    check_archived("HTTP/1.1 200 OK\r\nContent-Encoding: identity\r\nContent-Length: 3\r\n\r\n", 3, true,
                   "HTTP/1.1 200 OK\r\nContent-Encoding: identity\r\nContent-Length: 3\r\n\r\n");
    check_archived("HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n", 4, false,
                   "HTTP/1.1 200 OK\r\nX-Crawler-Content-Length: 900\r\nContent-Length: 4\r\n\r\n");
}

static void a_status_line_of_http_2_is_written_as_http_1_1(void **state)
{
    (void)state;
    check_archived("HTTP/2 200 \r\ncontent-length: 1\r\n\r\n", 1, true, "HTTP/1.1 200\r\ncontent-length: 1\r\n\r\n");
    check_archived("HTTP/3 404\r\n\r\n", 0, true, "HTTP/1.1 404\r\n\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_found_by_name_and_number),
        cmocka_unit_test(lines_may_end_in_a_line_feed_alone_or_not_at_all),
        cmocka_unit_test(a_space_before_the_colon_hides_no_field),
        cmocka_unit_test(a_plain_head_is_kept_as_received),
        cmocka_unit_test(what_no_longer_describes_the_body_is_renamed),
        cmocka_unit_test(a_status_line_of_http_2_is_written_as_http_1_1),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
