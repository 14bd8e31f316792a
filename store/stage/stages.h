/** The stages as they lie in a working directory: where each one's manifest is, whether it is done, stale or running.
 */
#ifndef WEBSTILL_STORE_STAGE_STAGES_H
#define WEBSTILL_STORE_STAGE_STAGES_H

#include "webstill/stage/config.h"
#include "webstill/stage/table.h"

#include <jansson.h>
#include <stddef.h>

/** Where a stage, or one run of `distill`, keeps what it made. */
struct ws_stage_folder {
    const struct ws_stage *stage; /**< borrowed: its row */
    const char *run;              /**< borrowed from the configuration: "kd3"; NULL: the stage as a whole */
    bool is_prepared;             /**< not that run itself, but what was prepared for it: "runs/refined" */
    char title[80];               /**< "distill kd3" */
    char folder[256];             /**< relative to the working directory: "runs/kd3" */
    char manifest[300];           /**< relative: "runs/kd3/manifest.json" */
    char lock[300];               /**< relative: "runs/kd3/lock" */
};

/**
 * Fill in the stages of a configuration in the order in which they run; returns how many (at most `n_max`). With `work`
 * (may be NULL) also what lies there prepared for the configuration's runs: folders beside theirs whose manifest says
 * so (facts.prepares).
 */
size_t ws_stages_list(const struct ws_config *config, const char *work, struct ws_stage_folder *out, size_t n_max);

/** Like ws_manifest_read(), but a stage that has not been run is WS_OK with NULL. */
WS_MUST_USE enum ws_status ws_stage_read(const struct ws_stage_folder *place, const char *work, json_t **out,
                                         struct ws_err *err);

enum ws_stage_state { WS_STAGE_DONE, WS_STAGE_MISSING, WS_STAGE_STALE, WS_STAGE_RUNNING, WS_STAGE_DAMAGED };

const char *ws_stage_state_name(enum ws_stage_state state);

/** What a look at a stage found. */
struct ws_stage_view {
    enum ws_stage_state state;
    char reason[512]; /**< why it is stale or damaged; who runs it; else empty */
    json_t *manifest; /**< owned: what was read; NULL when there is none */
};

/**
 * Look at all stages: compares each manifest with the configuration, with the outputs that the stages before it name
 * today, and with what is on disk. Reads no data. Free each view with ws_stage_view_fini().
 */
WS_MUST_USE enum ws_status ws_stages_look(const struct ws_stage_folder *places, size_t n_places, const char *work,
                                          const struct ws_config *config, struct ws_stage_view *views,
                                          struct ws_err *err);
void ws_stage_view_fini(struct ws_stage_view *view);

#endif
