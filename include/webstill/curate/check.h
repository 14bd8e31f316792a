/**
 * What a pool promises before anything is learnt from it: does what the teacher sees agree with what was searched for?
 *
 * The search words are no labels and nothing trains on them here; but over a whole pool their agreement with the
 * teacher tells a pool of the classes from one of junk, and from one whose classes stand in another order.
 */
#ifndef WEBSTILL_CURATE_CHECK_H
#define WEBSTILL_CURATE_CHECK_H

#include <stddef.h>
#include <stdint.h>

/** Numbers of a pool; NaN where no image has a label. */
struct ws_pool_look {
    size_t n, n_labelled;
    int n_classes;
    double agreement;   /**< share of the labelled images whose predicted class is their label */
    double chance;      /**< the same, were both independent: sum over c of P(label = c) P(predicted = c) */
    double kappa;       /**< (agreement - chance) / (1 - chance): Cohen, 1960 */
    double association; /**< Cramér's V, corrected for bias (Bergsma, 2013): 0 independent, 1 each fixes the other */
};

/**
 * Look at `n` predictions and labels (a class index, or negative: none). `confusion` [n_classes][n_classes] gets the
 * counts, a row for each label.
 */
struct ws_pool_look ws_pool_look(const int32_t *predicted, const int32_t *labels, size_t n, int n_classes,
                                 int64_t *confusion);

/**
 * Tell, in sentences, what to expect of such a pool: too few images, no labels, a teacher that agrees with the search
 * words no better than chance (junk, or other classes), or that follows them in another order. Calls `tell` for each
 * and returns how many; a pool that is as it should be has none. `names` [n_classes]; a sentence lives during the call.
 */
int ws_pool_warn(const struct ws_pool_look *look, const int64_t *confusion, const char *const *names,
                 void (*tell)(void *argument, const char *sentence), void *argument);

/** Likewise of the classes that nothing is predicted as: one sentence, or none. n_predicted: [n_classes]. */
int ws_pool_warn_missing(const int64_t *n_predicted, size_t n, int n_classes, const char *const *names,
                         void (*tell)(void *argument, const char *sentence), void *argument);

/** Likewise of the classes that no image was found for, where other classes have some. n_found: [n_classes]. */
int ws_pool_warn_unfound(const int64_t *n_found, int n_classes, const char *const *names,
                         void (*tell)(void *argument, const char *sentence), void *argument);

#endif
