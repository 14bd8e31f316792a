#include "webstill/base/fields.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct record {
    bool is_done;
    uint32_t n_tries;
    int64_t offset;
    uint64_t bytes;
    double share;
    char name[4];
    uint32_t n_skipped;
};

static const struct ws_field fields[] = {
    WS_FIELD(struct record, name, "name", WS_FIELD_TEXT),
    WS_FIELD(struct record, is_done, "done", WS_FIELD_BOOL),
    WS_FIELD(struct record, n_tries, "tries", WS_FIELD_U32),
    WS_FIELD(struct record, offset, "offset", WS_FIELD_I64),
    WS_FIELD(struct record, bytes, "bytes", WS_FIELD_U64),
    WS_FIELD(struct record, share, "share", WS_FIELD_F64),
    WS_FIELD_OPTIONAL(struct record, n_skipped, "skipped", WS_FIELD_U32),
    WS_FIELD_END,
};

static const char whole[] = "{\"name\":\"abc\",\"done\":true,\"tries\":4294967295,\"offset\":-9007199254740993,"
                            "\"bytes\":9223372036854775807,\"share\":0.5,\"skipped\":7}";

static void a_record_is_written_in_the_order_of_its_fields_and_read_back(void **state)
{
    (void)state;
    const struct record record = {true, UINT32_MAX, -9007199254740993, INT64_MAX, 0.5, "abc", 7};
    struct record back = {0};
    json_t *object = json_object();
    assert_true(ws_fields_save(fields, &record, object));
    char *text = json_dumps(object, JSON_COMPACT);
    assert_string_equal(text, whole);
    assert_true(ws_fields_load(fields, &back, object));
    assert_true(back.is_done && back.n_tries == record.n_tries && back.offset == record.offset &&
                back.bytes == record.bytes && fabs(back.share - 0.5) <= 0 && back.n_skipped == 7);
    assert_string_equal(back.name, "abc");
    free(text);
    json_decref(object);
}

/* The whole text with one member replaced, or taken out (NULL). */
static bool is_read(const char *name, const char *value, struct record *record)
{
    json_t *object = json_loads(whole, 0, NULL);
    if (value)
        json_object_set_new(object, name, json_loads(value, JSON_DECODE_ANY, NULL));
    else
        json_object_del(object, name);
    const bool is_fine = ws_fields_load(fields, record, object);
    json_decref(object);
    return is_fine;
}

static void members_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value;
        bool is_fine;
    } cases[] = {
        {"name", "\"\"", true},         {"name", "\"abcd\"", false}, {"name", "1", false},      {"name", NULL, false},
        {"done", "false", true},        {"done", "1", false},        {"tries", "0", true},      {"tries", "-1", false},
        {"tries", "4294967296", false}, {"tries", "1.0", false},     {"offset", "-1", true},    {"bytes", "-1", false},
        {"bytes", "null", false},       {"share", "2", true},        {"share", "\"2\"", false}, {"share", NULL, false},
        {"skipped", NULL, true},        {"skipped", "null", false},  {"other", "1", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct record record = {.n_skipped = 3};
        if (is_read(cases[i].name, cases[i].value, &record) != cases[i].is_fine)
            fail_msg("%s: %s", cases[i].name, cases[i].value ? cases[i].value : "missing");
        if (strcmp(cases[i].name, "skipped") == 0 && !cases[i].value)
            assert_int_equal(record.n_skipped, 3);
    }
    struct record record;
    assert_false(ws_fields_load(fields, &record, NULL));
}

static void what_json_has_not_is_not_written(void **state)
{
    (void)state;
    struct record record = {.share = (double)NAN};
    json_t *object = json_object();
    assert_false(ws_fields_save(fields, &record, object));
    record = (struct record){.bytes = UINT64_MAX};
    assert_false(ws_fields_save(fields, &record, object));
    record = (struct record){.name = "\xff"};
    assert_false(ws_fields_save(fields, &record, object));
    assert_false(ws_fields_save(fields, &record, NULL));
    json_decref(object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_is_written_in_the_order_of_its_fields_and_read_back),
        cmocka_unit_test(members_that_do_not_fit_are_refused),
        cmocka_unit_test(what_json_has_not_is_not_written),
    };
    return cmocka_run_group_tests_name("fields", tests, NULL, NULL);
}
