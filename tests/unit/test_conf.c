/* The configuration: three layers, checked key by key, loaded into the struct and printed again. */
#include "../../crawler/source/source.h"
#include "program.h"
#include "temp.h"

#include "webstill/base/file.h"
#include "webstill/base/text.h"
#include "webstill/stage/config.h"
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
    return ws_config_load(config, test_program(), path, overrides, n_overrides, err);
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
    assert_int_equal(ws_config_load(&config, test_program(), path, NULL, 0, &err), WS_E_CONFIG);
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
    const struct ws_distill_keys *distill = ws_distill_keys(config);
    const struct ws_kd3_keys *kd3 = ws_config_keys(config, &ws_kd3_section);
    const struct ws_curate_keys *curate = ws_curate_keys(config);
    assert_int_equal(distill->runs.epochs, 240);
    assert_int_equal(distill->batch, 1024);
    assert_true(distill->optim.lr == 0.05 && distill->optim.options.momentum == 0.9);
    assert_true(distill->optim.options.weight_decay == 5e-4 && distill->optim.gamma == 0.1);
    assert_int_equal(distill->optim.options.kind, WS_OPTIM_SGD);
    assert_true(distill->optim.options.beta1 == 0.9 && distill->optim.options.beta2 == 0.999 &&
                distill->optim.options.eps == 1e-8);
    assert_int_equal(distill->optim.schedule, WS_SCHEDULE_STEP);
    assert_int_equal(distill->optim.n_milestones, 3);
    assert_true(distill->optim.milestones[0] * 240 == 150 && distill->optim.milestones[1] * 240 == 180);
    assert_true(distill->optim.milestones[2] * 240 == 210);
    assert_true(kd3->contrast_weight == 0.001 && kd3->contrast_temperature == 0.3);
    assert_int_equal(kd3->embedding, 128);
    assert_int_equal(kd3->projector_factor, 2);
    assert_true(kd3->share);
    assert_true(kd3->mix_alpha == 0.1 && kd3->mix_eps == 1e-6);
    assert_true(kd3->select && kd3->weights && distill->flip);
    assert_int_equal(kd3->selection_view, WS_SELECTION_AUGMENTED);
    assert_int_equal(curate->combine, WS_COMBINE_LOGITS);
    assert_int_equal(kd3->contrast, WS_CONTRAST_SELF);
    assert_int_equal(kd3->align, WS_ALIGN_MAP);
    assert_int_equal(curate->rule, WS_RULE_KD3);
    assert_int_equal(curate->density, WS_DENSITY_OFF);
    assert_int_equal(curate->source_precision, WS_BY_NOTHING);
    assert_true(curate->quota == 1);
    assert_true(distill->crop_min_area == 0.08 && distill->holdout == 0.1 && KEYS(config, kd)->temperature == 4);
    assert_int_equal(distill->augment, WS_AUGMENT_RESIZED_CROP);
    assert_true(curate->p_cutoff == 0.95 && curate->alpha_zero_share * 240 == 120);
    assert_true(curate->alpha_horizon_share * 240 > 159.9999 && curate->alpha_horizon_share * 240 < 160.0001);
    assert_true(curate->alpha_steepness == 5);
    assert_int_equal(ws_teacher_keys(config)->batch, 64);
    assert_int_equal(ws_teacher_keys(config)->crop_pad, 4);
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
    assert_int_equal(ws_distill_keys(config)->batch, 16);
    assert_int_equal(KEYS(config, kd3)->embedding, 32);
    assert_int_equal(KEYS(config, kd3)->projector_factor, 2);         /* mappings merge … */
    assert_int_equal(ws_distill_keys(config)->optim.n_milestones, 1); /* … lists replace */
    assert_true(KEYS(config, kd3)->mix_alpha == 0.2);
    assert_int_equal(ws_config_runs(config)->n_methods, 2);
    assert_string_equal(ws_config_runs(config)->methods[1], "kd");
    struct ws_buf dump = {0};
    assert_int_equal(ws_config_print(config, "export", &dump, &err), WS_OK);
    assert_string_equal(dump.ptr, "export:\n  opset: 13\n  fold_bn: true\n  normalise: false\n");
    ws_buf_fini(&dump);
    assert_string_equal(ws_report_keys(config)->title, "");
    assert_true(KEYS(config, kd)->temperature == 2);
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
    assert_int_equal(ws_crawl_keys(config)->delay_ms, 1000);
    assert_true(ws_distill_keys(config)->optim.lr == 0.05);
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
    assert_int_equal(ws_config_print(first, NULL, &first_dump, NULL), WS_OK);
    struct ws_config *second = must_load(*state, first_dump.ptr, NULL);
    assert_int_equal(ws_config_print(second, NULL, &second_dump, NULL), WS_OK);
    assert_string_equal(first_dump.ptr, second_dump.ptr);
    assert_true(ws_distill_keys(second)->optim.lr == 0.1234567891 && second->seed == 9007199254740991);
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
    assert_int_equal(ws_conf_print(config->conf, sections, &dump, NULL), WS_OK);
    assert_string_equal(dump.ptr, "classes:\n- name: cat\n  queries: [cat]\n- name: dog\n  queries: [dog, puppy]\n"
                                  "seed: 1\nscore:\n  batch: 256\n");
    const char *const wrong[] = {"scores", NULL};
    struct ws_err err = {0};
    assert_int_equal(ws_conf_print(config->conf, wrong, &dump, &err), WS_E_CONFIG);
    assert_string_equal(err.text, "unknown section \"scores\"; did you mean \"score\"?");
    ws_buf_fini(&dump);
    ws_config_free(&config);
}

/* --- what stages depend on --- */

/** Another value that the row admits, as YAML. */
static const char *another_value(const struct ws_conf_key *key, const struct ws_buf *now, char text[200])
{
    if (strcmp(key->name, "user_agent") == 0)
        return "me@example.org";
    if (strcmp(key->name, "resolve") == 0)
        return "[a.example=127.0.0.1]";
    if (strcmp(key->name, "classes") == 0)
        return "[cat, cow]";
    switch (key->type) {
    case WS_CONF_TYPE_WORD:
        snprintf(text, 200, "%s", strcmp(now->ptr, key->words[0].word) == 0 ? key->words[1].word : key->words[0].word);
        break;
    case WS_CONF_TYPE_BOOL:
        snprintf(text, 200, "%s", strcmp(now->ptr, "true") == 0 ? "false" : "true");
        break;
    case WS_CONF_TYPE_UINT:
    case WS_CONF_TYPE_ULONG: /* in the middle, or beside it */
        snprintf(text, 200, "%.0f", strtod(now->ptr, NULL) < key->max ? strtod(now->ptr, NULL) + 1 : key->max - 1);
        break;
    case WS_CONF_TYPE_NUMBER:
        snprintf(text, 200, key->is_list ? "[%g]" : "%g", key->min + (key->max - key->min) * 0.4375);
        break;
    case WS_CONF_TYPE_RECORD:
        return "[{kind: pages, url: \"http://a.example/\"}]";
    default:
        snprintf(text, 200, key->is_list ? "[kd]" : "other");
        break;
    }
    return text;
}

enum { MAX_PARTS = 40, MAX_PART_NAME = 40 };

/** What each stage and each run of all methods depends on. */
struct parts {
    size_t n;
    char names[MAX_PARTS][MAX_PART_NAME];
    struct ws_buf texts[MAX_PARTS];
};

#define ALL_METHODS "[kd3, kd3+, simkd, kd, fitnet, dfnd, noise, ce]"

static void add_part(struct parts *parts, const struct ws_config *config, const struct ws_stage *stage, const char *run)
{
    struct ws_err err = {0};
    assert_true(parts->n < MAX_PARTS);
    snprintf(parts->names[parts->n], MAX_PART_NAME, "%s%s%s", stage->name, run ? " " : "", run ? run : "");
    if (ws_config_part(config, stage, run, &parts->texts[parts->n++], &err) != WS_OK)
        fail_msg("%s: %s", stage->name, err.text);
}

static void list_parts(struct parts *parts, const struct ws_config *config)
{
    static const char *const methods[] = {"kd3", "kd3+", "simkd", "kd", "fitnet", "dfnd", "noise", "ce"};
    *parts = (struct parts){0};
    for (const struct ws_stage *stage = ws_stage_table; stage->name; stage++) {
        add_part(parts, config, stage, NULL);
        for (size_t i = 0; stage->has_runs && i < sizeof methods / sizeof methods[0]; i++)
            add_part(parts, config, stage, methods[i]);
    }
}

static void free_parts(struct parts *parts)
{
    for (size_t i = 0; i < parts->n; i++)
        ws_buf_fini(&parts->texts[i]);
}

#define EVERY_RUN                                                                                                      \
    "distill distill kd3 distill kd3+ distill simkd distill kd distill fitnet distill dfnd distill noise "             \
    "distill ce "

/** The stages and runs that read a key, in the order of list_parts(): written down here once more, by hand. */
static const char *readers_of(const char *path)
{
    static const struct {
        const char *path, *readers;
    } rows[] = {
        /* The longest path that fits decides. */
        {"classes", "crawl store " EVERY_RUN},
        {"seed", "teacher " EVERY_RUN},
        {"threads", ""},
        {"crawl.", "crawl "},
        {"store.", "store "},
        {"teacher.", "teacher "},
        {"score.", "score "},
        {"curate.", "curate distill distill kd3 distill kd3+ "},
        {"curate.epoch", "curate "},
        {"curate.drift_warn", "curate "},
        {"distill.", EVERY_RUN},
        {"distill.methods", "distill "},
        {"distill.checkpoint_s", ""},
        {"distill.epochs", "curate " EVERY_RUN},
        {"distill.pool", "curate " EVERY_RUN},
        {"distill.kd3.", "distill distill kd3 distill kd3+ "},
        {"distill.kd3_plus.", "distill distill kd3+ "},
        {"distill.simkd.", "distill distill simkd "},
        {"distill.kd.", "distill distill kd distill noise "},
        {"distill.fitnet.", "distill distill fitnet "},
        {"distill.dfnd.", "distill distill dfnd "},
        {"eval.", "eval "},
        {"export.", "export "},
        {"report.", "report "},
    };
    char whole[200]; /* "crawl" is "crawl." */
    snprintf(whole, sizeof whole, "%s.", path);
    const char *readers = NULL;
    size_t longest = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strncmp(whole, rows[i].path, strlen(rows[i].path)) == 0 && strlen(rows[i].path) > longest) {
            longest = strlen(rows[i].path);
            readers = rows[i].readers;
        }
    return readers;
}

static void read_value(const struct ws_config *config, const char *path, struct ws_buf *value)
{
    struct ws_buf text = {0};
    assert_int_equal(ws_conf_print(config->conf, (const char *const[]){path, NULL}, &text, NULL), WS_OK);
    const char *colon = strrchr(text.ptr, ':');
    ws_buf_clear(value);
    assert_true(ws_buf_add(value, colon + 2, strcspn(colon + 2, "\n")));
    ws_buf_fini(&text);
}

static void check_readers(const char *folder, const struct parts *before, const char *path, const char *value)
{
    char override[400], changed[1000] = "";
    struct ws_config *config = NULL;
    struct ws_err err = {0};
    struct parts parts;
    snprintf(override, sizeof override, "%s=%s", path, value);
    const char *const overrides[] = {"distill.methods=" ALL_METHODS, override};
    if (load_text(folder, CLASSES, overrides, 2, &config, &err) != WS_OK)
        fail_msg("%s", err.text);
    list_parts(&parts, config);
    assert_int_equal(parts.n, before->n);
    for (size_t i = 0; i < parts.n; i++)
        if (strcmp(parts.texts[i].ptr, before->texts[i].ptr) != 0)
            strcat(strcat(changed, parts.names[i]), " ");
    /* The stage as a whole depends on what the runs that are asked for depend on. */
    const char *expected = readers_of(path);
    if (!expected)
        fail_msg("%s: nobody is known to read it", path);
    if (strcmp(changed, expected) != 0)
        fail_msg("%s=%s: expected to change \"%s\", changed \"%s\"", path, value, expected, changed);
    free_parts(&parts);
    ws_config_free(&config);
}

static void a_changed_key_changes_what_the_stages_that_read_it_depend_on_and_nothing_else(void **state)
{
    const char *const overrides[] = {"distill.methods=" ALL_METHODS};
    struct ws_config *config = NULL;
    struct ws_err err = {0};
    struct parts before;
    struct ws_buf now = {0};
    size_t n_keys = 0;
    if (load_text(*state, CLASSES, overrides, 1, &config, &err) != WS_OK)
        fail_msg("%s", err.text);
    list_parts(&before, config);
    for (const struct ws_conf_section *const *section = test_program()->sections; *section; section++) {
        struct ws_conf_visit row;
        for (size_t i = 0; ws_conf_row(*section, i, &row); i++) {
            char path[200], text[200];
            /* Some have to be given with another one: they are changed together, and belong to one section. */
            if (strcmp(row.key->name, "sources") == 0 || strcmp(row.key->name, "train_images") == 0 ||
                strcmp(row.key->name, "train_labels") == 0 || strcmp(row.key->name, "images") == 0 ||
                strcmp(row.key->name, "labels") == 0)
                continue;
            snprintf(path, sizeof path, "%s%s%s", (*section)->name, (*section)->name[0] ? "." : "", row.key->name);
            read_value(config, path, &now);
            check_readers(*state, &before, path, another_value(row.key, &now, text));
            n_keys++;
        }
    }
    check_readers(*state, &before, "crawl",
                  "{user_agent: a@b.c, sources: [{kind: pages, url: \"http://a.example/\"}]}");
    check_readers(*state, &before, "teacher", "{train_images: a, train_labels: b}");
    check_readers(*state, &before, "eval", "{images: a, labels: b}");
    assert_true(n_keys > 120);
    ws_buf_fini(&now);
    free_parts(&before);
    ws_config_free(&config);
}

/* --- the rows --- */

static void every_key_has_a_sentence_and_every_number_a_range(void **state)
{
    (void)state;
    for (const struct ws_conf_section *const *section = test_program()->sections; *section; section++) {
        struct ws_conf_visit row;
        assert_true((*section)->title || (*section)->name[0] == '\0');
        bool is_told = false; /* a key without a sentence belongs to the one before it */
        for (size_t i = 0; ws_conf_row(*section, i, &row); i++) {
            const enum ws_conf_type type = row.key->type;
            const bool is_number =
                type == WS_CONF_TYPE_UINT || type == WS_CONF_TYPE_ULONG || type == WS_CONF_TYPE_NUMBER;
            is_told = is_told || row.key->help;
            if (!is_told)
                fail_msg("%s.%s has no sentence", (*section)->name, row.key->name);
            if (is_number && (!row.key->unit || !(row.key->max > row.key->min)))
                fail_msg("%s.%s has no unit or no range", (*section)->name, row.key->name);
            if (type == WS_CONF_TYPE_WORD && !row.key->words)
                fail_msg("%s.%s has no words", (*section)->name, row.key->name);
        }
    }
}

static void each_kind_of_source_is_called_by_its_rows_name(void **state)
{
    (void)state;
    size_t i = 0;
    for (; ws_source_table[i]; i++) {
        assert_string_equal(ws_source_words[i].word, ws_source_table[i]->name);
        assert_int_equal(ws_source_words[i].value, i);
    }
    assert_null(ws_source_words[i].word);
}

/** As the programs have it: curate reads two keys of `distill`, and nothing of `export`. */
static void a_part_of_a_section_is_read_and_the_rest_is_skipped(void **state)
{
    static const struct ws_conf_section *const sections[] = {&ws_top_section, &ws_curate_section, &ws_runs_section,
                                                             NULL};
    static const struct ws_program program = {.name = "curate", .sections = sections};
    char path[TEMP_PATH];
    const char *text = CLASSES "distill: {batchsize: 1, epochs: 7, kd3: {what: 3}}\nexport: 5\ncurate: {quota: 0.5}\n";
    const char *const overrides[] = {"distill.nobody=3", "export.opset=x", "distill.pool=some.txt"};
    struct ws_config *config = NULL;
    struct ws_err err = {0};
    struct ws_buf part = {0};
    temp_write(temp_join(path, *state, "x.yaml"), text, strlen(text));
    if (ws_config_load(&config, &program, path, overrides, 3, &err) != WS_OK)
        fail_msg("%s", err.text);
    assert_int_equal(ws_config_runs(config)->epochs, 7);
    assert_string_equal(ws_config_runs(config)->pool, "some.txt");
    assert_true(ws_curate_keys(config)->quota == 0.5);
    assert_false(ws_conf_has(config->conf, "distill"));
    assert_int_equal(ws_config_part(config, ws_stage_find("curate"), NULL, &part, &err), WS_OK);
    assert_non_null(strstr(part.ptr, "distill:\n  epochs: 7\n  pool: some.txt\n"));
    assert_null(strstr(part.ptr, "methods"));
    ws_buf_fini(&part);
    ws_config_free(&config);

    const char *const wrong[] = {"distill.epochs=0"};
    assert_int_equal(ws_config_load(&config, &program, path, wrong, 1, &err), WS_E_CONFIG);
    const char *const unknown[] = {"exprot.opset=1"};
    assert_int_equal(ws_config_load(&config, &program, path, unknown, 1, &err), WS_E_CONFIG);
    assert_string_equal(err.text, "-o exprot.opset=1: unknown section \"exprot\"; did you mean \"export\"?");
}

/* --- the files --- */

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
        if (ws_config_load(&config, test_program(), temp_join(path, "configs", list.names[i]), NULL, 0, &err) != WS_OK)
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
        CONF_TEST(a_changed_key_changes_what_the_stages_that_read_it_depend_on_and_nothing_else),
        CONF_TEST(every_key_has_a_sentence_and_every_number_a_range),
        CONF_TEST(each_kind_of_source_is_called_by_its_rows_name),
        CONF_TEST(a_part_of_a_section_is_read_and_the_rest_is_skipped),
        CONF_TEST(every_configuration_of_ours_loads),
        CONF_TEST(nearest_name_forgives_slips_and_nothing_else),
    };
    return cmocka_run_group_tests_name("conf", tests, NULL, NULL);
}
