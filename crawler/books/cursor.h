/**
 * Where a search stands: what every search has, and a part that its source alone knows.
 *
 * In the frontier both are members of one flat JSON object; the source's row names its own (source/source.h). Members
 * that are missing read as 0, so that a cursor of an older version is still one.
 */
#ifndef WEBSTILL_CRAWLER_BOOKS_CURSOR_H
#define WEBSTILL_CRAWLER_BOOKS_CURSOR_H

#include "frontier.h"

#include "webstill/base/fields.h"

enum { WS_CURSOR_OWN_BYTES = 64 };

struct ws_cursor {
    char url[WS_URL_MAX];     /**< the request under way or to come; empty when there is none */
    uint32_t n_tries, n_hops; /**< of that request */
    uint32_t n_requests;      /**< answered */
    uint32_t n_found;         /**< pictures taken */
    uint32_t n_unsupported;   /**< pictures in formats that the store cannot decode */
    uint32_t n_skipped;       /**< requests that came to nothing while the search went on */
    uint32_t n_opted_out;     /**< answers that say their pictures must not be used */
    bool is_queued, is_done;
    char failure[256]; /**< why it is done before its end, or empty */
    int64_t wait_s;    /**< not kept: the answer asks to repeat the request after so long */
    /** The source's own struct, all zero at first. */
    union {
        uint64_t alignment;
        unsigned char bytes[WS_CURSOR_OWN_BYTES];
    } own;
};

/** Read a cursor, with the source's own part when its fields are given. WS_DONE when the search has none yet. */
WS_MUST_USE enum ws_status ws_cursor_load(struct ws_frontier *frontier, const struct ws_image_id *search,
                                          const struct ws_field *own_fields, struct ws_cursor *cursor,
                                          struct ws_err *err);
WS_MUST_USE enum ws_status ws_cursor_save(struct ws_frontier *frontier, const struct ws_image_id *search,
                                          const struct ws_field *own_fields, const struct ws_cursor *cursor,
                                          struct ws_err *err);
/** Note that the search is in no queue. Its source need not be known: every other member stays as it is. */
WS_MUST_USE enum ws_status ws_cursor_rest(struct ws_frontier *frontier, const struct ws_image_id *search,
                                          struct ws_err *err);

/** The search is done before its end. */
void ws_cursor_break_off(struct ws_cursor *cursor, const char *reason);

#endif
