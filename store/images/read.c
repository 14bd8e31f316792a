/** Reading the image store: an index in memory, pixels straight from the map. */
#include "format.h"

#include "webstill/base/file.h"
#include "webstill/base/mem.h"
#include "webstill/table/lmdb.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ws_images {
    char dir[WS_DIR_BYTES];
    MDB_env *env; /**< owned */
    MDB_txn *txn; /**< owned: the snapshot, held until close so that the pixels stay */
    MDB_dbi tables[WS_N_TABLES];
    size_t n;
    struct ws_image_id *ids;         /**< owned */
    struct ws_image_record *records; /**< owned: decoded, as values in LMDB are only 2-byte aligned */
    const uint8_t **pixels;          /**< owned array; pixels borrowed from the map */
    int size, channels;
};

/**
 * The environment, its snapshot and its tables.
 *
 * With LMDB's lock file, also for reading: a reader that is not in it could see its pages reused by a `store` run
 * beside it. MDB_NOTLS because the snapshot belongs to the handle, not to the thread that opened it. Only where the
 * folder cannot be written, hence no writer can run, the lock is left out.
 */
static enum ws_status open_env(struct ws_images *images, struct ws_err *err)
{
    int rc = 0;
    for (unsigned flags = MDB_RDONLY | MDB_NOTLS;; flags |= MDB_NOLOCK) {
        if ((rc = mdb_env_create(&images->env)) != 0)
            return ws_images_fail(err, rc, images->dir, "make an environment");
        (void)mdb_env_set_maxdbs(images->env, WS_N_TABLES);
        rc = mdb_env_open(images->env, images->dir, flags, 0666);
        if ((rc != EROFS && rc != EACCES) || (flags & MDB_NOLOCK) != 0)
            break;
        mdb_env_close(images->env);
        images->env = NULL;
    }
    if (rc == 0)
        rc = ws_lmdb_restore_length(images->env, images->dir);
    if (rc != 0)
        return ws_images_fail(err, rc, images->dir, "open it");
    if ((rc = mdb_txn_begin(images->env, NULL, MDB_RDONLY, &images->txn)) != 0)
        return ws_images_fail(err, rc, images->dir, "begin reading");
    for (int i = 0; i < WS_N_TABLES; i++)
        if ((rc = mdb_dbi_open(images->txn, ws_images_table_names[i], 0, &images->tables[i])) != 0)
            return ws_images_fail(err, rc, images->dir, "find its tables");
    return WS_OK;
}

/** An integer of `meta`, or -1. */
static int read_meta(const struct ws_images *images, const char *name)
{
    MDB_val key = {strlen(name), (void *)(uintptr_t)name}, value;
    char text[16];
    if (mdb_get(images->txn, images->tables[WS_TABLE_META], &key, &value) != 0 || value.mv_size >= sizeof text)
        return -1;
    memcpy(text, value.mv_data, value.mv_size);
    text[value.mv_size] = 0;
    return (int)strtol(text, NULL, 10);
}

static enum ws_status take_image(struct ws_images *images, size_t i, const MDB_val *key, const MDB_val *value,
                                 struct ws_err *err)
{
    const size_t want = (size_t)images->size * (size_t)images->size * (size_t)images->channels;
    const uint8_t *bytes = value->mv_data;
    struct ws_image_record *record = &images->records[i];
    const char *wrong = NULL;
    if (key->mv_size != sizeof images->ids[i].bytes || value->mv_size != WS_RECORD_BYTES + want)
        wrong = "wrong length";
    if (!wrong) {
        memcpy(images->ids[i].bytes, key->mv_data, key->mv_size);
        *record = ws_images_record_decode(bytes);
        images->pixels[i] = bytes + WS_RECORD_BYTES;
        if (record->version != 1)
            wrong = "unknown version";
        else if (record->width != images->size || record->height != images->size ||
                 record->channels != images->channels)
            wrong = "wrong shape";
        else if (ws_xxh64(images->pixels[i], want, 0) != record->checksum)
            wrong = "wrong checksum";
    }
    if (!wrong)
        return WS_OK;
    char hex[WS_IMAGE_ID_HEX] = "?";
    if (key->mv_size == sizeof images->ids[i].bytes) {
        memcpy(images->ids[i].bytes, key->mv_data, key->mv_size);
        ws_image_id_hex(&images->ids[i], hex);
    }
    (void)ws_fail(err, WS_E_DAMAGED, "store %s: image %s is damaged: %s", images->dir, hex, wrong);
    ws_err_hint(err, "remove the folder %s and run `webstill store` again: it is made anew from the WARC files",
                images->dir);
    return WS_E_DAMAGED;
}

static enum ws_status load_index(struct ws_images *images, struct ws_err *err)
{
    if (read_meta(images, "format") != 1)
        return ws_fail(err, WS_E_DAMAGED, "store %s: expected format 1, found %d", images->dir,
                       read_meta(images, "format"));
    images->size = read_meta(images, "size");
    images->channels = read_meta(images, "channels");
    if (images->size < 1 || images->size > UINT16_MAX || (images->channels != 1 && images->channels != 3))
        return ws_fail(err, WS_E_DAMAGED, "store %s: its meta table says size %d, channels %d", images->dir,
                       images->size, images->channels);
    MDB_stat stat;
    int rc = mdb_stat(images->txn, images->tables[WS_TABLE_IMAGES], &stat);
    if (rc != 0)
        return ws_images_fail(err, rc, images->dir, "count its images");
    images->n = stat.ms_entries;
    const size_t n = images->n > 0 ? images->n : 1;
    images->ids = ws_calloc(n, sizeof *images->ids);
    images->records = ws_calloc(n, sizeof *images->records);
    images->pixels = ws_calloc(n, sizeof *images->pixels);
    if (!images->ids || !images->records || !images->pixels)
        return ws_fail(err, WS_E_MEMORY, "store %s: no memory for the index of %zu images", images->dir, images->n);
    MDB_cursor *cursor = NULL;
    if ((rc = mdb_cursor_open(images->txn, images->tables[WS_TABLE_IMAGES], &cursor)) != 0)
        return ws_images_fail(err, rc, images->dir, "walk its images");
    enum ws_status status = WS_OK;
    size_t i = 0;
    MDB_val key, value;
    while (status == WS_OK && (rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0 && i < images->n)
        status = take_image(images, i++, &key, &value, err);
    mdb_cursor_close(cursor);
    if (status == WS_OK && rc != MDB_NOTFOUND && rc != 0)
        status = ws_images_fail(err, rc, images->dir, "walk its images");
    if (status == WS_OK && i != images->n)
        status = ws_fail(err, WS_E_DAMAGED, "store %s: %zu images counted, %zu found", images->dir, images->n, i);
    return status;
}

enum ws_status ws_images_open(struct ws_images **out, const char *store_dir, struct ws_err *err)
{
    *out = NULL;
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/data.mdb", store_dir);
    if (strlen(store_dir) >= WS_DIR_BYTES)
        return ws_fail(err, WS_E_IO, "the store's path is longer than %d bytes", WS_DIR_BYTES - 1);
    if (!ws_file_exists(path)) {
        (void)ws_fail(err, WS_E_IO, "no image store in %s: %s is missing", store_dir, path);
        ws_err_hint(err, "run `webstill store CONFIG` first");
        return WS_E_IO;
    }
    struct ws_images *images = ws_calloc(1, sizeof *images);
    if (!images)
        return ws_fail(err, WS_E_MEMORY, "out of memory for the store in %s", store_dir);
    (void)snprintf(images->dir, sizeof images->dir, "%s", store_dir);
    ws_lmdb_walk(images->dir);
    enum ws_status status = open_env(images, err);
    if (status == WS_OK)
        status = load_index(images, err);
    ws_lmdb_walk(NULL);
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
    if (s->txn)
        mdb_txn_abort(s->txn);
    if (s->env)
        mdb_env_close(s->env);
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
        return ws_fail(err, WS_E_MEMORY, "out of memory for the digest of the store in %s", images->dir);
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

enum ws_status ws_images_origins(const struct ws_images *images, const struct ws_image_id *id, struct ws_buf *out,
                                 struct ws_err *err)
{
    MDB_cursor *cursor = NULL;
    int rc = mdb_cursor_open(images->txn, images->tables[WS_TABLE_ORIGINS], &cursor);
    if (rc != 0)
        return ws_images_fail(err, rc, images->dir, "read its origins");
    const size_t id_len = sizeof id->bytes;
    MDB_val key = {id_len, (void *)(uintptr_t)id->bytes}, value;
    bool ok = ws_buf_add_str(out, "[");
    bool first = true;
    for (MDB_cursor_op op = MDB_SET_RANGE; ok && (rc = mdb_cursor_get(cursor, &key, &value, op)) == 0; op = MDB_NEXT) {
        if (key.mv_size < id_len || memcmp(key.mv_data, id->bytes, id_len) != 0)
            break;
        ok = (first || ws_buf_add_str(out, ",")) && ws_buf_add(out, value.mv_data, value.mv_size);
        first = false;
    }
    mdb_cursor_close(cursor);
    if (rc != 0 && rc != MDB_NOTFOUND)
        return ws_images_fail(err, rc, images->dir, "read its origins");
    if (!ok || !ws_buf_add_str(out, "]"))
        return ws_fail(err, WS_E_MEMORY, "no memory for the origins of an image");
    return WS_OK;
}

enum ws_url_state ws_images_find_url(const struct ws_images *images, const char *url, struct ws_image_id *id,
                                     struct ws_buf *refused)
{
    char text[WS_URL_KEY_BYTES];
    MDB_val key = {ws_images_url_key(url, text), text}, value;
    if (key.mv_size == 0 || mdb_get(images->txn, images->tables[WS_TABLE_URLS], &key, &value) != 0)
        return WS_URL_UNKNOWN;
    const uint8_t *bytes = value.mv_data;
    if (value.mv_size == sizeof id->bytes) {
        if (id)
            memcpy(id->bytes, bytes, sizeof id->bytes);
        return WS_URL_STORED;
    }
    if (value.mv_size == 0 || bytes[0] != '-')
        return WS_URL_OTHER;
    char hex[WS_DIGEST_HEX] = {0};
    struct ws_digest digest;
    if (refused && value.mv_size >= WS_DIGEST_HEX) {
        memcpy(hex, bytes + value.mv_size - (WS_DIGEST_HEX - 1), WS_DIGEST_HEX - 1);
        if (ws_digest_parse(hex, &digest)) {
            MDB_val row = {sizeof digest.bytes, digest.bytes};
            if (mdb_get(images->txn, images->tables[WS_TABLE_REFUSED], &row, &value) == 0 &&
                !ws_buf_add(refused, value.mv_data, value.mv_size))
                return WS_URL_REFUSED; /* refused all the same; the caller sees that nothing was added */
        }
    }
    return WS_URL_REFUSED;
}
