/* The configuration's engine on made-up sections: it knows none, so what holds for these holds for all. */
#include "webstill/base/buf.h"
#include "webstill/conf/conf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* --- two made-up programs' keys --- */

enum colour { RED, GREEN, BLUE };

struct leg {
    char *name;
    uint32_t joints;
    char **toes;
    unsigned n_toes;
};

struct shared {
    uint32_t wings;
};

struct beetle {
    uint32_t eyes;
    uint64_t age;
    double weight;
    bool flies;
    enum colour colour;
    uint32_t parity;
    char *song;
    double *spots;
    unsigned n_spots;
    struct leg *legs;
    unsigned n_legs;
    struct shared shared;
};

struct shell {
    double thickness;
};

struct top {
    uint32_t seed;
};

struct outline { /* what another program reads of section beetle */
    unsigned n_legs;
};

static const struct ws_conf_word colours[] = {{"red", RED}, {"green", GREEN}, {"blue", BLUE}, {NULL, 0}};
static const struct ws_conf_word odd[] = {{"1", 1}, {"3", 3}, {NULL, 0}};

static const struct ws_conf_key leg_keys[] = {
    {WS_CONF_TEXT(struct leg, name)},
    {WS_CONF_UINT(struct leg, joints), .unit = "joints", .max = 9, .fallback = "4"},
    {WS_CONF_TEXTS(struct leg, toes), .fallback = "[a, b]"},
    {.name = NULL},
};
static const struct ws_conf_section leg_record = {.name = "beetle.legs[]", WS_CONF_KEYS(struct leg, leg_keys)};

static const struct ws_conf_key shared_keys[] = {
    {WS_CONF_UINT(struct shared, wings), .unit = "wings", .max = 8, .fallback = "4", .help = "How many wings."},
    {.name = NULL},
};
static const struct ws_conf_section shared_part = {
    .name = "beetle", WS_CONF_KEYS(struct shared, shared_keys), .is_part = true};

static const struct ws_conf_key beetle_keys[] = {
    {WS_CONF_UINT(struct beetle, eyes), .unit = "eyes", .min = 1, .max = 10, .fallback = "2", .help = "Eyes."},
    {WS_CONF_ULONG(struct beetle, age), .unit = "s", .max = 9007199254740991, .fallback = "5000000000"},
    {WS_CONF_NUMBER(struct beetle, weight), .unit = "g", .max = 2, .excluded = WS_CONF_ABOVE | WS_CONF_BELOW,
     .fallback = "0.5", .help = "What it weighs."},
    {WS_CONF_BOOL(struct beetle, flies), .fallback = "true", .help = "Whether it flies."},
    {WS_CONF_WORD(struct beetle, colour, enum colour, colours), .fallback = "green", .help = "Its colour."},
    {WS_CONF_WORD(struct beetle, parity, uint32_t, odd), .unit = "rings", .fallback = "3", .help = "Rings."},
    {WS_CONF_TEXT(struct beetle, song), .fallback = "", .above = "What follows is heard.",
     .help = "A song so long that its sentence has to be broken into two lines, as the page is a hundred and twenty "
             "columns wide at the most.\n"
             "  - example: stays as it is"},
    {WS_CONF_NUMBERS(struct beetle, spots), .unit = "mm", .max = 5, .fallback = "[1, 2.5]", .n_max = 3,
     .help = "Spots."},
    {WS_CONF_RECORDS(struct beetle, legs, struct leg, &leg_record), .fallback = "[]", .help = "Legs."},
    {WS_CONF_GROUP(struct beetle, shared, struct shared, &shared_part)},
    {.name = NULL},
};
static enum ws_status check_beetle(const void *keys, const char *name, struct ws_err *err)
{
    const struct beetle *beetle = keys;
    return beetle->flies && beetle->shared.wings == 0
               ? ws_fail(err, WS_E_CONFIG, "%s.flies: expected wings, found none", name)
               : WS_OK;
}
static const struct ws_conf_section beetle_section = {.name = "beetle",
                                                      .title = "what crawls",
                                                      .intro = "Of six legs.",
                                                      WS_CONF_KEYS(struct beetle, beetle_keys),
                                                      .check = check_beetle};

static const struct ws_conf_key shell_keys[] = {
    {WS_CONF_NUMBER(struct shell, thickness), .unit = "mm", .max = 3, .fallback = "0.1", .help = "Its thickness."},
    {.name = NULL},
};
static const struct ws_conf_section shell_section = {
    .name = "beetle.shell", .title = "What protects it.", WS_CONF_KEYS(struct shell, shell_keys)};

static const struct ws_conf_key top_keys[] = {
    {WS_CONF_UINT(struct top, seed), .unit = "number", .max = 9, .fallback = "0", .must = "name a seed",
     .help = "The seed."},
    {.name = NULL},
};
static const struct ws_conf_section top_section = {.name = "", WS_CONF_KEYS(struct top, top_keys)};

static const struct ws_conf_key outline_keys[] = {
    {WS_CONF_COUNT(struct outline, legs, n_legs)},
    {.name = NULL},
};
static const struct ws_conf_section outline_part = {
    .name = "beetle", WS_CONF_KEYS(struct outline, outline_keys), .is_part = true};

static const struct ws_conf_section *const owner_sections[] = {&top_section, &beetle_section, &shell_section, NULL};
static const struct ws_conf_section *const reader_sections[] = {&top_section, &outline_part, NULL};
static const char *const others[] = {"beetle", "moth", NULL};
static const struct ws_conf_schema owner = {owner_sections, others, NULL}, reader = {reader_sections, others, NULL};

/* --- helpers --- */

static struct ws_conf *open_conf(const struct ws_conf_schema *schema)
{
    struct ws_conf *conf;
    struct ws_err err = {0};
    if (ws_conf_open(&conf, schema, &err) != WS_OK)
        fail_msg("%s", err.text);
    return conf;
}

static struct ws_conf *must_merge(const struct ws_conf_schema *schema, const char *text)
{
    struct ws_conf *conf = open_conf(schema);
    struct ws_err err = {0};
    if (ws_conf_merge_text(conf, "x.yaml", text, strlen(text), &err) != WS_OK)
        fail_msg("%s", err.text);
    return conf;
}

static void assert_refused(const char *text, const char *message)
{
    struct ws_conf *conf = open_conf(&owner);
    struct ws_err err = {0};
    assert_int_equal(ws_conf_merge_text(conf, "x.yaml", text, strlen(text), &err), WS_E_CONFIG);
    assert_string_equal(err.text, message);
    ws_conf_close(&conf);
}

static void assert_prints(const struct ws_conf *conf, const char *const *names, const char *expected)
{
    struct ws_buf text = {0};
    struct ws_err err = {0};
    if (ws_conf_print(conf, names, &text, &err) != WS_OK)
        fail_msg("%s", err.text);
    assert_string_equal(text.ptr ? text.ptr : "", expected);
    ws_buf_fini(&text);
}

/* --- defaults and values --- */

static void defaults_are_those_of_the_rows(void **state)
{
    (void)state;
    struct ws_conf *conf = open_conf(&owner);
    const struct beetle *beetle = ws_conf_get(conf, &beetle_section);
    const struct shell *shell = ws_conf_get(conf, &shell_section);
    assert_int_equal(beetle->eyes, 2);
    assert_true(beetle->age == 5000000000);
    assert_true(beetle->weight == 0.5 && shell->thickness == 0.1);
    assert_true(beetle->flies);
    assert_int_equal(beetle->colour, GREEN);
    assert_int_equal(beetle->parity, 3);
    assert_string_equal(beetle->song, "");
    assert_int_equal(beetle->n_spots, 2);
    assert_true(beetle->spots[1] == 2.5);
    assert_int_equal(beetle->n_legs, 0);
    assert_int_equal(beetle->shared.wings, 4);
    ws_conf_close(&conf);
    assert_null(conf);
}

static void every_type_is_bound(void **state)
{
    (void)state;
    struct ws_conf *conf =
        must_merge(&owner, "seed: 3\nbeetle:\n  eyes: 010\n  age: 9007199254740991\n  weight: 1e-3\n  flies: off\n"
                           "  colour: blue\n  parity: 1\n  song: \"a: b\"\n  spots: []\n  wings: 0\n"
                           "  legs: [left, {name: right, joints: 9, toes: [x]}]\n  shell: {thickness: 3}\n");
    const struct beetle *beetle = ws_conf_get(conf, &beetle_section);
    assert_int_equal(((const struct top *)ws_conf_get(conf, &top_section))->seed, 3);
    assert_int_equal(beetle->eyes, 10);
    assert_true(beetle->age == 9007199254740991);
    assert_true(beetle->weight == 1e-3);
    assert_false(beetle->flies);
    assert_int_equal(beetle->colour, BLUE);
    assert_int_equal(beetle->parity, 1);
    assert_string_equal(beetle->song, "a: b");
    assert_int_equal(beetle->n_spots, 0);
    assert_int_equal(beetle->shared.wings, 0);
    assert_int_equal(beetle->n_legs, 2);
    assert_string_equal(beetle->legs[0].name, "left"); /* a lone text stands for the first key */
    assert_int_equal(beetle->legs[0].joints, 4);       /* what an entry does not say has its default */
    assert_int_equal(beetle->legs[0].n_toes, 2);
    assert_int_equal(beetle->legs[1].joints, 9);
    assert_string_equal(beetle->legs[1].toes[0], "x");
    assert_true(((const struct shell *)ws_conf_get(conf, &shell_section))->thickness == 3);
    ws_conf_close(&conf);
}

static void a_part_is_found_where_its_owner_embeds_it(void **state)
{
    (void)state;
    struct ws_conf *conf = must_merge(&owner, "beetle: {wings: 6}\n");
    const struct shared *part = ws_conf_get(conf, &shared_part);
    const struct beetle *beetle = ws_conf_get(conf, &beetle_section);
    assert_ptr_equal(part, &beetle->shared);
    assert_int_equal(part->wings, 6);
    assert_true(ws_conf_has(conf, "beetle") && ws_conf_has(conf, "beetle.shell"));
    ws_conf_close(&conf);
}

static void a_reader_of_a_part_skips_the_rest(void **state)
{
    (void)state;
    struct ws_conf *conf = must_merge(&reader, "beetle: {eyes: none, legs: [a, {b: c}, 3], shell: 7}\nmoth: ~\n");
    assert_int_equal(((const struct outline *)ws_conf_get(conf, &outline_part))->n_legs, 3);
    assert_false(ws_conf_has(conf, "beetle"));
    assert_true(ws_conf_knows(conf, "beetle.legs") && ws_conf_knows(conf, "seed"));
    assert_false(ws_conf_knows(conf, "beetle") || ws_conf_knows(conf, "beetle.*") ||
                 ws_conf_knows(conf, "beetle.eyes"));
    struct ws_err err = {0};
    assert_int_equal(ws_conf_merge_override(conf, "beetle.eyes=many", &err), WS_OK);
    assert_int_equal(ws_conf_merge_override(conf, "beetle.legs=many", &err), WS_E_CONFIG);
    assert_int_equal(ws_conf_merge_override(conf, "beatle.eyes=1", &err), WS_E_CONFIG);
    assert_string_equal(err.text, "-o beatle.eyes=1: unknown section \"beatle\"; did you mean \"beetle\"?");
    ws_conf_close(&conf);
}

/* --- refusals --- */

static void values_out_of_their_rows_are_refused_with_line_and_range(void **state)
{
    (void)state;
    assert_refused("beetle:\n  eyes: 0\n", "x.yaml:2: beetle.eyes: expected a whole number in [1, 10], found \"0\"");
    assert_refused("beetle:\n  eyes: 11\n", "x.yaml:2: beetle.eyes: expected a whole number in [1, 10], found \"11\"");
    assert_refused("beetle:\n  eyes: 4294967298\n",
                   "x.yaml:2: beetle.eyes: expected a whole number in [1, 10], found \"4294967298\"");
    assert_refused("beetle: {weight: 2}\n", "x.yaml:1: beetle.weight: expected a number in (0, 2), found \"2\"");
    assert_refused("beetle: {weight: 0}\n", "x.yaml:1: beetle.weight: expected a number in (0, 2), found \"0\"");
    assert_refused("beetle: {flies: 1}\n", "x.yaml:1: beetle.flies: expected true or false, found \"1\"");
    assert_refused("beetle: {colour: bleu}\n",
                   "x.yaml:1: beetle.colour: expected one of red, green, blue, found \"bleu\"; did you mean \"blue\"?");
    assert_refused("beetle: {parity: 2}\n", "x.yaml:1: beetle.parity: expected one of 1, 3, found \"2\"");
    assert_refused("beetle: {spots: [1, 6]}\n", "x.yaml:1: beetle.spots[1]: expected a number in [0, 5], found \"6\"");
    assert_refused("beetle: {spots: [1, 2, 3, 4]}\n", "x.yaml:1: beetle.spots: expected at most 3 entries, found 4");
    assert_refused("beetle: {legs: [{joints: 1}]}\n", "x.yaml:1: beetle.legs[0]: the key \"name\" is missing");
    assert_refused("beetle: {legs: [{name: a, toe: b}]}\n",
                   "x.yaml:1: unknown key \"toe\" in section \"beetle.legs[0]\"; did you mean \"toes\"?");
    assert_refused("beetle: {shell: {thicknes: 1}}\n",
                   "x.yaml:1: unknown key \"thicknes\" in section \"beetle.shell\"; did you mean \"thickness\"?");
    assert_refused("beetle: {wing: 1}\n",
                   "x.yaml:1: unknown key \"wing\" in section \"beetle\"; did you mean \"wings\"?");
    assert_refused("colour: red\n", "x.yaml:1: unknown section \"colour\"; did you mean \"beetle.colour\"?");
}

static void what_has_to_be_given_is_missed_with_its_hint(void **state)
{
    (void)state;
    struct ws_err err = {0};
    struct ws_conf *conf = open_conf(&owner);
    assert_int_equal(ws_conf_check(conf, &err), WS_E_CONFIG);
    assert_string_equal(err.text, "the key \"seed\" is missing");
    assert_string_equal(err.hint, "name a seed");
    assert_int_equal(ws_conf_merge_override(conf, "seed=0", &err), WS_OK);
    assert_int_equal(ws_conf_check(conf, &err), WS_OK);
    assert_int_equal(ws_conf_merge_override(conf, "beetle.wings=0", &err), WS_OK);
    assert_int_equal(ws_conf_check(conf, &err), WS_E_CONFIG);
    assert_string_equal(err.text, "beetle.flies: expected wings, found none");
    ws_conf_close(&conf);
}

/* --- printing --- */

static void names_choose_keys_sections_and_what_to_leave_out(void **state)
{
    (void)state;
    struct ws_conf *conf = must_merge(&owner, "beetle: {legs: [a]}\n");
    assert_prints(conf, (const char *const[]){"beetle.wings", "beetle.eyes", "seed", NULL},
                  "seed: 0\nbeetle:\n  eyes: 2\n  wings: 4\n");
    assert_prints(conf, (const char *const[]){"beetle.shell", NULL}, "beetle:\n  shell:\n    thickness: 0.1\n");
    assert_prints(conf, (const char *const[]){"beetle", "-beetle.legs", "-beetle.spots", "-beetle.age", NULL},
                  "beetle:\n  eyes: 2\n  weight: 0.5\n  flies: true\n  colour: green\n  parity: 3\n  song: \"\"\n"
                  "  wings: 4\n  shell:\n    thickness: 0.1\n");
    assert_prints(conf, (const char *const[]){"beetle.*", "-beetle.age", NULL},
                  "beetle:\n  eyes: 2\n  weight: 0.5\n  flies: true\n  colour: green\n  parity: 3\n  song: \"\"\n"
                  "  spots: [1, 2.5]\n  legs:\n  - name: a\n    joints: 4\n    toes: [a, b]\n  wings: 4\n");
    struct ws_buf text = {0};
    struct ws_err err = {0};
    assert_int_equal(ws_conf_print(conf, (const char *const[]){"beetle.eye", NULL}, &text, &err), WS_E_CONFIG);
    assert_int_equal(ws_conf_print(conf, (const char *const[]){"moht", NULL}, &text, &err), WS_E_CONFIG);
    assert_string_equal(err.text, "unknown section \"moht\"; did you mean \"moth\"?");
    ws_buf_fini(&text);
    ws_conf_close(&conf);
}

static void what_is_printed_loads_to_the_same(void **state)
{
    (void)state;
    struct ws_conf *first = must_merge(&owner, "seed: 1\nbeetle: {weight: 0.12345678901234567, song: \"yes\\n\", legs: "
                                               "[\"1\", {name: b, toes: []}], spots: [0.1]}\n");
    struct ws_buf text = {0};
    assert_int_equal(ws_conf_print(first, NULL, &text, NULL), WS_OK);
    struct ws_conf *second = must_merge(&owner, text.ptr);
    assert_prints(second, NULL, text.ptr);
    assert_true(((const struct beetle *)ws_conf_get(second, &beetle_section))->weight == 0.12345678901234567);
    ws_buf_fini(&text);
    ws_conf_close(&first);
    ws_conf_close(&second);
}

static void the_reference_has_each_key_under_its_sentence_unit_and_range(void **state)
{
    (void)state;
    struct ws_conf *conf = open_conf(&owner);
    struct ws_buf text = {0};
    assert_true(ws_conf_print_reference(conf, "", &text));
    assert_string_equal(text.ptr, "\n# The seed.\n# [number; [0, 9]]\nseed: 0\n");
    ws_buf_clear(&text);
    assert_true(ws_conf_print_reference(conf, "beetle", &text));
    assert_string_equal(
        text.ptr,
        "\n# --- beetle: what crawls ------------------------------------------------------------"
        "----------------------------------\n# Of six legs.\nbeetle:\n  # Eyes.\n  # [eyes; [1, 10]]\n  eyes: 2\n"
        "  # [s; [0, 9007199254740991]]\n  age: 5000000000\n\n  # What it weighs.\n  # [g; (0, 2)]\n  weight: 0.5\n\n"
        "  # Whether it flies.\n  flies: true\n\n  # Its colour.\n  colour: green\n\n"
        "  # Rings.\n  # [rings; 1 or 3]\n  parity: 3\n\n  # What follows is heard.\n\n"
        "  # A song so long that its sentence has to be broken into two lines, as the page is a hundred and twenty "
        "columns wide\n"
        "  # at the most.\n  #   - example: stays as it is\n  song: \"\"\n\n"
        "  # Spots.\n  # [mm; [0, 5]]\n  spots: [1, 2.5]\n\n  # Legs.\n  legs: []\n\n"
        "  # How many wings.\n  # [wings; [0, 8]]\n  wings: 4\n\n"
        "  # What protects it.\n  shell:\n    # Its thickness.\n    # [mm; [0, 3]]\n    thickness: 0.1\n");
    struct ws_conf *again = must_merge(&owner, text.ptr);
    ws_conf_close(&again);
    ws_buf_fini(&text);
    ws_conf_close(&conf);
}

static bool get_song(size_t i, const char **name, const char **sentence)
{
    static const char *const songs[][2] = {{"hum", "a low one"}, {"chirp", "a high one"}, {"buzz", NULL}};
    if (i >= 3)
        return false;
    *name = songs[i][0];
    *sentence = songs[i][1];
    return true;
}

static bool get_leg(size_t i, const char **name, const char **sentence)
{
    static const char *const legs[] = {"fore", "middle", "hind"};
    *sentence = NULL;
    *name = i < 3 ? legs[i] : NULL;
    return i < 3;
}

static void the_reference_lists_the_rows_that_a_key_may_name(void **state)
{
    (void)state;
    static const struct ws_conf_listing listings[] = {
        {"beetle.song", get_song}, {"beetle.legs", get_leg}, {"moth.song", get_leg}, {NULL, NULL}};
    static const struct ws_conf_schema listed = {owner_sections, others, listings};
    struct ws_conf *conf = open_conf(&listed);
    struct ws_buf text = {0};
    assert_true(ws_conf_print_reference(conf, "beetle", &text));
    assert_non_null(strstr(text.ptr, "\n  #   - example: stays as it is\n  #   hum    a low one\n"
                                     "  #   chirp  a high one\n  #   buzz\n  song: \"\"\n"));
    assert_non_null(strstr(text.ptr, "\n  # Legs.\n  # fore, middle, hind\n  legs: []\n"));
    ws_buf_fini(&text);
    ws_conf_close(&conf);
}

static void a_text_covers_what_it_says_at_least(void **state)
{
    (void)state;
    static const struct {
        const char *whole, *part;
        bool is_covered;
    } cases[] = {
        {"a: 1\nb: {c: [x, y], d: 2}\n", "b: {c: [x, y]}\n", true},
        {"a: 1\nb: {c: [x, y], d: 2}\n", "b: {d: 2}\na: 1\n", true},
        {"a: 1\n", "a: 1\nb: 2\n", false}, /* a key more */
        {"a: 1\n", "a: 2\n", false},
        {"a: 1\n", "a: 1.0\n", false},      /* texts: equal values are printed alike */
        {"b: [x, y]\n", "b: [x]\n", false}, /* a list is a value */
        {"b: [x]\n", "b: [x, y]\n", false},
        {"b: [x, y]\n", "b: [y, x]\n", false},
        {"b: [{n: x, q: 1}]\n", "b: [{n: x}]\n", true},
        {"b: [{n: x, q: 1}]\n", "b: [{n: y}]\n", false},
        {"b: {c: 1}\n", "b: 1\n", false},
        {"", "a: 1\n", false},
        {"a: [", "a: 1\n", false}, /* no YAML */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (ws_conf_covers(cases[i].whole, cases[i].part) != cases[i].is_covered)
            fail_msg("%s in %s: expected %d", cases[i].part, cases[i].whole, cases[i].is_covered);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_those_of_the_rows),
        cmocka_unit_test(every_type_is_bound),
        cmocka_unit_test(a_part_is_found_where_its_owner_embeds_it),
        cmocka_unit_test(a_reader_of_a_part_skips_the_rest),
        cmocka_unit_test(values_out_of_their_rows_are_refused_with_line_and_range),
        cmocka_unit_test(what_has_to_be_given_is_missed_with_its_hint),
        cmocka_unit_test(names_choose_keys_sections_and_what_to_leave_out),
        cmocka_unit_test(what_is_printed_loads_to_the_same),
        cmocka_unit_test(the_reference_has_each_key_under_its_sentence_unit_and_range),
        cmocka_unit_test(the_reference_lists_the_rows_that_a_key_may_name),
        cmocka_unit_test(a_text_covers_what_it_says_at_least),
    };
    return cmocka_run_group_tests_name("conf_engine", tests, NULL, NULL);
}
