/*
 * A new kind of source: a row made up here, with its own part of the cursor, crawls a server on loopback from its first
 * request to the pictures in the archive. And what the searches of a crawl rest on: the agenda and the cursors.
 */
#include "../../crawler/job/picture.h"
#include "../../crawler/job/rules.h"
#include "../../crawler/page/format.h"
#include "../../crawler/turn/loop.h"
#include "crawl_bench.h"

#include "webstill/warc/file.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* --- the made-up kind: a catalogue whose shelves are asked for one by one --- */

struct shelf {
    uint32_t number;
    uint32_t seen; /* pictures on all shelves so far */
};

static const struct ws_field shelf_fields[] = {
    WS_FIELD_OPTIONAL(struct shelf, number, "shelf", WS_FIELD_U32),
    WS_FIELD_OPTIONAL(struct shelf, seen, "seen", WS_FIELD_U32),
    WS_FIELD_END,
};

static struct shelf *shelf_of(const struct ws_visit *visit)
{
    return (struct shelf *)(void *)visit->cursor->own.bytes;
}

static void ask_for(const struct ws_visit *visit)
{
    snprintf(visit->cursor->url, sizeof visit->cursor->url, "%s%s/%u", visit->search->source->url, visit->search->query,
             shelf_of(visit)->number);
}

static enum ws_status begin_catalogue(const struct ws_visit *visit, struct ws_err *err)
{
    (void)err;
    shelf_of(visit)->number = 1;
    ask_for(visit);
    return WS_OK;
}

/* An answer is lines: references of pictures, then "more" or nothing. */
static enum ws_status read_shelf(const struct ws_visit *visit, const struct ws_response *response, struct ws_err *err)
{
    char text[1024], *rest = NULL;
    snprintf(text, sizeof text, "%.*s", (int)response->body.len, (const char *)response->body.ptr);
    visit->cursor->is_done = true;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        struct ws_url url;
        if (strcmp(line, "more") == 0) {
            visit->cursor->is_done = false;
            shelf_of(visit)->number++;
            ask_for(visit);
            break;
        }
        if (!ws_url_resolve(&url, &response->request->url, line))
            return ws_fail(err, WS_E_FORMAT, "no picture: %s", line);
        const struct ws_sighting sighting = {
            .url = &url,
            .query = visit->search->query,
            .class_name = visit->search->class_name,
            .source = visit->search->source_name,
            .licence = "made up",
        };
        const enum ws_status status = visit->admit(visit->crawl, &sighting, err);
        if (status != WS_OK && status != WS_DONE)
            return status;
        visit->cursor->n_found++;
        shelf_of(visit)->seen++;
    }
    return WS_OK;
}

/* Verbs that it leaves out are what most sources do. */
static const struct ws_source_ops catalogue = {
    .name = "catalogue",
    .accept = "text/plain",
    .own_fields = shelf_fields,
    .begin = begin_catalogue,
    .read = read_shelf,
};

/* --- its server --- */

static const struct {
    const char *path, *body; /* NULL: a redirect to /stock */
} answers[] = {
    {"/robots.txt", "User-agent: *\nDisallow: /secret/\n"},
    {"/coat/1", NULL},
    {"/stock", "/a.png\n/b.png\nmore\n"},
    {"/gown/1", "/a.png\nmore\n"},
    {"/gown/2", "/c.png\n/secret/d.png\nmore\n"},
    {"/gown/3", "/e.png\n"},
    {"/secret/1", "/f.png\n"},
    {"/a.png", "picture a"},
    {"/b.png", "picture b"},
    {"/c.png", "picture c"},
    {"/e.png", "picture e"},
};

static void answer(int client)
{
    char request[2048], reply[2048], path[256] = "";
    size_t len = 0;
    while (len < sizeof request - 1) {
        const ssize_t n = read(client, request + len, sizeof request - 1 - len);
        if (n <= 0)
            return;
        len += (size_t)n;
        request[len] = '\0';
        if (strstr(request, "\r\n\r\n"))
            break;
    }
    sscanf(request, "GET %255s", path);
    int n = snprintf(reply, sizeof reply, "HTTP/1.1 404 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        if (strcmp(answers[i].path, path) != 0)
            continue;
        const char *body = answers[i].body;
        n = body ? snprintf(reply, sizeof reply,
                            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body)
                 : snprintf(reply, sizeof reply,
                            "HTTP/1.1 302 Moved\r\nConnection: close\r\nLocation: /stock\r\n"
                            "Content-Length: 0\r\n\r\n");
    }
    for (int at = 0; at < n;) {
        const ssize_t m = write(client, reply + at, (size_t)(n - at));
        if (m <= 0)
            return;
        at += (int)m;
    }
}

/* Serve in a process of its own; returns its port. */
static unsigned serve(pid_t *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(listener >= 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(listener, 16), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
    *server = fork();
    assert_true(*server >= 0);
    if (*server == 0) {
        signal(SIGPIPE, SIG_IGN);
        alarm(300); /* it does not outlive a test that is killed */
        for (;;) {
            const int client = accept(listener, NULL, NULL);
            if (client < 0)
                _exit(1);
            answer(client);
            close(client);
        }
    }
    close(listener);
    return ntohs(address.sin_port);
}

static void stop(pid_t server)
{
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
}

/* --- crawling it --- */

static struct bench *open_catalogue(void **state, unsigned port)
{
    char yaml[1024];
    snprintf(yaml, sizeof yaml,
             "classes:\n- {name: Dress, queries: [gown]}\n- {name: Coat, queries: [coat, secret]}\n"
             "crawl:\n  user_agent: webstill-test/0.1 (test@example.org)\n"
             "  sources:\n  - {kind: pages, url: \"http://made.test:%u/\", name: shop}\n"
             "  resolve: [made.test=127.0.0.1]\n  allow_addresses: [127.0.0.1/32]\n  delay_ms: 0\n",
             port);
    return bench_open(*state, yaml, &catalogue);
}

static const struct ws_errand_table jobs = {
    .open_host = &ws_rules_errand,
    .serve = {[WS_ITEM_IMAGE] = &ws_picture_errand, [WS_ITEM_TASK] = &ws_search_errand},
};

static size_t count_records(const char *folder, enum ws_warc_type type, const char *text)
{
    char dir[TEMP_PATH], path[TEMP_PATH];
    size_t n = 0;
    struct ws_dir_list shards = {0};
    OK(ws_dir_list_open(&shards, temp_join(dir, folder, "crawl"), ".warc.gz", err));
    for (size_t i = 0; i < shards.n; i++) {
        struct ws_warc_reader *reader = NULL;
        struct ws_warc_record record;
        OK(ws_warc_reader_open(&reader, temp_join(path, dir, shards.names[i]), 0, 1 << 20, err));
        while (ws_warc_next(reader, &record, NULL) == WS_OK) {
            char body[4096];
            snprintf(body, sizeof body, "%.*s", (int)record.payload.len, (const char *)record.payload.ptr);
            n += record.type == type && strstr(body, text);
        }
        ws_warc_reader_close(&reader);
    }
    ws_dir_list_close(&shards);
    return n;
}

static void load(struct bench *bench, size_t i, struct ws_cursor *cursor)
{
    OK(ws_cursor_load(bench->crawl.books.frontier, &bench->crawl.agenda.searches[i].id, shelf_fields, cursor, err));
}

static void a_made_up_kind_crawls(void **state)
{
    pid_t server;
    struct ws_cursor cursor;
    struct ws_outcome outcome;
    const unsigned port = serve(&server);
    struct bench *bench = open_catalogue(state, port);
    struct ws_crawl *crawl = &bench->crawl;
    const struct shelf *shelf = (const struct shelf *)(void *)cursor.own.bytes;
    OK(ws_loop_run(&crawl->turns, &jobs, crawl, err));
    OK(ws_archive_finish(&crawl->books.archive, crawl->books.frontier, err));
    OK(ws_outcome_count(&outcome, crawl->config, &crawl->books, err));
    OK(ws_search_count(crawl, &outcome, err));

    assert_int_equal(outcome.n_found, 5); /* a, b, c, e, and d, which robots.txt forbids */
    assert_int_equal(ws_outcome_n_kept(&outcome), 4);
    assert_int_equal(outcome.states[WS_ENTRY_FORBIDDEN], 1);
    assert_int_equal(outcome.per_class[0], 3);
    assert_int_equal(outcome.per_class[1], 2);
    assert_int_equal(outcome.n_requests, 4);
    assert_int_equal(outcome.n_searches_failed, 2); /* /coat/2 is not there, /secret/1 forbidden */
    assert_int_equal(outcome.n_searches_left, 0);

    load(bench, 0, &cursor); /* gown */
    assert_true(cursor.is_done);
    assert_string_equal(cursor.failure, "");
    assert_int_equal(shelf->number, 3);
    assert_int_equal(shelf->seen, 4);
    load(bench, 1, &cursor); /* coat: a redirect leads anywhere, and without a skip() of its own it breaks off */
    assert_true(cursor.is_done);
    assert_string_equal(cursor.failure, "HTTP status 404");
    assert_int_equal(shelf->number, 2);
    assert_int_equal(shelf->seen, 2);
    load(bench, 2, &cursor);
    assert_non_null(strstr(cursor.failure, "forbidden by robots.txt (line 2: Disallow: /secret/)"));

    ws_outcome_fini(&outcome);
    bench_close(&bench);
    stop(server);
    assert_int_equal(count_records(*state, WS_WARC_METADATA, "\"source\":\"shop\""), 5); /* a was found twice */
    assert_int_equal(count_records(*state, WS_WARC_METADATA, "\"licence\":\"made up\""), 5);
    assert_int_equal(count_records(*state, WS_WARC_RESPONSE, "picture "), 4);
}

static void another_run_goes_on_where_the_cursor_stands(void **state)
{
    pid_t server;
    struct ws_cursor cursor;
    const unsigned port = serve(&server);
    struct bench *bench = open_catalogue(state, port);
    OK(ws_loop_run(&bench->crawl.turns, &jobs, &bench->crawl, err));
    bench_close(&bench);
    /* Another run tries again what broke off, at the shelf it had come to; what is done stays done. */
    bench = open_catalogue(state, port);
    load(bench, 0, &cursor);
    assert_true(cursor.is_done);
    load(bench, 1, &cursor);
    assert_false(cursor.is_done);
    assert_true(cursor.is_queued);
    assert_int_equal(((const struct shelf *)(void *)cursor.own.bytes)->number, 2);
    bench_close(&bench);
    stop(server);
}

/* --- cursors --- */

static bool has_member(struct ws_frontier *frontier, const struct ws_image_id *id, const char *member)
{
    struct ws_buf text = {0};
    OK(ws_frontier_get_task(frontier, id, &text, err));
    const bool has = strstr(text.ptr, member) != NULL;
    ws_buf_fini(&text);
    return has;
}

static void a_cursor_of_another_source_keeps_its_members(void **state)
{
    static const struct ws_image_id id = {{7}};
    struct bench *bench = open_catalogue(state, 1);
    struct ws_frontier *frontier = bench->crawl.books.frontier;
    struct ws_cursor cursor;
    OK(ws_frontier_put_task(frontier, &id, "{\"url\":\"http://h/\",\"queued\":true,\"found\":3,\"shelf\":5}", err));
    OK(ws_cursor_rest(frontier, &id, err));
    assert_true(has_member(frontier, &id, "\"shelf\":5"));
    OK(ws_cursor_load(frontier, &id, shelf_fields, &cursor, err));
    assert_false(cursor.is_queued);
    assert_int_equal(cursor.n_found, 3);
    assert_int_equal(((const struct shelf *)(void *)cursor.own.bytes)->number, 5);
    assert_int_equal(((const struct shelf *)(void *)cursor.own.bytes)->seen, 0); /* missing: 0 */
    bench_close(&bench);
}

/* As version 0.1.0 wrote them: every source's members in every cursor. */
static void cursors_of_older_frontiers_are_read(void **state)
{
    static const char old[] =
        "{\"url\":\"http://h/p\",\"failure\":\"\",\"queued\":true,\"done\":false,\"tries\":1,\"hops\":2,"
        "\"requests\":3,\"found\":4,\"before\":5,\"limit\":6,\"page\":7,\"depth\":8,\"pages\":9,\"max_pages\":10,"
        "\"max_depth\":11,\"unsupported\":12,\"classes\":13,\"skipped\":14,\"opted_out\":15}";
    static const struct ws_image_id id = {{7}};
    struct bench *bench = open_catalogue(state, 1);
    struct ws_frontier *frontier = bench->crawl.books.frontier;
    OK(ws_frontier_put_task(frontier, &id, old, err));
    for (const struct ws_source_ops *const *ops = ws_source_table; *ops; ops++) {
        struct ws_cursor cursor;
        OK(ws_cursor_load(frontier, &id, (*ops)->own_fields, &cursor, err));
        assert_string_equal(cursor.url, "http://h/p");
        assert_true(cursor.is_queued && !cursor.is_done);
        assert_int_equal(cursor.n_tries, 1);
        assert_int_equal(cursor.n_hops, 2);
        assert_int_equal(cursor.n_requests, 3);
        assert_int_equal(cursor.n_found, 4);
        assert_int_equal(cursor.n_unsupported, 12);
        assert_int_equal(cursor.n_skipped, 14);
        assert_int_equal(cursor.n_opted_out, 15);
        const uint32_t *own = (const uint32_t *)(void *)cursor.own.bytes;
        static const uint32_t of_api[] = {5, 6}, of_walk[] = {7, 8, 9, 10, 11, 13};
        if (ops == ws_source_table)
            assert_memory_equal(own, of_api, sizeof of_api);
        else
            assert_memory_equal(own, of_walk, sizeof of_walk);
    }
    bench_close(&bench);
}

/* --- the agenda --- */

static void walks_of_one_host_are_a_group(void **state)
{
    static const char yaml[] = "classes: [a, b, c]\ncrawl:\n  user_agent: webstill-test/0.1 (test@example.org)\n"
                               "  sources:\n"
                               "  - {kind: pages, url: \"http://one.test/?{query}\"}\n"
                               "  - {kind: mediawiki, url: \"http://one.test/api.php\"}\n"
                               "  - {kind: pages, url: \"http://two.test/\"}\n"
                               "  - {kind: pages, url: \"http://one.test/\"}\n";
    char path[TEMP_PATH];
    struct ws_config *config = NULL;
    struct ws_agenda agenda;
    temp_write(temp_join(path, *state, "agenda.yaml"), yaml, sizeof yaml - 1);
    OK(ws_config_load(&config, test_program(), path, NULL, 0, err));
    OK(ws_agenda_make(&agenda, config, ws_source_table, err));
    assert_int_equal(agenda.n, 3 + 3 + 1 + 1);
    assert_int_equal(agenda.n_groups, 2);
    for (size_t i = 0; i < agenda.n; i++)
        assert_ptr_equal(ws_agenda_find(&agenda, &agenda.searches[i].id), &agenda.searches[i]);
    assert_null(ws_agenda_find(&agenda, &(struct ws_image_id){{1}}));
    const size_t one[] = {0, 1, 2, 7};
    const struct ws_group *group = agenda.searches[0].group;
    assert_int_equal(group->n, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_ptr_equal(group->members[i], &agenda.searches[one[i]]);
        assert_ptr_equal(agenda.searches[one[i]].group, group);
    }
    assert_int_equal(agenda.searches[6].group->n, 1);
    for (size_t i = 3; i < 6; i++) {
        assert_null(agenda.searches[i].group);
        assert_string_equal(agenda.searches[i].source_name, "one.test");
    }
    ws_agenda_fini(&agenda);
    ws_config_free(&config);
}

static void an_extension_tells_the_format(void **state)
{
    static const struct {
        const char *url;
        enum ws_url_format format;
    } cases[] = {
        {"http://h/x.jpg", WS_URL_FORMAT_PICTURE},
        {"http://h/x.JPEG?w=1", WS_URL_FORMAT_PICTURE},
        {"http://h/x.webp", WS_URL_FORMAT_PICTURE},
        {"http://h/x.svg", WS_URL_FORMAT_UNSUPPORTED},
        {"http://h/x.gif#a", WS_URL_FORMAT_UNSUPPORTED},
        {"http://h/x.html", WS_URL_FORMAT_OTHER},
        {"http://h/x", WS_URL_FORMAT_OTHER},
        {"http://h/", WS_URL_FORMAT_OTHER},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ws_url url;
        assert_true(ws_url_parse(&url, cases[i].url));
        if (ws_url_format_of(&url) != cases[i].format)
            fail_msg("%s is of format %d", cases[i].url, (int)ws_url_format_of(&url));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_made_up_kind_crawls, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(another_run_goes_on_where_the_cursor_stands, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(a_cursor_of_another_source_keeps_its_members, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(cursors_of_older_frontiers_are_read, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(walks_of_one_host_are_a_group, temp_setup, temp_teardown),
        cmocka_unit_test(an_extension_tells_the_format),
    };
    return cmocka_run_group_tests_name("source", tests, NULL, NULL);
}
