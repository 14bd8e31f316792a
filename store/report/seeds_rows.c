/** The rows of an experiment over seeds, in the order of its table and charts. */
#include "seeds.h"

#include "chart.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int compare_accuracies(const void *a, const void *b)
{
    const struct ws_seed_row *x = a, *y = b;
    if (x->accuracy > y->accuracy || (isfinite(x->accuracy) && !isfinite(y->accuracy)))
        return -1;
    if (x->accuracy < y->accuracy || (isfinite(y->accuracy) && !isfinite(x->accuracy)))
        return 1;
    return x->group->order < y->group->order ? -1 : x->group->order > y->group->order;
}

/** Where each row has a line of its own the others stay grey, so that the eye finds those that lead. */
static int choose_slot(const struct ws_experiment *experiment, const char *row, bool is_each_x, size_t *n_others)
{
    enum { LEADS = 3 };
    for (size_t i = 0; i < LEADS && i < json_array_size(experiment->leads); i++) {
        const char *lead = json_string_value(json_array_get(experiment->leads, i));
        if (lead && strcmp(row, lead) == 0)
            return (int)i;
    }
    return is_each_x ? LEADS + (int)((*n_others)++ % 3) : WS_CHART_NEUTRAL;
}

size_t ws_seed_rows(const struct ws_results *results, const struct ws_experiment *experiment, bool is_each_x,
                    struct ws_seed_row rows[WS_SEED_ROWS_MAX])
{
    size_t n = 0, n_others = 0;
    for (size_t g = 0; g < results->n_groups && n < WS_SEED_ROWS_MAX; g++) {
        const struct ws_result_group *group = &results->groups[g];
        const bool is_known = n > 0 && strcmp(rows[n - 1].group->row, group->row) == 0;
        if (strcmp(group->experiment, experiment->name) != 0 || (is_known && !is_each_x))
            continue;
        rows[n] = (struct ws_seed_row){
            .group = group,
            .accuracy = ws_results_spread(results, group, WS_MEASURE_ACCURACY).mean,
            .slot = is_known ? rows[n - 1].slot : choose_slot(experiment, group->row, is_each_x, &n_others),
        };
        n++;
    }
    if (!is_each_x)
        qsort(rows, n, sizeof *rows, compare_accuracies);
    return n;
}
