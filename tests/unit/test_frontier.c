/* The frontier: queues in order, nothing lost by a kill, nothing kept that was not committed. */
#include "../../crawler/books/frontier.h"
#include "temp.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/wait.h>

#include <cmocka.h>

#define OK(call)                                                                                                       \
    do {                                                                                                               \
        struct ws_err ok_err = {0}, *err = &ok_err;                                                                    \
        if ((call) != WS_OK)                                                                                           \
            fail_msg("%s: %s", #call, ok_err.text);                                                                    \
    } while (0)

static struct ws_frontier *open_frontier(void **state)
{
    char path[TEMP_PATH];
    struct ws_frontier *frontier = NULL;
    OK(ws_frontier_open(&frontier, temp_join(path, *state, "frontier"), err));
    return frontier;
}

static struct ws_image_id key_of(const char *url)
{
    return ws_url_key(url);
}

static void queue(struct ws_frontier *f, const char *origin, const char *url, int64_t due_ms)
{
    const struct ws_image_id id = key_of(url);
    OK(ws_frontier_queue(f, origin, WS_ITEM_IMAGE, &id, due_ms, err));
}

static bool peeks(struct ws_frontier *f, const char *origin, const char *url, struct ws_item *item)
{
    const struct ws_image_id id = key_of(url);
    struct ws_err slip = {0};
    return ws_frontier_peek(f, origin, item, &slip) == WS_OK && ws_image_id_compare(&item->id, &id) == 0;
}

static bool is_empty(struct ws_frontier *f, const char *origin)
{
    struct ws_item item;
    struct ws_err slip = {0};
    return ws_frontier_peek(f, origin, &item, &slip) == WS_DONE;
}

static void a_queue_gives_the_soonest_then_the_first_come(void **state)
{
    static const char a[] = "http://a:80";
    struct ws_frontier *f = open_frontier(state);
    struct ws_item item;
    queue(f, a, "late", 5000);
    queue(f, a, "one", 0);
    queue(f, a, "two", 0);
    queue(f, a, "soon", 300);
    queue(f, "http://a:8", "other port", 0);
    queue(f, "http://a:800", "another port", 0);
    const char *const order[] = {"one", "two", "soon", "late"};
    for (size_t i = 0; i < 4; i++) {
        assert_true(peeks(f, a, order[i], &item));
        OK(ws_frontier_take(f, a, &item, err));
        OK(ws_frontier_land(f, a, &item, err));
    }
    assert_true(is_empty(f, a));
    assert_false(is_empty(f, "http://a:8"));
    assert_true(is_empty(f, "http://unknown:80"));
    ws_frontier_close(&f);
    assert_null(f);
}

static void origins_are_listed_once_each(void **state)
{
    struct ws_frontier *f = open_frontier(state);
    char origin[WS_ORIGIN_MAX] = "";
    const char *const expected[] = {"http://a:80", "http://a:8080", "https://a:443"};
    struct ws_err slip = {0};
    for (int i = 0; i < 3; i++)
        for (int n = 0; n < 3; n++)
            queue(f, expected[i], n == 0 ? "x" : n == 1 ? "y" : "z", n * 1000);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ws_frontier_next_origin(f, origin, &slip), WS_OK);
        assert_string_equal(origin, expected[i]);
    }
    assert_int_equal(ws_frontier_next_origin(f, origin, &slip), WS_DONE);
    struct ws_item item;
    size_t n_items = 0;
    origin[0] = '\0';
    while (ws_frontier_next_item(f, origin, &item, &slip) == WS_OK)
        n_items++;
    assert_int_equal(n_items, 9);
    ws_frontier_close(&f);
}

static void what_was_in_flight_goes_back_to_its_place(void **state)
{
    static const char a[] = "http://a:80";
    struct ws_frontier *f = open_frontier(state);
    struct ws_item item;
    queue(f, a, "one", 0);
    queue(f, a, "two", 0);
    assert_true(peeks(f, a, "one", &item));
    OK(ws_frontier_take(f, a, &item, err));
    assert_true(peeks(f, a, "two", &item));
    OK(ws_frontier_commit(f, err));
    ws_frontier_close(&f);
    f = open_frontier(state);
    assert_true(peeks(f, a, "one", &item));
    OK(ws_frontier_take(f, a, &item, err));
    OK(ws_frontier_land(f, a, &item, err));
    assert_true(peeks(f, a, "two", &item));
    queue(f, a, "three", 0);
    OK(ws_frontier_commit(f, err));
    ws_frontier_close(&f);
    f = open_frontier(state); /* the counter of arrivals went on: "three" is behind "two" */
    assert_true(peeks(f, a, "two", &item));
    ws_frontier_close(&f);
}

static void an_item_that_is_not_there_is_damage(void **state)
{
    static const char a[] = "http://a:80";
    struct ws_frontier *f = open_frontier(state);
    struct ws_item item;
    struct ws_err slip = {0};
    queue(f, a, "one", 0);
    assert_true(peeks(f, a, "one", &item));
    assert_int_equal(ws_frontier_land(f, a, &item, &slip), WS_E_DAMAGED);
    OK(ws_frontier_take(f, a, &item, err));
    assert_int_equal(ws_frontier_take(f, a, &item, &slip), WS_E_DAMAGED);
    ws_frontier_close(&f);
}

static void only_what_is_committed_survives_a_kill(void **state)
{
    static const char a[] = "http://a:80";
    struct ws_item item;
    int ready[2];
    char byte = 0;
    assert_int_equal(pipe(ready), 0);
    const pid_t child = fork();
    if (child == 0) {
        struct ws_frontier *f = open_frontier(state);
        queue(f, a, "one", 0);
        queue(f, a, "two", 0);
        OK(ws_frontier_put_meta(f, "warc", "0 100", err));
        OK(ws_frontier_commit(f, err));
        if (peeks(f, a, "one", &item))
            OK(ws_frontier_take(f, a, &item, err));
        OK(ws_frontier_land(f, a, &item, err));
        OK(ws_frontier_put_meta(f, "warc", "0 200", err));
        if (write(ready[1], "x", 1) == 1)
            pause();
        _exit(1);
    }
    assert_true(child > 0);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    close(ready[0]);
    close(ready[1]);

    struct ws_frontier *f = open_frontier(state);
    struct ws_buf position = {0};
    assert_true(peeks(f, a, "one", &item));
    OK(ws_frontier_get_meta(f, "warc", &position, err));
    assert_string_equal(position.ptr, "0 100");
    ws_buf_fini(&position);
    ws_frontier_close(&f);
}

static void an_entry_comes_back_as_it_was_put(void **state)
{
    struct ws_frontier *f = open_frontier(state);
    struct ws_err err_text = {0};
    static struct ws_url_entry put, got;
    const struct ws_image_id key = key_of("http://a/x");
    assert_int_equal(ws_frontier_get_url(f, &key, &got, &err_text), WS_DONE);
    put = (struct ws_url_entry){.state = WS_ENTRY_FAILED,
                                .failure = WS_FAILURE_TLS,
                                .tries = 3,
                                .http_status = 503,
                                .body_bytes = UINT64_C(5000000000),
                                .robots_line = 7};
    memset(put.url, 'u', sizeof put.url - 1);
    memset(put.detail, 'd', sizeof put.detail - 1);
    strcpy(put.record, "<urn:uuid:x>");
    strcpy(put.rule, "Allow: /");
    strcpy(put.robots_sha256, "ab");
    strcpy(put.robots_fetched, "2026-11-23T00:00:00Z");
    OK(ws_frontier_put_url(f, &key, &put, err));
    OK(ws_frontier_commit(f, err));
    ws_frontier_close(&f);
    f = open_frontier(state);
    OK(ws_frontier_get_url(f, &key, &got, err));
    assert_int_equal(got.state, put.state);
    assert_int_equal(got.failure, put.failure);
    assert_int_equal(got.tries, put.tries);
    assert_int_equal(got.http_status, put.http_status);
    assert_true(got.body_bytes == put.body_bytes);
    assert_int_equal(got.robots_line, put.robots_line);
    assert_string_equal(got.url, put.url);
    assert_string_equal(got.detail, put.detail);
    assert_string_equal(got.record, put.record);
    assert_string_equal(got.rule, put.rule);
    assert_string_equal(got.robots_sha256, put.robots_sha256);
    assert_string_equal(got.robots_fetched, put.robots_fetched);
    struct ws_image_id at = {{0}};
    OK(ws_frontier_next_url(f, &at, true, &got, err));
    assert_int_equal(ws_image_id_compare(&at, &key), 0);
    assert_int_equal(ws_frontier_next_url(f, &at, false, &got, &err_text), WS_DONE);
    ws_frontier_close(&f);
}

static void the_same_find_is_kept_once_and_by_its_url(void **state)
{
    struct ws_frontier *f = open_frontier(state);
    struct ws_err slip = {0};
    struct ws_find find = {0};
    const struct ws_image_id x = key_of("x"), y = key_of("y"), none = key_of("none");
    OK(ws_frontier_add_find(f, &x, "{\"page\":1}", false, err));
    assert_int_equal(ws_frontier_add_find(f, &x, "{\"page\":1}", false, &slip), WS_DONE);
    OK(ws_frontier_add_find(f, &x, "{\"page\":2}", false, err));
    OK(ws_frontier_add_find(f, &y, "{\"page\":1}", false, err));
    OK(ws_frontier_next_find(f, &x, true, &find, err));
    find.is_written = true;
    OK(ws_frontier_mark_find(f, &x, &find, err));
    OK(ws_frontier_next_find(f, &x, false, &find, err));
    assert_false(find.is_written);
    assert_int_equal(ws_frontier_next_find(f, &x, false, &find, &slip), WS_DONE);
    OK(ws_frontier_next_find(f, &x, true, &find, err));
    assert_true(find.is_written);
    OK(ws_frontier_next_find(f, &y, true, &find, err));
    assert_false(find.is_written);
    assert_string_equal(find.json.ptr, "{\"page\":1}");
    assert_int_equal(ws_frontier_next_find(f, &none, true, &find, &slip), WS_DONE);
    ws_buf_fini(&find.json);
    ws_frontier_close(&f);
}

static void pages_are_seen_once_per_group_until_forgotten(void **state)
{
    struct ws_frontier *f = open_frontier(state);
    struct ws_err slip = {0};
    const struct ws_image_id a = key_of("a"), b = key_of("b"), x = key_of("x"), y = key_of("y");
    OK(ws_frontier_see(f, &a, &x, err));
    OK(ws_frontier_see(f, &a, &y, err));
    OK(ws_frontier_see(f, &b, &x, err));
    assert_int_equal(ws_frontier_see(f, &a, &x, &slip), WS_DONE);
    OK(ws_frontier_forget_seen(f, &a, err));
    OK(ws_frontier_see(f, &a, &x, err));
    assert_int_equal(ws_frontier_see(f, &b, &x, &slip), WS_DONE);
    ws_frontier_close(&f);
}

static void robots_and_bodies_and_pages_come_back(void **state)
{
    struct ws_frontier *f = open_frontier(state);
    struct ws_err err_text = {0};
    static const uint8_t text[] = "User-agent: *\0Disallow: /";
    const struct ws_robots_entry robots = {.fetched_s = 1700000000, .http_status = 200, .text = {text, sizeof text}};
    struct ws_robots_entry robots_found;
    static struct ws_body_entry body = {.record = "r", .date = "d", .url = "u"}, body_found;
    const struct ws_digest digest = ws_sha256("x", 1), other = ws_sha256("y", 1);
    const struct ws_image_id task = key_of("task");
    char url[WS_URL_MAX];
    uint32_t depth;
    OK(ws_frontier_put_robots(f, "http://a:80", &robots, err));
    OK(ws_frontier_put_body(f, &digest, &body, err));
    OK(ws_frontier_put_page(f, &task, 256, 3, "http://a/p", err));
    OK(ws_frontier_get_robots(f, "http://a:80", &robots_found, err));
    assert_int_equal(robots_found.fetched_s, robots.fetched_s);
    assert_int_equal(robots_found.http_status, 200);
    assert_int_equal(robots_found.text.len, sizeof text);
    assert_memory_equal(robots_found.text.ptr, text, sizeof text);
    assert_int_equal(ws_frontier_get_robots(f, "http://a:8", &robots_found, &err_text), WS_DONE);
    OK(ws_frontier_get_body(f, &digest, &body_found, err));
    assert_string_equal(body_found.url, "u");
    assert_int_equal(ws_frontier_get_body(f, &other, &body_found, &err_text), WS_DONE);
    OK(ws_frontier_get_page(f, &task, 256, &depth, url, err));
    assert_int_equal(depth, 3);
    assert_string_equal(url, "http://a/p");
    assert_int_equal(ws_frontier_get_page(f, &task, 1, &depth, url, &err_text), WS_DONE);
    ws_frontier_close(&f);
}

static void a_frontier_of_another_format_is_refused(void **state)
{
    struct ws_frontier *f = open_frontier(state);
    struct ws_err slip = {0};
    char path[TEMP_PATH];
    OK(ws_frontier_put_meta(f, "format", "99", err));
    OK(ws_frontier_commit(f, err));
    ws_frontier_close(&f);
    assert_int_equal(ws_frontier_open(&f, temp_join(path, *state, "frontier"), &slip), WS_E_UNSUPPORTED);
    assert_null(f);
}

static void a_frontier_that_is_no_lmdb_is_damaged(void **state)
{
    char path[TEMP_PATH], text[8192];
    struct ws_frontier *f = NULL;
    struct ws_err slip = {0};
    memset(text, 'x', sizeof text);
    temp_write(temp_join(path, *state, "frontier/data.mdb"), text, sizeof text);
    assert_int_equal(ws_frontier_open(&f, temp_join(path, *state, "frontier"), &slip), WS_E_DAMAGED);
    assert_null(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, temp_setup, temp_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_queue_gives_the_soonest_then_the_first_come), TEST(origins_are_listed_once_each),
        TEST(what_was_in_flight_goes_back_to_its_place),     TEST(an_item_that_is_not_there_is_damage),
        TEST(only_what_is_committed_survives_a_kill),        TEST(an_entry_comes_back_as_it_was_put),
        TEST(the_same_find_is_kept_once_and_by_its_url),     TEST(pages_are_seen_once_per_group_until_forgotten),
        TEST(robots_and_bodies_and_pages_come_back),         TEST(a_frontier_of_another_format_is_refused),
        TEST(a_frontier_that_is_no_lmdb_is_damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
