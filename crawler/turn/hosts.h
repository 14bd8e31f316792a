/**
 * The hosts of a crawl (by origin: scheme, host and port) and whose turn it is.
 *
 * Only pacing lives in memory, some hundred bytes a host; what a host is to be asked for stays in the frontier. A heap
 * holds the hosts that may be asked, soonest first.
 */
#ifndef WEBSTILL_CRAWLER_TURN_HOSTS_H
#define WEBSTILL_CRAWLER_TURN_HOSTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ws_host_state {
    WS_HOST_UNKNOWN, /**< its robots.txt is not known yet */
    WS_HOST_ASKING,  /**< its robots.txt is being fetched */
    WS_HOST_OPEN,
    WS_HOST_PARKED, /**< not to be asked any more in this run (books/parked.h tells why) */
};

struct ws_host {
    char *origin; /**< owned */
    enum ws_host_state state;
    unsigned n_in_flight;
    double ready_s;       /**< monotonic: no request starts before */
    double delay_s;       /**< between the starts of two requests */
    double rules_until_s; /**< monotonic: its robots.txt is believed so long */
    unsigned n_robots_tries;
    char *robots_url; /**< owned: where its robots.txt was moved to; NULL = at the origin */
    unsigned n_robots_hops;
    unsigned n_silences; /**< transfers in a row that got no answer */
    double key;          /**< in the heap: when its turn comes */
    size_t heap_i;       /**< SIZE_MAX outside the heap */
};

/** All-zero is a valid empty table. */
struct ws_hosts {
    struct ws_host **hosts; /**< owned, by arrival */
    size_t n, cap;
    struct ws_host **slots; /**< owned: open addressing by hash of the origin; a power of two, at most half full */
    size_t n_slots;
    struct ws_host **heap; /**< owned array: as many places as `cap` */
    size_t n_heap;
};

/** The host of an origin; a new one is made with `delay_s`. NULL when out of memory. */
struct ws_host *ws_hosts_get(struct ws_hosts *hosts, const char *origin, double delay_s);

/** Give a host its turn at `key` (monotonic seconds), or move it. */
void ws_hosts_schedule(struct ws_hosts *hosts, struct ws_host *host, double key);
/** Take a host out of the heap; nothing when it is not in it. */
void ws_hosts_rest(struct ws_hosts *hosts, struct ws_host *host);
/** The host whose turn comes first; it stays in the heap. NULL when none has a turn. */
struct ws_host *ws_hosts_first(const struct ws_hosts *hosts);

void ws_hosts_fini(struct ws_hosts *hosts);

#endif
