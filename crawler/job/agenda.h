/** The agenda of a crawl: all searches and walks that its configuration asks for. */
#ifndef WEBSTILL_CRAWLER_JOB_AGENDA_H
#define WEBSTILL_CRAWLER_JOB_AGENDA_H

#include "source/source.h"

/** Searches that begin on one host and run one after another. */
struct ws_group {
    struct ws_image_id id;
    struct ws_search **members; /**< borrowed: in the agenda's order */
    size_t n;
    size_t next; /**< the members before it are done */
};

/** All-zero is a valid empty agenda. */
struct ws_agenda {
    struct ws_search *searches; /**< owned: in order of sources, classes, queries */
    size_t n;
    struct ws_search **by_id;    /**< owned: [n] sorted */
    struct ws_search **by_group; /**< owned: those that have one, group by group */
    struct ws_group *groups;     /**< owned */
    size_t n_groups;
};

/** Make it; `config` and the rows of `sources` (source/table.c) are borrowed until the end. WS_E_MEMORY. */
WS_MUST_USE enum ws_status ws_agenda_make(struct ws_agenda *agenda, const struct ws_config *config,
                                          const struct ws_source_ops *const *sources, struct ws_err *err);
void ws_agenda_fini(struct ws_agenda *agenda);

/** The search of that id, or NULL when this configuration has none. */
const struct ws_search *ws_agenda_find(const struct ws_agenda *agenda, const struct ws_image_id *id);

#endif
