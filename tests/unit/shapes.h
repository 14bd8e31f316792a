/**
 * A made-up task with a web around it, small enough to train on within seconds.
 *
 * The task: ten shapes, light on dark, 12 x 12 RGB. The web: the same shapes in any two colours, often inverted or
 * blurred, with noise ("in class"), and pictures of something else: noise, checks, stripes, ramps, scattered blobs
 * ("junk"). Everything is drawn from the counter-based generator: image i of a set is a function of the set's stream
 * and i.
 */
#ifndef WEBSTILL_TESTS_UNIT_SHAPES_H
#define WEBSTILL_TESTS_UNIT_SHAPES_H

#include "../../distill/data/set.h"
#include "near.h"

#include "webstill/base/rng.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { SHAPES_SIDE = 12, SHAPES_CLASSES = 10, SHAPES_PIXELS = SHAPES_SIDE * SHAPES_SIDE };

/** How much of each pixel is ink, 0..1; colours come later. */
struct shapes_canvas {
    double ink[SHAPES_PIXELS];
};

static inline double shapes_between(struct ws_rng *rng, double low, double high)
{
    return low + (high - low) * ws_rng_uniform(rng);
}

/* Distance of a point from the shape of a class, whose half size is 1; negative or small is inside. */
static inline double shapes_distance(int class, double x, double y)
{
    const double r = hypot(x, y), box = fmax(fabs(x), fabs(y));
    const double plus = fmin(fmax(fabs(x), fabs(y) - 1), fmax(fabs(y), fabs(x) - 1));
    const double u = (x + y) / sqrt(2), v = (x - y) / sqrt(2);
    switch (class) {
    case 0:
        return fmax(fabs(y), fabs(x) - 1);
    case 1:
        return fmax(fabs(x), fabs(y) - 1);
    case 2:
        return fmax(fabs(u), fabs(v) - 1);
    case 3:
        return fmax(fabs(v), fabs(u) - 1);
    case 4:
        return plus;
    case 5:
        return fmin(fmax(fabs(u), fabs(v) - 1), fmax(fabs(v), fabs(u) - 1));
    case 6:
        return fabs(r - .85);
    case 7:
        return fmax(r - .8, 0);
    case 8:
        return fabs(box - .85);
    default: /* a triangle's outline */
        return fabs(fmax(fmax(y - .7, -y * .5 + fabs(x) * .87 - .4), -1));
    }
}

static inline void shapes_draw(struct shapes_canvas *canvas, struct ws_rng *rng, int class)
{
    const double half = SHAPES_SIDE / 2.0, size = shapes_between(rng, 2.8, 5.0);
    const double cx = half + shapes_between(rng, -1.8, 1.8), cy = half + shapes_between(rng, -1.8, 1.8);
    const double turn = shapes_between(rng, -.15, .15), thick = shapes_between(rng, .7, 1.2);
    for (int i = 0; i < SHAPES_PIXELS; i++) {
        const double dx = (i % SHAPES_SIDE + .5 - cx) / size, dy = (i / SHAPES_SIDE + .5 - cy) / size;
        const double x = cos(turn) * dx - sin(turn) * dy, y = sin(turn) * dx + cos(turn) * dy;
        canvas->ink[i] = fmin(fmax(thick - shapes_distance(class, x, y) * size, 0), 1);
    }
}

/* None of the ten: noise (0), a ramp (1), and unless they have to be dull checks (2), stripes (3) and blobs (4). */
static inline void shapes_draw_junk(struct shapes_canvas *canvas, struct ws_rng *rng, bool is_dull)
{
    const int kind = (int)ws_rng_below(rng, is_dull ? 2 : 5);
    const double period = shapes_between(rng, 2, 5), phase = shapes_between(rng, 0, 6.28);
    const double angle = shapes_between(rng, 0, 3.14);
    double bx[4], by[4], br[4];
    for (int b = 0; b < 4; b++) {
        bx[b] = shapes_between(rng, 0, SHAPES_SIDE);
        by[b] = shapes_between(rng, 0, SHAPES_SIDE);
        br[b] = shapes_between(rng, 1, 2.5);
    }
    for (int i = 0; i < SHAPES_PIXELS; i++) {
        const double x = i % SHAPES_SIDE, y = i / SHAPES_SIDE, along = cos(angle) * x + sin(angle) * y;
        double ink = 0;
        if (kind == 0)
            ink = ws_rng_uniform(rng);
        else if (kind == 1)
            ink = fmin(fmax(.5 + along / 30 * cos(phase), 0), 1);
        else if (kind == 2)
            ink = sin(6.28 * x / period + phase) * sin(6.28 * y / period + phase) > 0;
        else if (kind == 3)
            ink = .5 + .5 * sin(6.28 * along / period + phase);
        for (int b = 0; kind == 4 && b < 4; b++)
            ink = fmax(ink, fmin(fmax(br[b] - hypot(x - bx[b], y - by[b]), 0), 1));
        canvas->ink[i] = ink;
    }
}

static inline void shapes_blur(struct shapes_canvas *canvas)
{
    const struct shapes_canvas sharp = *canvas;
    for (int y = 0; y < SHAPES_SIDE; y++)
        for (int x = 0; x < SHAPES_SIDE; x++) {
            double sum = 0;
            int n = 0;
            for (int v = y - 1; v <= y + 1; v++)
                for (int u = x - 1; u <= x + 1; u++)
                    if (v >= 0 && v < SHAPES_SIDE && u >= 0 && u < SHAPES_SIDE) {
                        sum += sharp.ink[v * SHAPES_SIDE + u];
                        n++;
                    }
            canvas->ink[y * SHAPES_SIDE + x] = sum / n;
        }
}

static inline void shapes_colour(const struct shapes_canvas *canvas, struct ws_rng *rng, const double ground[3],
                                 const double ink[3], double noise, uint8_t *pixels)
{
    for (int i = 0; i < SHAPES_PIXELS; i++)
        for (int c = 0; c < 3; c++) {
            const double value = ground[c] + (ink[c] - ground[c]) * canvas->ink[i] + noise * ws_rng_normal(rng);
            pixels[3 * i + c] = (uint8_t)lrint(fmin(fmax(value, 0), 255));
        }
}

/** How a set's pictures are made. */
struct shapes_kind {
    uint32_t stream;
    bool is_web;       /**< any colours, inverted, blurred */
    double noise;      /**< deviation of each value, of 255 */
    double junk;       /**< share of the pictures that are none of the ten shapes; their label is WS_NO_LABEL */
    bool is_junk_dull; /**< nothing in it but noise and ramps */
    int rare;          /**< a class of which there are few; -1 = none */
    double rare_share; /**< of what the other classes have */
};

static inline void shapes_paint(const struct shapes_kind *kind, size_t i, uint8_t *pixels, int32_t *label)
{
    struct ws_rng rng;
    struct shapes_canvas canvas;
    ws_rng_init(&rng, 21, WS_STREAM_TEST, (uint32_t)i, kind->stream);
    *label = (int32_t)ws_rng_below(&rng, SHAPES_CLASSES);
    while (*label == kind->rare && ws_rng_uniform(&rng) >= kind->rare_share)
        *label = (int32_t)ws_rng_below(&rng, SHAPES_CLASSES);
    if (ws_rng_uniform(&rng) < kind->junk) {
        *label = WS_NO_LABEL;
        shapes_draw_junk(&canvas, &rng, kind->is_junk_dull);
    } else {
        shapes_draw(&canvas, &rng, *label);
    }
    double ground[3], ink[3];
    const double dark = shapes_between(&rng, 10, 60), light = shapes_between(&rng, 170, 240);
    for (int c = 0; c < 3; c++) {
        ground[c] = dark + shapes_between(&rng, -30, 30);
        ink[c] = light + shapes_between(&rng, -40, 40);
    }
    if (kind->is_web) {
        if (ws_rng_uniform(&rng) < .3)
            shapes_blur(&canvas);
        for (int c = 0; c < 3; c++) {
            ground[c] = shapes_between(&rng, 0, 120);
            ink[c] = shapes_between(&rng, 110, 255);
        }
        if (ws_rng_uniform(&rng) < .2)
            for (int c = 0; c < 3; c++) {
                const double swap = ground[c];
                ground[c] = ink[c];
                ink[c] = swap;
            }
    }
    shapes_colour(&canvas, &rng, ground, ink, kind->noise, pixels);
}

static inline void shapes_make(struct ws_dataset *set, size_t n, const struct shapes_kind *kind)
{
    assert_true(ws_dataset_alloc(set, n, SHAPES_SIDE, SHAPES_SIDE, 3, true));
    for (size_t i = 0; i < n; i++) {
        shapes_paint(kind, i, set->block + i * ws_dataset_image_bytes(set), &set->labels[i]);
        const uint64_t key[2] = {kind->stream, i};
        const struct ws_digest digest = ws_sha256(key, sizeof key);
        set->ids[i] = ws_image_id_of(&digest);
    }
    ws_dataset_update_digest(set);
}

/** Give each channel of each image a mean and a deviation of its own: 60..195 and 15..60 of 255. */
static inline void shapes_shift_statistics(struct ws_dataset *set)
{
    for (size_t i = 0; i < set->n; i++) {
        struct ws_rng rng;
        uint8_t *pixels = set->block + i * ws_dataset_image_bytes(set);
        ws_rng_init(&rng, 22, WS_STREAM_TEST, (uint32_t)i, 0);
        for (int c = 0; c < 3; c++) {
            double sum = 0, squares = 0;
            for (int p = 0; p < SHAPES_PIXELS; p++) {
                sum += pixels[3 * p + c];
                squares += pow(pixels[3 * p + c], 2);
            }
            const double mean = sum / SHAPES_PIXELS, deviation = sqrt(squares / SHAPES_PIXELS - mean * mean) + 1;
            const double to_mean = shapes_between(&rng, 60, 195), to_deviation = shapes_between(&rng, 15, 60);
            for (int p = 0; p < SHAPES_PIXELS; p++) {
                const double value = (pixels[3 * p + c] - mean) / deviation * to_deviation + to_mean;
                pixels[3 * p + c] = (uint8_t)lrint(fmin(fmax(value, 0), 255));
            }
        }
    }
    ws_dataset_update_digest(set);
}

#endif
