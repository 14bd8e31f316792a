/** The stage `curate`, split over command.c (the run), stage_print.c (tables, manifest) and stage_explain.c. */
#ifndef WEBSTILL_CURATE_CURATING_H
#define WEBSTILL_CURATE_CURATING_H

#include "webstill/curate/curation.h"
#include "webstill/curate/drift.h"
#include "webstill/curate/keys.h"
#include "webstill/stage/manifest.h"
#include "webstill/tensors/selection.h"

/** What one run found. All-zero is valid. */
struct ws_curating {
    const struct ws_config *config;     /**< borrowed */
    struct ws_arena arena;              /**< owned: selections, tables */
    struct ws_images *store;            /**< owned; NULL where there is none and no rule needs it */
    struct ws_curation curation;        /**< owned */
    struct ws_selection found, choices; /**< the selection; and what the teacher alone says */
    struct ws_selection_file previous;  /**< owned: of the last run, when there is one of these classes */
    struct ws_drift drift;
    struct ws_drift_class *drift_classes; /**< [n_classes], or NULL: nothing to compare with */
};

/** The tables: classes, sources, drift. */
void ws_curate_print(const struct ws_curating *curating);

/** Put what was found into the manifest's facts; false when out of memory. */
WS_MUST_USE bool ws_curate_note(const struct ws_curating *curating, struct ws_manifest *manifest);

/** Warn of a pool that promises little, and of drift. */
void ws_curate_warn(const struct ws_curating *curating, const struct ws_image_id *ids);

/**
 * Print, for an image (an id or the beginning of one), a class (by name) or "all", a line per image from the selection
 * file at `path`: tab-separated, with a head line; images of a class by rank. WS_E_CONFIG when nothing fits `what`.
 */
WS_MUST_USE enum ws_status ws_curate_explain(const struct ws_config *config, const char *path, const char *what,
                                             struct ws_err *err);

#endif
