/** "did you mean": the nearest of a few known names. */
#include "webstill/base/text.h"

#include <ctype.h>
#include <string.h>

enum { LONGEST = 63 }; /* longer names are not compared: nobody mistypes those into one of ours */

static int lower(char c)
{
    return tolower((unsigned char)c);
}

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/** Edit distance with swaps of neighbours (optimal string alignment). */
static size_t edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t rows[3][LONGEST + 1]; /* row i, i-1 and i-2 of the table, in turn */
    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            bool same = lower(a[i - 1]) == lower(b[j - 1]);
            row[j] = smallest(row[j - 1] + 1, above[j] + 1, above[j - 1] + (same ? 0 : 1));
            bool swapped = i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]);
            if (swapped && above2[j - 2] + 1 < row[j])
                row[j] = above2[j - 2] + 1;
        }
    }
    return rows[a_len % 3][b_len];
}

/** True when the shorter name, of three letters or more, begins the longer one. */
static bool begins(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t len = a_len < b_len ? a_len : b_len;
    for (size_t i = 0; i < len; i++)
        if (lower(a[i]) != lower(b[i]))
            return false;
    return len >= 3;
}

const char *ws_nearest_name(const char *name, const char *const *names)
{
    const char *nearest = NULL;
    size_t nearest_distance = LONGEST + 1;
    size_t len = strlen(name);
    if (len == 0 || len > LONGEST)
        return NULL;
    for (; *names; names++) {
        size_t known_len = strlen(*names);
        if (known_len > LONGEST)
            continue;
        size_t distance = edit_distance(name, len, *names, known_len);
        size_t allowed = len < 3 ? 1 : len / 3;
        /* "batchsize" for "batch": many edits, one thought. It counts like two edits, so that a plain slip still wins.
         */
        if (distance > 2 && begins(name, len, *names, known_len))
            distance = allowed = 2;
        size_t longer = len > known_len ? len : known_len;
        if (distance <= allowed && distance < longer && distance < nearest_distance) {
            nearest = *names;
            nearest_distance = distance;
        }
    }
    return nearest;
}
