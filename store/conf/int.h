/** What the engine's files share: a loaded configuration, and looking things up in its rows. */
#ifndef WEBSTILL_STORE_CONF_INT_H
#define WEBSTILL_STORE_CONF_INT_H

#include "webstill/base/mem.h"
#include "webstill/conf/conf.h"

enum { WS_CONF_SECTIONS = 64, WS_CONF_GIVEN = 8, WS_CONF_NAMES = 128 };

struct ws_conf {
    const struct ws_conf_schema *schema;
    void *keys[WS_CONF_SECTIONS];                   /**< in the arena: the struct of each section */
    const struct ws_conf_key *given[WS_CONF_GIVEN]; /**< of the keys that must be: those that were */
    size_t n_given;
    struct ws_arena arena;
};

/** The index of the section of this name, or -1. */
int ws_conf_find(const struct ws_conf_schema *schema, const char *name);

/** The row of this name, or false. */
bool ws_conf_row_find(const struct ws_conf_section *section, const char *name, struct ws_conf_visit *row);

/** Fill in the default of a key. WS_E_MEMORY. */
WS_MUST_USE enum ws_status ws_conf_set_default(struct ws_conf *conf, void *base, const struct ws_conf_visit *row,
                                               struct ws_err *err);

#endif
