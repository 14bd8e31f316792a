/* The configuration: three layers, checked key by key, loaded into the struct and printed again. */
#include "../../store/conf/schema.h"
#include "temp.h"

#include "webstill/base/file.h"
#include "webstill/base/text.h"
#include "webstill/conf/config.h"
#include "webstill/stage/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define CLASSES "classes: [cat, dog]\n"

/* --- helpers --- */

static enum ws_status load_text(const char *folder, const char *text, const char *const *overrides, int n_overrides,
                                struct ws_config **config, struct ws_err *err)
{
    char path[TEMP_PATH];
    temp_write(temp_join(path, folder, "x.yaml"), text, strlen(text));
    return ws_config_load(config, path, overrides, n_overrides, err);
}

static struct ws_config *must_load(const char *folder, const char *text, const char *override)
{
    struct ws_config *config = NULL;
    struct ws_err err = {0};
    if (load_text(folder, text, &override, override ? 1 : 0, &config, &err) != WS_OK)
        fail_msg("%s", err.text);
    return config;
}

/** Expect WS_E_CONFIG with the file's path and then exactly `message`; returns the hint's chain for more checks. */
static struct ws_err assert_refused(const char *folder, const char *text, const char *override, const char *message)
{
    struct ws_config *config = NULL;
    struct ws_err err = {0};
    assert_int_equal(load_text(folder, text, &override, override ? 1 : 0, &config, &err), WS_E_CONFIG);
    assert_null(config);
    char expected[sizeof err.text];
    if (override)
        snprintf(expected, sizeof expected, "-o %s: %s", override, message);
    else
        snprintf(expected, sizeof expected, "%s/x.yaml%s", folder, message);
    assert_string_equal(err.text, expected);
    return err;
}

/* --- messages --- */

static void unknown_key_names_file_line_section_and_the_nearest_key(void **state)
{
    struct ws_err err = assert_refused(*state, CLASSES "distill:\n  epochs: 2\n  batchsize: 64\n", NULL,
                                       ":4: unknown key \"batchsize\" in section \"distill\"; did you mean \"batch\"?");
    assert_string_equal(err.hint, "configs/reference.yaml documents every key");
    assert_refused(*state, CLASSES "destill: {}\n", NULL, ":2: unknown section \"destill\"; did you mean \"distill\"?");
    assert_refused(*state, CLASSES "distill:\n  kd3:\n    mixalpha: 1\n", NULL,
                   ":4: unknown key \"mixalpha\" in section \"distill.kd3\"; did you mean \"mix_alpha\"?");
    assert_refused(*state, "classes:\n- {nme: cat}\n", NULL,
                   ":2: unknown key \"nme\" in section \"classes[0]\"; did you mean \"name\"?");
}

static void key_in_the_wrong_section_is_shown_its_own(void **state)
{
    assert_refused(*state, CLASSES "crawl:\n  opset: 13\n", NULL,
                   ":3: unknown key \"opset\" in section \"crawl\"; did you mean \"export.opset\"?");
}

static void wrong_value_names_line_range_and_what_was_found(void **state)
{
    assert_refused(*state, CLASSES "teacher:\n  lr: fast\n", NULL,
                   ":3: teacher.lr: expected a number in (0, 10], found \"fast\"");
    assert_refused(*state, CLASSES "teacher:\n  lr: 0\n", NULL,
                   ":3: teacher.lr: expected a number in (0, 10], found \"0\"");
    assert_refused(*state, CLASSES "distill:\n  batch: 1\n", NULL,
                   ":3: distill.batch: expected a whole number in [2, 65536], found \"1\"");
    assert_refused(*state, CLASSES "distill:\n  batch: 12.5\n", NULL,
                   ":3: distill.batch: expected a whole number in [2, 65536], found \"12.5\"");
    assert_refused(*state, CLASSES "distill:\n  batch: -4\n", NULL,
                   ":3: distill.batch: expected a whole number in [2, 65536], found \"-4\"");
    assert_refused(*state, CLASSES "distill:\n  batch:\n", NULL,
                   ":3: distill.batch: expected a whole number in [2, 65536], found nothing");
    assert_refused(*state, CLASSES "distill:\n  beta2: 1\n", NULL,
                   ":3: distill.beta2: expected a number in [0, 1), found \"1\"");
    assert_refused(*state, CLASSES "distill:\n  milestones: [0.5, 1]\n", NULL,
                   ":3: distill.milestones[1]: expected a number in (0, 1), found \"1\"");
    assert_refused(*state, CLASSES "distill:\n  flip: maybe\n", NULL,
                   ":3: distill.flip: expected true or false, found \"maybe\"");
    assert_refused(*state, CLASSES "store:\n  channels: 2\n", NULL,
                   ":3: store.channels: expected one of 1, 3, found \"2\"");
    assert_refused(*state, CLASSES "teacher:\n  lr: nan\n", NULL,
                   ":3: teacher.lr: expected a number in (0, 10], found \"nan\"");
    assert_refused(*state, CLASSES "seed: 99999999999999999999999\n", NULL,
                   ":2: seed: expected a whole number in [0, 9007199254740991], found \"99999999999999999999999\"");
}

static void wrong_word_lists_the_words_and_the_nearest(void **state)
{
    assert_refused(*state, CLASSES "store:\n  fit: stretched\n", NULL,
                   ":3: store.fit: expected one of pad, crop, stretch, found \"stretched\"; did you mean \"stretch\"?");
    assert_refused(*state, CLASSES "distill:\n  augment: crop\n", NULL,
                   ":3: distill.augment: expected one of resized-crop, shift, none, found \"crop\"");
}

static void wrong_shape_names_what_was_expected(void **state)
{
    assert_refused(*state, CLASSES "crawl: 3\n", NULL, ":2: crawl: expected a mapping of keys to values, found \"3\"");
    assert_refused(*state, CLASSES "distill:\n  methods: kd3\n", NULL,
                   ":3: distill.methods: expected a list ([] for an empty one), found \"kd3\"");
    assert_refused(*state, CLASSES "distill:\n  batch: [1]\n", NULL,
                   ":3: distill.batch: expected one value, found a list");
    assert_refused(*state, CLASSES "report:\n  title: {a: b}\n", NULL,
                   ":3: report.title: expected text, found a mapping");
    assert_refused(*state, "- cat\n- dog\n", NULL,
                   ":1: the configuration: expected a mapping of sections, found a list");
    assert_refused(*state, CLASSES "crawl:\n  sources:\n  - http://a.example/\n", NULL,
                   ":4: crawl.sources[0]: expected a mapping, found \"http://a.example/\"");
    assert_refused(*state, CLASSES "crawl:\n  sources:\n  - {kind: pages}\n", NULL,
                   ":4: crawl.sources[0]: the key \"url\" is missing");
}

static void text_that_is_no_yaml_is_refused_with_its_line(void **state)
{
    assert_refused(*state, CLASSES "crawl:\n\tretries: 3\n", NULL, ":3: expected spaces as indentation, found a tab");
    assert_refused(*state, CLASSES "crawl: {retries: 3\n", NULL,
                   ":3: not YAML: did not find expected ',' or '}', while parsing a flow mapping");
    assert_refused(*state, CLASSES "---\n" CLASSES, NULL, ":3: expected one YAML document, found a second one");
    assert_refused(*state, CLASSES "report: {title: \"\xff\"}\n", NULL,
                   ": byte 37: not UTF-8 text: invalid leading UTF-8 octet");
    assert_refused(*state, CLASSES "report: {title: \"a\\0b\"}\n", NULL,
                   ":2: report.title: expected text without a NUL character");
}

static void key_that_stands_twice_is_refused(void **state)
{
    assert_refused(*state, CLASSES "distill:\n  batch: 2\n  flip: true\n  batch: 4\n", NULL,
                   ":5: the key \"batch\" stands twice in section \"distill\"; first on line 3");
    assert_refused(*state, CLASSES "seed: 1\n" CLASSES, NULL, ":3: the key \"classes\" stands twice; first on line 1");
}

static void alias_that_contains_itself_ends(void **state)
{
    assert_refused(*state, CLASSES "distill: &a\n  kd3: *a\n", NULL,
                   ":3: unknown key \"kd3\" in section \"distill.kd3\"; did you mean \"distill.kd3\"?");
}

static void absent_file_is_named_with_a_near_one(void **state)
{
    char path[TEMP_PATH], hint[TEMP_PATH + 32];
    temp_write(temp_join(path, *state, "web-fashion.yaml"), CLASSES, strlen(CLASSES));
    temp_join(path, *state, "web-fashon.yaml");
    struct ws_config *config = NULL;
    struct ws_err err = {0};
    assert_int_equal(ws_config_load(&config, path, NULL, 0, &err), WS_E_CONFIG);
    char expected[TEMP_PATH + 64];
    snprintf(expected, sizeof expected, "%s: no such configuration file", path);
    assert_string_equal(err.text, expected);
    snprintf(hint, sizeof hint, "did you mean %s/web-fashion.yaml?", (const char *)*state);
    assert_string_equal(err.hint, hint);
}

/* --- keys checked together --- */

static void keys_that_contradict_each_other_are_refused(void **state)
{
    assert_refused(*state, "seed: 3\n", NULL, ": the key \"classes\" is missing");
    assert_refused(*state, "classes: [cat]\n", NULL, ": classes: expected two or more, found one (\"cat\")");
    assert_refused(*state, "classes: [cat, dog, cat]\n", NULL,
                   ": classes[0] and classes[2] have the same name \"cat\"");
    assert_refused(*state, "classes: [cat, \"\"]\n", NULL, ": classes[1]: expected a name, found an empty text");
    assert_refused(*state, CLASSES "distill: {milestones: [0.5, 0.5]}\n", NULL,
                   ": distill.milestones: expected rising shares, found 0.5 behind 0.5");
    assert_refused(*state, CLASSES "distill: {methods: [kd, kd3, kd]}\n", NULL,
                   ": distill.methods: \"kd\" stands twice");
    assert_refused(*state, CLASSES "eval: {images: a.gz}\n", NULL,
                   ": eval.images and eval.labels go together: expected both or neither, found only eval.images");
    assert_refused(*state, CLASSES "crawl: {user_agent: a@b.c, resolve: [host]}\n", NULL,
                   ": crawl.resolve[0]: expected \"host=address\", found \"host\"");
}

static void user_agent_without_a_contact_is_refused(void **state)
{
    struct ws_err err = assert_refused(*state, CLASSES "crawl: {user_agent: mybot/1.0}\n", NULL,
                                       ": crawl.user_agent: expected a contact in it, \"(+https://…)\" or an e-mail "
                                       "address, found \"mybot/1.0\"");
    assert_non_null(strstr(err.hint, "+https://example.org/bot"));
    assert_refused(*state, CLASSES "crawl: {sources: [{kind: pages, url: \"http://a.example/\"}]}\n", NULL,
                   ": crawl.user_agent: expected a contact in it, \"(+https://…)\" or an e-mail address, found \"\"");
    struct ws_config *config = must_load(*state, CLASSES "crawl: {user_agent: \"b/1 (+https://example.org)\"}\n", NULL);
    ws_config_free(&config);
    config = must_load(*state, CLASSES "crawl: {user_agent: b/1 (me@example.org)}\n", NULL);
    ws_config_free(&config);
}

static void source_that_is_no_web_address_is_refused(void **state)
{
    assert_refused(*state, CLASSES "crawl: {user_agent: a@b.c, sources: [{kind: pages, url: \"ftp://a/\"}]}\n", NULL,
                   ": crawl.sources[0].url: expected http://… or https://…, found \"ftp://a/\"");
}

static void contrast_that_does_not_exist_is_refused_in_either_section(void **state)
{
    assert_refused(*state, CLASSES "distill: {kd3: {contrast: other}}\n", NULL,
                   ":2: distill.kd3.contrast: expected one of self, cross, off, found \"other\"");
    assert_refused(*state, CLASSES "distill: {kd3_plus: {contrast: other}}\n", NULL,
                   ":2: distill.kd3_plus.contrast: expected one of self, cross, off, found \"other\"");
}

/* --- layers --- */

static void defaults_are_the_papers(void **state)
{
    struct ws_config *config = must_load(*state, CLASSES, NULL);
    const struct ws_conf_distill *distill = &config->distill;
    assert_int_equal(distill->epochs, 240);
    assert_int_equal(distill->batch, 1024);
    assert_true(distill->optim.lr == 0.05 && distill->optim.momentum == 0.9);
    assert_true(distill->optim.weight_decay == 5e-4 && distill->optim.gamma == 0.1);
    assert_int_equal(distill->optim.kind, WS_OPTIM_SGD);
    assert_true(distill->optim.beta1 == 0.9 && distill->optim.beta2 == 0.999 && distill->optim.eps == 1e-8);
    assert_int_equal(distill->optim.schedule, WS_SCHEDULE_STEP);
    assert_int_equal(distill->optim.n_milestones, 3);
    assert_true(distill->optim.milestones[0] * 240 == 150 && distill->optim.milestones[1] * 240 == 180);
    assert_true(distill->optim.milestones[2] * 240 == 210);
    assert_true(distill->kd3.contrast_weight == 0.001 && distill->kd3.contrast_temperature == 0.3);
    assert_int_equal(distill->kd3.embedding, 128);
    assert_int_equal(distill->kd3.projector_factor, 2);
    assert_true(distill->kd3.share);
    assert_true(distill->kd3.mix_alpha == 0.1 && distill->kd3.mix_eps == 1e-6);
    assert_true(distill->kd3.select && distill->kd3.weights && distill->flip);
    assert_int_equal(distill->kd3.selection_view, WS_SELECTION_AUGMENTED);
    assert_int_equal(config->curate.combine, WS_COMBINE_LOGITS);
    assert_string_equal(distill->kd3.contrast, "self");
    assert_int_equal(distill->kd3.align, WS_ALIGN_MAP);
    assert_string_equal(config->curate.rule, "kd3");
    assert_int_equal(config->curate.density, WS_DENSITY_OFF);
    assert_int_equal(config->curate.source_precision, WS_BY_NOTHING);
    assert_true(config->curate.quota == 1);
    assert_true(distill->crop_min_area == 0.08 && distill->holdout == 0.1 && distill->kd.temperature == 4);
    assert_string_equal(distill->augment, "resized-crop");
    assert_true(config->curate.p_cutoff == 0.95 && config->curate.alpha_zero_share * 240 == 120);
    assert_true(config->curate.alpha_horizon_share * 240 > 159.9999 &&
                config->curate.alpha_horizon_share * 240 < 160.0001);
    assert_true(config->curate.alpha_steepness == 5);
    assert_int_equal(config->teacher.batch, 64);
    assert_int_equal(config->teacher.crop_pad, 4);
    ws_config_free(&config);
    assert_null(config);
}

static void file_wins_over_reference_and_override_over_file(void **state)
{
    const char *text = CLASSES "distill:\n  batch: 64\n  kd3: {embedding: 32}\n  milestones: [0.5]\n";
    const char *overrides[] = {"distill.kd3.mix_alpha=0.2",
                               "distill.methods=[kd3, kd]",
                               "distill.batch=32",
                               "distill.batch=16",
                               "export.opset=13",
                               "report.title=",
                               "distill.kd={temperature: 2}",
                               "seed=7"};
    struct ws_config *config = NULL;
    struct ws_err err = {0};
    if (load_text(*state, text, overrides, 8, &config, &err) != WS_OK)
        fail_msg("%s", err.text);
    assert_int_equal(config->distill.batch, 16);
    assert_int_equal(config->distill.kd3.embedding, 32);
    assert_int_equal(config->distill.kd3.projector_factor, 2); /* mappings merge … */
    assert_int_equal(config->distill.optim.n_milestones, 1);   /* … lists replace */
    assert_true(config->distill.kd3.mix_alpha == 0.2);
    assert_int_equal(config->distill.n_methods, 2);
    assert_string_equal(config->distill.methods[1], "kd");
    assert_int_equal(config->export_.opset, 13);
    assert_string_equal(config->report.title, "");
    assert_true(config->distill.kd.temperature == 2);
    assert_int_equal(config->seed, 7);
    ws_config_free(&config);
}

static void wrong_override_is_named_as_it_was_typed(void **state)
{
    assert_refused(*state, CLASSES, "distill.batchsize=3",
                   "unknown key \"batchsize\" in section \"distill\"; did you mean \"batch\"?");
    assert_refused(*state, CLASSES, "distill.batch=many",
                   "distill.batch: expected a whole number in [2, 65536], found \"many\"");
    assert_refused(*state, CLASSES, "distill.batch", "expected section.key=value");
    assert_refused(*state, CLASSES, "=3", "expected section.key=value");
    assert_refused(*state, CLASSES, "seed.x=3", "\"seed\" is no section: expected \"=\" behind it, found \".\"");
    assert_refused(*state, CLASSES, "distill.methods=[kd",
                   "not YAML: did not find expected ',' or ']', while parsing a flow sequence");
}

static void classes_may_be_names_or_names_with_queries(void **state)
{
    struct ws_config *config = must_load(
        *state, "classes:\n- coat\n- {name: T-shirt/top, queries: [t-shirt, tee]}\n- {name: \"007\"}\n", NULL);
    assert_int_equal(config->n_classes, 3);
    assert_string_equal(config->classes[0].name, "coat");
    assert_int_equal(config->classes[0].n_queries, 1);
    assert_string_equal(config->classes[0].queries[0], "coat");
    assert_int_equal(config->classes[1].n_queries, 2);
    assert_string_equal(config->classes[1].queries[1], "tee");
    assert_string_equal(config->classes[2].name, "007");
    ws_config_free(&config);
}

static void numbers_are_decimal_and_empty_sections_change_nothing(void **state)
{
    struct ws_config *config =
        must_load(*state, CLASSES "seed: 010\ncrawl:\n  # all commented out\ndistill: {lr: 5e-2}\n", NULL);
    assert_int_equal(config->seed, 10);
    assert_int_equal(config->crawl.delay_ms, 1000);
    assert_true(config->distill.optim.lr == 0.05);
    ws_config_free(&config);
}

/* --- printing --- */

static void dump_of_what_a_dump_loads_is_the_same_dump(void **state)
{
    const char *text =
        "classes:\n- \"yes\"\n- {name: \"a: \\\"b\\\" #1\\n\", queries: [\" x \", \"1\", \"\xc3\xa9t\xc3\xa9\"]}\n"
        "crawl:\n  user_agent: me@example.org\n  sources:\n  - {kind: pages, url: \"http://a.example/?q={query}\"}\n"
        "distill: {lr: 0.1234567891, weight_decay: 1e-07, milestones: [], methods: []}\nseed: 9007199254740991\n";
    struct ws_config *first = must_load(*state, text, NULL);
    struct ws_buf first_dump = {0}, second_dump = {0};
    assert_int_equal(ws_config_dump(first, NULL, &first_dump, NULL), WS_OK);
    struct ws_config *second = must_load(*state, first_dump.ptr, NULL);
    assert_int_equal(ws_config_dump(second, NULL, &second_dump, NULL), WS_OK);
    assert_string_equal(first_dump.ptr, second_dump.ptr);
    assert_true(second->distill.optim.lr == 0.1234567891 && second->seed == 9007199254740991);
    assert_string_equal(second->classes[1].name, "a: \"b\" #1\n");
    /* Other readers of YAML would take a plain yes for a boolean. */
    assert_non_null(strstr(first_dump.ptr, "- name: \"yes\"\n"));
    ws_buf_fini(&first_dump);
    ws_buf_fini(&second_dump);
    ws_config_free(&first);
    ws_config_free(&second);
}

static void dump_of_sections_is_in_the_references_order(void **state)
{
    struct ws_config *config = must_load(*state, "classes: [cat, {name: dog, queries: [dog, puppy]}]\n", NULL);
    const char *const sections[] = {"score", "seed", "classes", NULL};
    struct ws_buf dump = {0};
    assert_int_equal(ws_config_dump(config, sections, &dump, NULL), WS_OK);
    assert_string_equal(dump.ptr, "classes:\n- name: cat\n  queries: [cat]\n- name: dog\n  queries: [dog, puppy]\n"
                                  "seed: 1\nscore:\n  batch: 256\n");
    const char *const wrong[] = {"scores", NULL};
    struct ws_err err = {0};
    assert_int_equal(ws_config_dump(config, wrong, &dump, &err), WS_E_CONFIG);
    assert_string_equal(err.text, "unknown section \"scores\"; did you mean \"score\"?");
    ws_buf_fini(&dump);
    ws_config_free(&config);
}

static void every_stage_names_sections_that_exist_and_none_names_threads(void **state)
{
    struct ws_config *config = must_load(*state, CLASSES, NULL);
    for (const struct ws_stage *stage = ws_stage_table; stage->name; stage++) {
        struct ws_buf dump = {0};
        assert_int_equal(ws_config_dump(config, stage->sections, &dump, NULL), WS_OK);
        assert_true(dump.len > 0);
        assert_null(strstr(dump.ptr, "threads:"));
        ws_buf_fini(&dump);
    }
    assert_null(ws_stage_find("crwal"));
    ws_config_free(&config);
}

/* --- the tables and the files --- */

/** Each line of the reference that sets a key, with the comment line above it. */
struct reference_line {
    char key[128];
    const char *above; /* borrowed from the text */
};

/** The reference is two spaces a level; "key:" opens a section, "key: value" sets. */
static bool reference_next(char **text, char sections[4][64], const char **previous, struct reference_line *line)
{
    for (char *start = *text; *start;) {
        char *end = strchr(start, '\n');
        assert_non_null(end);
        *end = '\0';
        *text = end + 1;
        const char *above = *previous;
        *previous = start;
        size_t indent = strspn(start, " "), name_len = strcspn(start + indent, ":");
        bool is_key = start[indent] && start[indent] != '#' && start[indent + name_len] == ':';
        start += indent;
        if (!is_key) {
            start = *text;
            continue;
        }
        assert_true(indent % 2 == 0 && indent / 2 < 3);
        snprintf(sections[indent / 2], 64, "%.*s", (int)name_len, start);
        int used = 0;
        for (size_t level = 0; level <= indent / 2; level++)
            used +=
                snprintf(line->key + used, sizeof line->key - (size_t)used, "%s%s", level ? "." : "", sections[level]);
        line->above = above;
        return true;
    }
    return false;
}

static void every_number_is_documented_with_its_unit_and_range(void **state)
{
    (void)state;
    struct ws_buf text = {0};
    assert_int_equal(ws_file_read("configs/reference.yaml", 1 << 20, &text, NULL), WS_OK);
    size_t n_documented = 0, n_rules = 0;
    char sections[4][64] = {{0}}, *cursor = text.ptr;
    const char *previous = "";
    struct reference_line line;
    while (reference_next(&cursor, sections, &previous, &line)) {
        const struct ws_conf_rule *rule = ws_conf_rule_find(line.key);
        if (!rule || !rule->unit)
            continue;
        char range[80], expected[128];
        if (rule->choices)
            snprintf(range, sizeof range, "%s or %s", rule->choices[0], rule->choices[1]);
        else
            ws_conf_rule_range(rule, range, sizeof range);
        snprintf(expected, sizeof expected, "# [%s; %s]", rule->unit, range);
        if (!strstr(line.above, expected))
            fail_msg("%s: expected \"%s\" in the line above, found \"%s\"", line.key, expected, line.above);
        n_documented++;
    }
    for (const struct ws_conf_rule *rule = ws_conf_rules; rule->key; rule++)
        n_rules += rule->unit ? 1 : 0;
    assert_int_equal(n_documented, n_rules);
    ws_buf_fini(&text);
}

static void assert_numbers_have_rules(const struct cyaml_schema_field *fields, const char *section)
{
    for (; fields->key; fields++) {
        char key[128];
        snprintf(key, sizeof key, "%s%s%s", section, *section ? "." : "", fields->key);
        const struct cyaml_schema_value *value =
            fields->value.type == CYAML_SEQUENCE ? fields->value.sequence.entry : &fields->value;
        if (value->type == CYAML_MAPPING)
            assert_numbers_have_rules(value->mapping.fields, key);
        bool is_number = value->type == CYAML_UINT || value->type == CYAML_INT || value->type == CYAML_FLOAT;
        if (is_number && !ws_conf_rule_find(key))
            fail_msg("%s has no range in ws_conf_rules", key);
        /* A number counts in the reference's unit; zero rows would make this test empty. */
        if (is_number)
            assert_non_null(ws_conf_rule_find(key)->unit);
    }
}

static void every_number_has_a_range(void **state)
{
    (void)state;
    assert_numbers_have_rules(ws_conf_schema.mapping.fields, "");
}

static void every_rule_belongs_to_a_key(void **state)
{
    struct ws_config *config = must_load(*state, CLASSES, NULL);
    struct ws_buf dump = {0};
    assert_int_equal(ws_config_dump(config, NULL, &dump, NULL), WS_OK);
    for (const struct ws_conf_rule *rule = ws_conf_rules; rule->key; rule++) {
        const char *dot = strrchr(rule->key, '.');
        char line[128];
        snprintf(line, sizeof line, "%s:", dot ? dot + 1 : rule->key);
        if (!strstr(dump.ptr, line))
            fail_msg("the rule of %s fits no key", rule->key);
        char override[160];
        snprintf(override, sizeof override, "%s={}", rule->key);
        struct ws_config *refused = NULL;
        struct ws_err err = {0};
        const char *overrides[] = {override};
        assert_int_equal(load_text(*state, CLASSES, overrides, 1, &refused, &err), WS_E_CONFIG);
        assert_null(strstr(err.text, "unknown"));
    }
    ws_buf_fini(&dump);
    ws_config_free(&config);
}

static void every_configuration_of_ours_loads(void **state)
{
    (void)state;
    struct ws_dir_list list = {0};
    assert_int_equal(ws_dir_list_open(&list, "configs", ".yaml", NULL), WS_OK);
    assert_true(list.n >= 3);
    for (size_t i = 0; i < list.n; i++) {
        char path[TEMP_PATH];
        struct ws_config *config = NULL;
        struct ws_err err = {0};
        if (ws_config_load(&config, temp_join(path, "configs", list.names[i]), NULL, 0, &err) != WS_OK)
            fail_msg("%s", err.text);
        ws_config_free(&config);
    }
    ws_dir_list_close(&list);
}

static void nearest_name_forgives_slips_and_nothing_else(void **state)
{
    (void)state;
    static const char *const names[] = {"batch", "epochs", "delay_ms", "timeout_s", "kd3", "kd", "lr", NULL};
    static const struct {
        const char *typed, *nearest;
    } cases[] = {
        {"batchsize", "batch"}, {"epoch", "epochs"},
        {"ecpohs", "epochs"},   {"Batch", "batch"},
        {"delay", "delay_ms"},  {"timeout", "timeout_s"},
        {"dk3", "kd3"},         {"l", "lr"},
        {"momentum", NULL},     {"", NULL},
        {"batches", "batch"},   {"temperature", NULL},
        {"kd4", "kd3"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *found = ws_nearest_name(cases[i].typed, names);
        if (cases[i].nearest ? !found || strcmp(found, cases[i].nearest) != 0 : found != NULL)
            fail_msg("\"%s\": expected %s, found %s", cases[i].typed, cases[i].nearest ? cases[i].nearest : "none",
                     found ? found : "none");
    }
}

#define CONF_TEST(name) cmocka_unit_test_setup_teardown(name, temp_setup, temp_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CONF_TEST(unknown_key_names_file_line_section_and_the_nearest_key),
        CONF_TEST(key_in_the_wrong_section_is_shown_its_own),
        CONF_TEST(wrong_value_names_line_range_and_what_was_found),
        CONF_TEST(wrong_word_lists_the_words_and_the_nearest),
        CONF_TEST(wrong_shape_names_what_was_expected),
        CONF_TEST(text_that_is_no_yaml_is_refused_with_its_line),
        CONF_TEST(key_that_stands_twice_is_refused),
        CONF_TEST(alias_that_contains_itself_ends),
        CONF_TEST(absent_file_is_named_with_a_near_one),
        CONF_TEST(keys_that_contradict_each_other_are_refused),
        CONF_TEST(user_agent_without_a_contact_is_refused),
        CONF_TEST(source_that_is_no_web_address_is_refused),
        CONF_TEST(contrast_that_does_not_exist_is_refused_in_either_section),
        CONF_TEST(defaults_are_the_papers),
        CONF_TEST(file_wins_over_reference_and_override_over_file),
        CONF_TEST(wrong_override_is_named_as_it_was_typed),
        CONF_TEST(classes_may_be_names_or_names_with_queries),
        CONF_TEST(numbers_are_decimal_and_empty_sections_change_nothing),
        CONF_TEST(dump_of_what_a_dump_loads_is_the_same_dump),
        CONF_TEST(dump_of_sections_is_in_the_references_order),
        CONF_TEST(every_stage_names_sections_that_exist_and_none_names_threads),
        CONF_TEST(every_number_is_documented_with_its_unit_and_range),
        CONF_TEST(every_number_has_a_range),
        CONF_TEST(every_rule_belongs_to_a_key),
        CONF_TEST(every_configuration_of_ours_loads),
        CONF_TEST(nearest_name_forgives_slips_and_nothing_else),
    };
    return cmocka_run_group_tests_name("conf", tests, NULL, NULL);
}
