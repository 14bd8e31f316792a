#include "agenda.h"

#include "webstill/base/buf.h"
#include "webstill/base/mem.h"

#include <stdlib.h>
#include <string.h>

/* --- one search --- */

static bool make_id(const struct ws_search *search, struct ws_buf *scratch, struct ws_image_id *id)
{
    const char *class_name = search->class_name ? search->class_name : "";
    const char *query = search->query ? search->query : "";
    const char *url = search->source->url, *name = search->ops->name;
    ws_buf_clear(scratch);
    if (!ws_buf_add(scratch, name, strlen(name) + 1) || !ws_buf_add(scratch, url, strlen(url) + 1) ||
        !ws_buf_add(scratch, class_name, strlen(class_name) + 1) || !ws_buf_add(scratch, query, strlen(query) + 1))
        return false;
    const struct ws_digest digest = ws_sha256(scratch->ptr, scratch->len);
    *id = ws_image_id_of(&digest);
    return true;
}

static bool set_name(struct ws_search *search)
{
    struct ws_url url;
    char host[256];
    search->source_name = search->source->name ? search->source->name : "";
    if (*search->source_name || !ws_url_parse(&url, search->source->url))
        return true;
    ws_url_host(&url, host);
    search->source_name = strdup(host);
    search->is_name_owned = search->source_name != NULL;
    return search->is_name_owned;
}

static bool add_search(struct ws_agenda *agenda, const struct ws_source_keys *source, const struct ws_source_ops *ops,
                       const char *class_name, const char *query, struct ws_buf *scratch)
{
    struct ws_search *search = &agenda->searches[agenda->n++];
    *search = (struct ws_search){.ops = ops, .source = source, .class_name = class_name, .query = query};
    return set_name(search) && make_id(search, scratch, &search->id);
}

/** The searches of one source. */
static bool add_source(struct ws_agenda *agenda, const struct ws_config *config, const struct ws_source_keys *source,
                       const struct ws_source_ops *ops, struct ws_buf *scratch)
{
    if (ops->is_per_query && !ops->is_per_query(source))
        return add_search(agenda, source, ops, NULL, NULL, scratch);
    for (unsigned c = 0; c < config->n_classes; c++)
        for (unsigned q = 0; q < config->classes[c].n_queries; q++)
            if (!add_search(agenda, source, ops, config->classes[c].name, config->classes[c].queries[q], scratch))
                return false;
    return true;
}

/* --- the indices --- */

/** By id; of several, the one that the configuration names first comes first. */
static int compare_ids(const void *a, const void *b)
{
    const struct ws_search *one = *(struct ws_search *const *)a, *other = *(struct ws_search *const *)b;
    const int order = ws_image_id_compare(&one->id, &other->id);
    return order ? order : (one > other) - (one < other);
}

/** By the group that `search->group` points to, which is its own at this time. */
static int compare_groups(const void *a, const void *b)
{
    const struct ws_search *one = *(struct ws_search *const *)a, *other = *(struct ws_search *const *)b;
    const int order = ws_image_id_compare(&one->group->id, &other->group->id);
    return order ? order : (one > other) - (one < other);
}

/** Searches that begin on the same host are of one group. */
static struct ws_image_id group_id_of(const struct ws_search *search)
{
    struct ws_url url;
    char origin[WS_ORIGIN_MAX] = "";
    if (ws_url_parse(&url, search->source->url))
        ws_url_origin(&url, origin);
    return ws_url_key(origin);
}

static bool make_groups(struct ws_agenda *agenda)
{
    size_t n = 0;
    struct ws_group *own = ws_calloc(agenda->n + 1, sizeof *own); /* one for each, to sort by */
    agenda->by_group = ws_calloc(agenda->n + 1, sizeof(struct ws_search *));
    agenda->groups = ws_calloc(agenda->n + 1, sizeof *agenda->groups);
    if (!own || !agenda->by_group || !agenda->groups) {
        free(own);
        return false;
    }
    for (size_t i = 0; i < agenda->n; i++) {
        struct ws_search *search = &agenda->searches[i];
        if (!search->ops->has_groups)
            continue;
        own[n].id = group_id_of(search);
        search->group = &own[n];
        agenda->by_group[n++] = search;
    }
    qsort(agenda->by_group, n, sizeof(struct ws_search *), compare_groups);
    struct ws_group *group = NULL;
    for (size_t i = 0; i < n; i++) {
        struct ws_search *search = agenda->by_group[i];
        if (!group || ws_image_id_compare(&group->id, &search->group->id) != 0) {
            group = &agenda->groups[agenda->n_groups++];
            *group = (struct ws_group){.id = search->group->id, .members = &agenda->by_group[i]};
        }
        group->n++;
        search->group = group;
    }
    free(own);
    return true;
}

static bool make_index(struct ws_agenda *agenda)
{
    agenda->by_id = ws_calloc(agenda->n + 1, sizeof(struct ws_search *));
    if (!agenda->by_id)
        return false;
    for (size_t i = 0; i < agenda->n; i++)
        agenda->by_id[i] = &agenda->searches[i];
    qsort(agenda->by_id, agenda->n, sizeof(struct ws_search *), compare_ids);
    return make_groups(agenda);
}

/* --- the agenda --- */

enum ws_status ws_agenda_make(struct ws_agenda *agenda, const struct ws_config *config,
                              const struct ws_source_ops *const *sources, struct ws_err *err)
{
    struct ws_buf scratch = {0};
    size_t n_queries = 0;
    *agenda = (struct ws_agenda){0};
    for (unsigned c = 0; c < config->n_classes; c++)
        n_queries += config->classes[c].n_queries;
    const size_t n_max = ws_size_mul(ws_crawl_keys(config)->n_sources, n_queries + 1);
    agenda->searches = ws_calloc(n_max ? n_max : 1, sizeof *agenda->searches);
    if (!agenda->searches)
        return ws_fail(err, WS_E_MEMORY, "out of memory for %zu searches", n_max);
    bool is_ok = true;
    for (unsigned s = 0; is_ok && s < ws_crawl_keys(config)->n_sources; s++) {
        const struct ws_source_keys *source = &ws_crawl_keys(config)->sources[s];
        is_ok = add_source(agenda, config, source, sources[source->kind], &scratch);
    }
    is_ok = is_ok && make_index(agenda);
    ws_buf_fini(&scratch);
    return is_ok ? WS_OK : ws_fail(err, WS_E_MEMORY, "out of memory for the searches");
}

void ws_agenda_fini(struct ws_agenda *agenda)
{
    for (size_t i = 0; i < agenda->n; i++)
        if (agenda->searches[i].is_name_owned)
            free((void *)(uintptr_t)agenda->searches[i].source_name);
    free(agenda->searches);
    free(agenda->by_id);
    free(agenda->by_group);
    free(agenda->groups);
    *agenda = (struct ws_agenda){0};
}

const struct ws_search *ws_agenda_find(const struct ws_agenda *agenda, const struct ws_image_id *id)
{
    size_t low = 0, high = agenda->n;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (ws_image_id_compare(&agenda->by_id[middle]->id, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < agenda->n && ws_image_id_compare(&agenda->by_id[low]->id, id) == 0 ? agenda->by_id[low] : NULL;
}
