/** Looking things up in the rows: what opening, binding and printing share. */
#include "int.h"

#include <string.h>

bool ws_conf_row(const struct ws_conf_section *section, size_t i, struct ws_conf_visit *row)
{
    for (const struct ws_conf_key *key = section->keys; key->name; key++) {
        if (key->type != WS_CONF_TYPE_GROUP) {
            *row = (struct ws_conf_visit){key, key->offset, key->n_offset};
            if (i-- == 0)
                return true;
            continue;
        }
        for (size_t k = 0; ws_conf_row(key->record, k, row); k++) {
            row->offset += key->offset;
            row->n_offset += key->offset;
            if (i-- == 0)
                return true;
        }
    }
    return false;
}

bool ws_conf_row_find(const struct ws_conf_section *section, const char *name, struct ws_conf_visit *row)
{
    for (size_t i = 0; ws_conf_row(section, i, row); i++)
        if (strcmp(row->key->name, name) == 0)
            return true;
    return false;
}

int ws_conf_find(const struct ws_conf_schema *schema, const char *name)
{
    for (int i = 0; schema->sections[i]; i++)
        if (strcmp(schema->sections[i]->name, name) == 0)
            return i;
    return -1;
}

const char *ws_conf_child(const struct ws_conf_section *section, const char *parent)
{
    const size_t len = strlen(parent);
    if (strncmp(section->name, parent, len) != 0 || section->name[0] == '\0')
        return NULL;
    const char *rest = section->name + len;
    if (len > 0 && *rest++ != '.')
        return NULL;
    return *rest && !strchr(rest, '.') ? rest : NULL;
}
