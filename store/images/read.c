/** Reading the image store: an index in memory, pixels straight from the map. */
#include "format.h"

#include "webstill/base/file.h"
#include "webstill/base/mem.h"
#include "webstill/base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ws_images {
    struct ws_tables *tables; /**< owned: a snapshot, so that the pixels stay */
    size_t n, n_taken;
    struct ws_image_id *ids;         /**< owned */
    struct ws_image_record *records; /**< owned: decoded, as values in LMDB are only 2-byte aligned */
    const uint8_t **pixels;          /**< owned array; pixels borrowed from the map */
    int size, channels;
};

/** An integer of `meta`, or -1. */
static int read_meta(const struct ws_images *images, const char *name)
{
    struct ws_span value;
    struct ws_err ignored = {0};
    char text[16];
    if (ws_tables_get(images->tables, WS_IMAGES_META, ws_text_span(name), &value, &ignored) != WS_OK ||
        value.len >= sizeof text)
        return -1;
    memcpy(text, value.ptr, value.len);
    text[value.len] = 0;
    return (int)strtol(text, NULL, 10);
}

static enum ws_status fail_damaged(const struct ws_images *images, struct ws_span key, const char *wrong,
                                   struct ws_err *err)
{
    const char *dir = ws_tables_dir(images->tables);
    struct ws_image_id id;
    char hex[WS_IMAGE_ID_HEX] = "?";
    if (key.len == sizeof id.bytes) {
        memcpy(id.bytes, key.ptr, key.len);
        ws_image_id_hex(&id, hex);
    }
    ws_fail(err, WS_E_DAMAGED, "store %s: image %s is damaged: %s", dir, hex, wrong);
    ws_images_kind.advise(err, WS_TABLES_DAMAGED, dir);
    return WS_E_DAMAGED;
}

/** Add a row of `images` to the index, its pixels checked. */
static enum ws_status take_image(void *argument, struct ws_span key, struct ws_span value, struct ws_err *err)
{
    struct ws_images *images = argument;
    const size_t want = (size_t)images->size * (size_t)images->size * (size_t)images->channels;
    const size_t i = images->n_taken;
    if (i == images->n)
        return WS_DONE;
    if (key.len != sizeof images->ids[i].bytes || value.len != WS_RECORD_BYTES + want)
        return fail_damaged(images, key, "wrong length", err);
    struct ws_image_record *record = &images->records[i];
    memcpy(images->ids[i].bytes, key.ptr, key.len);
    *record = ws_images_record_decode(value.ptr);
    images->pixels[i] = value.ptr + WS_RECORD_BYTES;
    images->n_taken++;
    if (record->version != 1)
        return fail_damaged(images, key, "unknown version", err);
    if (record->width != images->size || record->height != images->size || record->channels != images->channels)
        return fail_damaged(images, key, "wrong shape", err);
    if (ws_xxh64(images->pixels[i], want, 0) != record->checksum)
        return fail_damaged(images, key, "wrong checksum", err);
    return WS_OK;
}

static enum ws_status read_shape(struct ws_images *images, struct ws_err *err)
{
    const char *dir = ws_tables_dir(images->tables);
    const int format = read_meta(images, "format");
    if (format != 1)
        return ws_fail(err, WS_E_DAMAGED, "store %s: expected format 1, found %d", dir, format);
    images->size = read_meta(images, "size");
    images->channels = read_meta(images, "channels");
    if (images->size < 1 || images->size > UINT16_MAX || (images->channels != 1 && images->channels != 3))
        return ws_fail(err, WS_E_DAMAGED, "store %s: its meta table says size %d, channels %d", dir, images->size,
                       images->channels);
    return WS_OK;
}

static enum ws_status load_index(struct ws_images *images, struct ws_err *err)
{
    int64_t n_rows = 0;
    enum ws_status status = read_shape(images, err);
    if (status == WS_OK)
        status = ws_tables_count(images->tables, WS_IMAGES_PIXELS, &n_rows, err);
    if (status != WS_OK)
        return status;
    images->n = (size_t)n_rows;
    const size_t n = images->n > 0 ? images->n : 1;
    images->ids = ws_calloc(n, sizeof *images->ids);
    images->records = ws_calloc(n, sizeof *images->records);
    images->pixels = ws_calloc(n, sizeof *images->pixels);
    if (!images->ids || !images->records || !images->pixels)
        return ws_fail(err, WS_E_MEMORY, "store %s: no memory for the index of %zu images",
                       ws_tables_dir(images->tables), images->n);
    status = ws_tables_each(images->tables, WS_IMAGES_PIXELS, (struct ws_span){0}, take_image, images, err);
    if (status == WS_OK && images->n_taken != images->n)
        status = ws_fail(err, WS_E_DAMAGED, "store %s: %zu images counted, %zu found", ws_tables_dir(images->tables),
                         images->n, images->n_taken);
    return status;
}

enum ws_status ws_images_open(struct ws_images **out, const char *store_dir, struct ws_err *err)
{
    *out = NULL;
    char path[4096];
    const int len = snprintf(path, sizeof path, "%s/data.mdb", store_dir);
    if (len < (int)sizeof path && !ws_file_exists(path)) {
        ws_fail(err, WS_E_IO, "no image store in %s: %s is missing", store_dir, path);
        ws_err_hint(err, "run `webstill store CONFIG` first");
        return WS_E_IO;
    }
    struct ws_images *images = ws_calloc(1, sizeof *images);
    if (!images)
        return ws_fail(err, WS_E_MEMORY, "out of memory for the store in %s", store_dir);
    ws_tables_guard(store_dir);
    enum ws_status status = ws_tables_open_snapshot(&images->tables, &ws_images_kind, store_dir, err);
    if (status == WS_OK)
        status = load_index(images, err);
    ws_tables_unguard();
    if (status == WS_OK)
        *out = images;
    else
        ws_images_close(&images);
    return status;
}

void ws_images_close(struct ws_images **images)
{
    struct ws_images *s = *images;
    if (!s)
        return;
    ws_tables_close(&s->tables);
    free(s->ids);
    free(s->records);
    free(s->pixels);
    free(s);
    *images = NULL;
}

size_t ws_images_count(const struct ws_images *images)
{
    return images->n;
}

int ws_images_size(const struct ws_images *images)
{
    return images->size;
}

int ws_images_channels(const struct ws_images *images)
{
    return images->channels;
}

const struct ws_image_id *ws_images_id(const struct ws_images *images, size_t i)
{
    ws_assert(i < images->n);
    return &images->ids[i];
}

const uint8_t *ws_images_pixels(const struct ws_images *images, size_t i)
{
    ws_assert(i < images->n);
    return images->pixels[i];
}

const struct ws_image_record *ws_images_record(const struct ws_images *images, size_t i)
{
    ws_assert(i < images->n);
    return &images->records[i];
}

int64_t ws_images_find(const struct ws_images *images, const struct ws_image_id *id)
{
    size_t low = 0, high = images->n;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = ws_image_id_compare(&images->ids[middle], id);
        if (order == 0)
            return (int64_t)middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}

enum ws_status ws_images_digest(const struct ws_images *images, struct ws_digest *out, struct ws_err *err)
{
    struct ws_sha256_stream stream;
    if (!ws_sha256_init(&stream))
        return ws_fail(err, WS_E_MEMORY, "out of memory");
    const size_t len = (size_t)images->size * (size_t)images->size * (size_t)images->channels;
    for (size_t i = 0; i < images->n; i++) {
        const uint16_t label = (uint16_t)images->records[i].label;
        const uint8_t le[2] = {(uint8_t)label, (uint8_t)(label >> 8)};
        ws_sha256_add(&stream, images->ids[i].bytes, sizeof images->ids[i].bytes);
        ws_sha256_add(&stream, le, sizeof le);
        ws_sha256_add(&stream, images->pixels[i], len);
    }
    *out = ws_sha256_finish(&stream);
    return WS_OK;
}

struct origins {
    struct ws_buf *out;
    bool is_first;
};

static enum ws_status add_origin(void *argument, struct ws_span key, struct ws_span value, struct ws_err *err)
{
    struct origins *origins = argument;
    (void)key;
    if ((!origins->is_first && !ws_buf_add_str(origins->out, ",")) || !ws_buf_add(origins->out, value.ptr, value.len))
        return ws_fail(err, WS_E_MEMORY, "no memory for the origins of an image");
    origins->is_first = false;
    return WS_OK;
}

enum ws_status ws_images_origins(const struct ws_images *images, const struct ws_image_id *id, struct ws_buf *out,
                                 struct ws_err *err)
{
    struct origins origins = {out, true};
    enum ws_status status = WS_OK;
    if (!ws_buf_add_str(out, "["))
        status = ws_fail(err, WS_E_MEMORY, "no memory for the origins of an image");
    if (status == WS_OK)
        status = ws_tables_each(images->tables, WS_IMAGES_ORIGINS, ws_span_of(id->bytes, sizeof id->bytes), add_origin,
                                &origins, err);
    if (status == WS_OK && !ws_buf_add_str(out, "]"))
        status = ws_fail(err, WS_E_MEMORY, "no memory for the origins of an image");
    return status;
}

/** Append the row of `refused` that the value of a URL names; one that is not there adds nothing. */
static void add_refused(const struct ws_images *images, struct ws_span mark, struct ws_buf *out)
{
    char hex[WS_DIGEST_HEX] = {0};
    struct ws_digest digest;
    struct ws_span row;
    struct ws_err ignored = {0};
    if (mark.len < WS_DIGEST_HEX)
        return;
    memcpy(hex, mark.ptr + mark.len - (WS_DIGEST_HEX - 1), WS_DIGEST_HEX - 1);
    if (!ws_digest_parse(hex, &digest) ||
        ws_tables_get(images->tables, WS_IMAGES_REFUSED, ws_span_of(digest.bytes, sizeof digest.bytes), &row,
                      &ignored) != WS_OK)
        return;
    const bool is_added = ws_buf_add(out, row.ptr, row.len);
    (void)is_added; /* the caller sees that nothing was */
}

enum ws_url_state ws_images_find_url(const struct ws_images *images, const char *url, struct ws_image_id *id,
                                     struct ws_buf *refused)
{
    char key[WS_URL_KEY_BYTES];
    struct ws_span value;
    struct ws_err ignored = {0};
    const size_t len = ws_images_url_key(url, key);
    if (len == 0 || ws_tables_get(images->tables, WS_IMAGES_URLS, ws_span_of(key, len), &value, &ignored) != WS_OK)
        return WS_URL_UNKNOWN;
    if (value.len == sizeof id->bytes) {
        if (id)
            memcpy(id->bytes, value.ptr, sizeof id->bytes);
        return WS_URL_STORED;
    }
    if (value.len == 0 || value.ptr[0] != '-')
        return WS_URL_OTHER;
    if (refused)
        add_refused(images, value, refused);
    return WS_URL_REFUSED;
}
