/** Inside the ingest: one batch of records and how it is applied. */
#ifndef WEBSTILL_STORE_INGEST_APPLY_H
#define WEBSTILL_STORE_INGEST_APPLY_H

#include "picture/decode.h"
#include "walk.h"
#include "webstill/picture/keys.h"

#include "webstill/base/mem.h"

#include <stddef.h>

enum ws_ingest_item_kind {
    WS_INGEST_BODY,     /**< an answer 200, or a resource record */
    WS_INGEST_REVISIT,  /**< the same body under another URL or time */
    WS_INGEST_METADATA, /**< how an image was found */
};

/** A record that matters, as it is kept until its batch is applied. Texts belong to the batch's arena. */
struct ws_ingest_item {
    enum ws_ingest_item_kind kind;
    const char *url, *date;
    const char *warc;          /**< the file's name in the books */
    const char *refers_to_uri; /**< revisit: NULL when absent */
    const char *json;          /**< metadata: the text */
    size_t json_len;
    const char *sniffed; /**< static: what a body looks like, or "oversized", "truncated" when it was cut */
    uint64_t offset;
    bool has_digest;         /**< revisit: its declared digest is the body's SHA-256 */
    bool is_wanted;          /**< the server called it an image */
    bool is_image;           /**< by its first bytes */
    bool is_decoded;         /**< `result` holds; false: the store or an earlier item knows this body */
    struct ws_digest digest; /**< of the body; of the URL when the body is empty */
    struct ws_picture_result result;
    uint8_t *square;
};

/** What applying needs. */
struct ws_apply {
    struct ws_tables *db;
    const struct ws_config *config;
    struct ws_ingest_shard *shard; /**< counters */
};

/** Put one item into the open transaction. Items of a file are applied in its order. */
WS_MUST_USE enum ws_status ws_item_apply(const struct ws_apply *apply, const struct ws_ingest_item *item,
                                         struct ws_err *err);

#endif
