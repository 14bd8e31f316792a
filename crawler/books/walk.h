/** The pages of a walk: those still to come in order of discovery, and those that the walks of a group know. */
#ifndef WEBSTILL_CRAWLER_BOOKS_WALK_H
#define WEBSTILL_CRAWLER_BOOKS_WALK_H

#include "frontier.h"

struct ws_walk {
    struct ws_frontier *frontier; /**< borrowed */
    struct ws_image_id search;    /**< whose pages these are */
    struct ws_image_id group;     /**< no page is read by two walks of a group */
};

/** Remember a page; WS_DONE when a walk of the group knew it. */
WS_MUST_USE enum ws_status ws_walk_see(const struct ws_walk *walk, const struct ws_url *url, struct ws_err *err);
/** Keep the page that is `number` in order of discovery, `depth` links from the seed. */
WS_MUST_USE enum ws_status ws_walk_put(const struct ws_walk *walk, uint32_t number, uint32_t depth,
                                       const struct ws_url *url, struct ws_err *err);
WS_MUST_USE enum ws_status ws_walk_get(const struct ws_walk *walk, uint32_t number, uint32_t *depth,
                                       char url[WS_URL_MAX], struct ws_err *err);

#endif
