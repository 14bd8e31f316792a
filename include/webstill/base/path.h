/** Paths, printed into buffers of one size; never cut. */
#ifndef WEBSTILL_BASE_PATH_H
#define WEBSTILL_BASE_PATH_H

#include "webstill/base/err.h"

enum { WS_PATH_BYTES = 4096 };

/**
 * Print "FOLDER/" and the formatted rest; a rest that begins with '/' is a path of its own. WS_E_CONFIG when that is
 * too long; `path` is then empty, so that nothing works on a part of it.
 */
WS_MUST_USE enum ws_status ws_path_join(char path[WS_PATH_BYTES], const char *folder, struct ws_err *err,
                                        const char *format, ...) WS_PRINTF(4, 5);

#endif
