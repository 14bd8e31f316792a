/** PNG encoding through libpng. */
#include "png.h"

#include "webstill/base/mem.h"

#include <png.h>
#include <stdlib.h>
#include <string.h>

static void append_bytes(png_structp png, png_bytep bytes, size_t len)
{
    struct ws_buf *out = png_get_io_ptr(png);
    if (!ws_buf_add(out, bytes, len))
        png_error(png, "out of memory");
}

static void flush_nothing(png_structp png)
{
    ws_assert(png != NULL);
}

static void raise_error(png_structp png, png_const_charp text)
{
    struct ws_err *err = png_get_error_ptr(png);
    ws_fail(err, WS_E_MEMORY, "PNG: %s", text);
    png_longjmp(png, 1);
}

static void ignore_warning(png_structp png, png_const_charp text)
{
    ws_assert(png != NULL && text != NULL);
}

/** Everything between setjmp and the last libpng call stands here, so that no local of the caller is clobbered. */
static bool write_rows(png_structp png, png_infop info, const uint8_t *pixels, int width, int height, int channels)
{
    if (setjmp(png_jmpbuf(png)))
        return false;
    png_set_IHDR(png, info, (png_uint_32)width, (png_uint_32)height, 8,
                 channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    for (int y = 0; y < height; y++)
        png_write_row(png, pixels + (size_t)y * (size_t)width * (size_t)channels);
    png_write_end(png, NULL);
    return true;
}

/** Mean of factor x factor blocks; a rest at the right and lower edge is cut off. */
static uint8_t *shrink(const uint8_t *pixels, int width, int height, int channels, int factor)
{
    const int out_width = width / factor, out_height = height / factor;
    uint8_t *small = ws_calloc((size_t)out_width * (size_t)out_height, (size_t)channels);
    if (!small)
        return NULL;
    for (int y = 0; y < out_height; y++) {
        for (int i = 0; i < out_width * channels; i++) {
            const int x = i / channels, c = i % channels;
            unsigned sum = 0;
            for (int k = 0; k < factor * factor; k++) {
                const size_t row = (size_t)(y * factor + k / factor), column = (size_t)(x * factor + k % factor);
                sum += pixels[(row * (size_t)width + column) * (size_t)channels + (size_t)c];
            }
            const unsigned area = (unsigned)(factor * factor);
            small[(size_t)y * (size_t)(out_width * channels) + (size_t)i] = (uint8_t)((sum + area / 2) / area);
        }
    }
    return small;
}

enum ws_status ws_png_encode(const uint8_t *pixels, int width, int height, int channels, int max_side,
                             struct ws_buf *out, struct ws_err *err)
{
    ws_assert(width > 0 && height > 0 && max_side > 0 && (channels == 1 || channels == 3));
    const int side = width > height ? width : height;
    int factor = (side + max_side - 1) / max_side;
    if (factor > width || factor > height)
        factor = width < height ? width : height;
    uint8_t *small = NULL;
    if (factor > 1) {
        small = shrink(pixels, width, height, channels, factor);
        if (!small)
            return ws_fail(err, WS_E_MEMORY, "out of memory for a picture of %dx%d", width, height);
        width /= factor;
        height /= factor;
    }
    struct ws_err local = {0};
    enum ws_status status = WS_OK;
    png_infop info = NULL;
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &local, raise_error, ignore_warning);
    if (png)
        info = png_create_info_struct(png);
    if (!info) {
        status = ws_fail(err, WS_E_MEMORY, "out of memory for libpng");
        goto done;
    }
    png_set_write_fn(png, out, append_bytes, flush_nothing);
    if (!write_rows(png, info, small ? small : pixels, width, height, channels))
        status = ws_fail(err, WS_E_MEMORY, "%s", local.text);
done:
    png_destroy_write_struct(&png, &info);
    free(small);
    return status;
}
