/** What the extension in a URL says of the format behind it: worth a request, or not. */
#ifndef WEBSTILL_CRAWLER_PAGE_FORMAT_H
#define WEBSTILL_CRAWLER_PAGE_FORMAT_H

#include "net/url.h"

enum ws_url_format {
    WS_URL_FORMAT_OTHER,       /**< no picture's name: anything */
    WS_URL_FORMAT_PICTURE,     /**< one that the store decodes */
    WS_URL_FORMAT_UNSUPPORTED, /**< a picture's that it cannot (svg, gif, …) */
};

enum ws_url_format ws_url_format_of(const struct ws_url *url);

#endif
