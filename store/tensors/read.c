/** The safetensors reader: believes no byte that it has not checked. */
#include "format.h"

#include "webstill/base/file.h"
#include "webstill/base/mem.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

struct ws_tensors {
    struct ws_file_map map;          /**< owned */
    json_t *root;                    /**< owned: names, keys and values point into it */
    struct ws_tensor_entry *entries; /**< owned */
    size_t n_entries;
    struct ws_metadata *metadata; /**< owned */
    size_t n_metadata;
    struct ws_arena copies; /**< owned: arrays that a foreign writer left unaligned */
    struct ws_digest digest;
    const uint8_t *data; /**< borrowed from `map` */
    size_t data_bytes;
};

/** An entry's place in the data block, for the check that the entries tile it. */
struct place {
    size_t begin, end;
    size_t entry;
};

static enum ws_status parse_header(struct ws_tensors *t, const char *path, struct ws_err *err)
{
    const struct ws_span bytes = t->map.bytes;
    if (bytes.len < 8)
        return ws_fail(err, WS_E_FORMAT,
                       "%s: %zu bytes are too few for a safetensors file (8 hold the header's length)", path,
                       bytes.len);
    uint64_t header_bytes = 0;
    for (int i = 7; i >= 0; i--)
        header_bytes = header_bytes << 8 | bytes.ptr[i];
    if (header_bytes > WS_TENSORS_HEADER_MAX)
        return ws_fail(err, WS_E_FORMAT, "%s: the header's length is %" PRIu64 " bytes, over the format's 100 MB", path,
                       header_bytes);
    if (header_bytes > bytes.len - 8)
        return ws_fail(err, WS_E_FORMAT, "%s: the header's length is %" PRIu64 " bytes, but only %zu follow; cut off?",
                       path, header_bytes, bytes.len - 8);
    if (header_bytes < 2 || bytes.ptr[8] != '{')
        return ws_fail(err, WS_E_FORMAT, "%s: the header at byte 8 does not begin with '{'", path);
    json_error_t error;
    t->root = json_loadb((const char *)bytes.ptr + 8, (size_t)header_bytes, JSON_REJECT_DUPLICATES, &error);
    if (!t->root)
        return ws_fail(err, WS_E_FORMAT, "%s: header, byte %d: %s", path, 8 + error.position, error.text);
    if (!json_is_object(t->root))
        return ws_fail(err, WS_E_FORMAT, "%s: the header is no JSON object", path);
    t->data = bytes.ptr + 8 + header_bytes;
    t->data_bytes = bytes.len - 8 - (size_t)header_bytes;
    return WS_OK;
}

static enum ws_status parse_metadata(struct ws_tensors *t, const char *path, struct ws_err *err)
{
    json_t *object = json_object_get(t->root, "__metadata__");
    if (!object)
        return WS_OK;
    if (!json_is_object(object))
        return ws_fail(err, WS_E_FORMAT, "%s: \"__metadata__\" is no JSON object", path);
    t->metadata = ws_calloc(json_object_size(object) + 1, sizeof(*t->metadata));
    if (!t->metadata)
        return ws_fail(err, WS_E_MEMORY, "%s: out of memory for the metadata", path);
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        if (!json_is_string(value))
            return ws_fail(err, WS_E_FORMAT, "%s: metadata \"%s\" is no string", path, key);
        t->metadata[t->n_metadata++] = (struct ws_metadata){key, json_string_value(value)};
    }
    return WS_OK;
}

static enum ws_status parse_shape(struct ws_tensor_entry *entry, const json_t *shape, const char *path,
                                  struct ws_err *err)
{
    if (!json_is_array(shape))
        return ws_fail(err, WS_E_FORMAT, "%s: tensor \"%s\": \"shape\" is no array", path, entry->name);
    if (json_array_size(shape) > WS_TENSOR_MAX_RANK)
        return ws_fail(err, WS_E_UNSUPPORTED, "%s: tensor \"%s\" has %zu dimensions, at most %d are supported", path,
                       entry->name, json_array_size(shape), WS_TENSOR_MAX_RANK);
    entry->rank = (int)json_array_size(shape);
    for (int d = 0; d < entry->rank; d++) {
        const json_t *extent = json_array_get(shape, (size_t)d);
        if (!json_is_integer(extent) || json_integer_value(extent) < 0)
            return ws_fail(err, WS_E_FORMAT, "%s: tensor \"%s\": dimension %d is no non-negative integer", path,
                           entry->name, d);
        entry->shape[d] = json_integer_value(extent);
    }
    if (!ws_tensor_size(entry, &entry->size_bytes))
        return ws_fail(err, WS_E_FORMAT, "%s: tensor \"%s\": its shape is larger than memory", path, entry->name);
    return WS_OK;
}

static enum ws_status parse_entry(struct ws_tensors *t, struct ws_tensor_entry *entry, struct place *place,
                                  const json_t *info, const char *path, struct ws_err *err)
{
    if (!json_is_object(info) || json_object_size(info) != 3)
        return ws_fail(err, WS_E_FORMAT, "%s: tensor \"%s\": expected dtype, shape and data_offsets, nothing else",
                       path, entry->name);
    const char *dtype = json_string_value(json_object_get(info, "dtype"));
    if (!dtype)
        return ws_fail(err, WS_E_FORMAT, "%s: tensor \"%s\" has no \"dtype\"", path, entry->name);
    if (!ws_dtype_parse(dtype, &entry->dtype))
        return ws_fail(err, WS_E_UNSUPPORTED, "%s: tensor \"%s\" has element type \"%s\", which is not supported", path,
                       entry->name, dtype);
    enum ws_status status = parse_shape(entry, json_object_get(info, "shape"), path, err);
    if (status != WS_OK)
        return status;
    const json_t *offsets = json_object_get(info, "data_offsets");
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end) ||
        json_integer_value(begin) < 0 || json_integer_value(end) < json_integer_value(begin))
        return ws_fail(err, WS_E_FORMAT, "%s: tensor \"%s\": \"data_offsets\" are not [begin, end]", path, entry->name);
    place->begin = (size_t)json_integer_value(begin);
    place->end = (size_t)json_integer_value(end);
    if (place->end > t->data_bytes)
        return ws_fail(err, WS_E_FORMAT, "%s: tensor \"%s\" ends at byte %zu of the data, which has %zu; cut off?",
                       path, entry->name, place->end, t->data_bytes);
    if (place->end - place->begin != entry->size_bytes)
        return ws_fail(err, WS_E_FORMAT,
                       "%s: tensor \"%s\" needs %zu bytes by its shape, its offsets [%zu, %zu) give %zu", path,
                       entry->name, entry->size_bytes, place->begin, place->end, place->end - place->begin);
    entry->data = t->data + place->begin;
    return WS_OK;
}

static int compare_places(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

/** The entries must tile the data block: no overlap, no hole, nothing behind. */
static enum ws_status check_cover(const struct ws_tensors *t, struct place *places, const char *path,
                                  struct ws_err *err)
{
    qsort(places, t->n_entries, sizeof(*places), compare_places);
    size_t covered = 0;
    for (size_t i = 0; i < t->n_entries; i++) {
        const char *name = t->entries[places[i].entry].name;
        if (places[i].begin < covered)
            return ws_fail(err, WS_E_FORMAT, "%s: tensor \"%s\" at byte %zu of the data overlaps the one before it",
                           path, name, places[i].begin);
        if (places[i].begin > covered)
            return ws_fail(err, WS_E_FORMAT,
                           "%s: bytes %zu to %zu of the data, before tensor \"%s\", belong to no tensor", path, covered,
                           places[i].begin, name);
        covered = places[i].end;
    }
    if (covered != t->data_bytes)
        return ws_fail(err, WS_E_FORMAT, "%s: the tensors end at byte %zu of the data, which has %zu", path, covered,
                       t->data_bytes);
    return WS_OK;
}

static enum ws_status parse_entries(struct ws_tensors *t, const char *path, struct ws_err *err)
{
    const size_t n_max = json_object_size(t->root);
    struct place *places = ws_calloc(n_max + 1, sizeof(*places));
    t->entries = ws_calloc(n_max + 1, sizeof(*t->entries));
    enum ws_status status = WS_OK;
    if (!places || !t->entries) {
        status = ws_fail(err, WS_E_MEMORY, "%s: out of memory for %zu tensors", path, n_max);
        goto drop_places;
    }
    const char *name;
    json_t *info;
    json_object_foreach(t->root, name, info)
    {
        if (strcmp(name, "__metadata__") == 0)
            continue;
        t->entries[t->n_entries].name = name;
        places[t->n_entries].entry = t->n_entries;
        status = parse_entry(t, &t->entries[t->n_entries], &places[t->n_entries], info, path, err);
        if (status != WS_OK)
            goto drop_places;
        t->n_entries++;
    }
    status = check_cover(t, places, path, err);
drop_places:
    free(places);
    return status;
}

/** Our files carry two digests; one without the other is damage, as is any that does not fit. */
static enum ws_status check_digests(struct ws_tensors *t, const char *path, struct ws_err *err)
{
    t->digest = ws_sha256(t->data, t->data_bytes);
    const char *data_hex = ws_tensors_metadata(t, WS_TENSORS_KEY_DIGEST);
    const char *header_hex = ws_tensors_metadata(t, WS_TENSORS_KEY_HEADER);
    if (!data_hex && !header_hex)
        return WS_OK;
    if (!data_hex || !header_hex)
        return ws_fail(err, WS_E_FORMAT, "%s: metadata has \"%s\" but no \"%s\"", path,
                       data_hex ? WS_TENSORS_KEY_DIGEST : WS_TENSORS_KEY_HEADER,
                       data_hex ? WS_TENSORS_KEY_HEADER : WS_TENSORS_KEY_DIGEST);
    struct ws_digest header;
    char found[WS_DIGEST_HEX];
    if (!ws_tensors_header_digest(t->entries, t->n_entries, t->metadata, t->n_metadata, &header))
        return ws_fail(err, WS_E_MEMORY, "%s: cannot compute SHA-256", path);
    ws_digest_hex(&header, found);
    if (strcmp(found, header_hex) != 0)
        return ws_fail(err, WS_E_FORMAT, "%s: the header has SHA-256 %s, its metadata says %s", path, found,
                       header_hex);
    ws_digest_hex(&t->digest, found);
    if (strcmp(found, data_hex) != 0)
        return ws_fail(err, WS_E_FORMAT, "%s: the data has SHA-256 %s, its metadata says %s", path, found, data_hex);
    return WS_OK;
}

/** Foreign writers need not align; a cast to the element type must still be safe. */
static enum ws_status align_entries(struct ws_tensors *t, const char *path, struct ws_err *err)
{
    for (size_t i = 0; i < t->n_entries; i++) {
        struct ws_tensor_entry *e = &t->entries[i];
        if ((uintptr_t)e->data % ws_dtype_size(e->dtype) == 0 || e->size_bytes == 0)
            continue;
        void *copy = ws_arena_alloc(&t->copies, e->size_bytes, 1);
        if (!copy)
            return ws_fail(err, WS_E_MEMORY, "%s: out of memory for tensor \"%s\"", path, e->name);
        memcpy(copy, e->data, e->size_bytes);
        e->data = copy;
    }
    return WS_OK;
}

enum ws_status ws_tensors_open(struct ws_tensors **out, const char *path, struct ws_err *err)
{
    *out = NULL;
    struct ws_tensors *t = ws_calloc(1, sizeof(*t));
    if (!t)
        return ws_fail(err, WS_E_MEMORY, "%s: out of memory", path);
    enum ws_status status = ws_file_map_open(&t->map, path, err);
    if (status == WS_OK)
        status = parse_header(t, path, err);
    if (status == WS_OK)
        status = parse_metadata(t, path, err);
    if (status == WS_OK)
        status = parse_entries(t, path, err);
    if (status == WS_OK)
        status = check_digests(t, path, err);
    if (status == WS_OK)
        status = align_entries(t, path, err);
    if (status != WS_OK) {
        if (status == WS_E_FORMAT)
            ws_err_hint(err,
                        "the file is damaged, or was cut on its way: copy it anew; one that webstill made: remove it "
                        "and run its stage again (`webstill verify CONFIG` looks for more)");
        ws_tensors_close(&t);
        return status;
    }
    *out = t;
    return WS_OK;
}

void ws_tensors_close(struct ws_tensors **tensors)
{
    struct ws_tensors *t = *tensors;
    if (!t)
        return;
    free(t->entries);
    free(t->metadata);
    json_decref(t->root);
    ws_arena_fini(&t->copies);
    ws_file_map_close(&t->map);
    free(t);
    *tensors = NULL;
}

size_t ws_tensors_count(const struct ws_tensors *tensors)
{
    return tensors->n_entries;
}

const struct ws_tensor_entry *ws_tensors_at(const struct ws_tensors *tensors, size_t i)
{
    ws_assert(i < tensors->n_entries);
    return &tensors->entries[i];
}

const struct ws_tensor_entry *ws_tensors_find(const struct ws_tensors *tensors, const char *name)
{
    for (size_t i = 0; i < tensors->n_entries; i++) {
        if (strcmp(tensors->entries[i].name, name) == 0)
            return &tensors->entries[i];
    }
    return NULL;
}

const char *ws_tensors_metadata(const struct ws_tensors *tensors, const char *key)
{
    for (size_t i = 0; i < tensors->n_metadata; i++) {
        if (strcmp(tensors->metadata[i].key, key) == 0)
            return tensors->metadata[i].value;
    }
    return NULL;
}

size_t ws_tensors_metadata_count(const struct ws_tensors *tensors)
{
    return tensors->n_metadata;
}

struct ws_metadata ws_tensors_metadata_at(const struct ws_tensors *tensors, size_t i)
{
    ws_assert(i < tensors->n_metadata);
    return tensors->metadata[i];
}

const struct ws_digest *ws_tensors_digest(const struct ws_tensors *tensors)
{
    return &tensors->digest;
}
