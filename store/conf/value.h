/** One scalar of the configuration: does its text fit its type and rule, and what is its canonical text. */
#ifndef WEBSTILL_STORE_CONF_VALUE_H
#define WEBSTILL_STORE_CONF_VALUE_H

#include "schema.h"

#include "webstill/base/buf.h"

#include <stdbool.h>
#include <stddef.h>

/** Where a value stands. */
struct ws_conf_place {
    char shown[168]; /**< "crawl.sources[2].kind", for messages */
    char rule[128];  /**< "crawl.sources.kind", for ws_conf_rule_find() */
};

enum { WS_CONF_PLAIN = 64 }; /**< room for the canonical text of a number or a word */

/** Why a value was refused. */
struct ws_conf_complaint {
    char expected[200]; /**< "a number in (0, 10]" */
    char advice[80];    /**< "; did you mean \"pad\"?", or empty */
};

/**
 * Check a text against its schema and rule.
 *
 * `plain` gets the canonical text of whole numbers, numbers, booleans and words; it is not touched for CYAML_STRING.
 * On false `complaint` says why. A number without a rule is a broken contract.
 */
bool ws_conf_value_check(const struct cyaml_schema_value *schema, const char *rule_key, const char *text,
                         char plain[WS_CONF_PLAIN], struct ws_conf_complaint *complaint);

/** Append a text as YAML: plain where every reader takes it for a text, else in double quotes. */
WS_MUST_USE bool ws_conf_value_quote(struct ws_buf *out, const char *text);

/** Append a number with the fewest digits that read back as the same double. */
WS_MUST_USE bool ws_conf_value_number(struct ws_buf *out, double value);

#endif
