/* The table of methods. */
#include "keys/distill.h"
#include "methods.h"

#include "webstill/base/buf.h"
#include "webstill/base/text.h"

#include <string.h>

#define WS_METHOD_ROW(name) &ws_method_##name,
const struct ws_method *const ws_methods[] = {WS_METHODS(WS_METHOD_ROW) NULL};
#undef WS_METHOD_ROW

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

bool ws_method_row(size_t i, const char **name, const char **sentence)
{
    if (i >= N_METHODS)
        return false;
    *name = ws_methods[i]->name;
    *sentence = ws_methods[i]->summary;
    return true;
}

/** True when an earlier method, or an earlier place in this one's list, has the section: two may share one. */
static bool is_listed(const struct ws_conf_section *const *sections, size_t n, const struct ws_conf_section *section)
{
    for (size_t i = 0; i < n; i++)
        if (sections[i] == section)
            return true;
    return false;
}

size_t ws_method_sections(const struct ws_conf_section **sections, size_t n_max)
{
    size_t n = 0;
    for (int i = 0; i < N_METHODS; i++)
        for (size_t k = 0; ws_methods[i]->sections && ws_methods[i]->sections[k]; k++) {
            const struct ws_conf_section *section = ws_methods[i]->sections[k];
            if (ws_conf_child(section, ws_distill_section.name) && !is_listed(sections, n, section) && n < n_max)
                sections[n++] = section;
        }
    return n;
}

size_t ws_method_reads(const char *method, const char **names, size_t n_max)
{
    size_t n = 0;
    for (int i = 0; i < N_METHODS; i++)
        for (size_t k = 0; strcmp(ws_methods[i]->name, method) == 0 && ws_methods[i]->sections &&
                           ws_methods[i]->sections[k] && n < n_max;
             k++)
            names[n++] = ws_methods[i]->sections[k]->name;
    return n;
}
