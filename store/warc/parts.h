/** What the WARC files share: digests, the byte source under the reader, HTTP bodies. */
#ifndef WEBSTILL_STORE_WARC_PARTS_H
#define WEBSTILL_STORE_WARC_PARTS_H

#include "webstill/base/buf.h"
#include "webstill/base/err.h"
#include "webstill/base/hash.h"
#include "webstill/warc/file.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WS_WARC_DIGEST_TEXT = 72 }; /**< "sha256:" and 56 base32 characters, and the NUL, rounded up */

/** "sha256:BASE32" over one or two spans in a row. */
void ws_warc_digest_text(struct ws_span a, struct ws_span b, char text[WS_WARC_DIGEST_TEXT]);

enum ws_warc_match { WS_WARC_MATCH, WS_WARC_MISMATCH, WS_WARC_MATCH_UNKNOWN };
/** Does "ALGORITHM:VALUE" describe these bytes? Unknown algorithms and spellings cannot be judged. */
enum ws_warc_match ws_warc_digest_match(const char *labelled, struct ws_span bytes);

/** The bytes of a "sha256:" digest in base32 or hex; false for other algorithms and spellings. */
bool ws_warc_digest_parse(const char *labelled, struct ws_digest *digest);

/**
 * The decompressed bytes of a WARC file, with the offsets of its gzip members.
 *
 * What is unread lies in `out` from `out_pos`; a caller consumes by moving `out_pos`.
 */
struct ws_warc_source;

WS_MUST_USE enum ws_status ws_warc_source_open(struct ws_warc_source **out, const char *path, uint64_t start_bytes,
                                               struct ws_err *err);
void ws_warc_source_close(struct ws_warc_source **source);

/** Unread bytes at hand, borrowed until the next call. */
struct ws_span ws_warc_source_view(const struct ws_warc_source *source);
void ws_warc_source_consume(struct ws_warc_source *source, size_t len);

/**
 * Bring more bytes: WS_OK (the view grew, or a member ended), WS_DONE at the end of the file, WS_E_FORMAT on damage,
 * WS_E_IO, WS_E_MEMORY.
 */
WS_MUST_USE enum ws_status ws_warc_source_more(struct ws_warc_source *source, struct ws_err *err);

/** Offset in the file of the member (plain file: of the byte) that the view begins in. */
uint64_t ws_warc_source_offset(const struct ws_warc_source *source);

/**
 * Where a reader may start for what lies `ahead` bytes behind the view's begin: the offset of a member's begin (plain
 * file: of the byte), or 0 when that is inside a member. May bring more bytes; checks the ended member's CRC.
 */
WS_MUST_USE enum ws_status ws_warc_source_boundary(struct ws_warc_source *source, size_t ahead, uint64_t *offset,
                                                   struct ws_err *err);

/** Go to the next place behind `offset` that begins a record; WS_DONE when there is none. */
WS_MUST_USE enum ws_status ws_warc_source_resync(struct ws_warc_source *source, uint64_t offset, struct ws_err *err);

/** Length of an HTTP head up to and with its blank line, or 0 when it has none. */
size_t ws_http_head_len(struct ws_span block);
/** 200 from "HTTP/1.1 200 OK", or 0. */
int ws_http_status(struct ws_span head);

/**
 * Undo Transfer-Encoding: chunked, then Content-Encoding: gzip or deflate, as far as the bytes agree with the head
 * (archives often keep the fields of a coding they have undone). `payload` borrows from `body` or from `scratch`.
 * `unchunked` is the body between the two steps. A coding that ends early or in damage gives what came before: the
 * server sent it so. WS_E_FORMAT when the body grows over `max_bytes`.
 */
WS_MUST_USE enum ws_status ws_http_body(struct ws_span head, struct ws_span body, uint64_t max_bytes,
                                        struct ws_buf scratch[2], struct ws_span *unchunked, struct ws_span *payload,
                                        struct ws_err *err);

#endif
