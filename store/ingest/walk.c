/** The reading side of the store stage: records into batches, bodies into the sandbox, batches into LMDB. */
#include "apply.h"
#include "picture/sandbox.h"
#include "warc/parts.h"

#include "webstill/base/fields.h"
#include "webstill/base/file.h"
#include "webstill/base/log.h"
#include "webstill/base/path.h"
#include "webstill/base/stop.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { BATCH_ITEMS = 256, BATCH_RECORDS = 4096, MAX_BODY_BYTES = 64 << 20, MAX_WARNINGS = 10 };

struct ingest {
    const struct ws_ingest_setup *setup;
    struct ws_sandbox *sandbox; /**< owned */
    struct ws_ingest_item items[BATCH_ITEMS];
    size_t n_items;
    int64_t n_records; /**< read in this batch, items or not */
    size_t square_bytes;
    struct ws_arena arena; /**< texts and pixels of the batch */
    struct ws_progress progress;
    int64_t n_done;              /**< records, for the progress line */
    int64_t n_images, n_refused; /**< rows in the store after the last commit */
};

/* --- the books --- */

static struct ws_span shard_key(const char *name, char key[WS_URL_KEY_BYTES])
{
    return ws_span_of(key, ws_images_url_key(name, key)); /* long paths are hashed like long URLs */
}

static const struct ws_field shard_fields[] = {
    WS_FIELD(struct ws_ingest_shard, bytes, "bytes", WS_FIELD_U64),
    WS_FIELD(struct ws_ingest_shard, damaged, "damaged", WS_FIELD_I64),
    WS_FIELD(struct ws_ingest_shard, is_done, "done", WS_FIELD_BOOL),
    WS_FIELD(struct ws_ingest_shard, duplicates, "duplicates", WS_FIELD_I64),
    WS_FIELD(struct ws_ingest_shard, images, "images", WS_FIELD_I64),
    WS_FIELD(struct ws_ingest_shard, records, "records", WS_FIELD_I64),
    WS_FIELD(struct ws_ingest_shard, refused_again, "refused_again", WS_FIELD_I64),
    WS_FIELD(struct ws_ingest_shard, sha256, "sha256", WS_FIELD_TEXT),
    WS_FIELD_END,
};

enum ws_status ws_ingest_shard_read(struct ws_tables *db, const char *name, struct ws_ingest_shard *shard,
                                    struct ws_err *err)
{
    char key[WS_URL_KEY_BYTES];
    struct ws_span value;
    *shard = (struct ws_ingest_shard){0};
    const enum ws_status status = ws_tables_get(db, WS_IMAGES_SHARDS, shard_key(name, key), &value, err);
    if (status != WS_OK)
        return status == WS_DONE ? WS_OK : status;
    json_t *root = json_loadb((const char *)value.ptr, value.len, 0, NULL);
    const bool is_read = ws_fields_load(shard_fields, shard, root);
    json_decref(root);
    return is_read ? WS_OK
                   : ws_fail(err, WS_E_DAMAGED, "store %s: its books on %s cannot be read", ws_tables_dir(db), name);
}

static enum ws_status write_shard(struct ws_tables *db, const char *name, const struct ws_ingest_shard *shard,
                                  struct ws_err *err)
{
    char key[WS_URL_KEY_BYTES];
    json_t *root = json_object();
    char *text = ws_fields_save(shard_fields, shard, root) ? json_dumps(root, JSON_COMPACT) : NULL;
    const enum ws_status status =
        text ? ws_tables_put(db, WS_IMAGES_SHARDS, shard_key(name, key), ws_span_of(text, strlen(text)), err)
             : ws_fail(err, WS_E_MEMORY, "out of memory for the books on %s", name);
    free(text);
    json_decref(root);
    return status;
}

/* --- from a record to an item --- */

static const char *copy_text(struct ingest *ingest, const char *text)
{
    return text ? ws_arena_strdup(&ingest->arena, text) : "";
}

/** The sandbox's answer: keep the outcome, the pixels, and a body that ended its decoder. */
static void take_result(void *argument, size_t ticket, const struct ws_picture_result *result, const uint8_t *square,
                        struct ws_span body)
{
    struct ingest *ingest = argument;
    struct ws_ingest_item *item = &ingest->items[ticket];
    item->result = *result;
    if (result->reason == WS_IMAGE_OK)
        memcpy(item->square, square, ingest->square_bytes);
    if (result->reason != WS_IMAGE_DECODER_CRASH && result->reason != WS_IMAGE_DECODER_TIMEOUT)
        return;
    char hex[WS_DIGEST_HEX], path[WS_PATH_BYTES];
    struct ws_err err = {0};
    ws_digest_hex(&item->digest, hex);
    if (ws_path_join(path, ingest->setup->crash_dir, &err, "%s.bin", hex) == WS_OK &&
        ws_file_replace(path, body.ptr, body.len, &err) == WS_OK)
        ws_log(WS_LOG_WARN, "%s of %s (%s); its bytes are kept in %s", ws_picture_reason_name(result->reason),
               item->url, result->detail, path);
    else
        ws_log(WS_LOG_WARN, "%s of %s (%s); its bytes could not be kept: %s", ws_picture_reason_name(result->reason),
               item->url, result->detail, err.text);
}

/** Does the store, or an earlier item of the batch, know this body? */
static enum ws_status is_known(const struct ingest *ingest, const struct ws_digest *digest, bool *known,
                               struct ws_err *err)
{
    const struct ws_image_id id = ws_image_id_of(digest);
    struct ws_span value;
    *known = true;
    for (size_t i = 0; i < ingest->n_items; i++)
        if (ingest->items[i].is_decoded && memcmp(&ingest->items[i].digest, digest, sizeof *digest) == 0)
            return WS_OK;
    enum ws_status status =
        ws_tables_get(ingest->setup->db, WS_IMAGES_PIXELS, ws_span_of(id.bytes, sizeof id.bytes), &value, err);
    if (status == WS_DONE)
        status = ws_tables_get(ingest->setup->db, WS_IMAGES_REFUSED, ws_span_of(digest->bytes, sizeof digest->bytes),
                               &value, err);
    *known = status == WS_OK;
    return status == WS_DONE ? WS_OK : status;
}

/** Why the fetch was cut: at a ceiling on bytes, or by time or a lost connection. */
static enum ws_picture_reason reason_of_cut(const char *truncated)
{
    return strcasecmp(truncated, "length") == 0 ? WS_IMAGE_OVERSIZED : WS_IMAGE_TRUNCATED;
}

/** A body: judged by its first bytes; pictures go to the sandbox. */
static enum ws_status add_body(struct ingest *ingest, const struct ws_warc_record *record, struct ws_ingest_item *item,
                               struct ws_err *err)
{
    const struct ws_span type = ws_http_field(record->head, "Content-Type");
    item->is_wanted = type.len > 6 && strncasecmp((const char *)type.ptr, "image/", 6) == 0;
    item->is_image = ws_picture_sniff(record->payload, &item->sniffed) != WS_IMAGE_UNKNOWN;
    /* An empty body tells nothing from another: its row is that of the URL. */
    item->digest = record->payload.len > 0 ? ws_sha256(record->payload.ptr, record->payload.len)
                                           : ws_sha256(item->url, strlen(item->url));
    if (!item->is_image && record->truncated)
        item->sniffed = ws_picture_reason_name(reason_of_cut(record->truncated));
    if (!item->is_image)
        return WS_OK;
    bool known = false;
    const enum ws_status status = is_known(ingest, &item->digest, &known, err);
    if (status != WS_OK || known)
        return status;
    item->is_decoded = true;
    if (record->truncated) {
        ws_picture_refuse(&item->result, reason_of_cut(record->truncated),
                          "the transfer was cut (WARC-Truncated: %.40s) after %zu bytes", record->truncated,
                          record->payload.len);
        return WS_OK;
    }
    item->square = ws_arena_alloc(&ingest->arena, ingest->square_bytes, 1);
    if (!item->square)
        return ws_fail(err, WS_E_MEMORY, "out of memory for a picture of %zu bytes", ingest->square_bytes);
    return ws_sandbox_decode(ingest->sandbox, (size_t)(item - ingest->items), record->payload, err);
}

static bool has_prefix(const char *text, const char *prefix)
{
    return text && strncasecmp(text, prefix, strlen(prefix)) == 0;
}

/** Which item a record makes; false for the many that make none. */
static bool choose_kind(const struct ws_warc_record *record, enum ws_ingest_item_kind *kind)
{
    switch (record->type) {
    case WS_WARC_RESPONSE:
    case WS_WARC_RESOURCE:
        *kind = WS_INGEST_BODY;
        return record->target_uri && (record->type == WS_WARC_RESOURCE || record->http_status == 200);
    case WS_WARC_REVISIT: /* a 304 revisit says that nothing changed: nothing to do */
        *kind = WS_INGEST_REVISIT;
        return record->target_uri && (record->http_status == 200 || record->http_status == 0) &&
               !(record->profile && strstr(record->profile, "server-not-modified"));
    case WS_WARC_METADATA:
        *kind = WS_INGEST_METADATA;
        return has_prefix(record->content_type, "application/json");
    default:
        return false;
    }
}

static enum ws_status add_record(struct ingest *ingest, const char *name, const struct ws_warc_record *record,
                                 struct ws_err *err)
{
    enum ws_ingest_item_kind kind;
    if (!choose_kind(record, &kind))
        return WS_OK;
    struct ws_ingest_item *item = &ingest->items[ingest->n_items];
    *item = (struct ws_ingest_item){.kind = kind, .warc = name, .offset = record->offset_bytes};
    item->url = copy_text(ingest, record->target_uri);
    item->date = copy_text(ingest, record->date);
    item->sniffed = "unknown";
    if (!item->url || !item->date)
        return ws_fail(err, WS_E_MEMORY, "out of memory for the URL of a record");
    enum ws_status status = WS_OK;
    if (kind == WS_INGEST_BODY && item->url[0])
        status = add_body(ingest, record, item, err);
    if (kind == WS_INGEST_METADATA) {
        item->json = ws_arena_strndup(&ingest->arena, (const char *)record->payload.ptr, record->payload.len);
        item->json_len = record->payload.len;
        if (!item->json)
            return ws_fail(err, WS_E_MEMORY, "out of memory for metadata of %zu bytes", record->payload.len);
    }
    if (kind == WS_INGEST_REVISIT) {
        item->has_digest = record->payload_digest && ws_warc_digest_parse(record->payload_digest, &item->digest);
        item->refers_to_uri = record->refers_to_uri ? copy_text(ingest, record->refers_to_uri) : NULL;
    }
    if (status == WS_OK && (item->url[0] || kind == WS_INGEST_METADATA)) /* LMDB has no empty keys */
        ingest->n_items++;
    return status;
}

/* --- batches --- */

static enum ws_status begin_batch(struct ingest *ingest, struct ws_err *err)
{
    ingest->n_items = 0;
    ingest->n_records = 0;
    ws_arena_reset(&ingest->arena);
    return ws_tables_begin(ingest->setup->db, err);
}

/** Wait for the decoders, apply the items in order, commit with the position. */
static enum ws_status end_batch(struct ingest *ingest, const char *name, struct ws_ingest_shard *shard,
                                struct ws_err *err)
{
    struct ws_tables *db = ingest->setup->db;
    const struct ws_apply apply = {db, ingest->setup->config, shard};
    enum ws_status status = ws_sandbox_drain(ingest->sandbox, err);
    for (size_t i = 0; status == WS_OK && i < ingest->n_items; i++)
        status = ws_item_apply(&apply, &ingest->items[i], err);
    if (status == WS_OK)
        status = write_shard(db, name, shard, err);
    int64_t n_images = 0, n_refused = 0;
    if (status == WS_OK)
        status = ws_tables_count(db, WS_IMAGES_PIXELS, &n_images, err);
    if (status == WS_OK)
        status = ws_tables_count(db, WS_IMAGES_REFUSED, &n_refused, err);
    if (status == WS_OK)
        status = ws_tables_commit(db, err);
    if (status != WS_OK)
        return status;
    ingest->n_images = n_images;
    ingest->n_refused = n_refused;
    char note[80];
    snprintf(note, sizeof note, "%" PRId64 " images, %" PRId64 " refused", n_images, n_refused);
    ws_progress_step(&ingest->progress, ingest->n_done, note);
    return WS_OK;
}

static bool is_batch_full(const struct ingest *ingest)
{
    const int64_t limit = ingest->setup->limit;
    const int64_t room = limit > 0 ? limit - ingest->n_images : BATCH_ITEMS;
    int64_t n_bodies = 0;
    for (size_t i = 0; limit > 0 && i < ingest->n_items; i++)
        n_bodies += ingest->items[i].is_decoded;
    return ingest->n_items == BATCH_ITEMS || ingest->n_records >= BATCH_RECORDS || n_bodies >= room;
}

/** Read the file to its end, or to the limit. Every batch ends behind a good record. */
static enum ws_status read_batches(struct ingest *ingest, const struct ws_ingest_input *input,
                                   struct ws_warc_reader *reader, struct ws_ingest_shard *shard, struct ws_err *err)
{
    int64_t skip = shard->bytes == 0 ? shard->records : 0;
    int n_warnings = 0;
    enum ws_status status = begin_batch(ingest, err);
    while (status == WS_OK && !shard->is_done) {
        struct ws_warc_record record;
        const enum ws_status step = ws_warc_next(reader, &record, err);
        if (step == WS_E_FORMAT) {
            if (skip == 0)
                shard->damaged++;
            if (skip == 0 && n_warnings++ < MAX_WARNINGS)
                ws_log(WS_LOG_WARN, "stepped over a damaged record: %s%s", err->text,
                       n_warnings == MAX_WARNINGS ? " (further ones of this file are only counted)" : "");
            *err = (struct ws_err){0};
            continue;
        }
        if (step != WS_OK && step != WS_DONE)
            return step;
        if (step == WS_OK && skip > 0) {
            skip--;
            continue;
        }
        shard->is_done = step == WS_DONE;
        if (step == WS_OK) {
            shard->bytes = record.end_bytes;
            shard->records++;
            ingest->n_records++;
            ingest->n_done++;
            status = add_record(ingest, input->name, &record, err);
        }
        if (status == WS_OK && (shard->is_done || is_batch_full(ingest) || ws_stop_asked())) {
            if (shard->is_done && shard->records == 0)
                break;
            status = end_batch(ingest, input->name, shard, err);
            const bool full = ingest->setup->limit > 0 && ingest->n_images >= ingest->setup->limit;
            if (status != WS_OK || shard->is_done || full)
                return status;
            if (ws_stop_asked())
                return ws_fail(err, WS_E_STOPPED, "stopped; %" PRId64 " images are stored", ingest->n_images);
            status = begin_batch(ingest, err);
        }
    }
    return status;
}

static enum ws_status read_file(struct ingest *ingest, const struct ws_ingest_input *input, struct ws_err *err)
{
    struct ws_ingest_shard shard = {0};
    enum ws_status status = ws_tables_begin(ingest->setup->db, err);
    if (status == WS_OK)
        status = ws_ingest_shard_read(ingest->setup->db, input->name, &shard, err);
    if (status == WS_OK)
        status = ws_tables_count(ingest->setup->db, WS_IMAGES_PIXELS, &ingest->n_images, err);
    if (status == WS_OK)
        status = ws_tables_commit(ingest->setup->db, err);
    const bool full = ingest->setup->limit > 0 && ingest->n_images >= ingest->setup->limit;
    if (status != WS_OK || shard.is_done || full)
        return status;
    snprintf(shard.sha256, sizeof shard.sha256, "%s", input->sha256);
    struct ws_warc_reader *reader = NULL;
    status = ws_warc_reader_open(&reader, input->path, shard.bytes, MAX_BODY_BYTES, err);
    if (status == WS_OK)
        status = read_batches(ingest, input, reader, &shard, err);
    ws_warc_reader_close(&reader);
    if (status == WS_OK && shard.is_done && shard.records == 0) {
        status =
            ws_fail(err, WS_E_FORMAT, "%s is no WARC file: it holds no readable record (%" PRId64 " places looked at)",
                    input->path, shard.damaged);
        ws_err_hint(err,
                    "a WARC begins with \"WARC/1.\", plain or in gzip; take the file out of store.warc, or crawl again "
                    "if it is a crawl's own");
    }
    return status;
}

static enum ws_status open_sandbox(struct ingest *ingest, struct ws_err *err)
{
    const struct ws_config *config = ingest->setup->config;
    const struct ws_sandbox_setup setup = {
        .n_workers = (int)config->threads,
        .rule = ws_picture_rule_of(ws_store_keys(config)),
        .max_body_bytes = MAX_BODY_BYTES,
        .timeout_s = ws_store_keys(config)->decode_timeout_s,
        .done = take_result,
        .argument = ingest,
    };
    ingest->square_bytes = (size_t)setup.rule.size * setup.rule.size * setup.rule.channels;
    const enum ws_status status = ws_sandbox_open(&ingest->sandbox, &setup, err);
    if (status == WS_OK && !ws_sandbox_is_filtered(ingest->sandbox))
        ws_log(WS_LOG_WARN, "this kernel or build has no seccomp filter: images are decoded in separate processes with "
                            "memory and time limits, but without a system call filter");
    return status;
}

enum ws_status ws_ingest_run(const struct ws_ingest_setup *setup, const struct ws_ingest_input *inputs, size_t n_inputs,
                             bool *limited, struct ws_err *err)
{
    *limited = false;
    struct ingest *ingest = ws_calloc(1, sizeof *ingest);
    if (!ingest)
        return ws_fail(err, WS_E_MEMORY, "out of memory for reading %zu WARC files", n_inputs);
    ingest->setup = setup;
    enum ws_status status = open_sandbox(ingest, err);
    int64_t total = 0, before = 0;
    bool known = true;
    if (status == WS_OK)
        status = ws_tables_begin(setup->db, err);
    for (size_t i = 0; status == WS_OK && i < n_inputs; i++) {
        struct ws_ingest_shard shard;
        status = ws_ingest_shard_read(setup->db, inputs[i].name, &shard, err);
        known = known && (inputs[i].n_records > 0 || shard.is_done);
        total += shard.is_done ? shard.records : inputs[i].n_records;
        before += shard.records;
    }
    if (status == WS_OK)
        status = ws_tables_commit(setup->db, err);
    if (status == WS_OK)
        ws_progress_begin(&ingest->progress, "store", "records", known ? total : 0, before);
    ingest->n_done = before;
    for (size_t i = 0; status == WS_OK && i < n_inputs && !*limited; i++) {
        status = read_file(ingest, &inputs[i], err);
        *limited = setup->limit > 0 && ingest->n_images >= setup->limit;
    }
    if (ingest->progress.what) {
        char note[80];
        snprintf(note, sizeof note, "%" PRId64 " images, %" PRId64 " refused", ingest->n_images, ingest->n_refused);
        ws_progress_end(&ingest->progress, ingest->n_done, note);
    }
    ws_sandbox_close(&ingest->sandbox);
    ws_arena_fini(&ingest->arena);
    free(ingest);
    return status;
}
