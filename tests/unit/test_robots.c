/* robots.txt: RFC 9309's groups and matching, files as they are found in the wild, and hostile ones. */
#include "../../crawler/net/robots.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct ws_span span(const char *text)
{
    return (struct ws_span){(const uint8_t *)text, strlen(text)};
}

static struct ws_robots_decision decide(const char *text, const char *path)
{
    struct ws_robots_decision decision;
    ws_robots_decide(span(text), "webstill", path, &decision);
    return decision;
}

static bool may(const char *text, const char *path)
{
    return decide(text, path).is_allowed;
}

struct question {
    const char *rules, *path;
    bool is_allowed;
};

/** Each with the rules in a group for everyone. */
static void check(const struct question *questions, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char text[1024];
        snprintf(text, sizeof text, "User-agent: *\n%s\n", questions[i].rules);
        if (may(text, questions[i].path) != questions[i].is_allowed)
            fail_msg("%s under \"%s\" should be %s", questions[i].path, questions[i].rules,
                     questions[i].is_allowed ? "allowed" : "forbidden");
    }
}
#define CHECK(questions) check(questions, sizeof(questions) / sizeof *(questions))

static void the_product_token_is_the_first_word_in_lower_case(void **state)
{
    static const char *const cases[][2] = {
        {"WebStill/0.1 (+https://x.example)", "webstill"},
        {"my_own-Bot", "my_own-bot"},
        {"a2/1", "a"},
        {"", ""},
        {"1x", ""},
    };
    char token[WS_ROBOTS_TOKEN_MAX], longest[200];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ws_robots_token(cases[i][0], token);
        assert_string_equal(token, cases[i][1]);
    }
    memset(longest, 'a', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    ws_robots_token(longest, token);
    assert_int_equal(strlen(token), WS_ROBOTS_TOKEN_MAX - 1);
}

static void nothing_said_is_everything_allowed(void **state)
{
    (void)state;
    assert_true(may("", "/x"));
    assert_true(may("<html><body>404: no such page</body></html>", "/x"));
    assert_true(may("Disallow: /\n", "/x")); /* a rule before any group is nobody's */
    assert_true(may("User-agent: other\nDisallow: /\n", "/x"));
    assert_true(may("User-agent: *\nDisallow:\n", "/x"));
    assert_true(may("User-agent: *\nDisallow: # all of it\n", "/x"));
}

static void robots_txt_itself_is_always_allowed(void **state)
{
    (void)state;
    assert_true(may("User-agent: *\nDisallow: /\n", "/robots.txt"));
    assert_false(may("User-agent: *\nDisallow: /\n", "/robots.txt.bak"));
}

static void our_group_is_ours_whatever_its_case_and_version(void **state)
{
    static const char *const names[] = {"webstill", "WEBSTILL", "Webstill/7.1", "webstill *", "webstill crawler"};
    static const char *const others[] = {"webstil",     "webstiller", "webstill-images",
                                         "my webstill", "web still",  "still"};
    char text[200];
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(text, sizeof text, "User-agent: %s\nDisallow: /x\n", names[i]);
        assert_false(may(text, "/x"));
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        snprintf(text, sizeof text, "User-agent: %s\nDisallow: /x\n", others[i]);
        assert_true(may(text, "/x"));
    }
}

static void our_group_replaces_everyone_s_wherever_it_stands(void **state)
{
    (void)state;
    assert_true(may("User-agent: *\nDisallow: /\nUser-agent: webstill\nDisallow: /x\n", "/y"));
    assert_false(may("User-agent: webstill\nDisallow: /x\nUser-agent: *\nAllow: /\n", "/x"));
    assert_true(may("User-agent: *\nDisallow: /\nUser-agent: webstill\n", "/y")); /* ours without rules: no rules */
    assert_true(may("User-agent: *\nDisallow: /\nUser-agent: webstill\nDisallow:\n", "/y"));
}

static void groups_of_the_same_name_are_one(void **state)
{
    static const char text[] = "User-agent: webstill\nDisallow: /a\n\nUser-agent: other\nDisallow: /b\n\n"
                               "User-agent: webstill\nDisallow: /c\n";
    (void)state;
    assert_false(may(text, "/a"));
    assert_true(may(text, "/b"));
    assert_false(may(text, "/c"));
    assert_false(may("User-agent: *\nDisallow: /a\nUser-agent: z\nAllow: /\nUser-agent: *\nDisallow: /c\n", "/c"));
}

static void names_in_a_row_share_their_rules(void **state)
{
    (void)state;
    assert_false(may("User-agent: a\nUser-agent: webstill\nUser-agent: b\nDisallow: /x\n", "/x"));
    assert_false(may("User-agent: webstill\n\n# a note\n\nUser-agent: b\nDisallow: /x\n", "/x"));
    /* Records that are none of the RFC's end no list of names (§2.2.4). */
    assert_false(may("User-agent: webstill\nSitemap: http://a/s.xml\nUser-agent: b\nDisallow: /x\n", "/x"));
    assert_false(may("User-agent: webstill\nCrawl-delay: 5\nUser-agent: b\nDisallow: /x\n", "/x"));
    assert_true(may("User-agent: webstill\nDisallow: /y\nUser-agent: b\nDisallow: /x\n", "/x"));
    assert_true(may("User-agent: webstill\nDisallow:\nUser-agent: b\nDisallow: /x\n", "/x"));
}

static void the_longest_match_wins_and_allow_wins_a_tie(void **state)
{
    static const struct question questions[] = {
        {"Allow: /p\nDisallow: /", "/page", true},
        {"Disallow: /\nAllow: /p", "/page", true},
        {"Allow: /folder\nDisallow: /folder/x", "/folder/x.jpg", false},
        {"Disallow: /folder\nAllow: /folder", "/folder/page", true},
        {"Allow: /folder\nDisallow: /folder", "/folder/page", true},
        {"Allow: /page\nDisallow: /*.htm", "/page.htm", false},
        {"Allow: /page\nDisallow: /*.ht", "/page.htm", true},
        {"Allow: /$\nDisallow: /", "/", true},
        {"Allow: /$\nDisallow: /", "/page.htm", false},
        {"Disallow: /a/*/c\nAllow: /a/", "/a/b/c", false},
        {"Disallow: /x\nDisallow: /x/y\nAllow: /x/y", "/x/y", true},
    };
    (void)state;
    CHECK(questions);
}

static void paths_match_from_their_beginning_and_by_case(void **state)
{
    static const struct question questions[] = {
        {"Disallow: /fish", "/fish", false},
        {"Disallow: /fish", "/fish.html", false},
        {"Disallow: /fish", "/fish/salmon", false},
        {"Disallow: /fish", "/fish?id=1", false},
        {"Disallow: /fish", "/Fish", true},
        {"Disallow: /fish", "/cat/fish", true},
        {"Disallow: /fish/", "/fish", true},
        {"Disallow: /fish/", "/fish/", false},
        {"Disallow: fish", "/fish", true},
        {"DISALLOW: /fish", "/fish", false},
        {"  dIsAlLoW \t:\t /fish \t", "/fish/x", false},
        {"Disallow:/fish#all of them", "/fish", false},
        {"Disallow: /a b", "/a%20b", false},
    };
    (void)state;
    CHECK(questions);
}

static void star_is_any_run_and_a_final_dollar_the_end(void **state)
{
    static const struct question questions[] = {
        {"Disallow: *", "/x", false},
        {"Disallow: /*", "/", false},
        {"Disallow: /fish*", "/fishheads", false},
        {"Disallow: /*.php", "/a/b.php?c", false},
        {"Disallow: /*.php", "/a/b.PHP", true},
        {"Disallow: /*.php$", "/b.php", false},
        {"Disallow: /*.php$", "/b.php?c", true},
        {"Disallow: /*.php$", "/b.php/x.php", false},
        {"Disallow: /fish*.php", "/fishheads/cat.php?x", false},
        {"Disallow: /fish*.php", "/Fish.php", true},
        {"Disallow: /a$b", "/a$b", false},
        {"Disallow: /a$b", "/a", true},
        {"Disallow: /a%24", "/a$", false},
        {"Disallow: /a%24", "/a", true},
        {"Disallow: /a%2A", "/a*", false},
        {"Disallow: /a%2A", "/ab", true},
        {"Disallow: /**x**$", "/aax", false},
        {"Disallow: /*a*b*c$", "/xaybzc", false},
        {"Disallow: /*a*b*c$", "/xaybzcd", true},
        {"Disallow: $", "/", true},
        {"Disallow: /$", "/", false},
    };
    (void)state;
    CHECK(questions);
}

static void both_sides_are_percent_normalised(void **state)
{
    static const struct question questions[] = {
        {"Disallow: /foo/bar?baz=http%3A%2F%2Ffoo.bar", "/foo/bar?baz=http%3A%2F%2Ffoo.bar", false},
        {"Disallow: /foo/bar/\xE3\x83\x84", "/foo/bar/%E3%83%84", false},
        {"Disallow: /foo/bar/%e3%83%84", "/foo/bar/%E3%83%84", false},
        {"Disallow: /foo/bar/%62%61%7A", "/foo/bar/baz", false},
        {"Disallow: /%7ejoe/", "/~joe/x", false},
        {"Disallow: /a%2Fb", "/a/b", true},
        {"Disallow: /a/b", "/a%2Fb", true},
        {"Disallow: /100%", "/100%25", false},
        {"Disallow: /%zz$", "/%25zz", false},
        {"Disallow: /caf\xE9", "/caf%E9", false},
    };
    (void)state;
    CHECK(questions);
}

static void lines_end_in_any_way_and_may_begin_with_a_bom(void **state)
{
    (void)state;
    assert_false(may("\xEF\xBB\xBFUser-agent: *\nDisallow: /x\n", "/x"));
    assert_false(may("User-agent: *\r\nDisallow: /x\r\n", "/x"));
    assert_false(may("User-agent: *\rDisallow: /x\r", "/x"));
    assert_false(may("User-agent: *\nDisallow: /x", "/x"));
    assert_int_equal(decide("\r\n\r\nUser-agent: *\r\nDisallow: /x", "/x").line, 4);
    assert_int_equal(decide("\r\rUser-agent: *\rDisallow: /x", "/x").line, 4);
}

static void a_decision_carries_the_line_that_made_it(void **state)
{
    static const char text[] = "# ours\nUser-agent: webstill\n  Disallow: /private # keep out\nAllow: /private/open\n";
    struct ws_robots_decision decision = decide(text, "/private/x");
    char longest[1000] = "User-agent: *\nDisallow: /", path[1000] = "/";
    (void)state;
    assert_false(decision.is_allowed);
    assert_int_equal(decision.line, 3);
    assert_string_equal(decision.rule, "Disallow: /private");
    decision = decide(text, "/private/open/x");
    assert_true(decision.is_allowed);
    assert_int_equal(decision.line, 4);
    decision = decide(text, "/x");
    assert_true(decision.is_allowed);
    assert_int_equal(decision.line, 0);
    assert_string_equal(decision.rule, "");
    memset(longest + strlen(longest), 'y', 600);
    memset(path + 1, 'y', 600);
    decision = decide(longest, path);
    assert_false(decision.is_allowed);
    assert_int_equal(strlen(decision.rule), sizeof decision.rule - 1);
}

static void a_very_long_rule_counts(void **state)
{
    static char text[8192] = "User-agent: *\nDisallow: /", path[4096] = "/";
    (void)state;
    memset(text + strlen(text), 'y', 4000);
    memset(path + 1, 'y', 4000);
    assert_false(may(text, path));
    path[4000] = '\0'; /* one short of the rule */
    assert_true(may(text, path));
}

/** `n` octets of comments, then `tail`. */
static char *pad(size_t n, const char *tail)
{
    char *text = malloc(n + strlen(tail) + 1);
    assert_non_null(text);
    for (size_t i = 0; i < n; i++)
        text[i] = i % 64 == 63 ? '\n' : '#';
    text[n - 1] = '\n';
    strcpy(text + n, tail);
    return text;
}

static void at_least_500_kib_are_read_and_no_half_rule(void **state)
{
    const char *rules = "User-agent: *\nDisallow: /x\nAllow: /xyz\n";
    char *text = pad(WS_ROBOTS_MAX_BYTES - strlen(rules), rules);
    (void)state;
    assert_false(may(text, "/x"));
    free(text);
    /* The ceiling falls into "Disallow: /private/pictures": "Disallow: /p" would be another rule. */
    rules = "User-agent: *\nDisallow: /x\nDisallow: /p";
    text = pad(WS_ROBOTS_MAX_BYTES - strlen(rules), "User-agent: *\nDisallow: /x\nDisallow: /private/pictures\n");
    assert_false(may(text, "/x"));
    assert_true(may(text, "/page"));
    assert_true(may(text, "/private/pictures"));
    free(text);
}

static void rules_made_to_be_dear_end_in_a_refusal(void **state)
{
    static char text[300 * 1024], path[4000];
    size_t len = (size_t)sprintf(text, "User-agent: *\n");
    (void)state;
    memset(path, 'a', sizeof path - 1);
    path[0] = '/';
    while (len < sizeof text - 400) {
        len += (size_t)sprintf(text + len, "Disallow: /*");
        memset(text + len, 'a', 200);
        len += 200;
        len += (size_t)sprintf(text + len, "b$\n");
    }
    const struct ws_robots_decision decision = decide(text, path);
    assert_false(decision.is_allowed);
    assert_int_equal(decision.line, 0);
    assert_string_not_equal(decision.rule, "");
}

static void nul_octets_and_odd_lines_do_no_harm(void **state)
{
    static const char text[] = "User-agent: *\nDis\0allow: /a\n:\n: /b\nDisallow\n\n#\nDisallow: /x\n";
    struct ws_robots_decision decision;
    (void)state;
    ws_robots_decide((struct ws_span){(const uint8_t *)text, sizeof text - 1}, "webstill", "/x", &decision);
    assert_false(decision.is_allowed);
    ws_robots_decide((struct ws_span){(const uint8_t *)text, sizeof text - 1}, "webstill", "/a", &decision);
    assert_true(decision.is_allowed);
    ws_robots_decide((struct ws_span){NULL, 0}, "webstill", "/a", &decision);
    assert_true(decision.is_allowed);
}

static void crawl_delay_is_that_of_our_group(void **state)
{
    static const struct {
        const char *text;
        double delay_s;
    } cases[] = {
        {"User-agent: *\nCrawl-delay: 7\nDisallow: /x\n", 7},
        {"User-agent: *\nCrawl-delay: 7\n\nUser-agent: webstill\nDisallow: /x\n", -1}, /* said before we were named */
        {"User-agent: *\nDisallow: /x\nCrawl-delay: 7\nUser-agent: webstill\nDisallow: /x\n", -1},
        {"User-agent: webstill\nDisallow:\ncrawl-DELAY : 0.5\n", 0.5},
        {"User-agent: webstill\nDisallow:\nCrawl-delay: 2\nCrawl-delay: 9\nCrawl-delay: 3\n", 9},
        {"User-agent: *\nCrawl-delay: -4\n", -1},
        {"User-agent: *\nCrawl-delay: soon\n", -1},
        {"User-agent: *\nCrawl-delay: nan\n", -1},
        {"User-agent: *\nCrawl-delay:\n", -1},
        {"User-agent: other\nCrawl-delay: 8\n", -1},
        {"", -1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_float_equal(ws_robots_crawl_delay(span(cases[i].text), "webstill"), cases[i].delay_s, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_product_token_is_the_first_word_in_lower_case),
        cmocka_unit_test(nothing_said_is_everything_allowed),
        cmocka_unit_test(robots_txt_itself_is_always_allowed),
        cmocka_unit_test(our_group_is_ours_whatever_its_case_and_version),
        cmocka_unit_test(our_group_replaces_everyone_s_wherever_it_stands),
        cmocka_unit_test(groups_of_the_same_name_are_one),
        cmocka_unit_test(names_in_a_row_share_their_rules),
        cmocka_unit_test(the_longest_match_wins_and_allow_wins_a_tie),
        cmocka_unit_test(paths_match_from_their_beginning_and_by_case),
        cmocka_unit_test(star_is_any_run_and_a_final_dollar_the_end),
        cmocka_unit_test(both_sides_are_percent_normalised),
        cmocka_unit_test(lines_end_in_any_way_and_may_begin_with_a_bom),
        cmocka_unit_test(a_decision_carries_the_line_that_made_it),
        cmocka_unit_test(a_very_long_rule_counts),
        cmocka_unit_test(at_least_500_kib_are_read_and_no_half_rule),
        cmocka_unit_test(rules_made_to_be_dear_end_in_a_refusal),
        cmocka_unit_test(nul_octets_and_odd_lines_do_no_harm),
        cmocka_unit_test(crawl_delay_is_that_of_our_group),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
