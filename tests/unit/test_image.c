/** Decoding and fitting: limits come first, every colour model has its rule, and the arithmetic is exact. */
#include "../../store/picture/decode.h"
#include "picture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct ws_picture_rule usual = {
    .size = 8,
    .channels = 1,
    .fit = WS_FIT_PAD,
    .background = 255,
    .invert = WS_INVERT_NEVER,
    .min_side = 1,
    .max_pixels = 1000000,
    .max_aspect = 8,
};

static uint8_t square[256 * 256 * 3];

static struct ws_picture_result decode(struct picture_bytes bytes, const struct ws_picture_rule *rule)
{
    struct ws_picture_result result;
    memset(square, 0xcd, sizeof square);
    ws_picture_decode((struct ws_span){bytes.ptr, bytes.len}, rule, square, &result);
    assert_true(result.reason < WS_IMAGE_N_REASONS);
    assert_int_equal(result.detail[0] == 0, result.reason == WS_IMAGE_OK);
    return result;
}

static struct ws_picture_result decode_free(struct picture_bytes bytes, const struct ws_picture_rule *rule)
{
    const struct ws_picture_result result = decode(bytes, rule);
    free(bytes.ptr);
    return result;
}

/** A grey picture decoded under a rule. */
static struct ws_picture_result decode_gray(const uint8_t *pixels, int width, int height,
                                            const struct ws_picture_rule *rule)
{
    return decode_free(picture_make_gray(pixels, width, height), rule);
}

static void test_the_first_bytes_name_the_kind(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        const char *kind;
    } cases[] = {
        {"\xff\xd8\xff\xe0", 4, "jpeg"},
        {"\x89PNG\r\n\x1a\n", 8, "png"},
        {"RIFF\0\0\0\0WEBPVP8 ", 16, "webp"},
        {"RIFF\0\0\0\0WAVEfmt ", 16, "unknown"},
        {"GIF89a", 6, "gif"},
        {"  \n<!DOCTYPE html>", 18, "html"},
        {"\xef\xbb\xbf<HTML>", 9, "html"},
        {"<?xml version=\"1.0\"?><svg/>", 27, "svg"},
        {"<?xml version=\"1.0\"?><api/>", 27, "xml"},
        {"{\"a\":1}", 7, "json"},
        {"User-agent: *", 13, "text"},
        {"\0\0\0\1", 4, "unknown"},
        {"", 0, "empty"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *kind = NULL;
        (void)ws_picture_sniff((struct ws_span){(const uint8_t *)cases[i].bytes, cases[i].len}, &kind);
        assert_string_equal(kind, cases[i].kind);
    }
}

static void test_what_is_no_image_is_refused_by_its_kind(void **state)
{
    (void)state;
    struct ws_picture_result result = decode((struct picture_bytes){(uint8_t *)(uintptr_t) "<html>", 6}, &usual);
    assert_int_equal(result.reason, WS_IMAGE_NOT_AN_IMAGE);
    assert_string_equal(result.detail, "html");
    result = decode((struct picture_bytes){NULL, 0}, &usual);
    assert_int_equal(result.reason, WS_IMAGE_EMPTY);
}

static void test_a_header_of_a_million_squared_is_refused_unread(void **state)
{
    (void)state;
    const uint8_t pixel = 0;
    struct picture_bytes png = picture_make_gray(&pixel, 1, 1);
    memcpy(png.ptr + 16, "\x00\x0f\x42\x40\x00\x0f\x42\x40", 8);
    const struct ws_picture_result result = decode_free(png, &usual);
    assert_int_equal(result.reason, WS_IMAGE_TOO_MANY_PIXELS);
    assert_int_equal(result.width, 1000000);
}

static void test_limits_on_size_and_shape_hold_at_their_edge(void **state)
{
    (void)state;
    uint8_t pixels[100] = {0};
    struct ws_picture_rule rule = usual;
    rule.min_side = 5;
    rule.max_aspect = 4;
    rule.max_pixels = 100;
    assert_int_equal(decode_gray(pixels, 20, 5, &rule).reason, WS_IMAGE_OK);
    assert_int_equal(decode_gray(pixels, 21, 4, &rule).reason, WS_IMAGE_TOO_SMALL);
    rule.min_side = 1;
    assert_int_equal(decode_gray(pixels, 21, 4, &rule).reason, WS_IMAGE_ASPECT);
    rule.max_pixels = 99;
    assert_int_equal(decode_gray(pixels, 10, 10, &rule).reason, WS_IMAGE_TOO_MANY_PIXELS);
}

static void test_shrinking_averages_areas_exactly(void **state)
{
    (void)state;
    struct ws_picture_rule rule = usual;
    rule.size = 2;
    rule.fit = WS_FIT_STRETCH;
    /* 3 x 3 to 2 x 2: each target covers 1.5 x 1.5 sources. Top left: (1*90 + .5*60 + .5*30 + .25*0) / 2.25 = 60. */
    const uint8_t pixels[9] = {90, 60, 0, 30, 0, 0, 0, 0, 255};
    assert_int_equal(decode_gray(pixels, 3, 3, &rule).reason, WS_IMAGE_OK);
    assert_int_equal(square[0], 60);
    assert_int_equal(square[1], 13);  /* (.5*60 + 0) / 2.25 = 13.3 */
    assert_int_equal(square[2], 7);   /* (.5*30) / 2.25 = 6.7 */
    assert_int_equal(square[3], 113); /* 255 / 2.25 = 113.3 */
}

static void test_a_large_shrink_agrees_with_floating_point(void **state)
{
    (void)state;
    enum { W = 97, H = 61, N = 7 };
    uint8_t pixels[W * H];
    for (int i = 0; i < W * H; i++)
        pixels[i] = (uint8_t)((unsigned)i * 2654435761u >> 13);
    struct ws_picture_rule rule = usual;
    rule.size = N;
    rule.fit = WS_FIT_STRETCH;
    assert_int_equal(decode_gray(pixels, W, H, &rule).reason, WS_IMAGE_OK);
    for (int ty = 0; ty < N; ty++) {
        for (int tx = 0; tx < N; tx++) {
            double sum = 0;
            for (int y = 0; y < H; y++) {
                const double top = fmax(y, ty * (double)H / N), bottom = fmin(y + 1, (ty + 1) * (double)H / N);
                for (int x = 0; bottom > top && x < W; x++) {
                    const double left = fmax(x, tx * (double)W / N), right = fmin(x + 1, (tx + 1) * (double)W / N);
                    sum += right > left ? pixels[y * W + x] * (right - left) * (bottom - top) : 0;
                }
            }
            assert_true(fabs(square[ty * N + tx] - sum * N * N / (W * H)) <= 0.5001);
        }
    }
}

static void test_growing_interpolates_between_centres(void **state)
{
    (void)state;
    struct ws_picture_rule rule = usual;
    rule.size = 4;
    rule.fit = WS_FIT_STRETCH;
    const uint8_t pixels[4] = {0, 200, 0, 200};
    assert_int_equal(decode_gray(pixels, 2, 2, &rule).reason, WS_IMAGE_OK);
    const uint8_t want[4] = {0, 50, 150, 200};
    for (int y = 0; y < 4; y++)
        assert_memory_equal(square + 4 * y, want, 4);
    const uint8_t one = 77;
    assert_int_equal(decode_gray(&one, 1, 1, &rule).reason, WS_IMAGE_OK);
    for (int i = 0; i < 16; i++)
        assert_int_equal(square[i], 77);
}

static void test_pad_centres_on_the_background(void **state)
{
    (void)state;
    uint8_t pixels[4 * 2];
    memset(pixels, 100, sizeof pixels);
    struct ws_picture_rule rule = usual;
    rule.size = 4;
    assert_int_equal(decode_gray(pixels, 4, 2, &rule).reason, WS_IMAGE_OK);
    const uint8_t want[4] = {255, 100, 100, 255};
    for (int y = 0; y < 4; y++)
        for (int x = 0; x < 4; x++)
            assert_int_equal(square[y * 4 + x], want[y]);
    rule.background = 0;
    assert_int_equal(decode_gray(pixels, 2, 4, &rule).reason, WS_IMAGE_OK);
    assert_int_equal(square[0], 0);
    assert_int_equal(square[1], 100);
    assert_int_equal(square[3], 0);
}

static void test_crop_takes_the_middle(void **state)
{
    (void)state;
    const uint8_t pixels[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    struct ws_picture_rule rule = usual;
    rule.size = 2;
    rule.fit = WS_FIT_CROP;
    assert_int_equal(decode_gray(pixels, 4, 2, &rule).reason, WS_IMAGE_OK);
    const uint8_t want[4] = {2, 3, 6, 7};
    assert_memory_equal(square, want, 4);
}

static void test_bright_borders_invert_and_dark_ones_do_not(void **state)
{
    (void)state;
    uint8_t pixels[64];
    struct ws_picture_rule rule = usual;
    rule.invert = WS_INVERT_BRIGHT;
    memset(pixels, 240, sizeof pixels);
    pixels[27] = 10;
    struct ws_picture_result result = decode_gray(pixels, 8, 8, &rule);
    assert_int_equal(result.flags, WS_IMAGE_FLAG_INVERTED);
    assert_int_equal(square[0], 15);
    assert_int_equal(square[27], 245);
    memset(pixels, 250, sizeof pixels); /* only the border counts */
    for (int i = 0; i < 8; i++)
        pixels[i] = pixels[56 + i] = pixels[8 * i] = pixels[8 * i + 7] = 20;
    result = decode_gray(pixels, 8, 8, &rule);
    assert_int_equal(result.flags, 0);
    assert_int_equal(square[0], 20);
}

static void test_transparency_shows_the_background(void **state)
{
    (void)state;
    const uint8_t pixels[] = {100, 50, 0, 128, 100, 50, 0, 255};
    struct ws_picture_rule rule = usual;
    rule.channels = 3;
    rule.size = 2;
    rule.fit = WS_FIT_STRETCH;
    const struct picture_png how = {.color_type = PNG_COLOR_TYPE_RGBA};
    struct ws_picture_result result = decode_free(picture_make_png(pixels, 2, 1, 8, how), &rule);
    assert_int_equal(result.reason, WS_IMAGE_OK);
    assert_int_equal(result.flags, WS_IMAGE_FLAG_ALPHA);
    const uint8_t on_white[] = {177, 152, 127, 100, 50, 0}; /* 100*128/255 + 255*127/255 = 177.2 … */
    assert_memory_equal(square, on_white, 6);
    rule.background = 0;
    (void)decode_free(picture_make_png(pixels, 2, 1, 8, how), &rule);
    const uint8_t on_black[] = {50, 25, 0, 100, 50, 0};
    assert_memory_equal(square, on_black, 6);
    const uint8_t gray_alpha[] = {100, 128, 100, 255};
    rule.background = 255;
    rule.channels = 1;
    (void)decode_free(
        picture_make_png(gray_alpha, 2, 1, 4, (struct picture_png){.color_type = PNG_COLOR_TYPE_GRAY_ALPHA}), &rule);
    assert_int_equal(square[0], 177);
    assert_int_equal(square[1], 100);
}

static void test_palette_sixteen_and_one_bit_pngs_become_eight(void **state)
{
    (void)state;
    struct ws_picture_rule rule = usual;
    rule.channels = 3;
    rule.size = 2;
    rule.fit = WS_FIT_STRETCH;
    const png_color palette[] = {{10, 20, 30}, {200, 100, 50}};
    const uint8_t alpha[] = {255, 0};
    const uint8_t index[] = {0, 1};
    struct picture_png how = {
        .color_type = PNG_COLOR_TYPE_PALETTE, .palette = palette, .n_palette = 2, .palette_alpha = alpha};
    struct ws_picture_result result = decode_free(picture_make_png(index, 2, 1, 2, how), &rule);
    assert_int_equal(result.flags, WS_IMAGE_FLAG_ALPHA);
    const uint8_t want[] = {10, 20, 30, 255, 255, 255};
    assert_memory_equal(square, want, 6);
    const uint8_t deep[] = {0x80, 0xff, 0x7f, 0x00}; /* 33023 / 257 = 128.5 and 32512 / 257 = 126.5, rounded */
    rule.channels = 1;
    (void)decode_free(
        picture_make_png(deep, 2, 1, 4, (struct picture_png){.color_type = PNG_COLOR_TYPE_GRAY, .bit_depth = 16}),
        &rule);
    assert_in_range(square[0], 128, 129);
    assert_in_range(square[1], 126, 127);
    const uint8_t bits[] = {0x40};
    (void)decode_free(
        picture_make_png(bits, 2, 1, 1, (struct picture_png){.color_type = PNG_COLOR_TYPE_GRAY, .bit_depth = 1}),
        &rule);
    assert_int_equal(square[0], 0);
    assert_int_equal(square[1], 255);
}

static void test_an_interlaced_png_gives_the_same_pixels(void **state)
{
    (void)state;
    enum { W = 13, H = 11 };
    uint8_t pixels[W * H * 3], plain[8 * 8 * 3];
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(i * 37);
    struct ws_picture_rule rule = usual;
    rule.channels = 3;
    struct picture_png how = {.color_type = PNG_COLOR_TYPE_RGB};
    (void)decode_free(picture_make_png(pixels, W, H, W * 3, how), &rule);
    memcpy(plain, square, sizeof plain);
    how.interlaced = 1;
    (void)decode_free(picture_make_png(pixels, W, H, W * 3, how), &rule);
    assert_memory_equal(square, plain, sizeof plain);
}

/** A quarter red, green, blue, white: no two orientations look alike. */
static void paint_quarters(uint8_t *pixels, int width, int height)
{
    static const uint8_t colors[4][3] = {{250, 10, 10}, {10, 250, 10}, {10, 10, 250}, {250, 250, 250}};
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            memcpy(pixels + 3 * (y * width + x), colors[2 * (y >= height / 2) + (x >= width / 2)], 3);
}

static void test_all_eight_orientations_come_out_upright(void **state)
{
    (void)state;
    enum { N = 32 };
    uint8_t upright[N * N * 3], stored[N * N * 3], want[8 * 8 * 3];
    paint_quarters(upright, N, N);
    struct ws_picture_rule rule = usual;
    rule.channels = 3;
    struct picture_jpeg how = {.space = JCS_RGB, .channels = 3, .full_chroma = 1};
    (void)decode_free(picture_make_jpeg(upright, N, N, how), &rule);
    memcpy(want, square, sizeof want);
    for (int o = 1; o <= 8; o++) {
        for (int y = 0; y < N; y++) {
            for (int x = 0; x < N; x++) {
                /* What the camera stored at (x, y): EXIF says which visual side row 0 and column 0 are. */
                static const char sides[9][3] = {"", "tl", "tr", "br", "bl", "lt", "rt", "rb", "lb"};
                const int row_is_vertical = sides[o][0] == 't' || sides[o][0] == 'b';
                const int v = row_is_vertical ? y : x, h = row_is_vertical ? x : y;
                const char vside = row_is_vertical ? sides[o][0] : sides[o][1],
                           hside = row_is_vertical ? sides[o][1] : sides[o][0];
                const int uy = vside == 't' ? v : N - 1 - v, ux = hside == 'l' ? h : N - 1 - h;
                memcpy(stored + 3 * (y * N + x), upright + 3 * (uy * N + ux), 3);
            }
        }
        how.orientation = o;
        const struct ws_picture_result result = decode_free(picture_make_jpeg(stored, N, N, how), &rule);
        assert_int_equal(result.flags, o == 1 ? 0 : WS_IMAGE_FLAG_ORIENTED);
        for (size_t i = 0; i < sizeof want; i++)
            if (abs(square[i] - want[i]) > 4)
                fail_msg("orientation %d: byte %zu is %d, upright it is %d", o, i, square[i], want[i]);
    }
}

static void test_a_turned_jpeg_reports_its_upright_size(void **state)
{
    (void)state;
    uint8_t pixels[16 * 32 * 3] = {0};
    struct picture_jpeg how = {.space = JCS_RGB, .channels = 3, .orientation = 6};
    const struct ws_picture_result result = decode_free(picture_make_jpeg(pixels, 32, 16, how), &usual);
    assert_int_equal(result.width, 16);
    assert_int_equal(result.height, 32);
}

static void test_cmyk_inks_multiply(void **state)
{
    (void)state;
    uint8_t pixels[16 * 16 * 4];
    for (size_t i = 0; i < sizeof pixels; i += 4) { /* libjpeg writes an Adobe marker: values are 255 minus the ink */
        pixels[i] = 255;
        pixels[i + 1] = 128;
        pixels[i + 2] = 0;
        pixels[i + 3] = 200;
    }
    struct ws_picture_rule rule = usual;
    rule.channels = 3;
    struct picture_jpeg how = {.space = JCS_CMYK, .channels = 4};
    assert_int_equal(decode_free(picture_make_jpeg(pixels, 16, 16, how), &rule).reason, WS_IMAGE_OK);
    assert_in_range(square[0], 198, 202);
    assert_in_range(square[1], 98, 102);
    assert_in_range(square[2], 0, 2);
}

static void test_grey_of_a_jpeg_and_of_a_png_agree(void **state)
{
    (void)state;
    enum { N = 32 };
    uint8_t pixels[N * N * 3], png[64];
    paint_quarters(pixels, N, N);
    (void)decode_free(picture_make_png(pixels, N, N, N * 3, (struct picture_png){.color_type = PNG_COLOR_TYPE_RGB}),
                      &usual);
    memcpy(png, square, sizeof png);
    struct picture_jpeg how = {.space = JCS_RGB, .channels = 3, .full_chroma = 1};
    (void)decode_free(picture_make_jpeg(pixels, N, N, how), &usual);
    for (int i = 0; i < 64; i++)
        assert_true(abs(square[i] - png[i]) <= 2);
}

static void test_a_scaled_decode_is_near_the_full_one(void **state)
{
    (void)state;
    enum { W = 400, H = 300 };
    uint8_t *pixels = malloc(W * H * 3);
    for (int i = 0; i < W * H; i++) {
        const int x = i % W, y = i / W;
        pixels[3 * i] = (uint8_t)(128 + 100 * sin(x / 31.0));
        pixels[3 * i + 1] = (uint8_t)(128 + 100 * cos(y / 23.0));
        pixels[3 * i + 2] = (uint8_t)((x + y) / 3);
    }
    struct ws_picture_rule rule = usual;
    rule.channels = 3;
    rule.size = 28;
    uint8_t from_png[28 * 28 * 3];
    (void)decode_free(picture_make_png(pixels, W, H, W * 3, (struct picture_png){.color_type = PNG_COLOR_TYPE_RGB}),
                      &rule);
    memcpy(from_png, square, sizeof from_png);
    struct picture_jpeg how = {.space = JCS_RGB, .channels = 3, .quality = 95};
    const struct ws_picture_result result = decode_free(picture_make_jpeg(pixels, W, H, how), &rule);
    assert_int_equal(result.width, W); /* the original's size, not the scaled one */
    double sum = 0;
    for (size_t i = 0; i < sizeof from_png; i++)
        sum += abs(square[i] - from_png[i]);
    assert_true(sum / sizeof from_png < 2);
    free(pixels);
}

static void test_a_cut_image_is_never_taken_for_whole(void **state)
{
    (void)state;
    enum { N = 64 };
    uint8_t pixels[N * N * 3];
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(i * 2654435761u >> 11);
    struct picture_bytes files[] = {
        picture_make_jpeg(pixels, N, N, (struct picture_jpeg){.space = JCS_RGB, .channels = 3, .quality = 90}),
        picture_make_jpeg(pixels, N, N, (struct picture_jpeg){.space = JCS_RGB, .channels = 3, .progressive = 1}),
        picture_make_png(pixels, N, N, N * 3, (struct picture_png){.color_type = PNG_COLOR_TYPE_RGB}),
        picture_make_webp(pixels, N, N, 3, 80),
        picture_make_webp(pixels, N, N, 3, -1),
    };
    for (size_t f = 0; f < sizeof files / sizeof files[0]; f++) {
        assert_int_equal(decode(files[f], &usual).reason, WS_IMAGE_OK);
        /* Up to three quarters: behind that a few bytes may only be end marks. */
        for (size_t len = 20; len < files[f].len * 3 / 4; len += 97) {
            const struct ws_picture_result result = decode((struct picture_bytes){files[f].ptr, len}, &usual);
            if (result.reason != WS_IMAGE_TRUNCATED && result.reason != WS_IMAGE_CORRUPT)
                fail_msg("file %zu cut to %zu of %zu bytes: %s", f, len, files[f].len,
                         ws_picture_reason_name(result.reason));
        }
        free(files[f].ptr);
    }
}

static void test_a_png_with_a_wrong_crc_is_corrupt(void **state)
{
    (void)state;
    uint8_t pixels[64] = {0};
    struct picture_bytes png = picture_make_gray(pixels, 8, 8);
    png.ptr[29] ^= 1; /* IHDR's CRC */
    assert_int_equal(decode_free(png, &usual).reason, WS_IMAGE_CORRUPT);
}

static void test_scans_without_end_are_refused(void **state)
{
    (void)state;
    uint8_t pixels[16 * 16 * 3] = {0};
    struct picture_jpeg how = {.space = JCS_RGB, .channels = 3, .separate_scans = 1};
    struct picture_bytes file = picture_make_jpeg(pixels, 16, 16, how);
    size_t last = 0;
    for (size_t i = 0; i + 1 < file.len; i++)
        if (file.ptr[i] == 0xff && file.ptr[i + 1] == 0xda)
            last = i;
    const size_t scan = file.len - 2 - last;
    struct picture_bytes many = {malloc(file.len + 150 * scan), file.len - 2};
    memcpy(many.ptr, file.ptr, many.len);
    for (int i = 0; i < 150; i++, many.len += scan)
        memcpy(many.ptr + many.len, file.ptr + last, scan);
    memcpy(many.ptr + many.len, "\xff\xd9", 2);
    many.len += 2;
    assert_int_equal(decode_free(file, &usual).reason, WS_IMAGE_OK);
    assert_int_equal(decode_free(many, &usual).reason, WS_IMAGE_TOO_MANY_SCANS);
}

static void test_webp_is_exact_without_loss_and_shows_its_alpha(void **state)
{
    (void)state;
    uint8_t pixels[8 * 8 * 4];
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = i % 4 == 3 ? (i > 128 ? 255 : 128) : (uint8_t)(i * 7);
    struct ws_picture_rule rule = usual;
    rule.channels = 3;
    const struct ws_picture_result result = decode_free(picture_make_webp(pixels, 8, 8, 4, -1), &rule);
    assert_int_equal(result.format, WS_IMAGE_WEBP);
    assert_int_equal(result.flags, WS_IMAGE_FLAG_ALPHA);
    for (size_t i = 40; i < 64; i++)
        assert_memory_equal(square + 3 * i, pixels + 4 * i, 3);
    assert_int_equal(square[0], (0 * 128 + 255 * 127 + 127) / 255);
}

static void test_an_animated_webp_is_refused_by_name(void **state)
{
    (void)state;
    const uint8_t head[] = {'R', 'I', 'F', 'F', 40,   0, 0, 0, 'W', 'E', 'B', 'P', 'V', 'P', '8', 'X',
                            10,  0,   0,   0,   0x02, 0, 0, 0, 15,  0,   0,   15,  0,   0,   'A', 'N',
                            'I', 'M', 6,   0,   0,    0, 0, 0, 0,   0,   0,   0,   0,   0,   0,   0};
    const struct ws_picture_result result =
        decode((struct picture_bytes){(uint8_t *)(uintptr_t)head, sizeof head}, &usual);
    assert_int_equal(result.reason, WS_IMAGE_UNSUPPORTED);
    assert_string_equal(result.detail, "an animation");
}

static void test_every_reason_has_its_own_name(void **state)
{
    (void)state;
    for (int i = 0; i < WS_IMAGE_N_REASONS; i++)
        for (int j = 0; j < i; j++)
            assert_string_not_equal(ws_picture_reason_name((enum ws_picture_reason)i),
                                    ws_picture_reason_name((enum ws_picture_reason)j));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_bytes_name_the_kind),
        cmocka_unit_test(test_what_is_no_image_is_refused_by_its_kind),
        cmocka_unit_test(test_a_header_of_a_million_squared_is_refused_unread),
        cmocka_unit_test(test_limits_on_size_and_shape_hold_at_their_edge),
        cmocka_unit_test(test_shrinking_averages_areas_exactly),
        cmocka_unit_test(test_a_large_shrink_agrees_with_floating_point),
        cmocka_unit_test(test_growing_interpolates_between_centres),
        cmocka_unit_test(test_pad_centres_on_the_background),
        cmocka_unit_test(test_crop_takes_the_middle),
        cmocka_unit_test(test_bright_borders_invert_and_dark_ones_do_not),
        cmocka_unit_test(test_transparency_shows_the_background),
        cmocka_unit_test(test_palette_sixteen_and_one_bit_pngs_become_eight),
        cmocka_unit_test(test_an_interlaced_png_gives_the_same_pixels),
        cmocka_unit_test(test_all_eight_orientations_come_out_upright),
        cmocka_unit_test(test_a_turned_jpeg_reports_its_upright_size),
        cmocka_unit_test(test_cmyk_inks_multiply),
        cmocka_unit_test(test_grey_of_a_jpeg_and_of_a_png_agree),
        cmocka_unit_test(test_a_scaled_decode_is_near_the_full_one),
        cmocka_unit_test(test_a_cut_image_is_never_taken_for_whole),
        cmocka_unit_test(test_a_png_with_a_wrong_crc_is_corrupt),
        cmocka_unit_test(test_scans_without_end_are_refused),
        cmocka_unit_test(test_webp_is_exact_without_loss_and_shows_its_alpha),
        cmocka_unit_test(test_an_animated_webp_is_refused_by_name),
        cmocka_unit_test(test_every_reason_has_its_own_name),
    };
    return cmocka_run_group_tests_name("image", tests, NULL, NULL);
}
