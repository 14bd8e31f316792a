/** A configuration as the structs of its sections: opening at the defaults, handing out, checking. */
#include "int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum ws_status ws_conf_open(struct ws_conf **out, const struct ws_conf_schema *schema, struct ws_err *err)
{
    struct ws_conf *conf = ws_calloc(1, sizeof *conf);
    *out = NULL;
    if (!conf)
        return ws_fail(err, WS_E_MEMORY, "out of memory for the configuration");
    conf->schema = schema;
    enum ws_status status = WS_OK;
    for (size_t i = 0; status == WS_OK && schema->sections[i]; i++) {
        const struct ws_conf_section *section = schema->sections[i];
        struct ws_conf_visit row;
        ws_assert(i < WS_CONF_SECTIONS);
        conf->keys[i] = ws_arena_alloc(&conf->arena, 1, section->size_bytes);
        if (!conf->keys[i])
            status = ws_fail(err, WS_E_MEMORY, "out of memory for the configuration");
        for (size_t k = 0; status == WS_OK && ws_conf_row(section, k, &row); k++)
            status = ws_conf_set_default(conf, conf->keys[i], &row, err);
    }
    if (status != WS_OK)
        ws_conf_close(&conf);
    *out = conf;
    return status;
}

void ws_conf_close(struct ws_conf **conf)
{
    if (!conf || !*conf)
        return;
    ws_arena_fini(&(*conf)->arena);
    free(*conf);
    *conf = NULL;
}

/** Where in its struct `whole` embeds the keys of `part`, or false. */
static bool find_group(const struct ws_conf_section *whole, const struct ws_conf_section *part, size_t *offset)
{
    for (const struct ws_conf_key *key = whole->keys; key->name; key++)
        if (key->type == WS_CONF_TYPE_GROUP && key->record == part) {
            *offset = key->offset;
            return true;
        }
    return false;
}

/* NULL when the program does not register the section. */
static void *find_keys(struct ws_conf *conf, const struct ws_conf_section *section)
{
    size_t offset;
    for (int i = 0; conf->schema->sections[i]; i++)
        if (conf->schema->sections[i] == section)
            return conf->keys[i];
    for (int i = 0; conf->schema->sections[i]; i++)
        if (strcmp(conf->schema->sections[i]->name, section->name) == 0 &&
            find_group(conf->schema->sections[i], section, &offset))
            return (char *)conf->keys[i] + offset;
    return NULL;
}

void *ws_conf_edit(struct ws_conf *conf, const struct ws_conf_section *section)
{
    void *keys = find_keys(conf, section);
    ws_assert(keys);
    return keys;
}

const void *ws_conf_get(const struct ws_conf *conf, const struct ws_conf_section *section)
{
    union {
        const struct ws_conf *in;
        struct ws_conf *out;
    } cast = {.in = conf}; /* looked up in one way; the result is const again */
    return ws_conf_edit(cast.out, section);
}

bool ws_conf_has(const struct ws_conf *conf, const char *name)
{
    const int i = ws_conf_find(conf->schema, name);
    return i >= 0 && !conf->schema->sections[i]->is_part;
}

static enum ws_status check_given(const struct ws_conf *conf, const struct ws_conf_section *section, struct ws_err *err)
{
    struct ws_conf_visit row;
    for (size_t i = 0; ws_conf_row(section, i, &row); i++) {
        bool is_given = row.key->must == NULL;
        for (size_t k = 0; k < conf->n_given && !is_given; k++)
            is_given = conf->given[k] == row.key;
        if (is_given)
            continue;
        enum ws_status status = ws_fail(err, WS_E_CONFIG, "the key \"%s%s%s\" is missing", section->name,
                                        section->name[0] ? "." : "", row.key->name);
        ws_err_hint(err, "%s", row.key->must);
        return status;
    }
    return WS_OK;
}

enum ws_status ws_conf_check(const struct ws_conf *conf, struct ws_err *err)
{
    enum ws_status status = WS_OK;
    for (size_t i = 0; status == WS_OK && conf->schema->sections[i]; i++)
        status = check_given(conf, conf->schema->sections[i], err);
    for (size_t i = 0; status == WS_OK && conf->schema->sections[i]; i++) {
        const struct ws_conf_section *section = conf->schema->sections[i];
        if (section->check)
            status = section->check(conf->keys[i], section->name, err);
    }
    return status;
}
