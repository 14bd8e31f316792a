#include "source.h"

extern const struct ws_source_ops ws_source_mediawiki;
extern const struct ws_source_ops ws_source_pages;

const struct ws_source_ops *const ws_source_table[] = {
    &ws_source_mediawiki,
    &ws_source_pages,
    NULL,
};

const struct ws_source_ops *ws_source_find(const struct ws_source_ops *const *table, enum ws_source_kind kind)
{
    for (; *table; table++)
        if ((*table)->kind == kind)
            return *table;
    ws_assert(false); /* every kind that the configuration knows has its row */
    return NULL;
}
