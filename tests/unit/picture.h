/**
 * Small pictures for tests, encoded by the libraries: JPEG (any colour space, scans, EXIF), PNG (any colour type),
 * WebP.
 *
 * Each maker returns malloc'ed bytes; free with free(). Pixels are rows top to bottom, channels interleaved.
 */
#ifndef WEBSTILL_TESTS_UNIT_PICTURE_H
#define WEBSTILL_TESTS_UNIT_PICTURE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <png.h>
#include <webp/encode.h>

struct picture_bytes {
    uint8_t *ptr; /**< owned */
    size_t len;
};

struct picture_jpeg {
    J_COLOR_SPACE space; /**< of the given pixels */
    int channels;
    int quality; /**< 0 = 100 */
    int progressive;
    int separate_scans; /**< sequential, one scan per component */
    int orientation;    /**< 1 … 8: an EXIF segment; 0: none */
    int full_chroma;    /**< no subsampling */
};

/** Little-endian TIFF with one entry: orientation. */
static inline void picture_exif(struct jpeg_compress_struct *encoder, int orientation)
{
    const uint8_t exif[] = {
        'E', 'x', 'i', 'f', 0, 0, 'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 0x01, 3, 0, 1, 0, 0, 0, (uint8_t)orientation,
        0,   0,   0,   0,   0, 0, 0};
    jpeg_write_marker(encoder, JPEG_APP0 + 1, exif, sizeof exif);
}

static inline struct picture_bytes picture_make_jpeg(const uint8_t *pixels, int width, int height,
                                                     struct picture_jpeg how)
{
    static const jpeg_scan_info scans[] = {{1, {0}, 0, 63, 0, 0}, {1, {1}, 0, 63, 0, 0}, {1, {2}, 0, 63, 0, 0}};
    struct jpeg_compress_struct encoder;
    struct jpeg_error_mgr errors;
    unsigned char *bytes = NULL;
    unsigned long len = 0;
    encoder.err = jpeg_std_error(&errors);
    jpeg_create_compress(&encoder);
    jpeg_mem_dest(&encoder, &bytes, &len);
    encoder.image_width = (JDIMENSION)width;
    encoder.image_height = (JDIMENSION)height;
    encoder.input_components = how.channels;
    encoder.in_color_space = how.space;
    jpeg_set_defaults(&encoder);
    jpeg_set_quality(&encoder, how.quality > 0 ? how.quality : 100, TRUE);
    if (how.full_chroma)
        encoder.comp_info[0].h_samp_factor = encoder.comp_info[0].v_samp_factor = 1;
    if (how.progressive)
        jpeg_simple_progression(&encoder);
    if (how.separate_scans) {
        encoder.scan_info = scans;
        encoder.num_scans = 3;
    }
    jpeg_start_compress(&encoder, TRUE);
    if (how.orientation > 0)
        picture_exif(&encoder, how.orientation);
    for (int y = 0; y < height; y++) {
        uint8_t *row = malloc((size_t)width * (size_t)how.channels);
        memcpy(row, pixels + (size_t)y * (size_t)width * (size_t)how.channels, (size_t)width * (size_t)how.channels);
        JSAMPROW rows[1] = {row};
        (void)jpeg_write_scanlines(&encoder, rows, 1);
        free(row);
    }
    jpeg_finish_compress(&encoder);
    jpeg_destroy_compress(&encoder);
    return (struct picture_bytes){bytes, len};
}

static inline void picture_png_write(png_structp png, png_bytep from, size_t len)
{
    struct picture_bytes *to = png_get_io_ptr(png);
    to->ptr = realloc(to->ptr, to->len + len);
    memcpy(to->ptr + to->len, from, len);
    to->len += len;
}

struct picture_png {
    int color_type, bit_depth;
    int interlaced;
    const png_color *palette; /**< or NULL */
    int n_palette;
    const uint8_t *palette_alpha; /**< n_palette values, or NULL */
};

/** `rows` as PNG wants them: packed, 16-bit big-endian; `stride` bytes each. */
static inline struct picture_bytes picture_make_png(const uint8_t *rows, int width, int height, size_t stride,
                                                    struct picture_png how)
{
    struct picture_bytes out = {NULL, 0};
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    png_set_write_fn(png, &out, picture_png_write, NULL);
    png_set_IHDR(png, info, (png_uint_32)width, (png_uint_32)height, how.bit_depth ? how.bit_depth : 8, how.color_type,
                 how.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    if (how.palette)
        png_set_PLTE(png, info, how.palette, how.n_palette);
    if (how.palette_alpha)
        png_set_tRNS(png, info, how.palette_alpha, how.n_palette, NULL);
    png_write_info(png, info);
    uint8_t **pointers = malloc((size_t)height * sizeof *pointers);
    uint8_t *copy = malloc((size_t)height * stride);
    memcpy(copy, rows, (size_t)height * stride);
    for (int y = 0; y < height; y++)
        pointers[y] = copy + (size_t)y * stride;
    png_write_image(png, pointers);
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
    free(pointers);
    free(copy);
    return out;
}

/** An 8-bit grey PNG. */
static inline struct picture_bytes picture_make_gray(const uint8_t *pixels, int width, int height)
{
    return picture_make_png(pixels, width, height, (size_t)width,
                            (struct picture_png){.color_type = PNG_COLOR_TYPE_GRAY});
}

/** Lossless (quality < 0) or lossy, with or without alpha (4 or 3 channels). */
static inline struct picture_bytes picture_make_webp(const uint8_t *pixels, int width, int height, int channels,
                                                     float quality)
{
    uint8_t *bytes = NULL;
    const int stride = width * channels;
    size_t len = 0;
    if (quality < 0)
        len = channels == 4 ? WebPEncodeLosslessRGBA(pixels, width, height, stride, &bytes)
                            : WebPEncodeLosslessRGB(pixels, width, height, stride, &bytes);
    else
        len = channels == 4 ? WebPEncodeRGBA(pixels, width, height, stride, quality, &bytes)
                            : WebPEncodeRGB(pixels, width, height, stride, quality, &bytes);
    struct picture_bytes out = {malloc(len), len};
    memcpy(out.ptr, bytes, len);
    WebPFree(bytes);
    return out;
}

#endif
