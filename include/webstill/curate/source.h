/**
 * Where a pool's images come from, and how far each source can be believed.
 *
 * A source is a query, a host or a licence class. Its precision is the share of its images that the teacher believes,
 * drawn towards the whole pool's as a Beta prior does: with m the pool's share and s the prior's strength in images,
 *
 *   p = (believed + s m) / (judged + s)
 *
 * the posterior mean of a Binomial under Beta(s m, s (1-m)) (Gelman et al., "Bayesian Data Analysis", section 2.4). So
 * three images move it little, three hundred decide. An image weighs min(1, p / m): what is no worse than the pool
 * counts fully, and nothing counts more.
 */
#ifndef WEBSTILL_CURATE_SOURCE_H
#define WEBSTILL_CURATE_SOURCE_H

#include "webstill/curate/keys.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Which sources each image was found at: links first[i] … first[i+1]-1 are image i's. All-zero is a valid empty one.
 */
struct ws_sources {
    size_t n; /**< images */
    int n_sources;
    char **names;         /**< [n_sources], ascending bytewise */
    uint32_t *first;      /**< [n + 1] */
    int32_t *source;      /**< [first[n]] ascending for each image; a source once for each class */
    int32_t *query_class; /**< [first[n]] class that was searched for there, -1 = none */
};

struct ws_source_rule {
    enum ws_belief belief; /**< by class, links without one are not judged */
    double confidence;     /**< the bound of WS_BELIEF_CONFIDENCE */
    double prior;          /**< s, images; 0 = the plain share */
    double drop_below;     /**< sources of lower precision are dropped; 0 = none */
};

/** One source's row. */
struct ws_source_row {
    int64_t n_images; /**< found there */
    int64_t n_judged, n_believed;
    double precision; /**< p */
    double weight;    /**< min(1, p/m), or 0 when dropped */
};

/**
 * Judge each source by the teacher's predictions [n] and confidences [n]. rows: [n_sources]. Returns m, the believed
 * share of the judged images, each counted once; NaN when none can be judged, and then every weight is 1. An image that
 * was found at several sources counts in each of their rows.
 */
double ws_source_judge(const struct ws_sources *sources, const int32_t *predicted, const float *confidence,
                       const struct ws_source_rule *rule, struct ws_source_row *rows);

/** weights[i] = the largest weight of image i's sources (found by a good one as well, it is good); without any, 1. */
void ws_source_weigh(const struct ws_sources *sources, const struct ws_source_row *rows, float *weights);

/**
 * owner[i] = the one source that image i counts for in a quota: of its sources the one with the fewest images in the
 * pool (of equals the first by name), so that nobody else's images count for a flood; -1 without any.
 * `n_images` [n_sources] is filled in.
 */
void ws_source_own(const struct ws_sources *sources, int64_t *n_images, int32_t *owner);

#endif
