/** Whole-word matching: does a class's query occur in an image's alt text, title or file name? */
#ifndef WEBSTILL_CRAWLER_PAGE_WORDS_H
#define WEBSTILL_CRAWLER_PAGE_WORDS_H

#include "webstill/stage/config.h"

#include <stdbool.h>
#include <stddef.h>

/**
 * True when the words of `phrase` stand in `text` one after another as whole words. Letters and digits make words
 * (octets from 0x80 on count as letters), everything else separates; ASCII case does not matter.
 */
bool ws_words_contain(const char *text, const char *phrase);

/** The last path segment of a URL without its extension, percent-decoded: "blue_dress" of "…/blue%5Fdress.jpg?x". */
void ws_words_of_file_name(const char *url, char *out, size_t size_bytes);

/**
 * The first class (in class order, then query order) one of whose queries occurs in one of the texts (NULL ends them).
 * Returns its index, or -1; `*query` is then the query that matched.
 */
int ws_words_find_class(const struct ws_class *classes, unsigned n_classes, const char *const *texts,
                        const char **query);

#endif
