/* URLs: RFC 3986's resolution examples, one name for one thing, and what is no address of the web. */
#include "../../crawler/net/url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct pair {
    const char *from, *to;
};

static void check_normal(const struct pair *pairs, size_t n)
{
    struct ws_url url, again;
    for (size_t i = 0; i < n; i++) {
        if (!ws_url_parse(&url, pairs[i].from))
            fail_msg("\"%s\" is refused", pairs[i].from);
        assert_string_equal(url.text, pairs[i].to);
        assert_true(ws_url_parse(&again, url.text));
        assert_string_equal(again.text, url.text);
    }
}

static void all_examples_of_rfc_3986_section_5_4_resolve(void **state)
{
    static const struct pair examples[] = {
        {"g:h", "g:h"},
        {"g", "http://a/b/c/g"},
        {"./g", "http://a/b/c/g"},
        {"g/", "http://a/b/c/g/"},
        {"/g", "http://a/g"},
        {"//g", "http://g"},
        {"?y", "http://a/b/c/d;p?y"},
        {"g?y", "http://a/b/c/g?y"},
        {"#s", "http://a/b/c/d;p?q#s"},
        {"g#s", "http://a/b/c/g#s"},
        {"g?y#s", "http://a/b/c/g?y#s"},
        {";x", "http://a/b/c/;x"},
        {"g;x", "http://a/b/c/g;x"},
        {"g;x?y#s", "http://a/b/c/g;x?y#s"},
        {"", "http://a/b/c/d;p?q"},
        {".", "http://a/b/c/"},
        {"./", "http://a/b/c/"},
        {"..", "http://a/b/"},
        {"../", "http://a/b/"},
        {"../g", "http://a/b/g"},
        {"../..", "http://a/"},
        {"../../", "http://a/"},
        {"../../g", "http://a/g"},
        /* §5.4.2, abnormal */
        {"../../../g", "http://a/g"},
        {"../../../../g", "http://a/g"},
        {"/./g", "http://a/g"},
        {"/../g", "http://a/g"},
        {"g.", "http://a/b/c/g."},
        {".g", "http://a/b/c/.g"},
        {"g..", "http://a/b/c/g.."},
        {"..g", "http://a/b/c/..g"},
        {"./../g", "http://a/b/g"},
        {"./g/.", "http://a/b/c/g/"},
        {"g/./h", "http://a/b/c/g/h"},
        {"g/../h", "http://a/b/c/h"},
        {"g;x=1/./y", "http://a/b/c/g;x=1/y"},
        {"g;x=1/../y", "http://a/b/c/y"},
        {"g?y/./x", "http://a/b/c/g?y/./x"},
        {"g?y/../x", "http://a/b/c/g?y/../x"},
        {"g#s/./x", "http://a/b/c/g#s/./x"},
        {"g#s/../x", "http://a/b/c/g#s/../x"},
        {"http:g", "http:g"},
    };
    char out[256];
    (void)state;
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        assert_true(ws_url_join("http://a/b/c/d;p?q", examples[i].from, out, sizeof out));
        assert_string_equal(out, examples[i].to);
    }
}

static void a_base_without_a_path_gets_a_slash(void **state)
{
    char out[64];
    (void)state;
    assert_true(ws_url_join("http://a", "g", out, sizeof out));
    assert_string_equal(out, "http://a/g");
    assert_true(ws_url_join("http://a?q", "g", out, sizeof out));
    assert_string_equal(out, "http://a/g");
}

static void what_does_not_fit_is_refused_and_stays_in_bounds(void **state)
{
    char out[16];
    (void)state;
    for (size_t size = 0; size < sizeof "http://a/b/c/g"; size++) {
        memset(out, '#', sizeof out);
        assert_false(ws_url_join("http://a/b/c/d", "g", out, size));
        for (size_t i = size; i < sizeof out; i++)
            assert_int_equal(out[i], '#');
    }
    assert_true(ws_url_join("http://a/b/c/d", "g", out, sizeof "http://a/b/c/g"));
}

static void one_thing_has_one_name(void **state)
{
    static const struct pair pairs[] = {
        {"HTTP://Example.COM", "http://example.com/"},
        {"http://example.com:80/", "http://example.com/"},
        {"https://example.com:443/", "https://example.com/"},
        {"https://example.com:80/", "https://example.com:80/"},
        {"http://example.com:/x", "http://example.com/x"},
        {"http://example.com:0080/x", "http://example.com/x"},
        {"http://example.com./x", "http://example.com/x"},
        {"http://a/x#part", "http://a/x"},
        {"http://a?q", "http://a/?q"},
        {"http://a/?", "http://a/?"},
        {"http://a/%7euser/%41%2d", "http://a/~user/A-"},
        {"http://a/%c3%a9%2f", "http://a/%C3%A9%2F"},
        {"http://a/\xC3\xA9", "http://a/%C3%A9"},
        {"http://a/a b|c\"<>", "http://a/a%20b%7Cc%22%3C%3E"},
        {"http://a/x/%2e%2E/y", "http://a/y"},
        {"http://a/./x/../../y/.", "http://a/y/"},
        {"http://a/x//y", "http://a/x//y"},
        {"http://a/?p=/../x", "http://a/?p=/../x"},
        {"http://[2001:DB8:0:0::1]:8080/", "http://[2001:db8::1]:8080/"},
        {"http://a_b-c.d/", "http://a_b-c.d/"},
    };
    (void)state;
    check_normal(pairs, sizeof pairs / sizeof *pairs);
}

static void a_percent_sign_that_codes_nothing_is_coded_itself(void **state)
{
    static const struct pair pairs[] = {
        {"http://a/100%", "http://a/100%25"},
        {"http://a/%zz", "http://a/%25zz"},
        {"http://a/%%34%31", "http://a/%2541"},
        {"http://a/?%4", "http://a/?%254"},
    };
    (void)state;
    check_normal(pairs, sizeof pairs / sizeof *pairs);
}

static void names_in_other_letters_become_ascii(void **state)
{
    static const struct pair pairs[] = {
        {"http://b\xC3\xBC"
         "cher.example/",
         "http://xn--bcher-kva.example/"},
        {"http://B\xC3\x9C"
         "CHER.Example:8080/x",
         "http://xn--bcher-kva.example:8080/x"},
    };
    (void)state;
    check_normal(pairs, sizeof pairs / sizeof *pairs);
}

static void what_is_no_address_of_the_web_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "http",
        "http:",
        "http:/",
        "http://",
        "http:///x",
        "http:x",
        "//a/b",
        "/x",
        "ftp://a/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "data:image/png;base64,AA",
        "http://user@a/",
        "http://user:secret@a/",
        "http://a:b@c:1/",
        "http://a:0/",
        "http://a:65536/",
        "http://a:123456/",
        "http://a:8x/",
        "http://a:-1/",
        "http://.a/",
        "http://a..b/",
        "http://a../",
        "http://./",
        "http://a b/",
        "http://a%20b/",
        "http://[::1/",
        "http://[]/",
        "http://[::g]/",
        "http://[1.2.3.4]/",
        "http://[::1]x/",
        "http://a\\b/",
        "http://a,b/",
        "http://\xC3\xA9 x/",
        "http://\xFF\xFE/",
    };
    struct ws_url url;
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (ws_url_parse(&url, texts[i]))
            fail_msg("\"%s\" is taken as %s", texts[i], url.text);
}

static void a_url_longer_than_the_ceiling_is_refused(void **state)
{
    static char text[2 * WS_URL_MAX];
    struct ws_url url;
    (void)state;
    memset(text, 'x', sizeof text - 1);
    memcpy(text, "http://a/", 9);
    text[WS_URL_MAX - 1] = '\0';
    assert_true(ws_url_parse(&url, text));
    text[WS_URL_MAX - 1] = 'x';
    text[WS_URL_MAX] = '\0';
    assert_false(ws_url_parse(&url, text));
    memset(text + 9, ' ', 2000); /* fits as written, not as coded */
    text[9 + 2000] = '\0';
    assert_false(ws_url_parse(&url, text));
}

static void a_host_longer_than_dns_allows_is_refused(void **state)
{
    char text[600] = "http://";
    struct ws_url url;
    (void)state;
    memset(text + 7, 'a', 253);
    strcpy(text + 7 + 253, "/");
    assert_true(ws_url_parse(&url, text));
    memset(text + 7, 'a', 254);
    strcpy(text + 7 + 254, "/");
    assert_false(ws_url_parse(&url, text));
}

static void references_are_read_as_browsers_read_them(void **state)
{
    static const struct pair pairs[] = {
        {" \n g.jpg\t ", "http://a/b/g.jpg"},
        {"g\n.j\tpg", "http://a/b/g.jpg"},
        {"\\x\\y.jpg?a\\b", "http://a/x/y.jpg?a%5Cb"},
        {"//cdn.example\\z.jpg", "http://cdn.example/z.jpg"},
        {"HTTPS://B/x", "https://b/x"},
        {"#top", "http://a/b/c?q"},
        {"", "http://a/b/c?q"},
    };
    struct ws_url base, url;
    (void)state;
    assert_true(ws_url_parse(&base, "http://a/b/c?q"));
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        assert_true(ws_url_resolve(&url, &base, pairs[i].from));
        assert_string_equal(url.text, pairs[i].to);
    }
    assert_false(ws_url_resolve(&url, &base, "mailto:a@b.example"));
    assert_false(ws_url_resolve(&url, &base, "java\nscript:x"));
    assert_true(ws_url_resolve(&base, &base, "../x")); /* in place */
    assert_string_equal(base.text, "http://a/x");
}

static void parts_are_told(void **state)
{
    struct ws_url a, b;
    char origin[WS_ORIGIN_MAX], host[256], extension[8];
    (void)state;
    assert_true(ws_url_parse(&a, "https://Img.Example/Photo.of.JPG?v=a.png"));
    ws_url_origin(&a, origin);
    ws_url_host(&a, host);
    ws_url_extension(&a, extension);
    assert_string_equal(origin, "https://img.example:443");
    assert_string_equal(host, "img.example");
    assert_string_equal(extension, "jpg");
    assert_true(ws_url_parse(&b, "http://img.example/"));
    assert_true(ws_url_same_host(&a, &b));
    ws_url_extension(&b, extension);
    assert_string_equal(extension, "");
    assert_true(ws_url_parse(&b, "http://img.example:8080/x.y/z.verylongone"));
    assert_false(ws_url_same_host(&a, &b));
    ws_url_extension(&b, extension);
    assert_string_equal(extension, "");
    assert_true(ws_url_parse(&b, "http://[::1]:81/x"));
    ws_url_origin(&b, origin);
    ws_url_host(&b, host);
    assert_string_equal(origin, "http://[::1]:81");
    assert_string_equal(host, "::1");
}

static void escaping_leaves_only_unreserved_characters(void **state)
{
    char out[64];
    (void)state;
    assert_true(ws_url_escape("high heel|\xC3\xA9&=/~", out, sizeof out));
    assert_string_equal(out, "high%20heel%7C%C3%A9%26%3D%2F~");
    assert_false(ws_url_escape("  ", out, 6));
    assert_true(ws_url_escape("  ", out, 7));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_examples_of_rfc_3986_section_5_4_resolve),
        cmocka_unit_test(a_base_without_a_path_gets_a_slash),
        cmocka_unit_test(what_does_not_fit_is_refused_and_stays_in_bounds),
        cmocka_unit_test(one_thing_has_one_name),
        cmocka_unit_test(a_percent_sign_that_codes_nothing_is_coded_itself),
        cmocka_unit_test(names_in_other_letters_become_ascii),
        cmocka_unit_test(what_is_no_address_of_the_web_is_refused),
        cmocka_unit_test(a_url_longer_than_the_ceiling_is_refused),
        cmocka_unit_test(a_host_longer_than_dns_allows_is_refused),
        cmocka_unit_test(references_are_read_as_browsers_read_them),
        cmocka_unit_test(parts_are_told),
        cmocka_unit_test(escaping_leaves_only_unreserved_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
