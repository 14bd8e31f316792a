#include "webstill/base/base64.h"

#include "webstill/base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *ws_base64_encode(const void *bytes, size_t len)
{
    const unsigned char *in = bytes;
    char *text = len > SIZE_MAX / 2 ? NULL : ws_calloc((len + 2) / 3 * 4 + 1, 1);
    if (!text)
        return NULL;
    char *to = text;
    for (size_t i = 0; i < len; i += 3) {
        const size_t n = len - i < 3 ? len - i : 3;
        uint32_t bits = 0;
        for (size_t k = 0; k < 3; k++)
            bits = bits << 8 | (k < n ? in[i + k] : 0U);
        for (size_t k = 0; k < 4; k++)
            *to++ = k <= n ? alphabet[bits >> (18 - 6 * k) & 63] : '=';
    }
    return text;
}

/** 0 … 63, or 64 for a character of no alphabet. */
static uint32_t value_of(char c)
{
    const char *at = c ? strchr(alphabet, c) : NULL;
    return at ? (uint32_t)(at - alphabet) : 64;
}

bool ws_base64_decode(const char *text, unsigned char **out, size_t *len)
{
    const size_t n = strlen(text);
    *len = 0;
    *out = n % 4 == 0 ? ws_calloc(n / 4 * 3 + 1, 1) : NULL;
    if (!*out)
        return false;
    for (size_t i = 0; i < n; i += 4) {
        const size_t padding = i + 4 < n || text[i + 3] != '=' ? 0 : text[i + 2] == '=' ? 2 : 1;
        uint32_t bits = 0;
        bool is_good = true;
        for (size_t k = 0; k < 4; k++) {
            const uint32_t value = k < 4 - padding ? value_of(text[i + k]) : 0;
            is_good = is_good && value < 64;
            bits = bits << 6 | (value & 63);
        }
        if (!is_good || (bits & ((1U << 8 * padding) - 1)) != 0) {
            free(*out);
            *out = NULL;
            *len = 0;
            return false;
        }
        for (size_t k = 0; k < 3 - padding; k++)
            (*out)[(*len)++] = (unsigned char)(bits >> (16 - 8 * k));
    }
    return true;
}
