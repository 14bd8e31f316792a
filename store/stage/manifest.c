/** Manifests: built as one JSON object, written last, by rename. */
#include "webstill/stage/manifest.h"
#include "webstill/base/json.h"
#include "webstill/base/path.h"

#include "webstill/base/buf.h"
#include "webstill/base/clock.h"
#include "webstill/base/file.h"
#include "webstill/stage/cli.h"
#include "webstill/stage/table.h"

#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { MANIFEST_FORMAT = 1, MANIFEST_MAX_BYTES = 64 << 20 };

/** The processor's name as /proc/cpuinfo tells it, or the architecture alone. */
static void read_cpu_name(char *name, size_t size_bytes, const char *fallback)
{
    snprintf(name, size_bytes, "%s", fallback);
    FILE *stream = fopen("/proc/cpuinfo", "r");
    if (!stream)
        return;
    char line[512];
    while (fgets(line, sizeof line, stream)) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon)
            continue;
        line[strcspn(line, "\n")] = '\0';
        snprintf(name, size_bytes, "%s", colon[1] == ' ' ? colon + 2 : colon + 1);
        break;
    }
    fclose(stream);
}

static json_t *describe_machine(void)
{
    struct utsname system;
    if (uname(&system) != 0)
        return json_object();
    char cpu[256], kernel[256];
    read_cpu_name(cpu, sizeof cpu, system.machine);
    snprintf(kernel, sizeof kernel, "%.60s %.100s %.60s", system.sysname, system.release, system.machine);
    json_t *machine =
        json_pack("{s:s,s:I,s:s}", "cpu", cpu, "cores", (json_int_t)sysconf(_SC_NPROCESSORS_ONLN), "system", kernel);
    return machine ? machine : json_object();
}

static enum ws_status set_config(struct ws_manifest *manifest, const struct ws_config *config,
                                 const struct ws_stage *stage, const char *run, struct ws_err *err)
{
    struct ws_buf yaml = {0};
    enum ws_status status = ws_config_part(config, stage, run, &yaml, err);
    if (status == WS_OK) {
        const struct ws_digest digest = ws_sha256(yaml.ptr, yaml.len);
        char hex[WS_DIGEST_HEX];
        ws_digest_hex(&digest, hex);
        if (json_object_set_new(manifest->root, "config_sha256", json_string(hex)) != 0 ||
            json_object_set_new(manifest->root, "config", json_stringn(yaml.len > 0 ? yaml.ptr : "", yaml.len)) != 0)
            status = ws_fail(err, WS_E_MEMORY, "the configuration cannot go into a manifest (no memory, or not UTF-8)");
    }
    ws_buf_fini(&yaml);
    return status;
}

enum ws_status ws_manifest_begin(struct ws_manifest *manifest, const struct ws_stage *stage, const char *libraries,
                                 const struct ws_config *config, const char *run, struct ws_err *err)
{
    char started[WS_TIME_TEXT];
    ws_clock_text(ws_clock_unix_s(), started);
    manifest->start_s = ws_clock_mono_s();
    manifest->root =
        json_pack("{s:i,s:s,s:s,s:s,s:o,s:s,s:I,s:I}", "webstill", MANIFEST_FORMAT, "stage", stage->name, "version",
                  WS_VERSION, "libraries", libraries ? libraries : "", "machine", describe_machine(), "started",
                  started, "seed", (json_int_t)config->seed, "threads", (json_int_t)config->threads);
    if (!manifest->root)
        return ws_fail(err, WS_E_MEMORY, "out of memory for the manifest of stage %s", stage->name);
    enum ws_status status = set_config(manifest, config, stage, run, err);
    static const char *const lists[] = {"inputs", "outputs"};
    static const char *const objects[] = {"counts", "facts"};
    for (int i = 0; status == WS_OK && i < 2; i++) {
        if (json_object_set_new(manifest->root, lists[i], json_array()) != 0 ||
            json_object_set_new(manifest->root, objects[i], json_object()) != 0)
            status = ws_fail(err, WS_E_MEMORY, "out of memory for the manifest of stage %s", stage->name);
    }
    if (status != WS_OK)
        ws_manifest_fini(manifest);
    return status;
}

static json_t *make_file_entry(const char *path, const struct ws_digest *digest)
{
    char hex[WS_DIGEST_HEX];
    ws_digest_hex(digest, hex);
    return json_pack("{s:s,s:s}", "path", path, "sha256", hex);
}

bool ws_manifest_input(struct ws_manifest *manifest, const char *path, const struct ws_digest *digest)
{
    return json_array_append_new(json_object_get(manifest->root, "inputs"), make_file_entry(path, digest)) == 0;
}

bool ws_manifest_output(struct ws_manifest *manifest, const char *path, const struct ws_digest *digest, int64_t count)
{
    json_t *entry = make_file_entry(path, digest);
    if (!entry)
        return false;
    if (json_object_set_new(entry, "count", json_integer(count)) != 0) {
        json_decref(entry);
        return false;
    }
    return json_array_append_new(json_object_get(manifest->root, "outputs"), entry) == 0;
}

bool ws_manifest_count(struct ws_manifest *manifest, const char *key, int64_t value)
{
    return json_object_set_new(json_object_get(manifest->root, "counts"), key, json_integer(value)) == 0;
}

bool ws_manifest_fact(struct ws_manifest *manifest, const char *key, json_t *value)
{
    return json_object_set_new(json_object_get(manifest->root, "facts"), key, value) == 0;
}

static bool is_same_text(const json_t *a, const json_t *b, const char *key)
{
    return strcmp(ws_json_text(a, key), ws_json_text(b, key)) == 0;
}

/** One input as a key: its digest, then its path. */
static const char *name_input(struct ws_buf *name, const json_t *input)
{
    ws_buf_clear(name);
    return ws_buf_addf(name, "%s %s", ws_json_text(input, "sha256"), ws_json_text(input, "path")) ? name->ptr : NULL;
}

/** The same inputs in any order: as many, and each with the same digest. */
static bool is_same_inputs(const json_t *ours, const json_t *theirs)
{
    if (!json_is_array(theirs) || json_array_size(ours) != json_array_size(theirs))
        return false;
    struct ws_buf name = {0};
    json_t *known = json_object();
    bool is_same = known != NULL;
    size_t i;
    const json_t *input;
    json_array_foreach(theirs, i, input)
    {
        const char *key = name_input(&name, input);
        is_same = is_same && key && json_object_set_new(known, key, json_true()) == 0;
    }
    json_array_foreach(ours, i, input)
    {
        const char *key = name_input(&name, input);
        is_same = is_same && key && json_object_get(known, key);
    }
    json_decref(known);
    ws_buf_fini(&name);
    return is_same;
}

static bool do_outputs_exist(const json_t *outputs, const char *work)
{
    size_t i;
    const json_t *output;
    json_array_foreach(outputs, i, output)
    {
        char full[WS_PATH_BYTES];
        if (ws_path_join(full, work, NULL, "%s", ws_json_text(output, "path")) != WS_OK || !ws_file_exists(full))
            return false;
    }
    return json_is_array(outputs);
}

static bool has_digest(const char *text, const char *sha256)
{
    char hex[WS_DIGEST_HEX];
    const struct ws_digest digest = ws_sha256(text, strlen(text));
    ws_digest_hex(&digest, hex);
    return strcmp(hex, sha256) == 0;
}

bool ws_manifest_has_config(const json_t *manifest, const char *yaml)
{
    const char *theirs = ws_json_text(manifest, "config"), *sha256 = ws_json_text(manifest, "config_sha256");
    if (has_digest(yaml, sha256))
        return true;
    /* a text that was altered is no witness */
    return has_digest(theirs, sha256) && ws_conf_covers(theirs, yaml);
}

bool ws_manifest_is_current(const struct ws_manifest *manifest, const char *path, const char *work)
{
    json_t *old = NULL;
    if (!ws_file_exists(path) || ws_manifest_read(path, &old, NULL) != WS_OK)
        return false;
    const bool is_current = is_same_text(manifest->root, old, "stage") &&
                            ws_manifest_has_config(old, ws_json_text(manifest->root, "config")) &&
                            is_same_inputs(json_object_get(manifest->root, "inputs"), json_object_get(old, "inputs")) &&
                            do_outputs_exist(json_object_get(old, "outputs"), work);
    json_decref(old);
    return is_current;
}

enum ws_status ws_manifest_finish(struct ws_manifest *manifest, const char *path, struct ws_err *err)
{
    char finished[WS_TIME_TEXT];
    ws_clock_text(ws_clock_unix_s(), finished);
    char *text = NULL;
    if (json_object_set_new(manifest->root, "finished", json_string(finished)) == 0 &&
        json_object_set_new(manifest->root, "seconds", json_real(ws_clock_mono_s() - manifest->start_s)) == 0)
        text = json_dumps(manifest->root, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    if (!text)
        return ws_fail(err, WS_E_MEMORY, "%s: out of memory for the manifest", path);
    const enum ws_status status = ws_file_replace(path, text, strlen(text), err);
    free(text);
    return status;
}

void ws_manifest_fini(struct ws_manifest *manifest)
{
    json_decref(manifest->root);
    manifest->root = NULL;
}

enum ws_status ws_manifest_read(const char *path, json_t **out, struct ws_err *err)
{
    *out = NULL;
    if (!ws_file_exists(path)) {
        const struct ws_stage *stage = ws_stage_of_path(path);
        const char *command = stage ? stage->name : "the stage before this one";
        const enum ws_status missing =
            ws_fail(err, WS_E_IO, "%s does not exist: stage %s has not been finished", path, command);
        ws_err_hint(err, "run `webstill %s` with this configuration first", command);
        return missing;
    }
    struct ws_buf text = {0};
    enum ws_status status = ws_file_read(path, MANIFEST_MAX_BYTES, &text, err);
    if (status == WS_OK) {
        json_error_t error;
        *out = json_loadb(text.len > 0 ? text.ptr : "", text.len, JSON_REJECT_DUPLICATES, &error);
        if (!*out)
            status = ws_fail(err, WS_E_DAMAGED, "%s:%d: not a manifest: %s", path, error.line, error.text);
        else if (json_integer_value(json_object_get(*out, "webstill")) != MANIFEST_FORMAT)
            status =
                ws_fail(err, WS_E_DAMAGED, "%s: not a manifest of format %d (key \"webstill\")", path, MANIFEST_FORMAT);
    }
    if (status != WS_OK) {
        json_decref(*out);
        *out = NULL;
    }
    ws_buf_fini(&text);
    return status;
}

enum ws_status ws_manifest_output_digest(const json_t *manifest, const char *output, struct ws_digest *digest,
                                         struct ws_err *err)
{
    size_t i;
    const json_t *entry;
    json_array_foreach(json_object_get(manifest, "outputs"), i, entry)
    {
        if (strcmp(ws_json_text(entry, "path"), output) != 0)
            continue;
        if (ws_digest_parse(ws_json_text(entry, "sha256"), digest))
            return WS_OK;
        return ws_fail(err, WS_E_DAMAGED, "manifest of stage %s: output %s has no SHA-256",
                       ws_json_text(manifest, "stage"), output);
    }
    return ws_fail(err, WS_E_DAMAGED, "manifest of stage %s names no output %s", ws_json_text(manifest, "stage"),
                   output);
}
