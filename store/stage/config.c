/** Loading a program's sections, and asking the other programs for theirs. */
#include "webstill/stage/config.h"

#include "sibling.h"

#include "webstill/base/file.h"
#include "webstill/base/mem.h"
#include "webstill/base/text.h"
#include "webstill/stage/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FILE_BYTES = 1 << 20, MAX_NAMES = 64 };

/** What one other program answered. */
struct answer {
    const char *program; /* of the table of stages */
    bool is_reference, is_absent;
    struct ws_buf text;
};

struct ws_config_file {
    struct ws_conf_schema schema;
    const char *others[WS_STAGES_MAX + 1];
    char *path;
    char **overrides; /* in the arena, as everything here */
    int n_overrides;
    struct answer answers[WS_STAGES_MAX];
    size_t n_answers;
    struct ws_arena arena;
};

/* --- loading --- */

static enum ws_status fail_memory(struct ws_err *err)
{
    return ws_fail(err, WS_E_MEMORY, "out of memory for the configuration");
}

static void take_top(struct ws_config *config)
{
    const struct ws_top_keys *top = ws_conf_get(config->conf, &ws_top_section);
    config->classes = top->classes;
    config->n_classes = top->n_classes;
    config->seed = top->seed;
    config->threads = top->threads;
}

enum ws_status ws_config_init(struct ws_config *config, const struct ws_program *program, struct ws_err *err)
{
    *config = (struct ws_config){.program = program, .file = ws_calloc(1, sizeof *config->file)};
    struct ws_config_file *file = config->file;
    if (!file)
        return fail_memory(err);
    size_t n = 0;
    for (const struct ws_stage *stage = ws_stage_table; stage->name; stage++)
        file->others[n++] = stage->name;
    file->schema =
        (struct ws_conf_schema){.sections = program->sections, .others = file->others, .listings = program->listings};
    enum ws_status status = ws_conf_open(&config->conf, &file->schema, err);
    if (status == WS_OK)
        take_top(config);
    else
        ws_config_fini(config);
    return status;
}

void ws_config_fini(struct ws_config *config)
{
    ws_conf_close(&config->conf);
    if (config->file) {
        for (size_t i = 0; i < config->file->n_answers; i++)
            ws_buf_fini(&config->file->answers[i].text);
        ws_arena_fini(&config->file->arena);
        free(config->file);
    }
    *config = (struct ws_config){0};
}

void ws_config_free(struct ws_config **config)
{
    if (!config || !*config)
        return;
    ws_config_fini(*config);
    free(*config);
    *config = NULL;
}

/** Say that the file does not exist, and what its folder has instead. */
static enum ws_status fail_missing(const char *path, struct ws_err *err)
{
    enum ws_status status = ws_fail(err, WS_E_CONFIG, "%s: no such configuration file", path);
    const char *slash = strrchr(path, '/');
    int folder_len = slash ? (int)(slash - path) : 0;
    char folder[1024];
    snprintf(folder, sizeof folder, "%.*s", folder_len > 0 ? folder_len : 1, folder_len > 0 ? path : slash ? "/" : ".");
    struct ws_dir_list list = {0};
    const char *nearest = NULL;
    if (ws_dir_list_open(&list, folder, ".yaml", NULL) == WS_OK && list.n > 0) {
        const char **names = ws_calloc(list.n + 1, sizeof *names);
        for (size_t i = 0; names && i < list.n; i++)
            names[i] = list.names[i];
        nearest = names ? ws_nearest_name(slash ? slash + 1 : path, names) : NULL;
        free(names);
    }
    if (nearest)
        ws_err_hint(err, "did you mean %s/%s?", folder, nearest);
    else
        ws_err_hint(err,
                    "name the classes in it, \"classes: [cat, dog]\", and what differs from configs/reference.yaml");
    ws_dir_list_close(&list);
    return status;
}

static enum ws_status merge_file(struct ws_conf *conf, const char *path, struct ws_err *err)
{
    if (!ws_file_exists(path))
        return fail_missing(path, err);
    struct ws_buf text = {0};
    enum ws_status status = ws_file_read(path, MAX_FILE_BYTES, &text, err);
    if (status == WS_OK)
        status = ws_conf_merge_text(conf, path, text.ptr ? text.ptr : "", text.len, err);
    ws_buf_fini(&text);
    return status;
}

/** A class without search words is searched by its name. */
static bool complete_queries(struct ws_config *config)
{
    for (unsigned i = 0; i < config->n_classes; i++) {
        struct ws_class *class = &config->classes[i];
        if (class->n_queries > 0)
            continue;
        class->queries = ws_arena_alloc(&config->file->arena, 1, sizeof *class->queries);
        if (!class->queries)
            return false;
        class->queries[0] = class->name;
        class->n_queries = 1;
    }
    return true;
}

/** The other programs are asked about the same file under the same overrides. */
static bool keep_source(struct ws_config_file *file, const char *path, const char *const *overrides, int n_overrides)
{
    file->path = path ? ws_arena_strdup(&file->arena, path) : NULL;
    file->overrides = ws_arena_alloc(&file->arena, (size_t)n_overrides + 1, sizeof *file->overrides);
    bool is_kept = (file->path || !path) && file->overrides;
    for (file->n_overrides = 0; is_kept && file->n_overrides < n_overrides; file->n_overrides++) {
        file->overrides[file->n_overrides] = ws_arena_strdup(&file->arena, overrides[file->n_overrides]);
        is_kept = file->overrides[file->n_overrides] != NULL;
    }
    return is_kept;
}

static enum ws_status fill(struct ws_config *config, const char *path, const char *const *overrides, int n_overrides,
                           struct ws_err *err)
{
    if (!keep_source(config->file, path, overrides, n_overrides))
        return fail_memory(err);
    enum ws_status status = path ? merge_file(config->conf, path, err) : WS_OK;
    for (int i = 0; status == WS_OK && i < n_overrides; i++)
        status = ws_conf_merge_override(config->conf, overrides[i], err);
    if (status != WS_OK)
        return status;
    take_top(config);
    if (!path)
        return WS_OK;
    status = ws_conf_check(config->conf, err);
    if (status != WS_OK)
        ws_err_note(err, "%s", path);
    else if (!complete_queries(config))
        status = fail_memory(err);
    return status;
}

enum ws_status ws_config_load(struct ws_config **out, const struct ws_program *program, const char *path,
                              const char *const *overrides, int n_overrides, struct ws_err *err)
{
    *out = ws_calloc(1, sizeof **out);
    if (!*out)
        return fail_memory(err);
    enum ws_status status = ws_config_init(*out, program, err);
    if (status == WS_OK)
        status = fill(*out, path, overrides, n_overrides, err);
    if (status != WS_OK)
        ws_config_free(out);
    return status;
}

const void *ws_config_keys(const struct ws_config *config, const struct ws_conf_section *section)
{
    return ws_conf_get(config->conf, section);
}

const struct ws_runs_keys *ws_config_runs(const struct ws_config *config)
{
    return ws_conf_get(config->conf, &ws_runs_section);
}

const struct ws_teacher_part *ws_config_teacher(const struct ws_config *config)
{
    return ws_conf_get(config->conf, &ws_teacher_part);
}

/* --- other programs --- */

/** Run "webstill-PROGRAM config [PATH] --own -o …" into `answer`. */
static enum ws_status ask(struct ws_config_file *file, struct answer *answer, struct ws_err *err)
{
    char path[WS_SIBLING_PATH];
    static char command[] = "config", own[] = "--own", reference[] = "--reference", option[] = "-o";
    answer->is_absent = !ws_sibling_find(answer->program, path);
    if (answer->is_absent)
        return WS_OK;
    char **argv = ws_calloc((size_t)file->n_overrides * 2 + 6, sizeof *argv);
    if (!argv)
        return fail_memory(err);
    int n = 0;
    argv[n++] = path;
    argv[n++] = command;
    if (file->path)
        argv[n++] = file->path;
    argv[n++] = own;
    if (answer->is_reference)
        argv[n++] = reference;
    for (int i = 0; i < file->n_overrides; i++) {
        argv[n++] = option;
        argv[n++] = file->overrides[i];
    }
    enum ws_status status = ws_sibling_ask(path, argv, &answer->text, err);
    free(argv);
    return status;
}

static enum ws_status find_answer(const struct ws_config *config, const char *program, bool is_reference,
                                  const struct answer **out, struct ws_err *err)
{
    struct ws_config_file *file = config->file;
    ws_assert(file->path || is_reference);
    for (size_t i = 0; i < file->n_answers; i++) {
        *out = &file->answers[i];
        if (strcmp(file->answers[i].program, program) == 0 && file->answers[i].is_reference == is_reference)
            return WS_OK;
    }
    struct answer *answer = &file->answers[file->n_answers];
    *answer = (struct answer){.program = program, .is_reference = is_reference};
    enum ws_status status = ask(file, answer, err);
    if (status == WS_OK)
        file->n_answers++;
    else
        ws_buf_fini(&answer->text);
    *out = answer;
    return status;
}

enum ws_status ws_config_ask_others(const struct ws_config *config, struct ws_err *err)
{
    const struct answer *answer;
    enum ws_status status = WS_OK;
    for (const struct ws_stage *stage = ws_stage_table; status == WS_OK && stage->name && config->file->path; stage++)
        if (!ws_conf_has(config->conf, stage->name))
            status = find_answer(config, stage->program, false, &answer, err);
    return status;
}

/** Copy the lines of an answer from `head` (a whole line) up to the next line that begins with one of `ends`. */
static bool cut_lines(const struct ws_buf *text, const char *head, bool keep_head, bool is_part, struct ws_buf *out)
{
    const size_t len = strlen(head);
    if (text->len == 0)
        return true;
    const char *const end = text->ptr + text->len;
    bool is_inside = false, ok = true;
    for (const char *line = text->ptr; ok && line < end;) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        const char *next = stop ? stop + 1 : end;
        const bool is_document = strncmp(line, "---", 3) == 0;
        const bool is_heading = is_document || (!is_part && *line != ' ' && *line != '-');
        if (is_heading && is_inside)
            break;
        if (is_document && !is_part)
            break;
        if (strncmp(line, head, len) == 0 && line[len] == '\n') {
            is_inside = true;
            line = keep_head ? line : next;
            if (!keep_head)
                continue;
        }
        if (is_inside)
            ok = ws_buf_add(out, line, (size_t)(next - line));
        line = next;
    }
    return ok;
}

static enum ws_status copy_answer(const struct ws_config *config, const struct ws_stage *stage, bool is_reference,
                                  const char *head, bool is_part, struct ws_buf *out, struct ws_err *err)
{
    const struct answer *answer;
    enum ws_status status = find_answer(config, stage->program, is_reference, &answer, err);
    if (status != WS_OK)
        return status;
    if (answer->is_absent) {
        status =
            ws_fail(err, WS_E_IO, "webstill-%s, beside webstill or on PATH: No such file or directory", stage->program);
        ws_err_hint(err, "`make` builds all programs into one folder; keep them together");
        return status;
    }
    return cut_lines(&answer->text, head, !is_part, is_part, out) ? WS_OK : fail_memory(err);
}

/* --- printing --- */

static void part_title(char title[128], const struct ws_stage *stage, const char *run)
{
    snprintf(title, 128, "--- # %s%s%.80s", stage->name, run ? " " : "", run ? run : "");
}

/** A stage with runs depends on what its methods do; a run does not depend on which others there are. */
static enum ws_status print_part(const struct ws_config *config, const struct ws_stage *stage, const char *run,
                                 struct ws_buf *out, struct ws_err *err)
{
    const char *names[MAX_NAMES + 1];
    const struct ws_program *program = config->program;
    size_t n = 0;
    for (; stage->reads[n]; n++)
        names[n] = stage->reads[n];
    if (stage->has_runs && program->method_reads) {
        const struct ws_runs_keys *runs = ws_config_runs(config);
        if (run)
            names[n++] = "-distill.methods";
        for (unsigned i = 0; i < (run ? 1 : runs->n_methods); i++)
            n += program->method_reads(run ? run : runs->methods[i], names + n, MAX_NAMES - n);
    }
    names[n] = NULL;
    return ws_conf_print(config->conf, names, out, err);
}

enum ws_status ws_config_part(const struct ws_config *config, const struct ws_stage *stage, const char *run,
                              struct ws_buf *out, struct ws_err *err)
{
    bool is_known = !stage->has_runs || config->program->method_reads;
    for (size_t i = 0; is_known && stage->reads[i]; i++)
        is_known = ws_conf_knows(config->conf, stage->reads[i]);
    if (is_known)
        return print_part(config, stage, run, out, err);
    char title[128];
    part_title(title, stage, run);
    return copy_answer(config, stage, false, title, true, out, err);
}

/** The keys of no section, in front of all. */
static enum ws_status print_top(const struct ws_config *config, struct ws_buf *out, struct ws_err *err)
{
    return ws_conf_print(config->conf, (const char *const[]){"classes", "seed", "threads", NULL}, out, err);
}

static enum ws_status print_section(const struct ws_config *config, const struct ws_stage *stage, struct ws_buf *out,
                                    struct ws_err *err)
{
    if (ws_conf_has(config->conf, stage->name))
        return ws_conf_print(config->conf, (const char *const[]){stage->name, NULL}, out, err);
    char head[80];
    snprintf(head, sizeof head, "%s:", stage->name);
    return copy_answer(config, stage, false, head, false, out, err);
}

enum ws_status ws_config_print(const struct ws_config *config, const char *section, struct ws_buf *out,
                               struct ws_err *err)
{
    const struct ws_stage *stage = section ? ws_stage_find(section) : NULL;
    if (stage)
        return print_section(config, stage, out, err);
    if (section)
        return ws_conf_print(config->conf, (const char *const[]){section, NULL}, out, err);
    enum ws_status status = print_top(config, out, err);
    for (stage = ws_stage_table; status == WS_OK && stage->name; stage++)
        status = print_section(config, stage, out, err);
    return status;
}

static enum ws_status print_own_part(const struct ws_config *config, const struct ws_stage *stage, const char *run,
                                     struct ws_buf *out, struct ws_err *err)
{
    char title[128];
    part_title(title, stage, run);
    if (!ws_buf_addf(out, "%s\n", title))
        return fail_memory(err);
    return print_part(config, stage, run, out, err);
}

static const char reference_head[] =
    "# Every key of webstill's configuration, with its unit, range and default.\n"
    "#\n"
    "# It is printed from the programs' own rows by `make reference`: write only what differs into your own file, "
    "e.g.\n"
    "# configs/mine.yaml, and change single values for one run with `-o section.key=value`. Under each key's "
    "description\n"
    "# stands \"[unit; range]\": \"(0, 10]\" leaves out 0 and includes 10. Shares lie between 0 and 1.\n"
    "# `webstill config CONFIG` prints what a run really uses. Relative paths count from the current directory.\n";

enum ws_status ws_config_print_reference(const struct ws_config *config, struct ws_buf *out, struct ws_err *err)
{
    if (!ws_buf_add_str(out, reference_head) || !ws_conf_print_reference(config->conf, "", out))
        return fail_memory(err);
    enum ws_status status = WS_OK;
    for (const struct ws_stage *stage = ws_stage_table; status == WS_OK && stage->name; stage++) {
        char title[128];
        part_title(title, stage, NULL);
        if (!ws_conf_has(config->conf, stage->name))
            status = copy_answer(config, stage, true, title, true, out, err);
        else if (!ws_conf_print_reference(config->conf, stage->name, out))
            status = fail_memory(err);
    }
    return status;
}

enum ws_status ws_config_print_own_reference(const struct ws_config *config, struct ws_buf *out, struct ws_err *err)
{
    for (const struct ws_stage *stage = ws_stage_table; stage->name; stage++) {
        char title[128];
        part_title(title, stage, NULL);
        if (strcmp(stage->program, config->program->name) == 0 &&
            (!ws_buf_addf(out, "%s\n", title) || !ws_conf_print_reference(config->conf, stage->name, out)))
            return fail_memory(err);
    }
    return WS_OK;
}

enum ws_status ws_config_print_own(const struct ws_config *config, struct ws_buf *out, struct ws_err *err)
{
    enum ws_status status = WS_OK;
    for (const struct ws_stage *stage = ws_stage_table; status == WS_OK && stage->name; stage++)
        if (strcmp(stage->program, config->program->name) == 0)
            status = print_section(config, stage, out, err);
    for (const struct ws_stage *stage = ws_stage_table; status == WS_OK && stage->name; stage++) {
        if (strcmp(stage->program, config->program->name) != 0)
            continue;
        const struct ws_runs_keys *runs = stage->has_runs ? ws_config_runs(config) : NULL;
        status = print_own_part(config, stage, NULL, out, err);
        for (unsigned i = 0; status == WS_OK && runs && i < runs->n_methods; i++)
            status = print_own_part(config, stage, runs->methods[i], out, err);
    }
    return status;
}
