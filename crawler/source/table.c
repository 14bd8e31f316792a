#include "list.h"
#include "source.h"

#define DECLARE(name) extern const struct ws_source_ops ws_source_##name;
WS_SOURCES(DECLARE)

#define ROW(name) &ws_source_##name,
const struct ws_source_ops *const ws_source_table[] = {WS_SOURCES(ROW) NULL};

bool ws_source_kind_row(size_t i, const char **name, const char **sentence)
{
    if (i >= sizeof ws_source_table / sizeof ws_source_table[0] - 1)
        return false;
    *name = ws_source_table[i]->name;
    *sentence = ws_source_table[i]->summary;
    return true;
}

size_t ws_source_sections(const struct ws_conf_section **sections, size_t n_max)
{
    size_t n = 0;
    for (const struct ws_source_ops *const *kind = ws_source_table; *kind && n < n_max; kind++)
        if ((*kind)->section)
            sections[n++] = (*kind)->section;
    return n;
}
