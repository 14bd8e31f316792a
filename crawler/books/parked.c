#include "parked.h"

#include "net/url.h"

#include "webstill/base/mem.h"

#include <stdlib.h>
#include <string.h>

/** Where the origin stands, or would stand. */
static size_t place_of(const struct ws_parked *parked, const char *origin)
{
    size_t low = 0, high = parked->n;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (strcmp(parked->hosts[middle].origin, origin) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_at(const struct ws_parked *parked, size_t i, const char *origin)
{
    return i < parked->n && strcmp(parked->hosts[i].origin, origin) == 0;
}

static bool make_room(struct ws_parked *parked, size_t i)
{
    if (parked->n == parked->cap) {
        const size_t cap = parked->cap ? parked->cap * 2 : 16;
        struct ws_parking *larger = ws_realloc(parked->hosts, cap, sizeof *larger);
        if (!larger)
            return false;
        parked->hosts = larger;
        parked->cap = cap;
    }
    memmove(&parked->hosts[i + 1], &parked->hosts[i], (parked->n - i) * sizeof *parked->hosts);
    parked->n++;
    return true;
}

static void free_parking(struct ws_parking *parking)
{
    free(parking->origin);
    free(parking->reason);
}

bool ws_parked_add(struct ws_parked *parked, const char *origin, enum ws_failure failure, bool is_forbidden,
                   const char *reason)
{
    struct ws_parking parking = {strdup(origin), is_forbidden, failure, strdup(reason)};
    const size_t i = place_of(parked, origin);
    const bool is_known = is_at(parked, i, origin);
    if (!parking.origin || !parking.reason || (!is_known && !make_room(parked, i))) {
        free_parking(&parking);
        return false;
    }
    if (is_known)
        free_parking(&parked->hosts[i]);
    parked->hosts[i] = parking;
    return true;
}

const struct ws_parking *ws_parked_find(const struct ws_parked *parked, const char *origin)
{
    const size_t i = place_of(parked, origin);
    return is_at(parked, i, origin) ? &parked->hosts[i] : NULL;
}

const struct ws_parking *ws_parked_find_url(const struct ws_parked *parked, const char *url)
{
    char origin[WS_ORIGIN_MAX];
    struct ws_url parsed;
    if (parked->n == 0 || !ws_url_parse(&parsed, url))
        return NULL;
    ws_url_origin(&parsed, origin);
    return ws_parked_find(parked, origin);
}

bool ws_parking_is_final(const struct ws_parking *parking)
{
    return parking->is_forbidden || parking->failure == WS_FAILURE_ADDRESS;
}

void ws_parked_fini(struct ws_parked *parked)
{
    for (size_t i = 0; i < parked->n; i++)
        free_parking(&parked->hosts[i]);
    free(parked->hosts);
    *parked = (struct ws_parked){0};
}
