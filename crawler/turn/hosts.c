#include "hosts.h"

#include "webstill/base/hash.h"
#include "webstill/base/mem.h"

#include <stdlib.h>
#include <string.h>

/* --- the table --- */

static size_t slot_of(const struct ws_hosts *hosts, const char *origin)
{
    size_t i = (size_t)ws_xxh64(origin, strlen(origin), 0) & (hosts->n_slots - 1);
    while (hosts->slots[i] && strcmp(hosts->slots[i]->origin, origin) != 0)
        i = (i + 1) & (hosts->n_slots - 1);
    return i;
}

static bool grow(struct ws_hosts *hosts)
{
    const size_t cap = hosts->cap ? hosts->cap * 2 : 64;
    struct ws_host **larger = ws_realloc(hosts->hosts, cap, sizeof(struct ws_host *));
    if (!larger)
        return false;
    hosts->hosts = larger;
    struct ws_host **heap = ws_realloc(hosts->heap, cap, sizeof(struct ws_host *));
    if (!heap)
        return false;
    hosts->heap = heap;
    struct ws_host **slots = ws_calloc(cap * 2, sizeof(struct ws_host *));
    if (!slots)
        return false;
    free(hosts->slots);
    hosts->slots = slots;
    hosts->n_slots = cap * 2;
    hosts->cap = cap;
    for (size_t i = 0; i < hosts->n; i++)
        hosts->slots[slot_of(hosts, hosts->hosts[i]->origin)] = hosts->hosts[i];
    return true;
}

struct ws_host *ws_hosts_get(struct ws_hosts *hosts, const char *origin, double delay_s)
{
    if (hosts->n_slots) {
        struct ws_host *known = hosts->slots[slot_of(hosts, origin)];
        if (known)
            return known;
    }
    if (hosts->n == hosts->cap && !grow(hosts))
        return NULL;
    struct ws_host *host = ws_calloc(1, sizeof *host);
    if (!host)
        return NULL;
    host->origin = strdup(origin);
    if (!host->origin) {
        free(host);
        return NULL;
    }
    host->delay_s = delay_s;
    host->heap_i = SIZE_MAX;
    hosts->slots[slot_of(hosts, origin)] = host;
    hosts->hosts[hosts->n++] = host;
    return host;
}

void ws_hosts_fini(struct ws_hosts *hosts)
{
    for (size_t i = 0; i < hosts->n; i++) {
        free(hosts->hosts[i]->origin);
        free(hosts->hosts[i]->robots_url);
        free(hosts->hosts[i]);
    }
    free(hosts->hosts);
    free(hosts->heap);
    free(hosts->slots);
    *hosts = (struct ws_hosts){0};
}

/* --- the heap --- */

static void put_at(struct ws_hosts *hosts, size_t i, struct ws_host *host)
{
    hosts->heap[i] = host;
    host->heap_i = i;
}

static void sift(struct ws_hosts *hosts, struct ws_host *host)
{
    size_t i = host->heap_i;
    while (i > 0 && hosts->heap[(i - 1) / 2]->key > host->key) {
        put_at(hosts, i, hosts->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= hosts->n_heap)
            break;
        if (child + 1 < hosts->n_heap && hosts->heap[child + 1]->key < hosts->heap[child]->key)
            child++;
        if (hosts->heap[child]->key >= host->key)
            break;
        put_at(hosts, i, hosts->heap[child]);
        i = child;
    }
    put_at(hosts, i, host);
}

void ws_hosts_schedule(struct ws_hosts *hosts, struct ws_host *host, double key)
{
    host->key = key;
    if (host->heap_i == SIZE_MAX)
        put_at(hosts, hosts->n_heap++, host);
    sift(hosts, host);
}

void ws_hosts_rest(struct ws_hosts *hosts, struct ws_host *host)
{
    const size_t i = host->heap_i;
    if (i == SIZE_MAX)
        return;
    struct ws_host *last = hosts->heap[--hosts->n_heap];
    host->heap_i = SIZE_MAX;
    if (last != host) {
        put_at(hosts, i, last);
        sift(hosts, last);
    }
}

struct ws_host *ws_hosts_first(const struct ws_hosts *hosts)
{
    return hosts->n_heap ? hosts->heap[0] : NULL;
}
