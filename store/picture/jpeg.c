/** JPEG through libjpeg-turbo: bounded in pixels and scans, scaled in the DCT domain, upright. */
#include "decode.h"

#include <limits.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jerror.h>
#include <jpeglib.h>

/** What the library's callbacks see; the manager comes first, so that its pointer is ours. */
struct errors {
    struct jpeg_error_mgr manager;
    jmp_buf escape;
    struct ws_picture_result *result;
};

static struct errors *errors_of(j_common_ptr common)
{
    return (struct errors *)(void *)common->err;
}

WS_NORETURN static void fail_decode(j_common_ptr common)
{
    struct errors *errors = errors_of(common);
    char text[JMSG_LENGTH_MAX];
    common->err->format_message(common, text);
    enum ws_picture_reason reason = WS_IMAGE_CORRUPT;
    switch (common->err->msg_code) {
    case JERR_OUT_OF_MEMORY:
        reason = WS_IMAGE_DECODER_MEMORY;
        break;
    case JERR_BAD_PRECISION:
    case JERR_SOF_UNSUPPORTED:
    case JERR_ARITH_NOTIMPL:
    case JERR_CONVERSION_NOTIMPL:
        reason = WS_IMAGE_UNSUPPORTED;
        break;
    case JERR_INPUT_EMPTY:
    case JERR_INPUT_EOF:
        reason = WS_IMAGE_TRUNCATED;
        break;
    default:
        break;
    }
    ws_picture_refuse(errors->result, reason, "libjpeg: %s", text);
    longjmp(errors->escape, 1);
}

/** Warnings: lost or damaged entropy-coded data would become grey blocks; the rest is harmless. */
static void judge_warning(j_common_ptr common, int level)
{
    if (level >= 0)
        return; /* a trace message */
    switch (common->err->msg_code) {
    case JWRN_JPEG_EOF:
        ws_picture_refuse(errors_of(common)->result, WS_IMAGE_TRUNCATED, "the data end before the picture does");
        longjmp(errors_of(common)->escape, 1);
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_MUST_RESYNC:
    case JWRN_BOGUS_PROGRESSION:
        fail_decode(common);
    default:
        break;
    }
}

static void print_nothing(j_common_ptr common)
{
    (void)common;
}

/** A progressive file may repeat scans without end; libjpeg 2.1 has no limit of its own. */
static void count_scans(j_common_ptr common)
{
    const struct jpeg_decompress_struct *decoder = (const struct jpeg_decompress_struct *)(const void *)common;
    if (decoder->input_scan_number <= WS_IMAGE_MAX_SCANS)
        return;
    ws_picture_refuse(errors_of(common)->result, WS_IMAGE_TOO_MANY_SCANS, "more than %d scans", WS_IMAGE_MAX_SCANS);
    longjmp(errors_of(common)->escape, 1);
}

static unsigned get_u16(const uint8_t *p, bool big)
{
    return big ? (unsigned)p[0] << 8 | p[1] : (unsigned)p[1] << 8 | p[0];
}

static uint32_t get_u32(const uint8_t *p, bool big)
{
    return big ? (uint32_t)get_u16(p, big) << 16 | get_u16(p + 2, big)
               : (uint32_t)get_u16(p + 2, big) << 16 | get_u16(p, big);
}

/** Orientation of an APP1 "Exif" segment (Exif 2.32 §4.5.2: a TIFF file behind six bytes); 1 when it says nothing. */
static unsigned parse_exif(const uint8_t *p, size_t len)
{
    if (len < 14 || memcmp(p, "Exif\0", 6) != 0)
        return 1;
    p += 6;
    len -= 6;
    const bool big = p[0] == 'M';
    if (memcmp(p, big ? "MM" : "II", 2) != 0 || get_u16(p + 2, big) != 42)
        return 1;
    const uint32_t ifd = get_u32(p + 4, big);
    if (ifd > len || len - ifd < 2)
        return 1;
    const unsigned n = get_u16(p + ifd, big);
    for (unsigned i = 0; i < n; i++) {
        enum { ENTRY = 12, TAG_ORIENTATION = 0x0112, TYPE_SHORT = 3 };
        const size_t at = ifd + 2 + (size_t)i * ENTRY;
        if (at + ENTRY > len)
            break;
        if (get_u16(p + at, big) != TAG_ORIENTATION || get_u16(p + at + 2, big) != TYPE_SHORT)
            continue;
        const unsigned orientation = get_u16(p + at + 8, big);
        return orientation >= 1 && orientation <= 8 ? orientation : 1;
    }
    return 1;
}

static unsigned find_orientation(const struct jpeg_decompress_struct *decoder)
{
    for (jpeg_saved_marker_ptr marker = decoder->marker_list; marker; marker = marker->next) {
        const unsigned orientation = parse_exif(marker->data, marker->data_length);
        if (orientation != 1)
            return orientation;
    }
    return 1;
}

/** The smallest of 1/8, 1/4, 1/2, 1 at which no axis falls below what the fit wants from it. */
static void choose_scale(struct jpeg_decompress_struct *decoder, const struct ws_picture_rule *rule)
{
    const uint64_t w = decoder->image_width, h = decoder->image_height;
    const uint64_t longer = w > h ? w : h, shorter = w > h ? h : w;
    const uint64_t side = rule->fit == WS_FIT_PAD ? longer : shorter;
    decoder->scale_num = 8;
    decoder->scale_denom = 8;
    for (unsigned num = 1; num < 8; num *= 2) {
        if (side * num >= (uint64_t)rule->size * 8) {
            decoder->scale_num = num;
            break;
        }
    }
}

/** What libjpeg shall convert to, and how many bytes a pixel then has. */
static uint32_t choose_color(struct jpeg_decompress_struct *decoder, const struct ws_picture_rule *rule)
{
    switch (decoder->jpeg_color_space) {
    case JCS_CMYK:
    case JCS_YCCK:
        decoder->out_color_space = JCS_CMYK;
        return 4;
    case JCS_GRAYSCALE:
    case JCS_YCbCr:
        decoder->out_color_space = rule->channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
        return rule->channels;
    default:
        decoder->out_color_space = JCS_RGB;
        return 3;
    }
}

/** A row of CMYK to RGB in place: Adobe's files hold 255 minus the ink. */
static void mix_inks(uint8_t *row, uint32_t width, bool inverted)
{
    const uint8_t *from = row;
    for (uint32_t x = 0; x < width; x++, from += 4, row += 3) {
        const unsigned k = inverted ? from[3] : 255u - from[3];
        for (int c = 0; c < 3; c++) {
            const unsigned ink = inverted ? from[c] : 255u - from[c];
            row[c] = (uint8_t)((ink * k + 127) / 255);
        }
    }
}

/** Decode the rows; jumps to the caller's escape on failure. */
static void read_rows(struct jpeg_decompress_struct *decoder, uint32_t bytes, uint8_t *row, struct ws_picture *picture)
{
    bool transparent = false;
    while (decoder->output_scanline < decoder->output_height) {
        uint8_t *to = picture->pixels + (size_t)decoder->output_scanline * picture->width * picture->channels;
        JSAMPROW rows[1] = {bytes == picture->channels ? to : row};
        if (jpeg_read_scanlines(decoder, rows, 1) != 1)
            break;
        if (bytes == 4)
            mix_inks(row, picture->width, decoder->saw_Adobe_marker);
        if (bytes != picture->channels)
            ws_picture_row(row, 3, to, picture->channels, picture->width, 0, &transparent);
    }
}

void ws_picture_jpeg(struct ws_span body, const struct ws_picture_rule *rule, struct ws_picture *picture,
                     struct ws_picture_result *result)
{
    struct jpeg_decompress_struct decoder;
    struct jpeg_progress_mgr progress = {.progress_monitor = count_scans};
    struct errors errors = {.result = result};
    uint8_t *volatile row = NULL; /* volatile: read behind the longjmp */
    decoder.err = jpeg_std_error(&errors.manager);
    errors.manager.error_exit = fail_decode;
    errors.manager.emit_message = judge_warning;
    errors.manager.output_message = print_nothing;
    jpeg_create_decompress(&decoder);
    if (setjmp(errors.escape) != 0)
        goto done;
    decoder.progress = &progress;
    jpeg_mem_src(&decoder, body.ptr, body.len);
    jpeg_save_markers(&decoder, JPEG_APP0 + 1, 0xffff);
    (void)jpeg_read_header(&decoder, TRUE);
    if (!ws_picture_admit(result, rule, decoder.image_width, decoder.image_height))
        goto done;
    const unsigned orientation = find_orientation(&decoder);
    choose_scale(&decoder, rule);
    const uint32_t bytes = choose_color(&decoder, rule);
    (void)jpeg_start_decompress(&decoder);
    row = malloc((size_t)decoder.output_width * 4);
    if (!row || !ws_picture_init(picture, decoder.output_width, decoder.output_height, rule->channels)) {
        ws_picture_refuse(result, WS_IMAGE_DECODER_MEMORY, "no memory for %u x %u pixels", decoder.output_width,
                          decoder.output_height);
        goto done;
    }
    read_rows(&decoder, bytes, row, picture);
    if (orientation != 1) {
        if (!ws_picture_orient(picture, orientation))
            ws_picture_refuse(result, WS_IMAGE_DECODER_MEMORY, "no memory to turn the picture");
        result->flags |= WS_IMAGE_FLAG_ORIENTED;
        if (orientation >= 5) {
            result->width = decoder.image_height;
            result->height = decoder.image_width;
        }
    }
done:
    /* Not jpeg_finish_decompress(): all rows are here, and a missing end marker behind them harms nobody. */
    jpeg_destroy_decompress(&decoder);
    free(row);
}
