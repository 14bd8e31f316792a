#include "walk.h"

enum ws_status ws_walk_see(const struct ws_walk *walk, const struct ws_url *url, struct ws_err *err)
{
    const struct ws_image_id key = ws_url_key(url->text);
    return ws_frontier_see(walk->frontier, &walk->group, &key, err);
}

enum ws_status ws_walk_put(const struct ws_walk *walk, uint32_t number, uint32_t depth, const struct ws_url *url,
                           struct ws_err *err)
{
    return ws_frontier_put_page(walk->frontier, &walk->search, number, depth, url->text, err);
}

enum ws_status ws_walk_get(const struct ws_walk *walk, uint32_t number, uint32_t *depth, char url[WS_URL_MAX],
                           struct ws_err *err)
{
    const enum ws_status status = ws_frontier_get_page(walk->frontier, &walk->search, number, depth, url, err);
    return status == WS_DONE ? ws_fail(err, WS_E_DAMAGED, "frontier: page %u of a walk is missing", number) : status;
}
