/* MediaWiki's answers: pictures with their licences, continuation, errors, and XML that is a weapon. */
#include "../../crawler/source/mediawiki_answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static enum ws_status read_bytes(struct ws_mediawiki_answer *answer, const char *xml, size_t len, struct ws_err *err)
{
    return ws_mediawiki_read(answer, (struct ws_span){(const uint8_t *)xml, len}, err);
}

static void read_xml(struct ws_mediawiki_answer *answer, const char *xml)
{
    struct ws_err err = {0};
    if (read_bytes(answer, xml, strlen(xml), &err) != WS_OK)
        fail_msg("%s", err.text);
}

static void pictures_come_by_rank_with_licences_as_plain_text(void **state)
{
    struct ws_mediawiki_answer answer;
    (void)state;
    read_xml(
        &answer,
        "<?xml version='1.0'?><api batchcomplete=''><query><pages>"
        "<page pageid='9' ns='6' title='File:B.jpg' index='2'><imageinfo><ii user='U2' url='http://h/B.jpg' "
        "descriptionurl='http://c/B' mime='image/jpeg'/></imageinfo></page>"
        "<page pageid='3' ns='6' title='File:A &amp; co.jpg' index='1'><imageinfo><ii user='U1' url='http://h/A.jpg'>"
        "<extmetadata><LicenseShortName value='CC BY 4.0'/><LicenseUrl value='https://cc.test/by'/>"
        "<Artist value='&lt;a href=\"//x\"&gt;Jane &amp;amp; Joe&lt;/a&gt;'/><Attribution value='Jane'/>"
        "<ImageDescription value='A  &lt;b&gt;dress&lt;/b&gt;'/><Credit value='own'/></extmetadata></ii></imageinfo>"
        "</page><page pageid='1' title='File:None.jpg' index='3'/></pages></query></api>");
    assert_int_equal(answer.n_images, 2);
    const struct ws_mediawiki_image *first = &answer.images[0], *second = &answer.images[1];
    assert_string_equal(first->title, "File:A & co.jpg");
    assert_string_equal(first->url, "http://h/A.jpg");
    assert_string_equal(first->licence, "CC BY 4.0");
    assert_string_equal(first->licence_url, "https://cc.test/by");
    assert_string_equal(first->author, "Jane & Joe");
    assert_string_equal(first->attribution, "Jane");
    assert_string_equal(first->description, "A dress");
    assert_string_equal(first->user, "U1");
    assert_string_equal(first->page, "");
    assert_string_equal(second->page, "http://c/B");
    assert_string_equal(second->mime, "image/jpeg");
    assert_string_equal(second->licence, "");
    assert_null(answer.error_code);
    assert_int_equal(answer.n_parameters, 0);
    ws_mediawiki_fini(&answer);
}

static void every_key_of_continue_is_kept(void **state)
{
    struct ws_mediawiki_answer answer;
    (void)state;
    read_xml(&answer, "<api><continue gsroffset='50' iistart='x|y' continue='gsroffset||'/></api>");
    assert_int_equal(answer.n_parameters, 3);
    assert_string_equal(answer.parameters[0].name, "gsroffset");
    assert_string_equal(answer.parameters[0].value, "50");
    assert_string_equal(answer.parameters[1].value, "x|y");
    assert_string_equal(answer.parameters[2].name, "continue");
    ws_mediawiki_fini(&answer);
}

static void an_error_is_told_with_its_code(void **state)
{
    struct ws_mediawiki_answer answer;
    (void)state;
    read_xml(&answer, "<api><error code='maxlag' info='Waiting for db1: 6 s lagged'/></api>");
    assert_string_equal(answer.error_code, "maxlag");
    assert_string_equal(answer.error_info, "Waiting for db1: 6 s lagged");
    assert_int_equal(answer.n_images, 0);
    ws_mediawiki_fini(&answer);
}

static void what_is_no_answer_is_refused(void **state)
{
    static const char *const cases[] = {
        "",
        "no XML",
        "<html><body>Bad gateway</body></html>",
        "<api><query>",
        "<api></query>",
        "<api/><api/>",
        "<api>&undefined;</api>",
        "<!DOCTYPE api [<!ENTITY a 'x'>]><api>&a;</api>",
        "<!DOCTYPE api SYSTEM 'file:///etc/passwd'><api/>",
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ws_mediawiki_answer answer;
        struct ws_err err = {0};
        if (read_bytes(&answer, cases[i], strlen(cases[i]), &err) != WS_E_FORMAT)
            fail_msg("\"%s\" is taken", cases[i]);
        assert_true(strlen(err.text) > 20);
        assert_int_equal(answer.n_images, 0);
    }
}

static void other_encodings_smuggle_no_entities_in(void **state)
{
    /* In UTF-7, "+ADw-" is "<"; in UTF-16 every second octet is NUL. */
    static const char utf7[] =
        "<?xml version=\"1.0\" encoding=\"UTF-7\"?>+ADw-!DOCTYPE api [+ADw-!ENTITY a 'http://h/'>]>"
        "<api><page title='x'><ii url='+ACY-a;'/></page></api>";
    static const char utf16[] = "\xFF\xFE<\0a\0p\0i\0/\0>\0";
    struct ws_mediawiki_answer answer;
    struct ws_err err = {0};
    (void)state;
    if (read_bytes(&answer, utf7, sizeof utf7 - 1, &err) == WS_OK) {
        for (size_t i = 0; i < answer.n_images; i++)
            assert_null(strstr(answer.images[i].url, "http://h/"));
        ws_mediawiki_fini(&answer);
    }
    assert_int_equal(read_bytes(&answer, utf16, sizeof utf16 - 1, &err), WS_E_FORMAT);
}

static void pictures_have_a_ceiling(void **state)
{
    static char xml[6000 * 64 + 64];
    struct ws_mediawiki_answer answer;
    char *p = xml + sprintf(xml, "<api>");
    (void)state;
    for (int i = 0; i < 6000; i++)
        p += sprintf(p, "<page index='%d'><ii url='http://h/%d'/></page>", 6000 - i, i);
    sprintf(p, "</api>");
    read_xml(&answer, xml);
    assert_int_equal(answer.n_images, WS_MEDIAWIKI_MAX_IMAGES);
    for (size_t i = 1; i < answer.n_images; i++)
        assert_true(answer.images[i - 1].index < answer.images[i].index);
    ws_mediawiki_fini(&answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pictures_come_by_rank_with_licences_as_plain_text),
        cmocka_unit_test(every_key_of_continue_is_kept),
        cmocka_unit_test(an_error_is_told_with_its_code),
        cmocka_unit_test(what_is_no_answer_is_refused),
        cmocka_unit_test(other_encodings_smuggle_no_entities_in),
        cmocka_unit_test(pictures_have_a_ceiling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
