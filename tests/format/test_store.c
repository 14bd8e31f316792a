/** The stage `store`: whatever the order, the kills and the damage, the same content; every refusal has its reason. */
#include "../../store/commands.h"
#include "../../store/images/format.h"
#include "../unit/picture.h"
#include "../unit/program.h"
#include "../unit/temp.h"

#include "webstill/base/log.h"
#include "webstill/stage/config.h"
#include "webstill/stage/manifest.h"
#include "webstill/warc/file.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

static struct ws_images *open_images(const char *dir)
{
    struct ws_images *images = NULL;
    struct ws_err err = {0};
    if (ws_images_open(&images, dir, &err) != WS_OK)
        fail_msg("%s", err.text);
    return images;
}

static struct ws_digest digest_of(const char *dir)
{
    struct ws_images *images = open_images(dir);
    struct ws_digest digest;
    struct ws_err err = {0};
    assert_int_equal(ws_images_digest(images, &digest, &err), WS_OK);
    ws_images_close(&images);
    return digest;
}

/** A small web in WARC form. */
struct web {
    struct ws_warc_writer *writer;
    char ids[64];
};

static void web_open(struct web *web, const char *dir)
{
    struct ws_err err = {0};
    assert_int_equal(ws_warc_writer_open(&web->writer, dir, "software: test\r\n", 0, 0, 0, &err), WS_OK);
}

static void web_close(struct web *web)
{
    struct ws_err err = {0};
    assert_int_equal(ws_warc_writer_finish(web->writer, &err), WS_OK);
    ws_warc_writer_close(&web->writer);
}

static void web_write(struct web *web, struct ws_warc_record_out record)
{
    struct ws_err err = {0};
    assert_int_equal(ws_warc_write(web->writer, &record, &err), WS_OK);
}

static const char ok_head[] = "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n\r\n";

static void web_response(struct web *web, const char *url, struct picture_bytes body, const char *truncated)
{
    web_write(web, (struct ws_warc_record_out){
                       .type = WS_WARC_RESPONSE,
                       .target_uri = url,
                       .content_type = "application/http; msgtype=response",
                       .date = "2026-01-02T03:04:05Z",
                       .truncated = truncated,
                       .head = {(const uint8_t *)ok_head, strlen(ok_head)},
                       .payload = {body.ptr, body.len},
                   });
}

static void web_revisit(struct web *web, const char *url, const char *original, struct picture_bytes body)
{
    web_write(web, (struct ws_warc_record_out){
                       .type = WS_WARC_REVISIT,
                       .target_uri = url,
                       .content_type = "application/http; msgtype=response",
                       .profile = "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest",
                       .refers_to_uri = original,
                       .head = {(const uint8_t *)ok_head, strlen(ok_head)},
                       .payload = {body.ptr, body.len},
                   });
}

static void web_metadata(struct web *web, const char *url, const char *class_name, const char *query)
{
    char json[512];
    snprintf(json, sizeof json,
             "{\"url\":\"%s\",\"page\":\"http://h.test/page\",\"query\":\"%s\",\"class_name\":\"%s\","
             "\"source\":\"test\",\"licence\":\"CC0\"}",
             url, query, class_name);
    web_write(web, (struct ws_warc_record_out){
                       .type = WS_WARC_METADATA,
                       .target_uri = url,
                       .content_type = "application/json",
                       .payload = {(const uint8_t *)json, strlen(json)},
                   });
}

/** A distinct grey picture for each n. */
static struct picture_bytes picture(int n)
{
    uint8_t pixels[16 * 16];
    for (int i = 0; i < 256; i++)
        pixels[i] = (uint8_t)(i * (n + 1) + (n >> 8));
    return picture_make_gray(pixels, 16, 16);
}

static struct picture_bytes text_bytes(const char *text)
{
    return (struct picture_bytes){(uint8_t *)strdup(text), strlen(text)};
}

static void respond(struct web *web, const char *url, struct picture_bytes body)
{
    web_response(web, url, body, NULL);
    free(body.ptr);
}

/** The configuration of a test: two classes, 8 x 8 grey, WARC files from `web`. */
static struct ws_config *load_config(const char *dir, const char *web, const char *more)
{
    char path[TEMP_PATH], text[2048];
    struct ws_config *config = NULL;
    struct ws_err err = {0};
    snprintf(text, sizeof text,
             "classes: [{name: hat, queries: [hat]}, {name: shoe, queries: [shoe]}]\n"
             "store: {size: 8, channels: 1, min_side: 8, map_gib: 0.25, warc: [%s/%s]%s}\n",
             dir, web, more);
    temp_write(temp_join(path, dir, "config.yaml"), text, strlen(text));
    if (ws_config_load(&config, test_program(), path, NULL, 0, &err) != WS_OK)
        fail_msg("%s", err.text);
    return config;
}

/** Run `store` on a web into a working directory; returns its status. */
static enum ws_status run_store(const char *dir, const char *web, const char *work, const char *more, int64_t limit,
                                struct ws_err *err)
{
    struct ws_config *config = load_config(dir, web, more);
    char path[TEMP_PATH];
    const struct ws_run run = {.config = config, .work = temp_join(path, dir, work), .limit = limit};
    *err = (struct ws_err){0};
    const enum ws_status status = ws_store_command(&run, err);
    ws_config_free(&config);
    return status;
}

static void expect_store(const char *dir, const char *web, const char *work, const char *more, int64_t limit)
{
    struct ws_err err;
    if (run_store(dir, web, work, more, limit, &err) != WS_OK)
        fail_msg("%s", err.text);
}

static json_t *read_manifest(const char *dir, const char *work)
{
    char name[TEMP_PATH], path[TEMP_PATH];
    json_t *manifest = NULL;
    struct ws_err err = {0};
    snprintf(name, sizeof name, "%s/store/manifest.json", work);
    assert_int_equal(ws_manifest_read(temp_join(path, dir, name), &manifest, &err), WS_OK);
    return manifest;
}

static int64_t number_at(const json_t *manifest, const char *object, const char *key)
{
    return json_integer_value(json_object_get(json_object_get(manifest, object), key));
}

static int64_t refused_for(const json_t *manifest, const char *reason)
{
    return json_integer_value(
        json_object_get(json_object_get(json_object_get(manifest, "facts"), "refused_by_reason"), reason));
}

static struct ws_images *open_work(const char *dir, const char *work)
{
    char name[TEMP_PATH], path[TEMP_PATH];
    snprintf(name, sizeof name, "%s/store", work);
    return open_images(temp_join(path, dir, name));
}

/** The origins of a URL's image as JSON. */
static json_t *origins_of(const struct ws_images *images, const char *url)
{
    struct ws_image_id id;
    struct ws_buf text = {0};
    struct ws_err err = {0};
    assert_int_equal(ws_images_find_url(images, url, &id, NULL), WS_URL_STORED);
    assert_int_equal(ws_images_origins(images, &id, &text, &err), WS_OK);
    json_t *origins = json_loads(text.ptr, 0, NULL);
    assert_true(json_is_array(origins));
    ws_buf_fini(&text);
    return origins;
}

static int label_of(const struct ws_images *images, const char *url)
{
    struct ws_image_id id;
    assert_int_equal(ws_images_find_url(images, url, &id, NULL), WS_URL_STORED);
    return ws_images_record(images, (size_t)ws_images_find(images, &id))->label;
}

static void test_a_body_seen_often_is_stored_once_with_all_its_origins(void **state)
{
    const char *dir = *state;
    char path[TEMP_PATH];
    struct web web;
    struct picture_bytes one = picture(1);
    web_open(&web, temp_join(path, dir, "web"));
    web_response(&web, "http://h.test/1.png", one, NULL);
    web_metadata(&web, "http://h.test/1.png", "shoe", "shoe");
    web_response(&web, "http://h.test/copy.png", one, NULL);
    web_metadata(&web, "http://h.test/copy.png", "hat", "cap");
    web_revisit(&web, "http://h.test/again.png", "http://h.test/1.png", one);
    web_metadata(&web, "http://h.test/1.png", "shoe", "boot"); /* found again later, without a fetch */
    respond(&web, "http://h.test/2.png", picture(2));          /* as a foreign WARC has it: no metadata */
    web_close(&web);
    free(one.ptr);
    expect_store(dir, "web", "w", "", 0);

    struct ws_images *images = open_work(dir, "w");
    assert_int_equal(ws_images_count(images), 2);
    json_t *origins = origins_of(images, "http://h.test/copy.png");
    assert_int_equal(json_array_size(origins), 4); /* shoe, cap, boot, and the bare revisit */
    size_t i;
    json_t *origin;
    json_array_foreach(origins, i, origin)
    {
        assert_non_null(json_string_value(json_object_get(origin, "url")));
        assert_non_null(json_string_value(json_object_get(origin, "time")));
        assert_non_null(json_string_value(json_object_get(origin, "warc")));
        assert_true(json_is_integer(json_object_get(origin, "offset")));
    }
    json_decref(origins);
    assert_int_equal(label_of(images, "http://h.test/1.png"), 0); /* the lowest class of all origins */
    origins = origins_of(images, "http://h.test/2.png");
    assert_int_equal(json_array_size(origins), 1);
    assert_null(json_object_get(json_array_get(origins, 0), "query"));
    json_decref(origins);
    assert_int_equal(label_of(images, "http://h.test/2.png"), WS_LABEL_NONE);
    ws_images_close(&images);
    json_t *manifest = read_manifest(dir, "w");
    assert_int_equal(number_at(manifest, "counts", "pictures"), 4);
    assert_int_equal(number_at(manifest, "counts", "images"), 2);
    assert_int_equal(number_at(manifest, "counts", "duplicates"), 2);
    json_decref(manifest);
}

static void test_every_refused_image_is_counted_under_its_reason(void **state)
{
    const char *dir = *state;
    char path[TEMP_PATH];
    struct web web;
    web_open(&web, temp_join(path, dir, "web"));
    respond(&web, "http://h.test/good.png", picture(1));
    struct picture_bytes cut = picture(2);
    cut.len = cut.len * 2 / 3;
    respond(&web, "http://h.test/cut.png", cut);
    struct picture_bytes over = picture(3);
    web_response(&web, "http://h.test/over.png", over, "length");
    free(over.ptr);
    const uint8_t tiny = 0;
    respond(&web, "http://h.test/tiny.png", picture_make_gray(&tiny, 1, 1));
    respond(&web, "http://h.test/page.html", text_bytes("<html>a page that nobody wanted as an image"));
    respond(&web, "http://h.test/sorry.png", text_bytes("<html>sorry, no hotlinks"));
    web_metadata(&web, "http://h.test/sorry.png", "hat", "hat");
    respond(&web, "http://h.test/empty.png", text_bytes(""));
    web_metadata(&web, "http://h.test/empty.png", "hat", "hat");
    respond(&web, "http://h.test/empty-too.png", text_bytes(""));
    web_metadata(&web, "http://h.test/empty-too.png", "hat", "hat");
    web_response(&web, "http://h.test/unread.png", (struct picture_bytes){NULL, 0}, "length"); /* announced too long */
    web_metadata(&web, "http://h.test/unread.png", "hat", "hat");
    web_metadata(&web, "http://h.test/lost.png", "hat", "hat");
    web_close(&web);
    expect_store(dir, "web", "w", "", 0);

    json_t *manifest = read_manifest(dir, "w");
    assert_int_equal(number_at(manifest, "counts", "images"), 1);
    assert_int_equal(number_at(manifest, "counts", "refused"), 8);
    static const char *const reasons[] = {"truncated", "too_small", "not_an_image", "missing"};
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        assert_int_equal(refused_for(manifest, reasons[i]), 1);
    assert_int_equal(refused_for(manifest, "oversized"), 2);
    assert_int_equal(refused_for(manifest, "empty"), 2);
    json_decref(manifest);
    struct ws_images *images = open_work(dir, "w");
    struct ws_buf row = {0};
    assert_int_equal(ws_images_find_url(images, "http://h.test/sorry.png", NULL, &row), WS_URL_REFUSED);
    assert_non_null(strstr(row.ptr, "\"detail\":\"html\""));
    assert_non_null(strstr(row.ptr, "\"query\":\"hat\""));
    ws_buf_fini(&row);
    assert_int_equal(ws_images_find_url(images, "http://h.test/page.html", NULL, NULL), WS_URL_OTHER);
    assert_int_equal(ws_images_find_url(images, "http://h.test/never", NULL, NULL), WS_URL_UNKNOWN);
    ws_images_close(&images);
}

static void test_metadata_before_its_image_finds_it_later(void **state)
{
    const char *dir = *state;
    char path[TEMP_PATH];
    struct web web;
    web_open(&web, temp_join(path, dir, "web"));
    web_metadata(&web, "http://h.test/late.png", "shoe", "shoe");
    respond(&web, "http://h.test/late.png", picture(1));
    web_close(&web);
    expect_store(dir, "web", "w", "", 0);
    struct ws_images *images = open_work(dir, "w");
    assert_int_equal(label_of(images, "http://h.test/late.png"), 1);
    ws_images_close(&images);
    json_t *manifest = read_manifest(dir, "w");
    assert_int_equal(number_at(manifest, "counts", "refused"), 0);
    json_decref(manifest);
}

/** A web of n pictures with metadata, in two shards' worth of records. */
static void make_web(const char *dir, const char *name, int n)
{
    char path[TEMP_PATH], url[64];
    struct web web;
    web_open(&web, temp_join(path, dir, name));
    for (int i = 0; i < n; i++) {
        snprintf(url, sizeof url, "http://h.test/%d.png", i);
        respond(&web, url, i % 50 == 49 ? text_bytes("\x89PNG\r\n\x1a\n damaged") : picture(i));
        web_metadata(&web, url, i % 2 ? "hat" : "shoe", "words");
    }
    web_close(&web);
}

static void test_a_second_run_does_nothing_and_a_changed_rule_begins_anew(void **state)
{
    const char *dir = *state;
    char path[TEMP_PATH];
    struct stat before, after;
    make_web(dir, "web", 20);
    expect_store(dir, "web", "w", "", 0);
    assert_int_equal(stat(temp_join(path, dir, "w/store/data.mdb"), &before), 0);
    expect_store(dir, "web", "w", "", 0);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
    const struct ws_digest old = digest_of(temp_join(path, dir, "w/store"));
    expect_store(dir, "web", "w", ", decode_timeout_s: 20", 0); /* changes no pixel: nothing is decoded again */
    const struct ws_digest same = digest_of(path);
    assert_memory_equal(&same, &old, sizeof old);
    expect_store(dir, "web", "w", ", invert: bright", 0);
    const struct ws_digest inverted = digest_of(path);
    assert_memory_not_equal(&inverted, &old, sizeof old);
    struct ws_images *images = open_images(path);
    assert_int_equal(ws_images_count(images), 20);
    ws_images_close(&images);
}

static void test_a_new_file_adds_to_the_store(void **state)
{
    const char *dir = *state;
    char path[TEMP_PATH];
    struct web web;
    make_web(dir, "web", 20);
    expect_store(dir, "web", "w", "", 0);
    web_open(&web, temp_join(path, dir, "web")); /* the next shard */
    respond(&web, "http://h.test/new.png", picture(1000));
    web_close(&web);
    expect_store(dir, "web", "w", "", 0);
    struct ws_images *images = open_work(dir, "w");
    assert_int_equal(ws_images_count(images), 21);
    ws_images_close(&images);
    expect_store(dir, "web", "fresh", "", 0);
    char a[TEMP_PATH], b[TEMP_PATH];
    const struct ws_digest grown = digest_of(temp_join(a, dir, "w/store")),
                           fresh = digest_of(temp_join(b, dir, "fresh/store"));
    assert_memory_equal(&grown, &fresh, sizeof fresh);
}

static void test_a_limit_stops_and_the_next_run_goes_on(void **state)
{
    const char *dir = *state;
    make_web(dir, "web", 30);
    expect_store(dir, "web", "w", "", 7);
    struct ws_images *images = open_work(dir, "w");
    assert_int_equal(ws_images_count(images), 7);
    ws_images_close(&images);
    expect_store(dir, "web", "w", "", 0);
    images = open_work(dir, "w");
    assert_int_equal(ws_images_count(images), 30);
    ws_images_close(&images);
}

static void test_kills_at_any_instant_change_nothing_in_the_end(void **state)
{
    const char *dir = *state;
    char a[TEMP_PATH], b[TEMP_PATH];
    make_web(dir, "web", 1500);
    expect_store(dir, "web", "calm", "", 0);
    const struct ws_digest calm = digest_of(temp_join(a, dir, "calm/store"));
    int n_killed = 0;
    for (int round = 0; round < 12; round++) {
        const pid_t pid = fork();
        if (pid == 0) {
            struct ws_err err;
            _exit(run_store(dir, "web", "shaken", "", 0, &err) == WS_OK ? 0 : 1);
        }
        const struct timespec pause = {0, 3000000L + round * 6000000L};
        (void)nanosleep(&pause, NULL);
        (void)kill(pid, SIGKILL);
        int status = 0;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        n_killed += WIFSIGNALED(status);
    }
    assert_true(n_killed > 0);
    expect_store(dir, "web", "shaken", "", 0);
    const struct ws_digest shaken = digest_of(temp_join(b, dir, "shaken/store"));
    assert_memory_equal(&shaken, &calm, sizeof calm);
    json_t *x = read_manifest(dir, "calm"), *y = read_manifest(dir, "shaken");
    assert_true(json_equal(json_object_get(x, "counts"), json_object_get(y, "counts")));
    assert_true(json_equal(json_object_get(x, "facts"), json_object_get(y, "facts")));
    json_decref(x);
    json_decref(y);
}

static void test_a_failed_write_keeps_what_was_stored(void **state)
{
    const char *dir = *state;
    char a[TEMP_PATH], b[TEMP_PATH];
    make_web(dir, "web", 1500);
    expect_store(dir, "web", "calm", "", 0);
    const struct ws_digest calm = digest_of(temp_join(a, dir, "calm/store"));
    const pid_t pid = fork();
    if (pid == 0) { /* a ceiling on the size of files stands in for the end of the disk */
        struct ws_err err;
        const struct rlimit limit = {300000, 300000};
        (void)signal(SIGXFSZ, SIG_IGN);
        if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
            _exit(2);
        const enum ws_status status = run_store(dir, "web", "tight", "", 0, &err);
        _exit(status == WS_E_IO && strstr(err.text, "tight/store") ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    struct ws_images *images = open_work(dir, "tight");
    assert_in_range(ws_images_count(images), 1, 1469);
    ws_images_close(&images);
    expect_store(dir, "web", "tight", "", 0);
    const struct ws_digest tight = digest_of(temp_join(b, dir, "tight/store"));
    assert_memory_equal(&tight, &calm, sizeof calm);
}

static void test_a_damaged_record_costs_itself_and_is_counted(void **state)
{
    const char *dir = *state;
    char path[TEMP_PATH];
    make_web(dir, "web", 20);
    temp_join(path, dir, "web/webstill-00000.warc.gz");
    FILE *file = fopen(path, "r+b");
    fseek(file, 3000, SEEK_SET);
    fputs("damage", file);
    fclose(file);
    expect_store(dir, "web", "w", "", 0);
    json_t *manifest = read_manifest(dir, "w");
    assert_int_equal(number_at(manifest, "counts", "damaged_records"), 1);
    assert_in_range(number_at(manifest, "counts", "images"), 19, 20);
    json_decref(manifest);
}

static void test_no_warc_and_no_image_are_errors_that_say_so(void **state)
{
    const char *dir = *state;
    char path[TEMP_PATH];
    struct ws_err err;
    struct web web;
    temp_write(temp_join(path, dir, "no/page.warc"), "<html>", 6);
    assert_int_equal(run_store(dir, "no", "w", "", 0, &err), WS_E_FORMAT);
    assert_non_null(strstr(err.text, "page.warc is no WARC file"));
    web_open(&web, temp_join(path, dir, "bare"));
    const uint8_t tiny = 0;
    respond(&web, "http://h.test/tiny.png", picture_make_gray(&tiny, 1, 1));
    web_close(&web);
    assert_int_equal(run_store(dir, "bare", "w", "", 0, &err), WS_E_FORMAT);
    assert_non_null(strstr(err.text, "refused: 1 too_small"));
    assert_int_not_equal(access(temp_join(path, dir, "w/store/manifest.json"), F_OK), 0);
    assert_int_equal(run_store(dir, "absent", "w", "", 0, &err), WS_E_IO);
    assert_non_null(strstr(err.text, "absent"));
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, temp_setup, temp_teardown)

int main(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
    ws_log_open("store", WS_LOG_TEXT, WS_PROGRESS_NEVER);
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_a_body_seen_often_is_stored_once_with_all_its_origins),
        IN_FOLDER(test_every_refused_image_is_counted_under_its_reason),
        IN_FOLDER(test_metadata_before_its_image_finds_it_later),
        IN_FOLDER(test_a_second_run_does_nothing_and_a_changed_rule_begins_anew),
        IN_FOLDER(test_a_new_file_adds_to_the_store),
        IN_FOLDER(test_a_limit_stops_and_the_next_run_goes_on),
        IN_FOLDER(test_kills_at_any_instant_change_nothing_in_the_end),
        IN_FOLDER(test_a_failed_write_keeps_what_was_stored),
        IN_FOLDER(test_a_damaged_record_costs_itself_and_is_counted),
        IN_FOLDER(test_no_warc_and_no_image_are_errors_that_say_so),
    };
    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
