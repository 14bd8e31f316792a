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

size_t ws_source_sections(const struct ws_conf_section **sections, size_t n_max)
{
    size_t n = 0;
    for (const struct ws_source_ops *const *kind = ws_source_table; *kind && n < n_max; kind++)
        if ((*kind)->section)
            sections[n++] = (*kind)->section;
    return n;
}
