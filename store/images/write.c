/** Writing the image store, under the stage's lock. */
#include "format.h"

#include "webstill/base/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum ws_status ws_images_create(struct ws_tables **out, const char *dir, double map_gib, struct ws_err *err)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t map_bytes = (size_t)(map_gib * 1073741824.0) / page * page;
    enum ws_status status =
        ws_tables_open(out, &ws_images_kind, dir, map_bytes > 16 * page ? map_bytes : 16 * page, err);
    if (status == WS_OK)
        status = ws_tables_commit(*out, err);
    if (status != WS_OK)
        ws_tables_close(out);
    return status;
}

enum ws_status ws_images_remove(const char *dir, struct ws_err *err)
{
    static const char *const names[] = {"manifest.json", "data.mdb", "lock.mdb"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        if (unlink(path) != 0 && errno != ENOENT)
            return ws_fail_errno(err, "cannot remove %s", path);
    }
    return ws_dir_sync(dir, err);
}

enum ws_status ws_images_put(struct ws_tables *store, const struct ws_image_id *id, struct ws_image_record record,
                             const uint8_t *pixels, struct ws_err *err)
{
    const size_t len = (size_t)record.width * record.height * record.channels;
    uint8_t *value = NULL;
    record.version = 1;
    record.checksum = ws_xxh64(pixels, len, 0);
    const enum ws_status status = ws_tables_reserve(store, WS_IMAGES_PIXELS, ws_span_of(id->bytes, sizeof id->bytes),
                                                    WS_RECORD_BYTES + len, &value, err);
    if (status != WS_OK)
        return status;
    ws_images_record_encode(&record, value);
    memcpy(value + WS_RECORD_BYTES, pixels, len);
    return WS_OK;
}

enum ws_status ws_images_label(struct ws_tables *store, const struct ws_image_id *id, int label, struct ws_err *err)
{
    struct ws_span value;
    const struct ws_span key = ws_span_of(id->bytes, sizeof id->bytes);
    enum ws_status status = ws_tables_get(store, WS_IMAGES_PIXELS, key, &value, err);
    if (status != WS_OK)
        return status == WS_DONE ? ws_fail(err, WS_E_INTERNAL, "an image to be labelled is not in the store") : status;
    struct ws_image_record record = ws_images_record_decode(value.ptr);
    if (label == WS_LABEL_NONE || (record.label != WS_LABEL_NONE && record.label <= label))
        return WS_OK;
    record.label = (int16_t)label;
    uint8_t *copy = malloc(value.len); /* a value must not be written from the page it lies in */
    if (!copy)
        return ws_fail(err, WS_E_MEMORY, "out of memory for an image of %zu bytes", value.len);
    memcpy(copy, value.ptr, value.len);
    ws_images_record_encode(&record, copy);
    status = ws_tables_put(store, WS_IMAGES_PIXELS, key, ws_span_of(copy, value.len), err);
    free(copy);
    return status;
}
