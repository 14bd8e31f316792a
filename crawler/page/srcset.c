#include "srcset.h"

#include <stdlib.h>
#include <string.h>

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\f' || c == '\r';
}

/** Descriptors run to the next comma outside parentheses; returns what follows. */
static const char *read_descriptors(const char *p, struct ws_candidate *candidate)
{
    int depth = 0;
    while (*p && (depth > 0 || *p != ',')) {
        if ((*p >= '0' && *p <= '9') || *p == '.') {
            char *end;
            const double value = strtod(p, &end);
            if (end == p) {
                p++;
                continue;
            }
            if (*end == 'w' && value > 0)
                candidate->width = value;
            else if (*end == 'x' && value > 0)
                candidate->density = value;
            p = end;
            continue;
        }
        depth += *p == '(';
        depth -= *p == ')' && depth > 0;
        p++;
    }
    return p;
}

bool ws_candidate_is_larger(const struct ws_candidate *a, const struct ws_candidate *b)
{
    if (a->width < b->width || a->width > b->width)
        return a->width > b->width;
    return a->density > b->density;
}

bool ws_srcset_largest(const char *srcset, struct ws_candidate *largest)
{
    bool is_found = false;
    const char *p = srcset;
    for (;;) {
        while (is_space(*p) || *p == ',')
            p++;
        if (!*p)
            return is_found;
        struct ws_candidate candidate = {.url = p, .density = 1};
        while (*p && !is_space(*p))
            p++;
        candidate.len = (size_t)(p - candidate.url);
        /* Commas inside a URL belong to it; those at its end separate (so "a.jpg, b.jpg" is two). */
        bool has_comma = false;
        while (candidate.len && candidate.url[candidate.len - 1] == ',') {
            candidate.len--;
            has_comma = true;
        }
        if (!has_comma)
            p = read_descriptors(p, &candidate);
        if (candidate.len && (!is_found || ws_candidate_is_larger(&candidate, largest))) {
            *largest = candidate;
            is_found = true;
        }
    }
}
