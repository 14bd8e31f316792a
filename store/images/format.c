/** The image store's tables and byte layouts. */
#include "format.h"

#include "webstill/table/pack.h"

#include <string.h>

static void advise(struct ws_err *err, enum ws_tables_trouble trouble, const char *dir)
{
    switch (trouble) {
    case WS_TABLES_DISK_FULL:
        ws_err_hint(err, "free some space on the disk of %s and run the same command again; what is stored stays", dir);
        break;
    case WS_TABLES_MAP_FULL:
        ws_err_hint(err,
                    "raise store.map_gib (largest size of the store; it costs address space, not disk) and run the "
                    "same command again; what is stored stays");
        break;
    case WS_TABLES_NO_MEMORY:
        ws_err_hint(err, "the map does not fit in the address space: lower store.map_gib, or raise ulimit -v");
        break;
    case WS_TABLES_DAMAGED:
        ws_err_hint(err, "remove the folder %s and run `webstill store` again: it is made anew from the WARC files",
                    dir);
        break;
    }
}

static const char *const table_names[WS_IMAGES_N_TABLES] = {"images", "origins", "urls", "refused", "shards", "meta"};
const struct ws_tables_kind ws_images_kind = {
    .noun = "store",
    .names = table_names,
    .n_tables = WS_IMAGES_N_TABLES,
    .advise = advise,
};

void ws_images_record_encode(const struct ws_image_record *record, uint8_t bytes[WS_RECORD_BYTES])
{
    memset(bytes, 0, WS_RECORD_BYTES);
    ws_put_le(bytes, record->version, 2);
    bytes[2] = record->channels;
    bytes[3] = record->format;
    ws_put_le(bytes + 4, record->width, 2);
    ws_put_le(bytes + 6, record->height, 2);
    ws_put_le(bytes + 8, record->original_width, 4);
    ws_put_le(bytes + 12, record->original_height, 4);
    ws_put_le(bytes + 16, (uint16_t)record->label, 2);
    ws_put_le(bytes + 18, record->flags, 2);
    ws_put_le(bytes + 24, record->checksum, 8);
}

struct ws_image_record ws_images_record_decode(const uint8_t bytes[WS_RECORD_BYTES])
{
    return (struct ws_image_record){
        .version = (uint16_t)ws_get_le(bytes, 2),
        .channels = bytes[2],
        .format = bytes[3],
        .width = (uint16_t)ws_get_le(bytes + 4, 2),
        .height = (uint16_t)ws_get_le(bytes + 6, 2),
        .original_width = (uint32_t)ws_get_le(bytes + 8, 4),
        .original_height = (uint32_t)ws_get_le(bytes + 12, 4),
        .label = (int16_t)ws_get_le(bytes + 16, 2),
        .flags = (uint16_t)ws_get_le(bytes + 18, 2),
        .checksum = ws_get_le(bytes + 24, 8),
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
