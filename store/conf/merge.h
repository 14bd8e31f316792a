/**
 * One layer over another: YAML text is parsed, each key, type and range is checked against the schema, and what
 * passes is written into the merged document. Mappings merge key by key; lists and scalars replace.
 */
#ifndef WEBSTILL_STORE_CONF_MERGE_H
#define WEBSTILL_STORE_CONF_MERGE_H

#include "webstill/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <yaml.h>

/** Merge a file's text. `label` is the file's name as messages show it. WS_E_CONFIG, WS_E_MEMORY. */
WS_MUST_USE enum ws_status ws_conf_merge_text(yaml_document_t *merged, const char *label, const char *text, size_t len,
                                              struct ws_err *err);

/** Merge an override, "section.key=value" with a YAML value. WS_E_CONFIG, WS_E_MEMORY. */
WS_MUST_USE enum ws_status ws_conf_merge_override(yaml_document_t *merged, const char *override, struct ws_err *err);

/** The value of a key of a mapping, or NULL. Borrowed from the document until a node is added to it. */
yaml_node_t *ws_conf_node_value(yaml_document_t *document, const yaml_node_t *mapping, const char *key);

#endif
