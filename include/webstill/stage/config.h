/**
 * A pipeline's configuration as a program has it: the sections that the program registers, bound into their structs
 * (webstill/conf), and what the other programs say of theirs.
 *
 * Programs do not link each other, so none knows all keys. Each checks the sections that it owns or reads and skips the
 * others' by name; before a stage begins, the other programs are asked to check theirs ("webstill-curate config CONFIG
 * --own"), and what they answer is kept: it is also how `webstill config` and `webstill status` know what a stage of
 * another program depends on.
 */
#ifndef WEBSTILL_STAGE_CONFIG_H
#define WEBSTILL_STAGE_CONFIG_H

#include "webstill/base/buf.h"
#include "webstill/base/err.h"
#include "webstill/conf/conf.h"

#include <stdbool.h>
#include <stdint.h>

struct ws_stage;

/** A class and the words to search it by. */
struct ws_class {
    char *name;
    char **queries; /**< never empty once loaded: the name when none are given */
    unsigned n_queries;
};

/** The keys of no section. */
struct ws_top_keys {
    struct ws_class *classes;
    unsigned n_classes;
    uint64_t seed;
    uint32_t threads; /**< 0 = one per core */
};
extern const struct ws_conf_section ws_top_section;

/** Of section `distill`, what other programs read, too. */
struct ws_runs_keys {
    char **methods; /**< runs to make: "kd3", "kd", "ce", … */
    unsigned n_methods;
    char *arch;      /**< the student: "resnet8" */
    uint32_t epochs; /**< of a run */
    char *pool;      /**< "" or a file with the ids of the images that may be used, one a line */
};
extern const struct ws_conf_section ws_runs_section;

/** Of section `teacher`, what other programs read, too. */
struct ws_teacher_part {
    char *arch; /**< "resnet20" */
};
extern const struct ws_conf_section ws_teacher_part;

/** What a program reads and owns. */
struct ws_program {
    const char *name;                              /**< "distill": behind "webstill-", as in the table of stages */
    const struct ws_conf_section *const *sections; /**< ends with NULL; see struct ws_conf_schema */
    const struct ws_conf_listing *listings;        /**< likewise; NULL: none */
    /** List the sections that a run of this method depends on beside what its stage reads; returns how many. NULL when
     * the program has no methods. */
    size_t (*method_reads)(const char *method, const char **names, size_t n_max);
};

struct ws_config {
    /* As ws_top_keys; borrowed from `conf`. */
    struct ws_class *classes;
    unsigned n_classes;
    uint64_t seed;
    uint32_t threads;
    struct ws_conf *conf;
    const struct ws_program *program;
    struct ws_config_file *file; /**< owned: where it came from, and what other programs said; NULL: made in memory */
};

/**
 * Load a file over the defaults, with `n_overrides` texts "section.key=value" (value is YAML) over both. Without a file
 * (`path` NULL) nothing has to be given, and the other programs are asked for their reference alone.
 *
 * Returns WS_E_CONFIG for what the user can mend in the file or on the command line (also a file that does not exist),
 * WS_E_IO, WS_E_MEMORY. Relative paths stay as written (relative to the current directory). An empty `eval.images` and
 * the like load: the stage that needs them asks for them. Free with ws_config_free().
 */
WS_MUST_USE enum ws_status ws_config_load(struct ws_config **out, const struct ws_program *program, const char *path,
                                          const char *const *overrides, int n_overrides, struct ws_err *err);
/** Everything at its default, no classes: for tests. WS_E_MEMORY. Close with ws_config_fini(). */
WS_MUST_USE enum ws_status ws_config_init(struct ws_config *config, const struct ws_program *program,
                                          struct ws_err *err);
void ws_config_fini(struct ws_config *config);
void ws_config_free(struct ws_config **config);

/** The struct of a section; see ws_conf_get(). */
const void *ws_config_keys(const struct ws_config *config, const struct ws_conf_section *section);
/** Of section `distill`, what every program may read. */
const struct ws_runs_keys *ws_config_runs(const struct ws_config *config);
/** Of section `teacher`, likewise. */
const struct ws_teacher_part *ws_config_teacher(const struct ws_config *config);

/** Have the programs whose sections this one does not know check theirs. One that is not installed is left out. */
WS_MUST_USE enum ws_status ws_config_ask_others(const struct ws_config *config, struct ws_err *err);

/**
 * The resolved configuration as YAML, in the reference's order: one section (or `classes`, `seed`, `threads`), or
 * everything when `section` is NULL. Equal configurations give equal bytes, and the bytes of everything load again to
 * the same configuration. WS_E_CONFIG for an unknown section, WS_E_IO without the program that owns it, WS_E_MEMORY.
 */
WS_MUST_USE enum ws_status ws_config_print(const struct ws_config *config, const char *section, struct ws_buf *out,
                                           struct ws_err *err);

/**
 * What the output of a stage depends on, or that of one of its runs (`run` NULL: the stage as a whole): those keys and
 * no others, as YAML. Errors as for ws_config_print().
 */
WS_MUST_USE enum ws_status ws_config_part(const struct ws_config *config, const struct ws_stage *stage, const char *run,
                                          struct ws_buf *out, struct ws_err *err);

/** configs/reference.yaml: every key of all programs with its default, sentence, unit and range. As ws_config_print().
 */
WS_MUST_USE enum ws_status ws_config_print_reference(const struct ws_config *config, struct ws_buf *out,
                                                     struct ws_err *err);

/** What another program's `config --own --reference` answers: a document for each of its sections. */
WS_MUST_USE enum ws_status ws_config_print_own_reference(const struct ws_config *config, struct ws_buf *out,
                                                         struct ws_err *err);
/** What another program's `config --own` answers: its sections, then a document for each part of its stages and runs.
 */
WS_MUST_USE enum ws_status ws_config_print_own(const struct ws_config *config, struct ws_buf *out, struct ws_err *err);

#endif
