/* The table of methods. */
#include "methods.h"

#include "webstill/base/buf.h"
#include "webstill/base/text.h"

#include <string.h>

const struct ws_method *const ws_methods[] = {
    &ws_method_kd3,  &ws_method_kd3_plus, &ws_method_simkd, &ws_method_kd, &ws_method_fitnet,
    &ws_method_dfnd, &ws_method_noise,    &ws_method_ce,    NULL,
};

enum { N_METHODS = sizeof ws_methods / sizeof *ws_methods - 1 };

enum ws_status ws_method_find(const char *name, const struct ws_method **out, struct ws_err *err)
{
    const char *names[N_METHODS + 1] = {NULL};
    for (int i = 0; i < N_METHODS; i++) {
        names[i] = ws_methods[i]->name;
        if (strcmp(name, names[i]) == 0) {
            *out = ws_methods[i];
            return WS_OK;
        }
    }
    const char *nearest = ws_nearest_name(name, names);
    struct ws_buf list = {0};
    bool is_whole = true;
    for (int i = 0; is_whole && i < N_METHODS; i++)
        is_whole = ws_buf_addf(&list, "%s%s", i ? ", " : "", names[i]);
    ws_fail(err, WS_E_CONFIG, "unknown method \"%s\"%s%s%s", name, nearest ? ": did you mean \"" : "",
            nearest ? nearest : "", nearest ? "\"?" : "");
    ws_err_hint(err, "methods: %s; configs/reference.yaml says what each one does", is_whole ? list.ptr : names[0]);
    ws_buf_fini(&list);
    return WS_E_CONFIG;
}
