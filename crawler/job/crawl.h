/** What the jobs of a crawl share. */
#ifndef WEBSTILL_CRAWLER_JOB_CRAWL_H
#define WEBSTILL_CRAWLER_JOB_CRAWL_H

#include "agenda.h"
#include "books/books.h"
#include "net/robots.h"
#include "turn/turns.h"

#include "keys.h"

/** All-zero is valid and closed. */
struct ws_crawl {
    const struct ws_config *config;   /**< borrowed */
    const struct ws_crawl_keys *conf; /**< borrowed: section `crawl` */
    char token[WS_ROBOTS_TOKEN_MAX];
    struct ws_books books;   /**< owned */
    struct ws_turns turns;   /**< owned */
    struct ws_agenda agenda; /**< owned */
};

#endif
