/* The table of sources: a kind is its file, its declaration, its row and its word here. */
#include "source.h"

extern const struct ws_source_ops ws_source_mediawiki;
extern const struct ws_source_ops ws_source_pages;

const struct ws_source_ops *const ws_source_table[] = {
    &ws_source_mediawiki,
    &ws_source_pages,
    NULL,
};

const struct ws_conf_word ws_source_words[] = {
    {"mediawiki", 0},
    {"pages", 1},
    {NULL, 0},
};
