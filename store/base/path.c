#include "webstill/base/path.h"

#include <stdarg.h>
#include <string.h>

enum ws_status ws_path_join(char path[WS_PATH_BYTES], const char *folder, struct ws_err *err, const char *format, ...)
{
    const size_t folder_len = strlen(folder);
    va_list list;
    va_start(list, format);
    const int rest_len = vsnprintf(path, WS_PATH_BYTES, format, list);
    va_end(list);
    const size_t before_len = rest_len > 0 && path[0] == '/' ? 0 : folder_len + 1;
    if (rest_len < 0 || before_len + (size_t)rest_len >= WS_PATH_BYTES) {
        path[0] = '\0';
        return ws_fail(err, WS_E_CONFIG, "a path below %.200s%s is too long: expected fewer than %d bytes", folder,
                       folder_len > 200 ? "…" : "", (int)WS_PATH_BYTES);
    }
    if (before_len > 0) {
        memmove(path + before_len, path, (size_t)rest_len + 1);
        memcpy(path, folder, folder_len);
        path[folder_len] = '/';
    }
    return WS_OK;
}
