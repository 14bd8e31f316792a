/** What every stage of webstill-distill needs besides its job: threads, library versions, data that is there. */
#ifndef WEBSTILL_DISTILL_STAGE_MACHINE_H
#define WEBSTILL_DISTILL_STAGE_MACHINE_H

#include "webstill/base/workers.h"
#include "webstill/stage/job.h"

/** Threads as the configuration asks, with a warning where they, or the matrix library's choice, make the work slow. */
WS_MUST_USE enum ws_status ws_machine_workers_open(struct ws_workers **workers, const struct ws_config *config,
                                                   struct ws_err *err);

/** Library versions for manifests and --version. */
const char *ws_machine_libraries(char text[256]);

/** ws_job_open(), and ws_job_run(), with what this program's stages have in common filled in. */
WS_MUST_USE enum ws_status ws_machine_open(struct ws_job *job, const struct ws_run *run, struct ws_job_setup setup,
                                           struct ws_err *err);
WS_MUST_USE enum ws_status ws_machine_run(const struct ws_run *run, struct ws_job_setup setup,
                                          const struct ws_job_steps *steps, void *self, struct ws_err *err);

/**
 * WS_E_CONFIG unless `path` names something that exists; `key` is the configuration's. The hint says where data comes
 * from.
 */
WS_MUST_USE enum ws_status ws_data_require(const char *path, const char *key, struct ws_err *err);

/** WS_E_CONFIG for a --limit that the command cannot serve. */
WS_MUST_USE enum ws_status ws_run_refuse_limit(const struct ws_run *run, const char *command, struct ws_err *err);

#endif
