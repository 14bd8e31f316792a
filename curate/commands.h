/** The command of webstill-curate. */
#ifndef WEBSTILL_CURATE_COMMANDS_H
#define WEBSTILL_CURATE_COMMANDS_H

#include "webstill/stage/cli.h"

/** `webstill curate CONFIG [--student PATH]`: apply the selection rule to stored predictions. */
enum ws_status ws_curate_command(const struct ws_run *run, struct ws_err *err);
extern const struct ws_option ws_curate_options[];

/** Library versions for manifests and --version. */
const char *ws_curate_libraries(void);

#endif
