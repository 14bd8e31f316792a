/** The other programs, found beside the running one, else on PATH, the way git finds its own. */
#ifndef WEBSTILL_STORE_STAGE_SIBLING_H
#define WEBSTILL_STORE_STAGE_SIBLING_H

#include "webstill/base/buf.h"
#include "webstill/base/err.h"

#include <stdbool.h>
#include <stddef.h>

enum { WS_SIBLING_PATH = 4096 };

/** The folder that holds the running program. False if unknown or too long. */
bool ws_sibling_folder(char *path, size_t size_bytes);

/** The path of webstill-PROGRAM; false, and its bare name, when it is nowhere. */
bool ws_sibling_find(const char *program, char path[WS_SIBLING_PATH]);

/**
 * Run the program at `path` with `argv` and append what it prints. When it fails, its own message and hint are the
 * failure's, with the status of its exit code: WS_E_CONFIG, WS_E_IO, else WS_E_INTERNAL. WS_E_MEMORY.
 */
WS_MUST_USE enum ws_status ws_sibling_ask(const char *path, char *const *argv, struct ws_buf *out, struct ws_err *err);

#endif
