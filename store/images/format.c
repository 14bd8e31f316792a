/** The image store's byte layouts and LMDB's errors. */
#include "format.h"

#include "webstill/table/lmdb.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

const char *const ws_images_table_names[WS_N_TABLES] = {"images", "origins", "urls", "refused", "shards", "meta"};

static void put_le(uint8_t *to, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get_le(const uint8_t *from, int bytes)
{
    uint64_t value = 0;
    for (int i = bytes; i-- > 0;)
        value = value << 8 | from[i];
    return value;
}

void ws_images_record_encode(const struct ws_image_record *record, uint8_t bytes[WS_RECORD_BYTES])
{
    memset(bytes, 0, WS_RECORD_BYTES);
    put_le(bytes, record->version, 2);
    bytes[2] = record->channels;
    bytes[3] = record->format;
    put_le(bytes + 4, record->width, 2);
    put_le(bytes + 6, record->height, 2);
    put_le(bytes + 8, record->original_width, 4);
    put_le(bytes + 12, record->original_height, 4);
    put_le(bytes + 16, (uint16_t)record->label, 2);
    put_le(bytes + 18, record->flags, 2);
    put_le(bytes + 24, record->checksum, 8);
}

struct ws_image_record ws_images_record_decode(const uint8_t bytes[WS_RECORD_BYTES])
{
    return (struct ws_image_record){
        .version = (uint16_t)get_le(bytes, 2),
        .channels = bytes[2],
        .format = bytes[3],
        .width = (uint16_t)get_le(bytes + 4, 2),
        .height = (uint16_t)get_le(bytes + 6, 2),
        .original_width = (uint32_t)get_le(bytes + 8, 4),
        .original_height = (uint32_t)get_le(bytes + 12, 4),
        .label = (int16_t)get_le(bytes + 16, 2),
        .flags = (uint16_t)get_le(bytes + 18, 2),
        .checksum = get_le(bytes + 24, 8),
    };
}

size_t ws_images_url_key(const char *url, char key[WS_URL_KEY_BYTES])
{
    enum { KEPT = WS_URL_KEY_BYTES - (WS_DIGEST_HEX - 1) };
    const size_t len = strlen(url);
    if (len <= WS_URL_KEY_BYTES) {
        memcpy(key, url, len);
        return len;
    }
    char hex[WS_DIGEST_HEX];
    const struct ws_digest digest = ws_sha256(url, len);
    ws_digest_hex(&digest, hex);
    memcpy(key, url, KEPT);
    memcpy(key + KEPT, hex, WS_DIGEST_HEX - 1);
    return WS_URL_KEY_BYTES;
}

enum ws_status ws_images_fail(struct ws_err *err, int rc, const char *dir, const char *what)
{
    enum ws_status status = WS_E_IO;
    if (rc == MDB_CORRUPTED || rc == MDB_PAGE_NOTFOUND || rc == MDB_INVALID || rc == MDB_VERSION_MISMATCH ||
        rc == MDB_PANIC || rc == MDB_NOTFOUND)
        status = WS_E_DAMAGED;
    else if (rc == ENOMEM)
        status = WS_E_MEMORY;
    else if (rc == EINVAL || rc == MDB_BAD_TXN || rc == MDB_BAD_VALSIZE || rc == MDB_INCOMPATIBLE)
        status = WS_E_INTERNAL;
    const bool full = ws_lmdb_is_disk_full(rc, dir);
    (void)ws_fail(err, status, "store %s: cannot %s: %s", dir, what, full ? "the disk is full" : mdb_strerror(rc));
    if (rc == MDB_MAP_FULL)
        ws_err_hint(err,
                    "raise store.map_gib (largest size of the store; it costs address space, not disk) and run the "
                    "same command again; what is stored stays");
    else if (full)
        ws_err_hint(err, "free some space on the disk of %s and run the same command again; what is stored stays", dir);
    else if (rc == ENOMEM)
        ws_err_hint(err, "the map does not fit in the address space: lower store.map_gib, or raise ulimit -v");
    else if (status == WS_E_DAMAGED)
        ws_err_hint(err, "remove the folder %s and run `webstill store` again: it is made anew from the WARC files",
                    dir);
    return status;
}
