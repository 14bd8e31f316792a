/**
 * What a configuration is made of: rows. A key is a row that stands once, in the file of whoever reads it, beside the
 * struct that it fills; a section is those rows under a name. The engine (conf.h) checks, binds and prints by the rows
 * and knows none of them, and configs/reference.yaml is printed from them.
 *
 *   struct ws_score_keys {
 *       uint32_t batch;
 *   };
 *   static const struct ws_conf_key score_keys[] = {
 *       {WS_CONF_UINT(struct ws_score_keys, batch), .unit = "images", .min = 1, .max = 65536, .fallback = "256",
 *        .help = "Images per forward pass."},
 *       {.name = NULL},
 *   };
 *   const struct ws_conf_section ws_score_section = {
 *       .name = "score", .title = "store and one model -> scores", WS_CONF_KEYS(struct ws_score_keys, score_keys)};
 */
#ifndef WEBSTILL_CONF_SECTION_H
#define WEBSTILL_CONF_SECTION_H

#include "webstill/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ws_conf_type {
    WS_CONF_TYPE_UINT,   /**< uint32_t; a row of this type has a range */
    WS_CONF_TYPE_ULONG,  /**< uint64_t; likewise */
    WS_CONF_TYPE_NUMBER, /**< double; likewise */
    WS_CONF_TYPE_BOOL,
    WS_CONF_TYPE_WORD,   /**< an enumeration (or uint32_t) by its words */
    WS_CONF_TYPE_TEXT,   /**< char *, never NULL */
    WS_CONF_TYPE_RECORD, /**< lists alone: a struct with keys of its own */
    WS_CONF_TYPE_COUNT,  /**< lists alone: a list that another program reads; only its length is kept */
    WS_CONF_TYPE_GROUP,  /**< no key: the keys of an embedded struct, which stand in the section itself */
};

/** A word of an enumeration; an array of them ends with word NULL. */
struct ws_conf_word {
    const char *word;
    unsigned value;
};

enum { WS_CONF_ABOVE = 1, WS_CONF_BELOW = 2 }; /**< excluded bounds: (min, max) */

/** A row. Arrays of rows end with a NULL name. */
struct ws_conf_key {
    const char *name;
    enum ws_conf_type type;
    bool is_list;            /**< the member is a pointer to owned elements */
    size_t offset, n_offset; /**< of the member, and of the unsigned that counts a list */

    bool is_late; /**< younger than finished work: a section printed in part leaves it out while it has its default */
    const char *fallback; /**< the default, as YAML; NULL in a record: the key must be given */
    const char *unit;     /**< "ms", "share"; NULL where the type says it all */
    double min, max;      /**< whole numbers stay below 2^53, where double and JSON are exact */
    unsigned excluded;    /**< WS_CONF_ABOVE | WS_CONF_BELOW */
    unsigned n_max;       /**< most elements of a list; 0 = any number */
    const struct ws_conf_word *words;
    const struct ws_conf_section *record; /**< of a list's entries; the keys of a group */
    const char *must;                     /**< not NULL: the user has to give this key; the hint that says so */

    const char *above; /**< a paragraph that begins a group of keys in the reference, or NULL */
    const char *help;  /**< sentences; "\n" ends a line, one that begins with two spaces is kept as it is. NULL: the
                            key belongs to the one before it */
};

/**
 * Keys under one name. A nested section has its parent's name before its own ("distill.kd3") and is listed behind it.
 *
 * Of a section that another program owns, a program may register a part: a row with `is_part`, whose unlisted keys and
 * nested sections are skipped. The owner's section embeds that part as a group, so that each key still stands once.
 */
struct ws_conf_section {
    const char *name; /**< "crawl", "distill.kd3"; "" = the top */
    size_t size_bytes;
    const struct ws_conf_key *keys;
    bool is_part;
    const char *title; /**< one line of the reference */
    const char *intro; /**< a paragraph below the title, or NULL */
    /** Keys checked together; `keys` is the section's struct. WS_E_CONFIG. NULL: nothing to check. */
    enum ws_status (*check)(const void *keys, const char *name, struct ws_err *err);
};

/**
 * The rows of a table whose names are a key's values: the reference lists them below the key's sentences, so that what
 * a row is stands in the row alone. An array ends with key NULL.
 */
struct ws_conf_listing {
    const char *key; /**< "distill.methods" */
    /** The i-th row's name and sentence (NULL: it speaks for itself); false behind the last. When the first row has no
     * sentence, the names stand one behind the other. */
    bool (*row)(size_t i, const char **name, const char **sentence);
};

/** The offset of a member that must have the type `type`; anything else does not compile. */
#define WS_CONF_OFFSET(owner, member, type)                                                                            \
    (offsetof(owner, member) + 0 * sizeof(&((owner *)NULL)->member == (type *)NULL))

#define WS_CONF_MEMBER(key_, type_, owner, member, c_type)                                                             \
    .name = (key_), .type = (type_), .offset = WS_CONF_OFFSET(owner, member, c_type)
#define WS_CONF_MEMBERS(key_, type_, owner, member, c_type)                                                            \
    .name = (key_), .type = (type_), .is_list = true, .offset = WS_CONF_OFFSET(owner, member, c_type *),               \
    .n_offset = WS_CONF_OFFSET(owner, n_##member, unsigned)

/* A key that is named like its member. */
#define WS_CONF_UINT(owner, member) WS_CONF_MEMBER(#member, WS_CONF_TYPE_UINT, owner, member, uint32_t)
#define WS_CONF_ULONG(owner, member) WS_CONF_MEMBER(#member, WS_CONF_TYPE_ULONG, owner, member, uint64_t)
#define WS_CONF_NUMBER(owner, member) WS_CONF_MEMBER(#member, WS_CONF_TYPE_NUMBER, owner, member, double)
#define WS_CONF_BOOL(owner, member) WS_CONF_MEMBER(#member, WS_CONF_TYPE_BOOL, owner, member, bool)
#define WS_CONF_TEXT(owner, member) WS_CONF_MEMBER(#member, WS_CONF_TYPE_TEXT, owner, member, char *)
#define WS_CONF_TEXTS(owner, member) WS_CONF_MEMBERS(#member, WS_CONF_TYPE_TEXT, owner, member, char *)
#define WS_CONF_NUMBERS(owner, member) WS_CONF_MEMBERS(#member, WS_CONF_TYPE_NUMBER, owner, member, double)
#define WS_CONF_WORD(owner, member, c_type, words_)                                                                    \
    WS_CONF_MEMBER(#member, WS_CONF_TYPE_WORD, owner, member, c_type), .words = (words_)
#define WS_CONF_RECORDS(owner, member, c_type, section)                                                                \
    WS_CONF_MEMBERS(#member, WS_CONF_TYPE_RECORD, owner, member, c_type), .record = (section)
#define WS_CONF_COUNT(owner, key, member)                                                                              \
    .name = #key, .type = WS_CONF_TYPE_COUNT, .is_list = true, .n_offset = WS_CONF_OFFSET(owner, member, unsigned)
/** The keys of the embedded struct `member`. */
#define WS_CONF_GROUP(owner, member, c_type, section)                                                                  \
    WS_CONF_MEMBER("", WS_CONF_TYPE_GROUP, owner, member, c_type), .record = (section)

#define WS_CONF_KEYS(c_type, keys_) .size_bytes = sizeof(c_type), .keys = (keys_)

#endif
