#include "failures.h"

#include "net/text.h"

#include "webstill/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

enum ws_status ws_failures_open(struct ws_failures *failures, const char *path, struct ws_err *err)
{
    *failures = (struct ws_failures){0};
    return ws_file_writer_open(&failures->writer, path, err);
}

enum ws_status ws_failures_finish(struct ws_failures *failures, struct ws_err *err)
{
    return ws_file_writer_finish(&failures->writer, err);
}

void ws_failures_close(struct ws_failures *failures)
{
    ws_file_writer_close(&failures->writer);
}

enum ws_status ws_failures_add_take(struct ws_failures *failures, json_t *line, struct ws_err *err)
{
    char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
    json_decref(line);
    if (!text)
        return ws_fail(err, WS_E_MEMORY, "out of memory for a line of failures.jsonl");
    const bool is_written = fprintf(failures->writer.stream, "%s\n", text) > 0;
    free(text);
    return is_written ? WS_OK : ws_fail_errno(err, "cannot write failures.jsonl");
}

/* --- pictures --- */

/** Why a picture was not kept, or NULL; `*detail` is then more about it. */
static const char *reason_of(const struct ws_books *books, const struct ws_url_entry *entry, const char **detail)
{
    const struct ws_parking *parking;
    *detail = entry->detail;
    switch (entry->state) {
    case WS_ENTRY_FAILED:
        return ws_failure_name(entry->failure);
    case WS_ENTRY_FORBIDDEN:
        *detail = entry->rule;
        return "robots";
    case WS_ENTRY_OPTED_OUT:
        return "opted_out";
    case WS_ENTRY_QUEUED: /* of a host that is left alone for this run */
        parking = ws_parked_find_url(&books->parked, entry->url);
        if (!parking)
            return NULL;
        *detail = parking->reason;
        return parking->is_forbidden ? "robots" : ws_failure_name(parking->failure);
    default:
        return NULL;
    }
}

static enum ws_status add_picture(struct ws_failures *failures, const struct ws_books *books,
                                  const struct ws_url_entry *entry, struct ws_err *err)
{
    char origin[WS_ORIGIN_MAX] = "";
    struct ws_url url;
    const char *detail, *reason = reason_of(books, entry, &detail);
    if (!reason)
        return WS_OK;
    if (ws_url_parse(&url, entry->url))
        ws_url_origin(&url, origin);
    /* Rules and redirects are quoted as servers wrote them: any bytes. */
    json_t *line =
        json_pack("{s:s,s:s,s:o,s:i,s:i,s:s}", "url", entry->url, "reason", reason, "detail", ws_text_json(detail),
                  "tries", (int)entry->tries, "http_status", (int)entry->http_status, "host", origin);
    return ws_failures_add_take(failures, line, err);
}

enum ws_status ws_failures_add_pictures(struct ws_failures *failures, struct ws_books *books, struct ws_err *err)
{
    struct ws_image_id key = {{0}};
    struct ws_url_entry *entry = ws_calloc(1, sizeof *entry);
    enum ws_status status = entry ? WS_OK : ws_fail(err, WS_E_MEMORY, "out of memory for failures.jsonl");
    for (bool is_first = true; status == WS_OK; is_first = false) {
        status = ws_frontier_next_url(books->frontier, &key, is_first, entry, err);
        if (status == WS_OK)
            status = add_picture(failures, books, entry, err);
    }
    free(entry);
    return status == WS_DONE ? WS_OK : status;
}
