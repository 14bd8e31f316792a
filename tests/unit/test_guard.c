/* The address guard: what may not be connected to, in every disguise, and the exceptions a configuration makes. */
#include "../../crawler/net/guard.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const char *refuse(const struct ws_guard *guard, const char *text)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        return ws_guard_refuses(guard, (const struct sockaddr *)&v4);
    if (inet_pton(AF_INET6, text, &v6.sin6_addr) != 1)
        fail_msg("%s is no address", text);
    return ws_guard_refuses(guard, (const struct sockaddr *)&v6);
}

static void addresses_that_are_not_public_are_refused_by_name(void **state)
{
    static const char *const cases[][2] = {
        {"0.0.0.0", "this network"},
        {"10.255.255.255", "private"},
        {"100.64.0.1", "carrier-grade NAT"},
        {"100.127.255.255", "carrier-grade NAT"},
        {"127.0.0.1", "loopback"},
        {"127.255.255.255", "loopback"},
        {"169.254.169.254", "link-local"},
        {"172.16.0.1", "private"},
        {"172.31.255.255", "private"},
        {"192.0.0.1", "protocol assignments"},
        {"192.0.2.7", "documentation"},
        {"192.168.1.1", "private"},
        {"198.18.0.1", "benchmarking"},
        {"198.19.255.255", "benchmarking"},
        {"198.51.100.1", "documentation"},
        {"203.0.113.1", "documentation"},
        {"224.0.0.1", "multicast"},
        {"255.255.255.255", "reserved"},
        {"::", "unspecified"},
        {"::1", "loopback"},
        {"::127.0.0.1", "IPv4-compatible"},
        {"::ffff:127.0.0.1", "loopback"},
        {"::ffff:10.1.2.3", "private"},
        {"::ffff:0:10.1.2.3", "private"},
        {"64:ff9b::192.168.0.1", "private"},
        {"64:ff9b:1::1", "local NAT64"},
        {"2002:7f00:1::1", "loopback"},
        {"2002:a9fe:a9fe::", "link-local"},
        {"2001::1", "protocol assignments"},
        {"2001:db8::1", "documentation"},
        {"fc00::1", "private"},
        {"fd12:3456::1", "private"},
        {"fe80::1", "link-local"},
        {"fec0::1", "site-local"},
        {"ff02::1", "multicast"},
    };
    const struct ws_guard guard = {0};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *why = refuse(&guard, cases[i][0]);
        if (!why || strcmp(why, cases[i][1]) != 0)
            fail_msg("%s: expected %s, found %s", cases[i][0], cases[i][1], why ? why : "no refusal");
    }
}

static void public_addresses_pass(void **state)
{
    static const char *const cases[] = {
        "1.1.1.1",          "9.255.255.255",   "11.0.0.0",        "100.63.255.255",  "100.128.0.0",
        "126.255.255.255",  "128.0.0.0",       "169.253.255.255", "172.15.255.255",  "172.32.0.0",
        "192.167.255.255",  "198.17.255.255",  "198.20.0.0",      "223.255.255.255", "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8", "2002:808:808::1", "2001:200::1",     "2606:4700::1",    "2a00:1450:4001::1",
    };
    const struct ws_guard guard = {0};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (refuse(&guard, cases[i]))
            fail_msg("%s is refused as %s", cases[i], refuse(&guard, cases[i]));
}

static void what_is_no_internet_address_is_refused(void **state)
{
    const struct ws_guard guard = {0};
    const struct sockaddr local = {.sa_family = AF_UNIX};
    (void)state;
    assert_non_null(ws_guard_refuses(&guard, &local));
}

static void exceptions_hold_for_their_block_alone(void **state)
{
    char loopback[] = "127.0.87.0/24", other[] = "fd00::/8", *allow[] = {loopback, other};
    struct ws_guard guard;
    struct ws_err err = {0};
    (void)state;
    assert_int_equal(ws_guard_init(&guard, allow, 2, &err), WS_OK);
    assert_null(refuse(&guard, "127.0.87.9"));
    assert_null(refuse(&guard, "::ffff:127.0.87.9"));
    assert_null(refuse(&guard, "fd00::5"));
    assert_non_null(refuse(&guard, "127.0.86.255"));
    assert_non_null(refuse(&guard, "127.0.88.0"));
    assert_non_null(refuse(&guard, "fc00::5"));
    assert_non_null(refuse(&guard, "::1"));
    ws_guard_fini(&guard);
}

static void blocks_are_read_strictly(void **state)
{
    static const char *const good[] = {"0.0.0.0/0", "127.0.0.1", "127.0.0.0/8", "10.0.0.0/32",
                                       "::1",       "::/0",      "::1/128"};
    static const char *const bad[] = {"",
                                      "/8",
                                      "127.0.0.0/",
                                      "127.0.0.0/33",
                                      "127.0.0.0/-1",
                                      "127.0.0.0/+8",
                                      "127/8",
                                      "127.0.0.0/8x",
                                      "::1/129",
                                      "localhost",
                                      "127.0.0.0 /8",
                                      "127.0.0.0/ 8",
                                      "1.2.3.4.5",
                                      "::1/99999999999999999999"};
    struct ws_block block;
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (!ws_block_parse(&block, good[i]))
            fail_msg("\"%s\" is refused", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (ws_block_parse(&block, bad[i]))
            fail_msg("\"%s\" is taken", bad[i]);
}

static void a_bad_exception_is_named(void **state)
{
    char good[] = "127.0.0.0/8", bad[] = "everything", *allow[] = {good, bad};
    struct ws_guard guard;
    struct ws_err err = {0};
    (void)state;
    assert_int_equal(ws_guard_init(&guard, allow, 2, &err), WS_E_CONFIG);
    assert_non_null(strstr(err.text, "\"everything\""));
    assert_int_equal(guard.n_allowed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_that_are_not_public_are_refused_by_name),
        cmocka_unit_test(public_addresses_pass),
        cmocka_unit_test(what_is_no_internet_address_is_refused),
        cmocka_unit_test(exceptions_hold_for_their_block_alone),
        cmocka_unit_test(blocks_are_read_strictly),
        cmocka_unit_test(a_bad_exception_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
