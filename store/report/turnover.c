/** Changes between selections, and disputes. */
#include "turnover.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool ws_turnover_is_comparable(const struct ws_selection_file *before, const struct ws_selection_file *after)
{
    return before->n > 0 && before->n == after->n && before->n_classes == after->n_classes &&
           memcmp(before->ids, after->ids, after->n * sizeof *after->ids) == 0;
}

static bool is_changed(const struct ws_selection_file *before, const struct ws_selection_file *after, bool is_kept,
                       size_t row)
{
    const bool was = before->keep[row] != 0, is = after->keep[row] != 0;
    return was != is && is == is_kept;
}

int64_t ws_turnover_count(const struct ws_selection_file *before, const struct ws_selection_file *after, bool is_kept)
{
    int64_t n = 0;
    for (size_t row = 0; row < after->n; row++)
        n += is_changed(before, after, is_kept, row) ? 1 : 0;
    return n;
}

/** Highest rank first; equal ones in the file's order, so that the same files give the same page. */
static int compare_rows(const void *a, const void *b)
{
    const struct ws_turnover_row *x = a, *y = b;
    if (x->rank > y->rank || x->rank < y->rank)
        return x->rank > y->rank ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

static double get_margin(const struct ws_selection_file *file, size_t row)
{
    return (double)file->confidence[row] - file->threshold[file->predicted[row]];
}

size_t ws_turnover_list(const struct ws_selection_file *before, const struct ws_selection_file *after, bool is_kept,
                        struct ws_turnover_row *out)
{
    size_t n = 0;
    for (size_t row = 0; row < after->n; row++) {
        if (is_changed(before, after, is_kept, row))
            out[n++] = (struct ws_turnover_row){row, fabs(get_margin(after, row) - get_margin(before, row))};
    }
    qsort(out, n, sizeof *out, compare_rows);
    return n;
}

struct ws_verdict ws_verdict_of(const float *logits, int n_classes)
{
    struct ws_verdict verdict = {0};
    double sum = 0;
    for (int c = 1; c < n_classes; c++)
        verdict.predicted = logits[c] > logits[verdict.predicted] ? c : verdict.predicted;
    for (int c = 0; c < n_classes; c++)
        sum += exp((double)logits[c] - (double)logits[verdict.predicted]);
    verdict.confidence = 1 / sum;
    return verdict;
}

size_t ws_dispute_list(const struct ws_selection_file *selection, const struct ws_scores_file *teacher,
                       struct ws_verdict *verdicts, struct ws_turnover_row *out)
{
    size_t n = 0, at = 0;
    for (size_t row = 0; row < selection->n; row++) {
        int order = -1;
        while (at < teacher->n && (order = memcmp(&teacher->ids[at], &selection->ids[row], sizeof *teacher->ids)) < 0)
            at++;
        if (at == teacher->n || order != 0)
            continue;
        verdicts[row] = ws_verdict_of(teacher->logits + at * (size_t)teacher->n_classes, teacher->n_classes);
        if (verdicts[row].predicted != selection->predicted[row])
            out[n++] =
                (struct ws_turnover_row){row, fmin(verdicts[row].confidence, (double)selection->confidence[row])};
    }
    qsort(out, n, sizeof *out, compare_rows);
    return n;
}
