#include "source.h"

static const struct ws_source_ops *const sources[] = {
    &ws_source_mediawiki,
    &ws_source_pages,
};

const struct ws_source_ops *ws_source_find(enum ws_source_kind kind)
{
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
        if (sources[i]->kind == kind)
            return sources[i];
    ws_assert(false); /* every kind that the configuration knows has its operations */
    return NULL;
}
