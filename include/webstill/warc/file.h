/**
 * WARC 1.1 (ISO 28500:2017), one gzip member per record.
 *
 * The writer emits a warcinfo first and rolls shards at a size; the reader takes ours and anyone's (gzip per record,
 * gzip as one stream, plain), checks lengths and payload digests, and steps over a damaged record to the next good one.
 */
#ifndef WEBSTILL_WARC_FILE_H
#define WEBSTILL_WARC_FILE_H

#include "webstill/base/buf.h"
#include "webstill/base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum ws_warc_type {
    WS_WARC_WARCINFO,
    WS_WARC_REQUEST,
    WS_WARC_RESPONSE,
    WS_WARC_RESOURCE,
    WS_WARC_METADATA,
    WS_WARC_REVISIT,
    WS_WARC_CONVERSION,
    WS_WARC_CONTINUATION,
    WS_WARC_OTHER,
};

struct ws_warc_writer;

/**
 * Open the folder for appending. Shard names are webstill-NNNNN.warc.gz; the open one is webstill-NNNNN.warc.gz.part
 * until it rolls or finish() is called. A shard rolls before a record that is not WARC-Concurrent-To another one.
 *
 * `shard` and `resume_bytes` are what the caller's own books vouch for (the last ws_warc_writer_sync()): what lies
 * behind is cut off or removed (a torn tail after kill -9). 0 and 0 mean "no books": writing begins behind the last
 * finished shard. WS_E_DAMAGED when the disk holds less than the books vouch for.
 *
 * `info_fields` is the block of each shard's warcinfo ("software: …\r\n…", application/warc-fields).
 */
WS_MUST_USE enum ws_status ws_warc_writer_open(struct ws_warc_writer **out, const char *dir, const char *info_fields,
                                               uint64_t max_bytes, uint32_t shard, uint64_t resume_bytes,
                                               struct ws_err *err);

/** A record to write; NULL fields are left out. `id` is made when NULL (UUID v4 from the system). */
struct ws_warc_record_out {
    enum ws_warc_type type;
    const char *target_uri;
    const char *content_type;                                         /**< "application/http; msgtype=response" */
    const char *date;                                                 /**< ISO 8601; now when NULL */
    const char *concurrent_to;                                        /**< "<urn:uuid:…>" */
    const char *refers_to, *refers_to_uri, *refers_to_date, *profile; /**< revisit */
    const char *ip_address;
    const char *truncated;       /**< "length", "time", "disconnect" */
    const char *identified_type; /**< payload type by magic bytes */
    struct ws_span head;         /**< HTTP head (status line to blank line); empty for non-HTTP records */
    struct ws_span payload;      /**< body; its sha256 becomes WARC-Payload-Digest for HTTP records. A revisit record
                                      takes the body for the digest alone and writes the head */
    char id[64];                 /**< out: "<urn:uuid:…>" when it came in empty */
};
WS_MUST_USE enum ws_status ws_warc_write(struct ws_warc_writer *writer, struct ws_warc_record_out *record,
                                         struct ws_err *err);

/** Sync to disk and tell the shard number and its length: what the caller commits to its books. */
WS_MUST_USE enum ws_status ws_warc_writer_sync(struct ws_warc_writer *writer, uint32_t *shard, uint64_t *bytes,
                                               struct ws_err *err);
/** Sync and rename the open shard to its final name. An empty shard (warcinfo only) is removed. */
WS_MUST_USE enum ws_status ws_warc_writer_finish(struct ws_warc_writer *writer, struct ws_err *err);
/** Publishes nothing: the .part stays for resume. */
void ws_warc_writer_close(struct ws_warc_writer **writer);

/** A record read; everything is borrowed from the reader until the next call. */
struct ws_warc_record {
    enum ws_warc_type type;
    const char *id, *target_uri, *date, *concurrent_to, *refers_to, *content_type, *payload_digest, *truncated;
    const char *refers_to_uri, *profile, *ip_address; /**< strings are NULL when the field is absent */
    struct ws_span block;                             /**< the whole block */
    struct ws_span head;                              /**< HTTP records: status line to blank line; else empty */
    struct ws_span
        payload;     /**< HTTP records: body with chunked and content coding (gzip, deflate) undone; else the block */
    int http_status; /**< 0 when none */
    uint64_t offset_bytes; /**< of the record in the (compressed) file */
    uint64_t end_bytes;    /**< behind it: where a later reader can start; 0 when it can only start at the file's
                                beginning and step over what it knows (one gzip stream over many records) */
};

struct ws_warc_reader;
/**
 * `start_bytes`: 0, or an `end_bytes` of an earlier run. Blocks over `max_block_bytes`, and bodies that grow over it
 * when their coding is undone, are refused (WS_E_FORMAT), then stepped over. Memory: about one block.
 */
WS_MUST_USE enum ws_status ws_warc_reader_open(struct ws_warc_reader **out, const char *path, uint64_t start_bytes,
                                               uint64_t max_block_bytes, struct ws_err *err);
/**
 * Step. WS_OK; WS_DONE at the end; WS_E_FORMAT names file, offset and expectation: the reader has then stepped behind
 * the damage (to the next gzip member, or line, that begins a record) and may be called again. WS_E_IO is final.
 *
 * A record is damaged when its lengths do not fit, gzip's CRC or a declared digest (block; payload when there is no
 * block digest; sha1, sha256, sha512 or md5, base32 or hex) contradicts the bytes. The payload digest may cover the
 * body with or without its transfer and content coding: writers differ.
 */
WS_MUST_USE enum ws_status ws_warc_next(struct ws_warc_reader *reader, struct ws_warc_record *record,
                                        struct ws_err *err);
void ws_warc_reader_close(struct ws_warc_reader **reader);

/** The value of a field of an HTTP head (RFC 9110 §5), trimmed, borrowed from it; empty when absent. Names ignore case.
 */
struct ws_span ws_http_field(struct ws_span head, const char *name);

#endif
