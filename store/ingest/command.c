/** `webstill store CONFIG`: WARC files to the image store. */
#include "commands.h"
#include "images/format.h"
#include "intake.h"
#include "picture/decode.h"
#include "webstill/picture/keys.h"

#include "webstill/base/file.h"
#include "webstill/base/log.h"
#include "webstill/base/mem.h"
#include "webstill/stage/job.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h> /* after stdio.h, which it needs */
#include <png.h>
#include <seccomp.h>
#include <webp/decode.h>
#include <zlib.h>

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

static enum ws_status count_images(struct ws_tables *db, struct totals *totals, struct ws_err *err)
{
    enum ws_status status = ws_tables_count(db, WS_IMAGES_PIXELS, &totals->n_images, err);
    if (status != WS_OK)
        return status;
    status = ws_tables_count(db, WS_IMAGES_REFUSED, &totals->n_refused, err);
    if (status != WS_OK)
        return status;
    return ws_tables_each(db, WS_IMAGES_REFUSED, (struct ws_span){0}, count_refused, totals, err);
}

static enum ws_status add_up(const struct ws_intake *intake, struct ws_job *job, struct ws_tables *db,
                             struct totals *totals, struct ws_err *err)
{
    enum ws_status status = ws_tables_begin(db, err);
    for (size_t i = 0; status == WS_OK && i < intake->n_inputs; i++)
        status = add_shard_up(job, &intake->inputs[i], db, totals, err);
    if (status == WS_OK)
        status = count_images(db, totals, err);
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

static enum ws_status fail_empty(const struct ws_intake *intake, const struct totals *totals, struct ws_err *err)
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
    if (status != WS_OK)
        return status;
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
    struct ws_intake *intake = self;
    intake->dir = job->dir;
    enum ws_status status = ws_intake_collect(intake, err);
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
    const struct ws_intake *intake = self;
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
static enum ws_status fill_store(const struct ws_intake *intake, struct ws_job *job, struct totals *totals,
                                 bool *is_limited, struct ws_err *err)
{
    struct ws_tables *db = NULL;
    char crash_dir[WS_PATH_BYTES];
    enum ws_status status = ws_path_join(crash_dir, job->dir, err, "crashes");
    if (status != WS_OK)
        return status;
    status = ws_intake_open_store(intake, &db, err);
    if (status != WS_OK)
        goto close;
    const struct ws_ingest_setup setup = {db, job->run->config, crash_dir, job->run->limit};
    status = ws_ingest_run(&setup, intake->inputs, intake->n_inputs, is_limited, err);
    if (status == WS_OK)
        status = add_up(intake, job, db, totals, err);
close:
    ws_tables_close(&db);
    return status;
}

static enum ws_status make_store(struct ws_job *job, void *self, struct ws_err *err)
{
    const struct ws_intake *intake = self;
    struct totals totals = {0};
    bool is_limited = false;
    enum ws_status status = ws_job_start(job, err);
    if (status != WS_OK)
        return status;
    status = ws_job_forget_inputs(job, err);
    if (status != WS_OK)
        return status;
    status = fill_store(intake, job, &totals, &is_limited, err);
    if (status != WS_OK)
        return status;
    if (totals.n_images == 0)
        return fail_empty(intake, &totals, err);
    status = publish(job, &totals, err);
    if (status == WS_OK)
        tell_totals(&totals, is_limited);
    return status;
}

enum ws_status ws_store_command(const struct ws_run *run, struct ws_err *err)
{
    static const struct ws_job_steps steps = {.inputs = note_inputs, .plan = tell_plan, .make = make_store};
    struct ws_intake intake = {.run = run};
    char libraries[256];
    ws_store_libraries(libraries, sizeof libraries);
    const struct ws_job_setup setup = {
        .stage = ws_stage_find("store"), .program = "webstill-store", .libraries = libraries};
    const enum ws_status status = ws_job_run(run, &setup, &steps, &intake, err);
    ws_intake_fini(&intake);
    return status;
}
