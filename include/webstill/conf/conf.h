/**
 * The configuration's engine: defaults, then a YAML file, then `-o section.key=value`, checked key by key and bound
 * into the structs of the sections that a program registers (section.h). It knows no section.
 *
 * An unknown key or a value out of range is WS_E_CONFIG with file, line and the nearest known name. Mappings merge key
 * by key; lists and single values replace. The sections of other programs, named in `others`, are skipped.
 */
#ifndef WEBSTILL_CONF_CONF_H
#define WEBSTILL_CONF_CONF_H

#include "webstill/base/buf.h"
#include "webstill/base/err.h"
#include "webstill/conf/section.h"

/** What a program reads. */
struct ws_conf_schema {
    const struct ws_conf_section *const *sections; /**< in the order of the reference, parents first; ends with NULL */
    const char *const *others;                     /**< names at the top that other programs read, or NULL */
    const struct ws_conf_listing *listings;        /**< of keys of these sections, or NULL */
};

struct ws_conf;

/** Everything at its default. `schema` is borrowed. WS_E_MEMORY. Close with ws_conf_close(). */
WS_MUST_USE enum ws_status ws_conf_open(struct ws_conf **out, const struct ws_conf_schema *schema, struct ws_err *err);
void ws_conf_close(struct ws_conf **conf);

/** Merge a file's text. `label` is the file's name as messages show it. WS_E_CONFIG, WS_E_MEMORY. */
WS_MUST_USE enum ws_status ws_conf_merge_text(struct ws_conf *conf, const char *label, const char *text, size_t len,
                                              struct ws_err *err);
/** Merge an override, "section.key=value" with a YAML value. WS_E_CONFIG, WS_E_MEMORY. */
WS_MUST_USE enum ws_status ws_conf_merge_override(struct ws_conf *conf, const char *override, struct ws_err *err);
/** Was every key given that has to be, and do the keys of each section agree? WS_E_CONFIG. */
WS_MUST_USE enum ws_status ws_conf_check(const struct ws_conf *conf, struct ws_err *err);

/**
 * The struct of a section. A part that is not itself registered is found in the section of its name that embeds it.
 * Asking for a section that the program did not register is a broken contract.
 */
const void *ws_conf_get(const struct ws_conf *conf, const struct ws_conf_section *section);
/** The same, to be changed. Texts and lists put there are borrowed. */
void *ws_conf_edit(struct ws_conf *conf, const struct ws_conf_section *section);

/** True when the whole of a section (not a part) of this name is registered. */
bool ws_conf_has(const struct ws_conf *conf, const char *name);

/** True when all that a name of ws_conf_print() says is registered here: of a part, its single keys. */
bool ws_conf_knows(const struct ws_conf *conf, const char *name);

/**
 * Append the values as YAML, in the order of the schema: of the names listed ("crawl": a section with the sections in
 * it; "crawl.*": without them; "crawl.retries": one key), less those with a minus ("-crawl.retries"); all when `names`
 * is NULL. Equal
 * values give equal bytes, and the bytes of everything load again to the same values. WS_E_MEMORY.
 */
WS_MUST_USE enum ws_status ws_conf_print(const struct ws_conf *conf, const char *const *names, struct ws_buf *out,
                                         struct ws_err *err);

/** Append one section (and those in it) as the reference has it: each key with its default, sentence, unit and range.
 */
WS_MUST_USE bool ws_conf_print_reference(const struct ws_conf *conf, const char *name, struct ws_buf *out);

/**
 * True when each key that the printed text `part` has stands in the printed text `whole` with the same value; `whole`
 * may have more. So what was made under `whole` by who read more holds for who reads `part`.
 */
bool ws_conf_covers(const char *whole, const char *part);

/**
 * The last name of a section that lies directly in `parent` ("kd3" of "distill.kd3" in "distill"; "crawl" of "crawl" in
 * ""), else NULL.
 */
const char *ws_conf_child(const struct ws_conf_section *section, const char *parent);

/** Visit the rows of a section in order, groups opened: `offset` is the key's member in the section's struct. */
struct ws_conf_visit {
    const struct ws_conf_key *key;
    size_t offset, n_offset;
};
/** The i-th row; false behind the last. */
bool ws_conf_row(const struct ws_conf_section *section, size_t i, struct ws_conf_visit *row);

#endif
