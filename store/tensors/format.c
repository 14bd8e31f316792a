/** Element types, sizes and the header's digest. */
#include "format.h"

#include <string.h>

static const struct {
    const char *name;
    size_t size_bytes;
} DTYPES[] = {
    [WS_F32] = {"F32", 4}, [WS_F64] = {"F64", 8},   [WS_I64] = {"I64", 8}, [WS_I32] = {"I32", 4},
    [WS_U8] = {"U8", 1},   [WS_I8] = {"I8", 1},     [WS_F16] = {"F16", 2}, [WS_BF16] = {"BF16", 2},
    [WS_I16] = {"I16", 2}, [WS_BOOL] = {"BOOL", 1},
};
enum { N_DTYPES = sizeof(DTYPES) / sizeof(DTYPES[0]) };

size_t ws_dtype_size(enum ws_dtype dtype)
{
    ws_assert((unsigned)dtype < N_DTYPES);
    return DTYPES[dtype].size_bytes;
}

const char *ws_dtype_name(enum ws_dtype dtype)
{
    ws_assert((unsigned)dtype < N_DTYPES);
    return DTYPES[dtype].name;
}

bool ws_dtype_parse(const char *name, enum ws_dtype *dtype)
{
    for (unsigned i = 0; i < N_DTYPES; i++) {
        if (strcmp(DTYPES[i].name, name) == 0) {
            *dtype = (enum ws_dtype)i;
            return true;
        }
    }
    return false;
}

bool ws_tensor_size(const struct ws_tensor_entry *entry, size_t *size_bytes)
{
    size_t size = ws_dtype_size(entry->dtype);
    for (int d = 0; d < entry->rank; d++) {
        if (entry->shape[d] < 0 || __builtin_mul_overflow(size, (size_t)entry->shape[d], &size))
            return false;
    }
    *size_bytes = size;
    return true;
}

/** A length before each text, so that moving a byte from one text to the next changes the digest. */
static void add_text(struct ws_sha256_stream *stream, const char *text)
{
    const uint64_t len = strlen(text);
    uint8_t prefix[8];
    for (int i = 0; i < 8; i++)
        prefix[i] = (uint8_t)(len >> (8 * i));
    ws_sha256_add(stream, prefix, sizeof(prefix));
    ws_sha256_add(stream, text, len);
}

bool ws_tensors_header_digest(const struct ws_tensor_entry *entries, size_t n_entries,
                              const struct ws_metadata *metadata, size_t n_metadata, struct ws_digest *out)
{
    struct ws_sha256_stream stream = {0};
    if (!ws_sha256_init(&stream))
        return false;
    for (size_t i = 0; i < n_entries; i++) {
        add_text(&stream, entries[i].name);
        add_text(&stream, ws_dtype_name(entries[i].dtype));
        for (int d = 0; d < entries[i].rank; d++) {
            char number[24];
            snprintf(number, sizeof(number), "%lld", (long long)entries[i].shape[d]);
            add_text(&stream, number);
        }
        add_text(&stream, "");
    }
    for (size_t i = 0; i < n_metadata; i++) {
        if (strcmp(metadata[i].key, WS_TENSORS_KEY_HEADER) == 0)
            continue;
        add_text(&stream, metadata[i].key);
        add_text(&stream, metadata[i].value);
    }
    *out = ws_sha256_finish(&stream);
    return true;
}
