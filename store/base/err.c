/* Message chains are fixed-size text, so that reporting "out of memory" needs no memory. */
#include "webstill/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define ELLIPSIS "\xe2\x80\xa6"

/* End `text` with an ellipsis, cutting before a whole UTF-8 character. */
static void mark_cut(char *text, size_t size)
{
    size_t end = size - sizeof ELLIPSIS;
    while (end > 0 && ((unsigned char)text[end] & 0xC0) == 0x80)
        end--;
    memcpy(text + end, ELLIPSIS, sizeof ELLIPSIS);
}

static void print_cut(char *text, size_t size, const char *format, va_list arguments) WS_PRINTF(3, 0);

static void print_cut(char *text, size_t size, const char *format, va_list arguments)
{
    int length = vsnprintf(text, size, format, arguments);
    if (length < 0)
        text[0] = '\0';
    else if ((size_t)length >= size)
        mark_cut(text, size);
}

/* Append `tail`, cutting what does not fit. */
static void append_cut(char *text, size_t size, const char *tail)
{
    size_t used = strlen(text), length = strlen(tail);
    if (used + length < size) {
        memcpy(text + used, tail, length + 1);
        return;
    }
    memcpy(text + used, tail, size - 1 - used);
    text[size - 1] = '\0';
    mark_cut(text, size);
}

enum ws_status ws_fail(struct ws_err *err, enum ws_status status, const char *format, ...)
{
    if (err == NULL)
        return status;
    /* Arguments may point into the chain itself: format beside it first. */
    char text[sizeof err->text];
    va_list arguments;
    va_start(arguments, format);
    print_cut(text, sizeof text, format, arguments);
    va_end(arguments);
    memcpy(err->text, text, sizeof text);
    err->hint[0] = '\0';
    err->status = status;
    return status;
}

static const char *describe_errno(int code, char *buffer, size_t size)
{
    if (strerror_r(code, buffer, size) != 0)
        snprintf(buffer, size, "error %d", code);
    return buffer;
}

enum ws_status ws_fail_errno(struct ws_err *err, const char *format, ...)
{
    int code = errno;
    enum ws_status status = code == ENOMEM ? WS_E_MEMORY : WS_E_IO;
    if (err == NULL)
        return status;
    char text[sizeof err->text], reason[256];
    va_list arguments;
    va_start(arguments, format);
    print_cut(text, sizeof text, format, arguments);
    va_end(arguments);
    append_cut(text, sizeof text, ": ");
    append_cut(text, sizeof text, describe_errno(code, reason, sizeof reason));
    memcpy(err->text, text, sizeof text);
    err->hint[0] = '\0';
    err->status = status;
    errno = code;
    return status;
}

void ws_err_note(struct ws_err *err, const char *format, ...)
{
    if (err == NULL)
        return;
    char text[sizeof err->text];
    va_list arguments;
    va_start(arguments, format);
    print_cut(text, sizeof text, format, arguments);
    va_end(arguments);
    if (err->text[0] != '\0')
        append_cut(text, sizeof text, ": ");
    append_cut(text, sizeof text, err->text);
    memcpy(err->text, text, sizeof text);
}

void ws_err_hint(struct ws_err *err, const char *format, ...)
{
    if (err == NULL || err->hint[0] != '\0')
        return;
    va_list arguments;
    va_start(arguments, format);
    print_cut(err->hint, sizeof err->hint, format, arguments);
    va_end(arguments);
}

void ws_err_print(const struct ws_err *err, const char *program, FILE *out)
{
    fprintf(out, "%s: %s\n", program, err->text[0] != '\0' ? err->text : ws_status_name(err->status));
    if (err->hint[0] != '\0')
        fprintf(out, "%s: hint: %s\n", program, err->hint);
}

static const struct {
    const char *name;
    int exit_code;
} statuses[] = {
    [WS_OK] = {"ok", 0},
    [WS_DONE] = {"done", 0},
    [WS_E_INTERNAL] = {"internal", 1},
    [WS_E_MEMORY] = {"memory", 1},
    [WS_E_CONFIG] = {"config", 2},
    [WS_E_IO] = {"io", 3},
    [WS_E_NETWORK] = {"network", 4},
    [WS_E_FORMAT] = {"format", 5},
    [WS_E_UNSUPPORTED] = {"unsupported", 5},
    [WS_E_NUMERIC] = {"numeric", 1},
    [WS_E_PARTIAL] = {"partial", 6},
    [WS_E_STOPPED] = {"stopped", 11},
    [WS_E_BUDGET] = {"budget", 12},
    [WS_E_LOCKED] = {"locked", 13},
    [WS_E_DAMAGED] = {"damaged", 14},
};

int ws_status_exit_code(enum ws_status status)
{
    ws_assert((size_t)status < sizeof statuses / sizeof statuses[0]);
    return statuses[status].exit_code;
}

const char *ws_status_name(enum ws_status status)
{
    ws_assert((size_t)status < sizeof statuses / sizeof statuses[0]);
    return statuses[status].name;
}

void ws_assert_failed(const char *expression, const char *file, int line, const char *function)
{
    fprintf(stderr, "%s:%d: %s: broken contract: %s\n", file, line, function, expression);
    abort();
}
