/* The mutations that fuzzing engines begin with, for replays in the tests. */
#ifndef TESTS_MUTATE_H
#define TESTS_MUTATE_H

#include "webstill/base/rng.h"

#include <stdlib.h>
#include <string.h>

/** Flip, cut, copy or overwrite a few places of a copy; *len becomes its length. free() it. */
static uint8_t *mutate(const uint8_t *seed, size_t *len, struct ws_rng *rng)
{
    uint8_t *out = malloc(*len + 64);
    if (!out)
        abort();
    memcpy(out, seed, *len);
    for (uint32_t n = 1 + ws_rng_below(rng, 8); n > 0 && *len > 1; n--) {
        const uint32_t at = ws_rng_below(rng, (uint32_t)*len);
        switch (ws_rng_below(rng, 5)) {
        case 0:
            out[at] ^= (uint8_t)(1u << ws_rng_below(rng, 8));
            break;
        case 1:
            out[at] = (uint8_t)ws_rng_below(rng, 256);
            break;
        case 2:
            out[at] = ws_rng_below(rng, 2) ? 0xff : 0;
            break;
        case 3:
            *len = ws_rng_below(rng, 8) ? *len : at + 1;
            break;
        default: {
            const uint32_t from = ws_rng_below(rng, (uint32_t)*len), room = (uint32_t)*len - (at > from ? at : from);
            memmove(out + at, out + from, room < 16 ? room : 16);
        }
        }
    }
    return out;
}

#endif
