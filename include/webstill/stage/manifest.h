/**
 * manifest.json: what a stage read, what it wrote, and under which configuration. Written last, by rename, so its
 * presence means that the folder is whole; it is the stage's make target.
 *
 * {"webstill":1,"stage":"store","version":"0.1.0","libraries":"…","machine":{"cpu":"…","cores":…,"system":"…"},
 *  "started":"…","finished":"…","seconds":…,"seed":…,"threads":…,"config_sha256":"…","config":"YAML text",
 *  "inputs":[{"path":"…","sha256":"…"},…],"outputs":[{"path":"…","sha256":"…","count":…},…],
 *  "counts":{…},"facts":{…}}
 *
 * Paths are relative to the working directory. `sha256` is a content digest: times and orders that mean nothing are not
 * in it.
 */
#ifndef WEBSTILL_STAGE_MANIFEST_H
#define WEBSTILL_STAGE_MANIFEST_H

#include "webstill/base/err.h"
#include "webstill/base/hash.h"
#include "webstill/stage/config.h"

#include <jansson.h>
#include <stdbool.h>

struct ws_stage;

/** A manifest under construction. All-zero is empty. */
struct ws_manifest {
    json_t *root;   /**< owned */
    double start_s; /**< plain: monotonic */
};

/**
 * Begin: the stage's name, and what of the configuration the output of the stage, or of one of its runs, depends on
 * (its text and SHA-256 go in); `run` NULL: the whole stage's.
 */
WS_MUST_USE enum ws_status ws_manifest_begin(struct ws_manifest *manifest, const struct ws_stage *stage,
                                             const char *libraries, const struct ws_config *config, const char *run,
                                             struct ws_err *err);
WS_MUST_USE bool ws_manifest_input(struct ws_manifest *manifest, const char *path, const struct ws_digest *digest);
WS_MUST_USE bool ws_manifest_output(struct ws_manifest *manifest, const char *path, const struct ws_digest *digest,
                                    int64_t count);
/** counts.KEY = value. */
WS_MUST_USE bool ws_manifest_count(struct ws_manifest *manifest, const char *key, int64_t value);
/** facts.KEY = value; steals the reference, also on failure. */
WS_MUST_USE bool ws_manifest_fact(struct ws_manifest *manifest, const char *key, json_t *value);

/**
 * True when a manifest was made under the configuration that `yaml` prints: the same text, or, where an older program
 * read more keys, one that says at least the same (ws_conf_covers()).
 */
bool ws_manifest_has_config(const json_t *manifest, const char *yaml);
/** True when `path` holds a manifest of the same stage, configuration and inputs (digests), and its outputs exist. */
bool ws_manifest_is_current(const struct ws_manifest *manifest, const char *path, const char *work);

/** Write by rename. */
WS_MUST_USE enum ws_status ws_manifest_finish(struct ws_manifest *manifest, const char *path, struct ws_err *err);
void ws_manifest_fini(struct ws_manifest *manifest);

/** Read another stage's manifest; WS_E_IO with a hint which stage to run when it is missing. json_decref() it. */
WS_MUST_USE enum ws_status ws_manifest_read(const char *path, json_t **out, struct ws_err *err);
/** The digest of output `output` in a manifest that was read. */
WS_MUST_USE enum ws_status ws_manifest_output_digest(const json_t *manifest, const char *output,
                                                     struct ws_digest *digest, struct ws_err *err);

#endif
