/**
 * From fetched bytes to a small square of pixels.
 *
 * Rules, the same for every format:
 *  - The format is what the first bytes say; Content-Type and file name are not looked at.
 *  - Limits are checked on the header, before a pixel is decoded.
 *  - Samples are taken as sRGB; ICC profiles, gAMA and cHRM are ignored. 16-bit samples are rounded to 8.
 *  - Transparency (alpha channel, tRNS) is composited on the background colour, on sRGB values.
 *  - Palettes become RGB. CMYK and YCCK become RGB as C*K/255 (Adobe's inverted inks; without an Adobe marker the inks
 * are inverted first).
 *  - One channel means BT.601 luma: for a YCbCr JPEG its Y plane, else (19595 R + 38470 G + 7471 B + 32768) >> 16.
 *  - JPEG: EXIF orientation is applied. PNG and WebP: it is ignored, as browsers long did.
 *  - Animated WebP is refused; an animated PNG shows its default image.
 *  - A JPEG is decoded at the smallest of 1/8, 1/4, 1/2, 1 of its size that is not below the wanted size.
 */
#ifndef WEBSTILL_STORE_PICTURE_DECODE_H
#define WEBSTILL_STORE_PICTURE_DECODE_H

#include "webstill/base/buf.h"
#include "webstill/images/read.h"
#include "webstill/picture/keys.h"

#include <stdbool.h>
#include <stdint.h>

/** Why an image was refused. Names (ws_picture_reason_name) are part of the store's format. */
enum ws_picture_reason {
    WS_IMAGE_OK,
    WS_IMAGE_EMPTY,        /**< no bytes */
    WS_IMAGE_NOT_AN_IMAGE, /**< no JPEG, PNG or WebP by its first bytes; the detail says what it looks like */
    WS_IMAGE_UNSUPPORTED,  /**< well-formed, but not done here: animated WebP, 12-bit JPEG */
    WS_IMAGE_TRUNCATED,    /**< ends before its pixels do */
    WS_IMAGE_CORRUPT,      /**< breaks its format */
    WS_IMAGE_TOO_MANY_PIXELS,
    WS_IMAGE_TOO_SMALL,
    WS_IMAGE_ASPECT,         /**< longer side over shorter side above the limit */
    WS_IMAGE_TOO_MANY_SCANS, /**< a progressive JPEG built to burn time */
    WS_IMAGE_OVERSIZED,      /**< its transfer was cut at the byte ceiling */
    WS_IMAGE_MISSING,        /**< wanted, but its record is damaged or absent */
    WS_IMAGE_DECODER_MEMORY, /**< decoding needs more memory than the sandbox has */
    WS_IMAGE_DECODER_TIMEOUT,
    WS_IMAGE_DECODER_CRASH,
    WS_IMAGE_N_REASONS,
};
/** "corrupt", "too_many_pixels" …; "ok" for WS_IMAGE_OK. */
const char *ws_picture_reason_name(enum ws_picture_reason reason);

/** What is wanted, and what is refused. */
struct ws_picture_rule {
    uint32_t size;     /**< side of the square, pixels */
    uint32_t channels; /**< 1 or 3 */
    enum ws_fit fit;
    uint8_t background; /**< 0 or 255 */
    enum ws_invert invert;
    uint32_t min_side;
    uint64_t max_pixels;
    double max_aspect;
};
struct ws_picture_rule ws_picture_rule_of(const struct ws_store_keys *conf);

enum { WS_IMAGE_FLAG_INVERTED = 1, WS_IMAGE_FLAG_ALPHA = 2, WS_IMAGE_FLAG_ORIENTED = 4 };
enum { WS_IMAGE_DETAIL = 120, WS_IMAGE_MAX_SCANS = 100 };

/** The outcome of one decode, pixels aside. */
struct ws_picture_result {
    enum ws_picture_reason reason;
    enum ws_image_format format;
    uint32_t width, height; /**< of the original, upright; 0 when unknown */
    uint16_t flags;
    char detail[WS_IMAGE_DETAIL]; /**< why, in words; empty when OK */
};

/** Decoded pixels before the fit. */
struct ws_picture {
    uint8_t *pixels; /**< owned; malloc */
    uint32_t width, height, channels;
};
void ws_picture_fini(struct ws_picture *picture);
/** Allocate; false when out of memory. */
bool ws_picture_init(struct ws_picture *picture, uint32_t width, uint32_t height, uint32_t channels);

/** What the first bytes are: the format, and a name for `kind` ("jpeg", "html", "gif", "empty", "unknown"). */
enum ws_image_format ws_picture_sniff(struct ws_span body, const char **kind);

/**
 * Decode and fit. `square` takes size*size*channels bytes. Touches nothing but memory, so it runs inside the sandbox;
 * the same body and rule give the same bytes on every machine with the same libraries.
 */
void ws_picture_decode(struct ws_span body, const struct ws_picture_rule *rule, uint8_t *square,
                       struct ws_picture_result *result);

/* The decoders: fill `picture` and `result` (format is set before); on refusal `picture` stays empty. */
void ws_picture_jpeg(struct ws_span body, const struct ws_picture_rule *rule, struct ws_picture *picture,
                     struct ws_picture_result *result);
void ws_picture_png(struct ws_span body, const struct ws_picture_rule *rule, struct ws_picture *picture,
                    struct ws_picture_result *result);
void ws_picture_webp(struct ws_span body, const struct ws_picture_rule *rule, struct ws_picture *picture,
                     struct ws_picture_result *result);

/** Set reason and detail. */
void ws_picture_refuse(struct ws_picture_result *result, enum ws_picture_reason reason, const char *format, ...)
    WS_PRINTF(3, 4);
/** Note the size and check it against the rule; false when refused. */
bool ws_picture_admit(struct ws_picture_result *result, const struct ws_picture_rule *rule, uint64_t width,
                      uint64_t height);

/** One row of gray, gray+alpha, RGB or RGBA (`from_channels` 1 to 4) to the picture's channels on the background. */
void ws_picture_row(const uint8_t *from, uint32_t from_channels, uint8_t *to, uint32_t to_channels, uint32_t width,
                    uint8_t background, bool *transparent);

/** Turn upright by EXIF orientation 1 … 8 (TIFF 6.0, tag 274); false when out of memory. */
bool ws_picture_orient(struct ws_picture *picture, unsigned orientation);

/**
 * Resample to the square: exact area average where an axis shrinks, bilinear where it grows; all in integers, rounded
 * to nearest, so the bytes do not depend on the machine. False when out of memory.
 */
bool ws_picture_fit(const struct ws_picture *picture, const struct ws_picture_rule *rule, uint8_t *square);

/** Invert when the mean of the one-pixel border is above one half; tells whether it did. */
bool ws_square_invert_bright(uint8_t *square, uint32_t size, uint32_t channels);

#endif
