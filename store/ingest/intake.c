/** The WARC files that the stage reads. */
#include "intake.h"

#include "webstill/base/file.h"
#include "webstill/base/json.h"
#include "webstill/base/mem.h"
#include "webstill/base/path.h"
#include "webstill/base/text.h"
#include "webstill/stage/manifest.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool is_warc_name(const char *name)
{
    return ws_text_ends_with(name, ".warc") || ws_text_ends_with(name, ".warc.gz");
}

static enum ws_status add_input(struct ws_intake *intake, const char *name, const char *path, const char *sha256,
                                int64_t n_records, struct ws_err *err)
{
    for (size_t i = 0; i < intake->n_inputs; i++)
        if (strcmp(intake->inputs[i].name, name) == 0)
            return WS_OK; /* named twice, read once */
    struct ws_ingest_input *inputs = ws_realloc(intake->inputs, intake->n_inputs + 1, sizeof *inputs);
    if (inputs)
        intake->inputs = inputs;
    struct ws_ingest_input input = {.name = strdup(name), .path = strdup(path), .n_records = n_records};
    if (!inputs || !input.name || !input.path) {
        free(input.name);
        free(input.path);
        return ws_fail(err, WS_E_MEMORY, "out of memory for the list of %zu WARC files", intake->n_inputs + 1);
    }
    snprintf(input.sha256, sizeof input.sha256, "%s", sha256);
    intake->inputs[intake->n_inputs++] = input;
    return WS_OK;
}

/** A finished shard, as the crawl's manifest names it. */
static enum ws_status add_shard(struct ws_intake *intake, const json_t *output, struct ws_err *err)
{
    const char *name = ws_json_text(output, "path"), *sha256 = ws_json_text(output, "sha256");
    char file[WS_PATH_BYTES];
    if (!sha256[0] || !is_warc_name(name))
        return WS_OK;
    const enum ws_status status = ws_path_join(file, intake->run->work, err, "%s", name);
    if (status != WS_OK)
        return status;
    return add_input(intake, name, file, sha256, json_integer_value(json_object_get(output, "count")), err);
}

static enum ws_status add_crawl(struct ws_intake *intake, struct ws_err *err)
{
    char path[WS_PATH_BYTES];
    enum ws_status status = ws_path_join(path, intake->run->work, err, "crawl/manifest.json");
    if (status != WS_OK || (!ws_file_exists(path) && ws_store_keys(intake->run->config)->n_warc > 0))
        return status; /* other people's WARC files alone are fine */
    json_t *manifest = NULL;
    status = ws_manifest_read(path, &manifest, err);
    size_t i;
    const json_t *output;
    json_array_foreach(json_object_get(manifest, "outputs"), i, output)
    {
        if (status == WS_OK)
            status = add_shard(intake, output, err);
    }
    json_decref(manifest);
    return status;
}

static enum ws_status add_file(struct ws_intake *intake, const char *path, struct ws_err *err)
{
    struct ws_digest digest;
    char hex[WS_DIGEST_HEX];
    const enum ws_status status = ws_sha256_file(path, &digest, err);
    if (status != WS_OK)
        return status;
    ws_digest_hex(&digest, hex);
    return add_input(intake, path, path, hex, 0, err);
}

/** store.warc: files, or folders of files. */
static enum ws_status add_foreign(struct ws_intake *intake, const char *path, struct ws_err *err)
{
    struct stat about;
    if (stat(path, &about) != 0) {
        const enum ws_status status = ws_fail_errno(err, "store.warc names %s", path);
        ws_err_hint(err, "paths are relative to the current directory");
        return status;
    }
    if (!S_ISDIR(about.st_mode))
        return add_file(intake, path, err);
    struct ws_dir_list list = {0};
    enum ws_status status = ws_dir_list_open(&list, path, "", err);
    size_t n_found = 0;
    for (size_t i = 0; status == WS_OK && i < list.n; i++) {
        char file[WS_PATH_BYTES];
        if (!is_warc_name(list.names[i]))
            continue;
        n_found++;
        status = ws_path_join(file, path, err, "%s", list.names[i]);
        if (status == WS_OK)
            status = add_file(intake, file, err);
    }
    ws_dir_list_close(&list);
    if (status == WS_OK && n_found == 0)
        status = ws_fail(err, WS_E_IO, "store.warc names the folder %s, which holds no *.warc or *.warc.gz", path);
    return status;
}

enum ws_status ws_intake_collect(struct ws_intake *intake, struct ws_err *err)
{
    const struct ws_store_keys *conf = ws_store_keys(intake->run->config);
    enum ws_status status = add_crawl(intake, err);
    for (unsigned i = 0; status == WS_OK && i < conf->n_warc; i++)
        status = add_foreign(intake, conf->warc[i], err);
    if (status == WS_OK && intake->n_inputs == 0) {
        status =
            ws_fail(err, WS_E_FORMAT, "nothing to read: %s/crawl/manifest.json names no WARC file", intake->run->work);
        ws_err_hint(err, "look into the crawl's own messages, or name WARC files in store.warc");
    }
    return status;
}

void ws_intake_fini(struct ws_intake *intake)
{
    for (size_t i = 0; i < intake->n_inputs; i++) {
        free(intake->inputs[i].name);
        free(intake->inputs[i].path);
    }
    free(intake->inputs);
    *intake = (struct ws_intake){0};
}
