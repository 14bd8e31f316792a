/**
 * The table of stages: what `make`, `webstill status`, the report, the front and the hints know of them.
 *
 * A stage is a command that reads what earlier stages made and fills a folder of the working directory, whose
 * manifest.json it writes last. A further stage is a row in table.c and its command in a program.
 */
#ifndef WEBSTILL_STAGE_TABLE_H
#define WEBSTILL_STAGE_TABLE_H

#include <stdbool.h>

enum { WS_STAGE_LINKS = 8, WS_STAGES_MAX = 64 };

/** One row. All-zero ends a table. */
struct ws_stage {
    const char *name;                   /**< the command, and make's target: "curate" */
    const char *program;                /**< whose command it is, behind "webstill-" */
    const char *folder;                 /**< below the working directory: "selection" */
    const char *part;                   /**< of the whole, a heading of help: the same in neighbouring rows */
    const char *summary;                /**< a line of help */
    const char *reads[WS_STAGE_LINKS];  /**< of the configuration: what its output depends on, by name ("curate": a
                                             section, "distill.pool": a key, "distill.*": a section without those in
                                             it; with a minus: not that); ends with NULL */
    const char *inputs[WS_STAGE_LINKS]; /**< the stages whose output it reads, by name; ends with NULL */
    bool has_runs;                      /**< FOLDER/METHOD for each of distill.methods, with a manifest of its own */
    const char *idle; /**< a line of what it reads that says there is nothing to do, nobody waits for it; or NULL */
};

/** In the order in which they run; ends with an all-zero row. */
extern const struct ws_stage ws_stage_table[];

/** The row of that name, or NULL. */
const struct ws_stage *ws_stage_find(const char *name);

/** The stage in whose folder, or in a run's, `path` lies: the innermost counts. NULL when in none. */
const struct ws_stage *ws_stage_of_path(const char *path);

#endif
