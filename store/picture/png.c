/** PNG through libpng: bounded in pixels, chunks and memory; rows converted as they come. */
#include "decode.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>

/** What the library's callbacks see. */
struct input {
    struct ws_span rest; /**< unread bytes */
    struct ws_picture_result *result;
};

static void read_bytes(png_structp png, png_bytep to, size_t len)
{
    struct input *input = png_get_io_ptr(png);
    if (len > input->rest.len) {
        ws_picture_refuse(input->result, WS_IMAGE_TRUNCATED, "the data end before the picture does");
        png_error(png, "end of data");
    }
    memcpy(to, input->rest.ptr, len);
    input->rest.ptr += len;
    input->rest.len -= len;
}

WS_NORETURN static void fail_decode(png_structp png, png_const_charp text)
{
    struct input *input = png_get_error_ptr(png);
    if (input->result->reason == WS_IMAGE_OK) {
        const bool memory = strcmp(text, "Out of memory") == 0 || strstr(text, "nsufficient memory") != NULL;
        ws_picture_refuse(input->result, memory ? WS_IMAGE_DECODER_MEMORY : WS_IMAGE_CORRUPT, "libpng: %s", text);
    }
    png_longjmp(png, 1);
}

static void ignore_warning(png_structp png, png_const_charp text)
{
    (void)png;
    (void)text;
}

/** Ceilings: nothing but the picture itself may take much memory or time. */
static void set_limits(png_structp png, const struct ws_picture_rule *rule)
{
    enum { CHUNKS = 128, CHUNK_BYTES = 1 << 20 };
    const png_uint_32 side = rule->max_pixels > PNG_UINT_31_MAX ? PNG_UINT_31_MAX : (png_uint_32)rule->max_pixels;
    png_set_user_limits(png, side, side);
    png_set_chunk_cache_max(png, CHUNKS);
    png_set_chunk_malloc_max(png, CHUNK_BYTES);
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, 0);
    /* Colour profiles and texts are inflated by libpng when they are read, and are of no use here. */
    static const uint8_t ignored[] = "iCCP\0zTXt\0iTXt\0tEXt\0eXIf\0sPLT\0";
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, ignored, 6);
    (void)png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_WARN_DISCARD);
}

/** 8-bit gray, gray+alpha, RGB or RGBA; returns the channels. */
static uint32_t set_transforms(png_structp png, png_infop info)
{
    if (png_get_bit_depth(png, info) == 16)
        png_set_scale_16(png);
    if (png_get_color_type(png, info) == PNG_COLOR_TYPE_PALETTE)
        png_set_palette_to_rgb(png);
    else if (png_get_bit_depth(png, info) < 8)
        png_set_expand_gray_1_2_4_to_8(png);
    if (png_get_valid(png, info, PNG_INFO_tRNS))
        png_set_tRNS_to_alpha(png);
    (void)png_set_interlace_handling(png);
    png_read_update_info(png, info);
    return png_get_channels(png, info);
}

void ws_picture_png(struct ws_span body, const struct ws_picture_rule *rule, struct ws_picture *picture,
                    struct ws_picture_result *result)
{
    struct input input = {body, result};
    uint8_t *volatile rows = NULL; /* volatile: read behind the longjmp */
    png_infop volatile info = NULL;
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &input, fail_decode, ignore_warning);
    if (!png) {
        ws_picture_refuse(result, WS_IMAGE_DECODER_MEMORY, "no memory for libpng");
        return;
    }
    if (setjmp(png_jmpbuf(png)) != 0)
        goto done;
    info = png_create_info_struct(png);
    if (!info) {
        ws_picture_refuse(result, WS_IMAGE_DECODER_MEMORY, "no memory for libpng");
        goto done;
    }
    png_set_read_fn(png, &input, read_bytes);
    /* The limits are ours to tell (below, with the size in the message) before libpng's own check. */
    enum { IHDR_WIDTH = 16, IHDR_END = 24 };
    if (body.len >= IHDR_END && memcmp(body.ptr + 12, "IHDR", 4) == 0) {
        const uint8_t *p = body.ptr + IHDR_WIDTH;
        if (!ws_picture_admit(result, rule, png_get_uint_32(p), png_get_uint_32(p + 4)))
            goto done;
    }
    set_limits(png, rule);
    png_read_info(png, info);
    const uint32_t width = png_get_image_width(png, info), height = png_get_image_height(png, info);
    const bool interlaced = png_get_interlace_type(png, info) != PNG_INTERLACE_NONE;
    const uint32_t channels = set_transforms(png, info);
    /* Interlaced rows are built up over seven passes; others need one row. */
    const size_t stride = (size_t)width * channels;
    rows = malloc(interlaced ? stride * height : stride);
    if (!rows || !ws_picture_init(picture, width, height, rule->channels)) {
        ws_picture_refuse(result, WS_IMAGE_DECODER_MEMORY, "no memory for %u x %u pixels", width, height);
        goto done;
    }
    for (int pass = interlaced ? 7 : 0; pass > 1; pass--)
        for (uint32_t y = 0; y < height; y++)
            png_read_row(png, rows + y * stride, NULL);
    bool transparent = false;
    for (uint32_t y = 0; y < height; y++) {
        uint8_t *row = interlaced ? rows + y * stride : rows;
        png_read_row(png, row, NULL);
        ws_picture_row(row, channels, picture->pixels + (size_t)y * width * rule->channels, rule->channels, width,
                       rule->background, &transparent);
    }
    if (transparent)
        result->flags |= WS_IMAGE_FLAG_ALPHA;
done:;
    /* Not png_read_end(): what lies behind the last row is no concern of the picture. */
    png_infop last_info = info;
    png_destroy_read_struct(&png, last_info ? &last_info : NULL, NULL);
    free(rows);
}
