#include "archive.h"

#include "net/head.h"

#include "webstill/base/clock.h"
#include "webstill/stage/cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char meta_position[] = "warc";

/* --- the books --- */

static enum ws_status read_position(struct ws_frontier *frontier, uint32_t *shard, uint64_t *bytes, struct ws_err *err)
{
    struct ws_buf text = {0};
    *shard = 0;
    *bytes = 0;
    enum ws_status status = ws_frontier_get_meta(frontier, meta_position, &text, err);
    if (status == WS_OK && sscanf(text.ptr, "%" SCNu32 " %" SCNu64, shard, bytes) != 2)
        status = ws_fail(err, WS_E_DAMAGED, "frontier: the WARC position \"%s\" cannot be read", text.ptr);
    ws_buf_fini(&text);
    return status == WS_DONE ? WS_OK : status;
}

enum ws_status ws_archive_open(struct ws_archive *archive, const char *dir, const struct ws_crawl_keys *conf,
                               struct ws_frontier *frontier, struct ws_err *err)
{
    char info[2048];
    uint32_t shard;
    uint64_t bytes;
    *archive = (struct ws_archive){0};
    snprintf(archive->dir, sizeof archive->dir, "%s", dir);
    enum ws_status status = read_position(frontier, &shard, &bytes, err);
    if (status != WS_OK)
        return status;
    snprintf(info, sizeof info,
             "software: webstill/%s %s\r\nformat: WARC File Format 1.1\r\n"
             "conformsTo: https://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/\r\n"
             "robots: obey\r\nhttp-header-user-agent: %s\r\n"
             "description: bodies are kept with transfer and content coding undone; fields of the coding are renamed "
             "X-Crawler-*\r\n",
             WS_VERSION, ws_fetcher_library(), conf->user_agent);
    status = ws_warc_writer_open(&archive->writer, dir, info, (uint64_t)conf->warc_max_mib << 20, shard, bytes, err);
    uint32_t open_shard;
    uint64_t open_bytes;
    if (status == WS_OK)
        status = ws_warc_writer_sync(archive->writer, &open_shard, &open_bytes, err);
    if (status == WS_OK)
        archive->is_empty = bytes == 0 || open_shard != shard;
    return status;
}

enum ws_status ws_archive_commit(struct ws_archive *archive, struct ws_frontier *frontier, struct ws_err *err)
{
    char text[64];
    uint32_t shard;
    uint64_t bytes;
    enum ws_status status = ws_warc_writer_sync(archive->writer, &shard, &bytes, err);
    if (status != WS_OK)
        return status;
    /* A shard without records vanishes when it is finished: the books must not vouch for its warcinfo. */
    snprintf(text, sizeof text, "%" PRIu32 " %" PRIu64, shard, archive->is_empty ? 0 : bytes);
    status = ws_frontier_put_meta(frontier, meta_position, text, err);
    return status == WS_OK ? ws_frontier_commit(frontier, err) : status;
}

enum ws_status ws_archive_finish(struct ws_archive *archive, struct ws_frontier *frontier, struct ws_err *err)
{
    /* The books first: a kill between the two finds a whole shard that they vouch for to its last byte. */
    enum ws_status status = ws_archive_commit(archive, frontier, err);
    if (status == WS_OK)
        status = ws_warc_writer_finish(archive->writer, err);
    return status;
}

void ws_archive_close(struct ws_archive *archive)
{
    ws_warc_writer_close(&archive->writer);
    ws_buf_fini(&archive->head);
}

/* --- records --- */

/** By magic bytes: what the payload is, not what it is called. */
static const char *identify(struct ws_span body)
{
    if (body.len >= 3 && memcmp(body.ptr, "\xFF\xD8\xFF", 3) == 0)
        return "image/jpeg";
    if (body.len >= 8 && memcmp(body.ptr, "\x89PNG\r\n\x1A\n", 8) == 0)
        return "image/png";
    if (body.len >= 12 && memcmp(body.ptr, "RIFF", 4) == 0 && memcmp(body.ptr + 8, "WEBP", 4) == 0)
        return "image/webp";
    if (body.len >= 6 && (memcmp(body.ptr, "GIF87a", 6) == 0 || memcmp(body.ptr, "GIF89a", 6) == 0))
        return "image/gif";
    return NULL;
}

static enum ws_status write_record(struct ws_archive *archive, struct ws_warc_record_out *record, struct ws_err *err)
{
    archive->is_empty = false;
    return ws_warc_write(archive->writer, record, err);
}

/** The request as sent; over HTTP/2 curl shows it in HTTP/1 form with a "HTTP/2" that no WARC reader knows. */
static enum ws_status write_request(struct ws_archive *archive, const struct ws_response *response, const char *record,
                                    const char *date, struct ws_err *err)
{
    static const char old[] = " HTTP/2\r\n";
    const char *text = (const char *)response->request_head.ptr;
    const size_t len = response->request_head.len;
    const char *line_end = len ? memchr(text, '\n', len) : NULL;
    const size_t line = line_end ? (size_t)(line_end - text) + 1 : len;
    bool is_ok;
    ws_buf_clear(&archive->head);
    if (line >= sizeof old - 1 && memcmp(text + line - (sizeof old - 1), old, sizeof old - 1) == 0)
        is_ok = ws_buf_add(&archive->head, text, line - (sizeof old - 1)) &&
                ws_buf_add_str(&archive->head, " HTTP/1.1\r\n") && ws_buf_add(&archive->head, text + line, len - line);
    else
        is_ok = ws_buf_add(&archive->head, text, len);
    if (!is_ok)
        return ws_fail(err, WS_E_MEMORY, "out of memory for a request's record");
    struct ws_warc_record_out out = {
        .type = WS_WARC_REQUEST,
        .target_uri = response->request->url.text,
        .content_type = "application/http; msgtype=request",
        .date = date,
        .concurrent_to = record,
        .ip_address = response->ip_address[0] ? response->ip_address : NULL,
        .head = {(const uint8_t *)archive->head.ptr, archive->head.len},
    };
    return write_record(archive, &out, err);
}

static enum ws_status write_answer(struct ws_archive *archive, const struct ws_response *response,
                                   const struct ws_body_entry *original, const char *date, char record[64],
                                   struct ws_err *err)
{
    ws_buf_clear(&archive->head);
    if (!ws_head_for_archive(response->head, response->body.len, !response->is_cut, &archive->head))
        return ws_fail(err, WS_E_MEMORY, "out of memory for a response's record");
    struct ws_warc_record_out out = {
        .type = original ? WS_WARC_REVISIT : WS_WARC_RESPONSE,
        .target_uri = response->request->url.text,
        .content_type = "application/http; msgtype=response",
        .date = date,
        .ip_address = response->ip_address[0] ? response->ip_address : NULL,
        .truncated = response->is_cut ? "length" : NULL,
        .identified_type = identify(response->body),
        .head = {(const uint8_t *)archive->head.ptr, archive->head.len},
        .payload = response->body,
    };
    if (original) {
        out.profile = "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest";
        out.refers_to = original->record;
        out.refers_to_uri = original->url;
        out.refers_to_date = original->date;
    }
    enum ws_status status = write_record(archive, &out, err);
    if (status == WS_OK) {
        memcpy(record, out.id, sizeof out.id);
        status = write_request(archive, response, record, date, err);
    }
    return status;
}

enum ws_status ws_archive_response(struct ws_archive *archive, const struct ws_response *response, char record[64],
                                   struct ws_err *err)
{
    char date[WS_TIME_TEXT];
    ws_clock_text(ws_clock_unix_s(), date);
    return write_answer(archive, response, NULL, date, record, err);
}

enum ws_status ws_archive_picture(struct ws_archive *archive, struct ws_frontier *frontier,
                                  const struct ws_response *response, char record[64], bool *is_duplicate,
                                  struct ws_err *err)
{
    struct ws_body_entry body;
    char date[WS_TIME_TEXT];
    const char *url = response->request->url.text;
    *is_duplicate = false;
    /* Empty and cut bodies say nothing about being the same picture. */
    if (response->body.len == 0 || response->is_cut)
        return ws_archive_response(archive, response, record, err);
    ws_clock_text(ws_clock_unix_s(), date);
    const struct ws_digest digest = ws_sha256(response->body.ptr, response->body.len);
    enum ws_status status = ws_frontier_get_body(frontier, &digest, &body, err);
    if (status == WS_OK && strcmp(body.url, url) != 0) {
        *is_duplicate = true;
        return write_answer(archive, response, &body, date, record, err);
    }
    if (status != WS_OK && status != WS_DONE)
        return status;
    status = write_answer(archive, response, NULL, date, record, err);
    if (status != WS_OK)
        return status;
    memcpy(body.record, record, sizeof body.record);
    snprintf(body.date, sizeof body.date, "%s", date);
    snprintf(body.url, sizeof body.url, "%s", url);
    return ws_frontier_put_body(frontier, &digest, &body, err);
}

enum ws_status ws_archive_metadata(struct ws_archive *archive, const char *url, const char *record, const char *json,
                                   struct ws_err *err)
{
    struct ws_warc_record_out out = {
        .type = WS_WARC_METADATA,
        .target_uri = url,
        .content_type = "application/json",
        .concurrent_to = record && *record ? record : NULL,
        .payload = {(const uint8_t *)json, strlen(json)},
    };
    return write_record(archive, &out, err);
}
