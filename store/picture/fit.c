/** From a picture of any size to the stored square. */
#include "decode.h"

#include "webstill/base/mem.h"

#include <stdlib.h>
#include <string.h>

/** How one axis is resampled: `to` targets from the sources begin … begin+from-1. */
struct axis {
    uint32_t begin, from, to;
};

/** The sources of one target: first … last, all weights between the two ends being `middle`. */
struct weights {
    uint32_t first, last;
    uint64_t at_first, at_last, middle;
};

/**
 * The weights of target i.
 *
 * Shrinking from s to d: on a common ruler of s*d units target i covers [i*s, (i+1)*s) and source j covers
 * [j*d, (j+1)*d); a weight is the length of the overlap, so a target's weights sum to s. Growing: linear between the
 * two sources whose centres enclose the target's centre, in units of 1/(2d), so they sum to 2d.
 */
static struct weights weights_of(const struct axis *axis, uint32_t i)
{
    const uint64_t s = axis->from, d = axis->to;
    struct weights w = {.middle = d};
    if (d <= s) {
        const uint64_t lo = i * s, hi = lo + s;
        w.first = (uint32_t)(lo / d);
        w.last = (uint32_t)((hi - 1) / d);
        const uint64_t first_end = (w.first + UINT64_C(1)) * d;
        w.at_first = (first_end < hi ? first_end : hi) - lo;
        w.at_last = w.last > w.first ? hi - w.last * d : 0;
        return w;
    }
    const int64_t centre = (int64_t)((2 * (uint64_t)i + 1) * s) - (int64_t)d; /* of the target, in 1/(2d) sources */
    const uint64_t from_first = centre < 0 ? 0 : (uint64_t)centre;
    w.first = (uint32_t)(from_first / (2 * d));
    w.at_last = from_first % (2 * d);
    if (w.first + 1 >= s)
        w.at_last = 0;
    w.last = w.at_last > 0 ? w.first + 1 : w.first;
    w.at_first = 2 * d - w.at_last;
    return w;
}

static uint64_t total_of(const struct axis *axis)
{
    return axis->to <= axis->from ? axis->from : 2 * (uint64_t)axis->to;
}

/** Resample one row along x: `to` sums of weighted samples a channel. */
static void resample_row(const uint8_t *row, uint32_t channels, const struct axis *x, uint64_t *to)
{
    for (uint32_t i = 0; i < x->to; i++) {
        const struct weights w = weights_of(x, i);
        const uint8_t *p = row + (size_t)(x->begin + w.first) * channels;
        for (uint32_t c = 0; c < channels; c++) {
            uint64_t middle = 0;
            const uint8_t *q = p + c;
            for (uint32_t j = w.first + 1; j < w.last; j++)
                middle += *(q += channels);
            const uint64_t last = w.last > w.first ? w.at_last * q[channels] : 0;
            *to++ = w.at_first * p[c] + w.middle * middle + last;
        }
    }
}

/** Weight of source j for a target with weights w. */
static uint64_t weight_at(const struct weights *w, uint32_t j)
{
    return j == w->first ? w->at_first : j == w->last ? w->at_last : w->middle;
}

/** Where the picture goes: the source range and the target rectangle. */
struct placement {
    struct axis x, y;
    uint32_t left, top;
};

/** Shorter side when the longer one becomes `size`, rounded, at least 1. */
static uint32_t scaled_side(uint32_t shorter, uint32_t longer, uint32_t size)
{
    const uint64_t side = ((uint64_t)shorter * size * 2 + longer) / (2 * (uint64_t)longer);
    return side == 0 ? 1 : (uint32_t)side;
}

static struct placement place(const struct ws_picture *picture, const struct ws_picture_rule *rule)
{
    const uint32_t w = picture->width, h = picture->height, size = rule->size;
    struct placement p = {.x = {0, w, size}, .y = {0, h, size}};
    if (rule->fit == WS_FIT_CROP) {
        p.x.from = p.y.from = w < h ? w : h;
        p.x.begin = (w - p.x.from) / 2;
        p.y.begin = (h - p.y.from) / 2;
    } else if (rule->fit == WS_FIT_PAD) {
        if (w >= h)
            p.y.to = scaled_side(h, w, size);
        else
            p.x.to = scaled_side(w, h, size);
        p.left = (size - p.x.to) / 2;
        p.top = (size - p.y.to) / 2;
    }
    return p;
}

bool ws_picture_fit(const struct ws_picture *picture, const struct ws_picture_rule *rule, uint8_t *square)
{
    ws_assert(picture->channels == rule->channels && picture->width > 0 && picture->height > 0);
    const struct placement p = place(picture, rule);
    const uint32_t channels = rule->channels;
    const size_t row_len = (size_t)p.x.to * channels, stride = (size_t)rule->size * channels;
    uint64_t *row = ws_calloc(row_len, sizeof *row), *sums = ws_calloc(row_len, sizeof *sums);
    memset(square, rule->background, stride * rule->size);
    const uint64_t total = total_of(&p.x) * total_of(&p.y);
    uint32_t in_row = UINT32_MAX; /* which source row `row` holds: neighbours share one at their border */
    for (uint32_t i = 0; row && sums && i < p.y.to; i++) {
        const struct weights w = weights_of(&p.y, i);
        memset(sums, 0, row_len * sizeof *sums);
        for (uint32_t j = w.first; j <= w.last; j++) {
            if (in_row != j) {
                const size_t y = p.y.begin + j;
                resample_row(picture->pixels + y * picture->width * channels, channels, &p.x, row);
                in_row = j;
            }
            const uint64_t weight = weight_at(&w, j);
            for (size_t k = 0; k < row_len; k++)
                sums[k] += weight * row[k];
        }
        uint8_t *to = square + (p.top + i) * stride + (size_t)p.left * channels;
        for (size_t k = 0; k < row_len; k++)
            to[k] = (uint8_t)((sums[k] + total / 2) / total);
    }
    const bool done = row && sums;
    free(row);
    free(sums);
    return done;
}

bool ws_square_invert_bright(uint8_t *square, uint32_t size, uint32_t channels)
{
    uint64_t sum = 0, n = 0;
    for (uint32_t y = 0; y < size; y++) {
        const bool edge = y == 0 || y + 1 == size;
        for (uint32_t x = 0; x < size; x += edge || x + 1 == size ? 1 : size - 1) {
            const uint8_t *p = square + ((size_t)y * size + x) * channels;
            sum += channels == 1 ? p[0] * UINT64_C(65536) : 19595u * p[0] + 38470u * p[1] + 7471u * p[2];
            n++;
        }
    }
    if (2 * sum <= n * 255 * 65536)
        return false;
    for (size_t i = 0; i < (size_t)size * size * channels; i++)
        square[i] = (uint8_t)(255 - square[i]);
    return true;
}
