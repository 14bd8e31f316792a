/**
 * The command line that every stage shares:
 *
 *   webstill CMD CONFIG [-o key=value]… [--work DIR] [--threads N] [--seed N] [--limit N] [--dry-run]
 *                       [--log-format text|json] [--progress auto|always|never] [--help] [--version]
 *
 * A program gives a table of its commands; ws_cli_main() does the rest: parses, loads the configuration, installs
 * the stop handlers, runs the command, prints the error chain once, and returns the documented exit code.
 */
#ifndef WEBSTILL_STAGE_CLI_H
#define WEBSTILL_STAGE_CLI_H

#include "webstill/base/err.h"
#include "webstill/stage/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WS_VERSION "0.1.0"

/** What a command gets. */
struct ws_run {
    struct ws_config *config; /**< borrowed: resolved; --threads and --seed already in it. NULL if !needs_config */
    const char *config_path;  /**< borrowed; NULL if !needs_config, or left out */
    const char *work;         /**< borrowed: --work, or work/<CONFIG's name without .yaml>; NULL: neither is there */
    int64_t limit;            /**< --limit; 0 = none */
    bool dry_run;             /**< say what would be done, do nothing */
    int n_args;               /**< positional arguments behind CONFIG */
    char **args;              /**< borrowed */
    const struct ws_option_value *options; /**< borrowed: values of the command's own options */
};

/** An option of one command ("--run NAME"). */
struct ws_option {
    const char *name;     /**< "run"; NULL ends the table */
    const char *argument; /**< "NAME", or NULL for a flag */
    const char *help;     /**< one line, with the default */
};

struct ws_option_value {
    const char *name, *value; /**< value of a flag is "1"; the array ends with name NULL */
};

struct ws_command {
    const char *name;    /**< "crawl" */
    const char *summary; /**< one line for the list of commands */
    const char *usage;   /**< what stands behind the name: "CONFIG [options]" */
    const char *details; /**< paragraphs of --help: reads, writes, examples */
    bool needs_config;
    int min_args, max_args;            /**< positional arguments behind CONFIG; max_args -1 = any number */
    const struct ws_option *options;   /**< own options, or NULL */
    const char *option_without_config; /**< of them: with it CONFIG may be left out; or NULL */
    const char *option_alone; /**< of them: with it the other programs are not asked to check their sections; or
                                   NULL */
    enum ws_status (*run)(const struct ws_run *run, struct ws_err *err);
};

/**
 * Run the command that argv[1] names and return the exit code.
 *
 * `versions` is the library list of --version ("libcurl 7.88.1, LMDB 0.9.24"); `commands` ends with a NULL name.
 * Usage errors end with code 2 and name the nearest known command or option. Installs the stop handlers and opens
 * the log under the command's name. Leaves the environment alone (OPENBLAS_NUM_THREADS too).
 */
int ws_cli_main(const struct ws_program *program, const char *versions, const struct ws_command *commands, int argc,
                char **argv);

/** The value of one of the command's own options, the last when it was given twice, or `fallback`. */
const char *ws_run_option(const struct ws_run *run, const char *name, const char *fallback);

/**
 * The command `config`: print the resolved configuration (--section NAME: one section of it), or with --write DIR
 * bring DIR/STAGE.yaml up to date for each stage: what the stage's output depends on; and DIR/stages.mk, the rules
 * that make includes. A file that would not change keeps its time, so make can depend on it.
 */
WS_MUST_USE enum ws_status ws_config_command(const struct ws_run *run, struct ws_err *err);
extern const struct ws_option ws_config_options[];

/** The command's row for a program's table. */
#define WS_CONFIG_COMMAND                                                                                              \
    {                                                                                                                  \
        .name = "config", .summary = "print the resolved configuration", .usage = "CONFIG [options]",                  \
        .details =                                                                                                     \
            "Prints what a run really uses: the reference, then CONFIG, then each -o key=value.\n"                     \
            "With --write DIR it writes DIR/STAGE.yaml for each stage, for make to depend on, and DIR/stages.mk.\n"    \
            "--reference needs no CONFIG.\n\n"                                                                         \
            "Example: webstill config configs/web-fashion.yaml --section distill",                                     \
        .needs_config = true, .options = ws_config_options, .option_without_config = "reference",                      \
        .option_alone = "own", .run = ws_config_command                                                                \
    }

#endif
