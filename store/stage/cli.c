/** The main function of every stage program. */
#include "cli_int.h"

#include "webstill/base/stop.h"
#include "webstill/base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_COMMANDS = 64 };

const char *ws_run_option(const struct ws_run *run, const char *name, const char *fallback)
{
    const char *value = fallback;
    for (const struct ws_option_value *option = run->options; option && option->name; option++)
        if (strcmp(option->name, name) == 0)
            value = option->value;
    return value;
}

static void print_version(const char *program, const char *versions)
{
    printf("%s %s\n", program, WS_VERSION);
    if (versions && *versions)
        printf("%s\n", versions);
}

static enum ws_status find_command(const struct ws_command *commands, const char *program, const char *name,
                                   const struct ws_command **out, struct ws_err *err)
{
    const char *names[MAX_COMMANDS + 1];
    size_t n = 0;
    for (*out = commands; (*out)->name; ++*out) {
        if (strcmp((*out)->name, name) == 0)
            return WS_OK;
        if (n < MAX_COMMANDS)
            names[n++] = (*out)->name;
    }
    names[n] = NULL;
    const char *nearest = ws_nearest_name(name, names);
    enum ws_status status = ws_fail(err, WS_E_CONFIG, "unknown command \"%s\"%s%s%s", name,
                                    nearest ? "; did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
    ws_err_hint(err, "`%s --help` lists the commands", program);
    return status;
}

static bool has_option(const struct ws_option_value *options, const char *name)
{
    const struct ws_run run = {.options = options};
    return name && ws_run_option(&run, name, NULL);
}

/** CONFIG stands first, unless an option makes it needless and it was left out. */
static bool has_config(const struct ws_command *command, const struct ws_cli_line *line)
{
    return command->needs_config && (line->n_args > 0 || !has_option(line->options, command->option_without_config));
}

static enum ws_status check_arguments(const struct ws_command *command, const struct ws_cli_line *line,
                                      struct ws_err *err)
{
    const int n_args = line->n_args, n_config = has_config(command, line) ? 1 : 0;
    char **args = line->args;
    enum ws_status status = WS_OK;
    if (n_args < n_config)
        status = ws_fail(err, WS_E_CONFIG, "%s: expected a configuration file, found none", command->name);
    else if (n_args < n_config + command->min_args)
        status = ws_fail(err, WS_E_CONFIG, "%s: expected %d more argument%s, found none", command->name,
                         n_config + command->min_args - n_args, n_config + command->min_args - n_args > 1 ? "s" : "");
    else if (command->max_args >= 0 && n_args > n_config + command->max_args)
        status = ws_fail(err, WS_E_CONFIG, "%s: unexpected argument \"%s\"", command->name,
                         args[n_config + command->max_args]);
    if (status != WS_OK)
        ws_err_hint(err, "usage: webstill %s %s", command->name, command->usage ? command->usage : "");
    return status;
}

/** work/<name of CONFIG without folder and .yaml>. */
static enum ws_status default_work(const char *config_path, char *work, size_t size_bytes, struct ws_err *err)
{
    const char *slash = strrchr(config_path, '/');
    const char *name = slash ? slash + 1 : config_path;
    size_t len = strlen(name);
    if (len > 5 && strcmp(name + len - 5, ".yaml") == 0)
        len -= 5;
    else if (len > 4 && strcmp(name + len - 4, ".yml") == 0)
        len -= 4;
    if (len == 0 || (size_t)snprintf(work, size_bytes, "work/%.*s", (int)len, name) >= size_bytes)
        return ws_fail(err, WS_E_CONFIG, "%s: no working directory can be named after it; give --work DIR",
                       config_path);
    return WS_OK;
}

/** Load this program's part of the configuration, and have the others check theirs. */
static enum ws_status load_config(struct ws_run *run, const struct ws_program *program,
                                  const struct ws_command *command, const struct ws_cli_line *line, struct ws_err *err)
{
    enum ws_status status =
        ws_config_load(&run->config, program, run->config_path, line->overrides, line->n_overrides, err);
    if (status == WS_OK && !has_option(run->options, command->option_alone))
        status = ws_config_ask_others(run->config, err);
    return status;
}

static enum ws_status run_command(const struct ws_program *program, const struct ws_command *command,
                                  struct ws_cli_line *line, struct ws_err *err)
{
    struct ws_run run = {
        .work = line->work,
        .limit = line->limit,
        .dry_run = line->dry_run,
        .n_args = line->n_args,
        .args = line->args,
        .options = line->options,
    };
    char work[1024];
    if (command->needs_config) {
        if (has_config(command, line)) {
            run.config_path = line->args[0];
            run.args++;
            run.n_args--;
        }
        enum ws_status status = load_config(&run, program, command, line, err);
        if (status == WS_OK && !run.work && run.config_path) {
            status = default_work(run.config_path, work, sizeof work, err);
            run.work = work;
        }
        if (status != WS_OK) {
            ws_config_free(&run.config);
            return status;
        }
    }
    enum ws_status status = command->run(&run, err);
    ws_config_free(&run.config);
    return status;
}

/** Print the chain once: as text, or as a log line when the log is JSON. */
static void print_failure(const struct ws_err *err, enum ws_status status, const char *program,
                          enum ws_log_format format)
{
    struct ws_err shown = *err;
    if (!shown.text[0])
        (void)ws_fail(&shown, status, "%s", ws_status_name(status));
    if (status == WS_E_STOPPED)
        ws_err_hint(&shown, "run the same command again to go on"); /* wherever a stage was when the signal came */
    if (format == WS_LOG_JSON)
        ws_log(WS_LOG_ERROR, "%s%s%s", shown.text, shown.hint[0] ? "; hint: " : "", shown.hint);
    else
        ws_err_print(&shown, program, stderr);
}

static int run_line(const struct ws_program *program, const char *name, const char *versions,
                    const struct ws_command *command, int argc, char **argv)
{
    struct ws_cli_line line;
    struct ws_err err = {0};
    enum ws_log_format format = WS_LOG_TEXT;
    enum ws_status status = ws_cli_parse(&line, command, argc, argv, &err);
    if (status == WS_OK && line.help) {
        ws_cli_help_command(command, stdout);
    } else if (status == WS_OK && line.version) {
        print_version(name, versions);
    } else if (status == WS_OK) {
        format = line.log_format;
        ws_log_open(command->name, format, line.progress);
        ws_stop_install();
        status = check_arguments(command, &line, &err);
        if (status == WS_OK)
            status = run_command(program, command, &line, &err);
    }
    if (status != WS_OK && status != WS_DONE)
        print_failure(&err, status, name, format);
    ws_cli_line_fini(&line);
    return ws_status_exit_code(status);
}

int ws_cli_main(const struct ws_program *program, const char *versions, const struct ws_command *commands, int argc,
                char **argv)
{
    int code;
    char name[64];
    snprintf(name, sizeof name, "webstill-%s", program->name);
    struct ws_err err = {0};
    const char *first = argc > 1 ? argv[1] : NULL;
    const struct ws_command *command;
    if (!first) {
        ws_cli_help_program(name, commands, stderr);
        return ws_status_exit_code(WS_E_CONFIG);
    }
    if (strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0) {
        ws_cli_help_program(name, commands, stdout);
        code = ws_status_exit_code(WS_OK);
    } else if (strcmp(first, "--version") == 0) {
        print_version(name, versions);
        code = ws_status_exit_code(WS_OK);
    } else if (find_command(commands, name, first, &command, &err) != WS_OK) {
        ws_err_print(&err, name, stderr);
        return ws_status_exit_code(WS_E_CONFIG);
    } else {
        code = run_line(program, name, versions, command, argc, argv);
    }
    /* What was printed must have arrived: `webstill config … > full-disk/x` is a failure. */
    if ((fflush(stdout) != 0 || ferror(stdout)) && code == 0) {
        (void)ws_fail_errno(&err, "standard output");
        ws_err_print(&err, name, stderr);
        code = ws_status_exit_code(WS_E_IO);
    }
    return code;
}
