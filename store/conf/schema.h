/**
 * The configuration's shape: libcyaml's schema of struct ws_config (key names, types, offsets, the words of each
 * enumeration) and beside it a table of units and ranges. Checking, loading and dumping all walk these two.
 */
#ifndef WEBSTILL_STORE_CONF_SCHEMA_H
#define WEBSTILL_STORE_CONF_SCHEMA_H

#include <cyaml/cyaml.h>
#include <stdbool.h>
#include <stddef.h>

/** What a value must satisfy beyond its type. */
struct ws_conf_rule {
    const char *key;  /**< "distill.kd3.mix_alpha"; entries of lists have their list's key */
    const char *unit; /**< "ms", "share"; NULL when `choices` says it all */
    double min, max;
    bool above_min, below_max;  /**< the bound itself is excluded */
    const char *const *choices; /**< accepted texts, NULL-terminated; or NULL */
};

/** The top: a pointer to struct ws_config. */
extern const struct cyaml_schema_value ws_conf_schema;

/** Ends with key NULL. Every key of type CYAML_UINT or CYAML_FLOAT stands here. */
extern const struct ws_conf_rule ws_conf_rules[];

/** The rule of a key, or NULL. */
const struct ws_conf_rule *ws_conf_rule_find(const char *key);

/** The range as mathematics writes it: "(0, 10]", "[1, 65536]". */
void ws_conf_rule_range(const struct ws_conf_rule *rule, char *text, size_t size_bytes);

/** True for a number inside the range. */
bool ws_conf_rule_admits(const struct ws_conf_rule *rule, double value);

/** The field of a mapping's schema with this key, or NULL. */
const struct cyaml_schema_field *ws_conf_field_find(const struct cyaml_schema_field *fields, const char *key);

#endif
