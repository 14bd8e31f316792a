#include "books.h"

enum ws_status ws_books_open(struct ws_books *books, const char *dir, const char *frontier_dir,
                             const struct ws_crawl_keys *conf, struct ws_err *err)
{
    *books = (struct ws_books){0};
    const enum ws_status status = ws_frontier_open(&books->frontier, frontier_dir, err);
    return status == WS_OK ? ws_archive_open(&books->archive, dir, conf, books->frontier, err) : status;
}

enum ws_status ws_books_commit(struct ws_books *books, struct ws_err *err)
{
    return ws_archive_commit(&books->archive, books->frontier, err);
}

void ws_books_close(struct ws_books *books)
{
    ws_archive_close(&books->archive);
    ws_frontier_close(&books->frontier);
    ws_parked_fini(&books->parked);
}
