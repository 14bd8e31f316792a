/* Growable buffers; every buffer keeps one byte beyond its content for the NUL. */
#include "webstill/base/buf.h"

#include "webstill/base/mem.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { MIN_CAP = 64 };

/* Make room for `len` more bytes and the NUL. */
static bool make_room(struct ws_buf *buf, size_t len)
{
    size_t wanted = ws_size_add(buf->len, len);
    if (buf->max_bytes != 0 && wanted > buf->max_bytes)
        return false;
    size_t least = ws_size_add(wanted, 1);
    if (buf->ptr != NULL && least <= buf->cap)
        return true;
    size_t cap = ws_size_add(buf->cap, buf->cap / 2);
    if (cap < least)
        cap = least;
    if (cap < MIN_CAP)
        cap = MIN_CAP;
    char *ptr = ws_realloc(buf->ptr, cap, 1);
    if (ptr == NULL)
        return false;
    ptr[buf->len] = '\0';
    buf->ptr = ptr;
    buf->cap = cap;
    return true;
}

bool ws_buf_add(struct ws_buf *buf, const void *bytes, size_t len)
{
    if (!make_room(buf, len))
        return false;
    if (len > 0)
        memcpy(buf->ptr + buf->len, bytes, len);
    buf->len += len;
    buf->ptr[buf->len] = '\0';
    return true;
}

bool ws_buf_add_str(struct ws_buf *buf, const char *text)
{
    return ws_buf_add(buf, text, strlen(text));
}

bool ws_buf_addf(struct ws_buf *buf, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0 || !make_room(buf, (size_t)length))
        return false;
    va_start(arguments, format);
    vsnprintf(buf->ptr + buf->len, (size_t)length + 1, format, arguments);
    va_end(arguments);
    buf->len += (size_t)length;
    return true;
}

char *ws_buf_reserve(struct ws_buf *buf, size_t len)
{
    if (!make_room(buf, len))
        return NULL;
    /* Zeroed, so that the NUL is in place however few of the bytes the caller then uses. */
    return memset(buf->ptr + buf->len, 0, len + 1);
}

void ws_buf_clear(struct ws_buf *buf)
{
    buf->len = 0;
    if (buf->ptr != NULL)
        buf->ptr[0] = '\0';
}

void ws_buf_fini(struct ws_buf *buf)
{
    free(buf->ptr);
    *buf = (struct ws_buf){.max_bytes = buf->max_bytes};
}
