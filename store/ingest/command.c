/** `webstill store CONFIG`: WARC files to the image store. */
#include "commands.h"
#include "images/format.h"
#include "picture/decode.h"
#include "walk.h"
#include "webstill/picture/keys.h"

#include "webstill/base/file.h"
#include "webstill/base/json.h"
#include "webstill/base/log.h"
#include "webstill/base/mem.h"
#include "webstill/base/text.h"
#include "webstill/stage/job.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <jpeglib.h> /* after stdio.h, which it needs */
#include <png.h>
#include <seccomp.h>
#include <webp/decode.h>
#include <zlib.h>

/** The run: what it reads. */
struct intake {
    const struct ws_run *run;
    const char *dir;                /**< borrowed from the job: work/X/store */
    struct ws_ingest_input *inputs; /**< owned */
    size_t n_inputs;
};

/** What the finished store holds, for the manifest and the closing lines. */
struct totals {
    struct ws_ingest_shard sums;
    int64_t n_images, n_refused;
    int64_t refused[WS_IMAGE_N_REASONS];
};

#define TEXT_OF(x) #x
#define EXPANDED(x) TEXT_OF(x)

void ws_store_libraries(char *text, size_t size_bytes)
{
    const int webp = WebPGetDecoderVersion();
    const struct scmp_version *filter = seccomp_version();
    char lmdb[32];
    snprintf(text, size_bytes,
             "libjpeg-turbo %s, libpng %s, libwebp %d.%d.%d, LMDB %s, libseccomp %u.%u.%u, "
             "zlib %s",
             EXPANDED(LIBJPEG_TURBO_VERSION), png_get_libpng_ver(NULL), webp >> 16, webp >> 8 & 0xff, webp & 0xff,
             ws_tables_library(lmdb), filter->major, filter->minor, filter->micro, zlibVersion());
}

/* --- inputs --- */

static bool is_warc_name(const char *name)
{
    return ws_text_ends_with(name, ".warc") || ws_text_ends_with(name, ".warc.gz");
}

static enum ws_status add_input(struct intake *intake, const char *name, const char *path, const char *sha256,
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
static enum ws_status add_shard(struct intake *intake, const json_t *output, struct ws_err *err)
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

static enum ws_status add_crawl(struct intake *intake, struct ws_err *err)
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

static enum ws_status add_file(struct intake *intake, const char *path, struct ws_err *err)
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
static enum ws_status add_foreign(struct intake *intake, const char *path, struct ws_err *err)
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

static enum ws_status collect_inputs(struct intake *intake, struct ws_err *err)
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

/* --- is the store on disk one of this configuration and these inputs? --- */

/** Everything that the pixels and labels depend on, as one line. */
static bool describe_rule(const struct ws_config *config, struct ws_buf *out)
{
    const struct ws_store_keys *s = ws_store_keys(config);
    bool ok = ws_buf_addf(out,
                          "size=%u channels=%u fit=%d background=%d invert=%d min_side=%u max_megapixels=%.9g "
                          "max_aspect=%.9g classes=",
                          s->size, s->channels, (int)s->fit, (int)s->background, (int)s->invert, s->min_side,
                          s->max_megapixels, s->max_aspect);
    for (unsigned i = 0; ok && i < config->n_classes; i++)
        ok = ws_buf_addf(out, "%s|", config->classes[i].name);
    return ok;
}

struct shard_check {
    const struct intake *intake;
    struct ws_tables *db;
    char reason[200]; /**< why the store must be made anew, or empty */
};

/** A WARC file that the store was made from must still be an input, unchanged. */
static enum ws_status check_shard(void *argument, struct ws_span key, struct ws_span value, struct ws_err *err)
{
    struct shard_check *check = argument;
    (void)value;
    for (size_t i = 0; i < check->intake->n_inputs; i++) {
        const struct ws_ingest_input *input = &check->intake->inputs[i];
        char name[WS_URL_KEY_BYTES];
        if (ws_images_url_key(input->name, name) != key.len || memcmp(name, key.ptr, key.len) != 0)
            continue;
        struct ws_ingest_shard shard;
        const enum ws_status status = ws_ingest_shard_read(check->db, input->name, &shard, err);
        if (status == WS_OK && strcmp(shard.sha256, input->sha256) != 0)
            snprintf(check->reason, sizeof check->reason, "%.150s has changed", input->name);
        return status;
    }
    snprintf(check->reason, sizeof check->reason, "%.*s is no input any more", (int)(key.len < 150 ? key.len : 150),
             (const char *)key.ptr);
    return WS_DONE;
}

/** Decide whether what is on disk can be gone on with. `reason` stays empty when it can, or is new. */
static enum ws_status check_store(const struct intake *intake, struct ws_tables *db, const struct ws_buf *rule,
                                  char reason[200], struct ws_err *err)
{
    struct shard_check check = {.intake = intake, .db = db};
    struct ws_span value;
    reason[0] = 0;
    enum ws_status status = ws_tables_begin(db, err);
    if (status != WS_OK)
        return status;
    status = ws_tables_get(db, WS_IMAGES_META, ws_text_span("rule"), &value, err);
    if (status == WS_OK && (value.len != rule->len || memcmp(value.ptr, rule->ptr, rule->len) != 0))
        snprintf(reason, 200, "the configuration has changed (it was: %.*s)", (int)(value.len < 130 ? value.len : 130),
                 (const char *)value.ptr);
    if (status == WS_DONE)
        status = WS_OK;
    if (status == WS_OK && !reason[0]) {
        status = ws_tables_each(db, WS_IMAGES_SHARDS, (struct ws_span){0}, check_shard, &check, err);
        snprintf(reason, 200, "%s", check.reason);
    }
    const char *const meta[][2] = {{"format", "1"}, {"rule", rule->ptr}};
    char size[16], channels[16];
    snprintf(size, sizeof size, "%u", ws_store_keys(intake->run->config)->size);
    snprintf(channels, sizeof channels, "%u", ws_store_keys(intake->run->config)->channels);
    for (int i = 0; status == WS_OK && !reason[0] && i < 2; i++)
        status = ws_tables_put(db, WS_IMAGES_META, ws_text_span(meta[i][0]), ws_text_span(meta[i][1]), err);
    if (status == WS_OK && !reason[0])
        status = ws_tables_put(db, WS_IMAGES_META, ws_text_span("size"), ws_text_span(size), err);
    if (status == WS_OK && !reason[0])
        status = ws_tables_put(db, WS_IMAGES_META, ws_text_span("channels"), ws_text_span(channels), err);
    return status == WS_OK ? ws_tables_commit(db, err) : status;
}

/** Open the store on disk, or make it anew when it belongs to another configuration or other inputs. */
static enum ws_status open_store(const struct intake *intake, struct ws_tables **db, struct ws_err *err)
{
    const double map_gib = ws_store_keys(intake->run->config)->map_gib;
    struct ws_buf rule = {0};
    char reason[200];
    enum ws_status status = describe_rule(intake->run->config, &rule)
                                ? WS_OK
                                : ws_fail(err, WS_E_MEMORY, "out of memory for the store's rule");
    if (status == WS_OK)
        status = ws_images_create(db, intake->dir, map_gib, err);
    if (status == WS_OK)
        status = check_store(intake, *db, &rule, reason, err);
    if (status == WS_OK && reason[0]) {
        ws_log(WS_LOG_INFO, "the store is made anew: %s", reason);
        ws_tables_close(db);
        status = ws_images_remove(intake->dir, err);
        if (status == WS_OK)
            status = ws_images_create(db, intake->dir, map_gib, err);
        if (status == WS_OK)
            status = check_store(intake, *db, &rule, reason, err);
    }
    ws_buf_fini(&rule);
    return status;
}

/* --- the end: counts and manifest --- */

static enum ws_status count_refused(void *argument, struct ws_span key, struct ws_span value, struct ws_err *err)
{
    struct totals *totals = argument;
    (void)key;
    (void)err;
    json_t *row = json_loadb((const char *)value.ptr, value.len, 0, NULL);
    const char *reason = json_string_value(json_object_get(row, "reason"));
    for (int i = 0; reason && i < WS_IMAGE_N_REASONS; i++)
        totals->refused[i] += strcmp(reason, ws_picture_reason_name((enum ws_picture_reason)i)) == 0;
    json_decref(row);
    return WS_OK;
}

/** What one WARC file came to; a file that --limit cut is no input of what is published. */
static enum ws_status add_shard_up(struct ws_job *job, const struct ws_ingest_input *input, struct ws_tables *db,
                                   struct totals *totals, struct ws_err *err)
{
    struct ws_ingest_shard shard;
    struct ws_digest digest;
    const enum ws_status status = ws_ingest_shard_read(db, input->name, &shard, err);
    if (status != WS_OK)
        return status;
    totals->sums.records += shard.records;
    totals->sums.damaged += shard.damaged;
    totals->sums.images += shard.images;
    totals->sums.duplicates += shard.duplicates;
    totals->sums.refused_again += shard.refused_again;
    return shard.is_done && ws_digest_parse(input->sha256, &digest) ? ws_job_input(job, input->name, &digest, err)
                                                                    : WS_OK;
}

static enum ws_status add_up(const struct intake *intake, struct ws_job *job, struct ws_tables *db,
                             struct totals *totals, struct ws_err *err)
{
    enum ws_status status = ws_tables_begin(db, err);
    for (size_t i = 0; status == WS_OK && i < intake->n_inputs; i++)
        status = add_shard_up(job, &intake->inputs[i], db, totals, err);
    if (status == WS_OK)
        status = ws_tables_count(db, WS_IMAGES_PIXELS, &totals->n_images, err);
    if (status == WS_OK)
        status = ws_tables_count(db, WS_IMAGES_REFUSED, &totals->n_refused, err);
    if (status == WS_OK)
        status = ws_tables_each(db, WS_IMAGES_REFUSED, (struct ws_span){0}, count_refused, totals, err);
    return status == WS_OK ? ws_tables_commit(db, err) : status;
}

/** "12 corrupt, 3 too_small". */
static void describe_refused(const struct totals *totals, char *text, size_t size_bytes)
{
    size_t len = 0;
    text[0] = 0;
    for (int i = 0; i < WS_IMAGE_N_REASONS; i++) {
        if (totals->refused[i] == 0 || len >= size_bytes)
            continue;
        const int n = snprintf(text + len, size_bytes - len, "%s%" PRId64 " %s", len > 0 ? ", " : "",
                               totals->refused[i], ws_picture_reason_name((enum ws_picture_reason)i));
        len += n > 0 ? (size_t)n : 0;
    }
}

static enum ws_status fail_empty(const struct intake *intake, const struct totals *totals, struct ws_err *err)
{
    char reasons[500];
    describe_refused(totals, reasons, sizeof reasons);
    (void)ws_fail(err, WS_E_FORMAT,
                  "no image in %" PRId64 " records of %zu WARC file%s (the first is %s): %" PRId64
                  " bodies were pictures or wanted as such%s%s",
                  totals->sums.records, intake->n_inputs, intake->n_inputs == 1 ? "" : "s", intake->inputs[0].path,
                  totals->sums.images, reasons[0] ? "; refused: " : "", reasons);
    ws_err_hint(err, "%s",
                totals->n_refused > 0 ? "look at store.min_side, max_megapixels and max_aspect; `webstill explain "
                                        "CONFIG URL` tells why one URL was refused"
                                      : "the crawl brought no image: look at its class names, sources and "
                                        "crawl/failures.jsonl");
    return WS_E_FORMAT;
}

static json_t *make_reasons(const struct totals *totals)
{
    json_t *reasons = json_object();
    for (int i = 0; reasons && i < WS_IMAGE_N_REASONS; i++)
        if (totals->refused[i] > 0)
            (void)json_object_set_new(reasons, ws_picture_reason_name((enum ws_picture_reason)i),
                                      json_integer(totals->refused[i]));
    return reasons;
}

/** Images of each class name, and of none ("unlabelled"). */
static json_t *make_classes(const struct ws_config *config, const struct ws_images *images)
{
    json_t *classes = json_object();
    int64_t *n = ws_calloc((size_t)config->n_classes + 1, sizeof *n);
    for (size_t i = 0; n && i < ws_images_count(images); i++) {
        const int label = ws_images_record(images, i)->label;
        n[label >= 0 && (unsigned)label < config->n_classes ? (unsigned)label : config->n_classes]++;
    }
    for (unsigned i = 0; n && classes && i < config->n_classes; i++)
        (void)json_object_set_new(classes, config->classes[i].name, json_integer(n[i]));
    if (n && classes)
        (void)json_object_set_new(classes, "unlabelled", json_integer(n[config->n_classes]));
    free(n);
    return classes;
}

static json_t *make_formats(const struct ws_images *images)
{
    int64_t n[4] = {0};
    for (size_t i = 0; i < ws_images_count(images); i++)
        n[ws_images_record(images, i)->format & 3]++;
    return json_pack("{s:I,s:I,s:I}", "jpeg", (json_int_t)n[WS_IMAGE_JPEG], "png", (json_int_t)n[WS_IMAGE_PNG], "webp",
                     (json_int_t)n[WS_IMAGE_WEBP]);
}

static bool describe(struct ws_manifest *manifest, const struct ws_config *config, const struct ws_images *images,
                     const struct ws_digest *digest, const struct totals *totals)
{
    return ws_manifest_output(manifest, "store", digest, totals->n_images) &&
           ws_manifest_count(manifest, "records", totals->sums.records) &&
           ws_manifest_count(manifest, "damaged_records", totals->sums.damaged) &&
           ws_manifest_count(manifest, "pictures", totals->sums.images) &&
           ws_manifest_count(manifest, "images", totals->n_images) &&
           ws_manifest_count(manifest, "duplicates", totals->sums.duplicates) &&
           ws_manifest_count(manifest, "refused", totals->n_refused) &&
           ws_manifest_count(manifest, "refused_again", totals->sums.refused_again) &&
           ws_manifest_fact(manifest, "refused_by_reason", make_reasons(totals)) &&
           ws_manifest_fact(manifest, "images_per_class", make_classes(config, images)) &&
           ws_manifest_fact(manifest, "images_per_format", make_formats(images));
}

/** Check what was written by reading it, and publish the manifest. */
static enum ws_status publish(struct ws_job *job, const struct totals *totals, struct ws_err *err)
{
    struct ws_images *images = NULL;
    struct ws_digest digest;
    enum ws_status status = ws_images_open(&images, job->dir, err);
    if (status == WS_OK)
        status = ws_images_digest(images, &digest, err);
    if (status == WS_OK && !describe(&job->manifest, job->run->config, images, &digest, totals))
        status = ws_fail(err, WS_E_MEMORY, "out of memory for the manifest");
    ws_images_close(&images);
    return status == WS_OK ? ws_job_finish(job, err) : status;
}

/* --- the command --- */

/** Every WARC file: what a complete run would read. */
static enum ws_status note_inputs(struct ws_job *job, void *self, struct ws_err *err)
{
    struct intake *intake = self;
    intake->dir = job->dir;
    enum ws_status status = collect_inputs(intake, err);
    for (size_t i = 0; status == WS_OK && i < intake->n_inputs; i++) {
        struct ws_digest digest;
        status = ws_digest_parse(intake->inputs[i].sha256, &digest)
                     ? ws_job_input(job, intake->inputs[i].name, &digest, err)
                     : ws_fail(err, WS_E_FORMAT, "%s: its SHA-256 in the crawl's manifest is no digest",
                               intake->inputs[i].name);
    }
    return status;
}

static enum ws_status tell_plan(struct ws_job *job, void *self, struct ws_err *err)
{
    const struct intake *intake = self;
    const struct ws_store_keys *conf = ws_store_keys(job->run->config);
    (void)err;
    printf("store: would read %zu WARC file%s into %s, %u x %u pixels, %u channel%s\n", intake->n_inputs,
           intake->n_inputs == 1 ? "" : "s", job->dir, conf->size, conf->size, conf->channels,
           conf->channels == 1 ? "" : "s");
    for (size_t i = 0; i < intake->n_inputs; i++)
        printf("  %s, %" PRId64 " bytes\n", intake->inputs[i].path, ws_file_size(intake->inputs[i].path));
    return WS_OK;
}

static void tell_totals(const struct totals *totals, bool is_limited)
{
    char reasons[500];
    describe_refused(totals, reasons, sizeof reasons);
    ws_log(WS_LOG_INFO,
           "%" PRId64 " image%s from %" PRId64 " pictures: %" PRId64 " duplicates, %" PRId64 " refused%s%s%s%s",
           totals->n_images, totals->n_images == 1 ? "" : "s", totals->sums.images, totals->sums.duplicates,
           totals->n_refused, reasons[0] ? " (" : "", reasons, reasons[0] ? ")" : "",
           is_limited ? "; stopped at --limit" : "");
    if (totals->sums.damaged > 0)
        ws_log(WS_LOG_WARN, "%" PRId64 " damaged WARC records were stepped over", totals->sums.damaged);
}

/** Read every input into the store, and add up what it holds. */
static enum ws_status fill_store(const struct intake *intake, struct ws_job *job, struct totals *totals,
                                 bool *is_limited, struct ws_err *err)
{
    struct ws_tables *db = NULL;
    char crash_dir[WS_PATH_BYTES];
    enum ws_status status = ws_path_join(crash_dir, job->dir, err, "crashes");
    if (status == WS_OK)
        status = open_store(intake, &db, err);
    if (status == WS_OK) {
        const struct ws_ingest_setup setup = {db, job->run->config, crash_dir, job->run->limit};
        status = ws_ingest_run(&setup, intake->inputs, intake->n_inputs, is_limited, err);
    }
    if (status == WS_OK)
        status = add_up(intake, job, db, totals, err);
    ws_tables_close(&db);
    return status;
}

static enum ws_status make_store(struct ws_job *job, void *self, struct ws_err *err)
{
    const struct intake *intake = self;
    struct totals totals = {0};
    bool is_limited = false;
    enum ws_status status = ws_job_start(job, err);
    if (status == WS_OK)
        status = ws_job_forget_inputs(job, err);
    if (status == WS_OK)
        status = fill_store(intake, job, &totals, &is_limited, err);
    if (status == WS_OK && totals.n_images == 0)
        status = fail_empty(intake, &totals, err);
    if (status == WS_OK)
        status = publish(job, &totals, err);
    if (status == WS_OK)
        tell_totals(&totals, is_limited);
    return status;
}

enum ws_status ws_store_command(const struct ws_run *run, struct ws_err *err)
{
    static const struct ws_job_steps steps = {.inputs = note_inputs, .plan = tell_plan, .make = make_store};
    struct intake intake = {.run = run};
    char libraries[256];
    ws_store_libraries(libraries, sizeof libraries);
    const struct ws_job_setup setup = {
        .stage = ws_stage_find("store"), .program = "webstill-store", .libraries = libraries};
    const enum ws_status status = ws_job_run(run, &setup, &steps, &intake, err);
    for (size_t i = 0; i < intake.n_inputs; i++) {
        free(intake.inputs[i].name);
        free(intake.inputs[i].path);
    }
    free(intake.inputs);
    return status;
}
