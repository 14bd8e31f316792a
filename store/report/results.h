/**
 * Results of experiments that were repeated with several seeds: reading them, and mean and deviation over the seeds.
 *
 * The file has one JSON object a line, one line a run:
 *
 *   experiment         "main"
 *   row                what was compared: "kd", "kd without this", …
 *   seed               whole number
 *   x                  what the experiment varies (junk: share; pool: images), or null
 *   accuracy           on the clean test set, last epoch; accuracy_best: at the best held-out agreement
 *   agreement          with the teacher, on the clean test set
 *   seconds, steps     of training
 *   selected_precision, selected_recall   of the selection against the known origin, or null
 *   shifted_accuracy   on the test set under a shift, or null
 *   commit, config_sha256, machine        text
 *   curve              [[step, held-out agreement], …]
 *
 * Any of the numbers may be absent or null: it is NaN then. A later line of the same experiment, row, x and seed
 * replaces an earlier one, so a run that was made again is simply appended.
 *
 * A line may say what an experiment is and how it is shown; the page has them in the order of these lines, any others
 * behind them:
 *
 *   about              the experiment's name; all that follows may be absent
 *   title, text        text
 *   judged             the name of the measure above that its rows are compared by; "accuracy" when absent
 *   x                  what its x is; absent: "x" where its runs have one
 *   x_is               "share" (shown in %) or "log" (on a logarithmic axis)
 *   leads              rows with a colour of their own in each chart, three at most; the first stands behind the
 *                      others' curves
 *   against            rows that the others are compared with, seed by seed, a column each
 *   reported           {title, text, gains: {ROW: {PART: points}}}: what others report of a row's parts
 */
#ifndef WEBSTILL_STORE_REPORT_RESULTS_H
#define WEBSTILL_STORE_REPORT_RESULTS_H

#include "webstill/base/err.h"
#include "webstill/base/mem.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ws_result_measure {
    WS_MEASURE_ACCURACY,
    WS_MEASURE_BEST,
    WS_MEASURE_AGREEMENT,
    WS_MEASURE_PRECISION,
    WS_MEASURE_RECALL,
    WS_MEASURE_SHIFTED,
    WS_MEASURE_SECONDS,
    WS_MEASURE_STEPS,
    WS_N_MEASURES
};

/** One run. Texts and `curve` are borrowed from the results' lines. */
struct ws_result {
    const char *experiment, *row;
    int64_t seed;
    double x; /**< NaN: none */
    double values[WS_N_MEASURES];
    const char *commit, *config_sha256, *machine; /**< "" when not told */
    const json_t *curve;                          /**< array, or NULL */
};

/** An experiment, and what the file says about it. Texts and values are borrowed from the results' lines. */
struct ws_experiment {
    const char *name, *title, *text;
    enum ws_result_measure judged;
    const char *x_title;    /**< NULL: it has no x */
    bool is_share, is_log;  /**< of x */
    const json_t *leads;    /**< array, or NULL */
    const json_t *against;  /**< likewise */
    const json_t *reported; /**< object, or NULL */
};

/** Runs that differ in their seed alone: items[first] … items[first + n - 1], seeds ascending. */
struct ws_result_group {
    const char *experiment, *row;
    double x; /**< NaN: none */
    size_t first, n;
    size_t order; /**< place of its first line in the file, among all lines */
};

struct ws_results {
    json_t *lines;                     /**< owned */
    struct ws_result *items;           /**< owned: [n] */
    struct ws_result_group *groups;    /**< owned: [n_groups] by experiment, row and x */
    struct ws_experiment *experiments; /**< owned: [n_experiments] in the order of the page, each with runs or not */
    size_t n, n_groups, n_experiments;
    char problem[480]; /**< which lines were left out, and why; "" when all were understood */
};

/** Mean and sample standard deviation (n - 1) of the finite values; sd is NaN for n < 2, mean for n = 0. */
struct ws_spread {
    size_t n;
    double mean, sd;
};

/** A curve over seeds, by step: arrays of `n` in the caller's arena. sd is NaN where one seed alone has the step. */
struct ws_spread_curve {
    size_t n;
    double *step, *mean, *sd;
};

/** Read a file. Lines that are no run are left out and told in `problem`. WS_E_IO, WS_E_MEMORY. */
WS_MUST_USE enum ws_status ws_results_read(struct ws_results *out, const char *path, struct ws_err *err);
void ws_results_fini(struct ws_results *results);

/** The first group of an experiment by row (NULL: any) and by x (NaN: any); NULL when there is none. */
const struct ws_result_group *ws_results_find(const struct ws_results *results, const char *experiment, const char *row,
                                              double x);

struct ws_spread ws_spread_of(const double *values, size_t n);
/** Over the seeds of a group. */
struct ws_spread ws_results_spread(const struct ws_results *results, const struct ws_result_group *group,
                                   enum ws_result_measure measure);
/** Of a - b, seed by seed, over the seeds that both have. */
struct ws_spread ws_results_difference(const struct ws_results *results, const struct ws_result_group *a,
                                       const struct ws_result_group *b, enum ws_result_measure measure);
/** The curves of a group as one. False when out of memory; n = 0 when no run has a curve. */
WS_MUST_USE bool ws_results_curve(const struct ws_results *results, const struct ws_result_group *group,
                                  struct ws_arena *arena, struct ws_spread_curve *out);

#endif
