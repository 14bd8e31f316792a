/**
 * The image store: pixels and provenance in LMDB, one record per distinct fetched body.
 *
 * Folder `store/` holds one LMDB environment with these databases. Keys sort bytewise, so image order is id order
 * whatever the crawl's order was. (LMDB bounds keys and sorted duplicates to 511 bytes, hence the hashed keys.)
 *
 *   images    key:   image id (16 bytes)
 *             value: struct ws_image_record (32 bytes, little-endian), then height*width*channels bytes of pixels, rows
 *                    top to bottom, channels interleaved
 *   origins   key:   image id, then 8 bytes of hash over (url, page, query, class_name, source)
 *             value: JSON object, one per way the body was found: url, via, page, alt, title, query, class,
 *                    class_name, source, licence, licence_url, author, attribution, robots; of the fetch: time, warc,
 *                    offset
 *   urls      key:   the URL; if longer than 400 bytes: its first 336 and the 64 hex digits of its SHA-256
 *             value: image id (16 bytes); or "-REASON KEY": refused, KEY (64 hex digits) is the row in `refused`; or
 *                    "?KIND KEY": a body that is no image (KIND: html, xml, …) and that nobody wanted as one
 *   refused   key:   SHA-256 of the body (of the URL when there is no body)
 *             value: JSON object: reason, detail, url, time, warc, offset, and of the first origin: page, query, class,
 *                    class_name, source, alt, title, licence
 *   shards    key:   WARC path, shortened like a URL
 *             value: JSON object: sha256, bytes and records consumed, done, counters
 *   meta      key:   text
 *             value: text ("format" = "1", "size", "channels", "rule")
 */
#ifndef WEBSTILL_IMAGES_READ_H
#define WEBSTILL_IMAGES_READ_H

#include "webstill/base/buf.h"
#include "webstill/base/err.h"
#include "webstill/base/hash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WS_LABEL_NONE = -1 };

/** Head of a value in `images`; all integers little-endian. */
struct ws_image_record {
    uint16_t version;       /**< 1; bytes 20 to 23 of the stored record are zero */
    uint8_t channels;       /**< 1 or 3 */
    uint8_t format;         /**< enum ws_image_format of the original */
    uint16_t width, height; /**< stored size, pixels */
    uint32_t original_width, original_height;
    int16_t label;     /**< lowest class index among the queries that found it, or WS_LABEL_NONE */
    uint16_t flags;    /**< bit 0: was inverted; bit 1: had alpha; bit 2: EXIF orientation applied */
    uint64_t checksum; /**< XXH64 of the pixels */
};

enum ws_image_format { WS_IMAGE_UNKNOWN, WS_IMAGE_JPEG, WS_IMAGE_PNG, WS_IMAGE_WEBP };

struct ws_images;

/**
 * Open for reading. A missing store is WS_E_IO with a hint to run `store`; a wrong checksum is WS_E_DAMAGED and names
 * the image. Reads every pixel once to check it. The view is a snapshot: a `store` run beside it changes nothing here.
 *
 * Open a folder at most once per process (LMDB's locks belong to the process); do not use it across fork().
 */
WS_MUST_USE enum ws_status ws_images_open(struct ws_images **out, const char *store_dir, struct ws_err *err);
void ws_images_close(struct ws_images **images);

/** Number of images; indices 0 … n-1 run in id order. */
size_t ws_images_count(const struct ws_images *images);
int ws_images_size(const struct ws_images *images); /**< side, pixels */
int ws_images_channels(const struct ws_images *images);
const struct ws_image_id *ws_images_id(const struct ws_images *images, size_t i);
/** Pixels of image i, height*width*channels bytes, borrowed from the map until close. Threads: any number. */
const uint8_t *ws_images_pixels(const struct ws_images *images, size_t i);
const struct ws_image_record *ws_images_record(const struct ws_images *images, size_t i);
/** Index of an id, or -1. */
int64_t ws_images_find(const struct ws_images *images, const struct ws_image_id *id);
/** SHA-256 over (id, label, pixels) in id order: equal content, equal digest, whatever the crawl's order and times. */
WS_MUST_USE enum ws_status ws_images_digest(const struct ws_images *images, struct ws_digest *out, struct ws_err *err);
/** The origins of an image as one JSON array text appended to `out`. */
WS_MUST_USE enum ws_status ws_images_origins(const struct ws_images *images, const struct ws_image_id *id,
                                             struct ws_buf *out, struct ws_err *err);

/** What became of a URL. */
enum ws_url_state {
    WS_URL_UNKNOWN, /**< never seen */
    WS_URL_STORED,  /**< `id` is filled in */
    WS_URL_REFUSED, /**< its row of `refused` (JSON object text) is appended to `refused` */
    WS_URL_OTHER,   /**< fetched, is no image, and was not wanted as one (HTML, robots.txt, an API answer) */
};

/** Look a URL up. `id` and `refused` may be NULL; a full or failing `refused` is left as it was. */
enum ws_url_state ws_images_find_url(const struct ws_images *images, const char *url, struct ws_image_id *id,
                                     struct ws_buf *refused);

#endif
