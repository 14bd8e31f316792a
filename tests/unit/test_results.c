/* Results over seeds: what is read of a file, and mean and deviation against figures worked out by hand. */
#include "../../store/report/results.h"

#include "temp.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define NEAR(a, b) assert_true(fabs((a) - (b)) < 1e-12)

static void read_text(struct ws_results *results, const char *folder, const char *text)
{
    char path[TEMP_PATH];
    struct ws_err err = {0};
    temp_write(temp_join(path, folder, "r.jsonl"), text, strlen(text));
    if (ws_results_read(results, path, &err) != WS_OK)
        fail_msg("%s", err.text);
}

#define LINE(row, seed, x, accuracy)                                                                                   \
    "{\"experiment\":\"main\",\"row\":\"" row "\",\"seed\":" #seed ",\"x\":" #x ",\"accuracy\":" #accuracy "}\n"

static void gives_mean_and_sample_deviation_over_seeds(void **state)
{
    struct ws_results results;
    read_text(&results, *state,
              LINE("kd3", 1, null, 0.80) LINE("kd3", 2, null, 0.82) LINE("kd3", 3, null, 0.84)
                  LINE("kd", 1, null, 0.75));
    assert_int_equal(results.n_groups, 2);
    struct ws_spread spread =
        ws_results_spread(&results, ws_results_find(&results, "main", "kd3", (double)NAN), WS_MEASURE_ACCURACY);
    assert_int_equal(spread.n, 3);
    NEAR(spread.mean, 0.82);
    NEAR(spread.sd, 0.02); /* sqrt((0.0004 + 0 + 0.0004) / 2) */
    spread = ws_results_spread(&results, ws_results_find(&results, "main", "kd", (double)NAN), WS_MEASURE_ACCURACY);
    assert_int_equal(spread.n, 1);
    NEAR(spread.mean, 0.75);
    assert_true(isnan(spread.sd));
    spread = ws_results_spread(&results, &results.groups[0], WS_MEASURE_RECALL);
    assert_int_equal(spread.n, 0);
    assert_true(isnan(spread.mean));
    ws_results_fini(&results);
}

static void takes_differences_seed_by_seed(void **state)
{
    struct ws_results results;
    read_text(&results, *state,
              LINE("a", 3, null, 0.90) LINE("b", 1, null, 0.10) LINE("a", 1, null, 0.30) LINE("b", 2, null, 0.55)
                  LINE("b", 3, null, 0.60) LINE("a", 4, null, 0.99) LINE("a", 0, null, 0.77));
    const struct ws_spread spread =
        ws_results_difference(&results, ws_results_find(&results, "main", "a", (double)NAN),
                              ws_results_find(&results, "main", "b", (double)NAN), WS_MEASURE_ACCURACY);
    assert_int_equal(spread.n, 2); /* seeds 1 and 3: +0.2 and +0.3 */
    NEAR(spread.mean, 0.25);
    NEAR(spread.sd, sqrt(0.005));
    ws_results_fini(&results);
}

static void lets_a_later_line_of_the_same_run_count(void **state)
{
    struct ws_results results;
    read_text(&results, *state,
              LINE("a", 1, 0.5, 0.1) LINE("a", 1, 0.25, 0.2) LINE("a", 1, null, 0.3) LINE("a", 1, 0.5, 0.4));
    assert_int_equal(results.n, 3);
    assert_int_equal(results.n_groups, 3);
    NEAR(ws_results_spread(&results, ws_results_find(&results, "main", "a", 0.5), WS_MEASURE_ACCURACY).mean, 0.4);
    assert_true(isnan(results.groups[0].x)); /* no x first, then rising */
    NEAR(results.groups[1].x, 0.25);
    assert_null(ws_results_find(&results, "main", "a", 0.75));
    assert_null(ws_results_find(&results, "junk", "a", (double)NAN));
    ws_results_fini(&results);
}

static void leaves_out_what_is_no_run_and_names_its_line(void **state)
{
    struct ws_results results;
    read_text(&results, *state,
              LINE("a", 1, null, 0.1) "\n{\"experiment\":\"main\",\"row\":\"b\"}\n[1]\n"
                                      "{\"experiment\":\"main\",\"ro");
    assert_int_equal(results.n, 1);
    assert_non_null(strstr(results.problem, "r.jsonl:3: expected a JSON object with experiment, row and seed"));
    assert_non_null(strstr(results.problem, "further ones"));
    ws_results_fini(&results);
    read_text(&results, *state, "");
    assert_int_equal(results.n, 0);
    assert_string_equal(results.problem, "");
    ws_results_fini(&results);
}

#define CURVE(seed, points) "{\"experiment\":\"main\",\"row\":\"a\",\"seed\":" #seed ",\"curve\":[" points "]}\n"

static void joins_curves_step_by_step(void **state)
{
    struct ws_results results;
    struct ws_spread_curve curve;
    struct ws_arena arena = {0};
    read_text(&results, *state,
              CURVE(1, "[10,0.1],[20,0.3]") CURVE(2, "[10,0.3],[20,null],[30,0.7],[40]") CURVE(3, ""));
    assert_true(ws_results_curve(&results, &results.groups[0], &arena, &curve));
    assert_int_equal(curve.n, 3);
    NEAR(curve.step[0], 10);
    NEAR(curve.mean[0], 0.2);
    NEAR(curve.sd[0], sqrt(0.02));
    NEAR(curve.mean[1], 0.3);
    assert_true(isnan(curve.sd[1]));
    NEAR(curve.step[2], 30);
    NEAR(curve.mean[2], 0.7);
    ws_arena_fini(&arena);
    ws_results_fini(&results);
}

static void a_line_may_say_what_an_experiment_is(void **state)
{
    struct ws_results results;
    read_text(&results, *state,
              "{\"experiment\":\"untold\",\"row\":\"a\",\"seed\":1}\n"
              "{\"experiment\":\"varied\",\"row\":\"a\",\"seed\":1,\"x\":3}\n"
              "{\"experiment\":\"told\",\"row\":\"a\",\"seed\":1,\"x\":0.5}\n"
              "{\"about\":\"empty\"}\n"
              "{\"about\":\"told\",\"title\":\"T\",\"text\":\"U\",\"judged\":\"shifted_accuracy\",\"x\":\"junk\","
              "\"x_is\":\"share\",\"leads\":[\"a\"],\"against\":\"a\",\"reported\":{}}\n");
    assert_string_equal(results.problem, "");
    assert_int_equal(results.n, 3);
    assert_int_equal(results.n_experiments, 4);
    const struct ws_experiment *empty = &results.experiments[0], *told = &results.experiments[1];
    const struct ws_experiment *untold = &results.experiments[2], *varied = &results.experiments[3];
    assert_string_equal(empty->name, "empty");
    assert_string_equal(told->name, "told");
    assert_string_equal(told->title, "T");
    assert_string_equal(told->text, "U");
    assert_int_equal(told->judged, WS_MEASURE_SHIFTED);
    assert_string_equal(told->x_title, "junk");
    assert_true(told->is_share && !told->is_log);
    assert_int_equal(json_array_size(told->leads), 1);
    assert_null(told->against);
    assert_non_null(told->reported);
    assert_string_equal(untold->title, "untold");
    assert_string_equal(untold->text, "");
    assert_int_equal(untold->judged, WS_MEASURE_ACCURACY);
    assert_null(untold->x_title);
    assert_string_equal(varied->x_title, "x");
    ws_results_fini(&results);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(gives_mean_and_sample_deviation_over_seeds, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(takes_differences_seed_by_seed, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(lets_a_later_line_of_the_same_run_count, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(leaves_out_what_is_no_run_and_names_its_line, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(joins_curves_step_by_step, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(a_line_may_say_what_an_experiment_is, temp_setup, temp_teardown),
    };
    return cmocka_run_group_tests_name("results", tests, NULL, NULL);
}
