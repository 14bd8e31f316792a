/**
 * One layer over another: YAML text is parsed, each key, type and range is checked against its row, and what passes is
 * written into the sections' structs. libyaml's node trees still know each value's line.
 */
#include "int.h"
#include "value.h"

#include "webstill/base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

/** The layer being merged. */
struct layer {
    struct ws_conf *conf;
    yaml_document_t *from;
    const char *label;
    bool has_lines;
    struct ws_err *err;
};

/** Where a value stands, for messages: "crawl.sources[2].kind"; without a list in it, a section's name. */
struct place {
    char shown[168];
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

static struct place child_place(const struct place *at, const char *key)
{
    struct place child;
    snprintf(child.shown, sizeof child.shown, "%.100s%s%.60s", at->shown, at->shown[0] ? "." : "", key);
    return child;
}

static struct place entry_place(const struct place *at, size_t i)
{
    struct place entry;
    snprintf(entry.shown, sizeof entry.shown, "%.100s[%zu]", at->shown, i);
    return entry;
}

static const yaml_node_t *node_of(const struct layer *layer, int id)
{
    return yaml_document_get_node(layer->from, id);
}

static const char *text_of(const yaml_node_t *scalar)
{
    return (const char *)scalar->data.scalar.value;
}

/** Nothing stands behind the key: "crawl:", "crawl: ~". */
static bool is_nothing(const yaml_node_t *node)
{
    if (node->type != YAML_SCALAR_NODE || node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    const char *text = text_of(node);
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
    const char *value = text_of(node);
    snprintf(text, size_bytes, "\"%.60s%s\"", value, strlen(value) > 60 ? "…" : "");
    return text;
}

static enum ws_status fail_kind(const struct layer *layer, const yaml_node_t *node, const struct place *at,
                                const char *expected)
{
    char found[80];
    return fail_at(layer, node, "%s: expected %s, found %s", at->shown[0] ? at->shown : "the configuration", expected,
                   describe(node, found, sizeof found));
}

/* --- unknown keys --- */

/** The names that may stand in a section: its keys, the sections in it, at the top other programs' too. */
static size_t list_names(const struct ws_conf_schema *schema, const struct ws_conf_section *section,
                         const char *names[WS_CONF_NAMES + 1])
{
    size_t n = 0;
    struct ws_conf_visit row;
    for (size_t i = 0; n < WS_CONF_NAMES && ws_conf_row(section, i, &row); i++)
        names[n++] = row.key->name;
    for (size_t i = 0; n < WS_CONF_NAMES && schema->sections[i]; i++) {
        const char *child = ws_conf_child(schema->sections[i], section->name);
        if (child)
            names[n++] = child;
    }
    for (size_t i = 0; section->name[0] == '\0' && n < WS_CONF_NAMES && schema->others && schema->others[i]; i++)
        names[n++] = schema->others[i];
    names[n] = NULL;
    return n;
}

/** The top section that has a key of this name, or NULL: most "unknown" keys stand in the wrong section. */
static const char *section_with(const struct ws_conf_schema *schema, const char *key)
{
    const char *names[WS_CONF_NAMES + 1];
    for (size_t i = 0; schema->sections[i]; i++) {
        if (!ws_conf_child(schema->sections[i], ""))
            continue;
        for (size_t n = list_names(schema, schema->sections[i], names); n > 0; n--)
            if (strcmp(names[n - 1], key) == 0)
                return schema->sections[i]->name;
    }
    return NULL;
}

/** `section` is that of the record in a list, too. */
static enum ws_status fail_unknown(const struct layer *layer, const yaml_node_t *node, const struct place *at,
                                   const struct ws_conf_section *section, const char *key)
{
    const char *names[WS_CONF_NAMES + 1];
    list_names(layer->conf->schema, section, names);
    const char *nearest = ws_nearest_name(key, names);
    const char *other = nearest ? NULL : section_with(layer->conf->schema, key);
    char where[200] = "", advice[160] = "";
    if (at->shown[0])
        snprintf(where, sizeof where, " in section \"%s\"", at->shown);
    if (nearest)
        snprintf(advice, sizeof advice, "; did you mean \"%s\"?", nearest);
    else if (other)
        snprintf(advice, sizeof advice, "; did you mean \"%s.%.60s\"?", other, key);
    enum ws_status status = at->shown[0] ? fail_at(layer, node, "unknown key \"%.60s\"%s%s", key, where, advice)
                                         : fail_at(layer, node, "unknown section \"%.60s\"%s%s", key, where, advice);
    ws_err_hint(layer->err, "configs/reference.yaml documents every key");
    return status;
}

/** libyaml lets a key stand twice; the first one would silently lose. */
static enum ws_status check_first(const struct layer *layer, const yaml_node_t *mapping, const yaml_node_pair_t *pair,
                                  const struct place *at)
{
    const yaml_node_t *key = node_of(layer, pair->key);
    for (const yaml_node_pair_t *earlier = mapping->data.mapping.pairs.start; earlier < pair; earlier++) {
        const yaml_node_t *other = node_of(layer, earlier->key);
        if (strcmp(text_of(other), text_of(key)) != 0)
            continue;
        char where[200] = "";
        if (at->shown[0])
            snprintf(where, sizeof where, " in section \"%s\"", at->shown);
        return fail_at(layer, key, "the key \"%.60s\" stands twice%s; first on line %zu", text_of(key), where,
                       other->start_mark.line + 1);
    }
    return WS_OK;
}

/* --- values --- */

static enum ws_status bind_key(const struct layer *layer, void *base, const struct ws_conf_visit *row,
                               const struct place *at, int id);

static enum ws_status set_text(const struct layer *layer, char *to, const char *text)
{
    char *copy = ws_arena_strdup(&layer->conf->arena, text);
    if (!copy)
        return fail_memory(layer);
    memcpy(to, &copy, sizeof copy);
    return WS_OK;
}

static enum ws_status bind_scalar(const struct layer *layer, const struct ws_conf_key *key, char *to,
                                  const struct place *at, const yaml_node_t *node)
{
    if (node->type != YAML_SCALAR_NODE)
        return fail_kind(layer, node, at, key->type == WS_CONF_TYPE_TEXT ? "text" : "one value");
    const char *text = text_of(node);
    if (strlen(text) != node->data.scalar.length)
        return fail_at(layer, node, "%s: expected text without a NUL character", at->shown);
    if (is_nothing(node))
        text = "";
    if (key->type == WS_CONF_TYPE_TEXT)
        return set_text(layer, to, text);
    union ws_conf_scalar value;
    struct ws_conf_complaint complaint;
    char found[80];
    if (!ws_conf_value_read(key, text, &value, &complaint))
        return fail_at(layer, node, "%s: expected %s, found %s%s", at->shown, complaint.expected,
                       describe(node, found, sizeof found), complaint.advice);
    memcpy(to, &value, ws_conf_value_bytes(key));
    return WS_OK;
}

/** The keys of a record that were not given get their default, or are missed. */
static enum ws_status complete_entry(const struct layer *layer, const struct ws_conf_section *record, char *base,
                                     const struct place *at, const yaml_node_t *node)
{
    struct ws_conf_visit row;
    for (size_t i = 0; ws_conf_row(record, i, &row); i++) {
        bool is_given = node->type == YAML_SCALAR_NODE && i == 0;
        if (node->type == YAML_MAPPING_NODE)
            for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top;
                 pair++)
                is_given = is_given || strcmp(text_of(node_of(layer, pair->key)), row.key->name) == 0;
        if (is_given)
            continue;
        if (!row.key->fallback)
            return fail_at(layer, node, "%s: the key \"%s\" is missing", at->shown, row.key->name);
        enum ws_status status = ws_conf_set_default(layer->conf, base, &row, layer->err);
        if (status != WS_OK)
            return status;
    }
    return WS_OK;
}

static enum ws_status bind_record(const struct layer *layer, const struct ws_conf_section *record, char *base,
                                  const struct place *at, const yaml_node_t *mapping)
{
    for (const yaml_node_pair_t *pair = mapping->data.mapping.pairs.start; pair < mapping->data.mapping.pairs.top;
         pair++) {
        const yaml_node_t *key = node_of(layer, pair->key);
        struct ws_conf_visit row;
        if (key->type != YAML_SCALAR_NODE)
            return fail_kind(layer, key, at, "a key");
        if (!ws_conf_row_find(record, text_of(key), &row))
            return fail_unknown(layer, key, at, record, text_of(key));
        const struct place child = child_place(at, row.key->name);
        enum ws_status status = check_first(layer, mapping, pair, at);
        if (status == WS_OK)
            status = bind_key(layer, base, &row, &child, pair->value);
        if (status != WS_OK)
            return status;
    }
    return WS_OK;
}

/** One entry of a list of records. A lone text stands for the first key when that is a text: "- coat" is {name: coat}.
 */
static enum ws_status bind_entry(const struct layer *layer, const struct ws_conf_section *record, char *base,
                                 const struct place *at, const yaml_node_t *node)
{
    enum ws_status status;
    struct ws_conf_visit first;
    if (node->type == YAML_SCALAR_NODE && !is_nothing(node) && ws_conf_row(record, 0, &first) &&
        first.key->type == WS_CONF_TYPE_TEXT) {
        const struct place child = child_place(at, first.key->name);
        status = bind_scalar(layer, first.key, base + first.offset, &child, node);
    } else if (node->type == YAML_MAPPING_NODE) {
        status = bind_record(layer, record, base, at, node);
    } else {
        status = fail_kind(layer, node, at, "a mapping");
    }
    return status == WS_OK ? complete_entry(layer, record, base, at, node) : status;
}

static enum ws_status bind_list(const struct layer *layer, char *base, const struct ws_conf_visit *row,
                                const struct place *at, const yaml_node_t *node)
{
    const struct ws_conf_key *key = row->key;
    if (node->type != YAML_SEQUENCE_NODE)
        return fail_kind(layer, node, at, "a list ([] for an empty one)");
    const unsigned n = (unsigned)(node->data.sequence.items.top - node->data.sequence.items.start);
    if (key->n_max > 0 && n > key->n_max)
        return fail_at(layer, node, "%s: expected at most %u entries, found %u", at->shown, key->n_max, n);
    memcpy(base + row->n_offset, &n, sizeof n);
    if (key->type == WS_CONF_TYPE_COUNT)
        return WS_OK;
    const size_t stride = ws_conf_value_bytes(key);
    char *items = ws_arena_alloc(&layer->conf->arena, n + 1, stride);
    if (!items)
        return fail_memory(layer);
    enum ws_status status = WS_OK;
    for (unsigned i = 0; status == WS_OK && i < n; i++) {
        const struct place entry = entry_place(at, i);
        const yaml_node_t *item = node_of(layer, node->data.sequence.items.start[i]);
        status = key->type == WS_CONF_TYPE_RECORD ? bind_entry(layer, key->record, items + i * stride, &entry, item)
                                                  : bind_scalar(layer, key, items + i * stride, &entry, item);
    }
    memcpy(base + row->offset, &items, sizeof items);
    return status;
}

static enum ws_status bind_key(const struct layer *layer, void *base, const struct ws_conf_visit *row,
                               const struct place *at, int id)
{
    struct ws_conf *conf = layer->conf;
    if (row->key->must && conf->n_given < WS_CONF_GIVEN)
        conf->given[conf->n_given++] = row->key;
    if (row->key->is_list)
        return bind_list(layer, base, row, at, node_of(layer, id));
    return bind_scalar(layer, row->key, (char *)base + row->offset, at, node_of(layer, id));
}

/* --- sections --- */

/** What a name in a section stands for. */
enum meaning { KEY, SECTION, SKIPPED, UNKNOWN };

/** `row` is filled in for a key, `index` for a section. */
static enum meaning find_name(const struct layer *layer, int section, const char *name, struct ws_conf_visit *row,
                              int *index)
{
    const struct ws_conf_schema *schema = layer->conf->schema;
    const struct ws_conf_section *in = schema->sections[section];
    if (ws_conf_row_find(in, name, row))
        return KEY;
    for (*index = 0; schema->sections[*index]; ++*index) {
        const char *child = ws_conf_child(schema->sections[*index], in->name);
        if (child && strcmp(child, name) == 0)
            return SECTION;
    }
    for (size_t i = 0; in->name[0] == '\0' && schema->others && schema->others[i]; i++)
        if (strcmp(schema->others[i], name) == 0)
            return SKIPPED;
    return in->is_part ? SKIPPED : UNKNOWN;
}

static enum ws_status bind_section(const struct layer *layer, int section, const struct place *at, int id);

static enum ws_status bind_name(const struct layer *layer, int section, const struct place *at, const char *name,
                                const yaml_node_t *node, int id)
{
    struct ws_conf_visit row;
    int index;
    const struct place child = child_place(at, name);
    switch (find_name(layer, section, name, &row, &index)) {
    case KEY:
        return bind_key(layer, layer->conf->keys[section], &row, &child, id);
    case SECTION:
        return bind_section(layer, index, &child, id);
    case SKIPPED:
        return WS_OK;
    default:
        return fail_unknown(layer, node, at, layer->conf->schema->sections[section], name);
    }
}

static enum ws_status bind_section(const struct layer *layer, int section, const struct place *at, int id)
{
    const yaml_node_t *mapping = node_of(layer, id);
    if (is_nothing(mapping)) /* all its keys are commented out */
        return WS_OK;
    if (mapping->type != YAML_MAPPING_NODE)
        return fail_kind(layer, mapping, at, at->shown[0] ? "a mapping of keys to values" : "a mapping of sections");
    for (const yaml_node_pair_t *pair = mapping->data.mapping.pairs.start; pair < mapping->data.mapping.pairs.top;
         pair++) {
        const yaml_node_t *key = node_of(layer, pair->key);
        if (key->type != YAML_SCALAR_NODE)
            return fail_kind(layer, key, at, "a key");
        enum ws_status status = check_first(layer, mapping, pair, at);
        if (status == WS_OK)
            status = bind_name(layer, section, at, text_of(key), key, pair->value);
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

/** The section "", which is registered or has no keys. */
static int find_top(const struct ws_conf *conf)
{
    const int top = ws_conf_find(conf->schema, "");
    ws_assert(top >= 0);
    return top;
}

enum ws_status ws_conf_merge_text(struct ws_conf *conf, const char *label, const char *text, size_t len,
                                  struct ws_err *err)
{
    yaml_document_t document;
    struct layer layer = {.conf = conf, .from = &document, .label = label, .has_lines = true, .err = err};
    enum ws_status status = parse(&layer, &document, text, len);
    if (status != WS_OK)
        return status;
    if (yaml_document_get_root_node(&document))
        status = bind_section(&layer, find_top(conf), &(struct place){""}, 1);
    yaml_document_delete(&document);
    return status;
}

/** Follow the key of an override ("distill.kd3.mix_alpha") and bind the document's root there. */
static enum ws_status bind_at_key(const struct layer *layer, const char *key, size_t key_len)
{
    int section = find_top(layer->conf);
    struct place at = {""};
    for (;;) {
        const size_t len = strcspn(key, ".=");
        char name[64];
        struct ws_conf_visit row;
        int index;
        snprintf(name, sizeof name, "%.*s", (int)(len < sizeof name ? len : sizeof name - 1), key);
        if (len == key_len)
            return bind_name(layer, section, &at, name, NULL, 1);
        switch (find_name(layer, section, name, &row, &index)) {
        case SECTION:
            break;
        case SKIPPED:
            return WS_OK;
        case KEY:
            at = child_place(&at, name);
            return fail_at(layer, NULL, "\"%s\" is no section: expected \"=\" behind it, found \".\"", at.shown);
        default:
            return fail_unknown(layer, NULL, &at, layer->conf->schema->sections[section], name);
        }
        at = child_place(&at, name);
        section = index;
        key += len + 1;
        key_len -= len + 1;
    }
}

/** A document that is empty has no root: "-o eval.folder=" sets an empty text. */
static bool complete_root(yaml_document_t *document)
{
    union {
        const char *in;
        yaml_char_t *out;
    } empty = {.in = ""}; /* libyaml copies the text, and its prototype only forgot the const */
    return yaml_document_get_root_node(document) ||
           yaml_document_add_scalar(document, NULL, empty.out, 0, YAML_PLAIN_SCALAR_STYLE);
}

enum ws_status ws_conf_merge_override(struct ws_conf *conf, const char *override, struct ws_err *err)
{
    char label[160];
    snprintf(label, sizeof label, "-o %.120s%s", override, strlen(override) > 120 ? "…" : "");
    const char *equals = strchr(override, '=');
    if (!equals || equals == override)
        return ws_fail(err, WS_E_CONFIG, "%s: expected section.key=value", label);
    yaml_document_t document;
    struct layer layer = {.conf = conf, .from = &document, .label = label, .err = err};
    enum ws_status status = parse(&layer, &document, equals + 1, strlen(equals + 1));
    if (status != WS_OK)
        return status;
    status =
        complete_root(&document) ? bind_at_key(&layer, override, (size_t)(equals - override)) : fail_memory(&layer);
    yaml_document_delete(&document);
    return status;
}

/** A row whose default does not fit it is a broken contract; each program opens all of its rows. */
enum ws_status ws_conf_set_default(struct ws_conf *conf, void *base, const struct ws_conf_visit *row,
                                   struct ws_err *err)
{
    const struct ws_conf_key *key = row->key;
    yaml_document_t document;
    struct layer layer = {.conf = conf, .from = &document, .label = key->name, .err = err};
    union ws_conf_scalar value;
    struct ws_conf_complaint complaint;
    char *to = (char *)base + row->offset;
    if (key->type == WS_CONF_TYPE_COUNT)
        return WS_OK;
    ws_assert(key->fallback != NULL);
    if (!key->is_list && key->type == WS_CONF_TYPE_TEXT)
        return set_text(&layer, to, key->fallback);
    if (!key->is_list) {
        const bool is_fit = ws_conf_value_read(key, key->fallback, &value, &complaint);
        ws_assert(is_fit);
        memcpy(to, &value, ws_conf_value_bytes(key));
        return WS_OK;
    }
    struct place at = {""};
    enum ws_status status = parse(&layer, &document, key->fallback, strlen(key->fallback));
    if (status == WS_OK) {
        status = bind_list(&layer, base, row, &at, node_of(&layer, 1));
        yaml_document_delete(&document);
    }
    ws_assert(status == WS_OK || status == WS_E_MEMORY);
    return status;
}
