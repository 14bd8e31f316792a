/**
 * Kinds of places to look for pictures: a row a kind. A new kind is one file and one line in list.h.
 *
 * A source reads answers and nothing else: it is handed a visit, keeps its state in the visit's cursor, names the next
 * request there, and hands on what it finds. It neither fetches nor queues, and knows no job; so it lies below them.
 *
 * What a search has admitted depends on the answers alone, never on timing: its requests follow one another, and
 * searches of a group run one after another, in order of sources, classes and queries.
 */
#ifndef WEBSTILL_CRAWLER_SOURCE_SOURCE_H
#define WEBSTILL_CRAWLER_SOURCE_SOURCE_H

#include "books/cursor.h"
#include "books/walk.h"
#include "net/fetch.h"
#include "net/url.h"

#include "keys.h"

struct ws_crawl; /* what the jobs share (job/crawl.h): handed back with each find, never looked into */
struct ws_group; /* job/agenda.h */

/** One search or one page walk: a chain of requests of which one is under way at any time. */
struct ws_search {
    struct ws_image_id id;
    const struct ws_source_ops *ops;
    const struct ws_source_keys *source; /**< borrowed */
    const char *source_name;             /**< borrowed, or owned when `is_name_owned` */
    bool is_name_owned;
    const char *class_name, *query; /**< borrowed; NULL for a search over all classes */
    struct ws_group *group;         /**< borrowed: of those that run one after another; NULL when it runs alone */
};

/** A picture as a source found it; NULL texts are unknown. */
struct ws_sighting {
    const struct ws_url *url;
    const char *page, *alt, *title, *query, *class_name, *source;
    const char *licence, *licence_url, *author, *attribution;
};

/** A search at work: all that its source may know and touch. */
struct ws_visit {
    const struct ws_search *search; /**< borrowed, as all here */
    const struct ws_config *config; /**< the classes, and the source's keys */
    const char *token;              /**< of our User-Agent: pages may speak to us by it */
    struct ws_cursor *cursor;
    struct ws_walk walk;
    /** Take a picture into the frontier, or add the sighting to a known one. WS_DONE when that was known, too. */
    enum ws_status (*admit)(struct ws_crawl *crawl, const struct ws_sighting *sighting, struct ws_err *err);
    struct ws_crawl *crawl; /**< for admit() */
};

/** A verb that is NULL is what most do: its comment says what. */
struct ws_source_ops {
    const char *name;
    const char *summary;                   /**< what its url is, and what is asked of it: a line of the reference */
    const struct ws_conf_section *section; /**< "crawl.NAME", its own keys (webstill/conf/section.h); NULL: none */
    const char *accept;                    /**< the Accept field of its requests */
    const struct ws_field *own_fields;     /**< of its own part of the cursor; NULL when it has none */
    bool is_api;     /**< an interface for programs that the user named: its rules are the API's, not robots.txt's
                          Disallow, which is written for crawlers (Crawl-delay still holds) */
    bool has_groups; /**< searches that begin on one host run one after another */

    /** One search for each class and query, or one for all? NULL: one each. */
    bool (*is_per_query)(const struct ws_source_keys *source);
    /** Set the first request of a fresh cursor. WS_E_CONFIG when the source's URL is none. */
    enum ws_status (*begin)(const struct ws_visit *visit, struct ws_err *err);
    /** May a finished search go on under the present configuration? Then make the cursor ready for it. NULL: never. */
    bool (*reopen)(const struct ws_visit *visit);
    /** May a redirect lead there? NULL: anywhere. */
    bool (*may_follow)(const struct ws_visit *visit, const struct ws_url *from, const struct ws_url *to);
    /**
     * Read a complete answer with status 200: admit its pictures, set the next request or `is_done`. WS_E_FORMAT with a
     * message when it cannot be read (the search then goes on by skip()).
     */
    enum ws_status (*read)(const struct ws_visit *visit, const struct ws_response *response, struct ws_err *err);
    /** The request has failed for good: set the next one, or break off. NULL: break off. */
    enum ws_status (*skip)(const struct ws_visit *visit, const char *reason, struct ws_err *err);
};

/** Every kind there is, in the order of list.h; ends with NULL. */
extern const struct ws_source_ops *const ws_source_table[];
/** The i-th kind's name and summary: what a source's `kind` may be. See struct ws_conf_listing. */
bool ws_source_kind_row(size_t i, const char **name, const char **sentence);
/** The sections that the kinds bring, behind `crawl`; returns how many (at most `n_max`). */
size_t ws_source_sections(const struct ws_conf_section **sections, size_t n_max);

#endif
