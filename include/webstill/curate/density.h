/**
 * Near-duplicates by perceptual hash: how many of an image's kind a pool holds, and which one of them to keep.
 *
 * Two images are near duplicates when their hashes differ in at most `distance` bits. Found by multi-index hashing
 * (Norouzi, Punjani, Fleet, "Fast Search in Hamming Space with Multi-Index Hashing", CVPR 2012): cut the 64 bits into
 * distance + 1 bands; two hashes within the distance are equal in at least one of them.
 */
#ifndef WEBSTILL_CURATE_DENSITY_H
#define WEBSTILL_CURATE_DENSITY_H

#include "webstill/base/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WS_DENSITY_MAX_DISTANCE = 16 };

/** The index over a pool's hashes. Equal hashes are one entry, so a thousand copies cost no more than one. */
struct ws_density {
    size_t n; /**< images */
    int distance;
    size_t n_distinct;
    uint64_t *distinct;  /**< [n_distinct] hashes, ascending */
    uint32_t *n_copies;  /**< [n_distinct] images that have it */
    uint32_t *entry;     /**< [n] an image's index in `distinct` */
    uint32_t *order;     /**< [distance + 1][n_distinct] indices in `distinct`, sorted by the band's bits */
    uint8_t *is_covered; /**< [n_distinct] scratch of ws_density_thin() */
    uint32_t *by_rank;   /**< [n] likewise */
};

/**
 * Build the index over `hashes` [n]; its arrays live in `arena`. False when out of memory. 0 <= distance <=
 * WS_DENSITY_MAX_DISTANCE, 1 <= n < 2^32.
 *
 * Cost: distance + 1 sorts, then each look-up compares with the hashes that share a band. 50,000 evenly spread hashes
 * at distance 6 (seven bands of nine bits): about 0.2 s for all counts, where all pairs would take 1.25e9 comparisons.
 */
WS_MUST_USE bool ws_density_open(struct ws_density *density, struct ws_arena *arena, const uint64_t *hashes, size_t n,
                                 int distance);

/** counts[i] = images within the distance of image i, itself included. */
void ws_density_count(const struct ws_density *density, uint32_t *counts);

/**
 * Of near duplicates keep the one that the networks believe most: of the images with keep[i] != 0, by falling
 * confidence (of equals the earlier), each clears the keep of all later ones within the distance. So no two that stay
 * are near duplicates, and each that goes is one of a kept image that is at least as confident. Returns how many went.
 */
size_t ws_density_thin(struct ws_density *density, const float *confidence, uint8_t *keep);

#endif
