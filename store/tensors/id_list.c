#include "webstill/tensors/id_list.h"

#include "webstill/base/buf.h"
#include "webstill/base/file.h"
#include "webstill/base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { DIGITS = WS_IMAGE_ID_HEX - 1, LIST_MAX_BYTES = 1 << 30 };

static size_t count_lines(const char *text, size_t len)
{
    size_t n = 0;
    for (size_t at = 0; at < len; n++) {
        const char *stop = memchr(text + at, '\n', len - at);
        at = stop ? (size_t)(stop - text) + 1 : len;
    }
    return n;
}

static bool take_id(const char *line, size_t len, struct ws_image_id *id)
{
    char digits[WS_IMAGE_ID_HEX];
    if (len != DIGITS)
        return false;
    memcpy(digits, line, DIGITS);
    digits[DIGITS] = '\0';
    return ws_image_id_parse(digits, id);
}

enum ws_status ws_id_list_parse(struct ws_id_list *list, const char *text, size_t len, const char *name,
                                struct ws_err *err)
{
    const size_t n = count_lines(text, len);
    *list = (struct ws_id_list){.ids = ws_calloc(n ? n : 1, sizeof *list->ids)};
    if (!list->ids)
        return ws_fail(err, WS_E_MEMORY, "%s: out of memory for %zu image ids", name, n);
    enum ws_status status = WS_OK;
    if (n == 0)
        status = ws_fail(err, WS_E_FORMAT, "%s:1: expected an image id, %d hexadecimal digits, found an empty file",
                         name, DIGITS);
    for (size_t at = 0; status == WS_OK && at < len;) {
        const char *stop = memchr(text + at, '\n', len - at);
        const size_t line_len = stop ? (size_t)(stop - text) - at : len - at;
        if (take_id(text + at, line_len, &list->ids[list->n]))
            list->n++;
        else
            status = ws_fail(err, WS_E_FORMAT, "%s:%zu: expected an image id, %d hexadecimal digits, found \"%.*s\"",
                             name, list->n + 1, DIGITS, (int)(line_len < 40 ? line_len : 40), text + at);
        at += line_len + 1;
    }
    if (status != WS_OK)
        ws_id_list_free(list);
    return status;
}

enum ws_status ws_id_list_read(struct ws_id_list *list, const char *path, struct ws_err *err)
{
    *list = (struct ws_id_list){0};
    if (!ws_file_exists(path))
        return ws_fail(err, WS_E_CONFIG, "%s does not exist; expected a file with one image id a line", path);
    struct ws_buf text = {0};
    enum ws_status status = ws_file_read(path, LIST_MAX_BYTES, &text, err);
    if (status == WS_OK)
        status = ws_id_list_parse(list, text.len > 0 ? text.ptr : "", text.len, path, err);
    ws_buf_fini(&text);
    return status;
}

void ws_id_list_free(struct ws_id_list *list)
{
    free(list->ids);
    *list = (struct ws_id_list){0};
}

static int compare_ids(const void *a, const void *b)
{
    return ws_image_id_compare(a, b);
}

enum ws_status ws_id_list_mark(const struct ws_id_list *list, const char *name, const struct ws_image_id *ids, size_t n,
                               uint8_t *keep, struct ws_err *err)
{
    memset(keep, 0, n);
    for (size_t i = 0; i < list->n; i++) {
        char hex[WS_IMAGE_ID_HEX];
        const struct ws_image_id *found = n ? bsearch(&list->ids[i], ids, n, sizeof *ids, compare_ids) : NULL;
        ws_image_id_hex(&list->ids[i], hex);
        if (!found) {
            ws_fail(err, WS_E_CONFIG, "%s:%zu: image %s is not among the %zu stored ones", name, i + 1, hex, n);
            ws_err_hint(err, "was the list made for another store? `webstill explain CONFIG %s` looks for it", hex);
            return WS_E_CONFIG;
        }
        if (keep[found - ids])
            return ws_fail(err, WS_E_CONFIG, "%s:%zu: image %s stands in an earlier line, too", name, i + 1, hex);
        keep[found - ids] = 1;
    }
    return WS_OK;
}
