/**
 * Training methods: what the loop knows of them. A method is one file and its line in method/list.h; its
 * file is its paper's head comment and its losses.
 */
#ifndef WEBSTILL_DISTILL_LEARN_METHOD_H
#define WEBSTILL_DISTILL_LEARN_METHOD_H

#include "needs.h"
#include "prepare.h"
#include "step.h"

#include <jansson.h>

/** A part of every step, with its own learners: "invert", "distil". */
struct ws_phase {
    const char *name;
    int steps;          /**< how often it runs in a step; 0: once */
    uint64_t learners;  /**< bit i: the learner that was added as number i is trained; 0: all are */
    bool draws_nothing; /**< what it runs on it makes itself: step->n is the session's batch */
    /** How often it runs in the step at `place` (0: not in this one), where that is not always `steps`; may be NULL. */
    int (*count)(void *state, const struct ws_place *place);
    /** Run networks and add losses: gradients are zero, what is on the tape is propagated behind it. */
    void (*losses)(void *state, struct ws_step *step);
    /** Behind the update of the phase, for what it leaves to others (images into a ring); may be NULL. */
    void (*done)(void *state, struct ws_step *step);
};

struct ws_method {
    const char *name;    /**< "kd3" */
    const char *summary; /**< one line */
    /** What of the configuration its runs depend on, beside section `distill` itself; ends with NULL. NULL: nothing. */
    const struct ws_conf_section *const *sections;
    const struct ws_need *needs;             /**< ends with an empty one; NULL: none */
    const struct ws_prepare *const *prepare; /**< ends with NULL; NULL: nothing */
    ws_supply_fn *supply;                    /**< what its steps train on; NULL: every image of the pool */
    const struct ws_phase *phases;           /**< ends with one without losses */
    /** Refuse a session that no need speaks of, before any work. May be NULL. */
    enum ws_status (*check)(const struct ws_method *method, const struct ws_session *session, struct ws_err *err);
    /** Add learners and networks to the training, and set its state and (if the row names none) its supply. NULL: a
     * student and, if there is one, the teacher. All memory is taken here. */
    enum ws_status (*open)(struct ws_training *training, struct ws_err *err);
    /** Put more into the checkpoint than learners and supply, and take it back; both or neither. */
    void (*save)(void *state, struct ws_checkpoint *checkpoint);
    enum ws_status (*load)(void *state, const struct ws_tensors *checkpoint, struct ws_err *err);
    /** Add keys of its own to an epoch's line of metrics. May be NULL. */
    void (*metrics)(void *state, json_t *line);
    /** Free what the training does not own; the state is NULL where open() did not come to it. May be NULL. */
    void (*close)(void *state);
};

/** Refuse what the method cannot serve: its needs, then its own check. The one place, before any work. */
WS_MUST_USE enum ws_status ws_method_check(const struct ws_method *method, const struct ws_session *session,
                                           struct ws_err *err);
/** Check, and open everything; behind a failure the training is closed. */
WS_MUST_USE enum ws_status ws_method_open(const struct ws_method *method, struct ws_training *training,
                                          const struct ws_session *session, struct ws_err *err);
void ws_method_close(const struct ws_method *method, struct ws_training *training);
/** Everything that changes into a checkpoint, and back; `is_begun`: an epoch is under way. */
void ws_method_save(const struct ws_method *method, struct ws_training *training, struct ws_checkpoint *checkpoint,
                    bool is_begun);
WS_MUST_USE enum ws_status ws_method_load(const struct ws_method *method, struct ws_training *training,
                                          const struct ws_tensors *checkpoint, bool is_begun, struct ws_err *err);

#endif
