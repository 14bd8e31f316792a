/** configs/reference.yaml, from the rows: each key with its default under its sentence, unit and range. */
#include "int.h"
#include "value.h"

#include <stdio.h>
#include <string.h>

enum { WIDTH = 120 };

/** Columns that UTF-8 text takes: a byte that goes on with a character takes none. */
static size_t count_columns(const char *text, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++)
        n += ((unsigned char)text[i] & 0xc0) != 0x80;
    return n;
}

/** One line of help, wrapped at spaces. One that begins with two spaces is an example and stays as it is. */
static bool print_line(const char *line, size_t len, int indent, struct ws_buf *out)
{
    const size_t room = (size_t)(WIDTH - indent - 2);
    bool ok = true;
    while (ok && len > 0) {
        size_t take = len;
        if (strncmp(line, "  ", 2) != 0 && count_columns(line, len) > room) {
            take = 0;
            for (size_t i = 1; i < len && count_columns(line, i) <= room; i++)
                if (line[i] == ' ')
                    take = i;
            take = take ? take : len;
        }
        ok = ws_buf_addf(out, "%*s# %.*s\n", indent, "", (int)take, line);
        line += take;
        len -= take;
        if (len > 0) { /* the space where the line was broken */
            line++;
            len--;
        }
    }
    return ok;
}

static bool print_help(const char *text, int indent, struct ws_buf *out)
{
    bool ok = true;
    while (ok && *text) {
        const size_t len = strcspn(text, "\n");
        ok = print_line(text, len, indent, out);
        text += len + (text[len] == '\n');
    }
    return ok;
}

/** Names that speak for themselves: one behind the other. */
static bool print_names(const struct ws_conf_listing *listing, int indent, struct ws_buf *out)
{
    struct ws_buf line = {0};
    const char *name, *sentence;
    bool ok = true;
    for (size_t i = 0; ok && listing->row(i, &name, &sentence); i++)
        ok = ws_buf_addf(&line, "%s%s", i ? ", " : "", name);
    ok = ok && (line.len == 0 || print_line(line.ptr, line.len, indent, out));
    ws_buf_fini(&line);
    return ok;
}

/** A line a row, the sentences below each other. */
static bool print_rows(const struct ws_conf_listing *listing, int indent, struct ws_buf *out)
{
    int width = 0;
    bool ok = true;
    const char *name, *sentence;
    for (size_t i = 0; listing->row(i, &name, &sentence); i++)
        width = (int)strlen(name) > width ? (int)strlen(name) : width;
    for (size_t i = 0; ok && listing->row(i, &name, &sentence); i++)
        ok = sentence ? ws_buf_addf(out, "%*s#   %-*s  %s\n", indent, "", width, name, sentence)
                      : ws_buf_addf(out, "%*s#   %s\n", indent, "", name);
    return ok;
}

static bool print_listing(const struct ws_conf_schema *schema, const struct ws_conf_section *section,
                          const struct ws_conf_key *key, int indent, struct ws_buf *out)
{
    const size_t len = strlen(section->name);
    for (const struct ws_conf_listing *listing = schema->listings; listing && listing->key; listing++) {
        const char *name, *sentence;
        if (strncmp(listing->key, section->name, len) != 0 || listing->key[len] != '.' ||
            strcmp(listing->key + len + 1, key->name) != 0 || !listing->row(0, &name, &sentence))
            continue;
        return sentence ? print_rows(listing, indent, out) : print_names(listing, indent, out);
    }
    return true;
}

static bool print_default(const struct ws_conf_key *key, struct ws_buf *out)
{
    const bool is_text = key->type == WS_CONF_TYPE_TEXT && !key->is_list;
    return ws_buf_addf(out, "%s: ", key->name) &&
           (is_text ? ws_conf_value_quote(out, key->fallback) : ws_buf_add_str(out, key->fallback)) &&
           ws_buf_add_str(out, "\n");
}

static bool print_row(const struct ws_conf_schema *schema, const struct ws_conf_section *section,
                      const struct ws_conf_key *key, int indent, bool is_first, struct ws_buf *out)
{
    bool ok = true;
    if (key->above)
        ok = ws_buf_add_str(out, is_first ? "" : "\n") && print_help(key->above, indent, out);
    if (key->help)
        ok = ok && ws_buf_add_str(out, is_first && !key->above ? "" : "\n") && print_help(key->help, indent, out);
    ok = ok && print_listing(schema, section, key, indent, out);
    if (key->unit) {
        char range[80];
        ws_conf_value_range(key, range, sizeof range);
        ok = ok && ws_buf_addf(out, "%*s# [%s; %s]\n", indent, "", key->unit, range);
    }
    return ok && ws_buf_addf(out, "%*s", indent, "") && print_default(key, out);
}

static bool print_heading(const struct ws_conf_section *section, struct ws_buf *out)
{
    const char *dot = strrchr(section->name, '.');
    int indent = 0;
    for (const char *c = section->name; *c; c++)
        indent += *c == '.' ? 2 : 0;
    if (section->name[0] == '\0')
        return true;
    if (dot)
        return ws_buf_add_str(out, "\n") && print_help(section->title, indent, out) &&
               ws_buf_addf(out, "%*s%s:\n", indent, "", dot + 1);
    char line[WIDTH + 1];
    int used = snprintf(line, sizeof line, "# --- %s: %s ", section->name, section->title);
    ws_assert(used > 0 && used < WIDTH);
    memset(line + used, '-', (size_t)(WIDTH - used));
    line[WIDTH] = '\0';
    return ws_buf_addf(out, "\n%s\n", line) && (!section->intro || print_help(section->intro, 0, out)) &&
           ws_buf_addf(out, "%s:\n", section->name);
}

bool ws_conf_print_reference(const struct ws_conf *conf, const char *name, struct ws_buf *out)
{
    const struct ws_conf_schema *schema = conf->schema;
    const size_t len = strlen(name);
    bool ok = true;
    for (size_t i = 0; ok && schema->sections[i]; i++) {
        const struct ws_conf_section *section = schema->sections[i];
        const bool is_inside = len > 0 && strncmp(section->name, name, len) == 0 && section->name[len] == '.';
        if (section->is_part || (!is_inside && strcmp(section->name, name) != 0))
            continue;
        int indent = section->name[0] ? 2 : 0;
        for (const char *c = section->name; *c; c++)
            indent += *c == '.' ? 2 : 0;
        struct ws_conf_visit row;
        ok = print_heading(section, out);
        for (size_t k = 0; ok && ws_conf_row(section, k, &row); k++)
            ok = print_row(schema, section, row.key, indent, k == 0 && section->name[0], out);
    }
    return ok;
}
