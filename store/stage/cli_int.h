/** The pieces of the command line that cli.c, cli_parse.c and cli_help.c share. */
#ifndef WEBSTILL_STORE_STAGE_CLI_INT_H
#define WEBSTILL_STORE_STAGE_CLI_INT_H

#include "webstill/base/log.h"
#include "webstill/stage/cli.h"

enum ws_cli_id {
    WS_CLI_OVERRIDE,
    WS_CLI_WORK,
    WS_CLI_THREADS,
    WS_CLI_SEED,
    WS_CLI_LIMIT,
    WS_CLI_DRY_RUN,
    WS_CLI_LOG_FORMAT,
    WS_CLI_PROGRESS,
    WS_CLI_HELP,
    WS_CLI_VERSION,
};

/** An option that every command has. */
struct ws_cli_common {
    struct ws_option option;
    enum ws_cli_id id;
    bool needs_config; /**< means nothing to a command that reads no configuration */
};

/** Ends with a NULL option name. "o" is the one with a single dash. */
extern const struct ws_cli_common ws_cli_common[];

/** A command line, taken apart. Strings are borrowed from argv. */
struct ws_cli_line {
    const char **overrides;          /**< owned: room for one per argument */
    struct ws_option_value *options; /**< owned: likewise, and the end mark */
    char **args;                     /**< owned: positional arguments, CONFIG first when the command needs one */
    int n_overrides, n_options, n_args;
    const char *work;
    char threads[32], seed[32]; /**< "threads=N", or empty */
    int64_t limit;
    bool dry_run, help, version;
    enum ws_log_format log_format;
    enum ws_progress_mode progress;
};

/** Take argv[2…] apart for a command. WS_E_CONFIG names what was expected and found; WS_E_MEMORY. */
WS_MUST_USE enum ws_status ws_cli_parse(struct ws_cli_line *line, const struct ws_command *command, int argc,
                                        char **argv, struct ws_err *err);
void ws_cli_line_fini(struct ws_cli_line *line);

void ws_cli_help_program(const char *program, const struct ws_command *commands, FILE *out);
void ws_cli_help_command(const struct ws_command *command, FILE *out);

#endif
