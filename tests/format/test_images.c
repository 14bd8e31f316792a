/** The image store on disk: id order, labels, checksums, a full map, long URLs. */
#include "../../store/images/format.h"
#include "../unit/temp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { SIDE = 8, PIXELS = SIDE * SIDE };

static struct ws_image_id id_of(int n)
{
    struct ws_image_id id = {{(uint8_t)(n * 37), (uint8_t)n}};
    return id;
}

static void put(struct ws_tables *db, int n)
{
    uint8_t pixels[PIXELS];
    struct ws_err err = {0};
    memset(pixels, n, sizeof pixels);
    const struct ws_image_id id = id_of(n);
    const struct ws_image_record record = {.channels = 1,
                                           .format = WS_IMAGE_PNG,
                                           .width = SIDE,
                                           .height = SIDE,
                                           .original_width = 100,
                                           .original_height = 70000,
                                           .label = WS_LABEL_NONE,
                                           .flags = 5};
    assert_int_equal(ws_images_put(db, &id, record, pixels, &err), WS_OK);
}

static void put_text(struct ws_tables *db, int table, const char *key, const char *value)
{
    struct ws_err err = {0};
    assert_int_equal(ws_tables_put(db, table, ws_span_of(key, strlen(key)), ws_span_of(value, strlen(value)), &err),
                     WS_OK);
}

static void open_db(struct ws_tables **db, const char *dir)
{
    struct ws_err err = {0};
    assert_int_equal(ws_images_create(db, dir, 0.25, &err), WS_OK);
    assert_int_equal(ws_tables_begin(*db, &err), WS_OK);
    put_text(*db, WS_IMAGES_META, "format", "1");
    put_text(*db, WS_IMAGES_META, "size", "8");
    put_text(*db, WS_IMAGES_META, "channels", "1");
}

static void close_db(struct ws_tables **db)
{
    struct ws_err err = {0};
    assert_int_equal(ws_tables_commit(*db, &err), WS_OK);
    ws_tables_close(db);
}

static struct ws_images *open_images(const char *dir)
{
    struct ws_images *images = NULL;
    struct ws_err err = {0};
    if (ws_images_open(&images, dir, &err) != WS_OK)
        fail_msg("%s", err.text);
    return images;
}

static struct ws_digest digest_of(const char *dir)
{
    struct ws_images *images = open_images(dir);
    struct ws_digest digest;
    struct ws_err err = {0};
    assert_int_equal(ws_images_digest(images, &digest, &err), WS_OK);
    ws_images_close(&images);
    return digest;
}

static void test_images_come_back_in_id_order_whatever_their_way_in(void **state)
{
    char a[TEMP_PATH], b[TEMP_PATH];
    struct ws_tables *db = NULL;
    open_db(&db, temp_join(a, *state, "a"));
    for (int n = 0; n < 20; n++)
        put(db, n);
    close_db(&db);
    open_db(&db, temp_join(b, *state, "b"));
    for (int n = 20; n-- > 0;)
        put(db, n);
    close_db(&db);

    struct ws_images *images = open_images(a);
    assert_int_equal(ws_images_count(images), 20);
    for (size_t i = 1; i < 20; i++)
        assert_true(ws_image_id_compare(ws_images_id(images, i - 1), ws_images_id(images, i)) < 0);
    for (int n = 0; n < 20; n++) {
        const struct ws_image_id id = id_of(n);
        const int64_t i = ws_images_find(images, &id);
        assert_true(i >= 0);
        assert_int_equal(ws_images_pixels(images, (size_t)i)[PIXELS - 1], n);
        const struct ws_image_record *record = ws_images_record(images, (size_t)i);
        assert_int_equal(record->original_height, 70000);
        assert_int_equal(record->format, WS_IMAGE_PNG);
        assert_int_equal(record->flags, 5);
        assert_int_equal(record->label, WS_LABEL_NONE);
    }
    const struct ws_image_id unknown = id_of(99);
    assert_int_equal(ws_images_find(images, &unknown), -1);
    ws_images_close(&images);
    const struct ws_digest da = digest_of(a), db_digest = digest_of(b);
    assert_memory_equal(&da, &db_digest, sizeof da);
}

static void test_a_label_only_ever_falls(void **state)
{
    struct ws_tables *db = NULL;
    struct ws_err err = {0};
    open_db(&db, *state);
    put(db, 1);
    const struct ws_image_id id = id_of(1);
    const int labels[] = {WS_LABEL_NONE, 7, 3, 5, WS_LABEL_NONE};
    for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++)
        assert_int_equal(ws_images_label(db, &id, labels[i], &err), WS_OK);
    close_db(&db);
    struct ws_images *images = open_images(*state);
    assert_int_equal(ws_images_record(images, 0)->label, 3);
    ws_images_close(&images);
}

static void test_a_wrong_checksum_names_its_image(void **state)
{
    struct ws_tables *db = NULL;
    struct ws_err err = {0};
    open_db(&db, *state);
    put(db, 1);
    const struct ws_image_id id = id_of(1);
    const struct ws_span key = ws_span_of(id.bytes, sizeof id.bytes);
    struct ws_span value;
    uint8_t copy[WS_RECORD_BYTES + PIXELS];
    assert_int_equal(ws_tables_get(db, WS_IMAGES_PIXELS, key, &value, &err), WS_OK);
    assert_int_equal(value.len, sizeof copy);
    memcpy(copy, value.ptr, sizeof copy);
    copy[WS_RECORD_BYTES + 5] ^= 1;
    assert_int_equal(ws_tables_put(db, WS_IMAGES_PIXELS, key, ws_span_of(copy, sizeof copy), &err), WS_OK);
    close_db(&db);
    struct ws_images *images = NULL;
    assert_int_equal(ws_images_open(&images, *state, &err), WS_E_DAMAGED);
    assert_non_null(strstr(err.text, "2501000000000000"));
    assert_non_null(strstr(err.text, "checksum"));
    assert_null(images);
}

static void test_a_missing_store_says_what_to_run(void **state)
{
    char dir[TEMP_PATH];
    struct ws_images *images = NULL;
    struct ws_err err = {0};
    assert_int_equal(ws_images_open(&images, temp_join(dir, *state, "none"), &err), WS_E_IO);
    assert_non_null(strstr(err.hint, "webstill store"));
}

static void test_a_full_map_keeps_what_was_committed(void **state)
{
    struct ws_tables *db = NULL;
    struct ws_err err = {0};
    open_db(&db, *state);
    put(db, 1);
    close_db(&db);
    assert_int_equal(ws_images_create(&db, *state, 0.001, &err), WS_OK);
    assert_int_equal(ws_tables_begin(db, &err), WS_OK);
    enum ws_status status = WS_OK;
    uint8_t big[60000] = {0};
    for (int i = 0; status == WS_OK && i < 1000; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        status = ws_tables_put(db, WS_IMAGES_META, ws_span_of(key, strlen(key)), ws_span_of(big, sizeof big), &err);
    }
    assert_int_equal(status, WS_E_IO);
    assert_non_null(strstr(err.hint, "store.map_gib"));
    ws_tables_close(&db);
    struct ws_images *images = open_images(*state);
    assert_int_equal(ws_images_count(images), 1);
    ws_images_close(&images);
}

static void test_long_urls_have_keys_of_their_own(void **state)
{
    (void)state;
    char a[1000], b[1000], ka[WS_URL_KEY_BYTES], kb[WS_URL_KEY_BYTES];
    memset(a, 'u', sizeof a);
    a[999] = 0;
    memcpy(b, a, sizeof b);
    b[998] = 'v';
    assert_int_equal(ws_images_url_key(a, ka), WS_URL_KEY_BYTES);
    assert_int_equal(ws_images_url_key(b, kb), WS_URL_KEY_BYTES);
    assert_memory_not_equal(ka, kb, WS_URL_KEY_BYTES);
    assert_int_equal(ws_images_url_key("http://h.test/", ka), 14);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, temp_setup, temp_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_images_come_back_in_id_order_whatever_their_way_in),
        IN_FOLDER(test_a_label_only_ever_falls),
        IN_FOLDER(test_a_wrong_checksum_names_its_image),
        IN_FOLDER(test_a_missing_store_says_what_to_run),
        IN_FOLDER(test_a_full_map_keeps_what_was_committed),
        cmocka_unit_test(test_long_urls_have_keys_of_their_own),
    };
    return cmocka_run_group_tests_name("images", tests, NULL, NULL);
}
