/** What every stage of this program does around its work: lock, manifest, inputs, "up to date", key. */
#ifndef WEBSTILL_DISTILL_STAGE_JOB_H
#define WEBSTILL_DISTILL_STAGE_JOB_H

#include "webstill/base/file.h"
#include "webstill/base/hash.h"
#include "webstill/base/pool.h"
#include "webstill/stage/cli.h"
#include "webstill/stage/manifest.h"
#include "webstill/stage/table.h"

#include <stdbool.h>

enum { WS_PATH_BYTES = 4096 };

/** All-zero is a valid closed one. */
struct ws_job {
    const char *work;        /**< borrowed */
    const char *title;       /**< borrowed: "teacher", "kd3": in messages */
    char dir[WS_PATH_BYTES]; /**< WORK/FOLDER */
    char manifest_path[WS_PATH_BYTES];
    struct ws_manifest manifest; /**< owned */
    struct ws_lock lock;         /**< owned */
};

/** Threads as the configuration asks, with a warning where they, or the matrix library's choice, make the work slow. */
WS_MUST_USE enum ws_status ws_job_pool_open(struct ws_pool **pool, const struct ws_config *config, struct ws_err *err);

/** Library versions for manifests and --version. */
const char *ws_job_libraries(char text[256]);

/** "WORK/" and the formatted rest; WS_E_CONFIG when too long. */
WS_MUST_USE enum ws_status ws_work_path(char path[WS_PATH_BYTES], const char *work, struct ws_err *err,
                                        const char *format, ...) WS_PRINTF(4, 5);

/**
 * Begin: takes WORK/FOLDER/lock (not in a dry run) and begins the manifest of stage `stage` under `config`. WS_E_LOCKED
 * names the holder.
 */
WS_MUST_USE enum ws_status ws_job_open(struct ws_job *job, const struct ws_run *run, const char *title,
                                       const char *stage, const char *folder, const struct ws_config *config,
                                       struct ws_err *err);

/** Note an input and its content digest. */
WS_MUST_USE enum ws_status ws_job_input(struct ws_job *job, const char *path, const struct ws_digest *digest,
                                        struct ws_err *err);
/** Note a file outside of the working directory, by the SHA-256 of its bytes. */
WS_MUST_USE enum ws_status ws_job_input_file(struct ws_job *job, const char *path, struct ws_err *err);
/**
 * Note what an earlier stage made: its manifest is WORK/MANIFEST and names `output` (NULL: its first output). WS_E_IO
 * with a hint when that stage has not been run. `digest` may be NULL.
 */
WS_MUST_USE enum ws_status ws_job_input_stage(struct ws_job *job, const char *manifest, const char *output,
                                              struct ws_digest *digest, struct ws_err *err);
/** Note the class names, in order: a renamed class is another task, further queries are not. */
WS_MUST_USE enum ws_status ws_job_input_classes(struct ws_job *job, const struct ws_config *config, struct ws_err *err);

/** True when the manifest on disk was made from the same configuration and inputs, and its outputs exist. */
bool ws_job_is_current(const struct ws_job *job);

/** Say "TITLE: up to date" and, with `touch`, give the manifest today's time, for make. */
void ws_job_tell_current(const struct ws_job *job, bool touch);

/** Take the old manifest away before anything it vouches for is overwritten. */
WS_MUST_USE enum ws_status ws_job_start(struct ws_job *job, struct ws_err *err);

/** Hex digest of configuration and inputs: what the stage's result depends on. */
void ws_job_key(const struct ws_job *job, char hex[WS_DIGEST_HEX]);

WS_MUST_USE enum ws_status ws_job_output(struct ws_job *job, const char *path, const struct ws_digest *digest,
                                         int64_t count, struct ws_err *err);
/** Note a file of the working directory by the SHA-256 of its bytes. */
WS_MUST_USE enum ws_status ws_job_output_file(struct ws_job *job, const char *path, int64_t count, struct ws_err *err);
/** facts.KEY = value, steals it; a failure (no memory) is logged. */
void ws_job_fact(struct ws_job *job, const char *key, json_t *value);

/**
 * WS_E_CONFIG unless `path` names something that exists; `key` is the configuration's. The hint says where data comes
 * from.
 */
WS_MUST_USE enum ws_status ws_job_require(const char *path, const char *key, struct ws_err *err);

/** Write the manifest. */
WS_MUST_USE enum ws_status ws_job_finish(struct ws_job *job, struct ws_err *err);
void ws_job_close(struct ws_job *job);

/** WS_E_CONFIG for a --limit that the command cannot serve. */
WS_MUST_USE enum ws_status ws_job_refuse_limit(const struct ws_run *run, const char *command, struct ws_err *err);

#endif
