#include "webstill/curate/provenance.h"
#include "webstill/base/json.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 256 };

/* One way an image was found. */
struct link {
    const char *name; /* in the arena */
    uint32_t image;
    int32_t query_class;
};

/* Grows while the origins are read. */
struct links {
    struct link *list; /* owned */
    size_t n, cap;
};

void ws_source_host(const char *url, char *host, size_t size_bytes)
{
    const char *start = strstr(url, "://");
    host[0] = '\0';
    if (!start || size_bytes == 0)
        return;
    start += 3;
    size_t len = strcspn(start, "/?#");
    const char *user = memchr(start, '@', len);
    if (user) {
        len -= (size_t)(user + 1 - start);
        start = user + 1;
    }
    const size_t bare = start[0] == '[' ? strcspn(start, "]") + 1 : strcspn(start, ":");
    len = bare < len ? bare : len;
    snprintf(host, size_bytes, "%.*s", (int)(len < size_bytes ? len : size_bytes - 1), start);
}

static void name_source(const json_t *origin, enum ws_source_key key, char name[NAME_BYTES])
{
    const char *query = ws_json_text(origin, "query"), *class_name = ws_json_text(origin, "class_name");
    const char *licence = ws_json_text(origin, "licence");
    if (key == WS_BY_QUERY && query[0])
        snprintf(name, NAME_BYTES, "%s%s%s", class_name, class_name[0] ? ": " : "", query);
    else if (key == WS_BY_QUERY)
        snprintf(name, NAME_BYTES, "no query");
    else if (key == WS_BY_LICENCE)
        snprintf(name, NAME_BYTES, "%s", licence[0] ? licence : "none stated");
    else
        ws_source_host(ws_json_text(origin, "url"), name, NAME_BYTES);
}

static bool add_link(struct links *links, struct link link)
{
    if (links->n == links->cap) {
        const size_t cap = links->cap ? 2 * links->cap : 1024;
        struct link *list = ws_realloc(links->list, cap, sizeof *list);
        if (!list)
            return false;
        links->list = list;
        links->cap = cap;
    }
    links->list[links->n++] = link;
    return true;
}

static enum ws_status read_image(struct links *links, struct ws_arena *arena, const struct ws_images *images,
                                 const struct ws_image_id *id, uint32_t image, enum ws_source_key key,
                                 struct ws_err *err)
{
    struct ws_buf text = {0};
    enum ws_status status = WS_OK;
    char hex[WS_IMAGE_ID_HEX], name[NAME_BYTES];
    ws_image_id_hex(id, hex);
    if (ws_images_find(images, id) < 0) {
        status = ws_fail(err, WS_E_CONFIG, "image %s is not in the store: its scores are of another pool", hex);
        ws_err_hint(err, "run `webstill score` again");
        return status;
    }
    status = ws_images_origins(images, id, &text, err);
    json_t *origins = status == WS_OK ? json_loadb(text.len > 0 ? text.ptr : "", text.len, 0, NULL) : NULL;
    if (status == WS_OK && !json_is_array(origins))
        status = ws_fail(err, WS_E_DAMAGED, "the store's origins of image %s are no JSON array", hex);
    for (size_t k = 0; status == WS_OK && k < json_array_size(origins); k++) {
        const json_t *origin = json_array_get(origins, k);
        const json_t *class_index = json_object_get(origin, "class");
        name_source(origin, key, name);
        const struct link link = {.name = ws_arena_strdup(arena, name),
                                  .image = image,
                                  .query_class =
                                      json_is_integer(class_index) ? (int32_t)json_integer_value(class_index) : -1};
        if (!link.name || !add_link(links, link))
            status = ws_fail(err, WS_E_MEMORY, "out of memory for the sources of the pool");
    }
    json_decref(origins);
    ws_buf_fini(&text);
    return status;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names in use, each once, ascending. */
static bool list_names(struct ws_sources *out, struct ws_arena *arena, const struct links *links)
{
    char **names = ws_arena_alloc(arena, links->n > 0 ? links->n : 1, sizeof *names);
    if (!names)
        return false;
    for (size_t k = 0; k < links->n; k++)
        names[k] = (char *)(uintptr_t)links->list[k].name;
    qsort(names, links->n, sizeof *names, compare_names);
    int n = 0;
    for (size_t k = 0; k < links->n; k++)
        if (n == 0 || strcmp(names[k], names[n - 1]) != 0)
            names[n++] = names[k];
    out->names = names;
    out->n_sources = n;
    return true;
}

static int32_t find_name(const struct ws_sources *sources, const char *name)
{
    char *const *found = bsearch(&name, sources->names, (size_t)sources->n_sources, sizeof *found, compare_names);
    return (int32_t)(found - sources->names);
}

/* Links of one image, by source and class, each once; they begin at `at`. Returns where they end. */
static uint32_t sort_links(struct ws_sources *out, uint32_t at, uint32_t end)
{
    int32_t *source = out->source, *query_class = out->query_class;
    for (uint32_t k = at + 1; k < end; k++) /* few: by insertion */
        for (uint32_t j = k; j > at && (source[j - 1] > source[j] ||
                                        (source[j - 1] == source[j] && query_class[j - 1] > query_class[j]));
             j--) {
            const int32_t s = source[j], c = query_class[j];
            source[j] = source[j - 1];
            query_class[j] = query_class[j - 1];
            source[j - 1] = s;
            query_class[j - 1] = c;
        }
    uint32_t n = at;
    for (uint32_t k = at; k < end; k++)
        if (n == at || source[k] != source[n - 1] || query_class[k] != query_class[n - 1]) {
            source[n] = source[k];
            query_class[n++] = query_class[k];
        }
    return n;
}

static bool fill(struct ws_sources *out, struct ws_arena *arena, const struct links *links, size_t n)
{
    out->n = n;
    out->first = ws_arena_alloc(arena, n + 1, sizeof *out->first);
    out->source = ws_arena_alloc(arena, links->n > 0 ? links->n : 1, sizeof *out->source);
    out->query_class = ws_arena_alloc(arena, links->n > 0 ? links->n : 1, sizeof *out->query_class);
    if (!out->first || !out->source || !out->query_class || !list_names(out, arena, links))
        return false;
    uint32_t at = 0;
    for (size_t k = 0, i = 0; i < n; i++) {
        uint32_t end = at;
        out->first[i] = at;
        for (; k < links->n && links->list[k].image == i; k++, end++) {
            out->source[end] = find_name(out, links->list[k].name);
            out->query_class[end] = links->list[k].query_class;
        }
        at = sort_links(out, at, end);
    }
    out->first[n] = at;
    return true;
}

enum ws_status ws_sources_read(struct ws_sources *out, struct ws_arena *arena, const struct ws_images *images,
                               const struct ws_image_id *ids, size_t n, enum ws_source_key key, struct ws_err *err)
{
    struct links links = {0};
    enum ws_status status = WS_OK;
    *out = (struct ws_sources){0};
    for (size_t i = 0; status == WS_OK && i < n; i++)
        status = read_image(&links, arena, images, &ids[i], (uint32_t)i, key, err);
    if (status == WS_OK && !fill(out, arena, &links, n))
        status = ws_fail(err, WS_E_MEMORY, "out of memory for the sources of %zu images", n);
    free(links.list);
    return status;
}
