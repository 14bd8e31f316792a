/** The canonical text of a configuration, by the rows that load it. */
#include "int.h"
#include "value.h"

#include "webstill/base/text.h"

#include <stdio.h>
#include <string.h>

struct printer {
    struct ws_buf *out;
    char open[128]; /* the section whose heading was printed last */
};

static bool print_keys(const struct ws_conf_section *record, const char *base, int indent, struct ws_buf *out);

/** A list: single values in brackets on one line, records one below the other. */
static bool print_list(const struct ws_conf_visit *row, const char *base, int indent, struct ws_buf *out)
{
    const struct ws_conf_key *key = row->key;
    const size_t stride = ws_conf_value_bytes(key);
    const char *items;
    unsigned n;
    memcpy(&items, base + row->offset, sizeof items);
    memcpy(&n, base + row->n_offset, sizeof n);
    if (key->type == WS_CONF_TYPE_RECORD && n > 0) {
        bool ok = ws_buf_add_str(out, "\n");
        for (unsigned i = 0; ok && i < n; i++)
            ok = print_keys(key->record, items + i * stride, indent, out);
        return ok;
    }
    bool ok = ws_buf_add_str(out, " [");
    for (unsigned i = 0; ok && i < n; i++)
        ok = ws_buf_add_str(out, i ? ", " : "") && ws_conf_value_print(key, items + i * stride, out);
    return ok && ws_buf_add_str(out, "]\n");
}

static bool print_key(const struct ws_conf_visit *row, const char *base, int indent, struct ws_buf *out)
{
    if (!ws_buf_addf(out, "%s:", row->key->name))
        return false;
    if (row->key->is_list)
        return print_list(row, base, indent, out);
    return ws_buf_add_str(out, " ") && ws_conf_value_print(row->key, base + row->offset, out) &&
           ws_buf_add_str(out, "\n");
}

/** The keys of an entry of a list; the first one stands behind a dash. */
static bool print_keys(const struct ws_conf_section *record, const char *base, int indent, struct ws_buf *out)
{
    bool ok = true;
    struct ws_conf_visit row;
    for (size_t i = 0; ok && ws_conf_row(record, i, &row); i++)
        ok = ws_buf_addf(out, "%*s%s", indent, "", i == 0 ? "- " : "  ") && print_key(&row, base, indent + 2, out);
    return ok;
}

/** Does `name` say the key at `path`: itself, a section that it lies in, or as "SECTION.*" the one it lies in directly?
 */
static bool covers(const char *name, const char *path)
{
    const size_t len = strlen(name);
    if (len > 1 && strcmp(name + len - 2, ".*") == 0)
        return strncmp(path, name, len - 1) == 0 && !strchr(path + len - 1, '.');
    return strncmp(path, name, len) == 0 && (path[len] == '\0' || path[len] == '.');
}

static bool is_chosen(const char *const *names, const char *path)
{
    bool is_in = names == NULL;
    for (; names && *names; names++) {
        if ((*names)[0] == '-' && covers(*names + 1, path))
            return false;
        is_in = is_in || covers(*names, path);
    }
    return is_in;
}

static int depth_of(const char *section)
{
    int depth = section[0] ? 1 : 0;
    for (; *section; section++)
        depth += *section == '.';
    return depth;
}

/** Print the headings of a section and of those that it lies in, as far as they do not stand there yet. */
static bool open_section(struct printer *printer, const char *name)
{
    if (covers(name, printer->open) || name[0] == '\0')
        return true;
    char parent[128];
    const char *dot = strrchr(name, '.');
    snprintf(parent, sizeof parent, "%.*s", dot ? (int)(dot - name) : 0, name);
    if (!open_section(printer, parent))
        return false;
    snprintf(printer->open, sizeof printer->open, "%s", name);
    return ws_buf_addf(printer->out, "%*s%s:\n", 2 * depth_of(parent), "", dot ? dot + 1 : name);
}

static void make_path(char path[160], const struct ws_conf_section *section, const struct ws_conf_key *key)
{
    snprintf(path, 160, "%.80s%s%.70s", section->name, section->name[0] ? "." : "", key->name);
}

static bool is_named(const char *const *names, const char *path)
{
    while (*names && strcmp(*names, path) != 0)
        names++;
    return *names != NULL;
}

/** A value that prints as its key's default does, in quotes or not. */
static bool has_default(const struct ws_conf_visit *row, const char *base)
{
    struct ws_buf text = {0};
    const size_t len = strlen(row->key->fallback);
    bool is_same = !row->key->is_list && ws_conf_value_print(row->key, base + row->offset, &text);
    if (is_same && text.len == len + 2 && text.ptr[0] == '"')
        is_same = strncmp(text.ptr + 1, row->key->fallback, len) == 0;
    else
        is_same = is_same && strcmp(text.ptr, row->key->fallback) == 0;
    ws_buf_fini(&text);
    return is_same;
}

static bool print_section(struct printer *printer, const struct ws_conf_section *section, const char *base,
                          const char *const *names)
{
    bool ok = true;
    struct ws_conf_visit row;
    const int indent = 2 * depth_of(section->name);
    for (size_t i = 0; ok && ws_conf_row(section, i, &row); i++) {
        char path[160];
        make_path(path, section, row.key);
        if (names && row.key->is_late && !is_named(names, path) && has_default(&row, base))
            continue;
        if (row.key->type != WS_CONF_TYPE_COUNT && is_chosen(names, path))
            ok = open_section(printer, section->name) && ws_buf_addf(printer->out, "%*s", indent, "") &&
                 print_key(&row, base, indent, printer->out);
    }
    return ok;
}

bool ws_conf_knows(const struct ws_conf *conf, const char *name)
{
    struct ws_conf_visit row;
    if (name[0] == '-')
        name++;
    for (size_t i = 0; conf->schema->sections[i]; i++) {
        const struct ws_conf_section *section = conf->schema->sections[i];
        for (size_t k = 0; ws_conf_row(section, k, &row); k++) {
            char path[160];
            make_path(path, section, row.key);
            if (covers(name, path) && (!section->is_part || strcmp(name, path) == 0))
                return true;
        }
    }
    return false;
}

/** A name that says no key would silently make a stage depend on less. */
static enum ws_status fail_name(const struct ws_conf_schema *schema, const char *name, struct ws_err *err)
{
    const char *known[WS_CONF_NAMES + 1];
    size_t n = 0;
    struct ws_conf_visit row;
    for (size_t i = 0; schema->sections[i]; i++) {
        const struct ws_conf_section *section = schema->sections[i];
        for (size_t k = 0; section->name[0] == '\0' && n < WS_CONF_NAMES && ws_conf_row(section, k, &row); k++)
            known[n++] = row.key->name;
        if (section->name[0] && n < WS_CONF_NAMES)
            known[n++] = section->name;
    }
    for (size_t i = 0; schema->others && schema->others[i] && n < WS_CONF_NAMES; i++)
        known[n++] = schema->others[i];
    known[n] = NULL;
    const char *nearest = ws_nearest_name(name, known);
    return ws_fail(err, WS_E_CONFIG, "unknown section \"%s\"%s%s%s", name, nearest ? "; did you mean \"" : "",
                   nearest ? nearest : "", nearest ? "\"?" : "");
}

enum ws_status ws_conf_print(const struct ws_conf *conf, const char *const *names, struct ws_buf *out,
                             struct ws_err *err)
{
    const struct ws_conf_schema *schema = conf->schema;
    struct printer printer = {.out = out};
    for (size_t i = 0; names && names[i]; i++)
        if (!ws_conf_knows(conf, names[i]))
            return fail_name(schema, names[i], err);
    for (size_t i = 0; schema->sections[i]; i++)
        if ((names || !schema->sections[i]->is_part) &&
            !print_section(&printer, schema->sections[i], conf->keys[i], names))
            return ws_fail(err, WS_E_MEMORY, "out of memory while writing the configuration");
    return WS_OK;
}
