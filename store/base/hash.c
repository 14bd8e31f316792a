/* Digests through libcrypto and xxHash; their hexadecimal and base32 texts. */
#include "webstill/base/hash.h"

#include "webstill/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

enum { FILE_BLOCK_BYTES = 64 * 1024 };

struct ws_digest ws_sha256(const void *bytes, size_t len)
{
    struct ws_digest digest;
    ws_assert(SHA256(len > 0 ? bytes : (const void *)"", len, digest.bytes) != NULL);
    return digest;
}

bool ws_sha256_init(struct ws_sha256_stream *stream)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (context != NULL && EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1) {
        EVP_MD_CTX_free(context);
        context = NULL;
    }
    stream->context = context;
    return context != NULL;
}

void ws_sha256_add(struct ws_sha256_stream *stream, const void *bytes, size_t len)
{
    ws_assert(stream->context != NULL);
    ws_assert(len == 0 || EVP_DigestUpdate(stream->context, bytes, len) == 1);
}

struct ws_digest ws_sha256_finish(struct ws_sha256_stream *stream)
{
    struct ws_digest digest;
    ws_assert(stream->context != NULL);
    ws_assert(EVP_DigestFinal_ex(stream->context, digest.bytes, NULL) == 1);
    ws_sha256_fini(stream);
    return digest;
}

void ws_sha256_fini(struct ws_sha256_stream *stream)
{
    EVP_MD_CTX_free(stream->context);
    stream->context = NULL;
}

enum ws_status ws_sha256_file(const char *path, struct ws_digest *out, struct ws_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return ws_fail_errno(err, "cannot open %s", path);
    enum ws_status status = WS_OK;
    struct ws_sha256_stream stream;
    if (!ws_sha256_init(&stream)) {
        status = ws_fail(err, WS_E_MEMORY, "cannot digest %s: out of memory", path);
        goto close_file;
    }
    uint8_t block[FILE_BLOCK_BYTES];
    for (;;) {
        ssize_t n = read(fd, block, sizeof block);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            status = ws_fail_errno(err, "cannot read %s", path);
            break;
        }
        if (n == 0) {
            *out = ws_sha256_finish(&stream);
            break;
        }
        ws_sha256_add(&stream, block, (size_t)n);
    }
    ws_sha256_fini(&stream);
close_file:
    close(fd);
    return status;
}

struct ws_image_id ws_image_id_of(const struct ws_digest *digest)
{
    struct ws_image_id id;
    memcpy(id.bytes, digest->bytes, sizeof id.bytes);
    return id;
}

static void write_hex(const uint8_t *bytes, size_t len, char *text)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    text[2 * len] = '\0';
}

/* `bytes` is unchanged unless the text is right. */
static bool parse_hex(const char *text, uint8_t *bytes, size_t len)
{
    uint8_t parsed[sizeof(struct ws_digest)];
    for (size_t i = 0; i < len; i++) {
        int high = ws_hex_value(text[2 * i]);
        int low = high < 0 ? -1 : ws_hex_value(text[2 * i + 1]);
        if (low < 0)
            return false;
        parsed[i] = (uint8_t)(high << 4 | low);
    }
    if (text[2 * len] != '\0')
        return false;
    memcpy(bytes, parsed, len);
    return true;
}

void ws_digest_hex(const struct ws_digest *digest, char text[WS_DIGEST_HEX])
{
    write_hex(digest->bytes, sizeof digest->bytes, text);
}

void ws_image_id_hex(const struct ws_image_id *id, char text[WS_IMAGE_ID_HEX])
{
    write_hex(id->bytes, sizeof id->bytes, text);
}

bool ws_image_id_parse(const char *text, struct ws_image_id *id)
{
    return parse_hex(text, id->bytes, sizeof id->bytes);
}

bool ws_digest_parse(const char *text, struct ws_digest *digest)
{
    return parse_hex(text, digest->bytes, sizeof digest->bytes);
}

int ws_image_id_compare(const struct ws_image_id *a, const struct ws_image_id *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes);
}

uint64_t ws_xxh64(const void *bytes, size_t len, uint64_t seed)
{
    return XXH64(bytes, len, seed);
}

void ws_base32(const uint8_t *bytes, size_t len, char *text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    static const int n_digits_of[] = {0, 2, 4, 5, 7, 8}; /* digits that n bytes of a group of five need */
    for (size_t at = 0; at < len; at += 5) {
        size_t n = len - at < 5 ? len - at : 5;
        uint64_t group = 0;
        for (size_t i = 0; i < 5; i++)
            group = group << 8 | (i < n ? bytes[at + i] : 0);
        for (int i = 0; i < 8; i++)
            *text++ = i < n_digits_of[n] ? digits[group >> (35 - 5 * i) & 31] : '=';
    }
    *text = '\0';
}
