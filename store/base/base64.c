#include "webstill/base/base64.h"

#include "webstill/base/mem.h"

#include <limits.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

char *ws_base64_encode(const void *bytes, size_t len)
{
    if (len > INT_MAX / 2)
        return NULL;
    char *text = ws_calloc((len + 2) / 3 * 4 + 1, 1);
    if (text)
        (void)EVP_EncodeBlock((unsigned char *)text, bytes, (int)len);
    return text;
}

/** libcrypto also takes spaces, and bits behind the last byte: what it would not write itself is refused. */
static bool is_canonical(const char *text, const unsigned char *bytes, size_t len)
{
    char *again = ws_base64_encode(bytes, len);
    const bool is_same = again && strcmp(again, text) == 0;
    free(again);
    return is_same;
}

bool ws_base64_decode(const char *text, unsigned char **out, size_t *len)
{
    const size_t n = strlen(text);
    *len = 0;
    *out = n % 4 == 0 && n <= INT_MAX ? ws_calloc(n / 4 * 3 + 1, 1) : NULL;
    if (!*out)
        return false;
    const int n_decoded = EVP_DecodeBlock(*out, (const unsigned char *)text, (int)n);
    if (n_decoded >= 0) {
        /* The padding's zero bytes are counted. */
        const size_t padding = n > 0 ? (size_t)(text[n - 1] == '=') + (text[n - 2] == '=') : 0;
        *len = (size_t)n_decoded >= padding ? (size_t)n_decoded - padding : 0;
        if (is_canonical(text, *out, *len))
            return true;
    }
    free(*out);
    *out = NULL;
    *len = 0;
    return false;
}
