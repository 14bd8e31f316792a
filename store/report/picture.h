/** A picture of the store on the page, with what is said of it. */
#ifndef WEBSTILL_STORE_REPORT_PICTURE_H
#define WEBSTILL_STORE_REPORT_PICTURE_H

#include "data.h"
#include "html.h"

/** What stands below and behind a picture. */
struct ws_report_picture {
    const struct ws_image_id *id;
    const char *why;      /**< first part of the tooltip; where the picture was found follows */
    const char *caption;  /**< markup */
    const uint8_t *below; /**< pixels in the shape of the stored ones, shown under them; NULL: none */
};

/**
 * Add a figure that links to where the picture was found. A picture that is no longer in the store is left out.
 * WS_E_MEMORY, WS_E_DAMAGED.
 */
WS_MUST_USE enum ws_status ws_report_add_picture(const struct ws_report *report, struct ws_html *html,
                                                 const struct ws_report_picture *picture, struct ws_err *err);

#endif
