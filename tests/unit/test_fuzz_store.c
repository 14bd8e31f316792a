/**
 * Replays the fuzz targets of the store over a small corpus: good files made here, and seeded mutations of them.
 * `make fuzz` runs the same targets under a fuzzing engine.
 */
#define LLVMFuzzerTestOneInput fuzz_warc
#include "../fuzz/fuzz_warc.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_image
#include "../fuzz/fuzz_image.c"
#undef LLVMFuzzerTestOneInput

#include "mutate.h"
#include "picture.h"
#include "temp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void replay(int (*target)(const uint8_t *, size_t), struct picture_bytes *seeds, size_t n_seeds, uint32_t rounds)
{
    for (size_t s = 0; s < n_seeds; s++) {
        assert_int_equal(target(seeds[s].ptr, seeds[s].len), 0);
        for (uint32_t i = 0; i < rounds; i++) {
            struct ws_rng rng;
            ws_rng_init(&rng, 1, WS_STREAM_TEST, (uint32_t)s, i);
            size_t len = seeds[s].len;
            uint8_t *bad = mutate(seeds[s].ptr, &len, &rng);
            assert_int_equal(target(bad, len), 0);
            free(bad);
        }
        free(seeds[s].ptr);
    }
}

static void test_no_mutated_image_breaks_the_decoders(void **state)
{
    (void)state;
    enum { W = 40, H = 30 };
    uint8_t pixels[W * H * 4];
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(i * 2654435761u >> 9);
    static const png_color palette[256] = {{1, 2, 3}};
    struct picture_bytes seeds[] = {
        picture_make_jpeg(pixels, W, H,
                          (struct picture_jpeg){.space = JCS_RGB, .channels = 3, .quality = 80, .orientation = 6}),
        picture_make_jpeg(pixels, W, H, (struct picture_jpeg){.space = JCS_RGB, .channels = 3, .progressive = 1}),
        picture_make_jpeg(pixels, W, H, (struct picture_jpeg){.space = JCS_GRAYSCALE, .channels = 1}),
        picture_make_jpeg(pixels, W, H, (struct picture_jpeg){.space = JCS_CMYK, .channels = 4}),
        picture_make_png(pixels, W, H, W * 4, (struct picture_png){.color_type = PNG_COLOR_TYPE_RGBA}),
        picture_make_png(
            pixels, W, H, W,
            (struct picture_png){.color_type = PNG_COLOR_TYPE_PALETTE, .palette = palette, .n_palette = 256}),
        picture_make_png(pixels, W / 2, H, W,
                         (struct picture_png){.color_type = PNG_COLOR_TYPE_GRAY, .bit_depth = 16, .interlaced = 1}),
        picture_make_webp(pixels, W, H, 4, 60),
        picture_make_webp(pixels, W, H, 3, -1),
    };
    replay(fuzz_image, seeds, sizeof seeds / sizeof seeds[0], 300);
}

static struct picture_bytes read_seed(const char *path)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    struct picture_bytes seed = {malloc(1 << 16), 0};
    seed.len = fread(seed.ptr, 1, 1 << 16, file);
    fclose(file);
    return seed;
}

static void test_no_mutated_warc_breaks_the_reader(void **state)
{
    char path[TEMP_PATH];
    struct ws_warc_writer *writer = NULL;
    struct ws_err err = {0};
    assert_int_equal(ws_warc_writer_open(&writer, *state, "software: fuzz\r\n", 0, 0, 0, &err), WS_OK);
    static const char head[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n";
    static const char body[] = "5\r\nhello\r\n0\r\n\r\n";
    for (int i = 0; i < 3; i++) {
        struct ws_warc_record_out record = {
            .type = WS_WARC_RESPONSE,
            .target_uri = "http://h.test/",
            .content_type = "application/http",
            .date = "2026-01-02T03:04:05Z",
            .id = "<urn:uuid:00000000-0000-4000-8000-000000000000>",
            .head = {(const uint8_t *)head, strlen(head)},
            .payload = {(const uint8_t *)body, strlen(body)},
        };
        assert_int_equal(ws_warc_write(writer, &record, &err), WS_OK);
    }
    assert_int_equal(ws_warc_writer_finish(writer, &err), WS_OK);
    ws_warc_writer_close(&writer);
    static const char plain[] = "WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: <http://h.test/>\r\n"
                                "Content-Type: application/http\r\nContent-Length: 36\r\n\r\n"
                                "HTTP/1.1 200 OK\r\nX: 1\r\n\r\nhello world\r\n\r\n";
    struct picture_bytes seeds[] = {
        read_seed(temp_join(path, *state, "webstill-00000.warc.gz")),
        {malloc(2 * strlen(plain)), 2 * strlen(plain)},
    };
    memcpy(seeds[1].ptr, plain, strlen(plain));
    memcpy(seeds[1].ptr + strlen(plain), plain, strlen(plain));
    replay(fuzz_warc, seeds, 2, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_mutated_image_breaks_the_decoders),
        cmocka_unit_test_setup_teardown(test_no_mutated_warc_breaks_the_reader, temp_setup, temp_teardown),
    };
    return cmocka_run_group_tests_name("fuzz_store", tests, NULL, NULL);
}
