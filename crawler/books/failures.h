/** failures.jsonl: a JSON line for each picture that was not kept and each search that broke off. */
#ifndef WEBSTILL_CRAWLER_BOOKS_FAILURES_H
#define WEBSTILL_CRAWLER_BOOKS_FAILURES_H

#include "books.h"

#include "webstill/base/file.h"

#include <jansson.h>

/** All-zero is valid and closed. */
struct ws_failures {
    struct ws_file_writer writer; /**< owned */
};

WS_MUST_USE enum ws_status ws_failures_open(struct ws_failures *failures, const char *path, struct ws_err *err);
/** Write a line; takes `line`, NULL is out of memory. */
WS_MUST_USE enum ws_status ws_failures_add_take(struct ws_failures *failures, json_t *line, struct ws_err *err);
/** Write a line for each picture of the frontier that was not kept. */
WS_MUST_USE enum ws_status ws_failures_add_pictures(struct ws_failures *failures, struct ws_books *books,
                                                    struct ws_err *err);
WS_MUST_USE enum ws_status ws_failures_finish(struct ws_failures *failures, struct ws_err *err);
/** Without finish, the file that was there stays. */
void ws_failures_close(struct ws_failures *failures);

#endif
