/** Members of JSON objects, and JSON files. */
#ifndef WEBSTILL_BASE_JSON_H
#define WEBSTILL_BASE_JSON_H

#include "webstill/base/err.h"

#include <jansson.h>

/** The text of a member, or "" when there is none. Borrowed from the object, which may be NULL. */
const char *ws_json_text(const json_t *object, const char *key);
/** A number member, or NaN. */
double ws_json_number(const json_t *object, const char *key);
/** Read a JSON file of at most 64 MiB; a missing file is WS_OK with NULL. WS_E_DAMAGED names the line. */
WS_MUST_USE enum ws_status ws_json_read(const char *path, json_t **out, struct ws_err *err);

#endif
