/**
 * Answers of MediaWiki's Action API in XML (action=query, generator=search, prop=imageinfo), read with libxml2's
 * reader.
 *
 * A document with a DOCTYPE is refused before it reaches the parser: an API has none, and entities are how XML is made
 * to explode. No network, no external files.
 */
#ifndef WEBSTILL_CRAWLER_SOURCE_MEDIAWIKI_ANSWER_H
#define WEBSTILL_CRAWLER_SOURCE_MEDIAWIKI_ANSWER_H

#include "webstill/base/buf.h"
#include "webstill/base/err.h"
#include "webstill/base/mem.h"

#include <stdbool.h>
#include <stddef.h>

/** A picture found; all texts plain, "" when the answer has none. */
struct ws_mediawiki_image {
    long index;        /**< rank in the search */
    const char *title; /**< "File:Blue dress.jpg" */
    const char *url;   /**< as it stands in the answer */
    const char *page;  /**< description page */
    const char *mime;
    const char *user;
    const char *licence, *licence_url, *author, *attribution, *description;
};

struct ws_mediawiki_parameter {
    const char *name, *value;
};

enum { WS_MEDIAWIKI_MAX_IMAGES = 5000, WS_MEDIAWIKI_MAX_CONTINUE = 16 };

/** Everything lives in the arena until ws_mediawiki_fini(). */
struct ws_mediawiki_answer {
    struct ws_arena arena;
    struct ws_mediawiki_image *images; /**< sorted by index; pages without an image URL left out */
    size_t n_images;
    struct ws_mediawiki_parameter parameters[WS_MEDIAWIKI_MAX_CONTINUE]; /**< of `continue`; none at the end */
    size_t n_parameters;
    const char *error_code; /**< "maxlag", "ratelimited", …; NULL when the answer is no error */
    const char *error_info;
};

/** Read an answer. WS_E_FORMAT says what is wrong with it, WS_E_MEMORY. */
WS_MUST_USE enum ws_status ws_mediawiki_read(struct ws_mediawiki_answer *answer, struct ws_span body,
                                             struct ws_err *err);
void ws_mediawiki_fini(struct ws_mediawiki_answer *answer);

#endif
