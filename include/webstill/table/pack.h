/** Keys and values made of numbers of fixed width and NUL-terminated texts. */
#ifndef WEBSTILL_TABLE_PACK_H
#define WEBSTILL_TABLE_PACK_H

#include "webstill/base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** The lowest `n` bytes of a number, little-endian: values. */
void ws_put_le(uint8_t *to, uint64_t value, int n);
uint64_t ws_get_le(const uint8_t *from, int n);

/** Eight bytes, big-endian: keys, whose byte order is then number order. */
void ws_put_be64(uint8_t *to, uint64_t value);
uint64_t ws_get_be64(const uint8_t *from);

/** A value under construction, appended to `buf`; `is_ok` begins true and falls when memory runs out. */
struct ws_pack {
    struct ws_buf *buf;
    bool is_ok;
};
void ws_pack_u64(struct ws_pack *pack, uint64_t value);
void ws_pack_text(struct ws_pack *pack, const char *text);

/** A value being read; `is_ok` begins true and falls when a number or text is cut off. */
struct ws_unpack {
    struct ws_span rest;
    bool is_ok;
};
uint64_t ws_unpack_u64(struct ws_unpack *unpack);
/** A text of at most size_bytes - 1 characters. */
void ws_unpack_text(struct ws_unpack *unpack, char *text, size_t size_bytes);

#endif
