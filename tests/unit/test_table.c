/** Tables on disk: rows, transactions, snapshots, a full map, faults; packed values. */
#include "webstill/base/text.h"
#include "webstill/table/pack.h"
#include "webstill/table/tables.h"

#include "temp.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { FRUIT, TREES, N_TABLES };
enum { MAP_BYTES = 1 << 20 };

static void advise(struct ws_err *err, enum ws_tables_trouble trouble, const char *dir)
{
    static const char *const words[] = {"disk full", "map full", "no memory", "damaged"};
    ws_err_hint(err, "%s: %s", words[trouble], dir);
}

static const char *const names[N_TABLES] = {"fruit", "trees"};
static const struct ws_tables_kind kind = {.noun = "orchard", .names = names, .n_tables = N_TABLES, .advise = advise};

#define OK(call)                                                                                                       \
    do {                                                                                                               \
        struct ws_err err_text = {0}, *err = &err_text;                                                                \
        if ((call) != WS_OK)                                                                                           \
            fail_msg("%s: %s", #call, err_text.text);                                                                  \
    } while (0)

static struct ws_tables *open_tables(void **state)
{
    struct ws_tables *tables = NULL;
    OK(ws_tables_open(&tables, &kind, *state, MAP_BYTES, err));
    return tables;
}

static void put(struct ws_tables *tables, const char *key, const char *value)
{
    OK(ws_tables_put(tables, FRUIT, ws_text_span(key), ws_text_span(value), err));
}

/** The value of a key, or NULL. */
static const char *get(const struct ws_tables *tables, int table, const char *key)
{
    static char text[32];
    struct ws_span value;
    struct ws_err err = {0};
    const enum ws_status status = ws_tables_get(tables, table, ws_text_span(key), &value, &err);
    if (status == WS_DONE)
        return NULL;
    assert_int_equal(status, WS_OK);
    snprintf(text, sizeof text, "%.*s", (int)value.len, (const char *)value.ptr);
    return text;
}

static enum ws_status join(void *argument, struct ws_span key, struct ws_span value, struct ws_err *err)
{
    (void)value;
    (void)err;
    assert_true(ws_buf_add(argument, key.ptr, key.len) && ws_buf_add_str(argument, " "));
    return key.ptr[0] == 'z' ? WS_DONE : WS_OK;
}

static void check_walk(const struct ws_tables *tables, const char *prefix, const char *expected)
{
    struct ws_buf keys = {0};
    assert_true(ws_buf_add_str(&keys, ""));
    OK(ws_tables_each(tables, FRUIT, ws_text_span(prefix), join, &keys, err));
    assert_string_equal(keys.ptr ? keys.ptr : "", expected);
    ws_buf_fini(&keys);
}

static void rows_are_put_once_and_walked_in_order(void **state)
{
    struct ws_tables *tables = open_tables(state);
    struct ws_err slip = {0};
    int64_t n = 0;
    put(tables, "pear", "1");
    put(tables, "apple", "2");
    put(tables, "apricot", "3");
    assert_int_equal(ws_tables_add(tables, FRUIT, ws_text_span("pear"), ws_text_span("9"), &slip), WS_DONE);
    assert_string_equal(get(tables, FRUIT, "pear"), "1");
    assert_null(get(tables, TREES, "pear"));
    OK(ws_tables_count(tables, FRUIT, &n, err));
    assert_int_equal(n, 3);
    check_walk(tables, "", "apple apricot pear ");
    check_walk(tables, "ap", "apple apricot ");
    check_walk(tables, "plum", "");
    put(tables, "z", "");
    put(tables, "zz", "");
    check_walk(tables, "", "apple apricot pear z "); /* the visitor had enough */
    OK(ws_tables_delete(tables, FRUIT, ws_text_span("pear"), err));
    assert_int_equal(ws_tables_delete(tables, FRUIT, ws_text_span("pear"), &slip), WS_DONE);
    ws_tables_close(&tables);
    assert_null(tables);
}

static void seeking_finds_a_key_or_the_one_behind_it(void **state)
{
    static const struct {
        const char *from;
        bool is_behind;
        const char *found;
    } cases[] = {
        {"", false, "a"}, {"a", false, "a"}, {"a", true, "c"}, {"b", true, "c"}, {"c", true, NULL}, {"d", false, NULL},
    };
    struct ws_tables *tables = open_tables(state);
    put(tables, "a", "1");
    put(tables, "c", "2");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ws_span key, value;
        struct ws_err slip = {0};
        const enum ws_status status =
            ws_tables_seek(tables, FRUIT, ws_text_span(cases[i].from), cases[i].is_behind, &key, &value, &slip);
        assert_int_equal(status, cases[i].found ? WS_OK : WS_DONE);
        if (cases[i].found)
            assert_memory_equal(key.ptr, cases[i].found, key.len);
    }
    ws_tables_close(&tables);
}

static void what_was_not_committed_is_forgotten(void **state)
{
    struct ws_tables *tables = open_tables(state);
    put(tables, "kept", "1");
    OK(ws_tables_commit(tables, err));
    OK(ws_tables_begin(tables, err));
    put(tables, "lost", "2");
    ws_tables_close(&tables);
    tables = open_tables(state);
    assert_string_equal(get(tables, FRUIT, "kept"), "1");
    assert_null(get(tables, FRUIT, "lost"));
    ws_tables_close(&tables);
}

static void a_snapshot_without_its_tables_is_damaged(void **state)
{
    static const char *const others[] = {"fruit", "bees"};
    static const struct ws_tables_kind other = {.noun = "hive", .names = others, .n_tables = 2, .advise = advise};
    struct ws_tables *tables = open_tables(state);
    struct ws_err slip = {0};
    OK(ws_tables_commit(tables, err));
    ws_tables_close(&tables);
    assert_int_equal(ws_tables_open_snapshot(&tables, &other, *state, &slip), WS_E_DAMAGED);
    assert_null(tables);
    assert_non_null(strstr(slip.text, "hive "));
    assert_non_null(strstr(slip.hint, "damaged: "));
    OK(ws_tables_open_snapshot(&tables, &kind, *state, err));
    assert_null(get(tables, FRUIT, "pear"));
    ws_tables_close(&tables);
}

static void a_full_map_is_told_with_its_advice(void **state)
{
    static uint8_t big[60000];
    struct ws_tables *tables = open_tables(state);
    struct ws_err slip = {0};
    enum ws_status status = WS_OK;
    for (uint8_t i = 0; status == WS_OK && i < 100; i++)
        status = ws_tables_put(tables, TREES, ws_span_of(&i, 1), ws_span_of(big, sizeof big), &slip);
    assert_int_equal(status, WS_E_IO);
    assert_non_null(strstr(slip.text, "cannot write: "));
    assert_non_null(strstr(slip.hint, "map full: "));
    ws_tables_close(&tables);
}

static void a_path_that_is_too_long_is_refused(void **state)
{
    (void)state;
    static char dir[WS_TABLES_DIR_BYTES + 1];
    struct ws_tables *tables = NULL;
    struct ws_err slip = {0};
    memset(dir, 'd', WS_TABLES_DIR_BYTES);
    assert_int_equal(ws_tables_open(&tables, &kind, dir, MAP_BYTES, &slip), WS_E_IO);
    assert_string_equal(slip.text, "the orchard's path is longer than 3799 bytes");
}

static void looking_lists_tables_and_their_rows(void **state)
{
    struct ws_tables *tables = open_tables(state);
    struct ws_tables_facts facts;
    struct ws_err slip = {0};
    put(tables, "pear", "1");
    put(tables, "plum", "2");
    OK(ws_tables_commit(tables, err));
    ws_tables_close(&tables);
    OK(ws_tables_look(*state, &facts, err));
    assert_int_equal(facts.n_tables, 2);
    assert_string_equal(facts.tables[0].name, "fruit");
    assert_int_equal(facts.tables[0].n_rows, 2);
    assert_int_equal(facts.tables[1].n_rows, 0);
    assert_int_equal(facts.map_bytes, MAP_BYTES);
    assert_int_equal(ws_tables_look("/nowhere", &facts, &slip), WS_E_IO);
}

/** Fault in a child, after the guard has been left or within it; its wait status. */
static int fault(bool is_guarded)
{
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)signal(SIGSEGV, SIG_DFL);
        (void)close(STDERR_FILENO);
        ws_tables_guard("x");
        if (!is_guarded)
            ws_tables_unguard();
        volatile char *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE, open("/dev/zero", O_RDONLY), 0);
        page[0] = 1;
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void a_fault_within_the_guard_ends_as_damage(void **state)
{
    (void)state;
    const int within = fault(true), behind = fault(false);
    assert_true(WIFEXITED(within));
    assert_int_equal(WEXITSTATUS(within), 14);
    assert_true(WIFSIGNALED(behind));
    assert_int_equal(WTERMSIG(behind), SIGSEGV);
}

static void packed_values_come_back_and_cut_ones_do_not(void **state)
{
    (void)state;
    struct ws_buf buf = {0};
    struct ws_pack pack = {&buf, true};
    static const uint8_t bytes[] = {8, 7, 6, 5, 4, 3, 2, 1, 'a', 'b', 0};
    ws_pack_u64(&pack, 0x0102030405060708);
    ws_pack_text(&pack, "ab");
    assert_true(pack.is_ok);
    assert_int_equal(buf.len, sizeof bytes);
    assert_memory_equal(buf.ptr, bytes, sizeof bytes);
    for (size_t len = 0; len <= sizeof bytes; len++) {
        struct ws_unpack unpack = {ws_span_of(bytes, len), true};
        char text[3];
        const uint64_t number = ws_unpack_u64(&unpack);
        ws_unpack_text(&unpack, text, sizeof text);
        assert_int_equal(unpack.is_ok, len == sizeof bytes);
        assert_true(len < 8 || number == 0x0102030405060708);
    }
    struct ws_unpack unpack = {ws_span_of(bytes + 8, 3), true};
    char narrow[2];
    ws_unpack_text(&unpack, narrow, sizeof narrow);
    assert_false(unpack.is_ok);
    uint8_t key[8];
    ws_put_be64(key, 0x0102030405060708);
    assert_int_equal(key[0], 1);
    assert_true(ws_get_be64(key) == 0x0102030405060708 && ws_get_le(key, 2) == 0x0201);
    ws_buf_fini(&buf);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, temp_setup, temp_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(rows_are_put_once_and_walked_in_order),
        IN_FOLDER(seeking_finds_a_key_or_the_one_behind_it),
        IN_FOLDER(what_was_not_committed_is_forgotten),
        IN_FOLDER(a_snapshot_without_its_tables_is_damaged),
        IN_FOLDER(a_full_map_is_told_with_its_advice),
        cmocka_unit_test(a_path_that_is_too_long_is_refused),
        IN_FOLDER(looking_lists_tables_and_their_rows),
        cmocka_unit_test(a_fault_within_the_guard_ends_as_damage),
        cmocka_unit_test(packed_values_come_back_and_cut_ones_do_not),
    };
    return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
