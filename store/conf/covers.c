/** Whether one printed configuration says all that another one says. */
#include "int.h"

#include <string.h>
#include <yaml.h>

static bool load(yaml_document_t *document, const char *text)
{
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return false;
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, strlen(text));
    const bool is_loaded = yaml_parser_load(&parser, document) != 0;
    yaml_parser_delete(&parser);
    return is_loaded;
}

static bool is_same_scalar(const yaml_node_t *a, const yaml_node_t *b)
{
    return a->data.scalar.length == b->data.scalar.length &&
           memcmp(a->data.scalar.value, b->data.scalar.value, a->data.scalar.length) == 0;
}

static const yaml_node_t *find_value(yaml_document_t *document, const yaml_node_t *mapping, const yaml_node_t *key)
{
    for (const yaml_node_pair_t *pair = mapping->data.mapping.pairs.start; pair < mapping->data.mapping.pairs.top;
         pair++)
        if (is_same_scalar(yaml_document_get_node(document, pair->key), key))
            return yaml_document_get_node(document, pair->value);
    return NULL;
}

static bool covers(yaml_document_t *whole, const yaml_node_t *a, yaml_document_t *part, const yaml_node_t *b);

/* Lists are values: equally long, and each entry covered. */
static bool covers_list(yaml_document_t *whole, const yaml_node_t *a, yaml_document_t *part, const yaml_node_t *b)
{
    const yaml_node_item_t *ours = b->data.sequence.items.start, *theirs = a->data.sequence.items.start;
    const ptrdiff_t n = b->data.sequence.items.top - ours;
    bool is_covered = n == a->data.sequence.items.top - theirs;
    for (ptrdiff_t i = 0; is_covered && i < n; i++)
        is_covered =
            covers(whole, yaml_document_get_node(whole, theirs[i]), part, yaml_document_get_node(part, ours[i]));
    return is_covered;
}

static bool covers(yaml_document_t *whole, const yaml_node_t *a, yaml_document_t *part, const yaml_node_t *b)
{
    if (!a || !b || a->type != b->type)
        return false;
    if (b->type == YAML_SCALAR_NODE)
        return is_same_scalar(a, b);
    if (b->type == YAML_SEQUENCE_NODE)
        return covers_list(whole, a, part, b);
    for (const yaml_node_pair_t *pair = b->data.mapping.pairs.start; pair < b->data.mapping.pairs.top; pair++) {
        const yaml_node_t *value = find_value(whole, a, yaml_document_get_node(part, pair->key));
        if (!covers(whole, value, part, yaml_document_get_node(part, pair->value)))
            return false;
    }
    return true;
}

bool ws_conf_covers(const char *whole, const char *part)
{
    yaml_document_t a, b;
    if (!load(&a, whole))
        return false;
    bool is_covered = load(&b, part);
    if (is_covered) {
        is_covered = covers(&a, yaml_document_get_root_node(&a), &b, yaml_document_get_root_node(&b));
        yaml_document_delete(&b);
    }
    yaml_document_delete(&a);
    return is_covered;
}
