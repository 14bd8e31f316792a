#include "webstill/curate/source.h"

#include <math.h>

/* The links of image i that name one source: from `at` to the returned index. */
static uint32_t same_source(const struct ws_sources *sources, size_t i, uint32_t at)
{
    uint32_t end = at + 1;
    while (end < sources->first[i + 1] && sources->source[end] == sources->source[at])
        end++;
    return end;
}

/* Whether links `at` … `end`-1 of one image can be judged, and whether the teacher believes it. */
static bool judge(const struct ws_sources *sources, uint32_t at, uint32_t end, int32_t predicted, float confidence,
                  const struct ws_source_rule *rule, bool *is_believed)
{
    if (rule->belief == WS_BELIEF_CONFIDENCE) {
        *is_believed = (double)confidence >= rule->confidence;
        return true;
    }
    bool is_judged = false;
    *is_believed = false;
    for (uint32_t k = at; k < end; k++) {
        is_judged = is_judged || sources->query_class[k] >= 0;
        *is_believed = *is_believed || (sources->query_class[k] >= 0 && sources->query_class[k] == predicted);
    }
    return is_judged;
}

double ws_source_judge(const struct ws_sources *sources, const int32_t *predicted, const float *confidence,
                       const struct ws_source_rule *rule, struct ws_source_row *rows)
{
    int64_t n_judged = 0, n_believed = 0;
    for (int s = 0; s < sources->n_sources; s++)
        rows[s] = (struct ws_source_row){.weight = 1.0, .precision = (double)NAN};
    for (size_t i = 0; i < sources->n; i++) {
        const uint32_t first = sources->first[i], last = sources->first[i + 1];
        bool is_believed;
        if (first < last && judge(sources, first, last, predicted[i], confidence[i], rule, &is_believed)) {
            n_judged++;
            n_believed += is_believed;
        }
        for (uint32_t at = first, end; at < last; at = end) {
            end = same_source(sources, i, at);
            struct ws_source_row *row = &rows[sources->source[at]];
            row->n_images++;
            if (!judge(sources, at, end, predicted[i], confidence[i], rule, &is_believed))
                continue;
            row->n_judged++;
            row->n_believed += is_believed;
        }
    }
    if (n_judged == 0)
        return (double)NAN;
    const double mean = (double)n_believed / (double)n_judged;
    for (int s = 0; s < sources->n_sources; s++) {
        struct ws_source_row *row = &rows[s];
        const double size = (double)row->n_judged + rule->prior;
        row->precision = size > 0.0 ? ((double)row->n_believed + rule->prior * mean) / size : mean;
        row->weight = mean > 0.0 && row->precision < mean ? row->precision / mean : 1.0;
        if (row->precision < rule->drop_below)
            row->weight = 0.0;
    }
    return mean;
}

void ws_source_weigh(const struct ws_sources *sources, const struct ws_source_row *rows, float *weights)
{
    for (size_t i = 0; i < sources->n; i++) {
        double best = sources->first[i] < sources->first[i + 1] ? 0.0 : 1.0;
        for (uint32_t k = sources->first[i]; k < sources->first[i + 1]; k++)
            best = rows[sources->source[k]].weight > best ? rows[sources->source[k]].weight : best;
        weights[i] = (float)best;
    }
}

void ws_source_own(const struct ws_sources *sources, int64_t *n_images, int32_t *owner)
{
    for (int s = 0; s < sources->n_sources; s++)
        n_images[s] = 0;
    for (size_t i = 0; i < sources->n; i++)
        for (uint32_t at = sources->first[i]; at < sources->first[i + 1]; at = same_source(sources, i, at))
            n_images[sources->source[at]]++;
    for (size_t i = 0; i < sources->n; i++) {
        owner[i] = -1;
        for (uint32_t k = sources->first[i]; k < sources->first[i + 1]; k++)
            if (owner[i] < 0 || n_images[sources->source[k]] < n_images[owner[i]])
                owner[i] = sources->source[k];
    }
}
