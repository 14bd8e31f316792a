/**
 * What every stage does around its work: the lock, the inputs and their digests, "up to date", the dry run, the old
 * manifest out of the way before anything it vouches for is overwritten, the new one last. Work before or inside a
 * stage that has a folder, a lock and a manifest of its own does the same, with a row of its own.
 */
#ifndef WEBSTILL_STAGE_JOB_H
#define WEBSTILL_STAGE_JOB_H

#include "webstill/base/file.h"
#include "webstill/base/hash.h"
#include "webstill/base/path.h"
#include "webstill/stage/cli.h"
#include "webstill/stage/manifest.h"
#include "webstill/stage/table.h"

#include <stdbool.h>

/** Which work it is. Borrowed until ws_job_close(). */
struct ws_job_setup {
    const struct ws_stage *stage; /**< the row: name, folder, sections, inputs */
    const char *folder;           /**< another one below the working directory ("runs/kd3"); NULL: the row's */
    const char *file;             /**< the manifest's name; NULL: "manifest.json" */
    const char *title;            /**< in messages; NULL: the row's name */
    const char *method;           /**< whose keys count beside the stage's; NULL: those of all of its runs */
    const char *program;          /**< who holds the lock: "webstill-distill" */
    const char *libraries;        /**< for the manifest */
};

/** All-zero is a valid closed one. */
struct ws_job {
    const struct ws_run *run;     /**< borrowed */
    const struct ws_stage *stage; /**< borrowed */
    const char *title;            /**< borrowed */
    bool is_target;               /**< its manifest is make's target: the stage as a whole */
    char dir[WS_PATH_BYTES];      /**< WORK/FOLDER */
    char manifest_path[WS_PATH_BYTES];
    struct ws_manifest manifest; /**< owned */
    struct ws_lock lock;         /**< owned */
};

/** What makes one kind of work another than the next. */
struct ws_job_steps {
    /** Note what it is made from. */
    enum ws_status (*inputs)(struct ws_job *job, void *self, struct ws_err *err);
    /** Is the manifest of the same configuration and inputs, which is there, all that can be had? NULL: it is. */
    bool (*is_whole)(const struct ws_job *job, void *self);
    /** In a dry run: say what would be done. */
    enum ws_status (*plan)(struct ws_job *job, void *self, struct ws_err *err);
    /** Do it: ws_job_start() before the first overwriting, then the outputs, ws_job_finish() last. */
    enum ws_status (*make)(struct ws_job *job, void *self, struct ws_err *err);
    /** Once it is made or was up to date: print what is wanted of it. NULL: nothing. */
    enum ws_status (*tell)(struct ws_job *job, void *self, struct ws_err *err);
};

/** The whole protocol, under the lock: inputs, then "up to date", plan or make, then tell. As ws_job_open(). */
WS_MUST_USE enum ws_status ws_job_run(const struct ws_run *run, const struct ws_job_setup *setup,
                                      const struct ws_job_steps *steps, void *self, struct ws_err *err);

/**
 * Begin: take FOLDER/lock (not in a dry run) and begin the manifest. WS_E_LOCKED names the holder, WS_E_CONFIG a
 * working directory whose path is too long.
 */
WS_MUST_USE enum ws_status ws_job_open(struct ws_job *job, const struct ws_run *run, const struct ws_job_setup *setup,
                                       struct ws_err *err);
void ws_job_close(struct ws_job *job);

/** Note an input and its content digest. */
WS_MUST_USE enum ws_status ws_job_input(struct ws_job *job, const char *path, const struct ws_digest *digest,
                                        struct ws_err *err);
/** Note a file outside of the working directory, by the SHA-256 of its bytes. */
WS_MUST_USE enum ws_status ws_job_input_file(struct ws_job *job, const char *path, struct ws_err *err);
/**
 * Note what an earlier stage of the row's inputs (or one run of it; NULL: the whole) made: `output`, or NULL for the
 * first one that its manifest names. WS_E_IO with a hint when that stage has not been run. `digest` may be NULL.
 */
WS_MUST_USE enum ws_status ws_job_input_stage(struct ws_job *job, const char *stage, const char *run,
                                              const char *output, struct ws_digest *digest, struct ws_err *err);
/** Note none after all: what is noted next is what was really read. WS_E_MEMORY. */
WS_MUST_USE enum ws_status ws_job_forget_inputs(struct ws_job *job, struct ws_err *err);
/** Note the class names, in order: a renamed class is another task, further queries are not. */
WS_MUST_USE enum ws_status ws_job_input_classes(struct ws_job *job, const struct ws_config *config, struct ws_err *err);

/** True when the manifest on disk was made from the same configuration and inputs, and its outputs exist. */
bool ws_job_is_current(const struct ws_job *job);

/** Say "up to date" and, outside of a dry run, give make's target today's time. */
void ws_job_tell_current(const struct ws_job *job);

/** Take the old manifest away: from here on the folder is not whole. WS_E_IO. */
WS_MUST_USE enum ws_status ws_job_start(const struct ws_job *job, struct ws_err *err);

/** Hex digest of configuration and inputs: what the result depends on. */
void ws_job_key(const struct ws_job *job, char hex[WS_DIGEST_HEX]);

WS_MUST_USE enum ws_status ws_job_output(struct ws_job *job, const char *path, const struct ws_digest *digest,
                                         int64_t count, struct ws_err *err);
/** Note a file of the working directory by the SHA-256 of its bytes. */
WS_MUST_USE enum ws_status ws_job_output_file(struct ws_job *job, const char *path, int64_t count, struct ws_err *err);
/** facts.KEY = value, steals it; a failure (no memory) is logged. */
void ws_job_fact(struct ws_job *job, const char *key, json_t *value);

/** Write the manifest, by rename. */
WS_MUST_USE enum ws_status ws_job_finish(struct ws_job *job, struct ws_err *err);

#endif
