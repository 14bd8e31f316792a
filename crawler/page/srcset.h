/** The srcset attribute (HTML, "parse a srcset attribute"): the candidate that promises the most pixels. */
#ifndef WEBSTILL_CRAWLER_PAGE_SRCSET_H
#define WEBSTILL_CRAWLER_PAGE_SRCSET_H

#include <stdbool.h>
#include <stddef.h>

struct ws_candidate {
    const char *url; /**< borrowed from the attribute, not NUL-terminated */
    size_t len;
    double width;   /**< of a "w" descriptor, else 0 */
    double density; /**< of an "x" descriptor, else 1 */
};

/** True when `a` promises more pixels than `b`: width first, then density. */
bool ws_candidate_is_larger(const struct ws_candidate *a, const struct ws_candidate *b);

/** The largest candidate; the first of equals. False when the attribute has none. */
bool ws_srcset_largest(const char *srcset, struct ws_candidate *largest);

#endif
