/** The order in which images are believed: by falling confidence, of equals the earlier in id order first. */
#ifndef WEBSTILL_CURATE_ORDER_H
#define WEBSTILL_CURATE_ORDER_H

#include <stddef.h>
#include <stdint.h>

/**
 * Sort `images` [n], ascending on entry, by confidence[image], the most confident first. NaN counts as the least.
 * Takes no memory. Cost: n log n.
 */
void ws_order_by_confidence(uint32_t *images, size_t n, const float *confidence);

#endif
