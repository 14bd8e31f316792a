/** The table that `eval` prints, from the files that it and `distill` wrote. */
#ifndef WEBSTILL_DISTILL_STAGE_EVAL_TABLE_H
#define WEBSTILL_DISTILL_STAGE_EVAL_TABLE_H

#include "webstill/stage/cli.h"

#include <stdio.h>

/** Teacher, then a line per method: size, cost, accuracy of the last and the best epoch, agreement, training time,
 * images. */
WS_MUST_USE enum ws_status ws_eval_table_print(const struct ws_run *run, FILE *out, struct ws_err *err);

#endif
