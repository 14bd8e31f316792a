/** Loading: reference, file and overrides are merged as YAML, libcyaml makes the struct, then keys are checked
 * together. */
#include "webstill/conf/config.h"
#include "webstill/base/text.h"

#include "merge.h"
#include "schema.h"

#include "webstill/base/file.h"
#include "webstill/base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FILE_BYTES = 1 << 20 };

/* configs/reference.yaml, compiled in by the Makefile. */
extern const char ws_reference_yaml[], ws_reference_yaml_end[];

/* --- libcyaml --- */

/** What libcyaml says, collected for the message chain. */
struct cyaml_words {
    char text[512];
    size_t used;
};

static void collect_words(cyaml_log_t level, void *context, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

static void collect_words(cyaml_log_t level, void *context, const char *format, va_list arguments)
{
    (void)level;
    struct cyaml_words *words = context;
    size_t room = sizeof words->text - words->used;
    int n = vsnprintf(words->text + words->used, room, format, arguments);
    if (n > 0)
        words->used += (size_t)n < room ? (size_t)n : room - 1;
    for (char *c = words->text; *c; c++)
        if (*c == '\n')
            *c = ' ';
}

static const cyaml_config_t quiet_cyaml = {.log_fn = NULL, .mem_fn = cyaml_mem, .flags = CYAML_CFG_NO_ALIAS};

static int append_bytes(void *buf, unsigned char *bytes, size_t len)
{
    return ws_buf_add(buf, bytes, len);
}

/** Write a merged document as YAML; empties the document. */
static bool emit(yaml_document_t *document, struct ws_buf *out)
{
    yaml_emitter_t emitter;
    if (!yaml_emitter_initialize(&emitter))
        return false;
    yaml_emitter_set_output(&emitter, append_bytes, out);
    yaml_emitter_set_unicode(&emitter, 1);
    yaml_emitter_set_width(&emitter, -1);
    bool ok = yaml_emitter_open(&emitter) && yaml_emitter_dump(&emitter, document) && yaml_emitter_close(&emitter);
    yaml_emitter_delete(&emitter);
    return ok;
}

/** The merged document through libcyaml's schema into the struct. */
static enum ws_status to_struct(yaml_document_t *merged, struct ws_config **out, struct ws_err *err)
{
    struct ws_buf yaml = {0};
    struct cyaml_words words = {.text = ""};
    cyaml_config_t cyaml = quiet_cyaml;
    cyaml.log_fn = collect_words;
    cyaml.log_ctx = &words;
    cyaml.log_level = CYAML_LOG_ERROR;
    enum ws_status status = WS_OK;
    if (!emit(merged, &yaml)) {
        status = ws_fail(err, WS_E_MEMORY, "out of memory while writing the merged configuration");
        goto free_yaml;
    }
    cyaml_data_t *data = NULL;
    cyaml_err_t result = cyaml_load_data((const uint8_t *)yaml.ptr, yaml.len, &cyaml, &ws_conf_schema, &data, NULL);
    if (result == CYAML_ERR_OOM)
        status = ws_fail(err, WS_E_MEMORY, "out of memory while loading the configuration");
    else if (result != CYAML_OK)
        status = ws_fail(err, WS_E_INTERNAL, "the merged configuration does not fit its schema: %s: %s",
                         cyaml_strerror(result), words.text);
    else
        *out = data;
free_yaml:
    ws_buf_fini(&yaml);
    return status;
}

void ws_config_free(struct ws_config **config)
{
    if (!config || !*config)
        return;
    cyaml_free(&quiet_cyaml, &ws_conf_schema, *config, 0);
    *config = NULL;
}

/* --- keys checked together --- */

/** A class without search words is searched by its name. */
static bool complete_queries(struct ws_config *config)
{
    for (unsigned i = 0; i < config->n_classes; i++) {
        struct ws_conf_class *class = &config->classes[i];
        if (class->n_queries > 0)
            continue;
        char **queries = ws_calloc(1, sizeof *queries);
        char *query = strdup(class->name);
        if (!queries || !query) {
            free(queries);
            free(query);
            return false;
        }
        queries[0] = query;
        class->queries = queries;
        class->n_queries = 1;
    }
    return true;
}

static enum ws_status check_classes(const struct ws_config *config, struct ws_err *err)
{
    if (config->n_classes == 1)
        return ws_fail(err, WS_E_CONFIG, "classes: expected two or more, found one (\"%s\")", config->classes[0].name);
    for (unsigned i = 0; i < config->n_classes; i++) {
        if (config->classes[i].name[0] == '\0')
            return ws_fail(err, WS_E_CONFIG, "classes[%u]: expected a name, found an empty text", i);
        for (unsigned q = 0; q < config->classes[i].n_queries; q++)
            if (config->classes[i].queries[q][0] == '\0')
                return ws_fail(err, WS_E_CONFIG, "classes[%u].queries[%u]: expected search words, found an empty text",
                               i, q);
        for (unsigned j = 0; j < i; j++)
            if (strcmp(config->classes[i].name, config->classes[j].name) == 0)
                return ws_fail(err, WS_E_CONFIG, "classes[%u] and classes[%u] have the same name \"%s\"", j, i,
                               config->classes[i].name);
    }
    return WS_OK;
}

static bool has_contact(const char *user_agent)
{
    return strstr(user_agent, "+http://") || strstr(user_agent, "+https://") || strchr(user_agent, '@');
}

static bool is_web_url(const char *url)
{
    return strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0;
}

static enum ws_status check_crawl(const struct ws_conf_crawl *crawl, struct ws_err *err)
{
    bool is_named = crawl->user_agent[0] != '\0';
    if ((is_named || crawl->n_sources > 0) && !has_contact(crawl->user_agent)) {
        enum ws_status status = ws_fail(err, WS_E_CONFIG,
                                        "crawl.user_agent: expected a contact in it, \"(+https://…)\" or an e-mail "
                                        "address, found \"%s\"",
                                        crawl->user_agent);
        ws_err_hint(err, "site owners need a way to reach you: user_agent: \"mybot/1.0 (+https://example.org/bot)\"");
        return status;
    }
    if (strpbrk(crawl->user_agent, "\r\n"))
        return ws_fail(err, WS_E_CONFIG, "crawl.user_agent: expected one line");
    for (unsigned i = 0; i < crawl->n_sources; i++)
        if (!is_web_url(crawl->sources[i].url))
            return ws_fail(err, WS_E_CONFIG, "crawl.sources[%u].url: expected http://… or https://…, found \"%s\"", i,
                           crawl->sources[i].url);
    for (unsigned i = 0; i < crawl->n_resolve; i++) {
        const char *equals = strchr(crawl->resolve[i], '=');
        if (!equals || equals == crawl->resolve[i] || equals[1] == '\0')
            return ws_fail(err, WS_E_CONFIG, "crawl.resolve[%u]: expected \"host=address\", found \"%s\"", i,
                           crawl->resolve[i]);
    }
    return WS_OK;
}

static enum ws_status check_optim(const struct ws_conf_optim *optim, const char *section, struct ws_err *err)
{
    for (unsigned i = 1; i < optim->n_milestones; i++)
        if (optim->milestones[i] <= optim->milestones[i - 1])
            return ws_fail(err, WS_E_CONFIG, "%s.milestones: expected rising shares, found %g behind %g", section,
                           optim->milestones[i], optim->milestones[i - 1]);
    return WS_OK;
}

static enum ws_status check_pair(const char *a_key, const char *a, const char *b_key, const char *b, struct ws_err *err)
{
    if ((a[0] == '\0') == (b[0] == '\0'))
        return WS_OK;
    return ws_fail(err, WS_E_CONFIG, "%s and %s go together: expected both or neither, found only %s", a_key, b_key,
                   a[0] ? a_key : b_key);
}

static enum ws_status check_distill(const struct ws_conf_distill *distill, struct ws_err *err)
{
    for (unsigned i = 0; i < distill->n_methods; i++)
        for (unsigned j = 0; j < i; j++)
            if (strcmp(distill->methods[i], distill->methods[j]) == 0)
                return ws_fail(err, WS_E_CONFIG, "distill.methods: \"%s\" stands twice", distill->methods[i]);
    return check_optim(&distill->optim, "distill", err);
}

static enum ws_status check_together(const struct ws_config *config, struct ws_err *err)
{
    enum ws_status status = check_classes(config, err);
    if (status == WS_OK)
        status = check_crawl(&config->crawl, err);
    if (status == WS_OK)
        status = check_optim(&config->teacher.optim, "teacher", err);
    if (status == WS_OK)
        status = check_distill(&config->distill, err);
    if (status == WS_OK)
        status = check_pair("teacher.train_images", config->teacher.train_images, "teacher.train_labels",
                            config->teacher.train_labels, err);
    if (status == WS_OK)
        status = check_pair("eval.images", config->eval.images, "eval.labels", config->eval.labels, err);
    return status;
}

/* --- load --- */

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

static enum ws_status merge_file(yaml_document_t *merged, const char *path, struct ws_err *err)
{
    if (!ws_file_exists(path))
        return fail_missing(path, err);
    struct ws_buf text = {0};
    enum ws_status status = ws_file_read(path, MAX_FILE_BYTES, &text, err);
    if (status == WS_OK)
        status = ws_conf_merge_text(merged, path, text.ptr ? text.ptr : "", text.len, err);
    ws_buf_fini(&text);
    return status;
}

/** Merge the three layers, checking that the user named classes. */
static enum ws_status merge_layers(yaml_document_t *merged, const char *path, const char *const *overrides,
                                   int n_overrides, struct ws_err *err)
{
    enum ws_status status = ws_conf_merge_text(merged, "configs/reference.yaml", ws_reference_yaml,
                                               (size_t)(ws_reference_yaml_end - ws_reference_yaml), err);
    if (status != WS_OK)
        return status;
    const yaml_node_t *root = yaml_document_get_root_node(merged);
    const yaml_node_t *classes = ws_conf_node_value(merged, root, "classes");
    ptrdiff_t default_index = classes - merged->nodes.start;
    status = merge_file(merged, path, err);
    for (int i = 0; status == WS_OK && i < n_overrides; i++)
        status = ws_conf_merge_override(merged, overrides[i], err);
    if (status != WS_OK)
        return status;
    classes = ws_conf_node_value(merged, yaml_document_get_root_node(merged), "classes");
    if (classes - merged->nodes.start == default_index) {
        status = ws_fail(err, WS_E_CONFIG, "%s: the key \"classes\" is missing", path);
        ws_err_hint(err, "list the class names in the order of the teacher's outputs: classes: [cat, dog]");
    }
    return status;
}

enum ws_status ws_config_load(struct ws_config **out, const char *path, const char *const *overrides, int n_overrides,
                              struct ws_err *err)
{
    *out = NULL;
    yaml_document_t merged;
    if (!yaml_document_initialize(&merged, NULL, NULL, NULL, 1, 1))
        return ws_fail(err, WS_E_MEMORY, "out of memory while loading %s", path);
    struct ws_config *config = NULL;
    enum ws_status status = WS_OK;
    if (!yaml_document_add_mapping(&merged, NULL, YAML_BLOCK_MAPPING_STYLE)) {
        status = ws_fail(err, WS_E_MEMORY, "out of memory while loading %s", path);
        goto delete_merged;
    }
    status = merge_layers(&merged, path, overrides, n_overrides, err);
    if (status != WS_OK)
        goto delete_merged;
    status = to_struct(&merged, &config, err);
    if (status == WS_OK && !complete_queries(config))
        status = ws_fail(err, WS_E_MEMORY, "out of memory");
    if (status == WS_OK)
        status = check_together(config, err);
    if (status != WS_OK) {
        ws_err_note(err, "%s", path);
        ws_config_free(&config);
    }
    *out = config;
delete_merged:
    yaml_document_delete(&merged);
    return status;
}
