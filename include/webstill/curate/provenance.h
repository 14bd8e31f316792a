/** Which sources a pool's images come from, as the store's origins tell. */
#ifndef WEBSTILL_CURATE_PROVENANCE_H
#define WEBSTILL_CURATE_PROVENANCE_H

#include "webstill/base/mem.h"
#include "webstill/curate/source.h"
#include "webstill/images/read.h"

/**
 * Read the sources of `n` images. `key` tells sources apart: WS_BY_QUERY ("class: words"; "no query" where a page
 * led there), WS_BY_HOST (the URL's), WS_BY_LICENCE (as stated; "none stated"). Everything lives in `arena`.
 *
 * WS_E_CONFIG for an id that the store does not hold, WS_E_DAMAGED, WS_E_MEMORY. Determinism: the result depends on the
 * store's content alone. Cost: one look-up and one JSON text an image, about a second for 50,000.
 */
WS_MUST_USE enum ws_status ws_sources_read(struct ws_sources *out, struct ws_arena *arena,
                                           const struct ws_images *images, const struct ws_image_id *ids, size_t n,
                                           enum ws_source_key key, struct ws_err *err);

/** Host of a URL, without port and user, into `host`; "" when there is none. */
void ws_source_host(const char *url, char *host, size_t size_bytes);

#endif
