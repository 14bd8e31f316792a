/** Another implementation's view of our WARC files, and ours of its: warcio under node. Skipped where it is not
 * installed. */
#include "../unit/temp.h"

#include "webstill/base/hash.h"
#include "webstill/warc/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/wait.h>

#include <cmocka.h>

/** Run the script; skips the test when warcio or node is missing. Its output goes to `out`. */
static void judge(const char *command, const char *path, const char *out)
{
    char line[3 * TEMP_PATH];
    snprintf(line, sizeof line, "node tests/format/warcio_check.mjs %s %s >%s", command, path, out);
    const int status = system(line);
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    if (code == 77 || code == 127) {
        print_message("skipped: warcio@2.4.11 for node is not installed below build/npm\n");
        skip();
    }
    assert_int_equal(code, 0);
}

static void test_warcio_reads_what_we_write(void **state)
{
    char path[TEMP_PATH], out[TEMP_PATH], text[4096] = "", want[400], hex[WS_DIGEST_HEX];
    struct ws_warc_writer *writer = NULL;
    struct ws_err err = {0};
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n", body[] = "a body of our own";
    const struct ws_span head_span = {(const uint8_t *)head, strlen(head)},
                         body_span = {(const uint8_t *)body, strlen(body)};
    assert_int_equal(ws_warc_writer_open(&writer, *state, "software: webstill\r\n", 0, 0, 0, &err), WS_OK);
    struct ws_warc_record_out response = {.type = WS_WARC_RESPONSE,
                                          .target_uri = "http://h.test/a%20b.png?c=d",
                                          .content_type = "application/http; msgtype=response",
                                          .head = head_span,
                                          .payload = body_span,
                                          .identified_type = "image/png"};
    assert_int_equal(ws_warc_write(writer, &response, &err), WS_OK);
    struct ws_warc_record_out metadata = {.type = WS_WARC_METADATA,
                                          .target_uri = "http://h.test/a%20b.png?c=d",
                                          .content_type = "application/json",
                                          .concurrent_to = response.id,
                                          .payload = {(const uint8_t *)"{}", 2}};
    assert_int_equal(ws_warc_write(writer, &metadata, &err), WS_OK);
    struct ws_warc_record_out revisit = {.type = WS_WARC_REVISIT,
                                         .target_uri = "http://h.test/again",
                                         .content_type = "application/http; msgtype=response",
                                         .head = head_span,
                                         .payload = body_span,
                                         .refers_to_uri = "http://h.test/a%20b.png?c=d",
                                         .profile = "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest"};
    assert_int_equal(ws_warc_write(writer, &revisit, &err), WS_OK);
    assert_int_equal(ws_warc_writer_finish(writer, &err), WS_OK);
    ws_warc_writer_close(&writer);

    judge("read", temp_join(path, *state, "webstill-00000.warc.gz"), temp_join(out, *state, "out.txt"));
    FILE *file = fopen(out, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    const struct ws_digest digest = ws_sha256(body, strlen(body));
    ws_digest_hex(&digest, hex);
    snprintf(want, sizeof want, "\nresponse http://h.test/a%%20b.png?c=d %s\nmetadata http://h.test/a%%20b.png?c=d ",
             hex);
    assert_memory_equal(text, "warcinfo - ", 11);
    assert_non_null(strstr(text, want));
    assert_non_null(strstr(text, "\nrevisit http://h.test/again "));
}

static void test_we_read_what_warcio_writes(void **state)
{
    char path[TEMP_PATH], out[TEMP_PATH];
    struct ws_warc_reader *reader = NULL;
    struct ws_warc_record record;
    struct ws_err err = {0};
    judge("write", temp_join(path, *state, "theirs.warc.gz"), temp_join(out, *state, "out.txt"));
    assert_int_equal(ws_warc_reader_open(&reader, path, 0, 1 << 20, &err), WS_OK);
    static const enum ws_warc_type types[] = {WS_WARC_WARCINFO, WS_WARC_RESPONSE, WS_WARC_METADATA};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        assert_int_equal(ws_warc_next(reader, &record, &err), WS_OK);
        assert_int_equal(record.type, types[i]);
        assert_true(record.end_bytes > 0);
        if (record.type != WS_WARC_RESPONSE)
            continue;
        assert_int_equal(record.http_status, 200);
        assert_int_equal(record.payload.len, 17);
        assert_memory_equal(record.payload.ptr, "written by warcio", 17);
    }
    assert_int_equal(ws_warc_next(reader, &record, &err), WS_DONE);
    ws_warc_reader_close(&reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_warcio_reads_what_we_write, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(test_we_read_what_warcio_writes, temp_setup, temp_teardown),
    };
    return cmocka_run_group_tests_name("warcio", tests, NULL, NULL);
}
