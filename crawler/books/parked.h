/** Hosts (by origin) that are left alone for the rest of a run, and why. */
#ifndef WEBSTILL_CRAWLER_BOOKS_PARKED_H
#define WEBSTILL_CRAWLER_BOOKS_PARKED_H

#include "net/failure.h"

#include <stdbool.h>
#include <stddef.h>

struct ws_parking {
    char *origin;            /**< owned */
    bool is_forbidden;       /**< its robots.txt asks for it */
    enum ws_failure failure; /**< else */
    char *reason;            /**< owned */
};

/** All-zero is a valid empty list. */
struct ws_parked {
    struct ws_parking *hosts; /**< owned, sorted by origin */
    size_t n, cap;
};

/** Take a host in; the last word about one counts. False when out of memory. */
bool ws_parked_add(struct ws_parked *parked, const char *origin, enum ws_failure failure, bool is_forbidden,
                   const char *reason);
/** Why a host is left alone, or NULL when it is not. Borrowed until the next host comes in. */
const struct ws_parking *ws_parked_find(const struct ws_parked *parked, const char *origin);
/** The same for the host of a URL. */
const struct ws_parking *ws_parked_find_url(const struct ws_parked *parked, const char *url);
/** True when no further run will ask the host either, unless its rules or the configuration change. */
bool ws_parking_is_final(const struct ws_parking *parking);

void ws_parked_fini(struct ws_parked *parked);

#endif
