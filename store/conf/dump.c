/**
 * The canonical text of a configuration, from the same schema that loads it.
 *
 * libcyaml can save too, but writes numbers with six digits: two configurations that differ in the seventh would
 * have one hash.
 */
#include "webstill/base/text.h"
#include "webstill/conf/config.h"

#include "schema.h"
#include "value.h"

#include <inttypes.h>
#include <string.h>

enum { MAX_SECTIONS = 32 };

static uint64_t read_uint(const void *data, uint32_t size_bytes)
{
    uint8_t u8;
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
    switch (size_bytes) {
    case sizeof u8:
        memcpy(&u8, data, sizeof u8);
        return u8;
    case sizeof u16:
        memcpy(&u16, data, sizeof u16);
        return u16;
    case sizeof u32:
        memcpy(&u32, data, sizeof u32);
        return u32;
    default:
        ws_assert(size_bytes == sizeof u64);
        memcpy(&u64, data, sizeof u64);
        return u64;
    }
}

static const char *enum_word(const struct cyaml_schema_value *schema, uint64_t value)
{
    const char *word = NULL;
    for (uint32_t i = 0; i < schema->enumeration.count && !word; i++)
        if ((uint64_t)schema->enumeration.strings[i].val == value)
            word = schema->enumeration.strings[i].str;
    ws_assert(word != NULL); /* else the struct holds what no configuration can say */
    return word;
}

static bool dump_scalar(const struct cyaml_schema_value *schema, const char *data, struct ws_buf *out)
{
    double number;
    const char *text;
    switch (schema->type) {
    case CYAML_UINT:
        return ws_buf_addf(out, "%" PRIu64, read_uint(data, schema->data_size));
    case CYAML_BOOL:
        return ws_buf_add_str(out, read_uint(data, schema->data_size) ? "true" : "false");
    case CYAML_ENUM:
        return ws_buf_add_str(out, enum_word(schema, read_uint(data, schema->data_size)));
    case CYAML_FLOAT:
        memcpy(&number, data, sizeof number);
        return ws_conf_value_number(out, number);
    default:
        ws_assert(schema->type == CYAML_STRING);
        memcpy(&text, data, sizeof text);
        return ws_conf_value_quote(out, text);
    }
}

static bool dump_fields(const struct cyaml_schema_field *fields, const char *data, int indent, bool is_entry,
                        struct ws_buf *out);

/** A list: scalars in brackets on one line, mappings one below the other. */
static bool dump_list(const struct cyaml_schema_field *field, const char *owner, int indent, struct ws_buf *out)
{
    const struct cyaml_schema_value *entry = field->value.sequence.entry;
    const char *items;
    memcpy(&items, owner + field->data_offset, sizeof items);
    uint64_t n = read_uint(owner + field->count_offset, field->count_size);
    size_t stride = entry->type == CYAML_STRING ? sizeof(char *) : entry->data_size;
    if (entry->type == CYAML_MAPPING && n > 0) {
        bool ok = ws_buf_add_str(out, "\n");
        for (uint64_t i = 0; ok && i < n; i++)
            ok = dump_fields(entry->mapping.fields, items + i * stride, indent, true, out);
        return ok;
    }
    bool ok = ws_buf_add_str(out, " [");
    for (uint64_t i = 0; ok && i < n; i++)
        ok = ws_buf_add_str(out, i ? ", " : "") && dump_scalar(entry, items + i * stride, out);
    return ok && ws_buf_add_str(out, "]\n");
}

static bool dump_field(const struct cyaml_schema_field *field, const char *owner, int indent, struct ws_buf *out)
{
    if (!ws_buf_addf(out, "%s:", field->key))
        return false;
    switch (field->value.type) {
    case CYAML_MAPPING:
        return ws_buf_add_str(out, "\n") &&
               dump_fields(field->value.mapping.fields, owner + field->data_offset, indent + 2, false, out);
    case CYAML_SEQUENCE:
        return dump_list(field, owner, indent, out);
    default:
        return ws_buf_add_str(out, " ") && dump_scalar(&field->value, owner + field->data_offset, out) &&
               ws_buf_add_str(out, "\n");
    }
}

/** The keys of a mapping; the first one of a list's entry stands behind a dash. */
static bool dump_fields(const struct cyaml_schema_field *fields, const char *data, int indent, bool is_entry,
                        struct ws_buf *out)
{
    bool ok = true;
    int inner = is_entry ? indent + 2 : indent;
    for (const struct cyaml_schema_field *field = fields; ok && field->key; field++) {
        if (is_entry && field == fields)
            ok = ws_buf_addf(out, "%*s- ", indent, "");
        else
            ok = ws_buf_addf(out, "%*s", inner, "");
        ok = ok && dump_field(field, data, inner, out);
    }
    return ok;
}

static bool is_listed(const char *name, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(name, *list) == 0)
            return true;
    return false;
}

static enum ws_status check_sections(const char *const *sections, struct ws_err *err)
{
    const char *names[MAX_SECTIONS + 1];
    size_t n = 0;
    for (const struct cyaml_schema_field *field = ws_conf_schema.mapping.fields; field->key && n < MAX_SECTIONS;
         field++)
        names[n++] = field->key;
    names[n] = NULL;
    for (; *sections; sections++) {
        if (is_listed(*sections, names))
            continue;
        const char *nearest = ws_nearest_name(*sections, names);
        return ws_fail(err, WS_E_CONFIG, "unknown section \"%s\"%s%s%s", *sections, nearest ? "; did you mean \"" : "",
                       nearest ? nearest : "", nearest ? "\"?" : "");
    }
    return WS_OK;
}

enum ws_status ws_config_dump(const struct ws_config *config, const char *const *sections, struct ws_buf *out,
                              struct ws_err *err)
{
    if (sections) {
        enum ws_status status = check_sections(sections, err);
        if (status != WS_OK)
            return status;
    }
    for (const struct cyaml_schema_field *field = ws_conf_schema.mapping.fields; field->key; field++)
        if ((!sections || is_listed(field->key, sections)) && !dump_field(field, (const char *)config, 0, out))
            return ws_fail(err, WS_E_MEMORY, "out of memory while writing the configuration");
    return WS_OK;
}
