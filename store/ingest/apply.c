/** One record into the store's tables: images, origins, URLs, refusals. */
#include "apply.h"

#include "webstill/base/json.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** The value of a URL in `urls`, copied: an id, "-REASON KEY", "?KIND KEY", or nothing (len 0). */
struct url_value {
    size_t len;
    char bytes[128];
};

static enum ws_status get_url(const struct ws_apply *apply, const char *url, struct url_value *value,
                              struct ws_err *err)
{
    char key[WS_URL_KEY_BYTES];
    struct ws_span found;
    *value = (struct url_value){0};
    const enum ws_status status =
        ws_tables_get(apply->db, WS_IMAGES_URLS, ws_span_of(key, ws_images_url_key(url, key)), &found, err);
    if (status == WS_OK && found.len < sizeof value->bytes) {
        memcpy(value->bytes, found.ptr, found.len);
        value->len = found.len;
    }
    return status == WS_DONE ? WS_OK : status;
}

static enum ws_status put_url(const struct ws_apply *apply, const char *url, const void *bytes, size_t len,
                              struct ws_err *err)
{
    char key[WS_URL_KEY_BYTES];
    return ws_tables_put(apply->db, WS_IMAGES_URLS, ws_span_of(key, ws_images_url_key(url, key)),
                         ws_span_of(bytes, len), err);
}

/** "-corrupt HEX" or "?html HEX". */
static enum ws_status put_url_mark(const struct ws_apply *apply, const char *url, char mark, const char *word,
                                   const struct ws_digest *key, struct ws_err *err)
{
    char hex[WS_DIGEST_HEX], text[128];
    ws_digest_hex(key, hex);
    const int len = snprintf(text, sizeof text, "%c%s %s", mark, word, hex);
    return put_url(apply, url, text, (size_t)len, err);
}

/** The digest at the end of a mark. */
static bool parse_mark(const struct url_value *value, struct ws_digest *key)
{
    char hex[WS_DIGEST_HEX] = {0};
    if (value->len < WS_DIGEST_HEX + 1)
        return false;
    memcpy(hex, value->bytes + value->len - (WS_DIGEST_HEX - 1), WS_DIGEST_HEX - 1);
    return ws_digest_parse(hex, key);
}

static bool is_missing(const struct url_value *value)
{
    return value->len > 9 && memcmp(value->bytes, "-missing ", 9) == 0;
}

/** A JSON object of a table; NULL when absent or damaged. */
static enum ws_status get_json(const struct ws_apply *apply, int table, struct ws_span key, json_t **out,
                               struct ws_err *err)
{
    struct ws_span value;
    *out = NULL;
    const enum ws_status status = ws_tables_get(apply->db, table, key, &value, err);
    if (status == WS_OK)
        *out = json_loadb((const char *)value.ptr, value.len, 0, NULL);
    return status == WS_DONE ? WS_OK : status;
}

/** Absent is fine. */
static enum ws_status drop_row(const struct ws_apply *apply, int table, struct ws_span key, struct ws_err *err)
{
    const enum ws_status status = ws_tables_delete(apply->db, table, key, err);
    return status == WS_DONE ? WS_OK : status;
}

static enum ws_status put_json(const struct ws_apply *apply, int table, struct ws_span key, const json_t *value,
                               struct ws_err *err)
{
    char *text = value ? json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    if (!text)
        return ws_fail(err, WS_E_MEMORY, "out of memory for a row of the store");
    const enum ws_status status = ws_tables_put(apply->db, table, key, ws_span_of(text, strlen(text)), err);
    free(text);
    return status;
}

/** The current class index of what the crawler wrote: by name, so that a changed order of classes does no harm. */
static int class_of(const struct ws_config *config, const json_t *origin)
{
    const json_t *name = json_object_get(origin, "class_name");
    if (json_is_string(name)) {
        for (unsigned i = 0; i < config->n_classes; i++)
            if (strcmp(config->classes[i].name, json_string_value(name)) == 0)
                return (int)i;
        return WS_LABEL_NONE;
    }
    const json_t *index = json_object_get(origin, "class");
    if (!json_is_integer(index) || json_integer_value(index) < 0 || json_integer_value(index) >= config->n_classes)
        return WS_LABEL_NONE;
    return (int)json_integer_value(index);
}

/** Image id and a hash over what tells one way of finding it from another. */
static void make_origin_key(const struct ws_image_id *id, const json_t *origin, uint8_t key[WS_ORIGIN_KEY_BYTES])
{
    static const char *const names[] = {"url", "page", "query", "class_name", "source"};
    uint64_t hash = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *text = ws_json_text(origin, names[i]);
        hash = ws_xxh64(text, strlen(text), hash + i);
    }
    memcpy(key, id->bytes, sizeof id->bytes);
    for (int i = 0; i < 8; i++)
        key[sizeof id->bytes + (size_t)i] = (uint8_t)(hash >> (56 - 8 * i));
}

static bool set_fetch(json_t *origin, const struct ws_ingest_item *item)
{
    return json_object_set_new(origin, "time", json_string(item->date)) == 0 &&
           json_object_set_new(origin, "warc", json_string(item->warc)) == 0 &&
           json_object_set_new(origin, "offset", json_integer((json_int_t)item->offset)) == 0;
}

/** What is known of a fetch when nobody says how the image was found. */
static json_t *make_bare_origin(const struct ws_ingest_item *item, const char *url)
{
    json_t *origin = json_object();
    if (origin && json_object_set_new(origin, "url", json_string(url)) == 0 && set_fetch(origin, item))
        return origin;
    json_decref(origin);
    return NULL;
}

/** An origin of the same URL, whose fetch a later found way shares. */
struct same_url {
    const char *url;
    json_t *found; /**< owned */
    int n_seen;
};

static enum ws_status find_same_url(void *argument, struct ws_span key, struct ws_span value, struct ws_err *err)
{
    enum { MAX_LOOKED_AT = 64 }; /* a picture on a thousand pages must not cost a thousand squared */
    struct same_url *same = argument;
    (void)key;
    (void)err;
    json_t *origin = json_loadb((const char *)value.ptr, value.len, 0, NULL);
    if (origin && strcmp(ws_json_text(origin, "url"), same->url) == 0) {
        same->found = origin;
        return WS_DONE;
    }
    json_decref(origin);
    return ++same->n_seen < MAX_LOOKED_AT ? WS_OK : WS_DONE;
}

/** Add a way in which a stored image was found; it replaces the bare origin of its URL and takes over its fetch. */
static enum ws_status add_origin(const struct ws_apply *apply, const struct ws_image_id *id, const char *url,
                                 const json_t *metadata, const struct ws_ingest_item *item, struct ws_err *err)
{
    json_t *origin = json_copy((json_t *)(uintptr_t)metadata); /* jansson reads it only */
    json_t *bare = make_bare_origin(item, url);
    const int label = class_of(apply->config, metadata);
    struct same_url same = {.url = url};
    uint8_t key[WS_ORIGIN_KEY_BYTES], bare_key[WS_ORIGIN_KEY_BYTES];
    enum ws_status status = WS_OK;
    if (!origin || !bare || json_object_set_new(origin, "url", json_string(url)) != 0 ||
        json_object_set_new(origin, "class", label == WS_LABEL_NONE ? json_null() : json_integer(label)) != 0)
        status = ws_fail(err, WS_E_MEMORY, "out of memory for the origin of %s", url);
    if (status == WS_OK)
        status = ws_tables_each(apply->db, WS_IMAGES_ORIGINS, ws_span_of(id->bytes, sizeof id->bytes), find_same_url,
                                &same, err);
    static const char *const fetch[] = {"time", "warc", "offset"};
    for (size_t i = 0; status == WS_OK && i < sizeof fetch / sizeof fetch[0]; i++) {
        json_t *from = json_object_get(same.found ? same.found : bare, fetch[i]);
        if (from && json_object_set(origin, fetch[i], from) != 0)
            status = ws_fail(err, WS_E_MEMORY, "out of memory for the origin of %s", url);
    }
    if (status == WS_OK) {
        make_origin_key(id, origin, key);
        make_origin_key(id, bare, bare_key);
        status = drop_row(apply, WS_IMAGES_ORIGINS, ws_span_of(bare_key, sizeof bare_key), err);
    }
    if (status == WS_OK)
        status = put_json(apply, WS_IMAGES_ORIGINS, ws_span_of(key, sizeof key), origin, err);
    if (status == WS_OK)
        status = ws_images_label(apply->db, id, label, err);
    json_decref(same.found);
    json_decref(bare);
    json_decref(origin);
    return status;
}

/** Write the row of a refusal (once per body) and the URL's mark. */
static enum ws_status refuse(const struct ws_apply *apply, const struct ws_ingest_item *item, const char *url,
                             enum ws_picture_reason reason, const char *detail, const struct ws_digest *key,
                             struct ws_err *err)
{
    const struct ws_span row = ws_span_of(key->bytes, sizeof key->bytes);
    struct ws_span known;
    enum ws_status status = ws_tables_get(apply->db, WS_IMAGES_REFUSED, row, &known, err);
    if (status == WS_DONE) {
        json_t *value = make_bare_origin(item, url);
        if (!value || json_object_set_new(value, "reason", json_string(ws_picture_reason_name(reason))) != 0 ||
            json_object_set_new(value, "detail", json_string(detail)) != 0)
            status = ws_fail(err, WS_E_MEMORY, "out of memory for why %s was refused", url);
        else
            status = put_json(apply, WS_IMAGES_REFUSED, row, value, err);
        json_decref(value);
    } else if (status == WS_OK) {
        apply->shard->refused_again++;
    }
    if (status == WS_OK)
        status = put_url_mark(apply, url, '-', ws_picture_reason_name(reason), key, err);
    return status;
}

/** Note on a refused row how the image was found; a missing one keeps it all, for when the body turns up. */
static enum ws_status add_to_refused(const struct ws_apply *apply, const struct ws_digest *key, const json_t *metadata,
                                     bool keep_all, struct ws_err *err)
{
    json_t *row = NULL;
    const struct ws_span span = ws_span_of(key->bytes, sizeof key->bytes);
    enum ws_status status = get_json(apply, WS_IMAGES_REFUSED, span, &row, err);
    if (status != WS_OK || !row)
        return status;
    static const char *const names[] = {"page", "query", "class", "class_name", "source", "alt", "title", "licence"};
    bool ok = true;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        json_t *value = json_object_get(metadata, names[i]);
        if (value && !json_object_get(row, names[i]))
            ok = ok && json_object_set(row, names[i], value) == 0;
    }
    if (keep_all) {
        json_t *origins = json_object_get(row, "origins");
        if (!origins && json_object_set_new(row, "origins", json_array()) == 0)
            origins = json_object_get(row, "origins");
        ok = ok && json_array_append(origins, (json_t *)(uintptr_t)metadata) == 0;
    }
    status = ok ? put_json(apply, WS_IMAGES_REFUSED, span, row, err)
                : ws_fail(err, WS_E_MEMORY, "out of memory for why a picture was refused");
    json_decref(row);
    return status;
}

/** Why a body of this kind is no image. */
static enum ws_picture_reason reason_of_kind(const char *kind)
{
    static const enum ws_picture_reason reasons[] = {WS_IMAGE_EMPTY, WS_IMAGE_OVERSIZED, WS_IMAGE_TRUNCATED};
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        if (strcmp(kind, ws_picture_reason_name(reasons[i])) == 0)
            return reasons[i];
    return WS_IMAGE_NOT_AN_IMAGE;
}

/** The same in words; what a body looks like where that is all there is to say. */
static const char *detail_of_kind(const char *kind)
{
    switch (reason_of_kind(kind)) {
    case WS_IMAGE_EMPTY:
        return "the answer had no body";
    case WS_IMAGE_OVERSIZED:
        return "the transfer was cut at the ceiling on bytes";
    case WS_IMAGE_TRUNCATED:
        return "the transfer was cut by time or a lost connection";
    default:
        return kind;
    }
}

/** Attach metadata to whatever became of its URL. */
static enum ws_status attach(const struct ws_apply *apply, const struct ws_ingest_item *item, const char *url,
                             const json_t *metadata, struct ws_err *err)
{
    struct url_value value;
    enum ws_status status = get_url(apply, url, &value, err);
    if (status != WS_OK)
        return status;
    struct ws_image_id id;
    if (value.len == sizeof id.bytes) {
        memcpy(id.bytes, value.bytes, sizeof id.bytes);
        return add_origin(apply, &id, url, metadata, item, err);
    }
    struct ws_digest key;
    const bool marked = parse_mark(&value, &key);
    bool missing = marked && is_missing(&value);
    if (marked && value.bytes[0] == '?') { /* somebody wanted this page as an image */
        const size_t word = value.len - WS_DIGEST_HEX - 1;
        char kind[64];
        snprintf(kind, sizeof kind, "%.*s", (int)word, value.bytes + 1);
        status = refuse(apply, item, url, reason_of_kind(kind), detail_of_kind(kind), &key, err);
        apply->shard->images++;
    } else if (!marked) {
        key = ws_sha256(url, strlen(url));
        missing = true;
        status =
            refuse(apply, item, url, WS_IMAGE_MISSING, "no readable answer for this URL in the WARC files", &key, err);
    }
    return status == WS_OK ? add_to_refused(apply, &key, metadata, missing, err) : status;
}

static enum ws_status apply_metadata(const struct ws_apply *apply, const struct ws_ingest_item *item,
                                     struct ws_err *err)
{
    json_t *metadata = json_loadb(item->json, item->json_len, 0, NULL);
    if (!json_is_object(metadata)) {
        json_decref(metadata);
        apply->shard->damaged++;
        return WS_OK;
    }
    const char *url = ws_json_text(metadata, "url");
    if (!url[0])
        url = item->url;
    const enum ws_status status = url[0] ? attach(apply, item, url, metadata, err) : WS_OK;
    json_decref(metadata);
    return status;
}

static enum ws_status put_image(const struct ws_apply *apply, const struct ws_ingest_item *item,
                                const struct ws_image_id *id, struct ws_err *err)
{
    const struct ws_store_keys *conf = ws_store_keys(apply->config);
    const struct ws_image_record record = {
        .channels = (uint8_t)conf->channels,
        .format = (uint8_t)item->result.format,
        .width = (uint16_t)conf->size,
        .height = (uint16_t)conf->size,
        .original_width = item->result.width,
        .original_height = item->result.height,
        .label = WS_LABEL_NONE,
        .flags = item->result.flags,
    };
    return ws_images_put(apply->db, id, record, item->square, err);
}

/** A body that is in the store: another fetch, another URL. */
static enum ws_status add_fetch(const struct ws_apply *apply, const struct ws_ingest_item *item,
                                const struct ws_image_id *id, struct ws_err *err)
{
    json_t *bare = make_bare_origin(item, item->url);
    struct same_url same = {.url = item->url};
    uint8_t key[WS_ORIGIN_KEY_BYTES];
    enum ws_status status = bare ? WS_OK : ws_fail(err, WS_E_MEMORY, "out of memory for the origin of %s", item->url);
    if (status == WS_OK)
        status = put_url(apply, item->url, id->bytes, sizeof id->bytes, err);
    if (status == WS_OK)
        status = ws_tables_each(apply->db, WS_IMAGES_ORIGINS, ws_span_of(id->bytes, sizeof id->bytes), find_same_url,
                                &same, err);
    if (status == WS_OK && !same.found) {
        make_origin_key(id, bare, key);
        status = put_json(apply, WS_IMAGES_ORIGINS, ws_span_of(key, sizeof key), bare, err);
    }
    json_decref(same.found);
    json_decref(bare);
    return status;
}

static bool has_row(const struct ws_apply *apply, int table, const void *key, size_t len, enum ws_status *status,
                    struct ws_err *err)
{
    struct ws_span value;
    const enum ws_status found = ws_tables_get(apply->db, table, ws_span_of(key, len), &value, err);
    if (found != WS_OK && found != WS_DONE)
        *status = found;
    return found == WS_OK;
}

static enum ws_status apply_image(const struct ws_apply *apply, const struct ws_ingest_item *item, struct ws_err *err)
{
    enum ws_status status = WS_OK;
    const struct ws_image_id id = ws_image_id_of(&item->digest);
    apply->shard->images++;
    if (has_row(apply, WS_IMAGES_PIXELS, id.bytes, sizeof id.bytes, &status, err)) {
        apply->shard->duplicates++;
        return add_fetch(apply, item, &id, err);
    }
    if (status == WS_OK &&
        has_row(apply, WS_IMAGES_REFUSED, item->digest.bytes, sizeof item->digest.bytes, &status, err)) {
        json_t *row = NULL;
        apply->shard->refused_again++;
        status =
            get_json(apply, WS_IMAGES_REFUSED, ws_span_of(item->digest.bytes, sizeof item->digest.bytes), &row, err);
        const char *reason = row ? ws_json_text(row, "reason") : "corrupt";
        if (status == WS_OK)
            status = put_url_mark(apply, item->url, '-', reason, &item->digest, err);
        json_decref(row);
        return status;
    }
    if (status != WS_OK)
        return status;
    ws_assert(item->is_decoded);
    if (item->result.reason != WS_IMAGE_OK)
        return refuse(apply, item, item->url, item->result.reason, item->result.detail, &item->digest, err);
    status = put_image(apply, item, &id, err);
    return status == WS_OK ? add_fetch(apply, item, &id, err) : status;
}

static enum ws_status apply_body(const struct ws_apply *apply, const struct ws_ingest_item *item, struct ws_err *err)
{
    struct url_value before;
    enum ws_status status = get_url(apply, item->url, &before, err);
    json_t *missing = NULL;
    struct ws_digest row;
    if (status == WS_OK && is_missing(&before) && parse_mark(&before, &row)) {
        const struct ws_span key = ws_span_of(row.bytes, sizeof row.bytes);
        status = get_json(apply, WS_IMAGES_REFUSED, key, &missing, err);
        if (status == WS_OK)
            status = drop_row(apply, WS_IMAGES_REFUSED, key, err);
    }
    if (status != WS_OK) {
        json_decref(missing);
        return status;
    }
    if (item->is_image) {
        status = apply_image(apply, item, err);
    } else if (item->is_wanted) {
        apply->shard->images++;
        status = refuse(apply, item, item->url, reason_of_kind(item->sniffed), detail_of_kind(item->sniffed),
                        &item->digest, err);
    } else {
        status = put_url_mark(apply, item->url, '?', item->sniffed, &item->digest, err);
    }
    size_t i;
    json_t *metadata;
    json_array_foreach(json_object_get(missing, "origins"), i, metadata) if (status == WS_OK) status =
        attach(apply, item, item->url, metadata, err);
    json_decref(missing);
    return status;
}

/** The same body as another record's: by its digest, or by the URL that the record refers to. */
static enum ws_status apply_revisit(const struct ws_apply *apply, const struct ws_ingest_item *item, struct ws_err *err)
{
    enum ws_status status = WS_OK;
    struct ws_image_id id;
    if (item->has_digest) {
        id = ws_image_id_of(&item->digest);
        if (has_row(apply, WS_IMAGES_PIXELS, id.bytes, sizeof id.bytes, &status, err)) {
            apply->shard->images++;
            apply->shard->duplicates++;
            return add_fetch(apply, item, &id, err);
        }
    }
    struct url_value value = {0};
    if (status == WS_OK && item->refers_to_uri)
        status = get_url(apply, item->refers_to_uri, &value, err);
    if (status != WS_OK)
        return status;
    if (value.len == sizeof id.bytes) {
        memcpy(id.bytes, value.bytes, sizeof id.bytes);
        apply->shard->images++;
        apply->shard->duplicates++;
        return add_fetch(apply, item, &id, err);
    }
    if (value.len > 0 && !is_missing(&value)) {
        if (value.bytes[0] == '-') {
            apply->shard->images++;
            apply->shard->refused_again++;
        }
        return put_url(apply, item->url, value.bytes, value.len, err);
    }
    /* The original is in no file read so far: metadata, if any comes, will say whether it was wanted. */
    return WS_OK;
}

enum ws_status ws_item_apply(const struct ws_apply *apply, const struct ws_ingest_item *item, struct ws_err *err)
{
    switch (item->kind) {
    case WS_INGEST_BODY:
        return apply_body(apply, item, err);
    case WS_INGEST_REVISIT:
        return apply_revisit(apply, item, err);
    case WS_INGEST_METADATA:
        return apply_metadata(apply, item, err);
    }
    return WS_OK;
}
