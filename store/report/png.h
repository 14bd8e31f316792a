/** Small pictures as PNG, for the report. */
#ifndef WEBSTILL_STORE_REPORT_PNG_H
#define WEBSTILL_STORE_REPORT_PNG_H

#include "webstill/base/buf.h"

/**
 * Encode 8-bit pixels (rows top to bottom, 1 or 3 channels interleaved) as PNG, appended to `out`; pictures larger than
 * `max_side` are averaged down by a whole factor first. WS_E_MEMORY, WS_E_INTERNAL.
 */
WS_MUST_USE enum ws_status ws_png_encode(const uint8_t *pixels, int width, int height, int channels, int max_side,
                                         struct ws_buf *out, struct ws_err *err);

#endif
