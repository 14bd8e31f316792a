/** The report's results over seeds: what its table and its charts share. */
#ifndef WEBSTILL_STORE_REPORT_SEEDS_H
#define WEBSTILL_STORE_REPORT_SEEDS_H

#include "html.h"
#include "results.h"

enum { WS_SEED_ROWS_MAX = 64 };

/** A row of an experiment, with its colour: those that lead have the same one in each chart. */
struct ws_seed_row {
    const struct ws_result_group *group; /**< borrowed; at any one x */
    double accuracy;                     /**< mean over its seeds; NaN: none */
    int slot;
};

/**
 * The rows of an experiment, the most accurate first; returns how many. With `is_each_x` a row stands once for each of
 * its x, in order of row and x; without, once.
 */
size_t ws_seed_rows(const struct ws_results *results, const struct ws_experiment *experiment, bool is_each_x,
                    struct ws_seed_row rows[WS_SEED_ROWS_MAX]);

/** The ablation's table; nothing where no row is called METHOD-no-PART. */
void ws_seeds_add_parts(struct ws_html *html, const struct ws_results *results, const struct ws_experiment *experiment);

/** The experiment's charts; nothing where it has no such values. False when out of memory. */
WS_MUST_USE bool ws_seeds_draw_spreads(struct ws_html *html, const struct ws_results *results,
                                       const struct ws_experiment *experiment, const char *title);
WS_MUST_USE bool ws_seeds_draw_curves(struct ws_html *html, const struct ws_results *results,
                                      const struct ws_experiment *experiment);
/** What the rows are judged by, and the selection's precision and recall, against x. */
WS_MUST_USE bool ws_seeds_draw_against(struct ws_html *html, const struct ws_results *results,
                                       const struct ws_experiment *experiment);

#endif
