/* Manifests: what makes one current, what is in it, and what is said when one is missing or damaged. */
#include "../unit/program.h"
#include "../unit/temp.h"

#include "webstill/base/file.h"
#include "webstill/stage/manifest.h"
#include "webstill/stage/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct ws_config *load_config(const char *folder, const char *override)
{
    char path[TEMP_PATH];
    const char *text = "classes: [coat, dress]\ncrawl: {user_agent: \"test/1 (+mailto:a@b.example)\"}\n";
    struct ws_config *config = NULL;
    struct ws_err err = {0};
    temp_join(path, folder, "c.yaml");
    temp_write(path, text, strlen(text));
    if (ws_config_load(&config, test_program(), path, override ? &override : NULL, override ? 1 : 0, &err) != WS_OK)
        fail_msg("%s", err.text);
    return config;
}

static void begin(struct ws_manifest *manifest, const struct ws_config *config, const char *input_text)
{
    struct ws_err err = {0};
    const struct ws_digest digest = ws_sha256(input_text, strlen(input_text)), other = ws_sha256("b", 1);
    if (ws_manifest_begin(manifest, ws_stage_find("store"), "libpng 1", config, NULL, &err) != WS_OK)
        fail_msg("%s", err.text);
    assert_true(ws_manifest_input(manifest, "crawl/a.warc.gz", &digest));
    assert_true(ws_manifest_input(manifest, "crawl/b.warc.gz", &other));
}

/* Writes WORK/store/manifest.json with one output that exists; returns its path. */
static void make_manifest(const char *work, const struct ws_config *config, char path[TEMP_PATH])
{
    struct ws_manifest manifest = {0};
    struct ws_err err = {0};
    char output[TEMP_PATH];
    const struct ws_digest digest = ws_sha256("pixels", 6);
    temp_join(output, work, "store/data.mdb");
    temp_write(output, "pixels", 6);
    begin(&manifest, config, "a");
    assert_true(ws_manifest_output(&manifest, "store/data.mdb", &digest, 42));
    assert_true(ws_manifest_count(&manifest, "images", 42));
    assert_true(ws_manifest_fact(&manifest, "refused", json_pack("{s:i}", "corrupt", 3)));
    temp_join(path, work, "store/manifest.json");
    if (ws_manifest_finish(&manifest, path, &err) != WS_OK)
        fail_msg("%s", err.text);
    ws_manifest_fini(&manifest);
    assert_null(manifest.root);
}

static void holds_what_it_was_given(void **state)
{
    char path[TEMP_PATH], hex[WS_DIGEST_HEX];
    struct ws_err err = {0};
    json_t *root = NULL;
    struct ws_digest digest;
    struct ws_config *config = load_config(*state, NULL);
    make_manifest(*state, config, path);
    assert_int_equal(ws_manifest_read(path, &root, &err), WS_OK);
    assert_string_equal(json_string_value(json_object_get(root, "stage")), "store");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(root, "counts"), "images")), 42);
    assert_int_equal(json_array_size(json_object_get(root, "inputs")), 2);
    assert_true(json_is_real(json_object_get(root, "seconds")));
    assert_non_null(json_object_get(json_object_get(root, "machine"), "cpu"));
    const char *yaml = json_string_value(json_object_get(root, "config"));
    assert_non_null(strstr(yaml, "coat"));
    const struct ws_digest expected = ws_sha256(yaml, strlen(yaml));
    ws_digest_hex(&expected, hex);
    assert_string_equal(json_string_value(json_object_get(root, "config_sha256")), hex);
    assert_int_equal(ws_manifest_output_digest(root, "store/data.mdb", &digest, &err), WS_OK);
    const struct ws_digest pixels = ws_sha256("pixels", 6);
    assert_memory_equal(digest.bytes, pixels.bytes, sizeof(pixels.bytes));
    assert_int_equal(ws_manifest_output_digest(root, "store/nothing", &digest, &err), WS_E_DAMAGED);
    json_decref(root);
    ws_config_free(&config);
}

static void is_current_only_with_the_same_configuration_inputs_and_outputs(void **state)
{
    char path[TEMP_PATH], output[TEMP_PATH];
    struct ws_manifest same = {0}, input = {0}, changed = {0}, elsewhere = {0};
    struct ws_config *config = load_config(*state, NULL), *other = load_config(*state, "store.min_side=17"),
                     *unrelated = load_config(*state, "distill.epochs=7");
    make_manifest(*state, config, path);
    begin(&same, config, "a");
    begin(&input, config, "changed");
    begin(&changed, other, "a");
    begin(&elsewhere, unrelated, "a");
    assert_true(ws_manifest_is_current(&same, path, *state));
    assert_true(ws_manifest_is_current(&elsewhere, path, *state)); /* a section the stage does not depend on */
    assert_false(ws_manifest_is_current(&input, path, *state));
    assert_false(ws_manifest_is_current(&changed, path, *state));
    temp_remove(temp_join(output, *state, "store/data.mdb"));
    assert_false(ws_manifest_is_current(&same, path, *state));
    assert_false(ws_manifest_is_current(&same, "build/tmp/absent/manifest.json", *state));
    ws_manifest_fini(&same);
    ws_manifest_fini(&input);
    ws_manifest_fini(&changed);
    ws_manifest_fini(&elsewhere);
    ws_config_free(&config);
    ws_config_free(&other);
    ws_config_free(&unrelated);
}

/* Gives the manifest at `path` another configuration text; the digest follows where it is `signed`. */
static void rewrite_config(const char *path, const char *yaml, bool is_signed)
{
    char hex[WS_DIGEST_HEX];
    struct ws_err err = {0};
    json_t *root = NULL;
    assert_int_equal(ws_manifest_read(path, &root, &err), WS_OK);
    const struct ws_digest digest = ws_sha256(yaml, strlen(yaml));
    ws_digest_hex(&digest, hex);
    json_object_set_new(root, "config", json_string(yaml));
    if (is_signed)
        json_object_set_new(root, "config_sha256", json_string(hex));
    char *text = json_dumps(root, 0);
    temp_write(path, text, strlen(text));
    free(text);
    json_decref(root);
}

static void is_current_when_an_older_program_read_more_keys(void **state)
{
    char path[TEMP_PATH];
    struct ws_buf more = {0};
    struct ws_manifest same = {0}, changed = {0};
    struct ws_config *config = load_config(*state, NULL), *other = load_config(*state, "store.min_side=17");
    begin(&same, config, "a");
    begin(&changed, other, "a");
    make_manifest(*state, config, path);
    const char *yaml = json_string_value(json_object_get(same.root, "config"));
    assert_true(ws_buf_addf(&more, "%sdistill:\n  lr: 0.05\n", yaml));
    rewrite_config(path, more.ptr, true);
    assert_true(ws_manifest_is_current(&same, path, *state));
    assert_false(ws_manifest_is_current(&changed, path, *state));
    make_manifest(*state, config, path);
    rewrite_config(path, "seed: 1\n", true); /* and not when it read fewer */
    assert_false(ws_manifest_is_current(&same, path, *state));
    make_manifest(*state, other, path);
    rewrite_config(path, yaml, false); /* nor by an altered text */
    assert_false(ws_manifest_is_current(&same, path, *state));
    ws_buf_fini(&more);
    ws_manifest_fini(&same);
    ws_manifest_fini(&changed);
    ws_config_free(&config);
    ws_config_free(&other);
}

static void names_the_stage_to_run_when_it_is_missing(void **state)
{
    static const char *const cases[][2] = {{"crawl/manifest.json", "webstill crawl"},
                                           {"scores/manifest.json", "webstill score"},
                                           {"selection/manifest.json", "webstill curate"},
                                           {"runs/kd3/manifest.json", "webstill distill"},
                                           {"store/x/teacher/manifest.json", "webstill teacher"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char path[TEMP_PATH];
        struct ws_err err = {0};
        json_t *root = NULL;
        temp_join(path, *state, cases[i][0]);
        assert_int_equal(ws_manifest_read(path, &root, &err), WS_E_IO);
        assert_null(root);
        if (!strstr(err.hint, cases[i][1]))
            fail_msg("%s: the hint is \"%s\"", path, err.hint);
    }
}

static void refuses_damage_by_line(void **state)
{
    static const char *const cases[] = {"", "{", "{\"webstill\":1,\n\"stage\":}", "{\"webstill\":2}", "[]"};
    char path[TEMP_PATH];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ws_err err = {0};
        json_t *root = NULL;
        temp_join(path, *state, "manifest.json");
        temp_write(path, cases[i], strlen(cases[i]));
        assert_int_equal(ws_manifest_read(path, &root, &err), WS_E_DAMAGED);
        assert_null(root);
        assert_non_null(strstr(err.text, "manifest.json"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(holds_what_it_was_given, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(is_current_only_with_the_same_configuration_inputs_and_outputs, temp_setup,
                                        temp_teardown),
        cmocka_unit_test_setup_teardown(is_current_when_an_older_program_read_more_keys, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(names_the_stage_to_run_when_it_is_missing, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(refuses_damage_by_line, temp_setup, temp_teardown),
    };
    return cmocka_run_group_tests_name("manifest", tests, NULL, NULL);
}
