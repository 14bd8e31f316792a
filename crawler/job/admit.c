#include "admit.h"

#include "net/text.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static enum ws_status fail_memory(struct ws_err *err, const char *url)
{
    return ws_fail(err, WS_E_MEMORY, "out of memory for what is known about %s", url);
}

static bool set_text(json_t *object, const char *key, const char *text)
{
    return json_object_set_new(object, key, text && *text ? ws_text_json(text) : json_null()) == 0;
}

/** Without URL, class index and robots decision: those are added when the record is written. */
static json_t *describe(const struct ws_sighting *s)
{
    json_t *find = json_object();
    if (find && set_text(find, "page", s->page) && set_text(find, "alt", s->alt) && set_text(find, "title", s->title) &&
        set_text(find, "query", s->query) && set_text(find, "class_name", s->class_name) &&
        set_text(find, "source", s->source) && set_text(find, "licence", s->licence) &&
        set_text(find, "licence_url", s->licence_url) && set_text(find, "author", s->author) &&
        set_text(find, "attribution", s->attribution) && json_object_set_new(find, "via", json_array()) == 0)
        return find;
    json_decref(find);
    return NULL;
}

/** Sorted, so that the same find has the same bytes. */
static char *dump(const json_t *object)
{
    return json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS);
}

/** The entry of a URL, made and queued when it is new. */
static enum ws_status get_or_queue(struct ws_crawl *crawl, const struct ws_url *url, const struct ws_image_id *key,
                                   struct ws_url_entry *entry, struct ws_err *err)
{
    enum ws_status status = ws_frontier_get_url(crawl->books.frontier, key, entry, err);
    if (status != WS_DONE)
        return status;
    *entry = (struct ws_url_entry){.state = WS_ENTRY_QUEUED};
    memcpy(entry->url, url->text, sizeof entry->url);
    status = ws_frontier_put_url(crawl->books.frontier, key, entry, err);
    if (status == WS_OK)
        status = ws_turns_queue(&crawl->turns, url, WS_ITEM_IMAGE, key, 0, err);
    crawl->books.tally.n_known++;
    return status;
}

/** Take one hop into the chain. False when the chain is a loop or longer than allowed. */
static bool add_hop(const struct ws_crawl *crawl, json_t *find, const char *from, const char *to)
{
    json_t *via = json_object_get(find, "via");
    size_t i;
    json_t *hop;
    if (strcmp(from, to) == 0 || json_array_size(via) >= crawl->conf->max_redirects)
        return false;
    json_array_foreach(via, i, hop) if (strcmp(json_string_value(hop), to) == 0) return false;
    return json_array_append_new(via, json_string(from)) == 0;
}

/** Add a find to a URL, or to where that URL is known to lead. WS_DONE when it was known. */
static enum ws_status admit(struct ws_crawl *crawl, const struct ws_url *url, json_t *find, struct ws_err *err)
{
    struct ws_url at = *url;
    struct ws_url_entry entry;
    for (;;) {
        const struct ws_image_id key = ws_url_key(at.text);
        enum ws_status status = get_or_queue(crawl, &at, &key, &entry, err);
        if (status != WS_OK)
            return status;
        char *json = dump(find);
        if (!json)
            return fail_memory(err, at.text);
        const bool is_redirected = entry.state == WS_ENTRY_REDIRECTED;
        status = ws_frontier_add_find(crawl->books.frontier, &key, json, is_redirected, err);
        free(json);
        if (status != WS_OK)
            return status;
        if (!is_redirected)
            return entry.record[0] ? ws_admit_write(crawl, &key, &entry, err) : WS_OK;
        if (!ws_url_parse(&at, entry.detail) || !add_hop(crawl, find, entry.url, at.text))
            return WS_OK;
    }
}

enum ws_status ws_admit(struct ws_crawl *crawl, const struct ws_sighting *sighting, struct ws_err *err)
{
    json_t *find = describe(sighting);
    if (!find)
        return fail_memory(err, sighting->url->text);
    const enum ws_status status = admit(crawl, sighting->url, find, err);
    json_decref(find);
    return status;
}

static json_t *load_find(const struct ws_find *find, const char *url, struct ws_err *err)
{
    json_t *object = json_loadb(find->json.ptr, find->json.len, 0, NULL);
    if (!object)
        ws_fail(err, WS_E_DAMAGED, "frontier: what is known about %s is no JSON", url);
    return object;
}

enum ws_status ws_admit_forward(struct ws_crawl *crawl, const struct ws_image_id *key, struct ws_url_entry *entry,
                                const struct ws_url *target, struct ws_err *err)
{
    struct ws_find find = {0};
    size_t n_forwarded = 0;
    bool is_first = true;
    enum ws_status status;
    while ((status = ws_frontier_next_find(crawl->books.frontier, key, is_first, &find, err)) == WS_OK) {
        is_first = false;
        json_t *object = load_find(&find, entry->url, err);
        if (!object) {
            status = WS_E_DAMAGED;
            break;
        }
        if (add_hop(crawl, object, entry->url, target->text)) {
            n_forwarded++;
            status = admit(crawl, target, object, err);
        }
        json_decref(object);
        find.is_written = true;
        if (status == WS_OK || status == WS_DONE)
            status = ws_frontier_mark_find(crawl->books.frontier, key, &find, err);
        if (status != WS_OK)
            break;
    }
    ws_buf_fini(&find.json);
    if (status != WS_DONE)
        return status;
    return n_forwarded ? WS_OK : WS_DONE;
}

/* --- metadata records --- */

/** By name, at the time of writing: a changed class list moves the indices. */
static json_t *class_index(const struct ws_config *config, const char *name)
{
    for (unsigned i = 0; name && i < config->n_classes; i++)
        if (strcmp(config->classes[i].name, name) == 0)
            return json_integer(i);
    return json_null();
}

static bool complete(const struct ws_crawl *crawl, json_t *object, const struct ws_url_entry *entry)
{
    json_t *robots = json_object();
    const char *class_name = json_string_value(json_object_get(object, "class_name"));
    const bool is_ok = robots && set_text(robots, "rule", entry->rule) &&
                       json_object_set_new(robots, "line", json_integer(entry->robots_line)) == 0 &&
                       set_text(robots, "sha256", entry->robots_sha256) &&
                       set_text(robots, "fetched", entry->robots_fetched);
    return json_object_set_new(object, "robots", robots) == 0 && is_ok &&
           json_object_set_new(object, "url", json_string(entry->url)) == 0 &&
           json_object_set_new(object, "class", class_index(crawl->config, class_name)) == 0;
}

enum ws_status ws_admit_write(struct ws_crawl *crawl, const struct ws_image_id *key, const struct ws_url_entry *entry,
                              struct ws_err *err)
{
    struct ws_find find = {0};
    bool is_first = true;
    enum ws_status status;
    while ((status = ws_frontier_next_find(crawl->books.frontier, key, is_first, &find, err)) == WS_OK) {
        is_first = false;
        if (find.is_written)
            continue;
        json_t *object = load_find(&find, entry->url, err);
        char *json = object && complete(crawl, object, entry) ? dump(object) : NULL;
        if (json)
            status = ws_archive_metadata(&crawl->books.archive, entry->url, entry->record, json, err);
        else
            status = object ? fail_memory(err, entry->url) : WS_E_DAMAGED;
        free(json);
        json_decref(object);
        find.is_written = true;
        if (status == WS_OK)
            status = ws_frontier_mark_find(crawl->books.frontier, key, &find, err);
        if (status != WS_OK)
            break;
    }
    ws_buf_fini(&find.json);
    return status == WS_DONE ? WS_OK : status;
}
