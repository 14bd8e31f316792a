/* HTML pages: which pictures and links a page holds, what it says about their use, and hostile markup. */
#include "../../crawler/page/consent.h"
#include "../../crawler/page/html.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void read_bytes(struct ws_page *page, const char *html, size_t len, const char *charset)
{
    struct ws_url url;
    struct ws_err err = {0};
    assert_true(ws_url_parse(&url, "http://shop.test/dir/page.html?q"));
    assert_int_equal(ws_page_read(page, (struct ws_span){(const uint8_t *)html, len}, &url, charset, "webstill", &err),
                     WS_OK);
}

static void read_html(struct ws_page *page, const char *html)
{
    read_bytes(page, html, strlen(html), NULL);
}

/** The one picture of a page. */
static void check_picture(const char *html, const char *expected)
{
    struct ws_page page;
    read_html(&page, html);
    if (page.n_images != 1)
        fail_msg("%s: expected one picture, found %zu", html, page.n_images);
    assert_string_equal(page.images[0].url, expected);
    ws_page_fini(&page);
}

static void a_picture_comes_with_its_texts(void **state)
{
    struct ws_page page;
    (void)state;
    read_html(&page, "<html><head><title> Our \n Shop &amp; more </title></head><body>"
                     "<img src=a.jpg alt='A  blue\ndress &lt;3' title=\"T\"><IMG SRC='/b.png'></body></html>");
    assert_string_equal(page.title, "Our Shop & more");
    assert_int_equal(page.n_images, 2);
    assert_string_equal(page.images[0].url, "http://shop.test/dir/a.jpg");
    assert_string_equal(page.images[0].alt, "A blue dress <3");
    assert_string_equal(page.images[0].title, "T");
    assert_string_equal(page.images[1].url, "http://shop.test/b.png");
    assert_string_equal(page.images[1].alt, "");
    assert_int_equal(page.directives, 0);
    ws_page_fini(&page);
}

static void the_largest_version_of_a_picture_is_taken(void **state)
{
    (void)state;
    check_picture("<img src=s.jpg srcset='m.jpg 2x, l.jpg 3x'>", "http://shop.test/dir/l.jpg");
    check_picture("<img src=s.jpg data-srcset='m.jpg 200w, l.jpg 900w' srcset='n.jpg 400w'>",
                  "http://shop.test/dir/l.jpg");
    check_picture("<img src=blank.gif data-src=real.jpg>", "http://shop.test/dir/real.jpg");
    check_picture("<img src=blank.gif data-original=real.jpg>", "http://shop.test/dir/real.jpg");
    check_picture("<img src=blank.gif data-lazy-src=real.jpg>", "http://shop.test/dir/real.jpg");
    check_picture("<img src=real.jpg data-src=''>", "http://shop.test/dir/real.jpg");
    check_picture("<picture><source srcset='l.webp 800w'><source srcset='x.jpg 200w'><img src=s.jpg></picture>",
                  "http://shop.test/dir/l.webp");
    check_picture("<picture><source type='image/avif' srcset='l.avif 800w'><img src=s.jpg></picture>",
                  "http://shop.test/dir/s.jpg");
    check_picture("<source srcset='lonely.jpg 9x'><img src=s.jpg>", "http://shop.test/dir/s.jpg");
    check_picture("<picture><source srcset='l.webp 800w'></picture><img src=s.jpg>", "http://shop.test/dir/s.jpg");
}

static void pictures_that_are_data_are_none(void **state)
{
    struct ws_page page;
    (void)state;
    check_picture("<img src='data:image/gif;base64,R0' data-src=a.jpg>", "http://shop.test/dir/a.jpg");
    check_picture("<img src=a.jpg srcset='data:image/gif;base64,R0 9x'>", "http://shop.test/dir/a.jpg");
    check_picture(
        "<picture><source srcset='b.jpg 2x'><source srcset='data:image/gif;base64,R0 9x'><img src=a.jpg></picture>",
        "http://shop.test/dir/b.jpg");
    read_html(&page, "<img><img src=''><img src='data:x'><img src='javascript:x'><img src='http://u:p@h/x.jpg'>");
    assert_int_equal(page.n_images, 0);
    ws_page_fini(&page);
}

static void the_first_base_speaks_for_the_whole_page(void **state)
{
    struct ws_page page;
    (void)state;
    read_html(&page, "<img src=early.jpg><base href='//cdn.test/p/'><base href='http://other.test/'><a href=x>x</a>");
    assert_string_equal(page.images[0].url, "http://cdn.test/p/early.jpg");
    assert_string_equal(page.links[0], "http://cdn.test/p/x");
    ws_page_fini(&page);
    read_html(&page, "<base href='mailto:x'><img src=a.jpg>");
    assert_string_equal(page.images[0].url, "http://shop.test/dir/a.jpg");
    ws_page_fini(&page);
}

static void links_stand_in_order_without_those_not_to_follow(void **state)
{
    struct ws_page page;
    (void)state;
    read_html(&page, "<a href='b'>b</a><a rel='NoFollow ugc' href=c>c</a><a rel=nofollowing href='a#x'>a</a>"
                     "<area href='?z'><a href='mailto:x@y'>m</a><a>no</a><link href=style.css>");
    assert_int_equal(page.n_links, 3);
    assert_string_equal(page.links[0], "http://shop.test/dir/b");
    assert_string_equal(page.links[1], "http://shop.test/dir/a");
    assert_string_equal(page.links[2], "http://shop.test/dir/page.html?z");
    ws_page_fini(&page);
}

static void what_meta_elements_say_is_heard(void **state)
{
    static const struct {
        const char *html;
        unsigned directives;
    } cases[] = {
        {"<meta name=robots content='noai, noimageai'>", WS_CONSENT_NOAI | WS_CONSENT_NOIMAGEAI},
        {"<META NAME=ROBOTS CONTENT=NONE>", WS_CONSENT_NOINDEX | WS_CONSENT_NOFOLLOW},
        {"<meta name=WebStill content=noindex>", WS_CONSENT_NOINDEX},
        {"<meta name=googlebot content=noindex>", 0},
        {"<meta name=robots content=noai><meta name=robots content=nofollow>", WS_CONSENT_NOAI | WS_CONSENT_NOFOLLOW},
        {"<body><p>late<meta name=robots content=noml>", WS_CONSENT_NOML},
        {"<meta name=tdm-reservation content=1>", WS_CONSENT_TDM_RESERVED},
        {"<meta name=tdm-reservation content=0>", 0},
        {"<meta name=robots>", 0},
        {"<!-- <meta name=robots content=noai> -->", 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ws_page page;
        read_html(&page, cases[i].html);
        if (page.directives != cases[i].directives)
            fail_msg("%s: expected %x, found %x", cases[i].html, cases[i].directives, page.directives);
        ws_page_fini(&page);
    }
}

static void the_charset_is_the_fields_the_pages_or_utf8(void **state)
{
    struct ws_page page;
    const char latin[] = "<img src=a.jpg alt='caf\xE9'>",
               declared[] = "<meta charset=iso-8859-1><img src=a.jpg alt='caf\xE9'>";
    (void)state;
    read_html(&page, "<img src=a.jpg alt='caf\xC3\xA9'>");
    assert_string_equal(page.images[0].alt, "caf\xC3\xA9");
    ws_page_fini(&page);
    read_bytes(&page, latin, strlen(latin), "ISO-8859-1");
    assert_string_equal(page.images[0].alt, "caf\xC3\xA9");
    ws_page_fini(&page);
    read_bytes(&page, declared, strlen(declared), NULL);
    assert_string_equal(page.images[0].alt, "caf\xC3\xA9");
    ws_page_fini(&page);
    read_bytes(&page, latin, strlen(latin), "no-such-charset");
    assert_int_equal(page.n_images, 1);
    ws_page_fini(&page);
}

static void broken_markup_is_read_as_far_as_it_goes(void **state)
{
    static const char *const cases[] = {
        "<img src=a.jpg",
        "<img src='a.jpg><p>text",
        "<<<>>><img src=a.jpg",
        "<img src=a.jpg></b></i><table><tr>",
        "<!DOCTYPE html [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><p>&x;<img src=a.jpg>",
        "<![CDATA[<img src=a.jpg>",
        "\xFF\xFE\x00",
        "<script>document.write('<img src=z.jpg>')</script><img src=a.jpg>",
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ws_page page;
        read_html(&page, cases[i]);
        assert_true(page.n_images <= 1);
        ws_page_fini(&page);
    }
    struct ws_page page;
    read_bytes(&page, "", 0, NULL);
    assert_int_equal(page.n_images, 0);
    assert_string_equal(page.title, "");
    ws_page_fini(&page);
}

static void counts_and_lengths_have_ceilings(void **state)
{
    const size_t n = 6000;
    char *html = malloc(n * 64 + 100000), *p = html;
    struct ws_page page;
    (void)state;
    assert_non_null(html);
    for (size_t i = 0; i < n; i++)
        p += sprintf(p, "<img src=%zu.jpg><a href=%zu>x</a>", i, i);
    p += sprintf(p, "<img alt='");
    memset(p, 'y', 50000);
    p += 50000;
    p += sprintf(p, "' src=z.jpg>");
    read_bytes(&page, html, (size_t)(p - html), NULL);
    assert_int_equal(page.n_images, WS_PAGE_MAX_IMAGES);
    assert_int_equal(page.n_links, WS_PAGE_MAX_LINKS);
    assert_string_equal(page.images[4999].url, "http://shop.test/dir/4999.jpg");
    ws_page_fini(&page);

    p = html + sprintf(html, "<title>");
    memset(p, 't', 50000);
    p += 50000;
    p += sprintf(p, "</title><img src=a.jpg alt='");
    memset(p, 'y', 50000);
    p += 50000;
    p += sprintf(p, "'>");
    read_bytes(&page, html, (size_t)(p - html), NULL);
    assert_int_equal(strlen(page.images[0].alt), WS_PAGE_MAX_TEXT - 1);
    assert_int_equal(strlen(page.title), WS_PAGE_MAX_TEXT - 1);
    ws_page_fini(&page);
    free(html);
}

static void fragments_become_plain_text(void **state)
{
    static const char *const cases[][2] = {
        {"<a href='//x'>Jane  <b>Doe</b></a>", "Jane Doe"},
        {"plain", "plain"},
        {"5 &lt; 6 &amp; &eacute;", "5 < 6 & \xC3\xA9"},
        {"", ""},
        {"<b>", ""},
    };
    char text[64], tiny[4];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ws_html_to_text(cases[i][0], text, sizeof text);
        assert_string_equal(text, cases[i][1]);
    }
    ws_html_to_text("abcdef", tiny, sizeof tiny);
    assert_string_equal(tiny, "abc");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_picture_comes_with_its_texts),
        cmocka_unit_test(the_largest_version_of_a_picture_is_taken),
        cmocka_unit_test(pictures_that_are_data_are_none),
        cmocka_unit_test(the_first_base_speaks_for_the_whole_page),
        cmocka_unit_test(links_stand_in_order_without_those_not_to_follow),
        cmocka_unit_test(what_meta_elements_say_is_heard),
        cmocka_unit_test(the_charset_is_the_fields_the_pages_or_utf8),
        cmocka_unit_test(broken_markup_is_read_as_far_as_it_goes),
        cmocka_unit_test(counts_and_lengths_have_ceilings),
        cmocka_unit_test(fragments_become_plain_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
