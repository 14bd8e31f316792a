/** One value of the configuration: does its text fit its row, and what is its canonical text. */
#ifndef WEBSTILL_STORE_CONF_VALUE_H
#define WEBSTILL_STORE_CONF_VALUE_H

#include "webstill/base/buf.h"
#include "webstill/conf/section.h"

#include <stdbool.h>
#include <stddef.h>

/** Why a value was refused. */
struct ws_conf_complaint {
    char expected[200]; /**< "a number in (0, 10]" */
    char advice[80];    /**< "; did you mean \"pad\"?", or empty */
};

/** What a text means. */
union ws_conf_scalar {
    uint32_t u32;
    uint64_t u64;
    double number;
    bool flag;
    unsigned word;
};

/** Read a text by its row (not a text's, whose text is its value). On false `complaint` says why. */
bool ws_conf_value_read(const struct ws_conf_key *key, const char *text, union ws_conf_scalar *value,
                        struct ws_conf_complaint *complaint);

/** Bytes of a value of the row's type in its struct. */
size_t ws_conf_value_bytes(const struct ws_conf_key *key);

/** Append the value at `data` as YAML. */
WS_MUST_USE bool ws_conf_value_print(const struct ws_conf_key *key, const void *data, struct ws_buf *out);

/** Append a text as YAML: plain where every reader takes it for a text, else in double quotes. */
WS_MUST_USE bool ws_conf_value_quote(struct ws_buf *out, const char *text);

/** The range as mathematics writes it: "(0, 10]", "[1, 65536]"; "1 or 3" of words. */
void ws_conf_value_range(const struct ws_conf_key *key, char *text, size_t size_bytes);

#endif
