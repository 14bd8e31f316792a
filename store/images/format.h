/** What the image store's reader and writer share, and the writer itself. */
#ifndef WEBSTILL_STORE_IMAGES_FORMAT_H
#define WEBSTILL_STORE_IMAGES_FORMAT_H

#include "webstill/base/buf.h"
#include "webstill/base/err.h"
#include "webstill/base/hash.h"
#include "webstill/images/read.h"
#include "webstill/table/tables.h"

#include <stdint.h>

enum { WS_RECORD_BYTES = 32, WS_URL_KEY_BYTES = 400, WS_ORIGIN_KEY_BYTES = 24 };

enum ws_images_table {
    WS_IMAGES_PIXELS,
    WS_IMAGES_ORIGINS,
    WS_IMAGES_URLS,
    WS_IMAGES_REFUSED,
    WS_IMAGES_SHARDS,
    WS_IMAGES_META,
    WS_IMAGES_N_TABLES
};

/** What the image store is to store/table. */
extern const struct ws_tables_kind ws_images_kind;

void ws_images_record_encode(const struct ws_image_record *record, uint8_t bytes[WS_RECORD_BYTES]);
struct ws_image_record ws_images_record_decode(const uint8_t bytes[WS_RECORD_BYTES]);

/** The key of a URL in `urls`; returns its length. */
size_t ws_images_url_key(const char *url, char key[WS_URL_KEY_BYTES]);

/** Open or create for writing; `map_gib` bounds the map (address space, not disk). No transaction is open behind it. */
WS_MUST_USE enum ws_status ws_images_create(struct ws_tables **out, const char *dir, double map_gib,
                                            struct ws_err *err);
/** Remove a store's files (not its lock, its manifest first), so that the next open makes an empty one. */
WS_MUST_USE enum ws_status ws_images_remove(const char *dir, struct ws_err *err);

/** Add an image; checksum and version are filled in. */
WS_MUST_USE enum ws_status ws_images_put(struct ws_tables *store, const struct ws_image_id *id,
                                         struct ws_image_record record, const uint8_t *pixels, struct ws_err *err);
/** Lower an image's label to `label` when that is smaller or the first one. */
WS_MUST_USE enum ws_status ws_images_label(struct ws_tables *store, const struct ws_image_id *id, int label,
                                           struct ws_err *err);

#endif
