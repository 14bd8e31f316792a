/** What the report tells of changes between epochs: read from a run's selections. */
#ifndef WEBSTILL_STORE_REPORT_CHANGES_H
#define WEBSTILL_STORE_REPORT_CHANGES_H

#include "webstill/tensors/scores.h"
#include "webstill/tensors/selection.h"

#include <stddef.h>

enum { WS_CHANGE_PAIRS = 3 };

/** From one epoch's selection to the next one's. */
struct ws_report_step {
    int epoch; /**< the later one */
    int64_t n_kept, n_new, n_dropped;
};

/** Two epochs that are shown side by side. */
struct ws_report_pair {
    struct ws_selection_file before, after; /**< owned */
};

/** All-zero: nothing to compare. */
struct ws_report_changes {
    struct ws_report_step *steps;                 /**< owned: [n_steps] */
    size_t n_steps;                               /**< of consecutive files that judge the same images */
    struct ws_report_pair pairs[WS_CHANGE_PAIRS]; /**< first to last, the largest step, the last step; no pair twice */
    size_t n_pairs;
    struct ws_scores_file teacher; /**< owned; n == 0: not scored */
};

/**
 * Read what `folder` (runs/METHOD/selection) has, and the teacher's scores at `scores` when that file exists. A folder
 * with fewer than two selections is no error. WS_E_IO, WS_E_DAMAGED, WS_E_MEMORY.
 */
WS_MUST_USE enum ws_status ws_report_changes_load(struct ws_report_changes *changes, const char *folder,
                                                  const char *scores, struct ws_err *err);
void ws_report_changes_fini(struct ws_report_changes *changes);

#endif
