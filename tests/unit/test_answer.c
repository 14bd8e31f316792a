/* Answers: what each class of status and each failure comes to, for each kind of errand. */
#include "../../crawler/job/admit.h"
#include "../../crawler/job/answer.h"
#include "../../crawler/job/picture.h"
#include "../../crawler/job/rules.h"
#include "crawl_bench.h"

enum { N_QUERIES = 32 }; /* a search for each case */

/* What became of a host's robots.txt. */
enum rules { READ, NONE, LATER, MOVED, CLOSED };
/* What became of a search. */
enum search { TAKEN, AGAIN, FOLLOWED, BROKEN_OFF };

static const struct {
    int status;
    enum ws_failure transfer;
    const char *location;
    enum ws_answer_kind kind;
    enum ws_failure failure; /* of the answer */
    enum ws_entry_state picture;
    enum ws_failure picture_failure;
    enum search search;
    enum rules rules;
} cases[] = {
    /* clang-format off */
    {200, WS_FAILURE_NONE, NULL, WS_ANSWER_WHOLE, WS_FAILURE_NONE, WS_ENTRY_DONE, WS_FAILURE_NONE, TAKEN, READ},
    {204, WS_FAILURE_NONE, NULL, WS_ANSWER_OTHER, WS_FAILURE_STATUS, WS_ENTRY_FAILED, WS_FAILURE_STATUS, BROKEN_OFF, READ},
    {301, WS_FAILURE_NONE, "/next", WS_ANSWER_REDIRECT, WS_FAILURE_NONE, WS_ENTRY_REDIRECTED, WS_FAILURE_NONE, FOLLOWED, MOVED},
    {302, WS_FAILURE_NONE, "/next", WS_ANSWER_REDIRECT, WS_FAILURE_NONE, WS_ENTRY_REDIRECTED, WS_FAILURE_NONE, FOLLOWED, MOVED},
    {303, WS_FAILURE_NONE, "/next", WS_ANSWER_REDIRECT, WS_FAILURE_NONE, WS_ENTRY_REDIRECTED, WS_FAILURE_NONE, FOLLOWED, MOVED},
    {307, WS_FAILURE_NONE, "/next", WS_ANSWER_REDIRECT, WS_FAILURE_NONE, WS_ENTRY_REDIRECTED, WS_FAILURE_NONE, FOLLOWED, MOVED},
    {308, WS_FAILURE_NONE, "/next", WS_ANSWER_REDIRECT, WS_FAILURE_NONE, WS_ENTRY_REDIRECTED, WS_FAILURE_NONE, FOLLOWED, MOVED},
    {302, WS_FAILURE_NONE, NULL, WS_ANSWER_REDIRECT, WS_FAILURE_NONE, WS_ENTRY_FAILED, WS_FAILURE_REDIRECT, BROKEN_OFF, NONE},
    {302, WS_FAILURE_NONE, "ftp://h/", WS_ANSWER_REDIRECT, WS_FAILURE_NONE, WS_ENTRY_FAILED, WS_FAILURE_REDIRECT, BROKEN_OFF, NONE},
    {300, WS_FAILURE_NONE, "/next", WS_ANSWER_OTHER, WS_FAILURE_STATUS, WS_ENTRY_FAILED, WS_FAILURE_STATUS, BROKEN_OFF, NONE},
    {304, WS_FAILURE_NONE, NULL, WS_ANSWER_OTHER, WS_FAILURE_STATUS, WS_ENTRY_FAILED, WS_FAILURE_STATUS, BROKEN_OFF, NONE},
    {403, WS_FAILURE_NONE, NULL, WS_ANSWER_OTHER, WS_FAILURE_4XX, WS_ENTRY_FAILED, WS_FAILURE_4XX, BROKEN_OFF, NONE},
    {404, WS_FAILURE_NONE, NULL, WS_ANSWER_OTHER, WS_FAILURE_4XX, WS_ENTRY_FAILED, WS_FAILURE_4XX, BROKEN_OFF, NONE},
    {429, WS_FAILURE_NONE, NULL, WS_ANSWER_BUSY, WS_FAILURE_5XX, WS_ENTRY_QUEUED, WS_FAILURE_NONE, AGAIN, LATER},
    {500, WS_FAILURE_NONE, NULL, WS_ANSWER_BUSY, WS_FAILURE_5XX, WS_ENTRY_QUEUED, WS_FAILURE_NONE, AGAIN, LATER},
    {503, WS_FAILURE_NONE, NULL, WS_ANSWER_BUSY, WS_FAILURE_5XX, WS_ENTRY_QUEUED, WS_FAILURE_NONE, AGAIN, LATER},
    {599, WS_FAILURE_NONE, NULL, WS_ANSWER_BUSY, WS_FAILURE_5XX, WS_ENTRY_QUEUED, WS_FAILURE_NONE, AGAIN, LATER},
    {0, WS_FAILURE_DNS, NULL, WS_ANSWER_BUSY, WS_FAILURE_DNS, WS_ENTRY_QUEUED, WS_FAILURE_NONE, AGAIN, LATER},
    {0, WS_FAILURE_CONNECT, NULL, WS_ANSWER_BUSY, WS_FAILURE_CONNECT, WS_ENTRY_QUEUED, WS_FAILURE_NONE, AGAIN, LATER},
    {0, WS_FAILURE_TLS, NULL, WS_ANSWER_BUSY, WS_FAILURE_TLS, WS_ENTRY_QUEUED, WS_FAILURE_NONE, AGAIN, LATER},
    {200, WS_FAILURE_TIMEOUT, NULL, WS_ANSWER_BUSY, WS_FAILURE_TIMEOUT, WS_ENTRY_QUEUED, WS_FAILURE_NONE, AGAIN, LATER},
    {200, WS_FAILURE_BROKEN, NULL, WS_ANSWER_BUSY, WS_FAILURE_BROKEN, WS_ENTRY_QUEUED, WS_FAILURE_NONE, AGAIN, LATER},
    {0, WS_FAILURE_ADDRESS, NULL, WS_ANSWER_BROKEN, WS_FAILURE_ADDRESS, WS_ENTRY_FAILED, WS_FAILURE_ADDRESS, BROKEN_OFF, CLOSED},
    {200, WS_FAILURE_CODING, NULL, WS_ANSWER_BROKEN, WS_FAILURE_CODING, WS_ENTRY_FAILED, WS_FAILURE_CODING, BROKEN_OFF, CLOSED},
    /* clang-format on */
};
#define N_CASES (sizeof cases / sizeof *cases)
_Static_assert(N_CASES <= N_QUERIES, "a search for each case");

/* --- a source that is done after one answer --- */

static enum ws_status begin_one(const struct ws_visit *visit, struct ws_err *err)
{
    (void)err;
    snprintf(visit->cursor->url, sizeof visit->cursor->url, "%s", visit->search->source->url);
    return WS_OK;
}

static enum ws_status read_one(const struct ws_visit *visit, const struct ws_response *response, struct ws_err *err)
{
    (void)response;
    (void)err;
    visit->cursor->is_done = true;
    return WS_OK;
}

static const struct ws_source_ops one_answer = {.name = "one", .accept = "*/*", .begin = begin_one, .read = read_one};

static struct bench *open_bench(void **state)
{
    char yaml[2048];
    int n = snprintf(yaml, sizeof yaml, "classes:\n- name: a\n  queries: [q0");
    for (int q = 1; q < N_QUERIES; q++)
        n += snprintf(yaml + n, sizeof yaml - (size_t)n, ", q%d", q);
    snprintf(yaml + n, sizeof yaml - (size_t)n,
             "]\n- b\ncrawl:\n  user_agent: webstill-test/0.1 (test@example.org)\n  retries: 2\n  sources:\n"
             "  - {kind: pages, url: \"http://search.test/\"}\n");
    return bench_open(*state, yaml, &one_answer);
}

/* --- answers as the fetcher would hand them over --- */

struct made {
    char head[256];
    struct ws_request request;
    struct ws_response response;
};

static const struct ws_response *make_response(struct made *made, size_t i, const char *url)
{
    static const uint8_t body[] = "body";
    static const char asked[] = "GET / HTTP/1.1\r\n\r\n";
    *made = (struct made){0};
    assert_true(ws_url_parse(&made->request.url, url));
    snprintf(made->head, sizeof made->head, "HTTP/1.1 %d X\r\n%s%s%s\r\n", cases[i].status,
             cases[i].location ? "Location: " : "", cases[i].location ? cases[i].location : "",
             cases[i].location ? "\r\n" : "");
    made->response = (struct ws_response){
        .request = &made->request,
        .request_head = {(const uint8_t *)asked, sizeof asked - 1},
        .head = {(const uint8_t *)made->head, strlen(made->head)},
        .body = {body, sizeof body - 1},
        .http_status = cases[i].status,
        .failure = cases[i].transfer,
        .detail = "what curl said",
        .ip_address = "127.0.0.1",
    };
    return &made->response;
}

/* The host of a URL, opened. */
static struct ws_host *host_of(struct ws_crawl *crawl, const char *text)
{
    char origin[WS_ORIGIN_MAX];
    struct ws_url url;
    assert_true(ws_url_parse(&url, text));
    ws_url_origin(&url, origin);
    struct ws_host *host = ws_hosts_get(&crawl->turns.hosts, origin, 0);
    assert_non_null(host);
    host->state = WS_HOST_OPEN;
    return host;
}

/* An errand for the first item of a host's queue. */
static struct ws_errand take(struct ws_crawl *crawl, struct ws_host *host, const struct ws_errand_ops *ops)
{
    struct ws_errand errand = {.ops = ops, .host = host};
    OK(ws_frontier_peek(crawl->books.frontier, host->origin, &errand.item, err));
    OK(ws_frontier_take(crawl->books.frontier, host->origin, &errand.item, err));
    return errand;
}

static bool is_queue_empty(struct ws_crawl *crawl, const struct ws_host *host)
{
    struct ws_item item;
    return ws_frontier_peek(crawl->books.frontier, host->origin, &item, NULL) == WS_DONE;
}

/* --- the tests --- */

static void an_answer_is_of_one_kind(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_CASES; i++) {
        struct made made;
        char status[32];
        const struct ws_answer answer = ws_answer_read(make_response(&made, i, "http://h.test/"));
        if (answer.kind != cases[i].kind || answer.failure != cases[i].failure)
            fail_msg("case %zu: status %d is kind %d, failure %s", i, cases[i].status, (int)answer.kind,
                     ws_failure_name(answer.failure));
        snprintf(status, sizeof status, "HTTP status %d", cases[i].status);
        assert_string_equal(answer.detail, cases[i].transfer ? "what curl said" : status);
    }
}

static void a_redirect_leads_somewhere_or_says_why_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_CASES; i++) {
        struct made made;
        struct ws_url target;
        char why[WS_URL_MAX + 64] = "";
        const bool leads = ws_answer_target(make_response(&made, i, "http://h.test/x/"), &target, why, sizeof why);
        if (!cases[i].location)
            assert_string_equal(why, "redirect without a Location");
        else if (cases[i].location[0] == '/')
            assert_string_equal(target.text, "http://h.test/next");
        else
            assert_string_equal(why, "redirect to what is no http(s) URL: ftp://h/");
        assert_int_equal(leads, cases[i].location && cases[i].location[0] == '/');
    }
}

static void a_picture_comes_to_what_its_answer_says(void **state)
{
    struct bench *bench = open_bench(state);
    struct ws_crawl *crawl = &bench->crawl;
    for (size_t i = 0; i < N_CASES; i++) {
        struct made made;
        struct ws_url_entry entry;
        char url[64];
        snprintf(url, sizeof url, "http://h%zu.test/x.png", i);
        make_response(&made, i, url);
        OK(ws_admit(crawl, &(struct ws_sighting){.url = &made.request.url}, err));
        struct ws_host *host = host_of(crawl, url);
        const struct ws_errand errand = take(crawl, host, &ws_picture_errand);
        OK(ws_picture_errand.conclude(crawl, &errand, &made.response, err));
        const struct ws_image_id key = ws_url_key(url);
        OK(ws_frontier_get_url(crawl->books.frontier, &key, &entry, err));
        const bool is_again = cases[i].picture == WS_ENTRY_QUEUED;
        /* The first whole one is the picture; others with its bytes would be duplicates, so there is one. */
        if (entry.state != cases[i].picture || entry.failure != cases[i].picture_failure)
            fail_msg("case %zu: a picture with status %d is in state %d, failure %s", i, cases[i].status,
                     (int)entry.state, ws_failure_name(entry.failure));
        assert_int_equal(entry.tries, 1);
        assert_int_equal(entry.http_status, cases[i].status);
        assert_int_equal(is_queue_empty(crawl, host), !is_again && cases[i].picture != WS_ENTRY_REDIRECTED);
        assert_int_equal(ws_turns_has_reached_limit(&crawl->turns), false);
    }
    assert_int_equal(crawl->books.tally.n_images, 1);
    bench_close(&bench);
}

static void a_picture_is_given_up_after_its_last_try(void **state)
{
    static const size_t busy = 15;
    static const char url[] = "http://h.test/x.png";
    struct bench *bench = open_bench(state);
    struct ws_crawl *crawl = &bench->crawl;
    struct ws_url_entry entry;
    struct made made;
    const struct ws_image_id key = ws_url_key(url);
    make_response(&made, busy, url);
    assert_int_equal(made.response.http_status, 503);
    OK(ws_admit(crawl, &(struct ws_sighting){.url = &made.request.url}, err));
    struct ws_host *host = host_of(crawl, url);
    for (unsigned n = 1; n <= 3; n++) { /* crawl.retries: 2 */
        const struct ws_errand errand = take(crawl, host, &ws_picture_errand);
        OK(ws_picture_errand.conclude(crawl, &errand, &made.response, err));
        OK(ws_frontier_get_url(crawl->books.frontier, &key, &entry, err));
        assert_int_equal(entry.state, n <= 2 ? WS_ENTRY_QUEUED : WS_ENTRY_FAILED);
        assert_int_equal(entry.tries, n);
    }
    assert_int_equal(entry.failure, WS_FAILURE_5XX);
    assert_string_equal(entry.detail, "HTTP status 503");
    assert_true(is_queue_empty(crawl, host));
    bench_close(&bench);
}

static void a_parked_host_keeps_its_queue(void **state)
{
    static const char url[] = "http://h.test/x.png";
    struct bench *bench = open_bench(state);
    struct ws_crawl *crawl = &bench->crawl;
    struct ws_url_entry entry;
    struct made made;
    const struct ws_image_id key = ws_url_key(url);
    make_response(&made, 15, url);
    OK(ws_admit(crawl, &(struct ws_sighting){.url = &made.request.url}, err));
    struct ws_host *host = host_of(crawl, url);
    const struct ws_errand errand = take(crawl, host, &ws_picture_errand);
    OK(ws_turns_park(&crawl->turns, host, WS_FAILURE_CONNECT, false, "gone", err));
    assert_string_equal(ws_parked_find_url(&crawl->books.parked, url)->reason, "gone");
    OK(ws_picture_errand.conclude(crawl, &errand, &made.response, err));
    OK(ws_frontier_get_url(crawl->books.frontier, &key, &entry, err));
    assert_int_equal(entry.state, WS_ENTRY_QUEUED);
    assert_int_equal(entry.tries, 0); /* another run counts anew */
    assert_false(is_queue_empty(crawl, host));
    assert_int_equal(host->heap_i, SIZE_MAX); /* it has no turn */
    bench_close(&bench);
}

static enum search outcome_of(const struct ws_cursor *cursor)
{
    if (cursor->is_done)
        return cursor->failure[0] ? BROKEN_OFF : TAKEN;
    assert_true(cursor->is_queued);
    assert_int_equal(cursor->n_tries + cursor->n_hops, 1);
    return cursor->n_hops ? FOLLOWED : AGAIN;
}

static void a_search_comes_to_what_its_answer_says(void **state)
{
    struct bench *bench = open_bench(state);
    struct ws_crawl *crawl = &bench->crawl;
    struct ws_host *host = host_of(crawl, "http://search.test/");
    for (size_t i = 0; i < N_CASES; i++) {
        struct made made;
        struct ws_cursor cursor;
        make_response(&made, i, "http://search.test/");
        const struct ws_errand errand = take(crawl, host, &ws_search_errand);
        assert_memory_equal(errand.item.id.bytes, crawl->agenda.searches[i].id.bytes, 16); /* in their order */
        OK(ws_search_errand.conclude(crawl, &errand, &made.response, err));
        OK(ws_cursor_load(crawl->books.frontier, &errand.item.id, NULL, &cursor, err));
        if (outcome_of(&cursor) != cases[i].search)
            fail_msg("case %zu: a search with status %d comes to %d", i, cases[i].status, (int)outcome_of(&cursor));
        assert_int_equal(cursor.n_requests, cases[i].search == TAKEN);
        assert_string_equal(cursor.url,
                            cases[i].search == FOLLOWED ? "http://search.test/next" : "http://search.test/");
    }
    bench_close(&bench);
}

static void robots_txt_comes_to_what_its_answer_says(void **state)
{
    struct bench *bench = open_bench(state);
    struct ws_crawl *crawl = &bench->crawl;
    for (size_t i = 0; i < N_CASES; i++) {
        struct made made;
        struct ws_robots_entry entry = {0};
        char url[64];
        snprintf(url, sizeof url, "http://h%zu.test/robots.txt", i);
        struct ws_host *host = host_of(crawl, url);
        host->state = WS_HOST_ASKING;
        const struct ws_errand errand = {.ops = &ws_rules_errand, .host = host};
        OK(ws_rules_errand.conclude(crawl, &errand, make_response(&made, i, url), err));
        const bool is_kept = ws_frontier_get_robots(crawl->books.frontier, host->origin, &entry, NULL) == WS_OK;
        static const enum ws_host_state states[] = {[READ] = WS_HOST_OPEN,
                                                    [NONE] = WS_HOST_OPEN,
                                                    [LATER] = WS_HOST_UNKNOWN,
                                                    [MOVED] = WS_HOST_UNKNOWN,
                                                    [CLOSED] = WS_HOST_PARKED};
        if (host->state != states[cases[i].rules])
            fail_msg("case %zu: robots.txt with status %d leaves the host in state %d", i, cases[i].status,
                     (int)host->state);
        assert_int_equal(is_kept, cases[i].rules == READ || cases[i].rules == NONE);
        if (is_kept)
            assert_int_equal(entry.http_status, cases[i].rules == READ ? 200 : cases[i].status);
        assert_int_equal(host->robots_url != NULL, cases[i].rules == MOVED);
        assert_int_equal(host->n_robots_tries, cases[i].rules == LATER || cases[i].rules == CLOSED);
        assert_int_equal(ws_parked_find(&crawl->books.parked, host->origin) != NULL, cases[i].rules == CLOSED);
    }
    bench_close(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_of_one_kind),
        cmocka_unit_test(a_redirect_leads_somewhere_or_says_why_not),
        cmocka_unit_test_setup_teardown(a_picture_comes_to_what_its_answer_says, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(a_picture_is_given_up_after_its_last_try, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(a_parked_host_keeps_its_queue, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(a_search_comes_to_what_its_answer_says, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(robots_txt_comes_to_what_its_answer_says, temp_setup, temp_teardown),
    };
    return cmocka_run_group_tests_name("answer", tests, NULL, NULL);
}
