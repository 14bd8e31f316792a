/**
 * One step of a training: for each phase, as often as it runs,
 *
 *   draw, zero, losses, backward (the tape in reverse), finite?, reduce, norm, step, note
 *
 * Nowhere else is a gradient zeroed, checked or followed.
 */
#ifndef WEBSTILL_DISTILL_LEARN_UPDATE_H
#define WEBSTILL_DISTILL_LEARN_UPDATE_H

#include "method.h"

/** A run of one phase on a batch that the caller has set: step->batch, ->n and ->place. WS_E_NUMERIC, and nothing
 * updated, for a loss or a gradient that is not finite. */
WS_MUST_USE enum ws_status ws_update_phase(const struct ws_phase *phase, struct ws_step *step, struct ws_err *err);

/** A whole step: `step` has training and place, the rest is filled in. *phase is the one that failed, if one did. */
WS_MUST_USE enum ws_status ws_update_step(const struct ws_method *method, struct ws_step *step,
                                          const struct ws_phase **phase, struct ws_err *err);

#endif
