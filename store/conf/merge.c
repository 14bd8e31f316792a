/* Documents are merged as libyaml's node trees, because only those still know each value's line. */
#include "merge.h"

#include "schema.h"
#include "value.h"

#include "webstill/base/text.h"
#include "webstill/conf/config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_KEYS = 64 }; /* keys in one mapping of the schema, for the list of known names */

/** The layer being merged. */
struct layer {
    yaml_document_t *from;
    yaml_document_t *into;
    const char *label;
    bool has_lines;
    struct ws_err *err;
};

static enum ws_status fail_at(const struct layer *layer, const yaml_node_t *node, const char *format, ...)
    WS_PRINTF(3, 4);

/** "configs/x.yaml:12: …", or "-o key=value: …". */
static enum ws_status fail_at(const struct layer *layer, const yaml_node_t *node, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (layer->has_lines && node)
        return ws_fail(layer->err, WS_E_CONFIG, "%s:%zu: %s", layer->label, node->start_mark.line + 1, text);
    return ws_fail(layer->err, WS_E_CONFIG, "%s: %s", layer->label, text);
}

static enum ws_status fail_memory(const struct layer *layer)
{
    return ws_fail(layer->err, WS_E_MEMORY, "%s: out of memory while merging the configuration", layer->label);
}

static struct ws_conf_place child_place(const struct ws_conf_place *at, const char *key)
{
    struct ws_conf_place child;
    const char *dot = at->shown[0] ? "." : "";
    snprintf(child.shown, sizeof child.shown, "%.100s%s%.60s", at->shown, dot, key);
    snprintf(child.rule, sizeof child.rule, "%.60s%s%.60s", at->rule, dot, key);
    return child;
}

static struct ws_conf_place entry_place(const struct ws_conf_place *at, size_t i)
{
    struct ws_conf_place entry = *at;
    snprintf(entry.shown, sizeof entry.shown, "%.100s[%zu]", at->shown, i);
    return entry;
}

yaml_node_t *ws_conf_node_value(yaml_document_t *document, const yaml_node_t *mapping, const char *key)
{
    for (yaml_node_pair_t *pair = mapping->data.mapping.pairs.start; pair < mapping->data.mapping.pairs.top; pair++) {
        const yaml_node_t *name = yaml_document_get_node(document, pair->key);
        if (name->type == YAML_SCALAR_NODE && strcmp((const char *)name->data.scalar.value, key) == 0)
            return yaml_document_get_node(document, pair->value);
    }
    return NULL;
}

/** Nothing stands behind the key: "crawl:", "crawl: ~". */
static bool is_nothing(const yaml_node_t *node)
{
    if (node->type != YAML_SCALAR_NODE || node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    const char *text = (const char *)node->data.scalar.value;
    return text[0] == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0;
}

/** What a message says was found; `text` has room for a quoted beginning of a scalar. */
static const char *describe(const yaml_node_t *node, char *text, size_t size_bytes)
{
    if (node->type == YAML_MAPPING_NODE)
        return "a mapping";
    if (node->type == YAML_SEQUENCE_NODE)
        return "a list";
    if (is_nothing(node))
        return "nothing";
    const char *value = (const char *)node->data.scalar.value;
    snprintf(text, size_bytes, "\"%.60s%s\"", value, strlen(value) > 60 ? "…" : "");
    return text;
}

static enum ws_status fail_kind(const struct layer *layer, const yaml_node_t *node, const struct ws_conf_place *at,
                                const char *expected)
{
    char found[80];
    return fail_at(layer, node, "%s: expected %s, found %s", at->shown[0] ? at->shown : "the configuration", expected,
                   describe(node, found, sizeof found));
}

/** The top section that has a key of this name, or NULL: most "unknown" keys stand in the wrong section. */
static const char *section_with(const char *key)
{
    for (const struct cyaml_schema_field *field = ws_conf_schema.mapping.fields; field->key; field++)
        if (field->value.type == CYAML_MAPPING && ws_conf_field_find(field->value.mapping.fields, key))
            return field->key;
    return NULL;
}

static enum ws_status fail_unknown(const struct layer *layer, const yaml_node_t *node, const struct ws_conf_place *at,
                                   const struct cyaml_schema_field *fields, const char *key)
{
    const char *names[MAX_KEYS + 1];
    size_t n = 0;
    for (const struct cyaml_schema_field *field = fields; field->key && n < MAX_KEYS; field++)
        names[n++] = field->key;
    names[n] = NULL;
    const char *nearest = ws_nearest_name(key, names);
    const char *section = nearest ? NULL : section_with(key);
    char where[200] = "", advice[160] = "";
    if (at->shown[0])
        snprintf(where, sizeof where, " in section \"%s\"", at->shown);
    if (nearest)
        snprintf(advice, sizeof advice, "; did you mean \"%s\"?", nearest);
    else if (section)
        snprintf(advice, sizeof advice, "; did you mean \"%s.%.60s\"?", section, key);
    enum ws_status status =
        fail_at(layer, node, "unknown %s \"%.60s\"%s%s", at->shown[0] ? "key" : "section", key, where, advice);
    ws_err_hint(layer->err, "configs/reference.yaml documents every key");
    return status;
}

/** Add a scalar to the merged document; 0 when out of memory. */
static int add_scalar(const struct layer *layer, const char *text, size_t len, yaml_scalar_style_t style)
{
    /* libyaml copies the text, and its prototype only forgot the const. */
    union {
        const char *in;
        yaml_char_t *out;
    } cast = {.in = text};
    return yaml_document_add_scalar(layer->into, NULL, cast.out, (int)len, style);
}

static enum ws_status copy_scalar(const struct layer *layer, const struct cyaml_schema_value *schema,
                                  const struct ws_conf_place *at, const yaml_node_t *node, int *into_id)
{
    if (node->type != YAML_SCALAR_NODE)
        return fail_kind(layer, node, at, schema->type == CYAML_STRING ? "text" : "one value");
    const char *text = (const char *)node->data.scalar.value;
    if (strlen(text) != node->data.scalar.length)
        return fail_at(layer, node, "%s: expected text without a NUL character", at->shown);
    if (is_nothing(node))
        text = "";
    char plain[WS_CONF_PLAIN], found[80];
    struct ws_conf_complaint complaint;
    if (!ws_conf_value_check(schema, at->rule, text, plain, &complaint))
        return fail_at(layer, node, "%s: expected %s, found %s%s", at->shown, complaint.expected,
                       describe(node, found, sizeof found), complaint.advice);
    bool is_text = schema->type == CYAML_STRING;
    const char *copied = is_text ? text : plain;
    *into_id =
        add_scalar(layer, copied, strlen(copied), is_text ? YAML_DOUBLE_QUOTED_SCALAR_STYLE : YAML_PLAIN_SCALAR_STYLE);
    return *into_id ? WS_OK : fail_memory(layer);
}

/** Set a key of a merged mapping, replacing what was there. */
static enum ws_status set_pair(const struct layer *layer, int mapping_id, const char *key, int value_id)
{
    yaml_node_t *mapping = yaml_document_get_node(layer->into, mapping_id);
    for (yaml_node_pair_t *pair = mapping->data.mapping.pairs.start; pair < mapping->data.mapping.pairs.top; pair++) {
        const yaml_node_t *name = yaml_document_get_node(layer->into, pair->key);
        if (strcmp((const char *)name->data.scalar.value, key) == 0) {
            pair->value = value_id;
            return WS_OK;
        }
    }
    int key_id = add_scalar(layer, key, strlen(key), YAML_PLAIN_SCALAR_STYLE);
    if (!key_id || !yaml_document_append_mapping_pair(layer->into, mapping_id, key_id, value_id))
        return fail_memory(layer);
    return WS_OK;
}

static enum ws_status merge_mapping(const struct layer *layer, const struct cyaml_schema_field *fields,
                                    const struct ws_conf_place *at, int from_id, int into_id);

/** Give an entry of a list its optional keys; refuse it when another one is missing. */
static enum ws_status complete_entry(const struct layer *layer, const struct cyaml_schema_field *fields,
                                     const struct ws_conf_place *at, const yaml_node_t *node, int into_id)
{
    for (const struct cyaml_schema_field *field = fields; field->key; field++) {
        const yaml_node_t *entry = yaml_document_get_node(layer->into, into_id);
        if (ws_conf_node_value(layer->into, entry, field->key))
            continue;
        if (!(field->value.flags & CYAML_FLAG_OPTIONAL))
            return fail_at(layer, node, "%s: the key \"%s\" is missing", at->shown, field->key);
        int value_id = field->value.type == CYAML_SEQUENCE
                           ? yaml_document_add_sequence(layer->into, NULL, YAML_FLOW_SEQUENCE_STYLE)
                           : add_scalar(layer, "", 0, YAML_DOUBLE_QUOTED_SCALAR_STYLE);
        if (!value_id)
            return fail_memory(layer);
        enum ws_status status = set_pair(layer, into_id, field->key, value_id);
        if (status != WS_OK)
            return status;
    }
    return WS_OK;
}

/** Copy one mapping of a list. A lone text stands for the first key when that is a text: "- coat" is {name: coat}. */
static enum ws_status copy_entry(const struct layer *layer, const struct cyaml_schema_value *schema,
                                 const struct ws_conf_place *at, int from_id, int *into_id)
{
    const struct cyaml_schema_field *fields = schema->mapping.fields;
    const yaml_node_t *node = yaml_document_get_node(layer->from, from_id);
    *into_id = yaml_document_add_mapping(layer->into, NULL, YAML_BLOCK_MAPPING_STYLE);
    if (!*into_id)
        return fail_memory(layer);
    enum ws_status status;
    if (node->type == YAML_SCALAR_NODE && !is_nothing(node) && fields[0].value.type == CYAML_STRING) {
        int name_id = 0;
        const struct ws_conf_place name_place = child_place(at, fields[0].key);
        status = copy_scalar(layer, &fields[0].value, &name_place, node, &name_id);
        if (status == WS_OK)
            status = set_pair(layer, *into_id, fields[0].key, name_id);
    } else if (node->type == YAML_MAPPING_NODE) {
        status = merge_mapping(layer, fields, at, from_id, *into_id);
    } else {
        status = fail_kind(layer, node, at, "a mapping");
    }
    return status == WS_OK ? complete_entry(layer, fields, at, node, *into_id) : status;
}

static enum ws_status copy_sequence(const struct layer *layer, const struct cyaml_schema_value *schema,
                                    const struct ws_conf_place *at, int from_id, int *into_id)
{
    const yaml_node_t *node = yaml_document_get_node(layer->from, from_id);
    if (node->type != YAML_SEQUENCE_NODE)
        return fail_kind(layer, node, at, "a list ([] for an empty one)");
    *into_id = yaml_document_add_sequence(layer->into, NULL, YAML_BLOCK_SEQUENCE_STYLE);
    if (!*into_id)
        return fail_memory(layer);
    const struct cyaml_schema_value *entry = schema->sequence.entry;
    size_t n = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
    for (size_t i = 0; i < n; i++) {
        int item_from = node->data.sequence.items.start[i], item_into = 0;
        const struct ws_conf_place item_place = entry_place(at, i);
        enum ws_status status =
            entry->type == CYAML_MAPPING
                ? copy_entry(layer, entry, &item_place, item_from, &item_into)
                : copy_scalar(layer, entry, &item_place, yaml_document_get_node(layer->from, item_from), &item_into);
        if (status != WS_OK)
            return status;
        if (!yaml_document_append_sequence_item(layer->into, *into_id, item_into))
            return fail_memory(layer);
    }
    return WS_OK;
}

/** Merge one section into the one that is there, or into a new one. */
static enum ws_status merge_section(const struct layer *layer, const struct cyaml_schema_field *field,
                                    const struct ws_conf_place *at, int from_id, int into_id)
{
    const yaml_node_t *node = yaml_document_get_node(layer->from, from_id);
    if (is_nothing(node)) /* all its keys are commented out */
        return WS_OK;
    if (node->type != YAML_MAPPING_NODE)
        return fail_kind(layer, node, at, "a mapping of keys to values");
    const yaml_node_t *parent = yaml_document_get_node(layer->into, into_id);
    const yaml_node_t *section = ws_conf_node_value(layer->into, parent, field->key);
    int section_id = section ? (int)(section - layer->into->nodes.start) + 1 : 0;
    if (!section_id) {
        section_id = yaml_document_add_mapping(layer->into, NULL, YAML_BLOCK_MAPPING_STYLE);
        if (!section_id)
            return fail_memory(layer);
        enum ws_status status = set_pair(layer, into_id, field->key, section_id);
        if (status != WS_OK)
            return status;
    }
    return merge_mapping(layer, field->value.mapping.fields, at, from_id, section_id);
}

static enum ws_status merge_field(const struct layer *layer, const struct cyaml_schema_field *field,
                                  const struct ws_conf_place *at, int from_id, int into_id)
{
    if (field->value.type == CYAML_MAPPING)
        return merge_section(layer, field, at, from_id, into_id);
    int value_id = 0;
    enum ws_status status =
        field->value.type == CYAML_SEQUENCE
            ? copy_sequence(layer, &field->value, at, from_id, &value_id)
            : copy_scalar(layer, &field->value, at, yaml_document_get_node(layer->from, from_id), &value_id);
    return status == WS_OK ? set_pair(layer, into_id, field->key, value_id) : status;
}

/** libyaml lets a key stand twice; the first one would silently lose. */
static enum ws_status check_first(const struct layer *layer, const yaml_node_t *mapping, const yaml_node_pair_t *pair,
                                  const struct ws_conf_place *at)
{
    const yaml_node_t *key = yaml_document_get_node(layer->from, pair->key);
    for (const yaml_node_pair_t *earlier = mapping->data.mapping.pairs.start; earlier < pair; earlier++) {
        const yaml_node_t *other = yaml_document_get_node(layer->from, earlier->key);
        if (strcmp((const char *)other->data.scalar.value, (const char *)key->data.scalar.value) != 0)
            continue;
        char where[200] = "";
        if (at->shown[0])
            snprintf(where, sizeof where, " in section \"%s\"", at->shown);
        return fail_at(layer, key, "the key \"%.60s\" stands twice%s; first on line %zu",
                       (const char *)key->data.scalar.value, where, other->start_mark.line + 1);
    }
    return WS_OK;
}

static enum ws_status merge_mapping(const struct layer *layer, const struct cyaml_schema_field *fields,
                                    const struct ws_conf_place *at, int from_id, int into_id)
{
    const yaml_node_t *mapping = yaml_document_get_node(layer->from, from_id);
    for (yaml_node_pair_t *pair = mapping->data.mapping.pairs.start; pair < mapping->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key_node = yaml_document_get_node(layer->from, pair->key);
        if (key_node->type != YAML_SCALAR_NODE)
            return fail_kind(layer, key_node, at, "a key");
        const char *key = (const char *)key_node->data.scalar.value;
        const struct cyaml_schema_field *field = ws_conf_field_find(fields, key);
        if (!field)
            return fail_unknown(layer, key_node, at, fields, key);
        const struct ws_conf_place child = child_place(at, key);
        enum ws_status status = check_first(layer, mapping, pair, at);
        if (status == WS_OK)
            status = merge_field(layer, field, &child, pair->value, into_id);
        if (status != WS_OK)
            return status;
    }
    return WS_OK;
}

/* --- parsing --- */

/** Whether a line (from 0) is indented with a tab, the usual cause of libyaml's "cannot start any token". */
static bool is_tab_indented(const char *text, size_t len, size_t line)
{
    const char *end = text + len;
    while (line > 0 && text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        if (!newline)
            return false;
        text = newline + 1;
        line--;
    }
    while (text < end && *text == ' ')
        text++;
    return text < end && *text == '\t';
}

static enum ws_status fail_syntax(const struct layer *layer, const yaml_parser_t *parser, const char *text, size_t len)
{
    if (parser->error == YAML_MEMORY_ERROR)
        return fail_memory(layer);
    if (parser->error == YAML_READER_ERROR)
        return ws_fail(layer->err, WS_E_CONFIG, "%s: byte %zu: not UTF-8 text: %s", layer->label,
                       parser->problem_offset, parser->problem);
    size_t line = parser->problem_mark.line;
    char where[32] = "";
    if (layer->has_lines)
        snprintf(where, sizeof where, ":%zu", line + 1);
    if (is_tab_indented(text, len, line))
        return ws_fail(layer->err, WS_E_CONFIG, "%s%s: expected spaces as indentation, found a tab", layer->label,
                       where);
    const char *context = parser->context ? parser->context : "";
    return ws_fail(layer->err, WS_E_CONFIG, "%s%s: not YAML: %s%s%s", layer->label, where,
                   parser->problem ? parser->problem : "unreadable", *context ? ", " : "", context);
}

/** Parse the one document of `text`; on WS_OK the caller deletes it. */
static enum ws_status parse(struct layer *layer, yaml_document_t *document, const char *text, size_t len)
{
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return fail_memory(layer);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
    enum ws_status status = WS_OK;
    if (!yaml_parser_load(&parser, document)) {
        status = fail_syntax(layer, &parser, text, len);
        goto delete_parser;
    }
    yaml_document_t second;
    if (!yaml_parser_load(&parser, &second)) {
        status = fail_syntax(layer, &parser, text, len);
    } else {
        const yaml_node_t *root = yaml_document_get_root_node(&second);
        if (root)
            status = fail_at(layer, root, "expected one YAML document, found a second one");
        yaml_document_delete(&second);
    }
    if (status != WS_OK)
        yaml_document_delete(document);
delete_parser:
    yaml_parser_delete(&parser);
    return status;
}

enum ws_status ws_conf_merge_text(yaml_document_t *merged, const char *label, const char *text, size_t len,
                                  struct ws_err *err)
{
    yaml_document_t document;
    struct layer layer = {.from = &document, .into = merged, .label = label, .has_lines = true, .err = err};
    enum ws_status status = parse(&layer, &document, text, len);
    if (status != WS_OK)
        return status;
    const struct ws_conf_place top = {.shown = "", .rule = ""};
    const yaml_node_t *root = yaml_document_get_root_node(&document);
    if (root && root->type == YAML_MAPPING_NODE)
        status = merge_mapping(&layer, ws_conf_schema.mapping.fields, &top, 1, 1);
    else if (root && !is_nothing(root))
        status = fail_kind(&layer, root, &top, "a mapping of sections");
    yaml_document_delete(&document);
    return status;
}

/** Follow the key of an override ("distill.kd3.mix_alpha") and merge the document's root there. */
static enum ws_status merge_at_key(const struct layer *layer, const char *key, size_t key_len)
{
    const struct cyaml_schema_field *fields = ws_conf_schema.mapping.fields;
    struct ws_conf_place at = {.shown = "", .rule = ""};
    int into_id = 1;
    for (;;) {
        size_t len = strcspn(key, ".=");
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)(len < sizeof name ? len : sizeof name - 1), key);
        const struct cyaml_schema_field *field = ws_conf_field_find(fields, name);
        if (!field)
            return fail_unknown(layer, NULL, &at, fields, name);
        at = child_place(&at, name);
        if (len == key_len)
            return merge_field(layer, field, &at, 1, into_id);
        if (field->value.type != CYAML_MAPPING)
            return fail_at(layer, NULL, "\"%s\" is no section: expected \"=\" behind it, found \".\"", at.shown);
        const yaml_node_t *section =
            ws_conf_node_value(layer->into, yaml_document_get_node(layer->into, into_id), name);
        ws_assert(section != NULL); /* the reference, merged first, has every section */
        into_id = (int)(section - layer->into->nodes.start) + 1;
        fields = field->value.mapping.fields;
        key += len + 1;
        key_len -= len + 1;
    }
}

enum ws_status ws_conf_merge_override(yaml_document_t *merged, const char *override, struct ws_err *err)
{
    char label[160];
    snprintf(label, sizeof label, "-o %.120s%s", override, strlen(override) > 120 ? "…" : "");
    const char *equals = strchr(override, '=');
    if (!equals || equals == override)
        return ws_fail(err, WS_E_CONFIG, "%s: expected section.key=value", label);
    yaml_document_t document;
    struct layer layer = {.from = &document, .into = merged, .label = label, .err = err};
    enum ws_status status = parse(&layer, &document, equals + 1, strlen(equals + 1));
    if (status != WS_OK)
        return status;
    /* "-o eval.folder=" has no root: an empty text. */
    union {
        const char *in;
        yaml_char_t *out;
    } empty = {.in = ""};
    if (!yaml_document_get_root_node(&document) &&
        !yaml_document_add_scalar(&document, NULL, empty.out, 0, YAML_PLAIN_SCALAR_STYLE))
        status = fail_memory(&layer);
    else
        status = merge_at_key(&layer, override, (size_t)(equals - override));
    yaml_document_delete(&document);
    return status;
}
