/** SHA-256 (libcrypto) for identity, XXH64 (xxHash) for checksums, hexadecimal, and the image id. */
#ifndef WEBSTILL_BASE_HASH_H
#define WEBSTILL_BASE_HASH_H

#include "webstill/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ws_digest {
    uint8_t bytes[32]; /**< SHA-256 */
};

/** The first 16 bytes of the SHA-256 of the fetched bytes: an image's name from URL to student. */
struct ws_image_id {
    uint8_t bytes[16];
};

enum { WS_DIGEST_HEX = 65, WS_IMAGE_ID_HEX = 33 }; /**< sizes of the texts, NUL included */

struct ws_digest ws_sha256(const void *bytes, size_t len);

/** Incremental SHA-256. */
struct ws_sha256_stream {
    void *context; /**< owned */
};
WS_MUST_USE bool ws_sha256_init(struct ws_sha256_stream *stream);
void ws_sha256_add(struct ws_sha256_stream *stream, const void *bytes, size_t len);
struct ws_digest ws_sha256_finish(struct ws_sha256_stream *stream); /**< also releases the stream */
void ws_sha256_fini(struct ws_sha256_stream *stream);

/** SHA-256 of a file's bytes. */
WS_MUST_USE enum ws_status ws_sha256_file(const char *path, struct ws_digest *out, struct ws_err *err);

struct ws_image_id ws_image_id_of(const struct ws_digest *digest);
void ws_digest_hex(const struct ws_digest *digest, char text[WS_DIGEST_HEX]);
void ws_image_id_hex(const struct ws_image_id *id, char text[WS_IMAGE_ID_HEX]);
/** False unless `text` is exactly 32 hexadecimal digits. */
bool ws_image_id_parse(const char *text, struct ws_image_id *id);
bool ws_digest_parse(const char *text, struct ws_digest *digest);
int ws_image_id_compare(const struct ws_image_id *a, const struct ws_image_id *b);

uint64_t ws_xxh64(const void *bytes, size_t len, uint64_t seed);

/** RFC 4648 base32 of a SHA-1 or SHA-256, as WARC digests are written; `text` holds at least 8*ceil(len/5)+1 bytes. */
void ws_base32(const uint8_t *bytes, size_t len, char *text);

#endif
