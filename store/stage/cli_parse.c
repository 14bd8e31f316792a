/** Taking a command line apart. */
#include "cli_int.h"

#include "webstill/base/mem.h"
#include "webstill/base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NAMES = 64 }; /* options of one command, common ones included */

const struct ws_cli_common ws_cli_common[] = {
    {{"o", "KEY=VALUE", "set one key of the configuration, e.g. -o distill.batch=128; may be repeated"},
     WS_CLI_OVERRIDE,
     true},
    {{"work", "DIR", "working directory; work/<name of CONFIG> by default"}, WS_CLI_WORK, false},
    {{"threads", "N", "worker threads, 0 = one per core; the key `threads`"}, WS_CLI_THREADS, true},
    {{"seed", "N", "seed of all randomness; the key `seed`"}, WS_CLI_SEED, true},
    {{"limit", "N", "end after N units of work (exit code 12); no limit by default"}, WS_CLI_LIMIT, false},
    {{"dry-run", NULL, "say what would be done, do nothing"}, WS_CLI_DRY_RUN, false},
    {{"log-format", "FORMAT", "text or json (one object a line); text by default"}, WS_CLI_LOG_FORMAT, false},
    {{"progress", "WHEN", "auto, always or never; auto draws on a terminal, and writes a line every 20 s elsewhere"},
     WS_CLI_PROGRESS,
     false},
    {{"help", NULL, "print this and end"}, WS_CLI_HELP, false},
    {{"version", NULL, "print the versions of the program and its libraries and end"}, WS_CLI_VERSION, false},
    {{NULL, NULL, NULL}, WS_CLI_HELP, false},
};

static enum ws_status parse_count(const char *option, const char *text, int64_t *value, struct ws_err *err)
{
    errno = 0;
    bool is_number = *text && strspn(text, "0123456789") == strlen(text);
    long long number = is_number ? strtoll(text, NULL, 10) : 0;
    if (!is_number || errno == ERANGE)
        return ws_fail(err, WS_E_CONFIG, "--%s: expected a whole number, 0 or more, found \"%s\"", option, text);
    *value = number;
    return WS_OK;
}

/** The index of `text` among `words`. */
static enum ws_status parse_word(const char *option, const char *text, const char *const *words, int *index,
                                 struct ws_err *err)
{
    for (*index = 0; words[*index]; ++*index)
        if (strcmp(words[*index], text) == 0)
            return WS_OK;
    const char *nearest = ws_nearest_name(text, words);
    return ws_fail(err, WS_E_CONFIG, "--%s: expected one of %s, %s%s%s, found \"%s\"%s%s%s", option, words[0], words[1],
                   words[2] ? ", " : "", words[2] ? words[2] : "", text, nearest ? "; did you mean \"" : "",
                   nearest ? nearest : "", nearest ? "\"?" : "");
}

/** Keep --threads and --seed as what they are: overrides of a key. */
static enum ws_status keep_key(const char *key, const char *text, char kept[32], struct ws_err *err)
{
    int64_t value;
    enum ws_status status = parse_count(key, text, &value, err);
    if (status == WS_OK)
        snprintf(kept, 32, "%s=%lld", key, (long long)value);
    return status;
}

static enum ws_status take_common(struct ws_cli_line *line, const struct ws_cli_common *common, const char *value,
                                  struct ws_err *err)
{
    static const char *const formats[] = {"text", "json", NULL}, *const modes[] = {"auto", "always", "never", NULL};
    static const enum ws_log_format format_of[] = {WS_LOG_TEXT, WS_LOG_JSON};
    static const enum ws_progress_mode mode_of[] = {WS_PROGRESS_AUTO, WS_PROGRESS_ALWAYS, WS_PROGRESS_NEVER};
    const char *name = common->option.name;
    enum ws_status status = WS_OK;
    int index = 0;
    switch (common->id) {
    case WS_CLI_OVERRIDE:
        line->overrides[line->n_overrides++] = value;
        break;
    case WS_CLI_WORK:
        line->work = value;
        if (!*value)
            status = ws_fail(err, WS_E_CONFIG, "--work: expected a folder, found an empty name");
        break;
    case WS_CLI_THREADS:
        status = keep_key(name, value, line->threads, err);
        break;
    case WS_CLI_SEED:
        status = keep_key(name, value, line->seed, err);
        break;
    case WS_CLI_LIMIT:
        status = parse_count(name, value, &line->limit, err);
        break;
    case WS_CLI_DRY_RUN:
        line->dry_run = true;
        break;
    case WS_CLI_LOG_FORMAT:
        status = parse_word(name, value, formats, &index, err);
        if (status == WS_OK)
            line->log_format = format_of[index];
        break;
    case WS_CLI_PROGRESS:
        status = parse_word(name, value, modes, &index, err);
        if (status == WS_OK)
            line->progress = mode_of[index];
        break;
    case WS_CLI_HELP:
        line->help = true;
        break;
    case WS_CLI_VERSION:
        line->version = true;
        break;
    }
    return status;
}

static enum ws_status fail_unknown_option(const struct ws_command *command, const char *name, struct ws_err *err)
{
    const char *names[MAX_NAMES + 1];
    size_t n = 0;
    for (const struct ws_option *own = command->options; own && own->name && n < MAX_NAMES; own++)
        names[n++] = own->name;
    for (const struct ws_cli_common *common = ws_cli_common; common->option.name && n < MAX_NAMES; common++)
        if (common->id != WS_CLI_OVERRIDE)
            names[n++] = common->option.name;
    names[n] = NULL;
    const char *nearest = ws_nearest_name(name, names);
    enum ws_status status = ws_fail(err, WS_E_CONFIG, "unknown option \"--%s\"%s%s%s", name,
                                    nearest ? "; did you mean \"--" : "", nearest ? nearest : "", nearest ? "\"?" : "");
    ws_err_hint(err, "`webstill %s --help` lists the options", command->name);
    return status;
}

/** The argument being read. */
struct cursor {
    int argc, i;
    char **argv;
};

/** The value of an option: behind "=", or the next argument. */
static enum ws_status take_value(struct cursor *cursor, const char *dashes, const struct ws_option *option,
                                 const char *attached, const char **value, struct ws_err *err)
{
    *value = attached;
    if (!option->argument && attached)
        return ws_fail(err, WS_E_CONFIG, "%s%s takes no value, found \"%s\"", dashes, option->name, attached);
    if (!option->argument)
        *value = "1";
    else if (!attached && cursor->i + 1 >= cursor->argc)
        return ws_fail(err, WS_E_CONFIG, "%s%s: expected %s behind it, found nothing", dashes, option->name,
                       option->argument);
    else if (!attached)
        *value = cursor->argv[++cursor->i];
    return WS_OK;
}

static enum ws_status take_known(struct ws_cli_line *line, const struct ws_command *command, struct cursor *cursor,
                                 const struct ws_cli_common *common, const char *dashes, const char *attached,
                                 struct ws_err *err)
{
    const char *value;
    if (common->needs_config && !command->needs_config)
        return ws_fail(err, WS_E_CONFIG, "%s%s: \"%s\" reads no configuration", dashes, common->option.name,
                       command->name);
    enum ws_status status = take_value(cursor, dashes, &common->option, attached, &value, err);
    return status == WS_OK ? take_common(line, common, value, err) : status;
}

/** "--name", "--name=value": the command's own option, or a common one. */
static enum ws_status take_long(struct ws_cli_line *line, const struct ws_command *command, struct cursor *cursor,
                                struct ws_err *err)
{
    const char *text = cursor->argv[cursor->i] + 2;
    const char *equals = strchr(text, '=');
    const char *attached = equals ? equals + 1 : NULL;
    char name[64];
    size_t len = equals ? (size_t)(equals - text) : strlen(text);
    snprintf(name, sizeof name, "%.*s", (int)(len < sizeof name ? len : sizeof name - 1), text);
    for (const struct ws_option *own = command->options; own && own->name; own++) {
        if (strcmp(own->name, name) != 0)
            continue;
        const char *value;
        enum ws_status status = take_value(cursor, "--", own, attached, &value, err);
        if (status == WS_OK)
            line->options[line->n_options++] = (struct ws_option_value){.name = own->name, .value = value};
        return status;
    }
    for (const struct ws_cli_common *common = ws_cli_common; common->option.name; common++)
        if (common->id != WS_CLI_OVERRIDE && strcmp(common->option.name, name) == 0)
            return take_known(line, command, cursor, common, "--", attached, err);
    return fail_unknown_option(command, name, err);
}

static enum ws_status take_argument(struct ws_cli_line *line, const struct ws_command *command, struct cursor *cursor,
                                    struct ws_err *err)
{
    char *text = cursor->argv[cursor->i];
    if (strncmp(text, "--", 2) == 0)
        return take_long(line, command, cursor, err);
    if (text[0] == '-' && text[1] == 'o') /* "-o key=value", "-okey=value" */
        return take_known(line, command, cursor, &ws_cli_common[0], "-", text[2] ? text + 2 : NULL, err);
    if (strcmp(text, "-h") == 0) {
        line->help = true;
    } else if (text[0] == '-' && text[1] != '\0') {
        enum ws_status status = ws_fail(err, WS_E_CONFIG, "unknown option \"%s\"", text);
        ws_err_hint(err, "`webstill %s --help` lists the options", command->name);
        return status;
    } else {
        line->args[line->n_args++] = text;
    }
    return WS_OK;
}

enum ws_status ws_cli_parse(struct ws_cli_line *line, const struct ws_command *command, int argc, char **argv,
                            struct ws_err *err)
{
    size_t room = (size_t)(argc > 0 ? argc : 0) + 1;
    *line = (struct ws_cli_line){.overrides = ws_calloc(room + 2, sizeof *line->overrides),
                                 .options = ws_calloc(room, sizeof *line->options),
                                 .args = ws_calloc(room, sizeof *line->args)};
    if (!line->overrides || !line->options || !line->args)
        return ws_fail(err, WS_E_MEMORY, "out of memory while reading the command line");
    struct cursor cursor = {.argc = argc, .i = 2, .argv = argv};
    for (; cursor.i < argc; cursor.i++) {
        if (strcmp(argv[cursor.i], "--") == 0) {
            while (++cursor.i < argc)
                line->args[line->n_args++] = argv[cursor.i];
            break;
        }
        enum ws_status status = take_argument(line, command, &cursor, err);
        if (status != WS_OK)
            return status;
    }
    if (line->threads[0])
        line->overrides[line->n_overrides++] = line->threads;
    if (line->seed[0])
        line->overrides[line->n_overrides++] = line->seed;
    return WS_OK;
}

void ws_cli_line_fini(struct ws_cli_line *line)
{
    free(line->overrides);
    free(line->options);
    free(line->args);
    *line = (struct ws_cli_line){0};
}
