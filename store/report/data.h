/** What the report is made of, read from disk. The same files give the same page. */
#ifndef WEBSTILL_STORE_REPORT_DATA_H
#define WEBSTILL_STORE_REPORT_DATA_H

#include "changes.h"
#include "results.h"
#include "stage/stages.h"

#include "keys.h"
#include "webstill/images/read.h"
#include "webstill/stage/config.h"
#include "webstill/tensors/selection.h"

#include <jansson.h>

enum { WS_RUNS_MAX = 24, WS_SLOTS = 6, WS_REPORT_CLASSES_MAX = 40 };

/** A run of `distill`, as its folder tells. */
struct ws_report_run {
    const char *name;           /**< borrowed from the configuration */
    int slot;                   /**< colour on every chart */
    json_t *manifest;           /**< owned, or NULL */
    json_t *eval, *best_eval;   /**< owned, or NULL */
    json_t *epochs;             /**< owned: the metrics' lines of kind "epoch", in order */
    double *step_x, *step_loss; /**< owned: [n_steps] */
    size_t n_steps;
};

/** All that the page is made of. All-zero is valid and says that nothing has been run. */
struct ws_report {
    const struct ws_config *config;    /**< borrowed */
    const char *work;                  /**< borrowed */
    char config_sha256[WS_DIGEST_HEX]; /**< of the whole resolved configuration */
    json_t *manifests[WS_STAGES_MAX];  /**< owned, or NULL: by row of the table */
    json_t *teacher_eval;              /**< owned, or NULL */
    json_t *card;                      /**< owned: the teacher's card, or NULL */
    struct ws_report_run teacher_run;  /**< the teacher's metrics alone; `epochs` may be NULL */
    struct ws_report_run runs[WS_RUNS_MAX];
    size_t n_runs;
    struct ws_images *images;             /**< owned, or NULL */
    struct ws_selection_file first, last; /**< owned; n == 0: none */
    struct ws_tensors *prepared;          /**< owned: the first part of the pictures made for a run, or NULL */
    const char *prepared_for;             /**< borrowed: that run; NULL: its folder does not tell */
    json_t *prepared_manifest;            /**< owned: of that folder, or NULL */
    struct ws_results results;            /**< owned: over seeds; n == 0: none */
    struct ws_report_changes changes;     /**< owned: of `selection_run`'s epochs */
    const char *selection_run;            /**< borrowed: whose selection; NULL: of `webstill curate` */
    char problems[2048];                  /**< files that could not be read, a line each */
};

/** Read everything that is there. What cannot be read is told in `problems`. WS_E_MEMORY, WS_E_CONFIG. */
WS_MUST_USE enum ws_status ws_report_load(struct ws_report *report, const struct ws_config *config, const char *work,
                                          struct ws_err *err);
void ws_report_fini(struct ws_report *report);

/** The run shown first: the first that has an evaluation, else the first; NULL when there is none. */
const struct ws_report_run *ws_report_lead(const struct ws_report *report);

/** The manifest of a stage of the table, or NULL: it has not been run. */
const json_t *ws_report_manifest(const struct ws_report *report, const char *stage);

/** counts.KEY of a manifest for the first of `keys` (ends with NULL) that it has; -1 when none. */
int64_t ws_report_count(const json_t *manifest, const char *const *keys);

/** The name of a class, or "?". */
const char *ws_report_class_name(const struct ws_report *report, int c);

#endif
