/** One picture file to a square of pixels, under the rules of section `store`: what labelled folders share with the
 * web. */
#ifndef WEBSTILL_PICTURE_SQUARE_H
#define WEBSTILL_PICTURE_SQUARE_H

#include "webstill/base/buf.h"
#include "webstill/picture/keys.h"

#include <stdbool.h>
#include <stdint.h>

enum { WS_DECODE_REASON = 160 };

/**
 * Decode a JPEG, PNG or WebP body in this process, fit it and write conf->size * conf->size * conf->channels bytes.
 *
 * False when it was refused; `reason` then says why ("corrupt: …"). Limits are checked before decoding, but there is no
 * sandbox around the decoder: give it files that the user vouches for, not the web's. Threads: any number.
 */
WS_MUST_USE bool ws_decode_square(struct ws_span body, const struct ws_store_keys *conf, uint8_t *square,
                                  char reason[WS_DECODE_REASON]);

#endif
