/** What the decoders build on: refusals, limits, rows, and pixels turned upright. */
#include "decode.h"

#include "webstill/base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ws_picture_refuse(struct ws_picture_result *result, enum ws_picture_reason reason, const char *format, ...)
{
    result->reason = reason;
    va_list args;
    va_start(args, format);
    vsnprintf(result->detail, sizeof result->detail, format, args);
    va_end(args);
    for (char *p = result->detail; *p; p++) /* the texts may quote the body's bytes */
        if ((unsigned char)*p < 0x20 || (unsigned char)*p > 0x7e)
            *p = '?';
}

bool ws_picture_admit(struct ws_picture_result *result, const struct ws_picture_rule *rule, uint64_t width,
                      uint64_t height)
{
    if (width == 0 || height == 0 || width > UINT32_MAX || height > UINT32_MAX) {
        ws_picture_refuse(result, WS_IMAGE_CORRUPT, "the header says %llu x %llu pixels", (unsigned long long)width,
                          (unsigned long long)height);
        return false;
    }
    result->width = (uint32_t)width;
    result->height = (uint32_t)height;
    const uint64_t shorter = width < height ? width : height, longer = width < height ? height : width;
    if (width * height > rule->max_pixels)
        ws_picture_refuse(result, WS_IMAGE_TOO_MANY_PIXELS, "%u x %u pixels; at most %llu are decoded", result->width,
                          result->height, (unsigned long long)rule->max_pixels);
    else if (shorter < rule->min_side)
        ws_picture_refuse(result, WS_IMAGE_TOO_SMALL, "%u x %u pixels; the shorter side must be at least %u",
                          result->width, result->height, rule->min_side);
    else if ((double)longer > rule->max_aspect * (double)shorter)
        ws_picture_refuse(result, WS_IMAGE_ASPECT,
                          "%u x %u pixels; the longer side may be at most %g times the shorter", result->width,
                          result->height, rule->max_aspect);
    return result->reason == WS_IMAGE_OK;
}

void ws_picture_fini(struct ws_picture *picture)
{
    free(picture->pixels);
    *picture = (struct ws_picture){0};
}

bool ws_picture_init(struct ws_picture *picture, uint32_t width, uint32_t height, uint32_t channels)
{
    const size_t bytes = ws_size_mul(ws_size_mul(width, height), channels);
    picture->pixels = bytes == SIZE_MAX ? NULL : malloc(bytes); /* every byte is written by the decoder */
    picture->width = width;
    picture->height = height;
    picture->channels = channels;
    return picture->pixels != NULL;
}

static uint8_t luma(const uint8_t *rgb)
{
    return (uint8_t)((19595u * rgb[0] + 38470u * rgb[1] + 7471u * rgb[2] + 32768u) >> 16);
}

/** Composite one sample: rounded (c*a + b*(255-a)) / 255. */
static uint8_t over(unsigned c, unsigned a, unsigned b)
{
    return (uint8_t)((c * a + b * (255 - a) + 127) / 255);
}

void ws_picture_row(const uint8_t *from, uint32_t from_channels, uint8_t *to, uint32_t to_channels, uint32_t width,
                    uint8_t background, bool *transparent)
{
    const bool alpha = from_channels == 2 || from_channels == 4, color = from_channels >= 3;
    for (uint32_t x = 0; x < width; x++, from += from_channels, to += to_channels) {
        uint8_t rgb[3] = {from[0], color ? from[1] : from[0], color ? from[2] : from[0]};
        const uint8_t a = alpha ? from[from_channels - 1] : 255;
        if (a != 255) {
            *transparent = true;
            for (int c = 0; c < 3; c++)
                rgb[c] = over(rgb[c], a, background);
        }
        if (to_channels == 1)
            to[0] = color ? luma(rgb) : rgb[0];
        else
            memcpy(to, rgb, 3);
    }
}

bool ws_picture_orient(struct ws_picture *picture, unsigned orientation)
{
    if (orientation < 2 || orientation > 8)
        return true;
    const bool swap = orientation >= 5;
    const uint32_t w = picture->width, h = picture->height, n = picture->channels;
    struct ws_picture upright;
    if (!ws_picture_init(&upright, swap ? h : w, swap ? w : h, n))
        return false;
    for (uint32_t y = 0; y < upright.height; y++) {
        for (uint32_t x = 0; x < upright.width; x++) {
            /* Where the upright pixel (x, y) lies in the stored rows. */
            uint32_t sx = swap ? y : x, sy = swap ? x : y;
            if (orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8)
                sx = w - 1 - sx;
            if (orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7)
                sy = h - 1 - sy;
            memcpy(upright.pixels + ((size_t)y * upright.width + x) * n, picture->pixels + ((size_t)sy * w + sx) * n,
                   n);
        }
    }
    free(picture->pixels);
    *picture = upright;
    return true;
}
