/**
 * Drift: how much what a pool's refresh brought differs from what was there before, as the networks see it.
 *
 * Measured by the Jensen-Shannon divergence in bits (Lin, "Divergence measures based on the Shannon entropy", 1991): 0
 * for equal distributions, 1 for such that share nothing; it needs no smoothing for empty bins. Two samples of n images
 * each of one distribution over k bins differ by about (k-1) / (4 n ln 2) from chance alone.
 */
#ifndef WEBSTILL_CURATE_DRIFT_H
#define WEBSTILL_CURATE_DRIFT_H

#include "webstill/curate/select.h"

enum { WS_DRIFT_BINS = 20 }; /**< of the confidence, equally wide from 0 to 1 */

/** Divergence of two lists of counts or weights, in bits, 0 to 1. Each is scaled to sum to 1; NaN when one is all zero.
 */
double ws_drift_divergence(const double *p, const double *q, int n);

/** One class before and now. */
struct ws_drift_class {
    int64_t n_before, n_now;                  /**< images predicted as it */
    double share_before, share_now;           /**< of all images */
    double confidence_before, confidence_now; /**< mean; NaN without images */
    double kept_before, kept_now;             /**< share of its images that were kept; NaN without images */
    double confidence_drift;                  /**< divergence of its confidence histograms; NaN without images */
};

struct ws_drift {
    size_t n_before, n_now;
    double class_drift;      /**< divergence of the predicted classes' shares */
    double confidence_drift; /**< divergence of all confidences' histograms */
};

/**
 * Compare two selections over the same classes. `classes` gets n_classes rows. Only n, n_classes, keep, confidence and
 * predicted are read.
 */
struct ws_drift ws_drift_compare(const struct ws_selection *before, const struct ws_selection *now,
                                 struct ws_drift_class *classes);

#endif
