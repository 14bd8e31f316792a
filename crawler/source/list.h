/**
 * The list of sources: a kind is its file NAME.c and its line here. NAME is its word in the configuration,
 * ws_source_NAME its row (source.h), and its place its number.
 *
 * A list and no table, as it is read from both ends: crawler/keys.c, which all rooms stand on, takes the words from it
 * and table.c the rows.
 */
#ifndef WEBSTILL_CRAWLER_SOURCE_LIST_H
#define WEBSTILL_CRAWLER_SOURCE_LIST_H

/* clang-format off */
#define WS_SOURCES(SOURCE) \
    SOURCE(mediawiki)      \
    SOURCE(pages)
/* clang-format on */

#endif
