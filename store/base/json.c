#include "webstill/base/json.h"

#include "webstill/base/buf.h"
#include "webstill/base/file.h"

#include <math.h>

enum { MAX_BYTES = 64 << 20 };

const char *ws_json_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

double ws_json_number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

enum ws_status ws_json_read(const char *path, json_t **out, struct ws_err *err)
{
    *out = NULL;
    if (!ws_file_exists(path))
        return WS_OK;
    struct ws_buf text = {0};
    enum ws_status status = ws_file_read(path, MAX_BYTES, &text, err);
    if (status == WS_OK) {
        json_error_t error;
        *out = json_loadb(text.len > 0 ? text.ptr : "", text.len, JSON_REJECT_DUPLICATES, &error);
        if (!*out)
            status = ws_fail(err, WS_E_DAMAGED, "%s:%d: %s", path, error.line, error.text);
    }
    ws_buf_fini(&text);
    return status;
}
