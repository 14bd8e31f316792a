/**
 * The safetensors writer: lays the arrays out, hashes them, writes header and data by rename.
 *
 * The header names the arrays in the caller's order; the data block holds them by falling element size (as the format's
 * own library does), so that each array is aligned for its type without the holes that the format forbids.
 */
#include "format.h"

#include "webstill/base/buf.h"
#include "webstill/base/file.h"
#include "webstill/base/mem.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/** Where each entry goes. */
struct layout {
    size_t *order; /**< owned: entry indices in the order of the data block */
    size_t *begin; /**< owned: offset of entry i in the data block, bytes */
    size_t total_bytes;
};

static void free_layout(struct layout *layout)
{
    free(layout->order);
    free(layout->begin);
}

static enum ws_status check_entries(const char *path, const struct ws_tensor_entry *entries, size_t n,
                                    struct ws_err *err)
{
    for (size_t i = 0; i < n; i++) {
        const struct ws_tensor_entry *e = &entries[i];
        size_t size;
        if (e->rank < 0 || e->rank > WS_TENSOR_MAX_RANK || !ws_tensor_size(e, &size))
            return ws_fail(err, WS_E_INTERNAL, "%s: tensor \"%s\" has an impossible shape", path, e->name);
        if (e->size_bytes != size)
            return ws_fail(err, WS_E_INTERNAL, "%s: tensor \"%s\" needs %zu bytes by its shape, %zu were given", path,
                           e->name, size, e->size_bytes);
        if (strcmp(e->name, "__metadata__") == 0)
            return ws_fail(err, WS_E_INTERNAL, "%s: \"__metadata__\" cannot be a tensor's name", path);
    }
    return WS_OK;
}

static enum ws_status plan_layout(struct layout *layout, const struct ws_tensor_entry *entries, size_t n,
                                  struct ws_err *err)
{
    layout->order = ws_calloc(n ? n : 1, sizeof(*layout->order));
    layout->begin = ws_calloc(n ? n : 1, sizeof(*layout->begin));
    if (!layout->order || !layout->begin)
        return ws_fail(err, WS_E_MEMORY, "out of memory for %zu tensors", n);
    size_t placed = 0;
    for (size_t size = 8; size >= 1; size /= 2) {
        for (size_t i = 0; i < n; i++) {
            if (ws_dtype_size(entries[i].dtype) != size)
                continue;
            layout->order[placed++] = i;
            layout->begin[i] = layout->total_bytes;
            layout->total_bytes = ws_size_add(layout->total_bytes, entries[i].size_bytes);
        }
    }
    ws_assert(placed == n);
    if (layout->total_bytes == SIZE_MAX)
        return ws_fail(err, WS_E_MEMORY, "tensors are larger than the address space");
    return WS_OK;
}

static bool hash_data(const struct layout *layout, const struct ws_tensor_entry *entries, size_t n,
                      struct ws_digest *out)
{
    struct ws_sha256_stream stream = {0};
    if (!ws_sha256_init(&stream))
        return false;
    for (size_t i = 0; i < n; i++) {
        const struct ws_tensor_entry *e = &entries[layout->order[i]];
        if (e->size_bytes > 0)
            ws_sha256_add(&stream, e->data, e->size_bytes);
    }
    *out = ws_sha256_finish(&stream);
    return true;
}

/** The caller's metadata and the two digests behind it. */
static struct ws_metadata *list_metadata(const struct ws_metadata *metadata, size_t n, const char *digest_hex,
                                         const char *header_hex)
{
    struct ws_metadata *all = ws_calloc(n + 2, sizeof(*all));
    if (!all)
        return NULL;
    for (size_t i = 0; i < n; i++)
        all[i] = metadata[i];
    all[n] = (struct ws_metadata){WS_TENSORS_KEY_DIGEST, digest_hex};
    all[n + 1] = (struct ws_metadata){WS_TENSORS_KEY_HEADER, header_hex};
    return all;
}

static enum ws_status add_metadata(json_t *root, const char *path, const struct ws_metadata *metadata, size_t n,
                                   struct ws_err *err)
{
    json_t *object = json_object();
    if (!object || json_object_set_new(root, "__metadata__", object) != 0)
        return ws_fail(err, WS_E_MEMORY, "%s: out of memory for the header", path);
    for (size_t i = 0; i < n; i++) {
        if (json_object_get(object, metadata[i].key))
            return ws_fail(err, WS_E_INTERNAL, "%s: metadata key \"%s\" is given twice", path, metadata[i].key);
        json_t *value = json_string(metadata[i].value);
        if (!value || json_object_set_new(object, metadata[i].key, value) != 0)
            return ws_fail(err, WS_E_FORMAT, "%s: metadata \"%s\" is not UTF-8 text", path, metadata[i].key);
    }
    return WS_OK;
}

static enum ws_status add_entries(json_t *root, const char *path, const struct layout *layout,
                                  const struct ws_tensor_entry *entries, size_t n, struct ws_err *err)
{
    for (size_t i = 0; i < n; i++) {
        const struct ws_tensor_entry *e = &entries[i];
        if (json_object_get(root, e->name))
            return ws_fail(err, WS_E_INTERNAL, "%s: tensor \"%s\" is given twice", path, e->name);
        json_t *shape = json_array();
        bool is_made = shape != NULL;
        for (int d = 0; is_made && d < e->rank; d++)
            is_made = json_array_append_new(shape, json_integer(e->shape[d])) == 0;
        if (!is_made) {
            json_decref(shape);
            return ws_fail(err, WS_E_MEMORY, "%s: out of memory for the header", path);
        }
        json_t *info = json_pack("{s:s,s:o,s:[I,I]}", "dtype", ws_dtype_name(e->dtype), "shape", shape, "data_offsets",
                                 (json_int_t)layout->begin[i], (json_int_t)(layout->begin[i] + e->size_bytes));
        if (!info || json_object_set_new(root, e->name, info) != 0)
            return ws_fail(err, WS_E_FORMAT, "%s: the name of tensor %zu is not UTF-8 text", path, i);
    }
    return WS_OK;
}

/** Length and JSON, padded so that the data begins on its boundary. */
static enum ws_status make_header(struct ws_buf *out, const char *path, const struct layout *layout,
                                  const struct ws_tensor_entry *entries, size_t n_entries,
                                  const struct ws_metadata *metadata, size_t n_metadata, struct ws_err *err)
{
    char *text = NULL;
    json_t *root = json_object();
    enum ws_status status = root ? add_metadata(root, path, metadata, n_metadata, err)
                                 : ws_fail(err, WS_E_MEMORY, "%s: out of memory", path);
    if (status == WS_OK)
        status = add_entries(root, path, layout, entries, n_entries, err);
    if (status != WS_OK)
        goto drop_root;
    text = json_dumps(root, JSON_COMPACT);
    if (!text) {
        status = ws_fail(err, WS_E_MEMORY, "%s: out of memory for the header", path);
        goto drop_root;
    }
    const size_t len = strlen(text);
    const size_t padded = (8 + len + WS_TENSORS_ALIGNMENT - 1) / WS_TENSORS_ALIGNMENT * WS_TENSORS_ALIGNMENT - 8;
    if (padded > WS_TENSORS_HEADER_MAX) {
        status = ws_fail(err, WS_E_UNSUPPORTED, "%s: a header of %zu bytes is over the format's 100 MB", path, padded);
        goto drop_root;
    }
    uint8_t prefix[8];
    for (int i = 0; i < 8; i++)
        prefix[i] = (uint8_t)((uint64_t)padded >> (8 * i));
    char *spaces = NULL;
    if (ws_buf_add(out, prefix, sizeof(prefix)) && ws_buf_add(out, text, len))
        spaces = ws_buf_reserve(out, padded - len);
    if (!spaces) {
        status = ws_fail(err, WS_E_MEMORY, "%s: out of memory for the header", path);
        goto drop_root;
    }
    memset(spaces, ' ', padded - len);
    out->len += padded - len;
drop_root:
    free(text);
    json_decref(root);
    return status;
}

static enum ws_status write_file(const char *path, const struct ws_buf *header, const struct layout *layout,
                                 const struct ws_tensor_entry *entries, size_t n, struct ws_err *err)
{
    struct ws_file_writer writer = {0};
    enum ws_status status = ws_file_writer_open(&writer, path, err);
    if (status != WS_OK)
        return status;
    bool is_written = fwrite(header->ptr, 1, header->len, writer.stream) == header->len;
    for (size_t i = 0; is_written && i < n; i++) {
        const struct ws_tensor_entry *e = &entries[layout->order[i]];
        is_written = e->size_bytes == 0 || fwrite(e->data, 1, e->size_bytes, writer.stream) == e->size_bytes;
    }
    status = is_written ? ws_file_writer_finish(&writer, err) : ws_file_fail(err, "cannot write", path);
    ws_file_writer_close(&writer);
    return status;
}

enum ws_status ws_tensors_write(const char *path, const struct ws_tensor_entry *entries, size_t n_entries,
                                const struct ws_metadata *metadata, size_t n_metadata, struct ws_err *err)
{
    struct layout layout = {0};
    struct ws_buf header = {0};
    struct ws_metadata *all = NULL;
    char digest_hex[WS_DIGEST_HEX], header_hex[WS_DIGEST_HEX];
    struct ws_digest digest;

    enum ws_status status = check_entries(path, entries, n_entries, err);
    if (status == WS_OK)
        status = plan_layout(&layout, entries, n_entries, err);
    if (status != WS_OK)
        goto done;
    if (!hash_data(&layout, entries, n_entries, &digest)) {
        status = ws_fail(err, WS_E_MEMORY, "%s: cannot compute SHA-256", path);
        goto done;
    }
    ws_digest_hex(&digest, digest_hex);
    all = list_metadata(metadata, n_metadata, digest_hex, header_hex);
    if (!all || !ws_tensors_header_digest(entries, n_entries, all, n_metadata + 1, &digest)) {
        status = ws_fail(err, WS_E_MEMORY, "%s: out of memory for the metadata", path);
        goto done;
    }
    ws_digest_hex(&digest, header_hex);
    status = make_header(&header, path, &layout, entries, n_entries, all, n_metadata + 2, err);
    if (status == WS_OK)
        status = write_file(path, &header, &layout, entries, n_entries, err);
done:
    free(all);
    ws_buf_fini(&header);
    free_layout(&layout);
    return status;
}
