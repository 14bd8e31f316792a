/* IDX files: read to the byte, refused at any other length. */
#include "../../distill/data/set.h"
#include "temp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <zlib.h>

#include <cmocka.h>

static const uint8_t images[] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2,  0,  0,
                                 0, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 255};
static const uint8_t labels[] = {0, 0, 8, 1, 0, 0, 0, 2, 1, 0};

static void write_gzip(const char *path, const uint8_t *bytes, size_t len)
{
    gzFile file = gzopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(gzwrite(file, bytes, (unsigned)len), (int)len);
    assert_int_equal(gzclose(file), Z_OK);
}

static enum ws_status read_pair(const char *folder, const uint8_t *image_bytes, size_t n_image_bytes,
                                const uint8_t *label_bytes, size_t n_label_bytes, struct ws_dataset *set,
                                struct ws_err *err)
{
    char images_path[TEMP_PATH], labels_path[TEMP_PATH];
    temp_write(temp_join(images_path, folder, "images"), image_bytes, n_image_bytes);
    temp_write(temp_join(labels_path, folder, "labels"), label_bytes, n_label_bytes);
    return ws_dataset_open_idx(set, images_path, labels_path, 10, err);
}

static void a_plain_pair_is_read(void **state)
{
    struct ws_dataset set;
    struct ws_err err = {0};
    assert_int_equal(read_pair(*state, images, sizeof images, labels, sizeof labels, &set, &err), WS_OK);
    assert_int_equal(set.n, 2);
    assert_int_equal(set.height, 2);
    assert_int_equal(set.width, 3);
    assert_int_equal(set.channels, 1);
    assert_int_equal(set.labels[0], 1);
    assert_int_equal(set.labels[1], 0);
    assert_int_equal(set.pixels[1][5], 255);
    assert_int_equal(set.ids[1].bytes[15], 1);
    ws_dataset_close(&set);
}

static void gzip_and_plain_give_the_same_digest(void **state)
{
    struct ws_dataset plain, packed;
    struct ws_err err = {0};
    char images_path[TEMP_PATH], labels_path[TEMP_PATH];
    assert_int_equal(read_pair(*state, images, sizeof images, labels, sizeof labels, &plain, &err), WS_OK);
    write_gzip(temp_join(images_path, *state, "images.gz"), images, sizeof images);
    write_gzip(temp_join(labels_path, *state, "labels.gz"), labels, sizeof labels);
    assert_int_equal(ws_dataset_open_idx(&packed, images_path, labels_path, 10, &err), WS_OK);
    assert_memory_equal(&plain.digest, &packed.digest, sizeof plain.digest);
    ws_dataset_close(&plain);
    ws_dataset_close(&packed);
}

static void every_shorter_or_longer_file_is_refused(void **state)
{
    uint8_t longer[sizeof images + 1] = {0};
    memcpy(longer, images, sizeof images);
    for (size_t len = 0; len <= sizeof images + 1; len++) {
        struct ws_dataset set;
        struct ws_err err = {0};
        if (len == sizeof images)
            continue;
        assert_int_equal(read_pair(*state, longer, len, labels, sizeof labels, &set, &err), WS_E_FORMAT);
        assert_non_null(strstr(err.text, "images"));
        assert_null(set.pixels);
    }
    for (size_t len = 0; len < sizeof labels; len++) {
        struct ws_dataset set;
        struct ws_err err = {0};
        assert_int_equal(read_pair(*state, images, sizeof images, labels, len, &set, &err), WS_E_FORMAT);
    }
}

static void every_truncated_gzip_is_refused(void **state)
{
    char path[TEMP_PATH], labels_path[TEMP_PATH];
    uint8_t packed[256];
    write_gzip(temp_join(path, *state, "images.gz"), images, sizeof images);
    temp_write(temp_join(labels_path, *state, "labels"), labels, sizeof labels);
    FILE *stream = fopen(path, "rb");
    const size_t n = fread(packed, 1, sizeof packed, stream);
    fclose(stream);
    for (size_t len = 0; len < n; len++) {
        struct ws_dataset set;
        struct ws_err err = {0};
        temp_write(path, packed, len);
        assert_int_equal(ws_dataset_open_idx(&set, path, labels_path, 10, &err), WS_E_FORMAT);
    }
}

static void a_wrong_magic_names_what_was_expected(void **state)
{
    struct ws_dataset set;
    struct ws_err err = {0};
    uint8_t wrong[sizeof images];
    memcpy(wrong, images, sizeof images);
    wrong[2] = 9;
    assert_int_equal(read_pair(*state, wrong, sizeof wrong, labels, sizeof labels, &set, &err), WS_E_FORMAT);
    assert_non_null(strstr(err.text, "00000903"));
    assert_non_null(strstr(err.text, "expected 00000803"));
}

static void a_label_beyond_the_classes_names_its_byte(void **state)
{
    struct ws_dataset set;
    struct ws_err err = {0};
    uint8_t wrong[sizeof labels];
    memcpy(wrong, labels, sizeof labels);
    wrong[9] = 10;
    assert_int_equal(read_pair(*state, images, sizeof images, wrong, sizeof wrong, &set, &err), WS_E_FORMAT);
    assert_non_null(strstr(err.text, "label 10 at byte 9"));
}

static void as_many_labels_as_images_are_expected(void **state)
{
    struct ws_dataset set;
    struct ws_err err = {0};
    const uint8_t three[] = {0, 0, 8, 1, 0, 0, 0, 3, 1, 0, 2};
    assert_int_equal(read_pair(*state, images, sizeof images, three, sizeof three, &set, &err), WS_E_FORMAT);
    assert_non_null(strstr(err.text, "expected 2 labels"));
}

static void a_head_that_announces_the_moon_is_refused_before_allocation(void **state)
{
    struct ws_dataset set;
    struct ws_err err = {0};
    const uint8_t moon[] = {0, 0, 8, 3, 0x7f, 0xff, 0xff, 0xff, 0, 0, 16, 0, 0, 0, 16, 0};
    assert_int_equal(read_pair(*state, moon, sizeof moon, labels, sizeof labels, &set, &err), WS_E_MEMORY);
}

static void a_missing_file_says_how_to_get_the_demos_data(void **state)
{
    struct ws_dataset set;
    struct ws_err err = {0};
    char path[TEMP_PATH];
    temp_join(path, *state, "nothing.gz");
    assert_int_equal(ws_dataset_open_idx(&set, path, path, 10, &err), WS_E_IO);
    assert_non_null(strstr(err.text, "nothing.gz"));
    assert_non_null(strstr(err.hint, "make data"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_plain_pair_is_read, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(gzip_and_plain_give_the_same_digest, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(every_shorter_or_longer_file_is_refused, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(every_truncated_gzip_is_refused, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(a_wrong_magic_names_what_was_expected, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(a_label_beyond_the_classes_names_its_byte, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(as_many_labels_as_images_are_expected, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(a_head_that_announces_the_moon_is_refused_before_allocation, temp_setup,
                                        temp_teardown),
        cmocka_unit_test_setup_teardown(a_missing_file_says_how_to_get_the_demos_data, temp_setup, temp_teardown),
    };
    return cmocka_run_group_tests_name("idx", tests, NULL, NULL);
}
