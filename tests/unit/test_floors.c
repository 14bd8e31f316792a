/*
 * The floors: an include never runs up, and a library stays in the room that needs it.
 *
 * Every .c and .h of the sources is read; a forbidden include is reported as file:line, whether or not it compiles.
 */
#include "webstill/base/buf.h"
#include "webstill/base/file.h"

#include "temp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>

#include <cmocka.h>

/*
 * What a room may include: the rooms below it, by the first word behind include/webstill/ or behind its floor's folder.
 * The longest folder that begins a path decides. A room's own headers are always allowed.
 */
#define BASE " base conf "
#define STORE BASE " stage table warc picture images tensors "
static const struct room {
    const char *folder;
    const char *allowed; /* words, a space around each */
} rooms[] = {
    {"include/webstill/base/", " base "},
    {"include/webstill/conf/", BASE},
    {"include/webstill/stage/", BASE " stage "},
    {"include/webstill/table/", BASE " table "},
    {"include/webstill/warc/", BASE " warc "},
    {"include/webstill/picture/", BASE " stage picture "},
    {"include/webstill/images/", BASE " images "},
    {"include/webstill/tensors/", BASE " tensors "},
    {"include/webstill/curate/", STORE " curate "},
    {"include/webstill/nn/", " base nn "},
    {"store/base/", " base "},
    {"store/conf/", BASE},
    {"store/stage/", BASE " stage "},
    {"store/front/", BASE " stage "},
    {"store/table/", BASE " table "},
    {"store/warc/", BASE " table warc "},
    {"store/picture/", BASE " stage images picture "},
    {"store/images/", BASE " table images "},
    {"store/tensors/", BASE " tensors "},
    {"store/ingest/", STORE},
    {"store/look/", STORE},
    {"store/report/", STORE},
    {"store/", STORE " report "},
    {"crawler/net/", BASE},
    {"crawler/page/", BASE " stage net "},
    {"crawler/books/", BASE " stage table warc net "},
    {"crawler/turn/", BASE " net books "},
    {"crawler/source/", BASE " net page books "},
    {"crawler/job/", BASE " net page books turn source "},
    {"crawler/", STORE " net page books turn source job "},
    {"curate/", STORE " curate "},
    {"distill/nn/graph/", " base nn "},
    {"distill/nn/plan/", " base nn "},
    {"distill/nn/op/", " base nn graph plan cpu onnx "},
    {"distill/nn/cpu/", " base nn graph plan "},
    {"distill/nn/loss/", " base nn "},
    {"distill/nn/onnx/", " base nn graph "},
    {"distill/nn/zoo/", " base nn graph "},
    {"distill/keys/", STORE " nn keys "},
    {"distill/data/", STORE " keys "},
    {"distill/model/", STORE " nn data keys "},
    {"distill/measure/", " base "},
    {"distill/learn/", STORE " curate nn keys data model "},
    {"distill/prepare/", STORE " curate nn keys data model learn "},
    {"distill/method/", STORE " curate nn keys data model learn prepare method "},
    {"distill/stage/", STORE " curate nn keys data measure model learn prepare method "},
    {"distill/", STORE " curate nn keys method "},
};

/* The folders whose rooms see each other's headers as "room/name.h". */
static const char *const floors[] = {"distill/nn/", "distill/", "crawler/", "store/"};
/* These are reached by include/webstill/ alone. */
static const char *const closed[] = {"store/base/", "store/conf/"};

/* Libraries that belong to one room: the crawler links no BLAS, the trainer no libcurl and no libxml2. */
static const struct library {
    const char *header; /* begins the name between < and > */
    const char *folder; /* the files that may include it begin with this */
} libraries[] = {
    {"curl/", "crawler/"},       {"ares.h", "crawler/"},
    {"libxml/", "crawler/"},     {"jpeglib.h", "store/"},
    {"png.h", "store/"},         {"webp/", "store/"},
    {"seccomp.h", "store/"},     {"yaml.h", "store/conf/"},
    {"openssl/", "store/"},      {"xxhash.h", "store/base/"},
    {"lmdb.h", "store/table/"},  {"cblas.h", "distill/nn/"},
    {"openblas", "distill/nn/"}, {"protobuf-c/", "distill/nn/"},
    {"onnx", "distill/nn/"},
};

static const char *const source_folders[] = {"store", "crawler", "curate", "distill", "include"};

/* Headers that the build generates beside the objects. */
static const char *const generated[] = {"distill/nn/onnx/onnx.pb-c.h"};

static bool begins_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static const struct room *find_room(const char *path)
{
    const struct room *best = NULL;
    for (size_t i = 0; i < sizeof rooms / sizeof rooms[0]; i++)
        if (begins_with(path, rooms[i].folder) && (best == NULL || strlen(rooms[i].folder) > strlen(best->folder)))
            best = &rooms[i];
    return best;
}

/* Is the word that begins `name`, a room, one of those allowed? */
static bool is_room_allowed(const struct room *room, const char *name)
{
    char word[64];
    snprintf(word, sizeof word, " %.*s ", (int)strcspn(name, "/"), name);
    return strstr(room->allowed, word) != NULL;
}

static bool is_of_allowed_room(const struct room *room, const char *path, const char *name)
{
    char header[TEMP_PATH];
    for (size_t i = 0; i < sizeof floors / sizeof floors[0]; i++) {
        if (!begins_with(path, floors[i]))
            continue;
        snprintf(header, sizeof header, "%s%s", floors[i], name);
        for (size_t k = 0; k < sizeof closed / sizeof closed[0]; k++)
            if (begins_with(header, closed[k]))
                return false;
        /* a program's own headers lie on its floor itself */
        return ws_file_exists(header) && (strchr(name, '/') == NULL || is_room_allowed(room, name));
    }
    return false;
}

/* A private header lies in the room of the file itself, or in a room of its floor that it may look into. */
static bool is_private_allowed(const struct room *room, const char *path, const char *name)
{
    if (is_of_allowed_room(room, path, name))
        return true;
    if (strchr(name, '/') != NULL)
        return false;
    char header[TEMP_PATH];
    int folder_length = (int)(strrchr(path, '/') + 1 - path);
    snprintf(header, sizeof header, "%.*s%s", folder_length, path, name);
    for (size_t i = 0; i < sizeof generated / sizeof generated[0]; i++)
        if (strcmp(header, generated[i]) == 0)
            return true;
    return ws_file_exists(header);
}

static bool is_library_allowed(const char *path, const char *name)
{
    for (size_t i = 0; i < sizeof libraries / sizeof libraries[0]; i++)
        if (begins_with(name, libraries[i].header) && !begins_with(path, libraries[i].folder))
            return false;
    return true;
}

/* Point at the name that a line includes, its length in *length and its quote in *quote; NULL when it includes none. */
static const char *find_include(const char *line, const char *end, size_t *length, char *quote)
{
    static const char *const words[] = {"#", "include"};
    for (size_t i = 0; i < 2; i++) {
        while (line < end && (*line == ' ' || *line == '\t'))
            line++;
        if ((size_t)(end - line) < strlen(words[i]) || !begins_with(line, words[i]))
            return NULL;
        line += strlen(words[i]);
    }
    while (line < end && (*line == ' ' || *line == '\t'))
        line++;
    if (line == end || (*line != '"' && *line != '<'))
        return NULL;
    *quote = *line++;
    const char *close = memchr(line, *quote == '"' ? '"' : '>', (size_t)(end - line));
    if (close == NULL)
        return NULL;
    *length = (size_t)(close - line);
    return line;
}

/* Report each forbidden include of one file's text; returns how many there are. */
static int check_text(const char *path, const char *text, struct ws_buf *report)
{
    const struct room *room = find_room(path);
    if (room == NULL) {
        assert_true(ws_buf_addf(report, "%s: no row of the table of rooms has this folder\n", path));
        return 1;
    }
    int n_wrong = 0, line_number = 0;
    for (const char *line = text; *line != '\0';) {
        const char *end = line + strcspn(line, "\n");
        line_number++;
        size_t length = 0;
        char quote = 0, name[256];
        const char *found = find_include(line, end, &length, &quote);
        if (found != NULL) {
            snprintf(name, sizeof name, "%.*s", (int)length, found);
            bool is_fine = begins_with(name, "webstill/") ? is_room_allowed(room, name + strlen("webstill/"))
                           : quote == '"'                 ? is_private_allowed(room, path, name)
                                                          : is_library_allowed(path, name);
            if (!is_fine) {
                n_wrong++;
                assert_true(ws_buf_addf(report, "%s:%d: must not include %s\n", path, line_number, name));
            }
        }
        line = *end == '\n' ? end + 1 : end;
    }
    return n_wrong;
}

static bool is_folder(const char *path)
{
    struct stat facts;
    return stat(path, &facts) == 0 && S_ISDIR(facts.st_mode);
}

static bool is_source(const char *name)
{
    size_t length = strlen(name);
    return length > 2 && name[length - 2] == '.' && (name[length - 1] == 'c' || name[length - 1] == 'h');
}

static int check_folder(const char *folder, int *n_files, struct ws_buf *report)
{
    int n_wrong = 0;
    struct ws_dir_list list;
    struct ws_buf text = {0};
    assert_int_equal(ws_dir_list_open(&list, folder, "", NULL), WS_OK);
    for (size_t i = 0; i < list.n; i++) {
        char path[TEMP_PATH];
        temp_join(path, folder, list.names[i]);
        if (is_folder(path)) {
            n_wrong += check_folder(path, n_files, report);
        } else if (is_source(list.names[i])) {
            assert_int_equal(ws_file_read(path, 1 << 22, &text, NULL), WS_OK);
            n_wrong += check_text(path, text.ptr, report);
            ++*n_files;
        }
    }
    ws_buf_fini(&text);
    ws_dir_list_close(&list);
    return n_wrong;
}

static void no_include_of_the_sources_runs_up_a_floor(void **state)
{
    (void)state;
    struct ws_buf report = {0};
    int n_files = 0, n_wrong = 0;
    for (size_t i = 0; i < sizeof source_folders / sizeof source_folders[0]; i++)
        n_wrong += check_folder(source_folders[i], &n_files, &report);
    if (n_wrong > 0)
        print_error("%s", report.ptr);
    ws_buf_fini(&report);
    assert_int_equal(n_wrong, 0);
    assert_true(n_files > 30); /* it did read the sources */
}

static void arrows_that_run_up_or_sideways_are_found(void **state)
{
    (void)state;
    static const struct {
        const char *path, *line;
        bool is_allowed;
    } cases[] = {
        {"store/base/err.c", "#include \"webstill/base/err.h\"", true},
        {"store/base/err.c", "#include \"webstill/warc/file.h\"", false},
        {"store/base/err.c", "#include \"webstill/conf/conf.h\"", false},
        {"store/warc/read.c", "#include \"webstill/nn/graph.h\"", false},
        {"store/warc/read.c", "#include \"webstill/curate/select.h\"", false},
        {"store/warc/read.c", "#include \"webstill/images/read.h\"", false},
        {"store/images/read.c", "#include \"webstill/table/tables.h\"", true},
        {"store/images/read.c", "#include \"ingest/walk.h\"", false},
        {"store/ingest/walk.c", "#include \"images/format.h\"", true},
        {"crawler/net/url.c", "#include \"webstill/curate/select.h\"", false},
        {"crawler/net/url.c", "#include \"turn/turns.h\"", false},
        {"crawler/turn/loop.c", "#include \"job/crawl.h\"", false},
        {"crawler/source/pages.c", "#include \"job/crawl.h\"", false},
        {"crawler/source/pages.c", "#include \"turn/turns.h\"", false},
        {"crawler/books/outcome.c", "#include \"net/url.h\"", true},
        {"curate/select.c", "#include \"webstill/nn/graph.h\"", false},
        {"distill/nn/op/conv.c", "#include \"webstill/tensors/file.h\"", false},
        {"distill/nn/op/conv.c", "#include <webstill/tensors/file.h>", false},
        {"distill/data/web.c", "#include \"webstill/tensors/file.h\"", true},
        {"distill/data/web.c", "#include \"method/method.h\"", false},
        {"distill/method/kd.c", "#include \"methods.h\"", true},
        {"distill/learn/train.c", "#include \"method/methods.h\"", false},
        {"include/webstill/nn/graph.h", "#include \"webstill/tensors/file.h\"", false},
        {"include/webstill/warc/file.h", "  #  include\t\"webstill/curate/select.h\"", false},
        {"crawler/net/url.c", "#include <cblas.h>", false},
        {"distill/learn/train.c", "#include <curl/curl.h>", false},
        {"distill/learn/train.c", "#include <libxml/tree.h>", false},
        {"crawler/net/fetch.c", "#include <curl/curl.h>", true},
        {"store/table/tables.c", "#include <lmdb.h>", true},
        {"store/images/read.c", "#include <lmdb.h>", false},
        {"store/base/err.c", "#include \"log_int.h\"", true},
        {"store/warc/read.c", "#include \"base/log_int.h\"", false},
        {"store/warc/read.c", "#include \"log_int.h\"", false}, /* it lies in store/base */
        {"crawler/net/url.c", "#include \"../../store/base/log_int.h\"", false},
        {"elsewhere/x.c", "", false},
        {"store/warc/read.c", "/* #include \"webstill/nn/graph.h\" */", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ws_buf report = {0};
        char text[256];
        snprintf(text, sizeof text, "int x;\n%s\n", cases[i].line);
        int n_wrong = check_text(cases[i].path, text, &report);
        if (n_wrong != (cases[i].is_allowed ? 0 : 1))
            fail_msg("%s in %s: expected it to be %s", cases[i].line, cases[i].path,
                     cases[i].is_allowed ? "allowed" : "found");
        ws_buf_fini(&report);
    }
}

static void report_names_file_and_line(void **state)
{
    (void)state;
    struct ws_buf report = {0};
    assert_int_equal(check_text("store/warc/read.c", "\n\n#include \"webstill/nn/graph.h\"", &report), 1);
    assert_string_equal(report.ptr, "store/warc/read.c:3: must not include webstill/nn/graph.h\n");
    ws_buf_fini(&report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_include_of_the_sources_runs_up_a_floor),
        cmocka_unit_test(arrows_that_run_up_or_sideways_are_found),
        cmocka_unit_test(report_names_file_and_line),
    };
    return cmocka_run_group_tests_name("floors", tests, NULL, NULL);
}
