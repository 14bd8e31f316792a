/**
 * A struct kept as the members of a JSON object, by a table of its fields.
 *
 *     static const struct ws_field fields[] = {
 *         WS_FIELD(struct place, n_tries, "tries", WS_FIELD_U32),
 *         WS_FIELD_END,
 *     };
 */
#ifndef WEBSTILL_BASE_FIELDS_H
#define WEBSTILL_BASE_FIELDS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum ws_field_type {
    WS_FIELD_BOOL, /**< bool */
    WS_FIELD_U32,  /**< uint32_t */
    WS_FIELD_I64,  /**< int64_t */
    WS_FIELD_U64,  /**< uint64_t of at most INT64_MAX */
    WS_FIELD_F64,  /**< double, finite */
    WS_FIELD_TEXT, /**< char[] */
};

/** One member: its name in JSON, and where it lies in the struct. */
struct ws_field {
    const char *name;
    size_t offset, size_bytes;
    enum ws_field_type type;
    bool is_optional; /**< one that is missing leaves what is there */
};

#define WS_FIELD(record, member, json_name, field_type)                                                                \
    {                                                                                                                  \
        .name = (json_name), .offset = offsetof(record, member), .size_bytes = sizeof(((record *)0)->member),          \
        .type = (field_type)                                                                                           \
    }
#define WS_FIELD_OPTIONAL(record, member, json_name, field_type)                                                       \
    {                                                                                                                  \
        .name = (json_name), .offset = offsetof(record, member), .size_bytes = sizeof(((record *)0)->member),          \
        .type = (field_type), .is_optional = true                                                                      \
    }
#define WS_FIELD_END                                                                                                   \
    {                                                                                                                  \
        .name = NULL                                                                                                   \
    }

/** Set a member for each field, in the table's order. False when out of memory or for a number that JSON has not. */
bool ws_fields_save(const struct ws_field *fields, const void *record, json_t *object);

/** Read them back. False for a member that is missing, of another type, out of its type's range or too long. */
bool ws_fields_load(const struct ws_field *fields, void *record, const json_t *object);

#endif
