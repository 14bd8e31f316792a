/** `webstill verify`: every digest and checksum of a working directory, a line each. */
#include "commands.h"
#include "stage/stages.h"

#include "webstill/base/file.h"
#include "webstill/base/json.h"
#include "webstill/base/path.h"
#include "webstill/base/stop.h"
#include "webstill/base/text.h"
#include "webstill/images/read.h"
#include "webstill/stage/manifest.h"
#include "webstill/tensors/file.h"
#include "webstill/warc/file.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { WARC_BLOCK_MAX = 256 << 20 };

/** What was looked at so far. */
struct tally {
    const char *work; /**< borrowed */
    int64_t n_ok, n_bad;
};

WS_PRINTF(3, 4) static void report_ok(struct tally *tally, const char *path, const char *format, ...)
{
    tally->n_ok++;
    printf("ok   %s: ", path);
    va_list list;
    va_start(list, format);
    vprintf(format, list);
    va_end(list);
    printf("\n");
}

static void report_bad(struct tally *tally, const char *path, const char *why)
{
    tally->n_bad++;
    /* Most messages begin with the path already. */
    if (strstr(why, path))
        printf("bad  %s\n", why);
    else
        printf("bad  %s: %s\n", path, why);
}

/** The digest of an output today: of the content where the format has one, else of the file's bytes. */
static enum ws_status compute_digest(const char *path, struct ws_digest *out, struct ws_err *err)
{
    if (ws_text_ends_with(path, ".safetensors")) {
        struct ws_tensors *tensors = NULL;
        const enum ws_status status = ws_tensors_open(&tensors, path, err);
        if (status == WS_OK)
            *out = *ws_tensors_digest(tensors);
        ws_tensors_close(&tensors);
        return status;
    }
    char inner[WS_PATH_BYTES], folder[WS_PATH_BYTES];
    snprintf(folder, sizeof folder, "%s", path);
    if (ws_text_ends_with(path, "/data.mdb"))
        folder[strlen(path) - strlen("/data.mdb")] = '\0';
    if (ws_path_join(inner, folder, NULL, "data.mdb") != WS_OK || !ws_file_exists(inner))
        return ws_sha256_file(path, out, err);
    struct ws_images *images = NULL;
    enum ws_status status = ws_images_open(&images, folder, err);
    if (status == WS_OK)
        status = ws_images_digest(images, out, err);
    ws_images_close(&images);
    return status;
}

/** A stage may name the digest of a safetensors file's bytes instead of that of its data: either one vouches for it. */
static bool is_digest_of(const char *path, const struct ws_digest *digest, const char *expected)
{
    char hex[WS_DIGEST_HEX];
    ws_digest_hex(digest, hex);
    if (strcmp(hex, expected) == 0)
        return true;
    struct ws_digest bytes;
    if (!ws_text_ends_with(path, ".safetensors") || ws_sha256_file(path, &bytes, NULL) != WS_OK)
        return false;
    ws_digest_hex(&bytes, hex);
    return strcmp(hex, expected) == 0;
}

static void verify_output(struct tally *tally, const json_t *output)
{
    const char *relative = ws_json_text(output, "path"), *expected = ws_json_text(output, "sha256");
    char path[WS_PATH_BYTES];
    struct ws_err err = {0};
    struct ws_digest digest;
    if (ws_path_join(path, tally->work, NULL, "%s", relative) != WS_OK || !ws_file_exists(path)) {
        report_bad(tally, relative, "the manifest names it, but it is gone");
    } else if (compute_digest(path, &digest, &err) != WS_OK) {
        report_bad(tally, relative, err.text);
    } else if (is_digest_of(path, &digest, expected)) {
        report_ok(tally, relative, "SHA-256 %.16s… as its manifest says", expected);
    } else {
        char hex[WS_DIGEST_HEX], why[300];
        ws_digest_hex(&digest, hex);
        snprintf(why, sizeof why, "SHA-256 is %s, the manifest says %.64s", hex, expected);
        report_bad(tally, relative, why);
    }
}

/** Reading a shard to its end checks the length and the digests of each record. */
static void verify_warc(struct tally *tally, const char *relative)
{
    char path[WS_PATH_BYTES];
    struct ws_warc_reader *reader = NULL;
    struct ws_warc_record record;
    struct ws_err err = {0};
    int64_t n_records = 0, n_damaged = 0;
    enum ws_status status = ws_path_join(path, tally->work, &err, "%s", relative);
    if (status == WS_OK)
        status = ws_warc_reader_open(&reader, path, 0, WARC_BLOCK_MAX, &err);
    while (status == WS_OK || status == WS_E_FORMAT) {
        status = ws_warc_next(reader, &record, &err);
        n_records += status == WS_OK;
        if (status == WS_E_FORMAT) {
            report_bad(tally, relative, err.text);
            n_damaged++;
        }
        if (ws_stop_asked())
            break;
    }
    ws_warc_reader_close(&reader);
    if (status != WS_DONE && status != WS_OK)
        report_bad(tally, relative, err.text);
    else if (n_damaged == 0)
        report_ok(tally, relative, "%" PRId64 " records, lengths and digests", n_records);
}

static void verify_tensors(struct tally *tally, const char *relative)
{
    char path[WS_PATH_BYTES];
    struct ws_tensors *tensors = NULL;
    struct ws_err err = {0};
    if (ws_path_join(path, tally->work, &err, "%s", relative) != WS_OK ||
        ws_tensors_open(&tensors, path, &err) != WS_OK)
        report_bad(tally, relative, err.text);
    else if (!ws_tensors_metadata(tensors, "webstill.digest"))
        report_ok(tally, relative, "%zu arrays; carries no digest", ws_tensors_count(tensors));
    else
        report_ok(tally, relative, "%zu arrays, digests of header and data", ws_tensors_count(tensors));
    ws_tensors_close(&tensors);
}

/** JSON and JSON lines carry no digest of their own: they must at least be whole. */
static void verify_json(struct tally *tally, const char *relative)
{
    char path[WS_PATH_BYTES];
    struct ws_file_map map = {0};
    struct ws_err err = {0};
    if (ws_path_join(path, tally->work, &err, "%s", relative) != WS_OK || ws_file_map_open(&map, path, &err) != WS_OK) {
        report_bad(tally, relative, err.text);
        return;
    }
    const bool is_lines = ws_text_ends_with(relative, ".jsonl");
    struct ws_span rest = map.bytes, part = map.bytes;
    int64_t n_parts = 0;
    bool is_good = true;
    while (is_good && (is_lines ? ws_line_next(&rest, &part) : n_parts == 0)) {
        json_error_t error;
        json_t *value = json_loadb(part.len > 0 ? (const char *)part.ptr : "", part.len, 0, &error);
        n_parts++;
        if (!value) {
            char why[300];
            snprintf(why, sizeof why, "line %" PRId64 ": %s", is_lines ? n_parts : (int64_t)error.line, error.text);
            report_bad(tally, relative, why);
            is_good = false;
        }
        json_decref(value);
    }
    if (is_good)
        report_ok(tally, relative, "%" PRId64 " JSON %s", n_parts, is_lines ? "lines" : "document");
    ws_file_map_close(&map);
}

/** Every file of a folder that carries its own checks. */
static enum ws_status verify_folder(struct tally *tally, const char *folder, struct ws_err *err)
{
    static const struct {
        const char *suffix;
        void (*verify)(struct tally *tally, const char *relative);
    } kinds[] = {{".warc.gz", verify_warc},
                 {".warc", verify_warc},
                 {".safetensors", verify_tensors},
                 {".json", verify_json},
                 {".jsonl", verify_json}};
    char path[WS_PATH_BYTES], relative[WS_PATH_BYTES];
    enum ws_status status = ws_path_join(path, tally->work, err, "%s", folder);
    for (size_t k = 0; status == WS_OK && k < sizeof kinds / sizeof kinds[0]; k++) {
        struct ws_dir_list list = {0};
        status = ws_dir_list_open(&list, path, kinds[k].suffix, err);
        for (size_t i = 0; status == WS_OK && i < list.n && !ws_stop_asked(); i++) {
            status = ws_path_join(relative, folder, err, "%s", list.names[i]);
            if (status == WS_OK)
                kinds[k].verify(tally, relative);
        }
        ws_dir_list_close(&list);
    }
    if (status != WS_OK)
        return status;
    return ws_stop_asked() ? ws_fail(err, WS_E_STOPPED, "stopped by a signal before everything was checked") : WS_OK;
}

static enum ws_status verify_stage(struct tally *tally, const struct ws_stage_folder *place, struct ws_err *err)
{
    json_t *manifest = NULL;
    struct ws_err local = {0};
    enum ws_status status = ws_stage_read(place, tally->work, &manifest, &local);
    if (status != WS_OK)
        report_bad(tally, place->manifest, local.text);
    size_t i;
    const json_t *output;
    json_array_foreach(json_object_get(manifest, "outputs"), i, output)
    {
        if (!ws_stop_asked())
            verify_output(tally, output);
    }
    json_decref(manifest);
    status = verify_folder(tally, place->folder, err);
    if (status == WS_OK && place->run) {
        char selection[400];
        snprintf(selection, sizeof selection, "%s/selection", place->folder);
        status = verify_folder(tally, selection, err);
    }
    return status;
}

/** Folders beside the runs' that no place names: what an older program prepared, or another configuration trained. */
static enum ws_status verify_others(struct tally *tally, const struct ws_stage_folder *places, size_t n,
                                    const char *folder, struct ws_err *err)
{
    char path[WS_PATH_BYTES], inner[WS_PATH_BYTES];
    struct ws_dir_list list = {0};
    enum ws_status status = ws_path_join(path, tally->work, err, "%s", folder);
    if (status == WS_OK)
        status = ws_dir_list_open(&list, path, "", err);
    for (size_t i = 0; status == WS_OK && i < list.n; i++) {
        bool is_known = false;
        struct stat facts;
        status = ws_path_join(inner, folder, err, "%s", list.names[i]);
        for (size_t k = 0; status == WS_OK && k < n; k++)
            is_known = is_known || strcmp(places[k].folder, inner) == 0;
        if (status == WS_OK)
            status = ws_path_join(path, tally->work, err, "%s", inner);
        if (status == WS_OK && !is_known && stat(path, &facts) == 0 && S_ISDIR(facts.st_mode))
            status = verify_folder(tally, inner, err);
    }
    ws_dir_list_close(&list);
    return status;
}

enum ws_status ws_verify_command(const struct ws_run *run, struct ws_err *err)
{
    struct tally tally = {.work = run->work};
    struct ws_stage_folder places[WS_STAGES_MAX];
    const size_t n = ws_stages_list(run->config, run->work, places, WS_STAGES_MAX);
    if (!ws_file_exists(run->work)) {
        const enum ws_status status = ws_fail(err, WS_E_IO, "%s does not exist: there is nothing to verify", run->work);
        ws_err_hint(err, "run `webstill crawl %s` first, or name the working directory with --work", run->config_path);
        return status;
    }
    enum ws_status status = WS_OK;
    for (size_t i = 0; status == WS_OK && i < n; i++)
        status = verify_stage(&tally, &places[i], err);
    for (size_t i = 0; status == WS_OK && i < n; i++)
        if (places[i].stage->has_runs && !places[i].run)
            status = verify_others(&tally, places, n, places[i].folder, err);
    if (status != WS_OK)
        return status;
    printf("%" PRId64 " ok, %" PRId64 " bad\n", tally.n_ok, tally.n_bad);
    if (tally.n_bad > 0) {
        status = ws_fail(err, WS_E_DAMAGED, "%s: %" PRId64 " of %" PRId64 " checks found damage", run->work,
                         tally.n_bad, tally.n_ok + tally.n_bad);
        ws_err_hint(err, "remove the damaged stage's folder and run the stage again; what lies before it stays");
        return status;
    }
    return WS_OK;
}
