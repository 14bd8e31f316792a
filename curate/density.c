#include "webstill/curate/density.h"

#include "order.h"

#include "webstill/curate/phash.h"

#include <stdlib.h>
#include <string.h>

enum { HASH_BITS = 64 };

static int first_bit(const struct ws_density *d, int band)
{
    return band * HASH_BITS / (d->distance + 1);
}

static uint64_t band_mask(const struct ws_density *d, int band)
{
    const int low = first_bit(d, band), high = first_bit(d, band + 1);
    const uint64_t ones = high - low == HASH_BITS ? ~(uint64_t)0 : ((uint64_t)1 << (high - low)) - 1;
    return ones << low;
}

struct keyed {
    uint64_t key;
    uint32_t index;
};

static int compare_keyed(const void *a, const void *b)
{
    const struct keyed *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static void group_copies(struct ws_density *d, struct keyed *sorted, const uint64_t *hashes)
{
    for (size_t i = 0; i < d->n; i++)
        sorted[i] = (struct keyed){hashes[i], (uint32_t)i};
    qsort(sorted, d->n, sizeof *sorted, compare_keyed);
    d->n_distinct = 0;
    for (size_t i = 0; i < d->n; i++) {
        if (i == 0 || sorted[i].key != sorted[i - 1].key)
            d->distinct[d->n_distinct++] = sorted[i].key;
        d->n_copies[d->n_distinct - 1]++;
        d->entry[sorted[i].index] = (uint32_t)(d->n_distinct - 1);
    }
}

bool ws_density_open(struct ws_density *density, struct ws_arena *arena, const uint64_t *hashes, size_t n, int distance)
{
    ws_assert(n >= 1 && n < UINT32_MAX && distance >= 0 && distance <= WS_DENSITY_MAX_DISTANCE);
    struct keyed *sorted = ws_arena_alloc(arena, n, sizeof *sorted);
    struct ws_density *d = density;
    *d = (struct ws_density){
        .n = n,
        .distance = distance,
        .distinct = ws_arena_alloc(arena, n, sizeof *d->distinct),
        .n_copies = ws_arena_alloc(arena, n, sizeof *d->n_copies),
        .entry = ws_arena_alloc(arena, n, sizeof *d->entry),
        .order = ws_arena_alloc(arena, ws_size_mul(n, (size_t)distance + 1), sizeof *d->order),
        .is_covered = ws_arena_alloc(arena, n, sizeof *d->is_covered),
        .by_rank = ws_arena_alloc(arena, n, sizeof *d->by_rank),
    };
    if (!sorted || !d->distinct || !d->n_copies || !d->entry || !d->order || !d->is_covered || !d->by_rank)
        return false;
    group_copies(d, sorted, hashes);
    for (int band = 0; band <= distance; band++) {
        const uint64_t mask = band_mask(d, band);
        for (size_t i = 0; i < d->n_distinct; i++)
            sorted[i] = (struct keyed){d->distinct[i] & mask, (uint32_t)i};
        qsort(sorted, d->n_distinct, sizeof *sorted, compare_keyed);
        for (size_t i = 0; i < d->n_distinct; i++)
            d->order[(size_t)band * d->n_distinct + i] = sorted[i].index;
    }
    return true;
}

/* Where in a band's order the hashes begin whose bits of the band are `key`. */
static size_t find_run(const struct ws_density *d, const uint32_t *order, uint64_t mask, uint64_t key)
{
    size_t low = 0, high = d->n_distinct;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if ((d->distinct[order[middle]] & mask) < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* True when the two are equal in a band before this one: then they have met already. */
static bool have_met(const struct ws_density *d, uint64_t difference, int band)
{
    for (int b = 0; b < band; b++)
        if ((difference & band_mask(d, b)) == 0)
            return true;
    return false;
}

/* Visit each distinct hash within the distance of `hash`, which is one of them, once. */
static void each_near(const struct ws_density *d, uint64_t hash, void (*visit)(void *argument, uint32_t entry),
                      void *argument)
{
    for (int band = 0; band <= d->distance; band++) {
        const uint32_t *order = d->order + (size_t)band * d->n_distinct;
        const uint64_t mask = band_mask(d, band), key = hash & mask;
        for (size_t i = find_run(d, order, mask, key); i < d->n_distinct; i++) {
            const uint64_t difference = d->distinct[order[i]] ^ hash;
            if ((difference & mask) != 0)
                break;
            if (ws_phash_distance(difference, 0) <= d->distance && !have_met(d, difference, band))
                visit(argument, order[i]);
        }
    }
}

struct counting {
    const struct ws_density *density;
    uint32_t n;
};

static void add_copies(void *argument, uint32_t entry)
{
    struct counting *counting = argument;
    counting->n += counting->density->n_copies[entry];
}

void ws_density_count(const struct ws_density *density, uint32_t *counts)
{
    /* by_rank is free here: it holds the count of each distinct hash. */
    for (size_t e = 0; e < density->n_distinct; e++) {
        struct counting counting = {density, 0};
        each_near(density, density->distinct[e], add_copies, &counting);
        density->by_rank[e] = counting.n;
    }
    for (size_t i = 0; i < density->n; i++)
        counts[i] = density->by_rank[density->entry[i]];
}

static void cover(void *argument, uint32_t entry)
{
    uint8_t *is_covered = argument;
    is_covered[entry] = 1;
}

size_t ws_density_thin(struct ws_density *density, const float *confidence, uint8_t *keep)
{
    size_t n = 0, n_gone = 0;
    for (size_t i = 0; i < density->n; i++)
        if (keep[i])
            density->by_rank[n++] = (uint32_t)i;
    ws_order_by_confidence(density->by_rank, n, confidence);
    memset(density->is_covered, 0, density->n_distinct);
    for (size_t k = 0; k < n; k++) {
        const uint32_t i = density->by_rank[k], entry = density->entry[i];
        if (density->is_covered[entry]) {
            keep[i] = 0;
            n_gone++;
        } else {
            each_near(density, density->distinct[entry], cover, density->is_covered);
        }
    }
    return n_gone;
}
