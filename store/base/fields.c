#include "webstill/base/fields.h"

#include <stdint.h>
#include <string.h>

/* Members are copied, so that a record may be bytes of any type. */
static json_t *make_value(const struct ws_field *field, const char *at)
{
    bool flag;
    uint32_t small;
    int64_t number;
    double real;
    switch (field->type) {
    case WS_FIELD_BOOL:
        memcpy(&flag, at, sizeof flag);
        return json_boolean(flag);
    case WS_FIELD_U32:
        memcpy(&small, at, sizeof small);
        return json_integer(small);
    case WS_FIELD_I64:
    case WS_FIELD_U64:
        memcpy(&number, at, sizeof number);
        return field->type == WS_FIELD_U64 && number < 0 ? NULL : json_integer(number);
    case WS_FIELD_F64:
        memcpy(&real, at, sizeof real);
        return json_real(real);
    case WS_FIELD_TEXT:
        return json_string(at);
    }
    return NULL;
}

bool ws_fields_save(const struct ws_field *fields, const void *record, json_t *object)
{
    for (const struct ws_field *field = fields; field->name; field++)
        if (json_object_set_new(object, field->name, make_value(field, (const char *)record + field->offset)) != 0)
            return false;
    return true;
}

static bool take_integer(const struct ws_field *field, char *at, const json_t *value)
{
    const int64_t number = json_integer_value(value);
    if (!json_is_integer(value) || (field->type != WS_FIELD_I64 && number < 0) ||
        (field->type == WS_FIELD_U32 && number > UINT32_MAX))
        return false;
    const uint32_t small = (uint32_t)number;
    if (field->type == WS_FIELD_U32)
        memcpy(at, &small, sizeof small);
    else
        memcpy(at, &number, sizeof number);
    return true;
}

static bool take_value(const struct ws_field *field, char *at, const json_t *value)
{
    const bool flag = json_is_true(value);
    const double real = json_number_value(value);
    switch (field->type) {
    case WS_FIELD_BOOL:
        memcpy(at, &flag, sizeof flag);
        return json_is_boolean(value);
    case WS_FIELD_U32:
    case WS_FIELD_I64:
    case WS_FIELD_U64:
        return take_integer(field, at, value);
    case WS_FIELD_F64:
        memcpy(at, &real, sizeof real);
        return json_is_number(value);
    case WS_FIELD_TEXT:
        if (!json_is_string(value) || json_string_length(value) >= field->size_bytes)
            return false;
        memcpy(at, json_string_value(value), json_string_length(value) + 1);
        return true;
    }
    return false;
}

bool ws_fields_load(const struct ws_field *fields, void *record, const json_t *object)
{
    for (const struct ws_field *field = fields; field->name; field++) {
        const json_t *value = json_object_get(object, field->name);
        if (!value && field->is_optional)
            continue;
        if (!value || !take_value(field, (char *)record + field->offset, value))
            return false;
    }
    return true;
}
