/** What the writer and the reader of safetensors files share. */
#ifndef WEBSTILL_STORE_TENSORS_FORMAT_H
#define WEBSTILL_STORE_TENSORS_FORMAT_H

#include "webstill/tensors/file.h"

#define WS_TENSORS_KEY_DIGEST "webstill.digest"
#define WS_TENSORS_KEY_HEADER "webstill.header"

enum {
    WS_TENSORS_HEADER_MAX = 100 * 1000 * 1000, /**< the format's own ceiling, bytes */
    WS_TENSORS_ALIGNMENT = 64,                 /**< of the data block, bytes */
};

/** "F32" for WS_F32. */
const char *ws_dtype_name(enum ws_dtype dtype);
/** False when no element type of ours has this name. */
bool ws_dtype_parse(const char *name, enum ws_dtype *dtype);

/** Bytes that a shape needs; false for a negative dimension or when the product does not fit. */
bool ws_tensor_size(const struct ws_tensor_entry *entry, size_t *size_bytes);

/**
 * SHA-256 over names, types, shapes and the metadata (but "webstill.header" itself), in file order: what the digest of
 * the data block does not cover.
 */
WS_MUST_USE bool ws_tensors_header_digest(const struct ws_tensor_entry *entries, size_t n_entries,
                                          const struct ws_metadata *metadata, size_t n_metadata, struct ws_digest *out);

#endif
