/** `webstill inspect`: what a file or folder is, by its content. */
#include "inspect.h"
#include "commands.h"
#include "stage/stages.h"
#include "tensors/format.h"

#include "webstill/base/file.h"
#include "webstill/base/json.h"
#include "webstill/base/path.h"
#include "webstill/base/text.h"
#include "webstill/tensors/file.h"
#include "webstill/warc/file.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { HEAD_BYTES = 16, LIST_MAX = 200, WARC_BLOCK_MAX = 256 << 20 };

static void print_values(const struct ws_tensor_entry *entry)
{
    size_t n = entry->size_bytes / ws_dtype_size(entry->dtype);
    n = n < 4 ? n : 4;
    for (size_t i = 0; i < n; i++) {
        if (entry->dtype == WS_F32)
            printf(" %.6g", (double)((const float *)entry->data)[i]);
        else if (entry->dtype == WS_F64)
            printf(" %.6g", ((const double *)entry->data)[i]);
        else if (entry->dtype == WS_I64)
            printf(" %" PRId64, ((const int64_t *)entry->data)[i]);
        else if (entry->dtype == WS_I32)
            printf(" %" PRId32, ((const int32_t *)entry->data)[i]);
        else if (entry->dtype == WS_U8 || entry->dtype == WS_BOOL)
            printf(" %d", ((const uint8_t *)entry->data)[i]);
    }
}

/** A card is JSON in a string: shown with a key a line. */
static void print_metadata(const struct ws_metadata pair)
{
    json_t *card = json_loads(pair.value, 0, NULL);
    if (!json_is_object(card)) {
        enum { SHOWN = 400 };
        const size_t len = strlen(pair.value);
        if (len <= SHOWN)
            printf("  %s = %s\n", pair.key, pair.value);
        else
            printf("  %s = %.40s… (%zu characters)\n", pair.key, pair.value, len);
        json_decref(card);
        return;
    }
    printf("  %s:\n", pair.key);
    const char *key;
    json_t *value;
    json_object_foreach(card, key, value)
    {
        char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(7));
        printf("    %s: %s\n", key, text ? text : "?");
        free(text);
    }
    json_decref(card);
}

static enum ws_status inspect_tensors(const char *path, struct ws_err *err)
{
    struct ws_tensors *tensors = NULL;
    const enum ws_status status = ws_tensors_open(&tensors, path, err);
    if (status != WS_OK)
        return status;
    const size_t n = ws_tensors_count(tensors);
    int64_t total = 0;
    char hex[WS_DIGEST_HEX];
    ws_digest_hex(ws_tensors_digest(tensors), hex);
    printf("%s: safetensors, %zu tensor%s, data SHA-256 %s (checked)\n", path, n, n == 1 ? "" : "s", hex);
    for (size_t i = 0; i < n; i++) {
        const struct ws_tensor_entry *e = ws_tensors_at(tensors, i);
        total += (int64_t)(e->size_bytes / ws_dtype_size(e->dtype));
        if (i >= LIST_MAX)
            continue;
        char shape[200] = "";
        for (int d = 0; d < e->rank; d++) {
            const size_t used = strlen(shape);
            snprintf(shape + used, sizeof shape - used, "%s%" PRId64, d > 0 ? "x" : "", e->shape[d]);
        }
        printf("  %-40s %-4s %-16s", e->name, ws_dtype_name(e->dtype), e->rank > 0 ? shape : "scalar");
        print_values(e);
        printf("\n");
    }
    if (n > LIST_MAX)
        printf("  … and %zu more\n", n - LIST_MAX);
    printf("  %" PRId64 " values in all\n", total);
    for (size_t i = 0; i < ws_tensors_metadata_count(tensors); i++)
        print_metadata(ws_tensors_metadata_at(tensors, i));
    ws_tensors_close(&tensors);
    return WS_OK;
}

static enum ws_status inspect_warc(const char *path, struct ws_err *err)
{
    static const char *const names[] = {
        [WS_WARC_WARCINFO] = "warcinfo",     [WS_WARC_REQUEST] = "request",           [WS_WARC_RESPONSE] = "response",
        [WS_WARC_RESOURCE] = "resource",     [WS_WARC_METADATA] = "metadata",         [WS_WARC_REVISIT] = "revisit",
        [WS_WARC_CONVERSION] = "conversion", [WS_WARC_CONTINUATION] = "continuation", [WS_WARC_OTHER] = "other"};
    int64_t counts[WS_WARC_OTHER + 1] = {0}, classes[6] = {0}, n_records = 0, n_damaged = 0;
    struct ws_warc_reader *reader = NULL;
    struct ws_warc_record record;
    enum ws_status status = ws_warc_reader_open(&reader, path, 0, WARC_BLOCK_MAX, err);
    while (status == WS_OK || status == WS_E_FORMAT) {
        struct ws_err local = {0};
        status = ws_warc_next(reader, &record, &local);
        if (status == WS_E_FORMAT) {
            printf("  damaged: %s\n", local.text);
            n_damaged++;
        } else if (status == WS_OK) {
            n_records++;
            counts[record.type]++;
            if (record.type == WS_WARC_RESPONSE)
                classes[record.http_status >= 100 && record.http_status < 600 ? record.http_status / 100 : 0]++;
        } else if (status != WS_DONE) {
            ws_fail(err, status, "%s", local.text);
        }
    }
    ws_warc_reader_close(&reader);
    if (status != WS_DONE)
        return status;
    printf("%s: WARC, %" PRId64 " records, %" PRId64 " damaged (lengths and digests checked)\n", path, n_records,
           n_damaged);
    for (int i = 0; i <= WS_WARC_OTHER; i++) {
        if (counts[i] > 0)
            printf("  %-12s %" PRId64 "\n", names[i], counts[i]);
    }
    for (int i = 0; i < 6; i++) {
        if (classes[i] > 0)
            printf("  HTTP %cxx     %" PRId64 "\n", i > 0 ? '0' + i : '?', classes[i]);
    }
    if (n_damaged > 0)
        return ws_fail(err, WS_E_DAMAGED, "%s: %" PRId64 " of %" PRId64 " records are damaged", path, n_damaged,
                       n_records + n_damaged);
    return WS_OK;
}

static void print_files(const json_t *manifest, const char *member)
{
    const json_t *files = json_object_get(manifest, member);
    size_t i;
    const json_t *file;
    json_array_foreach(files, i, file)
    {
        const json_t *count = json_object_get(file, "count");
        printf("  %-7s %s  %s", member, ws_json_text(file, "sha256"), ws_json_text(file, "path"));
        if (json_is_integer(count))
            printf("  (%" PRId64 ")", (int64_t)json_integer_value(count));
        printf("\n");
    }
}

static void print_members(json_t *object, const char *indent)
{
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(7));
        const size_t len = text ? strlen(text) : 0;
        printf("%s%s: %.100s%s\n", indent, key, text ? text : "?", len > 100 ? "…" : "");
        free(text);
    }
}

static enum ws_status inspect_json(const char *path, struct ws_err *err)
{
    json_t *root = NULL;
    const enum ws_status status = ws_json_read(path, &root, err);
    if (status != WS_OK)
        return status;
    if (json_object_get(root, "webstill") && json_object_get(root, "stage")) {
        printf("%s: manifest of stage %s, made by webstill %s with %s\n", path, ws_json_text(root, "stage"),
               ws_json_text(root, "version"), ws_json_text(root, "libraries"));
        printf("  %s to %s, %.1f s, configuration %s\n", ws_json_text(root, "started"), ws_json_text(root, "finished"),
               ws_json_number(root, "seconds"), ws_json_text(root, "config_sha256"));
        print_files(root, "inputs");
        print_files(root, "outputs");
        printf("  counts:\n");
        print_members(json_object_get(root, "counts"), "    ");
        printf("  facts:\n");
        print_members(json_object_get(root, "facts"), "    ");
    } else if (json_object_get(root, "per_class")) {
        printf("%s: evaluation\n", path);
        print_members(root, "  ");
    } else {
        printf("%s: JSON\n", path);
        print_members(root, "  ");
    }
    json_decref(root);
    return WS_OK;
}

static enum ws_status inspect_lines(const char *path, struct ws_err *err)
{
    struct ws_file_map map = {0};
    const enum ws_status status = ws_file_map_open(&map, path, err);
    if (status != WS_OK)
        return status;
    int64_t n_lines = 0, n_bad = 0;
    struct ws_span rest = map.bytes, line;
    json_t *last = NULL;
    while (ws_line_next(&rest, &line)) {
        json_t *value = json_loadb((const char *)line.ptr, line.len, 0, NULL);
        n_lines++;
        n_bad += value == NULL;
        if (value) {
            json_decref(last);
            last = value;
        }
    }
    printf("%s: JSON lines, %" PRId64 " lines, %" PRId64 " of them damaged; the last one:\n", path, n_lines, n_bad);
    print_members(last, "  ");
    json_decref(last);
    ws_file_map_close(&map);
    return n_bad == 0 ? WS_OK : ws_fail(err, WS_E_DAMAGED, "%s: %" PRId64 " lines are no JSON", path, n_bad);
}

static enum ws_status inspect_folder(const char *path, struct ws_err *err)
{
    char inner[WS_PATH_BYTES];
    bool is_known = false;
    enum ws_status status = ws_path_join(inner, path, err, "data.mdb");
    if (status == WS_OK && ws_file_exists(inner)) {
        is_known = true;
        status = ws_inspect_lmdb(path, err);
    }
    if (status == WS_OK)
        status = ws_path_join(inner, path, err, "manifest.json");
    if (status == WS_OK && ws_file_exists(inner)) {
        is_known = true;
        status = inspect_json(inner, err);
    }
    if (status == WS_OK && !is_known) {
        status = ws_fail(err, WS_E_UNSUPPORTED, "%s: a folder without data.mdb or manifest.json is none of ours", path);
        ws_err_hint(err, "name a file or a stage's folder; `webstill status CONFIG` shows a whole working directory");
    }
    return status;
}

static enum ws_status inspect_file(const char *path, struct ws_err *err)
{
    uint8_t head[HEAD_BYTES] = {0};
    FILE *stream = fopen(path, "rb");
    if (!stream)
        return ws_fail_errno(err, "cannot open %s", path);
    const size_t len = fread(head, 1, sizeof head, stream);
    fclose(stream);
    if ((len >= 2 && head[0] == 0x1f && head[1] == 0x8b) || memcmp(head, "WARC/", 5) == 0)
        return inspect_warc(path, err);
    if (len > 8 && head[8] == '{' && head[7] == 0 && head[6] == 0)
        return inspect_tensors(path, err);
    if (ws_text_ends_with(path, ".jsonl"))
        return inspect_lines(path, err);
    if (head[0] == '{')
        return inspect_json(path, err);
    if (ws_text_ends_with(path, ".onnx")) {
        printf("%s: ONNX model, %" PRId64 " bytes; onnxruntime, PyTorch or a browser opens it\n", path,
               ws_file_size(path));
        return WS_OK;
    }
    if (ws_text_ends_with(path, "data.mdb")) {
        char folder[WS_PATH_BYTES];
        if (snprintf(folder, sizeof folder, "%.*s", (int)(strlen(path) - strlen("data.mdb")), path) >=
            (int)sizeof folder)
            return ws_fail(err, WS_E_CONFIG, "%.200s… is too long for a path", path);
        return ws_inspect_lmdb(folder[0] ? folder : ".", err);
    }
    return ws_fail(err, WS_E_UNSUPPORTED, "%s: neither safetensors, WARC, LMDB, ONNX nor JSON; none of our files",
                   path);
}

enum ws_status ws_inspect_command(const struct ws_run *run, struct ws_err *err)
{
    const char *path = run->args[0];
    struct stat info;
    if (stat(path, &info) != 0)
        return ws_fail_errno(err, "cannot look at %s", path);
    return S_ISDIR(info.st_mode) ? inspect_folder(path, err) : inspect_file(path, err);
}
