/* Files are whole or absent: what a reader sees during, after and instead of a write; folders; locks between processes.
 */
#include "webstill/base/file.h"

#include "temp.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>

static void assert_content(const char *path, const char *expected)
{
    struct ws_buf text = {0};
    assert_int_equal(ws_file_read(path, 1 << 20, &text, NULL), WS_OK);
    assert_string_equal(text.ptr, expected);
    ws_buf_fini(&text);
}

static size_t count_files(const char *folder)
{
    struct ws_dir_list list;
    assert_int_equal(ws_dir_list_open(&list, folder, "", NULL), WS_OK);
    size_t n = list.n;
    ws_dir_list_close(&list);
    return n;
}

static void reading_gives_every_byte_and_a_nul(void **state)
{
    char path[TEMP_PATH];
    static char bytes[200000];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i * 7);
    temp_write(temp_join(path, *state, "large"), bytes, sizeof bytes);
    struct ws_buf out = {0};
    assert_int_equal(ws_file_read(path, sizeof bytes, &out, NULL), WS_OK);
    assert_int_equal(out.len, sizeof bytes);
    assert_memory_equal(out.ptr, bytes, sizeof bytes);
    assert_int_equal(out.ptr[out.len], 0);
    temp_write(path, "", 0);
    assert_int_equal(ws_file_read(path, 0, &out, NULL), WS_OK);
    assert_int_equal(out.len, 0);
    ws_buf_fini(&out);
    assert_int_equal(ws_file_read(path, 0, &out, NULL), WS_OK);
    assert_string_equal(out.ptr, ""); /* text even when empty */
    ws_buf_fini(&out);
}

static void reading_refuses_what_is_too_large_or_absent(void **state)
{
    char path[TEMP_PATH];
    struct ws_buf out = {0};
    struct ws_err err = {0};
    temp_write(temp_join(path, *state, "six"), "sixsix", 6);
    assert_int_equal(ws_file_read(path, 5, &out, &err), WS_E_FORMAT);
    assert_non_null(strstr(err.text, "expected at most 5 bytes, found 6"));
    assert_int_equal(ws_file_read(temp_join(path, *state, "absent"), 5, &out, &err), WS_E_IO);
    assert_non_null(strstr(err.text, "absent: No such file"));
    assert_int_equal(ws_file_read(*state, 5000, &out, &err), WS_E_IO);
    assert_int_equal(ws_file_read("/dev/zero", 100000, &out, &err), WS_E_FORMAT); /* no size beforehand */
    assert_int_equal(out.len, 0);
    ws_buf_fini(&out);
}

static void replacing_makes_folders_and_leaves_no_temporary(void **state)
{
    char path[TEMP_PATH], folder[TEMP_PATH];
    temp_join(path, *state, "a/b/c.json");
    assert_int_equal(ws_file_replace(path, "one", 3, NULL), WS_OK);
    assert_content(path, "one");
    assert_int_equal(ws_file_replace(path, "", 0, NULL), WS_OK);
    assert_content(path, "");
    assert_int_equal(count_files(temp_join(folder, *state, "a/b")), 1);
}

static void old_content_stands_until_finish(void **state)
{
    char path[TEMP_PATH];
    temp_write(temp_join(path, *state, "f"), "old", 3);
    struct ws_file_writer writer;
    assert_int_equal(ws_file_writer_open(&writer, path, NULL), WS_OK);
    assert_true(fputs("new", writer.stream) >= 0);
    fflush(writer.stream);
    assert_content(path, "old");
    assert_int_equal(ws_file_writer_finish(&writer, NULL), WS_OK);
    assert_content(path, "new");
    ws_file_writer_close(&writer); /* does nothing after finish */
    assert_content(path, "new");
    assert_int_equal(count_files(*state), 1);
}

static void close_without_finish_publishes_nothing(void **state)
{
    char path[TEMP_PATH];
    temp_join(path, *state, "f");
    struct ws_file_writer writer = {0};
    ws_file_writer_close(&writer);
    assert_int_equal(ws_file_writer_open(&writer, path, NULL), WS_OK);
    fputs("half", writer.stream);
    ws_file_writer_close(&writer);
    assert_int_equal(count_files(*state), 0);
}

static void second_writer_of_a_path_is_refused_and_the_first_unharmed(void **state)
{
    char path[TEMP_PATH];
    temp_join(path, *state, "f");
    struct ws_file_writer first, second;
    assert_int_equal(ws_file_writer_open(&first, path, NULL), WS_OK);
    assert_int_equal(ws_file_writer_open(&second, path, NULL), WS_E_IO);
    ws_file_writer_close(&second);
    fputs("first", first.stream);
    assert_int_equal(ws_file_writer_finish(&first, NULL), WS_OK);
    assert_content(path, "first");
}

static void leftovers_of_killed_writers_are_swept(void **state)
{
    char path[TEMP_PATH], other[TEMP_PATH], mine[TEMP_PATH + 32];
    temp_join(path, *state, "f");
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct ws_file_writer writer;
        if (ws_file_writer_open(&writer, path, NULL) == WS_OK)
            kill(getpid(), SIGKILL);
        _exit(1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(count_files(*state), 1);
    snprintf(mine, sizeof mine, "%s.tmp.%ld", path, (long)getpid()); /* a pid that came round again */
    temp_write(mine, "x", 1);
    temp_write(temp_join(other, *state, "ff.tmp.1"), "x", 1); /* of another file */
    assert_int_equal(ws_file_replace(path, "new", 3, NULL), WS_OK);
    assert_content(path, "new");
    assert_int_equal(count_files(*state), 2);
    assert_true(ws_file_exists(other));
}

/* In a child, because the limit stays with the process. */
static void write_beyond_limit(const char *path)
{
    static char bytes[100000];
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = {5000, RLIM_INFINITY};
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
        _exit(10);
    struct ws_err err = {0};
    if (ws_file_replace(path, bytes, sizeof bytes, &err) != WS_E_IO)
        _exit(11);
    if (strstr(err.text, path) == NULL)
        _exit(12);
    struct ws_file_writer writer;
    if (ws_file_writer_open(&writer, path, NULL) != WS_OK)
        _exit(13);
    for (int i = 0; i < 20000; i++)
        fprintf(writer.stream, "%d\n", i); /* unchecked, as stdio allows: finish must notice */
    limit.rlim_cur = RLIM_INFINITY;        /* the disk has room again, but bytes are missing */
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
        _exit(15);
    if (ws_file_writer_finish(&writer, &err) != WS_E_IO)
        _exit(14);
    _exit(0);
}

static void failed_write_keeps_the_old_content_and_no_temporary(void **state)
{
    char path[TEMP_PATH];
    temp_write(temp_join(path, *state, "f"), "old", 3);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        write_beyond_limit(path);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_content(path, "old");
    assert_int_equal(count_files(*state), 1);
}

static void identical_content_leaves_the_file_untouched(void **state)
{
    char path[TEMP_PATH];
    struct stat before, after;
    temp_write(temp_join(path, *state, "f"), "same", 4);
    assert_int_equal(stat(path, &before), 0);
    assert_int_equal(ws_file_replace_if_changed(path, "same", 4, NULL), WS_OK);
    assert_int_equal(stat(path, &after), 0);
    assert_true(before.st_ino == after.st_ino && before.st_mtim.tv_nsec == after.st_mtim.tv_nsec);
    assert_int_equal(ws_file_replace_if_changed(path, "SAME", 4, NULL), WS_OK);
    assert_content(path, "SAME");
    assert_int_equal(ws_file_replace_if_changed(temp_join(path, *state, "g"), "new", 3, NULL), WS_OK);
    assert_content(path, "new");
}

static void map_shows_the_file(void **state)
{
    char path[TEMP_PATH];
    struct ws_file_map map;
    struct ws_err err = {0};
    temp_write(temp_join(path, *state, "f"), "mapped", 6);
    assert_int_equal(ws_file_map_open(&map, path, NULL), WS_OK);
    assert_int_equal(map.bytes.len, 6);
    assert_memory_equal(map.bytes.ptr, "mapped", 6);
    ws_file_map_close(&map);
    temp_write(path, "", 0);
    assert_int_equal(ws_file_map_open(&map, path, NULL), WS_OK);
    assert_int_equal(map.bytes.len, 0);
    ws_file_map_close(&map);
    ws_file_map_close(&map);
    assert_int_equal(ws_file_map_open(&map, *state, &err), WS_E_IO);
    assert_non_null(strstr(err.text, "not a regular file"));
    assert_int_equal(ws_file_map_open(&map, "build/no/such", &err), WS_E_IO);
}

static void folders_are_made_in_any_spelling(void **state)
{
    char path[TEMP_PATH];
    struct ws_err err = {0};
    assert_int_equal(ws_dir_make(temp_join(path, *state, "a//b/./c/"), NULL), WS_OK);
    assert_int_equal(ws_dir_make(path, NULL), WS_OK);
    assert_int_equal(ws_dir_make(".", NULL), WS_OK);
    assert_int_equal(ws_dir_make("/", NULL), WS_OK);
    assert_true(ws_file_exists(temp_join(path, *state, "a/b/c")));
    temp_write(temp_join(path, *state, "file"), "", 0);
    assert_int_equal(ws_dir_make(temp_join(path, *state, "file/below"), &err), WS_E_IO);
    assert_non_null(strstr(err.text, "file: a file has that name"));
    assert_int_equal(ws_dir_sync(*state, NULL), WS_OK);
    assert_int_equal(ws_dir_sync("build/no/such", &err), WS_E_IO);
}

static void endless_paths_are_errors(void **state)
{
    (void)state;
    static char path[6000];
    memset(path, 'a', sizeof path - 1);
    path[3000] = '/';
    struct ws_err err = {0};
    struct ws_file_writer writer;
    struct ws_lock lock;
    assert_int_equal(ws_file_writer_open(&writer, path, &err), WS_E_IO);
    ws_file_writer_close(&writer);
    path[5000] = '/';
    assert_int_equal(ws_dir_make(path, &err), WS_E_IO);
    assert_non_null(strstr(err.text, "longer than"));
    assert_int_equal(ws_lock_take(&lock, path, "p", &err), WS_E_IO);
}

static void sizes_are_told(void **state)
{
    char path[TEMP_PATH];
    temp_write(temp_join(path, *state, "f"), "12345", 5);
    assert_int_equal(ws_file_size(path), 5);
    assert_true(ws_file_exists(path));
    assert_int_equal(ws_file_size(temp_join(path, *state, "g")), -1);
    assert_false(ws_file_exists(path));
}

static void listing_is_filtered_and_sorted(void **state)
{
    static const char *const names[] = {"b.warc.gz", "a.warc.gz", "B.warc.gz", "c.warc",
                                        "gz",        ".warc.gz",  "10.warc.gz"};
    static const char *const expected[] = {".warc.gz", "10.warc.gz", "B.warc.gz", "a.warc.gz", "b.warc.gz"};
    char path[TEMP_PATH];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        temp_write(temp_join(path, *state, names[i]), "", 0);
    struct ws_dir_list list;
    assert_int_equal(ws_dir_list_open(&list, *state, ".warc.gz", NULL), WS_OK);
    assert_int_equal(list.n, 5);
    for (size_t i = 0; i < list.n; i++)
        assert_string_equal(list.names[i], expected[i]);
    ws_dir_list_close(&list);
    assert_int_equal(ws_dir_list_open(&list, "build/no/such", "", NULL), WS_OK);
    assert_int_equal(list.n, 0);
    ws_dir_list_close(&list);
    assert_int_equal(ws_dir_list_open(&list, path, "", NULL), WS_E_IO); /* a file */
}

static void lock_keeps_a_second_process_out_and_names_the_first(void **state)
{
    char path[TEMP_PATH], expected[64];
    struct ws_lock lock = {0}, second;
    struct ws_err err = {0};
    ws_lock_release(&lock);
    temp_join(path, *state, "work/lock");
    assert_int_equal(ws_lock_take(&lock, path, "webstill-crawl", &err), WS_OK);
    assert_int_equal(ws_lock_take(&second, path, "webstill-store", &err), WS_E_LOCKED);
    assert_int_equal(second.fd, 0);
    snprintf(expected, sizeof expected, "pid %ld program webstill-crawl since 2", (long)getpid());
    assert_non_null(strstr(err.text, expected));
    assert_non_null(strstr(err.text, path));
    assert_true(err.hint[0] != '\0');
    ws_lock_release(&lock);
    assert_int_equal(lock.fd, 0);
    assert_int_equal(ws_lock_take(&second, path, "webstill-store", &err), WS_OK);
    ws_lock_release(&second);
}

static void lock_goes_with_a_killed_process(void **state)
{
    char path[TEMP_PATH], byte;
    temp_join(path, *state, "lock");
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct ws_lock held;
        if (ws_lock_take(&held, path, "child", NULL) != WS_OK || write(ends[1], "x", 1) != 1)
            _exit(1);
        pause();
        _exit(1);
    }
    struct ws_lock lock;
    struct ws_err err = {0};
    assert_int_equal(read(ends[0], &byte, 1), 1);
    assert_int_equal(ws_lock_take(&lock, path, "parent", &err), WS_E_LOCKED);
    assert_non_null(strstr(err.text, "program child"));
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(ws_lock_take(&lock, path, "parent", &err), WS_OK);
    ws_lock_release(&lock);
    close(ends[0]);
    close(ends[1]);
}

static void lock_works_with_standard_input_closed(void **state)
{
    char path[TEMP_PATH];
    temp_join(path, *state, "lock");
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(0);
        struct ws_lock lock, second;
        if (ws_lock_take(&lock, path, "child", NULL) != WS_OK || lock.fd == 0)
            _exit(1);
        _exit(ws_lock_take(&second, path, "child", NULL) == WS_E_LOCKED ? 0 : 2);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

#define WITH_FOLDER(name) cmocka_unit_test_setup_teardown(name, temp_setup, temp_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(reading_gives_every_byte_and_a_nul),
        WITH_FOLDER(reading_refuses_what_is_too_large_or_absent),
        WITH_FOLDER(replacing_makes_folders_and_leaves_no_temporary),
        WITH_FOLDER(old_content_stands_until_finish),
        WITH_FOLDER(close_without_finish_publishes_nothing),
        WITH_FOLDER(second_writer_of_a_path_is_refused_and_the_first_unharmed),
        WITH_FOLDER(leftovers_of_killed_writers_are_swept),
        WITH_FOLDER(failed_write_keeps_the_old_content_and_no_temporary),
        WITH_FOLDER(identical_content_leaves_the_file_untouched),
        WITH_FOLDER(map_shows_the_file),
        WITH_FOLDER(folders_are_made_in_any_spelling),
        WITH_FOLDER(endless_paths_are_errors),
        WITH_FOLDER(sizes_are_told),
        WITH_FOLDER(listing_is_filtered_and_sorted),
        WITH_FOLDER(lock_keeps_a_second_process_out_and_names_the_first),
        WITH_FOLDER(lock_goes_with_a_killed_process),
        WITH_FOLDER(lock_works_with_standard_input_closed),
    };
    return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}
