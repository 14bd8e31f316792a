/** What make includes: the stages as its targets, so that they stand in the table alone. */
#ifndef WEBSTILL_STAGE_RULES_H
#define WEBSTILL_STAGE_RULES_H

#include "webstill/base/buf.h"
#include "webstill/stage/config.h"

/** Add the rules of make to `out`: a target a stage, and its manifest with what it is made from. As ws_config_part().
 */
WS_MUST_USE enum ws_status ws_stage_rules(const struct ws_config *config, struct ws_buf *out, struct ws_err *err);

#endif
