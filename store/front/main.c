/**
 * webstill: the thin front. `webstill CMD …` becomes `webstill-<program> CMD …`, found beside this executable, else on
 * PATH, the way git does it. It reads no configuration and links no stage.
 */
#include "stage/sibling.h"

#include "webstill/base/text.h"
#include "webstill/stage/cli.h"
#include "webstill/stage/table.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct command {
    const char *name;
    const char *program; /* behind "webstill-" */
    const char *summary;
};

/* What looks into a working directory, and is no stage of it. */
static const struct command tools[] = {
    {"status", "store", "say which stages are done, and what they hold"},
    {"inspect", "store", "show what is inside a WARC, store, safetensors or manifest file"},
    {"verify", "store", "check every digest of a working directory"},
    {"explain", "store", "tell one picture's story, from its URL to the students"},
    {"config", "store", "print the resolved configuration"},
};
enum { N_TOOLS = sizeof tools / sizeof tools[0], MAX_COMMANDS = WS_STAGES_MAX + N_TOOLS, USAGE = 2 };

/** All commands, the stages first; returns how many. */
static size_t list_commands(struct command commands[MAX_COMMANDS])
{
    size_t n = 0;
    for (const struct ws_stage *stage = ws_stage_table; stage->name; stage++)
        commands[n++] = (struct command){stage->name, stage->program, stage->summary};
    for (size_t i = 0; i < N_TOOLS; i++)
        commands[n++] = tools[i];
    return n;
}

static void print_line(FILE *out, const char *name, const char *summary)
{
    fprintf(out, "  %-8s  %s\n", name, summary);
}

static void print_help(FILE *out)
{
    fprintf(out, "Usage: webstill COMMAND CONFIG [options]\n\n"
                 "A still for web images: fetches what the web shows for a list of class names, keeps what a teacher\n"
                 "and its student can learn from, and distils the teacher into the student.\n");
    const char *part = "";
    for (const struct ws_stage *stage = ws_stage_table; stage->name; stage++) {
        if (strcmp(stage->part, part) != 0)
            fprintf(out, "\n%s:\n", stage->part);
        part = stage->part;
        print_line(out, stage->name, stage->summary);
    }
    for (size_t i = 0; i < N_TOOLS; i++) /* under the last heading, which is theirs too */
        print_line(out, tools[i].name, tools[i].summary);
    fprintf(out, "\n`webstill COMMAND --help` tells more, `webstill --version` the versions.\n");
}

/** Become the sibling; returns only when that fails. */
static void exec_sibling(const char *program, char **argv)
{
    char path[WS_SIBLING_PATH];
    if (ws_sibling_find(program, path))
        execv(path, argv);
    else
        errno = ENOENT;
}

static int run_sibling(const char *program, char **argv)
{
    struct ws_err err = {0};
    exec_sibling(program, argv);
    int status = ws_status_exit_code(ws_fail_errno(&err, "webstill-%s, beside webstill or on PATH", program));
    ws_err_hint(&err, "`make` builds all programs into one folder; keep them together");
    ws_err_print(&err, "webstill", stderr);
    return status;
}

static bool print_version_of(const char *program)
{
    char name[32], option[] = "--version";
    snprintf(name, sizeof name, "webstill-%s", program);
    char *argv[] = {name, option, NULL};
    pid_t child = fork();
    if (child == 0)
        _exit(run_sibling(program, argv));
    int status = 0;
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    return child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/** Does a stage before this one belong to the same program? */
static bool is_told(const struct ws_stage *stage)
{
    for (const struct ws_stage *before = ws_stage_table; before < stage; before++)
        if (strcmp(before->program, stage->program) == 0)
            return true;
    return false;
}

/** Ask each sibling for its version, in turn. */
static int print_versions(void)
{
    printf("webstill %s\n", WS_VERSION);
    fflush(stdout);
    int code = 0;
    for (const struct ws_stage *stage = ws_stage_table; stage->name; stage++)
        if (!is_told(stage) && !print_version_of(stage->program))
            code = ws_status_exit_code(WS_E_IO);
    return code;
}

static bool find_command(const char *name, struct command *found)
{
    struct command commands[MAX_COMMANDS];
    const size_t n = list_commands(commands);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            *found = commands[i];
            return true;
        }
    }
    return false;
}

static int fail_unknown(const char *name)
{
    struct command commands[MAX_COMMANDS];
    const char *names[MAX_COMMANDS + 1];
    const size_t n = list_commands(commands);
    for (size_t i = 0; i < n; i++)
        names[i] = commands[i].name;
    names[n] = NULL;
    const char *nearest = ws_nearest_name(name, names);
    struct ws_err err = {0};
    enum ws_status status =
        ws_fail(&err, WS_E_CONFIG, "unknown %s \"%s\"%s%s%s", name[0] == '-' ? "option" : "command", name,
                nearest ? "; did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
    ws_err_hint(&err, "`webstill --help` lists the commands");
    ws_err_print(&err, "webstill", stderr);
    return ws_status_exit_code(status);
}

/** `webstill help CMD` is `webstill CMD --help`. */
static int help_about(char *name)
{
    struct command command;
    if (!find_command(name, &command))
        return fail_unknown(name);
    char program[32], option[] = "--help";
    snprintf(program, sizeof program, "webstill-%s", command.program);
    char *argv[] = {program, name, option, NULL};
    return run_sibling(command.program, argv);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "help") == 0 && argc > 2)
        return help_about(argv[2]);
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_help(stdout);
        return fflush(stdout) == 0 ? 0 : ws_status_exit_code(WS_E_IO);
    }
    if (strcmp(name, "--version") == 0)
        return print_versions();
    struct command command;
    if (!find_command(name, &command))
        return fail_unknown(name);
    char program[32];
    snprintf(program, sizeof program, "webstill-%s", command.program);
    argv[0] = program; /* the stage names itself in its messages */
    return run_sibling(command.program, argv);
}
