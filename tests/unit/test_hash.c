/* Published vectors: FIPS 180-4 (SHA-256), RFC 4648 (base32), xxHash's reference values. */
#include "webstill/base/hash.h"

#include "temp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define ABC_SHA256 "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define MILLION_A_SHA256 "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"

static void assert_digest(struct ws_digest digest, const char *expected)
{
    char text[WS_DIGEST_HEX];
    ws_digest_hex(&digest, text);
    assert_string_equal(text, expected);
}

static void sha256_agrees_with_fips_180(void **state)
{
    (void)state;
    assert_digest(ws_sha256("abc", 3), ABC_SHA256);
    assert_digest(ws_sha256(NULL, 0), EMPTY_SHA256);
}

static void stream_agrees_with_one_shot_for_any_split(void **state)
{
    (void)state;
    uint8_t bytes[300];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 31);
    struct ws_digest whole = ws_sha256(bytes, sizeof bytes);
    for (size_t split = 0; split <= sizeof bytes; split++) {
        struct ws_sha256_stream stream;
        assert_true(ws_sha256_init(&stream));
        ws_sha256_add(&stream, bytes, split);
        ws_sha256_add(&stream, bytes + split, sizeof bytes - split);
        struct ws_digest digest = ws_sha256_finish(&stream);
        assert_memory_equal(digest.bytes, whole.bytes, sizeof digest.bytes);
        ws_sha256_fini(&stream); /* after finish it does nothing */
    }
}

static void file_digest_is_the_digest_of_its_bytes(void **state)
{
    char path[TEMP_PATH], block[1000];
    temp_join(path, *state, "million");
    FILE *stream = fopen(path, "w");
    assert_non_null(stream);
    memset(block, 'a', sizeof block);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(fwrite(block, 1, sizeof block, stream), sizeof block);
    fclose(stream);
    struct ws_digest digest;
    struct ws_err err = {0};
    assert_int_equal(ws_sha256_file(path, &digest, &err), WS_OK);
    assert_digest(digest, MILLION_A_SHA256);
    temp_write(path, "", 0);
    assert_int_equal(ws_sha256_file(path, &digest, &err), WS_OK);
    assert_digest(digest, EMPTY_SHA256);
    assert_int_equal(ws_sha256_file(temp_join(path, *state, "absent"), &digest, &err), WS_E_IO);
    assert_non_null(strstr(err.text, "absent"));
    assert_int_equal(ws_sha256_file(*state, &digest, &err), WS_E_IO);
}

static void image_id_is_the_first_half_of_the_digest(void **state)
{
    (void)state;
    struct ws_digest digest = ws_sha256("abc", 3);
    struct ws_image_id id = ws_image_id_of(&digest);
    char text[WS_IMAGE_ID_HEX];
    ws_image_id_hex(&id, text);
    assert_int_equal(strlen(text), 32);
    assert_memory_equal(text, ABC_SHA256, 32);
}

static void parsing_takes_exact_hexadecimal_only(void **state)
{
    (void)state;
    struct ws_image_id id, before;
    assert_true(ws_image_id_parse("00112233445566778899AABBccddeeff", &id));
    assert_int_equal(id.bytes[1], 0x11);
    assert_int_equal(id.bytes[10], 0xAA);
    assert_int_equal(id.bytes[15], 0xFF);
    before = id;
    static const char *const wrong[] = {
        "",
        "0",
        "00112233445566778899aabbccddeef",
        "00112233445566778899aabbccddeeff0",
        "00112233445566778899aabbccddeefg",
        "0x112233445566778899aabbccddeeff",
        " 0112233445566778899aabbccddeeff",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(ws_image_id_parse(wrong[i], &id));
    assert_memory_equal(&id, &before, sizeof id);
    struct ws_digest digest, expected = ws_sha256("abc", 3);
    assert_true(ws_digest_parse(ABC_SHA256, &digest));
    assert_memory_equal(digest.bytes, expected.bytes, sizeof digest.bytes);
    assert_false(ws_digest_parse("ba78", &digest));
}

static void ids_compare_bytewise(void **state)
{
    (void)state;
    struct ws_image_id a = {{1, 2}}, b = {{1, 0xF0}};
    assert_true(ws_image_id_compare(&a, &b) < 0);
    assert_true(ws_image_id_compare(&b, &a) > 0);
    assert_int_equal(ws_image_id_compare(&a, &a), 0);
}

static void xxh64_agrees_with_its_specification(void **state)
{
    (void)state;
    assert_true(ws_xxh64("", 0, 0) == UINT64_C(0xEF46DB3751D8E999));
    assert_true(ws_xxh64("abc", 3, 0) == UINT64_C(0x44BC2CF5AD770999));
    assert_true(ws_xxh64("abc", 3, 1) != ws_xxh64("abc", 3, 0));
}

static void base32_agrees_with_rfc_4648(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", ""},
        {"f", "MY======"},
        {"fo", "MZXQ===="},
        {"foo", "MZXW6==="},
        {"foob", "MZXW6YQ="},
        {"fooba", "MZXW6YTB"},
        {"foobar", "MZXW6YTBOI======"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[17];
        ws_base32((const uint8_t *)cases[i][0], strlen(cases[i][0]), text);
        assert_string_equal(text, cases[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_agrees_with_fips_180),
        cmocka_unit_test(stream_agrees_with_one_shot_for_any_split),
        cmocka_unit_test_setup_teardown(file_digest_is_the_digest_of_its_bytes, temp_setup, temp_teardown),
        cmocka_unit_test(image_id_is_the_first_half_of_the_digest),
        cmocka_unit_test(parsing_takes_exact_hexadecimal_only),
        cmocka_unit_test(ids_compare_bytewise),
        cmocka_unit_test(xxh64_agrees_with_its_specification),
        cmocka_unit_test(base32_agrees_with_rfc_4648),
    };
    return cmocka_run_group_tests_name("hash", tests, NULL, NULL);
}
