/**
 * safetensors files: named arrays with string metadata, digests included.
 *
 * Layout (https://github.com/huggingface/safetensors): 8 bytes little-endian header length n, n bytes of JSON
 * {"name":{"dtype":"F32","shape":[…],"data_offsets":[begin,end]},…,"__metadata__":{"k":"v",…}}, padded with spaces so
 * that data begins on a 64-byte boundary, then the data, without holes: arrays of 8-byte elements first, then 4, 2,
 * 1, in the caller's order within each size, so that every array is aligned for its type.
 *
 * The writer adds two metadata keys: "webstill.digest", the SHA-256 of the data block, and "webstill.header", the
 * SHA-256 over the header: for each array its name, dtype, each dimension in decimal, and an empty text; then key and
 * value of each other metadata pair, all in file order, every text preceded by its length in bytes as 8 bytes
 * little-endian. A reader of ours insists on both when it finds either, so a flipped byte anywhere is refused.
 */
#ifndef WEBSTILL_TENSORS_FILE_H
#define WEBSTILL_TENSORS_FILE_H

#include "webstill/base/err.h"
#include "webstill/base/hash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ws_dtype { WS_F32, WS_F64, WS_I64, WS_I32, WS_U8, WS_I8, WS_F16, WS_BF16, WS_I16, WS_BOOL };
enum { WS_TENSOR_MAX_RANK = 8 };

size_t ws_dtype_size(enum ws_dtype dtype);

/** A named array. `data` is borrowed: from the opened file when read (aligned for its type), else from the caller. */
struct ws_tensor_entry {
    const char *name;
    enum ws_dtype dtype;
    int rank;
    int64_t shape[WS_TENSOR_MAX_RANK];
    const void *data;
    size_t size_bytes;
};

struct ws_metadata {
    const char *key, *value;
};

/**
 * Write a whole file atomically. The header names the entries in the order given. WS_E_IO, WS_E_MEMORY; WS_E_FORMAT for
 * a name or value that is not UTF-8; WS_E_INTERNAL for a name given twice or a size that does not fit its shape.
 */
WS_MUST_USE enum ws_status ws_tensors_write(const char *path, const struct ws_tensor_entry *entries, size_t n_entries,
                                            const struct ws_metadata *metadata, size_t n_metadata, struct ws_err *err);

/** An opened file; entries point into its mapping until close. */
struct ws_tensors;

/**
 * Map and check a file: header length, JSON, dtypes, shapes against offsets, no overlap, no hole, all bytes covered,
 * and the digest when the file carries one. WS_E_FORMAT names the tensor, the offset and the expectation.
 */
WS_MUST_USE enum ws_status ws_tensors_open(struct ws_tensors **out, const char *path, struct ws_err *err);
void ws_tensors_close(struct ws_tensors **tensors);

size_t ws_tensors_count(const struct ws_tensors *tensors);
const struct ws_tensor_entry *ws_tensors_at(const struct ws_tensors *tensors, size_t i);
/** NULL when absent. */
const struct ws_tensor_entry *ws_tensors_find(const struct ws_tensors *tensors, const char *name);
/** NULL when absent. */
const char *ws_tensors_metadata(const struct ws_tensors *tensors, const char *key);
size_t ws_tensors_metadata_count(const struct ws_tensors *tensors);
struct ws_metadata ws_tensors_metadata_at(const struct ws_tensors *tensors, size_t i);
/** SHA-256 of the data block (not of the file: metadata may hold times). */
const struct ws_digest *ws_tensors_digest(const struct ws_tensors *tensors);

#endif
