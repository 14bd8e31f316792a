/**
 * webstill: the thin front. `webstill CMD …` becomes `webstill-<program> CMD …`, found beside this executable, else on
 * PATH, the way git does it. It reads no configuration and links no stage.
 */
#include "webstill/base/text.h"
#include "webstill/stage/cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct command {
    const char *name;    /* NULL: `summary` is the heading of a group */
    const char *program; /* behind "webstill-" */
    const char *summary;
};

static const struct command commands[] = {
    {NULL, NULL, "From the web to a pool of images"},
    {"crawl", "crawl", "fetch what the web shows for the class names, into WARC files"},
    {"store", "store", "decode WARC files into the image store"},
    {NULL, NULL, "From a teacher to a student"},
    {"teacher", "distill", "train the teacher, or import one"},
    {"score", "distill", "write a network's predictions for every stored image"},
    {"curate", "curate", "select images by the predictions of teacher and student"},
    {"distill", "distill", "train the students without the teacher's own data"},
    {"eval", "distill", "measure teacher and students on the clean test set"},
    {"export", "distill", "write a student as ONNX"},
    {NULL, NULL, "Look into it"},
    {"report", "store", "write report/index.html from the manifests"},
    {"status", "store", "say which stages are done, and what they hold"},
    {"inspect", "store", "show what is inside a WARC, store, safetensors or manifest file"},
    {"verify", "store", "check every digest of a working directory"},
    {"explain", "store", "tell one picture's story, from its URL to the students"},
    {"config", "store", "print the resolved configuration"},
};
enum { N_COMMANDS = sizeof commands / sizeof commands[0], USAGE = 2 };

static const char *const programs[] = {"crawl", "store", "curate", "distill"};
enum { N_PROGRAMS = sizeof programs / sizeof programs[0], PATH_BYTES = 4096 };

static void print_help(FILE *out)
{
    fprintf(out, "Usage: webstill COMMAND CONFIG [options]\n\n"
                 "A still for web images: fetches what the web shows for a list of class names, keeps what a teacher\n"
                 "and its student can learn from, and distils the teacher into the student.\n");
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (commands[i].name)
            fprintf(out, "  %-8s  %s\n", commands[i].name, commands[i].summary);
        else
            fprintf(out, "\n%s:\n", commands[i].summary);
    }
    fprintf(out, "\n`webstill COMMAND --help` tells more, `webstill --version` the versions.\n");
}

/** The sibling's path, or its bare name for a search on PATH. False when it is nowhere beside us. */
static bool sibling_path(const char *program, char path[PATH_BYTES])
{
    char folder[PATH_BYTES];
    if (ws_cli_program_dir(folder, sizeof folder)) {
        int n = snprintf(path, PATH_BYTES, "%s/webstill-%s", folder, program);
        if (n < PATH_BYTES && access(path, X_OK) == 0)
            return true;
    }
    snprintf(path, PATH_BYTES, "webstill-%s", program);
    return false;
}

/** Become the sibling; returns only when that fails. */
static void exec_sibling(const char *program, char **argv)
{
    char path[PATH_BYTES];
    if (sibling_path(program, path))
        execv(path, argv);
    else
        execvp(path, argv);
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

/** Ask each sibling for its version, in turn. */
static int print_versions(void)
{
    printf("webstill %s\n", WS_VERSION);
    fflush(stdout);
    int code = 0;
    for (size_t i = 0; i < N_PROGRAMS; i++) {
        char name[32], option[] = "--version";
        snprintf(name, sizeof name, "webstill-%s", programs[i]);
        char *argv[] = {name, option, NULL};
        pid_t child = fork();
        if (child == 0)
            _exit(run_sibling(programs[i], argv));
        int status = 0;
        while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
            continue;
        if (child < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
            code = ws_status_exit_code(WS_E_IO);
    }
    return code;
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (commands[i].name && strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static int fail_unknown(const char *name)
{
    const char *names[N_COMMANDS + 1];
    size_t n = 0;
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (commands[i].name)
            names[n++] = commands[i].name;
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
    const struct command *command = find_command(name);
    if (!command)
        return fail_unknown(name);
    char program[32], option[] = "--help";
    snprintf(program, sizeof program, "webstill-%s", command->program);
    char *argv[] = {program, name, option, NULL};
    return run_sibling(command->program, argv);
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
    const struct command *command = find_command(name);
    if (!command)
        return fail_unknown(name);
    char program[32];
    snprintf(program, sizeof program, "webstill-%s", command->program);
    argv[0] = program; /* the stage names itself in its messages */
    return run_sibling(command->program, argv);
}
