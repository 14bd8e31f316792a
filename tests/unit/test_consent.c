/* Opt-outs besides robots.txt: every form refuses, nobody else's does, and nothing hides one. */
#include "../../crawler/page/consent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static unsigned tag(const char *value)
{
    return ws_consent_robots_tag(value, "webstill");
}

static unsigned head(const char *text)
{
    return ws_consent_head((struct ws_span){(const uint8_t *)text, strlen(text)}, "webstill");
}

static void each_directive_is_known_in_any_case(void **state)
{
    (void)state;
    assert_int_equal(tag("noindex"), WS_CONSENT_NOINDEX);
    assert_int_equal(tag("NOFOLLOW"), WS_CONSENT_NOFOLLOW);
    assert_int_equal(tag("none"), WS_CONSENT_NOINDEX | WS_CONSENT_NOFOLLOW);
    assert_int_equal(tag("NoImageIndex"), WS_CONSENT_NOIMAGEINDEX);
    assert_int_equal(tag(" noai ,\tnoimageai, noml"), WS_CONSENT_NOAI | WS_CONSENT_NOIMAGEAI | WS_CONSENT_NOML);
    assert_int_equal(tag("all, index, noarchive, , noaim, xnoai"), 0);
    assert_int_equal(tag(""), 0);
}

static void a_crawlers_name_turns_directives_to_it_alone(void **state)
{
    (void)state;
    assert_int_equal(tag("webstill: noai"), WS_CONSENT_NOAI);
    assert_int_equal(tag("WebStill : noai"), WS_CONSENT_NOAI);
    assert_int_equal(tag("*: noai"), WS_CONSENT_NOAI);
    assert_int_equal(tag("otherbot: noai, noindex"), 0);
    assert_int_equal(tag("otherbot: noai, webstill: noindex"), WS_CONSENT_NOINDEX);
    assert_int_equal(tag("noai, otherbot: noindex"), WS_CONSENT_NOAI);
}

static void a_date_with_commas_and_colons_hides_nothing(void **state)
{
    (void)state;
    assert_int_equal(tag("unavailable_after: 25 Jun 2030 15:00:00 GMT, noai"), WS_CONSENT_NOAI);
    assert_int_equal(tag("unavailable_after: Tue, 25 Jun 2030 15:00:00 GMT, noai"), WS_CONSENT_NOAI);
    assert_int_equal(tag("unavailable_after: Tuesday, 25-Jun-30 15:00:00 GMT, noimageai"), WS_CONSENT_NOIMAGEAI);
    assert_int_equal(tag("max-snippet: 20, max-image-preview: large, max-video-preview: -1, noai"), WS_CONSENT_NOAI);
    assert_int_equal(tag("otherbot: unavailable_after: Tue, 25 Jun 2030 15:00:00 GMT, noai"), 0);
}

static void a_meta_element_may_use_commas_or_spaces(void **state)
{
    (void)state;
    assert_int_equal(ws_consent_meta("noai, noimageai"), WS_CONSENT_NOAI | WS_CONSENT_NOIMAGEAI);
    assert_int_equal(ws_consent_meta("NOINDEX,NOFOLLOW"), WS_CONSENT_NOINDEX | WS_CONSENT_NOFOLLOW);
    assert_int_equal(ws_consent_meta("\n none noml\t"), WS_CONSENT_NOINDEX | WS_CONSENT_NOFOLLOW | WS_CONSENT_NOML);
    assert_int_equal(ws_consent_meta("index, follow"), 0);
    assert_int_equal(ws_consent_meta(""), 0);
}

static void content_usage_refuses_training(void **state)
{
    (void)state;
    assert_int_equal(ws_consent_usage("train-ai=n"), WS_CONSENT_NO_TRAINING);
    assert_int_equal(ws_consent_usage("search=y, train-ai=n"), WS_CONSENT_NO_TRAINING);
    assert_int_equal(ws_consent_usage("train-ai=n;exp=1, search=y"), WS_CONSENT_NO_TRAINING);
    assert_int_equal(ws_consent_usage("train-ai=y"), 0);
    assert_int_equal(ws_consent_usage("search=n"), 0);
    assert_int_equal(ws_consent_usage(""), 0);
}

static void every_field_of_a_head_counts(void **state)
{
    (void)state;
    assert_int_equal(head("HTTP/1.1 200 OK\r\nX-Robots-Tag: noindex\r\nServer: x\r\nx-robots-tag: otherbot: none\r\n"
                          "X-ROBOTS-TAG: noai\r\n\r\n"),
                     WS_CONSENT_NOINDEX | WS_CONSENT_NOAI);
    assert_int_equal(head("HTTP/1.1 200 OK\r\nContent-Usage: search=y\r\nContent-Usage: train-ai=n\r\n\r\n"),
                     WS_CONSENT_NO_TRAINING);
    assert_int_equal(head("HTTP/2 200\r\ntdm-reservation: 1\r\n\r\n"), WS_CONSENT_TDM_RESERVED);
    assert_int_equal(head("HTTP/1.1 200 OK\r\ntdm-reservation: 0\r\n\r\n"), 0);
    assert_int_equal(head("HTTP/1.1 200 OK\r\nX-Robots-Tag : noai\r\n\r\n"), WS_CONSENT_NOAI);
    assert_int_equal(head("HTTP/1.1 200 OK\r\n\r\nX-Robots-Tag: noai\r\n"), 0); /* that is the body */
    assert_int_equal(head(""), 0);
}

static void refusals_have_names_and_nofollow_is_none(void **state)
{
    (void)state;
    assert_string_equal(ws_consent_refusal(WS_CONSENT_NOAI | WS_CONSENT_NOINDEX), "noai");
    assert_string_equal(ws_consent_refusal(WS_CONSENT_NOINDEX), "noindex");
    assert_string_equal(ws_consent_refusal(WS_CONSENT_NOIMAGEINDEX), "noimageindex");
    assert_string_equal(ws_consent_refusal(WS_CONSENT_NOIMAGEAI), "noimageai");
    assert_string_equal(ws_consent_refusal(WS_CONSENT_NOML), "noml");
    assert_string_equal(ws_consent_refusal(WS_CONSENT_NO_TRAINING), "Content-Usage: train-ai=n");
    assert_string_equal(ws_consent_refusal(WS_CONSENT_TDM_RESERVED), "tdm-reservation: 1");
    assert_null(ws_consent_refusal(WS_CONSENT_NOFOLLOW));
    assert_null(ws_consent_refusal(0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_directive_is_known_in_any_case),
        cmocka_unit_test(a_crawlers_name_turns_directives_to_it_alone),
        cmocka_unit_test(a_date_with_commas_and_colons_hides_nothing),
        cmocka_unit_test(a_meta_element_may_use_commas_or_spaces),
        cmocka_unit_test(content_usage_refuses_training),
        cmocka_unit_test(every_field_of_a_head_counts),
        cmocka_unit_test(refusals_have_names_and_nofollow_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
