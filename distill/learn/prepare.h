/** Work before a training that others may want the result of: refining, inverting, identifying. */
#ifndef WEBSTILL_DISTILL_LEARN_PREPARE_H
#define WEBSTILL_DISTILL_LEARN_PREPARE_H

#include "session.h"

/** A step of it: its folder has a lock and a manifest of its own, and what lies there is not made twice. */
struct ws_prepare {
    const char *name;   /**< "refine" */
    const char *folder; /**< "refined": beside the runs */
    const char *what;   /**< what was done to what it made, for people: goes on behind "the same picture as kd3 shows
                             it: "; NULL: it makes no pictures */
    /** Whether the configuration asks for it. */
    bool (*is_asked)(const struct ws_config *config);
    /** Let `session` train on fewer images, where no more are made; *owned is freed with free(). May be NULL. */
    enum ws_status (*narrow)(struct ws_session *session, uint32_t **owned, struct ws_err *err);
    /** Make what is missing in the folder `dir` and read all of it into *made. WS_E_STOPPED keeps what is done. */
    enum ws_status (*make)(void **made, const struct ws_session *session, const char *dir, struct ws_err *err);
    /** Accepts NULL, sets NULL. */
    void (*close)(void **made);
};

/** What the steps before a training made. All-zero is a valid closed one. */
struct ws_prepared {
    const struct ws_prepare *const *steps; /**< borrowed; NULL: none */
    void **made;                           /**< owned: one a step; NULL where it was not asked for */
    uint32_t **lists;                      /**< owned: of narrow */
};

/** Runs a step's make(): a stage puts lock and manifest around it. */
typedef enum ws_status ws_prepare_fn(void *argument, const struct ws_prepare *step, void **made,
                                     const struct ws_session *session, struct ws_err *err);

/**
 * Run the steps (ends with NULL; NULL: none) that the session's configuration asks for, each by `run`, or (NULL) in
 * session->dir/../FOLDER; then session->made, ->train and ->n_train are what they left. Close it behind the training,
 * also after a failure.
 */
WS_MUST_USE enum ws_status ws_prepared_open(struct ws_prepared *prepared, const struct ws_prepare *const *steps,
                                            struct ws_session *session, ws_prepare_fn *run, void *argument,
                                            struct ws_err *err);
void ws_prepared_close(struct ws_prepared *prepared);

#endif
