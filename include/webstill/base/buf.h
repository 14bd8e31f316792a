/** Growable byte buffers with a ceiling, and borrowed spans. */
#ifndef WEBSTILL_BASE_BUF_H
#define WEBSTILL_BASE_BUF_H

#include "webstill/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Borrowed bytes; the doc comment of whoever hands one out names the owner. */
struct ws_span {
    const uint8_t *ptr;
    size_t len;
};

static inline struct ws_span ws_span_of(const void *bytes, size_t len)
{
    return (struct ws_span){bytes, len};
}

/** Owned bytes, always followed by a NUL that `len` does not count. All-zero is a valid empty buffer, no ceiling. */
struct ws_buf {
    char *ptr;        /**< owned; NULL while empty */
    size_t len;       /**< plain */
    size_t cap;       /**< plain */
    size_t max_bytes; /**< plain: ceiling on `len`; 0 = none */
};

/** Append bytes from outside the buffer; false when out of memory or over the ceiling (the buffer is then unchanged).
 */
WS_MUST_USE bool ws_buf_add(struct ws_buf *buf, const void *bytes, size_t len);
WS_MUST_USE bool ws_buf_add_str(struct ws_buf *buf, const char *text);
WS_MUST_USE bool ws_buf_addf(struct ws_buf *buf, const char *format, ...) WS_PRINTF(2, 3);

/**
 * Make room for `len` more bytes and return where they go (zeroed), or NULL. Does not change `buf->len`: add what was
 * used afterwards, at most `len`; the NUL is then in place.
 */
WS_MUST_USE char *ws_buf_reserve(struct ws_buf *buf, size_t len);

/** Forget the content, keep the memory. */
void ws_buf_clear(struct ws_buf *buf);
/** Release the memory; the buffer is empty and usable again, under the same ceiling. */
void ws_buf_fini(struct ws_buf *buf);

#endif
