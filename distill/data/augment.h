/** Turn stored bytes into a network's input, with or without a random view. */
#ifndef WEBSTILL_DISTILL_DATA_AUGMENT_H
#define WEBSTILL_DISTILL_DATA_AUGMENT_H

#include "keys/distill.h"

#include "webstill/base/err.h"
#include "webstill/base/rng.h"

#include <stdbool.h>
#include <stdint.h>

/** How inputs are made: the view drawn, then (x/255 - mean)/std per channel. */
struct ws_augment {
    enum ws_augment_kind kind;
    bool flip;             /**< horizontal, half of the time */
    int pad;               /**< shift */
    double min_area;       /**< resized-crop: smallest share of the area; the largest is 1 */
    float mean[3], std[3]; /**< of inputs scaled to 0..1 */
};

/** A crop in pixels of the source. */
struct ws_crop {
    int top, left, height, width;
};

/**
 * Draw torchvision's RandomResizedCrop window: area uniform in [min_area, 1] of the image's, aspect log-uniform in
 * [3/4, 4/3], ten tries, then the largest centre crop whose aspect is allowed.
 */
struct ws_crop ws_crop_draw(struct ws_rng *rng, int height, int width, double min_area);

/**
 * Write one image, height x width x channels floats, interleaved.
 *
 * With `rng` NULL the clean view: no crop, no flip. The crop is never larger than the output, so bilinear sampling
 * (pixel centres at half integers, edges repeated, as PIL and torch do) needs no antialias filter and both libraries
 * agree; we do not round to bytes in between.
 *
 * Determinism: a function of the pixels, the settings and the state of `rng` alone.
 */
void ws_augment_image(const struct ws_augment *augment, struct ws_rng *rng, const uint8_t *pixels, int height,
                      int width, int channels, float *out);

#endif
