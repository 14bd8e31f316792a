/** The list of measures, in the order of eval.json: a measure is its row, ws_measure_NAME, and its line here. */
#ifndef WEBSTILL_DISTILL_MEASURE_LIST_H
#define WEBSTILL_DISTILL_MEASURE_LIST_H

/* clang-format off */
#define WS_MEASURES(MEASURE) \
    MEASURE(accuracy)        \
    MEASURE(top5)            \
    MEASURE(nll)             \
    MEASURE(brier)           \
    MEASURE(ece)             \
    MEASURE(agreement)       \
    MEASURE(kl)              \
    MEASURE(per_class)       \
    MEASURE(confusion)
/* clang-format on */

#endif
