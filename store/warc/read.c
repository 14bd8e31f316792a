/** The WARC reader: records, their fields and digests; steps over damage. */
#include "parts.h"

#include "webstill/base/mem.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_HEADER_BYTES = 1 << 16 };

struct ws_warc_reader {
    struct ws_warc_source *source; /**< owned */
    char *path;                    /**< owned */
    uint64_t max_block_bytes;
    size_t pending;           /**< bytes of the last record, consumed at the next step */
    struct ws_buf header;     /**< copy of the record's header, its lines cut into texts */
    struct ws_buf scratch[2]; /**< bodies with codings undone */
    const char *block_digest; /**< borrowed from `header` */
    bool ended;
};

enum ws_status ws_warc_reader_open(struct ws_warc_reader **out, const char *path, uint64_t start_bytes,
                                   uint64_t max_block_bytes, struct ws_err *err)
{
    *out = NULL;
    struct ws_warc_reader *reader = ws_calloc(1, sizeof *reader);
    if (!reader)
        return ws_fail(err, WS_E_MEMORY, "out of memory for reading %s", path);
    reader->max_block_bytes = max_block_bytes;
    reader->path = strdup(path);
    const enum ws_status status = reader->path ? ws_warc_source_open(&reader->source, path, start_bytes, err)
                                               : ws_fail(err, WS_E_MEMORY, "out of memory for reading %s", path);
    if (status == WS_OK)
        *out = reader;
    else
        ws_warc_reader_close(&reader);
    return status;
}

void ws_warc_reader_close(struct ws_warc_reader **reader)
{
    struct ws_warc_reader *r = *reader;
    if (!r)
        return;
    ws_warc_source_close(&r->source);
    ws_buf_fini(&r->header);
    ws_buf_fini(&r->scratch[0]);
    ws_buf_fini(&r->scratch[1]);
    free(r->path);
    free(r);
    *reader = NULL;
}

/** Have at least `len` unread bytes; WS_DONE when the file ends before. */
static enum ws_status need(struct ws_warc_reader *reader, size_t len, struct ws_err *err)
{
    enum ws_status status = WS_OK;
    while (status == WS_OK && ws_warc_source_view(reader->source).len < len)
        status = ws_warc_source_more(reader->source, err);
    return status;
}

/** Step over line ends between records; WS_DONE at the end of the file. */
static enum ws_status skip_blank(struct ws_warc_reader *reader, struct ws_err *err)
{
    for (;;) {
        const enum ws_status status = need(reader, 1, err);
        if (status != WS_OK)
            return status;
        const struct ws_span view = ws_warc_source_view(reader->source);
        size_t n = 0;
        while (n < view.len && (view.ptr[n] == '\r' || view.ptr[n] == '\n'))
            n++;
        ws_warc_source_consume(reader->source, n);
        if (n < view.len)
            return WS_OK;
    }
}

/** Length of the header with its blank line; WS_E_FORMAT when the view begins no record. */
static enum ws_status find_header(struct ws_warc_reader *reader, uint64_t offset, size_t *len, struct ws_err *err)
{
    enum ws_status status = need(reader, 6, err);
    struct ws_span view = ws_warc_source_view(reader->source);
    if (status == WS_DONE || (status == WS_OK && memcmp(view.ptr, "WARC/", 5) != 0))
        return ws_fail(err, WS_E_FORMAT, "%s: expected a WARC record (\"WARC/1.1\") at byte %" PRIu64, reader->path,
                       offset);
    for (size_t from = 0; status == WS_OK;) {
        view = ws_warc_source_view(reader->source);
        for (size_t i = from; i + 3 < view.len && i < MAX_HEADER_BYTES; i++) {
            if (memcmp(view.ptr + i, "\r\n\r\n", 4) == 0) {
                *len = i + 4;
                return WS_OK;
            }
        }
        if (view.len >= MAX_HEADER_BYTES)
            break;
        from = view.len > 3 ? view.len - 3 : 0;
        status = ws_warc_source_more(reader->source, err);
    }
    if (status != WS_OK && status != WS_DONE)
        return status;
    return ws_fail(err, WS_E_FORMAT, "%s: the header of the record at byte %" PRIu64 " does not end within %d bytes",
                   reader->path, offset, MAX_HEADER_BYTES);
}

static enum ws_warc_type type_of(const char *name)
{
    static const char *const names[] = {"warcinfo", "request", "response",   "resource",
                                        "metadata", "revisit", "conversion", "continuation"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcasecmp(name, names[i]) == 0)
            return (enum ws_warc_type)i;
    return WS_WARC_OTHER;
}

/** Take one "Name: value" into the record. `length` is the Content-Length when it is that. */
static void take_field(struct ws_warc_reader *reader, struct ws_warc_record *record, const char *name, char *value,
                       const char **length)
{
    const struct {
        const char *name;
        const char **to;
    } fields[] = {
        {"WARC-Record-ID", &record->id},
        {"WARC-Target-URI", &record->target_uri},
        {"WARC-Date", &record->date},
        {"WARC-Concurrent-To", &record->concurrent_to},
        {"WARC-Refers-To", &record->refers_to},
        {"WARC-Refers-To-Target-URI", &record->refers_to_uri},
        {"WARC-Profile", &record->profile},
        {"WARC-IP-Address", &record->ip_address},
        {"WARC-Truncated", &record->truncated},
        {"WARC-Payload-Digest", &record->payload_digest},
        {"WARC-Block-Digest", &reader->block_digest},
        {"Content-Type", &record->content_type},
        {"Content-Length", length},
    };
    if (strcasecmp(name, "WARC-Type") == 0)
        record->type = type_of(value);
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (strcasecmp(name, fields[i].name) != 0 || *fields[i].to)
            continue; /* WARC-Concurrent-To may repeat: the first counts */
        const size_t len = strlen(value);
        if (fields[i].to == &record->target_uri && len > 1 && value[0] == '<' && value[len - 1] == '>') {
            value[len - 1] = 0; /* WARC 1.0 writers put the URI in angle brackets */
            value++;
        }
        *fields[i].to = value;
    }
}

/** Cut the header's copy into fields. */
static enum ws_status parse_header(struct ws_warc_reader *reader, struct ws_span header, struct ws_warc_record *record,
                                   uint64_t *content_length, struct ws_err *err)
{
    ws_buf_clear(&reader->header);
    if (!ws_buf_add(&reader->header, header.ptr, header.len))
        return ws_fail(err, WS_E_MEMORY, "out of memory for a header of %zu bytes in %s", header.len, reader->path);
    char *text = reader->header.ptr;
    const char *length = NULL;
    if (memchr(text, 0, header.len))
        return ws_fail(err, WS_E_FORMAT, "%s: the header of the record at byte %" PRIu64 " holds a NUL", reader->path,
                       record->offset_bytes);
    for (char *p = text; (p = strstr(p, "\r\n")) != NULL; p += 2) /* unfold (WARC 1.0): a line that begins blank */
        if (p[2] == ' ' || p[2] == '\t')
            p[0] = p[1] = ' ';
    char *line = strstr(text, "\r\n") + 2; /* the first line is the version */
    for (char *end; (end = strstr(line, "\r\n")) != NULL && end > line; line = end + 2) {
        *end = 0;
        char *colon = strchr(line, ':');
        if (!colon)
            continue;
        *colon = 0;
        char *value = colon + 1 + strspn(colon + 1, " \t");
        for (char *last = end; last > value && (last[-1] == ' ' || last[-1] == '\t');)
            *--last = 0;
        take_field(reader, record, line, value, &length);
    }
    char *end = NULL;
    errno = 0;
    const unsigned long long n = length && isdigit((unsigned char)length[0]) ? strtoull(length, &end, 10) : 0;
    if (!end || *end != 0 || errno != 0)
        return ws_fail(err, WS_E_FORMAT, "%s: the record at byte %" PRIu64 " needs a Content-Length, found %.40s",
                       reader->path, record->offset_bytes, length ? length : "none");
    *content_length = n;
    return WS_OK;
}

/** Step over a sound record that is too large to hold. */
static enum ws_status skip_large(struct ws_warc_reader *reader, size_t header_len, uint64_t content_length,
                                 const struct ws_warc_record *record, struct ws_err *err)
{
    uint64_t left = header_len + content_length;
    while (left > 0) {
        const enum ws_status status = need(reader, 1, err);
        if (status != WS_OK)
            return status == WS_DONE ? ws_fail(err, WS_E_FORMAT,
                                               "%s: the record at byte %" PRIu64 " is cut off by the end of the file",
                                               reader->path, record->offset_bytes)
                                     : status;
        const size_t have = ws_warc_source_view(reader->source).len;
        const size_t part = left < have ? (size_t)left : have;
        ws_warc_source_consume(reader->source, part);
        left -= part;
    }
    return WS_OK;
}

/** Line ends behind a block: 4 bytes, fewer at the end of the file; -1 when something else stands there. */
static int count_trailer(struct ws_span view, size_t at)
{
    size_t n = 0;
    while (n < 4 && at + n < view.len && view.ptr[at + n] == (n % 2 == 0 ? '\r' : '\n'))
        n++;
    return n == 4 || at + n == view.len ? (int)n : -1;
}

/** Fill in head, body and status of an HTTP record, and judge its digests. */
static enum ws_status check_block(struct ws_warc_reader *reader, struct ws_warc_record *record, struct ws_err *err)
{
    struct ws_span body = record->block, unchunked = record->block;
    record->payload = record->block;
    const bool http = record->content_type ? strncasecmp(record->content_type, "application/http", 16) == 0
                                           : record->type == WS_WARC_RESPONSE || record->type == WS_WARC_REVISIT;
    enum ws_status status = WS_OK;
    if (http) {
        size_t head_len = ws_http_head_len(record->block);
        if (head_len == 0 && record->type == WS_WARC_REQUEST) {
            const struct ws_span b = record->block; /* a request line; its body is of no use here */
            head_len = b.len;
        }
        record->head = (struct ws_span){record->block.ptr, head_len};
        body = (struct ws_span){record->block.ptr + head_len, record->block.len - head_len};
        unchunked = record->payload = body;
        if (record->type == WS_WARC_RESPONSE || record->type == WS_WARC_REVISIT)
            record->http_status = ws_http_status(record->head);
        if (record->type == WS_WARC_RESPONSE)
            status = ws_http_body(record->head, body, reader->max_block_bytes, reader->scratch, &unchunked,
                                  &record->payload, err);
    }
    const enum ws_warc_match block =
        reader->block_digest ? ws_warc_digest_match(reader->block_digest, record->block) : WS_WARC_MATCH_UNKNOWN;
    bool good = block != WS_WARC_MISMATCH;
    const bool judge_payload = block == WS_WARC_MATCH_UNKNOWN && record->payload_digest &&
                               record->type != WS_WARC_REVISIT && !record->truncated;
    if (judge_payload && ws_warc_digest_match(record->payload_digest, body) == WS_WARC_MISMATCH)
        good = ws_warc_digest_match(record->payload_digest, unchunked) == WS_WARC_MATCH ||
               ws_warc_digest_match(record->payload_digest, record->payload) == WS_WARC_MATCH;
    if (!good)
        return ws_fail(err, WS_E_FORMAT, "%s: the record at byte %" PRIu64 " does not have its declared digest %.100s",
                       reader->path, record->offset_bytes,
                       block == WS_WARC_MISMATCH ? reader->block_digest : record->payload_digest);
    if (status != WS_OK)
        ws_err_note(err, "%s: the record at byte %" PRIu64, reader->path, record->offset_bytes);
    return status;
}

/** Read one record. WS_E_FORMAT with *resync when the bytes at hand cannot be trusted to find the next one. */
static enum ws_status read_record(struct ws_warc_reader *reader, struct ws_warc_record *record, bool *resync,
                                  struct ws_err *err)
{
    *resync = true;
    enum ws_status status = skip_blank(reader, err);
    record->offset_bytes = ws_warc_source_offset(reader->source);
    if (status != WS_OK)
        return status;
    size_t header_len = 0;
    uint64_t content_length = 0;
    if ((status = find_header(reader, record->offset_bytes, &header_len, err)) != WS_OK)
        return status;
    struct ws_span view = ws_warc_source_view(reader->source);
    if ((status = parse_header(reader, (struct ws_span){view.ptr, header_len}, record, &content_length, err)) != WS_OK)
        return status;
    if (content_length > reader->max_block_bytes) {
        if ((status = skip_large(reader, header_len, content_length, record, err)) != WS_OK)
            return status;
        *resync = false;
        return ws_fail(err, WS_E_FORMAT,
                       "%s: the record at byte %" PRIu64 " (%.200s) has a block of %" PRIu64 " bytes; at most %" PRIu64
                       " are read",
                       reader->path, record->offset_bytes, record->target_uri ? record->target_uri : "no URI",
                       content_length, reader->max_block_bytes);
    }
    const size_t whole = header_len + (size_t)content_length;
    status = need(reader, whole + 4, err);
    view = ws_warc_source_view(reader->source);
    if (status != WS_OK && (status != WS_DONE || view.len < whole))
        return status != WS_DONE ? status
                                 : ws_fail(err, WS_E_FORMAT,
                                           "%s: the record at byte %" PRIu64 " announces %" PRIu64
                                           " bytes, but the file ends after %zu",
                                           reader->path, record->offset_bytes, content_length, view.len - header_len);
    const int trailer = count_trailer(view, whole);
    if (trailer < 0)
        return ws_fail(err, WS_E_FORMAT,
                       "%s: the record at byte %" PRIu64 " announces %" PRIu64
                       " bytes, but no blank line stands behind them",
                       reader->path, record->offset_bytes, content_length);
    const size_t ahead = whole + (size_t)trailer;
    if ((status = ws_warc_source_boundary(reader->source, ahead, &record->end_bytes, err)) != WS_OK)
        return status;
    reader->pending = ahead;
    *resync = false;
    view = ws_warc_source_view(reader->source);
    record->block = (struct ws_span){view.ptr + header_len, (size_t)content_length};
    return check_block(reader, record, err);
}

enum ws_status ws_warc_next(struct ws_warc_reader *reader, struct ws_warc_record *record, struct ws_err *err)
{
    *record = (struct ws_warc_record){.type = WS_WARC_OTHER};
    if (reader->ended)
        return WS_DONE;
    ws_warc_source_consume(reader->source, reader->pending);
    reader->pending = 0;
    reader->block_digest = NULL;
    bool resync = false;
    const enum ws_status status = read_record(reader, record, &resync, err);
    if (status == WS_DONE) {
        reader->ended = true;
    } else if (status == WS_E_FORMAT && resync) {
        const enum ws_status found = ws_warc_source_resync(reader->source, record->offset_bytes, err);
        reader->ended = found == WS_DONE;
        if (found == WS_E_IO)
            return found;
    } else if (status != WS_OK && status != WS_E_FORMAT) {
        reader->ended = true;
    }
    return status;
}
