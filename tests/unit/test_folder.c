/* A labelled set as one folder a class: read whole or refused with the file's name. */
#include "../../distill/data/set.h"
#include "../../store/report/png.h"
#include "near.h"
#include "program.h"
#include "temp.h"

enum { SIDE = 20 };

static char one[] = "one", slashed[] = "two/2";

/* Of the test that runs: two classes, small pictures. */
static struct ws_class classes[] = {{.name = one}, {.name = slashed}};
static struct ws_config config;

static int setup(void **state)
{
    test_config_init(&config);
    config.classes = classes;
    config.n_classes = 2;
    *KEYS(&config, store) = (struct ws_store_keys){.size = SIDE,
                                                   .channels = 1,
                                                   .min_side = 16,
                                                   .max_megapixels = 1,
                                                   .max_aspect = 4,
                                                   .decode_timeout_s = 10,
                                                   .map_gib = 1};
    return temp_setup(state);
}

static int teardown(void **state)
{
    ws_config_fini(&config);
    return temp_teardown(state);
}

static void write_png(const char *folder, const char *name, uint8_t value)
{
    uint8_t pixels[SIDE * SIDE];
    char path[TEMP_PATH];
    struct ws_buf png = {0};
    struct ws_err err = {0};
    memset(pixels, value, sizeof pixels);
    assert_int_equal(ws_png_encode(pixels, SIDE, SIDE, 1, SIDE, &png, &err), WS_OK);
    temp_write(temp_join(path, folder, name), png.ptr, png.len);
    ws_buf_fini(&png);
}

static void fill(const char *folder)
{
    write_png(folder, "one/b.png", 20);
    write_png(folder, "one/a.png", 10);
    write_png(folder, "two_2/c.png", 30);
}

static void folders_become_labels_in_the_classes_order(void **state)
{
    struct ws_dataset set;
    struct ws_err err = {0};
    fill(*state);
    if (ws_dataset_open_folder(&set, *state, &config, &err) != WS_OK)
        fail_msg("%s", err.text);
    assert_int_equal(set.n, 3);
    assert_int_equal(set.height, SIDE);
    static const int labels[] = {0, 0, 1}, values[] = {10, 20, 30};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(set.labels[i], labels[i]);
        assert_int_equal(set.pixels[i][SIDE + 3], values[i]);
    }
    ws_dataset_close(&set);
}

static void a_class_without_images_is_named(void **state)
{
    struct ws_dataset set;
    struct ws_err err = {0};
    write_png(*state, "one/a.png", 10);
    assert_int_equal(ws_dataset_open_folder(&set, *state, &config, &err), WS_E_FORMAT);
    assert_non_null(strstr(err.text, "two/2"));
    assert_non_null(strstr(err.text, "two_2"));
}

static void a_folder_of_no_class_is_told_its_nearest(void **state)
{
    struct ws_dataset set;
    struct ws_err err = {0};
    fill(*state);
    write_png(*state, "onne/a.png", 10);
    assert_int_equal(ws_dataset_open_folder(&set, *state, &config, &err), WS_E_CONFIG);
    assert_non_null(strstr(err.text, "onne"));
    assert_non_null(strstr(err.text, "did you mean \"one\""));
}

static void a_file_that_is_no_image_is_named(void **state)
{
    struct ws_dataset set;
    struct ws_err err = {0};
    char path[TEMP_PATH];
    fill(*state);
    temp_write(temp_join(path, *state, "one/notes.txt"), "hello", 5);
    assert_int_equal(ws_dataset_open_folder(&set, *state, &config, &err), WS_E_FORMAT);
    assert_non_null(strstr(err.text, "one/notes.txt"));
    assert_non_null(strstr(err.text, "not_an_image"));
}

static void the_digest_follows_files_and_settings(void **state)
{
    struct ws_digest first, again, other;
    struct ws_err err = {0};
    fill(*state);
    assert_int_equal(ws_dataset_folder_digest(*state, &config, &first, &err), WS_OK);
    assert_int_equal(ws_dataset_folder_digest(*state, &config, &again, &err), WS_OK);
    assert_memory_equal(&first, &again, sizeof first);
    write_png(*state, "one/b.png", 21);
    assert_int_equal(ws_dataset_folder_digest(*state, &config, &other, &err), WS_OK);
    assert_memory_not_equal(&first, &other, sizeof first);
    write_png(*state, "one/b.png", 20);
    KEYS(&config, store)->fit = WS_FIT_CROP;
    assert_int_equal(ws_dataset_folder_digest(*state, &config, &other, &err), WS_OK);
    assert_memory_not_equal(&first, &other, sizeof first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(folders_become_labels_in_the_classes_order, setup, teardown),
        cmocka_unit_test_setup_teardown(a_class_without_images_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(a_folder_of_no_class_is_told_its_nearest, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_that_is_no_image_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(the_digest_follows_files_and_settings, setup, teardown),
    };
    return cmocka_run_group_tests_name("folder", tests, NULL, NULL);
}
