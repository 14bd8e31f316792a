/** WARC: what is written is read back; what is torn, foreign or damaged costs at most the record it hit. */
#include "../unit/temp.h"

#include "webstill/base/hash.h"
#include "webstill/warc/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <zlib.h>

enum { MAX_BLOCK = 1 << 20 };

static struct ws_span span_of(const char *text)
{
    return (struct ws_span){(const uint8_t *)text, strlen(text)};
}

static bool span_is(struct ws_span span, const char *text)
{
    return span.len == strlen(text) && memcmp(span.ptr, text, span.len) == 0;
}

static const char head_text[] = "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n";

/** A response for http://h.test/N with a body that tells N. */
static void write_response(struct ws_warc_writer *writer, int n, const char *concurrent_to)
{
    char uri[64], body[64];
    struct ws_err err = {0};
    snprintf(uri, sizeof uri, "http://h.test/%d", n);
    snprintf(body, sizeof body, "body number %d", n);
    struct ws_warc_record_out record = {
        .type = WS_WARC_RESPONSE,
        .target_uri = uri,
        .content_type = "application/http; msgtype=response",
        .date = "2026-01-02T03:04:05Z",
        .concurrent_to = concurrent_to,
        .identified_type = "image/png",
        .head = span_of(head_text),
        .payload = span_of(body),
    };
    assert_int_equal(ws_warc_write(writer, &record, &err), WS_OK);
    assert_memory_equal(record.id, "<urn:uuid:", 10);
}

/** Write responses 0 … n-1 to a finished shard. */
static void write_shard(const char *dir, int n)
{
    struct ws_warc_writer *writer = NULL;
    struct ws_err err = {0};
    assert_int_equal(ws_warc_writer_open(&writer, dir, "software: test\r\n", 0, 0, 0, &err), WS_OK);
    for (int i = 0; i < n; i++)
        write_response(writer, i, NULL);
    assert_int_equal(ws_warc_writer_finish(writer, &err), WS_OK);
    ws_warc_writer_close(&writer);
}

/** What a walk over a file found: which responses (bit N), how many damaged places. */
struct found {
    unsigned responses;
    int n_records, n_damaged;
};

static struct found walk(const char *path, uint64_t start)
{
    struct found found = {0};
    struct ws_warc_reader *reader = NULL;
    struct ws_warc_record record;
    struct ws_err err = {0};
    enum ws_status status = ws_warc_reader_open(&reader, path, start, MAX_BLOCK, &err);
    assert_int_equal(status, WS_OK);
    while ((status = ws_warc_next(reader, &record, &err)) != WS_DONE) {
        assert_true(status == WS_OK || status == WS_E_FORMAT);
        if (status == WS_E_FORMAT) {
            assert_non_null(strstr(err.text, path));
            found.n_damaged++;
            assert_true(found.n_damaged < 100);
            continue;
        }
        found.n_records++;
        int n = 0;
        char want[64];
        if (record.type == WS_WARC_RESPONSE && record.target_uri &&
            sscanf(record.target_uri, "http://h.test/%d", &n) == 1 && n < 32) {
            snprintf(want, sizeof want, "body number %d", n);
            if (span_is(record.payload, want))
                found.responses |= 1u << n;
        }
    }
    ws_warc_reader_close(&reader);
    return found;
}

static char *read_all(const char *path, size_t *len)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    char *bytes = malloc(1 << 20);
    *len = fread(bytes, 1, 1 << 20, file);
    fclose(file);
    return bytes;
}

/** Inflate all members of a file. */
static char *unzip_all(const char *path, size_t *len)
{
    gzFile file = gzopen(path, "rb");
    assert_non_null(file);
    char *bytes = malloc(1 << 20);
    const int n = gzread(file, bytes, 1 << 20);
    assert_true(n > 0);
    gzclose(file);
    *len = (size_t)n;
    return bytes;
}

static void test_fields_survive_the_way_to_disk_and_back(void **state)
{
    const char *dir = *state;
    struct ws_warc_writer *writer = NULL;
    struct ws_err err = {0};
    assert_int_equal(ws_warc_writer_open(&writer, dir, "software: test\r\n", 0, 0, 0, &err), WS_OK);
    struct ws_warc_record_out response = {
        .type = WS_WARC_RESPONSE,
        .target_uri = "http://h.test/a?b=c",
        .content_type = "application/http; msgtype=response",
        .ip_address = "127.0.0.1",
        .truncated = "length",
        .head = span_of(head_text),
        .payload = span_of("0123456789"),
    };
    assert_int_equal(ws_warc_write(writer, &response, &err), WS_OK);
    struct ws_warc_record_out metadata = {
        .type = WS_WARC_METADATA,
        .target_uri = "http://h.test/a?b=c",
        .content_type = "application/json",
        .concurrent_to = response.id,
        .payload = span_of("{\"url\":\"http://h.test/a?b=c\"}"),
    };
    assert_int_equal(ws_warc_write(writer, &metadata, &err), WS_OK);
    struct ws_warc_record_out revisit = {
        .type = WS_WARC_REVISIT,
        .target_uri = "http://h.test/again",
        .content_type = "application/http; msgtype=response",
        .profile = "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest",
        .refers_to_uri = "http://h.test/a?b=c",
        .head = span_of(head_text),
        .payload = span_of("0123456789"),
    };
    assert_int_equal(ws_warc_write(writer, &revisit, &err), WS_OK);
    assert_int_equal(ws_warc_writer_finish(writer, &err), WS_OK);
    ws_warc_writer_close(&writer);

    char path[TEMP_PATH];
    struct ws_warc_reader *reader = NULL;
    struct ws_warc_record record;
    assert_int_equal(ws_warc_reader_open(&reader, temp_join(path, dir, "webstill-00000.warc.gz"), 0, MAX_BLOCK, &err),
                     WS_OK);
    assert_int_equal(ws_warc_next(reader, &record, &err), WS_OK);
    assert_int_equal(record.type, WS_WARC_WARCINFO);
    assert_true(span_is(record.block, "software: test\r\n"));
    assert_int_equal(ws_warc_next(reader, &record, &err), WS_OK);
    assert_int_equal(record.type, WS_WARC_RESPONSE);
    assert_string_equal(record.id, response.id);
    assert_string_equal(record.target_uri, "http://h.test/a?b=c");
    assert_string_equal(record.ip_address, "127.0.0.1");
    assert_string_equal(record.truncated, "length");
    assert_int_equal(record.http_status, 200);
    assert_true(span_is(record.head, head_text));
    assert_true(span_is(record.payload, "0123456789"));
    /* printf 0123456789 | sha256sum | xxd -r -p | base32 */
    assert_string_equal(record.payload_digest, "sha256:QTMJQ57Q2QCB563L7ENBN4BER4X5K47GV4C4DH4WX3NZ7CBPPCBA====");
    assert_int_equal(ws_warc_next(reader, &record, &err), WS_OK);
    assert_int_equal(record.type, WS_WARC_METADATA);
    assert_string_equal(record.concurrent_to, response.id);
    assert_true(span_is(record.payload, "{\"url\":\"http://h.test/a?b=c\"}"));
    assert_int_equal(ws_warc_next(reader, &record, &err), WS_OK);
    assert_int_equal(record.type, WS_WARC_REVISIT);
    assert_string_equal(record.refers_to_uri, "http://h.test/a?b=c");
    assert_string_equal(record.payload_digest, "sha256:QTMJQ57Q2QCB563L7ENBN4BER4X5K47GV4C4DH4WX3NZ7CBPPCBA====");
    assert_int_equal(record.payload.len, 0);
    assert_int_equal(ws_warc_next(reader, &record, &err), WS_DONE);
    ws_warc_reader_close(&reader);
}

static void test_a_line_break_in_a_field_is_refused(void **state)
{
    struct ws_warc_writer *writer = NULL;
    struct ws_err err = {0};
    assert_int_equal(ws_warc_writer_open(&writer, *state, "", 0, 0, 0, &err), WS_OK);
    struct ws_warc_record_out record = {.type = WS_WARC_RESPONSE,
                                        .target_uri = "http://h.test/\r\nWARC-Type: warcinfo"};
    assert_int_equal(ws_warc_write(writer, &record, &err), WS_E_FORMAT);
    ws_warc_writer_close(&writer);
}

static void test_a_reader_can_start_behind_each_record(void **state)
{
    char path[TEMP_PATH];
    write_shard(*state, 5);
    temp_join(path, *state, "webstill-00000.warc.gz");
    struct ws_warc_reader *reader = NULL;
    struct ws_warc_record record;
    struct ws_err err = {0};
    assert_int_equal(ws_warc_reader_open(&reader, path, 0, MAX_BLOCK, &err), WS_OK);
    unsigned want = 31;
    uint64_t offset = 0;
    for (int i = -1; ws_warc_next(reader, &record, &err) == WS_OK; i++) {
        assert_int_equal(record.offset_bytes, offset);
        offset = record.end_bytes;
        if (i >= 0)
            want &= ~(1u << i);
        assert_int_equal(walk(path, offset).responses, want);
    }
    assert_int_equal(want, 0);
    ws_warc_reader_close(&reader);
}

static void test_one_gzip_stream_and_plain_text_are_read_alike(void **state)
{
    char path[TEMP_PATH], plain[TEMP_PATH], stream[TEMP_PATH];
    write_shard(*state, 5);
    size_t len = 0;
    char *bytes = unzip_all(temp_join(path, *state, "webstill-00000.warc.gz"), &len);
    temp_write(temp_join(plain, *state, "plain.warc"), bytes, len);
    gzFile file = gzopen(temp_join(stream, *state, "stream.warc.gz"), "wb");
    assert_int_equal(gzwrite(file, bytes, (unsigned)len), len);
    gzclose(file);
    free(bytes);
    assert_int_equal(walk(plain, 0).responses, 31);
    assert_int_equal(walk(stream, 0).responses, 31);

    struct ws_warc_reader *reader = NULL;
    struct ws_warc_record record;
    struct ws_err err = {0};
    assert_int_equal(ws_warc_reader_open(&reader, stream, 0, MAX_BLOCK, &err), WS_OK);
    assert_int_equal(ws_warc_next(reader, &record, &err), WS_OK);
    assert_int_equal(record.end_bytes, 0); /* nobody can start inside the stream */
    ws_warc_reader_close(&reader);
    assert_int_equal(ws_warc_reader_open(&reader, plain, 0, MAX_BLOCK, &err), WS_OK);
    assert_int_equal(ws_warc_next(reader, &record, &err), WS_OK);
    assert_int_equal(ws_warc_next(reader, &record, &err), WS_OK);
    assert_int_equal(walk(plain, record.end_bytes).responses, 30);
    ws_warc_reader_close(&reader);
}

static void test_a_flipped_byte_costs_at_most_one_record(void **state)
{
    char path[TEMP_PATH], bad[TEMP_PATH];
    write_shard(*state, 3);
    size_t len = 0;
    char *bytes = read_all(temp_join(path, *state, "webstill-00000.warc.gz"), &len);
    temp_join(bad, *state, "bad.warc.gz");
    for (size_t i = 2; i < len; i++) { /* without its first two bytes it is no gzip file at all */
        bytes[i] ^= 0x20;
        temp_write(bad, bytes, len);
        const struct found found = walk(bad, 0);
        if (found.n_records < 3 || found.n_records + found.n_damaged < 4)
            fail_msg("byte %zu: %d records, %d damaged places", i, found.n_records, found.n_damaged);
        const int lost = __builtin_popcount(7u & ~found.responses);
        assert_true(lost <= 1);
        bytes[i] ^= 0x20;
    }
    free(bytes);
}

static void test_a_flipped_byte_in_a_plain_file_costs_at_most_one_record(void **state)
{
    char path[TEMP_PATH], bad[TEMP_PATH];
    write_shard(*state, 3);
    size_t len = 0;
    char *bytes = unzip_all(temp_join(path, *state, "webstill-00000.warc.gz"), &len);
    temp_join(bad, *state, "bad.warc");
    for (size_t i = 0; i < len; i++) {
        bytes[i] ^= 1;
        temp_write(bad, bytes, len);
        const int lost = __builtin_popcount(7u & ~walk(bad, 0).responses);
        if (lost > 1)
            fail_msg("byte %zu: %d responses lost", i, lost);
        bytes[i] ^= 1;
    }
    free(bytes);
}

static void test_a_cut_file_gives_every_record_before_the_cut(void **state)
{
    char path[TEMP_PATH], cut[TEMP_PATH];
    write_shard(*state, 3);
    size_t len = 0, ends[4] = {0};
    char *bytes = read_all(temp_join(path, *state, "webstill-00000.warc.gz"), &len);
    struct ws_warc_reader *reader = NULL;
    struct ws_warc_record record;
    struct ws_err err = {0};
    assert_int_equal(ws_warc_reader_open(&reader, path, 0, MAX_BLOCK, &err), WS_OK);
    for (int i = 0; ws_warc_next(reader, &record, &err) == WS_OK; i++)
        ends[i] = record.end_bytes;
    ws_warc_reader_close(&reader);
    temp_join(cut, *state, "cut.warc.gz");
    for (size_t n = 2; n < len; n++) {
        temp_write(cut, bytes, n);
        int whole = 0;
        bool clean = false;
        for (int i = 0; i < 4; i++) {
            whole += ends[i] <= n;
            clean = clean || ends[i] == n;
        }
        const struct found found = walk(cut, 0);
        assert_int_equal(found.n_records, whole);
        assert_int_equal(found.n_damaged, clean ? 0 : 1);
    }
    free(bytes);
}

/** Take shard and length as books would. */
static void sync_books(struct ws_warc_writer *writer, uint32_t *shard, uint64_t *bytes)
{
    struct ws_err err = {0};
    assert_int_equal(ws_warc_writer_sync(writer, shard, bytes, &err), WS_OK);
}

static void test_resume_cuts_what_the_books_do_not_vouch_for(void **state)
{
    char part[TEMP_PATH], path[TEMP_PATH];
    struct ws_warc_writer *writer = NULL;
    struct ws_err err = {0};
    uint32_t shard = 0;
    uint64_t bytes = 0;
    assert_int_equal(ws_warc_writer_open(&writer, *state, "", 0, 0, 0, &err), WS_OK);
    write_response(writer, 0, NULL);
    sync_books(writer, &shard, &bytes);
    write_response(writer, 1, NULL); /* never committed */
    ws_warc_writer_close(&writer);
    FILE *torn = fopen(temp_join(part, *state, "webstill-00000.warc.gz.part"), "ab");
    fputs("\x1f\x8b torn", torn);
    fclose(torn);

    assert_int_equal(ws_warc_writer_open(&writer, *state, "", 0, shard, bytes, &err), WS_OK);
    write_response(writer, 2, NULL);
    assert_int_equal(ws_warc_writer_finish(writer, &err), WS_OK);
    ws_warc_writer_close(&writer);
    const struct found found = walk(temp_join(path, *state, "webstill-00000.warc.gz"), 0);
    assert_int_equal(found.responses, 1u << 0 | 1u << 2);
    assert_int_equal(found.n_damaged, 0);
    assert_int_not_equal(access(part, F_OK), 0);
}

static void test_resume_takes_back_a_roll_after_the_last_commit(void **state)
{
    char path[TEMP_PATH];
    struct ws_warc_writer *writer = NULL;
    struct ws_err err = {0};
    uint32_t shard = 0;
    uint64_t bytes = 0;
    assert_int_equal(ws_warc_writer_open(&writer, *state, "", 1000, 0, 0, &err), WS_OK);
    write_response(writer, 0, NULL);
    sync_books(writer, &shard, &bytes);
    for (int i = 1; i < 6; i++)
        write_response(writer, i, NULL);
    ws_warc_writer_close(&writer);
    assert_int_equal(access(temp_join(path, *state, "webstill-00001.warc.gz"), F_OK), 0);

    assert_int_equal(ws_warc_writer_open(&writer, *state, "", 0, shard, bytes, &err), WS_OK);
    assert_int_not_equal(access(path, F_OK), 0); /* shards that nobody vouches for are gone */
    write_response(writer, 7, NULL);
    assert_int_equal(ws_warc_writer_finish(writer, &err), WS_OK);
    ws_warc_writer_close(&writer);
    assert_int_equal(walk(temp_join(path, *state, "webstill-00000.warc.gz"), 0).responses, 1u << 0 | 1u << 7);
}

static void test_resume_behind_a_finished_shard_begins_the_next(void **state)
{
    char path[TEMP_PATH];
    struct ws_warc_writer *writer = NULL;
    struct ws_err err = {0};
    uint32_t shard = 0;
    uint64_t bytes = 0;
    assert_int_equal(ws_warc_writer_open(&writer, *state, "", 0, 0, 0, &err), WS_OK);
    write_response(writer, 0, NULL);
    sync_books(writer, &shard, &bytes);
    assert_int_equal(ws_warc_writer_finish(writer, &err), WS_OK);
    ws_warc_writer_close(&writer);
    for (int round = 0; round < 2; round++) { /* an idle run leaves no trace, and its books are good for the next */
        assert_int_equal(ws_warc_writer_open(&writer, *state, "", 0, shard, bytes, &err), WS_OK);
        sync_books(writer, &shard, &bytes);
        assert_int_equal(ws_warc_writer_finish(writer, &err), WS_OK);
        ws_warc_writer_close(&writer);
        assert_int_not_equal(access(temp_join(path, *state, "webstill-00001.warc.gz"), F_OK), 0);
    }
    assert_int_equal(ws_warc_writer_open(&writer, *state, "", 0, shard, bytes, &err), WS_OK);
    write_response(writer, 1, NULL);
    assert_int_equal(ws_warc_writer_finish(writer, &err), WS_OK);
    ws_warc_writer_close(&writer);
    assert_int_equal(walk(temp_join(path, *state, "webstill-00000.warc.gz"), 0).responses, 1);
    assert_int_equal(walk(temp_join(path, *state, "webstill-00001.warc.gz"), 0).responses, 2);
}

static void test_resume_refuses_books_that_promise_more_than_the_disk_holds(void **state)
{
    struct ws_warc_writer *writer = NULL;
    struct ws_err err = {0};
    assert_int_equal(ws_warc_writer_open(&writer, *state, "", 0, 3, 5000, &err), WS_E_DAMAGED);
    assert_null(writer);
    assert_non_null(strstr(err.text, "5000 were committed"));
}

static void test_no_books_never_overwrite_a_finished_shard(void **state)
{
    char path[TEMP_PATH];
    write_shard(*state, 2);
    write_shard(*state, 3);
    assert_int_equal(walk(temp_join(path, *state, "webstill-00000.warc.gz"), 0).responses, 3);
    assert_int_equal(walk(temp_join(path, *state, "webstill-00001.warc.gz"), 0).responses, 7);
}

static void test_a_shard_rolls_only_between_groups(void **state)
{
    char path[TEMP_PATH];
    struct ws_warc_writer *writer = NULL;
    struct ws_err err = {0};
    assert_int_equal(ws_warc_writer_open(&writer, *state, "", 1, 0, 0, &err), WS_OK);
    write_response(writer, 0, NULL);
    write_response(writer, 1, "<urn:uuid:00000000-0000-4000-8000-000000000000>");
    write_response(writer, 2, NULL);
    assert_int_equal(ws_warc_writer_finish(writer, &err), WS_OK);
    ws_warc_writer_close(&writer);
    assert_int_equal(walk(temp_join(path, *state, "webstill-00000.warc.gz"), 0).responses, 3);
    assert_int_equal(walk(temp_join(path, *state, "webstill-00001.warc.gz"), 0).responses, 4);
}

/** A plain WARC file of one response: fields, HTTP head, body. */
static void write_plain(const char *path, const char *fields, const char *head, const void *body, size_t body_len)
{
    char text[4096];
    const int n = snprintf(text, sizeof text,
                           "WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: <http://h.test/>\r\n"
                           "Content-Type: application/http\r\n%sContent-Length: %zu\r\n\r\n%s",
                           fields, strlen(head) + body_len, head);
    char *all = malloc((size_t)n + body_len + 4);
    memcpy(all, text, (size_t)n);
    if (body_len > 0)
        memcpy(all + n, body, body_len);
    memcpy(all + n + body_len, "\r\n\r\n", 4);
    temp_write(path, all, (size_t)n + body_len + 4);
    free(all);
}

/** Read the only record of a file and compare its payload. */
static void expect_payload(const char *path, uint64_t max_bytes, const char *payload)
{
    struct ws_warc_reader *reader = NULL;
    struct ws_warc_record record;
    struct ws_err err = {0};
    assert_int_equal(ws_warc_reader_open(&reader, path, 0, max_bytes, &err), WS_OK);
    const enum ws_status status = ws_warc_next(reader, &record, &err);
    assert_int_equal(status, payload ? WS_OK : WS_E_FORMAT);
    if (payload) {
        assert_true(span_is(record.payload, payload));
        assert_string_equal(record.target_uri, "http://h.test/");
    }
    assert_int_equal(ws_warc_next(reader, &record, &err), WS_DONE);
    ws_warc_reader_close(&reader);
}

/** Compress in one of zlib's framings. */
static size_t squeeze(const char *text, size_t len, int window_bits, uint8_t *out, size_t size)
{
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
    char *copy = malloc(len);
    memcpy(copy, text, len);
    z.next_in = (Bytef *)copy;
    z.avail_in = (uInt)len;
    z.next_out = out;
    z.avail_out = (uInt)size;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    const size_t n = size - z.avail_out;
    deflateEnd(&z);
    free(copy);
    return n;
}

static void test_chunked_and_compressed_bodies_are_undone(void **state)
{
    char path[TEMP_PATH];
    uint8_t packed[256];
    temp_join(path, *state, "x.warc");
    static const char chunked[] = "5;ext=1\r\nhello\r\n6\r\n world\r\n0\r\nTrailer: x\r\n\r\n";
    write_plain(path, "", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", chunked, strlen(chunked));
    expect_payload(path, MAX_BLOCK, "hello world");
    /* Archives that joined the chunks but kept the field. */
    write_plain(path, "", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "hello world", 11);
    expect_payload(path, MAX_BLOCK, "hello world");
    write_plain(path, "", "HTTP/1.1 200 OK\r\ncontent-encoding:gzip\r\n\r\n", packed,
                squeeze("hello world", 11, 15 + 16, packed, sizeof packed));
    expect_payload(path, MAX_BLOCK, "hello world");
    write_plain(path, "", "HTTP/1.1 200 OK\r\ncontent-encoding:gzip\r\n\r\n", "hello world", 11);
    expect_payload(path, MAX_BLOCK, "hello world");
    write_plain(path, "", "HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\n\r\n", packed,
                squeeze("hello world", 11, 15, packed, sizeof packed));
    expect_payload(path, MAX_BLOCK, "hello world");
    write_plain(path, "", "HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\n\r\n", packed,
                squeeze("hello world", 11, -15, packed, sizeof packed));
    expect_payload(path, MAX_BLOCK, "hello world");
}

static void test_a_compression_bomb_stops_at_the_ceiling(void **state)
{
    enum { BOMB = 8 << 20 };
    char path[TEMP_PATH];
    uint8_t packed[1 << 16];
    char *zeros = calloc(1, BOMB);
    const size_t n = squeeze(zeros, BOMB, 15 + 16, packed, sizeof packed);
    free(zeros);
    write_plain(temp_join(path, *state, "bomb.warc"), "", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", packed,
                n);
    expect_payload(path, 1 << 20, NULL);
}

static void test_a_block_over_the_ceiling_is_stepped_over(void **state)
{
    char path[TEMP_PATH], all[TEMP_PATH];
    char *big = calloc(1, 5000);
    write_plain(temp_join(path, *state, "a.warc"), "", head_text, big, 5000);
    free(big);
    size_t len = 0, more = 0;
    char *first = read_all(path, &len);
    write_plain(path, "", head_text, "small", 5);
    char *second = read_all(path, &more);
    char *both = malloc(len + more);
    memcpy(both, first, len);
    memcpy(both + len, second, more);
    temp_write(temp_join(all, *state, "all.warc"), both, len + more);
    struct ws_warc_reader *reader = NULL;
    struct ws_warc_record record;
    struct ws_err err = {0};
    assert_int_equal(ws_warc_reader_open(&reader, all, 0, 1000, &err), WS_OK);
    assert_int_equal(ws_warc_next(reader, &record, &err), WS_E_FORMAT);
    assert_non_null(strstr(err.text, "at most 1000 are read"));
    assert_int_equal(ws_warc_next(reader, &record, &err), WS_OK);
    assert_true(span_is(record.payload, "small"));
    ws_warc_reader_close(&reader);
    free(first);
    free(second);
    free(both);
}

static void test_declared_digests_are_judged(void **state)
{
    char path[TEMP_PATH];
    temp_join(path, *state, "d.warc");
    /* printf hello | sha1sum | xxd -r -p | base32; and sha256sum in hex */
    write_plain(path, "WARC-Payload-Digest: sha1:VL2MMHO4YXUKFWV63YHTWSBM3GXKSQ2N\r\n", head_text, "hello", 5);
    expect_payload(path, MAX_BLOCK, "hello");
    write_plain(path, "WARC-Payload-Digest: sha1:VL2MMHO4YXUKFWV63YHTWSBM3GXKSQ2N\r\n", head_text, "hullo", 5);
    expect_payload(path, MAX_BLOCK, NULL);
    write_plain(path,
                "WARC-Payload-Digest: sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\r\n",
                head_text, "hello", 5);
    expect_payload(path, MAX_BLOCK, "hello");
    write_plain(path, "WARC-Payload-Digest: crc64:unknown\r\n", head_text, "hello", 5);
    expect_payload(path, MAX_BLOCK, "hello");
    /* Some writers hash the body behind its codings. */
    write_plain(path, "WARC-Payload-Digest: sha1:VL2MMHO4YXUKFWV63YHTWSBM3GXKSQ2N\r\n",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", 15);
    expect_payload(path, MAX_BLOCK, "hello");
}

static void test_http_fields_are_found_whatever_their_case(void **state)
{
    (void)state;
    const struct ws_span head = span_of("HTTP/1.1 200 OK\r\nContent-Type:  image/PNG \r\nX: 1\r\n\r\n");
    assert_true(span_is(ws_http_field(head, "content-type"), "image/PNG"));
    assert_true(span_is(ws_http_field(head, "X"), "1"));
    assert_int_equal(ws_http_field(head, "Content").len, 0);
    assert_int_equal(ws_http_field((struct ws_span){0}, "X").len, 0);
}

static void test_a_file_without_records_ends_in_one_complaint(void **state)
{
    char path[TEMP_PATH];
    temp_write(temp_join(path, *state, "no.warc.gz"), "<html>no WARC</html>", 20);
    const struct found found = walk(path, 0);
    assert_int_equal(found.n_records, 0);
    assert_int_equal(found.n_damaged, 1);
    temp_write(path, "", 0);
    assert_int_equal(walk(path, 0).n_records, 0);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, temp_setup, temp_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_fields_survive_the_way_to_disk_and_back),
        IN_FOLDER(test_a_line_break_in_a_field_is_refused),
        IN_FOLDER(test_a_reader_can_start_behind_each_record),
        IN_FOLDER(test_one_gzip_stream_and_plain_text_are_read_alike),
        IN_FOLDER(test_a_flipped_byte_costs_at_most_one_record),
        IN_FOLDER(test_a_flipped_byte_in_a_plain_file_costs_at_most_one_record),
        IN_FOLDER(test_a_cut_file_gives_every_record_before_the_cut),
        IN_FOLDER(test_resume_cuts_what_the_books_do_not_vouch_for),
        IN_FOLDER(test_resume_takes_back_a_roll_after_the_last_commit),
        IN_FOLDER(test_resume_behind_a_finished_shard_begins_the_next),
        IN_FOLDER(test_resume_refuses_books_that_promise_more_than_the_disk_holds),
        IN_FOLDER(test_no_books_never_overwrite_a_finished_shard),
        IN_FOLDER(test_a_shard_rolls_only_between_groups),
        IN_FOLDER(test_chunked_and_compressed_bodies_are_undone),
        IN_FOLDER(test_a_compression_bomb_stops_at_the_ceiling),
        IN_FOLDER(test_a_block_over_the_ceiling_is_stepped_over),
        IN_FOLDER(test_declared_digests_are_judged),
        cmocka_unit_test(test_http_fields_are_found_whatever_their_case),
        IN_FOLDER(test_a_file_without_records_ends_in_one_complaint),
    };
    return cmocka_run_group_tests_name("warc", tests, NULL, NULL);
}
