/**
 * The command line that every stage shares:
 *
 *   webstill CMD CONFIG [-o key=value]… [--work DIR] [--threads N] [--seed N] [--limit N] [--dry-run]
 *                       [--log-format text|json] [--progress auto|always|never] [--help] [--version]
 *
 * A program gives a table of its commands; ws_cli_main() does the rest: parses, loads the configuration, installs
 * the stop handlers, runs the command, prints the error chain once, and returns the documented exit code.
 */
#ifndef WEBSTILL_BASE_CLI_H
#define WEBSTILL_BASE_CLI_H

#include "webstill/base/conf.h"
#include "webstill/base/err.h"

#include <stdbool.h>
#include <stdint.h>

#define WS_VERSION "0.1.0"

/** What a command gets. */
struct ws_run {
    struct ws_config *config; /**< borrowed: resolved; --threads and --seed already in it. NULL if !needs_config */
    const char *config_path;  /**< borrowed; NULL if !needs_config */
    const char *work;         /**< borrowed: the working directory: --work, or work/<config's base name> */
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
    const char *name;        /**< "crawl" */
    const char *summary;     /**< one line for the list of commands */
    const char *usage;       /**< what stands behind the name: "CONFIG [options]" */
    const char *details;     /**< paragraphs of --help: reads, writes, examples */
    bool needs_config;
    int min_args, max_args;  /**< positional arguments behind CONFIG */
    const struct ws_option *options; /**< own options, or NULL */
    enum ws_status (*run)(const struct ws_run *run, struct ws_err *err);
};

/**
 * `versions` is the library list of --version ("libcurl 7.88.1, LMDB 0.9.24").
 * Returns the exit code. `commands` ends with a NULL name. argv[1] is the command.
 */
int ws_cli_main(const char *program, const char *versions, const struct ws_command *commands, int argc, char **argv);

/** The value of an option, or `fallback`. */
const char *ws_run_option(const struct ws_run *run, const char *name, const char *fallback);

/** The directory that holds the running executable, so that programs find their siblings. False if unknown. */
bool ws_cli_program_dir(char *path, size_t size_bytes);

#endif
