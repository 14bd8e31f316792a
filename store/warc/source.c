/** The byte source under the WARC reader: a file, plain or gzip, read forward in a bounded buffer. */
#include "parts.h"

#include "webstill/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { IN_BYTES = 1 << 16, OUT_STEP = 1 << 16, GZIP_WINDOW = 15 + 16 };

struct ws_warc_source {
    int fd;     /**< owned */
    char *path; /**< owned */
    uint8_t in[IN_BYTES];
    size_t in_pos, in_len;
    uint64_t in_offset; /**< file offset of in[in_pos] */
    bool gzip, in_member, z_ready;
    z_stream z;
    struct ws_buf out; /**< decompressed bytes; unread from out_pos */
    size_t out_pos;
    size_t member_pos;     /**< where in `out` the newest member begins */
    uint64_t member_start; /**< its offset in the file */
    uint64_t older_start;  /**< of the oldest member with unread bytes before member_pos */
};

/** Read more input when there is none; false at the end of the file or on an error (then *status is WS_E_IO). */
static bool fill(struct ws_warc_source *source, enum ws_status *status, struct ws_err *err)
{
    while (source->in_pos == source->in_len) {
        const ssize_t n = read(source->fd, source->in, sizeof source->in);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            *status = ws_fail_errno(err, "cannot read %s at byte %" PRIu64, source->path, source->in_offset);
        if (n <= 0)
            return false;
        source->in_pos = 0;
        source->in_len = (size_t)n;
    }
    return true;
}

static void advance(struct ws_warc_source *source, size_t n)
{
    source->in_pos += n;
    source->in_offset += n;
}

/** Go to a place in the file and forget what was read. */
static enum ws_status seek_to(struct ws_warc_source *source, uint64_t offset, struct ws_err *err)
{
    if (lseek(source->fd, (off_t)offset, SEEK_SET) < 0)
        return ws_fail_errno(err, "cannot go to byte %" PRIu64 " of %s", offset, source->path);
    source->in_pos = source->in_len = 0;
    source->in_offset = source->member_start = source->older_start = offset;
    source->in_member = false;
    ws_buf_clear(&source->out);
    source->out_pos = source->member_pos = 0;
    return WS_OK;
}

enum ws_status ws_warc_source_open(struct ws_warc_source **out, const char *path, uint64_t start_bytes,
                                   struct ws_err *err)
{
    *out = NULL;
    struct ws_warc_source *source = ws_calloc(1, sizeof *source);
    if (!source)
        return ws_fail(err, WS_E_MEMORY, "out of memory for reading %s", path);
    enum ws_status status = WS_OK;
    source->path = strdup(path);
    source->fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat about;
    if (!source->path)
        status = ws_fail(err, WS_E_MEMORY, "out of memory for reading %s", path);
    else if (source->fd < 0 || fstat(source->fd, &about) != 0)
        status = ws_fail_errno(err, "cannot open %s", path);
    else if (!S_ISREG(about.st_mode))
        status = ws_fail(err, WS_E_IO, "%s is not a regular file", path);
    else if (start_bytes > (uint64_t)about.st_size)
        status =
            ws_fail(err, WS_E_FORMAT, "%s has %lld bytes, but reading was to go on at byte %" PRIu64 ": it was cut",
                    path, (long long)about.st_size, start_bytes);
    uint8_t magic[2] = {0, 0};
    if (status == WS_OK) {
        source->gzip = pread(source->fd, magic, 2, 0) == 2 && magic[0] == 0x1f && magic[1] == 0x8b;
        source->z_ready = inflateInit2(&source->z, GZIP_WINDOW) == Z_OK;
        status = source->z_ready ? seek_to(source, start_bytes, err)
                                 : ws_fail(err, WS_E_MEMORY, "out of memory for reading %s", path);
    }
    if (status == WS_OK)
        *out = source;
    else
        ws_warc_source_close(&source);
    return status;
}

void ws_warc_source_close(struct ws_warc_source **source)
{
    struct ws_warc_source *s = *source;
    if (!s)
        return;
    if (s->fd >= 0)
        (void)close(s->fd);
    if (s->z_ready)
        (void)inflateEnd(&s->z);
    ws_buf_fini(&s->out);
    free(s->path);
    free(s);
    *source = NULL;
}

struct ws_span ws_warc_source_view(const struct ws_warc_source *source)
{
    if (source->out_pos == source->out.len)
        return (struct ws_span){0};
    return (struct ws_span){(const uint8_t *)source->out.ptr + source->out_pos, source->out.len - source->out_pos};
}

void ws_warc_source_consume(struct ws_warc_source *source, size_t len)
{
    ws_assert(len <= source->out.len - source->out_pos);
    source->out_pos += len;
}

uint64_t ws_warc_source_offset(const struct ws_warc_source *source)
{
    if (!source->gzip)
        return source->in_offset - (source->out.len - source->out_pos);
    if (source->out_pos == source->out.len && !source->in_member)
        return source->in_offset; /* the next member begins there */
    return source->out_pos < source->member_pos ? source->older_start : source->member_start;
}

/** Drop what was consumed, so that the buffer stays about one record long. */
static void compact(struct ws_warc_source *source)
{
    const size_t unread = source->out.len - source->out_pos;
    if (source->out_pos == 0 || (unread > 0 && source->out_pos < OUT_STEP))
        return;
    if (unread > 0)
        memmove(source->out.ptr, source->out.ptr + source->out_pos, unread);
    source->member_pos = source->member_pos > source->out_pos ? source->member_pos - source->out_pos : 0;
    source->out_pos = 0;
    source->out.len = unread;
}

/** Start the member at the input position. */
static enum ws_status begin_member(struct ws_warc_source *source, struct ws_err *err)
{
    if (source->in[source->in_pos] != 0x1f)
        return ws_fail(err, WS_E_FORMAT, "%s: expected a gzip member at byte %" PRIu64 ", found 0x%02x", source->path,
                       source->in_offset, source->in[source->in_pos]);
    if (inflateReset(&source->z) != Z_OK)
        return ws_fail(err, WS_E_INTERNAL, "zlib cannot begin a member");
    if (source->out_pos >= source->member_pos)
        source->older_start = source->member_start;
    source->member_start = source->in_offset;
    source->member_pos = source->out.len;
    source->in_member = true;
    return WS_OK;
}

static enum ws_status more_gzip(struct ws_warc_source *source, struct ws_err *err)
{
    enum ws_status status = WS_OK;
    if (!fill(source, &status, err)) {
        if (status != WS_OK || !source->in_member)
            return status == WS_OK ? WS_DONE : status;
        return ws_fail(err, WS_E_FORMAT, "%s: the gzip member at byte %" PRIu64 " is cut off by the end of the file",
                       source->path, source->member_start);
    }
    if (!source->in_member && (status = begin_member(source, err)) != WS_OK)
        return status;
    char *to = ws_buf_reserve(&source->out, OUT_STEP);
    if (!to)
        return ws_fail(err, WS_E_MEMORY, "out of memory while reading %s", source->path);
    z_stream *z = &source->z;
    z->next_in = source->in + source->in_pos;
    z->avail_in = (uInt)(source->in_len - source->in_pos);
    z->next_out = (Bytef *)to;
    z->avail_out = OUT_STEP;
    const int rc = inflate(z, Z_NO_FLUSH);
    source->out.len += OUT_STEP - z->avail_out;
    advance(source, source->in_len - source->in_pos - z->avail_in);
    if (rc == Z_STREAM_END)
        source->in_member = false;
    else if (rc != Z_OK && rc != Z_BUF_ERROR)
        return ws_fail(err, WS_E_FORMAT, "%s: the gzip member at byte %" PRIu64 " is damaged near byte %" PRIu64 ": %s",
                       source->path, source->member_start, source->in_offset, z->msg ? z->msg : "bad data");
    return WS_OK;
}

enum ws_status ws_warc_source_more(struct ws_warc_source *source, struct ws_err *err)
{
    compact(source);
    if (source->gzip)
        return more_gzip(source, err);
    enum ws_status status = WS_OK;
    if (!fill(source, &status, err))
        return status == WS_OK ? WS_DONE : status;
    const size_t n = source->in_len - source->in_pos;
    if (!ws_buf_add(&source->out, source->in + source->in_pos, n))
        return ws_fail(err, WS_E_MEMORY, "out of memory while reading %s", source->path);
    advance(source, n);
    return WS_OK;
}

enum ws_status ws_warc_source_boundary(struct ws_warc_source *source, size_t ahead, uint64_t *offset,
                                       struct ws_err *err)
{
    for (;;) {
        const size_t unread = source->out.len - source->out_pos;
        ws_assert(ahead <= unread);
        if (!source->gzip) {
            *offset = source->in_offset - (unread - ahead);
            return WS_OK;
        }
        if (ahead < unread) {
            *offset = source->out_pos + ahead == source->member_pos ? source->member_start : 0;
            return WS_OK;
        }
        if (!source->in_member) {
            *offset = source->in_offset;
            return WS_OK;
        }
        const enum ws_status status = ws_warc_source_more(source, err);
        if (status != WS_OK)
            return status;
    }
}

/** Do these compressed bytes begin a member that begins a record? */
static bool begins_record(const uint8_t *bytes, size_t len)
{
    uint8_t text[5] = {0};
    z_stream z = {0};
    if (inflateInit2(&z, GZIP_WINDOW) != Z_OK)
        return false;
    z.next_in = (z_const Bytef *)(uintptr_t)bytes;
    z.avail_in = (uInt)len;
    z.next_out = text;
    z.avail_out = sizeof text;
    (void)inflate(&z, Z_SYNC_FLUSH);
    const bool yes = z.avail_out == 0 && memcmp(text, "WARC/", 5) == 0;
    (void)inflateEnd(&z);
    return yes;
}

/** "WARC/1.1\r\n"; also 0.17 to 1.0. */
static bool begins_plain_record(const uint8_t *p, size_t len)
{
    if (len < 10 || memcmp(p, "WARC/", 5) != 0 || (p[5] != '0' && p[5] != '1') || p[6] != '.')
        return false;
    size_t i = 7;
    while (i < 9 && p[i] >= '0' && p[i] <= '9')
        i++;
    return i > 7 && i + 1 < len && p[i] == '\r' && p[i + 1] == '\n';
}

enum ws_status ws_warc_source_resync(struct ws_warc_source *source, uint64_t offset, struct ws_err *err)
{
    /* A candidate needs some bytes behind it to be judged; windows overlap by so many. */
    enum { NEEDED = 1024 };
    for (uint64_t at = offset + 1;;) {
        const ssize_t n = pread(source->fd, source->in, sizeof source->in, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ws_fail_errno(err, "cannot read %s at byte %" PRIu64, source->path, at);
        const bool last = (size_t)n < sizeof source->in;
        const size_t end = last ? (size_t)n : (size_t)n - NEEDED;
        for (size_t i = 0; i < end; i++) {
            const uint8_t *p = source->in + i;
            const size_t left = (size_t)n - i;
            if (source->gzip && left >= 18 && p[0] == 0x1f && p[1] == 0x8b && p[2] == 8 &&
                begins_record(p, left < NEEDED ? left : NEEDED))
                return seek_to(source, at + i, err);
            if (!source->gzip && p[0] == 'W' && begins_plain_record(p, left))
                return seek_to(source, at + i, err);
        }
        if (last)
            return WS_DONE;
        at += end;
    }
}
