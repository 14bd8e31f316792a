/* safetensors: round trips, every truncation, every flipped bit, and the ways in which a foreign file can lie. */
#include "../unit/temp.h"

#include "webstill/base/buf.h"
#include "webstill/base/file.h"
#include "webstill/tensors/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t IDS[3] = {7, 8, 9};
static const float WEIGHTS[6] = {1.5f, -2.0f, 0.25f, 3e9f, -0.0f, 1e-30f};
static const int64_t COUNTS[2] = {-5, INT64_MAX};
static const double THRESHOLD = 0.95;

/* Odd sizes on purpose: in this order, only sorting by element size keeps the larger types aligned. */
static enum ws_status write_example(const char *path, struct ws_err *err)
{
    const struct ws_tensor_entry entries[] = {
        {.name = "ids", .dtype = WS_U8, .rank = 1, .shape = {3}, .data = IDS, .size_bytes = sizeof(IDS)},
        {.name = "w", .dtype = WS_F32, .rank = 2, .shape = {2, 3}, .data = WEIGHTS, .size_bytes = sizeof(WEIGHTS)},
        {.name = "n", .dtype = WS_I64, .rank = 1, .shape = {2}, .data = COUNTS, .size_bytes = sizeof(COUNTS)},
        {.name = "tau", .dtype = WS_F64, .rank = 0, .data = &THRESHOLD, .size_bytes = sizeof(THRESHOLD)},
        {.name = "empty", .dtype = WS_F32, .rank = 2, .shape = {0, 4}, .data = NULL, .size_bytes = 0},
    };
    const struct ws_metadata metadata[] = {{"epoch", "3"}, {"webstill.card", "{\"arch\":\"resnet20\",\"ü\":1}"}};
    return ws_tensors_write(path, entries, 5, metadata, 2, err);
}

static void read_bytes(const char *path, struct ws_buf *out)
{
    struct ws_err err = {0};
    if (ws_file_read(path, 1 << 20, out, &err) != WS_OK)
        fail_msg("%s", err.text);
}

static void returns_what_was_written(void **state)
{
    char path[TEMP_PATH];
    struct ws_err err = {0};
    struct ws_tensors *tensors = NULL;
    temp_join(path, *state, "new/a.safetensors");
    assert_int_equal(write_example(path, &err), WS_OK);
    if (ws_tensors_open(&tensors, path, &err) != WS_OK)
        fail_msg("%s", err.text);
    assert_int_equal(ws_tensors_count(tensors), 5);
    assert_string_equal(ws_tensors_at(tensors, 0)->name, "ids");
    const struct ws_tensor_entry *w = ws_tensors_find(tensors, "w");
    assert_non_null(w);
    assert_int_equal(w->rank, 2);
    assert_int_equal(w->shape[1], 3);
    assert_memory_equal(w->data, WEIGHTS, sizeof(WEIGHTS));
    assert_memory_equal(ws_tensors_find(tensors, "ids")->data, IDS, sizeof(IDS));
    assert_memory_equal(ws_tensors_find(tensors, "n")->data, COUNTS, sizeof(COUNTS));
    assert_memory_equal(ws_tensors_find(tensors, "tau")->data, &THRESHOLD, sizeof(THRESHOLD));
    assert_int_equal(ws_tensors_find(tensors, "empty")->size_bytes, 0);
    assert_null(ws_tensors_find(tensors, "absent"));
    assert_string_equal(ws_tensors_metadata(tensors, "epoch"), "3");
    assert_string_equal(ws_tensors_metadata(tensors, "webstill.card"), "{\"arch\":\"resnet20\",\"ü\":1}");
    assert_int_equal(ws_tensors_metadata_count(tensors), 4);
    for (size_t i = 0; i < ws_tensors_count(tensors); i++) {
        const struct ws_tensor_entry *e = ws_tensors_at(tensors, i);
        assert_int_equal((uintptr_t)e->data % ws_dtype_size(e->dtype), 0);
    }
    ws_tensors_close(&tensors);
    assert_null(tensors);
    ws_tensors_close(&tensors);
}

static void writes_the_same_bytes_twice(void **state)
{
    char path[TEMP_PATH];
    struct ws_err err = {0};
    struct ws_buf first = {0}, second = {0};
    temp_join(path, *state, "a.safetensors");
    assert_int_equal(write_example(path, &err), WS_OK);
    read_bytes(path, &first);
    assert_int_equal(write_example(path, &err), WS_OK);
    read_bytes(path, &second);
    assert_int_equal(first.len, second.len);
    assert_memory_equal(first.ptr, second.ptr, first.len);
    ws_buf_fini(&first);
    ws_buf_fini(&second);
}

static enum ws_status try_bytes(const char *path, const void *bytes, size_t len)
{
    struct ws_err err = {0};
    struct ws_tensors *tensors = NULL;
    temp_write(path, bytes, len);
    const enum ws_status status = ws_tensors_open(&tensors, path, &err);
    assert_true((status == WS_OK) == (tensors != NULL));
    assert_true((status == WS_OK) == (err.text[0] == '\0'));
    ws_tensors_close(&tensors);
    return status;
}

static void refuses_every_truncation(void **state)
{
    char path[TEMP_PATH], cut[TEMP_PATH];
    struct ws_err err = {0};
    struct ws_buf bytes = {0};
    temp_join(path, *state, "a.safetensors");
    temp_join(cut, *state, "cut.safetensors");
    assert_int_equal(write_example(path, &err), WS_OK);
    read_bytes(path, &bytes);
    for (size_t len = 0; len < bytes.len; len++) {
        if (try_bytes(cut, bytes.ptr, len) == WS_OK)
            fail_msg("a file cut to %zu of %zu bytes was accepted", len, bytes.len);
    }
    char *longer = malloc(bytes.len + 1);
    assert_non_null(longer);
    memcpy(longer, bytes.ptr, bytes.len);
    longer[bytes.len] = 'x';
    assert_int_equal(try_bytes(cut, longer, bytes.len + 1), WS_E_FORMAT);
    free(longer);
    ws_buf_fini(&bytes);
}

static void refuses_every_flipped_bit(void **state)
{
    char path[TEMP_PATH], flipped[TEMP_PATH];
    struct ws_err err = {0};
    struct ws_buf bytes = {0};
    temp_join(path, *state, "a.safetensors");
    temp_join(flipped, *state, "flipped.safetensors");
    assert_int_equal(write_example(path, &err), WS_OK);
    read_bytes(path, &bytes);
    for (size_t i = 0; i < bytes.len * 8; i++) {
        bytes.ptr[i / 8] = (char)(bytes.ptr[i / 8] ^ (1 << (i % 8)));
        if (try_bytes(flipped, bytes.ptr, bytes.len) == WS_OK)
            fail_msg("bit %zu of byte %zu was flipped and the file accepted", i % 8, i / 8);
        bytes.ptr[i / 8] = (char)(bytes.ptr[i / 8] ^ (1 << (i % 8)));
    }
    ws_buf_fini(&bytes);
}

/* A file around a header text and `n_data` zero bytes, as any other tool might write it. */
static enum ws_status try_header(const char *path, const char *header, size_t n_data)
{
    const size_t n_header = strlen(header);
    uint8_t bytes[4096] = {0};
    assert_true(8 + n_header + n_data <= sizeof(bytes));
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)((uint64_t)n_header >> (8 * i));
    memcpy(bytes + 8, header, n_header);
    return try_bytes(path, bytes, 8 + n_header + n_data);
}

static void judges_foreign_headers(void **state)
{
    static const struct {
        const char *header;
        size_t n_data;
        enum ws_status expected;
    } cases[] = {
        {"{}", 0, WS_OK},
        {"{}   ", 0, WS_OK},
        {"{}", 1, WS_E_FORMAT}, /* bytes that belong to nothing */
        {" {}", 0, WS_E_FORMAT},
        {"[]", 0, WS_E_FORMAT},
        {"{}x", 0, WS_E_FORMAT},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, WS_OK},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 3, WS_E_FORMAT},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, WS_E_FORMAT},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4, WS_E_FORMAT},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1.0],\"data_offsets\":[0,4]}}", 4, WS_E_FORMAT},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,4]}}", 4, WS_E_FORMAT},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8, WS_E_FORMAT}, /* hole in front */
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]}}", 4, WS_E_FORMAT},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4, WS_E_FORMAT},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, WS_E_FORMAT},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, WS_E_FORMAT},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"more\":1}}", 4, WS_E_FORMAT},
        {"{\"a\":{\"dtype\":\"F8_E4M3\",\"shape\":[4],\"data_offsets\":[0,4]}}", 4, WS_E_UNSUPPORTED},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,4],\"data_offsets\":[0,4]}}", 4, WS_E_UNSUPPORTED},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
         "\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[2,4]}}",
         4, WS_E_FORMAT}, /* a name twice */
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]},"
         "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[2,4]}}",
         4, WS_E_FORMAT}, /* overlap */
        {"{\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[3,4]},"
         "\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}",
         4, WS_E_FORMAT}, /* hole */
        {"{\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[2,4]},"
         "\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}",
         4, WS_OK}, /* any order of names */
        {"{\"__metadata__\":{\"k\":1}}", 0, WS_E_FORMAT},
        {"{\"__metadata__\":[]}", 0, WS_E_FORMAT},
        {"{\"__metadata__\":{\"k\":\"v\"}}", 0, WS_OK},
        {"{\"__metadata__\":{\"webstill.digest\":\"00\"}}", 0, WS_E_FORMAT},
    };
    char path[TEMP_PATH];
    temp_join(path, *state, "foreign.safetensors");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const enum ws_status status = try_header(path, cases[i].header, cases[i].n_data);
        if (status != cases[i].expected)
            fail_msg("%s + %zu bytes: %s, expected %s", cases[i].header, cases[i].n_data, ws_status_name(status),
                     ws_status_name(cases[i].expected));
    }
}

static void refuses_a_header_length_over_the_ceiling(void **state)
{
    static const uint8_t huge[16] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, '{', '}'};
    static const uint8_t over[16] = {0x01, 0xe1, 0xf5, 0x05, 0, 0, 0, 0, '{', '}'}; /* 100 MB + 1 */
    char path[TEMP_PATH];
    temp_join(path, *state, "huge.safetensors");
    assert_int_equal(try_bytes(path, huge, sizeof(huge)), WS_E_FORMAT);
    assert_int_equal(try_bytes(path, over, sizeof(over)), WS_E_FORMAT);
}

static void aligns_what_a_foreign_writer_did_not(void **state)
{
    const char *header = "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
                         "\"b\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[1,9]}}";
    const size_t n_header = strlen(header);
    const double value = 2.5;
    uint8_t bytes[256] = {(uint8_t)n_header};
    char path[TEMP_PATH];
    struct ws_err err = {0};
    struct ws_tensors *tensors = NULL;
    memcpy(bytes + 8, header, n_header);
    memcpy(bytes + 8 + n_header + 1, &value, sizeof(value));
    temp_join(path, *state, "odd.safetensors");
    temp_write(path, bytes, 8 + n_header + 9);
    assert_int_equal(ws_tensors_open(&tensors, path, &err), WS_OK);
    const struct ws_tensor_entry *b = ws_tensors_find(tensors, "b");
    assert_int_equal((uintptr_t)b->data % 8, 0);
    assert_memory_equal(b->data, &value, sizeof(value));
    ws_tensors_close(&tensors);
}

static void names_the_tensor_and_the_file_when_it_refuses(void **state)
{
    const char *header = "{\"conv1.weight\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}";
    uint8_t bytes[256] = {(uint8_t)strlen(header)};
    char path[TEMP_PATH];
    struct ws_err err = {0};
    struct ws_tensors *tensors = NULL;
    memcpy(bytes + 8, header, strlen(header));
    temp_join(path, *state, "w.safetensors");
    temp_write(path, bytes, 8 + strlen(header) + 4);
    assert_int_equal(ws_tensors_open(&tensors, path, &err), WS_E_FORMAT);
    assert_non_null(strstr(err.text, "w.safetensors"));
    assert_non_null(strstr(err.text, "conv1.weight"));
    assert_non_null(strstr(err.text, "needs 8 bytes"));
}

static void refuses_to_write_what_it_could_not_read(void **state)
{
    const uint8_t byte = 1;
    const struct ws_tensor_entry twice[] = {
        {.name = "a", .dtype = WS_U8, .rank = 1, .shape = {1}, .data = &byte, .size_bytes = 1},
        {.name = "a", .dtype = WS_U8, .rank = 1, .shape = {1}, .data = &byte, .size_bytes = 1}};
    const struct ws_tensor_entry wrong = {
        .name = "a", .dtype = WS_F32, .rank = 1, .shape = {1}, .data = &byte, .size_bytes = 1};
    const struct ws_metadata bad = {"alt", "\xff"};
    char path[TEMP_PATH];
    struct ws_err err = {0};
    temp_join(path, *state, "never.safetensors");
    assert_int_equal(ws_tensors_write(path, twice, 2, NULL, 0, &err), WS_E_INTERNAL);
    assert_int_equal(ws_tensors_write(path, &wrong, 1, NULL, 0, &err), WS_E_INTERNAL);
    assert_int_equal(ws_tensors_write(path, twice, 1, &bad, 1, &err), WS_E_FORMAT);
    assert_false(ws_file_exists(path));
}

/* The reader in read_tensors.py was written from the header file's text alone. */
static void is_read_by_a_stranger(void **state)
{
    char path[TEMP_PATH], command[TEMP_PATH + 100], line[512], all[4096] = "";
    struct ws_err err = {0};
    if (access("/usr/bin/python3", X_OK) != 0 || system("/usr/bin/python3 -c 'import numpy' 2>/dev/null") != 0)
        skip();
    temp_join(path, *state, "a.safetensors");
    assert_int_equal(write_example(path, &err), WS_OK);
    snprintf(command, sizeof(command), "/usr/bin/python3 tests/format/read_tensors.py %s", path);
    FILE *stream = popen(command, "r");
    assert_non_null(stream);
    while (fgets(line, sizeof(line), stream))
        strncat(all, line, sizeof(all) - strlen(all) - 1);
    assert_int_equal(pclose(stream), 0);
    assert_non_null(strstr(all, "ids U8 [3] [7, 8, 9]\n"));
    assert_non_null(strstr(all, "w F32 [2, 3] [1.5, -2.0, 0.25, 3000000000.0]\n"));
    assert_non_null(strstr(all, "n I64 [2] [-5, 9223372036854775807]\n"));
    assert_non_null(strstr(all, "tau F64 [] [0.95]\n"));
    assert_non_null(strstr(all, "epoch = 3\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(returns_what_was_written, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(writes_the_same_bytes_twice, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(refuses_every_truncation, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(refuses_every_flipped_bit, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(judges_foreign_headers, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(refuses_a_header_length_over_the_ceiling, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(aligns_what_a_foreign_writer_did_not, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(names_the_tensor_and_the_file_when_it_refuses, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(refuses_to_write_what_it_could_not_read, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(is_read_by_a_stranger, temp_setup, temp_teardown),
    };
    return cmocka_run_group_tests_name("tensors", tests, NULL, NULL);
}
