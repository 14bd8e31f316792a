/* The report: what is in it, what is said of what is missing, and that nothing of the web's text becomes markup. */
#include "program.h"
#include "workdir.h"

#include "../../store/commands.h"
#include "../../store/report/chart.h"
#include "../../store/report/html.h"
#include "../../store/report/png.h"

#include <png.h>

static char *make_page(const struct workdir *work)
{
    char path[TEMP_PATH], *out = NULL;
    struct ws_err failure = {0};
    struct ws_buf page = {0};
    if (workdir_run(work, ws_report_command, NULL, false, &out, &failure) != WS_OK)
        fail_msg("%s", failure.text);
    free(out);
    workdir_path(work, path, "report/index.html");
    WORKDIR_OK(ws_file_read(path, 1 << 24, &page, err));
    return page.ptr;
}

static size_t count(const char *text, const char *part)
{
    size_t n = 0;
    for (const char *at = strstr(text, part); at; at = strstr(at + 1, part))
        n++;
    return n;
}

static void shows_every_part_of_a_finished_pipeline(void **state)
{
    static const char *const parts[] = {
        "A &lt;test&gt; &amp; more</h1>",             /* the title, escaped */
        "is right on 80.21&nbsp;% of the clean test", /* the lead */
        "T-shirt &lt;top&gt;",                        /* a class, escaped */
        "<td class=\"best\">80.21</td>",              /* the best student */
        ">too small</span><span>1</span>",            /* a reason of the store */
        ">robots</span><span>12</span>",              /* a reason of the crawl */
        "data:image/png;base64,iVBOR",                /* pictures */
        "dropped: confidence ",                       /* why */
        ", weight 0.5",                               /* of a kept one */
        ">threshold</span><span>",                    /* reasons of the selection */
        ">quota</span><span>",
        "kept: confidence ",                          /* why */
        "<path class=\"line s0\" d=\"M",              /* curves */
        "Threshold on the confidence per class, kd3", /* thresholds */
        "What is taken for what",                     /* confusions */
        "newly kept: epoch 1, confidence ",           /* changes between epochs */
        "By the class whose search found it",         /* the funnel class by class */
        "disputed: the teacher says ",                /* teacher and student apart */
        "resnet20</td>",
    };
    struct workdir work;
    workdir_make(&work, *state, 60, 3);
    char *page = make_page(&work);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (!strstr(page, parts[i]))
            fail_msg("the page has no %s", parts[i]);
    }
    assert_null(strstr(page, "has not been run"));
    assert_true(count(page, "<figure title=") >= 12);
    free(page);
    workdir_free(&work);
}

static void loads_nothing_and_runs_nothing_from_the_web(void **state)
{
    struct workdir work;
    workdir_make(&work, *state, 40, 2);
    char *page = make_page(&work);
    assert_null(strstr(page, "<script"));
    assert_null(strstr(page, "javascript:"));
    assert_null(strstr(page, "<link"));
    assert_null(strstr(page, "src=\"http"));
    assert_null(strstr(page, "url("));
    assert_null(strstr(page, "@import"));
    assert_non_null(strstr(page, "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"));
    assert_non_null(strstr(page, "href=\"http://shop.test/p?a=1&amp;b=2\""));
    free(page);
    workdir_free(&work);
}

static void balances_its_tags(void **state)
{
    static const char *const tags[] = {"section", "table", "tr", "td", "figure", "svg",
                                       "div",     "span",  "p",  "h2", "a",      "dl"};
    struct workdir work;
    workdir_make(&work, *state, 40, 2);
    char *page = make_page(&work);
    for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
        char open[2][16], close[16];
        snprintf(open[0], sizeof(open[0]), "<%s>", tags[i]);
        snprintf(open[1], sizeof(open[1]), "<%s ", tags[i]);
        snprintf(close, sizeof(close), "</%s>", tags[i]);
        assert_int_equal(count(page, open[0]) + count(page, open[1]), count(page, close));
    }
    free(page);
    workdir_free(&work);
}

static void names_the_stage_of_each_missing_part(void **state)
{
    static const char *const commands[] = {"crawl", "store", "curate", "distill", "eval", "teacher"};
    struct workdir work = {.n_images = 0};
    snprintf(work.folder, sizeof(work.folder), "%s", (const char *)*state);
    workdir_config(&work, *state);
    char *page = make_page(&work);
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        char sentence[100];
        snprintf(sentence, sizeof(sentence), "Stage <b>%s</b> has not been run", commands[i]);
        if (!strstr(page, sentence))
            fail_msg("the page does not say that %s has not been run", commands[i]);
    }
    free(page);
    workdir_free(&work);
}

static void says_which_file_it_could_not_read(void **state)
{
    struct workdir work;
    char path[TEMP_PATH];
    workdir_make(&work, *state, 30, 2);
    temp_write(workdir_path(&work, path, "runs/kd3/eval.json"), "{\"accuracy\":", 12);
    char *page = make_page(&work);
    assert_non_null(strstr(page, "Some files could not be read"));
    assert_non_null(strstr(page, "runs/kd3/eval.json"));
    assert_non_null(strstr(page, "78.08")); /* the other run is still there */
    free(page);
    workdir_free(&work);
}

static void is_made_anew_only_when_something_changed(void **state)
{
    struct workdir work;
    char path[TEMP_PATH];
    workdir_make(&work, *state, 30, 2);
    free(make_page(&work));
    temp_write(workdir_path(&work, path, "report/index.html"), "mine", 4);
    char *page = make_page(&work);
    assert_string_equal(page, "mine"); /* up to date: left alone */
    free(page);
    workdir_eval(&work, "runs/kd3/eval.json", 0.7777, 12.4e6);
    page = make_page(&work);
    assert_non_null(strstr(page, "77.77"));
    free(page);
    workdir_free(&work);
}

/** The page of a working directory under another key of the configuration. */
static char *make_page_under(struct workdir *work, const char *key, const char *value)
{
    char option[TEMP_PATH + 40];
    const char *options[1] = {option};
    snprintf(option, sizeof(option), "%s=%s", key, value);
    ws_config_free(&work->config);
    WORKDIR_OK(ws_config_load(&work->config, test_program(), work->config_path, options, 1, err));
    return make_page(work);
}

static char *make_page_with(struct workdir *work, const char *results)
{
    return make_page_under(work, "report.results", results);
}

enum { PAIRS = 10 };

static void write_refined(const struct workdir *work)
{
    char path[TEMP_PATH];
    static uint8_t pixels[PAIRS][WORKDIR_SIDE * WORKDIR_SIDE];
    const struct ws_tensor_entry entries[] = {
        {"ids", WS_U8, 2, {PAIRS, 16}, work->ids, (size_t)PAIRS * 16},
        {"pixels", WS_U8, 4, {PAIRS, WORKDIR_SIDE, WORKDIR_SIDE, 1}, pixels, sizeof(pixels)},
    };
    WORKDIR_OK(
        ws_tensors_write(workdir_path(work, path, "runs/refined/part-001.safetensors"), entries, 2, NULL, 0, err));
}

static void shows_what_was_prepared_for_a_run_of_the_configuration(void **state)
{
    struct workdir work;
    struct ws_manifest manifest = {0};
    char path[TEMP_PATH];
    workdir_make(&work, *state, 30, 2);
    write_refined(&work);
    WORKDIR_OK(ws_manifest_begin(&manifest, ws_stage_find("distill"), "test 1", work.config, "kd3+", err));
    assert_true(ws_manifest_fact(&manifest, "prepares", json_string("kd3+")));
    assert_true(ws_manifest_fact(&manifest, "what", json_string("pulled & pushed")));
    WORKDIR_OK(ws_manifest_finish(&manifest, workdir_path(&work, path, "runs/refined/manifest.json"), err));
    ws_manifest_fini(&manifest);
    char *page = make_page(&work);
    assert_null(strstr(page, "id=\"refined\""));
    free(page);
    page = make_page_under(&work, "distill.methods", "[kd3+]");
    assert_non_null(strstr(page, "id=\"refined\""));
    assert_non_null(strstr(page, "the same picture as kd3+ mostly shows it: pulled &amp; pushed.</p>"));
    assert_int_equal(count(page, "<img alt=\"refined\""), PAIRS);
    free(page);
    workdir_free(&work);
}

static void shows_pictures_that_an_older_program_prepared(void **state)
{
    struct workdir work;
    workdir_make(&work, *state, 30, 2);
    write_refined(&work);
    char *page = make_page(&work);
    assert_non_null(strstr(page, "the same picture as a run mostly shows it.</p>"));
    assert_int_equal(count(page, "<img alt=\"refined\""), PAIRS);
    free(page);
    workdir_free(&work);
}

static void a_damaged_part_of_refined_pictures_costs_their_section_alone(void **state)
{
    struct workdir work;
    char path[TEMP_PATH];
    workdir_make(&work, *state, 30, 2);
    temp_write(workdir_path(&work, path, "runs/refined/part-001.safetensors"), "damaged", 7);
    char *page = make_page_under(&work, "distill.methods", "[kd3+]");
    assert_null(strstr(page, "id=\"refined\""));
    assert_non_null(strstr(page, "</html>"));
    free(page);
    workdir_free(&work);
}

static void shows_mean_and_deviation_over_seeds(void **state)
{
    static const char text[] =
        "{\"about\":\"main\",\"title\":\"All & more\",\"leads\":[\"kd3\"],\"against\":[\"kd3\",\"none\"]}\n"
        "{\"experiment\":\"main\",\"row\":\"kd3\",\"seed\":1,\"x\":null,\"accuracy\":0.80,\"curve\":[[1,0.5],[2,0.6]]}"
        "\n"
        "{\"experiment\":\"main\",\"row\":\"kd3\",\"seed\":2,\"x\":null,\"accuracy\":0.84,\"curve\":[[1,0.4],[2,0.7]]}"
        "\n"
        "{\"experiment\":\"main\",\"row\":\"<b>kd\",\"seed\":1,\"x\":null,\"accuracy\":0.75,\"commit\":\"<i>\"}\n"
        "{\"experiment\":\"junk\",\"row\":\"kd3\",\"seed\":1,\"x\":0.3,\"accuracy\":0.71}\n"
        "{\"experiment\":\"main\",\"row\":\"kd3-with-kl\",\"seed\":1,\"x\":null,\"accuracy\":0.87}\n"
        "{\"experiment\":\"curation\",\"row\":\"quota\",\"seed\":1,\"x\":null,\"accuracy\":0.72}\n";
    struct workdir work;
    char path[TEMP_PATH];
    workdir_make(&work, *state, 30, 2);
    temp_write(workdir_path(&work, path, "r.jsonl"), text, strlen(text));
    char *page = make_page_with(&work, path);
    assert_non_null(strstr(page, "<td>82.00 <span class=\"sd\">± 2.83</span></td>"));
    assert_non_null(strstr(page, "<td>75.00</td>"));
    assert_non_null(strstr(page, "&lt;b&gt;kd"));
    assert_null(strstr(page, "<i>\""));
    assert_non_null(strstr(page, "<path class=\"band s0\" d=\"M"));
    assert_non_null(strstr(page, "id=\"seeds-main\">All &amp; more</h3>"));
    assert_non_null(strstr(page, "Against kd3,<br>points</th>"));
    assert_null(strstr(page, "Against none"));
    assert_null(strstr(page, "In the paper"));
    assert_non_null(strstr(page, "the dashed line is kd3.</p>"));
    assert_non_null(strstr(page, "id=\"seeds-junk\">junk</h3>"));
    assert_non_null(strstr(page, "id=\"seeds-curation\""));
    assert_non_null(
        strstr(page, "<tr><th scope=\"row\">kl</th><td class=\"left\">kd3-with-kl</td><td>1</td><td>+7.00</td>"));
    assert_null(strstr(page, "id=\"seeds-pool\""));
    assert_null(strstr(page, "could not be read"));
    free(page);
    workdir_free(&work);
}

static void says_that_the_results_are_missing(void **state)
{
    struct workdir work;
    workdir_make(&work, *state, 30, 2);
    char *page = make_page_with(&work, "nowhere/r.jsonl");
    assert_non_null(strstr(page, "report.results: nowhere/r.jsonl does not exist"));
    assert_null(strstr(page, "id=\"seeds\""));
    free(page);
    workdir_free(&work);
}

static void escapes_what_html_would_understand(void **state)
{
    assert_non_null(state);
    static const char *const cases[][2] = {
        {"a<b>&\"'", "a&lt;b&gt;&amp;&quot;&#39;"},
        {"tab\tand\nline", "tab and line"},
        {"\x01\x7f"
         "bell",
         "bell"},
        {"\xff"
         "bad",
         "\xef\xbf\xbd"
         "bad"},
        {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
        {"\xc0\xbc", "\xef\xbf\xbd\xef\xbf\xbd"},                 /* overlong '<' */
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* surrogate */
        {"", ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ws_html html = {0};
        ws_html_text(&html, cases[i][0]);
        assert_string_equal(html.buf.ptr ? html.buf.ptr : "", cases[i][1]);
        ws_buf_fini(&html.buf);
    }
    assert_true(ws_html_is_link("https://a.example/"));
    assert_false(ws_html_is_link("javascript:alert(1)"));
    assert_false(ws_html_is_link("data:text/html,x"));
}

static void encodes_base64_as_rfc_4648_does(void **state)
{
    assert_non_null(state);
    static const char *const cases[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ws_html html = {0};
        ws_html_base64(&html, cases[i][0], strlen(cases[i][0]));
        assert_string_equal(html.buf.ptr ? html.buf.ptr : "", cases[i][1]);
        ws_buf_fini(&html.buf);
    }
}

static void encodes_png_that_libpng_reads_back(void **state)
{
    assert_non_null(state);
    uint8_t pixels[5 * 3 * 3], back[5 * 3 * 3];
    for (size_t i = 0; i < sizeof(pixels); i++)
        pixels[i] = (uint8_t)(i * 5);
    struct ws_buf png = {0};
    png_image image = {.version = PNG_IMAGE_VERSION};
    WORKDIR_OK(ws_png_encode(pixels, 5, 3, 3, 96, &png, err));
    assert_true(png_image_begin_read_from_memory(&image, png.ptr, png.len));
    assert_int_equal(image.width, 5);
    assert_int_equal(image.height, 3);
    image.format = PNG_FORMAT_RGB;
    assert_true(png_image_finish_read(&image, NULL, back, 0, NULL));
    assert_memory_equal(back, pixels, sizeof(pixels));
    ws_buf_fini(&png);
}

static void averages_pictures_that_are_too_large(void **state)
{
    assert_non_null(state);
    const uint8_t pixels[16] = {0, 100, 7, 7, 100, 200, 7, 7, 1, 1, 250, 250, 1, 2, 250, 251};
    uint8_t back[4];
    struct ws_buf png = {0};
    png_image image = {.version = PNG_IMAGE_VERSION};
    WORKDIR_OK(ws_png_encode(pixels, 4, 4, 1, 2, &png, err));
    assert_true(png_image_begin_read_from_memory(&image, png.ptr, png.len));
    assert_int_equal(image.width, 2);
    image.format = PNG_FORMAT_GRAY;
    assert_true(png_image_finish_read(&image, NULL, back, 0, NULL));
    const uint8_t expected[4] = {100, 7, 1, 250};
    assert_memory_equal(back, expected, 4);
    ws_buf_fini(&png);
}

static void draws_what_is_finite_and_nothing_else(void **state)
{
    assert_non_null(state);
    const double x[4] = {1, 2, 3, 4}, y[4] = {5, NAN, 7, 7}, nothing[4] = {NAN, NAN, NAN, NAN}, flat[4] = {2, 2, 2, 2};
    struct ws_chart_series series = {.name = "<kd3>", .slot = 1, .n = 4, .x = x, .y = y};
    const struct ws_chart chart = {
        .title = "t", .x_title = "epoch", .y_top = NAN, .decimals = 1, .series = &series, .n_series = 1};
    struct ws_html html = {0};
    ws_chart_lines(&html, &chart);
    assert_int_equal(count(html.buf.ptr, "<circle"), 4); /* three points and the label's */
    assert_non_null(strstr(html.buf.ptr, "&lt;kd3&gt;"));
    assert_null(strstr(html.buf.ptr, "nan"));
    ws_buf_clear(&html.buf);
    series.y = flat;
    ws_chart_lines(&html, &chart);
    assert_null(strstr(html.buf.ptr, "nan"));
    assert_null(strstr(html.buf.ptr, "inf"));
    ws_buf_fini(&html.buf);
    html = (struct ws_html){0};
    series.y = nothing;
    ws_chart_lines(&html, &chart);
    assert_int_equal(html.buf.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(shows_every_part_of_a_finished_pipeline, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(loads_nothing_and_runs_nothing_from_the_web, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(balances_its_tags, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(names_the_stage_of_each_missing_part, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(says_which_file_it_could_not_read, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(is_made_anew_only_when_something_changed, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(shows_pictures_that_an_older_program_prepared, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(shows_what_was_prepared_for_a_run_of_the_configuration, temp_setup,
                                        temp_teardown),
        cmocka_unit_test_setup_teardown(a_damaged_part_of_refined_pictures_costs_their_section_alone, temp_setup,
                                        temp_teardown),
        cmocka_unit_test_setup_teardown(shows_mean_and_deviation_over_seeds, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(says_that_the_results_are_missing, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(escapes_what_html_would_understand, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(encodes_base64_as_rfc_4648_does, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(encodes_png_that_libpng_reads_back, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(averages_pictures_that_are_too_large, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(draws_what_is_finite_and_nothing_else, temp_setup, temp_teardown),
    };
    return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
