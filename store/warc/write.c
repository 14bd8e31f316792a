/** WARC shards: one gzip member a record, synced with the caller's books, renamed when full. */
#include "parts.h"

#include "webstill/base/clock.h"
#include "webstill/base/file.h"
#include "webstill/base/hash.h"
#include "webstill/base/mem.h"
#include "webstill/base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include <zlib.h>

struct ws_warc_writer {
    char *dir;         /**< owned */
    char *info_fields; /**< owned */
    uint64_t max_bytes;
    uint32_t shard;
    uint64_t bytes;      /**< length of the open shard */
    uint64_t info_bytes; /**< length of its warcinfo record */
    int fd;              /**< owned: -1 when no shard is open */
    bool z_ready;
    z_stream z;
    struct ws_buf header; /**< of the record at hand */
    struct ws_buf packed; /**< its gzip member */
};

static void shard_path(const struct ws_warc_writer *writer, uint32_t shard, const char *suffix,
                       char path[WS_PATH_BYTES])
{
    snprintf(path, WS_PATH_BYTES, "%s/webstill-%05" PRIu32 ".warc.gz%s", writer->dir, shard, suffix);
}

/** Number of "webstill-NNNNN.warc.gz" and of its ".part"; false for other names. */
static bool parse_shard_name(const char *name, uint32_t *shard, bool *part)
{
    if (strncmp(name, "webstill-", 9) != 0)
        return false;
    char *end = NULL;
    errno = 0;
    const unsigned long number = strtoul(name + 9, &end, 10);
    if (errno != 0 || end == name + 9 || number > UINT32_MAX)
        return false;
    *shard = (uint32_t)number;
    *part = strcmp(end, ".warc.gz.part") == 0;
    return *part || strcmp(end, ".warc.gz") == 0;
}

static enum ws_status make_record_id(char id[64], struct ws_err *err)
{
    uint8_t u[16];
    if (RAND_bytes(u, sizeof u) != 1)
        return ws_fail(err, WS_E_INTERNAL, "no random bytes for a WARC-Record-ID: libcrypto's generator failed");
    u[6] = (uint8_t)((u[6] & 0x0f) | 0x40);
    u[8] = (uint8_t)((u[8] & 0x3f) | 0x80);
    snprintf(id, 64, "<urn:uuid:%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x>", u[0], u[1],
             u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
    return WS_OK;
}

static const char *const type_names[] = {
    [WS_WARC_WARCINFO] = "warcinfo",     [WS_WARC_REQUEST] = "request",           [WS_WARC_RESPONSE] = "response",
    [WS_WARC_RESOURCE] = "resource",     [WS_WARC_METADATA] = "metadata",         [WS_WARC_REVISIT] = "revisit",
    [WS_WARC_CONVERSION] = "conversion", [WS_WARC_CONTINUATION] = "continuation",
};

/** One "Name: value" line; nothing for NULL. False when the value would break the header or memory ends. */
static bool add_field(struct ws_buf *header, const char *name, const char *value)
{
    if (!value)
        return true;
    return !strpbrk(value, "\r\n") && ws_buf_addf(header, "%s: %s\r\n", name, value);
}

static enum ws_status build_header(struct ws_warc_writer *writer, const struct ws_warc_record_out *record,
                                   const char *filename, struct ws_err *err)
{
    const bool http = record->content_type && strncasecmp(record->content_type, "application/http", 16) == 0;
    const bool revisit = record->type == WS_WARC_REVISIT;
    struct ws_span body = {0};
    if (!revisit)
        body = record->payload;
    char now[WS_TIME_TEXT], block_digest[WS_WARC_DIGEST_TEXT], payload_digest[WS_WARC_DIGEST_TEXT];
    const char *date = record->date;
    if (!date) {
        ws_clock_text(ws_clock_unix_s(), now);
        date = now;
    }
    ws_warc_digest_text(record->head, body, block_digest);
    const bool has_payload = http && (record->type == WS_WARC_RESPONSE || revisit || record->payload.len > 0);
    if (has_payload)
        ws_warc_digest_text(record->payload, (struct ws_span){0}, payload_digest);
    struct ws_buf *h = &writer->header;
    ws_buf_clear(h);
    const bool ok = ws_buf_add_str(h, "WARC/1.1\r\n") && add_field(h, "WARC-Type", type_names[record->type]) &&
                    add_field(h, "WARC-Record-ID", record->id) && add_field(h, "WARC-Date", date) &&
                    add_field(h, "WARC-Filename", filename) && add_field(h, "WARC-Target-URI", record->target_uri) &&
                    add_field(h, "WARC-IP-Address", record->ip_address) &&
                    add_field(h, "WARC-Concurrent-To", record->concurrent_to) &&
                    add_field(h, "WARC-Refers-To", record->refers_to) &&
                    add_field(h, "WARC-Refers-To-Target-URI", record->refers_to_uri) &&
                    add_field(h, "WARC-Refers-To-Date", record->refers_to_date) &&
                    add_field(h, "WARC-Profile", record->profile) &&
                    add_field(h, "WARC-Truncated", record->truncated) &&
                    add_field(h, "WARC-Identified-Payload-Type", record->identified_type) &&
                    add_field(h, "WARC-Block-Digest", block_digest) &&
                    add_field(h, "WARC-Payload-Digest", has_payload ? payload_digest : NULL) &&
                    add_field(h, "Content-Type", record->content_type) &&
                    ws_buf_addf(h, "Content-Length: %zu\r\n\r\n", record->head.len + body.len);
    if (!ok)
        return ws_fail(err, WS_E_FORMAT,
                       "cannot write a WARC %s record for %.200s: a field holds a line break, or memory is out",
                       type_names[record->type], record->target_uri ? record->target_uri : "(no URI)");
    return WS_OK;
}

/** Deflate one piece of a member into `packed`. */
static bool pack(struct ws_warc_writer *writer, const void *bytes, size_t len, int flush)
{
    z_stream *z = &writer->z;
    const uint8_t *in = bytes;
    size_t left = len;
    int rc = Z_OK;
    do {
        const uInt part = left > (1u << 30) ? (1u << 30) : (uInt)left;
        z->next_in = part > 0 ? (z_const Bytef *)(uintptr_t)in : Z_NULL; /* zlib takes a pointer to non-const */
        z->avail_in = part;
        do {
            enum { STEP = 65536 };
            char *to = ws_buf_reserve(&writer->packed, STEP);
            if (!to)
                return false;
            z->next_out = (Bytef *)to;
            z->avail_out = STEP;
            rc = deflate(z, left > part ? Z_NO_FLUSH : flush);
            if (rc == Z_STREAM_ERROR)
                return false;
            writer->packed.len += STEP - z->avail_out;
        } while (z->avail_out == 0);
        in += part;
        left -= part;
    } while (left > 0);
    return flush != Z_FINISH || rc == Z_STREAM_END;
}

/** Append the packed member; a torn write is cut off again, so that the shard ends with a whole record. */
static enum ws_status append(struct ws_warc_writer *writer, struct ws_err *err)
{
    const char *bytes = writer->packed.ptr;
    size_t left = writer->packed.len;
    while (left > 0) {
        const ssize_t n = write(writer->fd, bytes, left);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            const int reason = errno;
            if (ftruncate(writer->fd, (off_t)writer->bytes) == 0)
                (void)lseek(writer->fd, (off_t)writer->bytes, SEEK_SET);
            errno = reason;
            const enum ws_status status =
                ws_fail_errno(err, "cannot append %zu bytes to WARC shard %05" PRIu32 " in %s", writer->packed.len,
                              writer->shard, writer->dir);
            if (reason == ENOSPC || reason == EDQUOT)
                ws_err_hint(err,
                            "free some space on the disk of %s and run the same command again; what was written "
                            "stays",
                            writer->dir);
            return status;
        }
        bytes += n;
        left -= (size_t)n;
    }
    writer->bytes += writer->packed.len;
    return WS_OK;
}

static enum ws_status write_record(struct ws_warc_writer *writer, const struct ws_warc_record_out *record,
                                   const char *filename, struct ws_err *err)
{
    const enum ws_status status = build_header(writer, record, filename, err);
    if (status != WS_OK)
        return status;
    /* Pictures are compressed already: the fastest level finds that out and stores them. */
    const bool image = record->identified_type && strncmp(record->identified_type, "image/", 6) == 0;
    ws_buf_clear(&writer->packed);
    if (deflateReset(&writer->z) != Z_OK ||
        deflateParams(&writer->z, image ? Z_BEST_SPEED : Z_DEFAULT_COMPRESSION, Z_DEFAULT_STRATEGY) != Z_OK ||
        !pack(writer, writer->header.ptr, writer->header.len, Z_NO_FLUSH) ||
        (record->head.len > 0 && !pack(writer, record->head.ptr, record->head.len, Z_NO_FLUSH)) ||
        (record->type != WS_WARC_REVISIT && record->payload.len > 0 &&
         !pack(writer, record->payload.ptr, record->payload.len, Z_NO_FLUSH)) ||
        !pack(writer, "\r\n\r\n", 4, Z_FINISH))
        return ws_fail(err, WS_E_MEMORY, "out of memory while packing a WARC record of %zu bytes",
                       record->head.len + record->payload.len);
    return append(writer, err);
}

/** Create the .part of writer->shard with its warcinfo. */
static enum ws_status begin_shard(struct ws_warc_writer *writer, struct ws_err *err)
{
    char path[WS_PATH_BYTES], name[64];
    shard_path(writer, writer->shard, ".part", path);
    writer->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (writer->fd < 0)
        return ws_fail_errno(err, "cannot create %s", path);
    writer->bytes = 0;
    snprintf(name, sizeof name, "webstill-%05" PRIu32 ".warc.gz", writer->shard);
    struct ws_warc_record_out info = {
        .type = WS_WARC_WARCINFO,
        .content_type = "application/warc-fields",
        .payload = {(const uint8_t *)writer->info_fields, strlen(writer->info_fields)},
    };
    enum ws_status status = make_record_id(info.id, err);
    if (status == WS_OK)
        status = write_record(writer, &info, name, err);
    if (status == WS_OK)
        status = ws_dir_sync(writer->dir, err);
    writer->info_bytes = writer->bytes;
    return status;
}

/** Sync, close, and give the open shard its final name; one that holds only a warcinfo is removed. */
static enum ws_status end_shard(struct ws_warc_writer *writer, struct ws_err *err)
{
    char part[WS_PATH_BYTES], path[WS_PATH_BYTES];
    shard_path(writer, writer->shard, ".part", part);
    shard_path(writer, writer->shard, "", path);
    if (writer->bytes > writer->info_bytes && fsync(writer->fd) != 0)
        return ws_fail_errno(err, "cannot sync %s", part);
    const int fd = writer->fd;
    writer->fd = -1;
    if (close(fd) != 0)
        return ws_fail_errno(err, "cannot close %s", part);
    if (writer->bytes <= writer->info_bytes) {
        if (unlink(part) != 0)
            return ws_fail_errno(err, "cannot remove the empty %s", part);
    } else if (rename(part, path) != 0) {
        return ws_fail_errno(err, "cannot rename %s to its final name", part);
    }
    return ws_dir_sync(writer->dir, err);
}

/** Remove what the books do not vouch for; without books: every .part, and begin behind the last finished shard. */
static enum ws_status clear_unvouched(struct ws_warc_writer *writer, bool books, struct ws_err *err)
{
    struct ws_dir_list list = {0};
    enum ws_status status = ws_dir_list_open(&list, writer->dir, "", err);
    uint32_t next = 0;
    const uint32_t last = writer->shard;
    for (size_t i = 0; status == WS_OK && i < list.n; i++) {
        uint32_t shard = 0;
        bool part = false;
        char path[WS_PATH_BYTES];
        if (!parse_shard_name(list.names[i], &shard, &part))
            continue;
        if (!books && !part && shard >= next)
            next = shard + 1;
        if (books ? shard > last : part) {
            status = ws_path_join(path, writer->dir, err, "%s", list.names[i]);
            if (status == WS_OK && unlink(path) != 0)
                status = ws_fail_errno(err, "cannot remove %s, which no committed state vouches for", path);
        }
    }
    ws_dir_list_close(&list);
    if (!books)
        writer->shard = next;
    return status;
}

/** Open the .part at the vouched length. */
static enum ws_status reopen_shard(struct ws_warc_writer *writer, uint64_t resume_bytes, struct ws_err *err)
{
    char path[WS_PATH_BYTES];
    shard_path(writer, writer->shard, ".part", path);
    struct ws_warc_reader *reader = NULL;
    struct ws_warc_record record;
    enum ws_status status = ws_warc_reader_open(&reader, path, 0, 1u << 20, err);
    if (status == WS_OK)
        status = ws_warc_next(reader, &record, err);
    if (status == WS_OK)
        writer->info_bytes = record.end_bytes;
    ws_warc_reader_close(&reader);
    if (status != WS_OK)
        return status == WS_DONE
                   ? ws_fail(err, WS_E_DAMAGED, "%s holds no record, but %" PRIu64 " bytes are vouched for", path,
                             resume_bytes)
                   : status;
    writer->fd = open(path, O_WRONLY | O_CLOEXEC);
    if (writer->fd < 0)
        return ws_fail_errno(err, "cannot open %s", path);
    if (ftruncate(writer->fd, (off_t)resume_bytes) != 0 || lseek(writer->fd, (off_t)resume_bytes, SEEK_SET) < 0)
        return ws_fail_errno(err, "cannot cut %s to the committed %" PRIu64 " bytes", path, resume_bytes);
    writer->bytes = resume_bytes;
    return WS_OK;
}

static enum ws_status resume(struct ws_warc_writer *writer, uint64_t resume_bytes, struct ws_err *err)
{
    const bool books = writer->shard > 0 || resume_bytes > 0;
    enum ws_status status = clear_unvouched(writer, books, err);
    if (status != WS_OK || !books)
        return status == WS_OK ? begin_shard(writer, err) : status;
    char path[WS_PATH_BYTES], part[WS_PATH_BYTES];
    shard_path(writer, writer->shard, "", path);
    shard_path(writer, writer->shard, ".part", part);
    const int64_t whole = ws_file_size(path);
    if (whole >= 0 && (uint64_t)whole == resume_bytes) {
        writer->shard++;
        return begin_shard(writer, err);
    }
    if (whole >= 0 && (uint64_t)whole > resume_bytes && rename(path, part) != 0) /* it rolled after the last commit */
        return ws_fail_errno(err, "cannot reopen %s", path);
    if (resume_bytes == 0)
        return begin_shard(writer, err);
    const int64_t have = whole >= 0 && (uint64_t)whole < resume_bytes ? whole : ws_file_size(part);
    if (have < 0 || (uint64_t)have < resume_bytes) {
        status = ws_fail(err, WS_E_DAMAGED, "%s: %" PRId64 " bytes on disk, but %" PRIu64 " were committed", part,
                         have < 0 ? 0 : have, resume_bytes);
        ws_err_hint(err, "a file in %s was cut or removed; restore it, or remove the folder to crawl anew",
                    writer->dir);
        return status;
    }
    return reopen_shard(writer, resume_bytes, err);
}

enum ws_status ws_warc_writer_open(struct ws_warc_writer **out, const char *dir, const char *info_fields,
                                   uint64_t max_bytes, uint32_t shard, uint64_t resume_bytes, struct ws_err *err)
{
    *out = NULL;
    char longest[WS_PATH_BYTES]; /* so that no name of a shard is ever cut */
    enum ws_status status = ws_path_join(longest, dir, err, "webstill-%05" PRIu32 ".warc.gz.part", UINT32_MAX);
    if (status == WS_OK)
        status = ws_dir_make(dir, err);
    if (status != WS_OK)
        return status;
    struct ws_warc_writer *writer = ws_calloc(1, sizeof *writer);
    if (!writer)
        return ws_fail(err, WS_E_MEMORY, "out of memory for the WARC writer of %s", dir);
    writer->fd = -1;
    writer->max_bytes = max_bytes;
    writer->shard = shard;
    writer->dir = strdup(dir);
    writer->info_fields = strdup(info_fields ? info_fields : "");
    enum { GZIP_WINDOW = 15 + 16 }; /* zlib: 15 bits of window, 16 asks for the gzip wrapper */
    writer->z_ready =
        deflateInit2(&writer->z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) == Z_OK;
    if (!writer->dir || !writer->info_fields || !writer->z_ready)
        status = ws_fail(err, WS_E_MEMORY, "out of memory for the WARC writer of %s", dir);
    else
        status = resume(writer, resume_bytes, err);
    if (status == WS_OK)
        *out = writer;
    else
        ws_warc_writer_close(&writer);
    return status;
}

enum ws_status ws_warc_write(struct ws_warc_writer *writer, struct ws_warc_record_out *record, struct ws_err *err)
{
    ws_assert(record->type < WS_WARC_OTHER);
    enum ws_status status = WS_OK;
    const bool full = writer->max_bytes > 0 && writer->bytes >= writer->max_bytes && writer->bytes > writer->info_bytes;
    if (writer->fd >= 0 && full && !record->concurrent_to)
        status = end_shard(writer, err);
    if (status == WS_OK && writer->fd < 0) {
        writer->shard++;
        status = begin_shard(writer, err);
    }
    if (status == WS_OK && record->id[0] == 0)
        status = make_record_id(record->id, err);
    if (status == WS_OK)
        status = write_record(writer, record, NULL, err);
    return status;
}

enum ws_status ws_warc_writer_sync(struct ws_warc_writer *writer, uint32_t *shard, uint64_t *bytes, struct ws_err *err)
{
    if (writer->fd >= 0 && fsync(writer->fd) != 0)
        return ws_fail_errno(err, "cannot sync WARC shard %05" PRIu32 " in %s", writer->shard, writer->dir);
    *shard = writer->shard;
    *bytes = writer->bytes > writer->info_bytes ? writer->bytes : 0; /* finish() removes a shard without records */
    return WS_OK;
}

enum ws_status ws_warc_writer_finish(struct ws_warc_writer *writer, struct ws_err *err)
{
    return writer->fd >= 0 ? end_shard(writer, err) : WS_OK;
}

void ws_warc_writer_close(struct ws_warc_writer **writer)
{
    if (!*writer)
        return;
    struct ws_warc_writer *w = *writer;
    if (w->fd >= 0)
        (void)close(w->fd);
    if (w->z_ready)
        (void)deflateEnd(&w->z);
    ws_buf_fini(&w->header);
    ws_buf_fini(&w->packed);
    free(w->dir);
    free(w->info_fields);
    free(w);
    *writer = NULL;
}
