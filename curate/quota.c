#include "webstill/curate/quota.h"

#include "order.h"

#include "webstill/base/err.h"

/* What is left of a class when nobody may have more than t; `n_free` images belong to nobody. */
static double sum_capped(const int64_t *n_owned, int n_owners, int64_t n_free, int64_t t)
{
    double sum = (double)n_free;
    for (int o = 0; o < n_owners; o++)
        sum += (double)(n_owned[o] < t ? n_owned[o] : t);
    return sum;
}

/* The sum grows ever more slowly with t, so the t that satisfy the quota are those from 0 to a largest one. */
static int64_t find_cap(const int64_t *n_owned, int n_owners, int64_t n_free, double share)
{
    int64_t most = 0, least = INT64_MAX;
    double n_present = (double)n_free;
    for (int o = 0; o < n_owners; o++) {
        if (n_owned[o] == 0)
            continue;
        most = n_owned[o] > most ? n_owned[o] : most;
        least = n_owned[o] < least ? n_owned[o] : least;
        n_present += 1.0;
    }
    if (most == 0)
        return 0;
    if (n_present * share < 1.0)
        return n_free > 0 ? 1 : least;
    int64_t low = 0, high = most;
    while (low < high) {
        const int64_t middle = low + (high - low + 1) / 2;
        if ((double)middle <= share * sum_capped(n_owned, n_owners, n_free, middle) * (1.0 + 1e-12))
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

int64_t ws_quota_cap(const int64_t *n_owned, int n_owners, double share)
{
    return find_cap(n_owned, n_owners, 0, share);
}

/* One class, whose kept images stand in by_rank[0 … n-1], the most confident first. */
static size_t apply_to_class(const struct ws_quota *quota, size_t n, const int32_t *owner, uint8_t *keep)
{
    int64_t n_free = 0;
    for (int o = 0; o < quota->n_owners; o++)
        quota->n_owned[o] = 0;
    for (size_t k = 0; k < n; k++) {
        const int32_t o = owner[quota->by_rank[k]];
        if (o >= 0)
            quota->n_owned[o]++;
        else
            n_free++;
    }
    int64_t cap = find_cap(quota->n_owned, quota->n_owners, n_free, quota->share);
    cap = cap > quota->at_least ? cap : quota->at_least;
    for (int o = 0; o < quota->n_owners; o++)
        quota->n_owned[o] = cap; /* from here on: what is left of it */
    size_t n_gone = 0;
    for (size_t k = 0; k < n; k++) {
        const uint32_t i = quota->by_rank[k];
        if (owner[i] >= 0 && quota->n_owned[owner[i]]-- <= 0) {
            keep[i] = 0;
            n_gone++;
        }
    }
    return n_gone;
}

size_t ws_quota_apply(const struct ws_quota *quota, size_t n, int n_classes, const int32_t *predicted,
                      const float *confidence, const int32_t *owner, uint8_t *keep)
{
    ws_assert(quota->share > 0.0 && quota->share <= 1.0);
    size_t n_gone = 0;
    for (int c = 0; c < n_classes; c++) {
        size_t n_class = 0;
        for (size_t i = 0; i < n; i++)
            if (keep[i] && predicted[i] == c)
                quota->by_rank[n_class++] = (uint32_t)i;
        ws_order_by_confidence(quota->by_rank, n_class, confidence);
        n_gone += apply_to_class(quota, n_class, owner, keep);
    }
    return n_gone;
}
