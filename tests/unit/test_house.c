/*
 * The house: a name is defined once, carries the prefix when it leaves its file, and no files lean on each other in a
 * circle.
 *
 * Tags and enumerators are read from the sources, symbols from the objects that this test's libraries were made of.
 */
#include "webstill/base/buf.h"
#include "webstill/base/file.h"

#include "temp.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>

#include <cmocka.h>

static const char *const source_folders[] = {"store", "crawler", "curate", "distill", "include"};

/* Edges of circles that are not open yet, as files without their ending. A row that is not needed any more is reported.
 */
static const struct lean {
    const char *from, *to;
} known_leans[] = {
    {NULL, NULL},
};

enum { NAME = 128, N_MAX = 1 << 16, NODES = 512 };

/* --- names in texts --- */

enum space { TAG, ENUMERATOR };

struct definition {
    char name[NAME], file[NAME];
    enum space space;
    int line;
};

struct definitions {
    struct definition *list; /* owned */
    size_t n;
};

static void define(struct definitions *all, enum space space, const char *name, const char *file, int line)
{
    assert_true(all->n < N_MAX);
    if ((all->n & (all->n - 1)) == 0)
        assert_non_null(all->list = realloc(all->list, (all->n > 0 ? 2 * all->n : 1) * sizeof *all->list));
    struct definition *one = &all->list[all->n++];
    snprintf(one->name, sizeof one->name, "%s", name);
    snprintf(one->file, sizeof one->file, "%s", file);
    one->space = space;
    one->line = line;
}

/* Behind a comment, a text or a character that begins at `at`; `at` when none does. Counts lines. */
static const char *skip_quoted(const char *at, int *line)
{
    const char *end = at;
    if (at[0] == '/' && at[1] == '*') {
        end = strstr(at + 2, "*/");
        end = end ? end + 2 : at + strlen(at);
    } else if (at[0] == '/' && at[1] == '/') {
        end = at + strcspn(at, "\n");
    } else if (*at == '"' || *at == '\'') {
        for (end = at + 1; *end != '\0' && *end != *at; end++)
            end += *end == '\\' && end[1] != '\0';
        end += *end != '\0';
    }
    for (const char *c = at; c < end; c++)
        *line += *c == '\n';
    return end;
}

/* The next token of C, a word or one character; false at the end. */
static bool next_token(const char **at, int *line, char token[NAME])
{
    for (;;) {
        const char *behind = skip_quoted(*at, line);
        if (behind == *at && !isspace((unsigned char)**at))
            break;
        *line += behind == *at && **at == '\n';
        *at = behind == *at ? behind + 1 : behind;
    }
    if (**at == '\0')
        return false;
    size_t length = 0;
    while (isalnum((unsigned char)(*at)[length]) || (*at)[length] == '_')
        length++;
    length += length == 0;
    snprintf(token, NAME, "%.*s", (int)length, *at);
    *at += length;
    return true;
}

static bool is_word(const char *token)
{
    return isalpha((unsigned char)*token) || *token == '_';
}

/* The names of an enum's body, from behind its brace to its end. */
static void read_enumerators(struct definitions *all, const char *file, const char **at, int *line)
{
    char token[NAME];
    bool is_next = true;
    for (int depth = 0; next_token(at, line, token) && *token != '}';) {
        depth += (*token == '(') - (*token == ')');
        if (is_next && is_word(token))
            define(all, ENUMERATOR, token, file, *line);
        is_next = depth == 0 && *token == ',';
    }
}

static void read_text(struct definitions *all, const char *file, const char *text)
{
    char token[NAME], tag[NAME];
    int line = 1;
    bool is_read = next_token(&text, &line, token);
    while (is_read) {
        const bool is_enum = strcmp(token, "enum") == 0;
        const bool is_tagged = is_enum || strcmp(token, "struct") == 0 || strcmp(token, "union") == 0;
        is_read = next_token(&text, &line, token);
        if (!is_tagged || !is_read)
            continue;
        snprintf(tag, sizeof tag, "%s", is_word(token) ? token : "");
        const int line_of_tag = line;
        if (*tag != '\0')
            is_read = next_token(&text, &line, token);
        if (!is_read || *token != '{')
            continue;
        if (*tag != '\0')
            define(all, TAG, tag, file, line_of_tag);
        if (is_enum)
            read_enumerators(all, file, &text, &line);
        is_read = next_token(&text, &line, token);
    }
}

static bool has_ending(const char *name, const char *ending)
{
    const size_t length = strlen(name), end = strlen(ending);
    return length > end && strcmp(name + length - end, ending) == 0;
}

static int compare_definitions(const void *a, const void *b)
{
    const struct definition *x = a, *y = b;
    const int order = x->space != y->space ? (int)x->space - (int)y->space : strcmp(x->name, y->name);
    const int by_file = order != 0 ? order : strcmp(x->file, y->file);
    return by_file != 0 ? by_file : x->line - y->line;
}

/* Report every name of a header that another file defines again; names of .c files alone are their own affair. */
static int check_unique(struct definitions *all, struct ws_buf *report)
{
    int n_wrong = 0;
    if (all->n > 0)
        qsort(all->list, all->n, sizeof *all->list, compare_definitions);
    for (size_t i = 0, end; i < all->n; i = end) {
        bool is_shared = false, is_twice = false; /* two branches of an #if are one file's affair */
        for (end = i; end < all->n && all->list[end].space == all->list[i].space &&
                      strcmp(all->list[end].name, all->list[i].name) == 0;
             end++) {
            is_shared = is_shared || has_ending(all->list[end].file, ".h");
            is_twice = is_twice || strcmp(all->list[end].file, all->list[i].file) != 0;
        }
        if (!is_shared || !is_twice)
            continue;
        n_wrong++;
        assert_true(ws_buf_addf(report, "%s is defined in", all->list[i].name));
        for (size_t k = i; k < end; k++)
            assert_true(ws_buf_addf(report, " %s:%d", all->list[k].file, all->list[k].line));
        assert_true(ws_buf_add_str(report, "\n"));
    }
    return n_wrong;
}

/* --- the tree --- */

static bool is_folder(const char *path)
{
    struct stat facts;
    return stat(path, &facts) == 0 && S_ISDIR(facts.st_mode);
}

typedef void visit_fn(void *argument, const char *path);

static void walk(const char *folder, visit_fn *visit, void *argument)
{
    struct ws_dir_list list;
    assert_int_equal(ws_dir_list_open(&list, folder, "", NULL), WS_OK);
    for (size_t i = 0; i < list.n; i++) {
        char path[TEMP_PATH];
        temp_join(path, folder, list.names[i]);
        if (is_folder(path))
            walk(path, visit, argument);
        else if (has_ending(path, ".c") || has_ending(path, ".h"))
            visit(argument, path);
    }
    ws_dir_list_close(&list);
}

static void walk_sources(visit_fn *visit, void *argument)
{
    for (size_t i = 0; i < sizeof source_folders / sizeof *source_folders; i++)
        walk(source_folders[i], visit, argument);
}

static void read_file(void *argument, const char *path)
{
    struct ws_buf text = {0};
    assert_int_equal(ws_file_read(path, 1 << 22, &text, NULL), WS_OK);
    read_text(argument, path, text.len > 0 ? text.ptr : "");
    ws_buf_fini(&text);
}

/* --- symbols of objects --- */

struct symbol {
    char name[NAME];
    int node;
};

struct house {
    char nodes[NODES][NAME]; /* paths without their ending: x.c and x.h are one */
    int n_nodes;
    struct symbol *defined, *used; /* owned */
    size_t n_defined, n_used;
    bool leans[NODES][NODES];
};

static int node_of(struct house *house, const char *path)
{
    for (int i = 0; i < house->n_nodes; i++)
        if (strcmp(house->nodes[i], path) == 0)
            return i;
    assert_true(house->n_nodes < NODES);
    snprintf(house->nodes[house->n_nodes], NAME, "%s", path);
    return house->n_nodes++;
}

static void add_symbol(struct symbol **list, size_t *n, const char *name, int node)
{
    assert_true(*n < N_MAX);
    if ((*n & (*n - 1)) == 0)
        assert_non_null(*list = realloc(*list, (*n > 0 ? 2 * *n : 1) * sizeof **list));
    snprintf((*list)[*n].name, NAME, "%s", name);
    (*list)[(*n)++].node = node;
}

/* One line of `nm -A -P -g`, "PATH.o: SYMBOL TYPE …"; `root` begins the path. */
static void read_symbol(struct house *house, const char *line, const char *root)
{
    char path[TEMP_PATH], name[NAME], type;
    if (sscanf(line, "%1023[^:]: %127s %c", path, name, &type) != 3 || strncmp(name, "__", 2) == 0)
        return; /* what begins with __ is the compiler's or a sanitizer's */
    const size_t skipped = strncmp(path, root, strlen(root)) == 0 ? strlen(root) : 0;
    if (has_ending(path, ".o"))
        path[strlen(path) - 2] = '\0';
    const int node = node_of(house, path + skipped);
    if (type == 'U' || type == 'w' || type == 'v')
        add_symbol(&house->used, &house->n_used, name, node);
    else
        add_symbol(&house->defined, &house->n_defined, name, node);
}

static int compare_symbols(const void *a, const void *b)
{
    return strcmp(((const struct symbol *)a)->name, ((const struct symbol *)b)->name);
}

static void read_leans(struct house *house)
{
    if (house->n_defined == 0)
        return;
    qsort(house->defined, house->n_defined, sizeof *house->defined, compare_symbols);
    for (size_t i = 0; i < house->n_used; i++) {
        const struct symbol *found =
            bsearch(&house->used[i], house->defined, house->n_defined, sizeof *house->defined, compare_symbols);
        if (found && found->node != house->used[i].node)
            house->leans[house->used[i].node][found->node] = true;
    }
}

static int check_defined_once(const struct house *house, struct ws_buf *report)
{
    int n_wrong = 0;
    for (size_t i = 1; i < house->n_defined; i++)
        if (strcmp(house->defined[i].name, house->defined[i - 1].name) == 0) {
            n_wrong++;
            assert_true(ws_buf_addf(report, "%s is defined by %s and %s\n", house->defined[i].name,
                                    house->nodes[house->defined[i - 1].node], house->nodes[house->defined[i].node]));
        }
    return n_wrong;
}

static int check_prefix(const struct house *house, struct ws_buf *report)
{
    int n_wrong = 0;
    for (size_t i = 0; i < house->n_defined; i++) {
        if (strncmp(house->defined[i].name, "ws_", 3) == 0)
            continue;
        n_wrong++;
        assert_true(ws_buf_addf(report, "%s of %s has no prefix ws_\n", house->defined[i].name,
                                house->nodes[house->defined[i].node]));
    }
    return n_wrong;
}

static int find_node(const struct house *house, const char *path)
{
    for (int i = 0; i < house->n_nodes; i++)
        if (strcmp(house->nodes[i], path) == 0)
            return i;
    return -1;
}

/* Report the shortest circle through `start` unless one of its files was in a reported one; returns how many. */
static int find_circle(const struct house *house, int start, bool is_reported[NODES], struct ws_buf *report)
{
    int queue[NODES], towards[NODES]; /* the next file on the way to `start` */
    int n = 0;
    for (int i = 0; i < house->n_nodes; i++)
        towards[i] = -1;
    queue[n++] = start;
    for (int head = 0; head < n; head++)
        for (int from = 0; from < house->n_nodes; from++)
            if (house->leans[from][queue[head]] && towards[from] < 0) {
                towards[from] = queue[head];
                if (from != start)
                    queue[n++] = from;
            }
    if (towards[start] < 0)
        return 0;
    int at = start;
    do {
        if (is_reported[at])
            return 0;
        at = towards[at];
    } while (at != start);
    do {
        is_reported[at] = true;
        assert_true(ws_buf_addf(report, "%s -> ", house->nodes[at]));
        at = towards[at];
    } while (at != start);
    assert_true(ws_buf_addf(report, "%s\n", house->nodes[start]));
    return 1;
}

/* Each circle that the allowed edges (a list that ends with NULL) do not explain; an edge that is gone is wrong, too.
 */
static int check_circles(struct house *house, const struct lean *allowed, struct ws_buf *report)
{
    int n_wrong = 0;
    bool is_reported[NODES] = {false};
    for (; allowed->from; allowed++) {
        const int from = find_node(house, allowed->from), to = find_node(house, allowed->to);
        if (from >= 0 && to >= 0 && house->leans[from][to]) {
            house->leans[from][to] = false;
            continue;
        }
        n_wrong++;
        assert_true(ws_buf_addf(report, "%s leans on %s no more: its row can go\n", allowed->from, allowed->to));
    }
    for (int i = 0; i < house->n_nodes; i++)
        n_wrong += find_circle(house, i, is_reported, report);
    return n_wrong;
}

static void close_house(struct house *house)
{
    free(house->defined);
    free(house->used);
    free(house);
}

/* --- this tree --- */

/* "…/build/release/": what stands before tests/ in this program's own path. */
static void find_build(char root[TEMP_PATH])
{
    const ssize_t length = readlink("/proc/self/exe", root, TEMP_PATH - 1);
    assert_true(length > 0);
    root[length] = '\0';
    char *tests = strstr(root, "/tests/unit/");
    assert_non_null(tests);
    tests[1] = '\0';
}

struct listing {
    char root[TEMP_PATH];
    struct ws_buf command;
};

/* A program's main file is in no library, so it need not be built yet. */
static void list_object(void *argument, const char *path)
{
    struct listing *listing = argument;
    char object[2 * TEMP_PATH];
    if (!has_ending(path, ".c") || has_ending(path, "/main.c"))
        return;
    snprintf(object, sizeof object, "%s%.*s.o", listing->root, (int)strlen(path) - 2, path);
    if (!ws_file_exists(object))
        fail_msg("%s is not built: no library has it", path);
    assert_true(ws_buf_addf(&listing->command, " '%s'", object));
}

static struct house *read_house(void)
{
    struct house *house = calloc(1, sizeof *house);
    struct listing listing = {0};
    char line[2 * TEMP_PATH];
    assert_non_null(house);
    find_build(listing.root);
    assert_true(ws_buf_add_str(&listing.command, "nm -A -P -g"));
    walk_sources(list_object, &listing);
    FILE *symbols = popen(listing.command.ptr, "r");
    assert_non_null(symbols);
    while (fgets(line, sizeof line, symbols))
        read_symbol(house, line, listing.root);
    assert_int_equal(pclose(symbols), 0);
    ws_buf_fini(&listing.command);
    read_leans(house);
    assert_true(house->n_nodes > 150); /* it did read the objects */
    return house;
}

static void check(int n_wrong, struct ws_buf *report)
{
    if (n_wrong > 0)
        fputs(report->ptr, stderr); /* cmocka's own cuts it */
    ws_buf_fini(report);
    assert_int_equal(n_wrong, 0);
}

static void tags_and_enumerators_of_headers_are_defined_once(void **state)
{
    (void)state;
    struct definitions all = {0};
    struct ws_buf report = {0};
    walk_sources(read_file, &all);
    assert_true(all.n > 500);
    const int n_wrong = check_unique(&all, &report);
    free(all.list);
    check(n_wrong, &report);
}

static void external_names_are_defined_once_and_carry_the_prefix(void **state)
{
    (void)state;
    struct house *house = read_house();
    struct ws_buf report = {0};
    const int n_wrong = check_defined_once(house, &report) + check_prefix(house, &report);
    close_house(house);
    check(n_wrong, &report);
}

static void no_files_lean_on_each_other_in_a_circle(void **state)
{
    (void)state;
    struct house *house = read_house();
    struct ws_buf report = {0};
    const int n_wrong = check_circles(house, known_leans, &report);
    close_house(house);
    check(n_wrong, &report);
}

/* --- these checks on made texts --- */

static void a_name_defined_twice_is_found_where_it_stands(void **state)
{
    (void)state;
    static const struct {
        const char *first, *second; /* text of a.h, of b.c */
        const char *report;
    } cases[] = {
        {"struct x { int a; };", "struct y { int a; };", ""},
        {"struct x { int a; };", "\nstruct x { int a; };", "x is defined in a.h:1 b.c:2\n"},
        {"struct x { int a; };", "struct x *f(struct x *x);", ""},
        {"struct x { int a; };", "union x { int a; };", "x is defined in a.h:1 b.c:1\n"},
        {"struct x;", "struct x { struct x *next; };", ""},
        {"enum x { A, B = 2, C };", "int A; enum { D = (1, 2), E };", ""},
        {"enum x { A, B = 2, C };", "enum { D, /* C */ E = 1 << 2,\nC };", "C is defined in a.h:1 b.c:2\n"},
        {"enum x { A = F(1, B), C };", "enum { B };", ""},
        {"struct x { enum { A } a; };", "enum { A };", "A is defined in a.h:1 b.c:1\n"},
        {"/* struct x { */ enum { A };", "struct x { int a; }; char *t = \"enum { A }\"; // enum { A }", ""},
        {"int a;", "struct x { int a; }; struct x { int a; };", ""}, /* no header has it; the compiler refuses it */
        {"enum a { A };", "struct A { int b; };", ""},
        {"enum { A };\n#else\nenum { A };", "", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct definitions all = {0};
        struct ws_buf report = {0};
        read_text(&all, "a.h", cases[i].first);
        read_text(&all, "b.c", cases[i].second);
        const int n_wrong = check_unique(&all, &report);
        assert_int_equal(n_wrong, *cases[i].report != '\0');
        assert_string_equal(report.ptr ? report.ptr : "", cases[i].report);
        ws_buf_fini(&report);
        free(all.list);
    }
}

static struct house *make_house(const char *const *lines)
{
    struct house *house = calloc(1, sizeof *house);
    assert_non_null(house);
    for (; *lines; lines++)
        read_symbol(house, *lines, "/b/");
    read_leans(house);
    return house;
}

static void wrong_symbols_and_circles_are_found(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "/b/s/a.o: ws_a T 0 1\n",   "/b/s/a.o: ws_b U\n",     "/b/s/b.o: ws_b T 0 1\n",
        "/b/s/b.o: ws_c U\n",       "/b/s/c.o: ws_c T 0 1\n", "/b/s/c.o: ws_a U\n",
        "/b/s/c.o: printf U\n",     "/b/s/d.o: ws_a U\n",     "/b/s/d.o: ws_d T 0 1\n",
        "/b/s/e.o: ws_d T 0",       "/b/s/e.o: bare D 0 4\n", "/b/s/e.o: __asan_x D 0 4\n",
        "/b/s/e.o: ws_own T 0 1\n", "/b/s/e.o: ws_own U\n",   NULL,
    };
    static const struct lean no_lean[] = {{NULL, NULL}}, known[] = {{"s/c", "s/a"}, {NULL, NULL}};
    static const struct lean gone[] = {{"s/c", "s/a"}, {"s/a", "s/c"}, {NULL, NULL}};
    struct house *house = make_house(lines);
    struct ws_buf report = {0};
    assert_int_equal(check_defined_once(house, &report), 1);
    assert_int_equal(check_prefix(house, &report), 1);
    assert_int_equal(check_circles(house, no_lean, &report), 1);
    assert_int_equal(check_circles(house, known, &report), 0);
    assert_int_equal(check_circles(house, gone, &report), 2); /* the first was taken out above */
    assert_string_equal(report.ptr, "ws_d is defined by s/d and s/e\n"
                                    "bare of s/e has no prefix ws_\n"
                                    "s/a -> s/b -> s/c -> s/a\n"
                                    "s/c leans on s/a no more: its row can go\n"
                                    "s/a leans on s/c no more: its row can go\n");
    ws_buf_fini(&report);
    close_house(house);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tags_and_enumerators_of_headers_are_defined_once),
        cmocka_unit_test(external_names_are_defined_once_and_carry_the_prefix),
        cmocka_unit_test(no_files_lean_on_each_other_in_a_circle),
        cmocka_unit_test(a_name_defined_twice_is_found_where_it_stands),
        cmocka_unit_test(wrong_symbols_and_circles_are_found),
    };
    return cmocka_run_group_tests_name("house", tests, NULL, NULL);
}
