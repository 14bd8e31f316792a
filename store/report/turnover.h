/** What changes from one selection to another, and what teacher and selection see differently: arithmetic alone. */
#ifndef WEBSTILL_STORE_REPORT_TURNOVER_H
#define WEBSTILL_STORE_REPORT_TURNOVER_H

#include "webstill/tensors/scores.h"
#include "webstill/tensors/selection.h"

/** A row of a selection, with what it is ranked by. */
struct ws_turnover_row {
    size_t row;
    double rank;
};

/** True when both selections judge the same images in the same order: others cannot be compared. */
bool ws_turnover_is_comparable(const struct ws_selection_file *before, const struct ws_selection_file *after);

/** Images kept now and not before, or (`is_kept` false) before and not now. Both are comparable. */
int64_t ws_turnover_count(const struct ws_selection_file *before, const struct ws_selection_file *after, bool is_kept);

/**
 * The same images, ranked by how far their margin (confidence over the threshold of their class) moved; `out` has room
 * for after->n. Returns how many.
 */
size_t ws_turnover_list(const struct ws_selection_file *before, const struct ws_selection_file *after, bool is_kept,
                        struct ws_turnover_row *out);

/** What a teacher says of an image: class and probability, softmax over its logits. */
struct ws_verdict {
    int predicted;
    double confidence;
};
struct ws_verdict ws_verdict_of(const float *logits, int n_classes);

/**
 * The images of a selection that the teacher takes for another class, ranked by the less sure of the two confidences:
 * first those where both are sure, of different classes. `out` has room for selection->n, and `verdicts` (by row of the
 * selection) too; images without a score are left out. Both files have their ids ascending, the same number of classes.
 */
size_t ws_dispute_list(const struct ws_selection_file *selection, const struct ws_scores_file *teacher,
                       struct ws_verdict *verdicts, struct ws_turnover_row *out);

#endif
