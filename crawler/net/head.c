#include "head.h"

#include <string.h>
#include <strings.h>

struct field {
    const char *line;
    size_t line_len; /* without its line end */
    const char *value;
    size_t name_len, value_len;
};

/** Step through the lines; the status line and lines without a colon have `name_len` 0. */
static bool next_field(struct ws_span head, size_t *at, struct field *field)
{
    const char *text = (const char *)head.ptr;
    if (*at >= head.len)
        return false;
    const char *line = text + *at, *end = memchr(line, '\n', head.len - *at);
    size_t len = end ? (size_t)(end - line) : head.len - *at;
    *at += len + (end ? 1 : 0);
    while (len && (line[len - 1] == '\r' || line[len - 1] == ' ' || line[len - 1] == '\t'))
        len--;
    if (len == 0)
        return false;
    *field = (struct field){.line = line, .line_len = len};
    const char *colon = memchr(line, ':', len);
    if (!colon || strncmp(line, "HTTP/", 5) == 0)
        return true;
    field->name_len = (size_t)(colon - line);
    field->value = colon + 1;
    field->value_len = len - field->name_len - 1;
    while (field->name_len && (line[field->name_len - 1] == ' ' || line[field->name_len - 1] == '\t'))
        field->name_len--; /* not allowed, but an opt-out written so is meant */
    while (field->value_len && (*field->value == ' ' || *field->value == '\t')) {
        field->value++;
        field->value_len--;
    }
    return true;
}

static bool name_is(const struct field *field, const char *name)
{
    return field->name_len == strlen(name) && strncasecmp(field->line, name, field->name_len) == 0;
}

bool ws_head_field(struct ws_span head, const char *name, unsigned nth, char *value, size_t size_bytes)
{
    struct field field;
    size_t at = 0;
    while (next_field(head, &at, &field)) {
        if (!name_is(&field, name) || nth-- > 0)
            continue;
        const size_t n = field.value_len < size_bytes ? field.value_len : size_bytes - 1;
        memcpy(value, field.value, n);
        value[n] = '\0';
        return true;
    }
    return false;
}

static bool put_status_line(const struct field *field, struct ws_buf *out)
{
    const char *space = memchr(field->line, ' ', field->line_len);
    const size_t rest = space ? field->line_len - (size_t)(space - field->line) : 0;
    const bool is_old = field->line_len > 7 && field->line[5] == '1';
    if (is_old || !space)
        return ws_buf_add(out, field->line, field->line_len);
    return ws_buf_add_str(out, "HTTP/1.1") && ws_buf_add(out, space, rest);
}

bool ws_head_for_archive(struct ws_span head, size_t body_len, bool is_whole, struct ws_buf *out)
{
    char coding[64];
    struct field field;
    size_t at = 0;
    bool is_ok = true;
    const bool was_chunked = ws_head_field(head, "Transfer-Encoding", 0, coding, sizeof coding);
    const bool was_coded =
        ws_head_field(head, "Content-Encoding", 0, coding, sizeof coding) && strcasecmp(coding, "identity") != 0;
    while (is_ok && next_field(head, &at, &field)) {
        const bool is_stale = name_is(&field, "Transfer-Encoding") ||
                              (was_coded && name_is(&field, "Content-Encoding")) ||
                              ((was_chunked || was_coded || !is_whole) && name_is(&field, "Content-Length"));
        if (is_stale)
            is_ok = ws_buf_add_str(out, "X-Crawler-");
        is_ok = is_ok &&
                (field.name_len ? ws_buf_add(out, field.line, field.line_len) : put_status_line(&field, out)) &&
                ws_buf_add_str(out, "\r\n");
    }
    if (was_chunked || was_coded || !is_whole)
        is_ok = is_ok && ws_buf_addf(out, "Content-Length: %zu\r\n", body_len);
    return is_ok && ws_buf_add_str(out, "\r\n");
}
