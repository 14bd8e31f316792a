/** Quotas: however many images one host floods a pool with, it owns no more than a share of a class. */
#ifndef WEBSTILL_CURATE_QUOTA_H
#define WEBSTILL_CURATE_QUOTA_H

#include <stddef.h>
#include <stdint.h>

/** Sizes and memory of a quota; the arrays are the caller's and are overwritten. */
struct ws_quota {
    double share;      /**< of a class's kept images that one owner may have at most, (0, 1] */
    int64_t at_least;  /**< so many an owner may have in a class in any case */
    int n_owners;      /**< owners are 0 … n_owners-1 */
    int64_t *n_owned;  /**< [n_owners] scratch */
    uint32_t *by_rank; /**< [n] scratch */
};

/**
 * The largest t such that with min(n_owned[o], t) images of each owner nobody has more than `share` of what is left:
 * t <= share * sum over o of min(n_owned[o], t). Owners number those with n_owned > 0; with k of them, k share < 1, no
 * t but 0 would do, and the share is 1/k instead: what the smallest has.
 */
int64_t ws_quota_cap(const int64_t *n_owned, int n_owners, double share);

/**
 * In each class clear keep[i] of the images that are beyond their owner's cap: the least confident go first, of equals
 * the later in id order. owner[i] = -1 is bound by nothing but counts as an owner of one image. The cap is never below
 * quota->at_least. `keep` [n], `predicted` [n] in 0 … n_classes-1, `confidence` [n], `owner` [n]. Returns how many
 * went.
 */
size_t ws_quota_apply(const struct ws_quota *quota, size_t n, int n_classes, const int32_t *predicted,
                      const float *confidence, const int32_t *owner, uint8_t *keep);

#endif
