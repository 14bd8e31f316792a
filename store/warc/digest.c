/** Labelled digests of WARC records: "sha256:BASE32" written; sha1, sha256, sha512, md5 in base32 or hex read. */
#include "parts.h"

#include <openssl/evp.h>
#include <string.h>
#include <strings.h>

void ws_warc_digest_text(struct ws_span a, struct ws_span b, char text[WS_WARC_DIGEST_TEXT])
{
    struct ws_digest digest;
    if (b.len == 0) {
        digest = ws_sha256(a.ptr, a.len);
    } else {
        struct ws_sha256_stream stream;
        ws_assert(ws_sha256_init(&stream));
        if (a.len > 0)
            ws_sha256_add(&stream, a.ptr, a.len);
        ws_sha256_add(&stream, b.ptr, b.len);
        digest = ws_sha256_finish(&stream);
    }
    memcpy(text, "sha256:", 7);
    ws_base32(digest.bytes, sizeof digest.bytes, text + 7);
}

/** Lower-case hexadecimal. */
static void hex_text(const uint8_t *bytes, size_t len, char *text)
{
    for (size_t i = 0; i < len; i++) {
        text[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
        text[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
    }
    text[2 * len] = 0;
}

enum ws_warc_match ws_warc_digest_match(const char *labelled, struct ws_span bytes)
{
    static const char *const names[] = {"sha1", "sha-1", "sha256", "sha-256", "sha512", "sha-512", "md5"};
    static const char *const algorithms[] = {"SHA1", "SHA1", "SHA256", "SHA256", "SHA512", "SHA512", "MD5"};
    const char *colon = strchr(labelled, ':');
    if (!colon)
        return WS_WARC_MATCH_UNKNOWN;
    const size_t name_len = (size_t)(colon - labelled);
    const EVP_MD *algorithm = NULL;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strlen(names[i]) == name_len && strncasecmp(names[i], labelled, name_len) == 0)
            algorithm = EVP_get_digestbyname(algorithms[i]);
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    if (!algorithm ||
        !EVP_Digest(bytes.ptr ? bytes.ptr : (const uint8_t *)"", bytes.len, digest, &len, algorithm, NULL))
        return WS_WARC_MATCH_UNKNOWN;
    const char *value = colon + 1;
    size_t value_len = strlen(value);
    char text[8 * ((EVP_MAX_MD_SIZE + 4) / 5) + 1 + 2 * EVP_MAX_MD_SIZE];
    if (value_len == 2 * (size_t)len) {
        hex_text(digest, len, text);
        return strcasecmp(text, value) == 0 ? WS_WARC_MATCH : WS_WARC_MISMATCH;
    }
    /* Base32 with or without its padding. */
    ws_base32(digest, len, text);
    size_t text_len = strcspn(text, "=");
    value_len = strcspn(value, "=");
    if (text_len != value_len)
        return WS_WARC_MATCH_UNKNOWN;
    return strncasecmp(text, value, text_len) == 0 ? WS_WARC_MATCH : WS_WARC_MISMATCH;
}

bool ws_warc_digest_parse(const char *labelled, struct ws_digest *digest)
{
    const char *colon = strchr(labelled, ':');
    const size_t name_len = colon ? (size_t)(colon - labelled) : 0;
    if (!colon || (strncasecmp(labelled, "sha256", name_len) != 0 && strncasecmp(labelled, "sha-256", name_len) != 0) ||
        name_len < 6)
        return false;
    const char *value = colon + 1;
    if (strlen(value) == 2 * sizeof digest->bytes)
        return ws_digest_parse(value, digest);
    enum { DIGITS = 52 }; /* 256 bits in base32, without its padding */
    if (strcspn(value, "=") != DIGITS)
        return false;
    uint32_t bits = 0;
    int n_bits = 0;
    size_t n = 0;
    for (int i = 0; i < DIGITS; i++) {
        const char c = value[i];
        const int digit = c >= 'A' && c <= 'Z'   ? c - 'A'
                          : c >= 'a' && c <= 'z' ? c - 'a'
                          : c >= '2' && c <= '7' ? c - '2' + 26
                                                 : -1;
        if (digit < 0)
            return false;
        bits = bits << 5 | (uint32_t)digit;
        n_bits += 5;
        if (n_bits >= 8 && n < sizeof digest->bytes) {
            n_bits -= 8;
            digest->bytes[n++] = (uint8_t)(bits >> n_bits);
        }
    }
    return n == sizeof digest->bytes;
}
