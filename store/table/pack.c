#include "webstill/table/pack.h"

#include <string.h>

void ws_put_le(uint8_t *to, uint64_t value, int n)
{
    for (int i = 0; i < n; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

uint64_t ws_get_le(const uint8_t *from, int n)
{
    uint64_t value = 0;
    for (int i = n; i-- > 0;)
        value = value << 8 | from[i];
    return value;
}

void ws_put_be64(uint8_t *to, uint64_t value)
{
    for (int i = 7; i >= 0; i--, value >>= 8)
        to[i] = (uint8_t)value;
}

uint64_t ws_get_be64(const uint8_t *from)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++)
        value = value << 8 | from[i];
    return value;
}

void ws_pack_u64(struct ws_pack *pack, uint64_t value)
{
    uint8_t bytes[8];
    ws_put_le(bytes, value, 8);
    pack->is_ok = pack->is_ok && ws_buf_add(pack->buf, bytes, sizeof bytes);
}

void ws_pack_text(struct ws_pack *pack, const char *text)
{
    pack->is_ok = pack->is_ok && ws_buf_add(pack->buf, text, strlen(text) + 1);
}

uint64_t ws_unpack_u64(struct ws_unpack *unpack)
{
    if (unpack->rest.len < 8) {
        unpack->is_ok = false;
        return 0;
    }
    const uint64_t value = ws_get_le(unpack->rest.ptr, 8);
    unpack->rest.ptr += 8;
    unpack->rest.len -= 8;
    return value;
}

void ws_unpack_text(struct ws_unpack *unpack, char *text, size_t size_bytes)
{
    const uint8_t *end = unpack->rest.len ? memchr(unpack->rest.ptr, '\0', unpack->rest.len) : NULL;
    text[0] = '\0';
    if (!end || (size_t)(end - unpack->rest.ptr) >= size_bytes) {
        unpack->is_ok = false;
        return;
    }
    const size_t len = (size_t)(end - unpack->rest.ptr) + 1;
    memcpy(text, unpack->rest.ptr, len);
    unpack->rest.ptr += len;
    unpack->rest.len -= len;
}
