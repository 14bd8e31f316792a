/** A crawl opened in a test: its books in a scratch folder, and a made-up kind of source in place of its first one. */
#ifndef WEBSTILL_TESTS_UNIT_CRAWL_BENCH_H
#define WEBSTILL_TESTS_UNIT_CRAWL_BENCH_H

#include "../../crawler/job/crawl.h"
#include "../../crawler/job/search.h"
#include "program.h"
#include "temp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define OK(call)                                                                                                       \
    do {                                                                                                               \
        struct ws_err ok_err = {0}, *err = &ok_err;                                                                    \
        if ((call) != WS_OK)                                                                                           \
            fail_msg("%s: %s", #call, ok_err.text);                                                                    \
    } while (0)

struct bench {
    struct ws_config *config;
    struct ws_crawl crawl;
};

/** Open a crawl in `folder` under a configuration; its first source becomes one of the row `made_up`. */
static inline struct bench *bench_open(const char *folder, const char *yaml, const struct ws_source_ops *made_up)
{
    const struct ws_source_ops *const table[] = {made_up, NULL};
    char path[TEMP_PATH], dir[TEMP_PATH];
    struct bench *bench = calloc(1, sizeof *bench);
    assert_non_null(bench);
    struct ws_crawl *crawl = &bench->crawl;
    temp_write(temp_join(path, folder, "crawl.yaml"), yaml, strlen(yaml));
    OK(ws_config_load(&bench->config, test_program(), path, NULL, 0, err));
    KEYS(bench->config, crawl)->sources[0].kind = 0; /* the first row of that table */
    crawl->config = bench->config;
    crawl->conf = ws_crawl_keys(bench->config);
    ws_robots_token(crawl->conf->user_agent, crawl->token);
    temp_write(temp_join(path, folder, "crawl/here"), "", 0);
    temp_join(dir, folder, "crawl");
    OK(ws_books_open(&crawl->books, dir, temp_join(path, folder, "crawl/frontier"), crawl->conf, err));
    OK(ws_turns_open(&crawl->turns, crawl->config, &crawl->books, 0, err));
    OK(ws_agenda_make(&crawl->agenda, crawl->config, table, err));
    OK(ws_search_begin_all(crawl, err));
    return bench;
}

static inline void bench_close(struct bench **bench)
{
    ws_agenda_fini(&(*bench)->crawl.agenda);
    ws_turns_close(&(*bench)->crawl.turns);
    ws_books_close(&(*bench)->crawl.books);
    ws_config_free(&(*bench)->config);
    free(*bench);
    *bench = NULL;
}

#endif
